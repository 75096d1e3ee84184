//! Requests of the remote party within dialogs (RFC 3261 §12.2.2, §14.2, §15.1.2).

use std::time::Instant;

use super::body::Body;
use super::build::{SDP, custom_headers};
use super::config::{MAX_IN_DIALOG, MAX_IN_DIALOGS};
use super::core::Core;
use super::leg::{Awaited, Leg, Ours, State, Talking, Theirs};
use super::{HeaderList, LegEvent, LegId, Peer};
use crate::dialog::AwaitAck;
use crate::message::{HeaderName, Method, Request, Response};
use crate::transaction::{Holder, ServerKey, TxId};

use super::calling::seq_of;

impl Core {
    /// A request with a To tag other than ACK, CANCEL, REGISTER and the SUBSCRIBE of a subscription.
    pub(super) fn receive_in_dialog(
        &mut self,
        key: ServerKey,
        request: Request,
        peer: Peer,
        reply_to: Peer,
        now: Instant,
    ) {
        let leg = self.leg_of(&request.headers).and_then(|id| self.take(id));
        let Some(mut leg) = leg else {
            let response = match request.method {
                Method::Refer => self.stray_refer(&request),
                _ => self.plain(&request, 481),
            };
            return self.transmit(reply_to, response.to_bytes());
        };
        let own = Holder::Dialog(leg.id);
        let is_full = self.table.held(own) >= MAX_IN_DIALOG
            || self.table.held(Holder::Dialogs) >= MAX_IN_DIALOGS;
        if is_full && request.method != Method::Bye {
            self.refuse_statelessly(&request, 503, reply_to);
            return self.put(leg);
        }
        let tx = self.table.begin_server(key, &request, reply_to);
        self.table.hold(tx, [Some(own), Some(Holder::Dialogs)]);
        self.in_dialog(&mut leg, tx, request, peer, now);
        self.put(leg);
    }

    fn in_dialog(&mut self, leg: &mut Leg, tx: TxId, request: Request, peer: Peer, now: Instant) {
        let from = request.headers.from().ok();
        let remote_tag = from
            .as_ref()
            .and_then(|from| from.tag())
            .unwrap_or_default()
            .to_owned();
        match std::mem::replace(&mut leg.state, State::Over) {
            State::Talking(mut talking) if talking.dialog.remote_tag == remote_tag => {
                if talking.dialog.accept_seq(seq_of(&request)) {
                    let moved = std::mem::replace(&mut talking.dialog.peer, peer) != peer;
                    if moved && request.method != Method::Bye {
                        self.report_move(leg, &mut talking, now);
                    }
                    self.in_session(leg, talking, tx, request, now);
                } else {
                    leg.state = State::Talking(talking);
                    self.respond(leg, tx, &request, 500, now);
                }
            }
            State::Calling(mut calling) => {
                calling.hung_up |=
                    request.method == Method::Bye && calling.early.contains_key(&remote_tag);
                let known = calling.early.contains_key(&remote_tag);
                leg.state = State::Calling(calling);
                self.in_early_dialog(leg, known, tx, &request, now);
            }
            State::Arriving(arriving) if request.method == Method::Bye => {
                // The caller ends its early dialog with BYE instead of CANCEL (§15).
                self.respond(leg, tx, &request, 200, now);
                let refusal = self.leg_response(leg, &arriving.invite, 487, &Vec::new());
                self.table.respond(arriving.tx, &refusal, now);
                if arriving.reported {
                    self.event(leg.id, LegEvent::Canceled);
                }
            }
            State::Leaving(leaving) if request.method == Method::Bye => {
                leg.state = State::Leaving(leaving);
                self.respond(leg, tx, &request, 200, now);
            }
            state @ State::Arriving(_) if request.method == Method::Refer => {
                leg.state = state;
                let refusal = self.stray_refer(&request);
                self.table.respond(tx, &refusal, now);
            }
            other => {
                leg.state = other;
                self.respond(leg, tx, &request, 481, now);
            }
        }
    }

    /// Reports the dialog again, since a later process has to find the remote party at its current
    /// address.
    pub(super) fn keep_dialog(&mut self, leg: LegId, talking: &mut Talking) {
        talking.unreported = false;
        self.event(leg, LegEvent::Dialog(Box::new(talking.dialog.snapshot())));
    }

    /// Reports where the remote party is now: at once, or later if it moves too often.
    pub(super) fn report_move(&mut self, leg: &mut Leg, talking: &mut Talking, now: Instant) {
        talking.unreported = true;
        if leg.gate.pass(now) {
            self.keep_dialog(leg.id, talking);
        }
    }

