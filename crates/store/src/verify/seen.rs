//! What a service has sent before.

use ::verify::{Seen, Watch, block_of};
use model::{Timestamp, VerifyServiceSid};

use crate::row::Row;
use crate::sql::Sql;
use crate::{Result, Store};

/// Whose codes are counted before another one is sent.
#[derive(Debug, Clone)]
pub struct SendTo<'a> {
    /// The service.
    pub service: VerifyServiceSid,
    /// The recipient.
    pub to: &'a str,
    /// The network of the person who asks for it.
    pub network: Option<&'a str>,
}

impl SendTo<'_> {
    /// The statement whose row is read by [`read_seen`].
    ///
    /// - `today`: the codes of the last day, if they need not be counted
    pub(super) fn count(&self, now: Timestamp, today: Option<i64>) -> Sql {
        let mut sql = Sql::default();
        sql.text(
            "SELECT r.n AS to_recipient, r.last, b.sent, b.settled, b.confirmed, \
             w.n AS from_network, d.n AS today FROM ",
        )
        .with(
            "(SELECT COUNT(*) AS n, MAX(created) AS last FROM verify_attempts WHERE service = ?",
            self.service,
        )
        .with(" AND recipient = ?", self.to)
        .with(" AND created > ?) AS r, ", now - Seen::RECIPIENT)
        .with(
            "(SELECT COUNT(*) AS sent, \
             CAST(COALESCE(SUM(CASE WHEN created <= ? THEN 1 ELSE 0 END), 0) AS BIGINT) AS settled, \
             CAST(COALESCE(SUM(is_confirmed), 0) AS BIGINT) AS confirmed",
            now - Seen::SETTLED,
        )
        .with(" FROM verify_attempts WHERE service = ?", self.service)
        .with(" AND block = ?", block_of(self.to))
        .with(" AND created > ?) AS b, ", now - Seen::HOUR)
        .with(
            "(SELECT COUNT(*) AS n FROM verify_attempts WHERE service = ?",
            self.service,
        )
        .with(" AND network = ?", self.network.map(str::to_owned))
        .with(" AND created > ?) AS w, ", now - Seen::HOUR);
        match today {
            Some(today) => sql.with("(SELECT CAST(? AS BIGINT) AS n) AS d", today),
            None => sql
                .with(
                    "(SELECT COUNT(*) AS n FROM verify_attempts WHERE service = ?",
                    self.service,
                )
                .with(" AND created > ?) AS d", now - Seen::DAY),
        };
        sql
    }
}

pub(super) fn read_seen(row: &Row, now: Timestamp) -> Result<Seen> {
    Ok(Seen {
        to_recipient: row.int("to_recipient")?,
        since_last: row.opt_time("last")?.map(|last| now.since(last)),
        block: Watch {
            sent: row.int("sent")?,
            settled: row.int("settled")?,
            confirmed: row.int("confirmed")?,
        },
        from_network: row.int("from_network")?,
        today: row.int("today")?,
    })
}

impl Store {
    /// What was sent before, for the decision whether another code may be sent.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn seen_codes(&self, of: &SendTo<'_>, now: Timestamp) -> Result<Seen> {
        let seen = self.first(of.count(now, None), |row| read_seen(row, now));
        seen.await.map(Option::unwrap_or_default)
    }
}
