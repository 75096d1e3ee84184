//! What was changed through the API, by whom and from where.
//!
//! **Invariant: an entry is never changed**; it is removed when it is old, or when its account has
//! too many. Left to others: what an entry says, and that it holds no secrets.

use std::sync::OnceLock;
use std::time::Duration;

use model::record::AuditEntry;
use model::{AccountSid, AuditSid, Timestamp};

use crate::admin::Admin;
use crate::filter::{Rows, Scope, Window};
use crate::inspect::Inspect;
use crate::query::{Conditions, Order};
use crate::row::Row;
use crate::sql::{Arg, ROWS_AT_ONCE, Sql, Table, args};
use crate::{Result, Store};

/// How long entries are kept.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// Entries kept for each account; of more, the oldest are removed.
const MAX_OF_ACCOUNT: i64 = 100_000;

static AUDIT: Table = Table {
    name: "audit",
    counted: false,
    columns: &[
        "sid", "account", "actor", "login", "source", "request", "method", "path", "before",
        "after", "created",
    ],
    insert_once: OnceLock::new(),
};

fn args(entry: &AuditEntry) -> Vec<Arg> {
    args![
        entry.sid,
        entry.account,
        entry.actor,
        entry.key,
        entry.source.as_str(),
        entry.request.as_str(),
        entry.method.as_str(),
        entry.path.as_str(),
        entry.before.clone(),
        entry.after.clone(),
        entry.created
    ]
}

fn read(row: &Row) -> Result<AuditEntry> {
    Ok(AuditEntry {
        sid: row.word("sid")?,
        account: row.word("account")?,
        actor: row.word("actor")?,
        key: row.opt_word("login")?,
        source: row.text("source")?,
        request: row.text("request")?,
        method: row.text("method")?,
        path: row.text("path")?,
        before: row.opt_text("before")?,
        after: row.opt_text("after")?,
        created: row.time("created")?,
    })
}

impl Store {
    /// Adds an entry.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn insert_audit_entry(&self, entry: AuditEntry) -> Result<()> {
        let insert = Admin::Execute(AUDIT.insert_once(args(&entry)));
        self.administer(insert).await.map(drop)
    }

    /// Part of the entries, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn audit_log(&self, scope: Scope, window: &Window) -> Result<Rows<AuditEntry>> {
        self.newest(&AUDIT, Some(scope), window, |_| {}, read).await
    }

    /// An entry.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn audit_entry(&self, sid: AuditSid) -> Result<Option<AuditEntry>> {
        let mut sql = AUDIT.select();
        sql.with(" WHERE sid = ?", sid);
        self.first(sql, read).await
    }

    /// Removes entries that are 90 days old, and of accounts with too many the oldest.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn forget_audit_entries(&self, now: Timestamp) -> Result<()> {
        let expired = Sql::new(
            "DELETE FROM audit WHERE sid IN (SELECT sid FROM audit WHERE created < $1 LIMIT $2)",
            args![now - KEPT, ROWS_AT_ONCE],
        );
        self.delete_repeatedly(expired).await?;
        let crowded = Sql::new(
            "SELECT account FROM audit GROUP BY account HAVING COUNT(*) > $1",
            args![MAX_OF_ACCOUNT],
        );
        let accounts = self.many(crowded, |row| row.word::<AccountSid>("account"));
        for account in accounts.await? {
            let oldest = Sql::new(
                "DELETE FROM audit WHERE sid IN (SELECT sid FROM audit WHERE account = $1 \
                 ORDER BY created DESC, sid DESC LIMIT $3 OFFSET $2)",
                args![account, MAX_OF_ACCOUNT, ROWS_AT_ONCE],
            );
            self.delete_repeatedly(oldest).await?;
        }
        Ok(())
    }
}

impl Inspect {
    /// The newest entries of all accounts, or of one, oldest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn audit_log(
        &self,
        account: Option<AccountSid>,
        limit: i64,
    ) -> Result<Vec<AuditEntry>> {
        let scope = account.map(Scope::Own);
        let selecting = Conditions::of(AUDIT.select(), scope).window(Order::NEWEST, 0, limit);
        let mut found = self.readers.many(selecting, read).await?;
        found.reverse();
        Ok(found)
    }
}
