//! Who may hold a TCP connection, and for how long.
//!
//! A connection that carries a registration or a dialog may be silent for longer than a
//! registration lives, because a phone behind NAT can only be called over the connection it
//! registered on (RFC 5626 §4.4); so may one of a trunk. Any other ends after a minute of silence.
//! **Invariant: a source that opens many connections loses its own**: when a source, or the server,
//! has reached its limit, the longest silent connection makes room, taken from the source that has
//! most; never one in use. Trunks are always admitted. Left to others: opening and closing, and
//! knowing which are in use.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::Source;
use sip_proto::ua::FlowId;

/// Maximum connections; each costs two tasks and some 50 KB.
const MAX_CONNECTIONS: usize = 8192;
/// Maximum connections of one source: the phones of a large office behind one address.
const MAX_PER_SOURCE: usize = 1024;
/// How long a connection may stay before its first message.
const FIRST_MESSAGE: Duration = Duration::from_secs(30);
/// How long it may be silent afterwards.
const SILENCE: Duration = Duration::from_secs(60);
/// The same while it is in use.
const SILENCE_IN_USE: Duration = Duration::from_secs(3700);

/// When something was last received on a connection: time since the server started.
#[derive(Default, Debug)]
pub(crate) struct Heard(AtomicU64);

impl Heard {
    pub(crate) fn note(&self, at: Duration) {
        let ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        self.0.store(ms, Ordering::Relaxed);
    }

    fn at(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// Whether a new connection is admitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Admission {
    Granted,
    /// Admitted if this one is closed.
    InPlaceOf(FlowId),
    Denied,
}

/// All connections.
#[derive(Debug)]
pub(crate) struct Places {
    max: usize,
    max_per_source: usize,
    held: BTreeMap<FlowId, Place>,
    /// How many each source has.
    sources: HashMap<Source, usize>,
}

/// A new connection.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) remote: IpAddr,
    pub(crate) heard: Arc<Heard>,
    /// A message has arrived, or is to be sent.
    pub(crate) spoke: bool,
    /// Its peer is a trunk.
    pub(crate) is_trunk: bool,
    /// A registration or a dialog needs it.
    pub(crate) in_use: bool,
}

impl Place {
    fn source(&self) -> Source {
        self.remote.into()
    }

    fn is_needed(&self) -> bool {
        self.in_use || self.is_trunk
    }

    fn patience(&self) -> Duration {
        match (self.is_needed(), self.spoke) {
            (true, _) => SILENCE_IN_USE,
            (false, true) => SILENCE,
            (false, false) => FIRST_MESSAGE,
        }
    }
}

impl Default for Places {
    fn default() -> Self {
        Self::new(MAX_CONNECTIONS, MAX_PER_SOURCE)
    }
}

impl Places {
    fn new(max: usize, max_per_source: usize) -> Self {
        Self {
            max,
            max_per_source,
            held: BTreeMap::new(),
            sources: HashMap::new(),
        }
    }

    /// Whether there is room for a connection with this address.
    pub(crate) fn admit(&self, remote: IpAddr, is_trunk: bool) -> Admission {
        if is_trunk {
            return Admission::Granted;
        }
        let source = Source::from(remote);
        let crowded = |source: &Source| self.sources.get(source).copied().unwrap_or_default();
        let victim = if crowded(&source) >= self.max_per_source {
            self.longest_silent_of(source)
        } else if self.held.len() >= self.max {
            let greediest = self
                .sources
                .iter()
                .max_by_key(|(source, count)| (**count, **source));
            greediest
                .and_then(|(source, _)| self.longest_silent_of(*source))
                .or_else(|| self.longest_silent(|_| true))
        } else {
            return Admission::Granted;
        };
        victim.map_or(Admission::Denied, Admission::InPlaceOf)
    }

    /// Adds a connection that was admitted.
    pub(crate) fn enter(&mut self, flow: FlowId, place: Place) {
        *self.sources.entry(place.source()).or_default() += 1;
        self.held.insert(flow, place);
    }

