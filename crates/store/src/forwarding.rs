//! Messages that are stored and forwarded: the queue of each server, and what providers call them.
//!
//! **Invariant: a status is left only by the change that expects it**, so that of two answers to one
//! message, or two receipts, one counts.

use model::record::Message;
use model::{InstanceSid, MessageRouteSid, MessageSid, MessageStatus, Timestamp};

use crate::admin::Admin;
use crate::row::{Row, corrupt};
use crate::rows;
use crate::secret::SecretKey;
use crate::sql::{Sql, args};
use crate::{Change, Result, Store};

/// A message that is to be forwarded, with its farewell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedMessage {
    /// The record.
    pub message: Message,
    /// The callbacks to come, in the call engine's format.
    pub farewell: Option<String>,
    /// The text to send, if it is not that of the record.
    pub text: Option<String>,
}

/// Where the search through a queue continues.
pub type QueuePlace = (Timestamp, MessageSid);

/// What a provider calls a part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessagePart {
    /// The message.
    pub message: MessageSid,
    /// Number of the segment, from 0.
    pub part: i64,
    /// Route that took it.
    pub route: MessageRouteSid,
    /// The provider's identifier.
    pub provider_id: String,
    /// The status that its receipt reported.
    pub state: Option<MessageStatus>,
}

fn part(row: &Row) -> Result<MessagePart> {
    Ok(MessagePart {
        message: row.word("message")?,
        part: row.int("part")?,
        route: row.word("route")?,
        provider_id: row.text("provider_id")?,
        state: row.opt_word("state")?,
    })
}

const PARTS: &str = "SELECT message, part, route, provider_id, state FROM message_parts";

fn queued(row: &Row) -> Result<QueuedMessage> {
    Ok(QueuedMessage {
        message: rows::message(row)?,
        farewell: row.opt_text("farewell")?,
        text: None,
    })
}

/// Continues the assignments of an update that removes the text of a message: what is kept for its callbacks goes, unless its
/// delivery is still to be reported. Of a forwarded message, it does not have the text.
pub(crate) const WITHOUT_FAREWELL: &str =
    ", farewell = CASE WHEN status = 'sent' AND expires IS NOT NULL THEN farewell ELSE NULL END";

/// Most messages that are taken over in one transaction.
const ADOPTED_AT_ONCE: i64 = 500;
/// `SELECT` up to the table, for [`waiting`].
fn select_waiting() -> Sql {
    let columns = rows::MESSAGES.columns.join(", ");
    Sql::new(
        format!("SELECT {columns}, unsent FROM messages"),
        Vec::new(),
    )
}

/// The same with the text to send.
fn waiting(row: &Row, key: &SecretKey) -> Result<QueuedMessage> {
    let mut queued = queued(row)?;
    if let Some(sealed) = row.opt_blob("unsent")? {
        let text = String::from_utf8(key.open(&sealed, queued.message.sid.as_bytes())?);
        queued.text = Some(text.map_err(|error| corrupt("unsent", error))?);
    }
    Ok(queued)
}

/// The statement of [`Change::MessageUnsent`].
pub(crate) fn unsent(sid: MessageSid, sealed: &[u8]) -> Sql {
    Sql::new(
        "UPDATE messages SET unsent = $2 WHERE sid = $1 AND ended IS NULL",
        args![sid, sealed.to_vec()],
    )
}

/// The statement of [`Change::MessageMoved`].
pub(crate) fn moved(
    message: &Message,
    expected: MessageStatus,
    attempt: Option<i64>,
    repeated: bool,
) -> Sql {
    let on_its_way = matches!(
        message.status,
        MessageStatus::Queued | MessageStatus::Sending
    );
    let forwarding = message.forwarding.as_ref();
    let mut sql = Sql::new(
        "UPDATE messages SET status = $2, updated = $3, ended = $4, sent = $5, error_code = $6, \
         reason = $7, due = $8, attempts = $9, doubts = $10, segments = $11, route = $12, \
         provider_id = $13, price = $14, plan = NULL",
        args![
            message.sid,
            message.status,
            message.updated,
            (!on_its_way).then_some(message.updated),
            message.sent,
            message.error_code,
            message.reason.clone(),
            forwarding.map(|forwarding| forwarding.due),
            forwarding.map(|forwarding| forwarding.attempts),
            forwarding.map(|forwarding| forwarding.doubts),
            forwarding.map(|forwarding| forwarding.segments),
            forwarding.and_then(|forwarding| forwarding.route),
            forwarding.and_then(|forwarding| forwarding.provider_id.clone()),
            forwarding.and_then(|forwarding| forwarding.price),
            expected
        ],
    );
    if !on_its_way {
        sql.text(", unsent = NULL");
    }
    sql.text(" WHERE sid = $1 AND ((status = $15");
    if let Some(attempt) = attempt {
        sql.with(" AND attempts = ?", attempt)
            .with(" AND instance = ?", message.instance);
    }
    sql.text(")");
    if repeated {
        sql.text(" OR (status = $2 AND updated = $3)");
    }
    sql.text(")");
    sql
}

/// The statement of [`Change::MessagePart`].
pub(crate) fn insert_part(part: &MessagePart, at: Timestamp) -> Sql {
    Sql::new(
        "INSERT INTO message_parts (message, part, route, provider_id, created) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (message, part, route, provider_id) DO NOTHING",
        args![
            part.message,
            part.part,
            part.route,
            part.provider_id.as_str(),
            at
        ],
    )
}

