//! The phones at the other ends of the legs, and the SIP between them and the call.
//!
//! **Invariant: a leg gets at most one final event: rejected, cancelled, or the end of its dialog.**

use std::time::Duration;

use call_proto::{Event, Headers, Invite, LegCommand, LegEvent, MediaEvent};
use model::CallSid;

use super::{Due, Stage};
use crate::heard::Sense;
use crate::script::{Answer, Cast, Party, Vanishes};

/// A transaction without any response ends after this time (RFC 3261 §17.1.1.2, timer B).
pub(super) const GIVES_UP: Duration = Duration::from_secs(32);

/// Where the far side of a leg stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// No final response yet.
    Setup,
    /// We sent CANCEL.
    Withdrawn,
    /// We sent 200; its ACK is on the way.
    Answered,
    Up,
    Over,
}

/// The far side of a leg.
pub(super) struct FarSide {
    state: State,
    party: Option<Party>,
}

/// What a far side does by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Doing {
    /// Sends a provisional response of this status.
    Ring(u16),
    Answer,
    Reject(u16),
    Ack,
    HangUp,
    Vanish(Vanishes),
}

impl FarSide {
    pub(super) fn new() -> Self {
        Self {
            state: State::Setup,
            party: None,
        }
    }
}

impl Stage<'_> {
    pub(super) fn is_over(&self, call: CallSid) -> bool {
        self.state(call) == State::Over
    }

    pub(super) fn is_up(&self, call: CallSid) -> bool {
        self.state(call) == State::Up
    }

    fn state(&self, call: CallSid) -> State {
        self.sides.get(&call).map_or(State::Over, |side| side.state)
    }

    fn set_state(&mut self, call: CallSid, state: State) {
        if let Some(side) = self.sides.get_mut(&call) {
            side.state = state;
        }
        if state == State::Over {
            self.all_is_quiet(call);
        }
    }

    pub(super) fn leg_command(&mut self, call: CallSid, command: LegCommand) {
        match command {
            LegCommand::Headers(headers) => {
                self.run.own_headers.insert(call, headers);
            }
            LegCommand::Ring => {
                self.sends(call, "180");
                self.notices(call, Sense::Ring);
            }
            LegCommand::Answer { .. } => {
                self.sends(call, "200");
                self.notices(call, Sense::Answer);
                self.set_state(call, State::Answered);
                self.later(Duration::ZERO, Due::FarSide(call, Doing::Ack));
            }
            LegCommand::Reject { status, reason } => {
                self.sends(call, &format!("{status} {}", reason.unwrap_or_default()));
                self.notices(call, Sense::Refused(status));
                self.set_state(call, State::Over);
            }
            LegCommand::Invite(invite) => self.invited(call, *invite),
            LegCommand::Cancel => self.withdrawn(call),
            LegCommand::Bye { reason } => {
                self.sends(call, &format!("BYE {}", reason.unwrap_or_default()));
                self.set_state(call, State::Over);
                self.notices(call, Sense::Hangup);
                self.tell_soon(call, Event::Leg(LegEvent::ByeDone));
            }
            LegCommand::AnswerReinvite { .. } => self.sends(call, "200 to re-INVITE"),
            LegCommand::RejectReinvite { status } => {
                self.sends(call, &format!("{status} to re-INVITE"));
            }
        }
    }

    fn sends(&mut self, call: CallSid, what: &str) {
        self.run.sends(self.now, call, what);
    }

    fn invited(&mut self, call: CallSid, invite: Invite) {
        self.sends(call, "INVITE");
        let party = self.phones.get(&invite.route.uri).cloned();
        self.run.invites.insert(call, invite);
        let Some(party) = party else { return };
        if let Some(after) = party.rings_after {
            self.later(after, Due::FarSide(call, Doing::Ring(party.rings_with)));
        }
        match &party.answer {
            Answer::Unreachable | Answer::Never => {}
            Answer::Silent => {
                self.later(GIVES_UP, Due::FarSide(call, Doing::Reject(408)));
            }
            Answer::Rejects { status, after } => {
                self.later(*after, Due::FarSide(call, Doing::Reject(*status)));
            }
            Answer::Answers { after, .. } => {
                self.later(*after, Due::FarSide(call, Doing::Answer));
            }
        }
        if let Some(side) = self.sides.get_mut(&call) {
            side.party = Some(party);
        }
    }

    fn withdrawn(&mut self, call: CallSid) {
        match self.state(call) {
            // Its 200 is here already and on its way to the call: the SIP side hangs up.
            State::Up => {
                self.sends(call, "BYE");
                self.set_state(call, State::Over);
                self.notices(call, Sense::Hangup);
            }
            State::Setup => {
                self.sends(call, "CANCEL");
                self.set_state(call, State::Withdrawn);
                let party = self.party(call);
                if !party.is_some_and(|party| matches!(party.answer, Answer::Silent)) {
                    self.later(Duration::ZERO, Due::FarSide(call, Doing::Reject(487)));
                }
            }
            State::Withdrawn | State::Answered | State::Over => {}
        }
    }

    fn party(&self, call: CallSid) -> Option<&Party> {
        self.sides.get(&call)?.party.as_ref()
    }

    /// Headers of the responses of a far side.
    fn headers(&self, call: CallSid) -> Headers {
        let party = self.party(call);
        party.map_or_else(Headers::new, |party| party.headers.clone())
    }

    pub(super) fn far_side_does(&mut self, call: CallSid, doing: Doing) {
        match (doing, self.state(call)) {
            (Doing::Ring(status), State::Setup) => {
                let headers = self.headers(call);
                let progress = LegEvent::Progress { status, headers };
                self.tell_soon(call, Event::Leg(progress));
            }
            (Doing::Answer, State::Setup) => self.picks_up(call),
            (Doing::Reject(status), State::Setup | State::Withdrawn) => {
                self.set_state(call, State::Over);
                let rejected = LegEvent::Rejected {
                    status,
                    reason: String::new(),
                    sip_call_id: format!("call of {}", self.run.name(call)),
                    headers: self.headers(call),
                };
                self.tell_soon(call, Event::Leg(rejected));
            }
            (Doing::Ack, State::Answered) => {
                self.set_state(call, State::Up);
                self.tell_soon(call, Event::Leg(LegEvent::Acked { sdp: None }));
            }
            (Doing::HangUp, State::Setup) => {
                self.sends(call, "487");
                self.set_state(call, State::Over);
                self.tell_soon(call, Event::Leg(LegEvent::Canceled));
            }
            (Doing::HangUp, State::Answered | State::Up) => {
                self.set_state(call, State::Over);
                self.tell_soon(call, Event::Leg(LegEvent::Bye { reason: None }));
            }
            (Doing::Vanish(Vanishes::Sound), _) => {
                self.tell_soon(call, Event::Media(MediaEvent::Silence));
            }
            (Doing::Vanish(Vanishes::Way), _) => {
                self.set_state(call, State::Over);
                let reason = "there is no way there any more".to_owned();
                self.tell_soon(call, Event::Leg(LegEvent::Lost { reason }));
            }
            // It crossed something that ended the leg.
            (Doing::Ring(_) | Doing::Answer | Doing::Ack | Doing::HangUp | Doing::Reject(_), _) => {
            }
        }
    }

    fn picks_up(&mut self, call: CallSid) {
        self.sends(call, "ACK");
        self.set_state(call, State::Up);
        let answered = LegEvent::Answered {
            headers: self.headers(call),
            sip_call_id: format!("call of {}", self.run.name(call)),
            sdp: Some("answer of a phone".to_owned()),
        };
        self.tell_soon(call, Event::Leg(answered));
        let script = self.script;
        if script.call.by_api && self.actors.is_empty() && !script.caller.is_empty() {
            self.enter(Cast::Caller, Some(call), &script.caller);
            return;
        }
        let party = self.sides.get(&call).and_then(|side| side.party.clone());
        if let Some(Party {
            number,
            answer: Answer::Answers { then, .. },
            ..
        }) = party
        {
            self.enter(Cast::Phone(number), Some(call), &then);
        }
    }
}
