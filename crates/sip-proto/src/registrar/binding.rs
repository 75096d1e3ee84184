//! One way to reach a client.

use std::time::Instant;

use crate::ua::Peer;
use crate::uri::SipUri;

/// A binding: a Contact of a client, and the path its REGISTER came by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binding {
    /// URI of the Contact with all its parameters: the Request-URI of a call to it.
    pub contact: SipUri,
    /// Where to send: the address its REGISTER came from, because what a phone behind NAT writes
    /// into Contact cannot be reached.
    pub peer: Peer,
    /// Preference, in thousandths; 1000 when the client does not say.
    pub q: u16,
    /// When it ends.
    pub expires_at: Instant,
    /// Call-ID of the last REGISTER for it.
    pub call_id: String,
    /// CSeq number of that REGISTER.
    pub seq: u32,
}
