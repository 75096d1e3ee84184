//! The steps of somebody on the phone, made of what is on record.
//!
//! **Invariant: keys are pressed when they were, and as many as were; which ones is only told to whoever asked.**

use std::collections::VecDeque;
use std::time::Duration;

use call_proto::journal::Pressed;
use call_proto::{DigitWay, Entry, Lane, Way};
use model::Timestamp;

use super::Keys;
use crate::expected::seconds;
use crate::stage::KEY_PACE;

/// Keys that follow each other faster are one step.
const TOGETHER: Duration = Duration::from_secs(2);

/// Stands in for a key.
const PLACEHOLDER: char = '0';

/// Whether a key arrives here; an INFO may also be about something else.
pub(super) fn is_key(entry: &Entry) -> bool {
    entry.way == Way::In
        && matches!(
            (entry.lane, entry.what.as_str()),
            (Lane::Media, "key") | (Lane::Sip, "INFO")
        )
}

/// Steps in the making.
pub(super) struct Steps {
    done: Vec<Step>,
    /// When the last step is over.
    over: Timestamp,
    /// Keys that are still to come.
    pressed: VecDeque<Pressed>,
    keys: Keys,
}

enum Step {
    /// As it is written.
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

    /// Nothing was there to wait for until now.
    pub(super) fn restart(&mut self, at: Timestamp) {
        self.over = at;
    }

    /// A step that is over at a moment.
    pub(super) fn add(&mut self, step: String, over: Timestamp) {
        self.done.push(Step::Other(step));
        self.over = over;
    }

    pub(super) fn hang_up(&mut self, at: Timestamp) {
        let wait = seconds(at.since(self.over));
        self.add(format!("wait: {wait}"), at);
        self.add("hangup".to_owned(), at);
    }

    /// Presses the keys that came until a moment.
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

    /// A line for each step.
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
