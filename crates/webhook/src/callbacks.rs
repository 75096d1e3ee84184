//! Delivers the rows of the outbox: the shell around `delivery`.
//!
//! One task polls the machine and starts a task for each request; their results go back into the
//! machine. **Invariant: a row leaves the machine only after its end is stored,** so undelivered
//! rows are still in the outbox when the process stops.
//!
//! The machine runs on a clock that does not follow steps of the wall clock, so that these neither
//! delay retries nor give up callbacks. Rows change to it as they are read, and back to wall time as they
//! are stored ([`PendingCallback::taken`], [`PendingCallback::stored`]).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use model::record::Callback;
use model::{AccountSid, EventSid, HttpMethod, SteadyClock, Timestamp, error};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::delivery::{
    Attempt, CallbackConfig, CallbackStats, Delivery, Drop, Output, PAGE, Read, origin,
};
use crate::error::FetchError;
use crate::fetch::{BodyKind, FetchRequest, Fetched, Fetcher};
use crate::outbox::{Failure, OutboxError, OutboxStore, Outcome, PendingCallback};
use crate::retry_after::retry_after;
use crate::signature::{Secrets, Stamp};
use model::egress::AddressPolicy;

/// Longest pause between attempts to store the end of a callback. Attempts continue until one
/// succeeds: otherwise the row would wait on disk for the next start and then be sent again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Longest sleep when nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

/// Returns the policy for an address that an account set.
pub type PolicyOf = Arc<dyn Fn(AccountSid, &str) -> AddressPolicy + Send + Sync>;

/// Provides the secrets that sign an account's requests.
#[async_trait]
pub trait Keyring: Send + Sync + 'static {
    /// The valid secrets; `None` if there are none, and then the request is not signed.
    ///
    /// # Errors
    /// If they are currently unavailable: then nothing is sent.
    async fn secrets(&self, account: AccountSid) -> Result<Option<Secrets>, KeyringError>;
}

/// Why the secrets of an account are currently unavailable.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the request cannot be signed: {0}")]
pub struct KeyringError(pub String);

/// Handle to the delivery. Clones share it; its tasks end with the last clone.
#[derive(Clone)]
pub struct Callbacks(Arc<Inner>);

struct Inner {
    fetcher: Fetcher,
    store: Arc<dyn OutboxStore>,
    policy_of: PolicyOf,
    keyring: Arc<dyn Keyring>,
    config: CallbackConfig,
    /// Time for the machine. Rows in the outbox have wall times.
    clock: SteadyClock,
    machine: Mutex<Delivery>,
    /// Something may be due earlier than expected, or the last handle is gone.
    wake: Arc<Notify>,
    idle: Notify,
    /// The outbox is about to close: failed attempts are left to the next start.
    stopped: AtomicBool,
}

impl std::ops::Drop for Inner {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

impl Callbacks {
    /// An idle delivery. Must be called within a tokio runtime, where its tasks run.
    #[must_use]
    pub fn new(
        fetcher: Fetcher,
        store: Arc<dyn OutboxStore>,
        config: CallbackConfig,
        policy_of: PolicyOf,
        keyring: Arc<dyn Keyring>,
    ) -> Self {
        let wake = Arc::new(Notify::new());
        let inner = Arc::new(Inner {
            fetcher,
            store,
            policy_of,
            keyring,
            machine: Mutex::new(Delivery::new(config.clone())),
            config,
            clock: SteadyClock::new(wall(), Instant::now().into_std()),
            wake: Arc::clone(&wake),
            idle: Notify::new(),
            stopped: AtomicBool::new(false),
        });
        tokio::spawn(drive(Arc::downgrade(&inner), wake));
        Self(inner)
    }

    /// Starts processing every unfinished row, and from then on rows to be replayed; call once at
    /// start. Returns the number of rows.
    ///
    /// # Errors
    /// [`OutboxError`] if the outbox cannot be used.
    pub async fn resume(&self) -> Result<u64, OutboxError> {
        self.0.store.adopt().await?;
        let count = self.look_through().await?;
        tokio::spawn(watch(Arc::downgrade(&self.0)));
        Ok(count)
    }