    /// A connection has closed.
    pub(crate) fn leave(&mut self, flow: FlowId) {
        let Some(place) = self.held.remove(&flow) else {
            return;
        };
        let source = place.source();
        if let Some(count) = self.sources.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&source);
            }
        }
    }

    /// A message arrived.
    pub(crate) fn spoke(&mut self, flow: FlowId) {
        if let Some(place) = self.held.get_mut(&flow) {
            place.spoke = true;
        }
    }

    /// Records which connections are in use; returns those that have been silent for too long.
    pub(crate) fn overdue(
        &mut self,
        now: Duration,
        is_in_use: impl Fn(FlowId) -> bool,
    ) -> Vec<FlowId> {
        let mut overdue = Vec::new();
        for (flow, place) in &mut self.held {
            place.in_use = is_in_use(*flow);
            if now.saturating_sub(place.heard.at()) > place.patience() {
                overdue.push(*flow);
            }
        }
        overdue
    }

    fn longest_silent_of(&self, source: Source) -> Option<FlowId> {
        self.longest_silent(|place| place.source() == source)
    }

    fn longest_silent(&self, counts: impl Fn(&Place) -> bool) -> Option<FlowId> {
        let idle = self
            .held
            .iter()
            .filter(|(_, place)| !place.is_needed() && counts(place));
        idle.min_by_key(|(_, place)| place.heard.at())
            .map(|(flow, _)| *flow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    fn place(remote: &str, heard_at: u64) -> Place {
        let heard = Heard::default();
        heard.note(seconds(heard_at));
        Place {
            remote: remote.parse().unwrap(),
            heard: Arc::new(heard),
            spoke: true,
            is_trunk: false,
            in_use: false,
        }
    }

    fn places(max: usize, per_source: usize, held: &[(&str, u64)]) -> Places {
        let mut places = Places::new(max, per_source);
        for (n, (remote, heard_at)) in (1..).zip(held) {
            places.enter(FlowId(n), place(remote, *heard_at));
        }
        places
    }

    #[test]
    fn the_greediest_makes_room() {
        use Admission::{Denied, Granted, InPlaceOf};
        let admit = |places: &Places, remote: &str| places.admit(remote.parse().unwrap(), false);
        let held = [
            ("10.0.0.1", 50),
            ("10.0.0.2", 40),
            ("10.0.0.2", 20),
            ("10.0.0.2", 30),
        ];
        let table = [
            // The limit in total, the limit per source, the arrivals, and the outcome.
            (5, 3, "10.0.0.1", Granted),
            (5, 3, "10.0.0.3", Granted),
            (5, 3, "10.0.0.2", InPlaceOf(FlowId(3))),
            (4, 4, "10.0.0.1", InPlaceOf(FlowId(3))),
            (4, 4, "10.0.0.3", InPlaceOf(FlowId(3))),
            (4, 1, "10.0.0.1", InPlaceOf(FlowId(1))),
        ];
        for (max, per_source, remote, expected) in table {
            let places = places(max, per_source, &held);
            assert_eq!(
                admit(&places, remote),
                expected,
                "{max} {per_source} {remote}"
            );
        }
        // A connection in use always stays; a trunk is always admitted.
        let mut places = places(4, 3, &held);
        places.overdue(seconds(60), |flow| flow != FlowId(1));
        assert_eq!(admit(&places, "10.0.0.2"), Denied);
        assert_eq!(admit(&places, "10.0.0.3"), InPlaceOf(FlowId(1)));
        places.overdue(seconds(60), |_| true);
        assert_eq!(admit(&places, "10.0.0.3"), Denied);
        assert_eq!(places.admit("10.0.0.3".parse().unwrap(), true), Granted);
        places.leave(FlowId(4));
        assert_eq!(admit(&places, "10.0.0.2"), Granted);
    }

    #[test]
    fn a_v6_source_is_a_subscriber() {
        let held = [("2001:db8:1:1::1", 1), ("2001:db8:1:1:ffff::2", 2)];
        let places = places(9, 2, &held);
        let table = [
            ("2001:db8:1:1::3", Admission::InPlaceOf(FlowId(1))),
            ("2001:db8:1:2::1", Admission::Granted),
        ];
        for (remote, expected) in table {
            assert_eq!(places.admit(remote.parse().unwrap(), false), expected);
        }
    }

    #[test]
    fn silence_ends_a_connection() {
        // Whether it has received a message, is in use, is a trunk's, and the last second of its
        // life.
        let table = [
            (false, false, false, 30),
            (true, false, false, 60),
            (true, true, false, 3700),
            (false, false, true, 3700),
        ];
        for (spoke, in_use, is_trunk, last) in table {
            let mut places = Places::default();
            let new = Place {
                spoke,
                is_trunk,
                ..place("10.0.0.1", 100)
            };
            places.enter(FlowId(1), new);
            let mut overdue = |at| places.overdue(seconds(at), |_| in_use).len();
            assert_eq!(overdue(100 + last), 0, "{last}");
            assert_eq!(overdue(101 + last), 1, "{last}");
        }
    }
}
