//! Long lists: calls, recordings, notifications, numbers.

use model::record::{CallRecord, Message, Notification, Number, Recording};
use model::{
    CallSid, InstanceSid, Lane, MessageSid, NotificationSid, NumberSid, OrganizationSid,
    RecordingSid,
};
use sqlx::any::AnyRow;

use crate::filter::{
    CallFilter, CallKey, MessageFilter, MessageKey, NotificationFilter, NotificationKey,
    NumberFilter, NumberKey, Place, RecordingFilter, RecordingKey, RowKey, Rows, Scope, Sort,
    Window,
};
use crate::query::{Conditions, count_of, counted};
use crate::sql::{Arg, Columns, Sql, Table, args};
use crate::{Result, Store, rows};

impl Store {
    /// A leg.
    ///
    /// # Errors
    /// As the database reports.
    pub async fn call(&self, sid: CallSid) -> Result<Option<CallRecord>> {
        self.one(&rows::CALLS, sid, rows::call).await
    }

    /// Legs that a filter matches.
    ///
    /// # Errors
    /// As the database reports.
    pub async fn calls(&self, filter: &CallFilter) -> Result<Rows<CallRecord>> {
        let fill = |conditions: &mut Conditions| {
            conditions.party("to_user", filter.exact, filter.to.as_deref());
            conditions.party("from_user", filter.exact, filter.from.as_deref());
            conditions.like_any("status", &filter.status);
            conditions.matches("parent", filter.parent.as_deref());
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
            scope: filter.scope,
            order: &order,
            window: &filter.window,
        };
        self.list(list, fill, rows::call).await
    }

    /// Legs of an instance that have not ended, oldest first.
    ///
    /// # Errors
    /// As the database reports.
    pub async fn open_calls(&self, instance: InstanceSid) -> Result<Vec<CallRecord>> {
        let mut sql = rows::CALLS.select();
        sql.with(" WHERE instance = ?", instance)
            .text(" AND ended IS NULL ORDER BY created, sid");
        self.many(sql, rows::call).await
    }

    /// The trace of a call, a conference or a message, as it was committed.
    ///
    /// # Errors
    /// As the database reports.
    pub async fn trace(&self, lane: Lane) -> Result<Option<Vec<u8>>> {
        let sql = Sql::new("SELECT content FROM traces WHERE lane = $1", args![lane]);
        self.first(sql, |row| Columns(row).blob("content")).await
    }

    /// What was kept of registered phones, by login.
    ///
    /// # Errors
    /// As the database reports.
    pub async fn registered(&self, organization: OrganizationSid) -> Result<Vec<(String, String)>> {
        let sql = Sql::new(
            "SELECT login, content FROM bindings WHERE organization = $1 ORDER BY login",
            args![organization],
        );
        let read = |row: &AnyRow| {
            let columns = Columns(row);
            Ok((columns.text("login")?, columns.text("content")?))
        };
        self.many(sql, read).await
    }

    /// A recording.
    ///
    /// # Errors
    /// As the database reports.
    pub async fn recording(&self, sid: RecordingSid) -> Result<Option<Recording>> {
        self.one(&rows::RECORDINGS, sid, rows::recording).await
    }

    /// Recordings that a filter matches.
    ///
    /// # Errors
    /// As the database reports.
    pub async fn recordings(&self, filter: &RecordingFilter) -> Result<Rows<Recording>> {
        let fill = |conditions: &mut Conditions| {
            conditions.matches("call", filter.call.as_deref());
            conditions.between("created", filter.created_from, filter.created_until);
        };
        let key = |key| match key {
            RecordingKey::Created => Key::Number("created"),
            RecordingKey::Duration => Key::Number("duration_ms"),
            RecordingKey::Call => Key::Text("COALESCE(call, '')"),
        };
        let order = self.order(filter.sort, key);
        let list = List {
            table: &rows::RECORDINGS,
            scope: filter.scope,
            order: &order,
            window: &filter.window,
        };
        self.list(list, fill, rows::recording).await
    }

    /// A text message.
    ///
    /// # Errors
    /// As the database reports.
    pub async fn message(&self, sid: MessageSid) -> Result<Option<Message>> {
        self.one(&rows::MESSAGES, sid, rows::message).await
    }

