//! Callbacks as the API shows them: pending, delivered, dead; and delivering them again.
//!
//! **Invariant: a row to be delivered again has no owner until one server claims it;**
//! so it does not matter which process asks for it, and whether a server runs.

use std::fmt;
use std::str::FromStr;

use model::record::Callback;
use model::{CallSid, EventSid, InstanceSid, Lane, Timestamp};
use sqlx::AnyPool;
use sqlx::any::AnyRow;

use crate::filter::{Place, Rows, Scope, Window};
use crate::query::{Conditions, count_of};
use crate::sql::{Columns, Sql, args};
use crate::{Change, Inspect, PendingCallback, Result, Store, StoreError, rows};

/// Rows that a server takes up at once.
const CLAIMED_AT_ONCE: i64 = 200;

/// The callbacks that a server must deliver.
const OURS: &str = " WHERE state = 'pending' AND owner = ?";

/// How far a callback is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is sent until it is through.
    Pending,
    /// The application took it.
    Delivered,
    /// It was given up.
    Dead,
}

impl DeliveryState {
    /// As it is stored and shown.
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

/// It is none of the three words.
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
    /// What is sent.
    pub callback: Callback,
    /// How far it is.
    pub state: DeliveryState,
    /// Attempts since it was due or replayed.
    pub attempts: i64,
    /// HTTP status of the last answer.
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

/// Which callbacks.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Whose; `None` is everybody's.
    pub scope: Option<Scope>,
    /// This one.
    pub event: Option<EventSid>,
    /// How far they are.
    pub state: Option<DeliveryState>,
    /// Those about a call, in whatever lane.
    pub call: Option<CallSid>,
    /// Those of a lane: of a call, a conference, a message.
    pub lane: Option<Lane>,
    /// Created then or later.
    pub created_from: Option<Timestamp>,
    /// Created then or earlier.
    pub created_until: Option<Timestamp>,
    /// Part; without meaning for [`Store::replay`].
    pub window: Window,
}

impl DeliveryFilter {
    fn conditions(&self, head: Sql) -> Conditions {
        let mut conditions = Conditions::of(head, self.scope);
        if let Some(event) = self.event {
            conditions.add(" AND event = ?", event);
        }
        if let Some(state) = self.state {
            conditions.add(" AND state = ?", state.as_str());
        }
        if let Some(call) = self.call {
            conditions.add(" AND call = ?", call);
        }
        if let Some(lane) = self.lane {
            conditions.add(" AND lane = ?", lane);
        }
        conditions.between("created", self.created_from, self.created_until);
        conditions
    }

    /// Makes what matches due again, unless it is on its way.
    pub(crate) fn replay(&self, at: Timestamp) -> Sql {
        let mut head = Sql::default();
        head.text(
            "UPDATE outbox SET state = 'pending', owner = '', attempts = 0, next_at = NULL, ",
        )
        .with("ended = NULL, replayed = ?", at);
        let mut conditions = self.conditions(head);
        conditions.ended();
        conditions.finish()
    }
}

impl Store {
    /// A callback.
    ///
    /// # Errors
    /// As the database reports.
    pub async fn delivery(&self, event: EventSid) -> Result<Option<Delivery>> {
        self.one(&rows::OUTBOX, event, read).await
    }

    /// Callbacks that a filter matches, newest first.
    ///
    /// # Errors
    /// As the database reports.
    pub async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Rows<Delivery>> {
        list(self.readers(), filter).await
    }

    /// Wants the callbacks that a filter matches and that have ended delivered again, with the same
    /// event; returns their number. A server takes them up within a second or so.
    ///
    /// # Errors
    /// As the database reports.
    pub async fn replay(&self, filter: &DeliveryFilter, at: Timestamp) -> Result<i64> {
        let mut counting = filter.conditions(count_of(rows::OUTBOX.name));
        counting.ended();
        let count = self
            .first(counting.finish(), |row| Columns(row).int("n"))
            .await?
            .unwrap_or(0);
        if count > 0 {
            let filter = Box::new(filter.clone());
            self.commit(vec![Change::CallbacksReplayed { filter, at }])
                .await?;
        }
        Ok(count)
    }

