//! The phones of a call of the API that has one record for all of them: its branches.
//!
//! **Invariant: what happens on a branch counts as what happens on its call**, for the script and in the report; events
//! reach the branch until the call takes it over, and the call from then on.

use std::collections::BTreeMap;

use model::CallSid;

use super::Stage;

/// The branches that were taken over, and the calls that they became.
#[derive(Default)]
pub(super) struct Taken(BTreeMap<CallSid, CallSid>);

impl Taken {
    /// The leg to which an event of this one is addressed.
    pub(super) fn now(&self, call: CallSid) -> CallSid {
        self.0.get(&call).copied().unwrap_or(call)
    }
}

impl Stage<'_> {
    /// A call rings one of its phones.
    pub(super) fn opens_branch(&mut self, family: usize, call: CallSid, branch: CallSid) {
        self.families.owns(family, branch);
        self.run.heads.insert(branch, call);
        self.is_called_by(branch, call);
    }

    /// A call is connected to the phone that answered.
    pub(super) fn takes_over(&mut self, call: CallSid, branch: CallSid) {
        self.taken.0.insert(branch, call);
        self.becomes(branch, call);
        for actor in &mut self.actors {
            actor.moves(branch, call);
        }
    }
}
