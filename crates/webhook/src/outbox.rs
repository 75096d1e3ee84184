//! Stores callbacks until they are finished.
//!
//! A row is stored together with the fact it reports; only then is it handed to
//! [`Callbacks`](crate::Callbacks). **Invariant: every row ends exactly once, as delivered or as
//! dead,** and once more each time it is replayed. Rows unfinished when the process stopped are
//! delivered after the next start, with the same event id; they are read in pages, since there may
//! be more than memory should hold.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use model::record::Callback;
use model::{AccountSid, EventSid, Lane, Timestamp};

/// An unfinished callback.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PendingCallback {
    /// The callback.
    pub callback: Callback,
    /// Attempts made so far.
    pub attempts: u32,
    /// When to try next, in wall time, as [`PendingCallback::since`].
    pub next_at: Timestamp,
    /// Start of its age: its creation, or its last replay.
    pub since: Timestamp,
}

impl PendingCallback {
    /// A callback that is due immediately.
    #[must_use]
    pub fn new(callback: Callback) -> Self {
        let created = callback.created;
        Self {
            callback,
            attempts: 0,
            next_at: created,
            since: created,
        }
    }

    /// A row of the outbox, with its times on another clock.
    ///
    /// The wall clock may have been set after they were written. So no wait is longer than the
    /// longest that could have been planned, and a row that was never tried does not wait at all.
    ///
    /// - `wall`, `now`: what the wall clock and the other one show.
    /// - `longest`: the longest planned wait.
    pub(crate) fn taken(self, wall: Timestamp, now: Timestamp, longest: Duration) -> Self {
        let longest = match self.attempts {
            0 => Duration::ZERO,
            _ => longest,
        };
        Self {
            next_at: self.next_at.moved(wall, now).min(now + longest),
            since: self.since.moved(wall, now).min(now),
            ..self
        }
    }

    /// The reverse of [`PendingCallback::taken`].
    pub(crate) fn stored(self, wall: Timestamp, now: Timestamp) -> Self {
        Self {
            next_at: self.next_at.moved(now, wall),
            since: self.since.moved(now, wall),
            ..self
        }
    }
}

/// The position of a row in the reading order of an outbox.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RowPlace {
    /// First by lane,
    pub lane: Lane,
    /// then by its position among the callbacks of the lane,
    pub sequence: i64,
    /// then by event, so that no two are equal.
    pub event: EventSid,
}

impl RowPlace {
    /// The position of a callback.
    #[must_use]
    pub fn of(callback: &Callback) -> Self {
        Self {
            lane: callback.lane,
            sequence: callback.sequence,
            event: callback.event,
        }
    }
}

/// Why an attempt failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Number in the error table.
    pub code: u16,
    /// HTTP status of the response, if any.
    pub status: Option<u16>,
    /// Human-readable.
    pub reason: String,
}

/// How a callback ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Accepted by the application.
    Delivered {
        /// HTTP status of the response.
        status: u16,
    },
    /// Given up for this reason.
    Dead(Failure),
    /// Given up because someone asked for it.
    Dropped,
}

/// The outbox could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the outbox cannot be used: {0}")]
pub struct OutboxError(pub String);

