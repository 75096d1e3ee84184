//! The store: accounts, clients, numbers, applications, calls and what belongs to them, in SQL.
//!
//! One SQL text serves SQLite (embedded) and PostgreSQL; what differs is in [`dialect`].
//!
//! **Invariant: what `commit` confirmed is on disk, and a leg ends exactly once.** Left to
//! others: what the facts mean, and media files.

#![forbid(unsafe_code)]

mod change;
mod error;
mod filter;

use std::sync::Arc;

use model::record::{
    Account, Application, CallRecord, Callback, Client, Notification, Number, Organization,
    Recording,
};
use model::{
    AccountSid, AccountStatus, ApplicationSid, CallSid, ClientSid, InstanceSid, NotificationSid,
    NumberSid, OrganizationSid, RecordingSid, Timestamp,
};

pub use change::{CallUpdate, Change, Committed};
pub use error::StoreError;
pub use filter::{
    CallFilter, CallKey, NotificationFilter, NotificationKey, NumberFilter, NumberKey,
    RecordingFilter, RecordingKey, Rows, Scope, Sort, Window,
};

type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Key that secrets are stored under.
#[derive(Clone)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// Reads `secret.key` of the data directory, or makes it (mode 0600).
    pub fn load_or_create(_dir: &std::path::Path) -> Result<Self> {
        Err(StoreError::Closed)
    }

    /// From 64 hexadecimal digits.
    pub fn from_hex(_text: &str) -> Result<Self> {
        Err(StoreError::Closed)
    }

    /// A random one, for tests.
    #[must_use]
    pub fn random() -> Self {
        Self([0; 32])
    }
}

/// Numbers that a dialled text may mean, best first.
#[derive(Debug, Clone, Default)]
pub struct NumberCandidates {
    /// Stored exactly so, in the order of the spellings asked for; of every organization.
    pub exact: Vec<Arc<Number>>,
    /// Patterns of the organization, longest first. Not matched yet.
    pub patterns: Vec<Arc<Number>>,
    /// The organization's `*`.
    pub any: Option<Arc<Number>>,
}

/// A leg that a server which is gone left open.
#[derive(Debug, Clone)]
pub struct Orphan {
    /// With its final values.
    pub record: CallRecord,
    /// Dialog as it was when the leg was answered.
    pub dialog: Option<String>,
}

/// A callback that is not delivered yet.
#[derive(Debug, Clone)]
pub struct PendingCallback {
    /// What to send.
    pub callback: Callback,
    /// Attempts made.
    pub attempts: i64,
    /// When the next is due; `None` is at once.
    pub next_at: Option<Timestamp>,
}

/// Values for the first start; what is absent is generated.
#[derive(Debug, Clone, Default)]
pub struct AdminSeed {
    /// Identifier.
    pub sid: Option<AccountSid>,
    /// API token.
    pub token: Option<String>,
    /// E-mail address; default `administrator@company.com`.
    pub email: Option<String>,
    /// Password.
    pub password: Option<String>,
}

/// What the first start made.
#[derive(Debug, Clone)]
pub struct FirstStart {
    /// Identifier of the administrator.
    pub sid: AccountSid,
    /// E-mail address.
    pub email: String,
    /// API token.
    pub token: String,
    /// Password in clear text: shown once, kept only as a hash.
    pub password: String,
}

/// Handle to the database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    instance: InstanceSid,
}

const STUB: StoreError = StoreError::Closed;

impl Store {
    /// Opens `sqlite:PATH` or `postgres://…`, makes or updates the tables, and registers this
    /// process as a new instance.
    pub async fn open(_url: &str, _key: SecretKey) -> Result<Self> {
        Err(STUB)
    }

    /// This process among those that use the database; new at each start.
    #[must_use]
    pub const fn instance(&self) -> InstanceSid {
        self.instance
    }

    /// Writes what is queued and closes the database.
    pub async fn close(&self) {}

    /// Creates the default organization and the administrator in an empty database; `None` if
    /// it was not empty.
    pub async fn first_start(&self, _domain: &str, _admin: AdminSeed) -> Result<Option<FirstStart>> {
        Err(STUB)
    }

    /// Keeps the facts in one transaction; returns when they are on disk.
    pub async fn commit(&self, _changes: Vec<Change>) -> Result<Committed> {
        Err(STUB)
    }

    // Calls.
    pub async fn call(&self, _sid: CallSid) -> Result<Option<CallRecord>> {
        Err(STUB)
    }
    pub async fn calls(&self, _filter: &CallFilter) -> Result<Rows<CallRecord>> {
        Err(STUB)
    }
    pub async fn open_calls(&self, _instance: InstanceSid) -> Result<Vec<CallRecord>> {
        Err(STUB)
    }
    pub async fn orphans(&self, _now: Timestamp) -> Result<Vec<Orphan>> {
        Err(STUB)
    }
    pub async fn close_orphans(&self, _now: Timestamp) -> Result<Vec<Orphan>> {
        Err(STUB)
    }
    pub async fn trace(&self, _call: CallSid) -> Result<Option<Vec<u8>>> {
        Err(STUB)
    }

