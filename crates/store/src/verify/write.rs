//! Writes about codes that change several rows, each in one transaction.
//!
//! **Invariant: the limits are judged in the transaction that records the code**, and only one such transaction runs at a
//! time, whichever servers they come from: codes that are requested together are never more than the limits allow.

use ::verify::{Attempt, Settings, Status, Verification, judge};
use model::{AccountSid, Timestamp, VerificationSid, VerifyBucketSid};

use super::rows::{
    ATTEMPTS, VERIFICATIONS, attempt_args, open, read_verification, verification_args,
};
use super::seen::{SendTo, read_seen};
use crate::connection::{Connection, Failure};
use crate::sql::{Sql, args};
use crate::{Result, StoreError};

/// The codes of a day are counted again only when fewer than this many are left: it takes time to count very many, and
/// no more are requested at the same moment.
const FEW_LEFT: i64 = 1_000;

/// A code that is about to be sent.
#[derive(Debug, Clone)]
pub struct NewCode {
    /// What its service allows.
    pub settings: Settings,
    /// Whether the recipient is on the safe list.
    pub is_safe: bool,
    /// How many codes the service has sent within a day, as counted before.
    pub today: i64,
    /// The verification with this code.
    pub verification: Verification,
    /// The same before, if it exists already.
    pub before: Option<Verification>,
    /// The record of the code.
    pub attempt: Attempt,
    /// Where else it counts.
    pub hits: Vec<Hit>,
}

/// A code as a bucket counts it.
#[derive(Debug, Clone)]
pub struct Hit {
    pub(super) bucket: VerifyBucketSid,
    pub(super) max: i64,
    /// The digest of the value.
    pub(super) value: String,
    pub(super) period: i64,
}

impl Hit {
    /// Finds the count if it allows no more.
    pub(super) fn full(&self) -> Sql {
        Sql::new(
            "SELECT n FROM verify_hits WHERE bucket = $1 AND value = $2 AND period = $3 AND n >= $4",
            args![self.bucket, self.value.as_str(), self.period, self.max],
        )
    }

    fn count(&self, now: Timestamp) -> Sql {
        Sql::new(
            "INSERT INTO verify_hits (bucket, value, period, n, created) VALUES ($1, $2, $3, 1, $4) \
             ON CONFLICT (bucket, value, period) DO UPDATE SET n = verify_hits.n + 1",
            args![self.bucket, self.value.as_str(), self.period, now],
        )
    }

    fn take_back(&self) -> Sql {
        Sql::new(
            "UPDATE verify_hits SET n = n - 1 WHERE bucket = $1 AND value = $2 AND period = $3",
            args![self.bucket, self.value.as_str(), self.period],
        )
    }
}

/// One such write.
pub(crate) enum Write {
    /// Records a code; no effect if a limit is reached, or the verification is not as it was read.
    Record(NewCode),
    /// Takes back a code that could not be sent.
    Revoke(NewCode),
    /// Ends a pending verification.
    End {
        sid: VerificationSid,
        status: Status,
        at: Timestamp,
        /// Identifies this write.
        id: String,
    },
}

