//! Calls of the API with one record for several phones: the head and its branches in one family.
//!
//! **Invariant: a branch that a head takes over is no longer a call of the family**, so nothing of it is forgotten or
//! closed twice.

use super::{Family, profile};
use crate::call::Call;
use crate::context::Context;
use crate::fact::Reason;
use crate::fork::Fork;
use crate::leg::Leg;
use crate::letter::{Common, Dialled, ForkId, ForkNews};
use model::CallSid;

/// The head of a fork, on record before the branches begin.
pub(super) fn begin(fork: ForkId, common: &Common, dialled: Dialled, cx: &mut Context) -> Call {
    let profile = profile((cx.call_sid(), None, None), common, &dialled.target, cx.now);
    let mut leg = Leg::head(profile, fork);
    leg.reporter.leg = dialled.callback;
    leg.start_head(cx);
    Call::dialled(
        leg,
        dialled.send_digits,
        dialled.from_answer,
        dialled.detection,
    )
}

impl Family {
    /// The INVITE of a branch without a record goes out.
    pub(super) fn branch_called(&mut self, fork: ForkId) {
        let head = self.forks.get(&fork).and_then(Fork::head);
        if let Some(head) = head.and_then(|head| self.calls.get_mut(&head)) {
            head.leg.branch_called(&mut self.cx);
        }
    }

    /// The phone of a branch rings.
    pub(super) fn branch_rings(&mut self, id: ForkId) {
        let Some(fork) = self.forks.get(&id) else {
            return;
        };
        let (parent, head) = (fork.parent(), fork.head());
        if let Some(parent) = parent.and_then(|parent| self.calls.get_mut(&parent)) {
            parent.fork_news(id, ForkNews::Rings, &mut self.cx);
        }
        if let Some(head) = head.and_then(|head| self.calls.get_mut(&head)) {
            head.leg.branch_rings(&mut self.cx);
        }
    }

    /// A branch has won: its head takes it over.
    pub(super) fn take_over(&mut self, head: CallSid, branch: CallSid) {
        let Some(mut winner) = self.calls.remove(&branch) else {
            return;
        };
        let head = self.calls.get_mut(&head);
        if !head.is_some_and(|head| head.take_over(&mut winner, &mut self.cx)) {
            winner.end_leg(Reason::ParentGone, &mut self.cx);
            self.calls.insert(branch, winner);
        }
    }
}
