//! Writes that depend on several rows, each in one transaction.
//!
//! **Invariant: the mask of a participant is chosen in the transaction that records it**, and only one such transaction runs at a
//! time, whichever servers they come from. Of sessions whose time is over, the masks are free. The same transactions keep count of
//! how many participants have each mask (`mask_numbers.in_use`), so that none of them reads all participants of a pool.

use std::collections::BTreeMap;

use ::masking::{
    Candidate, NoMask, Participant, Service, Session, Settings, Status, choose, reason,
};
use model::{AccountSid, MaskServiceSid, MaskSessionSid, NumberSid, ParticipantSid, Timestamp};

use super::rows::{
    PARTICIPANTS, SESSIONS, participant_args, read_number, read_participant, read_session,
    session_args,
};
use crate::connection::{Connection, Failure};
use crate::query::TREE;
use crate::row::Row;
use crate::sql::{Sql, args};
use crate::{Result, Store, StoreError};

/// Why a participant was not added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotJoined {
    /// The session is closed.
    #[error("the session is closed; create another one")]
    Closed,
    /// The session has all its participants.
    #[error("the session has two participants already")]
    Full,
    /// The session has a participant with this number.
    #[error("the session already has a participant with this number")]
    Twice,
    /// Another participant with the same mask has this PIN.
    #[error("another participant with the same mask has this PIN; choose another one")]
    Pin,
    /// There is no mask for it.
    #[error("{0}")]
    NoMask(NoMask),
    /// Other requests change the pool all the time.
    #[error("other requests keep changing the pool; send the request again")]
    Contended,
}

/// How many sessions are named in one statement.
const SESSIONS_AT_ONCE: usize = 500;

/// One such write.
pub(crate) enum Write {
    InsertNumber(AccountSid, Sql),
    /// Takes a number out of its pool, unless an open session uses it.
    DeleteNumber {
        sid: NumberSid,
        at: Timestamp,
    },
    DeleteService {
        sid: MaskServiceSid,
        at: Timestamp,
    },
    /// Replaces a session that has not changed since it was read.
    UpdateSession(Box<Session>, Timestamp),
    CloseExpired {
        at: Timestamp,
    },
    /// Deletes a session with its participants and interactions.
    DeleteSession(MaskSessionSid),
    DeleteParticipant(ParticipantSid),
    /// Adds a participant with a mask.
    Join {
        settings: Settings,
        participant: Box<Participant>,
        wanted: Option<NumberSid>,
    },
}

impl Write {
    /// Whether a number enters or leaves a pool.
    pub(crate) const fn changes_pools(&self) -> bool {
        match self {
            Self::InsertNumber(..) | Self::DeleteNumber { .. } | Self::DeleteService { .. } => true,
            Self::UpdateSession(..)
            | Self::CloseExpired { .. }
            | Self::DeleteSession(_)
            | Self::DeleteParticipant(_)
            | Self::Join { .. } => false,
        }
    }

    /// The account to which it adds something.
    pub(crate) fn adds_to(&self) -> Option<AccountSid> {
        match self {
            Self::InsertNumber(account, _) => Some(*account),
            Self::Join { participant, .. } => Some(participant.account),
            Self::DeleteNumber { .. }
            | Self::DeleteService { .. }
            | Self::UpdateSession(..)
            | Self::CloseExpired { .. }
            | Self::DeleteSession(_)
            | Self::DeleteParticipant(_) => None,
        }
    }
}

