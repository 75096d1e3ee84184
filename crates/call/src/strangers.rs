//! Limits the resources of unauthenticated callers (neither trunks nor clients).
//!
//! A call in set-up holds memory and RTP ports, and one that is never confirmed by an ACK holds
//! them for half a minute, at the cost of one small datagram; a confirmed one holds them as long as
//! its document runs. **Invariant: whatever strangers do, calls of trunks and authenticated clients find
//! ports and places:** neither a stranger's call nor any leg that its family dials opens an endpoint while as many are open,
//! or about to be, as strangers may use. Left to others: identifying calls and their callers.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use media::EndpointId;
use model::Source;

/// How much strangers may hold.
#[derive(Clone, Copy, Debug)]
pub struct StrangerLimits {
    /// Maximum calls from one address (IPv6: one /64), confirmed or not.
    pub per_source: usize,
    /// Maximum calls from one address not yet confirmed by an ACK.
    pub unconfirmed_per_source: usize,
    /// Maximum such calls from all addresses.
    pub unconfirmed: usize,
    /// Number of open RTP endpoints, of any calls, from which on no stranger's call is admitted and no leg of one
    /// gets an endpoint.
    pub endpoints: usize,
}

/// Counts the calls of strangers.
#[derive(Debug)]
pub(crate) struct Strangers {
    limits: StrangerLimits,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    unconfirmed: usize,
    /// Endpoints that admitted calls have still to open.
    unopened: usize,
    by_source: HashMap<Source, OfSource>,
}

/// Calls of one source.
#[derive(Debug, Default, Clone, Copy)]
struct OfSource {
    all: usize,
    unconfirmed: usize,
}

/// Which limit refuses a stranger's call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Full {
    /// That of its source.
    Source,
    /// That of all strangers together.
    Strangers,
}

/// The place of one call; dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Place {
    strangers: Arc<Strangers>,
    source: Source,
    is_confirmed: bool,
    /// An endpoint is reserved for the caller's leg, which opens it when it is answered.
    is_reserved: bool,
    /// Endpoints that were requested and are not reported yet.
    opening: BTreeSet<EndpointId>,
}

impl Strangers {
    pub(crate) fn new(limits: StrangerLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            counts: Mutex::default(),
        })
    }

    /// A place for a new call, unless a limit is reached.
    ///
    /// - `endpoints`: number currently open
    pub(crate) fn enter(self: &Arc<Self>, from: IpAddr, endpoints: usize) -> Result<Place, Full> {
        let source = Source::from(from);
        let mut counts = self.counts();
        let mut of_source = counts.by_source.get(&source).copied().unwrap_or_default();
        if of_source.all >= self.limits.per_source
            || of_source.unconfirmed >= self.limits.unconfirmed_per_source
        {
            return Err(Full::Source);
        }
        if self.is_full(&counts, endpoints) || counts.unconfirmed >= self.limits.unconfirmed {
            return Err(Full::Strangers);
        }
        counts.unopened += 1;
        counts.unconfirmed += 1;
        of_source.all += 1;
        of_source.unconfirmed += 1;
        counts.by_source.insert(source, of_source);
        drop(counts);
        Ok(Place {
            strangers: Arc::clone(self),
            source,
            is_confirmed: false,
            is_reserved: true,
            opening: BTreeSet::new(),
        })
    }

    /// Whether strangers may not use another endpoint.
    fn is_full(&self, counts: &Counts, endpoints: usize) -> bool {
        endpoints + counts.unopened >= self.limits.endpoints
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn confirm(&mut self, source: Source) {
        self.unconfirmed -= 1;
        if let Some(of_source) = self.by_source.get_mut(&source) {
            of_source.unconfirmed -= 1;
        }
    }
}

impl Place {
    /// The call is confirmed, or will not be: it no longer counts as unconfirmed.
    pub(crate) fn confirm(&mut self) {
        if !self.is_confirmed {
            self.is_confirmed = true;
            self.strangers.counts().confirm(self.source);
        }
    }

    /// Whether a leg of the family may open its endpoint.
    ///
    /// - `is_caller`: it is the caller's leg, for which an endpoint was reserved
    /// - `endpoints`: number currently open
    pub(crate) fn open(&mut self, endpoint: EndpointId, is_caller: bool, endpoints: usize) -> bool {
        if !(is_caller && std::mem::take(&mut self.is_reserved)) {
            let mut counts = self.strangers.counts();
            if self.strangers.is_full(&counts, endpoints) {
                return false;
            }
            counts.unopened += 1;
        }
        if !self.opening.insert(endpoint) {
            self.strangers.counts().unopened -= 1;
        }
        true
    }

