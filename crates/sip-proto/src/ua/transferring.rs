//! We ask the remote party to call another address (RFC 3515): our REFER within a dialog, its
//! answer, and the NOTIFYs that report the outcome.
//!
//! **Invariant: of each REFER, the engine gets `ReferAnswered` once, unless another one replaces it
//! or the dialog ends before; then, if it was accepted, any number of `ReferReported`, of which none
//! follows the last.** Left to others: how long to wait for a report. Deliberate omission: the
//! subscription ends with its dialog.

use std::time::Instant;

use super::core::Core;
use super::leg::{Leg, State, Talking, Transfer};
use super::pending::Kind;
use super::referring::PACKAGE;
use super::{HeaderList, LegEvent};
use crate::message::{HeaderName, Headers, Method, Request, Response};
use crate::transaction::TxId;
use crate::uri::Uri;

use super::calling::seq_of;

/// Content-Type of a report, without parameters.
const SIPFRAG: &str = "message/sipfrag";
/// Status for an event package that is not awaited (RFC 6665 §8.3.2).
const BAD_EVENT: u16 = 489;

impl Core {
    /// The engine wants the remote party to call this URI.
    pub(super) fn refer(
        &mut self,
        leg: &mut Leg,
        talking: &mut Talking,
        target: &str,
        now: Instant,
    ) {
        let Ok(target) = Uri::parse(target) else {
            return self.event(leg.id, LegEvent::ReferAnswered { status: 400 });
        };
        let mut refer = talking.dialog.request(Method::Refer);
        let headers = &mut refer.headers;
        headers.push(HeaderName::Contact, leg.contact.as_str());
        headers.push(HeaderName::ReferTo, format!("<{target}>"));
        self.dress(leg, &mut refer, &HeaderList::new());
        self.authorize(leg, &mut refer);
        let (seq, peer) = (seq_of(&refer), talking.dialog.next_hop());
        match self.send_request(Some(leg.id), Kind::Refer, refer, peer, now) {
            Some(tx) => talking.transfer = Transfer::Asked { tx, seq },
            None => self.event(leg.id, LegEvent::ReferAnswered { status: 503 }),
        }
    }

    pub(super) fn refer_response(
        &mut self,
        leg: Option<&mut Leg>,
        tx: TxId,
        response: &Response,
        now: Instant,
    ) {
        let Some(leg) = leg.filter(|_| response.status.is_final()) else {
            return;
        };
        let State::Talking(_) = &leg.state else {
            return;
        };
        let retried = self.retry_in_dialog(leg, tx, response, now);
        if let (Some((again, seq)), State::Talking(talking)) = (retried, &mut leg.state) {
            if matches!(talking.transfer, Transfer::Asked { tx: asked, .. } if asked == tx) {
                talking.transfer = Transfer::Asked { tx: again, seq };
            }
            return;
        }
        self.refer_answered(leg, tx, response.status.0);
        if response.status.0 == 481 {
            self.lose(leg, now);
        }
    }

    /// The final response to a REFER of ours, or its absence, which does not end the call (RFC 5057
    /// §5.1 leaves that to the usage).
    pub(super) fn refer_answered(&mut self, leg: &mut Leg, tx: TxId, status: u16) {
        let State::Talking(talking) = &mut leg.state else {
            return;
        };
        // Another one has replaced it, or a report came before the response.
        let Transfer::Asked { tx: asked, seq } = talking.transfer else {
            return;
        };
        if asked != tx {
            return;
        }
        talking.transfer = if (200..300).contains(&status) {
            Transfer::Accepted { seq }
        } else {
            Transfer::Settled
        };
        self.event(leg.id, LegEvent::ReferAnswered { status });
    }

    /// A NOTIFY in a confirmed dialog.
    pub(super) fn receive_notify(
        &mut self,
        leg: &mut Leg,
        talking: &mut Talking,
        tx: TxId,
        request: &Request,
        now: Instant,
    ) {
        if let Some(refusal) = self.bad_extension(request) {
            return self.table.respond(tx, &refusal, now);
        }
        let headers = &request.headers;
        let (package, id) = event_of(headers);
        if !package.eq_ignore_ascii_case(PACKAGE) {
            let mut refusal = self.leg_response(leg, request, BAD_EVENT, &HeaderList::new());
            refusal.headers.push(HeaderName::AllowEvents, PACKAGE);
            return self.table.respond(tx, &refusal, now);
        }
        let Some(seq) = talking.transfer.seq() else {
            return self.respond(leg, tx, request, 481, now);
        };
        let is_other = id.is_some_and(|id| id.parse() != Ok(seq));
        if is_other || talking.bye.is_some() {
            return self.respond(leg, tx, request, 481, now);
        }
        if !leg.gate.pass(now) {
            return self.respond(leg, tx, request, 503, now);
        }
        self.respond(leg, tx, request, 200, now);
        if let Transfer::Asked { .. } = talking.transfer {
            // It overtook the response, and means the same (RFC 6665 §4.1.2.4).
            self.event(leg.id, LegEvent::ReferAnswered { status: 202 });
        }
        let status = reported(request);
        // Some phones do not say `terminated` with the final status.
        let is_last = is_terminated(headers) || status.is_some_and(|status| status >= 200);
        talking.transfer = if is_last {
            Transfer::Settled
        } else {
            Transfer::Accepted { seq }
        };
        if is_last || status.is_some() {
            self.event(leg.id, LegEvent::ReferReported { status, is_last });
        }
    }
}

/// The event package and the `id` of a NOTIFY.
fn event_of(headers: &Headers) -> (&str, Option<&str>) {
    let event = headers.get(HeaderName::Event).unwrap_or_default();
    let mut parts = event.split(';').map(str::trim);
    let package = parts.next().unwrap_or_default();
    let id = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("id")
            .then_some(value.trim())
    });
    (package, id)
}

/// Whether the NOTIFY ends its subscription.
fn is_terminated(headers: &Headers) -> bool {
    let state = headers.get(HeaderName::SubscriptionState);
    let state = state.unwrap_or_default().split(';').next();
    let state = state.unwrap_or_default().trim();
    state.eq_ignore_ascii_case("terminated")
}

/// The status in the report: its body begins with the status line of a response (RFC 3515 §2.4.5).
fn reported(notify: &Request) -> Option<u16> {
    let kind = notify.headers.content_type().ok().flatten()?;
    if !kind.essence.eq_ignore_ascii_case(SIPFRAG) {
        return None;
    }
    let text = std::str::from_utf8(&notify.body).ok()?;
    let mut words = text.lines().next()?.split_ascii_whitespace();
    let version = words.next()?;
    let status = words.next()?.parse().ok()?;
    let fits = version.eq_ignore_ascii_case("SIP/2.0") && (100..700).contains(&status);
    fits.then_some(status)
}
