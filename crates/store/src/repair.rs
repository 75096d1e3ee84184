//! Repairs what a dead server left behind: open calls and undelivered callbacks.
//!
//! **Invariant: a call is closed by only one server, and only if its own is dead; that server
//! delivers all waiting callbacks of the call.**

use std::collections::BTreeSet;
use std::time::Duration;

use model::record::{CallRecord, Message};
use model::{
    AccountSid, CallSid, CallStatus, Direction, HangupBy, InstanceSid, Lane, MessageStatus,
    RecordingSid, Timestamp, error,
};

use crate::admin::Admin;
use crate::deliveries;
use crate::query::TREE;
use crate::row::Row;
use crate::rows;
use crate::{Change, Orphan, OrphanMessage, OrphanRecording, Result, Store};

/// A server of a shared database is dead after this long without a heartbeat.
pub(crate) const SILENCE: Duration = Duration::from_secs(30);

/// Calls looked up with one statement.
const CALLS_AT_ONCE: usize = 500;

/// End reason of a leg that could not continue because of an internal failure.
const FAILED_HERE: &str = "internal-failure";

impl Store {
    /// Legs left open by dead servers, with the final values for [`Change::OrphanClosed`]: an
    /// answered leg is `completed` and ended when its server was last alive, any other is `failed`.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn orphans(&self, now: Timestamp) -> Result<Vec<Orphan>> {
        let columns: Vec<String> = rows::CALLS
            .columns
            .iter()
            .map(|column| format!("c.{column}"))
            .collect();
        let mut sql = crate::sql::Sql::new(
            format!(
                "SELECT {}, c.dialog, c.farewell, i.last_alive FROM calls c \
                 LEFT JOIN instances i ON i.sid = c.instance",
                columns.join(", ")
            ),
            Vec::new(),
        );
        sql.with(
            " WHERE c.ended IS NULL AND c.instance <> ?",
            self.instance(),
        )
        .with(
            " AND (i.last_alive IS NULL OR i.last_alive <= ?)",
            self.gone_since(now),
        )
        .text(" ORDER BY c.created, c.sid");
        self.many(sql, |row| {
            let last_alive = row.opt_time("last_alive")?;
            orphan(row, last_alive, rows::NODE_LOST)
        })
        .await
    }

    /// Those among some legs of this server that are open, with final values for an end at `now`:
    /// the task that ran them has failed.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn abandoned_calls(&self, calls: &[CallSid], now: Timestamp) -> Result<Vec<Orphan>> {
        let mut found = Vec::new();
        for call in calls {
            let mut sql = crate::sql::Sql::new(
                format!(
                    "SELECT {}, dialog, farewell FROM calls",
                    rows::CALLS.columns.join(", ")
                ),
                Vec::new(),
            );
            sql.with(" WHERE sid = ? AND ended IS NULL", *call);
            let read = |row: &Row| orphan(row, Some(now), FAILED_HERE);
            found.extend(self.first(sql, read).await?);
        }
        Ok(found)
    }

    /// The pending text messages of some lanes of this server, as [`Store::abandoned_calls`]: those
    /// sent by a leg, or one outside of calls.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn abandoned_messages(
        &self,
        lanes: &[Lane],
        now: Timestamp,
    ) -> Result<Vec<OrphanMessage>> {
        let mut found = Vec::new();
        for lane in lanes {
            let mut sql = rows::MESSAGES.select();
            sql.with(" WHERE (call = ?", *lane)
                .with(" OR sid = ?) AND ended IS NULL AND expires IS NULL", *lane)
                .text(" AND direction <> 'inbound' AND status <> 'scheduled'")
                .with(" AND instance = ? ORDER BY created, sid", self.instance());
            let read = |row: &Row| orphan_message(row, now, FAILED_HERE);
            found.extend(self.many(sql, read).await?);
        }
        Ok(found)
    }

    /// Those among some calls that another server has closed on record, because it took this one for dead.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn ended_elsewhere(&self, calls: &[CallSid]) -> Result<Vec<CallSid>> {
        let mut found = Vec::new();
        for part in calls.chunks(CALLS_AT_ONCE) {
            let mut sql = crate::sql::Sql::new("SELECT sid FROM calls", Vec::new());
            sql.text(" WHERE sid").among(part);
            rows::ended_elsewhere(&mut sql);
            found.extend(self.many(sql, |row| row.word::<CallSid>("sid")).await?);
        }
        Ok(found)
    }

    /// The open calls of this server whose accounts are closed: of an account and all below it, or of all accounts.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn open_calls_of_closed_accounts(
        &self,
        of: Option<AccountSid>,
    ) -> Result<Vec<CallSid>> {
        let mut sql = crate::sql::Sql::new(
            "SELECT c.sid FROM calls c JOIN accounts a ON a.sid = c.account",
            Vec::new(),
        );
        sql.with(" WHERE c.instance = ?", self.instance())
            .text(" AND c.ended IS NULL AND a.status = 'closed'");
        if let Some(of) = of {
            sql.text(" AND a.sid").with(TREE, of);
        }
        sql.text(" ORDER BY c.sid");
        self.many(sql, |row| row.word("sid")).await
    }

    /// The first `limit` recordings of closed accounts, by identifier: of an account and all below it, or of all
    /// accounts.
    ///
    /// - `after`: the last one of the previous page
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn recordings_of_closed_accounts(
        &self,
        of: Option<AccountSid>,
        after: Option<RecordingSid>,
        limit: i64,
    ) -> Result<Vec<RecordingSid>> {
        let mut sql = crate::sql::Sql::new(
            "SELECT r.sid FROM accounts a JOIN recordings r ON r.account = a.sid \
             WHERE a.status = 'closed'",
            Vec::new(),
        );
        if let Some(of) = of {
            sql.text(" AND a.sid").with(TREE, of);
        }
        if let Some(after) = after {
            sql.with(" AND r.sid > ?", after);
        }
        sql.with(" ORDER BY r.sid LIMIT ?", limit);
        self.many(sql, |row| row.word("sid")).await
    }

    /// The last recorded heartbeat of this server.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn last_alive(&self) -> Result<Option<Timestamp>> {
        let mut sql = crate::sql::Sql::new("SELECT last_alive FROM instances", Vec::new());
        sql.with(" WHERE sid = ?", self.instance());
        self.first(sql, |row| row.time("last_alive")).await
    }

    /// Servers without a heartbeat for so long that they count as dead, however long ago.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn silent_instances(&self, now: Timestamp) -> Result<BTreeSet<InstanceSid>> {
        let mut sql = crate::sql::Sql::new("SELECT sid FROM instances", Vec::new());
        sql.with(" WHERE last_alive <= ?", self.gone_since(now))
            .with(" AND sid <> ?", self.instance());
        let found = self.many(sql, |row| row.word("sid")).await?;
        Ok(found.into_iter().collect())
    }

    /// Whether a server is another one than this and alive, so that its calls run there.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn runs_elsewhere(&self, server: InstanceSid, now: Timestamp) -> Result<bool> {
        let mut sql = crate::sql::Sql::new("SELECT sid FROM instances", Vec::new());
        sql.with(" WHERE sid = ?", server)
            .with(" AND sid <> ?", self.instance())
            .with(" AND last_alive > ?", self.gone_since(now));
        let found = self
            .first(sql, |row| row.word::<InstanceSid>("sid"))
            .await?;
        Ok(found.is_some())
    }

    /// Closes the legs left open by dead servers; returns those that another server has not closed
    /// meanwhile.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn close_orphans(&self, now: Timestamp) -> Result<Vec<Orphan>> {
        let orphans = self.orphans(now).await?;
        if orphans.is_empty() {
            return Ok(orphans);
        }
        let changes = orphans
            .iter()
            .map(|orphan| Change::OrphanClosed(Box::new(orphan.record.clone())))
            .collect();
        let committed = self.commit(changes).await?;
        let closed_here = orphans
            .into_iter()
            .enumerate()
            .filter(|(at, _)| committed.applied(*at))
            .map(|(_, orphan)| orphan)
            .collect();
        Ok(closed_here)
    }

    /// Text messages that dead servers left `sending`, oldest first, with the final values for
    /// [`Change::MessageEnded`]: it is unknown whether they were accepted.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn orphan_messages(&self, now: Timestamp) -> Result<Vec<OrphanMessage>> {
        let sql = self.left_messages("m.direction <> 'inbound'", now);
        self.many(sql, |row| orphan_message(row, now, rows::NODE_LOST))
            .await
    }

    /// Takes over the text messages that arrived at dead servers which had not fetched their documents,
    /// oldest first: this server runs them.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn claim_texts(&self, now: Timestamp) -> Result<Vec<OrphanMessage>> {
        let sql = self.left_messages("m.direction = 'inbound'", now);
        let found = self.many(sql, |row| {
            Ok(OrphanMessage {
                record: rows::message(row)?,
                farewell: row.opt_text("farewell")?,
            })
        });
        let mut claimed = Vec::new();
        for mut orphan in found.await? {
            let (sid, from) = (orphan.record.sid, orphan.record.instance);
            let claim = vec![Change::TextClaimed { sid, from }];
            if self.commit(claim).await?.applied(0) {
                orphan.record.instance = self.instance();
                claimed.push(orphan);
            }
        }
        Ok(claimed)
    }

    /// The messages of dead servers that have not ended.
    fn left_messages(&self, which: &str, now: Timestamp) -> crate::sql::Sql {
        let columns: Vec<String> = rows::MESSAGES
            .columns
            .iter()
            .map(|column| format!("m.{column}"))
            .collect();
        let mut sql = crate::sql::Sql::new(
            format!(
                "SELECT {} FROM messages m LEFT JOIN instances i ON i.sid = m.instance",
                columns.join(", ")
            ),
            Vec::new(),
        );
        sql.with(
            " WHERE m.ended IS NULL AND m.expires IS NULL AND m.status <> 'scheduled' \
             AND m.instance <> ?",
            self.instance(),
        )
        .with(
            " AND (i.last_alive IS NULL OR i.last_alive <= ?)",
            self.gone_since(now),
        )
        .text(&format!(" AND {which} ORDER BY m.created, m.sid"));
        sql
    }

    /// Recordings started but not completed by dead servers, oldest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn started_recordings(&self, now: Timestamp) -> Result<Vec<OrphanRecording>> {
        let mut sql = crate::sql::Sql::new(
            "SELECT r.sid, r.account, r.call, r.conference, r.source, r.channels, r.created, \
             r.farewell FROM started_recordings r LEFT JOIN instances i ON i.sid = r.instance",
            Vec::new(),
        );
        sql.with(" WHERE r.instance <> ?", self.instance())
            .with(
                " AND (i.last_alive IS NULL OR i.last_alive <= ?)",
                self.gone_since(now),
            )
            .text(" ORDER BY r.created, r.sid");
        self.many(sql, rows::orphan_recording).await
    }

    /// The recordings of some calls or conferences of this server that were started and not completed,
    /// as [`Store::abandoned_calls`], oldest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn abandoned_recordings(&self, owners: &[Lane]) -> Result<Vec<OrphanRecording>> {
        let mut found = Vec::new();
        for owner in owners {
            let mut sql = rows::STARTED_RECORDINGS.select();
            sql.with(" WHERE COALESCE(call, conference) = ?", *owner)
                .with(" AND instance = ? ORDER BY created, sid", self.instance());
            found.extend(self.many(sql, rows::orphan_recording).await?);
        }
        Ok(found)
    }

    /// Takes over the callbacks of dead servers, and those without an owner; returns whether there
    /// were any. Those of open calls and messages are left to the server that closes these.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn adopt_callbacks(&self, now: Timestamp) -> Result<bool> {
        let gone_since = self.gone_since(now);
        let owners = deliveries::abandoning(gone_since, self.instance());
        let owners = self.many(owners, |row| row.text("owner")).await?;
        let mut adopted = false;
        for from in owners {
            loop {
                let part = Admin::AdoptCallbacks {
                    from: from.clone(),
                    gone_since,
                };
                match self.administer(part).await {
                    Ok(true) => adopted = true,
                    Ok(false) => break,
                    // The first ones can be delivered; the next round takes over the others.
                    Err(_) if adopted => return Ok(true),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(adopted)
    }

    /// Whether several servers may use the database at once.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        !self.dialect().single_process()
    }

    /// Servers whose last heartbeat is older than this are dead. Only one server can have an SQLite
    /// database open, so there all others are dead.
    pub(crate) fn gone_since(&self, now: Timestamp) -> Timestamp {
        if self.is_shared() {
            now - SILENCE
        } else {
            Timestamp(i64::MAX)
        }
    }
}

