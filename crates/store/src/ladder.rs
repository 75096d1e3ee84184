//! Positions in long lists: the key of every [`STEP`]th row, from which the rows at any offset are found at a
//! cost that does not depend on the offset, and the number of rows.
//!
//! A ladder is made by reading the list once, in small steps, and is kept in memory for some time (`memory`).
//! **Invariant: what was added since then is counted at each request,** so that only other changes (a filter that an
//! older row matches from now on or no longer, a deletion) are seen late.

use crate::Result;
use crate::filter::RowKey;
use crate::query::{Order, windowed};
use crate::readers::Readers;
use crate::row::Row;
use crate::sql::Sql;

/// Rows from one kept key to the next. A list that is not longer is counted at each request. A ladder of 10,000,000
/// rows needs about half a megabyte.
pub(crate) const STEP: i64 = 2_000;

/// A list by age, as statements that select `created` and `sid` of its rows, without an order.
#[derive(Debug, Clone)]
pub(crate) struct Steps {
    /// All rows.
    pub(crate) all: Sql,
    /// Rows older than a key, which is to be added.
    pub(crate) older: Sql,
    /// Rows newer than a key, which is to be added.
    pub(crate) newer: Sql,
    pub(crate) order: &'static Order,
}

/// What is known of a long list.
#[derive(Debug)]
pub(crate) struct Ladder {
    /// The newest row.
    newest: Option<RowKey>,
    /// The row before offset `STEP`, the one before `2 * STEP`, and so on.
    rungs: Vec<RowKey>,
    total: i64,
}

/// Where the rows at an offset are: so many rows after a row, or after the beginning.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) after: Option<RowKey>,
    pub(crate) skipped: i64,
}

impl Ladder {
    pub(crate) async fn read(readers: &Readers, steps: &Steps) -> Result<Self> {
        let newest = windowed(steps.all.clone(), &Order::NEWEST, 0, 1);
        let newest = readers.first(newest, key_of).await?;
        let mut rungs: Vec<RowKey> = Vec::new();
        loop {
            let rest = steps.beyond(rungs.last());
            let next = windowed(rest, steps.order, STEP - 1, 1);
            match readers.first(next, key_of).await? {
                Some(rung) => rungs.push(rung),
                None => break,
            }
        }
        let full = i64::try_from(rungs.len()).unwrap_or(i64::MAX);
        let rest = count(readers, steps.beyond(rungs.last()), 2 * STEP).await?;
        Ok(Self {
            newest,
            rungs,
            total: full.saturating_mul(STEP).saturating_add(rest),
        })
    }

    /// How many rows were added since the ladder was made.
    pub(crate) async fn added(&self, readers: &Readers, steps: &Steps) -> Result<i64> {
        let added = match &self.newest {
            Some(newest) => steps.newer.clone().beside(false, newest),
            None => steps.all.clone(),
        };
        count(readers, added, i64::MAX).await
    }

    /// - `added`: how many rows were added since it was made
    pub(crate) const fn total(&self, added: i64) -> i64 {
        self.total.saturating_add(added)
    }

    /// Where the rows at an offset of the present list are.
    pub(crate) fn position(&self, order: &Order, offset: i64, added: i64) -> Position {
        let before = if order.descending { added } else { 0 };
        let inside = offset.saturating_sub(before);
        // The first rungs are near the beginning, where rows may have been added.
        let rung = usize::try_from(inside / STEP)
            .unwrap_or(0)
            .min(self.rungs.len());
        match rung.checked_sub(1).and_then(|at| self.rungs.get(at)) {
            Some(key) => Position {
                after: Some(key.clone()),
                skipped: inside - i64::try_from(rung).unwrap_or(0) * STEP,
            },
            None => Position {
                after: None,
                skipped: offset,
            },
        }
    }
}

impl Steps {
    /// What tells it from other lists.
    pub(crate) fn key(&self) -> String {
        let (text, args) = (self.all.as_text(), self.all.args());
        format!("{text} {args:?} {}", self.order)
    }

    /// The rows beyond one of them, or all.
    fn beyond(&self, row: Option<&RowKey>) -> Sql {
        match row {
            Some(row) if self.order.descending => self.older.clone().beside(true, row),
            Some(row) => self.newer.clone().beside(false, row),
            None => self.all.clone(),
        }
    }
}

fn key_of(row: &Row) -> Result<RowKey> {
    Ok(RowKey {
        created: row.time("created")?,
        sid: row.text("sid")?,
    })
}

/// The number of rows that a statement selects, if it is not above a limit.
async fn count(readers: &Readers, mut rows: Sql, limit: i64) -> Result<i64> {
    rows.with(" LIMIT ?", limit);
    let counting = rows.inside("SELECT COUNT(*) AS n FROM (", ") AS found");
    let found = readers.first(counting, |row| row.int("n")).await?;
    Ok(found.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(row: i64) -> RowKey {
        RowKey {
            created: model::Timestamp(row),
            sid: format!("row {row}"),
        }
    }

    /// Of five rungs and a half; the rows are named by their offset at that time.
    fn ladder() -> Ladder {
        Ladder {
            newest: Some(key(0)),
            rungs: (1..=5).map(|rung| key(rung * STEP - 1)).collect(),
            total: 5 * STEP + STEP / 2,
        }
    }

    #[test]
    fn an_offset_is_near_a_rung() {
        let table = [
            (0, 0, None, 0),
            (STEP - 1, 0, None, STEP - 1),
            (STEP, 0, Some(STEP - 1), 0),
            (STEP + 7, 0, Some(STEP - 1), 7),
            (STEP + 7, 7, Some(STEP - 1), 0),
            (STEP + 7, 8, None, STEP + 7),
            (3, 100, None, 3),
            (5 * STEP + 9, 0, Some(5 * STEP - 1), 9),
            (9 * STEP, 0, Some(5 * STEP - 1), 4 * STEP),
        ];
        for (offset, added, after, skipped) in table {
            let expected = Position {
                after: after.map(key),
                skipped,
            };
            let newest_first = ladder().position(&Order::NEWEST, offset, added);
            assert_eq!(newest_first, expected, "{offset} with {added} more");
        }
        // Rows are added at the other end.
        let oldest_first = ladder().position(&Order::OLDEST, STEP + 7, 8);
        assert_eq!(oldest_first.skipped, 7);
        assert_eq!(ladder().total(8), 5 * STEP + STEP / 2 + 8);
    }
}
