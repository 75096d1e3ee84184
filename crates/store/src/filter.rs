//! Filters, order and windows of lists.

use model::{AccountSid, AccountStatus, ConferenceSid, ConferenceStatus, Timestamp};

/// The accounts whose rows are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Of this account only.
    Own(AccountSid),
    /// Of this account and all below it.
    Tree(AccountSid),
}

/// A part of the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Rows to skip.
    pub offset: i64,
    /// Maximum number of rows.
    pub limit: i64,
    /// The row next to which the window lies, at a cost that does not depend on its depth; `offset`
    /// counts only without one.
    pub place: Place,
}

impl Window {
    /// The rows after the first `offset`.
    #[must_use]
    pub fn at(offset: i64, limit: i64) -> Self {
        Self {
            offset,
            limit,
            place: Place::Offset,
        }
    }

    /// Every row.
    #[must_use]
    pub fn all() -> Self {
        Self::at(0, i64::MAX)
    }
}

impl Default for Window {
    fn default() -> Self {
        Self::at(0, 50)
    }
}

/// Where a window begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// At the window's `offset`.
    Offset,
    /// The same, but without counting the rows of the list.
    Newest,
    /// At the first row older than a key, in the default order (newest first). The rows of the list
    /// are not counted.
    OlderThan(RowKey),
    /// Such that the last row is the next newer than a key, in the default order (newest first).
    /// The rows of the list are not counted.
    NewerThan(RowKey),
    /// At the first row after the one with this identifier, in any order of the list.
    AfterRow(String),
}

/// The position of a row in a list sorted by age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowKey {
    /// When the row was created.
    pub created: Timestamp,
    /// Its identifier.
    pub sid: String,
}

/// Part of a list, and its total length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows<T> {
    /// The rows of the window.
    pub items: Vec<T>,
    /// Rows that match, inside and outside of the window; 0 if they were not counted ([`Place`]).
    pub total: i64,
}

/// Order of a list: by `key`, then newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort<K> {
    /// The property.
    pub key: K,
    /// Largest first.
    pub descending: bool,
}

/// Properties that calls can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKey {
    /// Creation.
    Created,
    /// Calling party.
    From,
    /// Called party.
    To,
    /// Direction.
    Direction,
    /// Status.
    Status,
    /// Duration; calls without one first.
    Duration,
}

/// Selects calls. Texts named *pattern* support `%` (any text) and `_` (any character).
#[derive(Debug, Clone)]
pub struct CallFilter {
    /// The owners.
    pub scope: Scope,
    /// Pattern that the called party ends with.
    pub to: Option<String>,
    /// Pattern that the calling party ends with.
    pub from: Option<String>,
    /// Patterns of the status word, one of which must match; empty means all statuses.
    pub status: Vec<String>,
    /// Whether `to` and `from` are whole values rather than patterns.
    pub exact: bool,
    /// Started then or later.
    pub started_from: Option<Timestamp>,
    /// Started then or earlier.
    pub started_until: Option<Timestamp>,
    /// Ended then or later.
    pub ended_from: Option<Timestamp>,
    /// Ended then or earlier.
    pub ended_until: Option<Timestamp>,
    /// Pattern of the parent's identifier.
    pub parent: Option<String>,
    /// Pattern of the identifier of the conference that the call is in, or was in when it ended.
    pub conference: Option<String>,
    /// Order; `None` is newest first.
    pub sort: Option<Sort<CallKey>>,
    /// Part of the list.
    pub window: Window,
}

impl CallFilter {
    /// All calls of an account, newest first.
    #[must_use]
    pub fn of(scope: Scope) -> Self {
        Self {
            scope,
            to: None,
            from: None,
            status: Vec::new(),
            exact: false,
            started_from: None,
            started_until: None,
            ended_from: None,
            ended_until: None,
            parent: None,
            conference: None,
            sort: None,
            window: Window::default(),
        }
    }
}

/// Properties that recordings can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingKey {
    /// Creation.
    Created,
    /// Duration.
    Duration,
    /// Leg.
    Call,
}

/// Selects recordings.
#[derive(Debug, Clone)]
pub struct RecordingFilter {
    /// The owners.
    pub scope: Scope,
    /// Pattern of the leg's identifier.
    pub call: Option<String>,
    /// The conference.
    pub conference: Option<ConferenceSid>,
    /// Also those that are not complete: being made, or failed.
    pub unfinished: bool,
    /// Created then or later.
    pub created_from: Option<Timestamp>,
    /// Created then or earlier.
    pub created_until: Option<Timestamp>,
    /// Order; `None` is newest first.
    pub sort: Option<Sort<RecordingKey>>,
    /// Part of the list.
    pub window: Window,
}

impl RecordingFilter {
    /// All recordings of an account, newest first.
    #[must_use]
    pub fn of(scope: Scope) -> Self {
        Self {
            scope,
            call: None,
            conference: None,
            unfinished: false,
            created_from: None,
            created_until: None,
            sort: None,
            window: Window::default(),
        }
    }
}

/// Properties that messages can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKey {
    /// Creation.
    Created,
    /// Sender.
    From,
    /// Recipient.
    To,
    /// Direction.
    Direction,
    /// Status.
    Status,
    /// Text.
    Body,
}

