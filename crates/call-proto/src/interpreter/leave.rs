//! `<Leave>`: takes the call out of the queue, from the document that it hears there.

use model::error;

use super::verb::{Site, Step};
use crate::context::Context;
use crate::letter::Role;

pub(super) fn start(leave: &rcml::Leave, site: &mut Site<'_>, cx: &mut Context) -> Step {
    if site.run.role != Role::Queueing {
        let text = "the call is in no queue here; `Leave` was skipped";
        cx.notify(site.about_line(leave.line), error::LEAVE_OUTSIDE, text);
        return Step::Next;
    }
    site.run.left = true;
    Step::End
}