/// Applies a write; `false` if it had no effect.
///
/// - `repeated`: it may have been carried out before
pub(crate) async fn apply(
    db: &mut Connection,
    repeated: bool,
    write: &Write,
) -> std::result::Result<bool, Failure> {
    match write {
        Write::InsertNumber(_, sql) => {
            let mut sql = sql.clone();
            if repeated {
                sql.text(" ON CONFLICT (sid) DO NOTHING");
            }
            db.execute(sql).await?;
            Ok(true)
        }
        Write::DeleteNumber { sid, at } => {
            close(db, Over::Expired, *at).await?;
            let sql = Sql::new(
                "DELETE FROM mask_numbers WHERE sid = $1 AND NOT EXISTS \
                 (SELECT sid FROM mask_participants WHERE mask = $1 AND pair IS NOT NULL)",
                args![*sid],
            );
            Ok(db.execute(sql).await? > 0 || repeated)
        }
        Write::DeleteService { sid, at } => {
            close(db, Over::Service(*sid), *at).await?;
            for (table, column) in [("mask_numbers", "service"), ("mask_services", "sid")] {
                let text = format!("DELETE FROM {table} WHERE {column} = $1");
                db.execute(Sql::new(text, args![*sid])).await?;
            }
            Ok(true)
        }
        Write::UpdateSession(session, read) => {
            let sql = SESSIONS.update_unchanged(session_args(session), *read, repeated);
            let is_changed = db.execute(sql).await? > 0;
            if is_changed && session.status == Status::Closed {
                free_masks(db, &[session.sid]).await?;
            }
            Ok(is_changed)
        }
        Write::CloseExpired { at } => {
            let closed = close(db, Over::Expired, *at).await?;
            Ok(closed || repeated)
        }
        Write::DeleteSession(sid) => {
            free_masks(db, &[*sid]).await?;
            for sql in deletions(&[*sid]) {
                db.execute(sql).await?;
            }
            Ok(true)
        }
        Write::DeleteParticipant(sid) => {
            let sql = "UPDATE mask_participants SET pair = NULL \
                       WHERE sid = $1 AND pair IS NOT NULL RETURNING mask";
            let freed = db.all(&Sql::new(sql, args![*sid])).await?;
            count_down(db, &freed).await?;
            Ok(db.execute(PARTICIPANTS.delete(*sid)).await? > 0 || repeated)
        }
        Write::Join {
            settings,
            participant,
            wanted,
        } => join(db, repeated, settings, participant, *wanted).await,
    }
}

/// Which sessions are over.
enum Over {
    Expired,
    Service(MaskServiceSid),
    /// Of an account and of all below it.
    Account(AccountSid),
}

/// Closes the sessions of an account that is about to be closed, and of those below it.
pub(crate) async fn close_of_account(
    db: &mut Connection,
    account: AccountSid,
    at: Timestamp,
) -> std::result::Result<(), Failure> {
    close(db, Over::Account(account), at).await.map(drop)
}

async fn close(
    db: &mut Connection,
    over: Over,
    at: Timestamp,
) -> std::result::Result<bool, Failure> {
    let (ended, why) = match over {
        Over::Expired => (
            "expires",
            format!(
                "CASE WHEN expiry IS NULL THEN '{}' ELSE '{}' END",
                reason::TTL,
                reason::EXPIRY
            ),
        ),
        Over::Service(_) => ("", format!("'{}'", reason::SERVICE)),
        Over::Account(_) => ("", format!("'{}'", reason::ACCOUNT)),
    };
    let mut sql = Sql::default();
    sql.text(&format!(
        "UPDATE mask_sessions SET status = 'closed', reason = {why}, expires = NULL"
    ));
    if ended.is_empty() {
        sql.with(", ended = ?", at);
    } else {
        sql.text(&format!(", ended = {ended}"));
    }
    sql.with(", updated = CASE WHEN updated >= ?", at).with(
        " THEN updated + 1 ELSE ? END WHERE status <> 'closed' AND ",
        at,
    );
    match over {
        Over::Expired => sql.with("expires <= ?", at),
        Over::Service(sid) => sql.with("service = ?", sid),
        Over::Account(sid) => sql.text("account").with(TREE, sid),
    };
    sql.text(" RETURNING sid");
    let closed = db.all(&sql).await?;
    let closed: Vec<MaskSessionSid> = read_all(&closed, |row| row.word("sid"))?;
    for some in closed.chunks(SESSIONS_AT_ONCE) {
        free_masks(db, some).await?;
    }
    Ok(!closed.is_empty())
}

/// The participants of these sessions, which are over, have no pair any more.
async fn free_masks(
    db: &mut Connection,
    sessions: &[MaskSessionSid],
) -> std::result::Result<(), Failure> {
    let freed = db.all(&freeing(sessions)).await?;
    count_down(db, &freed).await
}

fn freeing(sessions: &[MaskSessionSid]) -> Sql {
    let mut sql = Sql::default();
    sql.text("UPDATE mask_participants SET pair = NULL WHERE session")
        .among(sessions)
        .text(" AND pair IS NOT NULL RETURNING mask");
    sql
}

