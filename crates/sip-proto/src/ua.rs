//! The user agent core (RFC 3261 §8, §9, §13 to §15): combines transactions and dialogs into legs,
//! and handles everything that needs no decision by the call engine.
//!
//! Bytes, commands, directory answers and the time go into [`Core`]; [`Output`]s come out. **A leg
//! ends with exactly one final event (or by the engine's own refusal), whatever the remote party
//! sends**, and the constants in `config` limit how much state strangers can create.
//!
//! Deliberate omissions: UDP requests above 1300 bytes are not moved to TCP (§18.1.1), because few
//! phones listen there; responses ignore `maddr`; provisional responses are not reliable (RFC
//! 3262). Left to others: sockets, DNS, who clients are, and what a call does.

mod arriving;
mod auth;
mod body;
mod build;
mod bye;
mod calling;
mod command;
mod commands;
mod config;
mod core;
mod event;
mod gate;
mod guesses;
mod keepalive;
mod leg;
mod messaging;
mod ours;
mod peer;
mod pending;
mod random;
mod receive;
mod referring;
mod register;
mod registering;
mod reinvite;
mod talking;
#[cfg(test)]
pub(crate) mod testing;
mod texting;
mod transferring;
mod via;
mod waiting;

pub use auth::{Found, Ha1, LookupId};
pub use command::{
    Credentials, HeaderList, InviteSpec, LegCommand, LegId, MessageSpec, RegisterSpec,
};
pub use config::{CoreConfig, TrunkAddress, TrunkSource};
pub use core::{Core, Output};
pub use event::{Caller, IncomingInvite, IncomingRefer, IncomingText, LegEvent, TextBody};
pub use ours::{Local, OurNames};
pub use peer::{DEFAULT_PORT, FlowId, Peer, Transport};
pub use random::Entropy;
pub use waiting::Counted;
