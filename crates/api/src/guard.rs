//! Slows down those who guess passwords, and reports them in the log.
//!
//! After some wrong passwords in a row, a source (an address, or an IPv6 network) and an account have to
//! wait before the next one is looked at; each further one doubles the wait. Passwords are verified
//! one after the other, so guesses sent at once are counted, too, and few may wait for their turn.
//! **Invariant: a token that is right, or a password that was right within the last minute, is never
//! refused here**, so guessing never locks out a client that uses tokens. Left to others: what a
//! right password is.

use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::sync::Semaphore;
use tracing::warn;

use crate::failure::Failure;
use crate::source::Source;

/// Wrong passwords without a wait.
const FREE: u32 = 5;
/// The longest wait of a source, and of an account. A stranger can make the owner of an account
/// wait that long.
const LONGEST: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(10)];
/// Wrong passwords are forgotten when none has come for so long.
const FORGOTTEN: Duration = Duration::from_secs(15 * 60);
/// Sources and accounts that are remembered; of more, those that were quiet longest are forgotten.
const MAX_ROWS: usize = 10_000;
/// Passwords that may wait to be verified, each for some tens of milliseconds.
const MAX_WAITING: usize = 32;
/// A source is reported once in this time, and when it has to wait first.
const REPORTED_EVERY: Duration = Duration::from_secs(60);

/// Lets passwords be verified one at a time.
pub(crate) struct Guard {
    attempts: Mutex<Attempts>,
    waiting: Semaphore,
    turn: Semaphore,
    hashes: RandomState,
}

impl Guard {
    pub(crate) fn new() -> Self {
        Self {
            attempts: Mutex::default(),
            waiting: Semaphore::new(MAX_WAITING),
            turn: Semaphore::new(1),
            hashes: RandomState::new(),
        }
    }

    /// Whether a password is right, as `verify` finds out.
    ///
    /// - `account`: names the account: its SID, or else the login that was sent
    /// - `known`: whether nothing need be computed any more
    ///
    /// # Errors
    /// 429 if the source or the account has to wait, or too many passwords wait to be verified.
    pub(crate) async fn admit(
        &self,
        source: Source,
        account: &str,
        known: impl FnOnce() -> bool,
        verify: impl Future<Output = bool>,
    ) -> Result<bool, Failure> {
        let keys = [
            self.hashes.hash_one(("source", source)),
            self.hashes.hash_one(("account", account)),
        ];
        self.check(source, keys)?;
        let Ok(_place) = self.waiting.try_acquire() else {
            return Err(Failure::busy(StatusCode::TOO_MANY_REQUESTS));
        };
        let Ok(_turn) = self.turn.acquire().await else {
            return Err(Failure::busy(StatusCode::TOO_MANY_REQUESTS));
        };
        if known() {
            return Ok(true);
        }
        // Others of the same source may have failed meanwhile.
        self.check(source, keys)?;
        // Counted at once: a client that closes its connection meanwhile has guessed, too.
        let now = Instant::now();
        self.attempts().failed(keys, now);
        let good = verify.await;
        if good {
            self.attempts().succeeded(keys);
        } else {
            let count = self.attempts().due(keys[0], now);
            report(source, count);
        }
        Ok(good)
    }

    fn check(&self, source: Source, keys: [u64; 2]) -> Result<(), Failure> {
        let now = Instant::now();
        let mut attempts = self.attempts();
        let Some(wait) = attempts.wait(keys, now) else {
            return Ok(());
        };
        let count = attempts.refused(keys, now);
        drop(attempts);
        report(source, count);
        Err(Failure::too_many_passwords(wait))
    }

    fn attempts(&self) -> std::sync::MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One line per source and minute, which tools such as fail2ban can act on.
fn report(source: Source, count: Option<u32>) {
    if let Some(count) = count {
        warn!(source = %source, count, "wrong passwords sent to the API");
    }
}

/// Wrong passwords of each source and account.
#[derive(Default)]
struct Attempts {
    rows: HashMap<u64, Row>,
}

struct Row {
    /// Wrong passwords in a row.
    failures: u32,
    last: Instant,
    reported: Option<Instant>,
    /// Attempts since the last report.
    unreported: u32,
}

impl Attempts {
    /// How long one of them has to wait; `None` if neither has to.
    fn wait(&self, keys: [u64; 2], now: Instant) -> Option<Duration> {
        let waits = keys.iter().zip(LONGEST).filter_map(|(key, longest)| {
            let row = self.rows.get(key)?;
            let doublings = row.failures.checked_sub(FREE)?.min(16);
            let wait = longest.min(Duration::from_secs(1 << doublings));
            wait.checked_sub(now.duration_since(row.last))
        });
        waits.max().filter(|wait| !wait.is_zero())
    }

    /// A password is wrong, unless [`Attempts::succeeded`] follows.
    fn failed(&mut self, keys: [u64; 2], now: Instant) {
        self.make_room(now);
        for key in keys {
            let row = self.rows.entry(key).or_insert_with(|| Row {
                failures: 0,
                last: now,
                reported: None,
                unreported: 0,
            });
            if now.duration_since(row.last) >= FORGOTTEN {
                row.failures = 0;
            }
            row.failures = row.failures.saturating_add(1);
            row.last = now;
        }
        self.count(keys[0]);
    }