    /// Takes over rows of dead servers; those already in progress are unaffected.
    ///
    /// - `stored`: whether rows were stored for this process without being handed over.
    ///
    /// # Errors
    /// [`OutboxError`] if the outbox cannot be used.
    pub async fn adopt(&self, stored: bool) -> Result<(), OutboxError> {
        if self.0.store.adopt().await? || stored {
            self.look_through().await?;
        }
        Ok(())
    }

    async fn look_through(&self) -> Result<u64, OutboxError> {
        let count = self.0.store.count().await?;
        self.0.machine().look_through(count);
        self.0.wake.notify_one();
        Ok(count)
    }

    /// Delivers a row that has just been stored, for a lane of this process. Never waits; a row
    /// already in progress is unaffected.
    pub fn deliver(&self, callback: Callback) {
        let now = self.0.now();
        self.0.add(vec![PendingCallback {
            next_at: now,
            since: now,
            ..PendingCallback::new(callback)
        }]);
    }

    /// Number of unfinished rows; approximate while more are on disk than fit in memory.
    #[must_use]
    pub fn backlog(&self) -> u64 {
        self.0.machine().len()
    }

    /// Counters for the command line and metrics.
    #[must_use]
    pub fn stats(&self) -> CallbackStats {
        self.0.machine().stats()
    }

    /// Starts nothing more. Running requests finish; rows whose end cannot be stored stay in the
    /// outbox for the next start.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Relaxed);
    }

    /// Waits until nothing is left to deliver.
    pub async fn drained(&self) {
        loop {
            let changed = self.0.idle.notified();
            if self.0.machine().is_idle() {
                return;
            }
            changed.await;
        }
    }
}

