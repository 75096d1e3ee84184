//! The remote party asks to be transferred (RFC 3515): its REFER within a dialog, the engine's
//! answer, and the NOTIFYs that report the outcome.
//!
//! **Invariant: a REFER is answered once, and an accepted one is reported to its end**: the
//! subscription that it creates has at most two NOTIFYs, `100 Trying` and the outcome, unless the
//! dialog ends before. Left to others: what a transfer is. Deliberate omissions: a SUBSCRIBE to the
//! same event is refused, and no subscription outlives its dialog.

use std::time::Instant;

use super::build::reason_text;
use super::config::MAX_REFERS;
use super::core::Core;
use super::leg::{Asked, Leg, State, Talking};
use super::pending::Kind;
use super::{HeaderList, IncomingRefer, LegEvent, LegId};
use crate::header::{Contacts, NameAddr};
use crate::message::{HeaderName, Headers, Method, Request, Response, StatusCode};
use crate::transaction::TxId;
use crate::uri::{Uri, unescape};

use super::calling::seq_of;

/// The event package of transfers.
pub(super) const PACKAGE: &str = "refer";
/// Content-Type of the outcome: the status line of a response.
const SIPFRAG: &str = "message/sipfrag;version=2.0";
/// The option tag of a REFER that may not create a subscription (RFC 4488 §7).
pub(super) const NO_SUBSCRIPTION: &str = "norefersub";
/// How long the subscription is valid, in seconds; its outcome is known long before.
const EXPIRES_S: u32 = 60;

impl Core {
    /// A REFER in a confirmed dialog.
    pub(super) fn receive_refer(
        &mut self,
        leg: &mut Leg,
        talking: &mut Talking,
        tx: TxId,
        request: Request,
        now: Instant,
    ) {
        if let Some(refusal) = self.bad_extension(&request) {
            return self.table.respond(tx, &refusal, now);
        }
        let referrals = &talking.referrals;
        if referrals.asked.is_some() || referrals.watched.is_some() {
            return self.respond(leg, tx, &request, 491, now);
        }
        let refer = match read(&request) {
            Ok((refer, target)) => IncomingRefer {
                replaces: self.replaced_by(&target),
                ..refer
            },
            Err(status) => return self.respond(leg, tx, &request, status, now),
        };
        if talking.bye.is_some() {
            return self.respond(leg, tx, &request, 481, now);
        }
        if talking.referrals.count == MAX_REFERS || !leg.gate.pass(now) {
            return self.respond(leg, tx, &request, 503, now);
        }
        talking.referrals.count += 1;
        let event = wants_reports(&request.headers).then(|| match talking.referrals.count {
            1 => PACKAGE.to_owned(),
            // Later ones in the same dialog are told apart by their CSeq number (RFC 3515 §2.4.6).
            _ => format!("{PACKAGE};id={}", seq_of(&request)),
        });
        talking.referrals.asked = Some(Asked { tx, request, event });
        self.event(leg.id, LegEvent::Refer(Box::new(refer)));
    }

    /// The leg whose dialog the Replaces in a Refer-To names. Its tags are seen from whoever receives the
    /// INVITE with it, as if that were this server: `to-tag` is ours (RFC 3891 §3).
    fn replaced_by(&self, target: &Uri) -> Option<LegId> {
        let (call_id, to_tag, from_tag) = replaces(target)?;
        let id = self.dialogs.get(&(call_id, to_tag))?;
        match &self.legs.get(id)?.state {
            State::Talking(talking) if talking.dialog.remote_tag == from_tag => Some(*id),
            _ => None,
        }
    }

    /// The engine accepts the REFER.
    pub(super) fn accept_refer(&mut self, leg: &mut Leg, talking: &mut Talking, now: Instant) {
        let Some(Asked { tx, request, event }) = talking.referrals.asked.take() else {
            return;
        };
        let mut headers = event_header();
        if event.is_none() {
            headers.push((HeaderName::ReferSub.to_string(), "false".to_owned()));
        }
        let accepted = self.leg_response(leg, &request, 202, &headers);
        self.table.respond(tx, &accepted, now);
        talking.referrals.watched = event;
        if let Some(event) = talking.referrals.watched.clone() {
            self.notify(leg, talking, &event, 100, now);
        }
    }

    pub(super) fn reject_refer(
        &mut self,
        leg: &Leg,
        talking: &mut Talking,
        (status, headers): (u16, HeaderList),
        now: Instant,
    ) {
        if let Some(Asked { tx, request, .. }) = talking.referrals.asked.take() {
            let headers = [event_header(), headers].concat();
            let refusal = self.leg_response(leg, &request, status.clamp(300, 699), &headers);
            self.table.respond(tx, &refusal, now);
        }
    }

    /// The outcome of an accepted REFER is known.
    pub(super) fn refer_done(
        &mut self,
        leg: &mut Leg,
        talking: &mut Talking,
        status: u16,
        now: Instant,
    ) {
        if let Some(event) = talking.referrals.watched.take() {
            self.notify(leg, talking, &event, status.clamp(200, 699), now);
        }
    }

