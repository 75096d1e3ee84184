//! Processes received requests: refuses what needs no decision, and dispatches the rest (RFC 3261
//! §8.2, §9.2, §12.2.2).

use std::time::Instant;

use super::build::ALLOW;
use super::config::{MAX_ECHOED, MAX_TRANSACTIONS, RETRY_AFTER};
use super::core::Core;
use super::referring::NO_SUBSCRIPTION;
use super::waiting::PACKAGE;
use super::{LegId, Peer, via};
use crate::header::Via;
use crate::message::{HeaderName, Headers, Method, Request, Response};
use crate::parse::ParseError;
use crate::transaction::{Holder, Incoming, ServerKey, TxId};
use crate::uri::Uri;

impl Core {
    /// Answers an unreadable request, if it can be answered at all.
    pub(super) fn refuse_malformed(&mut self, error: &ParseError, peer: Peer) {
        let Some(mut response) = error.response(&self.random.tag()) else {
            return;
        };
        // The Via itself may be wrong: then only the source address is left.
        let reply_to = via::stamp(&mut response.headers, peer).unwrap_or(peer);
        let server = self.config.user_agent.as_str();
        response.headers.push(HeaderName::Server, server);
        self.transmit(reply_to, response.to_bytes());
    }

    pub(super) fn receive_request(&mut self, mut request: Request, peer: Peer, now: Instant) {
        let Some(reply_to) = via::stamp(&mut request.headers, peer) else {
            return;
        };
        match self.table.handle_request(&request, now) {
            Incoming::Absorbed | Incoming::Unusable => {}
            Incoming::Ack => self.receive_ack(&request, now),
            Incoming::Merged(_) => self.refuse_statelessly(&request, 482, reply_to),
            Incoming::New(key) => self.receive_new(key, request, peer, reply_to, now),
        }
    }

    /// A new request other than ACK.
    fn receive_new(
        &mut self,
        key: ServerKey,
        request: Request,
        peer: Peer,
        reply_to: Peer,
        now: Instant,
    ) {
        let tagged = request.headers.to().is_ok_and(|to| to.tag().is_some());
        // Those within dialogs have limits of their own: neither keeps out the others.
        let outside = self
            .table
            .len()
            .saturating_sub(self.table.held(Holder::Dialogs));
        if !tagged && outside >= MAX_TRANSACTIONS {
            return self.refuse_statelessly(&request, 503, reply_to);
        }
        if echoed(&request.headers) > MAX_ECHOED {
            return self.refuse_statelessly(&request, 513, reply_to);
        }
        match &request.method {
            Method::Cancel => self.receive_cancel(key, &request, reply_to, now),
            Method::Register => self.receive_register(key, request, peer, reply_to, now),
            Method::Subscribe if !tagged || self.is_of_subscription(&request.headers) => {
                self.receive_subscribe(key, request, peer, reply_to, now);
            }
            _ if tagged => self.receive_in_dialog(key, request, peer, reply_to, now),
            Method::Invite | Method::Message => {
                self.receive_arriving(key, request, peer, reply_to, now);
            }
            _ => self.receive_other(&request, reply_to),
        }
    }

    /// A request outside dialogs other than INVITE, MESSAGE, CANCEL, REGISTER and SUBSCRIBE. Nothing of it needs to be remembered, so a flood of
    /// them takes no memory.
    fn receive_other(&mut self, request: &Request, reply_to: Peer) {
        let refusal = match &request.method {
            Method::Options => self.refusal(request),
            // A NOTIFY belongs to a dialog, like the REFERs that we send.
            Method::Bye | Method::Info | Method::Notify => Some(self.plain(request, 481)),
            Method::Refer => Some(self.stray_refer(request)),
            method => Some(self.not_allowed(request, method)),
        };
        let response = refusal.unwrap_or_else(|| self.options(request));
        self.transmit(reply_to, response.to_bytes());
    }

    /// 405 for methods that others may use here, 501 for unknown ones.
    pub(super) fn not_allowed(&mut self, request: &Request, method: &Method) -> Response {
        let status = if matches!(method, Method::Other(_)) {
            501
        } else {
            405
        };
        let mut response = self.plain(request, status);
        response.headers.push(HeaderName::Allow, ALLOW);
        response
    }

    /// The answer to OPTIONS (§11.2): our capabilities, or that we accept no more calls.
    pub(super) fn options(&mut self, request: &Request) -> Response {
        let mut response = self.plain(request, if self.draining { 503 } else { 200 });
        response.headers.push(HeaderName::Allow, ALLOW);
        response
            .headers
            .push(HeaderName::Accept, "application/sdp, text/plain");
        response.headers.push(HeaderName::AllowEvents, PACKAGE);
        response
    }

