//! The tables, and how their rows are written and read.

use std::sync::OnceLock;

use ::verify::{
    Attempt, Bucket, RateLimit, SafeNumber, Service, Settings, Status, Verification, block_of,
};
use model::VerifyServiceSid;

use crate::Result;
use crate::row::{Row, corrupt};
use crate::sql::{Arg, Table, args};

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

pub(super) static SERVICES: Table =
    table!("verify_services": "sid" "account" "name" "settings" "created" "updated");
pub(super) static VERIFICATIONS: Table = table!("verifications":
    "sid" "account" "service" "recipient" "channel" "status" "digest" "sends" "checks"
    "max_checks" "expires" "open" "created" "updated");
pub(super) static ATTEMPTS: Table = table!("verify_attempts":
    "sid" "account" "service" "verification" "recipient" "channel" "block" "network"
    "is_confirmed" "created" "updated");
pub(super) static LIMITS: Table = table!("verify_limits":
    "sid" "account" "service" "name" "description" "created" "updated");
pub(super) static BUCKETS: Table = table!("verify_buckets":
    "sid" "account" "rate_limit" "max_sends" "period_s" "created" "updated");
pub(super) static SAFE: Table = table!("verify_safe": "sid" "account" "phone_number" "created");

pub(super) fn service_args(service: &Service) -> Vec<Arg> {
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

pub(super) fn read_service(row: &Row) -> Result<Service> {
    let settings: Settings =
        serde_json::from_str(&row.text("settings")?).map_err(|error| corrupt("settings", error))?;
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
pub(super) fn open(service: VerifyServiceSid, to: &str) -> String {
    format!("{service} {to}")
}

pub(super) fn verification_args(one: &Verification) -> Vec<Arg> {
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

pub(super) fn read_verification(row: &Row) -> Result<Verification> {
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

pub(super) fn attempt_args(attempt: &Attempt) -> Vec<Arg> {
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

pub(super) fn read_attempt(row: &Row) -> Result<Attempt> {
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

pub(super) fn limit_args(limit: &RateLimit) -> Vec<Arg> {
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

pub(super) fn read_limit(row: &Row) -> Result<RateLimit> {
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

pub(super) fn bucket_args(bucket: &Bucket) -> Vec<Arg> {
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

pub(super) fn read_bucket(row: &Row) -> Result<Bucket> {
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

pub(super) fn read_safe(row: &Row) -> Result<SafeNumber> {
    Ok(SafeNumber {
        sid: row.word("sid")?,
        account: row.word("account")?,
        phone_number: row.text("phone_number")?,
        created: row.time("created")?,
    })
}
