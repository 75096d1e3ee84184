//! The suite on SQLite, and cases specific to files.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod suite;

use std::time::{Duration, Instant};

use store::{Change, SecretKey, Store, StoreError};
use suite::{Database, raw};

fn database() -> Database {
    let dir = tempfile::tempdir().unwrap();
    Database {
        url: format!("sqlite:{}", dir.path().join("p.db").display()),
        key: SecretKey::random(),
        _dir: Some(dir),
    }
}

macro_rules! tests {
    ($($case:ident,)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            suite::$case(&database()).await;
        })+
    };
}
suite::for_each_case!(tests);

fn alive(store: &Store) -> Change {
    Change::Alive {
        instance: store.instance(),
        at: model::Timestamp(1),
    }
}

#[tokio::test]
async fn a_second_server_on_the_same_file_is_refused() {
    let db = database();
    let first = db.open().await;
    let Err(StoreError::Unusable(text)) = Store::open(&db.url, db.key.clone()).await else {
        panic!("opened twice");
    };
    assert!(text.contains("in use by another server"), "{text}");
    first.close().await;
    db.open().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_named() {
    let db = database();
    let dir = db._dir.as_ref().unwrap().path();
    std::fs::write(dir.join("file"), "").unwrap();
    let garbage = dir.join("garbage.db");
    std::fs::write(&garbage, "no database at all, but text".repeat(50)).unwrap();
    let table = [
        (
            "sqlite:/nonexistent/dir/p.db".to_owned(),
            "/nonexistent/dir/p.db",
        ),
        (
            format!("sqlite:{}", dir.join("file/p.db").display()),
            "file/p.db",
        ),
        (format!("sqlite:{}", garbage.display()), "garbage.db"),
        ("mysql://host/db".to_owned(), "mysql://host/db"),
    ];
    for (url, named) in table {
        match Store::open(&url, SecretKey::random()).await {
            Err(StoreError::Unusable(text)) => assert!(text.contains(named), "{text}"),
            Err(other) => panic!("{url}: {other}"),
            Ok(_) => panic!("{url} was opened"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_waits_for_a_busy_file() {
    let db = database();
    let store = db.open().await;
    let other = rusqlite::Connection::open(db.url.strip_prefix("sqlite:").unwrap()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let start = Instant::now();
    let commit = tokio::spawn({
        let store = store.clone();
        async move { store.commit(vec![alive(&store)]).await }
    });
    // Longer than SQLite's own timeout.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(!commit.is_finished());
    other.execute_batch("COMMIT").unwrap();
    commit.await.unwrap().unwrap();
    assert!(start.elapsed() >= Duration::from_secs(6));
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_refused() {
    let db = database();
    db.open().await.close().await;
    let later = "INSERT INTO migrations VALUES (9999, 'later', 0)";
    raw::run(&db.url, later).await;
    let Err(StoreError::Unusable(text)) = Store::open(&db.url, db.key.clone()).await else {
        panic!("opened");
    };
    assert!(text.contains("newer release"), "{text}");
}

#[tokio::test]
async fn closing_writes_what_was_committed_before() {
    let db = database();
    let store = db.open().await;
    let commits: Vec<_> = (0..50)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.commit(vec![alive(&store)]).await })
        })
        .collect();
    tokio::task::yield_now().await;
    store.close().await;
    for commit in commits {
        assert!(matches!(
            commit.await.unwrap(),
            Ok(_) | Err(StoreError::Closed)
        ));
    }
    db.open().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_an_account_deletes_its_rows_in_parts() {
    let db = database();
    let store = db.open().await;
    let organization = suite::values::organization(&store, 1, "one.example").await;
    suite::values::insert_account(&store, 1, None, organization).await;
    let account = suite::values::account_sid(1);
    let numbers = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c \
                   WHERE n < 10001) SELECT n";
    let filled = format!(
        "INSERT INTO notifications (sid, account, lane, level, code, message, created) \
         {numbers}, '{account}', '', 0, 0, '', 1 FROM c; \
         INSERT INTO counters (account, kind, n) \
         VALUES ('{account}', 'notifications', 10001); \
         CREATE TABLE parts (n INTEGER); \
         CREATE TRIGGER part AFTER UPDATE ON counters \
         BEGIN INSERT INTO parts VALUES (new.n); END"
    );
    raw::run(&db.url, &filled).await;
    let (closed, at) = (model::AccountStatus::Closed, model::Timestamp(2));
    store.set_account_status(account, closed, at).await.unwrap();
    let parts = raw::rows(&db.url, "SELECT n FROM parts ORDER BY rowid").await;
    assert_eq!(parts.concat(), ["1", "0"].map(|n| Some(n.to_owned())));
    let left = raw::rows(&db.url, "SELECT sid FROM notifications").await;
    assert!(left.is_empty());
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let db = database();
    let store = db.open().await;
    store.commit(vec![alive(&store)]).await.unwrap();
    let dir = db._dir.as_ref().unwrap().path();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        names.push(entry.file_name().into_string().unwrap());
        assert_eq!(mode, 0o600, "{names:?}");
    }
    assert!(names.len() >= 3, "{names:?}");
}
