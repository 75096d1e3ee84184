//! The steps of a person on the phone, made from the record.
//!
//! **Invariant: keys are pressed at the recorded times and in the recorded number; which keys is
//! revealed only on request.**

use std::collections::VecDeque;
use std::time::Duration;

use call_proto::journal::Pressed;
use call_proto::{DigitWay, Entry, Lane, Way};
use model::Timestamp;

use super::Keys;
use crate::expected::seconds;
use crate::stage::KEY_PACE;

/// Keys closer together than this form one step.
const TOGETHER: Duration = Duration::from_secs(2);

/// Replaces a hidden key.
const PLACEHOLDER: char = '0';

/// How long a character takes in a script that does not say otherwise.
const PER_CHARACTER: Duration = Duration::from_millis(60);

/// Words that take at most this long to say.
pub(super) fn stand_in(length: Duration) -> String {
    let count = length.as_millis() / PER_CHARACTER.as_millis();
    let count = usize::try_from(count)
        .unwrap_or(usize::MAX)
        .clamp(1, 60_000);
    let words: String = "la ".chars().cycle().take(count).collect();
    words.trim_end().to_owned()
}

/// How long such words take.
pub(super) fn speaking_time(words: &str) -> Duration {
    let count = u32::try_from(words.chars().count()).unwrap_or(u32::MAX);
    PER_CHARACTER.saturating_mul(count)
}

/// Whether a key arrives here; an INFO may carry something else.
pub(super) fn is_key(entry: &Entry) -> bool {
    entry.way == Way::In
        && matches!(
            (entry.lane, entry.what.as_str()),
            (Lane::Media, "key") | (Lane::Sip, "INFO")
        )
}

/// What the party did about a REFER of the server; nothing if it did not answer it.
pub(super) fn about_refer(entry: &Entry) -> Option<String> {
    if (entry.lane, entry.way) != (Lane::Sip, Way::In) {
        return None;
    }
    match (entry.what.strip_suffix(" to REFER"), entry.what.as_str()) {
        (Some("408"), _) => None,
        (Some(status), _) => Some(format!("answer_refer: {status}")),
        (None, "NOTIFY") if !entry.detail.is_empty() => Some(format!("notify: {}", entry.detail)),
        (None, _) => None,
    }
}

/// Steps under construction.
pub(super) struct Steps {
    done: Vec<Step>,
    /// End of the last step.
    over: Timestamp,
    /// Keys still to be pressed.
    pressed: VecDeque<Pressed>,
    keys: Keys,
}

enum Step {
    /// A step as written.
    Other(String),
    Press {
        keys: String,
        way: DigitWay,
        last: Timestamp,
    },
}

impl Steps {
    pub(super) fn new(from: Timestamp, pressed: VecDeque<Pressed>, keys: Keys) -> Self {
        Self {
            done: Vec::new(),
            over: from,
            pressed,
            keys,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.done.is_empty()
    }

    /// Restarts the clock: there was nothing to wait for before.
    pub(super) fn restart(&mut self, at: Timestamp) {
        self.over = at;
    }

    /// Adds a step that ends at a given time.
    pub(super) fn add(&mut self, step: String, over: Timestamp) {
        self.done.push(Step::Other(step));
        self.over = over;
    }

    pub(super) fn hang_up(&mut self, at: Timestamp) {
        let wait = seconds(at.since(self.over));
        self.add(format!("wait: {wait}"), at);
        self.add("hangup".to_owned(), at);
    }

    /// Adds a step that is done at a given time.
    pub(super) fn do_at(&mut self, step: String, at: Timestamp) {
        let wait = at.since(self.over);
        if wait.as_millis() > 0 {
            self.add(format!("wait: {}", seconds(wait)), at);
        }
        self.add(step, at);
    }

    /// Presses the keys that arrived by a given time.
    pub(super) fn press(&mut self, until: Timestamp) {
        while let Some(pressed) = self.pressed.pop_front_if(|next| next.at <= until) {
            self.one(pressed);
        }
    }

    fn one(&mut self, pressed: Pressed) {
        let Pressed { at, key, way, .. } = pressed;
        let key = match self.keys {
            Keys::Hidden => PLACEHOLDER,
            Keys::Shown => key,
        };
        match self.done.last_mut() {
            Some(Step::Press {
                keys,
                way: same,
                last,
            }) if *same == way && at.since(*last) < TOGETHER => {
                keys.push(key);
                *last = at;
            }
            _ => {
                let wait = at.since(self.over);
                if wait.as_millis() > 0 {
                    self.done
                        .push(Step::Other(format!("wait: {}", seconds(wait))));
                }
                let keys = key.to_string();
                let last = at;
                self.done.push(Step::Press { keys, way, last });
            }
        }
        self.over = at + KEY_PACE;
    }

    /// One line per step.
    pub(super) fn block(&self) -> Vec<String> {
        let line = |step: &Step| match step {
            Step::Other(step) => step.clone(),
            Step::Press { keys, .. } if self.keys == Keys::Hidden => {
                let count = keys.len();
                let s = if count == 1 { "" } else { "s" };
                format!("{}  # fill in the real {count} key{s}", step.text())
            }
            Step::Press { .. } => step.text(),
        };
        self.done.iter().map(line).collect()
    }

    /// All steps in one line.
    pub(super) fn flow(&self) -> String {
        let one = |step: &Step| match step.text() {
            step if step.contains(':') => format!("{{{step}}}"),
            step => step,
        };
        let steps: Vec<String> = self.done.iter().map(one).collect();
        steps.join(", ")
    }
}

impl Step {
    fn text(&self) -> String {
        match self {
            Self::Other(step) => step.clone(),
            Self::Press { keys, way, .. } => match way {
                DigitWay::Event => format!("press: \"{keys}\""),
                DigitWay::Tone => format!("press: {{keys: \"{keys}\", by: tone}}"),
                DigitWay::Info => format!("press: {{keys: \"{keys}\", by: info}}"),
            },
        }
    }
}
