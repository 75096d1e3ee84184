//! The part of a dialog that outlives the process, so that a call can be hung up after a crash.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::ua::{Peer, Transport};

/// A dialog as plain values (RFC 3261 §12).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DialogSnapshot {
    /// Call-ID.
    pub call_id: String,
    /// Our From, with our tag, as a header value.
    pub local: String,
    /// Their To, with their tag, as a header value.
    pub remote: String,
    /// Their Contact: the Request-URI.
    pub target: String,
    /// Route set, the first hop first, as header values.
    pub routes: Vec<String>,
    /// CSeq of our last request.
    pub local_seq: u32,
    /// `udp` or `tcp`.
    pub transport: String,
    /// Source of their messages.
    pub remote_address: SocketAddr,
    /// Our address on that path.
    pub local_address: SocketAddr,
}

impl DialogSnapshot {
    /// The path to the remote party. A connection of the process that wrote this is gone.
    pub(crate) fn peer(&self) -> Peer {
        Peer {
            transport: Transport::from_param(&self.transport).unwrap_or(Transport::Udp),
            remote: self.remote_address,
            local: self.local_address,
            flow: None,
        }
    }
}
