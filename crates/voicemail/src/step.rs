//! The addresses of documents: which step of which box, and what the step has to know.
//!
//! **Invariant: what a step needs is in its address, which the server signs**, so no request can name another caller, message or
//! box. Only what callers press and say comes from the form.

use model::{CallSid, RecordingSid, VoicemailBoxSid, VoicemailSid, words};

use crate::records::Case;

words!(
    /// A document of a box.
    Step {
        /// The greeting, then a message is recorded: where numbers, `action` and `<Redirect>` lead.
        Leave = "leave",
        /// Another message is recorded in place of the last one.
        Again = "again",
        /// A key was pressed during the greeting.
        Greeted = "greeted",
        /// A message was recorded.
        Recorded = "recorded",
        /// Callback: the recording is complete, or there is none.
        Kept = "kept",
        /// A key was pressed after the recording.
        Review = "review",
        /// The owner's access: asks for the PIN.
        Access = "access",
        /// The PIN was entered.
        Pin = "pin",
        /// The main menu of the owner.
        Menu = "menu",
        /// A key of the main menu was pressed.
        Chosen = "chosen",
        /// A message is played.
        Hear = "hear",
        /// A key was pressed during or after a message.
        Heard = "heard",
        /// A greeting was recorded.
        Greeting = "greeting",
    }
);

impl Step {
    /// Whether its address is given to users, so that it needs no call.
    #[must_use]
    pub const fn is_entry(self) -> bool {
        matches!(self, Self::Leave | Self::Access)
    }

    /// Whether only an owner who has entered the PIN gets there.
    #[must_use]
    pub const fn is_private(self) -> bool {
        matches!(
            self,
            Self::Menu | Self::Chosen | Self::Hear | Self::Heard | Self::Greeting
        )
    }
}

/// Path below which the documents are.
pub const PATH: &str = "/restcomm/voicemail";
/// Purpose of the signatures.
pub const PURPOSE: &str = "voicemail";

/// A call at a box, as its addresses carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// The call.
    pub call: Option<CallSid>,
    /// Who calls.
    pub from: String,
    /// The number or name that was called.
    pub to: String,
    /// Why the caller reached the box.
    pub case: Case,
    /// The recording that the step is about.
    pub recording: Option<RecordingSid>,
    /// The message that the step is about.
    pub message: Option<VoicemailSid>,
    /// Whether messages are heard that were heard before.
    pub old: bool,
    /// Attempts to enter the PIN before this one.
    pub attempt: u32,
}

impl Visit {
    /// A call that has just reached the box.
    #[must_use]
    pub fn new(call: Option<CallSid>, from: &str, to: &str, case: Case) -> Self {
        Self {
            call,
            from: from.to_owned(),
            to: to.to_owned(),
            case,
            recording: None,
            message: None,
            old: false,
            attempt: 0,
        }
    }

    /// The same about a recording.
    #[must_use]
    pub fn about(&self, recording: RecordingSid) -> Self {
        Self {
            recording: Some(recording),
            ..self.clone()
        }
    }

    /// The same about a message.
    #[must_use]
    pub fn at(&self, message: Option<VoicemailSid>, old: bool) -> Self {
        Self {
            message,
            old,
            ..self.clone()
        }
    }

    /// Its content, as pairs of a query; empty for a call that has just arrived.
    #[must_use]
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        let mut add = |name, value: Option<String>| pairs.extend(value.map(|value| (name, value)));
        add("Call", self.call.map(|sid| sid.to_string()));
        add("Caller", Some(self.from.clone()));
        add("Called", Some(self.to.clone()));
        add("Case", Some(self.case.to_string()));
        add("Recording", self.recording.map(|sid| sid.to_string()));
        add("Message", self.message.map(|sid| sid.to_string()));
        add("Old", self.old.then(|| "1".to_owned()));
        add(
            "Attempt",
            (self.attempt > 0).then(|| self.attempt.to_string()),
        );
        pairs
    }

    /// Reads what [`Visit::pairs`] has written; `None` if it is not that.
    #[must_use]
    pub fn read(value: impl Fn(&str) -> Option<String>) -> Option<Self> {
        fn sid<T: std::str::FromStr>(text: Option<String>) -> Option<Option<T>> {
            text.map_or(Some(None), |text| text.parse().ok().map(Some))
        }
        Some(Self {
            call: sid(value("Call"))?,
            from: value("Caller")?,
            to: value("Called")?,
            case: value("Case")?.parse().ok()?,
            recording: sid(value("Recording"))?,
            message: sid(value("Message"))?,
            old: value("Old").is_some(),
            attempt: value("Attempt").map_or(Some(0), |text| text.parse().ok())?,
        })
    }
}

/// The path of a step.
#[must_use]
pub fn path(mailbox: VoicemailBoxSid, step: Step) -> String {
    format!("{PATH}/{mailbox}/{step}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visit_is_read_back() {
        let mut visit = Visit::new(
            Some(CallSid::from_bytes([1; 16])),
            "+4930 & co",
            "1000",
            Case::NoAnswer,
        );
        for _ in 0..2 {
            let pairs = visit.pairs();
            let value = |name: &str| {
                let mut pairs = pairs.iter();
                pairs
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| value.clone())
            };
            assert_eq!(Visit::read(value), Some(visit.clone()));
            visit = visit
                .about(RecordingSid::from_bytes([2; 16]))
                .at(Some(VoicemailSid::from_bytes([3; 16])), true);
            visit.attempt = 2;
        }
        assert_eq!(Visit::read(|_| None), None);
    }
}
