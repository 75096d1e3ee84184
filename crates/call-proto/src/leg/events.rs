//! Handles the reports of SIP and media about a leg. SDP is an opaque text here: an offer goes from
//! SIP to media, an answer back.
//!
//! **Invariant: a failed change leaves the session as it was** (RFC 3261 §14): an unusable
//! description ends a leg only while the call is being set up.

use model::CallStatus;

use super::{Leg, News, State, bye, verdict};
use crate::command::{LegCommand, MediaCommand};
use crate::context::{Context, Letter};
use crate::event::{Headers, LegEvent, MediaEvent};
use crate::fact::{Fact, Reason};
use crate::letter::LastResponse;
use crate::trace::Lane;

impl Leg {
    pub(crate) fn handle_leg(&mut self, event: LegEvent, cx: &mut Context) {
        match event {
            LegEvent::Progress { status, headers } => self.progressed(status, headers, cx),
            LegEvent::Answered {
                headers,
                sip_call_id,
                sdp,
            } => {
                self.sip_call_id = Some(sip_call_id);
                self.reporter.last_headers = Some(headers);
                self.far_side_answered(sdp, cx);
            }
            LegEvent::Rejected {
                status,
                reason,
                sip_call_id,
                headers,
            } => {
                cx.trace(self.profile.sid, Lane::Sip, "refused", &reason);
                self.sip_reason = Some(reason).filter(|words| !words.is_empty());
                self.sip_call_id = Some(sip_call_id.clone());
                self.reporter.last_headers = Some(headers.clone());
                self.last_response = Some(LastResponse {
                    sip_call_id,
                    status,
                    headers,
                });
                self.sip_status = Some(status);
                let (status, reason) = verdict(status);
                self.finish(status, reason, cx);
            }
            LegEvent::Canceled => {
                self.sip_status = Some(487);
                self.finish(CallStatus::Canceled, Reason::CallerCanceled, cx);
            }
            LegEvent::Acked { sdp } => self.acked(sdp, cx),
            LegEvent::NoAck => {
                self.finish(CallStatus::Failed, Reason::NoAck, cx);
            }
            LegEvent::Bye { reason } => {
                self.sip_reason = reason;
                self.far_side_hung_up(cx);
            }
            // The scripts handle the keys in an INFO and the outcome of our REFER, the family one that
            // the remote party sends.
            LegEvent::Info { .. }
            | LegEvent::Refer(_)
            | LegEvent::ReferAnswered { .. }
            | LegEvent::ReferReported { .. }
            | LegEvent::ByeDone => {}
            LegEvent::Reinvite { sdp } => self.reinvited(sdp, cx),
            LegEvent::Lost { reason } => {
                cx.trace(self.profile.sid, Lane::Sip, "lost", &reason);
                self.finish(self.status_of_loss(), Reason::Lost, cx);
            }
        }
    }

    pub(crate) fn handle_media(&mut self, event: MediaEvent, cx: &mut Context) {
        match event {
            MediaEvent::Opened { sdp } => self.media_opened(sdp, cx),
            MediaEvent::Refused { status, reason } if self.is_change(status) => {
                cx.trace(self.profile.sid, Lane::Media, "refused", &reason);
            }
            MediaEvent::Refused { status, reason } => self.media_refused(status, &reason, cx),
            MediaEvent::Renegotiated { sdp: Ok(sdp) } => self.renegotiated(sdp, cx),
            MediaEvent::Renegotiated { sdp: Err(reason) } => self.offer_refused(&reason, cx),
            MediaEvent::Silence => {
                // Without ACK there may never be a second report.
                if let State::AwaitingAck { .. } | State::Up = self.state {
                    cx.leg(self.profile.sid, bye(Some("no media")));
                    self.finish(CallStatus::Completed, Reason::MediaSilence, cx);
                }
            }
            // For scripts, recordings, or only the trace.
            MediaEvent::PlayDone { .. }
            | MediaEvent::Digit { .. }
            | MediaEvent::Answerer(_)
            | MediaEvent::Recorded { .. }
            | MediaEvent::RecordSilence { .. }
            | MediaEvent::RecordFailed { .. }
            | MediaEvent::Heard
            | MediaEvent::Closed(_) => {}
        }
    }

    fn progressed(&mut self, status: u16, headers: Headers, cx: &mut Context) {
        let State::Calling = self.state else { return };
        self.reporter.last_headers = Some(headers);
        let rings = status == 180 || status == 183;
        if rings && self.reporter.status() == CallStatus::Queued {
            self.rings(cx);
            if let Some(fork) = self.fork {
                cx.letter(Letter::BranchRings(fork));
            }
        }
    }

    /// Its phone, or the first of its phones, rings.
    pub(super) fn rings(&mut self, cx: &mut Context) {
        let fact = Fact::Ringing {
            call: self.profile.sid,
            at: cx.now,
        };
        self.put_on_record(fact, cx);
        self.reporter
            .set_status(CallStatus::Ringing, &self.profile, cx);
        self.reporter
            .tell_leg(rcml::LegEvent::Ringing, &self.profile, cx);
    }

    fn far_side_answered(&mut self, sdp: Option<String>, cx: &mut Context) {
        let State::Calling = self.state else { return };
        self.state = State::Up;
        let Some(sdp) = sdp else {
            self.media_refused(488, "the answer has no session description", cx);
            return;
        };
        match self.profile.head {
            Some(_) => self.answer = Some(sdp),
            None => self.talks(sdp, cx),
        }
        if let Some(fork) = self.fork {
            let ring_s = self.ring_seconds(cx.now);
            cx.letter(Letter::BranchAnswered(fork, self.profile.sid, ring_s));
        }
    }

