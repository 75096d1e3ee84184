//! Limits the resources of unauthenticated callers (neither trunks nor clients).
//!
//! A call in set-up holds memory and RTP ports, and one that is never confirmed by an ACK holds
//! them for half a minute, at the cost of one small datagram. **Invariant: whatever strangers do,
//! calls of trunks and authenticated clients find ports and places.** Left to others: identifying
//! calls and their callers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::Source;

/// How much strangers may hold.
#[derive(Clone, Copy, Debug)]
pub struct StrangerLimits {
    /// Maximum calls from one address (IPv6: one /64) not yet confirmed by an ACK.
    pub unconfirmed_per_source: usize,
    /// Maximum such calls from all addresses.
    pub unconfirmed: usize,
    /// Number of open RTP endpoints, of any calls, above which no stranger's call is admitted.
    pub endpoints: usize,
}

/// Counts the unconfirmed calls of strangers.
#[derive(Debug)]
pub(crate) struct Strangers {
    limits: StrangerLimits,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_source: HashMap<Source, usize>,
}

/// The place of one unconfirmed call; dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Place {
    strangers: Arc<Strangers>,
    source: Source,
}

impl Strangers {
    pub(crate) fn new(limits: StrangerLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            counts: Mutex::default(),
        })
    }

    /// A place for a new call; `None` if strangers have reached their limit.
    ///
    /// - `endpoints`: number currently open
    pub(crate) fn enter(self: &Arc<Self>, from: IpAddr, endpoints: usize) -> Option<Place> {
        let source = Source::from(from);
        let mut counts = self.counts();
        let of_source = counts.by_source.get(&source).copied().unwrap_or_default();
        if endpoints >= self.limits.endpoints
            || counts.total >= self.limits.unconfirmed
            || of_source >= self.limits.unconfirmed_per_source
        {
            return None;
        }
        counts.total += 1;
        counts.by_source.insert(source, of_source + 1);
        drop(counts);
        Some(Place {
            strangers: Arc::clone(self),
            source,
        })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.strangers.counts();
        counts.total -= 1;
        if let Some(count) = counts.by_source.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
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
            unconfirmed_per_source: 2,
            unconfirmed: 5,
            endpoints: 100,
        })
    }

    #[test]
    fn strangers_leave_room_for_others() {
        let strangers = strangers();
        let from = |text: &str| strangers.enter(text.parse().unwrap(), 99);
        let one = from("198.51.100.1").unwrap();
        let _two = from("::ffff:198.51.100.1").unwrap();
        assert!(from("198.51.100.1").is_none(), "of one source");
        let _three = from("2001:db8::1").unwrap();
        let _four = from("2001:db8::ffff:2").unwrap();
        assert!(from("2001:db8:0:0:7::1").is_none(), "of one /64");
        let _five = from("2001:db8:0:1::1").unwrap();
        assert!(from("198.51.100.9").is_none(), "of all sources");
        drop(one);
        assert!(
            from("198.51.100.1").is_some(),
            "a place that was given back"
        );
        let busy = |endpoints| strangers.enter("198.51.100.9".parse().unwrap(), endpoints);
        assert!(busy(100).is_none() && busy(99).is_some());
    }

    #[test]
    fn nothing_is_kept_of_sources_that_are_gone() {
        let strangers = strangers();
        for last in 0..200 {
            drop(strangers.enter(IpAddr::from([198, 51, 100, last]), 0));
        }
        let counts = strangers.counts();
        assert!(counts.total == 0 && counts.by_source.is_empty());
    }
}
