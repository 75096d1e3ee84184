//! Statements past the store: what an earlier release or another program wrote, and what is in the
//! columns.

use rusqlite::types::ValueRef;
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// Runs statements without arguments; a file that does not exist is created.
pub(crate) async fn run(url: &str, text: &str) {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.execute_batch(text).unwrap();
    } else {
        server(url).await.batch_execute(text).await.unwrap();
    }
}

/// The rows that a statement selects, as texts.
pub(crate) async fn rows(url: &str, text: &str) -> Vec<Vec<Option<String>>> {
    let Some(path) = url.strip_prefix("sqlite:") else {
        let messages = server(url).await.simple_query(text).await.unwrap();
        let row = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => {
                let texts = (0..row.len()).map(|at| row.get(at).map(str::to_owned));
                Some(texts.collect())
            }
            _ => None,
        };
        return messages.iter().filter_map(row).collect();
    };
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut statement = connection.prepare(text).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        let text = |at| match row.get_ref(at)? {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(number) => Ok(Some(number.to_string())),
            value => Ok(Some(value.as_str()?.to_owned())),
        };
        (0..columns).map(text).collect()
    };
    let found = statement.query_map([], row).unwrap();
    found.map(Result::unwrap).collect()
}

/// A connection past the store.
pub(crate) async fn server(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// How the database would carry out a statement, a step a line.
///
/// PostgreSQL is made to use an index wherever one fits, however small the table is.
pub(crate) async fn plan(url: &str, statement: &str) -> Vec<String> {
    let Some(path) = url.strip_prefix("sqlite:") else {
        return server_plan(url, statement).await;
    };
    let connection = rusqlite::Connection::open(path).unwrap();
    let explained = format!("EXPLAIN QUERY PLAN {statement}");
    let mut explaining = connection.prepare(&explained).unwrap();
    let mut found = explaining.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = found.next().unwrap() {
        steps.push(row.get("detail").unwrap());
    }
    steps
}

/// The same with these arguments, and as PostgreSQL itself chooses.
pub(crate) async fn chosen_plan(url: &str, statement: &str, arguments: &[&str]) -> Vec<String> {
    if url.starts_with("sqlite:") {
        return plan(url, statement).await;
    }
    let numbered = arguments.iter().enumerate().rev();
    let text = numbered.fold(statement.to_owned(), |text, (at, argument)| {
        text.replace(&format!("${}", at + 1), argument)
    });
    let found = rows(url, &format!("EXPLAIN (COSTS OFF) {text}")).await;
    found.into_iter().filter_map(|row| row[0].clone()).collect()
}

async fn server_plan(url: &str, statement: &str) -> Vec<String> {
    let client = server(url).await;
    let arguments = client.prepare(statement).await.unwrap().params().len();
    let nulls = match vec!["NULL"; arguments].join(", ") {
        none if none.is_empty() => none,
        nulls => format!("({nulls})"),
    };
    let settings = "SET enable_seqscan = off; SET enable_sort = off; \
                    SET plan_cache_mode = force_generic_plan";
    let text = format!("{settings}; PREPARE explained AS {statement}");
    client.batch_execute(&text).await.unwrap();
    let text = format!("EXPLAIN (COSTS OFF) EXECUTE explained{nulls}");
    let found = client.simple_query(&text).await.unwrap();
    let steps = found.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(|step| step.trim().to_owned()),
        _ => None,
    });
    steps.collect()
}
