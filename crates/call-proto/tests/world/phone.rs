//! Called phones: what they do, timed from the INVITE.

use std::time::Duration;

use rehearse::scene::{self, Doing};

use super::ms;

/// One phone.
#[derive(Clone, Debug)]
pub(crate) struct Phone(pub(super) scene::Phone);

/// A phone that does nothing yet.
pub(crate) fn phone() -> Phone {
    let mut phone = scene::Phone::new();
    phone.withdraws = Some(Duration::from_millis(10));
    phone.bye_reason = Some("Q.850;cause=16".to_owned());
    phone.has_phrases = true;
    Phone(phone)
}

impl Phone {
    fn step(mut self, seconds: f64, doing: Doing) -> Self {
        let after = Duration::from_millis(ms(seconds));
        self.0.steps.push((after, doing));
        self
    }

    /// Sends 180 this many seconds after the INVITE.
    pub(crate) fn rings(self, seconds: f64) -> Self {
        self.step(seconds, Doing::Ring(180))
    }

    /// Sends 200 this many seconds after the INVITE.
    pub(crate) fn answers(self, seconds: f64) -> Self {
        self.step(seconds, Doing::Answer)
    }

    /// Sends a final refusal this many seconds after the INVITE.
    pub(crate) fn rejects(self, seconds: f64, status: u16) -> Self {
        self.step(seconds, Doing::Reject(status))
    }

    /// Hangs up this many seconds after its answer.
    pub(crate) fn talks(mut self, seconds: f64) -> Self {
        self.0.talks = Some(Duration::from_millis(ms(seconds)));
        self
    }

    /// Parameters of its contact, such as `;transport=tcp`.
    pub(crate) fn contact(mut self, parameters: &str) -> Self {
        parameters.clone_into(&mut self.0.contact);
        self
    }

    pub(crate) fn sdp(mut self, sdp: Option<&str>) -> Self {
        self.0.sdp = sdp.map(str::to_owned);
        self
    }

    /// Machine detection hears this once it has answered.
    pub(crate) fn says(mut self, says: scene::Says) -> Self {
        self.0.says = says;
        self
    }

    /// Answers our BYE with 404.
    pub(crate) fn forgets(mut self) -> Self {
        self.0.forgets = true;
        self
    }

    /// The phone for the scene, with the name of its legs.
    pub(crate) fn named(mut self, name: &str) -> scene::Phone {
        self.0.name = Some(name.to_owned());
        self.0
    }

    /// Never responds to anything.
    pub(crate) fn dead(mut self) -> Self {
        self.0.withdraws = None;
        self
    }
}
