//! A shared database: a server that is asked over a socket.

use std::error::Error as _;
use std::fmt::Write;
use std::io::ErrorKind;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, NoTls, Statement};

use super::recent::Recent;
use super::{Access, COMPILED, Failure, Server};
use crate::dialect::Dialect;
use crate::row::{Names, Row, Value};
use crate::sql::{Arg, Sql};

/// Waits for an answer of the server as long as it may take.
macro_rules! answered {
    ($shared:ident, $answer:expr) => {{
        $shared.driver.awaits_answer = true;
        let answer = timeout($shared.silence, $answer).await;
        // Left as it is by an answer that does not come and by a caller that stops waiting.
        $shared.driver.awaits_answer = answer.is_err();
        match answer {
            Ok(answer) => answer.map_err(Failure::from),
            Err(_) => Err(Failure::Silent),
        }
    }};
}

pub(crate) struct Shared {
    client: Client,
    driver: Driver,
    /// How long the server may take to answer a statement.
    silence: Duration,
    /// Compiled, by text.
    statements: Recent<Statement>,
}

/// Carries bytes between the client and its socket, until the client is dropped.
struct Driver {
    task: JoinHandle<()>,
    /// A statement was sent and its answer has not been read: the connection is of no more use if
    /// nothing waits for that answer any more.
    awaits_answer: bool,
}

impl Drop for Driver {
    /// Closes the socket under an answer that may never come.
    fn drop(&mut self) {
        if self.awaits_answer {
            self.task.abort();
        }
    }
}

impl Shared {
    pub(super) async fn connect(server: &Server, access: Access) -> Result<Self, Failure> {
        let opening = Self::open(server, access);
        (timeout(server.connecting, opening).await).unwrap_or(Err(Failure::Silent))
    }

    async fn open(server: &Server, access: Access) -> Result<Self, Failure> {
        let config = server.config_for(access);
        let (client, connection) = (config.connect(NoTls).await).map_err(Failure::Unreachable)?;
        let task = tokio::spawn(async move {
            // The statement that waits gets the error, or else the next one.
            let _ = connection.await;
        });
        let mut opened = Self {
            client,
            driver: Driver {
                task,
                awaits_answer: false,
            },
            silence: server.silence,
            statements: Recent::new(COMPILED),
        };
        for statement in Dialect::Postgres.setup(access) {
            opened.run(statement).await?;
        }
        // The server ends what a client left behind that does not wait any more: the locks of a
        // transaction, before others give up waiting for them; a read, before it is silence.
        let limited = match access {
            Access::Write => "idle_in_transaction_session_timeout",
            Access::Read => "statement_timeout",
        };
        let limit = (server.silence * 2 / 3).as_millis();
        opened.run(&format!("SET {limited} = {limit}")).await?;
        Ok(opened)
    }

    pub(super) async fn run(&mut self, sql: &str) -> Result<(), Failure> {
        answered!(self, self.client.batch_execute(sql))
    }

    /// As [`Self::run`], however long the server works on it.
    pub(super) async fn run_long(&mut self, sql: &str) -> Result<(), Failure> {
        Ok(self.client.batch_execute(sql).await?)
    }

    pub(super) async fn execute(&mut self, sql: &Sql) -> Result<u64, Failure> {
        let (statement, was_kept) = self.compiled(sql).await?;
        let done = answered!(self, self.client.execute(&statement, &arguments(sql)));
        self.unless_stale(sql, was_kept, done)
    }

    pub(super) async fn all(&mut self, sql: &Sql) -> Result<Vec<Row>, Failure> {
        let (statement, was_kept) = self.compiled(sql).await?;
        let names: Names = (statement.columns().iter())
            .map(|column| Box::from(column.name()))
            .collect();
        let rows = answered!(self, self.client.query(&statement, &arguments(sql)));
        let rows = self.unless_stale(sql, was_kept, rows)?;
        let read = |row: &tokio_postgres::Row| {
            let values = (0..names.len()).map(|at| value(row, at));
            Ok(Row::new(&names, values.collect::<Result<_, Error>>()?))
        };
        rows.iter().map(read).collect()
    }

