//! Conferences: their rows, their changes, and the end of those that a dead server left open.
//!
//! **Invariant: a conference ends once.** Only the server that runs it ends it, or, once that
//! server is dead, the first server to find it.

use std::sync::OnceLock;

use model::record::{Conference, Membership};
use model::{CallSid, ConferenceSid, ConferenceStatus, InstanceSid, Timestamp};

use crate::admin::Admin;
use crate::row::Row;
use crate::rows;
use crate::sql::{Arg, Sql, Table, args};
use crate::{Result, Store};

static CONFERENCES: Table = Table {
    name: "conferences",
    counted: false,
    columns: &[
        "sid", "instance", "account", "name", "status", "created", "updated", "started", "ended",
        "reason",
    ],
    insert_once: OnceLock::new(),
};

pub(crate) fn create(conference: &Conference) -> Sql {
    let args: Vec<Arg> = args![
        conference.sid,
        conference.instance,
        conference.account,
        conference.name.as_str(),
        conference.status,
        conference.created,
        conference.updated,
        conference.started,
        conference.ended,
        conference.reason.clone()
    ];
    CONFERENCES.insert_once(args)
}

pub(crate) fn start(sid: ConferenceSid, at: Timestamp) -> Sql {
    Sql::new(
        "UPDATE conferences SET status = $2, updated = $3, started = $3 \
         WHERE sid = $1 AND ended IS NULL",
        args![sid, ConferenceStatus::Running, at],
    )
}

/// `repeated`: the statement may already have been carried out, on a connection that broke.
pub(crate) fn end(
    sid: ConferenceSid,
    status: ConferenceStatus,
    at: Timestamp,
    reason: &str,
    instance: InstanceSid,
    repeated: bool,
) -> Sql {
    Sql::new(
        "UPDATE conferences SET status = $2, updated = $3, ended = $3, reason = $4 \
         WHERE sid = $1 AND instance = $5 \
         AND (ended IS NULL OR ($6 = 1 AND ended = $3 AND status = $2))",
        args![sid, status, at, reason, instance, repeated],
    )
}

pub(crate) fn join(call: CallSid, membership: Membership, at: Timestamp) -> Sql {
    Sql::new(
        "UPDATE calls SET updated = $2, muted = $3, conference = $4, conference_starts = $5, \
         conference_ends = $6 WHERE sid = $1 AND ended IS NULL",
        args![
            call,
            at,
            i64::from(membership.muted),
            membership.conference,
            i64::from(membership.starts),
            i64::from(membership.ends)
        ],
    )
}

/// A muted member can be heard again once it has left.
pub(crate) fn leave(call: CallSid, conference: ConferenceSid, at: Timestamp) -> Sql {
    Sql::new(
        "UPDATE calls SET updated = $2, muted = 0, conference = NULL, conference_starts = NULL, \
         conference_ends = NULL WHERE sid = $1 AND conference = $3 AND ended IS NULL",
        args![call, at, conference],
    )
}

/// Ends the conferences left open by servers without a heartbeat since `gone_since`: the end is the
/// last heartbeat, if known.
pub(crate) fn close_abandoned(gone_since: Timestamp, instance: InstanceSid) -> Sql {
    Sql::new(
        "UPDATE conferences SET status = $3, reason = $4, \
         ended = COALESCE((SELECT CASE WHEN i.last_alive > conferences.updated \
         THEN i.last_alive ELSE conferences.updated END FROM instances i \
         WHERE i.sid = conferences.instance), updated) \
         WHERE ended IS NULL AND instance <> $1 \
         AND instance NOT IN (SELECT sid FROM instances WHERE last_alive > $2)",
        args![
            instance,
            gone_since,
            ConferenceStatus::Completed,
            rows::NODE_LOST
        ],
    )
}

fn read(row: &Row) -> Result<Conference> {
    Ok(Conference {
        sid: row.word("sid")?,
        instance: row.word("instance")?,
        account: row.word("account")?,
        name: row.text("name")?,
        status: row.word("status")?,
        created: row.time("created")?,
        updated: row.time("updated")?,
        started: row.opt_time("started")?,
        ended: row.opt_time("ended")?,
        reason: row.opt_text("reason")?,
    })
}

impl Store {
    /// A conference.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn conference(&self, sid: ConferenceSid) -> Result<Option<Conference>> {
        let mut sql = CONFERENCES.select();
        sql.with(" WHERE sid = ?", sid);
        self.first(sql, read).await
    }

    /// The conferences of all servers that have not ended, oldest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn open_conferences(&self) -> Result<Vec<Conference>> {
        let mut sql = CONFERENCES.select();
        sql.text(" WHERE ended IS NULL ORDER BY created, sid");
        self.many(sql, read).await
    }

    /// Ends the conferences that dead servers left open; returns whether there were any.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn close_conferences(&self, now: Timestamp) -> Result<bool> {
        let gone_since = self.gone_since(now);
        self.administer(Admin::CloseConferences { gone_since })
            .await
    }
}
