//! Dialogs (RFC 3261 §12): what both sides agreed about each other, and the requests within it.
//!
//! A dialog here is early or confirmed by where it is kept; its data are the same. Invariant: **the
//! CSeq of our requests only grows, and so does the one we accept.** Left to others: who may send
//! what when (`ua`), and the 2xx whose ACK is missing ([`AwaitAck`]).

mod await_ack;
pub(crate) mod next_hop;
mod snapshot;

pub(crate) use await_ack::{AwaitAck, Due};
pub use snapshot::DialogSnapshot;

use crate::header::{CSeq, Contacts, NameAddr};
use crate::message::{HeaderName, Headers, Method, Request, Response};
use crate::ua::Peer;
use crate::uri::Uri;

/// How far a restored dialog skips ahead, so that its BYE is newer than any request sent after the
/// snapshot was taken. Gaps are legal (§12.2.2).
const RESTORED_SKIP: u32 = 1000;

/// One dialog, seen from us.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Dialog {
    pub(crate) call_id: String,
    /// Our From value, with our tag.
    local: String,
    /// Their From or To value, with their tag.
    remote: String,
    pub(crate) remote_tag: String,
    target: Uri,
    /// Route values, first hop first.
    routes: Vec<String>,
    local_seq: u32,
    remote_seq: Option<u32>,
    /// Source of their last message.
    pub(crate) peer: Peer,
}

impl Dialog {
    /// The dialog that our answer to `invite` creates (§12.1.1); `local_tag` is the To tag of the
    /// answer. `None` if the headers cannot be read.
    pub(crate) fn for_callee(invite: &Request, local_tag: &str, peer: Peer) -> Option<Self> {
        let headers = &invite.headers;
        let from = headers.from().ok()?;
        let mut answer = Response::for_request(invite, 200);
        answer.set_to_tag(local_tag);
        // A caller older than RFC 3261 may omit Contact; its From is the next best target.
        let target = contact(headers).unwrap_or_else(|| from.uri.clone());
        Some(Self {
            call_id: headers.call_id()?.into_owned(),
            local: text(&answer.headers, HeaderName::To)?,
            remote: text(headers, HeaderName::From)?,
            remote_tag: from.tag().unwrap_or_default().to_owned(),
            target,
            routes: headers
                .all(HeaderName::RecordRoute)
                .map(str::to_owned)
                .collect(),
            local_seq: 0,
            remote_seq: Some(headers.cseq().ok()?.seq),
            peer,
        })
    }

    /// The dialog that `response` to our `invite` creates (§12.1.2). `None` if it cannot be read. A
    /// remote party older than RFC 3261 has an empty tag.
    pub(crate) fn for_caller(invite: &Request, response: &Response, peer: Peer) -> Option<Self> {
        let headers = &response.headers;
        let mut routes: Vec<String> = headers
            .all(HeaderName::RecordRoute)
            .map(str::to_owned)
            .collect();
        routes.reverse();
        Some(Self {
            call_id: invite.headers.call_id()?.into_owned(),
            local: text(&invite.headers, HeaderName::From)?,
            remote: text(headers, HeaderName::To)?,
            remote_tag: headers.to().ok()?.tag().unwrap_or_default().to_owned(),
            target: contact(headers).unwrap_or_else(|| invite.uri.clone()),
            routes,
            local_seq: invite.headers.cseq().ok()?.seq,
            remote_seq: None,
            peer,
        })
    }

    /// The connection is gone: from now on, use the remote party's address (§18.1.1). False if
    /// there was no connection.
    pub(crate) fn forget_flow(&mut self) -> bool {
        self.peer.flow.take().is_some()
    }

    /// Restores a dialog of an earlier process. `None` if the snapshot cannot be read.
    pub(crate) fn restore(snapshot: &DialogSnapshot) -> Option<Self> {
        Some(Self {
            call_id: snapshot.call_id.clone(),
            local: snapshot.local.clone(),
            remote: snapshot.remote.clone(),
            remote_tag: NameAddr::parse(&snapshot.remote).ok()?.tag()?.to_owned(),
            target: Uri::parse(&snapshot.target).ok()?,
            routes: snapshot.routes.clone(),
            local_seq: snapshot.local_seq.saturating_add(RESTORED_SKIP),
            remote_seq: None,
            peer: snapshot.peer(),
        })
    }

