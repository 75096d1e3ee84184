//! Applies the writes of [`Admin`], inside a transaction of the writer.

use model::record::Callback;
use model::{AccountSid, AccountStatus, Timestamp};

use crate::admin::Admin;
use crate::connection::{Connection, Failure};
use crate::counts::Counts;
use crate::deliveries;
use crate::discarded::{self, Kind};
use crate::masking;
use crate::naming::Claim;
use crate::open;
use crate::operation::Context;
use crate::organizations;
use crate::query::TREE;
use crate::queues;
use crate::retention;
use crate::rows::{self, APPLICATIONS, CLIENTS, NUMBERS, ORGANIZATIONS};
use crate::sql::{Arg, ROWS_AT_ONCE, Sql, Table, args};
use crate::verify;

/// Tables whose rows are removed with their account, few for each.
const OWNED: [&str; 20] = [
    "applications",
    "numbers",
    "caller_ids",
    "clients",
    "queues",
    "api_keys",
    "message_routes",
    "opt_outs",
    "opt_out_settings",
    "usage_triggers",
    "verify_services",
    "verify_limits",
    "verify_buckets",
    "verify_safe",
    "mask_services",
    "mask_numbers",
    "voicemail_boxes",
    "voicemail_messages",
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
                open::check_account(db, *parent).await?;
                open::check_room(db, *parent, *limit).await?;
            }
            open::check_organization(db, *organization).await?;
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
            open::check_account(db, *account).await?;
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
            open::check_account(db, row.account).await?;
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
            open::check_account(db, row.account).await?;
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
            open::check_account(db, *account).await?;
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
                open::check_account(db, account).await?;
            }
            return verify::apply(db, context.repeated, write).await;
        }
        Admin::Mask(write) => {
            if let Some(account) = write.adds_to() {
                open::check_account(db, account).await?;
            }
            return masking::apply(db, context.repeated, write).await;
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
        masking::close_of_account(db, sid, at).await?;
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
