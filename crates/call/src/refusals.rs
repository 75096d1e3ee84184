//! Counts calls and registrations refused before they began: wrong passwords, unknown numbers.
//!
//! They leave no other record, and the caller's owner is often not known. They are counted by
//! source, reason and name, logged once per source, reason and minute, and stored for `patchcord doctor phones`.
//! **Invariant: what strangers send costs bounded memory and rows.**

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use model::news::{Limits, News};
use model::record::Refusal;
use model::{AccountSid, RefusalReason, Source, Timestamp};
use store::{Change, Store};
use tracing::{info, warn};

/// Of notifications that strangers or a failing host can cause.
pub(crate) const NOTIFICATIONS: Limits = Limits {
    quiet: Duration::from_secs(60),
    of_account: 20,
    of_all: 1_000,
};
/// How often the counts are stored.
const STORE_EVERY: Duration = Duration::from_secs(10);
/// How long a source that was logged for a reason is counted without being logged for it again.
const QUIET: Duration = Duration::from_secs(60);
/// Maximum combinations of source, reason and name between two stores; the rest are counted under
/// [`OTHERS`].
const MOST: usize = 50;
/// Maximum combinations of one source.
const MOST_OF_SOURCE: usize = 20;
/// Sources, with a reason each, that are remembered as logged; others are only counted.
const MOST_LOGGED: usize = 1_000;
/// Maximum characters of a stored name.
const LONGEST: usize = 64;
/// Name under which the rest are counted.
const OTHERS: &str = "(others)";

/// Counts refusals. Cheap to clone.
#[derive(Clone)]
pub struct Refusals(Arc<Inner>);

struct Inner {
    tally: Mutex<Tally>,
    notified: Mutex<News>,
    total: AtomicU64,
}

/// The pure part.
#[derive(Default)]
struct Tally {
    counts: BTreeMap<(Source, RefusalReason, String), Count>,
    /// When each source was logged for a reason, and how often it was turned away for it since then.
    logged: BTreeMap<(Source, RefusalReason), (Instant, u64)>,
}

struct Count {
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

impl Refusals {
    /// Starts counting, and stores the counts while a handle exists. Must be called within a tokio
    /// runtime.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let inner = Arc::new(Inner {
            tally: Mutex::default(),
            notified: Mutex::new(News::new(NOTIFICATIONS)),
            total: AtomicU64::new(0),
        });
        tokio::spawn(keep(Arc::downgrade(&inner), store));
        Self(inner)
    }

    /// Counts one more.
    ///
    /// - `name`: the login, or the called party
    pub fn note(&self, from: IpAddr, reason: RefusalReason, name: &str) {
        self.0.total.fetch_add(1, Ordering::Relaxed);
        let source = Source::from(from);
        let said = self
            .0
            .tally()
            .note(source, reason, name, (crate::now(), Instant::now()));
        if let Some(earlier) = said {
            info!(%source, reason = reason.as_str(), earlier, "turned away");
        }
    }

    /// Whether to notify an account of a stranger's call, which strangers can repeat as often as they
    /// like.
    ///
    /// - `text`: of the notification; it names the number
    pub(crate) fn is_news(&self, account: AccountSid, code: u16, text: &str) -> bool {
        self.0.news().is_news(account, code, text, Instant::now())
    }

    /// Takes back a notification that could not be stored.
    pub(crate) fn forget(&self, account: AccountSid, code: u16, text: &str) {
        self.0.news().forget(account, code, text);
    }

    /// Total since the start.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.total.load(Ordering::Relaxed)
    }
}

