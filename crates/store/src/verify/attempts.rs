//! The list of codes that were sent.

use ::verify::Attempt;
use model::{AccountSid, Timestamp, VerifyAttemptSid, VerifyServiceSid};

use super::rows::{ATTEMPTS, read_attempt};
use crate::filter::{Rows, Scope, Window};
use crate::row::Row;
use crate::sql::Sql;
use crate::{Result, Store};

/// Codes sent and confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AttemptCounts {
    /// Codes sent.
    pub sent: i64,
    /// Those of them that were confirmed.
    pub confirmed: i64,
}

/// Selects codes that were sent.
#[derive(Debug, Clone)]
pub struct AttemptFilter {
    /// The owner.
    pub account: AccountSid,
    /// Sent by this service.
    pub service: Option<VerifyServiceSid>,
    /// Sent to exactly this recipient.
    pub to: Option<String>,
    /// Sent then or later.
    pub from: Option<Timestamp>,
    /// Sent before then.
    pub until: Option<Timestamp>,
    /// Part of the list.
    pub window: Window,
}

impl Store {
    /// Codes that a filter matches, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn verify_attempts(&self, filter: &AttemptFilter) -> Result<Rows<Attempt>> {
        let fill = |conditions: &mut crate::query::Conditions| {
            if let Some(service) = filter.service {
                conditions.add(" AND service = ?", service);
            }
            if let Some(to) = &filter.to {
                conditions.add(" AND recipient = ?", to.as_str());
            }
            if let Some(from) = filter.from {
                conditions.add(" AND created >= ?", from);
            }
            if let Some(until) = filter.until {
                conditions.add(" AND created < ?", until);
            }
        };
        let scope = Some(Scope::Own(filter.account));
        self.newest(&ATTEMPTS, scope, &filter.window, fill, read_attempt)
            .await
    }

    /// A code that was sent.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn verify_attempt(&self, sid: VerifyAttemptSid) -> Result<Option<Attempt>> {
        self.one(&ATTEMPTS, sid, read_attempt).await
    }

    /// How many codes that a filter matches were sent and confirmed.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn count_attempts(&self, filter: &AttemptFilter) -> Result<AttemptCounts> {
        let mut sql = Sql::default();
        sql.with("SELECT COUNT(*) AS sent, CAST(COALESCE(SUM(is_confirmed), 0) AS BIGINT) AS confirmed FROM verify_attempts WHERE account = ?", filter.account);
        if let Some(service) = filter.service {
            sql.with(" AND service = ?", service);
        }
        if let Some(to) = &filter.to {
            sql.with(" AND recipient = ?", to.as_str());
        }
        if let Some(from) = filter.from {
            sql.with(" AND created >= ?", from);
        }
        if let Some(until) = filter.until {
            sql.with(" AND created < ?", until);
        }
        let read = |row: &Row| {
            Ok(AttemptCounts {
                sent: row.int("sent")?,
                confirmed: row.int("confirmed")?,
            })
        };
        self.first(sql, read).await.map(Option::unwrap_or_default)
    }
}
