//! The user agent core.

mod command;
mod event;
mod peer;

pub use command::{Credentials, HeaderList, InviteSpec, LegCommand, LegId};
pub use event::{Caller, IncomingInvite, LegEvent};
pub use peer::{FlowId, Peer, Transport};
