//! Conferences: their rows, their changes, and the end of those that a dead server left open.
//!
//! **Invariant: a conference ends once.** Only the server that runs it ends it, or, once that
//! server is dead, the first server to find it.

use std::sync::OnceLock;

use model::record::{Conference, Membership, Participant};
use model::{CallSid, ConferenceSid, ConferenceStatus, InstanceSid, Timestamp};

use crate::filter::{ConferenceFilter, ParticipantFilter, Rows};
use crate::query::{Conditions, has_wildcards};
use crate::row::Row;
use crate::rows;
use crate::sql::{Arg, Sql, Table, args};
use crate::{OrphanConference, Result, Store};

/// Characters of a name that its index has.
const INDEXED_START: usize = 64;

static CONFERENCES: Table = Table {
    name: "conferences",
    counted: false,
    columns: &[
        "sid", "instance", "account", "name", "status", "created", "updated", "started", "ended",
        "reason",
    ],
    insert_once: OnceLock::new(),
};

/// What calls are in their conferences.
static PARTICIPANTS: Table = Table {
    name: "calls",
    counted: false,
    columns: &[
        "sid",
        "account",
        "conference",
        "muted",
        "conference_starts",
        "conference_ends",
        "conference_hold",
        "conference_label",
        "conference_coaches",
        "conference_joined",
        "created",
        "updated",
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

/// A call is in a conference, on these terms.
pub(crate) fn join(call: CallSid, membership: &Membership, at: Timestamp) -> Sql {
    Sql::new(
        "UPDATE calls SET updated = $2, muted = $3, conference_starts = $5, \
         conference_ends = $6, conference_hold = $7, conference_label = $8, conference_coaches = $9, \
         conference_joined = CASE WHEN conference = $4 AND conference_joined IS NOT NULL \
         THEN conference_joined ELSE $2 END, conference = $4 \
         WHERE sid = $1 AND ended IS NULL",
        args![
            call,
            at,
            i64::from(membership.muted),
            membership.conference,
            i64::from(membership.starts),
            i64::from(membership.ends),
            i64::from(membership.on_hold),
            membership.label.clone(),
            membership.coaches
        ],
    )
}

/// A muted member can be heard again once it has left.
pub(crate) fn leave(call: CallSid, conference: ConferenceSid, at: Timestamp) -> Sql {
    Sql::new(
        "UPDATE calls SET updated = $2, muted = 0, conference = NULL, conference_starts = NULL, \
         conference_ends = NULL, conference_hold = NULL, conference_label = NULL, \
         conference_coaches = NULL, conference_joined = NULL WHERE sid = $1 AND conference = $3 AND ended IS NULL",
        args![call, at, conference],
    )
}

pub(crate) fn keep_farewell(sid: ConferenceSid, farewell: &str) -> Sql {
    Sql::new(
        "UPDATE conferences SET farewell = $2 WHERE sid = $1",
        args![sid, farewell],
    )
}

/// Ends a conference that its server no longer runs, with the values of this record.
pub(crate) fn close(record: &Conference) -> Sql {
    Sql::new(
        "UPDATE conferences SET status = $2, updated = $3, ended = $3, reason = $4 \
         WHERE sid = $1 AND instance = $5 AND ended IS NULL",
        args![
            record.sid,
            record.status,
            record.ended,
            record.reason.clone(),
            record.instance
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

fn participant(row: &Row) -> Result<Participant> {
    let flag = |name: &'static str| -> Result<bool> { Ok(row.opt_int(name)?.unwrap_or(0) != 0) };
    Ok(Participant {
        call: row.word("sid")?,
        account: row.word("account")?,
        membership: Membership {
            conference: row.word("conference")?,
            muted: flag("muted")?,
            starts: flag("conference_starts")?,
            ends: flag("conference_ends")?,
            on_hold: flag("conference_hold")?,
            label: row.opt_text("conference_label")?,
            coaches: row.opt_word("conference_coaches")?,
        },
        created: row.time("created")?,
        joined: match row.opt_time("conference_joined")? {
            Some(joined) => joined,
            None => row.time("created")?,
        },
        updated: row.time("updated")?,
    })
}

impl Store {
    /// Calls that are in a conference and that a filter matches, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn participants(&self, filter: &ParticipantFilter) -> Result<Rows<Participant>> {
        let fill = |conditions: &mut Conditions| {
            conditions.equal("conference", filter.conference);
            conditions.has_no("ended");
            if let Some(muted) = filter.muted {
                conditions.add(" AND muted = ?", muted);
            }
            if let Some(on_hold) = filter.on_hold {
                conditions.add(" AND COALESCE(conference_hold, 0) = ?", on_hold);
            }
            match filter.coaching {
                Some(true) => conditions.has("conference_coaches"),
                Some(false) => conditions.has_no("conference_coaches"),
                None => {}
            }
            if let Some(label) = &filter.label {
                conditions.add(" AND conference_label = ?", label.clone());
            }
        };
        self.newest(&PARTICIPANTS, None, &filter.window, fill, participant)
            .await
    }

    /// A call, if it is in a conference.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn participant(&self, call: CallSid) -> Result<Option<Participant>> {
        let mut sql = PARTICIPANTS.select();
        sql.with(" WHERE sid = ?", call)
            .text(" AND conference IS NOT NULL AND ended IS NULL");
        self.first(sql, participant).await
    }

    /// Conferences that a filter matches.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn conferences(&self, filter: &ConferenceFilter) -> Result<Rows<Conference>> {
        let fill = |conditions: &mut Conditions| {
            match &filter.name {
                Some(name) if filter.exact || !has_wildcards(name) => {
                    let start: String = name.chars().take(INDEXED_START).collect();
                    conditions.equal(&format!("SUBSTR(name, 1, {INDEXED_START})"), start);
                    conditions.add(" AND name = ?", name.as_str());
                }
                name => conditions.like("name", ("", ""), name.as_deref()),
            }
            if let Some(statuses) = &filter.statuses {
                conditions.among("status", statuses);
            }
            conditions.between("updated", filter.updated_from, filter.updated_until);
            // A conference is updated after it was created.
            let until = filter.created_until.into_iter().chain(filter.updated_until);
            conditions.created(filter.created_from, until.min());
        };
        self.newest(&CONFERENCES, Some(filter.scope), &filter.window, fill, read)
            .await
    }

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

    /// Conferences that dead servers left open, oldest first, with the final values for
    /// [`Change::ConferenceClosed`](crate::Change::ConferenceClosed): each ended when its server was last alive, if known.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn orphan_conferences(&self, now: Timestamp) -> Result<Vec<OrphanConference>> {
        let columns: Vec<String> = CONFERENCES
            .columns
            .iter()
            .map(|column| format!("c.{column}"))
            .collect();
        let mut sql = Sql::new(
            format!(
                "SELECT {}, c.farewell, i.last_alive FROM conferences c \
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
            let mut record = read(row)?;
            let last_alive = row.opt_time("last_alive")?.unwrap_or(record.updated);
            record.ended = Some(last_alive.max(record.updated));
            record.status = ConferenceStatus::Completed;
            record.reason = Some(rows::NODE_LOST.to_owned());
            let farewell = row.opt_text("farewell")?;
            Ok(OrphanConference { record, farewell })
        })
        .await
    }

    /// An open conference of this server, with the final values for an end at `now`: the task that
    /// ran it has failed.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn abandoned_conference(
        &self,
        sid: ConferenceSid,
        reason: &str,
        now: Timestamp,
    ) -> Result<Option<OrphanConference>> {
        let columns = CONFERENCES.columns.join(", ");
        let mut sql = Sql::new(
            format!("SELECT {columns}, farewell FROM conferences"),
            Vec::new(),
        );
        sql.with(" WHERE sid = ? AND ended IS NULL", sid);
        self.first(sql, |row| {
            let mut record = read(row)?;
            record.ended = Some(now);
            record.status = ConferenceStatus::Failed;
            record.reason = Some(reason.to_owned());
            let farewell = row.opt_text("farewell")?;
            Ok(OrphanConference { record, farewell })
        })
        .await
    }
}