    // Recordings, notifications, outbox.
    pub async fn recording(&self, _sid: RecordingSid) -> Result<Option<Recording>> {
        Err(STUB)
    }
    pub async fn recordings(&self, _filter: &RecordingFilter) -> Result<Rows<Recording>> {
        Err(STUB)
    }
    pub async fn delete_recording(&self, _sid: RecordingSid) -> Result<bool> {
        Err(STUB)
    }
    pub async fn notification(&self, _sid: NotificationSid) -> Result<Option<Notification>> {
        Err(STUB)
    }
    pub async fn notifications(&self, _filter: &NotificationFilter) -> Result<Rows<Notification>> {
        Err(STUB)
    }
    /// Callbacks that this process must deliver: its own and those of servers that are gone, by
    /// call and sequence.
    pub async fn undelivered_callbacks(&self, _now: Timestamp) -> Result<Vec<PendingCallback>> {
        Err(STUB)
    }

    // Organizations and accounts.
    pub async fn organization(&self, _sid: OrganizationSid) -> Result<Option<Arc<Organization>>> {
        Err(STUB)
    }
    pub async fn organization_of_domain(&self, _domain: &str) -> Result<Option<Arc<Organization>>> {
        Err(STUB)
    }
    /// The organization made at the first start.
    pub async fn default_organization(&self) -> Result<Option<Arc<Organization>>> {
        Err(STUB)
    }
    /// Cached.
    pub async fn account(&self, _sid: AccountSid) -> Result<Option<Arc<Account>>> {
        Err(STUB)
    }
    pub async fn account_of_email(&self, _email: &str) -> Result<Option<Arc<Account>>> {
        Err(STUB)
    }
    pub async fn child_accounts(&self, _of: AccountSid) -> Result<Vec<Account>> {
        Err(STUB)
    }
    pub async fn insert_account(&self, _account: Account) -> Result<()> {
        Err(STUB)
    }
    pub async fn update_account(&self, _account: Account) -> Result<()> {
        Err(STUB)
    }
    /// Sets the status of an account and all below it; `closed` also removes what they own.
    pub async fn set_account_status(
        &self,
        _sid: AccountSid,
        _status: AccountStatus,
        _at: Timestamp,
    ) -> Result<()> {
        Err(STUB)
    }

    // Clients, numbers, applications.
    /// Cached.
    pub async fn client_of_login(&self, _login: &str, _domain: &str) -> Result<Option<Arc<Client>>> {
        Err(STUB)
    }
    pub async fn client(&self, _sid: ClientSid) -> Result<Option<Client>> {
        Err(STUB)
    }
    pub async fn clients(&self, _scope: Scope) -> Result<Vec<Client>> {
        Err(STUB)
    }
    pub async fn insert_client(&self, _client: Client) -> Result<()> {
        Err(STUB)
    }
    pub async fn update_client(&self, _client: Client) -> Result<()> {
        Err(STUB)
    }
    pub async fn delete_client(&self, _sid: ClientSid) -> Result<bool> {
        Err(STUB)
    }
    /// Numbers that `spellings` (see `model::number::candidates`) may mean. Cached.
    pub async fn number_candidates(
        &self,
        _organization: Option<OrganizationSid>,
        _spellings: &[String],
    ) -> Result<NumberCandidates> {
        Err(STUB)
    }
    pub async fn number(&self, _sid: NumberSid) -> Result<Option<Number>> {
        Err(STUB)
    }
    pub async fn numbers(&self, _filter: &NumberFilter) -> Result<Rows<Number>> {
        Err(STUB)
    }
    pub async fn insert_number(&self, _number: Number) -> Result<()> {
        Err(STUB)
    }
    pub async fn update_number(&self, _number: Number) -> Result<()> {
        Err(STUB)
    }
    pub async fn delete_number(&self, _sid: NumberSid) -> Result<bool> {
        Err(STUB)
    }
    /// Cached.
    pub async fn application(&self, _sid: ApplicationSid) -> Result<Option<Arc<Application>>> {
        Err(STUB)
    }
    pub async fn applications(&self, _scope: Scope) -> Result<Vec<Application>> {
        Err(STUB)
    }
    pub async fn insert_application(&self, _application: Application) -> Result<()> {
        Err(STUB)
    }
    pub async fn update_application(&self, _application: Application) -> Result<()> {
        Err(STUB)
    }
    pub async fn delete_application(&self, _sid: ApplicationSid) -> Result<bool> {
        Err(STUB)
    }
}
