//! Verifications: services, codes that were sent, limits.
//!
//! **Invariant: a guess is counted, in one statement, before it is compared**, so that guesses that arrive together are
//! never more than the limit, whichever servers they reach; and a service has at most one pending verification of a
//! recipient.

use std::sync::OnceLock;
use std::time::Duration;

use ::verify::{
    Attempt, Bucket, RateLimit, SafeNumber, Seen, Service, Settings, Status, Verification, Watch,
    block_of,
};
use model::{
    AccountSid, Timestamp, VerificationSid, VerifyAttemptSid, VerifyBucketSid, VerifyLimitSid,
    VerifySafeSid, VerifyServiceSid,
};

use crate::admin::Admin;
use crate::filter::{Rows, Scope, Window};
use crate::row::Row;
use crate::sql::{Arg, ROWS_AT_ONCE, Sql, Table, args};
use crate::{Result, Store};

/// How long verifications and what was counted for them are kept after their end.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

macro_rules! table {
    ($name:literal: $($column:literal)+) => {
        Table {
            name: $name,
            counted: false,
            columns: &[$($column),+],
            insert_once: OnceLock::new(),
        }
    };
}

static SERVICES: Table =
    table!("verify_services": "sid" "account" "name" "settings" "created" "updated");
static VERIFICATIONS: Table = table!("verifications":
    "sid" "account" "service" "recipient" "channel" "status" "digest" "sends" "checks"
    "max_checks" "expires" "open" "created" "updated");
static ATTEMPTS: Table = table!("verify_attempts":
    "sid" "account" "service" "verification" "recipient" "channel" "block" "network"
    "is_confirmed" "created" "updated");
static LIMITS: Table = table!("verify_limits":
    "sid" "account" "service" "name" "description" "created" "updated");
static BUCKETS: Table = table!("verify_buckets":
    "sid" "account" "rate_limit" "max_sends" "period_s" "created" "updated");
static SAFE: Table = table!("verify_safe": "sid" "account" "phone_number" "created");

fn service_args(service: &Service) -> Vec<Arg> {
    // It has no map whose keys are not texts, so it can always be written.
    let settings = serde_json::to_string(&service.settings).unwrap_or_default();
    args![
        service.sid,
        service.account,
        service.name.as_str(),
        settings,
        service.created,
        service.updated
    ]
}

