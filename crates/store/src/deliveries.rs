//! Callbacks as shown by the API: pending, delivered, dead; and their replay.
//!
//! **Invariant: a row to be replayed has no owner until one server claims it;** so any process may
//! request it, whether or not a server is running.

use std::fmt;
use std::str::FromStr;

use model::record::Callback;
use model::{CallSid, EventSid, InstanceSid, Lane, Timestamp};

use crate::admin::Admin;
use crate::connection::Access;
use crate::filter::{Place, Rows, Scope, Window};
use crate::query::{Conditions, count_of};
use crate::readers::Readers;
use crate::repair::SILENCE;
use crate::row::Row;
use crate::sql::{ROWS_AT_ONCE, Sql, args};
use crate::{Change, Inspect, PendingCallback, Result, Store, StoreError, rows};

/// Maximum rows that a server claims at once.
const CLAIMED_AT_ONCE: i64 = 200;

/// What a callback that was dropped has in place of the reason why it was given up.
pub const DROPPED: &str = "dropped on request";

/// Maximum lanes that a server takes over in one transaction; most have a few callbacks.
const LANES_AT_ONCE: i64 = 1_000;

/// The callbacks that this server must deliver.
const OURS: &str = " WHERE state = 'pending' AND owner = ?";

/// The state of a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is retried until it ends.
    Pending,
    /// The application accepted it.
    Delivered,
    /// It was given up.
    Dead,
}

impl DeliveryState {
    /// The word in the database and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is none of the three words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a delivery is pending, delivered or dead")]
pub struct NoDeliveryState;

impl FromStr for DeliveryState {
    type Err = NoDeliveryState;

    fn from_str(text: &str) -> Result<Self, NoDeliveryState> {
        [Self::Pending, Self::Delivered, Self::Dead]
            .into_iter()
            .find(|state| state.as_str().eq_ignore_ascii_case(text))
            .ok_or(NoDeliveryState)
    }
}

/// A callback and its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The callback itself.
    pub callback: Callback,
    /// Its state.
    pub state: DeliveryState,
    /// Attempts since it was due or replayed.
    pub attempts: i64,
    /// HTTP status of the last response.
    pub http_status: Option<u16>,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// When the next attempt is due.
    pub next_at: Option<Timestamp>,
    /// When it was delivered or given up.
    pub ended: Option<Timestamp>,
    /// When it was last replayed.
    pub replayed: Option<Timestamp>,
}

/// Selects callbacks.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Owners; `None` means all accounts.
    pub scope: Option<Scope>,
    /// Only this one.
    pub event: Option<EventSid>,
    /// State.
    pub state: Option<DeliveryState>,
    /// Those about a call, in any lane.
    pub call: Option<CallSid>,
    /// Those of a lane: a call, a conference, a message.
    pub lane: Option<Lane>,
    /// Created then or later.
    pub created_from: Option<Timestamp>,
    /// Created then or earlier.
    pub created_until: Option<Timestamp>,
    /// Part of the list; ignored by [`Store::replay`].
    pub window: Window,
}

impl DeliveryFilter {
    fn conditions(&self, head: Sql) -> Conditions {
        let mut conditions = Conditions::of(head, self.scope);
        if let Some(event) = self.event {
            conditions.equal("event", event);
        }
        if let Some(call) = self.call {
            conditions.equal("call", call);
        }
        if let Some(lane) = self.lane {
            conditions.equal("lane", lane);
        }
        if let Some(state) = self.state {
            conditions.equal("state", state.as_str());
        }
        conditions.created(self.created_from, self.created_until);
        conditions
    }

    /// Makes some of the matching callbacks due again that are not pending and have not been replayed
    /// at this time, in the order of their lanes: to be repeated until it changes none.
    pub(crate) fn replay(&self, at: Timestamp) -> Sql {
        let mut head = Sql::default();
        head.text(
            "UPDATE outbox SET state = 'pending', owner = '', attempts = 0, next_at = NULL, dropped = NULL, ",
        )
        .with("ended = NULL, replayed = ?", at)
        .text(" WHERE state <> 'pending' AND event IN (SELECT event FROM outbox");
        let mut conditions = self.conditions(head);
        conditions.ended();
        conditions.add(" AND (replayed IS NULL OR replayed <> ?)", at);
        let mut sql = conditions.finish();
        sql.with(" ORDER BY lane, sequence LIMIT ?)", ROWS_AT_ONCE);
        sql
    }
}

