//! One table of a copy: its columns, its rows in pages, and its checksum.
//!
//! The columns are read from the database, so that a table of a later migration needs no change here.
//! **Invariant: no more than a page of rows is in memory.**

use std::fmt::{self, Write};

use sha2::{Digest, Sha256};

use crate::connection::Connection;
use crate::row::{Row, Value};
use crate::sql::{Arg, Sql, args};
use crate::{Result, StoreError};

/// Rows of a page at most.
const ROWS: i64 = 500;
/// Bytes after which a page of the embedded database ends.
const BYTES: usize = 4 * 1024 * 1024;
/// Rows that a server sends at once: the longest have some 300 KiB.
const SENT_ROWS: i64 = 100;
/// Arguments of a statement at most; a server accepts 65,535.
const MAX_ARGS: usize = 30_000;

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Int,
    Text,
    Blob,
}

/// A table of both databases.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    columns: Vec<(String, Kind)>,
}

/// A page of rows, and the last row's number in the embedded database.
pub(super) struct Page {
    pub(super) rows: Vec<Vec<Arg>>,
    pub(super) last_row: i64,
}

/// How many rows a table has, and a checksum that does not depend on their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// Number of rows.
    pub rows: u64,
    /// The sum, modulo 2^128, of the first half of each row's SHA-256.
    pub checksum: u128,
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows, checksum {:032x}", self.rows, self.checksum)
    }
}

impl Sum {
    fn add(&mut self, row: &[Arg]) {
        self.rows += 1;
        self.checksum = self.checksum.wrapping_add(digest(row));
    }
}

