//! How long each account keeps what was said and written, and the removal of what is older.
//!
//! **Invariant: nothing of a call that is not over is removed**, and rows are removed in small batches, which delay no other write
//! for long. The records of calls, messages and recordings stay: what is gone from them is marked with the reason. Left to others:
//! the files of recordings, and when this is done.

use std::sync::OnceLock;

use model::{AccountSid, NotificationSid, Timestamp};

use crate::admin::Admin;
use crate::forwarding::WITHOUT_FAREWELL;
use crate::row::Row;
use crate::sql::{Arg, Sql, Table, args};
use crate::{Result, Store};

/// Rows that are removed together.
const AT_ONCE: i64 = 500;
/// Accounts that are read together.
const ACCOUNTS: i64 = 500;

/// A kind of data with a time limit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Texts of messages.
    MessageBodies,
    /// Pressed keys: in traces with their journals, and in the parameters of callbacks.
    Digits,
    /// Files of recordings, with their transcriptions.
    Recordings,
    /// Traces and journals of calls, conferences and messages.
    Traces,
    /// Notifications.
    Notifications,
    /// Callbacks that are delivered or given up, with their parameters.
    Callbacks,
    /// Addresses, texts and lists of attachments of e-mails.
    Emails,
}

impl Kept {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::MessageBodies,
        Self::Digits,
        Self::Recordings,
        Self::Traces,
        Self::Notifications,
        Self::Callbacks,
        Self::Emails,
    ];

    const fn column(self) -> &'static str {
        match self {
            Self::MessageBodies => "message_bodies",
            Self::Digits => "digits",
            Self::Recordings => "recordings",
            Self::Traces => "traces",
            Self::Notifications => "notifications",
            Self::Callbacks => "callbacks",
            Self::Emails => "emails",
        }
    }
}

/// Days that each kind of data is kept; 0 is for good, `None` is as the server does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention([Option<u32>; 7]);

impl Retention {
    /// The days for a kind.
    #[must_use]
    pub const fn days(&self, kind: Kept) -> Option<u32> {
        self.0[kind as usize]
    }

    /// The same with these days for a kind.
    #[must_use]
    pub const fn with(mut self, kind: Kept, days: Option<u32>) -> Self {
        self.0[kind as usize] = days;
        self
    }

    /// The same, with the days of `default` where there are none.
    #[must_use]
    pub fn or(&self, default: &Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at].or(default.0[at])))
    }
}

/// A row that is older than its account keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldRow {
    /// When it was created; of a trace, nothing.
    pub created: Timestamp,
    /// Its key.
    pub name: String,
}

/// Why data is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It was older than the account keeps it.
    Retention,
    /// A person's data was erased.
    Erasure,
}

impl Reason {
    /// The word in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::Erasure => "erasure",
        }
    }

    /// What a message or e-mail has instead of its text.
    #[must_use]
    pub const fn instead_of_text(self) -> &'static str {
        match self {
            Self::Retention => "[removed after the retention time]",
            Self::Erasure => "[erased]",
        }
    }
}

static RETENTION: Table = Table {
    name: "retention",
    counted: false,
    columns: &[
        "account",
        "message_bodies",
        "digits",
        "recordings",
        "traces",
        "notifications",
        "callbacks",
        "emails",
        "updated",
    ],
    insert_once: OnceLock::new(),
};

fn read(row: &Row) -> Result<Retention> {
    let mut retention = Retention::default();
    for kind in Kept::ALL {
        retention = retention.with(kind, row.opt_small(kind.column())?);
    }
    Ok(retention)
}

/// The call that a row belongs to is not over.
const IS_LIVE: &str =
    " AND NOT EXISTS (SELECT 1 FROM calls c WHERE c.sid = r.call AND c.ended IS NULL)";

