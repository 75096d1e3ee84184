//! Changes of accounts: each sets only the columns that it is about.
//!
//! **Invariant: the status of an account is set by [`Store::set_account_status`] alone**, except that
//! the first password makes an account active; and nothing changes a closed account, or is added to
//! one. Whatever was read before, and wherever, does not return with a later write. Left to others: who
//! may change what.

use model::{AccountSid, Timestamp};

use crate::admin::Admin;
use crate::sql::Sql;
use crate::{Result, Store};

/// Properties of an account to set; those that are `None` keep their values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// Display name.
    pub friendly_name: Option<String>,
    /// `Administrator`, `Developer` or a configured role.
    pub role: Option<String>,
    /// Argon2 hash of the password (PHC text). An uninitialized account becomes active.
    pub password_hash: Option<String>,
}

/// The secondary token of an account, as stored at some time: it identifies the token without
/// revealing it.
#[derive(Debug, Clone)]
pub struct SecondaryToken(Vec<u8>);

impl Store {
    /// Sets properties of an account; `false` if it does not exist or is closed.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn change_account(
        &self,
        sid: AccountSid,
        change: &AccountChange,
        at: Timestamp,
    ) -> Result<bool> {
        self.write_account(changed(sid, change, at)).await
    }

    /// The secondary token of an account, if there is one. Never cached.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn secondary_token(&self, sid: AccountSid) -> Result<Option<SecondaryToken>> {
        let mut sql = Sql::default();
        sql.with("SELECT secondary_token FROM accounts WHERE sid = ?", sid);
        let found = self.first(sql, |row| row.opt_blob("secondary_token"));
        Ok(found.await?.flatten().map(SecondaryToken))
    }

    /// Gives an account a secondary token; `false` if it has one already, does not exist or is closed.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn add_secondary_token(
        &self,
        sid: AccountSid,
        token: &str,
        at: Timestamp,
    ) -> Result<bool> {
        let sealed = self.key().seal(token.as_bytes(), sid.as_bytes());
        let mut sql = Sql::default();
        sql.with("UPDATE accounts SET secondary_token = ?", sealed)
            .with(", updated = ?", at)
            .with(" WHERE sid = ?", sid)
            .text(" AND secondary_token IS NULL")
            .text(UNLESS_CLOSED);
        self.write_account(sql).await
    }

    /// Swaps the primary and the secondary token of an account; `false` if the secondary token is not
    /// this one, or the account is closed.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn promote_token(
        &self,
        sid: AccountSid,
        secondary: SecondaryToken,
        at: Timestamp,
    ) -> Result<bool> {
        // Both are sealed for the same account, and the right sides are the values before.
        let sets = "auth_token = secondary_token, secondary_token = auth_token";
        self.write_account(with_secondary(sets, sid, secondary, at))
            .await
    }

    /// Deletes the secondary token of an account; `false` if it is not this one, or the account is
    /// closed.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_secondary_token(
        &self,
        sid: AccountSid,
        secondary: SecondaryToken,
        at: Timestamp,
    ) -> Result<bool> {
        let sets = "secondary_token = NULL";
        self.write_account(with_secondary(sets, sid, secondary, at))
            .await
    }

    async fn write_account(&self, sql: Sql) -> Result<bool> {
        self.administer(Admin::ChangeAccount(sql)).await
    }
}

const UNLESS_CLOSED: &str = " AND status <> 'closed'";

fn changed(sid: AccountSid, change: &AccountChange, at: Timestamp) -> Sql {
    let AccountChange {
        friendly_name,
        role,
        password_hash,
    } = change;
    let mut sql = Sql::default();
    sql.with("UPDATE accounts SET updated = ?", at);
    for (set, value) in [
        (", friendly_name = ?", friendly_name),
        (", role = ?", role),
        (", password_hash = ?", password_hash),
    ] {
        if let Some(value) = value {
            sql.with(set, value.as_str());
        }
    }
    if password_hash.is_some() {
        // Decided here: the account may have been suspended since it was read.
        sql.text(", status = CASE WHEN status = 'uninitialized' THEN 'active' ELSE status END");
    }
    sql.with(" WHERE sid = ?", sid).text(UNLESS_CLOSED);
    sql
}

fn with_secondary(
    sets: &str,
    sid: AccountSid,
    SecondaryToken(sealed): SecondaryToken,
    at: Timestamp,
) -> Sql {
    let mut sql = Sql::default();
    sql.text(&format!("UPDATE accounts SET {sets}"))
        .with(", updated = ?", at)
        .with(" WHERE sid = ?", sid)
        .with(" AND secondary_token = ?", sealed)
        .text(UNLESS_CLOSED);
    sql
}
