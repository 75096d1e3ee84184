//! Limits the resources of unauthenticated callers (neither trunks nor clients).
//!
//! A call in set-up holds memory and RTP ports, and one that is never confirmed by an ACK holds
//! them for half a minute, at the cost of one small datagram; a confirmed one holds them as long as
//! its document runs. **Invariant: whatever strangers do,
//! calls of trunks and authenticated clients find ports and places.** Left to others: identifying
//! calls and their callers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// Number of open RTP endpoints, of any calls, above which no stranger's call is admitted.
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
        if endpoints >= self.limits.endpoints || counts.unconfirmed >= self.limits.unconfirmed {
            return Err(Full::Strangers);
        }
        counts.unconfirmed += 1;
        of_source.all += 1;
        of_source.unconfirmed += 1;
        counts.by_source.insert(source, of_source);
        drop(counts);
        Ok(Place {
            strangers: Arc::clone(self),
            source,
            is_confirmed: false,
        })
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
}

impl Drop for Place {
    fn drop(&mut self) {
        self.confirm();
        let mut counts = self.strangers.counts();
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
        let from = |text: &str| strangers.enter(text.parse().unwrap(), 99);
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
        assert_eq!(busy(100).unwrap_err(), Full::Strangers);
        assert!(busy(99).is_ok());
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