    /// Requests in early dialogs: a BYE that overtook its 2xx counts; others are rare.
    fn in_early_dialog(
        &mut self,
        leg: &mut Leg,
        known: bool,
        tx: TxId,
        request: &Request,
        now: Instant,
    ) {
        match request.method {
            _ if !known => self.respond(leg, tx, request, 481, now),
            Method::Bye => self.respond(leg, tx, request, 200, now),
            _ => self.in_any_dialog(leg, tx, request, now),
        }
    }

    fn in_session(
        &mut self,
        leg: &mut Leg,
        mut talking: Box<Talking>,
        tx: TxId,
        request: Request,
        now: Instant,
    ) {
        match request.method {
            Method::Bye => self.hung_up(leg, *talking, tx, &request, now),
            Method::Invite => {
                self.receive_reinvite(leg, &mut talking, tx, request, now);
                leg.state = State::Talking(talking);
            }
            Method::Refer => {
                self.receive_refer(leg, &mut talking, tx, request, now);
                leg.state = State::Talking(talking);
            }
            Method::Notify => {
                self.receive_notify(leg, &mut talking, tx, &request, now);
                leg.state = State::Talking(talking);
            }
            _ => {
                leg.state = State::Talking(talking);
                self.in_any_dialog(leg, tx, &request, now);
            }
        }
    }

    /// Requests that are answered alike in early and confirmed dialogs.
    fn in_any_dialog(&mut self, leg: &mut Leg, tx: TxId, request: &Request, now: Instant) {
        let refusal = self.bad_extension(request);
        let response = match &request.method {
            _ if refusal.is_some() => refusal.unwrap_or_else(|| self.plain(request, 420)),
            Method::Options => self.options(request),
            Method::Info => return self.receive_info(leg, tx, request, now),
            Method::Invite => self.plain(request, 491),
            Method::Refer => self.stray_refer(request),
            Method::Notify => self.plain(request, 481),
            method => {
                let method = method.clone();
                self.not_allowed(request, &method)
            }
        };
        self.table.respond(tx, &response, now);
    }

    fn receive_info(&mut self, leg: &mut Leg, tx: TxId, request: &Request, now: Instant) {
        if !leg.gate.pass(now) {
            return self.respond(leg, tx, request, 503, now);
        }
        self.respond(leg, tx, request, 200, now);
        let kind = request.headers.content_type().ok().flatten();
        let content_type = kind.map(|kind| kind.essence).unwrap_or_default();
        let body = request.body.to_vec();
        self.event(leg.id, LegEvent::Info { content_type, body });
    }

    /// BYE: also ends everything open on both sides.
    fn hung_up(&mut self, leg: &mut Leg, talking: Talking, tx: TxId, bye: &Request, now: Instant) {
        if let Some(theirs) = talking.theirs {
            self.respond(leg, theirs.tx, &theirs.invite, 487, now);
        }
        if let Some(asked) = talking.referrals.asked {
            self.respond(leg, asked.tx, &asked.request, 487, now);
        }
        self.respond(leg, tx, bye, 200, now);
        let headers = custom_headers(&bye.headers);
        if talking.bye.is_some() {
            // The engine has already hung up; its BYE was still held back.
            return self.event(
                leg.id,
                LegEvent::ByeDone {
                    status: 200,
                    headers,
                },
            );
        }
        let reason = bye.headers.get(HeaderName::Reason).map(str::to_owned);
        self.event(leg.id, LegEvent::Bye { headers, reason });
    }

    fn receive_reinvite(
        &mut self,
        leg: &mut Leg,
        talking: &mut Talking,
        tx: TxId,
        invite: Request,
        now: Instant,
    ) {
        let body = Body::of(&invite.headers, &invite.body);
        let refusal = self.refusal(&invite);
        if let Some(refusal) = refusal.or_else(|| self.bad_type(leg, &invite, &body)) {
            return self.table.respond(tx, &refusal, now);
        }
        let glare = !matches!(talking.ours, Ours::Idle | Ours::Waiting { .. });
        let awaited_offer = talking
            .awaited
            .as_ref()
            .is_some_and(|awaited| awaited.offered);
        if glare || awaited_offer || talking.unacked.is_some() {
            return self.respond(leg, tx, &invite, 491, now);
        }
        if talking.theirs.is_some() || talking.bye.is_some() || !leg.gate.pass(now) {
            let mut response = self.leg_response(leg, &invite, 500, &Vec::new());
            let wait = u32::try_from(self.random.below(10)).unwrap_or_default();
            response.headers.push(HeaderName::RetryAfter, wait);
            return self.table.respond(tx, &response, now);
        }
        if talking.awaited.take().is_some_and(|awaited| awaited.first) {
            // The ACK is lost or late, but a peer that sends a re-INVITE has our 2xx (RFC 5407
            // §3.1.5).
            self.event(leg.id, LegEvent::Acked { sdp: None });
        }
        let trying = self.response(&invite, 100, &leg.tag);
        self.table.respond(tx, &trying, now);
        talking.theirs = Some(Theirs {
            tx,
            has_offer: body.sdp.is_some(),
            invite,
        });
        self.event(leg.id, LegEvent::Reinvite { sdp: body.sdp });
    }

