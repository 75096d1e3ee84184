//! The shared parts of list queries.

use std::fmt::{self, Display};

use model::{AccountSid, Timestamp};

use crate::dialect::Dialect;
use crate::filter::{RowKey, Scope};
use crate::sql::{Arg, Sql, Table, pattern};

/// Characters of a party that its index has ([`Dialect::last_four`]).
const INDEXED_END: usize = 4;

/// Continues a statement that ends with an account column: matches that account and all below it.
pub(crate) const TREE: &str = " IN (WITH RECURSIVE tree (sid) AS \
    (SELECT sid FROM accounts WHERE sid = ? \
    UNION SELECT child.sid FROM accounts child JOIN tree ON child.parent = tree.sid) \
    SELECT sid FROM tree)";

/// The order of a list of rows with `created` and `sid`.
#[derive(Debug)]
pub(crate) struct Order {
    /// The primary sort key before the age: an expression with its collation. `None` sorts by age
    /// alone.
    pub(crate) column: Option<String>,
    /// The same, if there is an index of the account, this and the age.
    pub(crate) indexed: Option<String>,
    /// Largest first. Rows with equal `column` are always newest first.
    pub(crate) descending: bool,
}

impl Order {
    /// Newest first.
    pub(crate) const NEWEST: Self = Self {
        column: None,
        indexed: None,
        descending: true,
    };
    /// The order, such that no index in this order is used: the rows are few, and found by another one.
    pub(crate) fn without_index(&self) -> String {
        let order = self.to_string();
        match &self.column {
            None => order.replace("created", "created + 0"),
            Some(column) => order.replacen(column, &format!("COALESCE({column}, {column})"), 1),
        }
    }

    /// Oldest first.
    pub(crate) const OLDEST: Self = Self {
        column: None,
        indexed: None,
        descending: false,
    };
}

impl Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.descending { "DESC" } else { "ASC" };
        match &self.column {
            None => write!(f, "created {direction}, sid {direction}"),
            Some(column) => write!(f, "{column} {direction}, created DESC, sid DESC"),
        }
    }
}

/// One of the indexes by which the rows of a list can be found: that of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// A column has one value; the index has these rows by age.
    Equal,
    /// A column is in a range, or is one of some values; the rows are in another order.
    Range,
}

/// Which conditions are written, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// All; the database chooses the index.
    All,
    /// All, such that the database can use the index of only this way; of none with `None`.
    By(Option<usize>),
    /// Only this way, if any, and the age: the rows that its index leads to.
    Only(Option<usize>),
}

/// Conditions joined by AND.
pub(crate) struct Conditions {
    sql: Sql,
    written: Written,
    /// The conditions that have an index of their own, in the order in which they were added: the
    /// ones that usually match fewer rows come first.
    pub(crate) ways: Vec<Way>,
    /// Whether there are conditions without an index.
    pub(crate) rest: bool,
    /// Whether there are none besides the scope.
    pub(crate) only_scope: bool,
    /// Whether the rows are older (`true`) or newer than a key that is added later.
    beside: Option<bool>,
}

impl Conditions {
    /// ` FROM table WHERE` with the scope; `head` comes before.
    pub(crate) fn new(head: Sql, scope: Scope) -> Self {
        Self::of(head, Some(scope))
    }

    /// As [`Conditions::new`], or for the rows of all accounts.
    pub(crate) fn of(head: Sql, scope: Option<Scope>) -> Self {
        Self::written(head, scope, Written::All)
    }

    /// As [`Conditions::of`], with a choice of the conditions that are written.
    pub(crate) fn written(mut head: Sql, scope: Option<Scope>, written: Written) -> Self {
        match scope {
            Some(Scope::Own(sid)) => head.with(" WHERE account = ?", sid),
            Some(Scope::Tree(sid)) => head.text(" WHERE account").with(TREE, sid),
            None => head.text(" WHERE 1 = 1"),
        };
        Self {
            sql: head,
            written,
            ways: Vec::new(),
            rest: false,
            only_scope: scope.is_some(),
            beside: None,
        }
    }

    /// To be followed by [`Conditions::beside`]. Of two bounds at the same side, a database may use the one that excludes
    /// fewer rows, so only the key is written as one.
    pub(crate) fn before_key(mut self, older: bool) -> Self {
        self.beside = Some(older);
        self
    }

