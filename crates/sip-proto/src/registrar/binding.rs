//! One way to reach a client.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::MAX_EXPIRES;
use crate::header::NameAddr;
use crate::ua::{Peer, Transport};
use crate::uri::{SipUri, Uri};

/// A binding: a Contact of a client, and the path of its REGISTER.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binding {
    /// URI of the Contact with all its parameters: the Request-URI of a call to it.
    pub contact: SipUri,
    /// The phone's identity, if it states one.
    pub instance: Option<Instance>,
    /// What it was registered with; see [`crate::ua::Ha1`].
    pub credential: String,
    /// Where to send: the source of the REGISTER, because the address that a phone behind NAT
    /// writes into Contact cannot be reached.
    pub peer: Peer,
    /// Preference, in thousandths; 1000 if the client does not specify it.
    pub q: u16,
    /// When it expires.
    pub expires_at: Instant,
    /// Call-ID of the last REGISTER for it.
    pub call_id: String,
    /// CSeq number of that REGISTER.
    pub seq: u32,
    /// It may be unreachable: its connection has closed, or it has not answered OPTIONS.
    pub doubtful: bool,
    /// It has answered OPTIONS, so that its silence means that it is gone.
    pub answers: bool,
}

/// Identifies a phone whatever its address is (RFC 5626 §4.1).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Instance {
    /// `+sip.instance`, without quotes.
    pub id: String,
    /// `reg-id`: identifies one of the phone's flows.
    pub reg_id: Option<u32>,
}

impl Instance {
    /// Reads the parameters of a Contact; `None` if it names no instance.
    #[must_use]
    pub fn of(contact: &NameAddr) -> Option<Self> {
        let id = contact.params.get("+sip.instance")?.trim_matches('"');
        let reg_id = contact.params.get("reg-id");
        (!id.is_empty()).then(|| Self {
            id: id.to_owned(),
            reg_id: reg_id.and_then(|number| number.parse().ok()),
        })
    }

    /// Whether both belong to one phone.
    #[must_use]
    pub fn is_phone(&self, other: &Self) -> bool {
        self.id.eq_ignore_ascii_case(&other.id)
    }

    /// Whether both are the same flow of one phone: the later replaces the earlier (RFC 5626 §6).
    #[must_use]
    pub fn is_flow(&self, other: &Self) -> bool {
        self.is_phone(other) && self.reg_id.is_some() && self.reg_id == other.reg_id
    }
}

/// A binding as plain values, to outlive the process.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BindingSnapshot {
    /// URI of the Contact.
    pub contact: String,
    /// `udp` or `tcp`.
    pub transport: String,
    /// Source of its REGISTER.
    pub remote_address: SocketAddr,
    /// Our address on that path.
    pub local_address: SocketAddr,
    /// Preference, in thousandths.
    pub q: u16,
    /// When it expires, in seconds since 1970 UTC.
    pub expires_at: u64,
    /// Call-ID of the last REGISTER for it.
    pub call_id: String,
    /// CSeq number of that REGISTER.
    pub seq: u32,
    /// The phone's identity.
    #[serde(default)]
    pub instance: Option<Instance>,
    /// It has answered OPTIONS.
    #[serde(default)]
    pub answers: bool,
    /// What it was registered with.
    #[serde(default)]
    pub credential: String,
}

impl BindingSnapshot {
    /// The binding, at an instant that is `unix` since 1970 UTC; `None` if it has expired or cannot
    /// be read.
    #[must_use]
    pub fn restore(&self, now: Instant, unix: Duration) -> Option<Binding> {
        let Ok(Uri::Sip(contact)) = Uri::parse(&self.contact) else {
            return None;
        };
        let left = Duration::from_secs(self.expires_at).checked_sub(unix)?;
        // The clock may have been set back since the snapshot was made.
        let left = left.min(Duration::from_secs(MAX_EXPIRES.into()));
        Some(Binding {
            contact,
            peer: Peer {
                transport: Transport::from_param(&self.transport)?,
                remote: self.remote_address,
                local: self.local_address,
                flow: None,
            },
            q: self.q,
            expires_at: now + left,
            call_id: self.call_id.clone(),
            seq: self.seq,
            instance: self.instance.clone(),
            credential: self.credential.clone(),
            doubtful: false,
            answers: self.answers,
        })
    }
}

impl Binding {
    /// The values that outlive the process; the arguments are those of
    /// [`BindingSnapshot::restore`].
    #[must_use]
    pub fn snapshot(&self, now: Instant, unix: Duration) -> BindingSnapshot {
        let left = self.expires_at.saturating_duration_since(now);
        BindingSnapshot {
            contact: self.contact.to_string(),
            transport: self.peer.transport.param().to_owned(),
            remote_address: self.peer.remote,
            local_address: self.peer.local,
            q: self.q,
            expires_at: (unix + left).as_secs(),
            call_id: self.call_id.clone(),
            seq: self.seq,
            instance: self.instance.clone(),
            answers: self.answers,
            credential: self.credential.clone(),
        }
    }

    /// The Contact value that states the binding's remaining lifetime, in whole seconds.
    #[must_use]
    pub fn listed(&self, now: Instant) -> String {
        let left = self.expires_at.saturating_duration_since(now);
        // Rounded up: a live binding never has 0 s left.
        let seconds = left.as_secs() + u64::from(left > Duration::from_secs(left.as_secs()));
        let mut address = NameAddr::new(Uri::Sip(self.contact.clone()));
        if self.q < 1000 {
            address.params.set("q", Some(&format!("0.{:03}", self.q)));
        }
        address.params.set("expires", Some(&seconds.to_string()));
        address.to_string()
    }
}
