//! The store: accounts, clients, numbers, applications, calls and what belongs to them, in SQL.
//!
//! One SQL text serves SQLite (embedded) and PostgreSQL; what differs is in `dialect`. One task
//! writes (`writer`), a few connections read (`readers`), and the look-ups of the call path are cached
//! (`caches`).
//!
//! **Invariant: what `commit` confirmed is on disk, and a leg ends exactly once.** Left to
//! others: what the facts mean, and media files.

#![forbid(unsafe_code)]

mod accounts;
mod admin;
mod administer;
mod apply;
mod audit;
mod cache;
mod caches;
mod caller_ids;
mod change;
mod conferences;
mod connect;
mod connection;
mod counts;
pub mod credentials;
mod deliveries;
mod dialect;
mod directory;
mod discarded;
mod emails;
mod erasure;
mod error;
mod extensions;
mod filter;
mod first_start;
mod forwarding;
mod gateways;
mod geolocations;
mod inspect;
mod inventory;
mod keys;
mod ladder;
mod links;
mod lists;
mod masking;
mod memory;
mod message_routes;
mod migrate;
mod naming;
mod open;
mod operation;
mod opt_outs;
mod orders;
mod organizations;
mod paging;
mod profiles;
mod query;
mod queues;
mod readers;
mod repair;
mod replies;
mod retention;
mod row;
mod rows;
mod scheduled;
mod secret;
mod snapshot;
mod sorted;
mod sql;
mod transcriptions;
mod transfer;
mod triggers;
mod usage;
mod verify;
mod voicemail;
mod waiting;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use model::record::{CallRecord, Callback, Conference, Message, Number, StartedRecording};
use model::{InstanceSid, Timestamp};

pub use self::masking::{Ended, NotJoined, SessionFilter};
pub use self::verify::{AttemptCounts, AttemptFilter, Hit, NewCode, SendTo};
pub use self::voicemail::VoicemailFilter;
pub use accounts::{AccountChange, SecondaryToken};
pub use caller_ids::CallerIdFilter;
pub use change::{CallUpdate, Change, Committed, KeptPhones};
pub use deliveries::{DROPPED, Delivery, DeliveryFilter, DeliveryState, NoDeliveryState};
pub use discarded::{Discarded, Kind as DiscardedKind};
pub use emails::{ClaimedEmail, EmailClaim, EmailFilter};
pub use erasure::{Named, Person, Trail};
pub use error::StoreError;
pub use filter::{
    AccountFilter, CallFilter, CallKey, ConferenceFilter, MessageFilter, MessageKey,
    NotificationFilter, NotificationKey, NumberFilter, NumberKey, ParticipantFilter, Place,
    RecordingFilter, RecordingKey, RowKey, Rows, Scope, Sort, Window,
};
pub use first_start::{AdminSeed, FirstStart};
pub use forwarding::{MessagePart, QueuePlace, QueuedMessage, parts_taken};
pub use inspect::{Inspect, NotificationsOf, OpenCall, RecentCalls};
pub use keys::digest_of_key;
pub use links::RecordingLinks;
pub use opt_outs::OptOutFilter;
pub use orders::NumberOrder;
pub use profiles::{Effective, Profile, ProfileError, SCHEMA as PROFILE_SCHEMA};
pub use replies::{Claim, ClaimedKey, RequestKey};
pub use retention::{Kept, OldRow, Reason, Retention};
pub use scheduled::ScheduledMessage;
pub use secret::SecretKey;
pub use snapshot::{Contents, Snapshot, check_file, embedded_file, is_empty, newest_version};
pub use transcriptions::TranscriptionFilter;
pub use transfer::{Compared, Phase, Progress, Sum, Transfer};
pub use triggers::UsageTriggerFilter;
pub use usage::DailyUsage;

use crate::caches::Caches;
use crate::connect::unusable;
use crate::credentials::Verifier;
use crate::dialect::Dialect;
use crate::ladder::Ladder;
use crate::memory::Memory;
use crate::operation::Operation;
use crate::readers::Readers;
use crate::sorted::Groups;
use crate::writer::{Hurry, Start, Writer, now};

type Result<T, E = StoreError> = std::result::Result<T, E>;

/// How long look-ups may miss a write of another server to a shared database.
const SHARED_LIFETIME: Duration = Duration::from_secs(5);

/// Numbers that a dialled text may mean, best first.
#[derive(Debug, Clone, Default)]
pub struct NumberCandidates {
    /// Stored exactly so, in the order of the requested spellings; of every organization.
    pub exact: Vec<Arc<Number>>,
    /// Patterns of the organization, longest first. Not matched yet.
    pub patterns: Vec<Arc<Number>>,
    /// The organization's `*`.
    pub any: Option<Arc<Number>>,
}

/// A leg that a dead server left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The record with its final values.
    pub record: CallRecord,
    /// The last dialog; for an inbound leg also the one that an answer would have confirmed.
    pub dialog: Option<String>,
    /// The callbacks to send, as stored by [`Change::CallFarewell`].
    pub farewell: Option<String>,
}

/// A text message that a dead server left `sending`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrphanMessage {
    /// The record with its final values.
    pub record: Message,
    /// The callbacks to send, as stored by [`Change::MessageCreated`].
    pub farewell: Option<String>,
}

/// A recording that a dead server did not complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrphanRecording {
    /// The recording.
    pub started: StartedRecording,
    /// The callback to send, as stored by [`Change::RecordingStarted`].
    pub farewell: Option<String>,
}