    pub(super) fn is_lost(&self) -> bool {
        self.client.is_closed() || self.driver.awaits_answer
    }

    /// Returns when the server has been told, or does not listen.
    pub(super) async fn close(mut self) {
        drop(self.client);
        self.driver.awaits_answer = (timeout(self.silence, &mut self.driver.task).await).is_err();
    }

    /// The statement, compiled for the types of its arguments, and whether it was compiled before.
    async fn compiled(&mut self, sql: &Sql) -> Result<(Statement, bool), Failure> {
        let types: Vec<Type> = sql.args().iter().map(type_of).collect();
        match self.statements.get(sql.as_text()) {
            Some(known) if known.params() == types => return Ok((known.clone(), true)),
            Some(_) | None => {}
        }
        let statement = answered!(self, self.client.prepare_typed(sql.as_text(), &types))?;
        self.statements.keep(sql.as_text(), statement.clone());
        Ok((statement, false))
    }

    /// Forgets a statement that the server does not carry out as it was compiled; the next attempt
    /// compiles it again.
    fn unless_stale<T>(
        &mut self,
        sql: &Sql,
        was_kept: bool,
        answer: Result<T, Failure>,
    ) -> Result<T, Failure> {
        match answer {
            Err(Failure::Shared(error)) if was_kept && is_stale(&error) => {
                self.statements.forget(sql.as_text());
                Err(Failure::Stale)
            }
            answer => answer,
        }
    }
}

/// The type of an argument, also if it is null.
fn type_of(arg: &Arg) -> Type {
    match arg {
        Arg::Int(_) => Type::INT8,
        Arg::Text(_) => Type::TEXT,
        Arg::Blob(_) => Type::BYTEA,
    }
}

fn arguments(sql: &Sql) -> Vec<&(dyn ToSql + Sync)> {
    let args = sql.args().iter();
    args.map(|arg| -> &(dyn ToSql + Sync) {
        match arg {
            Arg::Int(number) => number,
            Arg::Text(text) => text,
            Arg::Blob(bytes) => bytes,
        }
    })
    .collect()
}

fn value(row: &tokio_postgres::Row, at: usize) -> Result<Value, Error> {
    let value = match *row.columns()[at].type_() {
        Type::INT8 => row.try_get::<_, Option<i64>>(at)?.map(Value::Int),
        Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(at)?.map(Value::Blob),
        // An error if it is not a text.
        _ => row.try_get::<_, Option<String>>(at)?.map(Value::Text),
    };
    Ok(value.unwrap_or(Value::Null))
}

/// What went wrong, without the values that a server quotes in its details.
pub(super) fn explain(error: &Error) -> String {
    if let Some(refusal) = error.as_db_error() {
        return refusal.message().to_owned();
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

/// The server's code for what it refused.
pub(super) fn code(error: &Error) -> Option<&str> {
    error.code().map(|state| state.code())
}

/// The types of a statement's results have changed, or the server has dropped it.
fn is_stale(error: &Error) -> bool {
    matches!(code(error), Some("0A000" | "26000"))
}

/// The socket was lost.
pub(super) fn is_cut_off(error: &Error) -> bool {
    // Bytes that cannot be sent or read are errors of this kind, too; they stay as they are.
    let is_lost = |kind| !matches!(kind, ErrorKind::InvalidData | ErrorKind::InvalidInput);
    error.is_closed() || io_kind(error).is_some_and(is_lost)
}

/// A server that only reads was found where one that writes was looked for.
pub(super) fn only_reads(error: &Error) -> bool {
    io_kind(error) == Some(ErrorKind::PermissionDenied)
}

fn io_kind(error: &Error) -> Option<ErrorKind> {
    let io = error.source()?.downcast_ref::<std::io::Error>()?;
    Some(io.kind())
}
