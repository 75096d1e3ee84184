//! The user agent core through its public interface, in virtual time.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod bench;
mod inbound;
mod outbound;
mod session;
