//! SIP on real sockets: UDP and TCP around the machines of `sip-proto`, the registrar's digest
//! look-ups, and the way from a URI to an address.
//!
//! One task owns the core, feeds it one input at a time and carries out what it says.
//! **Nothing a slow listener does can stall a socket**: events wait in their leg's own queue, which
//! the core keeps bounded by answering for itself what comes too fast.
//! Left to others: what a call does (`call`), media (`media`), who the clients are ([`Directory`]).

#![forbid(unsafe_code)]

mod actor;
mod config;
mod connection;
mod connections;
mod directory;
mod handle;
mod local;
mod places;
mod resolve;
mod routes;
mod udp;

pub use config::{SipConfig, Trunk};
pub use directory::{Directory, DirectoryError, Secret};
pub use handle::{BindError, IncomingCall, LegEvents, ResolveError, Sip, SipAddrs};
pub use sip_proto::DialogSnapshot;
pub use sip_proto::registrar::{Binding, BindingSnapshot};
pub use sip_proto::ua::{
    Caller, Credentials, HeaderList, InviteSpec, LegCommand, LegEvent, LegId, MessageSpec, Peer,
    Transport, TrunkAddress,
};
