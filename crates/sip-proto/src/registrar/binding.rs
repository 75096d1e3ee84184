//! One way to reach a client.

use std::time::{Duration, Instant};

use crate::header::NameAddr;
use crate::ua::Peer;
use crate::uri::{SipUri, Uri};

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

impl Binding {
    /// The Contact value that tells the client how long the binding has left, in whole seconds.
    #[must_use]
    pub fn listed(&self, now: Instant) -> String {
        let left = self.expires_at.saturating_duration_since(now);
        // Rounded up: a binding that still lives has no 0 s left.
        let seconds = left.as_secs() + u64::from(left > Duration::from_secs(left.as_secs()));
        let mut address = NameAddr::new(Uri::Sip(self.contact.clone()));
        if self.q < 1000 {
            address.params.set("q", Some(&format!("0.{:03}", self.q)));
        }
        address.params.set("expires", Some(&seconds.to_string()));
        address.to_string()
    }
}
