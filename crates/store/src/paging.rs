//! Reads the window of a list, and counts its rows: the same way for every kind of rows.
//!
//! A database chooses an index by what it knows of a table, which may be nothing; so the choice is made here. Among
//! the conditions of a filter that have an index (`Way`), the first that leads to few rows is used, and these are
//! read, sorted and counted at each request. Of a list for which none does, positions and length are kept
//! (`ladder`, `sorted`). **Invariant: the cost of a window does not depend on its offset,** except in lists that contain
//! the rows of several accounts, or that are sorted by something without an index. **No list takes longer than
//! [`LONGEST`]**, whatever it contains: then it is refused.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use model::AccountSid;
use tokio::time::Instant;

use crate::filter::{Place, RowKey, Rows, Scope, Window};
use crate::ladder::{Ladder, STEP, Steps};
use crate::query::{Conditions, Order, TREE, Way, Written, count_of, counted, windowed};
use crate::readers::Readers;
use crate::row::Row;
use crate::sql::{Sql, Table};
use crate::{Result, Store, StoreError};

/// Adds the conditions of a list.
pub(crate) type Fill<'a> = &'a (dyn Fn(&mut Conditions) + Sync);
/// Reads a row.
pub(crate) type Read<'a, T> = &'a (dyn Fn(&Row) -> Result<T> + Sync);

/// A list of rows that have `created` and `sid`.
#[derive(Clone, Copy)]
pub(crate) struct List<'a> {
    pub(crate) table: &'static Table,
    /// `None` lists the rows of every account.
    pub(crate) scope: Option<Scope>,
    pub(crate) order: &'a Order,
    pub(crate) window: &'a Window,
}

/// A list that is being read.
#[derive(Clone, Copy)]
pub(crate) struct Search<'a> {
    pub(crate) table: &'static Table,
    pub(crate) scope: Option<Scope>,
    pub(crate) order: &'a Order,
    pub(crate) window: &'a Window,
    /// The accounts of the scope, if there are several, but not too many to read their rows side by side.
    pub(crate) accounts: &'a [AccountSid],
    /// Until when: the end of [`LONGEST`].
    pub(crate) until: Instant,
    /// Connections for reads that end then.
    pub(crate) readers: &'a Readers,
}

/// Accounts whose rows are read side by side, each by its index. Those of more accounts are sorted.
const SIDE_BY_SIDE: usize = 50;
/// How long the rows of a list may take, whatever its filter, order and length.
const LONGEST: Duration = Duration::from_secs(5);
/// The same for what is kept of a long list, which is read while nothing waits for it.
pub(crate) const LONGEST_KEPT: Duration = Duration::from_secs(60);

/// How the rows of a list are found.
struct Plan {
    by: Written,
    /// The index has the rows in another order.
    sorts: bool,
    /// The index leads to many rows.
    is_long: bool,
    total: Total,
}

enum Total {
    /// It was not asked for.
    Unknown,
    Exact(i64),
    /// The list is long.
    Kept(Kept),
}

/// The positions in a long list.
struct Kept {
    ladder: Arc<Ladder>,
    added: i64,
}

impl Total {
    fn rows(&self) -> i64 {
        match self {
            Self::Unknown => 0,
            Self::Exact(total) => *total,
            Self::Kept(Kept { ladder, added }) => ladder.total(*added),
        }
    }
}

impl Store {
    /// The rows of a list's window.
    ///
    /// - `fill`: adds the conditions of the list
    ///
    /// # Errors
    /// [`StoreError::TooLong`] after [`LONGEST`].
    pub(crate) async fn list<T: Send>(
        &self,
        list: List<'_>,
        fill: impl Fn(&mut Conditions) + Sync,
        read: impl Fn(&Row) -> Result<T> + Sync,
    ) -> Result<Rows<T>> {
        let until = Instant::now() + LONGEST;
        let readers = self.readers().until(until);
        let List {
            table,
            scope,
            order,
            window,
        } = list;
        let (scope, accounts) = narrowed(&readers, scope).await?;
        let search = Search {
            table,
            scope,
            order,
            window,
            accounts: &accounts,
            until,
            readers: &readers,
        };
        self.rows_of(search, &fill, &read).await
    }