/// A conference that a dead server left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrphanConference {
    /// The record with its final values.
    pub record: Conference,
    /// The callback to send, as stored by [`Change::ConferenceFarewell`].
    pub farewell: Option<String>,
}

/// A callback that is not yet delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingCallback {
    /// The callback itself.
    pub callback: Callback,
    /// Attempts made.
    pub attempts: i64,
    /// When the next attempt is due; `None`: immediately.
    pub next_at: Option<Timestamp>,
    /// When it was last replayed.
    pub replayed: Option<Timestamp>,
}

/// Handle to the database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    instance: InstanceSid,
    dialect: Dialect,
    key: SecretKey,
    readers: Readers,
    /// Positions in long lists by age.
    ladders: Memory<Ladder>,
    /// The same, in those that are sorted by something else.
    groups: Memory<Groups>,
    writer: Writer,
    caches: Arc<Caches>,
    verifier: Verifier,
}

impl Store {
    /// Opens `sqlite:PATH` or `postgres://…`, creates or updates the tables, and registers this
    /// process as a new instance, which then sends a heartbeat every 10 s.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] with a text for the operator: wrong address, file not writable or
    /// in use by another server, database of a newer release.
    pub async fn open(url: &str, key: SecretKey) -> Result<Self> {
        let mut opened = connect::open(url).await?;
        let explained = |error| match error {
            StoreError::Database(error) | StoreError::Unavailable(error) => unusable(url, error),
            other => other,
        };
        migrate::migrate(&mut opened.connection, opened.dialect, now())
            .await
            .map_err(explained)?;
        transfer::refuse_unfinished(&mut opened.connection)
            .await
            .map_err(explained)?;
        migrate::seal_clients(&mut opened.connection, opened.dialect, &key)
            .await
            .map_err(explained)?;
        let instance = InstanceSid::new(now(), rand::random());
        let dialect = opened.dialect;
        let lifetime = (!dialect.single_process()).then_some(SHARED_LIFETIME);
        let caches = Arc::new(Caches::new(lifetime));
        let readers = opened.readers();
        let start = Start {
            dialect,
            connection: opened.connection,
            target: opened.target,
            instance,
            caches: Arc::clone(&caches),
            lock: opened.lock,
        };
        let writer = Writer::spawn(start).map_err(|error| unusable(url, error))?;
        let store = Self {
            inner: Arc::new(Inner {
                instance,
                dialect,
                key,
                readers,
                ladders: Memory::new(),
                groups: Memory::new(),
                writer,
                caches,
                verifier: Verifier::new(),
            }),
        };
        store
            .commit(vec![Change::Alive {
                instance,
                at: now(),
            }])
            .await?;
        Ok(store)
    }

    /// This process among those that use the database; new at each start.
    #[must_use]
    pub fn instance(&self) -> InstanceSid {
        self.inner.instance
    }

    /// The key that seals stored secrets, to derive others from.
    #[must_use]
    pub fn key(&self) -> &SecretKey {
        &self.inner.key
    }

    /// Stores the facts in one transaction; returns once they are on disk. Dropping the future does
    /// not withdraw the facts.
    ///
    /// # Errors
    /// [`StoreError::Closed`] after [`Store::close`]; [`StoreError::Unavailable`] while the disk
    /// accepts no writes or the server only reads; otherwise the database's permanent error. A busy
    /// or lost database is not an error: the commit waits for it.
    pub async fn commit(&self, changes: Vec<Change>) -> Result<Committed> {
        let operations = changes.into_iter().map(Operation::Change).collect();
        self.inner.writer.commit(operations, Hurry::Now).await
    }

    /// As [`Store::commit`], for facts that delay no caller: they are written with the next group,
    /// at most 20 ms later.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub async fn commit_shared(&self, changes: Vec<Change>) -> Result<Committed> {
        let operations = changes.into_iter().map(Operation::Change).collect();
        self.inner.writer.commit(operations, Hurry::Shared).await
    }

    /// As [`Store::commit`], for facts that no caller waits for: they are written with the next
    /// group, at most 100 ms later.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub async fn commit_soon(&self, changes: Vec<Change>) -> Result<Committed> {
        let operations = changes.into_iter().map(Operation::Change).collect();
        self.inner.writer.commit(operations, Hurry::Soon).await
    }

    /// Stores facts whose commit failed with [`StoreError::Unavailable`]. If the first attempt was
    /// written after all, this has no further effect and returns the same result.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub async fn commit_again(&self, changes: Vec<Change>) -> Result<Committed> {
        let operations = changes.into_iter().map(Operation::Change).collect();
        self.inner.writer.commit_again(operations).await
    }

    /// Whether the last write succeeded: `false` while the disk accepts none or a shared database
    /// is unavailable. A heartbeat is written every 10 s, so this is no older than that.
    #[must_use]
    pub fn takes_writes(&self) -> bool {
        self.inner.writer.takes_writes()
    }

    /// Writes everything committed before and closes the database.
    pub async fn close(&self) {
        self.inner.readers.close().await;
        self.inner.writer.close().await;
    }

    fn dialect(&self) -> Dialect {
        self.inner.dialect
    }

    fn readers(&self) -> &Readers {
        &self.inner.readers
    }

    fn ladders(&self) -> &Memory<Ladder> {
        &self.inner.ladders
    }

    fn groups(&self) -> &Memory<Groups> {
        &self.inner.groups
    }

    fn writer(&self) -> &Writer {
        &self.inner.writer
    }

    fn caches(&self) -> &Caches {
        &self.inner.caches
    }

    fn verifier(&self) -> &Verifier {
        &self.inner.verifier
    }
}
