//! `<Reject>`: refuse a call that was not answered.

use model::CallStatus;
use rcml::RejectReason;

use super::Next;
use crate::call::Call;
use crate::context::Context;
use crate::fact::Reason;
use crate::trace::Lane;

impl Call {
    pub(super) fn reject_verb(&mut self, reject: &rcml::Reject, cx: &mut Context) -> Next {
        if !self.is_unanswered() {
            cx.trace(
                self.sid,
                Lane::Rcml,
                "<Reject>",
                "the call is answered; skipped",
            );
            return Next::Verb;
        }
        let (sip_status, status) = match reject.reason {
            RejectReason::Busy => (486, CallStatus::Busy),
            RejectReason::Rejected => (603, CallStatus::NoAnswer),
        };
        self.reject(sip_status, None, cx);
        self.finish(status, Reason::Rejected, cx);
        Next::End
    }
}
