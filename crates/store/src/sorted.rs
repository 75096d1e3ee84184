//! Long lists that are sorted by something other than age: the rows are in groups that have the same value.
//!
//! An index has the groups in order, and the rows of each by age. What is kept in memory (`memory`) is where groups
//! begin, about [`STEP`] rows apart; a group with more rows is on its own. So a window is read as parts: of a long
//! group as of a list by age, of short groups by sorting a few hundred rows. **Invariant: rows with the same value are
//! newest first, in either direction.**

use tokio::time::Instant;

use crate::filter::{Place, RowKey, Window};
use crate::paging::{Fill, LONGEST_KEPT, Read, Search};
use crate::query::{Conditions, Order, Written};
use crate::readers::Readers;
use crate::row::Row;
use crate::sql::{Arg, Sql};
use crate::{Result, Store, StoreError};

/// Rows from one kept value to the next.
const STEP: i64 = 500;

/// The groups of a list, as parts that are read at once.
#[derive(Debug, Default)]
pub(crate) struct Groups(Vec<Part>);

/// A long group, or a few short ones.
#[derive(Debug, Clone)]
struct Part {
    /// The first value.
    from: Arg,
    /// The first value of the next part.
    until: Option<Arg>,
    rows: i64,
    is_one: bool,
}

/// The beginning of a window.
enum Start {
    Offset(i64),
    After(Arg, RowKey),
}

/// A list as the end of a statement, `FROM table WHERE …`, and the column that it is sorted by.
#[derive(Clone)]
struct Sorted {
    rows: Sql,
    column: String,
}

impl Sorted {
    async fn groups(self, readers: Readers) -> Result<Groups> {
        let mut parts = Vec::new();
        let mut next = self.value(&readers, None, 0).await?;
        while let Some(from) = next {
            let same = self.count(&readers, (" = ?", &from), None).await?;
            let is_one = same >= STEP;
            let skipped = if is_one { 0 } else { STEP - same };
            next = self.value(&readers, Some(&from), skipped).await?;
            let others = if is_one {
                0
            } else {
                let until = next.as_ref().map(|next| (" < ?", next));
                self.count(&readers, (" > ?", &from), until).await?
            };
            parts.push(Part {
                from,
                until: next.clone(),
                rows: same + others,
                is_one,
            });
        }
        Ok(Groups(parts))
    }

    /// The value of the row at an offset among those with larger values, in the order of the values.
    async fn value(
        &self,
        readers: &Readers,
        above: Option<&Arg>,
        offset: i64,
    ) -> Result<Option<Arg>> {
        let column = &self.column;
        let mut sql = (self.rows.clone()).inside(&format!("SELECT {column} AS value"), "");
        if let Some(above) = above {
            sql.with(&format!(" AND {column} > ?"), above.clone());
        }
        sql.text(&format!(" ORDER BY {column}"))
            .with(" LIMIT 1 OFFSET ?", offset);
        readers.first(sql, |row| row.arg("value")).await
    }

    async fn count(
        &self,
        readers: &Readers,
        one: (&str, &Arg),
        other: Option<(&str, &Arg)>,
    ) -> Result<i64> {
        let mut sql = self.rows.clone().inside("SELECT COUNT(*) AS n", "");
        for (condition, value) in [Some(one), other].into_iter().flatten() {
            sql.with(&format!(" AND {}{condition}", self.column), value.clone());
        }
        let found = readers.first(sql, |row| row.int("n")).await?;
        Ok(found.unwrap_or(0))
    }
}

