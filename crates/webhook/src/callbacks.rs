//! Delivers the rows of the outbox.
//!
//! The callbacks of one call to one origin make a *lane*: they go out one after the other, and a
//! failed one holds up those behind it until it is through or given up. Lanes do not wait for each
//! other, but for a limited number of places at their origin. **Invariant: every row ends exactly
//! once, and a host that does not answer delays nobody else.**

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use model::record::Callback;
use model::{AccountSid, CallSid, EventSid, Timestamp};
use tokio::sync::{Notify, Semaphore};
use url::Url;

use crate::backoff::{Backoff, retry_after};
use crate::error::FetchError;
use crate::fetch::{BodyKind, FetchRequest, Fetched, Fetcher};
use crate::outbox::{OutboxError, OutboxStore, Outcome, PendingCallback};
use crate::policy::AddressPolicy;

/// Header that names the event, so that an application can tell a repeated callback.
const EVENT_HEADER: &str = "x-patchcord-event";

/// Attempts to write to the store before a row is left for the next start.
const STORE_ATTEMPTS: u32 = 5;

/// Settings of the delivery.
#[derive(Clone, Debug)]
pub struct CallbackConfig {
    /// Planned wait after the first failure; doubles with each further one.
    pub first_wait: Duration,
    /// Longest planned wait, and longest wait a server can ask for.
    pub longest_wait: Duration,
    /// A callback older than this is given up when an attempt fails.
    pub max_age: Duration,
    /// Callbacks on their way to one origin at once.
    pub per_host: usize,
}

impl Default for CallbackConfig {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(300),
            max_age: Duration::from_secs(24 * 3600),
            per_host: 8,
        }
    }
}

/// Says what the addresses that an account wrote may reach.
pub type PolicyOf = Arc<dyn Fn(AccountSid) -> AddressPolicy + Send + Sync>;

/// Handle to the delivery. Clones share it.
#[derive(Clone)]
pub struct Callbacks(Arc<Inner>);

struct Inner {
    fetcher: Fetcher,
    store: Arc<dyn OutboxStore>,
    config: CallbackConfig,
    policy_of: PolicyOf,
    lanes: Mutex<Lanes>,
    idle: Notify,
}

/// A call and the origin of an address.
type LaneKey = (CallSid, String);

#[derive(Default)]
struct Lanes {
    /// What each lane still has to do; its first row is on its way.
    waiting: BTreeMap<LaneKey, VecDeque<PendingCallback>>,
    /// Rows in `waiting`.
    known: BTreeSet<EventSid>,
    /// Places at each origin that a lane uses.
    places: BTreeMap<String, Weak<Semaphore>>,
}

/// What an attempt says about a callback.
enum Attempt {
    Ended(Outcome),
    /// To be tried again, perhaps after the time that the server asked for.
    Failed {
        status: Option<u16>,
        reason: String,
        asked: Option<Duration>,
    },
}

impl Callbacks {
    /// A delivery that has nothing to do yet. Its tasks run on the current tokio runtime.
    #[must_use]
    pub fn new(
        fetcher: Fetcher,
        store: Arc<dyn OutboxStore>,
        config: CallbackConfig,
        policy_of: PolicyOf,
    ) -> Self {
        let (lanes, idle) = (Mutex::default(), Notify::new());
        Self(Arc::new(Inner {
            fetcher,
            store,
            config,
            policy_of,
            lanes,
            idle,
        }))
    }

    /// Takes up every row that is not through; to be called once at start. Returns their number.
    ///
    /// # Errors
    /// [`OutboxError`] if the outbox cannot be read.
    pub async fn resume(&self) -> Result<usize, OutboxError> {
        let rows = self.0.store.undelivered().await?;
        let count = rows.len();
        for row in rows {
            self.queue(row);
        }
        Ok(count)
    }

    /// Delivers a row that has just been stored. Never waits; a row that is on its way already is
    /// left alone.
    pub fn deliver(&self, callback: Callback) {
        let next_at = callback.created;
        self.queue(PendingCallback {
            callback,
            attempts: 0,
            next_at,
        });
    }

    /// Rows that are not through.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.0.lanes().known.len()
    }

    /// Waits until there is nothing left to deliver.
    pub async fn drained(&self) {
        loop {
            let changed = self.0.idle.notified();
            if self.backlog() == 0 {
                return;
            }
            changed.await;
        }
    }

    fn queue(&self, row: PendingCallback) {
        let origin = origin(&row.callback.url);
        let key = (row.callback.call, origin.clone());
        let mut lanes = self.0.lanes();
        if !lanes.known.insert(row.callback.event) {
            return;
        }
        if let Some(lane) = lanes.waiting.get_mut(&key) {
            lane.push_back(row);
            return;
        }
        lanes.waiting.insert(key.clone(), VecDeque::from([row]));
        let places = lanes.places_at(&origin, self.0.config.per_host);
        drop(lanes);
        tokio::spawn(run(Arc::clone(&self.0), key, places));
    }
}

/// Empties one lane.
async fn run(inner: Arc<Inner>, key: LaneKey, places: Arc<Semaphore>) {
    while let Some(row) = inner.first(&key) {
        inner.settle(row, &places).await;
        inner.remove_first(&key);
    }
}

