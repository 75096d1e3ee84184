//! Copies from SQLite to PostgreSQL that are interrupted, and sources that change between two attempts.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]
use std::path::Path;
use std::time::Duration;

use store::{Progress, SecretKey, Store, StoreError, Transfer};
use testkit::postgres::Postgres;
use tokio_postgres::NoTls;

async fn run(url: &str, sql: &str) -> bool {
    let Ok((client, connection)) = tokio_postgres::connect(url, NoTls).await else {
        return false;
    };
    tokio::spawn(connection);
    client.batch_execute(sql).await.is_ok()
}

fn in_file(file: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(file).unwrap();
    connection.execute_batch(sql).unwrap();
}

/// Copies until so many rows are done, then stops as if it were killed; `true` if it was finished.
async fn copy_until(file: &Path, url: &str, limit: u64) -> bool {
    let mut transfer = Transfer::open(file, url).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let mut stop = Some(stop);
    let copying = transfer.copy(|progress: Progress<'_>| {
        if progress.done >= limit
            && let Some(stop) = stop.take()
        {
            let _ = stop.send(());
        }
    });
    tokio::select! {
        biased;
        _ = stopped => false,
        copied = copying => { copied.unwrap(); true }
    }
}

async fn compared(file: &Path, url: &str) -> Vec<store::Compared> {
    let mut transfer = Transfer::open(file, url).await.unwrap();
    transfer.copy(|_| {}).await.unwrap();
    let compared = transfer.compare(|_| {}).await.unwrap();
    for table in &compared {
        assert_eq!(table.source, table.target, "{}", table.table);
    }
    transfer.finish().await.unwrap();
    compared
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_copy_ends_up_equal_even_if_the_source_has_changed() {
    let Some(postgres) = Postgres::required() else {
        return;
    };
    let admin = format!("{}/postgres", postgres.url);
    while !run(&admin, "SELECT 1").await {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(run(&admin, "CREATE DATABASE target").await);
    let target = format!("{}/target", postgres.url);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("p.db");
    let url = format!("sqlite:{}", file.display());
    let key = SecretKey::random();
    let store = Store::open(&url, key.clone()).await.unwrap();
    let seed = store::AdminSeed::default();
    store.first_start("one.example", seed).await.unwrap();
    let used = Transfer::open(&file, &target).await.err().unwrap();
    assert!(used.to_string().contains("stop the server"), "{used}");
    store.close().await;
    // Rows of every type, empty and null values, and more than one page.
    in_file(
        &file,
        "INSERT INTO traces (lane, content) WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c \
         WHERE n < 3000) SELECT 'CA' || n, CASE n % 3 WHEN 0 THEN zeroblob(0) ELSE randomblob(n) END FROM c; \
         INSERT INTO messages (sid, instance, account, from_user, to_user, body, direction, status, created, updated, \
         reason) SELECT lane, '', '', 'é 🎈', '', char(1), '', '', rowid, -1, NULL FROM traces",
    );
    let mut finished = false;
    for limit in [1, 700, 2_600, 4_000] {
        finished |= copy_until(&file, &target, limit).await;
        let refused = Store::open(&target, key.clone()).await.err().unwrap();
        assert!(refused.to_string().contains("unfinished copy"), "{refused}");
    }
    assert!(!finished);
    // What was copied already changes, goes and is added.
    in_file(
        &file,
        "UPDATE messages SET body = 'new' WHERE sid = 'CA5'; DELETE FROM traces WHERE lane = 'CA6'; \
         INSERT INTO traces (lane, content) VALUES ('CA0', x'00')",
    );
    let tables = compared(&file, &target).await;
    let rows = |name: &str| {
        let table = tables.iter().find(|table| table.table == name).unwrap();
        table.target.rows
    };
    assert_eq!(
        (rows("messages"), rows("traces"), rows("accounts")),
        (3_000, 3_000, 1)
    );
    let done = Transfer::open(&file, &target).await.err().unwrap();
    assert!(
        matches!(&done, StoreError::Unusable(text) if text.contains("nothing is left")),
        "{done}"
    );
    let moved = Store::open(&target, key).await.unwrap();
    assert!(moved.default_organization().await.unwrap().is_some());
    moved.close().await;
}
