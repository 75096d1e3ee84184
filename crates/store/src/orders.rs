//! Numbers at a carrier: ordered, held by an account, or to be released.
//!
//! An order is recorded before the carrier is asked, and a release in the transaction that deletes
//! the number. **Invariant: whatever fails between the two, each number that the carrier may have
//! given us either belongs to an account or has a row that leads to its release.**

use std::time::Duration;

use model::record::Number;
use model::{AccountSid, NumberSid, Timestamp};

use crate::admin::Admin;
use crate::row::Row;
use crate::sql::{Sql, args};
use crate::{Result, Store};

/// How long an order may take before it counts as interrupted.
const ORDERING: Duration = Duration::from_secs(300);
/// The wait after the first failed release; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(15);
/// Longest wait between two attempts to release a number.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// Releases that one server attempts in a round.
const AT_ONCE: i64 = 20;

/// A number that was ordered at a carrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberOrder {
    /// In E.164.
    pub phone_number: String,
    /// Identifies the order, also at the carrier; the number will have it.
    pub number: NumberSid,
    /// Account that ordered it.
    pub account: AccountSid,
}

/// A release to be attempted.
struct Due {
    order: NumberOrder,
    due: Timestamp,
    attempts: i64,
}

/// The order is complete: the number is about to be added.
fn hold(number: &Number) -> Sql {
    Sql::new(
        "UPDATE number_orders SET state = 'held' \
         WHERE phone_number = $1 AND number = $2 AND state = 'ordering'",
        args![number.phone_number.as_str(), number.sid],
    )
}

/// A number is about to be deleted for good.
pub(crate) fn release(sid: &str) -> Sql {
    Sql::new(
        "UPDATE number_orders SET state = 'releasing', due = 0, attempts = 0 WHERE number = $1",
        args![sid],
    )
}

fn wait(attempts: i64) -> Duration {
    let doublings = u32::try_from(attempts).unwrap_or(u32::MAX).min(20);
    FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT)
}

impl Store {
    /// Records that a number is about to be ordered at a carrier; `false` if it is ordered, held or
    /// being released already.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn begin_order(&self, order: &NumberOrder, now: Timestamp) -> Result<bool> {
        let sql = Sql::new(
            "INSERT INTO number_orders (phone_number, number, account, state, due, attempts) \
             VALUES ($1, $2, $3, 'ordering', $4, 0) ON CONFLICT (phone_number) \
             DO UPDATE SET due = excluded.due WHERE number_orders.number = excluded.number",
            args![
                order.phone_number.as_str(),
                order.number,
                order.account,
                now + ORDERING
            ],
        );
        self.administer(Admin::Change(sql)).await
    }

    /// Adds a number whose order succeeded; `false` if the order took so long that the number is
    /// being released.
    ///
    /// # Errors
    /// As [`Store::insert_number`]; then the order must be given up.
    pub async fn insert_ordered_number(&self, number: Number) -> Result<bool> {
        let hold = hold(&number);
        self.administer(Admin::InsertOrderedNumber(number, hold))
            .await
    }

    /// The carrier refused an order: nothing is left of it.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn forget_order(&self, order: &NumberOrder) -> Result<()> {
        let sql = Sql::new(
            "DELETE FROM number_orders WHERE phone_number = $1 AND number = $2 AND state <> 'held'",
            args![order.phone_number.as_str(), order.number],
        );
        self.administer(Admin::Change(sql)).await.map(drop)
    }

    /// An order will not be completed, but the carrier may have given us the number: it is released
    /// next.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn give_up_order(&self, order: &NumberOrder) -> Result<()> {
        let sql = Sql::new(
            "UPDATE number_orders SET state = 'releasing', due = 0 \
             WHERE phone_number = $1 AND number = $2 AND state = 'ordering'",
            args![order.phone_number.as_str(), order.number],
        );
        self.administer(Admin::Change(sql)).await.map(drop)
    }

    /// Numbers that this server must release at the carrier now. One whose release fails comes
    /// again later; [`Store::forget_order`] ends that.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn claim_releases(&self, now: Timestamp) -> Result<Vec<NumberOrder>> {
        let mut sql = Sql::default();
        sql.text("SELECT phone_number, number, account, due, attempts FROM number_orders")
            .with(" WHERE state <> 'held' AND due <= ?", now)
            .with(" ORDER BY due LIMIT ?", AT_ONCE);
        let read = |row: &Row| {
            Ok(Due {
                order: NumberOrder {
                    phone_number: row.text("phone_number")?,
                    number: row.word("number")?,
                    account: row.word("account")?,
                },
                due: row.time("due")?,
                attempts: row.int("attempts")?,
            })
        };
        let mut claimed = Vec::new();
        for Due {
            order,
            due,
            attempts,
        } in self.many(sql, read).await?
        {
            // An order in progress can no longer be completed, and no other server has claimed it.
            let sql = Sql::new(
                "UPDATE number_orders SET state = 'releasing', due = $3, attempts = attempts + 1 \
                 WHERE phone_number = $1 AND number = $2 AND state <> 'held' AND due = $4",
                args![
                    order.phone_number.as_str(),
                    order.number,
                    now + wait(attempts),
                    due
                ],
            );
            if self.administer(Admin::Change(sql)).await? {
                claimed.push(order);
            }
        }
        Ok(claimed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_an_hour() {
        let table = [
            (0, 15),
            (1, 30),
            (2, 60),
            (7, 1920),
            (8, 3600),
            (i64::MAX, 3600),
        ];
        for (attempts, seconds) in table {
            assert_eq!(wait(attempts).as_secs(), seconds, "{attempts}");
        }
    }
}