    /// Text messages that a filter matches.
    ///
    /// # Errors
    /// As the database reports.
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
            scope: filter.scope,
            order: &order,
            window: &filter.window,
        };
        self.list(list, fill, rows::message).await
    }

    /// A notification.
    ///
    /// # Errors
    /// As the database reports.
    pub async fn notification(&self, sid: NotificationSid) -> Result<Option<Notification>> {
        self.one(&rows::NOTIFICATIONS, sid, rows::notification)
            .await
    }

    /// Notifications that a filter matches.
    ///
    /// # Errors
    /// As the database reports.
    pub async fn notifications(&self, filter: &NotificationFilter) -> Result<Rows<Notification>> {
        let fill = |conditions: &mut Conditions| {
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
            scope: filter.scope,
            order: &order,
            window: &filter.window,
        };
        self.list(list, fill, rows::notification).await
    }

    /// An incoming number.
    ///
    /// # Errors
    /// As the database reports.
    pub async fn number(&self, sid: NumberSid) -> Result<Option<Number>> {
        self.one(&rows::NUMBERS, sid, rows::number).await
    }

    /// Incoming numbers that a filter matches.
    ///
    /// # Errors
    /// As the database reports.
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
            scope: filter.scope,
            order: &order,
            window: &filter.window,
        };
        self.list(list, fill, rows::number).await
    }

    fn order<K>(&self, sort: Option<Sort<K>>, key: impl Fn(K) -> Key) -> String {
        let Some(sort) = sort else {
            return NEWEST.to_owned();
        };
        let direction = if sort.descending { "DESC" } else { "ASC" };
        match key(sort.key) {
            Key::Number("created") => format!("created {direction}, sid {direction}"),
            Key::Number(column) => format!("{column} {direction}, {NEWEST}"),
            Key::Text(column) => {
                let by_bytes = self.dialect().by_bytes();
                format!("{column} {by_bytes} {direction}, {NEWEST}")
            }
        }
    }

    async fn list<T>(
        &self,
        list: List<'_>,
        fill: impl Fn(&mut Conditions),
        read: fn(&AnyRow) -> Result<T>,
    ) -> Result<Rows<T>> {
        let total = match list.window.place {
            Place::Offset | Place::OlderThanRow(_) => self.total(&list, &fill).await?,
            Place::Newest | Place::OlderThan(_) | Place::NewerThan(_) => 0,
        };
        let mut selecting = Conditions::new(list.table.select(), list.scope);
        fill(&mut selecting);
        let Window {
            offset,
            limit,
            place,
        } = list.window;
        let (older, key) = match place {
            _ if list.order != NEWEST => (true, None),
            Place::Offset | Place::Newest => (true, None),
            Place::OlderThan(key) => (true, Some(key.clone())),
            Place::NewerThan(key) => (false, Some(key.clone())),
            Place::OlderThanRow(sid) => (true, self.key_of(list.table, sid).await?),
        };
        let Some(key) = key else {
            let items = selecting.window(list.order, *offset, *limit);
            let items = self.many(items, read).await?;
            return Ok(Rows { items, total });
        };
        selecting.beside(older, key);
        let order = if older { NEWEST } else { OLDEST };
        let mut items = self.many(selecting.window(order, 0, *limit), read).await?;
        if !older {
            items.reverse();
        }
        Ok(Rows { items, total })
    }

    async fn total(&self, list: &List<'_>, fill: impl Fn(&mut Conditions)) -> Result<i64> {
        let mut counting = Conditions::new(count_of(list.table.name), list.scope);
        fill(&mut counting);
        let counting = if list.table.counted && counting.only_scope {
            counted(list.scope, list.table.name)
        } else {
            counting.finish()
        };
        let total = self.first(counting, |row| Columns(row).int("n")).await?;
        Ok(total.unwrap_or(0))
    }

    /// The key of the row with an identifier.
    async fn key_of(&self, table: &Table, sid: &str) -> Result<Option<RowKey>> {
        let sql = Sql::new(
            format!("SELECT created FROM {} WHERE sid = $1", table.name),
            args![sid],
        );
        let created = self.first(sql, |row| Columns(row).time("created")).await?;
        Ok(created.map(|created| RowKey {
            created,
            sid: sid.to_owned(),
        }))
    }

    /// The row with a key.
    pub(crate) async fn one<T>(
        &self,
        table: &Table,
        key: impl Into<Arg>,
        read: fn(&AnyRow) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut sql = table.select();
        sql.with(&format!(" WHERE {} = ?", table.columns[0]), key);
        self.first(sql, read).await
    }

    pub(crate) async fn first<T>(
        &self,
        sql: Sql,
        read: impl Fn(&AnyRow) -> Result<T>,
    ) -> Result<Option<T>> {
        let row = sql.first(self.readers()).await?;
        row.as_ref().map(read).transpose()
    }

    pub(crate) async fn many<T>(
        &self,
        sql: Sql,
        read: impl Fn(&AnyRow) -> Result<T>,
    ) -> Result<Vec<T>> {
        let rows = sql.all(self.readers()).await?;
        rows.iter().map(read).collect()
    }
}

/// The order of lists that are not sorted otherwise, and the reverse.
const NEWEST: &str = "created DESC, sid DESC";
const OLDEST: &str = "created ASC, sid ASC";

/// A column to sort by.
enum Key {
    Number(&'static str),
    Text(&'static str),
}

struct List<'a> {
    table: &'static Table,
    scope: Scope,
    order: &'a str,
    window: &'a Window,
}
