//! The user agent core through its public interface, in virtual time.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod authentication;
mod bench;
mod bounds;
mod inbound;
mod lossy_pair;
mod messaging;
mod outbound;
mod referring;
mod refusals;
mod registering;
mod routing;
mod session;
mod texting;
mod transferring;
mod waiting;
