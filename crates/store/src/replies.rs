//! Answers to requests that carry a key (`Idempotency-Key`), so that a repeated request is answered
//! and not carried out again.
//!
//! **Invariant: of the requests with one key, one has the claim, whichever server they reach and
//! however often it restarts**; the others get its answer, or learn that there is none yet. Answers
//! may hold secrets, so they are sealed. Left to others: which answers are kept.

use std::time::Duration;

use model::{AccountSid, Timestamp};

use crate::admin::Admin;
use crate::credentials::random_token;
use crate::row::Row;
use crate::sql::{ROWS_AT_ONCE, Sql, args};
use crate::{Result, Store};

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Answers kept for each account; of more, the oldest are forgotten.
const MAX_OF_ACCOUNT: i64 = 20_000;

/// What identifies a request that may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// The account whose credentials were used.
    pub account: AccountSid,
    /// The path, and whatever else gives a request a key of its own.
    pub route: String,
    /// The key that the client chose.
    pub key: String,
}

/// The state of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// This request is the first: carry it out, then keep its answer or release the key.
    First(ClaimedKey),
    /// The answer to the first request.
    Answered(Vec<u8>),
    /// The first request has not been answered since then.
    Unanswered(Timestamp),
    /// The first request had other parameters.
    Different,
}

/// A key whose request is being carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedKey {
    key: RequestKey,
    claim: String,
}

impl RequestKey {
    fn owner(&self) -> Vec<u8> {
        format!("reply\n{}\n{}\n{}", self.account, self.route, self.key).into_bytes()
    }

    fn condition(&self, sql: &mut Sql) {
        sql.with(" WHERE account = ?", self.account)
            .with(" AND route = ?", self.route.as_str())
            .with(" AND key = ?", self.key.as_str());
    }
}

/// A row as it is stored.
struct Stored {
    fingerprint: String,
    claim: String,
    created: Timestamp,
    reply: Option<Vec<u8>>,
}

fn read(row: &Row) -> Result<Stored> {
    Ok(Stored {
        fingerprint: row.text("fingerprint")?,
        claim: row.text("claim")?,
        created: row.time("created")?,
        reply: row.opt_blob("reply")?,
    })
}

impl Store {
    /// Claims a key for a request, unless another request has it.
    ///
    /// - `fingerprint`: the same for requests with the same parameters only
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn claim_key(
        &self,
        key: RequestKey,
        fingerprint: &str,
        now: Timestamp,
    ) -> Result<Claim> {
        let claim = random_token();
        let mut expired = Sql::default();
        expired.text("DELETE FROM replies");
        key.condition(&mut expired);
        expired.with(" AND created < ?", now - KEPT);
        let insert = Sql::new(
            "INSERT INTO replies (account, route, key, fingerprint, claim, created) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (account, route, key) DO NOTHING",
            args![
                key.account,
                key.route.as_str(),
                key.key.as_str(),
                fingerprint,
                claim.as_str(),
                now
            ],
        );
        let writes = [expired, insert].map(Admin::Execute);
        self.administer_all(writes).await?;
        let mut sql = Sql::default();
        sql.text("SELECT fingerprint, claim, created, reply FROM replies");
        key.condition(&mut sql);
        let Some(found) = self.first(sql, read).await? else {
            // The first request was refused just now, so this one may be sent again.
            return Ok(Claim::Unanswered(now));
        };
        if found.claim == claim {
            return Ok(Claim::First(ClaimedKey { key, claim }));
        }
        if found.fingerprint != fingerprint {
            return Ok(Claim::Different);
        }
        match found.reply {
            Some(sealed) => {
                let reply = self.key().open(&sealed, &key.owner())?;
                Ok(Claim::Answered(reply))
            }
            None => Ok(Claim::Unanswered(found.created)),
        }
    }

    /// Keeps the answer to a request, to be given again.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn keep_reply(&self, claimed: &ClaimedKey, reply: &[u8]) -> Result<()> {
        let sealed = self.key().seal(reply, &claimed.key.owner());
        let mut sql = Sql::default();
        sql.with("UPDATE replies SET reply = ?", sealed);
        claimed.key.condition(&mut sql);
        sql.with(" AND claim = ?", claimed.claim.as_str());
        self.administer(Admin::Execute(sql)).await.map(drop)
    }

    /// Gives a key back: the request has changed nothing.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn release_key(&self, claimed: &ClaimedKey) -> Result<()> {
        let mut sql = Sql::default();
        sql.text("DELETE FROM replies");
        claimed.key.condition(&mut sql);
        sql.with(" AND claim = ?", claimed.claim.as_str());
        self.administer(Admin::Execute(sql)).await.map(drop)
    }

    /// Forgets answers that are a day old, and of accounts with too many the oldest.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn forget_replies(&self, now: Timestamp) -> Result<()> {
        let expired = Sql::new(
            "DELETE FROM replies WHERE (account, route, key) IN \
             (SELECT account, route, key FROM replies WHERE created < $1 LIMIT $2)",
            args![now - KEPT, ROWS_AT_ONCE],
        );
        self.delete_repeatedly(expired).await?;
        let crowded = Sql::new(
            "SELECT account FROM replies GROUP BY account HAVING COUNT(*) > $1",
            args![MAX_OF_ACCOUNT],
        );
        let accounts = self.many(crowded, |row| row.word::<AccountSid>("account"));
        for account in accounts.await? {
            let oldest = Sql::new(
                "DELETE FROM replies WHERE (account, route, key) IN \
                 (SELECT account, route, key FROM replies WHERE account = $1 \
                  ORDER BY created DESC LIMIT $3 OFFSET $2)",
                args![account, MAX_OF_ACCOUNT, ROWS_AT_ONCE],
            );
            self.delete_repeatedly(oldest).await?;
        }
        Ok(())
    }

    /// Repeats a deletion of some rows until there are none.
    pub(crate) async fn delete_repeatedly(&self, sql: Sql) -> Result<()> {
        while self.administer(Admin::Execute(sql.clone())).await? {}
        Ok(())
    }
}
