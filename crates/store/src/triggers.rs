//! Usage triggers.
//!
//! **Invariant: a trigger fires in the transaction that stores its callback and what it watches from then on**, so
//! it fires once for a period, also if the server dies, or several servers look at the same time.

use std::sync::OnceLock;

use model::day::Day;
use model::record::Callback;
use model::trigger::{Reached, Recurrence, TriggerBy, UsageTrigger};
use model::{AccountSid, Timestamp, UsageTriggerSid};

use crate::admin::Admin;
use crate::filter::{Rows, Scope, Window};
use crate::query::Conditions;
use crate::row::Row;
use crate::sql::{Arg, Sql, Table, args};
use crate::{Result, Store};

static USAGE_TRIGGERS: Table = Table {
    name: "usage_triggers",
    counted: false,
    columns: &[
        "sid",
        "account",
        "author",
        "name",
        "category",
        "trigger_by",
        "recurring",
        "value",
        "callback_url",
        "callback_method",
        "dialect",
        "watched_from",
        "fired",
        "created",
        "updated",
    ],
    insert_once: OnceLock::new(),
};

fn args(trigger: &UsageTrigger) -> Vec<Arg> {
    args![
        trigger.sid,
        trigger.account,
        trigger.author,
        trigger.name.as_str(),
        trigger.category.as_str(),
        trigger.by.as_str(),
        trigger.recurring.as_str(),
        trigger.value,
        trigger.callback_url.as_str(),
        trigger.callback_method,
        trigger.dialect,
        trigger.watched_from.map(|day| day.0),
        trigger.fired,
        trigger.created,
        trigger.updated
    ]
}

fn read(row: &Row) -> Result<UsageTrigger> {
    Ok(UsageTrigger {
        sid: row.word("sid")?,
        account: row.word("account")?,
        author: row.word("author")?,
        name: row.text("name")?,
        category: row.text("category")?,
        by: row.word("trigger_by")?,
        recurring: row.word("recurring")?,
        value: row.int("value")?,
        callback_url: row.text("callback_url")?,
        callback_method: row.word("callback_method")?,
        dialect: row.word("dialect")?,
        watched_from: row.opt_int("watched_from")?.map(Day),
        fired: row.opt_time("fired")?,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

/// Adds a trigger unless its account has too many.
fn insert(trigger: &UsageTrigger, limit: i64) -> Sql {
    let mut row = args(trigger);
    row.push(limit.into());
    Sql::new(
        "INSERT INTO usage_triggers (sid, account, author, name, category, trigger_by, recurring, \
         value, callback_url, callback_method, dialect, watched_from, fired, created, updated) \
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, CAST($12 AS BIGINT), \
         CAST($13 AS BIGINT), $14, $15 \
         WHERE (SELECT COUNT(*) FROM usage_triggers WHERE account = $2) < $16 \
         ON CONFLICT (sid) DO NOTHING",
        row,
    )
}

/// Has a trigger watch what comes after a period, unless it does so already.
fn fire(trigger: UsageTriggerSid, reached: &Reached, at: Timestamp) -> Sql {
    Sql::new(
        "UPDATE usage_triggers SET watched_from = $2, fired = $3, \
         updated = CASE WHEN updated >= $3 THEN updated + 1 ELSE $3 END \
         WHERE sid = $1 AND watched_from <= $4",
        args![trigger, reached.next.map(|day| day.0), at, reached.period.0],
    )
}

/// Selects triggers of an account.
#[derive(Debug, Clone)]
pub struct UsageTriggerFilter {
    /// The owner.
    pub account: AccountSid,
    /// How often they can fire.
    pub recurring: Option<Recurrence>,
    /// What they compare.
    pub by: Option<TriggerBy>,
    /// Their category.
    pub category: Option<String>,
    /// Part of the list.
    pub window: Window,
}

impl Store {
    /// Triggers that a filter matches, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn usage_triggers(&self, filter: &UsageTriggerFilter) -> Result<Rows<UsageTrigger>> {
        let fill = |conditions: &mut Conditions| {
            if let Some(recurring) = filter.recurring {
                conditions.add(" AND recurring = ?", recurring.as_str());
            }
            if let Some(by) = filter.by {
                conditions.add(" AND trigger_by = ?", by.as_str());
            }
            if let Some(category) = &filter.category {
                conditions.add(" AND category = ?", category.as_str());
            }
        };
        let scope = Some(Scope::Own(filter.account));
        self.newest(&USAGE_TRIGGERS, scope, &filter.window, fill, read)
            .await
    }

    /// Some triggers that can still fire, by account: those after `after`.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn watched_triggers(
        &self,
        after: Option<&UsageTrigger>,
        limit: i64,
    ) -> Result<Vec<UsageTrigger>> {
        let mut sql = USAGE_TRIGGERS.select();
        sql.text(" WHERE watched_from IS NOT NULL");
        if let Some(after) = after {
            sql.with(" AND (account, created, sid) > (?", after.account)
                .with(", ?", after.created)
                .with(", ?)", after.sid);
        }
        sql.with(" ORDER BY account, created, sid LIMIT ?", limit);
        self.many(sql, read).await
    }

    /// A trigger.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn usage_trigger(&self, sid: UsageTriggerSid) -> Result<Option<UsageTrigger>> {
        self.one(&USAGE_TRIGGERS, sid, read).await
    }

    /// Adds a trigger; `false` if the account has as many as `limit` already.
    ///
    /// # Errors
    /// [`crate::StoreError::AccountClosed`] if its account is closed.
    pub async fn insert_usage_trigger(&self, trigger: &UsageTrigger, limit: i64) -> Result<bool> {
        let sql = insert(trigger, limit);
        let insert = Admin::InsertInto(trigger.account, sql);
        self.administer(insert).await
    }

    /// Replaces a trigger; `false` if it does not exist, or has changed or fired since it was read.
    ///
    /// - `read`: its `updated` as read; the new one must be another
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn update_usage_trigger(
        &self,
        trigger: &UsageTrigger,
        read: Timestamp,
    ) -> Result<bool> {
        let update = Admin::UpdateOwned(&USAGE_TRIGGERS, args(trigger), read);
        self.administer(update).await
    }

    /// Fires a trigger and stores its callback; `false` if it has fired for that period, or does not exist any more.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn fire_trigger(
        &self,
        trigger: UsageTriggerSid,
        reached: &Reached,
        callback: &Callback,
    ) -> Result<bool> {
        let sql = fire(trigger, reached, callback.created);
        let fire = Admin::Fire(sql, Box::new(callback.clone()));
        self.administer(fire).await
    }

    /// Deletes a trigger, if it exists.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_usage_trigger(&self, sid: UsageTriggerSid) -> Result<()> {
        let delete = Admin::Execute(USAGE_TRIGGERS.delete(sid));
        self.administer(delete).await.map(drop)
    }
}
