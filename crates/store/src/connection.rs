//! A connection to the database, for the writer and for readers.
//!
//! Statements for an embedded database are plain calls that block the thread: a call of some
//! microseconds is not worth a message to another thread. The writer has a thread of its own for them,
//! and `readers` borrows one. A shared database is asked over its socket. **Invariant: both run the same
//! statements, return the same rows and tell failures apart in the same way.**

mod embedded;
mod recent;
mod shared;

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::TargetSessionAttrs;

use model::naming::Claimant;

pub(crate) use self::recent::Recent;
use crate::StoreError;
use crate::row::Row;
use crate::sql::Sql;

/// Statements of a connection that stay compiled; the writer has fewer.
const COMPILED: usize = 64;
/// The server's code for a write in a transaction that only reads.
const READ_ONLY: &str = "25006";
/// The server's code for a statement that it ended.
const CANCELLED: &str = "57014";

/// Where to connect again.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Embedded(PathBuf),
    Shared(Box<Server>),
}

/// A database server, and how long it may be silent.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) config: tokio_postgres::Config,
    /// How long a new connection may take until it is ready to use.
    pub(crate) connecting: Duration,
    /// How long a statement may take.
    pub(crate) silence: Duration,
}

impl Server {
    fn config_for(&self, access: Access) -> tokio_postgres::Config {
        let mut config = self.config.clone();
        // Not a standby: it would refuse each write, and a read there may miss what was just written.
        // The only server is read even while it is read-only.
        if access == Access::Write || host_count(&config) > 1 {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        config
    }
}

/// The number of hosts of an address, which may name them, give their addresses, or both.
pub(crate) fn host_count(config: &tokio_postgres::Config) -> usize {
    config.get_hosts().len().max(config.get_hostaddrs().len())
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Refuses to change anything.
    Read,
    Write,
}

/// An open connection.
pub(crate) enum Connection {
    Embedded(rusqlite::Connection),
    Shared(Box<shared::Shared>),
}

/// Why a statement was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Embedded(#[from] rusqlite::Error),
    #[error("{}", shared::explain(.0))]
    Shared(#[from] tokio_postgres::Error),
    /// No server could be connected to, or none that writes.
    #[error("{}", shared::explain(.0))]
    Unreachable(tokio_postgres::Error),
    #[error("another account has this name or number")]
    Taken(Claimant),
    #[error("the account is closed")]
    AccountClosed,
    #[error("the organization is closed")]
    OrganizationClosed,
    #[error("there are as many as allowed")]
    TooMany,
    #[error("the read takes too long")]
    TooLong,
    #[error("{0}")]
    Unreadable(String),
    #[error("the server does not respond")]
    Silent,
    #[error("a table has changed since a statement was compiled")]
    Stale,
    #[error("every connection is in use")]
    Busy,
    #[error("the store is closed")]
    Closed,
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        Self::from(&failure)
    }
}

impl From<&Failure> for StoreError {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Closed => Self::Closed,
            Failure::Taken(by) => Self::Taken(*by),
            Failure::AccountClosed => Self::AccountClosed,
            Failure::OrganizationClosed => Self::OrganizationClosed,
            Failure::TooMany => Self::TooMany,
            Failure::TooLong => Self::TooLong,
            Failure::Busy => Self::Unavailable(failure.to_string()),
            Failure::Embedded(_)
            | Failure::Shared(_)
            | Failure::Unreachable(_)
            | Failure::Unreadable(_)
            | Failure::Silent
            | Failure::Stale => {
                if failure.is_transient() || failure.is_unwritable() {
                    Self::Unavailable(failure.to_string())
                } else {
                    Self::Database(failure.to_string())
                }
            }
        }
    }
}

impl Target {
    /// Whether statements block the thread.
    pub(crate) const fn blocks(&self) -> bool {
        matches!(self, Self::Embedded(_))
    }

    /// One more connection, ready to use.
    pub(crate) async fn connect(&self, access: Access) -> Result<Connection, Failure> {
        Ok(match self {
            Self::Embedded(path) => Connection::Embedded(embedded::open(path, access)?),
            Self::Shared(server) => {
                Connection::Shared(Box::new(shared::Shared::connect(server, access).await?))
            }
        })
    }
}

