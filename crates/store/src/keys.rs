//! The API keys of accounts.
//!
//! **Invariant: the secret of a key is stored as a digest only.** It is random, so it needs no slow
//! hash as passwords do.

use std::sync::OnceLock;

use model::record::ApiKey;
use model::{AccountSid, KeySid, Timestamp};
use sha2::{Digest, Sha256};

use crate::admin::Admin;
use crate::credentials::hex;
use crate::filter::{Rows, Scope, Window};
use crate::row::Row;
use crate::sql::{Arg, Sql, Table, args};
use crate::{Result, Store};

static API_KEYS: Table = Table {
    name: "api_keys",
    counted: false,
    columns: &[
        "sid",
        "account",
        "name",
        "secret",
        "permissions",
        "expires",
        "created",
        "updated",
    ],
    insert_once: OnceLock::new(),
};

fn args(key: &ApiKey) -> Vec<Arg> {
    args![
        key.sid,
        key.account,
        key.name.as_str(),
        key.secret_digest.as_str(),
        key.permissions.as_str(),
        key.expires,
        key.created,
        key.updated
    ]
}

fn read(row: &Row) -> Result<ApiKey> {
    Ok(ApiKey {
        sid: row.word("sid")?,
        account: row.word("account")?,
        name: row.text("name")?,
        secret_digest: row.text("secret")?,
        permissions: row.text("permissions")?,
        expires: row.opt_time("expires")?,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

/// The digest of a key's secret, as it is stored.
#[must_use]
pub fn digest_of_key(secret: &str) -> String {
    hex(&Sha256::digest(secret))
}

/// Adds a key unless its account has too many.
fn insert(key: &ApiKey, limit: i64) -> Sql {
    let mut row = args(key);
    row.push(limit.into());
    Sql::new(
        "INSERT INTO api_keys (sid, account, name, secret, permissions, expires, created, updated) \
         SELECT $1, $2, $3, $4, $5, $6, $7, $8 \
         WHERE (SELECT COUNT(*) FROM api_keys WHERE account = $2) < $9 \
         ON CONFLICT (sid) DO NOTHING",
        row,
    )
}

impl Store {
    /// Part of an account's keys, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn api_keys(&self, account: AccountSid, window: &Window) -> Result<Rows<ApiKey>> {
        let scope = Some(Scope::Own(account));
        self.newest(&API_KEYS, scope, window, |_| {}, read).await
    }

    /// A key.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn api_key(&self, sid: KeySid) -> Result<Option<ApiKey>> {
        let mut sql = API_KEYS.select();
        sql.with(" WHERE sid = ?", sid);
        self.first(sql, read).await
    }

    /// Whether this is the secret of a key, which is not expired.
    #[must_use]
    pub fn is_key(&self, key: &ApiKey, secret: &str, now: Timestamp) -> bool {
        let is_expired = key.expires.is_some_and(|expires| expires <= now);
        let digest = digest_of_key(secret);
        self.verifier().same(&key.secret_digest, &digest) && !is_expired
    }

    /// Adds a key; `false` if the account has as many as `limit` already.
    ///
    /// # Errors
    /// [`crate::StoreError::AccountClosed`] if its account is closed.
    pub async fn insert_api_key(&self, key: ApiKey, limit: i64) -> Result<bool> {
        let sql = insert(&key, limit);
        self.administer(Admin::InsertInto(key.account, sql)).await
    }

    /// Replaces a key; `false` if it does not exist, or has changed since it was read.
    ///
    /// - `read`: its `updated` as read; the new one must be another
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn update_api_key(&self, key: ApiKey, read: Timestamp) -> Result<bool> {
        let update = Admin::UpdateOwned(&API_KEYS, args(&key), read);
        self.administer(update).await
    }

    /// Deletes a key, if it exists.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_api_key(&self, sid: KeySid) -> Result<()> {
        let delete = Admin::Execute(API_KEYS.delete(sid));
        self.administer(delete).await.map(drop)
    }
}
