//! Phones that are called: what they do, counted from the INVITE.

use super::ms;

/// One phone.
#[derive(Clone, Debug)]
pub(crate) struct Phone {
    /// When, in milliseconds, and what.
    pub(crate) steps: Vec<(u64, Step)>,
    /// How long it talks before it hangs up, in milliseconds; `None`: for ever.
    pub(crate) talk_ms: Option<u64>,
    /// Parameters of its registered contact.
    pub(crate) contact: String,
    /// Session description of its answer.
    pub(crate) sdp: Option<String>,
    /// How long it takes to answer a CANCEL, in milliseconds; `None`: it does not.
    pub(crate) cancel_ms: Option<u64>,
    /// It does not know the dialog any more when we hang up.
    pub(crate) forgets: bool,
}

/// Something that a phone, or the SIP side in its place, does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Progress(u16),
    Answer,
    Reject(u16),
    HangUp,
    /// Its 487 for our CANCEL.
    Withdraw,
    /// The transaction gives up: 408.
    GiveUp,
}

/// A phone that does nothing at all yet.
pub(crate) fn phone() -> Phone {
    Phone {
        steps: Vec::new(),
        talk_ms: None,
        contact: String::new(),
        sdp: Some("answer of a phone".to_owned()),
        cancel_ms: Some(10),
        forgets: false,
    }
}

impl Phone {
    fn step(mut self, seconds: f64, step: Step) -> Self {
        self.steps.push((ms(seconds), step));
        self
    }

    /// Sends 180 so many seconds after the INVITE.
    pub(crate) fn rings(self, seconds: f64) -> Self {
        self.step(seconds, Step::Progress(180))
    }

    /// Sends 200 so many seconds after the INVITE.
    pub(crate) fn answers(self, seconds: f64) -> Self {
        self.step(seconds, Step::Answer)
    }

    /// Sends a final failure so many seconds after the INVITE.
    pub(crate) fn rejects(self, seconds: f64, status: u16) -> Self {
        self.step(seconds, Step::Reject(status))
    }

    /// Hangs up so many seconds after its answer.
    pub(crate) fn talks(mut self, seconds: f64) -> Self {
        self.talk_ms = Some(ms(seconds));
        self
    }

    /// Parameters of its contact, such as `;transport=tcp`.
    pub(crate) fn contact(mut self, parameters: &str) -> Self {
        parameters.clone_into(&mut self.contact);
        self
    }

    pub(crate) fn sdp(mut self, sdp: Option<&str>) -> Self {
        self.sdp = sdp.map(str::to_owned);
        self
    }

    /// Answers our BYE with 404.
    pub(crate) fn forgets(mut self) -> Self {
        self.forgets = true;
        self
    }

    /// Never responds to anything.
    pub(crate) fn dead(mut self) -> Self {
        self.cancel_ms = None;
        self
    }
}
