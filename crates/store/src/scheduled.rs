//! Messages that are sent later: each waits in the database until its time comes, for whichever server is there then.
//!
//! **Invariant: a message leaves the status `scheduled` once**: of a server that sends it, another server, and a request that
//! cancels it, one is first.

use model::record::Message;
use model::{MessageSid, Timestamp};

use crate::row::Row;
use crate::rows;
use crate::sql::{Sql, args};
use crate::{Result, Store};

/// A message that is sent later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledMessage {
    /// The record.
    pub message: Message,
    /// When it is sent.
    pub send_at: Timestamp,
    /// What is sent then, in the call engine's format.
    pub plan: String,
}

fn read(row: &Row) -> Result<ScheduledMessage> {
    Ok(ScheduledMessage {
        message: rows::message(row)?,
        send_at: row.time("send_at")?,
        plan: row.text("plan")?,
    })
}

fn select() -> Sql {
    let columns = rows::MESSAGES.columns.join(", ");
    Sql::new(
        format!("SELECT {columns}, send_at, plan FROM messages WHERE status = 'scheduled'"),
        Vec::new(),
    )
}

/// The statement of [`crate::Change::MessagePlanned`].
pub(crate) fn planned(sid: MessageSid, send_at: Timestamp, plan: &str) -> Sql {
    Sql::new(
        "UPDATE messages SET send_at = $2, plan = $3 WHERE sid = $1 AND status = 'scheduled'",
        args![sid, send_at, plan],
    )
}

/// The statement of [`crate::Change::MessageReleased`].
pub(crate) fn released(message: &Message, farewell: Option<&str>, repeated: bool) -> Sql {
    let forwarding = message.forwarding.as_ref();
    let mut sql = Sql::new(
        "UPDATE messages SET instance = $2, status = $3, updated = $4, farewell = $5, \
         expires = $6, due = $7, attempts = $8, doubts = $9, segments = $10, plan = NULL \
         WHERE sid = $1 AND (status = 'scheduled'",
        args![
            message.sid,
            message.instance,
            message.status,
            message.updated,
            farewell.map(str::to_owned),
            forwarding.map(|forwarding| forwarding.expires),
            forwarding.map(|forwarding| forwarding.due),
            forwarding.map(|forwarding| forwarding.attempts),
            forwarding.map(|forwarding| forwarding.doubts),
            forwarding.map(|forwarding| forwarding.segments)
        ],
    );
    if repeated {
        sql.text(" OR (instance = $2 AND status = $3 AND updated = $4)");
    }
    sql.text(")");
    sql
}

impl Store {
    /// Messages whose time has come, the most urgent first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn due_messages(&self, now: Timestamp, limit: i64) -> Result<Vec<ScheduledMessage>> {
        let mut sql = select();
        sql.with(" AND send_at <= ?", now)
            .with(" ORDER BY send_at, sid LIMIT ?", limit);
        self.many(sql, read).await
    }

    /// A message that is sent later; `None` if it does not exist, or no longer waits.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn scheduled_message(&self, sid: MessageSid) -> Result<Option<ScheduledMessage>> {
        let mut sql = select();
        sql.with(" AND sid = ?", sid);
        self.first(sql, read).await
    }
}
