//! Holds work that waits for an endpoint on its way to this worker.
//!
//! **Invariant: work that names the same endpoint is handed out in the order it came**: an entry
//! waits if an endpoint it names is expected, or if an earlier waiting entry names one of them. An
//! announcement that an endpoint will come also waits its turn: the endpoint has to leave before it
//! can return. Two workers never wait for each other, because work waits only for earlier requests.

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
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
enum Waiting {
    Work(Work),
    /// From this point the endpoint is expected.
    Expect(EndpointId),
}

impl Arrivals {
    /// Announces an endpoint from another worker; if it is here or expected now, it leaves first.
    pub(crate) fn expect(&mut self, endpoint: EndpointId) {
        if self.must_wait(&[endpoint], self.waiting.len()) {
            self.waiting.push_back(Waiting::Expect(endpoint));
        } else {
            self.expected.insert(endpoint);
        }
    }

    /// The endpoint has arrived, or will not come.
    pub(crate) fn arrived(&mut self, endpoint: EndpointId) {
        if self.expected.remove(&endpoint) {
            return;
        }
        // The announcement still waits behind work blocked by another endpoint.
        let is_it = |waiting: &Waiting| matches!(waiting, Waiting::Expect(it) if *it == endpoint);
        if let Some(at) = self.waiting.iter().position(is_it) {
            self.waiting.remove(at);
        }
    }

    /// Returns the work if it can be done at once; otherwise keeps it until its turn.
    pub(crate) fn admit(&mut self, work: Work) -> Option<Work> {
        if self.expected.is_empty() && self.waiting.is_empty() {
            return Some(work);
        }
        if self.must_wait(&work.endpoints(), self.waiting.len()) {
            self.waiting.push_back(Waiting::Work(work));
            return None;
        }
        Some(work)
    }

    /// The first entry whose turn has come.
    pub(crate) fn next(&mut self) -> Option<Work> {
        loop {
            let is_ready = |at: &usize| {
                let waiting = self.waiting.get(*at);
                waiting.is_some_and(|waiting| !self.must_wait(&waiting.endpoints(), *at))
            };
            let ready = (0..self.waiting.len()).find(is_ready)?;
            match self.waiting.remove(ready)? {
                Waiting::Work(work) => return Some(work),
                Waiting::Expect(endpoint) => {
                    self.expected.insert(endpoint);
                }
            }
        }
    }

    /// True if an entry that names these endpoints has to wait behind the first `before` entries.
    fn must_wait(&self, names: &[EndpointId], before: usize) -> bool {
        if names.is_empty() {
            // The end or a pause of a recording, which may be on its way with its leg; or the start of one of a
            // mix, whose members may be on their way.
            return before > 0 || !self.expected.is_empty();
        }
        let behind = |name| {
            let mut earlier = self.waiting.iter().take(before);
            earlier.any(|waiting| waiting.endpoints().contains(name))
        };
        names
            .iter()
            .any(|name| self.expected.contains(name) || behind(name))
    }
}

impl Waiting {
    fn endpoints(&self) -> Vec<EndpointId> {
        match self {
            Self::Work(work) => work.endpoints(),
            Self::Expect(endpoint) => vec![*endpoint],
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use media_proto::Control as EngineControl;
    use tokio::sync::mpsc::unbounded_channel;

    const A: EndpointId = EndpointId(1);
    const B: EndpointId = EndpointId(2);

    fn leave(endpoint: EndpointId) -> Work {
        control(EngineControl::Leave { endpoint })
    }

    fn bridge(a: EndpointId, b: EndpointId) -> Work {
        control(EngineControl::Bridge { a, b })
    }

    fn control(control: EngineControl) -> Work {
        Work::Control(control.into(), unbounded_channel().0)
    }

    fn away(endpoint: EndpointId) -> Work {
        Work::Move { endpoint, to: 0 }
    }

    fn name(work: &Work) -> &'static str {
        match work {
            Work::Move { .. } => "move",
            Work::Control(Control::Engine(EngineControl::Bridge { .. }), _) => "bridge",
            Work::Control(..) => "control",
        }
    }

    /// All work that can be done now, in order.
    fn ready(arrivals: &mut Arrivals) -> Vec<&'static str> {
        std::iter::from_fn(|| arrivals.next())
            .map(|work| name(&work))
            .collect()
    }

    #[test]
    fn an_endpoint_that_comes_goes_and_comes_again_is_waited_for_twice() {
        let mut arrivals = Arrivals::default();
        arrivals.expect(A);
        assert!(arrivals.admit(away(A)).is_none());
        arrivals.expect(A);
        assert!(arrivals.admit(leave(A)).is_none());
        assert_eq!(ready(&mut arrivals), [""; 0]);
        arrivals.arrived(A);
        assert_eq!(ready(&mut arrivals), ["move"]);
        assert!(arrivals.admit(leave(A)).is_none(), "it is away");
        arrivals.arrived(A);
        assert_eq!(ready(&mut arrivals), ["control", "control"]);
        assert!(arrivals.admit(leave(A)).is_some());
    }

    #[test]
    fn an_endpoint_may_come_before_its_turn_to_be_expected() {
        let mut arrivals = Arrivals::default();
        arrivals.expect(B);
        // Names an endpoint that is not open yet.
        assert!(arrivals.admit(bridge(A, B)).is_none());
        arrivals.expect(A);
        assert!(arrivals.admit(leave(A)).is_none());
        arrivals.arrived(A);
        assert_eq!(ready(&mut arrivals), [""; 0]);
        arrivals.arrived(B);
        assert_eq!(ready(&mut arrivals), ["bridge", "control"]);
        assert!(arrivals.admit(leave(A)).is_some());
    }

    #[test]
    fn others_do_not_wait() {
        let mut arrivals = Arrivals::default();
        arrivals.expect(A);
        assert!(arrivals.admit(leave(B)).is_some());
        assert!(arrivals.admit(bridge(A, B)).is_none());
        assert!(arrivals.admit(leave(B)).is_none(), "behind the bridge");
        let recording = media_proto::RecordingId(1);
        let end = control(EngineControl::StopRecord { recording });
        assert!(arrivals.admit(end).is_none(), "it may come with a leg");
        arrivals.arrived(A);
        assert_eq!(ready(&mut arrivals), ["bridge", "control", "control"]);
    }
}