/// A digest of all values with their types and lengths.
fn digest(row: &[Arg]) -> u128 {
    let mut hash = Sha256::new();
    let mut add = |kind: u8, bytes: &[u8]| {
        hash.update([kind]);
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    for value in row {
        match value {
            Arg::Int(None) | Arg::Text(None) | Arg::Blob(None) => add(0, &[]),
            Arg::Int(Some(number)) => add(1, &number.to_be_bytes()),
            Arg::Text(Some(text)) => add(2, text.as_bytes()),
            Arg::Blob(Some(bytes)) => add(3, bytes),
        }
    }
    let mut half = [0; 16];
    half.copy_from_slice(&hash.finalize()[..16]);
    u128::from_be_bytes(half)
}

/// The tables of the embedded database, by name, without those that `skipped` names.
pub(super) async fn tables(source: &mut Connection, skipped: &[&str]) -> Result<Vec<Table>> {
    let text = "SELECT name FROM sqlite_master WHERE type = 'table' \
                AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
    let mut tables = Vec::new();
    for row in source.all(&Sql::new(text, Vec::new())).await? {
        let name = row.text("name")?;
        if !skipped.contains(&name.as_str()) {
            let columns = columns_of_source(source, &name).await?;
            tables.push(Table { name, columns });
        }
    }
    Ok(tables)
}

async fn columns_of_source(source: &mut Connection, table: &str) -> Result<Vec<(String, Kind)>> {
    let text = "SELECT name, type FROM pragma_table_info($1) ORDER BY name";
    let rows = source.all(&Sql::new(text, args![table])).await?;
    let column = |row: &Row| {
        let kind = match row.text("type")?.as_str() {
            "BIGINT" | "INTEGER" => Kind::Int,
            "TEXT" => Kind::Text,
            "BLOB" => Kind::Blob,
            other => {
                return Err(StoreError::Unusable(format!(
                    "the table `{table}` has a column of type `{other}`, which cannot be copied"
                )));
            }
        };
        Ok((row.text("name")?, kind))
    };
    rows.iter().map(column).collect()
}

impl Table {
    /// Whether the server has the same columns.
    pub(super) async fn is_same(&self, target: &mut Connection) -> Result<bool> {
        let text = "SELECT CAST(column_name AS TEXT) AS name, CAST(data_type AS TEXT) AS type \
                    FROM information_schema.columns \
                    WHERE table_schema = current_schema() AND table_name = $1";
        let rows = target
            .all(&Sql::new(text, args![self.name.as_str()]))
            .await?;
        let mut found = Vec::new();
        for row in &rows {
            let kind = match row.text("type")?.as_str() {
                "bigint" => Kind::Int,
                "text" => Kind::Text,
                "bytea" => Kind::Blob,
                _ => return Ok(false),
            };
            found.push((row.text("name")?, kind));
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found == self.columns)
    }

    /// How many rows there are.
    pub(super) async fn count(&self, connection: &mut Connection) -> Result<u64> {
        let text = format!("SELECT COUNT(*) AS n FROM \"{}\"", self.name);
        let rows = connection.all(&Sql::new(text, Vec::new())).await?;
        let count = rows.first().map(|row| row.int("n")).transpose()?;
        Ok(count
            .and_then(|count| count.try_into().ok())
            .unwrap_or_default())
    }

    /// The rows of the embedded database after one of them; `None` after the last.
    pub(super) async fn page(&self, source: &mut Connection, after: i64) -> Result<Option<Page>> {
        let columns = self.column_list();
        let name = &self.name;
        let text = format!(
            "SELECT rowid AS number_of_row, {columns} FROM \"{name}\" \
             WHERE rowid > $1 ORDER BY rowid LIMIT {ROWS}"
        );
        let found = source.up_to(&Sql::new(text, args![after]), BYTES).await?;
        let Some(last) = found.last() else {
            return Ok(None);
        };
        let last_row = last.int("number_of_row")?;
        let rows = found.into_iter().map(|row| {
            let mut values = row.into_values();
            values.remove(0);
            self.typed(values)
        });
        Ok(Some(Page {
            rows: rows.collect::<Result<_>>()?,
            last_row,
        }))
    }

    /// The statements that add rows, unless they are there.
    pub(super) fn inserts(&self, rows: Vec<Vec<Arg>>) -> Vec<Sql> {
        let width = self.columns.len().max(1);
        let (name, columns) = (&self.name, self.column_list());
        let mut statements = Vec::new();
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let mut text = format!("INSERT INTO \"{name}\" ({columns}) VALUES ");
            let mut args: Vec<Arg> = Vec::new();
            for (at, row) in rows.by_ref().take(MAX_ARGS / width).enumerate() {
                text.push_str(if at == 0 { "(" } else { ", (" });
                for (place, value) in row.into_iter().enumerate() {
                    let comma = if place == 0 { "" } else { ", " };
                    args.push(value);
                    let _ = write!(text, "{comma}${}", args.len());
                }
                text.push(')');
            }
            text.push_str(" ON CONFLICT DO NOTHING");
            statements.push(Sql::new(text, args));
        }
        statements
    }

    /// Opens the rows of the server for [`Table::fetch`], within a transaction.
    pub(super) fn declare(&self) -> String {
        let (name, columns) = (&self.name, self.column_list());
        format!("DECLARE \"rows_of_{name}\" NO SCROLL CURSOR FOR SELECT {columns} FROM \"{name}\"")
    }

    /// Adds the next rows of the server; returns how many.
    pub(super) async fn fetch(&self, target: &mut Connection, sum: &mut Sum) -> Result<u64> {
        let text = format!("FETCH {SENT_ROWS} FROM \"rows_of_{}\"", self.name);
        let rows = target.all(&Sql::new(text, Vec::new())).await?;
        let before = sum.rows;
        for row in rows {
            sum.add(&self.typed(row.into_values())?);
        }
        Ok(sum.rows - before)
    }

    /// Adds rows of the embedded database.
    pub(super) fn add(sum: &mut Sum, page: &Page) {
        for row in &page.rows {
            sum.add(row);
        }
    }

    fn column_list(&self) -> String {
        let names: Vec<_> = self
            .columns
            .iter()
            .map(|(name, _)| format!("\"{name}\""))
            .collect();
        names.join(", ")
    }

    /// The values as arguments of the types of their columns.
    fn typed(&self, values: Vec<Value>) -> Result<Vec<Arg>> {
        let columns = self.columns.iter();
        let typed = values
            .into_iter()
            .zip(columns)
            .map(|(value, (column, kind))| {
                Ok(match (value, kind) {
                    (Value::Null, Kind::Int) => Arg::Int(None),
                    (Value::Null, Kind::Text) => Arg::Text(None),
                    (Value::Null, Kind::Blob) => Arg::Blob(None),
                    (Value::Int(number), Kind::Int) => number.into(),
                    (Value::Text(text), Kind::Text) => text.into(),
                    (Value::Blob(bytes), Kind::Blob) => bytes.into(),
                    (Value::Int(_) | Value::Text(_) | Value::Blob(_), _) => {
                        return Err(StoreError::Unusable(format!(
                            "the table `{}` has a value in `{column}` that is not of the column's type",
                            self.name
                        )));
                    }
                })
            });
        typed.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(rows: &[Vec<Arg>]) -> Sum {
        let mut sum = Sum::default();
        for row in rows {
            sum.add(row);
        }
        sum
    }

    #[test]
    fn a_checksum_depends_on_every_value_and_not_on_the_order() {
        let (one, two) = (args!["ab", "c", 1_i64], args!["ab", "c", 2_i64]);
        let both = sum(&[one.clone(), two.clone()]);
        assert_eq!(both, sum(&[two.clone(), one.clone()]));
        let others = [
            vec![one.clone()],
            vec![one.clone(), one.clone()],
            vec![one.clone(), args!["a", "bc", 2_i64]],
            vec![one.clone(), args!["ab", None::<String>, 2_i64]],
            vec![one.clone(), args!["ab", "", 2_i64]],
            vec![one, args!["ab", b"c".to_vec(), 2_i64]],
        ];
        for (at, other) in others.iter().enumerate() {
            assert_ne!(both, sum(other), "{at}");
        }
    }

    #[test]
    fn statements_stay_within_the_number_of_arguments() {
        let table = Table {
            name: "t".to_owned(),
            columns: (0..100).map(|n| (format!("c{n}"), Kind::Int)).collect(),
        };
        let row: Vec<Arg> = (0..100).map(Arg::from).collect();
        let made = table.inserts(vec![row; 301]);
        let sizes: Vec<_> = made.iter().map(|sql| sql.args().len()).collect();
        assert_eq!(sizes, [30_000, 100]);
        assert!(made[1].as_text().ends_with("$100) ON CONFLICT DO NOTHING"));
    }
}
