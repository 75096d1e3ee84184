//! Reads lists in windows.

use std::sync::OnceLock;

use model::email::Email;
use model::record::{
    Account, Application, CallRecord, Client, Message, Notification, Number, Recording,
    ShownRecording, Transcription,
};
use model::{
    CallSid, InstanceSid, Lane, MessageSid, NotificationSid, NumberSid, OrganizationSid,
    RecordingSid, ServerSid, Timestamp, TranscriptionSid,
};

use crate::admin::Admin;
use crate::emails::{self, EMAILS, EmailFilter};
use crate::filter::{
    AccountFilter, CallFilter, CallKey, MessageFilter, MessageKey, NotificationFilter,
    NotificationKey, NumberFilter, NumberKey, RecordingFilter, RecordingKey, Rows, Scope, Sort,
    Window,
};
use crate::forwarding::WITHOUT_FAREWELL;
use crate::paging::List;
use crate::query::{Conditions, Order, counted};
use crate::row::Row;
use crate::sql::{Arg, Sql, Table, args};
use crate::transcriptions::{self, TRANSCRIPTIONS, TranscriptionFilter};
use crate::{Result, Store, rows};

/// The columns of recordings in any state.
const SHOWN_COLUMNS: &[&str] = &[
    "sid",
    "account",
    "call",
    "conference",
    "source",
    "channels",
    "duration_ms",
    "size_bytes",
    "created",
    "updated",
    "status",
];

/// The complete recordings, with those whose files were removed.
static COMPLETE_RECORDINGS: Table = Table {
    name: "(SELECT sid, account, call, conference, source, channels, duration_ms, size_bytes, \
           created, updated, CASE WHEN gone IS NULL THEN 'completed' ELSE 'absent' END AS status \
           FROM recordings) AS shown",
    counted: false,
    columns: SHOWN_COLUMNS,
    insert_once: OnceLock::new(),
};

/// The complete recordings, and those that are being made or have failed.
/// Both halves have the same column types: only then does SQLite read each by its index and merge them.
static SHOWN_RECORDINGS: Table = Table {
    name: "(SELECT sid, account, call, conference, source, channels, duration_ms, size_bytes, \
           created, updated, \
           CAST(CASE WHEN gone IS NULL THEN 'completed' ELSE 'absent' END AS TEXT) AS status \
           FROM recordings \
           UNION ALL SELECT sid, account, call, conference, source, channels, \
           CAST(0 AS BIGINT), CAST(0 AS BIGINT), \
           created, CAST(COALESCE(updated, created) AS BIGINT), status \
           FROM started_recordings) AS shown",
    counted: false,
    columns: SHOWN_COLUMNS,
    insert_once: OnceLock::new(),
};

