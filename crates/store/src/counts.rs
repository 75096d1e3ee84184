//! How many rows each account has of each kind, as kept in the table `counters`, and what it used on each
//! day, as kept in the table `usage_days`.
//!
//! **Invariant: a transaction changes counters last, in one order,** so two servers that share a
//! database never deadlock over them.

use std::collections::BTreeMap;

use model::day::Day;
use model::usage::{Amount, Used};
use model::{AccountSid, Timestamp};

use crate::connection::{Connection, Failure};
use crate::sql::{Sql, args};

/// What the operations of a transaction add to the counters.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    rows: BTreeMap<(AccountSid, &'static str), i64>,
    used: BTreeMap<(AccountSid, Day, Used), Amount>,
}

impl Counts {
    /// Adds `by` to the number of an account's rows of a kind.
    pub(crate) fn add(&mut self, account: AccountSid, kind: &'static str, by: i64) {
        *self.rows.entry((account, kind)).or_default() += by;
    }

    /// Adds what an account used at a time.
    pub(crate) fn add_used(
        &mut self,
        account: AccountSid,
        at: Timestamp,
        used: Used,
        amount: Amount,
    ) {
        let sum = self.used.entry((account, Day::of(at), used)).or_default();
        sum.add(amount);
    }

    /// Changes the counters: the last statements of the transaction.
    pub(crate) async fn write(self, db: &mut Connection) -> Result<(), Failure> {
        for ((account, kind), by) in self.rows {
            db.execute(Sql::new(
                "INSERT INTO counters (account, kind, n) VALUES ($1, $2, $3) \
                 ON CONFLICT (account, kind) DO UPDATE SET n = counters.n + excluded.n",
                args![account, kind, by],
            ))
            .await?;
        }
        for ((account, day, used), amount) in self.used {
            db.execute(Sql::new(
                "INSERT INTO usage_days (account, day, category, n, seconds, minutes) \
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (account, day, category) \
                 DO UPDATE SET n = usage_days.n + excluded.n, \
                 seconds = usage_days.seconds + excluded.seconds, \
                 minutes = usage_days.minutes + excluded.minutes",
                args![
                    account,
                    day.0,
                    used.as_str(),
                    amount.count,
                    amount.seconds,
                    amount.minutes
                ],
            ))
            .await?;
        }
        Ok(())
    }
}
