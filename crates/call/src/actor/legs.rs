//! The SIP legs and endpoints of a family: those of its calls, and those of branches, the phones that a call of the API
//! rings with one record for all of them.
//!
//! No other family knows a branch. **Invariant: the dialog of a branch is stored as that of the call that takes it over,
//! together with the answer.** Left to others: which branch is taken over (`call_proto::Fork`).

use std::collections::BTreeMap;

use call_proto::Headers;
use media::EndpointId;
use model::CallSid;
use model::record::MediaCounts;
use sip::LegId;
use store::Change;
use tracing::error;
use webhook::CookieJar;

use super::{Actor, Leg};

impl Actor {
    /// Adds a call on record: its SIP leg, and an endpoint that media opens later.
    pub(super) fn open_leg(&mut self, call: CallSid, leg: LegId) {
        let endpoint = self.add_leg(call, leg, true);
        let inbox = self.inbox.clone();
        self.shared.live.add(call, inbox, endpoint, leg);
    }

    fn add_leg(&mut self, call: CallSid, leg: LegId, recorded: bool) -> EndpointId {
        let endpoint = self.shared.endpoint();
        self.calls_of_legs.insert(leg, call);
        self.calls_of_endpoints.insert(endpoint, call);
        self.legs.insert(
            call,
            Leg {
                leg,
                endpoint,
                jar: CookieJar::default(),
                headers: Headers::new(),
                detection: None,
                recorded,
                opened: false,
            },
        );
        // The events of an inbound leg wait for this.
        self.shared.parts.sip.accept(leg, self.sip_events.clone());
        endpoint
    }

    /// The shell's state of a call of this family; `None` for any other call.
    pub(super) fn leg(&self, call: CallSid) -> Option<&Leg> {
        let leg = self.legs.get(&call);
        if leg.is_none() {
            error!(call.sid = %call, "a command for a call that this family does not have");
        }
        leg
    }

    /// Adds one of the phones that a call rings, unless the call was refused. Others do not know it.
    pub(super) fn open_branch(&mut self, branch: CallSid) {
        let leg = self.shared.parts.sip.new_leg(self.sip_events.clone());
        self.add_leg(branch, leg, false);
    }

    /// A call is connected to the phone that answered: what belongs to that branch belongs to the call.
    pub(super) fn take_over(&mut self, call: CallSid, branch: CallSid) {
        let (Some(taken), Some(own)) = (self.legs.remove(&branch), self.legs.get_mut(&call)) else {
            error!(call.sid = %call, branch.sid = %branch, "a call or its branch is missing");
            return;
        };
        let (leg, endpoint) = (taken.leg, taken.endpoint);
        let unused = std::mem::replace(&mut own.leg, leg);
        let closed = std::mem::replace(&mut own.endpoint, endpoint);
        own.headers = taken.headers;
        own.opened = taken.opened;
        self.calls_of_legs.remove(&unused);
        self.calls_of_legs.insert(leg, call);
        self.calls_of_endpoints.remove(&closed);
        self.calls_of_endpoints.insert(endpoint, call);
        self.shared.parts.sip.forget(unused);
        self.stand_ins.take_over(call, branch);
        if let Some(dialog) = self.dialogs.remove(&branch) {
            self.dialogs.insert(call, dialog);
        }
        let inbox = self.inbox.clone();
        self.shared.live.add(call, inbox, endpoint, leg);
    }

    /// Takes the dialogs of calls. That of a branch waits for its call to take it over.
    pub(super) fn own_dialogs(&mut self) -> BTreeMap<CallSid, String> {
        let legs = &self.legs;
        let is_own = |call: &CallSid| legs.get(call).is_none_or(|leg| leg.recorded);
        let own = self.dialogs.extract_if(.., |call, _| is_own(call));
        own.collect()
    }

    /// An endpoint has reported its counters.
    pub(super) fn count(&mut self, call: CallSid, counts: MediaCounts) {
        self.counted += 1;
        if self.legs.get(&call).is_some_and(|leg| leg.recorded) {
            self.closed.push(Change::CallMedia { sid: call, counts });
        }
    }
}