    /// How many callbacks this server must deliver, those on their way included.
    ///
    /// # Errors
    /// As the database reports.
    pub async fn undelivered_count(&self) -> Result<i64> {
        let mut sql = count_of(rows::OUTBOX.name);
        sql.with(OURS, self.instance());
        let count = self.first(sql, |row| Columns(row).int("n")).await?;
        Ok(count.unwrap_or(0))
    }

    /// The number of the next callback of a lane: behind all that are on record.
    ///
    /// # Errors
    /// As the database reports.
    pub async fn next_sequence(&self, lane: Lane) -> Result<i64> {
        let text = "SELECT COALESCE(MAX(sequence), -1) AS last FROM outbox WHERE lane = $1";
        let last = self
            .first(Sql::new(text, args![lane]), |row| Columns(row).int("last"))
            .await?;
        Ok(last.map_or(0, |last| last + 1))
    }

    /// The first `limit` callbacks that this server must deliver, by lane, sequence and event.
    ///
    /// - `after`: only those behind this place.
    ///
    /// # Errors
    /// As the database reports.
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
    /// As the database reports.
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
    /// As the database reports.
    pub async fn delivery(&self, event: EventSid) -> Result<Option<Delivery>> {
        let mut sql = rows::OUTBOX.select();
        sql.with(" WHERE event = ?", event);
        let row = sql.first(&self.readers).await?;
        row.as_ref().map(read).transpose()
    }

    /// Callbacks that a filter matches, newest first.
    ///
    /// # Errors
    /// As the database reports.
    pub async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Rows<Delivery>> {
        list(&self.readers, filter).await
    }

    /// As [`Store::replay`], beside the server; if none runs, the next one delivers them.
    ///
    /// # Errors
    /// As the database reports.
    pub async fn replay(&self, filter: &DeliveryFilter, at: Timestamp) -> Result<u64> {
        Ok(filter.replay(at).execute(&self.readers).await?)
    }
}

async fn list(readers: &AnyPool, filter: &DeliveryFilter) -> Result<Rows<Delivery>> {
    let counting = filter.conditions(count_of(rows::OUTBOX.name)).finish();
    let counted = counting.first(readers).await?;
    let total = counted.map_or(Ok(0), |row| Columns(&row).int("n"))?;
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
        let found = finding.finish().first(readers).await?;
        if found.map_or(Ok(0), |row| Columns(&row).int("n"))? == 0 {
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
    let found = selecting
        .window(order, skipped, *limit)
        .all(readers)
        .await?;
    let mut items = found.iter().map(read).collect::<Result<Vec<_>>>()?;
    if newer {
        items.reverse();
    }
    Ok(Rows { items, total })
}

/// The statement with which a server claims a row; `repeated` if it may have done so just before.
pub(crate) fn claim(event: EventSid, owner: InstanceSid, repeated: bool) -> Sql {
    Sql::new(
        "UPDATE outbox SET owner = $2 WHERE event = $1 AND state = 'pending' \
         AND (owner = '' OR ($3 = 1 AND owner = $2))",
        args![event, owner, repeated],
    )
}

/// The statement with which a server that closes what one that is gone left takes over the
/// callbacks of the lane that wait.
pub(crate) fn take_over(lane: Lane, from: InstanceSid, owner: InstanceSid) -> Sql {
    Sql::new(
        "UPDATE outbox SET owner = $3 WHERE lane = $1 AND owner = $2 AND state = 'pending'",
        args![lane, from, owner],
    )
}

/// Reads the columns that [`rows::callback`] leaves out.
pub(crate) fn read(row: &AnyRow) -> Result<Delivery> {
    let pending = rows::callback(row)?;
    let columns = Columns(row);
    Ok(Delivery {
        callback: pending.callback,
        state: columns.word("state")?,
        attempts: pending.attempts,
        http_status: columns.opt_small("http_status")?,
        error: columns.opt_text("error")?,
        next_at: pending.next_at,
        ended: columns.opt_time("ended")?,
        replayed: pending.replayed,
    })
}