fn orphan(row: &Row, last_alive: Option<Timestamp>, reason: &str) -> Result<Orphan> {
    Ok(Orphan {
        record: closed(rows::call(row)?, last_alive, reason),
        dialog: row.opt_text("dialog")?,
        farewell: row.opt_text("farewell")?,
    })
}

fn orphan_message(row: &Row, now: Timestamp, reason: &str) -> Result<OrphanMessage> {
    let message = rows::message(row)?;
    Ok(OrphanMessage {
        record: Message {
            status: MessageStatus::Failed,
            error_code: Some(error::MESSAGE_FAILED),
            reason: Some(reason.to_owned()),
            updated: now.max(message.updated),
            ..message
        },
        farewell: row.opt_text("farewell")?,
    })
}

/// The record with its final values.
fn closed(mut call: CallRecord, last_alive: Option<Timestamp>, reason: &str) -> CallRecord {
    let known = call.answered.unwrap_or(call.created).max(call.updated);
    let ended = last_alive.map_or(known, |alive| alive.max(known));
    call.ended = Some(ended);
    call.updated = ended;
    call.reason = Some(reason.to_owned());
    call.hangup_by = Some(HangupBy::Platform);
    if let Some(answered) = call.answered {
        call.status = CallStatus::Completed;
        call.duration_s = Some(ended.seconds_since(answered));
    } else {
        call.status = CallStatus::Failed;
        call.duration_s = Some(0);
        if call.direction != Direction::Inbound {
            call.ring_duration_s = Some(ended.seconds_since(call.created));
        }
    }
    call
}
