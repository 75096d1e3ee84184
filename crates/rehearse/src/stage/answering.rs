//! Machine detection: what it hears of a phone that has answered, without samples.
//!
//! **Invariant: it hears what `audio::answerer` would hear of such a phone**, give or take a frame.

use std::time::Duration;

use call_proto::{Answerer, Event, MediaEvent};
use model::{AnswerTiming, CallSid};

use super::{Due, Stage};
use crate::scene::{Phone, Says};

/// From the end of a greeting to the beep.
const BEFORE_BEEP: Duration = Duration::from_millis(500);
/// Length of a beep.
const BEEP: Duration = Duration::from_millis(500);
/// After this time a tone is taken for a beep.
const IS_BEEP: Duration = Duration::from_millis(140);
/// After this time a tone is taken for a fax machine.
const IS_FAX: Duration = Duration::from_millis(400);

impl Stage<'_> {
    pub(super) fn detects(&mut self, call: CallSid, timing: AnswerTiming) {
        self.media.detecting.insert(call);
        let says = self
            .phone(call)
            .map_or(Phone::new().says, |phone| phone.says);
        for (after, heard) in heard(says, timing) {
            let late = self.lateness();
            self.later(after + late, Due::Answers(call, heard));
        }
    }

    pub(super) fn answerer_is_heard(&mut self, call: CallSid, heard: Answerer) {
        if self.media.detecting.contains(&call) {
            self.tell(call, Event::Media(MediaEvent::Answerer(heard)));
        }
    }
}

/// What is heard of a phone, and when.
fn heard(says: Says, timing: AnswerTiming) -> Vec<(Duration, Answerer)> {
    let (length, beep) = match says {
        Says::Speech { length, beep } => (length, beep),
        Says::Fax => return vec![(IS_FAX, Answerer::Fax)],
        Says::Nothing => return vec![(timing.silence, Answerer::Nothing)],
    };
    let beeps = beep && BEFORE_BEEP < timing.speech_end;
    let ends = if beeps {
        (length + BEFORE_BEEP + BEEP, Answerer::Beep)
    } else {
        (length + timing.speech_end, Answerer::Silence)
    };
    if length >= timing.speech {
        return vec![(timing.speech, Answerer::Machine), ends];
    }
    if beeps {
        let found = length + BEFORE_BEEP + IS_BEEP;
        return vec![(found, Answerer::Machine), ends];
    }
    vec![(ends.0, Answerer::Human)]
}
