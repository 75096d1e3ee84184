//! Slows down those who guess passwords, and reports them in the log.
//!
//! After some wrong passwords in a row, the next one is only looked at after a wait, which each further one doubles.
//! They are counted for a source (an address, or an IPv6 network) and an account together, for a source alone, and
//! more leniently for an account whatever the source. Passwords are verified one after the other, so guesses sent at
//! once are counted, too. Those that wait for their turn are served in rounds, one of each source.
//! **Invariants: a token that is right, or a password that was right within the last minute, is never
//! refused here. A source from which an account logged in lately never waits for the guesses of other sources, or at
//! other accounts**, so guessing locks nobody out. Left to others: what a right password is.

use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use model::Source;
use model::guesses::{Guessed, OF_ACCOUNT, OF_PAIR, OF_SOURCE};
use tokio::sync::Semaphore;
use tracing::warn;

use crate::failure::Failure;

/// Counts that are remembered; of more, those that were quiet longest are forgotten.
const MAX_ROWS: usize = 10_000;
/// How long a source from which an account logged in counts as its own.
const PROVED: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Such sources that are remembered; of more, those that logged in longest ago are forgotten.
const MAX_PROVED: usize = 10_000;
/// Passwords that may wait to be verified, each for some tens of milliseconds.
const MAX_WAITING: usize = 128;
/// Those from sources from which the account has not logged in lately.
const MAX_UNPROVED: usize = 96;
/// Those of one source.
const MAX_OF_SOURCE: usize = 24;
/// A source is reported once in this time, and when it has to wait first.
const REPORTED_EVERY: Duration = Duration::from_secs(60);

/// Lets passwords be verified one at a time.
pub(crate) struct Guard {
    attempts: Mutex<Attempts>,
    queue: Mutex<Queue>,
    turn: Semaphore,
    hashes: RandomState,
}

/// What wrong passwords are counted under.
#[derive(Clone, Copy)]
struct Keys {
    source: u64,
    account: u64,
    pair: u64,
}

impl Keys {
    fn each(self) -> [u64; 3] {
        [self.source, self.account, self.pair]
    }
}

impl Guard {
    pub(crate) fn new() -> Self {
        Self {
            attempts: Mutex::default(),
            queue: Mutex::default(),
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
    /// 429 if the source or the account has to wait, or too many passwords wait to be verified; otherwise the error of
    /// `verify`, which does not count as a wrong password.
    pub(crate) async fn admit(
        &self,
        source: Source,
        account: &str,
        known: impl FnOnce() -> bool,
        verify: impl Future<Output = Result<bool, Failure>>,
    ) -> Result<bool, Failure> {
        let keys = Keys {
            source: self.hashes.hash_one(("source", source)),
            account: self.hashes.hash_one(("account", account)),
            pair: self.hashes.hash_one(("pair", source, account)),
        };
        self.check(source, keys)?;
        let is_proved = self.attempts().is_proved(keys.pair, Instant::now());
        let busy = || Failure::busy(StatusCode::TOO_MANY_REQUESTS);
        let place = self.enter(source, is_proved).ok_or_else(busy)?;
        let (Ok(_own), Ok(_turn)) = (place.turn.acquire().await, self.turn.acquire().await) else {
            return Err(busy());
        };
        if known() {
            return Ok(true);
        }
        // Others of the same source may have failed meanwhile.
        self.check(source, keys)?;
        // Counted at once: a client that closes its connection meanwhile has guessed, too.
        let now = Instant::now();
        let before = self.attempts().failed(keys, now);
        let verified = verify.await;
        match verified {
            Ok(true) => self.attempts().succeeded(keys, before, now),
            Ok(false) => {
                let count = self.attempts().due(keys, now);
                report(source, count);
            }
            Err(_) => self.attempts().undo(keys, before),
        }
        verified
    }

    fn check(&self, source: Source, keys: Keys) -> Result<(), Failure> {
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

    /// A place among those that wait for their turn.
    fn enter(&self, source: Source, is_proved: bool) -> Option<Place<'_>> {
        let turn = self.queue().enter(source, is_proved)?;
        Some(Place {
            guard: self,
            source,
            turn,
        })
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Given back when it is dropped.
struct Place<'a> {
    guard: &'a Guard,
    source: Source,
    /// Of its source.
    turn: Arc<Semaphore>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.guard.queue().leave(self.source);
    }
}

/// How many passwords of each source wait, and which of them waits with those of other sources.
#[derive(Default)]
struct Queue {
    of_source: HashMap<Source, (usize, Arc<Semaphore>)>,
}

impl Queue {
    fn enter(&mut self, source: Source, is_proved: bool) -> Option<Arc<Semaphore>> {
        let total: usize = self.of_source.values().map(|(count, _)| count).sum();
        let limit = if is_proved { MAX_WAITING } else { MAX_UNPROVED };
        let own = self.of_source.get(&source).map_or(0, |(count, _)| *count);
        if total >= limit || own >= MAX_OF_SOURCE {
            return None;
        }
        let new = || (0, Arc::new(Semaphore::new(1)));
        let (count, turn) = self.of_source.entry(source).or_insert_with(new);
        *count += 1;
        Some(Arc::clone(turn))
    }

    fn leave(&mut self, source: Source) {
        if let Some((count, _)) = self.of_source.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.of_source.remove(&source);
            }
        }
    }
}