impl Inner {
    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next row of a lane; an empty lane is removed.
    fn first(&self, key: &LaneKey) -> Option<PendingCallback> {
        let mut lanes = self.lanes();
        let first = lanes
            .waiting
            .get(key)
            .and_then(|lane| lane.front().cloned());
        if first.is_none() {
            lanes.waiting.remove(key);
        }
        first
    }

    fn remove_first(&self, key: &LaneKey) {
        let mut lanes = self.lanes();
        if let Some(row) = lanes.waiting.get_mut(key).and_then(VecDeque::pop_front) {
            lanes.known.remove(&row.callback.event);
        }
        if lanes.known.is_empty() {
            self.idle.notify_waiters();
        }
    }

    /// Tries a row until it ends.
    async fn settle(&self, mut row: PendingCallback, places: &Semaphore) {
        let event = row.callback.event;
        loop {
            tokio::time::sleep(row.next_at.since(now())).await;
            let attempt = {
                // The semaphore is never closed, so this is always a place.
                let _place = places.acquire().await;
                self.attempt(&row.callback).await
            };
            row.attempts = row.attempts.saturating_add(1);
            let outcome = match attempt {
                Attempt::Ended(outcome) => outcome,
                Attempt::Failed {
                    status,
                    reason,
                    asked,
                } => {
                    if !self.is_too_old(&row.callback) {
                        row.next_at = self.next_attempt(row.attempts, asked);
                        let (attempts, next_at) = (row.attempts, row.next_at);
                        let noted = self.store.retry(event, attempts, next_at).await;
                        if let Err(error) = noted {
                            tracing::warn!(%event, %error, "cannot note a failed callback");
                        }
                        continue;
                    }
                    Outcome::Dead { status, reason }
                }
            };
            return self.finish(&row, outcome).await;
        }
    }

    async fn finish(&self, row: &PendingCallback, outcome: Outcome) {
        let event = row.callback.event;
        if let Outcome::Dead { status, reason } = &outcome {
            let host = origin(&row.callback.url);
            tracing::warn!(%event, call.sid = %row.callback.call, host, status, reason,
                "a callback is given up");
        }
        for attempt in 1..=STORE_ATTEMPTS {
            match self
                .store
                .finish(event, row.attempts, outcome.clone())
                .await
            {
                Ok(()) => return,
                Err(error) if attempt == STORE_ATTEMPTS => {
                    tracing::error!(%event, %error, "the end of a callback is not stored");
                }
                Err(_) => tokio::time::sleep(self.backoff().wait(attempt, None, 1.0)).await,
            }
        }
    }

    async fn attempt(&self, callback: &Callback) -> Attempt {
        let request = FetchRequest {
            params: callback.params.clone(),
            headers: vec![(EVENT_HEADER.to_owned(), callback.event.to_string())],
            policy: (self.policy_of)(callback.author),
            kind: BodyKind::Ignored,
            ..FetchRequest::new(callback.method, callback.url.as_str())
        };
        judged(self.fetcher.fetch(request).await)
    }

    fn is_too_old(&self, callback: &Callback) -> bool {
        now().since(callback.created) >= self.config.max_age
    }

    fn next_attempt(&self, failures: u32, asked: Option<Duration>) -> Timestamp {
        let wait = self.backoff().wait(failures, asked, rand::random());
        now() + wait
    }

    fn backoff(&self) -> Backoff {
        Backoff {
            first: self.config.first_wait,
            longest: self.config.longest_wait,
        }
    }
}

impl Lanes {
    /// The places at an origin, shared by all lanes that use it.
    fn places_at(&mut self, origin: &str, count: usize) -> Arc<Semaphore> {
        if let Some(places) = self.places.get(origin).and_then(Weak::upgrade) {
            return places;
        }
        self.places.retain(|_, places| places.strong_count() > 0);
        let places = Arc::new(Semaphore::new(count.max(1)));
        self.places
            .insert(origin.to_owned(), Arc::downgrade(&places));
        places
    }
}

/// What an answer means for a callback.
fn judged(result: Result<Fetched, FetchError>) -> Attempt {
    let (status, reason, asked) = match result {
        Ok(answer) if (200..300).contains(&answer.status) => {
            return Attempt::Ended(Outcome::Delivered {
                status: answer.status,
            });
        }
        Ok(answer) if answer.status >= 500 || matches!(answer.status, 408 | 425 | 429) => {
            let asked = answer.header("retry-after");
            let asked = asked.and_then(|text| retry_after(text, SystemTime::now()));
            (
                Some(answer.status),
                format!("the answer has status {}", answer.status),
                asked,
            )
        }
        Ok(answer) => {
            let reason = format!("the application refused it with status {}", answer.status);
            return Attempt::Ended(Outcome::Dead {
                status: Some(answer.status),
                reason,
            });
        }
        Err(error) if error.is_temporary() => (None, error.to_string(), None),
        Err(error) => {
            let reason = error.to_string();
            return Attempt::Ended(Outcome::Dead {
                status: None,
                reason,
            });
        }
    };
    Attempt::Failed {
        status,
        reason,
        asked,
    }
}

/// Scheme, host and port of an address; the address itself if it is none.
fn origin(url: &str) -> String {
    Url::parse(url).map_or_else(
        |_| "invalid".to_owned(),
        |url| url.origin().ascii_serialization(),
    )
}

fn now() -> Timestamp {
    Timestamp::from_unix(
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default(),
    )
}
