//! Queues and the calls that wait in them.
//!
//! Which call is next is decided by the server that runs the calls; the rows only show it.

use std::collections::HashMap;
use std::sync::OnceLock;

use model::record::{Queue, QueueMember};
use model::{AccountSid, CallSid, QueueSid, Timestamp};

use crate::admin::Admin;
use crate::filter::{Rows, Scope, Window};
use crate::row::Row;
use crate::sql::{Arg, Sql, Table, args};
use crate::{Result, Store};

pub(crate) static QUEUES: Table = Table {
    name: "queues",
    counted: false,
    columns: &["sid", "account", "name", "max_size", "created", "updated"],
    insert_once: OnceLock::new(),
};

/// The calls that wait: their creation is when they entered.
static MEMBERS: Table = Table {
    name: "calls",
    counted: false,
    columns: &["sid", "account", "queue", "queue_since"],
    insert_once: OnceLock::new(),
};

pub(crate) fn args(queue: &Queue) -> Vec<Arg> {
    args![
        queue.sid,
        queue.account,
        queue.name.as_str(),
        i64::from(queue.max_size),
        queue.created,
        queue.updated
    ]
}

fn read(row: &Row) -> Result<Queue> {
    Ok(Queue {
        sid: row.word("sid")?,
        account: row.word("account")?,
        name: row.text("name")?,
        max_size: u32::try_from(row.int("max_size")?).unwrap_or(Queue::DEFAULT_MAX_SIZE),
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

fn member(row: &Row) -> Result<QueueMember> {
    Ok(QueueMember {
        call: row.word("sid")?,
        account: row.word("account")?,
        queue: row.word("queue")?,
        since: row.time("queue_since")?,
    })
}

/// No effect if the account has a queue of this name.
pub(crate) fn insert(queue: &Queue) -> Sql {
    let mut sql = QUEUES.insert(args(queue));
    sql.text(" ON CONFLICT (account, name) DO NOTHING");
    sql
}

/// No effect while calls wait in it.
pub(crate) fn delete(sid: QueueSid) -> Sql {
    Sql::new(
        "DELETE FROM queues WHERE sid = $1 \
         AND NOT EXISTS (SELECT 1 FROM calls WHERE queue = $1 AND ended IS NULL)",
        args![sid],
    )
}

pub(crate) fn enter(call: CallSid, queue: QueueSid, since: Timestamp, at: Timestamp) -> Sql {
    Sql::new(
        "UPDATE calls SET updated = $2, queue = $3, queue_since = $4 \
         WHERE sid = $1 AND ended IS NULL",
        args![call, at, queue, since],
    )
}

pub(crate) fn leave(call: CallSid, queue: QueueSid, at: Timestamp) -> Sql {
    Sql::new(
        "UPDATE calls SET updated = $2, queue = NULL, queue_since = NULL \
         WHERE sid = $1 AND queue = $3 AND ended IS NULL",
        args![call, at, queue],
    )
}

impl Store {
    /// Part of the queues, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn queues(&self, scope: Scope, window: &Window) -> Result<Rows<Queue>> {
        self.newest(&QUEUES, Some(scope), window, |_| {}, read)
            .await
    }

    /// A queue.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn queue(&self, sid: QueueSid) -> Result<Option<Queue>> {
        let mut sql = QUEUES.select();
        sql.with(" WHERE sid = ?", sid);
        self.first(sql, read).await
    }

    /// The queue of an account with this name.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn queue_named(&self, account: AccountSid, name: &str) -> Result<Option<Queue>> {
        let mut sql = QUEUES.select();
        sql.with(" WHERE account = ?", account)
            .with(" AND name = ?", name.to_owned());
        self.first(sql, read).await
    }

    /// Adds a queue; returns the one that has its name then, which may be another.
    ///
    /// # Errors
    /// [`crate::StoreError::AccountClosed`] if its account is closed.
    pub async fn insert_queue(&self, queue: Queue) -> Result<Option<Queue>> {
        let (account, name) = (queue.account, queue.name.clone());
        self.administer(Admin::InsertQueue(queue)).await?;
        self.queue_named(account, &name).await
    }

    /// Replaces a queue; `false` if it does not exist, or has changed since it was read.
    ///
    /// - `read`: its `updated` as read; the new one must be another
    ///
    /// # Errors
    /// As reported by the database, for example if its new name is taken.
    pub async fn update_queue(&self, queue: Queue, read: Timestamp) -> Result<bool> {
        self.administer(Admin::UpdateQueue(queue, read)).await
    }

    /// Deletes a queue; `false` if it does not exist, or if calls wait in it.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_queue(&self, sid: QueueSid) -> Result<bool> {
        self.administer(Admin::DeleteQueue(sid)).await
    }

    /// How many calls wait in each of these queues, and how long they have waited on average, in seconds;
    /// a queue without calls is left out.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn queue_sizes(
        &self,
        queues: &[QueueSid],
        now: Timestamp,
    ) -> Result<HashMap<QueueSid, (i64, i64)>> {
        if queues.is_empty() {
            return Ok(HashMap::new());
        }
        let mut sql = Sql::default();
        sql.text("SELECT queue, COUNT(*) AS waiting, ")
            .with(
                "CAST(SUM((? - queue_since) / 1000000) AS BIGINT) AS waited",
                now,
            )
            .text(" FROM calls WHERE ended IS NULL AND queue")
            .among(queues)
            .text(" GROUP BY queue");
        let rows = self
            .many(sql, |row| {
                let waiting = row.int("waiting")?;
                let waited = row.int("waited")?.max(0);
                Ok((row.word("queue")?, (waiting, waited / waiting.max(1))))
            })
            .await?;
        Ok(rows.into_iter().collect())
    }

    /// The calls that wait in a queue, the next to be taken first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn queue_members(&self, queue: QueueSid) -> Result<Vec<QueueMember>> {
        let mut sql = MEMBERS.select();
        sql.with(" WHERE queue = ?", queue)
            .text(" AND ended IS NULL ORDER BY queue_since, sid");
        self.many(sql, member).await
    }
}
