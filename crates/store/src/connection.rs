//! The connection that writes.
//!
//! Statements for an embedded database are plain calls, made by the thread that runs the writer:
//! a call of some microseconds is not worth a message to another thread. A shared database is
//! asked over its socket. **Invariant: both run the same statements and tell failures apart in the
//! same way.**

use std::path::{Path, PathBuf};

use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, Connection as _};

use crate::connect;
use crate::dialect::Dialect;
use crate::sql::{Arg, Sql};

/// Statements that stay compiled; the writer has fewer.
const COMPILED: usize = 64;

/// Where to connect again.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Embedded(PathBuf),
    Shared(Box<AnyConnectOptions>),
}

/// An open connection.
pub(crate) enum Connection {
    Embedded(rusqlite::Connection),
    Shared(Box<AnyConnection>),
}

/// What a database refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Embedded(#[from] rusqlite::Error),
    #[error(transparent)]
    Shared(#[from] sqlx::Error),
}

impl Target {
    /// One more connection, ready to use.
    pub(crate) async fn connect(&self) -> Result<Connection, Failure> {
        Ok(match self {
            Self::Embedded(path) => Connection::Embedded(embedded(path)?),
            Self::Shared(options) => {
                let connection = connect::connect(options, Dialect::Postgres).await?;
                Connection::Shared(Box::new(connection))
            }
        })
    }
}

fn embedded(path: &Path) -> rusqlite::Result<rusqlite::Connection> {
    use rusqlite::OpenFlags;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = rusqlite::Connection::open_with_flags(path, flags)?;
    for statement in Dialect::Sqlite.setup() {
        connection.execute_batch(statement)?;
    }
    connection.set_prepared_statement_cache_capacity(COMPILED);
    Ok(connection)
}

impl Connection {
    /// Runs a fixed statement without arguments.
    pub(crate) async fn run(&mut self, sql: &'static str) -> Result<(), Failure> {
        match self {
            Self::Embedded(connection) => connection.execute_batch(sql)?,
            Self::Shared(connection) => {
                crate::dialect::run(connection, sql).await?;
            }
        }
        Ok(())
    }

    /// Runs a statement; returns the number of rows it changed.
    pub(crate) async fn execute(&mut self, sql: Sql) -> Result<u64, Failure> {
        match self {
            Self::Embedded(connection) => Ok(execute(connection, &sql)?),
            Self::Shared(connection) => Ok(sql.execute(&mut **connection).await?),
        }
    }

    /// Leaves a failed transaction, if there is one; false if the connection is of no more use.
    pub(crate) async fn leave(&mut self) -> bool {
        if self.run("ROLLBACK").await.is_ok() {
            return true;
        }
        // There may have been no transaction to leave.
        match self {
            Self::Embedded(connection) => connection.is_autocommit(),
            Self::Shared(connection) => connection.ping().await.is_ok(),
        }
    }

    /// Says goodbye.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Embedded(connection) => connection.close().map_err(|(_, error)| error.into()),
            Self::Shared(connection) => Ok(connection.close().await?),
        }
    }
}

fn execute(connection: &rusqlite::Connection, sql: &Sql) -> rusqlite::Result<u64> {
    use rusqlite::types::{ToSqlOutput, Value, ValueRef};
    let mut statement = connection.prepare_cached(sql.as_text())?;
    for at in 1..=statement.parameter_count() {
        // SQLite counts `$7` by where it first stands, not by its number.
        let number = statement
            .parameter_name(at)
            .and_then(|name| name[1..].parse().ok());
        let arg = number.and_then(|number: usize| sql.args().get(number.checked_sub(1)?));
        let value = match arg {
            Some(Arg::Int(Some(value))) => ToSqlOutput::Owned(Value::Integer(*value)),
            Some(Arg::Text(Some(text))) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Some(Arg::Blob(Some(bytes))) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Some(Arg::Int(None) | Arg::Text(None) | Arg::Blob(None)) => {
                ToSqlOutput::Owned(Value::Null)
            }
            None => return Err(rusqlite::Error::InvalidParameterCount(at, sql.args().len())),
        };
        statement.raw_bind_parameter(at, value)?;
    }
    let changed = statement.raw_execute()?;
    Ok(u64::try_from(changed).unwrap_or(u64::MAX))
}

impl Failure {
    /// Whether the same transaction may succeed when it is tried again.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Embedded(error) => matches!(primary_code(error), Some(5 | 6)), // BUSY, LOCKED
            Self::Shared(sqlx::Error::Database(refusal)) => {
                let code = refusal.code().unwrap_or_default();
                // Class 08 connection, 40 rollback, 53 resources, 57 operator intervention;
                // a full disk (53100) is `is_unwritable`.
                code != "53100" && matches!(code.get(..2), Some("08" | "40" | "53" | "57"))
            }
            Self::Shared(error) => matches!(
                error,
                sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed
            ),
        }
    }

    /// Whether the database takes no writes at the moment, whatever is written: the disk is full
    /// or fails. Somebody has to help, so whoever commits is told.
    pub(crate) fn is_unwritable(&self) -> bool {
        match self {
            // READONLY, IOERR, FULL, CANTOPEN
            Self::Embedded(error) => matches!(primary_code(error), Some(8 | 10 | 13 | 14)),
            Self::Shared(sqlx::Error::Database(refusal)) => {
                let code = refusal.code().unwrap_or_default();
                // Disk full, read-only, system errors.
                matches!(&*code, "53100" | "25006") || code.get(..2) == Some("58")
            }
            Self::Shared(_) => false,
        }
    }

    /// The message about a value that must be unique and is there already.
    pub(crate) fn duplicate(&self) -> Option<&str> {
        match self {
            Self::Embedded(rusqlite::Error::SqliteFailure(error, message)) => {
                let message = message.as_deref().unwrap_or_default();
                // CONSTRAINT_UNIQUE, CONSTRAINT_PRIMARYKEY
                matches!(error.extended_code, 2067 | 1555).then_some(message)
            }
            Self::Shared(sqlx::Error::Database(refusal)) => {
                refusal.is_unique_violation().then(|| refusal.message())
            }
            _ => None,
        }
    }
}

/// The low byte of SQLite's result code.
fn primary_code(error: &rusqlite::Error) -> Option<i32> {
    match error {
        rusqlite::Error::SqliteFailure(error, _) => Some(error.extended_code & 0xff),
        _ => None,
    }
}
