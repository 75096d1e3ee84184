//! `<Hangup>`: ends the call.

use model::CallStatus;

use super::verb::{Site, Step};
use crate::context::Context;
use crate::fact::Reason;

pub(super) fn start(site: &mut Site<'_>, cx: &mut Context) -> Step {
    if site.leg.is_unanswered() {
        // The caller waits for a failed `<Dial>`: pass on its reason.
        let status = site.run.failure_status.unwrap_or(487);
        site.leg.reject(status, None, cx);
        site.leg.finish(CallStatus::Completed, Reason::Hangup, cx);
    } else {
        site.leg.end(Reason::Hangup, cx);
    }
    Step::End
}
