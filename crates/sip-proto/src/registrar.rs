//! The registrar of RFC 3261 §10.3 over a table in memory.
//!
//! A REGISTER changes all the bindings it names or none. Invariant: **a binding is never listed after
//! it expired, and no client has more than [`MAX_BINDINGS`].** Left to others: who may register
//! (`ua`), and where bindings are kept beyond the process.

mod binding;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

pub use binding::{Binding, BindingSnapshot};

use crate::header::{Contacts, NameAddr};
use crate::message::{Request, Response};
use crate::ua::{FlowId, Peer, Transport};
use crate::uri::{SipUri, Uri};

/// Bindings of one client: more phones than one person has, few enough to ring them all.
pub const MAX_BINDINGS: usize = 10;
/// Seconds a binding lives when the client does not say.
pub const DEFAULT_EXPIRES: u32 = 3600;
/// Most seconds a binding lives.
pub const MAX_EXPIRES: u32 = 3600;

/// Why a REGISTER changed nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RegisterError {
    /// A Contact that is no SIP address, or `*` in a wrong place.
    #[error("{0}")]
    BadContact(&'static str),
    /// Older than the REGISTER that made the binding.
    #[error("out of order")]
    OutOfOrder,
    /// More than [`MAX_BINDINGS`].
    #[error("too many bindings")]
    TooMany,
}

impl RegisterError {
    /// The answer to the client, without To tag.
    #[must_use]
    pub fn response(self, request: &Request) -> Response {
        let status: u16 = match self {
            Self::BadContact(_) => 400,
            Self::OutOfOrder => 500,
            Self::TooMany => 403,
        };
        let mut response = Response::for_request(request, status);
        match self {
            Self::BadContact(text) => response.reason = format!("Bad Request ({text})"),
            Self::TooMany => "Too Many Bindings".clone_into(&mut response.reason),
            Self::OutOfOrder => {}
        }
        response
    }
}

/// The bindings of all clients.
#[derive(Debug, Default)]
pub struct Registrar {
    clients: BTreeMap<String, Vec<Binding>>,
    expiries: BTreeSet<(Instant, String)>,
}

/// One wish of a REGISTER.
struct Wish {
    address: NameAddr,
    /// Seconds; 0 removes.
    expires: u32,
}

impl Registrar {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Carries out a REGISTER of the client `login` that came from `peer`; one without Contact only
    /// asks. Afterwards [`Registrar::bindings`] is what the 200 lists.
    ///
    /// # Errors
    /// [`RegisterError`] if nothing was changed.
    pub fn register(
        &mut self,
        login: &str,
        request: &Request,
        peer: Peer,
        now: Instant,
    ) -> Result<(), RegisterError> {
        let contacts = request.headers.contacts();
        let contacts = contacts.map_err(|error| RegisterError::BadContact(error.problem))?;
        let call_id = request.headers.call_id().unwrap_or_default().into_owned();
        let seq = request.headers.cseq().map_or(0, |cseq| cseq.seq);
        let mut bindings = self.bindings(login, now);
        match contacts {
            Contacts::Star => {
                if request.headers.expires() != Some(0) {
                    return Err(RegisterError::BadContact("`*` without Expires: 0"));
                }
                if bindings
                    .iter()
                    .any(|known| known.call_id == call_id && known.seq >= seq)
                {
                    return Err(RegisterError::OutOfOrder);
                }
                bindings.clear();
            }
            Contacts::List(list) => {
                for wish in wishes(request, list) {
                    apply(&mut bindings, wish, (&call_id, seq), peer, now)?;
                }
            }
        }
        if bindings.len() > MAX_BINDINGS {
            return Err(RegisterError::TooMany);
        }
        self.replace(login, bindings);
        Ok(())
    }

    /// The live bindings of a client: most preferred first, then the newest.
    #[must_use]
    pub fn bindings(&self, login: &str, now: Instant) -> Vec<Binding> {
        let all = self.clients.get(login).into_iter().flatten();
        let mut live: Vec<Binding> = all.filter(|b| b.expires_at > now).cloned().collect();
        live.sort_by(|a, b| b.q.cmp(&a.q).then(b.expires_at.cmp(&a.expires_at)));
        live
    }

