//! The registrar of RFC 3261 §10.3 over a table in memory.
//!
//! A REGISTER changes all the bindings it names or none. A phone that identifies itself (RFC 5626
//! §6) replaces its own binding, whatever its address; at the limit a new binding replaces another
//! one, so a phone that changes its address is never refused. Invariant: **a binding is never
//! listed after it expired, nor with those of another credential, and no client has more than [`MAX_BINDINGS`].** Left to
//! others: who may register (`ua`), storing bindings across restarts, and whether the credential of a binding is still the
//! client's.

mod binding;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

pub use binding::{Binding, BindingSnapshot, Instance};

use model::egress::{Class, class};

use crate::header::{Contacts, NameAddr};
use crate::message::{Request, Response};
use crate::ua::{DEFAULT_PORT, FlowId, Peer};
use crate::uri::{SipUri, Uri};

/// Maximum bindings of one client: more phones than one person has, few enough to ring them all.
pub const MAX_BINDINGS: usize = 10;
/// Lifetime of a binding in seconds if the client does not specify one.
pub const DEFAULT_EXPIRES: u32 = 3600;
/// Maximum lifetime of a binding in seconds.
pub const MAX_EXPIRES: u32 = 3600;
/// Maximum octets of one Contact, parameters included, and of the Call-ID stored with it.
pub const MAX_CONTACT: usize = 2048;

/// Why a REGISTER changed nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RegisterError {
    /// A Contact that is not a SIP address, or a misplaced `*`.
    #[error("{0}")]
    BadContact(&'static str),
    /// Older than the REGISTER that made the binding.
    #[error("out of order")]
    OutOfOrder,
    /// One request for more than [`MAX_BINDINGS`] bindings.
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
            Self::TooMany => "Too Many Contacts".clone_into(&mut response.reason),
            Self::OutOfOrder => {}
        }
        response
    }
}

/// The bindings of all clients.
#[derive(Debug, Default)]
pub struct Registrar {
    /// The bindings of each client, oldest registration first.
    clients: BTreeMap<String, Vec<Binding>>,
    expiries: BTreeSet<(Instant, String)>,
}

/// One binding change that a REGISTER requests.
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

    /// Carries out a REGISTER of the client `login` from `peer`; one without Contact is only a
    /// query. Afterwards [`Registrar::bindings`] is the content of the 200. Bindings with another credential go: their phones
    /// belong to an earlier client of that name, or know only an earlier password.
    ///
    /// # Errors
    /// [`RegisterError`] if nothing was changed.
    pub fn register(
        &mut self,
        (login, credential): (&str, &str),
        request: &Request,
        peer: Peer,
        now: Instant,
    ) -> Result<(), RegisterError> {
        let contacts = request.headers.contacts();
        let contacts = contacts.map_err(|error| RegisterError::BadContact(error.problem))?;
        let call_id = request.headers.call_id().unwrap_or_default().into_owned();
        let seq = request.headers.cseq().map_or(0, |cseq| cseq.seq);
        if call_id.len() > MAX_CONTACT {
            return Err(RegisterError::BadContact("Call-ID is too long"));
        }
        let mut bindings = self.live(login, now);
        bindings.retain(|known| known.credential == credential);
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
                let mut fresh = Vec::new();
                for wish in wishes(request, list) {
                    let wished =
                        apply(&mut bindings, wish, (&call_id, seq, credential), peer, now)?;
                    // An address listed twice counts once: the last one.
                    if let Some(new) = &wished {
                        fresh.retain(|old: &Binding| !old.contact.equivalent(&new.contact));
                    }
                    fresh.extend(wished);
                }
                make_room(&mut bindings, &fresh)?;
                bindings.append(&mut fresh);
            }
        }
        self.replace(login, bindings);
        Ok(())
    }

    /// The live bindings of a client: most preferred first, then the newest.
    #[must_use]
    pub fn bindings(&self, login: &str, now: Instant) -> Vec<Binding> {
        let mut live = self.live(login, now);
        live.reverse();
        live.sort_by(|a, b| b.q.cmp(&a.q).then(b.expires_at.cmp(&a.expires_at)));
        live
    }

    /// The paths of all bindings.
    pub fn paths(&self) -> impl Iterator<Item = Peer> + '_ {
        self.clients.values().flatten().map(|binding| binding.peer)
    }

    fn live(&self, login: &str, now: Instant) -> Vec<Binding> {
        let all = self.clients.get(login).into_iter().flatten();
        all.filter(|b| b.expires_at > now).cloned().collect()
    }

    /// Records whether a phone answers; one that does not is the first to make room for others. The
    /// bindings are unchanged, so there is nothing to announce.
    pub fn note_answer(&mut self, login: &str, contact: &SipUri, answers: bool) {
        let all = self.clients.get_mut(login).into_iter().flatten();
        for binding in all.filter(|binding| binding.contact == *contact) {
            binding.doubtful = !answers;
            binding.answers |= answers;
        }
    }

    /// Restores bindings of an earlier process. Its connections are gone: see
    /// [`Registrar::handle_flow_closed`].
    pub fn restore(&mut self, login: &str, mut bindings: Vec<Binding>) {
        bindings.truncate(MAX_BINDINGS);
        bindings.sort_by_key(|binding| binding.expires_at);
        bindings.retain_mut(|binding| !binding.peer.transport.is_flow() || reroute(binding));
        self.replace(login, bindings);
    }

    /// Removes a binding that is no longer reachable; `None` if it does not exist.
    pub fn remove(&mut self, login: &str, contact: &SipUri) -> Option<Binding> {
        let mut left = self.clients.get(login)?.clone();
        let at = left
            .iter()
            .position(|binding| binding.contact == *contact)?;
        let removed = left.remove(at);
        self.replace(login, left);
        Some(removed)
    }

    /// Removes expired bindings. Returns the clients whose bindings changed.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<String> {
        let mut changed = Vec::new();
        while self.expiries.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, login)) = self.expiries.pop_first() else {
                break;
            };
            let left = self.live(&login, now);
            self.replace(&login, left);
            changed.push(login);
        }
        changed
    }

    /// A connection ended: its bindings are now reached at their Contact, or, if that is a name,
    /// not at all. Returns the clients whose bindings changed.
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

