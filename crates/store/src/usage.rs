//! What accounts used, day by day.
//!
//! The sums are kept as calls end ([`crate::counts`] writes them), so that a year is read in a few
//! hundred rows.

use model::day::Day;
use model::usage::{Amount, Used};

use crate::filter::Scope;
use crate::query::Conditions;
use crate::row::Row;
use crate::sql::Sql;
use crate::{Result, Store};

/// Maximum rows of a query: more than 50 years.
const MAX_ROWS: i64 = 100_000;

/// What was used on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DailyUsage {
    /// The day, in UTC.
    pub day: Day,
    /// What was used.
    pub used: Used,
    /// How much.
    pub amount: Amount,
}

fn read(row: &Row) -> Result<DailyUsage> {
    Ok(DailyUsage {
        day: Day(row.int("day")?),
        used: row.word("category")?,
        amount: Amount {
            count: row.int("n")?,
            seconds: row.int("seconds")?,
            minutes: row.int("minutes")?,
        },
    })
}

impl Store {
    /// What was used from one day to another, both included, in the order of the days.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn usage(&self, scope: Scope, from: Day, until: Day) -> Result<Vec<DailyUsage>> {
        let head = Sql::new(
            "SELECT day, category, CAST(SUM(n) AS BIGINT) AS n, \
             CAST(SUM(seconds) AS BIGINT) AS seconds, CAST(SUM(minutes) AS BIGINT) AS minutes \
             FROM usage_days",
            Vec::new(),
        );
        let mut conditions = Conditions::new(head, scope);
        conditions.add(" AND day >= ?", from.0);
        conditions.add(" AND day <= ?", until.0);
        let mut sql = conditions.finish();
        sql.with(
            " GROUP BY day, category ORDER BY day, category LIMIT ?",
            MAX_ROWS,
        );
        self.many(sql, read).await
    }
}