    /// The values needed to end this dialog after a crash.
    pub(crate) fn snapshot(&self) -> DialogSnapshot {
        DialogSnapshot {
            call_id: self.call_id.clone(),
            local: self.local.clone(),
            remote: self.remote.clone(),
            target: self.target.to_string(),
            routes: self.routes.clone(),
            local_seq: self.local_seq,
            transport: self.peer.transport.param().to_owned(),
            remote_address: self.peer.remote,
            local_address: self.peer.local,
        }
    }

    /// Takes over the state of an earlier dialog with the same tags.
    pub(crate) fn succeed(&mut self, early: &Self) {
        self.remote_seq = early.remote_seq;
        self.local_seq = self.local_seq.max(early.local_seq);
    }

    /// A new request within the dialog, without Via (§12.2.1.1).
    pub(crate) fn request(&mut self, method: Method) -> Request {
        self.local_seq += 1;
        self.with_seq(method, self.local_seq)
    }

    /// Records that a request of ours was sent again under this CSeq number.
    pub(crate) fn used_seq(&mut self, seq: u32) {
        self.local_seq = self.local_seq.max(seq);
    }

    /// The ACK of the 2xx to our INVITE with that CSeq number, without Via (§13.2.2.4).
    pub(crate) fn ack(&self, seq: u32) -> Request {
        self.with_seq(Method::Ack, seq)
    }

    fn with_seq(&self, method: Method, seq: u32) -> Request {
        let (uri, routes) = self.request_line();
        let mut request = Request::new(method.clone(), uri);
        let headers = &mut request.headers;
        for route in routes {
            headers.push(HeaderName::Route, route);
        }
        headers.push(HeaderName::MaxForwards, 70_u32);
        headers.push(HeaderName::From, self.local.as_str());
        headers.push(HeaderName::To, self.remote.as_str());
        headers.push(HeaderName::CallId, self.call_id.as_str());
        headers.push(HeaderName::CSeq, CSeq { seq, method }.to_string());
        request
    }

    /// Request-URI and Route values. A first route without `lr` is a strict router: it becomes the
    /// Request-URI, and the target goes to the end.
    fn request_line(&self) -> (Uri, Vec<String>) {
        let strict = self
            .routes
            .first()
            .and_then(|route| NameAddr::parse(route).ok())
            .map(|route| route.uri)
            .filter(|uri| uri.param("lr").is_none());
        let Some(router) = strict else {
            return (self.target.clone(), self.routes.clone());
        };
        let target = format!("<{}>", self.target);
        (
            router,
            self.routes
                .iter()
                .skip(1)
                .cloned()
                .chain([target])
                .collect(),
        )
    }

    /// Their Contact: the Request-URI without routes.
    pub(crate) const fn target(&self) -> &Uri {
        &self.target
    }

    /// Where requests go.
    pub(crate) fn next_hop(&self) -> Peer {
        let route = self
            .routes
            .first()
            .and_then(|route| NameAddr::parse(route).ok());
        match route {
            Some(route) => next_hop::by_route(&route.uri, self.peer),
            None => next_hop::by_contact(&self.target, self.peer),
        }
    }

    /// Whether a request of theirs is in order (§12.2.2): lower numbers are not, gaps are allowed.
    pub(crate) fn accept_seq(&mut self, seq: u32) -> bool {
        if self.remote_seq.is_some_and(|last| seq < last) {
            return false;
        }
        self.remote_seq = Some(seq);
        true
    }

    /// Adopts a new Contact of theirs from an INVITE or its 2xx (§12.2); returns whether it has
    /// changed.
    pub(crate) fn refresh_target(&mut self, headers: &Headers) -> bool {
        match contact(headers) {
            Some(target) if target != self.target => {
                self.target = target;
                true
            }
            Some(_) | None => false,
        }
    }
}

fn contact(headers: &Headers) -> Option<Uri> {
    match headers.contacts().ok()? {
        Contacts::Star => None,
        Contacts::List(list) => list.into_iter().next().map(|contact| contact.uri),
    }
}

/// First value as text; bytes that are not UTF-8 become U+FFFD.
fn text(headers: &Headers, name: HeaderName) -> Option<String> {
    headers
        .get_bytes(name)
        .map(|value| String::from_utf8_lossy(value).into_owned())
}
