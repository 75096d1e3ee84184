//! Our requests within dialogs: re-INVITE with glare, INFO, the late ACK (RFC 3261 §14.1, §13.2.2.4).

use std::time::{Duration, Instant};

use super::body::Body;
use super::build::{ALLOW, SDP};
use super::config::MAX_GLARE_RETRIES;
use super::core::Core;
use super::leg::{Leg, Ours, State, Talking};
use super::pending::Kind;
use super::{LegCommand, LegEvent};
use crate::message::{HeaderName, Method, Request, Response};
use crate::transaction::TxId;

use super::calling::seq_of;

/// How soon a re-INVITE blocked by another INVITE is retried.
const BUSY_WAIT: Duration = Duration::from_millis(200);

impl Core {
    /// Commands of a confirmed dialog, except those that end it.
    pub(super) fn command_dialog(
        &mut self,
        leg: &mut Leg,
        talking: &mut Talking,
        command: LegCommand,
        now: Instant,
    ) {
        match command {
            LegCommand::AnswerReinvite { sdp, headers } => {
                self.answer_reinvite(leg, talking, sdp, &headers, now);
            }
            LegCommand::RejectReinvite { status } => {
                self.reject_reinvite(leg, talking, status, now);
            }
            LegCommand::Reinvite { sdp } => {
                if matches!(talking.ours, Ours::Idle) {
                    talking.ours = Ours::Waiting {
                        sdp,
                        tries: 0,
                        at: now,
                    };
                    self.retry_reinvite(leg, talking, now);
                } else {
                    // One at a time; the engine gets the response that a peer would send to the
                    // second.
                    self.event(
                        leg.id,
                        LegEvent::ReinviteDone {
                            status: 491,
                            sdp: None,
                        },
                    );
                }
            }
            LegCommand::AckSdp { sdp } => {
                if let Some(unacked) = talking.unacked.take() {
                    self.ack(leg, unacked.tx, &talking.dialog, unacked.seq, Some(sdp));
                }
            }
            LegCommand::Info { content_type, body } => {
                let mut info = talking.dialog.request(Method::Info);
                self.dress(leg, &mut info, &Vec::new());
                self.authorize(leg, &mut info);
                info.set_body(&content_type, body);
                let peer = talking.dialog.next_hop();
                self.send_request(Some(leg.id), Kind::Info, info, peer, now);
            }
            LegCommand::AcceptRefer => self.accept_refer(leg, talking, now),
            LegCommand::RejectRefer { status, headers } => {
                self.reject_refer(leg, talking, (status, headers), now);
            }
            LegCommand::ReferDone { status } => self.refer_done(leg, talking, status, now),
            LegCommand::Refer { target } => self.refer(leg, talking, &target, now),
            LegCommand::Invite(_)
            | LegCommand::Message(_)
            | LegCommand::Register(_)
            | LegCommand::SetHeaders(_)
            | LegCommand::Progress { .. }
            | LegCommand::Answer { .. }
            | LegCommand::AnswerText { .. }
            | LegCommand::Reject { .. }
            | LegCommand::Challenge { .. }
            | LegCommand::Cancel
            | LegCommand::Bye { .. } => {}
        }
    }

    /// Adds credentials for earlier challenges to a new request.
    pub(super) fn authorize(&mut self, leg: &mut Leg, request: &mut Request) {
        let Some(auth) = leg.auth.as_mut() else {
            return;
        };
        auth.begin();
        let cnonce = self.random.tag();
        for (name, value) in auth.authorize(&request.method, &request.uri.to_string(), &cnonce) {
            request.headers.push(name, value);
        }
    }

    /// Sends a waiting re-INVITE if it is due and no other INVITE is in progress (§14.1).
    pub(super) fn retry_reinvite(&mut self, leg: &mut Leg, talking: &mut Talking, now: Instant) {
        let Ours::Waiting { sdp, tries, at } = &mut talking.ours else {
            return;
        };
        if *at > now {
            return;
        }
        let busy = talking.theirs.is_some()
            || talking.awaited.is_some()
            || talking.unacked.is_some()
            || talking.bye.is_some();
        if busy {
            *at = now + BUSY_WAIT;
            return;
        }
        let (sdp, tries) = (std::mem::take(sdp), *tries);
        let mut invite = talking.dialog.request(Method::Invite);
        invite
            .headers
            .push(HeaderName::Contact, leg.contact.as_str());
        invite.headers.push(HeaderName::Allow, ALLOW);
        self.dress(leg, &mut invite, &Vec::new());
        self.authorize(leg, &mut invite);
        invite.set_body(SDP, sdp.clone());
        let peer = talking.dialog.next_hop();
        self.send_request(Some(leg.id), Kind::Reinvite, invite, peer, now);
        talking.ours = Ours::Sent { sdp, tries };
    }