    /// Reports the progress of a transfer (RFC 3515 §2.4.4); a final status ends the subscription.
    fn notify(
        &mut self,
        leg: &mut Leg,
        talking: &mut Talking,
        event: &str,
        status: u16,
        now: Instant,
    ) {
        let state = if status < 200 {
            format!("active;expires={EXPIRES_S}")
        } else {
            "terminated;reason=noresource".to_owned()
        };
        let mut notify = talking.dialog.request(Method::Notify);
        let headers = &mut notify.headers;
        headers.push(HeaderName::Contact, leg.contact.as_str());
        headers.push(HeaderName::Event, event);
        headers.push(HeaderName::SubscriptionState, state);
        self.dress(leg, &mut notify, &HeaderList::new());
        self.authorize(leg, &mut notify);
        let phrase = StatusCode(status).default_reason();
        notify.set_body(SIPFRAG, format!("SIP/2.0 {status} {phrase}\r\n"));
        let peer = talking.dialog.next_hop();
        self.send_request(Some(leg.id), Kind::Notify, notify, peer, now);
    }

    /// Answers a challenge to a request of ours within a confirmed dialog; returns the transaction and CSeq number of the new one.
    pub(super) fn retry_in_dialog(
        &mut self,
        leg: &mut Leg,
        tx: TxId,
        response: &Response,
        now: Instant,
    ) -> Option<(TxId, u32)> {
        let State::Talking(talking) = &leg.state else {
            return None;
        };
        let peer = talking.dialog.next_hop();
        let (again, sent) = self.retry_with_credentials(leg, tx, response, peer, now)?;
        let seq = seq_of(&sent);
        if let State::Talking(talking) = &mut leg.state {
            talking.dialog.used_seq(seq);
        }
        Some((again, seq))
    }

    /// The answer to a NOTIFY: a refusal ends only the subscription, not the call (RFC 5057 §5.1).
    pub(super) fn notify_response(
        &mut self,
        leg: Option<&mut Leg>,
        tx: TxId,
        response: &Response,
        now: Instant,
    ) {
        let Some(leg) = leg.filter(|_| response.status.is_final()) else {
            return;
        };
        let retried = self.retry_in_dialog(leg, tx, response, now);
        let State::Talking(talking) = &mut leg.state else {
            return;
        };
        match retried {
            Some(_) => {}
            None if response.status.0 >= 300 => talking.referrals.watched = None,
            None => {}
        }
    }

    /// The refusal of a REFER that belongs to no established call.
    pub(super) fn stray_refer(&mut self, request: &Request) -> Response {
        let mut refusal = self.plain(request, 404);
        let text = "REFER must be sent within the dialog of an established call";
        refusal
            .headers
            .push(HeaderName::Reason, reason_text(404, text));
        refusal.headers.push(HeaderName::Event, PACKAGE);
        refusal
    }
}

fn event_header() -> HeaderList {
    vec![(HeaderName::Event.to_string(), PACKAGE.to_owned())]
}

/// Whether the REFER creates a subscription: unless it asks for none (RFC 4488 §4).
fn wants_reports(headers: &Headers) -> bool {
    let wish = headers.get(HeaderName::ReferSub).unwrap_or_default();
    let wish = wish.split(';').next().unwrap_or_default().trim();
    !wish.eq_ignore_ascii_case("false")
}

/// The parts of a REFER.
///
/// # Errors
/// The status that refuses it: there must be exactly one Refer-To (RFC 3515 §2.4.2), with a URI
/// that can be called.
fn read(request: &Request) -> Result<(IncomingRefer, Uri), u16> {
    let headers = &request.headers;
    let mut targets = headers
        .addresses(HeaderName::ReferTo)
        .map_err(|_| 400_u16)?;
    let (Some(target), true) = (targets.pop(), targets.is_empty()) else {
        return Err(400);
    };
    if matches!(target.uri, Uri::Other(_)) {
        return Err(416);
    }
    // Only calls can be transferred, not other requests (RFC 3515 §2.4.2).
    let method = target.uri.param("method").unwrap_or("INVITE");
    if !method.eq_ignore_ascii_case("INVITE") {
        return Err(501);
    }
    let contact = match headers.contacts() {
        Ok(Contacts::List(list)) => list.into_iter().next(),
        Ok(Contacts::Star) | Err(_) => None,
    };
    let from = contact.or_else(|| headers.from().ok());
    let refer = IncomingRefer {
        target_user: user(Some(&target)),
        target: target.uri.to_string(),
        contact_user: user(from.as_ref()),
        to_user: user(headers.to().ok().as_ref()),
        replaces: None,
    };
    Ok((refer, target.uri))
}

/// Call-ID, `to-tag` and `from-tag` of the Replaces header field in a URI.
fn replaces(target: &Uri) -> Option<(String, String, String)> {
    let fields = &target.as_sip()?.headers;
    let found = |field: &&(String, String)| field.0.eq_ignore_ascii_case("Replaces");
    let value = unescape(&fields.iter().find(found)?.1);
    let mut parts = value.split(';').map(str::trim);
    let call_id = parts.next()?.to_owned();
    let (mut to_tag, mut from_tag) = (None, None);
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        match name.trim().to_ascii_lowercase().as_str() {
            "to-tag" => to_tag = Some(value.trim().to_owned()),
            "from-tag" => from_tag = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    Some((call_id, to_tag?, from_tag?))
}

fn user(address: Option<&NameAddr>) -> String {
    let user = address.and_then(|address| address.uri.subscriber());
    user.map(|user| user.into_owned()).unwrap_or_default()
}