impl Connection {
    /// Runs fixed statements without arguments.
    pub(crate) async fn run(&mut self, sql: &str) -> Result<(), Failure> {
        match self {
            Self::Embedded(connection) => connection.execute_batch(sql)?,
            Self::Shared(connection) => connection.run(sql).await?,
        }
        Ok(())
    }

    /// As [`Self::run`], for statements that may take long, such as those that wait for another
    /// process.
    pub(crate) async fn run_long(&mut self, sql: &str) -> Result<(), Failure> {
        match self {
            Self::Embedded(_) => self.run(sql).await,
            Self::Shared(connection) => connection.run_long(sql).await,
        }
    }

    /// Runs a statement; returns the number of rows it changed.
    pub(crate) async fn execute(&mut self, sql: Sql) -> Result<u64, Failure> {
        Ok(match self {
            Self::Embedded(connection) => embedded::execute(connection, &sql)?,
            Self::Shared(connection) => connection.execute(&sql).await?,
        })
    }

    /// All rows that a statement selects.
    pub(crate) async fn all(&mut self, sql: &Sql) -> Result<Vec<Row>, Failure> {
        Ok(match self {
            Self::Embedded(connection) => embedded::all(connection, sql)?,
            Self::Shared(connection) => connection.all(sql).await?,
        })
    }

    /// As [`Self::all`], ended with an error at a time. A shared database goes on for as long as any read may take.
    pub(crate) async fn all_until(
        &mut self,
        sql: &Sql,
        until: Instant,
    ) -> Result<Vec<Row>, Failure> {
        if until <= Instant::now() {
            return Err(Failure::TooLong);
        }
        match self {
            Self::Embedded(connection) => {
                let _watch = embedded::Watch::new(connection, until);
                Ok(embedded::all(connection, sql)?)
            }
            Self::Shared(connection) => {
                let all = timeout_at(until, connection.all(sql)).await;
                all.unwrap_or(Err(Failure::TooLong))
            }
        }
    }

    /// The first rows that a statement selects, until they hold so many bytes; at least one. A shared database sends
    /// all rows.
    pub(crate) async fn up_to(&mut self, sql: &Sql, bytes: usize) -> Result<Vec<Row>, Failure> {
        Ok(match self {
            Self::Embedded(connection) => embedded::up_to(connection, sql, bytes)?,
            Self::Shared(connection) => connection.all(sql).await?,
        })
    }

    /// Leaves a failed transaction, if there is one; false if the connection is of no more use.
    pub(crate) async fn leave(&mut self) -> bool {
        if !self.is_lost() && self.run("ROLLBACK").await.is_ok() {
            return true;
        }
        match self {
            // There may have been no transaction to leave; a server only warns of that.
            Self::Embedded(connection) => connection.is_autocommit(),
            Self::Shared(_) => false,
        }
    }

    /// Whether the server is gone, or owes an answer.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Self::Embedded(_) => false,
            Self::Shared(connection) => connection.is_lost(),
        }
    }

    /// Says goodbye.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Embedded(connection) => connection.close().map_err(|(_, error)| error)?,
            Self::Shared(connection) => connection.close().await,
        }
        Ok(())
    }
}