/// Masks that so many participants no longer have, one row each.
async fn count_down(db: &mut Connection, freed: &[Row]) -> std::result::Result<(), Failure> {
    let mut masks: BTreeMap<NumberSid, i64> = BTreeMap::new();
    for mask in read_all(freed, |row| row.word("mask"))? {
        *masks.entry(mask).or_default() += 1;
    }
    for (mask, count) in masks {
        let sql = Sql::new(
            "UPDATE mask_numbers SET in_use = in_use - $2 WHERE sid = $1",
            args![mask, count],
        );
        db.execute(sql).await?;
    }
    Ok(())
}

/// The statements that delete sessions with what belongs to them.
pub(super) fn deletions(sids: &[MaskSessionSid]) -> [Sql; 3] {
    let of = |table: &str, column: &str| {
        let mut sql = Sql::default();
        sql.text(&format!("DELETE FROM {table} WHERE {column}"))
            .among(sids);
        sql
    };
    [
        of("mask_interactions", "session"),
        of("mask_participants", "session"),
        of("mask_sessions", "sid"),
    ]
}

async fn join(
    db: &mut Connection,
    repeated: bool,
    settings: &Settings,
    participant: &Participant,
    wanted: Option<NumberSid>,
) -> std::result::Result<bool, Failure> {
    let is_written = Sql::new(
        "SELECT sid FROM mask_participants WHERE sid = $1",
        args![participant.sid],
    );
    if repeated && !db.all(&is_written).await?.is_empty() {
        return Ok(true);
    }
    close(db, Over::Expired, participant.created).await?;
    let session = db.all(&session_of(participant.session)).await?;
    let session = read_first(&session, read_session)?;
    let others = db.all(&participants_of(participant.session)).await?;
    let others = read_all(&others, read_participant)?;
    if may_join(session.as_ref(), &others, participant).is_err() {
        return Ok(false);
    }
    let candidates = db.all(&candidates(participant)).await?;
    let candidates = read_all(&candidates, read_candidate)?;
    let Ok(chosen) = choose(settings, &candidates, &participant.number, wanted) else {
        return Ok(false);
    };
    let joined = Participant {
        mask: chosen.number.sid,
        mask_number: chosen.number.phone_number.clone(),
        ..participant.clone()
    };
    if !db.all(&same_pin(&joined)).await?.is_empty() {
        return Ok(false);
    }
    db.execute(PARTICIPANTS.insert(participant_args(&joined)))
        .await?;
    let count = Sql::new(
        "UPDATE mask_numbers SET in_use = in_use + 1 WHERE sid = $1",
        args![joined.mask],
    );
    db.execute(count).await?;
    Ok(true)
}

/// Finds participants of open sessions that have the mask and the PIN of this one.
fn same_pin(participant: &Participant) -> Sql {
    Sql::new(
        "SELECT sid FROM mask_participants \
         WHERE mask = $1 AND pair IS NOT NULL AND pin = $2 AND pin <> ''",
        args![participant.mask, participant.pin.as_str()],
    )
}

/// Names the reason why a participant cannot be added; `None` if it can be by now.
pub(super) async fn why_not(
    store: &Store,
    service: &Service,
    participant: &Participant,
    wanted: Option<NumberSid>,
    now: Timestamp,
) -> Result<Option<NotJoined>> {
    let session = store.mask_session(participant.session).await?;
    let session = session.map(|session| session.at(now));
    let others = store.mask_participants(participant.session).await?;
    if let Err(why) = may_join(session.as_ref(), &others, participant) {
        return Ok(Some(why));
    }
    let candidates = store.many(candidates(participant), read_candidate).await?;
    let chosen = match choose(&service.settings, &candidates, &participant.number, wanted) {
        Ok(chosen) => chosen.number.sid,
        Err(why) => return Ok(Some(NotJoined::NoMask(why))),
    };
    let joined = Participant {
        mask: chosen,
        ..participant.clone()
    };
    let same = store
        .first(same_pin(&joined), |row| row.text("sid"))
        .await?;
    Ok(same.map(|_| NotJoined::Pin))
}

fn may_join(
    session: Option<&Session>,
    others: &[Participant],
    participant: &Participant,
) -> std::result::Result<(), NotJoined> {
    match session {
        Some(session) if session.status != Status::Closed => {}
        Some(_) | None => return Err(NotJoined::Closed),
    }
    if others.iter().any(|one| one.number == participant.number) {
        return Err(NotJoined::Twice);
    }
    if others.len() >= Session::PARTICIPANTS {
        return Err(NotJoined::Full);
    }
    Ok(())
}