    /// Only callbacks that are not pending.
    pub(crate) fn ended(&mut self) {
        self.without_index(|sql| {
            sql.text(" AND state <> 'pending'");
        });
    }

    /// Only callbacks that are pending, and that are not to be dropped.
    pub(crate) fn pending(&mut self) {
        self.without_index(|sql| {
            sql.text(" AND state = 'pending' AND dropped IS NULL");
        });
    }

    /// `column` is one of these values; no row without one. There is an index of the column and the age.
    pub(crate) fn among<T: Copy + Into<Arg>>(&mut self, column: &str, values: &[T]) {
        match values {
            [] => self.without_index(|sql| {
                sql.text(" AND 1 = 0");
            }),
            [value] => self.equal(column, *value),
            values => self.way(Way::Range, column, "|| ''", |sql| {
                sql.among(values);
            }),
        }
    }

    /// `column` has a value.
    pub(crate) fn has(&mut self, column: &str) {
        self.without_index(|sql| {
            sql.text(&format!(" AND {column} IS NOT NULL"));
        });
    }

    /// `column` has no value.
    pub(crate) fn has_no(&mut self, column: &str) {
        self.without_index(|sql| {
            sql.text(&format!(" AND {column} IS NULL"));
        });
    }

    /// `column LIKE pattern`, in any letter case, with `prefix` and `suffix` around the pattern.
    pub(crate) fn like(&mut self, column: &str, around: (&str, &str), text: Option<&str>) {
        let Some(text) = text else { return };
        let (before, after) = around;
        let wanted = format!("{before}{}{after}", pattern(text));
        let condition = format!("LOWER({column}) LIKE ? ESCAPE '\\'");
        self.add(&format!(" AND {}", of_many(&condition)), wanted);
    }

    /// `column` is a word that matches one of some patterns, in any letter case; all rows without a
    /// pattern. Words are lower-case, and there is an index of the column and the age.
    pub(crate) fn words(&mut self, column: &str, patterns: &[String]) {
        if patterns.is_empty() {
            return;
        }
        if !patterns.iter().any(|text| has_wildcards(text)) {
            let words: Vec<_> = patterns.iter().map(|text| text.to_lowercase()).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            return self.among(column, &words);
        }
        self.like_any(column, patterns);
    }

    /// `column LIKE` one of some patterns, in any letter case; all rows without a pattern.
    pub(crate) fn like_any(&mut self, column: &str, patterns: &[String]) {
        if patterns.is_empty() {
            return;
        }
        self.without_index(|sql| {
            let each = vec![format!("LOWER({column}) LIKE ? ESCAPE '\\'"); patterns.len()];
            let mut condition = format!(" AND {}", of_many(&each.join(" OR ")));
            for text in patterns {
                let (before, after) = condition.split_once('?').unwrap_or((&condition, ""));
                sql.with(&format!("{before}?"), pattern(text));
                condition = after.to_owned();
            }
            sql.text(&condition);
        });
    }

    /// Equality, of which there is an index with the age, or `LIKE` if the text has wildcards.
    pub(crate) fn matches(&mut self, column: &str, text: Option<&str>) {
        match text {
            Some(text) if has_wildcards(text) => self.like(column, ("", ""), Some(text)),
            Some(text) => self.equal(column, text),
            None => {}
        }
    }

    /// A party of a call or message: the whole value, or a pattern for its end. There is an index of
    /// the last characters ([`Dialect::last_four`]) and the age.
    pub(crate) fn party(
        &mut self,
        dialect: Dialect,
        column: &str,
        exact: bool,
        text: Option<&str>,
    ) {
        let Some(text) = text else { return };
        if let Some(end) = indexed_end(text, exact) {
            self.equal(&dialect.last_four(column), end);
        }
        if exact {
            let condition = of_many(&format!("{column} = ?"));
            self.add(&format!(" AND {condition}"), text);
        } else {
            self.like(column, ("%", ""), Some(text));
        }
    }

    /// Rows older or newer than a key.
    pub(crate) fn beside(&mut self, older: bool, key: RowKey) {
        self.without_index(|sql| *sql = std::mem::take(sql).beside(older, &key));
    }