impl Store {
    /// The window of a long list of one account that is sorted by a column.
    pub(crate) async fn sorted_rows<T: Send>(
        &self,
        list: &Search<'_>,
        column: &str,
        fill: Fill<'_>,
        read: Read<'_, T>,
    ) -> Result<Vec<T>> {
        let (descending, limit) = (list.order.descending, list.window.limit);
        let start = match &list.window.place {
            Place::AfterRow(sid) => self.sorted_place(list, column, sid).await?,
            Place::Offset | Place::Newest | Place::OlderThan(_) | Place::NewerThan(_) => {
                Start::Offset(list.window.offset)
            }
        };
        let head = Sql::new(format!(" FROM {}", list.table.name), Vec::new());
        let mut all = Conditions::written(head, list.scope, Written::By(None));
        fill(&mut all);
        let sorted = Sorted {
            rows: all.finish(),
            column: column.to_owned(),
        };
        let key = format!(
            "by {column} {} {:?}",
            sorted.rows.as_text(),
            sorted.rows.args()
        );
        let readers = self.readers().until(Instant::now() + LONGEST_KEPT);
        let groups = self
            .groups()
            .of(&key, list.until, || sorted.groups(readers))
            .await?;
        let mut parts: Vec<&Part> = groups.0.iter().collect();
        if descending {
            parts.reverse();
        }
        let mut items = Vec::new();
        let mut skipped = match &start {
            Start::Offset(offset) => *offset,
            Start::After(value, key) => {
                let older = Place::OlderThan(key.clone());
                items = self
                    .group(list, (column, value), (0, limit, older), fill, read)
                    .await?;
                0
            }
        };
        for part in parts {
            let missing = limit - i64::try_from(items.len()).unwrap_or(limit);
            if missing <= 0 {
                break;
            }
            let beyond = match &start {
                Start::After(value, _) if part.is_before(value, descending) => continue,
                Start::After(value, _) => part.beyond(value, descending),
                Start::Offset(_) if skipped >= part.rows => {
                    skipped -= part.rows;
                    continue;
                }
                Start::Offset(_) => None,
            };
            let window = (skipped, missing);
            items.extend(if part.is_one && beyond.is_none() {
                let window = (skipped, missing, Place::Offset);
                self.group(list, (column, &part.from), window, fill, read)
                    .await?
            } else {
                self.part(list, (column, part, beyond), window, fill, read)
                    .await?
            });
            skipped = 0;
        }
        Ok(items)
    }

    /// The value and age of a row that the list may contain.
    async fn sorted_place(&self, list: &Search<'_>, column: &str, sid: &str) -> Result<Start> {
        let head = format!("SELECT {column} AS value, created FROM {}", list.table.name);
        let mut finding = Conditions::of(Sql::new(head, Vec::new()), list.scope);
        finding.add(" AND sid = ?", sid);
        let read = |row: &Row| Ok((row.arg("value")?, row.time("created")?));
        let found = list.readers.first(finding.finish(), read).await?;
        let (value, created) = found.ok_or_else(|| StoreError::NoRow(sid.to_owned()))?;
        let sid = sid.to_owned();
        Ok(Start::After(value, RowKey { created, sid }))
    }

    /// Rows of one group: those of a list by age.
    async fn group<T: Send>(
        &self,
        list: &Search<'_>,
        (column, value): (&str, &Arg),
        (offset, limit, place): (i64, i64, Place),
        fill: Fill<'_>,
        read: Read<'_, T>,
    ) -> Result<Vec<T>> {
        let fill = |conditions: &mut Conditions| {
            conditions.equal(column, value.clone());
            fill(conditions);
        };
        let window = Window {
            offset,
            limit,
            place,
        };
        let list = Search {
            order: &Order::NEWEST,
            window: &window,
            ..*list
        };
        Ok(self.rows_of(list, &fill, read).await?.items)
    }

    /// Rows of a part, or of it beyond a value.
    async fn part<T: Send>(
        &self,
        list: &Search<'_>,
        (column, part, beyond): (&str, &Part, Option<&Arg>),
        (offset, limit): (i64, i64),
        fill: Fill<'_>,
        read: Read<'_, T>,
    ) -> Result<Vec<T>> {
        let select = list.table.select();
        let mut selecting = Conditions::written(select, list.scope, Written::By(None));
        fill(&mut selecting);
        let (mut from, mut until) = ((">=", Some(&part.from)), part.until.as_ref());
        match beyond {
            Some(value) if list.order.descending => until = Some(value),
            Some(value) => from = (">", Some(value)),
            None => {}
        }
        let (sign, value) = from;
        for (sign, value) in [(sign, value), ("<", until)] {
            if let Some(value) = value {
                selecting.add(&format!(" AND {column} {sign} ?"), value.clone());
            }
        }
        let selecting = selecting.window(list.order, offset, limit);
        list.readers.many(selecting, read).await
    }
}

impl Part {
    /// Whether all its values come before another one, or are that one.
    fn is_before(&self, value: &Arg, descending: bool) -> bool {
        if descending {
            return !self.from.is_below(value);
        }
        let is_last = self.is_one && !value.is_below(&self.from);
        let ends_before = |until: &Arg| !value.is_below(until);
        is_last || self.until.as_ref().is_some_and(ends_before)
    }

    /// The value, if it is among those of this part.
    fn beyond<'v>(&self, value: &'v Arg, descending: bool) -> Option<&'v Arg> {
        let contains = if self.is_one {
            false
        } else if descending {
            (self.until.as_ref()).is_none_or(|until| value.is_below(until))
        } else {
            !value.is_below(&self.from)
        };
        contains.then_some(value)
    }
}