/// One line per source and minute, which tools such as fail2ban can act on.
fn report(source: Source, count: Option<u32>) {
    if let Some(count) = count {
        warn!(source = %source, count, "wrong passwords sent to the API");
    }
}

/// Wrong passwords, and who proved to know a right one.
#[derive(Default)]
struct Attempts {
    rows: HashMap<u64, Row>,
    /// When a source last sent the right password of an account.
    proved: HashMap<u64, Instant>,
}

struct Row {
    guessed: Guessed,
    reported: Option<Instant>,
    /// Attempts since the last report.
    unreported: u32,
}

/// Wrong passwords in a row and the last of them for each of [`Keys::each`], before one more was counted.
struct Before([Option<Guessed>; 3]);

impl Attempts {
    /// How long the next password has to wait; `None` if it need not.
    fn wait(&self, keys: Keys, now: Instant) -> Option<Duration> {
        let of = |key, patience| self.rows.get(key)?.guessed.wait(patience, now);
        let of_pair = of(&keys.pair, &OF_PAIR);
        if self.is_proved(keys.pair, now) {
            return of_pair;
        }
        let of_source = of(&keys.source, &OF_SOURCE);
        let of_account = of(&keys.account, &OF_ACCOUNT);
        of_pair.max(of_source).max(of_account)
    }

    fn is_proved(&self, pair: u64, now: Instant) -> bool {
        let at = self.proved.get(&pair);
        at.is_some_and(|at| now.duration_since(*at) < PROVED)
    }

    /// A password is wrong, unless [`Attempts::succeeded`] or [`Attempts::undo`] follows, which take what this returns.
    fn failed(&mut self, keys: Keys, now: Instant) -> Before {
        self.make_room(now);
        let before = keys
            .each()
            .map(|key| self.rows.get(&key).map(|row| row.guessed));
        for key in keys.each() {
            let row = self.rows.entry(key).or_insert_with(|| Row {
                guessed: Guessed::new(now),
                reported: None,
                unreported: 0,
            });
            row.guessed.note(now);
        }
        self.count(keys.source);
        Before(before)
    }

    /// An attempt was refused unseen. Returns how many to report.
    fn refused(&mut self, keys: Keys, now: Instant) -> Option<u32> {
        self.count(keys.source);
        self.due(keys, now)
    }

    fn count(&mut self, source: u64) {
        if let Some(row) = self.rows.get_mut(&source) {
            row.unreported = row.unreported.saturating_add(1);
        }
    }