    /// The same, as a future that may contain others of its kind: a sorted list contains lists by age.
    pub(crate) fn rows_of<'a, T: Send + 'a>(
        &'a self,
        list: Search<'a>,
        fill: Fill<'a>,
        read: Read<'a, T>,
    ) -> Pin<Box<dyn Future<Output = Result<Rows<T>>> + Send + 'a>> {
        Box::pin(self.window_of(list, fill, read))
    }

    async fn window_of<T: Send>(
        &self,
        list: Search<'_>,
        fill: Fill<'_>,
        read: Read<'_, T>,
    ) -> Result<Rows<T>> {
        let Window {
            offset,
            limit,
            place,
        } = list.window;
        let plan = self.plan(&list, fill).await?;
        let is_tree = matches!(list.scope, Some(Scope::Tree(_)));
        let is_counted = matches!(place, Place::Offset | Place::AfterRow(_));
        if let Some(column) = list.order.indexed.as_deref()
            && plan.is_long
            && is_counted
            && !is_tree
        {
            return Ok(Rows {
                items: self.sorted_rows(&list, column, fill, read).await?,
                total: plan.total.rows(),
            });
        }
        let (mut skipped, mut order) = (0, list.order);
        let key = match place {
            Place::Offset => {
                let position = self.position(&list, &plan, fill).await?;
                skipped = position.as_ref().map_or(*offset, |(_, rest)| *rest);
                position.map(|(after, _)| after)
            }
            Place::Newest => {
                skipped = *offset;
                None
            }
            Place::OlderThan(key) => {
                order = &Order::NEWEST;
                Some(key.clone())
            }
            Place::NewerThan(key) => {
                order = &Order::OLDEST;
                Some(key.clone())
            }
            Place::AfterRow(sid) => Some(self.key_of(&list, sid).await?),
        };
        let selecting = |scope| {
            let mut selecting = Conditions::written(list.table.select(), scope, plan.by);
            if key.is_some() && order.column.is_none() {
                selecting = selecting.before_key(order.descending);
            }
            fill(&mut selecting);
            if let Some(key) = &key {
                selecting.after(list.table, order, key.clone());
            }
            selecting.finish()
        };
        // What a union is sorted by must be among its columns.
        let has = |column| list.table.columns.contains(&column);
        let is_by_age = order.column.is_none() && !plan.sorts && has("created") && has("sid");
        let selecting = if list.accounts.is_empty() || !is_by_age {
            selecting(list.scope)
        } else {
            let own = list.accounts.iter().map(|sid| Some(Scope::Own(*sid)));
            Sql::union_all(own.map(selecting).collect())
        };
        let order = if plan.sorts || (order.column.is_some() && !plan.is_long) {
            order.without_index()
        } else {
            order.to_string()
        };
        let selecting = windowed(selecting, order, skipped, *limit);
        let mut items = list.readers.many(selecting, read).await?;
        if matches!(place, Place::NewerThan(_)) {
            items.reverse();
        }
        let total = plan.total.rows();
        Ok(Rows { items, total })
    }

    async fn plan(&self, list: &Search<'_>, fill: Fill<'_>) -> Result<Plan> {
        let counts = matches!(list.window.place, Place::Offset | Place::AfterRow(_));
        let mut sketch = Conditions::of(Sql::default(), list.scope);
        fill(&mut sketch);
        let (ways, rest) = (&sketch.ways[..], sketch.rest);
        let first_equal = ways.iter().position(|way| *way == Way::Equal);
        let by_age = Plan {
            by: Written::By(first_equal),
            sorts: false,
            is_long: true,
            total: Total::Unknown,
        };
        let is_simple = ways.is_empty() || (ways == [Way::Equal] && !rest);
        if !counts && is_simple {
            return Ok(by_age);
        }
        if let Some(scope) = list.scope
            && list.table.counted
            && sketch.only_scope
        {
            let total = list
                .readers
                .first(counted(scope, list.table.name), |row| row.int("n"));
            let total = total.await?.unwrap_or(0);
            return Ok(Plan {
                is_long: total > STEP,
                total: Total::Exact(total),
                ..by_age
            });
        }
        let choices = (0..ways.len()).map(Some);
        let choices = choices.chain(ways.is_empty().then_some(None));
        for choice in choices {
            let few = self.few(list, choice, fill).await?;
            let Some(few) = few else { continue };
            let by = Written::By(choice);
            let total = match counts {
                false => Total::Unknown,
                true if ways.len() <= 1 && !rest => Total::Exact(few),
                true => Total::Exact(self.count(list, by, fill).await?),
            };
            return Ok(Plan {
                by,
                sorts: choice.is_some_and(|at| ways.get(at) == Some(&Way::Range)),
                is_long: false,
                total,
            });
        }
        let total = match (counts, list.scope) {
            (false, _) => Total::Unknown,
            (true, Some(Scope::Tree(_))) => Total::Exact(self.count(list, by_age.by, fill).await?),
            (true, Some(Scope::Own(_)) | None) => {
                Total::Kept(self.kept(list, &self.steps(list, by_age.by, fill)).await?)
            }
        };
        Ok(Plan { total, ..by_age })
    }

    /// The number of rows to which the index of a way leads, if they are few.
    async fn few(
        &self,
        list: &Search<'_>,
        way: Option<usize>,
        fill: Fill<'_>,
    ) -> Result<Option<i64>> {
        let head = Sql::new(format!("SELECT 1 FROM {}", list.table.name), Vec::new());
        let mut found = Conditions::written(head, list.scope, Written::Only(way));
        fill(&mut found);
        let mut found = found.finish();
        found.with(" LIMIT ?", STEP + 1);
        let counting = found.inside("SELECT COUNT(*) AS n FROM (", ") AS found");
        let count = list
            .readers
            .first(counting, |row| row.int("n"))
            .await?
            .unwrap_or(0);
        Ok((count <= STEP).then_some(count))
    }

    async fn count(&self, list: &Search<'_>, by: Written, fill: Fill<'_>) -> Result<i64> {
        let mut counting = Conditions::written(count_of(list.table.name), list.scope, by);
        fill(&mut counting);
        let total = list
            .readers
            .first(counting.finish(), |row| row.int("n"))
            .await?;
        Ok(total.unwrap_or(0))
    }

    /// The row after which the window lies, and how many rows are between them; `None` if they are few from the
    /// beginning, or the order has no ladder.
    async fn position(
        &self,
        list: &Search<'_>,
        plan: &Plan,
        fill: Fill<'_>,
    ) -> Result<Option<(RowKey, i64)>> {
        let offset = list.window.offset;
        let is_tree = matches!(list.scope, Some(Scope::Tree(_)));
        if offset <= STEP || !plan.is_long || is_tree || list.order.column.is_some() {
            return Ok(None);
        }
        let position = match &plan.total {
            Total::Kept(Kept { ladder, added }) => ladder.position(list.order, offset, *added),
            Total::Exact(_) | Total::Unknown => {
                let Kept { ladder, added } =
                    self.kept(list, &self.steps(list, plan.by, fill)).await?;
                ladder.position(list.order, offset, added)
            }
        };
        Ok(position.after.map(|after| (after, position.skipped)))
    }

    /// The list by age: in its own order, or the newest first if it is sorted by something else.
    fn steps(&self, list: &Search<'_>, by: Written, fill: Fill<'_>) -> Steps {
        let head = format!("SELECT created, sid FROM {}", list.table.name);
        let head = Sql::new(head, Vec::new());
        let keys = |beside: Option<bool>| {
            let mut keys = Conditions::written(head.clone(), list.scope, by);
            if let Some(older) = beside {
                keys = keys.before_key(older);
            }
            fill(&mut keys);
            keys.finish()
        };
        let is_oldest_first = list.order.column.is_none() && !list.order.descending;
        Steps {
            all: keys(None),
            older: keys(Some(true)),
            newer: keys(Some(false)),
            order: if is_oldest_first {
                &Order::OLDEST
            } else {
                &Order::NEWEST
            },
        }
    }

    async fn kept(&self, list: &Search<'_>, steps: &Steps) -> Result<Kept> {
        let read = || {
            let readers = self.readers().until(Instant::now() + LONGEST_KEPT);
            let steps = steps.clone();
            async move { Ladder::read(&readers, &steps).await }
        };
        let ladder = self.ladders().of(&steps.key(), list.until, read).await?;
        let added = ladder.added(list.readers, steps).await?;
        Ok(Kept { ladder, added })
    }

    /// The key of a row that the list may contain.
    async fn key_of(&self, list: &Search<'_>, sid: &str) -> Result<RowKey> {
        let head = format!("SELECT created FROM {}", list.table.name);
        let mut finding = Conditions::of(Sql::new(head, Vec::new()), list.scope);
        finding.add(" AND sid = ?", sid);
        let created = list
            .readers
            .first(finding.finish(), |row| row.time("created"));
        Ok(RowKey {
            created: (created.await?).ok_or_else(|| StoreError::NoRow(sid.to_owned()))?,
            sid: sid.to_owned(),
        })
    }
}

/// The scope, and its accounts if they can be read side by side; an account alone if there is none below it.
async fn narrowed(
    readers: &Readers,
    scope: Option<Scope>,
) -> Result<(Option<Scope>, Vec<AccountSid>)> {
    let Some(Scope::Tree(root)) = scope else {
        return Ok((scope, Vec::new()));
    };
    let limit = i64::try_from(SIDE_BY_SIDE + 1).unwrap_or(i64::MAX);
    let mut sql = Sql::new("SELECT sid FROM accounts WHERE sid", Vec::new());
    sql.with(TREE, root).with(" LIMIT ?", limit);
    let found: Vec<AccountSid> = readers.many(sql, |row| row.word("sid")).await?;
    Ok(match found.len() {
        0 | 1 => (Some(Scope::Own(root)), Vec::new()),
        2..=SIDE_BY_SIDE => (scope, found),
        _ => (scope, Vec::new()),
    })
}