    /// The called party has answered our offer like this.
    pub(super) fn talks(&mut self, sdp: String, cx: &mut Context) {
        cx.media(self.profile.sid, MediaCommand::Remote { sdp });
        self.mark_answered(Some(self.profile.to.clone()), cx);
        self.reporter
            .tell_leg(rcml::LegEvent::Answered, &self.profile, cx);
    }

    fn acked(&mut self, sdp: Option<String>, cx: &mut Context) {
        let State::AwaitingAck { late_offer } = self.state else {
            self.reinvite_acked(sdp, cx);
            return;
        };
        self.state = State::Up;
        match (late_offer, sdp) {
            (true, Some(sdp)) => cx.media(self.profile.sid, MediaCommand::Remote { sdp }),
            (true, None) => {
                self.media_refused(488, "the ACK has no session description", cx);
                return;
            }
            (false, _) => {}
        }
        self.mark_answered(None, cx);
        self.news.push_back(News::Up);
    }

    /// The answer of a remote party that requested our offer with a re-INVITE.
    fn reinvite_acked(&mut self, sdp: Option<String>, cx: &mut Context) {
        if let (State::Up, Some(sdp)) = (&self.state, sdp) {
            self.revised = true;
            cx.media(self.profile.sid, MediaCommand::Remote { sdp });
        }
    }

    fn far_side_hung_up(&mut self, cx: &mut Context) {
        let status = match self.state {
            // A caller may hang up before its ACK arrives; the call was answered all the same.
            State::Up | State::AwaitingAck { .. } => CallStatus::Completed,
            State::Alerting { .. }
            | State::Answering { .. }
            | State::Heading { .. }
            | State::Opening(_)
            | State::Calling
            | State::Over => CallStatus::Canceled,
        };
        let reason = if self.is_referred {
            Reason::Referred
        } else {
            Reason::HungUp
        };
        self.finish(status, reason, cx);
    }

    fn reinvited(&mut self, sdp: Option<String>, cx: &mut Context) {
        match self.state {
            State::Up => cx.media(self.profile.sid, MediaCommand::Renegotiate { offer: sdp }),
            State::AwaitingAck { .. }
            | State::Alerting { .. }
            | State::Answering { .. }
            | State::Opening(_)
            | State::Calling
            | State::Over => cx.leg(self.profile.sid, LegCommand::RejectReinvite { status: 491 }),
            // A re-INVITE needs a dialog, and a head has none yet.
            State::Heading { .. } => {}
        }
    }

    fn renegotiated(&self, sdp: String, cx: &mut Context) {
        if self.is_up() {
            cx.leg(self.profile.sid, LegCommand::AnswerReinvite { sdp });
        }
    }

    /// The offer in a re-INVITE is unusable: the session stays as it was (RFC 3261 §14.2).
    fn offer_refused(&self, reason: &str, cx: &mut Context) {
        if self.is_up() {
            cx.trace(self.profile.sid, Lane::Media, "refused", reason);
            cx.leg(self.profile.sid, LegCommand::RejectReinvite { status: 488 });
        }
    }

    /// As [`Leg::offer_refused`], but the call is still being set up, since phones ring for it: the
    /// leg ends.
    pub(crate) fn offer_refused_in_setup(&mut self, reason: &str, cx: &mut Context) {
        if self.is_up() {
            cx.leg(self.profile.sid, LegCommand::RejectReinvite { status: 488 });
            self.media_refused(488, reason, cx);
        }
    }

    /// Whether a media refusal with this status concerns a change of an existing session, rather
    /// than its first description or the endpoint itself (500).
    fn is_change(&self, status: u16) -> bool {
        self.is_up() && self.revised && matches!(status, 400 | 488)
    }

    fn media_opened(&mut self, sdp: String, cx: &mut Context) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Answering { late_offer } => {
                self.state = State::AwaitingAck { late_offer };
                cx.leg(self.profile.sid, LegCommand::Answer { sdp });
            }
            State::Opening(mut invite) => {
                self.state = State::Calling;
                invite.sdp = sdp;
                cx.leg(self.profile.sid, LegCommand::Invite(invite));
                self.reporter
                    .tell_leg(rcml::LegEvent::Initiated, &self.profile, cx);
                if let (Some(_), Some(fork)) = (self.profile.head, self.fork) {
                    cx.letter(Letter::BranchCalled(fork));
                }
            }
            other @ (State::Alerting { .. }
            | State::AwaitingAck { .. }
            | State::Heading { .. }
            | State::Calling
            | State::Up
            | State::Over) => self.state = other,
        }
    }

    fn media_refused(&mut self, status: u16, reason: &str, cx: &mut Context) {
        cx.trace(self.profile.sid, Lane::Media, "refused", reason);
        match self.state {
            State::Alerting { .. } | State::Answering { .. } => self.reject(status, None, cx),
            State::AwaitingAck { .. } | State::Up => {
                cx.leg(
                    self.profile.sid,
                    bye(Some("session description cannot be used")),
                );
            }
            State::Calling => cx.leg(self.profile.sid, LegCommand::Cancel),
            State::Heading { .. } | State::Opening(_) | State::Over => {}
        }
        self.finish(CallStatus::Failed, Reason::MediaRefused, cx);
    }
}
