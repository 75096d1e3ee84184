//! Machine detection: finds out whether a person or a machine has answered a leg that we created.
//!
//! It begins when the leg is answered; the media side reports what it hears. A result is put on
//! record and in the trace, and reported to the callback that was asked for. If the document waits for it, the script is held back until
//! then, and the result is among the parameters of its requests. **Invariant: detection has one result, or ends
//! with the leg**: then the record has none, a script that was held back never runs, and a callback reports
//! `unknown`, unless the leg only lost the race of its fork. Left to others: telling people from machines
//! (`audio::answerer`).

use model::record::Callback;
use model::{AnsweredBy, DetectionMode, Timestamp};

use crate::command::MediaCommand;
use crate::context::Context;
use crate::detection::{Answerer, Detection};
use crate::fact::{Fact, Reason};
use crate::interpreter::Script;
use crate::leg::Leg;
use crate::params::Params;
use crate::trace::Lane;

/// The detection of one leg.
#[derive(Default)]
pub(crate) struct Answering {
    detection: Option<Detection>,
    state: State,
    /// Runs once there is a result.
    held: Option<Script>,
    /// Another document has taken over: nothing is kept any more.
    released: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    /// The leg is not answered.
    #[default]
    Unanswered,
    /// The media side listens.
    Listening {
        since: Timestamp,
        /// It has heard a machine.
        machine: bool,
    },
    /// There is a result, or the leg has ended.
    Over,
}

impl Answering {
    pub(crate) fn new(detection: Option<Detection>) -> Self {
        Self {
            detection,
            ..Self::default()
        }
    }

    /// Keeps a script until there is a result; returns it if it need not wait.
    pub(crate) fn hold(&mut self, script: Script) -> Option<Script> {
        let waits = |detection: &Detection| detection.holds;
        let is_free = self.released || !self.detection.as_ref().is_some_and(waits);
        if self.state == State::Over || is_free {
            return Some(script);
        }
        self.held = Some(script);
        None
    }

    /// Another document takes over the leg: it does not wait for the result.
    pub(crate) fn release(&mut self) {
        self.held = None;
        self.released = true;
    }

    /// Whether no script is held back.
    pub(crate) const fn holds_nothing(&self) -> bool {
        self.held.is_none()
    }

    /// When detection ends without a result.
    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        match (self.state, &self.detection) {
            (State::Listening { since, .. }, Some(it)) => Some(since + it.terms.timeout),
            (State::Listening { .. } | State::Unanswered | State::Over, _) => None,
        }
    }

    /// Begins if the leg has just been answered.
    pub(crate) fn begin(&mut self, leg: &Leg, cx: &mut Context) {
        let (State::Unanswered, Some(detection)) = (self.state, &self.detection) else {
            return;
        };
        if leg.is_up() {
            let (since, machine) = (cx.now, false);
            self.state = State::Listening { since, machine };
            let timing = detection.terms.timing;
            cx.media(leg.profile.sid, MediaCommand::DetectMachine { timing });
        }
    }

    /// The media side has heard something of the party. Returns the script that may run now.
    pub(crate) fn heard(
        &mut self,
        heard: Answerer,
        leg: &mut Leg,
        cx: &mut Context,
    ) -> Option<Script> {
        let by = self.result_of(heard)?;
        self.known(by, leg, cx)
    }

    /// Ends when its time is up. Returns the script that may run now.
    pub(crate) fn give_up(&mut self, leg: &mut Leg, cx: &mut Context) -> Option<Script> {
        let by = self.late(cx.now)?;
        self.known(by, leg, cx)
    }

    /// Ends with the leg.
    pub(crate) fn leg_over(&mut self, reason: Reason, leg: &mut Leg, cx: &mut Context) {
        self.held = None;
        let state = std::mem::replace(&mut self.state, State::Over);
        if let State::Listening { since, .. } = state
            && reason != Reason::LostRace
        {
            let params = result(AnsweredBy::Unknown, since, cx.now);
            self.report(params, leg, cx);
        }
    }

    /// The result, if this is one.
    fn result_of(&mut self, heard: Answerer) -> Option<AnsweredBy> {
        let State::Listening { machine, .. } = &mut self.state else {
            return None;
        };
        let mode = self.detection.as_ref()?.terms.mode;
        match (heard, mode) {
            (Answerer::Human, _) => Some(AnsweredBy::Human),
            (Answerer::Fax, _) => Some(AnsweredBy::Fax),
            (Answerer::Nothing, _) => Some(AnsweredBy::Unknown),
            (Answerer::Machine, DetectionMode::Enable) => Some(AnsweredBy::MachineStart),
            (Answerer::Machine, DetectionMode::DetectMessageEnd) => {
                *machine = true;
                None
            }
            (Answerer::Beep, _) => Some(AnsweredBy::MachineEndBeep),
            (Answerer::Silence, _) => Some(AnsweredBy::MachineEndSilence),
        }
    }

    /// The result if the time is up.
    fn late(&self, now: Timestamp) -> Option<AnsweredBy> {
        let is_late = self.poll_timeout().is_some_and(|until| until <= now);
        match self.state {
            State::Listening { machine: true, .. } if is_late => Some(AnsweredBy::MachineEndOther),
            State::Listening { .. } if is_late => Some(AnsweredBy::Unknown),
            State::Listening { .. } | State::Unanswered | State::Over => None,
        }
    }

    /// There is a result.
    fn known(&mut self, by: AnsweredBy, leg: &mut Leg, cx: &mut Context) -> Option<Script> {
        let State::Listening { since, .. } = self.state else {
            return None;
        };
        self.state = State::Over;
        let (call, at) = (leg.profile.sid, cx.now);
        cx.fact(Fact::AnsweredBy { call, at, by });
        cx.media(call, MediaCommand::StopDetecting);
        cx.trace(call, Lane::Media, "answered by", by.as_str());
        let params = result(by, since, at);
        if self.detection.as_ref().is_some_and(|it| it.holds) {
            leg.answerer.clone_from(&params);
        }
        self.report(params, leg, cx);
        self.held.take()
    }

    fn report(&self, found: Params, leg: &mut Leg, cx: &mut Context) {
        let detection = self.detection.as_ref();
        let Some(target) = detection.and_then(|detection| detection.callback.clone()) else {
            return;
        };
        let mut params = vec![
            ("AccountSid".to_owned(), leg.profile.account.to_string()),
            ("CallSid".to_owned(), leg.profile.sid.to_string()),
        ];
        params.extend(found);
        let callback = Callback {
            event: cx.event_sid(),
            account: leg.profile.account,
            author: target.author,
            lane: leg.profile.sid.into(),
            call: Some(leg.profile.sid),
            sequence: leg.reporter.next_number(),
            url: target.url,
            method: target.method,
            params,
            created: cx.now,
        };
        cx.fact(Fact::Callback(callback));
    }
}

