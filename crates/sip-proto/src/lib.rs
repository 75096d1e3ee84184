//! SIP text and state machines (RFC 3261) without sockets, clocks or threads.
//!
//! Bytes, the time and random words come in as arguments; messages and reports come out.
//! **No input from the network can make this crate panic.** Sockets, DNS and TLS are left to the
//! `sip` crate, and what a call means to `call-proto`.

#![forbid(unsafe_code)]

mod dialog;
pub mod digest;
pub mod header;
pub mod message;
pub mod parse;
pub mod registrar;
mod transaction;
pub mod ua;
pub mod uri;

pub use dialog::DialogSnapshot;