    /// The rows that follow a given one in an order.
    pub(crate) fn after(&mut self, table: &Table, order: &Order, row: RowKey) {
        let Some(column) = &order.column else {
            return self.beside(order.descending, row);
        };
        let sign = if order.descending { '<' } else { '>' };
        let value = format!("(SELECT {column} FROM {} WHERE sid = ?)", table.name);
        let sid = row.sid.clone();
        self.add(&format!(" AND ({column} {sign} {value}"), sid.clone());
        self.add(&format!(" OR ({column} = {value}"), sid);
        self.beside(true, row);
        self.without_index(|sql| {
            sql.text("))");
        });
    }

    /// The rows are of an age: `created >= from` and `created <= until`. Every index that leads to rows
    /// by age serves this, too. To be added after the ways.
    pub(crate) fn created(&mut self, from: Option<Timestamp>, until: Option<Timestamp>) {
        if from.or(until).is_some() {
            self.only_scope = false;
            let chosen = match self.written {
                Written::By(chosen) | Written::Only(chosen) => chosen,
                Written::All => None,
            };
            let way = chosen.and_then(|at| self.ways.get(at));
            let column = |bounded_by_key: bool| {
                if way == Some(&Way::Range) || bounded_by_key {
                    "(created + 0)"
                } else {
                    "created"
                }
            };
            range(
                &mut self.sql,
                column(self.beside == Some(false)),
                from,
                None,
            );
            range(
                &mut self.sql,
                column(self.beside == Some(true)),
                None,
                until,
            );
        }
    }

    /// `column >= from` and `column <= until`; there is an index of the column.
    pub(crate) fn between(
        &mut self,
        column: &str,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
    ) {
        if from.or(until).is_none() {
            return;
        }
        let column_of = |by_index: bool| match by_index {
            true => column.to_owned(),
            false => format!("({column} + 0)"),
        };
        if let Some(by_index) = self.add_way(Way::Range) {
            range(&mut self.sql, &column_of(by_index), from, until);
        }
    }

    /// `column` has this value; there is an index of the column and the age.
    pub(crate) fn equal(&mut self, column: &str, value: impl Into<Arg>) {
        let value = value.into();
        let unchanged = match value {
            Arg::Int(_) => "+ 0",
            Arg::Text(_) | Arg::Blob(_) => "|| ''",
        };
        self.way(Way::Equal, column, unchanged, |sql| {
            sql.with(" = ?", value);
        });
    }

    /// Adds a condition without an index.
    pub(crate) fn add(&mut self, text: &str, arg: impl Into<Arg>) {
        self.without_index(|sql| {
            sql.with(text, arg);
        });
    }

    /// The statement.
    pub(crate) fn finish(self) -> Sql {
        self.sql
    }

    /// The statement with an order and a window.
    pub(crate) fn window(self, order: impl Display, offset: i64, limit: i64) -> Sql {
        windowed(self.sql, order, offset, limit)
    }

    /// - `unchanged`: an operation that changes no value, after which no index is used
    fn way(&mut self, way: Way, column: &str, unchanged: &str, rest: impl FnOnce(&mut Sql)) {
        let Some(by_index) = self.add_way(way) else {
            return;
        };
        let condition = match by_index {
            true => format!(" AND {column}"),
            false => format!(" AND ({column} {unchanged})"),
        };
        self.sql.text(&condition);
        rest(&mut self.sql);
    }

    /// Whether the next way is written, and if so, whether its index can be used.
    fn add_way(&mut self, way: Way) -> Option<bool> {
        self.only_scope = false;
        let this = Some(self.ways.len());
        self.ways.push(way);
        match self.written {
            Written::All => Some(true),
            Written::By(chosen) => Some(chosen == this),
            Written::Only(chosen) => (chosen == this).then_some(true),
        }
    }

    fn without_index(&mut self, write: impl FnOnce(&mut Sql)) {
        self.only_scope = false;
        self.rest = true;
        if !matches!(self.written, Written::Only(_)) {
            write(&mut self.sql);
        }
    }
}

/// A condition that may match most of the rows that an index leads to, whatever it looks like. PostgreSQL believes that a
/// pattern matches few: it would rather read all rows and sort those than read the first ones in the order of the index.
fn of_many(condition: &str) -> String {
    format!("COALESCE({condition}, FALSE)")
}

/// Adds `column >= from` and `column <= until`.
fn range(sql: &mut Sql, column: &str, from: Option<Timestamp>, until: Option<Timestamp>) {
    if let Some(from) = from {
        sql.with(&format!(" AND {column} >= ?"), from);
    }
    if let Some(until) = until {
        sql.with(&format!(" AND {column} <= ?"), until);
    }
}