/// Storage of callbacks.
#[async_trait]
pub trait OutboxStore: Send + Sync + 'static {
    /// The customer that an account is part of, which shares its slots among its accounts.
    ///
    /// # Errors
    /// [`OutboxError`] if it cannot be read.
    async fn customer_of(&self, account: AccountSid) -> Result<AccountSid, OutboxError> {
        Ok(account)
    }

    /// Takes over the rows of dead servers and those without an owner; returns whether there were
    /// any.
    ///
    /// # Errors
    /// [`OutboxError`] if it cannot be written.
    async fn adopt(&self) -> Result<bool, OutboxError>;

    /// The number of unfinished rows that this process must deliver.
    ///
    /// # Errors
    /// [`OutboxError`] if they cannot be read.
    async fn count(&self) -> Result<u64, OutboxError>;

    /// The first `limit` of these rows after a position, in order; fewer only if there are no more.
    ///
    /// # Errors
    /// [`OutboxError`] if they cannot be read.
    async fn page(
        &self,
        after: Option<RowPlace>,
        limit: usize,
    ) -> Result<Vec<PendingCallback>, OutboxError>;

    /// Rows to be replayed that have no owner yet, those of one lane in order of sequence; not
    /// necessarily all at once. Called every second, so it must be cheap.
    ///
    /// # Errors
    /// [`OutboxError`] if they cannot be read.
    async fn replayed(&self) -> Result<Vec<PendingCallback>, OutboxError>;

    /// Claims such rows for this process; returns for each whether that succeeded, or another
    /// process was faster.
    ///
    /// # Errors
    /// [`OutboxError`] if it cannot be written.
    async fn claim(&self, events: Vec<EventSid>) -> Result<Vec<bool>, OutboxError>;

    /// Rows of this process that someone wants dropped; not necessarily all at once. Called every second, so it must be cheap.
    ///
    /// # Errors
    /// [`OutboxError`] if they cannot be read.
    async fn dropped(&self) -> Result<Vec<EventSid>, OutboxError> {
        Ok(Vec::new())
    }

    /// Ends such a row that is not in memory.
    ///
    /// # Errors
    /// [`OutboxError`] if it cannot be written.
    async fn end_dropped(&self, event: EventSid) -> Result<(), OutboxError> {
        let _ = event;
        Ok(())
    }

    /// Stores a failed attempt; `row` holds their number and the time of the next one.
    ///
    /// # Errors
    /// [`OutboxError`] if it cannot be written.
    async fn retry(&self, row: &PendingCallback, failure: Failure) -> Result<(), OutboxError>;

    /// Stores how a row ended, and the number of attempts in it.
    ///
    /// # Errors
    /// [`OutboxError`] if it cannot be written.
    async fn finish(&self, row: &PendingCallback, outcome: Outcome) -> Result<(), OutboxError>;
}

/// An outbox that is lost with the process, for tests and for a server without a database.
#[derive(Debug, Default)]
pub struct MemoryOutbox(Mutex<BTreeMap<EventSid, Row>>);

impl MemoryOutbox {
    /// Requests that a row be dropped.
    pub fn drop_row(&self, event: EventSid) {
        if let Some(row) = self.rows().get_mut(&event) {
            row.unwanted = true;
        }
    }
}

#[derive(Clone, Debug)]
struct Row {
    pending: PendingCallback,
    outcome: Option<Outcome>,
    /// To be replayed, and not claimed yet.
    free: bool,
    /// To be dropped.
    unwanted: bool,
}

impl Row {
    fn is_due(&self) -> bool {
        self.outcome.is_none() && !self.free
    }
}

impl MemoryOutbox {
    /// Stores a callback that is due immediately.
    pub fn insert(&self, callback: Callback) {
        let pending = PendingCallback::new(callback);
        self.rows().insert(
            pending.callback.event,
            Row {
                pending,
                outcome: None,
                free: false,
                unwanted: false,
            },
        );
    }

    /// Requests that an ended row be delivered again.
    pub fn replay(&self, event: EventSid, now: Timestamp) {
        if let Some(row) = self.rows().get_mut(&event)
            && row.outcome.take().is_some()
        {
            row.free = true;
            row.pending.attempts = 0;
            (row.pending.next_at, row.pending.since) = (now, now);
        }
    }

    /// Attempts made for a row, and how it ended, if it has.
    #[must_use]
    pub fn state(&self, event: EventSid) -> Option<(u32, Option<Outcome>)> {
        self.rows()
            .get(&event)
            .map(|row| (row.pending.attempts, row.outcome.clone()))
    }

    fn rows(&self) -> std::sync::MutexGuard<'_, BTreeMap<EventSid, Row>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn select(&self, wanted: impl Fn(&Row) -> bool) -> Vec<PendingCallback> {
        let rows = self.rows();
        let mut found: Vec<PendingCallback> = rows
            .values()
            .filter(|row| wanted(row))
            .map(|row| row.pending.clone())
            .collect();
        found.sort_by_key(|pending| RowPlace::of(&pending.callback));
        found
    }

    fn change(&self, event: EventSid, change: impl FnOnce(&mut Row)) -> Result<(), OutboxError> {
        let mut rows = self.rows();
        let row = rows.get_mut(&event).filter(|row| row.outcome.is_none());
        row.map(change)
            .ok_or_else(|| OutboxError(format!("{event} is not waiting")))
    }
}

#[async_trait]
impl OutboxStore for MemoryOutbox {
    async fn adopt(&self) -> Result<bool, OutboxError> {
        let mut rows = self.rows();
        let free = rows.values_mut().filter(|row| row.free);
        Ok(free.map(|row| row.free = false).count() > 0)
    }

