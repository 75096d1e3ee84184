//! The people on the phone: they do their steps one after the other, as the awaited events occur.
//!
//! **Invariant: at most one failure per party is reported: later ones would mean nothing.**

use std::collections::VecDeque;
use std::time::Duration;

use call_proto::{DigitWay, Event, LegEvent, MediaEvent};
use model::{CallSid, Timestamp};

use super::{Due, START, Stage};
use crate::expected::{self, seconds};
use crate::heard::{Heard, Sense};
use crate::scene::{Doing, Opening};
use crate::script::{Action, Cast, Step, Wanted};

/// Time from one key to the next.
pub(crate) const KEY_PACE: Duration = Duration::from_millis(250);
/// Maximum number of heard events in a failure.
const TOLD: usize = 6;

/// A person with steps.
pub(super) struct Actor {
    call: Option<CallSid>,
    steps: VecDeque<Step>,
    /// Everything heard before this is used up.
    cursor: usize,
    /// Busy until then.
    ready_at: Timestamp,
    /// The awaited event must happen by then.
    deadline: Option<Timestamp>,
}

impl Actor {
    /// The leg of its phone is that of another call from now on.
    pub(super) fn moves(&mut self, from: CallSid, to: CallSid) {
        if self.call == Some(from) {
            self.call = Some(to);
        }
    }
}

/// A key press as an event of the call.
pub(super) fn key_event(key: char, way: DigitWay) -> Event {
    match way {
        DigitWay::Info => Event::Leg(LegEvent::Info {
            content_type: "application/dtmf-relay".to_owned(),
            body: format!("Signal={key}\r\nDuration=160\r\n"),
        }),
        DigitWay::Event | DigitWay::Tone => Event::Media(MediaEvent::Digit { digit: key, way }),
    }
}

