//! An embedded database: calls that block the thread.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, Type, ValueRef};
use rusqlite::{CachedStatement, Connection, Error, InterruptHandle, OpenFlags, Result};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Access, COMPILED};
use crate::dialect::Dialect;
use crate::row::{Names, Row, Value};
use crate::sql::{Arg, Sql};

/// Pause between two interrupts: a statement that begins just after one does not notice it.
const INTERRUPT_EVERY: Duration = Duration::from_millis(100);

/// Interrupts the statement of a connection at a time, unless it is dropped before.
pub(super) struct Watch {
    /// Taken when the statement is over, so that the next one is not interrupted.
    handle: Arc<Mutex<Option<InterruptHandle>>>,
    timer: JoinHandle<()>,
}

impl Watch {
    pub(super) fn new(connection: &Connection, until: Instant) -> Self {
        let handle = Arc::new(Mutex::new(Some(connection.get_interrupt_handle())));
        let watched = Arc::clone(&handle);
        let timer = tokio::spawn(async move {
            sleep_until(until).await;
            while interrupt(&watched) {
                sleep(INTERRUPT_EVERY).await;
            }
        });
        Self { handle, timer }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        held(&self.handle).take();
        self.timer.abort();
    }
}

/// `false` if the statement is over.
fn interrupt(handle: &Mutex<Option<InterruptHandle>>) -> bool {
    let held = held(handle);
    held.as_ref().inspect(|handle| handle.interrupt()).is_some()
}

fn held(handle: &Mutex<Option<InterruptHandle>>) -> MutexGuard<'_, Option<InterruptHandle>> {
    handle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens a file, which must exist.
pub(super) fn open(path: &Path, access: Access) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    for statement in Dialect::Sqlite.setup(access) {
        connection.execute_batch(statement)?;
    }
    connection.set_prepared_statement_cache_capacity(COMPILED);
    Ok(connection)
}

pub(super) fn execute(connection: &Connection, sql: &Sql) -> Result<u64> {
    let changed = bound(connection, sql)?.raw_execute()?;
    Ok(u64::try_from(changed).unwrap_or(u64::MAX))
}

pub(super) fn all(connection: &Connection, sql: &Sql) -> Result<Vec<Row>> {
    up_to(connection, sql, usize::MAX)
}

/// The first rows, until they hold so many bytes; at least one.
pub(super) fn up_to(connection: &Connection, sql: &Sql, bytes: usize) -> Result<Vec<Row>> {
    let mut statement = bound(connection, sql)?;
    let names: Names = (statement.column_names().into_iter())
        .map(Box::from)
        .collect();
    let mut rows = statement.raw_query();
    let (mut found, mut size) = (Vec::new(), 0);
    while size < bytes
        && let Some(row) = rows.next()?
    {
        let values = (0..names.len()).map(|at| value(at, &names[at], row.get_ref(at)?));
        let row = Row::new(&names, values.collect::<Result<_>>()?);
        size = size.saturating_add(row.size());
        found.push(row);
    }
    Ok(found)
}

/// The statement, compiled, with its arguments.
fn bound<'c>(connection: &'c Connection, sql: &Sql) -> Result<CachedStatement<'c>> {
    let mut statement = connection.prepare_cached(sql.as_text())?;
    for at in 1..=statement.parameter_count() {
        // SQLite counts `$7` by where it first stands, not by its number.
        let number = statement
            .parameter_name(at)
            .and_then(|name| name[1..].parse().ok());
        let arg = number.and_then(|number: usize| sql.args().get(number.checked_sub(1)?));
        let arg = arg.ok_or(Error::InvalidParameterCount(at, sql.args().len()))?;
        statement.raw_bind_parameter(at, argument(arg))?;
    }
    Ok(statement)
}

fn argument(arg: &Arg) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match arg {
        Arg::Int(Some(number)) => ValueRef::Integer(*number),
        Arg::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
        Arg::Blob(Some(bytes)) => ValueRef::Blob(bytes),
        Arg::Int(None) | Arg::Text(None) | Arg::Blob(None) => ValueRef::Null,
    })
}

fn value(at: usize, name: &str, value: ValueRef<'_>) -> Result<Value> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Text(_) => {
            Value::Text(value.as_str().map(str::to_owned).map_err(|error| {
                Error::FromSqlConversionFailure(at, Type::Text, Box::new(error))
            })?)
        }
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
        ValueRef::Real(_) => return Err(Error::InvalidColumnType(at, name.into(), Type::Real)),
    })
}
