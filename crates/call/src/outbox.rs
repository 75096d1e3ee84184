//! The outbox of callbacks in the store, and the secrets for signing requests.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use model::news::News;
use model::record::{Callback, Notification};
use model::{AccountSid, EventSid, NotificationSid};
use store::{Change, Committed, DROPPED, Store, StoreError};
use webhook::{
    Failure, Keyring, KeyringError, OutboxError, OutboxStore, Outcome, PendingCallback, RowPlace,
    Secrets,
};

use crate::refusals::NOTIFICATIONS;
use crate::{facts, now};

/// Rows in the store's outbox. A callback that is given up becomes a notification of its account, within the limits of
/// [`News`], because a whole host may fail.
pub struct StoreOutbox {
    store: Store,
    notified: Mutex<News>,
}

impl StoreOutbox {
    /// Over a store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let notified = Mutex::new(News::new(NOTIFICATIONS));
        Self { store, notified }
    }

    fn news(&self) -> MutexGuard<'_, News> {
        self.notified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The notification of the account that a callback was given up, if it is news.
    fn notification(&self, callback: &Callback, failure: &Failure) -> Option<Notification> {
        let host = facts::origin(&callback.url);
        let text = format!("a callback to {host} was given up: {}", failure.reason);
        let (account, code, at) = (callback.account, failure.code, now());
        let sid = NotificationSid::new(at, rand::random());
        let is_news = self.news().is_news(account, code, &text, Instant::now());
        is_news.then(|| Notification {
            lane: callback.lane,
            call: callback.call,
            request_url: Some(callback.url.clone()),
            request_method: Some(callback.method.as_str().to_owned()),
            ..Notification::of_account(sid, account, code, text, at)
        })
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Committed, OutboxError> {
        self.store.commit(changes).await.map_err(failed)
    }
}

#[async_trait]
impl OutboxStore for StoreOutbox {
    async fn customer_of(&self, account: AccountSid) -> Result<AccountSid, OutboxError> {
        self.store.customer_of(account).await.map_err(failed)
    }

    async fn adopt(&self) -> Result<bool, OutboxError> {
        self.store.adopt_callbacks(now()).await.map_err(failed)
    }

    async fn count(&self) -> Result<u64, OutboxError> {
        let count = self.store.undelivered_count().await.map_err(failed)?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    async fn page(
        &self,
        after: Option<RowPlace>,
        limit: usize,
    ) -> Result<Vec<PendingCallback>, OutboxError> {
        let after = after.map(|place| (place.lane, place.sequence, place.event));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.store.undelivered_callbacks(after, limit).await;
        Ok(rows.map_err(failed)?.into_iter().map(pending).collect())
    }

    async fn replayed(&self) -> Result<Vec<PendingCallback>, OutboxError> {
        let rows = self.store.replayed_callbacks().await.map_err(failed)?;
        Ok(rows.into_iter().map(pending).collect())
    }

    async fn claim(&self, events: Vec<EventSid>) -> Result<Vec<bool>, OutboxError> {
        let count = events.len();
        let claim = |event| Change::CallbackClaimed { event };
        let claimed = self.commit(events.into_iter().map(claim).collect()).await?;
        Ok((0..count).map(|at| claimed.applied(at)).collect())
    }

    async fn dropped(&self) -> Result<Vec<EventSid>, OutboxError> {
        self.store.dropped_callbacks().await.map_err(failed)
    }

    async fn end_dropped(&self, event: EventSid) -> Result<(), OutboxError> {
        let ended = self.store.end_dropped_callback(event, now()).await;
        ended.map_err(failed)
    }

    async fn retry(&self, row: &PendingCallback, failure: Failure) -> Result<(), OutboxError> {
        let change = Change::CallbackRetry {
            event: row.callback.event,
            attempts: i64::from(row.attempts),
            next_at: row.next_at,
            status: failure.status,
            error: failure.reason,
        };
        self.store.commit_soon(vec![change]).await.map_err(failed)?;
        Ok(())
    }

    async fn finish(&self, row: &PendingCallback, outcome: Outcome) -> Result<(), OutboxError> {
        let (status, dead) = match &outcome {
            Outcome::Delivered { status } => (Some(*status), None),
            Outcome::Dead(failure) => (failure.status, Some(failure.reason.clone())),
            Outcome::Dropped => (None, Some(DROPPED.to_owned())),
        };
        let notification = match &outcome {
            Outcome::Delivered { .. } | Outcome::Dropped => None,
            Outcome::Dead(failure) => self.notification(&row.callback, failure),
        };
        let change = Change::CallbackDone {
            event: row.callback.event,
            attempts: i64::from(row.attempts),
            status,
            dead,
            at: now(),
            given_up: notification.clone().map(Box::new),
        };
        // Until it is stored, it may be delivered once more after a crash, and no later callback of
        // the lane waits for it.
        let stored = self.store.commit_soon(vec![change]).await;
        if let Some(notification) = notification {
            // Without effect if another server delivers the callback by now.
            if stored.as_ref().is_ok_and(|done| done.applied(0)) {
                facts::log_notification(&notification);
            } else {
                self.news()
                    .forget(notification.account, notification.code, &notification.text);
            }
        }
        stored.map_err(failed)?;
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