    /// Processes a response to our re-INVITE.
    pub(super) fn reinvite_response(
        &mut self,
        leg: Option<&mut Leg>,
        tx: TxId,
        response: Response,
        now: Instant,
    ) {
        if response.status.is_provisional() || self.repeat_ack(tx, &response) {
            return;
        }
        let Some(leg) = leg else { return };
        match std::mem::replace(&mut leg.state, State::Over) {
            State::Talking(mut talking) => {
                if response.status.is_success() {
                    self.reinvite_accepted(leg, &mut talking, tx, &response);
                    leg.state = State::Talking(talking);
                } else {
                    self.reinvite_refused(leg, talking, tx, &response, now);
                }
            }
            State::Leaving(leaving) => {
                if response.status.is_success() {
                    let seq = self
                        .pending
                        .get(&tx)
                        .map_or(0, |pending| seq_of(&pending.request));
                    self.ack(leg, tx, &leaving.dialog, seq, None);
                }
                leg.state = State::Leaving(leaving);
            }
            other => leg.state = other,
        }
    }

    fn repeat_ack(&mut self, tx: TxId, response: &Response) -> bool {
        if !response.status.is_success() {
            return false;
        }
        let acks = self.pending.get(&tx).map(|pending| &pending.acks);
        let Some(Some((peer, ack))) = acks.and_then(|acks| acks.values().next()).cloned() else {
            return false;
        };
        self.transmit(peer, ack);
        true
    }

    fn reinvite_accepted(
        &mut self,
        leg: &Leg,
        talking: &mut Talking,
        tx: TxId,
        response: &Response,
    ) {
        if talking.dialog.refresh_target(&response.headers) {
            self.keep_dialog(leg.id, talking);
        }
        let seq = self
            .pending
            .get(&tx)
            .map_or(0, |pending| seq_of(&pending.request));
        self.ack(leg, tx, &talking.dialog, seq, None);
        talking.ours = Ours::Idle;
        let sdp = Body::of(&response.headers, &response.body).sdp;
        self.event(
            leg.id,
            LegEvent::ReinviteDone {
                status: response.status.0,
                sdp,
            },
        );
    }

    fn reinvite_refused(
        &mut self,
        leg: &mut Leg,
        mut talking: Box<Talking>,
        tx: TxId,
        response: &Response,
        now: Instant,
    ) {
        let status = response.status.0;
        let peer = talking.dialog.next_hop();
        if let Some((_, sent)) = self.retry_with_credentials(leg, tx, response, peer, now) {
            talking.dialog.used_seq(seq_of(&sent));
            leg.state = State::Talking(talking);
            return;
        }
        if let Ours::Sent { sdp, tries } = &talking.ours
            && status == 491
            && *tries < MAX_GLARE_RETRIES
        {
            let (sdp, tries) = (sdp.clone(), tries + 1);
            let at = now + self.glare_wait(talking.outbound);
            talking.ours = Ours::Waiting { sdp, tries, at };
            leg.state = State::Talking(talking);
            return;
        }
        leg.state = State::Talking(talking);
        self.reinvite_failed(leg, status, now);
    }

    /// The side that made the Call-ID waits 2.1 to 4 s, the other less than 2 s (§14.1).
    fn glare_wait(&mut self, made_call_id: bool) -> Duration {
        let steps = self.random.below(if made_call_id { 191 } else { 200 });
        let from = if made_call_id { 2100 } else { 0 };
        Duration::from_millis(from + 10 * steps)
    }

    /// Our re-INVITE failed. After 481 and 408 the dialog no longer exists (§12.2.1.2).
    pub(super) fn reinvite_failed(&mut self, leg: &mut Leg, status: u16, now: Instant) {
        let State::Talking(talking) = &mut leg.state else {
            return;
        };
        talking.ours = Ours::Idle;
        self.event(leg.id, LegEvent::ReinviteDone { status, sdp: None });
        if matches!(status, 408 | 481) {
            self.lose(leg, now);
        }
    }

    /// The remote party has lost the dialog: sends BYE in case it has not, and the leg ends. If our
    /// BYE was already sent, its outcome ends the leg.
    pub(super) fn lose(&mut self, leg: &mut Leg, now: Instant) {
        match std::mem::replace(&mut leg.state, State::Over) {
            State::Talking(talking) => {
                self.event(leg.id, LegEvent::Lost);
                self.leave(leg, *talking, &Vec::new(), false, now);
            }
            other => leg.state = other,
        }
    }

    pub(super) fn info_response(
        &mut self,
        leg: Option<&mut Leg>,
        tx: TxId,
        response: &Response,
        now: Instant,
    ) {
        let Some(leg) = leg.filter(|_| response.status.is_final()) else {
            return;
        };
        if self.retry_in_dialog(leg, tx, response, now).is_some() {
            return;
        }
        self.info_done(leg, response.status.0);
        if response.status.0 == 481 {
            self.lose(leg, now);
        }
    }

    /// The outcome of INFO. Its time-out does not end the call (RFC 5057 §5.1 leaves that to the
    /// usage).
    pub(super) fn info_done(&mut self, leg: &Leg, status: u16) {
        if matches!(leg.state, State::Talking(_)) {
            self.event(leg.id, LegEvent::InfoDone { status });
        }
    }
}
