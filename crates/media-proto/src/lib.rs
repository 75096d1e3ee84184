//! The media engine, pure: datagrams, controls and time in; datagrams, samples and reports out.
//!
//! **Invariant: every control that asks for something is answered by exactly one report**, and
//! nothing on the way of a forwarded packet allocates.
//! Left to others: sockets, the clock and files (crate `media`), and every decision about a call.

#![forbid(unsafe_code)]

pub mod report;

pub use report::{EndpointId, PlayId, RecordingId, Report, SessionId, Stats};