/// Selects messages. Texts named *pattern* support `%` (any text) and `_` (any character).
#[derive(Debug, Clone)]
pub struct MessageFilter {
    /// The owners.
    pub scope: Scope,
    /// Pattern that the recipient ends with.
    pub to: Option<String>,
    /// Pattern that the sender ends with.
    pub from: Option<String>,
    /// Pattern found anywhere in the text.
    pub body: Option<String>,
    /// Pattern of the status word.
    pub status: Option<String>,
    /// Whether `to` and `from` are whole values rather than patterns.
    pub exact: bool,
    /// Created then or later.
    pub created_from: Option<Timestamp>,
    /// Created then or earlier.
    pub created_until: Option<Timestamp>,
    /// Sent then or later.
    pub sent_from: Option<Timestamp>,
    /// Sent then or earlier.
    pub sent_until: Option<Timestamp>,
    /// Order; `None` is newest first.
    pub sort: Option<Sort<MessageKey>>,
    /// Part of the list.
    pub window: Window,
}

impl MessageFilter {
    /// All messages of an account, newest first.
    #[must_use]
    pub fn of(scope: Scope) -> Self {
        Self {
            scope,
            to: None,
            from: None,
            body: None,
            status: None,
            exact: false,
            created_from: None,
            created_until: None,
            sent_from: None,
            sent_until: None,
            sort: None,
            window: Window::default(),
        }
    }
}

/// Properties that notifications can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotificationKey {
    /// Creation.
    Created,
    /// Level.
    Level,
    /// Number of the problem.
    Code,
    /// Leg.
    Call,
    /// Text.
    Text,
}

/// Selects notifications.
#[derive(Debug, Clone)]
pub struct NotificationFilter {
    /// The owners.
    pub scope: Scope,
    /// 0 for errors, 1 for warnings.
    pub level: Option<i64>,
    /// Number of the problem.
    pub code: Option<i64>,
    /// Address that was requested.
    pub request_url: Option<String>,
    /// Part of the text, in any letter case.
    pub text: Option<String>,
    /// Identifier of the leg.
    pub call: Option<String>,
    /// Created then or later.
    pub created_from: Option<Timestamp>,
    /// Created then or earlier.
    pub created_until: Option<Timestamp>,
    /// Order; `None` is newest first.
    pub sort: Option<Sort<NotificationKey>>,
    /// Part of the list.
    pub window: Window,
}

impl NotificationFilter {
    /// All notifications of an account, newest first.
    #[must_use]
    pub fn of(scope: Scope) -> Self {
        Self {
            scope,
            level: None,
            code: None,
            request_url: None,
            text: None,
            call: None,
            created_from: None,
            created_until: None,
            sort: None,
            window: Window::default(),
        }
    }
}

/// Properties that numbers can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberKey {
    /// The number.
    PhoneNumber,
    /// Name.
    FriendlyName,
}

/// Selects numbers.
#[derive(Debug, Clone)]
pub struct NumberFilter {
    /// The owners.
    pub scope: Scope,
    /// Pattern found anywhere in the number.
    pub phone_number: Option<String>,
    /// Pattern found anywhere in the name.
    pub friendly_name: Option<String>,
    /// Order; `None` is newest first.
    pub sort: Option<Sort<NumberKey>>,
    /// Part of the list.
    pub window: Window,
}

/// Selects accounts below another one.
#[derive(Debug, Clone)]
pub struct AccountFilter {
    /// The account directly above them.
    pub parent: AccountSid,
    /// Whether to include that account.
    pub itself: bool,
    /// Name.
    pub friendly_name: Option<String>,
    /// Statuses, one of which must match; empty means any.
    pub statuses: Vec<AccountStatus>,
    /// Part of the list.
    pub window: Window,
}

/// Selects conferences.
#[derive(Debug, Clone)]
pub struct ConferenceFilter {
    /// The owners.
    pub scope: Scope,
    /// Name, or a pattern of it.
    pub name: Option<String>,
    /// Whether `name` is a whole value rather than a pattern.
    pub exact: bool,
    /// Statuses, one of which must match; `None` means all.
    pub statuses: Option<Vec<ConferenceStatus>>,
    /// Created at or after.
    pub created_from: Option<Timestamp>,
    /// Created at or before.
    pub created_until: Option<Timestamp>,
    /// Last updated at or after.
    pub updated_from: Option<Timestamp>,
    /// Last updated at or before.
    pub updated_until: Option<Timestamp>,
    /// The part of the list.
    pub window: Window,
}

impl ConferenceFilter {
    /// All conferences of an account, newest first.
    #[must_use]
    pub fn of(scope: Scope) -> Self {
        Self {
            scope,
            name: None,
            exact: true,
            statuses: None,
            created_from: None,
            created_until: None,
            updated_from: None,
            updated_until: None,
            window: Window::default(),
        }
    }
}

/// Selects the calls that are in a conference.
#[derive(Debug, Clone)]
pub struct ParticipantFilter {
    /// The conference.
    pub conference: ConferenceSid,
    /// Whether they are muted.
    pub muted: Option<bool>,
    /// Whether they are on hold.
    pub on_hold: Option<bool>,
    /// Whether they coach another.
    pub coaching: Option<bool>,
    /// Label.
    pub label: Option<String>,
    /// Part of the list.
    pub window: Window,
}

impl ParticipantFilter {
    /// Every participant of a conference, newest first.
    #[must_use]
    pub fn of(conference: ConferenceSid) -> Self {
        Self {
            conference,
            muted: None,
            on_hold: None,
            coaching: None,
            label: None,
            window: Window::all(),
        }
    }
}