impl Store {
    /// A leg.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn call(&self, sid: CallSid) -> Result<Option<CallRecord>> {
        self.one(&rows::CALLS, sid, rows::call).await
    }

    /// The leg that was answered of those that the API made together with this one; `None` if none was, or only this one.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn answered_instead(&self, call: &CallRecord) -> Result<Option<CallSid>> {
        let first = call.parent.unwrap_or(call.sid);
        let sql = Sql::new(
            "SELECT sid FROM calls WHERE parent = $1 AND sid <> $2 AND direction = 'outbound-api' \
             AND answered IS NOT NULL \
             UNION SELECT sid FROM calls WHERE sid = $1 AND sid <> $2 AND direction = 'outbound-api' \
             AND answered IS NOT NULL",
            args![first, call.sid],
        );
        self.first(sql, |row| row.word("sid")).await
    }

    /// The live legs of this server, oldest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn live_calls(&self) -> Result<Vec<CallRecord>> {
        let mut sql = rows::CALLS.select();
        sql.with(" WHERE ended IS NULL AND instance = ?", self.instance())
            .text(" ORDER BY created, sid");
        self.many(sql, rows::call).await
    }

    /// How many legs are on record.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn count_calls(&self, scope: Scope) -> Result<i64> {
        let sql = counted(scope, rows::CALLS.name);
        let found = self.first(sql, |row| row.int("n")).await?;
        Ok(found.unwrap_or_default())
    }

    /// Legs that a filter matches.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn calls(&self, filter: &CallFilter) -> Result<Rows<CallRecord>> {
        let dialect = self.dialect();
        let status = format!("status{}", dialect.by_bytes());
        let fill = |conditions: &mut Conditions| {
            conditions.matches("parent", filter.parent.as_deref());
            conditions.matches("conference", filter.conference.as_deref());
            conditions.party(dialect, "to_user", filter.exact, filter.to.as_deref());
            conditions.party(dialect, "from_user", filter.exact, filter.from.as_deref());
            conditions.words(&status, &filter.status);
            conditions.between("started", filter.started_from, filter.started_until);
            conditions.between("ended", filter.ended_from, filter.ended_until);
            // A call starts and ends after it was created.
            let until = filter.started_until.into_iter().chain(filter.ended_until);
            conditions.created(None, until.min());
        };
        let key = |key| match key {
            CallKey::Created => Key::Number("created"),
            CallKey::From => Key::Party("from_user"),
            CallKey::To => Key::Party("to_user"),
            CallKey::Direction => Key::Text("direction"),
            CallKey::Status => Key::Text("status"),
            CallKey::Duration => Key::Number("COALESCE(duration_s, -1)"),
        };
        let order = self.order(filter.sort, key);
        let list = List {
            table: &rows::CALLS,
            scope: Some(filter.scope),
            order: &order,
            window: &filter.window,
        };
        self.list(list, fill, rows::call).await
    }

    /// Legs of an instance that have not ended, oldest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn open_calls(&self, instance: InstanceSid) -> Result<Vec<CallRecord>> {
        let mut sql = rows::CALLS.select();
        sql.with(" WHERE instance = ?", instance)
            .text(" AND ended IS NULL ORDER BY created, sid");
        self.many(sql, rows::call).await
    }

    /// The trace of a call, a conference or a message, as it was committed.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn trace(&self, lane: Lane) -> Result<Option<Vec<u8>>> {
        let sql = Sql::new("SELECT content FROM traces WHERE lane = $1", args![lane]);
        self.first(sql, |row| row.blob("content")).await
    }

    /// The stored registrations with a server: login and content, by login.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn registered(
        &self,
        organization: OrganizationSid,
        server: ServerSid,
    ) -> Result<Vec<(String, String)>> {
        let sql = Sql::new(
            "SELECT login, content FROM registrations \
             WHERE organization = $1 AND server = $2 ORDER BY login",
            args![organization, server],
        );
        let read = |row: &Row| Ok((row.text("login")?, row.text("content")?));
        self.many(sql, read).await
    }

    /// A recording.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn recording(&self, sid: RecordingSid) -> Result<Option<Recording>> {
        self.one(&rows::RECORDINGS, sid, rows::recording).await
    }

    /// A recording in any state.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn shown_recording(&self, sid: RecordingSid) -> Result<Option<ShownRecording>> {
        self.one(&SHOWN_RECORDINGS, sid, rows::shown_recording)
            .await
    }

    /// Recordings that a filter matches.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn recordings(&self, filter: &RecordingFilter) -> Result<Rows<ShownRecording>> {
        let fill = |conditions: &mut Conditions| {
            conditions.matches("call", filter.call.as_deref());
            if let Some(conference) = filter.conference {
                conditions.equal("conference", conference);
            }
            conditions.created(filter.created_from, filter.created_until);
        };
        let key = |key| match key {
            RecordingKey::Created => Key::Number("created"),
            RecordingKey::Duration => Key::Number("duration_ms"),
            RecordingKey::Call => Key::Other("COALESCE(call, '')"),
        };
        let order = self.order(filter.sort, key);
        let list = |table| List {
            table,
            scope: Some(filter.scope),
            order: &order,
            window: &filter.window,
        };
        if filter.unfinished {
            let list = list(&SHOWN_RECORDINGS);
            return self.list(list, fill, rows::shown_recording).await;
        }
        let list = list(&COMPLETE_RECORDINGS);
        self.list(list, fill, rows::shown_recording).await
    }

    /// A transcription.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn transcription(&self, sid: TranscriptionSid) -> Result<Option<Transcription>> {
        self.one(&TRANSCRIPTIONS, sid, transcriptions::read).await
    }

    /// Deletes a transcription; `false` if it did not exist.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_transcription(&self, sid: TranscriptionSid) -> Result<bool> {
        self.administer(Admin::Change(TRANSCRIPTIONS.delete(sid)))
            .await
    }

    /// Transcriptions that a filter matches.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn transcriptions(
        &self,
        filter: &TranscriptionFilter,
    ) -> Result<Rows<Transcription>> {
        let fill = |conditions: &mut Conditions| {
            if let Some(recording) = filter.recording {
                conditions.equal("recording", recording);
            }
            conditions.like("content", ("%", "%"), filter.text.as_deref());
            conditions.created(filter.created_from, filter.created_until);
        };
        let order = if filter.oldest_first {
            Order::OLDEST
        } else {
            Order::NEWEST
        };
        let list = List {
            table: &TRANSCRIPTIONS,
            scope: Some(filter.scope),
            order: &order,
            window: &filter.window,
        };
        self.list(list, fill, transcriptions::read).await
    }

    /// A text message.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn message(&self, sid: MessageSid) -> Result<Option<Message>> {
        self.one(&rows::MESSAGES, sid, rows::message).await
    }

    /// Removes the text of a message that has ended; `false` if it does not exist, or has not ended.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn redact_message(&self, sid: MessageSid, at: Timestamp) -> Result<bool> {
        let mut sql = Sql::default();
        sql.with("UPDATE messages SET body = '', updated = ?", at)
            .text(WITHOUT_FAREWELL)
            .with(" WHERE sid = ?", sid)
            .text(" AND ended IS NOT NULL");
        self.administer(Admin::Change(sql)).await
    }

    /// Deletes a text message that has ended; `false` if it does not exist, or has not ended.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_message(&self, sid: MessageSid) -> Result<bool> {
        self.administer(Admin::DeleteMessage(sid)).await
    }

    /// Text messages that a filter matches.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn messages(&self, filter: &MessageFilter) -> Result<Rows<Message>> {
        let dialect = self.dialect();
        let status = format!("status{}", dialect.by_bytes());
        let fill = |conditions: &mut Conditions| {
            conditions.party(dialect, "to_user", filter.exact, filter.to.as_deref());
            conditions.party(dialect, "from_user", filter.exact, filter.from.as_deref());
            conditions.words(&status, filter.status.as_slice());
            conditions.between("sent", filter.sent_from, filter.sent_until);
            conditions.like("body", ("%", "%"), filter.body.as_deref());
            // A message is sent after it was created.
            let until = filter.created_until.into_iter().chain(filter.sent_until);
            conditions.created(filter.created_from, until.min());
        };
        let key = |key| match key {
            MessageKey::Created => Key::Number("created"),
            MessageKey::From => Key::Party("from_user"),
            MessageKey::To => Key::Party("to_user"),
            MessageKey::Direction => Key::Text("direction"),
            MessageKey::Status => Key::Text("status"),
            MessageKey::Body => Key::Other("body"),
        };
        let order = self.order(filter.sort, key);
        let list = List {
            table: &rows::MESSAGES,
            scope: Some(filter.scope),
            order: &order,
            window: &filter.window,
        };
        self.list(list, fill, rows::message).await
    }

    /// E-mails that a filter matches, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn emails(&self, filter: &EmailFilter) -> Result<Rows<Email>> {
        let fill = |conditions: &mut Conditions| {
            for (column, value) in [("recipient", &filter.to), ("sender", &filter.from)] {
                if let Some(value) = value {
                    conditions.add(&format!(" AND {column} = ?"), value.as_str());
                }
            }
            conditions.like("status", ("", ""), filter.status.as_deref());
            conditions.created(filter.created_from, filter.created_until);
        };
        let list = List {
            table: &EMAILS,
            scope: Some(filter.scope),
            order: &Order::NEWEST,
            window: &filter.window,
        };
        self.list(list, fill, emails::read).await
    }

    /// A notification.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn notification(&self, sid: NotificationSid) -> Result<Option<Notification>> {
        self.one(&rows::NOTIFICATIONS, sid, rows::notification)
            .await
    }

    /// Notifications that a filter matches.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn notifications(&self, filter: &NotificationFilter) -> Result<Rows<Notification>> {
        let fill = |conditions: &mut Conditions| {
            conditions.matches("call", filter.call.as_deref());
            if let Some(code) = filter.code {
                conditions.equal("code", code);
            }
            if let Some(level) = filter.level {
                conditions.add(" AND level = ?", level);
            }
            if let Some(url) = &filter.request_url {
                conditions.add(" AND request_url = ?", url.clone());
            }
            conditions.like("message", ("%", "%"), filter.text.as_deref());
            conditions.created(filter.created_from, filter.created_until);
        };
        let key = |key| match key {
            NotificationKey::Created => Key::Number("created"),
            NotificationKey::Level => Key::Number("level"),
            NotificationKey::Code => Key::Number("code"),
            NotificationKey::Call => Key::Other("COALESCE(call, '')"),
            NotificationKey::Text => Key::Other("message"),
        };
        let order = self.order(filter.sort, key);
        let list = List {
            table: &rows::NOTIFICATIONS,
            scope: Some(filter.scope),
            order: &order,
            window: &filter.window,
        };
        self.list(list, fill, rows::notification).await
    }

    /// An incoming number.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn number(&self, sid: NumberSid) -> Result<Option<Number>> {
        self.one(&rows::NUMBERS, sid, rows::number).await
    }

    /// Incoming numbers that a filter matches.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn numbers(&self, filter: &NumberFilter) -> Result<Rows<Number>> {
        let fill = |conditions: &mut Conditions| {
            conditions.like("phone_number", ("%", "%"), filter.phone_number.as_deref());
            conditions.like("friendly_name", ("%", "%"), filter.friendly_name.as_deref());
        };
        let key = |key| match key {
            NumberKey::PhoneNumber => Key::Other("phone_number"),
            NumberKey::FriendlyName => Key::Other("friendly_name"),
        };
        let order = self.order(filter.sort, key);
        let list = List {
            table: &rows::NUMBERS,
            scope: Some(filter.scope),
            order: &order,
            window: &filter.window,
        };
        self.list(list, fill, rows::number).await
    }

    /// Part of the clients, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn clients_page(&self, scope: Scope, window: &Window) -> Result<Rows<Client>> {
        let list = List {
            table: &rows::CLIENTS,
            scope: Some(scope),
            order: &Order::NEWEST,
            window,
        };
        self.list(list, |_| {}, |row| rows::client(row, self.key()))
            .await
    }

    /// Part of the applications, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn applications_page(
        &self,
        scope: Scope,
        window: &Window,
    ) -> Result<Rows<Application>> {
        let list = List {
            table: &rows::APPLICATIONS,
            scope: Some(scope),
            order: &Order::NEWEST,
            window,
        };
        self.list(list, |_| {}, rows::application).await
    }

    /// Part of the accounts that a filter matches, newest first.
    ///
    /// # Errors
    /// As [`Store::account`].
    pub async fn accounts_page(&self, filter: &AccountFilter) -> Result<Rows<Account>> {
        let fill = |conditions: &mut Conditions| {
            if filter.itself {
                conditions.add(" AND (parent = ?", filter.parent);
                conditions.add(" OR sid = ?)", filter.parent);
            } else {
                conditions.equal("parent", filter.parent);
            }
            if let Some(name) = &filter.friendly_name {
                conditions.add(" AND friendly_name = ?", name.clone());
            }
            let words = filter.statuses.iter().map(ToString::to_string);
            conditions.like_any("status", &words.collect::<Vec<_>>());
        };
        let list = List {
            table: &rows::ACCOUNTS,
            scope: None,
            order: &Order::NEWEST,
            window: &filter.window,
        };
        let read = |row: &Row| rows::account(row, self.key());
        self.list(list, fill, read).await
    }

    /// Part of the rows of a table, newest first.
    pub(crate) async fn newest<T: Send>(
        &self,
        table: &'static Table,
        scope: Option<Scope>,
        window: &Window,
        fill: impl Fn(&mut Conditions) + Sync,
        read: impl Fn(&Row) -> Result<T> + Sync,
    ) -> Result<Rows<T>> {
        let list = List {
            table,
            scope,
            order: &Order::NEWEST,
            window,
        };
        self.list(list, fill, read).await
    }

    fn order<K>(&self, sort: Option<Sort<K>>, key: impl Fn(K) -> Key) -> Order {
        let Some(sort) = sort else {
            return Order::NEWEST;
        };
        let by_bytes = self.dialect().by_bytes();
        let (column, is_indexed) = match key(sort.key) {
            Key::Number("created") => (None, false),
            Key::Number(column) => (Some(column.to_owned()), true),
            Key::Text(column) => (Some(format!("{column}{by_bytes}")), true),
            Key::Party(column) => {
                let start = format!("SUBSTR({column}, 1, 64){by_bytes}");
                (Some(start), true)
            }
            Key::Other(column) => (Some(format!("{column}{by_bytes}")), false),
        };
        Order {
            indexed: column.clone().filter(|_| is_indexed),
            column,
            descending: sort.descending,
        }
    }

    /// The row with a key.
    pub(crate) async fn one<T>(
        &self,
        table: &'static Table,
        key: impl Into<Arg>,
        read: fn(&Row) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut sql = table.select();
        sql.with(&format!(" WHERE {} = ?", table.columns[0]), key);
        self.first(sql, read).await
    }

    pub(crate) async fn first<T>(
        &self,
        sql: Sql,
        read: impl Fn(&Row) -> Result<T>,
    ) -> Result<Option<T>> {
        self.readers().first(sql, read).await
    }

    pub(crate) async fn many<T>(
        &self,
        sql: Sql,
        read: impl Fn(&Row) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.readers().many(sql, read).await
    }
}

/// A column to sort by.
enum Key {
    Number(&'static str),
    Text(&'static str),
    /// A text that may be long, by its beginning.
    Party(&'static str),
    /// A text without an index.
    Other(&'static str),
}
