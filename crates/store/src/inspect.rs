//! Reads a database next to the server that uses it, and changes only which callbacks are to be
//! delivered again (`deliveries`).

use model::record::{CallRecord, Notification, Refusal};
use model::{AccountSid, CallSid, CallStatus, InstanceSid, Lane, MessageRoute, Timestamp};

use crate::connection::Target;
use crate::filter::{RowKey, Rows};
use crate::query::{Conditions, Order, count_of};
use crate::readers::Readers;
use crate::repair::SILENCE;
use crate::row::Row;
use crate::sql::{Sql, args, pattern};
use crate::{Result, connect, message_routes, rows};

/// Read access to a database.
pub struct Inspect {
    pub(crate) readers: Readers,
    /// Where to connect to change something.
    pub(crate) target: Target,
    /// Whether a server holds the embedded database; `None` for a shared one.
    in_use: Option<bool>,
}

/// Selects legs of all accounts.
#[derive(Debug, Clone, Default)]
pub struct RecentCalls {
    /// With this status.
    pub status: Option<CallStatus>,
    /// With a caller or called party that contains this text.
    pub party: Option<String>,
    /// Created then or later.
    pub since: Option<Timestamp>,
    /// Maximum number of legs.
    pub limit: i64,
}

/// Selects notifications; all by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct NotificationsOf {
    /// Of this account.
    pub account: Option<AccountSid>,
    /// About this leg.
    pub call: Option<CallSid>,
}

/// A leg that is recorded as open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCall {
    /// The stored record.
    pub record: CallRecord,
    /// Whether the server that runs it is alive.
    pub server_runs: bool,
    /// The last heartbeat of that server.
    pub last_alive: Option<Timestamp>,
    /// Whether the next start can send a BYE.
    pub has_dialog: bool,
}

impl Inspect {
    /// Opens `sqlite:PATH` or `postgres://…` for reading. The database must exist.
    ///
    /// # Errors
    /// [`crate::StoreError::Unusable`] with a text for the operator.
    pub async fn open(url: &str) -> Result<Self> {
        let (readers, target) = connect::open_to_read(url).await?;
        Ok(Self {
            readers,
            target,
            in_use: connect::in_use(url)?,
        })
    }

