//! The SIP and media side of a call: from INVITE to BYE, both ways.
//!
//! **Invariant: after `Over` nothing is sent on the leg.** SDP is an opaque text here: an offer
//! goes from SIP to media, an answer back.

use model::CallStatus;

use crate::call::Call;
use crate::command::{Invite, LegCommand, MediaCommand};
use crate::context::{Context, Letter};
use crate::event::{Headers, LegEvent, MediaEvent};
use crate::fact::{Fact, Reason};
use crate::letter::LastResponse;
use crate::params::identity_headers;
use crate::trace::{Entry, Lane, Way};

/// Where a leg stands.
#[derive(Debug)]
pub(crate) enum Leg {
    /// Inbound: 180 was sent. Holds the offer; `None` if the INVITE had none.
    Alerting { offer: Option<String> },
    /// Inbound: media is being opened, 200 follows.
    Answering { late_offer: bool },
    /// Inbound: 200 was sent.
    AwaitingAck { late_offer: bool },
    /// Outbound: media is being opened, the INVITE follows.
    Opening(Box<Invite>),
    /// Outbound: INVITE was sent.
    Calling,
    /// Both: talking.
    Up,
    /// Both: nothing more is sent.
    Over,
}

impl Call {
    /// Announces an inbound call to the world.
    pub(crate) fn start_inbound(&mut self, cx: &mut Context) {
        let record = self.record(cx);
        cx.fact(Fact::Created(Box::new(record)));
        cx.trace_entry(Entry {
            at: cx.now,
            call: self.sid,
            lane: Lane::Sip,
            way: Way::In,
            what: "INVITE".to_owned(),
            detail: format!("{} calls {}", self.info.from, self.info.to),
        });
        let headers = identity_headers(self, cx);
        cx.leg(self.sid, LegCommand::Headers(headers));
        cx.leg(self.sid, LegCommand::Ring);
        self.tell_number(cx);
    }

    /// Starts an outbound call.
    pub(crate) fn start_outbound(&mut self, cx: &mut Context) {
        let record = self.record(cx);
        cx.fact(Fact::Created(Box::new(record)));
        let headers = identity_headers(self, cx);
        cx.leg(self.sid, LegCommand::Headers(headers));
        self.media_open = true;
        let towards = match &self.leg {
            Leg::Opening(invite) => Some(invite.route.via.clone()),
            _ => None,
        };
        let offer = None;
        cx.media(self.sid, MediaCommand::Open { offer, towards });
    }

    /// Answers an inbound call; the script goes on when the leg is up.
    pub(crate) fn answer(&mut self, cx: &mut Context) {
        if let Leg::Alerting { offer } = &mut self.leg {
            let offer = offer.take();
            self.leg = Leg::Answering {
                late_offer: offer.is_none(),
            };
            self.media_open = true;
            let towards = None;
            cx.media(self.sid, MediaCommand::Open { offer, towards });
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self.leg, Leg::Up)
    }

    pub(crate) fn is_unanswered(&self) -> bool {
        matches!(self.leg, Leg::Alerting { .. })
    }

    /// The answer is on its way.
    pub(crate) fn is_being_answered(&self) -> bool {
        matches!(self.leg, Leg::Answering { .. } | Leg::AwaitingAck { .. })
    }

    /// We called, and nobody answered yet.
    pub(crate) fn is_calling(&self) -> bool {
        matches!(self.leg, Leg::Opening(_) | Leg::Calling)
    }

