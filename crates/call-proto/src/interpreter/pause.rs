//! `<Pause>`: waits, without answering an unanswered call.

use std::time::Duration;

use model::Timestamp;

use super::verb::{Running, Site, Step};
use crate::context::Context;

/// A running `<Pause>`.
struct Pausing {
    until: Timestamp,
}

pub(super) fn start(pause: &rcml::Pause, cx: &Context) -> Step {
    let until = cx.now + Duration::from_secs(u64::from(pause.seconds));
    Step::Run(Box::new(Pausing { until }))
}

impl Running for Pausing {
    fn poll_timeout(&self) -> Option<Timestamp> {
        Some(self.until)
    }

    fn handle_timeout(&mut self, _site: &mut Site<'_>, cx: &mut Context) -> Step {
        if self.until <= cx.now {
            Step::Next
        } else {
            Step::Wait
        }
    }
}
