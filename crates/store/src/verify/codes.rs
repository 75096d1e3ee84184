//! Codes: sent, guessed, right.
//!
//! **Invariant: a guess is counted, in one statement, before it is compared**, so that guesses that arrive together are
//! never more than the limit, whichever servers they reach; and a service has at most one pending verification of a
//! recipient.

use std::time::Duration;

use ::verify::{Attempt, Seen, Status, Verification, Watch, block_of};
use model::{Timestamp, VerificationSid, VerifyServiceSid};

use super::rows::{
    ATTEMPTS, VERIFICATIONS, attempt_args, open, read_verification, verification_args,
};
use crate::admin::Admin;
use crate::row::Row;
use crate::sql::Sql;
use crate::{Result, Store};

/// What is to be counted before a code is sent.
#[derive(Debug, Clone)]
pub struct SendTo<'a> {
    /// The service.
    pub service: VerifyServiceSid,
    /// The recipient.
    pub to: &'a str,
    /// The network of the person who asks for it.
    pub network: Option<&'a str>,
}

impl Store {
    /// The verification with this SID.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn verification(&self, sid: VerificationSid) -> Result<Option<Verification>> {
        self.one(&VERIFICATIONS, sid, read_verification).await
    }

    /// The pending verification of a recipient; it may be over by its time or guesses.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn pending_verification(
        &self,
        service: VerifyServiceSid,
        to: &str,
    ) -> Result<Option<Verification>> {
        let mut sql = VERIFICATIONS.select();
        sql.with(" WHERE open = ?", open(service, to));
        self.first(sql, read_verification).await
    }

    /// What was sent before, for the decision whether another code may be sent.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn seen_codes(&self, of: &SendTo<'_>, now: Timestamp) -> Result<Seen> {
        let count = async |column: &str, value: Option<&str>, since: Duration| {
            let mut sql = Sql::default();
            sql.with(
                "SELECT COUNT(*) AS n, MAX(created) AS last FROM verify_attempts WHERE service = ?",
                of.service,
            );
            if let Some(value) = value {
                sql.with(&format!(" AND {column} = ?"), value);
            }
            sql.with(" AND created > ?", now - since);
            let read = |row: &Row| Ok((row.int("n")?, row.opt_time("last")?));
            self.first(sql, read).await.map(Option::unwrap_or_default)
        };
        let (to_recipient, last) = count("recipient", Some(of.to), Seen::RECIPIENT).await?;
        let (from_network, _) = match of.network {
            Some(network) => count("network", Some(network), Seen::HOUR).await?,
            None => (0, None),
        };
        let (today, _) = count("", None, Seen::DAY).await?;
        Ok(Seen {
            to_recipient,
            since_last: last.map(|last| now.since(last)),
            block: self.block_of_recipient(of, now).await?,
            from_network,
            today,
        })
    }

    async fn block_of_recipient(&self, of: &SendTo<'_>, now: Timestamp) -> Result<Watch> {
        let mut sql = Sql::default();
        sql.with(
            "SELECT COUNT(*) AS sent, COALESCE(SUM(is_confirmed), 0) AS confirmed, \
             COALESCE(SUM(CASE WHEN created <= ? THEN 1 ELSE 0 END), 0) AS settled",
            now - Seen::SETTLED,
        )
        .with(" FROM verify_attempts WHERE service = ?", of.service)
        .with(" AND block = ?", block_of(of.to))
        .with(" AND created > ?", now - Seen::HOUR);
        let read = |row: &Row| {
            Ok(Watch {
                sent: row.int("sent")?,
                settled: row.int("settled")?,
                confirmed: row.int("confirmed")?,
            })
        };
        self.first(sql, read).await.map(Option::unwrap_or_default)
    }

    /// Begins a verification, in place of one of the same recipient that is over, and records its first code.
    ///
    /// # Errors
    /// [`crate::StoreError::Duplicate`] if the recipient has another pending verification,
    /// [`crate::StoreError::AccountClosed`] if its account is closed.
    pub async fn insert_verification(&self, one: &Verification, first: &Attempt) -> Result<()> {
        let mut over = Sql::default();
        over.with("UPDATE verifications SET open = NULL, status = CASE WHEN checks >= max_checks THEN 'max_attempts_reached' ELSE 'expired' END, updated = ?", one.created)
            .with(" WHERE open = ?", open(one.service, &one.to))
            .with(" AND (checks >= max_checks OR expires <= ?)", one.created);
        let all = [
            Admin::Execute(over),
            Admin::InsertOwned(one.account, &VERIFICATIONS, verification_args(one)),
            Admin::InsertOwned(one.account, &ATTEMPTS, attempt_args(first)),
        ];
        self.administer_all(all).await.map(drop)
    }

    /// Records another code of a pending verification; `false` if it is over.
    ///
    /// - `one`: with its new channel, digest and number of codes
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn resend_verification(&self, one: &Verification, next: &Attempt) -> Result<bool> {
        let mut sql = Sql::default();
        sql.with(
            "UPDATE verifications SET channel = ?",
            one.channel.as_str().to_owned(),
        )
        .with(", digest = ?", one.digest.as_str())
        .with(", sends = sends + 1, updated = ?", one.updated)
        .with(" WHERE sid = ?", one.sid)
        .with(" AND status = 'pending' AND expires > ?", one.updated);
        if !self.administer(Admin::Execute(sql)).await? {
            return Ok(false);
        }
        let insert = Admin::InsertOwned(next.account, &ATTEMPTS, attempt_args(next));
        self.administer(insert).await
    }

    /// Counts a guess; `false` if no more are allowed, or the verification is over.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn count_guess(&self, sid: VerificationSid, now: Timestamp) -> Result<bool> {
        let mut sql = Sql::default();
        sql.with(
            "UPDATE verifications SET checks = checks + 1, updated = ?",
            now,
        )
        .with(" WHERE sid = ?", sid)
        .with(
            " AND status = 'pending' AND checks < max_checks AND expires > ?",
            now,
        );
        self.administer(Admin::Execute(sql)).await
    }

    /// Ends a pending verification; `false` if it had ended before. If it is approved, its last code counts as confirmed.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn end_verification(
        &self,
        sid: VerificationSid,
        status: Status,
        now: Timestamp,
    ) -> Result<bool> {
        let mut sql = Sql::default();
        sql.with(
            "UPDATE verifications SET open = NULL, status = ?",
            status.as_str().to_owned(),
        )
        .with(", updated = ?", now)
        .with(" WHERE sid = ?", sid)
        .text(" AND status = 'pending'");
        if !self.administer(Admin::Execute(sql)).await? {
            return Ok(false);
        }
        if status == Status::Approved {
            let mut confirmed = Sql::default();
            confirmed
                .with(
                    "UPDATE verify_attempts SET is_confirmed = 1, updated = ?",
                    now,
                )
                .with(
                    " WHERE sid = (SELECT MAX(sid) FROM verify_attempts WHERE verification = ?)",
                    sid,
                );
            self.administer(Admin::Execute(confirmed)).await?;
        }
        Ok(true)
    }
}
