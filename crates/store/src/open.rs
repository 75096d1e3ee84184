//! Checks, in the transaction that adds something, that what it belongs to is open and has room for it.

use model::{AccountSid, OrganizationSid};

use crate::connection::{Connection, Failure};
use crate::sql::Sql;

/// Fails with [`Failure::AccountClosed`] if an account is closed. It is not closed before the end of the
/// transaction either, which holds the lock of [`crate::admin::Admin::locks_directory`].
pub(crate) async fn check_account(db: &mut Connection, sid: AccountSid) -> Result<(), Failure> {
    let mut sql = Sql::default();
    sql.with("SELECT sid FROM accounts WHERE sid = ?", sid)
        .text(" AND status = 'closed'");
    if db.all(&sql).await?.is_empty() {
        Ok(())
    } else {
        Err(Failure::AccountClosed)
    }
}

/// Fails with [`Failure::TooMany`] if an account has this many open ones directly below it.
pub(crate) async fn check_room(
    db: &mut Connection,
    parent: AccountSid,
    limit: Option<u32>,
) -> Result<(), Failure> {
    let Some(limit) = limit else { return Ok(()) };
    let mut sql = Sql::default();
    sql.with("SELECT sid FROM accounts WHERE parent = ?", parent)
        .text(" AND status <> 'closed'")
        .with(" LIMIT ?", i64::from(limit));
    if db.all(&sql).await?.len() < usize::try_from(limit).unwrap_or(usize::MAX) {
        Ok(())
    } else {
        Err(Failure::TooMany)
    }
}

/// Fails with [`Failure::OrganizationClosed`] if an organization is closed. It is not closed before the end of the
/// transaction either, which holds the lock of [`crate::admin::Admin::locks_directory`].
pub(crate) async fn check_organization(
    db: &mut Connection,
    sid: OrganizationSid,
) -> Result<(), Failure> {
    let mut sql = Sql::default();
    sql.with("SELECT sid FROM organizations WHERE sid = ?", sid)
        .text(" AND status = 'closed'");
    if db.all(&sql).await?.is_empty() {
        Ok(())
    } else {
        Err(Failure::OrganizationClosed)
    }
}
