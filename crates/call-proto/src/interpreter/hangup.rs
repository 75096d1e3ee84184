//! `<Hangup>`: end the call.

use model::CallStatus;

use super::Next;
use crate::call::Call;
use crate::context::Context;
use crate::fact::Reason;

impl Call {
    pub(super) fn hangup_verb(&mut self, cx: &mut Context) -> Next {
        if self.is_unanswered() {
            // The caller waits for a `<Dial>` that failed: pass on why.
            let failed = self.run.as_ref().and_then(|run| run.failure_status);
            self.reject(failed.unwrap_or(487), None, cx);
            self.finish(CallStatus::Completed, Reason::Hangup, cx);
        } else {
            self.end_leg(Reason::Hangup, cx);
        }
        Next::End
    }
}