    /// 415 for a body that is not a session description (§8.2.3): this is not a request for our
    /// offer.
    fn bad_type(&self, leg: &Leg, invite: &Request, body: &Body) -> Option<Response> {
        if body.type_ok {
            return None;
        }
        let mut response = self.response(invite, 415, &leg.tag);
        response.headers.push(HeaderName::Accept, SDP);
        Some(response)
    }

    /// The engine accepts their re-INVITE; only then does its Contact apply (§12.2.2).
    pub(super) fn answer_reinvite(
        &mut self,
        leg: &Leg,
        talking: &mut Talking,
        sdp: String,
        headers: &HeaderList,
        now: Instant,
    ) {
        let Some(Theirs {
            tx,
            invite,
            has_offer,
        }) = talking.theirs.take()
        else {
            return;
        };
        if talking.dialog.refresh_target(&invite.headers) {
            self.keep_dialog(leg.id, talking);
        }
        let ok = self.ok_with_sdp(leg, &invite, sdp, headers);
        self.table.respond(tx, &ok, now);
        let machine = AwaitAck::new(ok.to_bytes(), now);
        let (seq, offered) = (seq_of(&invite), !has_offer);
        talking.awaited = Some(Awaited {
            machine,
            tx,
            seq,
            first: false,
            offered,
        });
    }

    pub(super) fn reject_reinvite(
        &mut self,
        leg: &Leg,
        talking: &mut Talking,
        status: u16,
        now: Instant,
    ) {
        if let Some(theirs) = talking.theirs.take() {
            self.respond(leg, theirs.tx, &theirs.invite, status.clamp(300, 699), now);
        }
    }

    /// An ACK that does not belong to a refused INVITE.
    pub(super) fn receive_ack(&mut self, ack: &Request, now: Instant) {
        let Some(mut leg) = self.leg_of(&ack.headers).and_then(|id| self.take(id)) else {
            return;
        };
        match std::mem::replace(&mut leg.state, State::Over) {
            State::Talking(talking) => self.acked(&mut leg, talking, ack, now),
            other => leg.state = other,
        }
        self.put(leg);
    }

    fn acked(&mut self, leg: &mut Leg, mut talking: Box<Talking>, ack: &Request, now: Instant) {
        let from = ack.headers.from().ok();
        let tag = from
            .as_ref()
            .and_then(|from| from.tag())
            .unwrap_or_default();
        let matches = tag == talking.dialog.remote_tag;
        let awaited = talking
            .awaited
            .take_if(|awaited| matches && awaited.seq == seq_of(ack));
        let Some(awaited) = awaited else {
            leg.state = State::Talking(talking);
            return;
        };
        let sdp = Body::of(&ack.headers, &ack.body)
            .sdp
            .filter(|_| awaited.offered);
        if let Some(headers) = talking.bye.take() {
            return self.leave(leg, *talking, &headers, true, now);
        }
        let event = match awaited.first {
            true => LegEvent::Acked { sdp },
            false => LegEvent::ReinviteAcked { sdp },
        };
        self.event(leg.id, event);
        leg.state = State::Talking(talking);
    }

    /// 64 × T1 without ACK: the session ends (§13.3.1.4).
    pub(super) fn never_acked(&mut self, leg: &mut Leg, mut talking: Talking, now: Instant) {
        let first = talking
            .awaited
            .as_ref()
            .is_some_and(|awaited| awaited.first);
        let bye = talking.bye.take();
        if bye.is_none() {
            self.event(leg.id, LegEvent::NoAck);
        }
        if first && !talking.outbound {
            return self.leave_unacked(leg, talking, bye.as_ref());
        }
        let report = bye.is_some();
        self.leave(leg, talking, &bye.unwrap_or_default(), report, now);
    }

    /// Answers a request of the dialog with only the leg's own headers.
    pub(super) fn respond(
        &mut self,
        leg: &Leg,
        tx: TxId,
        request: &Request,
        status: u16,
        now: Instant,
    ) {
        let response: Response = self.leg_response(leg, request, status, &Vec::new());
        self.table.respond(tx, &response, now);
    }
}
