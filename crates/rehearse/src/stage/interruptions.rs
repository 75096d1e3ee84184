//! Sounds that interrupt what a leg hears: the API says or plays something, or has keys pressed.
//!
//! **Invariant: a sound that is interrupted ends later by as long as the interruptions lasted.**

use std::collections::BTreeMap;
use std::time::Duration;

use call_proto::{Event, Interrupting, MediaEvent, PlayId};
use model::{CallSid, Timestamp};

use super::Stage;
use super::media::keys_length;
use crate::heard::{Heard, Sense};

/// The interruptions of all legs.
#[derive(Default)]
pub(super) struct Interruptions {
    current: BTreeMap<CallSid, Interruption>,
    /// How much later than planned a sound ends.
    delays: BTreeMap<(CallSid, PlayId), Duration>,
}

struct Interruption {
    play: PlayId,
    /// Its index among what the leg hears.
    place: usize,
    until: Timestamp,
}

impl Stage<'_> {
    /// Something interrupts what a leg hears, or replaces an earlier interruption.
    pub(super) fn interrupts(&mut self, call: CallSid, play: PlayId, sound: Interrupting) {
        self.interruption_ends(call, true);
        let (sense, length, words) = match sound {
            Interrupting::Clip(clip) => {
                let sense = self.clip(clip);
                let words = super::media::sound_on_line(&sense, Some(1));
                (sense, clip.length, words)
            }
            Interrupting::Keys(keys) => {
                let length = keys_length(&keys);
                let words = format!("keys {keys}");
                (Sense::Keys(keys), length, words)
            }
        };
        self.on_line(call, &format!("interrupted by {words}"));
        let place = self.heard.get(&call).map_or(0, Vec::len);
        self.hears(call, Heard::begins(sense, self.now));
        let until = self.now + length;
        let interruption = Interruption { play, place, until };
        self.interruptions.current.insert(call, interruption);
        if let Some(main) = self.plays_now(call) {
            *self.interruptions.delays.entry((call, main)).or_default() += length;
        }
        let done = Event::Media(MediaEvent::PlayDone { play });
        self.tell_in(length, call, done);
    }

    /// A sound begins, and waits as long as another one interrupts.
    pub(super) fn waits_behind(&mut self, call: CallSid, play: PlayId) {
        let now = self.now;
        if let Some(interruption) = self.interruptions.current.get(&call) {
            let rest = interruption.until.since(now);
            self.interruptions.delays.insert((call, play), rest);
        }
    }

    /// The end of a sound is due. Some(whether it was an interruption that is still in progress), or `None` if it is another sound
    /// that ends now.
    pub(super) fn interruption_played(&mut self, call: CallSid, done: PlayId) -> Option<bool> {
        let current = self.interruptions.current.get(&call);
        if current.is_some_and(|interruption| interruption.play == done) {
            self.interruption_ends(call, false);
            return Some(true);
        }
        let delay = self.interruptions.delays.remove(&(call, done))?;
        if delay.is_zero() {
            return None;
        }
        let done = Event::Media(MediaEvent::PlayDone { play: done });
        self.tell_in(delay, call, done);
        Some(false)
    }

    /// - `cut`: before its end.
    pub(super) fn interruption_ends(&mut self, call: CallSid, cut: bool) {
        let Some(Interruption { place, until, .. }) = self.interruptions.current.remove(&call)
        else {
            return;
        };
        let rest = until.since(self.now);
        if let Some(main) = self.plays_now(call)
            && let Some(delay) = self.interruptions.delays.get_mut(&(call, main))
        {
            *delay = delay.saturating_sub(rest);
        }
        if let Some(heard) = self.heard.get_mut(&call).and_then(|all| all.get_mut(place)) {
            heard.ends(self.now, cut);
        }
    }

    /// Whether this is the interruption of a leg.
    pub(super) fn is_interrupted_by(&self, call: CallSid, play: PlayId) -> bool {
        let current = self.interruptions.current.get(&call);
        current.is_some_and(|interruption| interruption.play == play)
    }
}
