//! The outbox of callbacks in the store, and the secrets for signing requests.

use async_trait::async_trait;
use model::{AccountSid, EventSid};
use store::{Change, Committed, Store, StoreError};
use webhook::{
    Failure, Keyring, KeyringError, OutboxError, OutboxStore, Outcome, PendingCallback, RowPlace,
    Secrets,
};

use crate::now;

/// Rows in the store's outbox.
#[derive(Clone)]
pub struct StoreOutbox(pub Store);

impl StoreOutbox {
    async fn commit(&self, changes: Vec<Change>) -> Result<Committed, OutboxError> {
        self.0.commit(changes).await.map_err(failed)
    }
}

#[async_trait]
impl OutboxStore for StoreOutbox {
    async fn adopt(&self) -> Result<bool, OutboxError> {
        self.0.adopt_callbacks(now()).await.map_err(failed)
    }

    async fn count(&self) -> Result<u64, OutboxError> {
        let count = self.0.undelivered_count().await.map_err(failed)?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    async fn page(
        &self,
        after: Option<RowPlace>,
        limit: usize,
    ) -> Result<Vec<PendingCallback>, OutboxError> {
        let after = after.map(|place| (place.lane, place.sequence, place.event));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.0.undelivered_callbacks(after, limit).await;
        Ok(rows.map_err(failed)?.into_iter().map(pending).collect())
    }

    async fn replayed(&self) -> Result<Vec<PendingCallback>, OutboxError> {
        let rows = self.0.replayed_callbacks().await.map_err(failed)?;
        Ok(rows.into_iter().map(pending).collect())
    }

    async fn claim(&self, events: Vec<EventSid>) -> Result<Vec<bool>, OutboxError> {
        let count = events.len();
        let claim = |event| Change::CallbackClaimed { event };
        let claimed = self.commit(events.into_iter().map(claim).collect()).await?;
        Ok((0..count).map(|at| claimed.applied(at)).collect())
    }

    async fn retry(&self, row: &PendingCallback, failure: Failure) -> Result<(), OutboxError> {
        let change = Change::CallbackRetry {
            event: row.callback.event,
            attempts: i64::from(row.attempts),
            next_at: row.next_at,
            status: failure.status,
            error: failure.reason,
        };
        self.0.commit_soon(vec![change]).await.map_err(failed)?;
        Ok(())
    }

    async fn finish(
        &self,
        event: EventSid,
        attempts: u32,
        outcome: Outcome,
    ) -> Result<(), OutboxError> {
        let (status, dead) = match outcome {
            Outcome::Delivered { status } => (Some(status), None),
            Outcome::Dead(Failure { status, reason }) => (status, Some(reason)),
        };
        let change = Change::CallbackDone {
            event,
            attempts: i64::from(attempts),
            status,
            dead,
            at: now(),
        };
        // Until it is stored, it may be delivered once more after a crash, and no later callback of
        // the lane waits for it.
        self.0.commit_soon(vec![change]).await.map_err(failed)?;
        Ok(())
    }
}

fn pending(row: store::PendingCallback) -> PendingCallback {
    let since = row.replayed.unwrap_or(row.callback.created);
    PendingCallback {
        attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
        next_at: row.next_at.unwrap_or(since),
        since,
        callback: row.callback,
    }
}

/// Gets the accounts' tokens from the store.
#[derive(Clone)]
pub struct StoreKeyring(pub Store);

#[async_trait]
impl Keyring for StoreKeyring {
    async fn secrets(&self, account: AccountSid) -> Result<Option<Secrets>, KeyringError> {
        let found = self.0.account(account).await;
        let found = found.map_err(|error| KeyringError(error.to_string()))?;
        Ok(found.map(|account| Secrets {
            primary: account.auth_token.clone(),
            secondary: account.secondary_token.clone(),
        }))
    }
}

/// The signature for a document request. Sending it unsigned is better than not at all: the call
/// waits and cannot retry later, and an application that checks will refuse it.
pub(crate) async fn secrets(store: &Store, account: AccountSid) -> Option<Secrets> {
    let found = StoreKeyring(store.clone()).secrets(account).await;
    found.unwrap_or_else(|error| {
        tracing::warn!(account.sid = %account, %error, "a document is requested without a signature");
        None
    })
}

fn failed(error: StoreError) -> OutboxError {
    OutboxError(error.to_string())
}