impl Stage<'_> {
    /// A person with steps joins.
    pub(super) fn enter(&mut self, cast: Cast, call: Option<CallSid>, steps: &[Step]) {
        self.begun.insert(cast);
        self.actors.push(Actor {
            call,
            steps: steps.iter().cloned().collect(),
            cursor: 0,
            ready_at: self.now,
            deadline: None,
        });
    }

    /// Each person does what is possible now.
    pub(super) fn act(&mut self) {
        for at in 0..self.actors.len() {
            while self.step(at) {}
        }
    }

    /// Whether a step was done.
    fn step(&mut self, at: usize) -> bool {
        let actor = &self.actors[at];
        let Some(call) = actor.call else { return false };
        let Some(Step { line, action }) = actor.steps.front().cloned() else {
            return false;
        };
        if self.now < actor.ready_at {
            return false;
        }
        match action {
            Action::Expect(wanted, within) => match self.find(at, call, &wanted) {
                Some(found) => {
                    self.actors[at].cursor = found + 1;
                    self.actors[at].deadline = None;
                }
                None if self.is_over(call) || self.is_late(at) => {
                    return self.gives_up(at, call, line, &wanted, within);
                }
                None => {
                    self.limits(at, within);
                    return false;
                }
            },
            Action::Press(..)
            | Action::Speak(_)
            | Action::Refer(_)
            | Action::AnswerRefer(_)
            | Action::Notify(_)
            | Action::Hangup
            | Action::Vanish(_)
                if self.is_over(call) =>
            {
                return self.too_late(at, line);
            }
            Action::Press(..) | Action::Speak(_) | Action::Refer(_) | Action::Vanish(_)
                if !self.is_up(call) =>
            {
                return false;
            }
            Action::AnswerRefer(_) if !self.is_asked_to_refer(call) => return false,
            Action::Notify(_) if !self.has_accepted_refer(call) => {
                let text = "there is no REFER that the phone has accepted".to_owned();
                return self.actor_fails(at, line, text);
            }
            Action::AnswerRefer(status) => self.answers_refer(call, status),
            Action::Notify(status) => self.reports_referral(call, status),
            Action::Press(keys, way) => self.press(at, call, &keys, way),
            Action::Speak(text) => self.say_aloud(at, call, line, &text),
            Action::Refer(referral) => self.refers(call, &referral, line),
            Action::Wait(length) => self.pauses(at, length),
            Action::Silence if self.is_over(call) => {}
            Action::Silence => return false,
            Action::Hangup => self.remote_does(call, Doing::HangUp),
            Action::Vanish(what) => self.remote_does(call, Doing::Vanish(what)),
        }
        self.actors[at].steps.pop_front();
        true
    }

    fn press(&mut self, at: usize, call: CallSid, keys: &str, way: DigitWay) {
        let mut after = Duration::ZERO;
        for key in keys.chars() {
            self.later(after, Due::Tell(call, key_event(key, way)));
            after += KEY_PACE;
        }
        self.pauses(at, after);
    }

    pub(super) fn pauses(&mut self, at: usize, length: Duration) {
        self.actors[at].ready_at = self.now + length;
        self.later(length, Due::Wake);
    }

    fn find(&self, at: usize, call: CallSid, wanted: &Wanted) -> Option<usize> {
        let cursor = self.actors[at].cursor;
        let heard = self.heard.get(&call)?;
        let found = heard.iter().skip(cursor).position(|heard| heard.is(wanted));
        found.map(|found| cursor + found)
    }

    fn is_late(&self, at: usize) -> bool {
        let deadline = self.actors[at].deadline;
        deadline.is_some_and(|deadline| self.now > deadline)
    }

    /// Starts the time limit for the awaited event.
    fn limits(&mut self, at: usize, within: Option<Duration>) {
        if let Some(within) = within
            && self.actors[at].deadline.is_none()
        {
            self.actors[at].deadline = Some(self.now + within);
            // An event at the last moment is not late.
            self.later(within + Duration::from_millis(1), Due::Wake);
        }
    }

    fn gives_up(
        &mut self,
        at: usize,
        call: CallSid,
        line: usize,
        wanted: &Wanted,
        within: Option<Duration>,
    ) -> bool {
        let heard = self.heard.get(&call).map_or(&[][..], Vec::as_slice);
        let heard = &heard[self.actors[at].cursor.min(heard.len())..];
        let text = format!(
            "expected {wanted}{}, but there was {}{}",
            within.map_or_else(String::new, |within| format!(" within {}", seconds(within))),
            told(heard),
            advice(wanted, heard).map_or_else(String::new, |advice| format!("; {advice}")),
        );
        self.actor_fails(at, line, text)
    }

    fn too_late(&mut self, at: usize, line: usize) -> bool {
        let call = self.actors[at].call;
        let over = call.and_then(|call| self.heard.get(&call)?.last());
        let when = over.map_or_else(String::new, |over| {
            format!(" at {}", seconds(over.from.since(START)))
        });
        self.actor_fails(at, line, format!("the call was over already{when}"))
    }

    pub(super) fn actor_fails(&mut self, at: usize, line: usize, text: String) -> bool {
        self.actors[at].steps.clear();
        self.run.fails(line, text);
        false
    }

    /// All parties with their own steps, which they do once a call to them is answered.
    fn casts(&self) -> Vec<(Cast, &str, &[Step])> {
        let scene = self.scene;
        let mut casts = Vec::new();
        for (place, start) in scene.calls.iter().enumerate() {
            if let Opening::Api(_) = start.opening {
                casts.push((Cast::Caller(place), start.name.as_str(), &start.steps[..]));
            }
        }
        for (name, phones) in &scene.phones {
            for phone in phones {
                let cast = Cast::Phone(phone.number);
                casts.push((cast, name.as_str(), &phone.then[..]));
            }
        }
        casts
    }

    /// At the end: reports steps that were not reached.
    pub(super) fn settle(&mut self) {
        for at in 0..self.actors.len() {
            // No step is waiting any longer.
            self.actors[at].ready_at = self.now;
            while self.step(at) {
                self.actors[at].ready_at = self.now;
            }
        }
        let mut missed = Vec::new();
        for (cast, name, steps) in self.casts() {
            if self.begun.contains(&cast) {
                continue;
            }
            let is_called = self.run.legs.iter().any(|leg| leg.party == name);
            let expects = |step: &&Step| matches!(step.action, Action::Expect(..));
            if let Some(step) = steps.iter().find(expects) {
                missed.push((step.line, format!("`{name}` never answered a call")));
            } else if let Some(step) = steps.first().filter(|_| !is_called) {
                missed.push((step.line, format!("`{name}` was never called")));
            }
        }
        for (line, text) in missed {
            self.run.fails(line, text);
        }
    }
}

/// Advice for a person who waits for a part of a sound that was heard.
fn advice(wanted: &Wanted, heard: &[Heard]) -> Option<String> {
    let (Wanted::Say(expected, _) | Wanted::Play(expected, _)) = wanted else {
        return None;
    };
    let found = heard
        .iter()
        .filter_map(|heard| match (wanted, &heard.sense) {
            (Wanted::Say(..), Sense::Say(sound)) | (Wanted::Play(..), Sense::Play(sound)) => {
                Some(sound.as_str())
            }
            _ => None,
        });
    expected::advice(expected, found)
}

/// A short list of what was heard.
fn told(heard: &[Heard]) -> String {
    if heard.is_empty() {
        return "nothing".to_owned();
    }
    let from = heard.len().saturating_sub(TOLD);
    let mut lines: Vec<String> = heard[from..].iter().map(one).collect();
    if from > 0 {
        let events = if from == 1 { "event" } else { "events" };
        lines.insert(0, format!("({from} earlier {events})"));
    }
    lines.join(", ")
}

fn one(heard: &Heard) -> String {
    let at = seconds(heard.from.since(START));
    match (&heard.sense, heard.cut, heard.until) {
        (Sense::Say(_) | Sense::Play(_), true, Some(until)) => {
            let cut = seconds(until.since(START));
            format!("{} at {at}, cut off at {cut}", heard.sense)
        }
        _ => format!("{} at {at}", heard.sense),
    }
}