/// The statement of [`Change::MessagePartDone`].
pub(crate) fn part_done(part: &MessagePart, state: MessageStatus) -> Sql {
    Sql::new(
        "UPDATE message_parts SET state = $5 WHERE message = $1 AND part = $2 AND route = $3 \
         AND provider_id = $4 AND state IS NULL",
        args![
            part.message,
            part.part,
            part.route,
            part.provider_id.as_str(),
            state
        ],
    )
}

impl Store {
    /// Seals the text of a message, for [`Change::MessageUnsent`].
    #[must_use]
    pub fn seal_text(&self, sid: MessageSid, text: &str) -> Vec<u8> {
        self.key().seal(text.as_bytes(), sid.as_bytes())
    }

    /// Messages of this server that wait for a route, in the order in which they are due.
    ///
    /// - `after`: only those after this place
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn queued_messages(
        &self,
        after: Option<QueuePlace>,
        limit: i64,
    ) -> Result<Vec<QueuedMessage>> {
        let mut sql = select_waiting();
        sql.with(" WHERE instance = ?", self.instance());
        sql.text(" AND status = 'queued'");
        if let Some((due, sid)) = after {
            sql.with(" AND (due, sid) > (?", due).with(", ?)", sid);
        }
        sql.with(" ORDER BY due, sid LIMIT ?", limit);
        self.many(sql, |row| waiting(row, self.key())).await
    }

    /// Takes over the messages that dead servers were to forward; returns how many batches there were. The status of each stays
    /// as it is: see [`messages_in_doubt`](Self::messages_in_doubt).
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn adopt_queued_messages(&self, now: Timestamp) -> Result<u64> {
        let mut batches = 0;
        let mut last = None;
        while let Some(instance) = self.next_owner(last).await? {
            last = Some(instance);
            if instance == self.instance() || self.is_alive(instance, now).await? {
                continue;
            }
            let sql = Sql::new(
                "UPDATE messages SET instance = $1, updated = $2 WHERE instance = $3 AND sid IN \
                 (SELECT sid FROM messages WHERE instance = $3 AND ended IS NULL \
                 AND expires IS NOT NULL LIMIT $4)",
                args![self.instance(), now, instance, ADOPTED_AT_ONCE],
            );
            while self.administer(Admin::Change(sql.clone())).await? {
                batches += 1;
            }
        }
        Ok(batches)
    }

    /// The next server, in the order of the identifiers, that has messages which are not over: found by the index alone, however many
    /// messages there are.
    async fn next_owner(&self, after: Option<InstanceSid>) -> Result<Option<InstanceSid>> {
        let mut sql = Sql::default();
        sql.text("SELECT instance FROM messages WHERE ended IS NULL");
        if let Some(after) = after {
            sql.with(" AND instance > ?", after);
        }
        sql.text(" ORDER BY instance LIMIT 1");
        self.first(sql, |row| row.word("instance")).await
    }

    async fn is_alive(&self, instance: InstanceSid, now: Timestamp) -> Result<bool> {
        let sql = Sql::new(
            "SELECT sid FROM instances WHERE sid = $1 AND last_alive > $2",
            args![instance, self.gone_since(now)],
        );
        Ok(self.first(sql, |_| Ok(())).await?.is_some())
    }

    /// The messages of this server that are on record as being sent: those that are really being sent, and those of which dead
    /// servers left open whether they were.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn messages_in_doubt(&self) -> Result<Vec<QueuedMessage>> {
        let mut sql = select_waiting();
        sql.with(" WHERE instance = ?", self.instance())
            .text(" AND ended IS NULL AND expires IS NOT NULL AND status = 'sending' ORDER BY sid");
        self.many(sql, |row| waiting(row, self.key())).await
    }

    /// What a provider's receipt is about: the part that it calls by one of these names, the first one first.
    ///
    /// - `routes`: those that lead to this provider
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn message_part(
        &self,
        routes: &[MessageRouteSid],
        names: &[String],
    ) -> Result<Option<MessagePart>> {
        for name in names {
            let mut sql = Sql::new(PARTS, Vec::new());
            sql.text(" WHERE route")
                .among(routes)
                .with(" AND provider_id = ?", name.as_str())
                .text(" ORDER BY created DESC LIMIT 1");
            if let Some(found) = self.first(sql, part).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// A message with its farewell, and all its parts.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn forwarded_message(
        &self,
        sid: MessageSid,
    ) -> Result<Option<(QueuedMessage, Vec<MessagePart>)>> {
        let mut sql = rows::MESSAGES.select();
        sql.with(" WHERE sid = ?", sid);
        let Some(found) = self.first(sql, queued).await? else {
            return Ok(None);
        };
        let mut sql = Sql::new(PARTS, Vec::new());
        sql.with(" WHERE message = ? ORDER BY part", sid);
        Ok(Some((found, self.many(sql, part).await?)))
    }
}

/// The changes that record which parts a provider took, for [`Store::commit`].
#[must_use]
pub fn parts_taken(
    message: MessageSid,
    route: MessageRouteSid,
    ids: &[String],
    at: Timestamp,
) -> Vec<Change> {
    let part = |(number, id): (i64, &String)| Change::MessagePart {
        part: Box::new(MessagePart {
            message,
            part: number,
            route,
            provider_id: id.clone(),
            state: None,
        }),
        at,
    };
    (0..)
        .zip(ids)
        .filter(|(_, id)| !id.is_empty())
        .map(part)
        .collect()
}
