//! Organizations, and what moves from one to another.
//!
//! **Invariant: a move leaves every name with one owner.** What moves is checked, in the same transaction, as if it
//! were added to the other organization; [`model::naming`] decides. Left to others: who may move what.

use model::naming::Claimant;
use model::record::Organization;
use model::{AccountSid, OrganizationSid, OrganizationStatus, Timestamp};

use crate::admin::Admin;
use crate::connection::{Connection, Failure};
use crate::naming::{self, Claim};
use crate::query::TREE;
use crate::rows;
use crate::sql::Sql;
use crate::{Result, Store};

/// What moves where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Move {
    /// An account; all below it move too.
    pub(crate) of: AccountSid,
    pub(crate) to: OrganizationSid,
    at: Timestamp,
}

impl Store {
    /// Every organization, oldest first.
    ///
    /// - `status`: only those that have it
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn organizations(
        &self,
        status: Option<OrganizationStatus>,
    ) -> Result<Vec<Organization>> {
        let mut sql = rows::ORGANIZATIONS.select();
        if let Some(status) = status {
            sql.with(" WHERE status = ?", status);
        }
        sql.text(" ORDER BY created, sid");
        self.many(sql, rows::organization).await
    }

    /// Adds an organization.
    ///
    /// # Errors
    /// [`crate::StoreError::Duplicate`] if its domain is taken.
    pub async fn insert_organization(&self, organization: Organization) -> Result<()> {
        self.administer(Admin::InsertOrganization(organization))
            .await
            .map(drop)
    }

    /// Opens or closes an organization; `false` if it does not exist, or is to be closed and has an account that is
    /// not closed.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn set_organization_status(
        &self,
        sid: OrganizationSid,
        status: OrganizationStatus,
        at: Timestamp,
    ) -> Result<bool> {
        self.administer(Admin::SetOrganizationStatus(sid, status, at))
            .await
    }

    /// Moves an account and all below it to an organization, with their clients and numbers; `false` if there is no
    /// such account.
    ///
    /// # Errors
    /// [`crate::StoreError::OrganizationClosed`]; [`crate::StoreError::Duplicate`] or [`crate::StoreError::Taken`]
    /// if another account there has one of the logins or numbers.
    pub async fn move_accounts(
        &self,
        of: AccountSid,
        to: OrganizationSid,
        at: Timestamp,
    ) -> Result<bool> {
        self.administer(Admin::MoveAccounts(Move { of, to, at }))
            .await
    }

    /// Moves the numbers of an account and of all below it to an organization, where they can then be dialled.
    ///
    /// # Errors
    /// As [`Store::move_accounts`].
    pub async fn move_numbers(
        &self,
        of: AccountSid,
        to: OrganizationSid,
        at: Timestamp,
    ) -> Result<()> {
        self.administer(Admin::MoveNumbers(Move { of, to, at }))
            .await
            .map(drop)
    }
}

/// Fails with [`Failure::OrganizationClosed`] if an organization is closed. It is not closed before the end of the
/// transaction either, which holds the lock of [`Admin::locks_directory`].
pub(crate) async fn check_open(db: &mut Connection, sid: OrganizationSid) -> Result<(), Failure> {
    let mut sql = Sql::default();
    sql.with("SELECT sid FROM organizations WHERE sid = ?", sid)
        .text(" AND status = 'closed'");
    if db.all(&sql).await?.is_empty() {
        Ok(())
    } else {
        Err(Failure::OrganizationClosed)
    }
}

pub(crate) fn status_statement(
    sid: OrganizationSid,
    status: OrganizationStatus,
    at: Timestamp,
) -> Sql {
    let mut sql = Sql::default();
    sql.with("UPDATE organizations SET status = ?", status)
        .with(", updated = ?", at)
        .with(" WHERE sid = ?", sid);
    if status == OrganizationStatus::Closed {
        sql.with(
            " AND NOT EXISTS (SELECT sid FROM accounts WHERE organization = ?",
            sid,
        )
        .text(" AND status <> 'closed')");
    }
    sql
}

pub(crate) async fn move_accounts(db: &mut Connection, moved: Move) -> Result<bool, Failure> {
    check_open(db, moved.to).await?;
    // First all rows, then the check: what moves together is in one organization before and after.
    let found = set_organization(db, "accounts", "sid", moved).await? > 0;
    set_organization(db, "clients", "account", moved).await?;
    set_organization(db, "numbers", "account", moved).await?;
    check_names(db, Claimant::Client, moved).await?;
    check_names(db, Claimant::Number, moved).await?;
    Ok(found)
}

pub(crate) async fn move_numbers(db: &mut Connection, moved: Move) -> Result<bool, Failure> {
    check_open(db, moved.to).await?;
    set_organization(db, "numbers", "account", moved).await?;
    check_names(db, Claimant::Number, moved).await?;
    Ok(true)
}

async fn set_organization(
    db: &mut Connection,
    table: &str,
    account: &str,
    moved: Move,
) -> Result<u64, Failure> {
    let mut sql = Sql::default();
    sql.text(&format!("UPDATE {table}"))
        .with(" SET organization = ?", moved.to)
        .with(", updated = ?", moved.at)
        .text(&format!(" WHERE {account}"))
        .with(TREE, moved.of);
    db.execute(sql).await
}

/// Checks every client or number that moved, where it is now.
async fn check_names(db: &mut Connection, what: Claimant, moved: Move) -> Result<(), Failure> {
    let (table, name) = match what {
        Claimant::Client => ("clients", "login"),
        Claimant::Number => ("numbers", "phone_number"),
    };
    let mut sql = Sql::default();
    sql.text(&format!(
        "SELECT account, organization, {name} AS name FROM {table} WHERE account"
    ))
    .with(TREE, moved.of);
    for row in db.all(&sql).await? {
        let read = naming::read(&row);
        let (text, owner) = read.map_err(|error| Failure::Unreadable(error.to_string()))?;
        Claim::new(what, text, owner).check(db).await?;
    }
    Ok(())
}
