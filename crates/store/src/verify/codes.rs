//! Codes: recorded before they are sent, guessed, right.
//!
//! **Invariant: a guess is counted, in one statement, before it is compared**, so that guesses that arrive together are
//! never more than the limit, whichever servers they reach; and a service has at most one pending verification of a
//! recipient.

use ::verify::{Bucket, Status, Verification};
use model::{Timestamp, VerificationSid, VerifyServiceSid};

use super::rows::{VERIFICATIONS, open, read_verification};
use super::write::{Hit, NewCode, Write, was_written};
use crate::admin::Admin;
use crate::credentials::random_token;
use crate::sql::{Sql, args};
use crate::{Result, Store};

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

    /// Records a code that is about to be sent: as the first one of a new verification, in place of one of the same
    /// recipient that has expired, or as another one of the pending verification. `false`, without an effect, if a limit is
    /// reached, or the recipient's verification is not as it was read.
    ///
    /// # Errors
    /// [`crate::StoreError::AccountClosed`] if its account is closed.
    pub async fn record_code(&self, code: &NewCode) -> Result<bool> {
        let write = Write::Record(code.clone());
        self.administer(Admin::Verify(Box::new(write))).await
    }

    /// Takes back a recorded code that could not be sent. A verification without any other code has failed.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn revoke_code(&self, code: &NewCode) -> Result<()> {
        let write = Write::Revoke(code.clone());
        self.administer(Admin::Verify(Box::new(write)))
            .await
            .map(drop)
    }

    /// A code as a bucket counts it.
    ///
    /// - `value`: only its digest is kept
    #[must_use]
    pub fn hit(&self, bucket: &Bucket, value: &str, now: Timestamp) -> Hit {
        Hit {
            bucket: bucket.sid,
            max: bucket.max,
            value: self.key().sign("verify-limit", value),
            period: now.as_millis() / 1_000 / bucket.period_s.max(1),
        }
    }

    /// Whether a bucket allows no more codes in the period of this one.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn is_full(&self, hit: &Hit) -> Result<bool> {
        let found = self.first(hit.full(), |row| row.int("n")).await?;
        Ok(found.is_some())
    }

    /// Counts a guess; `false` if no more are allowed, or the verification is over.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn count_guess(&self, sid: VerificationSid, now: Timestamp) -> Result<bool> {
        let id = random_token();
        let write = Sql::new(
            "UPDATE verifications SET checks = checks + 1, updated = $2, \
             writes = writes || CAST($3 AS TEXT) \
             WHERE sid = $1 AND status = 'pending' AND checks < max_checks AND expires > $2",
            args![sid, now, id.as_str()],
        );
        let done = was_written(sid, &id);
        self.administer(Admin::Once { done, write }).await
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
        let write = Write::End {
            sid,
            status,
            at: now,
            id: random_token(),
        };
        self.administer(Admin::Verify(Box::new(write))).await
    }
}