impl Failure {
    /// Whether the same statements may succeed when they are tried again.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Embedded(error) => matches!(primary_code(error), Some(5 | 6)), // BUSY, LOCKED
            Self::Shared(error) => match shared::code(error) {
                Some(code) => passes(code),
                None => shared::is_cut_off(error),
            },
            Self::Unreachable(_) | Self::Silent | Self::Stale => true,
            Self::Taken(_)
            | Self::AccountClosed
            | Self::OrganizationClosed
            | Self::TooMany
            | Self::TooLong
            | Self::Unreadable(_)
            | Self::Busy
            | Self::Closed => false,
        }
    }

    /// Whether the database ended the statement, which took too long: it would again.
    pub(crate) fn is_cancelled(&self) -> bool {
        match self {
            Self::Shared(error) => shared::code(error) == Some(CANCELLED),
            Self::Embedded(error) => primary_code(error) == Some(9), // INTERRUPT
            Self::Unreachable(_)
            | Self::Taken(_)
            | Self::AccountClosed
            | Self::OrganizationClosed
            | Self::TooMany
            | Self::TooLong
            | Self::Unreadable(_)
            | Self::Silent
            | Self::Stale
            | Self::Busy
            | Self::Closed => false,
        }
    }

    /// Whether the server of this connection only reads: another connection may reach one that
    /// writes.
    pub(crate) fn is_read_only_server(&self) -> bool {
        matches!(self, Self::Shared(error) if shared::code(error) == Some(READ_ONLY))
    }

    /// Whether the database takes no writes at the moment, whatever is written: the disk is full
    /// or fails. Somebody has to help, so whoever commits is told.
    pub(crate) fn is_unwritable(&self) -> bool {
        match self {
            // READONLY, IOERR, FULL, CANTOPEN
            Self::Embedded(error) => matches!(primary_code(error), Some(8 | 10 | 13 | 14)),
            Self::Shared(error) => shared::code(error).is_some_and(|code| {
                // Disk full, read-only, system errors.
                matches!(code, "53100" | READ_ONLY) || code.get(..2) == Some("58")
            }),
            Self::Unreachable(error) => shared::only_reads(error),
            Self::Silent
            | Self::Stale
            | Self::Taken(_)
            | Self::AccountClosed
            | Self::OrganizationClosed
            | Self::TooMany
            | Self::TooLong
            | Self::Unreadable(_)
            | Self::Busy
            | Self::Closed => false,
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
            Self::Shared(error) => {
                let refusal = error.as_db_error()?;
                (refusal.code().code() == "23505").then(|| refusal.message())
            }
            Self::Embedded(_)
            | Self::Unreachable(_)
            | Self::Taken(_)
            | Self::AccountClosed
            | Self::OrganizationClosed
            | Self::TooMany
            | Self::TooLong
            | Self::Unreadable(_)
            | Self::Silent
            | Self::Stale
            | Self::Busy
            | Self::Closed => None,
        }
    }
}

/// Whether a server that refuses a statement with this code may carry it out later.
fn passes(code: &str) -> bool {
    // Class 08 connection, 40 rollback, 53 resources, 57 operator intervention; a full disk (53100) is
    // `is_unwritable`. 25P: the server has ended the transaction.
    let class = matches!(code.get(..2), Some("08" | "40" | "53" | "57"));
    (class && code != "53100") || code.starts_with("25P")
}

/// The low byte of SQLite's result code.
fn primary_code(error: &rusqlite::Error) -> Option<i32> {
    match error {
        rusqlite::Error::SqliteFailure(error, _) => Some(error.extended_code & 0xff),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_go_where_writes_go_if_there_is_a_choice() {
        use TargetSessionAttrs::{Any, ReadWrite};
        let table = [
            ("postgres://u@h/p", Access::Read, Any),
            ("postgres://u@h/p", Access::Write, ReadWrite),
            ("postgres://u@h,i/p", Access::Read, ReadWrite),
            ("postgres://u@h,i/p", Access::Write, ReadWrite),
            (
                "postgres:///p?user=u&hostaddr=127.0.0.1,127.0.0.2",
                Access::Read,
                ReadWrite,
            ),
        ];
        for (url, access, expected) in table {
            let server = Server {
                config: url.parse().unwrap(),
                connecting: Duration::ZERO,
                silence: Duration::ZERO,
            };
            let config = server.config_for(access);
            assert_eq!(
                config.get_target_session_attrs(),
                expected,
                "{url} {access:?}"
            );
        }
    }

    #[test]
    fn knows_the_codes_of_what_passes() {
        for code in ["08006", "25P02", "25P03", "40P01", "53300", "57P01"] {
            assert!(passes(code), "{code}");
        }
        for code in ["0A000", "23505", READ_ONLY, "42P01", "53100", "58030", ""] {
            assert!(!passes(code), "{code}");
        }
    }

    #[test]
    fn what_passes_is_not_a_database_error() {
        let refused = |code| {
            let code = rusqlite::ffi::Error::new(code);
            Failure::Embedded(rusqlite::Error::SqliteFailure(code, None))
        };
        for failure in [Failure::Busy, Failure::Silent, refused(5), refused(13)] {
            let error = StoreError::from(failure);
            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        }
        let error = StoreError::from(refused(1));
        assert!(matches!(error, StoreError::Database(_)), "{error}");
    }
}