    /// How many attempts of a source to report, if it is time to.
    ///
    /// - `now`: of the last attempt
    fn due(&mut self, keys: Keys, now: Instant) -> Option<u32> {
        let starts = |row: &Row, free| row.guessed.failures() == free && row.guessed.last() == now;
        let of_pair = self.rows.get(&keys.pair);
        let starts_to_wait = of_pair.is_some_and(|row| starts(row, OF_PAIR.free));
        let row = self.rows.get_mut(&keys.source)?;
        let starts_to_wait = starts_to_wait || starts(row, OF_SOURCE.free);
        let due = row
            .reported
            .is_none_or(|reported| now.duration_since(reported) >= REPORTED_EVERY);
        if !due && !starts_to_wait {
            return None;
        }
        row.reported = Some(now);
        Some(std::mem::take(&mut row.unreported))
    }

    /// The password that was counted last was right: this source need not wait for this account any more. For others
    /// it must, or one right password between the guesses would undo them.
    fn succeeded(&mut self, keys: Keys, before: Before, now: Instant) {
        self.undo(keys, before);
        self.rows.remove(&keys.pair);
        if self.proved.len() >= MAX_PROVED && !self.proved.contains_key(&keys.pair) {
            forget_oldest(&mut self.proved, |at| *at);
        }
        self.proved.insert(keys.pair, now);
    }

    /// The password that was counted last was not wrong: earlier ones are forgotten as if it had not come.
    fn undo(&mut self, keys: Keys, before: Before) {
        for (key, before) in keys.each().into_iter().zip(before.0) {
            match (before, self.rows.get_mut(&key)) {
                (Some(guessed), Some(row)) => row.guessed = guessed,
                (Some(_), None) => {}
                (None, _) => drop(self.rows.remove(&key)),
            }
        }
        if let Some(row) = self.rows.get_mut(&keys.source) {
            row.unreported = row.unreported.saturating_sub(1);
        }
    }

    fn make_room(&mut self, now: Instant) {
        if self.rows.len() + 3 <= MAX_ROWS {
            return;
        }
        self.rows.retain(|_, row| !row.guessed.is_forgotten(now));
        while self.rows.len() + 3 > MAX_ROWS {
            forget_oldest(&mut self.rows, |row| row.guessed.last());
        }
    }
}

