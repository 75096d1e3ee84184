//! SIP on real sockets: UDP and TCP around the machines of `sip-proto`, the registrar's digest
//! look-ups, and resolution of URIs to addresses.
//!
//! One task owns the core, feeds it one input at a time and carries out its outputs. **A slow
//! listener cannot stall a socket**: events wait in their leg's own queue, which the core keeps
//! bounded by answering excess traffic itself. Left to others: what a call does (`call`), media
//! (`media`), knowing the clients ([`Directory`]).

#![forbid(unsafe_code)]

mod actor;
mod changes;
mod config;
mod connection;
mod connections;
mod directory;
mod gateways;
mod handle;
mod local;
mod places;
mod resolve;
mod routes;
mod udp;

pub use config::{SipConfig, Trunk};
pub use directory::{Directory, DirectoryError, Secret};
pub use gateways::{Gateway, Gateways, States};
pub use handle::{
    BindError, IncomingCall, LegEvents, OutboundProxies, ResolveError, Sip, SipAddrs,
};
pub use sip_proto::DialogSnapshot;
pub use sip_proto::registrar::{Binding, BindingSnapshot};
pub use sip_proto::ua::{
    Caller, Counted, Credentials, HeaderList, IncomingText, InviteSpec, LegCommand, LegEvent,
    LegId, Local, MessageSpec, Peer, TextBody, Transport, TrunkAddress,
};
pub use sip_proto::upkeep::Turn;
