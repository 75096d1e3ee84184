//! SIP text and state machines (RFC 3261) without sockets, clocks or threads.
//!
//! Bytes, the time and random words come in as arguments; messages and events come out. **No input
//! from the network can make this crate panic.** Left to others: sockets, DNS and TLS (`sip`), and
//! what a call means (`call-proto`).

#![forbid(unsafe_code)]

mod dialog;
pub mod digest;
pub mod header;
pub mod message;
pub mod parse;
pub mod registrar;
mod transaction;
pub mod ua;
pub mod upkeep;
pub mod uri;

pub use dialog::DialogSnapshot;