impl Store {
    /// What an account has set.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn retention(&self, account: AccountSid) -> Result<Retention> {
        let found = self.one(&RETENTION, account, read).await?;
        Ok(found.unwrap_or_default())
    }

    /// Sets how long an account keeps its data.
    ///
    /// # Errors
    /// [`crate::StoreError::AccountClosed`], or as reported by the database.
    pub async fn set_retention(
        &self,
        account: AccountSid,
        retention: &Retention,
        at: Timestamp,
    ) -> Result<()> {
        let mut row = args![account];
        row.extend(Kept::ALL.map(|kind| Arg::from(retention.days(kind))));
        row.push(at.into());
        let mut sql = RETENTION.insert(row);
        let sets: Vec<_> = RETENTION.columns[1..]
            .iter()
            .map(|column| format!("{column} = excluded.{column}"))
            .collect();
        sql.text(" ON CONFLICT (account) DO UPDATE SET ")
            .text(&sets.join(", "));
        self.administer(Admin::InsertInto(account, sql))
            .await
            .map(drop)
    }

    /// Accounts after this one, in order, with what they have set; none after the last.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn accounts_with_retention(
        &self,
        after: Option<AccountSid>,
    ) -> Result<Vec<(AccountSid, Retention)>> {
        let after = after.map_or_else(String::new, |sid| sid.to_string());
        let columns = Kept::ALL.map(|kind| format!("s.{}", kind.column()));
        let mut sql = Sql::default();
        sql.text(&format!(
            "SELECT a.sid, {} FROM accounts a LEFT JOIN retention s ON s.account = a.sid",
            columns.join(", ")
        ))
        .with(" WHERE a.sid > ?", after)
        .with(" ORDER BY a.sid LIMIT ?", ACCOUNTS);
        self.many(sql, |row| Ok((row.word("sid")?, read(row)?)))
            .await
    }

    /// Some keys of rows that an account has had since before this time, the oldest first, without what is removed already: SIDs of
    /// messages, recordings, notifications and e-mails, lanes of traces, events of callbacks.
    ///
    /// - `after`: only those after this one, which was found before and may stay
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn older_than(
        &self,
        kind: Kept,
        account: AccountSid,
        before: Timestamp,
        after: Option<&OldRow>,
    ) -> Result<Vec<OldRow>> {
        let mut sql = Sql::default();
        let key = match kind {
            Kept::Callbacks | Kept::Digits => "event",
            Kept::MessageBodies
            | Kept::Recordings
            | Kept::Notifications
            | Kept::Emails
            | Kept::Traces => "sid",
        };
        match kind {
            Kept::MessageBodies => sql.text(
                "SELECT sid AS name, created FROM messages r WHERE gone IS NULL AND ended IS NOT NULL",
            ),
            Kept::Recordings => sql.text("SELECT sid AS name, created FROM recordings r WHERE gone IS NULL"),
            Kept::Notifications => sql.text("SELECT sid AS name, created FROM notifications r WHERE 1 = 1"),
            Kept::Callbacks => {
                sql.text("SELECT event AS name, created FROM outbox r WHERE state <> 'pending'")
            }
            Kept::Digits => sql.text(
                "SELECT event AS name, created FROM outbox r WHERE state <> 'pending' \
                 AND params LIKE '%Digits%'",
            ),
            Kept::Emails => {
                sql.text("SELECT sid AS name, created FROM emails r WHERE gone IS NULL AND due IS NULL")
            }
            Kept::Traces => return self.old_traces(account, before).await,
        };
        sql.with(" AND account = ?", account)
            .with(" AND created < ?", before)
            .text(IS_LIVE);
        if let Some(after) = after {
            sql.with(&format!(" AND (created, {key}) > (?"), after.created)
                .with(", ?)", after.name.as_str());
        }
        sql.with(&format!(" ORDER BY created, {key} LIMIT ?"), AT_ONCE);
        let read = |row: &Row| {
            Ok(OldRow {
                created: row.time("created")?,
                name: row.text("name")?,
            })
        };
        self.many(sql, read).await
    }

    /// Lanes are identifiers, which begin with the time of their creation: the old ones are a range of the key.
    async fn old_traces(&self, account: AccountSid, before: Timestamp) -> Result<Vec<OldRow>> {
        let millis = u64::try_from(before.0 / 1_000).unwrap_or_default();
        let mut found = Vec::new();
        for (prefix, table) in [("CA", "calls"), ("CF", "conferences"), ("SM", "messages")] {
            let last = format!("{prefix}{:012x}", millis & 0xffff_ffff_ffff);
            let mut sql = Sql::default();
            sql.text(&format!(
                "SELECT t.lane AS name FROM traces t JOIN {table} r ON r.sid = t.lane"
            ))
            .with(" WHERE t.lane >= ?", prefix)
            .with(" AND t.lane < ?", last)
            .with(" AND r.account = ?", account)
            .with(" AND r.ended < ?", before)
            .with(" ORDER BY t.lane LIMIT ?", AT_ONCE);
            let read = |row: &Row| {
                Ok(OldRow {
                    created: Timestamp(0),
                    name: row.text("name")?,
                })
            };
            found.extend(self.many(sql, read).await?);
        }
        Ok(found)
    }

    /// Replaces the texts of messages. After an erasure, no callback reports whether they were delivered.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn remove_bodies(&self, sids: &[String], reason: Reason) -> Result<()> {
        let mut sql = Sql::default();
        sql.with("UPDATE messages SET body = ?", reason.instead_of_text())
            .with(", gone = ?", reason.as_str())
            .text(match reason {
                Reason::Retention => WITHOUT_FAREWELL,
                // It names both parties.
                Reason::Erasure => ", farewell = NULL",
            })
            .text(" WHERE sid");
        self.execute_among(sql, sids).await
    }

    /// Replaces the addresses and texts of e-mails that are not waiting, and removes the lists of their attachments.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn remove_emails(&self, sids: &[String], reason: Reason) -> Result<()> {
        let mut sql = Sql::default();
        sql.with("UPDATE emails SET gone = ?", reason.as_str());
        for column in ["sender", "recipient", "subject", "body"] {
            sql.with(&format!(", {column} = ?"), reason.instead_of_text());
        }
        sql.text(
            ", cc = '', bcc = '', html = 0, recordings = '', reason = NULL, recorded_as = NULL",
        )
        .text(" WHERE due IS NULL AND sid");
        self.execute_among(sql, sids).await
    }

    /// Notes that the files of recordings are gone, and deletes their transcriptions.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn mark_recordings_gone(&self, sids: &[String], reason: Reason) -> Result<()> {
        let texts = Sql::new("DELETE FROM transcriptions WHERE recording", Vec::new());
        self.execute_among(texts, sids).await?;
        let mut sql = Sql::default();
        sql.with("UPDATE recordings SET gone = ?", reason.as_str())
            .text(" WHERE sid");
        self.execute_among(sql, sids).await
    }

    /// Why the file of a recording is gone, if it is marked so.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn why_recording_is_gone(&self, sid: model::RecordingSid) -> Result<Option<String>> {
        let sql = Sql::new("SELECT gone FROM recordings WHERE sid = $1", args![sid]);
        Ok(self.first(sql, |row| row.opt_text("gone")).await?.flatten())
    }

    /// Deletes the traces and journals of lanes.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_traces(&self, lanes: &[String]) -> Result<()> {
        let sql = Sql::new("DELETE FROM traces WHERE lane", Vec::new());
        self.execute_among(sql, lanes).await
    }

    /// Deletes callbacks that are delivered or given up.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_callbacks(&self, events: &[String]) -> Result<()> {
        let text = "DELETE FROM outbox WHERE state <> 'pending' AND event";
        self.execute_among(Sql::new(text, Vec::new()), events).await
    }

    /// Deletes notifications.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_notifications(&self, sids: &[String]) -> Result<()> {
        let sids = sids.iter().filter_map(|sid| sid.parse().ok()).collect();
        self.administer(Admin::ForgetNotifications(sids))
            .await
            .map(drop)
    }

    /// Carries out a statement whose last condition is about these keys.
    pub(crate) async fn execute_among(&self, head: Sql, keys: &[String]) -> Result<()> {
        for part in keys.chunks(usize::try_from(AT_ONCE).unwrap_or(1)) {
            let mut sql = head.clone();
            among(&mut sql, part);
            self.administer(Admin::Execute(sql)).await?;
        }
        Ok(())
    }
}

/// Appends that a column is one of these texts.
pub(crate) fn among(sql: &mut Sql, texts: &[String]) {
    sql.text(" IN (");
    for (at, text) in texts.iter().enumerate() {
        sql.with(if at == 0 { "?" } else { ", ?" }, text.as_str());
    }
    sql.text(")");
}

/// Deletes notifications, returning their accounts.
pub(crate) fn forget_notifications(sids: &[NotificationSid]) -> Sql {
    let mut sql = Sql::default();
    sql.text("DELETE FROM notifications WHERE sid")
        .among(sids)
        .text(" RETURNING account");
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_account_has_not_set_is_as_the_server_does() {
        let server = Retention::default()
            .with(Kept::Traces, Some(30))
            .with(Kept::Recordings, Some(7));
        let own = Retention::default()
            .with(Kept::Traces, Some(0))
            .with(Kept::Digits, Some(1));
        let days = Kept::ALL.map(|kind| own.or(&server).days(kind));
        assert_eq!(days, [None, Some(1), Some(7), Some(0), None, None, None]);
    }
}