impl DeliveryFilter {
    /// Drops some of the matching callbacks that are pending: to be repeated until it changes none. One that a server may
    /// have in memory is only marked, for that server to drop.
    ///
    /// - `holders`: who may have it in memory
    pub(crate) fn drop_some(&self, at: Timestamp, holders: Holders) -> Sql {
        let mut head = Sql::default();
        head.with("UPDATE outbox SET dropped = ?", at)
            .with(", error = ?", DROPPED);
        for (column, value) in [("state", "'dead'"), ("next_at", "NULL")] {
            head.text(&format!(", {column} = CASE WHEN "));
            holders.without(&mut head);
            head.text(&format!(" THEN {value} ELSE {column} END"));
        }
        head.text(", ended = CASE WHEN ");
        holders.without(&mut head);
        head.with(" THEN ? ELSE ended END", at).text(
            " WHERE state = 'pending' AND dropped IS NULL AND event IN (SELECT event FROM outbox",
        );
        let mut conditions = self.conditions(head);
        conditions.pending();
        let mut sql = conditions.finish();
        sql.with(" ORDER BY lane, sequence LIMIT ?)", ROWS_AT_ONCE);
        sql
    }
}

/// Which servers may have callbacks in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Holders {
    /// None is running.
    Nobody,
    /// One is, and nothing else is known.
    Someone,
    /// This one, and those with a heartbeat since this time.
    Alive(Option<InstanceSid>, Timestamp),
}

impl Holders {
    /// Adds the condition that none of them has a row in memory.
    fn without(self, sql: &mut Sql) {
        match self {
            Self::Nobody => sql.text("1 = 1"),
            Self::Someone => sql.text("owner = ''"),
            Self::Alive(own, since) => sql
                .with("(owner <> ?", own.map_or_else(String::new, |own| own.to_string()))
                .with(
                    " AND owner NOT IN (SELECT sid FROM instances WHERE last_alive > ?) OR owner = '')",
                    since,
                ),
        };
    }
}

/// The statement that ends a callback which was marked.
fn dropped(event: EventSid, owner: InstanceSid, at: Timestamp) -> Sql {
    Sql::new(
        "UPDATE outbox SET state = 'dead', error = $4, ended = $3, next_at = NULL \
         WHERE event = $1 AND owner = $2 AND state = 'pending' AND dropped IS NOT NULL",
        args![event, owner, at, DROPPED],
    )
}