fn forget_oldest<T>(rows: &mut HashMap<u64, T>, age: impl Fn(&T) -> Instant) {
    let oldest = rows.iter().min_by_key(|(_, row)| age(row));
    if let Some(key) = oldest.map(|(key, _)| *key) {
        rows.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use model::guesses::FORGOTTEN;

    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn keys(source: u64, account: u64) -> Keys {
        Keys {
            source: source << 32,
            account,
            pair: source << 32 | account,
        }
    }

    #[test]
    fn waits_grow_and_end() {
        let start = Instant::now();
        let mut attempts = Attempts::default();
        for _ in 0..4 {
            attempts.failed(keys(1, 2), start);
            assert_eq!(attempts.wait(keys(1, 2), start), None);
        }
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            attempts.failed(keys(1, 2), start);
            assert_eq!(attempts.wait(keys(1, 2), start), Some(seconds(wait)));
            assert_eq!(attempts.wait(keys(1, 3), start), None, "other accounts");
            assert_eq!(attempts.wait(keys(4, 2), start), None, "other sources");
        }
        let later = start + seconds(20);
        assert_eq!(attempts.wait(keys(1, 2), later), Some(seconds(40)));
        assert_eq!(attempts.wait(keys(1, 2), start + seconds(60)), None);
        attempts.failed(keys(1, 2), start + FORGOTTEN);
        assert_eq!(attempts.wait(keys(1, 2), start + FORGOTTEN), None);
    }

    #[test]
    fn a_source_that_tries_many_accounts_waits_for_all() {
        let start = Instant::now();
        let mut attempts = Attempts::default();
        for account in 100..119 {
            attempts.failed(keys(1, account), start);
            assert_eq!(attempts.wait(keys(1, 2), start), None);
        }
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            attempts.failed(keys(1, 200 + wait), start);
            assert_eq!(attempts.wait(keys(1, 2), start), Some(seconds(wait)));
        }
        assert_eq!(attempts.wait(keys(3, 2), start), None, "other sources");
    }

    #[test]
    fn guesses_from_everywhere_slow_an_account_down_but_not_its_owner() {
        let start = Instant::now();
        let (mut attempts, owner) = (Attempts::default(), keys(1, 2));
        let before = attempts.failed(owner, start);
        attempts.succeeded(owner, before, start);
        for source in 100..149 {
            attempts.failed(keys(source, 2), start);
            assert_eq!(attempts.wait(keys(9, 2), start), None);
        }
        for wait in [1, 2, 4, 8, 10, 10] {
            attempts.failed(keys(200 + wait, 2), start);
            assert_eq!(attempts.wait(keys(9, 2), start), Some(seconds(wait)));
            assert_eq!(attempts.wait(keys(9, 3), start), None, "other accounts");
            assert_eq!(attempts.wait(owner, start), None);
        }
        for account in 100..150 {
            attempts.failed(keys(1, account), start);
        }
        assert!(attempts.wait(keys(1, 3), start).is_some());
        assert_eq!(attempts.wait(owner, start), None, "beside a guesser");
        for _ in 0..5 {
            attempts.failed(owner, start);
        }
        assert_eq!(attempts.wait(owner, start), Some(seconds(1)), "itself");
        let later = start + PROVED;
        attempts.failed(keys(7, 2), later - seconds(1));
        for source in 300..350 {
            attempts.failed(keys(source, 2), later);
        }
        assert!(attempts.wait(owner, later).is_some(), "too long ago");
    }

    #[test]
    fn a_right_password_frees_its_pair_but_not_the_source() {
        let start = Instant::now();
        let mut attempts = Attempts::default();
        for _ in 0..4 {
            attempts.failed(keys(1, 2), start);
        }
        let before = attempts.failed(keys(1, 2), start);
        attempts.succeeded(keys(1, 2), before, start);
        for account in 100..116 {
            attempts.failed(keys(1, account), start);
        }
        assert_eq!(attempts.wait(keys(1, 2), start), None);
        assert_eq!(attempts.wait(keys(1, 3), start), Some(seconds(1)));
        // Correct passwords never count as guesses, however many are sent.
        for _ in 0..60 {
            let before = attempts.failed(keys(9, 2), start);
            attempts.succeeded(keys(9, 2), before, start);
        }
        assert_eq!(attempts.wait(keys(9, 3), start), None);
        assert_eq!(attempts.wait(keys(8, 2), start), None);
        assert_eq!(attempts.due(keys(9, 2), start), None, "nothing to report");
    }

    #[test]
    fn right_passwords_do_not_keep_wrong_ones_alive() {
        let (start, mut attempts) = (Instant::now(), Attempts::default());
        for account in 100..126 {
            attempts.failed(keys(1, account), start);
        }
        let minute = |minute: u64| start + seconds(60 * minute);
        for now in (1..15).map(minute) {
            let before = attempts.failed(keys(1, 2), now);
            attempts.succeeded(keys(1, 2), before, now);
            assert_eq!(attempts.wait(keys(1, 3), now), None, "others need not wait");
        }
        attempts.failed(keys(1, 3), minute(15));
        assert_eq!(attempts.wait(keys(1, 3), minute(15)), None);
    }

    #[tokio::test]
    async fn a_guess_counts_even_if_the_client_does_not_wait_for_the_answer() {
        let guard = Guard::new();
        for _ in 0..OF_PAIR.free {
            let guess = guard.admit(Source::NONE, "a", || false, std::future::pending());
            let waited = tokio::time::timeout(Duration::from_millis(1), guess).await;
            assert!(waited.is_err());
        }
        let right = std::future::ready(Ok(true));
        let next = guard.admit(Source::NONE, "a", || false, right).await;
        assert!(next.is_err());
    }

    #[tokio::test]
    async fn a_check_that_fails_is_not_a_guess() {
        let guard = Guard::new();
        for _ in 0..OF_PAIR.free {
            let failing = async { Err(Failure::busy(StatusCode::SERVICE_UNAVAILABLE)) };
            let failed = guard.admit(Source::NONE, "a", || false, failing).await;
            assert!(failed.is_err());
        }
        let wrong = std::future::ready(Ok(false));
        let next = guard.admit(Source::NONE, "a", || false, wrong).await;
        assert!(matches!(next, Ok(false)));
    }

    #[test]
    fn no_source_takes_the_places_of_others() {
        let source = |last: u8| Source::from(std::net::IpAddr::from([192, 0, 2, last]));
        let mut queue = Queue::default();
        let mut enter = |last, is_proved| queue.enter(source(last), is_proved).is_some();
        let taken = (0..200).filter(|_| enter(1, true)).count();
        assert_eq!(taken, MAX_OF_SOURCE);
        let taken = (2..200).filter(|n| enter(*n, false)).count();
        assert_eq!(taken, MAX_UNPROVED - MAX_OF_SOURCE);
        let taken = (2..200).filter(|n| enter(*n, true)).count();
        assert_eq!(taken, MAX_WAITING - MAX_UNPROVED, "kept for known sources");
        queue.leave(source(1));
        assert!(queue.enter(source(1), true).is_some());
        for (source, (count, _)) in queue.of_source.clone() {
            (0..count).for_each(|_| queue.leave(source));
        }
        assert!(queue.of_source.is_empty());
    }

    #[tokio::test]
    async fn sources_take_turns() {
        let guard = Guard::new();
        let order = Mutex::new(Vec::new());
        let source = |last: u8| Source::from(std::net::IpAddr::from([192, 0, 2, last]));
        let guess = |last: u8| {
            let order = &order;
            let verify = async move {
                order.lock().unwrap().push(last);
                tokio::task::yield_now().await;
                Ok(true)
            };
            guard.admit(source(last), "a", || false, verify)
        };
        // In the order of arrival.
        let _ = tokio::join!(guess(1), guess(1), guess(1), guess(1), guess(2), guess(3));
        assert_eq!(*order.lock().unwrap(), [1, 2, 3, 1, 1, 1]);
    }

    #[test]
    fn a_source_is_reported_at_first_when_it_has_to_wait_and_once_a_minute() {
        let start = Instant::now();
        let mut attempts = Attempts::default();
        let mut reports = Vec::new();
        for second in 0..130 {
            let now = start + seconds(second);
            let count = match attempts.wait(keys(1, 2), now) {
                Some(_) => attempts.refused(keys(1, 2), now),
                None => {
                    attempts.failed(keys(1, 2), now);
                    attempts.due(keys(1, 2), now)
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
            attempts.failed(keys(n + 1, 1_000_000 + n), start + Duration::from_millis(n));
        }
        assert!(attempts.rows.len() <= MAX_ROWS);
        assert!(
            attempts.rows.contains_key(&1_005_099),
            "the newest is there"
        );
    }

    #[test]
    fn memory_for_known_sources_is_bounded() {
        let start = Instant::now();
        let mut attempts = Attempts::default();
        for n in 0..10_010 {
            let now = start + Duration::from_millis(n);
            let before = attempts.failed(keys(n + 1, 1), now);
            attempts.succeeded(keys(n + 1, 1), before, now);
        }
        assert_eq!(attempts.proved.len(), MAX_PROVED);
        let later = start + seconds(60);
        assert!(attempts.is_proved(keys(10_010, 1).pair, later));
        assert!(!attempts.is_proved(keys(1, 1).pair, later));
    }
}