impl Inner {
    fn news(&self) -> MutexGuard<'_, News> {
        self.notified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    /// Returns how often the source was turned away for this reason since it was logged last, if it is to
    /// be logged.
    ///
    /// - `date`: the wall time, for the record; `now` decides what is logged.
    fn note(
        &mut self,
        source: Source,
        reason: RefusalReason,
        name: &str,
        (date, now): (Timestamp, Instant),
    ) -> Option<u64> {
        let name: String = name.chars().take(LONGEST).collect();
        let start = (source, RefusalReason::ALL[0], String::new());
        let of_source = self.counts.range(start..);
        let of_source = of_source.take_while(|((other, ..), _)| *other == source);
        let is_much = self.counts.len() >= MOST || of_source.count() >= MOST_OF_SOURCE;
        let mut key = (source, reason, name);
        if is_much && !self.counts.contains_key(&key) {
            key.2 = OTHERS.to_owned();
            if self.counts.len() >= 2 * MOST && !self.counts.contains_key(&key) {
                // The source too: an attacker can forge as many as it likes.
                key.0 = IpAddr::V4(Ipv4Addr::UNSPECIFIED).into();
            }
        }
        let count = self.counts.entry(key).or_insert(Count {
            count: 0,
            first: date,
            last: date,
        });
        count.count += 1;
        count.last = date;
        let is_full = self.logged.len() >= MOST_LOGGED;
        match self.logged.get_mut(&(source, reason)) {
            Some((at, since)) if now.saturating_duration_since(*at) < QUIET => {
                *since += 1;
                None
            }
            None if is_full => None,
            known => {
                let earlier = known.map_or(0, |(_, since)| *since);
                self.logged.insert((source, reason), (now, 0));
                Some(earlier)
            }
        }
    }

    /// Takes the counts to be stored; forgets sources that have been quiet.
    fn take(&mut self, now: Instant) -> Vec<Refusal> {
        self.logged.retain(|_, (at, since)| {
            let ago = now.saturating_duration_since(*at);
            ago < QUIET || *since > 0 && ago < QUIET * 2
        });
        let counts = std::mem::take(&mut self.counts);
        let refusal = |((source, reason, name), count): (_, Count)| Refusal {
            source,
            reason,
            name,
            count: count.count,
            first: count.first,
            last: count.last,
        };
        counts.into_iter().map(refusal).collect()
    }
}

/// Stores the counts until the last handle is gone.
async fn keep(inner: Weak<Inner>, store: Store) {
    loop {
        tokio::time::sleep(STORE_EVERY).await;
        let Some(inner) = inner.upgrade() else {
            return;
        };
        let refusals = inner.tally().take(Instant::now());
        let changes: Vec<Change> = refusals
            .into_iter()
            .map(|refusal| Change::Refused(Box::new(refusal)))
            .collect();
        if changes.is_empty() {
            continue;
        }
        if let Err(error) = store.commit_soon(changes).await {
            warn!(%error, "counts of refused calls and registrations could not be stored");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REASON: RefusalReason = RefusalReason::WrongPassword;

    fn source(last: u8) -> Source {
        IpAddr::from([198, 51, 100, last]).into()
    }

    #[test]
    fn a_source_is_logged_once_a_minute_for_each_reason_and_counted_by_name() {
        let (mut tally, start) = (Tally::default(), Instant::now());
        let mut note = |second: u64, reason: RefusalReason, name: &str| {
            let now = start + Duration::from_secs(second);
            tally.note(source(1), reason, name, (Timestamp(0), now))
        };
        assert_eq!(note(0, REASON, "bob"), Some(0));
        assert_eq!(note(1, REASON, "bob"), None);
        assert_eq!(note(59, REASON, "eve"), None);
        // A scanner that is logged for one reason does not hide a phone behind the same address.
        let other = RefusalReason::ALL
            .into_iter()
            .find(|reason| *reason != REASON);
        assert_eq!(note(59, other.unwrap(), "bob"), Some(0));
        assert_eq!(note(60, REASON, "bob"), Some(2));
        let stored = tally.take(start + Duration::from_secs(61));
        let stored: Vec<_> = stored
            .iter()
            .map(|one| (&one.name[..], one.count))
            .collect();
        let mut expected = [("bob", 3), ("eve", 1), ("bob", 1)];
        expected.sort_unstable();
        let mut stored = stored;
        stored.sort_unstable();
        assert_eq!(stored, expected);
    }

    #[test]
    fn what_strangers_send_costs_bounded_memory() {
        let (mut tally, start) = (Tally::default(), Instant::now());
        for n in 0..10_000_u32 {
            let last = u8::try_from(n % 250).unwrap();
            let now = (Timestamp(0), start);
            tally.note(source(last), REASON, &n.to_string(), now);
        }
        assert!(tally.counts.len() <= 2 * MOST + 1, "{}", tally.counts.len());
        let of_one = tally.counts.keys().filter(|(from, ..)| *from == source(1));
        assert!(of_one.count() <= MOST_OF_SOURCE + 1);
        tally.take(start);
        assert!(tally.counts.is_empty());
        tally.take(start + QUIET * 3);
        assert!(tally.logged.is_empty());
    }
}