impl Store {
    /// Drops matching callbacks that are pending, so that they are not sent any more; returns their number. Those that a server
    /// has in memory are dropped within about a second, unless an attempt succeeds before.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn drop_callbacks(&self, filter: &DeliveryFilter, at: Timestamp) -> Result<i64> {
        let mut counting = filter.conditions(count_of(rows::OUTBOX.name));
        counting.pending();
        let count = self
            .first(counting.finish(), |row| row.int("n"))
            .await?
            .unwrap_or(0);
        let holders = Holders::Alive(Some(self.instance()), self.gone_since(at));
        let part = filter.drop_some(at, holders);
        while self.administer(Admin::Execute(part.clone())).await? {}
        Ok(count)
    }

    /// Callbacks of this server that were marked to be dropped, by lane and sequence; not necessarily all at once.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn dropped_callbacks(&self) -> Result<Vec<EventSid>> {
        let sql = Sql::new(
            "SELECT event FROM outbox WHERE owner = $1 AND state = 'pending' AND dropped IS NOT NULL \
             ORDER BY lane, sequence, event LIMIT $2",
            args![self.instance(), CLAIMED_AT_ONCE],
        );
        self.many(sql, |row| row.word("event")).await
    }

    /// Ends a callback of this server that was marked to be dropped, and that is not in memory.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn end_dropped_callback(&self, event: EventSid, at: Timestamp) -> Result<()> {
        let end = Admin::Execute(dropped(event, self.instance(), at));
        self.administer(end).await.map(drop)
    }

    /// A callback.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delivery(&self, event: EventSid) -> Result<Option<Delivery>> {
        self.one(&rows::OUTBOX, event, read).await
    }

    /// Callbacks that a filter matches, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Rows<Delivery>> {
        list(self.readers(), filter).await
    }

    /// Requests that matching callbacks that have ended be delivered again, with the same event;
    /// returns their number. A server claims them within about a second.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn replay(&self, filter: &DeliveryFilter, at: Timestamp) -> Result<i64> {
        let mut counting = filter.conditions(count_of(rows::OUTBOX.name));
        counting.ended();
        let count = self
            .first(counting.finish(), |row| row.int("n"))
            .await?
            .unwrap_or(0);
        if count > 0 {
            let filter = Box::new(filter.clone());
            let part = Change::CallbacksReplayed { filter, at };
            while self.commit(vec![part.clone()]).await?.all_applied() {}
        }
        Ok(count)
    }

    /// The number of callbacks that this server must deliver, including those in progress.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn undelivered_count(&self) -> Result<i64> {
        let mut sql = count_of(rows::OUTBOX.name);
        sql.with(OURS, self.instance());
        let count = self.first(sql, |row| row.int("n")).await?;
        Ok(count.unwrap_or(0))
    }

    /// The number of the next callback of a lane: after all recorded ones.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn next_sequence(&self, lane: Lane) -> Result<i64> {
        let text = "SELECT COALESCE(MAX(sequence), -1) AS last FROM outbox WHERE lane = $1";
        let last = self
            .first(Sql::new(text, args![lane]), |row| row.int("last"))
            .await?;
        Ok(last.map_or(0, |last| last + 1))
    }

    /// The first `limit` callbacks that this server must deliver, by lane, sequence and event.
    ///
    /// - `after`: only those after this position.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn undelivered_callbacks(
        &self,
        after: Option<(Lane, i64, EventSid)>,
        limit: i64,
    ) -> Result<Vec<PendingCallback>> {
        let mut sql = rows::OUTBOX.select();
        sql.with(OURS, self.instance());
        if let Some((lane, sequence, event)) = after {
            sql.with(" AND (lane, sequence, event) > (?", lane)
                .with(", ?", sequence)
                .with(", ?)", event);
        }
        sql.with(" ORDER BY lane, sequence, event LIMIT ?", limit);
        self.many(sql, rows::callback).await
    }

    /// Callbacks to be replayed that no server has claimed, by lane and
    /// sequence; not necessarily all at once.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn replayed_callbacks(&self) -> Result<Vec<PendingCallback>> {
        let mut sql = rows::OUTBOX.select();
        sql.text(" WHERE state = 'pending' AND owner = '' ORDER BY lane, sequence, created")
            .with(" LIMIT ?", CLAIMED_AT_ONCE);
        self.many(sql, rows::callback).await
    }
}

impl Inspect {
    /// A callback.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delivery(&self, event: EventSid) -> Result<Option<Delivery>> {
        let mut sql = rows::OUTBOX.select();
        sql.with(" WHERE event = ?", event);
        self.readers.first(sql, read).await
    }

    /// Callbacks that a filter matches, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Rows<Delivery>> {
        list(&self.readers, filter).await
    }

    /// As [`Store::drop_callbacks`], from outside of the server.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn drop_callbacks(&self, filter: &DeliveryFilter, at: Timestamp) -> Result<u64> {
        let mut connection = self.target.connect(Access::Write).await?;
        let holders = match self.is_used() {
            Some(false) => Holders::Nobody,
            Some(true) => Holders::Someone,
            None => Holders::Alive(None, at - SILENCE),
        };
        let part = filter.drop_some(at, holders);
        let mut count = 0;
        loop {
            let some = connection.execute(part.clone()).await?;
            if some == 0 {
                break;
            }
            count += some;
        }
        connection.close().await?;
        Ok(count)
    }

    /// As [`Store::replay`], from outside of the server; if none is running, the next one delivers
    /// them.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn replay(&self, filter: &DeliveryFilter, at: Timestamp) -> Result<u64> {
        let mut connection = self.target.connect(Access::Write).await?;
        let mut replayed = 0;
        loop {
            let part = connection.execute(filter.replay(at)).await?;
            if part == 0 {
                break;
            }
            replayed += part;
        }
        connection.close().await?;
        Ok(replayed)
    }
}