    /// Puts back bindings of an earlier process. Its connections are gone: see
    /// [`Registrar::handle_flow_closed`].
    pub fn restore(&mut self, login: &str, mut bindings: Vec<Binding>) {
        bindings.truncate(MAX_BINDINGS);
        bindings.retain_mut(|binding| binding.peer.transport != Transport::Tcp || reroute(binding));
        self.replace(login, bindings);
    }

    /// Takes a binding out that leads nowhere any more; `None` if there is none.
    pub fn remove(&mut self, login: &str, contact: &SipUri) -> Option<Binding> {
        let mut left = self.clients.get(login)?.clone();
        let at = left
            .iter()
            .position(|binding| binding.contact == *contact)?;
        let removed = left.remove(at);
        self.replace(login, left);
        Some(removed)
    }

    /// Forgets what has expired. The clients whose bindings changed.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<String> {
        let mut changed = Vec::new();
        while self.expiries.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, login)) = self.expiries.pop_first() else {
                break;
            };
            let left = self.bindings(&login, now);
            self.replace(&login, left);
            changed.push(login);
        }
        changed
    }

    /// A connection ended: bindings that came by it are reached anew at their Contact, or, if that
    /// is a name, no more. The clients whose bindings changed.
    pub fn handle_flow_closed(&mut self, flow: FlowId) -> Vec<String> {
        let mut hit: Vec<(String, Vec<Binding>)> = self
            .clients
            .iter()
            .filter(|(_, all)| all.iter().any(|binding| binding.peer.flow == Some(flow)))
            .map(|(login, all)| (login.clone(), all.clone()))
            .collect();
        for (login, all) in &mut hit {
            all.retain_mut(|binding| binding.peer.flow != Some(flow) || reroute(binding));
            self.replace(login, std::mem::take(all));
        }
        hit.into_iter().map(|(login, _)| login).collect()
    }

    /// When the next binding expires.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.expiries.first().map(|(at, _)| *at)
    }

    fn replace(&mut self, login: &str, bindings: Vec<Binding>) {
        let first = |all: &[Binding]| all.iter().map(|binding| binding.expires_at).min();
        if let Some(at) = self.clients.get(login).and_then(|all| first(all)) {
            self.expiries.remove(&(at, login.to_owned()));
        }
        if let Some(at) = first(&bindings) {
            self.expiries.insert((at, login.to_owned()));
            self.clients.insert(login.to_owned(), bindings);
        } else {
            self.clients.remove(login);
        }
    }
}

/// What the Contacts ask for, expiry resolved (§10.3 step 7).
fn wishes(request: &Request, list: Vec<NameAddr>) -> Vec<Wish> {
    // An Expires that cannot be read counts as the default (§10.2.1.1).
    let default = request.headers.expires().unwrap_or(DEFAULT_EXPIRES);
    let wish = |address: NameAddr| {
        let expires = address.expires().unwrap_or(default).min(MAX_EXPIRES);
        Wish { address, expires }
    };
    list.into_iter().map(wish).collect()
}

fn apply(
    bindings: &mut Vec<Binding>,
    wish: Wish,
    (call_id, seq): (&str, u32),
    peer: Peer,
    now: Instant,
) -> Result<(), RegisterError> {
    let q = wish.address.q().unwrap_or(1000);
    let Uri::Sip(contact) = wish.address.uri else {
        return Err(RegisterError::BadContact("Contact is not a SIP address"));
    };
    let known = bindings
        .iter()
        .position(|binding| binding.contact.equivalent(&contact));
    if let Some(at) = known {
        if bindings[at].call_id == call_id && bindings[at].seq >= seq {
            return Err(RegisterError::OutOfOrder);
        }
        bindings.remove(at);
    }
    if wish.expires > 0 {
        let expires_at = now + Duration::from_secs(wish.expires.into());
        let call_id = call_id.to_owned();
        bindings.push(Binding {
            contact,
            peer,
            q,
            expires_at,
            call_id,
            seq,
        });
    }
    Ok(())
}

/// Whether the binding can still be reached, at the address it names.
fn reroute(binding: &mut Binding) -> bool {
    let Some(ip) = binding.contact.host.ip() else {
        return false;
    };
    let remote = (ip, binding.contact.port.unwrap_or(5060)).into();
    binding.peer = Peer {
        transport: Transport::Tcp,
        remote,
        flow: None,
        ..binding.peer
    };
    true
}
