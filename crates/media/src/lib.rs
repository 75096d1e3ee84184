//! Worker threads, sockets and files around the media engine.
//!
//! A [`MediaPlane`] runs some worker threads, each with an engine and the sockets of its
//! endpoints. A [`Session`] is a group of endpoints on one worker: its controls are carried out in
//! order, and its reports come through the channel it was made with.
//!
//! **Invariant: no call here blocks, and a fault on a worker ends the endpoints of that worker, not
//! the process.** Left to others: what to play, whom to bridge, and SIP.

mod control;
mod plane;

pub use control::Control;
pub use media_proto::{EndpointId, PlayId, RecordingId, Report, Stats};
pub use plane::{MediaConfig, MediaPlane, Reports, Session};
