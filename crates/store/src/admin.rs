//! Writes that are not facts of calls: those of the API about accounts and what they own, and the
//! repair of what a dead server left. They go through the same task as the facts, and clear the look-up
//! caches if they change a table that is looked up.

use model::record::{Account, Application, Client, Number, Organization, Queue};
use model::{
    AccountSid, AccountStatus, ApplicationSid, ClientSid, NumberSid, QueueSid, RecordingSid,
    Timestamp,
};

use crate::accounts;
use crate::apply::Context;
use crate::connection::{Connection, Failure};
use crate::counts::Counts;
use crate::deliveries;
use crate::naming::{self, Claim};
use crate::query::TREE;
use crate::queues;
use crate::rows::{self, APPLICATIONS, CLIENTS, NUMBERS, ORGANIZATIONS};
use crate::sql::{Arg, ROWS_AT_ONCE, Sql, Table};

/// One such write.
pub(crate) enum Admin {
    InsertOrganization(Organization),
    InsertAccount {
        parent: Option<AccountSid>,
        row: Vec<Arg>,
    },
    /// A statement that changes one account.
    ChangeAccount(Sql),
    SetAccountStatus {
        sid: AccountSid,
        status: AccountStatus,
        at: Timestamp,
    },
    InsertClient(Claim, Vec<Arg>),
    UpdateClient(Vec<Arg>, Timestamp),
    DeleteClient(ClientSid),
    InsertNumber(Number),
    /// Adds a number that was ordered at a carrier; no effect unless the statement has one, which
    /// completes its order.
    InsertOrderedNumber(Number, Sql),
    /// A statement that changes nothing that is looked up.
    Change(Sql),
    /// Adds a row of an account that is not closed.
    InsertOwned(AccountSid, &'static Table, Vec<Arg>),
    /// Replaces a row that has not changed since it was read.
    UpdateOwned(&'static Table, Vec<Arg>, Timestamp),
    UpdateNumber(Number, Timestamp),
    /// Deletes a number, after a statement about its order.
    DeleteNumber(NumberSid, Sql),
    InsertApplication(Application),
    UpdateApplication(Application, Timestamp),
    DeleteApplication(ApplicationSid),
    InsertQueue(Queue),
    UpdateQueue(Queue, Timestamp),
    DeleteQueue(QueueSid),
    DeleteRecordings(Vec<RecordingSid>),
    /// Adds a row of an account that is not closed by a statement of its own, such as one that observes a limit.
    InsertInto(AccountSid, Sql),
    /// As [`Admin::Change`], but reports what it changed even if it may have been carried out before: a deletion that is
    /// repeated until nothing is left must find nothing in the end.
    Execute(Sql),
    /// Deletes some notifications of an account and of all below it, or of all closed accounts: to be repeated
    /// until it deletes none.
    DeleteNotifications(Option<AccountSid>),
    /// Takes over some of the callbacks of an owner without a heartbeat since then, except those of
    /// open calls and messages: the server that closes these takes them over.
    AdoptCallbacks {
        from: String,
        gone_since: Timestamp,
    },
}

impl Admin {
    /// Whether it changes what [`crate::caches::Caches`] keeps.
    pub(crate) const fn changes_look_ups(&self) -> bool {
        match self {
            Self::InsertOrganization(_)
            | Self::InsertAccount { .. }
            | Self::ChangeAccount(_)
            | Self::SetAccountStatus { .. }
            | Self::InsertClient(..)
            | Self::UpdateClient(..)
            | Self::DeleteClient(_)
            | Self::InsertNumber(_)
            | Self::InsertOrderedNumber(..)
            | Self::UpdateNumber(..)
            | Self::DeleteNumber(..)
            | Self::InsertApplication(_)
            | Self::UpdateApplication(..)
            | Self::DeleteApplication(_) => true,
            Self::Change(_)
            | Self::InsertOwned(..)
            | Self::UpdateOwned(..)
            | Self::InsertQueue(_)
            | Self::UpdateQueue(..)
            | Self::DeleteQueue(_)
            | Self::DeleteRecordings(_)
            | Self::InsertInto(..)
            | Self::Execute(_)
            | Self::DeleteNotifications(_)
            | Self::AdoptCallbacks { .. } => false,
        }
    }

    /// Whether its transaction needs [`crate::dialect::Dialect::lock_directory`], so that nothing is added to an
    /// account that is closed meanwhile, nor two owners of one name.
    pub(crate) const fn locks_directory(&self) -> bool {
        match self {
            Self::InsertAccount { .. }
            | Self::SetAccountStatus { .. }
            | Self::InsertClient(..)
            | Self::InsertNumber(_)
            | Self::InsertOrderedNumber(..)
            | Self::InsertApplication(_)
            | Self::InsertOwned(..)
            | Self::InsertQueue(_)
            | Self::InsertInto(..) => true,
            Self::InsertOrganization(_)
            | Self::Change(_)
            | Self::UpdateOwned(..)
            | Self::ChangeAccount(_)
            | Self::UpdateClient(..)
            | Self::DeleteClient(_)
            | Self::UpdateNumber(..)
            | Self::DeleteNumber(..)
            | Self::UpdateApplication(..)
            | Self::DeleteApplication(_)
            | Self::UpdateQueue(..)
            | Self::DeleteQueue(_)
            | Self::DeleteRecordings(_)
            | Self::Execute(_)
            | Self::DeleteNotifications(_)
            | Self::AdoptCallbacks { .. } => false,
        }
    }

    /// The statement for an account with its token sealed.
    pub(crate) fn insert_account(account: &Account, key: &crate::SecretKey) -> Self {
        Self::InsertAccount {
            parent: account.parent,
            row: rows::account_args(account, key),
        }
    }

    /// The statement for a client with its digests sealed.
    pub(crate) fn insert_client(client: &Client, key: &crate::SecretKey) -> Self {
        Self::InsertClient(Claim::of_client(client), rows::client_args(client, key))
    }

    /// The statement for a client with its digests sealed.
    pub(crate) fn update_client(client: &Client, read: Timestamp, key: &crate::SecretKey) -> Self {
        Self::UpdateClient(rows::client_args(client, key), read)
    }
}

/// Tables whose rows are removed with their account, few for each.
const OWNED: [&str; 7] = [
    "applications",
    "numbers",
    "caller_ids",
    "clients",
    "queues",
    "api_keys",
    "message_routes",
];

/// Applies one write; `false` if there was no such row. A write that may have been carried out before
/// counts as carried out.
pub(crate) async fn apply(
    db: &mut Connection,
    context: Context,
    counts: &mut Counts,
    admin: &Admin,
) -> Result<bool, Failure> {
    let insert = if context.repeated {
        Table::insert_once
    } else {
        Table::insert
    };
    let sql = match admin {
        Admin::InsertOrganization(row) => insert(&ORGANIZATIONS, rows::organization_args(row)),
        Admin::InsertAccount { parent, row } => {
            if let Some(parent) = parent {
                accounts::check_open(db, *parent).await?;
            }
            insert(&rows::ACCOUNTS, row.clone())
        }
        Admin::ChangeAccount(sql) => sql.clone(),
        Admin::SetAccountStatus { sid, status, at } => {
            return set_account_status(db, counts, (*sid, *status), *at).await;
        }
        Admin::InsertClient(claim, row) => {
            claim.check(db).await?;
            insert(&CLIENTS, row.clone())
        }
        Admin::UpdateClient(row, read) => {
            return update(db, context, &CLIENTS, row.clone(), *read).await;
        }
        Admin::DeleteClient(sid) => CLIENTS.delete(*sid),
        Admin::InsertNumber(row) => {
            Claim::of_number(row).check(db).await?;
            insert(&NUMBERS, rows::number_args(row))
        }
        Admin::InsertOrderedNumber(row, hold) => {
            if db.execute(hold.clone()).await? == 0 && !context.repeated {
                return Ok(false);
            }
            Claim::of_number(row).check(db).await?;
            insert(&NUMBERS, rows::number_args(row))
        }
        Admin::Change(sql) => sql.clone(),
        Admin::InsertOwned(account, table, row) => {
            accounts::check_open(db, *account).await?;
            insert(table, row.clone())
        }
        Admin::UpdateOwned(table, row, read) => {
            return update(db, context, table, row.clone(), *read).await;
        }
        Admin::UpdateNumber(row, read) => {
            return update(db, context, &NUMBERS, rows::number_args(row), *read).await;
        }
        Admin::DeleteNumber(sid, release) => {
            naming::check_removal(db, *sid).await?;
            db.execute(release.clone()).await?;
            NUMBERS.delete(*sid)
        }
        Admin::InsertApplication(row) => {
            accounts::check_open(db, row.account).await?;
            insert(&APPLICATIONS, rows::application_args(row))
        }
        Admin::UpdateApplication(row, read) => {
            return update(
                db,
                context,
                &APPLICATIONS,
                rows::application_args(row),
                *read,
            )
            .await;
        }
        Admin::DeleteApplication(sid) => APPLICATIONS.delete(*sid),
        Admin::InsertQueue(row) => {
            accounts::check_open(db, row.account).await?;
            queues::insert(row)
        }
        Admin::UpdateQueue(row, read) => {
            return update(db, context, &queues::QUEUES, queues::args(row), *read).await;
        }
        Admin::DeleteQueue(sid) => queues::delete(*sid),
        Admin::DeleteRecordings(sids) => {
            let mut texts = Sql::default();
            texts
                .text("DELETE FROM transcriptions WHERE recording")
                .among(sids);
            db.execute(texts).await?;
            let mut sql = Sql::default();
            sql.text("DELETE FROM recordings WHERE sid")
                .among(sids)
                .text(" RETURNING account");
            let deleted = delete_counted(db, counts, &rows::RECORDINGS, &sql).await?;
            return Ok(deleted || context.repeated);
        }
        Admin::InsertInto(account, sql) => {
            accounts::check_open(db, *account).await?;
            sql.clone()
        }
        Admin::Execute(sql) => {
            return Ok(db.execute(sql.clone()).await? > 0);
        }
        Admin::DeleteNotifications(of) => {
            return Ok(delete_notifications(db, counts, *of).await? || context.repeated);
        }
        Admin::AdoptCallbacks { from, gone_since } => {
            deliveries::adopt(*gone_since, from, context.instance)
        }
    };
    Ok(db.execute(sql).await? > 0 || context.repeated)
}

/// Replaces a row; `false` unless it is as it was read, or as this write left it before.
async fn update(
    db: &mut Connection,
    context: Context,
    table: &Table,
    row: Vec<Arg>,
    read: Timestamp,
) -> Result<bool, Failure> {
    let sql = table.update_unchanged(row, read, context.repeated);
    Ok(db.execute(sql).await? > 0)
}

async fn set_account_status(
    db: &mut Connection,
    counts: &mut Counts,
    (sid, status): (AccountSid, AccountStatus),
    at: Timestamp,
) -> Result<bool, Failure> {
    if status == AccountStatus::Closed {
        while delete_notifications(db, counts, Some(sid)).await? {}
        release_numbers(db, sid).await?;
        for table in OWNED {
            let mut sql = Sql::default();
            sql.text(&format!("DELETE FROM {table} WHERE account"))
                .with(TREE, sid);
            db.execute(sql).await?;
        }
    }
    // A closed account below stays closed when its parent is reopened.
    let mut sql = Sql::default();
    sql.with("UPDATE accounts SET status = ?", status)
        .with(", updated = ?", at)
        .text(" WHERE status <> 'closed' AND sid")
        .with(TREE, sid);
    Ok(db.execute(sql).await? > 0)
}

/// The carrier gets back the numbers of an account and those below it, which are about to be deleted.
async fn release_numbers(db: &mut Connection, of: AccountSid) -> Result<(), Failure> {
    let mut sql = Sql::default();
    sql.text("UPDATE number_orders SET state = 'releasing', due = 0, attempts = 0")
        .text(" WHERE state = 'held' AND account")
        .with(TREE, of);
    db.execute(sql).await.map(drop)
}

async fn delete_notifications(
    db: &mut Connection,
    counts: &mut Counts,
    of: Option<AccountSid>,
) -> Result<bool, Failure> {
    let mut sql = Sql::default();
    sql.text("DELETE FROM notifications WHERE sid IN (SELECT sid FROM notifications WHERE account");
    match of {
        Some(of) => sql.with(TREE, of),
        None => sql.text(" IN (SELECT sid FROM accounts WHERE status = 'closed')"),
    };
    sql.with(" LIMIT ?) RETURNING account", ROWS_AT_ONCE);
    delete_counted(db, counts, &rows::NOTIFICATIONS, &sql).await
}

/// Carries out a statement that returns the account of each row that it deletes; `false` if there was
/// none.
async fn delete_counted(
    db: &mut Connection,
    counts: &mut Counts,
    table: &Table,
    sql: &Sql,
) -> Result<bool, Failure> {
    let deleted = db.all(sql).await?;
    for row in &deleted {
        let account = row.word("account");
        let account = account.map_err(|error| Failure::Unreadable(error.to_string()))?;
        counts.add(account, table.name, -1);
    }
    Ok(!deleted.is_empty())
}
