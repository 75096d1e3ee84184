//! Worker threads, sockets and files around the media engine.
//!
//! A [`MediaPlane`] runs some worker threads, each with an engine and the sockets of its
//! endpoints. A [`Session`] opens endpoints and receives their reports; endpoints of different
//! sessions can be joined, for which one moves to the worker of the other.
//!
//! | module | what it does |
//! |---|---|
//! | `control` | the requests |
//! | `plane` | the handles; start and end of the workers |
//! | `directory` | which worker an endpoint is on |
//! | `worker` | the loop: a datagram, a control or a timer into the engine, its output out |
//! | `arrivals` | work that waits for an endpoint on its way to a worker |
//! | `poller` | waits for sockets, controls and timers at once |
//! | `sockets` | pairs of RTP and RTCP ports |
//! | `address` | which address of ours the remote party can reach |
//! | `disk` | writes recordings on its own threads |
//! | `ear` | passes audio received from an endpoint to a listener |
//! | `tap` | passes the audio of an endpoint to a stream, frame by frame |
//!
//! **Invariant: no call on a [`Session`] blocks, and a fault on a worker ends the endpoints of that
//! worker, not the process.** Left to others: what to play, which legs to bridge, and SIP.

#![forbid(unsafe_code)]

mod address;
mod arrivals;
mod control;
mod directory;
mod disk;
mod ear;
mod plane;
mod poller;
mod sockets;
mod tap;
mod worker;

pub use control::Control;
pub use disk::recover_recording;
pub use media_proto::{
    Control as EngineControl, DigitWay, EndpointId, MixId, Part, Pause, PlayId, RecordingId,
    Report, Stats, Terms,
};
pub use plane::{Counts, MediaConfig, MediaPlane, Outlet, Reports, Session};
pub use tap::{FRAME, Frame, Track};
