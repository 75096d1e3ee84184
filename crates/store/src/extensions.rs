//! Configurations of extensions, which are stored for programs that manage them.

use std::sync::OnceLock;

use model::record::Extension;
use model::{AccountSid, ExtensionSid, Timestamp};

use crate::admin::Admin;
use crate::row::Row;
use crate::sql::{Arg, Table, args};
use crate::{Result, Store};

static EXTENSIONS: Table = Table {
    name: "extensions",
    counted: false,
    columns: &[
        "sid", "name", "account", "kind", "data", "enabled", "created", "updated",
    ],
    insert_once: OnceLock::new(),
};

fn args_of(row: &Extension) -> Vec<Arg> {
    args![
        row.sid,
        row.name.as_str(),
        of(row.account),
        row.kind.as_str(),
        row.data.as_str(),
        row.enabled,
        row.created,
        row.updated
    ]
}

/// The column for an account: a null would be different from every other one.
fn of(account: Option<AccountSid>) -> String {
    account.map_or_else(String::new, |account| account.to_string())
}

fn read(row: &Row) -> Result<Extension> {
    let account = row.text("account")?;
    Ok(Extension {
        sid: row.word("sid")?,
        name: row.text("name")?,
        account: if account.is_empty() {
            None
        } else {
            Some(row.word("account")?)
        },
        kind: row.text("kind")?,
        data: row.text("data")?,
        enabled: row.flag("enabled")?,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

impl Store {
    /// The configuration of an extension, or the one that an account has instead.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn extension_named(
        &self,
        name: &str,
        account: Option<AccountSid>,
    ) -> Result<Option<Extension>> {
        let mut sql = EXTENSIONS.select();
        sql.with(" WHERE name = ?", name)
            .with(" AND account = ?", of(account));
        self.first(sql, read).await
    }

    /// A configuration.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn extension(&self, sid: ExtensionSid) -> Result<Option<Extension>> {
        self.one(&EXTENSIONS, sid, read).await
    }

    /// Adds a configuration.
    ///
    /// # Errors
    /// [`crate::StoreError::Duplicate`] if there is one with this name and account.
    pub async fn insert_extension(&self, row: &Extension) -> Result<()> {
        self.administer(Admin::Change(EXTENSIONS.insert(args_of(row))))
            .await
            .map(drop)
    }

    /// Replaces a configuration; `false` if it does not exist, or has changed since it was read.
    ///
    /// - `read`: its `updated` as read; the new one must be another
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn update_extension(&self, row: &Extension, read: Timestamp) -> Result<bool> {
        let update = Admin::UpdateOwned(&EXTENSIONS, args_of(row), read);
        self.administer(update).await
    }
}