/// Carries out what is due, until the last handle is gone.
async fn drive(inner: Weak<Inner>, wake: Arc<Notify>) {
    while let Some(strong) = inner.upgrade() {
        let wait = carry_out(&strong).map_or(IDLE, |next| next.since(strong.now()));
        drop(strong);
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Carries out what is due; returns when something is due next.
fn carry_out(inner: &Arc<Inner>) -> Option<Timestamp> {
    loop {
        let (output, next) = {
            let mut machine = inner.machine();
            (machine.poll_output(inner.now()), machine.poll_timeout())
        };
        let Some(output) = output else {
            return next;
        };
        let inner = Arc::clone(inner);
        match output {
            Output::Send(row) => drop(tokio::spawn(async move { inner.send(*row).await })),
            Output::Retry(row, failure) => {
                drop(tokio::spawn(async move { inner.note(*row, failure).await }));
            }
            Output::End(row, outcome) => {
                drop(tokio::spawn(
                    async move { inner.finish(&row, outcome).await },
                ));
            }
            Output::Read(read) => drop(tokio::spawn(async move { inner.read(read).await })),
            Output::Ask(account) => drop(tokio::spawn(async move { inner.ask(account).await })),
            Output::Opened {
                account,
                origin,
                until,
            } => {
                let wait_ms = until.since(inner.now()).as_millis();
                tracing::warn!(account.sid = %account, host = %origin, wait_ms,
                    "a host keeps failing; its callbacks wait");
            }
            Output::Closed { account, origin } => {
                tracing::info!(account.sid = %account, host = %origin,
                    "a host answers again; its callbacks are sent");
            }
        }
    }
}

/// Fetches rows to be replayed, until the last handle is gone.
async fn watch(inner: Weak<Inner>) {
    let mut failed = false;
    loop {
        let Some(strong) = inner.upgrade() else {
            return;
        };
        let every = strong.config.replay_every;
        let dropped = strong.drop_unwanted().await;
        let result = strong.take_replayed().await;
        let result = dropped.and(result);
        if strong.has_stopped() {
            return;
        }
        drop(strong);
        match result {
            Ok(0) => failed = false,
            Ok(count) => {
                failed = false;
                tracing::info!(count, "callbacks are delivered again, as requested");
                continue;
            }
            Err(error) if !failed => {
                failed = true;
                tracing::warn!(%error, "cannot look for callbacks to deliver again or to drop");
            }
            Err(_) => {}
        }
        tokio::time::sleep(every).await;
    }
}

impl Inner {
    fn machine(&self) -> MutexGuard<'_, Delivery> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The machine's time.
    fn now(&self) -> Timestamp {
        self.clock.at(Instant::now().into_std())
    }

    /// Rows as read from the outbox, for the machine.
    fn taken(&self, rows: Vec<PendingCallback>) -> Vec<PendingCallback> {
        let (wall, now, longest) = (wall(), self.now(), self.config.longest_wait);
        let rows = rows.into_iter();
        rows.map(|row| row.taken(wall, now, longest)).collect()
    }

    fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    fn add(&self, rows: Vec<PendingCallback>) {
        let mut machine = self.machine();
        for row in rows {
            machine.handle_row(row);
        }
        drop(machine);
        self.wake.notify_one();
    }

    /// Returns how many rows were taken.
    async fn take_replayed(&self) -> Result<usize, OutboxError> {
        if self.machine().is_looking_through() {
            return Ok(0); // They might overtake rows still to be read.
        }
        let mut rows = self.store.replayed().await?;
        // The end of one may just be leaving the machine.
        rows.retain(|row| !self.machine().knows(row.callback.event));
        if rows.is_empty() {
            return Ok(0);
        }
        let events: Vec<EventSid> = rows.iter().map(|row| row.callback.event).collect();
        let ours = self.store.claim(events).await?;
        let rows = rows.into_iter().zip(ours);
        let rows: Vec<_> = rows
            .filter_map(|(row, is_ours)| is_ours.then_some(row))
            .collect();
        let count = rows.len();
        self.add(self.taken(rows));
        Ok(count)
    }

    /// Ends the rows that someone wants dropped, except those in progress.
    async fn drop_unwanted(&self) -> Result<(), OutboxError> {
        for event in self.store.dropped().await? {
            let dropped = self.machine().handle_drop(event);
            match dropped {
                Drop::OnDisk => self.store.end_dropped(event).await?,
                Drop::Ends => self.look_up(),
                Drop::InProgress => {}
            }
        }
        Ok(())
    }

    async fn ask(&self, account: AccountSid) {
        let customer = self.store.customer_of(account).await;
        if let Err(error) = &customer
            && !self.has_stopped()
        {
            tracing::warn!(%error, account.sid = %account, "cannot find the customer of an account");
        }
        self.machine().handle_customer(account, customer.ok());
        self.look_up();
    }

    async fn read(&self, read: Read) {
        let page = self.store.page(read.after, PAGE).await;
        if let Err(error) = &page
            && !self.has_stopped()
        {
            tracing::warn!(%error, "callbacks that wait on disk cannot be read");
        }
        let page = page.ok().map(|rows| self.taken(rows));
        self.machine().handle_page(read, page, self.now());
        self.look_up();
    }

    /// Wakes the driving task after a change.
    fn look_up(&self) {
        let is_idle = self.machine().is_idle();
        if is_idle {
            self.idle.notify_waiters();
        }
        self.wake.notify_one();
    }

    async fn send(&self, row: PendingCallback) {
        let callback = row.callback;
        let attempt = match self.keyring.secrets(callback.author).await {
            Ok(secrets) => self.attempt(&callback, secrets).await,
            // Unsigned, it would be rejected permanently by an application that checks.
            Err(error) => Attempt::Unsent {
                reason: error.to_string(),
            },
        };
        self.machine()
            .handle_attempt(callback.event, attempt, self.now(), rand::random());
        self.wake.notify_one();
    }

    async fn attempt(&self, callback: &Callback, secrets: Option<Secrets>) -> Attempt {
        let request = FetchRequest {
            params: callback.params.clone(),
            policy: (self.policy_of)(callback.author, &callback.url),
            kind: BodyKind::Ignored,
            stamp: Some(Stamp {
                event: callback.event,
                secrets,
            }),
            ..FetchRequest::new(callback.method, callback.url.clone())
        };
        judged(self.fetcher.fetch(request).await, callback.method)
    }

    async fn note(&self, row: PendingCallback, failure: Failure) {
        let row = row.stored(wall(), self.now());
        if let Err(error) = self.store.retry(&row, failure).await
            && !self.has_stopped()
        {
            tracing::warn!(event = %row.callback.event, %error, "cannot record a failed callback");
        }
    }

    async fn finish(&self, row: &PendingCallback, outcome: Outcome) {
        let event = row.callback.event;
        if let Outcome::Dead(Failure { status, reason, .. }) = &outcome {
            let host = origin(&row.callback.url);
            let call = row.callback.call.map(tracing::field::display);
            tracing::warn!(%event, call.sid = call, lane = %row.callback.lane, %host, status, reason,
                "a callback is given up");
        }
        let mut attempt = 0;
        while let Err(error) = self.store.finish(row, outcome.clone()).await {
            if self.has_stopped() {
                return;
            }
            attempt += 1;
            if attempt == 1 {
                tracing::warn!(%event, %error, "the result of a callback will be stored later");
            }
            let wait = self.config.backoff().wait(attempt, None, 1.0);
            tokio::time::sleep(wait.min(LONGEST_PAUSE)).await;
        }
        self.machine().handle_stored(event, &outcome);
        self.look_up();
    }
}

/// What a response means for a callback that was sent with that method.
fn judged(result: Result<Fetched, FetchError>, method: HttpMethod) -> Attempt {
    let hint = |status| match (method, status) {
        (HttpMethod::Post, 405 | 501) => {
            "; the request was a POST: if the application expects a GET, set the method of this callback to GET \
             (`StatusCallbackMethod`, `RecordingStatusCallbackMethod` and so on)"
        }
        (HttpMethod::Get | HttpMethod::Post, _) => "",
    };
    let refused = |status, reason| Failure {
        code: error::FETCH_PROTOCOL,
        status: Some(status),
        reason,
    };
    match result {
        Ok(answer) if (200..300).contains(&answer.status) => Attempt::Ended(Outcome::Delivered {
            status: answer.status,
        }),
        Ok(answer) if answer.status >= 500 || matches!(answer.status, 408 | 425 | 429) => {
            let asked = answer.header("retry-after");
            let asked = asked.and_then(|text| retry_after(text, SystemTime::now()));
            let reason = format!(
                "the response has status {}{}",
                answer.status,
                hint(answer.status)
            );
            let failure = refused(answer.status, reason);
            Attempt::Failed { failure, asked }
        }
        Ok(answer) => {
            let reason = format!(
                "the application refused it with status {}{}",
                answer.status,
                hint(answer.status)
            );
            Attempt::Ended(Outcome::Dead(refused(answer.status, reason)))
        }
        Err(error) => {
            let failure = Failure {
                code: error.code(),
                status: None,
                // Without the address, which may differ each time.
                reason: error.problem.to_string(),
            };
            if error.is_temporary() {
                let asked = None;
                Attempt::Failed { failure, asked }
            } else {
                Attempt::Ended(Outcome::Dead(failure))
            }
        }
    }
}

fn wall() -> Timestamp {
    Timestamp::from_unix(
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_that_accepts_no_post_is_advised_to_change_the_method() {
        let answered = |status, method| {
            let answer = Fetched {
                status,
                content_type: None,
                headers: Vec::new(),
                body: bytes::Bytes::new(),
                final_url: String::new(),
                elapsed: Duration::ZERO,
                attempts: 1,
                reserved: None,
            };
            match judged(Ok(answer), method) {
                Attempt::Failed { failure, .. } | Attempt::Ended(Outcome::Dead(failure)) => {
                    failure.reason.contains("`StatusCallbackMethod`")
                }
                Attempt::Ended(Outcome::Delivered { .. } | Outcome::Dropped)
                | Attempt::Unsent { .. } => {
                    panic!("{status} is not a failure")
                }
            }
        };
        let table = [
            (501, HttpMethod::Post, true),
            (405, HttpMethod::Post, true),
            (405, HttpMethod::Get, false),
            (500, HttpMethod::Post, false),
            (404, HttpMethod::Post, false),
        ];
        for (status, method, advised) in table {
            assert_eq!(answered(status, method), advised, "{status} {method}");
        }
    }
}
