//! A shared database: a server that is asked over a socket.

use std::collections::HashMap;
use std::error::Error as _;
use std::fmt::Write;
use std::io::ErrorKind;

use tokio::task::JoinHandle;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Error, NoTls, Statement};

use super::{Access, COMPILED};
use crate::dialect::Dialect;
use crate::row::{Names, Row, Value};
use crate::sql::{Arg, Sql};

pub(crate) struct Shared {
    client: Client,
    /// Carries bytes between the client and its socket, until the client is dropped.
    driver: JoinHandle<()>,
    /// Compiled, by text.
    statements: HashMap<String, Statement>,
}

impl Shared {
    pub(super) async fn connect(config: &Config, access: Access) -> Result<Self, Error> {
        let (client, connection) = config.connect(NoTls).await?;
        let driver = tokio::spawn(async move {
            // The statement that waits gets the error, or else the next one.
            let _ = connection.await;
        });
        for statement in Dialect::Postgres.setup(access) {
            client.batch_execute(statement).await?;
        }
        Ok(Self {
            client,
            driver,
            statements: HashMap::new(),
        })
    }

    pub(super) async fn run(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await
    }

    pub(super) async fn execute(&mut self, sql: &Sql) -> Result<u64, Error> {
        let statement = self.compiled(sql).await?;
        self.client.execute(&statement, &arguments(sql)).await
    }

    pub(super) async fn all(&mut self, sql: &Sql) -> Result<Vec<Row>, Error> {
        let statement = self.compiled(sql).await?;
        let names: Names = (statement.columns().iter())
            .map(|column| Box::from(column.name()))
            .collect();
        let rows = self.client.query(&statement, &arguments(sql)).await?;
        let read = |row: &tokio_postgres::Row| {
            let values = (0..names.len()).map(|at| value(row, at));
            Ok(Row::new(&names, values.collect::<Result<_, Error>>()?))
        };
        rows.iter().map(read).collect()
    }

    pub(super) fn is_lost(&self) -> bool {
        self.client.is_closed()
    }

    /// Returns when the server has been told.
    pub(super) async fn close(self) {
        drop(self.client);
        let _ = self.driver.await;
    }

    /// The statement, compiled for the types of its arguments.
    async fn compiled(&mut self, sql: &Sql) -> Result<Statement, Error> {
        let types: Vec<Type> = sql.args().iter().map(type_of).collect();
        match self.statements.get(sql.as_text()) {
            Some(known) if known.params() == types => return Ok(known.clone()),
            Some(_) | None => {}
        }
        let statement = self.client.prepare_typed(sql.as_text(), &types).await?;
        if self.statements.len() >= COMPILED {
            self.statements.clear();
        }
        self.statements
            .insert(sql.as_text().to_owned(), statement.clone());
        Ok(statement)
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

/// The socket was lost, or could not be opened.
pub(super) fn is_cut_off(error: &Error) -> bool {
    let cause = error.source();
    let io = cause.and_then(|cause| cause.downcast_ref::<std::io::Error>());
    // Bytes that cannot be sent or read are errors of this kind, too; they stay as they are.
    let is_lost = |kind| !matches!(kind, ErrorKind::InvalidData | ErrorKind::InvalidInput);
    error.is_closed() || io.is_some_and(|io| is_lost(io.kind()))
}