impl Write {
    /// The account to which it adds something.
    pub(crate) fn adds_to(&self) -> Option<AccountSid> {
        match self {
            Self::Record(code) => Some(code.attempt.account),
            Self::Revoke(_) | Self::End { .. } => None,
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
) -> Result<bool, Failure> {
    match write {
        Write::Record(code) => record(db, repeated, code).await,
        Write::Revoke(code) => revoke(db, repeated, code).await,
        Write::End {
            sid,
            status,
            at,
            id,
        } => {
            if repeated && finds(db, was_written(*sid, id)).await? {
                return Ok(true);
            }
            end(db, (*sid, *status, *at), id).await
        }
    }
}

/// Finds a verification that this write has changed.
pub(super) fn was_written(sid: VerificationSid, id: &str) -> Sql {
    Sql::new(
        "SELECT sid FROM verifications WHERE sid = $1 AND writes LIKE $2",
        args![sid, format!("%{id}%")],
    )
}

async fn finds(db: &mut Connection, sql: Sql) -> Result<bool, Failure> {
    Ok(!db.all(&sql).await?.is_empty())
}

async fn record(db: &mut Connection, repeated: bool, code: &NewCode) -> Result<bool, Failure> {
    let (attempt, now) = (&code.attempt, code.attempt.created);
    let is_written = Sql::new(
        "SELECT sid FROM verify_attempts WHERE sid = $1",
        args![attempt.sid],
    );
    if repeated && finds(db, is_written).await? {
        return Ok(true);
    }
    for hit in &code.hits {
        if finds(db, hit.full()).await? {
            return Ok(false);
        }
    }
    if !is_allowed(db, code).await? {
        return Ok(false);
    }
    let has_place = match &code.before {
        Some(_) => db.execute(next(&code.verification)).await? > 0,
        None => make_room(db, &code.verification).await?,
    };
    if !has_place {
        return Ok(false);
    }
    if code.before.is_none() {
        let row = verification_args(&code.verification);
        db.execute(VERIFICATIONS.insert(row)).await?;
    }
    for hit in &code.hits {
        db.execute(hit.count(now)).await?;
    }
    db.execute(ATTEMPTS.insert(attempt_args(attempt))).await?;
    Ok(true)
}

async fn is_allowed(db: &mut Connection, code: &NewCode) -> Result<bool, Failure> {
    let (attempt, now) = (&code.attempt, code.attempt.created);
    let of = SendTo {
        service: attempt.service,
        to: &attempt.to,
        network: attempt.network.as_deref(),
    };
    let is_far = code.today + FEW_LEFT < code.settings.daily_limit;
    let counted = db.all(&of.count(now, is_far.then_some(code.today))).await?;
    let seen = counted.first().map(|row| read_seen(row, now));
    let seen = seen.transpose().map_err(unreadable)?.unwrap_or_default();
    Ok(judge(&code.settings, &seen, code.is_safe).is_ok())
}

fn unreadable(error: StoreError) -> Failure {
    Failure::Unreadable(error.to_string())
}

/// Another code of a verification that is pending.
fn next(one: &Verification) -> Sql {
    Sql::new(
        "UPDATE verifications SET channel = $2, digest = $3, sends = sends + 1, updated = $4 \
         WHERE sid = $1 AND status = 'pending' AND checks < max_checks AND expires > $4",
        args![
            one.sid,
            one.channel.as_str(),
            one.digest.as_str(),
            one.updated
        ],
    )
}

/// Ends a verification of the same recipient that has expired; `false` if there is one that has not.
async fn make_room(db: &mut Connection, one: &Verification) -> Result<bool, Failure> {
    let mut sql = VERIFICATIONS.select();
    sql.with(" WHERE open = ?", open(one.service, &one.to));
    let found = db.all(&sql).await?;
    let Some(found) = found.first() else {
        return Ok(true);
    };
    let found: Result<Verification> = read_verification(found);
    let found = found.map_err(unreadable)?;
    if one.created < found.expires {
        return Ok(false);
    }
    let over = Sql::new(
        "UPDATE verifications SET open = NULL, status = $2, updated = $3 WHERE sid = $1",
        args![
            found.sid,
            found.status_at(one.created).as_str(),
            one.created
        ],
    );
    db.execute(over).await?;
    Ok(true)
}

async fn revoke(db: &mut Connection, repeated: bool, code: &NewCode) -> Result<bool, Failure> {
    let (one, now) = (&code.verification, code.attempt.created);
    if db.execute(ATTEMPTS.delete(code.attempt.sid)).await? == 0 {
        return Ok(repeated);
    }
    for hit in &code.hits {
        db.execute(hit.take_back()).await?;
    }
    let before = code.before.as_ref().unwrap_or(one);
    // Another code may have been sent meanwhile.
    let sql = Sql::new(
        "UPDATE verifications SET sends = sends - 1, updated = $2, \
         channel = CASE WHEN digest = $3 AND channel = $4 THEN $5 ELSE channel END, \
         digest = CASE WHEN digest = $3 THEN $6 ELSE digest END WHERE sid = $1",
        args![
            one.sid,
            now,
            one.digest.as_str(),
            one.channel.as_str(),
            before.channel.as_str(),
            before.digest.as_str()
        ],
    );
    db.execute(sql).await?;
    let never_sent = Sql::new(
        "UPDATE verifications SET open = NULL, status = $2 \
         WHERE sid = $1 AND status = 'pending' AND sends = 0",
        args![one.sid, Status::Failed.as_str()],
    );
    db.execute(never_sent).await?;
    Ok(true)
}

async fn end(
    db: &mut Connection,
    (sid, status, at): (VerificationSid, Status, Timestamp),
    id: &str,
) -> Result<bool, Failure> {
    let ended = Sql::new(
        "UPDATE verifications SET open = NULL, status = $2, updated = $3, \
         writes = writes || CAST($4 AS TEXT) WHERE sid = $1 AND status = 'pending'",
        args![sid, status.as_str(), at, id],
    );
    if db.execute(ended).await? == 0 {
        return Ok(false);
    }
    if status == Status::Approved {
        let confirmed = Sql::new(
            "UPDATE verify_attempts SET is_confirmed = 1, updated = $2 \
             WHERE sid = (SELECT MAX(sid) FROM verify_attempts WHERE verification = $1)",
            args![sid, at],
        );
        db.execute(confirmed).await?;
    }
    Ok(true)
}
