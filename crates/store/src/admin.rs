//! Writes that are not facts of calls: those of the API about accounts and what they own, and the
//! repair of what a dead server left. They go through the same task as the facts, and clear the look-up
//! caches if they change a table that is looked up.

use model::record::{Account, Application, Callback, Client, Number, Organization, Queue};
use model::{
    AccountSid, AccountStatus, ApplicationSid, ClientSid, MessageSid, NotificationSid,
    OrganizationSid, OrganizationStatus, QueueSid, RecordingSid, Timestamp,
};

use crate::accounts;
use crate::apply::Context;
use crate::connection::{Connection, Failure};
use crate::counts::Counts;
use crate::deliveries;
use crate::discarded::{self, Kind, Move};
use crate::naming::Claim;
use crate::organizations::{self, Move as Moving};
use crate::query::TREE;
use crate::queues;
use crate::retention;
use crate::rows::{self, APPLICATIONS, CLIENTS, NUMBERS, ORGANIZATIONS};
use crate::sql::{Arg, ROWS_AT_ONCE, Sql, Table, args};
use crate::verify;

/// One such write.
pub(crate) enum Admin {
    InsertOrganization(Organization),
    /// Opens an organization, or closes it unless it has accounts that are open.
    SetOrganizationStatus(OrganizationSid, OrganizationStatus, Timestamp),
    InsertAccount {
        parent: Option<AccountSid>,
        organization: OrganizationSid,
        row: Vec<Arg>,
        /// How many open accounts its parent may have directly below it, if that is limited.
        limit: Option<u32>,
    },
    /// A statement about profiles or their links.
    ChangeProfiles(Sql),
    /// Moves an account and all below it, with their clients and numbers.
    MoveAccounts(Moving),
    /// Moves only the numbers of an account and of all below it.
    MoveNumbers(Moving),
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
    /// Moves a row to the bin or back, or deletes it for good.
    Bin(Move),
    InsertApplication(Application),
    UpdateApplication(Application, Timestamp),
    DeleteApplication(ApplicationSid),
    InsertQueue(Queue),
    UpdateQueue(Queue, Timestamp),
    DeleteQueue(QueueSid),
    DeleteRecordings(Vec<RecordingSid>),
    /// Deletes a text message that has ended.
    DeleteMessage(MessageSid),
    /// Adds a row of an account that is not closed by a statement of its own, such as one that observes a limit.
    InsertInto(AccountSid, Sql),
    /// A statement that has a usage trigger fire, and the callback that reports it.
    Fire(Sql, Box<Callback>),
    /// As [`Admin::Change`], but reports what it changed even if it may have been carried out before: a deletion that is
    /// repeated until nothing is left must find nothing in the end. Only for what may be carried out twice, and whose first
    /// effect nothing depends on.
    Execute(Sql),
    /// A statement that must have an effect once, and the query that finds this effect.
    Once {
        done: Sql,
        write: Sql,
    },
    /// A write about a code of a verification.
    Verify(Box<verify::Write>),
    /// Deletes some notifications of an account and of all below it, or of all closed accounts: to be repeated
    /// until it deletes none.
    DeleteNotifications(Option<AccountSid>),
    /// Deletes these notifications.
    ForgetNotifications(Vec<NotificationSid>),
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
            | Self::SetOrganizationStatus(..)
            | Self::InsertAccount { .. }
            | Self::MoveAccounts(_)
            | Self::MoveNumbers(_)
            | Self::ChangeProfiles(_)
            | Self::ChangeAccount(_)
            | Self::SetAccountStatus { .. }
            | Self::InsertClient(..)
            | Self::UpdateClient(..)
            | Self::DeleteClient(_)
            | Self::InsertNumber(_)
            | Self::InsertOrderedNumber(..)
            | Self::UpdateNumber(..)
            | Self::Bin(_)
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
            | Self::DeleteMessage(_)
            | Self::InsertInto(..)
            | Self::Fire(..)
            | Self::Execute(_)
            | Self::Once { .. }
            | Self::Verify(_)
            | Self::DeleteNotifications(_)
            | Self::ForgetNotifications(_)
            | Self::AdoptCallbacks { .. } => false,
        }
    }

    /// Whether its transaction needs [`crate::dialect::Dialect::lock_directory`], so that nothing is added to an
    /// account that is closed meanwhile, nor two owners of one name, nor more codes than a limit allows.
    pub(crate) const fn locks_directory(&self) -> bool {
        match self {
            Self::InsertAccount { .. }
            | Self::SetOrganizationStatus(..)
            | Self::MoveAccounts(_)
            | Self::MoveNumbers(_)
            | Self::SetAccountStatus { .. }
            | Self::InsertClient(..)
            | Self::InsertNumber(_)
            | Self::InsertOrderedNumber(..)
            | Self::InsertApplication(_)
            | Self::InsertOwned(..)
            | Self::InsertQueue(_)
            | Self::InsertInto(..)
            | Self::Verify(_)
            | Self::Bin(_) => true,
            Self::InsertOrganization(_)
            | Self::ChangeProfiles(_)
            | Self::Change(_)
            | Self::UpdateOwned(..)
            | Self::ChangeAccount(_)
            | Self::UpdateClient(..)
            | Self::DeleteClient(_)
            | Self::UpdateNumber(..)
            | Self::UpdateApplication(..)
            | Self::DeleteApplication(_)
            | Self::UpdateQueue(..)
            | Self::DeleteQueue(_)
            | Self::DeleteRecordings(_)
            | Self::Fire(..)
            | Self::DeleteMessage(_)
            | Self::Execute(_)
            | Self::Once { .. }
            | Self::DeleteNotifications(_)
            | Self::ForgetNotifications(_)
            | Self::AdoptCallbacks { .. } => false,
        }
    }

    /// The statement for an account with its token sealed.
    ///
    /// - `limit`: maximum number of open accounts directly below its parent
    pub(crate) fn insert_account(
        account: &Account,
        limit: Option<u32>,
        key: &crate::SecretKey,
    ) -> Self {
        Self::InsertAccount {
            parent: account.parent,
            organization: account.organization,
            row: rows::account_args(account, key),
            limit,
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
const OWNED: [&str; 13] = [
    "applications",
    "numbers",
    "caller_ids",
    "clients",
    "queues",
    "api_keys",
    "usage_triggers",
    "verify_services",
    "verify_limits",
    "verify_buckets",
    "verify_safe",
    "geolocations",
    "retention",
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
        Admin::SetOrganizationStatus(sid, status, at) => {
            organizations::status_statement(*sid, *status, *at)
        }
        Admin::MoveAccounts(moved) => {
            discarded::move_numbers(db, moved.of, moved.to).await?;
            return organizations::move_accounts(db, *moved).await;
        }
        Admin::MoveNumbers(moved) => {
            discarded::move_numbers(db, moved.of, moved.to).await?;
            return organizations::move_numbers(db, *moved).await;
        }
        Admin::InsertAccount {
            parent,
            organization,
            row,
            limit,
        } => {
            if let Some(parent) = parent {
                accounts::check_open(db, *parent).await?;
                accounts::check_room(db, *parent, *limit).await?;
            }
            organizations::check_open(db, *organization).await?;
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
        Admin::Change(sql) | Admin::ChangeProfiles(sql) => sql.clone(),
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
        Admin::Bin(change) => {
            return discarded::apply(db, counts, context.repeated, change).await;
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
            let mut resting = Sql::default();
            resting.text("DELETE FROM bin WHERE sid").among(sids);
            db.execute(resting).await?;
            return Ok(deleted || context.repeated);
        }
        Admin::DeleteMessage(sid) => {
            let mut sql = Sql::default();
            sql.with("DELETE FROM messages WHERE sid = ?", *sid)
                .text(" AND ended IS NOT NULL RETURNING account");
            let deleted = delete_counted(db, counts, &rows::MESSAGES, &sql).await?;
            return Ok(deleted || context.repeated);
        }
        Admin::InsertInto(account, sql) => {
            accounts::check_open(db, *account).await?;
            sql.clone()
        }
        Admin::Fire(sql, callback) => return fire(db, context, sql, callback).await,
        Admin::Execute(sql) => {
            return Ok(db.execute(sql.clone()).await? > 0);
        }
        Admin::Once { done, write } => {
            let is_done = context.repeated && !db.all(done).await?.is_empty();
            return Ok(is_done || db.execute(write.clone()).await? > 0);
        }
        Admin::Verify(write) => {
            if let Some(account) = write.adds_to() {
                accounts::check_open(db, account).await?;
            }
            return verify::apply(db, context.repeated, write).await;
        }
        Admin::DeleteNotifications(of) => {
            return Ok(delete_notifications(db, counts, *of).await? || context.repeated);
        }
        Admin::ForgetNotifications(sids) => {
            let sql = retention::forget_notifications(sids);
            let deleted = delete_counted(db, counts, &rows::NOTIFICATIONS, &sql).await?;
            return Ok(deleted || context.repeated);
        }
        Admin::AdoptCallbacks { from, gone_since } => {
            deliveries::adopt(*gone_since, from, context.instance)
        }
    };
    Ok(db.execute(sql).await? > 0 || context.repeated)
}

/// Has a trigger fire and stores its callback; `false` if it has fired already.
async fn fire(
    db: &mut Connection,
    context: Context,
    sql: &Sql,
    callback: &Callback,
) -> Result<bool, Failure> {
    if db.execute(sql.clone()).await? > 0 {
        let row = rows::callback_args(callback, context.instance);
        db.execute(rows::OUTBOX.insert_once(row)).await?;
        return Ok(true);
    }
    if !context.repeated {
        return Ok(false);
    }
    // The first attempt may have written both.
    let text = "SELECT event FROM outbox WHERE event = $1";
    let found = db.all(&Sql::new(text, args![callback.event])).await?;
    Ok(!found.is_empty())
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
        let mut links = Sql::default();
        links
            .text("DELETE FROM profile_links WHERE target")
            .with(TREE, sid);
        db.execute(links).await?;
        for table in OWNED {
            let mut sql = Sql::default();
            sql.text(&format!("DELETE FROM {table} WHERE account"))
                .with(TREE, sid);
            db.execute(sql).await?;
        }
        let mut bin = Sql::default();
        bin.with("DELETE FROM bin WHERE kind <> ?", Kind::Recording.as_str())
            .text(" AND account")
            .with(TREE, sid);
        db.execute(bin).await?;
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