    /// An attempt was refused unseen. Returns how many to report.
    fn refused(&mut self, keys: [u64; 2], now: Instant) -> Option<u32> {
        self.count(keys[0]);
        self.due(keys[0], now)
    }

    fn count(&mut self, source: u64) {
        if let Some(row) = self.rows.get_mut(&source) {
            row.unreported = row.unreported.saturating_add(1);
        }
    }

    /// How many attempts of a source to report, if it is time to.
    ///
    /// - `now`: of the last attempt
    fn due(&mut self, source: u64, now: Instant) -> Option<u32> {
        let row = self.rows.get_mut(&source)?;
        let starts_to_wait = row.failures == FREE && row.last == now;
        let due = row
            .reported
            .is_none_or(|reported| now.duration_since(reported) >= REPORTED_EVERY);
        if !due && !starts_to_wait {
            return None;
        }
        row.reported = Some(now);
        Some(std::mem::take(&mut row.unreported))
    }

    /// The password that was counted last was right: its account need not wait any more. Its source
    /// must, or one right password between the guesses would undo them.
    fn succeeded(&mut self, [source, account]: [u64; 2]) {
        self.rows.remove(&account);
        if let Some(row) = self.rows.get_mut(&source) {
            row.failures = row.failures.saturating_sub(1);
            row.unreported = row.unreported.saturating_sub(1);
        }
    }

    fn make_room(&mut self, now: Instant) {
        if self.rows.len() + 2 <= MAX_ROWS {
            return;
        }
        self.rows
            .retain(|_, row| now.duration_since(row.last) < FORGOTTEN);
        while self.rows.len() + 2 > MAX_ROWS {
            let quietest = self.rows.iter().min_by_key(|(_, row)| row.last);
            let Some((key, _)) = quietest.map(|(key, row)| (*key, row.last)) else {
                return;
            };
            self.rows.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn waits_grow_and_end() {
        let start = Instant::now();
        let mut attempts = Attempts::default();
        for _ in 0..4 {
            attempts.failed([1, 2], start);
            assert_eq!(attempts.wait([1, 2], start), None);
        }
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            attempts.failed([1, 2], start);
            assert_eq!(attempts.wait([1, 2], start), Some(seconds(wait)));
            assert_eq!(attempts.wait([1, 3], start), Some(seconds(wait)), "source");
            let account = attempts.wait([4, 2], start);
            assert_eq!(account, Some(seconds(wait.min(10))), "account");
            assert_eq!(attempts.wait([4, 3], start), None, "others");
        }
        let later = start + seconds(20);
        assert_eq!(attempts.wait([1, 2], later), Some(seconds(40)));
        assert_eq!(attempts.wait([1, 2], start + seconds(60)), None);
        attempts.failed([1, 2], start + FORGOTTEN);
        assert_eq!(attempts.wait([1, 2], start + FORGOTTEN), None, "forgotten");
    }

    #[test]
    fn a_right_password_frees_the_account_but_not_the_source() {
        let start = Instant::now();
        let mut attempts = Attempts::default();
        for _ in 0..5 {
            attempts.failed([1, 2], start);
        }
        attempts.failed([9, 2], start);
        attempts.succeeded([9, 2]);
        assert_eq!(attempts.wait([9, 2], start), None);
        assert_eq!(attempts.wait([1, 2], start), Some(seconds(1)));
        // Correct passwords never count as guesses, however many are sent.
        for _ in 0..10 {
            attempts.failed([9, 2], start);
            attempts.succeeded([9, 2]);
        }
        assert_eq!(attempts.wait([9, 2], start), None);
        assert_eq!(attempts.due(9, start), Some(0));
    }

    #[tokio::test]
    async fn a_guess_counts_even_if_the_client_does_not_wait_for_the_answer() {
        let guard = Guard::new();
        for _ in 0..FREE {
            let guess = guard.admit(Source::NONE, "a", || false, std::future::pending());
            let waited = tokio::time::timeout(Duration::from_millis(1), guess).await;
            assert!(waited.is_err());
        }
        let right = std::future::ready(true);
        let next = guard.admit(Source::NONE, "a", || false, right).await;
        assert!(next.is_err());
    }

    #[test]
    fn a_source_is_reported_at_first_when_it_has_to_wait_and_once_a_minute() {
        let start = Instant::now();
        let mut attempts = Attempts::default();
        let mut reports = Vec::new();
        for second in 0..130 {
            let now = start + seconds(second);
            let count = match attempts.wait([1, 2], now) {
                Some(_) => attempts.refused([1, 2], now),
                None => {
                    attempts.failed([1, 2], now);
                    attempts.due(1, now)
                }
            };
            reports.extend(count.map(|count| (second, count)));
        }
        assert_eq!(reports, [(0, 1), (4, 4), (64, 60), (124, 60)]);
    }

    #[test]
    fn memory_is_bounded() {
        let start = Instant::now();
        let mut attempts = Attempts::default();
        for n in 0..5_100 {
            attempts.failed([2 * n, 2 * n + 1], start + Duration::from_millis(n));
        }
        assert!(attempts.rows.len() <= MAX_ROWS);
        assert!(attempts.rows.contains_key(&10_198), "the newest is there");
    }
}