fn read_service(row: &Row) -> Result<Service> {
    let settings: Settings = serde_json::from_str(&row.text("settings")?).unwrap_or_default();
    Ok(Service {
        sid: row.word("sid")?,
        account: row.word("account")?,
        name: row.text("name")?,
        settings,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

/// Marks the pending verification of a recipient.
fn open(service: VerifyServiceSid, to: &str) -> String {
    format!("{service} {to}")
}

fn verification_args(one: &Verification) -> Vec<Arg> {
    let is_open = one.status == Status::Pending;
    args![
        one.sid,
        one.account,
        one.service,
        one.to.as_str(),
        one.channel.as_str(),
        one.status.as_str(),
        one.digest.as_str(),
        one.sends,
        one.checks,
        one.max_checks,
        one.expires,
        is_open.then(|| open(one.service, &one.to)),
        one.created,
        one.updated
    ]
}

fn read_verification(row: &Row) -> Result<Verification> {
    Ok(Verification {
        sid: row.word("sid")?,
        account: row.word("account")?,
        service: row.word("service")?,
        to: row.text("recipient")?,
        channel: row.word("channel")?,
        status: row.word("status")?,
        digest: row.text("digest")?,
        sends: row.int("sends")?,
        checks: row.int("checks")?,
        max_checks: row.int("max_checks")?,
        expires: row.time("expires")?,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

fn attempt_args(attempt: &Attempt) -> Vec<Arg> {
    args![
        attempt.sid,
        attempt.account,
        attempt.service,
        attempt.verification,
        attempt.to.as_str(),
        attempt.channel.as_str(),
        block_of(&attempt.to),
        attempt.network.clone(),
        attempt.is_confirmed,
        attempt.created,
        attempt.updated
    ]
}

fn read_attempt(row: &Row) -> Result<Attempt> {
    Ok(Attempt {
        sid: row.word("sid")?,
        account: row.word("account")?,
        service: row.word("service")?,
        verification: row.word("verification")?,
        to: row.text("recipient")?,
        channel: row.word("channel")?,
        network: row.opt_text("network")?,
        is_confirmed: row.flag("is_confirmed")?,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

fn limit_args(limit: &RateLimit) -> Vec<Arg> {
    args![
        limit.sid,
        limit.account,
        limit.service,
        limit.name.as_str(),
        limit.description.as_str(),
        limit.created,
        limit.updated
    ]
}

fn read_limit(row: &Row) -> Result<RateLimit> {
    Ok(RateLimit {
        sid: row.word("sid")?,
        account: row.word("account")?,
        service: row.word("service")?,
        name: row.text("name")?,
        description: row.text("description")?,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

fn bucket_args(bucket: &Bucket) -> Vec<Arg> {
    args![
        bucket.sid,
        bucket.account,
        bucket.limit,
        bucket.max,
        bucket.period_s,
        bucket.created,
        bucket.updated
    ]
}

fn read_bucket(row: &Row) -> Result<Bucket> {
    Ok(Bucket {
        sid: row.word("sid")?,
        account: row.word("account")?,
        limit: row.word("rate_limit")?,
        max: row.int("max_sends")?,
        period_s: row.int("period_s")?,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

fn read_safe(row: &Row) -> Result<SafeNumber> {
    Ok(SafeNumber {
        sid: row.word("sid")?,
        account: row.word("account")?,
        phone_number: row.text("phone_number")?,
        created: row.time("created")?,
    })
}

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

/// Codes sent and confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AttemptCounts {
    /// Codes sent.
    pub sent: i64,
    /// Those of them that were confirmed.
    pub confirmed: i64,
}

/// Selects codes that were sent.
#[derive(Debug, Clone)]
pub struct AttemptFilter {
    /// The owner.
    pub account: AccountSid,
    /// Sent by this service.
    pub service: Option<VerifyServiceSid>,
    /// Sent to exactly this recipient.
    pub to: Option<String>,
    /// Sent then or later.
    pub from: Option<Timestamp>,
    /// Sent before then.
    pub until: Option<Timestamp>,
    /// Part of the list.
    pub window: Window,
}

impl Store {
    /// Services of an account, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn verify_services(
        &self,
        account: AccountSid,
        window: &Window,
    ) -> Result<Rows<Service>> {
        let scope = Some(Scope::Own(account));
        self.newest(&SERVICES, scope, window, |_| {}, read_service)
            .await
    }

    /// A service.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn verify_service(&self, sid: VerifyServiceSid) -> Result<Option<Service>> {
        self.one(&SERVICES, sid, read_service).await
    }

    /// The oldest service of an account with this name.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn verify_service_of_name(
        &self,
        account: AccountSid,
        name: &str,
    ) -> Result<Option<Service>> {
        let mut sql = SERVICES.select();
        sql.with(" WHERE account = ?", account)
            .with(" AND name = ?", name)
            .text(" ORDER BY created, sid LIMIT 1");
        self.first(sql, read_service).await
    }

    /// Adds a service.
    ///
    /// # Errors
    /// [`crate::StoreError::AccountClosed`] if its account is closed.
    pub async fn insert_verify_service(&self, service: Service) -> Result<()> {
        let insert = Admin::InsertOwned(service.account, &SERVICES, service_args(&service));
        self.administer(insert).await.map(drop)
    }

    /// Replaces a service; `false` if it does not exist, or has changed since it was read.
    ///
    /// - `read`: its `updated` as read; the new one must be another
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn update_verify_service(&self, service: Service, read: Timestamp) -> Result<bool> {
        let update = Admin::UpdateOwned(&SERVICES, service_args(&service), read);
        self.administer(update).await
    }

    /// Deletes a service with its limits; its verifications and what was sent stay until they are old.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_verify_service(&self, sid: VerifyServiceSid) -> Result<()> {
        let mut buckets = Sql::default();
        buckets.with(
            "DELETE FROM verify_buckets WHERE rate_limit IN (SELECT sid FROM verify_limits WHERE service = ?)",
            sid,
        );
        let mut limits = Sql::default();
        limits.with("DELETE FROM verify_limits WHERE service = ?", sid);
        let all = [buckets, limits, SERVICES.delete(sid)].map(Admin::Execute);
        self.administer_all(all).await.map(drop)
    }

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

    /// Codes that a filter matches, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn verify_attempts(&self, filter: &AttemptFilter) -> Result<Rows<Attempt>> {
        let fill = |conditions: &mut crate::query::Conditions| {
            if let Some(service) = filter.service {
                conditions.add(" AND service = ?", service);
            }
            if let Some(to) = &filter.to {
                conditions.add(" AND recipient = ?", to.as_str());
            }
            if let Some(from) = filter.from {
                conditions.add(" AND created >= ?", from);
            }
            if let Some(until) = filter.until {
                conditions.add(" AND created < ?", until);
            }
        };
        let scope = Some(Scope::Own(filter.account));
        self.newest(&ATTEMPTS, scope, &filter.window, fill, read_attempt)
            .await
    }

    /// A code that was sent.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn verify_attempt(&self, sid: VerifyAttemptSid) -> Result<Option<Attempt>> {
        self.one(&ATTEMPTS, sid, read_attempt).await
    }

    /// How many codes that a filter matches were sent and confirmed.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn count_attempts(&self, filter: &AttemptFilter) -> Result<AttemptCounts> {
        let mut sql = Sql::default();
        sql.with("SELECT COUNT(*) AS sent, COALESCE(SUM(is_confirmed), 0) AS confirmed FROM verify_attempts WHERE account = ?", filter.account);
        if let Some(service) = filter.service {
            sql.with(" AND service = ?", service);
        }
        if let Some(to) = &filter.to {
            sql.with(" AND recipient = ?", to.as_str());
        }
        if let Some(from) = filter.from {
            sql.with(" AND created >= ?", from);
        }
        if let Some(until) = filter.until {
            sql.with(" AND created < ?", until);
        }
        let read = |row: &Row| {
            Ok(AttemptCounts {
                sent: row.int("sent")?,
                confirmed: row.int("confirmed")?,
            })
        };
        self.first(sql, read).await.map(Option::unwrap_or_default)
    }

    /// The limits of a service, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn verify_limits(
        &self,
        service: &Service,
        window: &Window,
    ) -> Result<Rows<RateLimit>> {
        let scope = Some(Scope::Own(service.account));
        let fill = |conditions: &mut crate::query::Conditions| {
            conditions.add(" AND service = ?", service.sid);
        };
        self.newest(&LIMITS, scope, window, fill, read_limit).await
    }

    /// A limit.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn verify_limit(&self, sid: VerifyLimitSid) -> Result<Option<RateLimit>> {
        self.one(&LIMITS, sid, read_limit).await
    }

    /// The limit of a service with this name.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn verify_limit_of_name(
        &self,
        service: VerifyServiceSid,
        name: &str,
    ) -> Result<Option<RateLimit>> {
        let mut sql = LIMITS.select();
        sql.with(" WHERE service = ?", service)
            .with(" AND name = ?", name);
        self.first(sql, read_limit).await
    }

    /// Adds a limit.
    ///
    /// # Errors
    /// [`crate::StoreError::Duplicate`] if the service has one of that name.
    pub async fn insert_verify_limit(&self, limit: RateLimit) -> Result<()> {
        let insert = Admin::InsertOwned(limit.account, &LIMITS, limit_args(&limit));
        self.administer(insert).await.map(drop)
    }

    /// Replaces a limit; `false` if it does not exist, or has changed since it was read.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn update_verify_limit(&self, limit: RateLimit, read: Timestamp) -> Result<bool> {
        let update = Admin::UpdateOwned(&LIMITS, limit_args(&limit), read);
        self.administer(update).await
    }

    /// Deletes a limit with its buckets.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_verify_limit(&self, sid: VerifyLimitSid) -> Result<()> {
        let mut buckets = Sql::default();
        buckets.with("DELETE FROM verify_buckets WHERE rate_limit = ?", sid);
        let all = [buckets, LIMITS.delete(sid)].map(Admin::Execute);
        self.administer_all(all).await.map(drop)
    }

    /// The buckets of a limit, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn verify_buckets(&self, limit: &RateLimit, window: &Window) -> Result<Rows<Bucket>> {
        let scope = Some(Scope::Own(limit.account));
        let fill = |conditions: &mut crate::query::Conditions| {
            conditions.add(" AND rate_limit = ?", limit.sid);
        };
        self.newest(&BUCKETS, scope, window, fill, read_bucket)
            .await
    }

    /// A bucket.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn verify_bucket(&self, sid: VerifyBucketSid) -> Result<Option<Bucket>> {
        self.one(&BUCKETS, sid, read_bucket).await
    }

    /// Adds a bucket.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn insert_verify_bucket(&self, bucket: Bucket) -> Result<()> {
        let insert = Admin::InsertOwned(bucket.account, &BUCKETS, bucket_args(&bucket));
        self.administer(insert).await.map(drop)
    }

    /// Replaces a bucket; `false` if it does not exist, or has changed since it was read.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn update_verify_bucket(&self, bucket: Bucket, read: Timestamp) -> Result<bool> {
        let update = Admin::UpdateOwned(&BUCKETS, bucket_args(&bucket), read);
        self.administer(update).await
    }

    /// Deletes a bucket.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_verify_bucket(&self, sid: VerifyBucketSid) -> Result<()> {
        let delete = Admin::Execute(BUCKETS.delete(sid));
        self.administer(delete).await.map(drop)
    }

    /// Counts a code for a value of a bucket; `false`, without counting it, if the period has as many as it may.
    ///
    /// - `value`: only its digest is kept
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn hit_bucket(&self, bucket: &Bucket, value: &str, now: Timestamp) -> Result<bool> {
        let period = now.as_millis() / 1_000 / bucket.period_s.max(1);
        let digest = self.key().sign("verify-limit", value);
        let sql = Sql::new(
            "INSERT INTO verify_hits (bucket, value, period, n, created) VALUES ($1, $2, $3, 1, $4) \
             ON CONFLICT (bucket, value, period) DO UPDATE SET n = verify_hits.n + 1 \
             WHERE verify_hits.n < $5",
            args![bucket.sid, digest, period, now, bucket.max],
        );
        self.administer(Admin::Execute(sql)).await
    }

    /// Whether a number is on the safe list of an account.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn safe_number(
        &self,
        account: AccountSid,
        phone_number: &str,
    ) -> Result<Option<SafeNumber>> {
        let mut sql = SAFE.select();
        sql.with(" WHERE account = ?", account)
            .with(" AND phone_number = ?", phone_number);
        self.first(sql, read_safe).await
    }

    /// Adds a number to a safe list.
    ///
    /// # Errors
    /// [`crate::StoreError::Duplicate`] if it is there already.
    pub async fn insert_safe_number(&self, safe: SafeNumber) -> Result<()> {
        let row = args![
            safe.sid,
            safe.account,
            safe.phone_number.as_str(),
            safe.created
        ];
        self.administer(Admin::InsertOwned(safe.account, &SAFE, row))
            .await
            .map(drop)
    }

    /// Takes a number off a safe list.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_safe_number(&self, sid: VerifySafeSid) -> Result<()> {
        let delete = Admin::Execute(SAFE.delete(sid));
        self.administer(delete).await.map(drop)
    }

    /// Forgets verifications and what was counted for them when they are old.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn forget_old_verifications(&self, now: Timestamp) -> Result<()> {
        for table in ["verifications", "verify_attempts"] {
            let mut sql = Sql::default();
            sql.text(&format!(
                "DELETE FROM {table} WHERE sid IN (SELECT sid FROM {table}"
            ))
            .with(" WHERE created < ?", now - KEPT)
            .with(" LIMIT ?)", ROWS_AT_ONCE);
            while self.administer(Admin::Execute(sql.clone())).await? {}
        }
        let mut hits = Sql::default();
        hits.with("DELETE FROM verify_hits WHERE created < ?", now - KEPT);
        self.administer(Admin::Execute(hits)).await.map(drop)
    }
}
