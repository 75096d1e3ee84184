//! Number masking: two parties call and text each other without learning each other's numbers.
//!
//! A *service* has a *pool* of numbers. A *session* joins two *participants*, each of whom is given a number of the pool, the
//! *mask*: what a participant sends to its mask reaches the other one, who sees its own mask as the sender. This crate decides
//! which mask a participant gets ([`choose`]), what a call or text at a mask means ([`decide`]), and the status of a session
//! ([`Session::status_at`]), and writes the documents that run ([`document`]). It holds no clock, random source or socket.
//! **Invariant: a document or callback names the number of a participant only where that participant is called.** Left to others:
//! storage, and that no two open sessions have the same pair of mask and number.

#![forbid(unsafe_code)]

mod arrival;
pub mod document;
mod pool;
mod records;
mod report;
mod settings;
mod words;

pub use arrival::{Connection, Contact, Found, Kind, PIN, PIN_PATH, Talk, Why, decide, pin_query};
pub use pool::{Candidate, NoMask, choose};
pub use records::Status;
pub use records::{Interaction, Participant, PoolNumber, Service, Session, State, pair, reason};
pub use report::report;
pub use settings::{Bounds, Geo, Mode, Selection, Settings, Strangers};
pub use words::UnknownWord;
