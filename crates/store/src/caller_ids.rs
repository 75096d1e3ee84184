//! Outgoing caller IDs: numbers that accounts have shown to be their own.

use std::sync::OnceLock;

use model::record::CallerId;
use model::{AccountSid, NumberSid, Timestamp};

use crate::admin::Admin;
use crate::filter::{Rows, Scope, Window};
use crate::query::Conditions;
use crate::row::Row;
use crate::sql::{Arg, Table, args};
use crate::{Result, Store};

static CALLER_IDS: Table = Table {
    name: "caller_ids",
    counted: false,
    columns: &[
        "sid",
        "account",
        "friendly_name",
        "phone_number",
        "created",
        "updated",
    ],
    insert_once: OnceLock::new(),
};

fn args_of(caller_id: &CallerId) -> Vec<Arg> {
    args![
        caller_id.sid,
        caller_id.account,
        caller_id.friendly_name.as_str(),
        caller_id.phone_number.as_str(),
        caller_id.created,
        caller_id.updated
    ]
}

fn read(row: &Row) -> Result<CallerId> {
    Ok(CallerId {
        sid: row.word("sid")?,
        account: row.word("account")?,
        friendly_name: row.text("friendly_name")?,
        phone_number: row.text("phone_number")?,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

/// Selects caller IDs of an account.
#[derive(Debug, Clone)]
pub struct CallerIdFilter {
    /// The owner.
    pub account: AccountSid,
    /// Exactly this number.
    pub phone_number: Option<String>,
    /// Exactly this name.
    pub friendly_name: Option<String>,
    /// Part of the list.
    pub window: Window,
}

impl Store {
    /// Caller IDs that a filter matches, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn caller_ids(&self, filter: &CallerIdFilter) -> Result<Rows<CallerId>> {
        let fill = |conditions: &mut Conditions| {
            for (column, value) in [
                ("phone_number", &filter.phone_number),
                ("friendly_name", &filter.friendly_name),
            ] {
                if let Some(value) = value {
                    conditions.add(&format!(" AND {column} = ?"), value.as_str());
                }
            }
        };
        let scope = Some(Scope::Own(filter.account));
        self.newest(&CALLER_IDS, scope, &filter.window, fill, read)
            .await
    }

    /// A caller ID.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn caller_id(&self, sid: NumberSid) -> Result<Option<CallerId>> {
        self.one(&CALLER_IDS, sid, read).await
    }

    /// Adds a caller ID.
    ///
    /// # Errors
    /// [`crate::StoreError::Duplicate`] if the account has it already,
    /// [`crate::StoreError::AccountClosed`] if its account is closed.
    pub async fn insert_caller_id(&self, caller_id: CallerId) -> Result<()> {
        let args = args_of(&caller_id);
        self.administer(Admin::InsertOwned(caller_id.account, &CALLER_IDS, args))
            .await
            .map(drop)
    }

    /// Replaces a caller ID; `false` if it does not exist, or has changed since it was read.
    ///
    /// - `read`: its `updated` as read; the new one must be another
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn update_caller_id(&self, caller_id: CallerId, read: Timestamp) -> Result<bool> {
        let args = args_of(&caller_id);
        self.administer(Admin::UpdateOwned(&CALLER_IDS, args, read))
            .await
    }

    /// Deletes a caller ID; `false` if it did not exist.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_caller_id(&self, sid: NumberSid) -> Result<bool> {
        self.administer(Admin::Change(CALLER_IDS.delete(sid))).await
    }
}