    /// Checks a request outside dialogs with a known method, in the order of §8.2: scheme,
    /// extensions, body encoding.
    pub(super) fn refusal(&mut self, request: &Request) -> Option<Response> {
        if matches!(request.uri, Uri::Other(_)) {
            return Some(self.plain(request, 416));
        }
        self.bad_extension(request)
            .or_else(|| self.bad_coding(request))
    }

    /// 420 for a Require, since we support no extensions, except that a REFER may ask for no
    /// reports.
    pub(super) fn bad_extension(&mut self, request: &Request) -> Option<Response> {
        let required = request.headers.all(HeaderName::Require);
        let supported = |tag: &str| {
            request.method == Method::Refer && tag.eq_ignore_ascii_case(NO_SUBSCRIPTION)
        };
        let required: Vec<&str> = required
            .filter(|tag| !tag.is_empty() && !supported(tag))
            .collect();
        if required.is_empty() {
            return None;
        }
        let mut response = self.plain(request, 420);
        response
            .headers
            .push(HeaderName::Unsupported, required.join(", "));
        Some(response)
    }

    fn bad_coding(&mut self, request: &Request) -> Option<Response> {
        let coded = |coding: &str| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity");
        if !request.headers.all(HeaderName::ContentEncoding).any(coded) {
            return None;
        }
        let mut response = self.plain(request, 415);
        response
            .headers
            .push(HeaderName::AcceptEncoding, "identity");
        Some(response)
    }

    /// A response outside any leg. The To tag is the same for each retransmission of the request (§8.2.7).
    pub(super) fn plain(&self, request: &Request, status: u16) -> Response {
        self.response(request, status, &stateless_tag(&request.headers))
    }

    /// Refuses a request without a transaction.
    pub(super) fn refuse_statelessly(&mut self, request: &Request, status: u16, reply_to: Peer) {
        let mut response = self.plain(request, status);
        if status == 503 {
            response.headers.push(HeaderName::RetryAfter, RETRY_AFTER);
        }
        self.transmit(reply_to, response.to_bytes());
    }

    /// Begins the transaction of a request and answers it.
    pub(super) fn answer_new(
        &mut self,
        key: ServerKey,
        request: &Request,
        response: &Response,
        reply_to: Peer,
        now: Instant,
    ) -> TxId {
        let tx = self.table.begin_server(key, request, reply_to);
        self.table.respond(tx, response, now);
        tx
    }

    /// CANCEL gets its own answer; its INVITE, if still unanswered, gets 487 (§9.2).
    fn receive_cancel(&mut self, key: ServerKey, cancel: &Request, reply_to: Peer, now: Instant) {
        let Some((invite_tx, proceeding)) = self.table.canceled(cancel) else {
            return self.refuse_statelessly(cancel, 481, reply_to);
        };
        let leg = self.arriving.get(&invite_tx).copied();
        let tag = leg
            .and_then(|id| self.legs.get(&id))
            .map(|leg| leg.tag.clone());
        let tag = tag.unwrap_or_else(|| self.random.tag());
        let response = self.response(cancel, 200, &tag);
        self.answer_new(key, cancel, &response, reply_to, now);
        // A re-INVITE is left to the answer that the engine is about to give.
        if let Some(leg) = leg.filter(|_| proceeding).and_then(|id| self.take(id)) {
            self.cancel_arriving(leg, now);
        }
    }

    /// The leg to which a request within a dialog belongs.
    pub(super) fn leg_of(&self, headers: &Headers) -> Option<LegId> {
        let tag = headers.to().ok()?.tag()?.to_owned();
        let call_id = headers.call_id()?.into_owned();
        self.dialogs.get(&(call_id, tag)).copied()
    }
}

/// Octets of the headers that a response repeats (§8.2.6.2).
fn echoed(headers: &Headers) -> usize {
    let repeated = headers.iter().filter(|header| {
        matches!(
            header.name,
            HeaderName::Via
                | HeaderName::From
                | HeaderName::To
                | HeaderName::CallId
                | HeaderName::CSeq
                | HeaderName::RecordRoute
        )
    });
    repeated.map(|header| header.value.len()).sum()
}

/// A tag that is the same for each retransmission: FNV-1a over the headers that those share.
fn stateless_tag(headers: &Headers) -> String {
    let via = headers
        .via()
        .map(|via: Via| via.branch().unwrap_or_default().to_owned());
    let branch = via.unwrap_or_default();
    let call_id = headers.get_bytes(HeaderName::CallId).unwrap_or_default();
    let hash = branch
        .bytes()
        .chain(call_id.iter().copied())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("{hash:016x}")
}
