//! Worker threads, sockets and files around the media engine.
//!
//! A [`MediaPlane`] runs some worker threads, each with an engine and the sockets of its
//! endpoints. A [`Session`] is a group of endpoints on one worker: its controls are carried out in
//! order, and its reports come through the channel it was made with.
//!
//! | module | what it does |
//! |---|---|
//! | `control` | what may be asked |
//! | `plane` | the handles, and which worker a session is on |
//! | `worker` | the loop: a datagram, a control or a timer into the engine, its output out |
//! | `poller` | waits for sockets, controls and time at once |
//! | `sockets` | pairs of RTP and RTCP ports |
//! | `address` | which address of ours the far side can reach |
//! | `disk` | writes recordings on threads of its own |
//! | `ear` | hands what comes from an endpoint to a listener |
//!
//! **Invariant: no call on a [`Session`] blocks, and a fault on a worker ends the endpoints of that
//! worker, not the process.** Left to others: what to play, whom to bridge, and SIP.

#![forbid(unsafe_code)]

mod address;
mod control;
mod disk;
mod ear;
mod plane;
mod poller;
mod sockets;
mod worker;

pub use control::Control;
pub use disk::recover;
pub use media_proto::{DigitWay, EndpointId, PlayId, RecordingId, Report, Stats};
pub use plane::{Counts, MediaConfig, MediaPlane, Reports, Session};
