//! `<Reject>`: refuses an unanswered call.

use model::CallStatus;
use rcml::RejectReason;

use super::verb::{Site, Step};
use crate::context::Context;
use crate::fact::Reason;
use crate::trace::Lane;

pub(super) fn start(reject: &rcml::Reject, site: &mut Site<'_>, cx: &mut Context) -> Step {
    if site.leg.is_screened() {
        site.leg.decline_as(match reject.reason {
            RejectReason::Busy => CallStatus::Busy,
            RejectReason::Rejected => CallStatus::NoAnswer,
        });
        site.leg.end(Reason::Rejected, cx);
        return Step::End;
    }
    if !site.leg.is_unanswered() {
        let why = "the call is answered; skipped";
        cx.trace(site.leg.profile.sid, Lane::Rcml, "<Reject>", why);
        return Step::Next;
    }
    let (sip_status, status) = match reject.reason {
        RejectReason::Busy => (486, CallStatus::Busy),
        RejectReason::Rejected => (603, CallStatus::NoAnswer),
    };
    site.leg.reject(sip_status, None, cx);
    site.leg.finish(status, Reason::Rejected, cx);
    Step::End
}