    /// Whether a server uses the database and no other process can; never for a shared one.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.in_use == Some(true)
    }

    /// The same; `None` for a shared one.
    pub(crate) const fn is_used(&self) -> Option<bool> {
        self.in_use
    }

    /// A leg.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn call(&self, sid: CallSid) -> Result<Option<CallRecord>> {
        let mut sql = rows::CALLS.select();
        sql.with(" WHERE sid = ?", sid);
        self.readers.first(sql, rows::call).await
    }

    /// The legs that descend from a leg, oldest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn descendants(&self, sid: CallSid) -> Result<Vec<CallRecord>> {
        let mut sql = rows::CALLS.select();
        sql.with(
            " WHERE sid IN (WITH RECURSIVE down (sid, n) AS \
             (SELECT sid, 1 FROM calls WHERE parent = ? \
             UNION SELECT c.sid, down.n + 1 FROM calls c JOIN down ON c.parent = down.sid WHERE down.n < 1000) \
             SELECT sid FROM down)",
            sid,
        )
        .text(" ORDER BY created, sid");
        self.readers.many(sql, rows::call).await
    }

    /// The first leg of a leg's family, under which the trace is filed; `None` if there is no such leg.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn root(&self, sid: CallSid) -> Result<Option<CallRecord>> {
        let mut found = self.call(sid).await?;
        for _ in 0..1_000 {
            let parent = found.as_ref().and_then(|call| call.parent);
            let Some(parent) = parent else { break };
            let Some(above) = self.call(parent).await? else {
                break;
            };
            found = Some(above);
        }
        Ok(found)
    }

    /// Legs of all accounts, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn calls(&self, which: &RecentCalls) -> Result<Rows<CallRecord>> {
        let fill = |head: Sql| {
            let mut conditions = Conditions::of(head, None);
            if let Some(status) = which.status {
                conditions.add(" AND status = ?", status);
            }
            if let Some(party) = &which.party {
                let wanted = format!("%{}%", pattern(party));
                conditions.add(" AND (LOWER(to_user) LIKE ? ESCAPE '\\'", wanted.clone());
                conditions.add(" OR LOWER(from_user) LIKE ? ESCAPE '\\')", wanted);
            }
            conditions.created(which.since, None);
            conditions
        };
        let counted = fill(count_of(rows::CALLS.name)).finish();
        let total = self.readers.first(counted, |row| row.int("n")).await?;
        let selecting = fill(rows::CALLS.select()).window(Order::NEWEST, 0, which.limit);
        Ok(Rows {
            items: self.readers.many(selecting, rows::call).await?,
            total: total.unwrap_or(0),
        })
    }

    /// The newest of these notifications, oldest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn notifications(
        &self,
        of: NotificationsOf,
        limit: i64,
    ) -> Result<Vec<Notification>> {
        let selecting = notifications_of(of).window(Order::NEWEST, 0, limit);
        let mut found = self.readers.many(selecting, rows::notification).await?;
        found.reverse();
        Ok(found)
    }

    /// The first notifications that are newer than `after`, oldest first.
    ///
    /// # Errors
    /// As the database reports.
    pub async fn notifications_after(
        &self,
        of: NotificationsOf,
        after: RowKey,
        limit: i64,
    ) -> Result<Vec<Notification>> {
        let mut conditions = notifications_of(of);
        conditions.beside(false, after);
        let selecting = conditions.window(Order::OLDEST, 0, limit);
        self.readers.many(selecting, rows::notification).await
    }

    /// All routes of text messages without their secrets, the oldest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn message_routes(&self) -> Result<Vec<MessageRoute>> {
        message_routes::all_without_secrets(&self.readers).await
    }

    /// An account and those above it; empty if there is none.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn with_parents(&self, account: AccountSid) -> Result<Vec<AccountSid>> {
        let mut found = Vec::new();
        let mut at = Some(account);
        while let Some(sid) = at.filter(|sid| !found.contains(sid)) {
            let mut sql = Sql::default();
            sql.with("SELECT parent FROM accounts WHERE sid = ?", sid);
            let read = |row: &Row| row.opt_word::<AccountSid>("parent");
            let Some(parent) = self.readers.first(sql, read).await? else {
                break;
            };
            found.push(sid);
            at = parent;
        }
        Ok(found)
    }

    /// What was kept of registered phones, of all servers: login and bindings as the SIP side wrote them, by login. The login
    /// of a client that does not belong to the first organization is followed by `@` and the domain of its own.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn phones(&self) -> Result<Vec<(String, String)>> {
        let text = "SELECT CASE WHEN o.sid IS NULL OR o.sid = \
             (SELECT sid FROM organizations ORDER BY created, sid LIMIT 1) \
             THEN r.login ELSE r.login || '@' || o.domain_name END AS login, r.content AS content \
             FROM registrations r LEFT JOIN organizations o ON o.sid = r.organization \
             ORDER BY r.login, r.organization, r.server";
        let read = |row: &Row| Ok((row.text("login")?, row.text("content")?));
        self.readers.many(Sql::new(text, Vec::new()), read).await
    }

    /// Refusals of about the last day, latest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn refusals(&self) -> Result<Vec<Refusal>> {
        let text = "SELECT source, reason, name, n, first_at, last_at FROM refusals ORDER BY last_at DESC, name LIMIT 1000";
        let read = |row: &Row| {
            Ok(Refusal {
                source: row.word("source")?,
                reason: row.word("reason")?,
                name: row.text("name")?,
                count: u64::try_from(row.int("n")?).unwrap_or_default(),
                first: row.time("first_at")?,
                last: row.time("last_at")?,
            })
        };
        self.readers.many(Sql::new(text, Vec::new()), read).await
    }

    /// Whether the server that runs or ran a call is alive: only that one may still store its trace.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn server_runs(&self, call: &CallRecord, now: Timestamp) -> Result<bool> {
        Ok(self.running(now).await?.contains(&call.instance))
    }

    /// When the server that runs or ran a call was last heard of; `None` if nothing is known of it.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn server_heard(&self, call: &CallRecord) -> Result<Option<Timestamp>> {
        let text = "SELECT last_alive FROM instances WHERE sid = $1";
        let sql = Sql::new(text, args![call.instance]);
        self.readers.first(sql, |row| row.time("last_alive")).await
    }

    /// The legs recorded as open, oldest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn open_calls(&self, now: Timestamp) -> Result<Vec<OpenCall>> {
        let running = self.running(now).await?;
        let columns: Vec<String> = rows::CALLS
            .columns
            .iter()
            .map(|column| format!("c.{column}"))
            .collect();
        let sql = Sql::new(
            format!(
                "SELECT {}, c.dialog, i.last_alive FROM calls c \
                 LEFT JOIN instances i ON i.sid = c.instance \
                 WHERE c.ended IS NULL ORDER BY c.created, c.sid",
                columns.join(", ")
            ),
            Vec::new(),
        );
        let open = |row: &Row| {
            let record = rows::call(row)?;
            Ok(OpenCall {
                server_runs: running.contains(&record.instance),
                last_alive: row.opt_time("last_alive")?,
                has_dialog: row.opt_text("dialog")?.is_some(),
                record,
            })
        };
        self.readers.many(sql, open).await
    }

    /// The servers that are running. An embedded database has at most one: the holder of its lock,
    /// which was started last.
    async fn running(&self, now: Timestamp) -> Result<Vec<InstanceSid>> {
        let mut sql = Sql::new("SELECT sid FROM instances", Vec::new());
        match self.in_use {
            Some(false) => return Ok(Vec::new()),
            Some(true) => {
                sql.text(" ORDER BY started DESC, last_alive DESC LIMIT 1");
            }
            None => {
                sql.with(" WHERE last_alive > ?", now - SILENCE);
            }
        }
        self.readers.many(sql, |row| row.word("sid")).await
    }

    /// The trace of a root leg, a conference or a message, as it was committed.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn trace(&self, lane: Lane) -> Result<Option<Vec<u8>>> {
        let sql = Sql::new("SELECT content FROM traces WHERE lane = $1", args![lane]);
        self.readers.first(sql, |row| row.blob("content")).await
    }
}

fn notifications_of(of: NotificationsOf) -> Conditions {
    let mut conditions = Conditions::of(rows::NOTIFICATIONS.select(), None);
    if let Some(account) = of.account {
        conditions.add(" AND account = ?", account);
    }
    if let Some(call) = of.call {
        conditions.add(" AND call = ?", call);
    }
    conditions
}