    /// An endpoint is open, and counted as such, or will not be.
    pub(crate) fn opened(&mut self, endpoint: EndpointId) {
        if self.opening.remove(&endpoint) {
            self.strangers.counts().unopened -= 1;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.confirm();
        let mut counts = self.strangers.counts();
        counts.unopened -= self.opening.len() + usize::from(self.is_reserved);
        if let Some(of_source) = counts.by_source.get_mut(&self.source) {
            of_source.all -= 1;
            if of_source.all == 0 {
                counts.by_source.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strangers() -> Arc<Strangers> {
        Strangers::new(StrangerLimits {
            per_source: 4,
            unconfirmed_per_source: 2,
            unconfirmed: 5,
            endpoints: 100,
        })
    }

    #[test]
    fn strangers_leave_room_for_others() {
        let strangers = strangers();
        let from = |text: &str| strangers.enter(text.parse().unwrap(), 90);
        let one = from("198.51.100.1").unwrap();
        let _two = from("::ffff:198.51.100.1").unwrap();
        assert_eq!(from("198.51.100.1").unwrap_err(), Full::Source);
        let _three = from("2001:db8::1").unwrap();
        let _four = from("2001:db8::ffff:2").unwrap();
        assert_eq!(from("2001:db8:0:0:7::1").unwrap_err(), Full::Source);
        let _five = from("2001:db8:0:1::1").unwrap();
        assert_eq!(from("198.51.100.9").unwrap_err(), Full::Strangers);
        drop(one);
        assert!(from("198.51.100.1").is_ok(), "a place that was given back");
        let busy = |endpoints| strangers.enter("198.51.100.9".parse().unwrap(), endpoints);
        // Four calls have still to open theirs.
        assert_eq!(busy(96).unwrap_err(), Full::Strangers);
        assert!(busy(95).is_ok());
    }

    #[test]
    fn legs_that_a_strangers_call_dials_leave_endpoints_to_others() {
        let strangers = strangers();
        let enter = |last| strangers.enter(IpAddr::from([198, 51, 100, last]), 96);
        let [mut one, two] = [1, 2].map(|last| enter(last).unwrap());
        let leg = EndpointId;
        assert!(one.open(leg(1), false, 96), "98 used or reserved");
        assert!(one.open(leg(2), false, 96), "99");
        assert!(
            !one.open(leg(3), false, 96),
            "all, although none is open yet"
        );
        assert_eq!(enter(3).unwrap_err(), Full::Strangers);
        assert!(one.open(leg(4), true, 96), "its own is reserved");
        assert!(!one.open(leg(5), true, 96), "but only one");
        one.opened(leg(1));
        one.opened(leg(1));
        assert!(!one.open(leg(3), false, 97), "counted as open");
        drop(two);
        assert!(one.open(leg(3), false, 97), "a reservation is given back");
        assert!(!one.open(leg(5), false, 97));
        drop(one);
        assert_eq!(strangers.counts().unopened, 0);
    }

    #[test]
    fn confirmed_calls_of_a_source_are_limited_too() {
        let strangers = strangers();
        let from = |text: &str| strangers.enter(text.parse().unwrap(), 0);
        let mut held = Vec::new();
        for last in 1..=4 {
            let mut place = from(&format!("2001:db8::{last}")).unwrap();
            place.confirm();
            place.confirm();
            held.push(place);
        }
        assert_eq!(from("2001:db8::5").unwrap_err(), Full::Source);
        let _other = from("2001:db8:0:1::1").unwrap();
        held.pop();
        let _last = from("2001:db8::5").unwrap();
        assert_eq!(from("2001:db8::6").unwrap_err(), Full::Source);
        assert_eq!(strangers.counts().unconfirmed, 2);
    }

    #[test]
    fn nothing_is_kept_of_sources_that_are_gone() {
        let strangers = strangers();
        for last in 0..200 {
            drop(strangers.enter(IpAddr::from([198, 51, 100, last]), 0));
        }
        let counts = strangers.counts();
        assert!(counts.unconfirmed == 0 && counts.by_source.is_empty());
    }
}
