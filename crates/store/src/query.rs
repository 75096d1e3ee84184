//! The shared parts of list queries.

use std::fmt::{self, Display};

use model::{AccountSid, Timestamp};

use crate::filter::{RowKey, Scope};
use crate::sql::{Sql, Table, pattern};

/// Continues a statement that ends with an account column: matches that account and all below it.
pub(crate) const TREE: &str = " IN (WITH RECURSIVE tree (sid) AS \
    (SELECT sid FROM accounts WHERE sid = ? \
    UNION SELECT child.sid FROM accounts child JOIN tree ON child.parent = tree.sid) \
    SELECT sid FROM tree)";

/// The order of a list of rows with `created` and `sid`.
pub(crate) struct Order {
    /// The primary sort key before the age: an expression with its collation. `None` sorts by age
    /// alone.
    pub(crate) column: Option<String>,
    /// Largest first. Rows with equal `column` are always newest first.
    pub(crate) descending: bool,
}

impl Order {
    /// Newest first.
    pub(crate) const NEWEST: Self = Self {
        column: None,
        descending: true,
    };
    /// Oldest first.
    pub(crate) const OLDEST: Self = Self {
        column: None,
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

/// Conditions joined by AND, and whether there are any besides the scope.
pub(crate) struct Conditions {
    sql: Sql,
    pub(crate) only_scope: bool,
}

impl Conditions {
    /// ` FROM table WHERE` with the scope; `head` comes before.
    pub(crate) fn new(mut head: Sql, scope: Scope) -> Self {
        match scope {
            Scope::Own(sid) => head.with(" WHERE account = ?", sid),
            Scope::Tree(sid) => head.text(" WHERE account").with(TREE, sid),
        };
        Self {
            sql: head,
            only_scope: true,
        }
    }

    /// As [`Conditions::new`], or for the rows of all accounts.
    pub(crate) fn of(mut head: Sql, scope: Option<Scope>) -> Self {
        let Some(scope) = scope else {
            head.text(" WHERE 1 = 1");
            return Self {
                sql: head,
                only_scope: false,
            };
        };
        Self::new(head, scope)
    }

    /// Only callbacks that are not pending.
    pub(crate) fn ended(&mut self) {
        self.only_scope = false;
        self.sql.text(" AND state <> 'pending'");
    }

    /// `column` is one of these values; no row without one.
    pub(crate) fn among<T: Copy + Into<crate::sql::Arg>>(&mut self, column: &str, values: &[T]) {
        self.only_scope = false;
        if values.is_empty() {
            self.sql.text(" AND 1 = 0");
        } else {
            self.sql.text(&format!(" AND {column}")).among(values);
        }
    }

    /// `column` has a value.
    pub(crate) fn has(&mut self, column: &str) {
        self.only_scope = false;
        self.sql.text(&format!(" AND {column} IS NOT NULL"));
    }

    /// `column` has no value.
    pub(crate) fn has_no(&mut self, column: &str) {
        self.only_scope = false;
        self.sql.text(&format!(" AND {column} IS NULL"));
    }

    /// `column LIKE pattern`, in any letter case, with `prefix` and `suffix` around the pattern.
    pub(crate) fn like(&mut self, column: &str, around: (&str, &str), text: Option<&str>) {
        let Some(text) = text else { return };
        let (before, after) = around;
        let wanted = format!("{before}{}{after}", pattern(text));
        self.add(&format!(" AND LOWER({column}) LIKE ? ESCAPE '\\'"), wanted);
    }

    /// `column LIKE` one of some patterns, in any letter case; all rows without a pattern.
    pub(crate) fn like_any(&mut self, column: &str, patterns: &[String]) {
        for (at, text) in patterns.iter().enumerate() {
            let joint = if at == 0 { " AND (" } else { " OR " };
            let condition = format!("{joint}LOWER({column}) LIKE ? ESCAPE '\\'");
            self.add(&condition, pattern(text));
        }
        if !patterns.is_empty() {
            self.sql.text(")");
        }
    }

    /// Equality, or `LIKE` if the text has wildcards.
    pub(crate) fn matches(&mut self, column: &str, text: Option<&str>) {
        match text {
            Some(text) if text.contains(['%', '_']) => self.like(column, ("", ""), Some(text)),
            Some(text) => self.add(&format!(" AND {column} = ?"), text.to_owned()),
            None => {}
        }
    }

    /// A party of a call or message: the whole value, or a pattern for its end.
    pub(crate) fn party(&mut self, column: &str, exact: bool, text: Option<&str>) {
        match text {
            Some(text) if exact => self.add(&format!(" AND {column} = ?"), text.to_owned()),
            text => self.like(column, ("%", ""), text),
        }
    }

    /// Rows older or newer than a key.
    pub(crate) fn beside(&mut self, older: bool, key: RowKey) {
        let sign = if older { '<' } else { '>' };
        self.add(&format!(" AND (created, sid) {sign} (?"), key.created);
        self.add(", ?)", key.sid);
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
        self.sql.text("))");
    }

    /// `column >= from` and `column <= until`.
    pub(crate) fn between(
        &mut self,
        column: &str,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
    ) {
        if let Some(from) = from {
            self.add(&format!(" AND {column} >= ?"), from);
        }
        if let Some(until) = until {
            self.add(&format!(" AND {column} <= ?"), until);
        }
    }

    /// Adds a condition.
    pub(crate) fn add(&mut self, text: &str, arg: impl Into<crate::sql::Arg>) {
        self.only_scope = false;
        self.sql.with(text, arg);
    }

    /// The statement.
    pub(crate) fn finish(self) -> Sql {
        self.sql
    }

    /// The statement with an order and a window.
    pub(crate) fn window(self, order: impl Display, offset: i64, limit: i64) -> Sql {
        let mut sql = self.sql;
        sql.text(" ORDER BY ")
            .text(&order.to_string())
            .with(" LIMIT ?", limit)
            .with(" OFFSET ?", offset);
        sql
    }
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
