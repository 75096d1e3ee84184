//! Rows as a database returned them, whichever it was.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::Timestamp;

use crate::sql::Arg;
use crate::{Result, StoreError};

/// A row of its own: it needs no connection to be read.
#[derive(Debug)]
pub(crate) struct Row {
    names: Names,
    values: Vec<Value>,
    /// The column after the one that was read last: most rows are read in order.
    next: AtomicUsize,
}

/// The names of the columns, which all rows of a statement share.
pub(crate) type Names = Arc<[Box<str>]>;

/// A value of any of the types that columns have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl Row {
    /// Values in the order of their names.
    pub(crate) fn new(names: &Names, values: Vec<Value>) -> Self {
        Self {
            names: Arc::clone(names),
            values,
            next: AtomicUsize::new(0),
        }
    }

    /// Bytes that its values take, about.
    pub(crate) fn size(&self) -> usize {
        let sizes = self.values.iter().map(|value| match value {
            Value::Null | Value::Int(_) => 0,
            Value::Text(text) => text.len(),
            Value::Blob(bytes) => bytes.len(),
        });
        size_of::<Value>() * self.values.len() + sizes.sum::<usize>()
    }

    /// All values with the names of their columns.
    pub(crate) fn into_named(self) -> impl Iterator<Item = (String, Value)> {
        let names = Arc::clone(&self.names);
        let named = self.values.into_iter().enumerate();
        named.map(move |(at, value)| (names[at].to_string(), value))
    }

    /// All values, in the order of their columns.
    pub(crate) fn into_values(self) -> Vec<Value> {
        self.values
    }

    pub(crate) fn int(&self, column: &'static str) -> Result<i64> {
        present(column, self.opt_int(column)?)
    }

    pub(crate) fn opt_int(&self, column: &'static str) -> Result<Option<i64>> {
        match self.value(column)? {
            Value::Int(number) => Ok(Some(*number)),
            Value::Null => Ok(None),
            Value::Text(_) | Value::Blob(_) => Err(corrupt(column, "it is not a number")),
        }
    }

    /// A number or text, to be the argument of another statement.
    pub(crate) fn arg(&self, column: &'static str) -> Result<Arg> {
        match self.value(column)? {
            Value::Int(number) => Ok(Arg::Int(Some(*number))),
            Value::Text(text) => Ok(Arg::Text(Some(text.clone()))),
            Value::Null | Value::Blob(_) => Err(corrupt(column, "it is neither number nor text")),
        }
    }

    pub(crate) fn flag(&self, column: &'static str) -> Result<bool> {
        Ok(self.int(column)? != 0)
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp> {
        self.int(column).map(Timestamp)
    }

    pub(crate) fn opt_time(&self, column: &'static str) -> Result<Option<Timestamp>> {
        Ok(self.opt_int(column)?.map(Timestamp))
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<String> {
        present(column, self.opt_text(column)?)
    }

    pub(crate) fn opt_text(&self, column: &'static str) -> Result<Option<String>> {
        Ok(self.opt_str(column)?.map(str::to_owned))
    }

    pub(crate) fn blob(&self, column: &'static str) -> Result<Vec<u8>> {
        present(column, self.opt_blob(column)?)
    }

    pub(crate) fn opt_blob(&self, column: &'static str) -> Result<Option<Vec<u8>>> {
        match self.value(column)? {
            Value::Blob(bytes) => Ok(Some(bytes.clone())),
            Value::Null => Ok(None),
            Value::Int(_) | Value::Text(_) => Err(corrupt(column, "it is not binary")),
        }
    }

    /// A number that fits a smaller type.
    pub(crate) fn opt_small<T: TryFrom<i64>>(&self, column: &'static str) -> Result<Option<T>> {
        let narrowed = self.opt_int(column)?.map(|number| {
            T::try_from(number).map_err(|_| corrupt(column, format!("{number} is too large")))
        });
        narrowed.transpose()
    }

    /// An identifier or word.
    pub(crate) fn word<T: FromStr<Err: Display>>(&self, column: &'static str) -> Result<T> {
        present(column, self.opt_word(column)?)
    }

    pub(crate) fn opt_word<T: FromStr<Err: Display>>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>> {
        let parsed = self
            .opt_str(column)?
            .map(|text| text.parse().map_err(|error| corrupt(column, error)));
        parsed.transpose()
    }

    fn opt_str(&self, column: &'static str) -> Result<Option<&str>> {
        match self.value(column)? {
            Value::Text(text) => Ok(Some(text)),
            Value::Null => Ok(None),
            Value::Int(_) | Value::Blob(_) => Err(corrupt(column, "it is not a text")),
        }
    }

    fn value(&self, column: &'static str) -> Result<&Value> {
        let next = self.next.load(Ordering::Relaxed).min(self.names.len());
        let at = (next..self.names.len())
            .chain(0..next)
            .find(|at| self.names.get(*at).is_some_and(|name| **name == *column));
        let at = at.ok_or_else(|| corrupt(column, "the column is missing"))?;
        self.next.store(at + 1, Ordering::Relaxed);
        self.values
            .get(at)
            .ok_or_else(|| corrupt(column, "the column is missing"))
    }
}

fn present<T>(column: &'static str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| corrupt(column, "it is null"))
}

/// A value that cannot be read.
pub(crate) fn corrupt(what: &'static str, why: impl Display) -> StoreError {
    StoreError::Corrupt {
        what,
        why: why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_which_column_cannot_be_read() {
        let names: Names = ["n", "t", "b", "z"].map(Box::from).into();
        let values = vec![
            Value::Int(300),
            Value::Text("word".to_owned()),
            Value::Blob(vec![1]),
            Value::Null,
        ];
        let row = Row::new(&names, values);
        let (n, t, b) = (row.int("n"), row.text("t"), row.blob("b"));
        assert_eq!((n.unwrap(), t.unwrap()), (300, "word".to_owned()));
        assert_eq!(b.unwrap(), [1]);
        assert_eq!(row.opt_small::<u16>("n").unwrap(), Some(300));
        assert_eq!(row.opt_int("z").unwrap(), None);
        assert_eq!(row.opt_word::<u8>("z").unwrap(), None);
        let table = [
            (row.int("t").unwrap_err(), "`t`: it is not a number"),
            (row.text("b").unwrap_err(), "`b`: it is not a text"),
            (row.blob("n").unwrap_err(), "`n`: it is not binary"),
            (row.int("z").unwrap_err(), "`z`: it is null"),
            (row.word::<u8>("z").unwrap_err(), "`z`: it is null"),
            (
                row.word::<u8>("t").unwrap_err(),
                "`t`: invalid digit found in string",
            ),
            (
                row.opt_small::<u8>("n").unwrap_err(),
                "`n`: 300 is too large",
            ),
            (row.int("x").unwrap_err(), "`x`: the column is missing"),
        ];
        for (error, expected) in table {
            let StoreError::Corrupt { what, why } = error else {
                panic!("{error}");
            };
            assert_eq!(format!("`{what}`: {why}"), expected);
        }
    }
}
