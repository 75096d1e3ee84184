//! A head: the call that has the only record of several phones that the API rings. Each phone is a branch, a leg
//! without a record; the head has no dialog until it takes over that of the branch that answers.
//!
//! **Invariant: nothing about a branch is put on record or reported to an application, except through its head, which
//! ends once**, whatever becomes of its branches. Left to others: which branch wins (`fork`).

use model::CallStatus;

use super::{Leg, State};
use crate::command::Command;
use crate::context::{Context, Letter};
use crate::fact::{Fact, Reason};
use crate::letter::{ForkId, LegOver};
use crate::profile::Profile;

impl Leg {
    /// The head of the branches of a fork.
    pub(crate) fn head(profile: Profile, fork: ForkId) -> Self {
        let state = State::Heading {
            fork,
            called: false,
        };
        Self::new(profile, state, CallStatus::Queued)
    }

    /// Puts it on record, before its branches begin.
    pub(crate) fn start_head(&mut self, cx: &mut Context) {
        let record = self.record(cx);
        cx.fact(Fact::Created(Box::new(record)));
    }

    /// The INVITE of a branch goes out.
    pub(crate) fn branch_called(&mut self, cx: &mut Context) {
        if let State::Heading { called, .. } = &mut self.state
            && !std::mem::replace(called, true)
        {
            self.reporter
                .tell_leg(rcml::LegEvent::Initiated, &self.profile, cx);
        }
    }

    /// The phone of a branch rings.
    pub(crate) fn branch_rings(&mut self, cx: &mut Context) {
        let is_first = self.reporter.status() == CallStatus::Queued;
        if matches!(self.state, State::Heading { .. }) && is_first {
            self.rings(cx);
        }
    }

    /// The branch that answered becomes this leg; true unless this one has ended.
    pub(crate) fn take_over(&mut self, branch: &mut Self, cx: &mut Context) -> bool {
        let (State::Heading { .. }, Some(sdp)) = (&self.state, branch.answer.take()) else {
            return false;
        };
        self.state = State::Up;
        self.media_open = branch.media_open;
        self.sip_call_id = branch.sip_call_id.take();
        self.reporter.last_headers = branch.reporter.last_headers.take();
        let branch = branch.profile.sid;
        cx.command_first(self.profile.sid, Command::TakeOver { branch });
        self.talks(sdp, cx);
        true
    }

    /// Every branch has failed.
    ///
    /// - `last`: the one that says most about why.
    pub(crate) fn branches_failed(&mut self, last: Option<LegOver>, cx: &mut Context) {
        let (status, reason) = match last {
            Some(over) => {
                // A phone that rang in vain was canceled.
                let is_canceled = over.reason == Reason::NoAnswer;
                self.sip_status = if is_canceled {
                    Some(487)
                } else {
                    over.sip_status
                };
                self.sip_reason = over.sip_reason;
                (over.status, over.reason)
            }
            None => (CallStatus::Failed, Reason::Lost),
        };
        self.finish(status, reason, cx);
    }

    /// A head that ends no longer needs its branches.
    pub(super) fn abandon_branches(&self, reason: Reason, cx: &mut Context) {
        if let State::Heading { fork, .. } = self.state {
            cx.letter(Letter::AbandonFork(fork, reason));
        }
    }
}