fn session_of(sid: MaskSessionSid) -> Sql {
    let mut sql = SESSIONS.select();
    sql.with(" WHERE sid = ?", sid);
    sql
}

fn participants_of(session: MaskSessionSid) -> Sql {
    let mut sql = PARTICIPANTS.select();
    sql.with(" WHERE session = ?", session);
    sql
}

/// The pool of a participant's service, from its point of view. A number that the account no longer has is left out.
fn candidates(participant: &Participant) -> Sql {
    Sql::new(
        "SELECT m.sid, m.account, m.service, m.phone_number, m.is_reserved, m.created, m.updated, \
         m.in_use, (SELECT COUNT(*) FROM mask_participants p \
         WHERE p.pair = m.sid || ' ' || CAST($2 AS TEXT)) AS taken, \
         (SELECT MAX(p.created) FROM mask_participants p \
         WHERE p.phone_number = $2 AND p.mask = m.sid) AS last_had \
         FROM mask_numbers m JOIN numbers n ON n.sid = m.sid AND n.account = m.account \
         WHERE m.service = $1 ORDER BY m.phone_number, m.sid",
        args![participant.service, participant.number.as_str()],
    )
}

fn read_candidate(row: &Row) -> Result<Candidate> {
    let mut number = read_number(row)?;
    number.in_use = row.int("in_use")?;
    Ok(Candidate {
        number,
        is_taken: row.int("taken")? > 0,
        last_had: row.opt_time("last_had")?,
    })
}

fn read_first<T>(
    rows: &[Row],
    read: fn(&Row) -> Result<T>,
) -> std::result::Result<Option<T>, Failure> {
    rows.first().map(read).transpose().map_err(unreadable)
}

fn read_all<T>(
    rows: &[Row],
    read: impl Fn(&Row) -> Result<T>,
) -> std::result::Result<Vec<T>, Failure> {
    rows.iter()
        .map(read)
        .collect::<Result<_>>()
        .map_err(unreadable)
}

fn unreadable(error: StoreError) -> Failure {
    Failure::Unreadable(error.to_string())
}

#[cfg(test)]
mod tests {
    use model::{AccountSid, ParticipantSid};

    use super::*;

    fn participant() -> Participant {
        Participant {
            sid: ParticipantSid::from_bytes([1; 16]),
            account: AccountSid::from_bytes([1; 16]),
            service: MaskServiceSid::from_bytes([1; 16]),
            session: MaskSessionSid::from_bytes([1; 16]),
            number: "+4917000000001".to_owned(),
            name: String::new(),
            mask: NumberSid::from_bytes([1; 16]),
            mask_number: String::new(),
            pin: String::new(),
            created: Timestamp(0),
            updated: Timestamp(0),
        }
    }

    /// Neither adding a participant nor closing sessions reads more than the rows that they are about.
    #[tokio::test]
    async fn participants_are_found_by_their_pair_or_session() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("p.db").display());
        let mut opened = crate::connect::open(&url).await.unwrap();
        let (db, dialect) = (&mut opened.connection, opened.dialect);
        crate::migrate::migrate(db, dialect, Timestamp(0))
            .await
            .unwrap();
        let sessions = [1, 2].map(|n| MaskSessionSid::from_bytes([n; 16]));
        let table = [
            (
                candidates(&participant()),
                &["(pair=?)", "(phone_number=? AND mask=?)"][..],
            ),
            (freeing(&sessions), &["(session=?)"]),
        ];
        for (sql, expected) in table {
            let steps = db
                .all(&sql.inside("EXPLAIN QUERY PLAN ", ""))
                .await
                .unwrap();
            let steps = read_all(&steps, |row| row.text("detail")).unwrap();
            let about = |step: &&String| step.contains("mask_participants") || step.contains(" p ");
            let found: Vec<&String> = steps.iter().filter(about).collect();
            assert_eq!(found.len(), expected.len(), "{steps:#?}");
            for (step, by) in found.iter().zip(expected) {
                assert!(step.ends_with(by), "{steps:#?}");
            }
        }
    }
}