/// The parameters that name a result.
fn result(by: AnsweredBy, since: Timestamp, now: Timestamp) -> Params {
    let took = now.as_millis().saturating_sub(since.as_millis());
    vec![
        ("AnsweredBy".to_owned(), by.as_str().to_owned()),
        ("MachineDetectionDuration".to_owned(), took.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(mode: DetectionMode) -> Answering {
        let (since, machine) = (Timestamp::from_millis(0), false);
        Answering {
            detection: Some(Detection {
                terms: mode.into(),
                holds: true,
                callback: None,
            }),
            state: State::Listening { since, machine },
            held: None,
            released: false,
        }
    }

    #[test]
    fn what_is_heard_and_the_result() {
        use Answerer::{Beep, Fax, Human, Machine, Nothing, Silence};
        use DetectionMode::{DetectMessageEnd, Enable};
        // What is heard before the time is up, and the result then.
        let table: &[(DetectionMode, &[Answerer], AnsweredBy)] = &[
            (Enable, &[Human], AnsweredBy::Human),
            (Enable, &[Machine], AnsweredBy::MachineStart),
            (Enable, &[Fax], AnsweredBy::Fax),
            (Enable, &[Nothing], AnsweredBy::Unknown),
            (Enable, &[], AnsweredBy::Unknown),
            (DetectMessageEnd, &[Human], AnsweredBy::Human),
            (
                DetectMessageEnd,
                &[Machine, Beep],
                AnsweredBy::MachineEndBeep,
            ),
            (
                DetectMessageEnd,
                &[Machine, Silence],
                AnsweredBy::MachineEndSilence,
            ),
            (DetectMessageEnd, &[Machine], AnsweredBy::MachineEndOther),
            (DetectMessageEnd, &[Fax], AnsweredBy::Fax),
            (DetectMessageEnd, &[], AnsweredBy::Unknown),
        ];
        for (mode, heard, expected) in table {
            let mut answering = listening(*mode);
            let found = heard.iter().find_map(|heard| answering.result_of(*heard));
            assert_eq!(answering.late(Timestamp::from_millis(29_999)), None);
            let found = found.or_else(|| answering.late(Timestamp::from_millis(30_000)));
            assert_eq!(found, Some(*expected), "{mode:?} {heard:?}");
        }
    }
}