/// Adds an order and a window to a statement.
pub(crate) fn windowed(mut sql: Sql, order: impl Display, offset: i64, limit: i64) -> Sql {
    sql.text(" ORDER BY ")
        .text(&order.to_string())
        .with(" LIMIT ?", limit)
        .with(" OFFSET ?", offset);
    sql
}

/// Whether a text is a pattern.
pub(crate) fn has_wildcards(text: &str) -> bool {
    text.contains(['%', '_'])
}

/// The last characters of a party as they are in the index, if all parties that match have the same.
fn indexed_end(text: &str, exact: bool) -> Option<String> {
    let first = text.char_indices().rev().nth(INDEXED_END - 1);
    let end = match first {
        Some((at, _)) => &text[at..],
        None if exact => text,
        None => return None,
    };
    // Databases differ in the lower case of other letters.
    (end.is_ascii() && (exact || !has_wildcards(end))).then(|| end.to_ascii_lowercase())
}

/// `SELECT COUNT` up to the table.
pub(crate) fn count_of(table: &str) -> Sql {
    Sql::new(format!("SELECT COUNT(*) AS n FROM {table}"), Vec::new())
}

/// The counters' value for a kind of rows.
pub(crate) fn counted(scope: Scope, kind: &'static str) -> Sql {
    let head = Sql::new(
        "SELECT CAST(COALESCE(SUM(n), 0) AS BIGINT) AS n FROM counters",
        Vec::new(),
    );
    let mut conditions = Conditions::new(head, scope);
    conditions.add(" AND kind = ?", kind);
    conditions.finish()
}

/// An account and all below it.
pub(crate) fn tree_of(sid: AccountSid, mut head: Sql) -> Sql {
    head.with(TREE, sid);
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Conditions of two kinds of ways, one without an index, and the age.
    fn filled(written: Written) -> Conditions {
        let mut conditions = Conditions::written(Sql::default(), None, written);
        conditions.equal("code", 7);
        conditions.words("status", &["Busy".to_owned(), "failed".to_owned()]);
        conditions.between("started", Some(Timestamp(1)), None);
        conditions.like("body", ("%", "%"), Some("x"));
        conditions.created(None, Some(Timestamp(9)));
        conditions
    }

    #[test]
    fn a_chosen_index_is_the_only_one_that_can_be_used() {
        let table = [
            (
                Written::All,
                " WHERE 1 = 1 AND code = $1 AND status IN ($2, $3) AND started >= $4 \
                 AND COALESCE(LOWER(body) LIKE $5 ESCAPE '\\', FALSE) AND created <= $6",
            ),
            (
                Written::By(Some(1)),
                " WHERE 1 = 1 AND (code + 0) = $1 AND status IN ($2, $3) AND (started + 0) >= $4 \
                 AND COALESCE(LOWER(body) LIKE $5 ESCAPE '\\', FALSE) AND (created + 0) <= $6",
            ),
            (
                Written::By(None),
                " WHERE 1 = 1 AND (code + 0) = $1 AND (status || '') IN ($2, $3) \
                 AND (started + 0) >= $4 AND COALESCE(LOWER(body) LIKE $5 ESCAPE '\\', FALSE) \
                 AND created <= $6",
            ),
            (
                Written::Only(Some(0)),
                " WHERE 1 = 1 AND code = $1 AND created <= $2",
            ),
            (Written::Only(None), " WHERE 1 = 1 AND created <= $1"),
        ];
        for (written, text) in table {
            let conditions = filled(written);
            assert_eq!(conditions.ways, [Way::Equal, Way::Range, Way::Range]);
            assert!(conditions.rest);
            assert_eq!(conditions.finish().as_text(), text, "{written:?}");
        }
    }

    #[test]
    fn the_end_of_a_party_is_found_by_its_last_characters() {
        let table = [
            ("+1555", false, Some("1555")),
            ("Alice", false, Some("lice")),
            ("bob", false, None),
            ("bob", true, Some("bob")),
            ("a%b", true, Some("a%b")),
            ("a%bcd", false, None),
            ("%abcd", false, Some("abcd")),
            ("andrü", false, None),
            ("", true, Some("")),
        ];
        for (text, exact, end) in table {
            assert_eq!(indexed_end(text, exact).as_deref(), end, "{text} {exact}");
        }
    }
}
