//! How many rows each account has of each kind, as kept in the table `counters`.
//!
//! **Invariant: a transaction changes counters last, in one order,** so two servers that share a
//! database never deadlock over them.

use std::collections::BTreeMap;

use model::AccountSid;

use crate::connection::{Connection, Failure};
use crate::sql::{Sql, args};

/// What the operations of a transaction add to the counters.
#[derive(Debug, Default)]
pub(crate) struct Counts(BTreeMap<(AccountSid, &'static str), i64>);

impl Counts {
    /// Adds `by` to the number of an account's rows of a kind.
    pub(crate) fn add(&mut self, account: AccountSid, kind: &'static str, by: i64) {
        *self.0.entry((account, kind)).or_default() += by;
    }

    /// Changes the counters: the last statements of the transaction.
    pub(crate) async fn write(self, db: &mut Connection) -> Result<(), Failure> {
        for ((account, kind), by) in self.0 {
            db.execute(Sql::new(
                "INSERT INTO counters (account, kind, n) VALUES ($1, $2, $3) \
                 ON CONFLICT (account, kind) DO UPDATE SET n = counters.n + excluded.n",
                args![account, kind, by],
            ))
            .await?;
        }
        Ok(())
    }
}