/// The changes that the Contacts request, expiry resolved (§10.3 step 7).
fn wishes(request: &Request, list: Vec<NameAddr>) -> Vec<Wish> {
    // An unreadable Expires counts as the default (§10.2.1.1).
    let default = request.headers.expires().unwrap_or(DEFAULT_EXPIRES);
    let wish = |address: NameAddr| {
        let expires = address.expires().unwrap_or(default).min(MAX_EXPIRES);
        Wish { address, expires }
    };
    list.into_iter().map(wish).collect()
}

/// Removes the binding that a request replaces: the one with the same address or of the same phone.
/// Returns the new binding, unless the request only removes.
fn apply(
    bindings: &mut Vec<Binding>,
    wish: Wish,
    (call_id, seq, credential): (&str, u32, &str),
    peer: Peer,
    now: Instant,
) -> Result<Option<Binding>, RegisterError> {
    if wish.address.to_string().len() > MAX_CONTACT {
        return Err(RegisterError::BadContact("Contact is too long"));
    }
    let q = wish.address.q().unwrap_or(1000);
    let instance = Instance::of(&wish.address);
    let Uri::Sip(contact) = wish.address.uri else {
        return Err(RegisterError::BadContact("Contact is not a SIP address"));
    };
    let is_same = |binding: &Binding| {
        let same_phone = |new: &Instance| {
            binding
                .instance
                .as_ref()
                .is_some_and(|old| old.is_flow(new))
        };
        binding.contact.equivalent(&contact) || instance.as_ref().is_some_and(same_phone)
    };
    let is_newer = |binding: &Binding| binding.call_id == call_id && binding.seq >= seq;
    if bindings
        .iter()
        .any(|known| is_same(known) && is_newer(known))
    {
        return Err(RegisterError::OutOfOrder);
    }
    bindings.retain(|known| !is_same(known));
    let expires_at = now + Duration::from_secs(wish.expires.into());
    Ok((wish.expires > 0).then(|| Binding {
        contact,
        instance,
        credential: credential.to_owned(),
        peer,
        q,
        expires_at,
        call_id: call_id.to_owned(),
        seq,
        doubtful: false,
        answers: false,
    }))
}

/// Removes enough bindings to make room for `fresh` ones: first those of a phone that is among the
/// fresh ones and names no flow, then those that are probably unreachable, then the oldest
/// registrations.
fn make_room(bindings: &mut Vec<Binding>, fresh: &[Binding]) -> Result<(), RegisterError> {
    if fresh.len() > MAX_BINDINGS {
        return Err(RegisterError::TooMany);
    }
    let is_of_fresh = |binding: &Binding| {
        let Some(old) = &binding.instance else {
            return false;
        };
        fresh
            .iter()
            .filter_map(|new| new.instance.as_ref())
            .any(|new| old.is_phone(new) && old.reg_id.is_none())
    };
    while bindings.len() + fresh.len() > MAX_BINDINGS {
        let rank = |binding: &Binding| (!is_of_fresh(binding), !binding.doubtful);
        let first = (0..bindings.len()).min_by_key(|at| rank(&bindings[*at]));
        let Some(first) = first else { break };
        bindings.remove(first);
    }
    Ok(())
}

/// Whether the binding can still be reached at the address it names. The phone writes that address,
/// so it may only be the one the phone registered from, or a public one.
fn reroute(binding: &mut Binding) -> bool {
    let Some(ip) = binding.contact.host.ip() else {
        return false;
    };
    if !binding.peer.transport.can_be_reopened() {
        return false;
    }
    if ip != binding.peer.remote.ip() && class(ip) != Class::Public {
        return false;
    }
    let remote = (ip, binding.contact.port.unwrap_or(DEFAULT_PORT)).into();
    binding.doubtful = true;
    binding.peer = Peer {
        remote,
        flow: None,
        ..binding.peer
    };
    true
}