    pub(crate) fn handle_leg(&mut self, event: LegEvent, cx: &mut Context) {
        if let Leg::Over = self.leg {
            return; // Crossed our own end on the wire.
        }
        match event {
            LegEvent::Progress { status, headers } => self.progressed(status, headers, cx),
            LegEvent::Answered {
                headers,
                sip_call_id,
                sdp,
            } => {
                self.info.sip_call_id = Some(sip_call_id);
                self.last_headers = Some(headers);
                self.far_side_answered(sdp, cx);
            }
            LegEvent::Rejected {
                status,
                reason,
                sip_call_id,
                headers,
            } => {
                cx.trace(self.sid, Lane::Sip, "refused", &reason);
                self.sip_reason = Some(reason).filter(|words| !words.is_empty());
                self.info.sip_call_id = Some(sip_call_id.clone());
                self.last_headers = Some(headers.clone());
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
            LegEvent::Info { content_type, body } => self.info(&content_type, &body, cx),
            LegEvent::ByeDone => {}
            LegEvent::Reinvite { sdp } => self.reinvited(sdp, cx),
            LegEvent::Lost { reason } => {
                cx.trace(self.sid, Lane::Sip, "lost", &reason);
                self.finish(self.status_of_loss(), Reason::Lost, cx);
            }
        }
    }

    pub(crate) fn handle_media(&mut self, event: MediaEvent, cx: &mut Context) {
        match event {
            MediaEvent::Opened { sdp } => self.media_opened(sdp, cx),
            MediaEvent::Refused { status, reason } => self.media_refused(status, &reason, cx),
            MediaEvent::Renegotiated { sdp } => self.renegotiated(sdp, cx),
            MediaEvent::PlayDone { play } => self.play_done(play, cx),
            MediaEvent::Digit { digit, way } => self.key_pressed(digit, way, cx),
            MediaEvent::Silence => {
                // Without ACK there may never be a second report.
                if let Leg::AwaitingAck { .. } | Leg::Up = self.leg {
                    cx.leg(self.sid, bye(Some("no media")));
                    self.finish(CallStatus::Completed, Reason::MediaSilence, cx);
                }
            }
            MediaEvent::Recorded {
                recording,
                duration_ms,
                size_bytes,
            } => {
                self.recorded(recording, duration_ms, size_bytes, cx);
            }
            MediaEvent::RecordFailed { recording, reason } => {
                self.record_failed(recording, &reason, cx);
            }
            MediaEvent::Heard | MediaEvent::Closed(_) => {} // For the trace alone.
        }
    }

    fn progressed(&mut self, status: u16, headers: Headers, cx: &mut Context) {
        let Leg::Calling = self.leg else { return };
        self.last_headers = Some(headers);
        let rings = status == 180 || status == 183;
        if rings && self.status == CallStatus::Queued {
            cx.fact(Fact::Ringing {
                call: self.sid,
                at: cx.now,
            });
            self.set_status(CallStatus::Ringing, cx);
            self.tell_leg(rcml::LegEvent::Ringing, cx);
        }
    }

    fn far_side_answered(&mut self, sdp: Option<String>, cx: &mut Context) {
        let Leg::Calling = self.leg else { return };
        self.leg = Leg::Up;
        let Some(sdp) = sdp else {
            self.media_refused(488, "the answer has no session description", cx);
            return;
        };
        cx.media(self.sid, MediaCommand::Remote { sdp });
        self.mark_answered(Some(self.info.to.clone()), cx);
        self.tell_leg(rcml::LegEvent::Answered, cx);
        if let Some(fork) = self.fork {
            let ring_s = self.ring_seconds(cx.now);
            cx.letter(Letter::BranchAnswered(fork, self.sid, ring_s));
        }
    }

    fn acked(&mut self, sdp: Option<String>, cx: &mut Context) {
        let Leg::AwaitingAck { late_offer } = self.leg else {
            self.reinvite_acked(sdp, cx);
            return;
        };
        self.leg = Leg::Up;
        match (late_offer, sdp) {
            (true, Some(sdp)) => cx.media(self.sid, MediaCommand::Remote { sdp }),
            (true, None) => {
                self.media_refused(488, "the ACK has no session description", cx);
                return;
            }
            (false, _) => {}
        }
        self.mark_answered(None, cx);
        self.leg_is_up(cx);
    }

    /// The far side asked for our offer with a re-INVITE; here is its answer.
    fn reinvite_acked(&self, sdp: Option<String>, cx: &mut Context) {
        if let (Leg::Up, Some(sdp)) = (&self.leg, sdp) {
            cx.media(self.sid, MediaCommand::Remote { sdp });
        }
    }

    fn far_side_hung_up(&mut self, cx: &mut Context) {
        let status = match self.leg {
            // A caller may hang up before its ACK reached us; the call was answered.
            Leg::Up | Leg::AwaitingAck { .. } => CallStatus::Completed,
            Leg::Alerting { .. }
            | Leg::Answering { .. }
            | Leg::Opening(_)
            | Leg::Calling
            | Leg::Over => CallStatus::Canceled,
        };
        self.finish(status, Reason::HungUp, cx);
    }

    fn reinvited(&mut self, sdp: Option<String>, cx: &mut Context) {
        match self.leg {
            Leg::Up => cx.media(self.sid, MediaCommand::Renegotiate { offer: sdp }),
            Leg::AwaitingAck { .. }
            | Leg::Alerting { .. }
            | Leg::Answering { .. }
            | Leg::Opening(_)
            | Leg::Calling
            | Leg::Over => cx.leg(self.sid, LegCommand::RejectReinvite { status: 491 }),
        }
    }

    fn renegotiated(&mut self, sdp: Result<String, String>, cx: &mut Context) {
        let Leg::Up = self.leg else { return };
        match sdp {
            Ok(sdp) => cx.leg(self.sid, LegCommand::AnswerReinvite { sdp }),
            Err(reason) => {
                cx.leg(self.sid, LegCommand::RejectReinvite { status: 488 });
                self.media_refused(488, &reason, cx);
            }
        }
    }

    fn media_opened(&mut self, sdp: String, cx: &mut Context) {
        match std::mem::replace(&mut self.leg, Leg::Over) {
            Leg::Answering { late_offer } => {
                self.leg = Leg::AwaitingAck { late_offer };
                cx.leg(self.sid, LegCommand::Answer { sdp });
            }
            Leg::Opening(mut invite) => {
                self.leg = Leg::Calling;
                invite.sdp = sdp;
                cx.leg(self.sid, LegCommand::Invite(invite));
                self.tell_leg(rcml::LegEvent::Initiated, cx);
            }
            other @ (Leg::Alerting { .. }
            | Leg::AwaitingAck { .. }
            | Leg::Calling
            | Leg::Up
            | Leg::Over) => self.leg = other,
        }
    }

    fn media_refused(&mut self, status: u16, reason: &str, cx: &mut Context) {
        cx.trace(self.sid, Lane::Media, "refused", reason);
        match self.leg {
            Leg::Alerting { .. } | Leg::Answering { .. } => self.reject(status, None, cx),
            Leg::AwaitingAck { .. } | Leg::Up => {
                cx.leg(self.sid, bye(Some("session description cannot be used")));
            }
            Leg::Calling => cx.leg(self.sid, LegCommand::Cancel),
            Leg::Opening(_) | Leg::Over => {}
        }
        self.finish(CallStatus::Failed, Reason::MediaRefused, cx);
    }

    /// Sends a final failure on an inbound leg; the caller of this finishes the call.
    pub(crate) fn reject(&mut self, status: u16, reason: Option<String>, cx: &mut Context) {
        self.sip_status = Some(status);
        cx.leg(self.sid, LegCommand::Reject { status, reason });
    }

    /// Ends the leg from our side, in whatever state it is.
    pub(crate) fn end_leg(&mut self, reason: Reason, cx: &mut Context) {
        match self.leg {
            Leg::Over => return,
            Leg::Alerting { .. } | Leg::Answering { .. } => {
                let stops = reason == Reason::Shutdown;
                self.reject(if stops { 503 } else { 500 }, None, cx);
            }
            Leg::AwaitingAck { .. } | Leg::Up => cx.leg(self.sid, bye(None)),
            Leg::Opening(_) => self.sip_status = Some(487),
            Leg::Calling => {
                self.sip_status = Some(487);
                cx.leg(self.sid, LegCommand::Cancel);
            }
        }
        self.finish(self.status_of_end(reason), reason, cx);
    }

    /// Ends the leg because its script cannot go on, with a text for the far side.
    pub(crate) fn fail(&mut self, sip_status: u16, text: &str, reason: Reason, cx: &mut Context) {
        match self.leg {
            Leg::Over => return,
            Leg::Alerting { .. } | Leg::Answering { .. } => {
                self.reject(sip_status, Some(text.to_owned()), cx);
            }
            Leg::AwaitingAck { .. } | Leg::Up => cx.leg(self.sid, bye(Some(text))),
            Leg::Calling => cx.leg(self.sid, LegCommand::Cancel),
            Leg::Opening(_) => {}
        }
        self.finish(CallStatus::Failed, reason, cx);
    }

    /// Status of a leg that we end.
    fn status_of_end(&self, reason: Reason) -> CallStatus {
        match self.leg {
            Leg::AwaitingAck { .. } | Leg::Up => CallStatus::Completed,
            Leg::Alerting { .. } | Leg::Answering { .. } => match reason {
                Reason::Api => CallStatus::Canceled,
                _ => CallStatus::Failed,
            },
            Leg::Opening(_) | Leg::Calling | Leg::Over => match reason {
                Reason::NoAnswer => CallStatus::NoAnswer,
                _ => CallStatus::Canceled,
            },
        }
    }

    fn status_of_loss(&self) -> CallStatus {
        match self.leg {
            Leg::Up | Leg::AwaitingAck { .. } => CallStatus::Completed,
            Leg::Alerting { .. }
            | Leg::Answering { .. }
            | Leg::Opening(_)
            | Leg::Calling
            | Leg::Over => CallStatus::Failed,
        }
    }
}

fn bye(reason: Option<&str>) -> LegCommand {
    LegCommand::Bye {
        reason: reason.map(str::to_owned),
    }
}

/// What a final failure of our INVITE means for the leg.
pub(crate) const fn verdict(sip_status: u16) -> (CallStatus, Reason) {
    match sip_status {
        486 | 600 | 603 => (CallStatus::Busy, Reason::Busy),
        487 => (CallStatus::Canceled, Reason::Refused),
        _ => (CallStatus::Failed, Reason::Refused),
    }
}
