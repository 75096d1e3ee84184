//! The outbox of callbacks in the store.

use async_trait::async_trait;
use model::{EventSid, Timestamp};
use store::{Change, Store, StoreError};
use webhook::{OutboxError, OutboxStore, Outcome, PendingCallback};

use crate::now;

/// Rows in the store's outbox.
#[derive(Clone)]
pub struct StoreOutbox(pub Store);

impl StoreOutbox {
    async fn change(&self, change: Change) -> Result<(), OutboxError> {
        self.0.commit(vec![change]).await.map(drop).map_err(failed)
    }
}

#[async_trait]
impl OutboxStore for StoreOutbox {
    async fn undelivered(&self) -> Result<Vec<PendingCallback>, OutboxError> {
        let at = now();
        let rows = self.0.undelivered_callbacks(at).await.map_err(failed)?;
        let pending = |row: store::PendingCallback| PendingCallback {
            callback: row.callback,
            attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
            next_at: row.next_at.unwrap_or(at),
        };
        Ok(rows.into_iter().map(pending).collect())
    }

    async fn retry(
        &self,
        event: EventSid,
        attempts: u32,
        next_at: Timestamp,
    ) -> Result<(), OutboxError> {
        self.change(Change::CallbackRetry {
            event,
            attempts: i64::from(attempts),
            next_at,
        })
        .await
    }

    async fn finish(
        &self,
        event: EventSid,
        attempts: u32,
        outcome: Outcome,
    ) -> Result<(), OutboxError> {
        let (status, dead) = match outcome {
            Outcome::Delivered { status } => (Some(status), false),
            Outcome::Dead { status, reason } => {
                tracing::warn!(%event, reason, "a callback was given up");
                (status, true)
            }
        };
        let attempts = i64::from(attempts);
        self.change(Change::CallbackDone {
            event,
            attempts,
            status,
            dead,
        })
        .await
    }
}

fn failed(error: StoreError) -> OutboxError {
    OutboxError(error.to_string())
}
