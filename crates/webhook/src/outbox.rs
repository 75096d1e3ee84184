//! Where callbacks wait until they are through.
//!
//! A row is stored together with the fact it tells of; only then it is handed to
//! [`Callbacks`](crate::Callbacks). **Invariant: every row ends exactly once, as delivered or as
//! dead.** What was not ended when the process stopped is delivered after the next start, with the
//! same event id.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use model::record::Callback;
use model::{EventSid, Timestamp};

/// A callback that is not through yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PendingCallback {
    /// The callback.
    pub callback: Callback,
    /// Attempts made so far.
    pub attempts: u32,
    /// When to try next.
    pub next_at: Timestamp,
}

/// How a callback ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The application took it.
    Delivered {
        /// HTTP status of the answer.
        status: u16,
    },
    /// It is given up.
    Dead {
        /// HTTP status of the last answer, if there was one.
        status: Option<u16>,
        /// Why, for people.
        reason: String,
    },
}

/// The outbox could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the outbox cannot be used: {0}")]
pub struct OutboxError(pub String);

/// Storage of callbacks.
#[async_trait]
pub trait OutboxStore: Send + Sync + 'static {
    /// Rows that are not through and are this process's to deliver, those of one call in the order
    /// of their sequence.
    ///
    /// # Errors
    /// [`OutboxError`] if they cannot be read.
    async fn undelivered(&self) -> Result<Vec<PendingCallback>, OutboxError>;

    /// Notes a failed attempt.
    ///
    /// # Errors
    /// [`OutboxError`] if it cannot be written.
    async fn retry(
        &self,
        event: EventSid,
        attempts: u32,
        next_at: Timestamp,
    ) -> Result<(), OutboxError>;

    /// Notes how a row ended.
    ///
    /// # Errors
    /// [`OutboxError`] if it cannot be written.
    async fn finish(
        &self,
        event: EventSid,
        attempts: u32,
        outcome: Outcome,
    ) -> Result<(), OutboxError>;
}

/// An outbox that is lost with the process, for tests and for a server without a database.
#[derive(Debug, Default)]
pub struct MemoryOutbox(Mutex<BTreeMap<EventSid, Row>>);

#[derive(Clone, Debug)]
struct Row {
    pending: PendingCallback,
    outcome: Option<Outcome>,
}

impl MemoryOutbox {
    /// Stores a callback that is due at once.
    pub fn insert(&self, callback: Callback) {
        let next_at = callback.created;
        let pending = PendingCallback {
            callback,
            attempts: 0,
            next_at,
        };
        self.rows().insert(
            pending.callback.event,
            Row {
                pending,
                outcome: None,
            },
        );
    }

    /// Attempts made for a row, and how it ended, if it did.
    #[must_use]
    pub fn state(&self, event: EventSid) -> Option<(u32, Option<Outcome>)> {
        self.rows()
            .get(&event)
            .map(|row| (row.pending.attempts, row.outcome.clone()))
    }

    fn rows(&self) -> std::sync::MutexGuard<'_, BTreeMap<EventSid, Row>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    async fn undelivered(&self) -> Result<Vec<PendingCallback>, OutboxError> {
        let rows = self.rows();
        let mut waiting: Vec<PendingCallback> = rows
            .values()
            .filter(|row| row.outcome.is_none())
            .map(|row| row.pending.clone())
            .collect();
        waiting.sort_by_key(|pending| (pending.callback.call, pending.callback.sequence));
        Ok(waiting)
    }

    async fn retry(
        &self,
        event: EventSid,
        attempts: u32,
        next_at: Timestamp,
    ) -> Result<(), OutboxError> {
        self.change(event, |row| {
            row.pending.attempts = attempts;
            row.pending.next_at = next_at;
        })
    }

    async fn finish(
        &self,
        event: EventSid,
        attempts: u32,
        outcome: Outcome,
    ) -> Result<(), OutboxError> {
        self.change(event, |row| {
            row.pending.attempts = attempts;
            row.outcome = Some(outcome);
        })
    }
}
