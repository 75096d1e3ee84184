//! Reads lists in windows.

use model::email::Email;
use model::record::{
    Account, Application, CallRecord, Client, Message, Notification, Number, Recording,
    ShownRecording, Transcription,
};
use model::{
    CallSid, InstanceSid, Lane, MessageSid, NotificationSid, NumberSid, OrganizationSid,
    RecordingSid, ServerSid, TranscriptionSid,
};

use crate::admin::Admin;
use crate::emails::{self, EMAILS, EmailFilter};
use crate::filter::{
    AccountFilter, CallFilter, CallKey, MessageFilter, MessageKey, NotificationFilter,
    NotificationKey, NumberFilter, NumberKey, Place, RecordingFilter, RecordingKey, RowKey, Rows,
    Scope, Sort, Window,
};
use crate::query::{Conditions, Order, count_of, counted};
use crate::row::Row;
use crate::sql::{Arg, Sql, Table, args};
use crate::transcriptions::{self, TRANSCRIPTIONS, TranscriptionFilter};
use crate::{Result, Store, StoreError, rows};

impl Store {
    /// A leg.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn call(&self, sid: CallSid) -> Result<Option<CallRecord>> {
        self.one(&rows::CALLS, sid, rows::call).await
    }

    /// Legs that a filter matches.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn calls(&self, filter: &CallFilter) -> Result<Rows<CallRecord>> {
        let fill = |conditions: &mut Conditions| {
            conditions.party("to_user", filter.exact, filter.to.as_deref());
            conditions.party("from_user", filter.exact, filter.from.as_deref());
            conditions.like_any("status", &filter.status);
            conditions.matches("parent", filter.parent.as_deref());
            conditions.matches("conference", filter.conference.as_deref());
            conditions.between("started", filter.started_from, filter.started_until);
            conditions.between("ended", filter.ended_from, filter.ended_until);
        };
        let key = |key| match key {
            CallKey::Created => Key::Number("created"),
            CallKey::From => Key::Text("from_user"),
            CallKey::To => Key::Text("to_user"),
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
        self.one(&rows::SHOWN_RECORDINGS, sid, rows::shown_recording)
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
                conditions.add(" AND conference = ?", conference);
            }
            conditions.between("created", filter.created_from, filter.created_until);
        };
        let key = |key| match key {
            RecordingKey::Created => Key::Number("created"),
            RecordingKey::Duration => Key::Number("duration_ms"),
            RecordingKey::Call => Key::Text("COALESCE(call, '')"),
        };
        let order = self.order(filter.sort, key);
        let list = |table| List {
            table,
            scope: Some(filter.scope),
            order: &order,
            window: &filter.window,
        };
        if filter.unfinished {
            let list = list(&rows::SHOWN_RECORDINGS);
            return self.list(list, fill, rows::shown_recording).await;
        }
        let complete = |row: &Row| Ok(ShownRecording::from(rows::recording(row)?));
        self.list(list(&rows::RECORDINGS), fill, complete).await
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
                conditions.add(" AND recording = ?", recording);
            }
            conditions.like("content", ("%", "%"), filter.text.as_deref());
            conditions.between("created", filter.created_from, filter.created_until);
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

    /// Text messages that a filter matches.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn messages(&self, filter: &MessageFilter) -> Result<Rows<Message>> {
        let fill = |conditions: &mut Conditions| {
            conditions.party("to_user", filter.exact, filter.to.as_deref());
            conditions.party("from_user", filter.exact, filter.from.as_deref());
            conditions.like("body", ("%", "%"), filter.body.as_deref());
            conditions.like("status", ("", ""), filter.status.as_deref());
            conditions.between("created", filter.created_from, filter.created_until);
            conditions.between("sent", filter.sent_from, filter.sent_until);
        };
        let key = |key| match key {
            MessageKey::Created => Key::Number("created"),
            MessageKey::From => Key::Text("from_user"),
            MessageKey::To => Key::Text("to_user"),
            MessageKey::Direction => Key::Text("direction"),
            MessageKey::Status => Key::Text("status"),
            MessageKey::Body => Key::Text("body"),
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
            conditions.party("recipient", true, filter.to.as_deref());
            conditions.party("sender", true, filter.from.as_deref());
            conditions.like("status", ("", ""), filter.status.as_deref());
            conditions.between("created", filter.created_from, filter.created_until);
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
            if let Some(level) = filter.level {
                conditions.add(" AND level = ?", level);
            }
            if let Some(code) = filter.code {
                conditions.add(" AND code = ?", code);
            }
            if let Some(url) = &filter.request_url {
                conditions.add(" AND request_url = ?", url.clone());
            }
            conditions.like("message", ("%", "%"), filter.text.as_deref());
            conditions.matches("call", filter.call.as_deref());
            conditions.between("created", filter.created_from, filter.created_until);
        };
        let key = |key| match key {
            NotificationKey::Created => Key::Number("created"),
            NotificationKey::Level => Key::Number("level"),
            NotificationKey::Code => Key::Number("code"),
            NotificationKey::Call => Key::Text("COALESCE(call, '')"),
            NotificationKey::Text => Key::Text("message"),
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
            NumberKey::PhoneNumber => Key::Text("phone_number"),
            NumberKey::FriendlyName => Key::Text("friendly_name"),
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
                conditions.add(" AND parent = ?", filter.parent);
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
    pub(crate) async fn newest<T>(
        &self,
        table: &'static Table,
        scope: Option<Scope>,
        window: &Window,
        fill: impl Fn(&mut Conditions),
        read: impl Fn(&Row) -> Result<T>,
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
        Order {
            column: match key(sort.key) {
                Key::Number("created") => None,
                Key::Number(column) => Some(column.to_owned()),
                Key::Text(column) => Some(format!("{column} {}", self.dialect().by_bytes())),
            },
            descending: sort.descending,
        }
    }

    async fn list<T>(
        &self,
        list: List<'_>,
        fill: impl Fn(&mut Conditions),
        read: impl Fn(&Row) -> Result<T>,
    ) -> Result<Rows<T>> {
        let Window {
            offset,
            limit,
            place,
        } = list.window;
        let mut selecting = Conditions::of(list.table.select(), list.scope);
        fill(&mut selecting);
        let (mut total, mut skipped, mut order) = (0, 0, list.order);
        match place {
            Place::Offset => {
                total = self.total(&list, &fill).await?;
                skipped = *offset;
            }
            Place::Newest => skipped = *offset,
            Place::OlderThan(key) => selecting.beside(true, key.clone()),
            Place::NewerThan(key) => {
                selecting.beside(false, key.clone());
                order = &Order::OLDEST;
            }
            Place::AfterRow(sid) => {
                total = self.total(&list, &fill).await?;
                let row = self.key_of(&list, sid).await?;
                selecting.after(list.table, order, row);
            }
        }
        let selecting = selecting.window(order, skipped, *limit);
        let mut items = self.many(selecting, read).await?;
        if matches!(place, Place::NewerThan(_)) {
            items.reverse();
        }
        Ok(Rows { items, total })
    }

    async fn total(&self, list: &List<'_>, fill: impl Fn(&mut Conditions)) -> Result<i64> {
        let mut counting = Conditions::of(count_of(list.table.name), list.scope);
        fill(&mut counting);
        let counting = match list.scope {
            Some(scope) if list.table.counted && counting.only_scope => {
                counted(scope, list.table.name)
            }
            Some(_) | None => counting.finish(),
        };
        let total = self.first(counting, |row| row.int("n")).await?;
        Ok(total.unwrap_or(0))
    }

    /// The key of a row that the list may contain.
    async fn key_of(&self, list: &List<'_>, sid: &str) -> Result<RowKey> {
        let head = format!("SELECT created FROM {}", list.table.name);
        let mut finding = Conditions::of(Sql::new(head, Vec::new()), list.scope);
        finding.add(" AND sid = ?", sid);
        let created = self.first(finding.finish(), |row| row.time("created"));
        Ok(RowKey {
            created: (created.await?).ok_or_else(|| StoreError::NoRow(sid.to_owned()))?,
            sid: sid.to_owned(),
        })
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
}

struct List<'a> {
    table: &'static Table,
    /// `None` lists the rows of every account.
    scope: Option<Scope>,
    order: &'a Order,
    window: &'a Window,
}