    async fn count(&self) -> Result<u64, OutboxError> {
        Ok(self.rows().values().filter(|row| row.is_due()).count() as u64)
    }

    async fn page(
        &self,
        after: Option<RowPlace>,
        limit: usize,
    ) -> Result<Vec<PendingCallback>, OutboxError> {
        let mut page = self.select(|row| {
            row.is_due() && after.is_none_or(|after| RowPlace::of(&row.pending.callback) > after)
        });
        page.truncate(limit);
        Ok(page)
    }

    async fn replayed(&self) -> Result<Vec<PendingCallback>, OutboxError> {
        Ok(self.select(|row| row.free))
    }

    async fn claim(&self, events: Vec<EventSid>) -> Result<Vec<bool>, OutboxError> {
        let mut rows = self.rows();
        let mut take = |event| rows.get_mut(event).map(|row| std::mem::take(&mut row.free));
        Ok(events
            .iter()
            .map(|event| take(event) == Some(true))
            .collect())
    }

    async fn dropped(&self) -> Result<Vec<EventSid>, OutboxError> {
        let rows = self.select(|row| row.unwanted && row.is_due());
        Ok(rows.iter().map(|row| row.callback.event).collect())
    }

    async fn end_dropped(&self, event: EventSid) -> Result<(), OutboxError> {
        self.change(event, |row| row.outcome = Some(Outcome::Dropped))
    }

    async fn retry(&self, row: &PendingCallback, _: Failure) -> Result<(), OutboxError> {
        self.change(row.callback.event, |stored| stored.pending.clone_from(row))
    }

    async fn finish(&self, row: &PendingCallback, outcome: Outcome) -> Result<(), OutboxError> {
        let attempts = row.attempts;
        self.change(row.callback.event, |row| {
            row.pending.attempts = attempts;
            row.outcome = Some(outcome);
        })
    }
}

#[cfg(test)]
mod tests {
    use model::{AccountSid, CallSid, HttpMethod};

    use super::*;

    const LONGEST: Duration = Duration::from_secs(300);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn row(attempts: u32, next_at: i64, since: i64) -> PendingCallback {
        let callback = Callback {
            event: EventSid::from_bytes([1; 16]),
            account: AccountSid::from_bytes([1; 16]),
            author: AccountSid::from_bytes([1; 16]),
            lane: CallSid::from_bytes([1; 16]).into(),
            call: None,
            sequence: 0,
            url: "http://app.example/".to_owned(),
            method: HttpMethod::Post,
            params: Vec::new(),
            created: at(since),
        };
        PendingCallback {
            attempts,
            next_at: at(next_at),
            since: at(since),
            callback,
        }
    }

    #[test]
    fn rows_keep_their_wait_and_age_however_the_wall_clock_was_set() {
        // The wall clock, and a row's attempts, next attempt and start; then its wait and age.
        let table = [
            (10_000, 1, [10_020, 9_990], [20, 10]),
            (10_000, 3, [9_900, 9_000], [-100, 1_000]),
            // Never tried: due, even if its call began before the clock was set back.
            (10_000, 0, [9_999, 9_999], [-1, 1]),
            (10_000, 0, [10_600, 10_600], [0, 0]),
            // Set back by ten minutes, or by years, while the row was on disk.
            (10_000, 1, [10_620, 10_590], [300, 0]),
            (10_000, 1, [900_000_000, 900_000_000], [300, 0]),
            // Set forward by ten minutes.
            (10_600, 1, [10_020, 9_990], [-580, 610]),
        ];
        for (wall, attempts, [next_at, since], [wait, age]) in table {
            // What the machine's clock shows: the process may have begun while the wall clock was wrong.
            for now in [0, 10_000, 500_000_000] {
                let taken = row(attempts, next_at, since).taken(at(wall), at(now), LONGEST);
                let found = (taken.next_at, taken.since);
                let expected = (at(now + wait), at(now - age));
                assert_eq!(found, expected, "{wall} {attempts} {next_at} {since}");
            }
        }
    }

    #[test]
    fn a_planned_attempt_is_stored_in_wall_time() {
        let before = row(2, 10_100, 9_000);
        let taken = before.clone().taken(at(10_000), at(50), LONGEST);
        assert_eq!(taken.clone().stored(at(10_000), at(50)), before);
        // The clock was set back, and ten seconds have passed: 90 are left.
        let stored = taken.stored(at(9_410), at(60));
        assert_eq!(stored.next_at, at(9_500));
    }
}