async fn list(readers: &Readers, filter: &DeliveryFilter) -> Result<Rows<Delivery>> {
    let counting = filter.conditions(count_of(rows::OUTBOX.name)).finish();
    let total = readers.first(counting, |row| row.int("n")).await?;
    let mut selecting = filter.conditions(rows::OUTBOX.select());
    let Window {
        offset,
        limit,
        place,
    } = &filter.window;
    let (event, newer) = match place {
        Place::Offset | Place::Newest => (None, false),
        Place::AfterRow(event) => (Some(event), false),
        Place::OlderThan(row) => (Some(&row.sid), false),
        Place::NewerThan(row) => (Some(&row.sid), true),
    };
    let (sign, direction) = if newer { ('>', "ASC") } else { ('<', "DESC") };
    if let Some(event) = event {
        let mut finding = Conditions::of(count_of(rows::OUTBOX.name), filter.scope);
        finding.add(" AND event = ?", event.as_str());
        let found = readers.first(finding.finish(), |row| row.int("n")).await?;
        if found.unwrap_or(0) == 0 {
            return Err(StoreError::NoRow(event.clone()));
        }
        let condition = format!(
            " AND (created, sequence, event) {sign} \
             (SELECT created, sequence, event FROM outbox WHERE event = ?)"
        );
        selecting.add(&condition, event.as_str());
    }
    let skipped = if event.is_some() { 0 } else { *offset };
    let order = format!("created {direction}, sequence {direction}, event {direction}");
    let selecting = selecting.window(order, skipped, *limit);
    let mut items = readers.many(selecting, read).await?;
    if newer {
        items.reverse();
    }
    Ok(Rows {
        items,
        total: total.unwrap_or(0),
    })
}

/// The statement by which a server claims a row; `repeated` if it may just have done so.
pub(crate) fn claim(event: EventSid, owner: InstanceSid, repeated: bool) -> Sql {
    Sql::new(
        "UPDATE outbox SET owner = $2 WHERE event = $1 AND state = 'pending' \
         AND (owner = '' OR ($3 = 1 AND owner = $2))",
        args![event, owner, repeated],
    )
}

/// Callbacks of servers without a heartbeat since `$2`, and those without an owner.
const ABANDONED: &str = "state = 'pending' AND owner <> $1 \
                         AND owner NOT IN (SELECT sid FROM instances WHERE last_alive > $2)";

/// The owners of abandoned callbacks.
pub(crate) fn abandoning(gone_since: Timestamp, owner: InstanceSid) -> Sql {
    Sql::new(
        format!("SELECT DISTINCT owner FROM outbox WHERE {ABANDONED}"),
        args![owner, gone_since],
    )
}

/// The statement by which a server takes over abandoned callbacks of an owner, those of some whole
/// lanes: to be repeated until it changes none. Its cost does not depend on how many others wait.
pub(crate) fn adopt(gone_since: Timestamp, from: &str, owner: InstanceSid) -> Sql {
    let adopted = format!(
        "{ABANDONED} AND owner = $3 \
         AND lane NOT IN (SELECT sid FROM calls WHERE ended IS NULL AND instance <> $1) \
         AND lane NOT IN (SELECT sid FROM messages WHERE ended IS NULL AND instance <> $1) \
         AND lane NOT IN (SELECT sid FROM conferences WHERE ended IS NULL AND instance <> $1)"
    );
    // Up to a lane, not one of a list of lanes: PostgreSQL may compute such a list again for each row.
    let text = format!(
        "UPDATE outbox SET owner = $1 WHERE {adopted} AND lane <= \
         (SELECT MAX(lane) FROM (SELECT lane FROM outbox WHERE {adopted} \
         GROUP BY lane ORDER BY lane LIMIT $4) AS lanes)"
    );
    Sql::new(text, args![owner, gone_since, from, LANES_AT_ONCE])
}

/// The statement by which a server that closes the calls and messages of a dead one takes over the
/// waiting callbacks of their lanes.
pub(crate) fn take_over(lane: Lane, from: InstanceSid, owner: InstanceSid) -> Sql {
    Sql::new(
        "UPDATE outbox SET owner = $3 WHERE lane = $1 AND owner = $2 AND state = 'pending'",
        args![lane, from, owner],
    )
}

/// Reads the columns that [`rows::callback`] leaves out.
pub(crate) fn read(row: &Row) -> Result<Delivery> {
    let pending = rows::callback(row)?;
    Ok(Delivery {
        callback: pending.callback,
        state: row.word("state")?,
        attempts: pending.attempts,
        http_status: row.opt_small("http_status")?,
        error: row.opt_text("error")?,
        next_at: pending.next_at,
        ended: row.opt_time("ended")?,
        replayed: pending.replayed,
    })
}
