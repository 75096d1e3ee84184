//! Work that waits for an endpoint which is on its way to this worker.
//!
//! **Invariant: what names the same endpoint is handed out in the order it came**: work waits if an
//! endpoint it names is expected, or if other work that waits names one of them. Two workers never
//! wait for each other: work only ever waits for what was asked before it.

use crate::control::Control;
use crate::directory::WorkerId;
use crate::plane::Reports;
use media_proto::EndpointId;
use std::collections::{BTreeSet, VecDeque};

/// What a worker does to its endpoints.
#[derive(Debug)]
pub(crate) enum Work {
    Control(Control, Reports),
    /// Hand an endpoint over to another worker.
    Move {
        endpoint: EndpointId,
        to: WorkerId,
    },
}

#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    expected: BTreeSet<EndpointId>,
    waiting: VecDeque<Work>,
}

impl Arrivals {
    pub(crate) fn expect(&mut self, endpoint: EndpointId) {
        self.expected.insert(endpoint);
    }

    /// An endpoint is here, or will not come.
    pub(crate) fn arrived(&mut self, endpoint: EndpointId) {
        self.expected.remove(&endpoint);
    }

    /// Returns work that can be done at once; keeps other work until its time has come.
    pub(crate) fn admit(&mut self, work: Work) -> Option<Work> {
        let names = work.endpoints();
        if self.must_wait(&work, &names, self.waiting.len()) {
            self.waiting.push_back(work);
            return None;
        }
        Some(work)
    }

    /// The first work whose time has come.
    pub(crate) fn next(&mut self) -> Option<Work> {
        let ready = (0..self.waiting.len()).find(|at| {
            let work = self.waiting.get(*at);
            work.is_some_and(|work| !self.must_wait(work, &work.endpoints(), *at))
        })?;
        self.waiting.remove(ready)
    }

    /// True if work has to wait behind the first `before` that wait.
    fn must_wait(&self, work: &Work, names: &[EndpointId], before: usize) -> bool {
        let of_no_endpoint = names.is_empty();
        if of_no_endpoint && matches!(work, Work::Control(..)) {
            // The end of a recording: it may be on its way with its leg.
            return before > 0 || !self.expected.is_empty();
        }
        let behind = |name| {
            let mut earlier = self.waiting.iter().take(before);
            earlier.any(|work| work.endpoints().contains(name))
        };
        names
            .iter()
            .any(|name| self.expected.contains(name) || behind(name))
    }
}

impl Work {
    fn endpoints(&self) -> Vec<EndpointId> {
        match self {
            Self::Control(control, _) => control.endpoints(),
            Self::Move { endpoint, .. } => vec![*endpoint],
        }
    }
}
