//! The writer under failures, and what waits for what.

use std::path::Path;

use model::record::Organization;
use model::{CallSid, OrganizationSid, OrganizationStatus};

use super::*;
use crate::admin::Admin;

fn trace(n: u8, bytes: usize) -> Operation {
    Operation::Change(Change::Trace {
        lane: CallSid::from_bytes([n; 16]).into(),
        blob: vec![n; bytes],
    })
}

async fn settle(task: &mut Task, inbox: &Inbox, operations: Vec<Operation>) -> Result<Committed> {
    settle_again(task, inbox, operations, false).await
}

async fn settle_again(
    task: &mut Task,
    inbox: &Inbox,
    operations: Vec<Operation>,
    again: bool,
) -> Result<Committed> {
    let (reply, answer) = oneshot::channel();
    let job = Job {
        operations,
        again,
        hurry: Hurry::Now,
        reply,
    };
    task.settle(vec![job], inbox).await;
    answer.await.expect("every job is answered")
}

fn job(hurry: Hurry, operations: usize) -> Job {
    Job {
        operations: (0..operations).map(|_| trace(1, 1)).collect(),
        again: false,
        hurry,
        reply: oneshot::channel().0,
    }
}

#[test]
fn waits_for_the_disk_and_wakes_the_task_only_when_needed() {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let mut state = State {
        alive_due: Some(at(10_000)),
        ..State::default()
    };
    let next = |state: &mut State, ms| state.next(at(ms), || job(Hurry::Soon, 1));
    let written = |next| match next {
        Next::Write(group) => group.len(),
        Next::Sleep(_) | Next::End(_) => 0,
    };
    assert!(matches!(next(&mut state, 0), Next::Sleep(Some(due)) if due == at(10_000)));
    // No caller waits for it: it is written when due.
    assert!(state.add(job(Hurry::Soon, 1), at(0)), "sets an alarm");
    assert!(matches!(next(&mut state, 0), Next::Sleep(Some(due)) if due == at(100)));
    assert!(!state.add(job(Hurry::Soon, 1), at(50)));
    assert!(matches!(next(&mut state, 60), Next::Sleep(Some(due)) if due == at(100)));
    // One that delays no caller is due sooner, and moves the alarm forward.
    assert!(state.add(job(Hurry::Shared, 1), at(60)));
    assert!(matches!(next(&mut state, 60), Next::Sleep(Some(due)) if due == at(80)));
    // Both are written with the next commit that a caller waits for, which does not wait.
    assert!(state.add(job(Hurry::Now, 1), at(70)));
    assert_eq!(written(next(&mut state, 70)), 4);
    // Commits that arrive during a write form the next group, which is written immediately.
    assert!(!state.add(job(Hurry::Now, 1), at(71)), "it looks by itself");
    assert!(!state.add(job(Hurry::Shared, 1), at(71)));
    assert!(!state.add(job(Hurry::Now, 1), at(72)));
    assert_eq!(written(next(&mut state, 73)), 3);
    // An idle writer starts immediately.
    assert!(matches!(next(&mut state, 74), Next::Sleep(Some(due)) if due == at(10_000)));
    assert!(state.add(job(Hurry::Now, 1), at(74)));
    assert_eq!(written(next(&mut state, 74)), 1);
    // After a group it pauses, and commits that arrive meanwhile share the next one.
    state.wrote(at(74), false);
    assert!(matches!(next(&mut state, 74), Next::Sleep(Some(due)) if due == at(10_000)));
    assert!(state.add(job(Hurry::Now, 1), at(75)));
    assert!(matches!(next(&mut state, 75), Next::Sleep(Some(due)) if due == at(77)));
    assert!(!state.add(job(Hurry::Now, 1), at(76)));
    assert_eq!(written(next(&mut state, 77)), 2);
    // A large group does not wait and is written in parts.
    assert!(matches!(next(&mut state, 80), Next::Sleep(Some(due)) if due == at(10_000)));
    assert!(state.add(job(Hurry::Shared, 1), at(80)));
    assert!(matches!(next(&mut state, 80), Next::Sleep(Some(_))));
    assert!(state.add(job(Hurry::Shared, GROUP), at(80)));
    assert!(state.add(job(Hurry::Shared, 1), at(80)));
    assert_eq!(written(next(&mut state, 80)), 2);
    assert_eq!(written(next(&mut state, 80)), 1);
    // The end follows everything that was accepted.
    assert!(!state.add(job(Hurry::Soon, 1), at(90)));
    state.closed = Some(at(90));
    assert!(!state.gives_up(at(10_089)) && state.gives_up(at(10_090)));
    assert_eq!(written(next(&mut state, 90)), 1);
    assert!(matches!(next(&mut state, 90), Next::End(_)));
}

/// Heartbeats are written even if commits never stop arriving.
#[test]
fn a_writer_without_a_pause_lives() {
    let start = Instant::now();
    let mut state = State::default();
    let mut beats = Vec::new();
    for ms in (0..25_000).step_by(10) {
        let now = start + Duration::from_millis(ms);
        state.add(job(Hurry::Now, 1), now);
        let next = state.next(now, || {
            beats.push(ms);
            job(Hurry::Soon, 1)
        });
        let Next::Write(group) = next else {
            panic!("a pause at {ms}");
        };
        assert_eq!(group.len(), 1 + usize::from(beats.last() == Some(&ms)));
        // Two of them find more old rows than they delete.
        state.wrote(now, matches!(ms, 10_000 | 11_000));
    }
    assert_eq!(beats, [0, 10_000, 11_000, 12_000, 22_000]);
}

#[tokio::test]
async fn a_full_disk_is_told_and_passes() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut task = task(dir.path()).await;
    // No more pages than there are.
    run(&mut task, "PRAGMA max_page_count = 1").await;
    let inbox = Inbox::default();
    let full = settle(&mut task, &inbox, vec![trace(1, 1_000_000)]).await;
    assert!(matches!(full, Err(StoreError::Unavailable(_))), "{full:?}");
    assert!(inbox.is_stuck.load(Ordering::Relaxed));
    run(&mut task, "PRAGMA max_page_count = 100000").await;
    let written = settle(&mut task, &inbox, vec![trace(1, 1_000_000)]).await;
    assert!(written.expect("it passes").all_applied());
    assert!(!inbox.is_stuck.load(Ordering::Relaxed));
}

#[tokio::test]
async fn a_closing_store_that_gave_up_attempts_nothing_more() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut task = task(dir.path()).await;
    let inbox = Inbox::default();
    inbox.state().closed = Instant::now().checked_sub(CLOSING_PATIENCE);
    let written = settle(&mut task, &inbox, vec![trace(1, 1)]).await;
    assert!(written.expect("a last write").all_applied());
    let other = rusqlite::Connection::open(dir.path().join("p.db")).expect("the file");
    other.execute_batch("BEGIN IMMEDIATE").expect("its lock");
    run(&mut task, "PRAGMA busy_timeout = 1").await;
    let locked = settle(&mut task, &inbox, vec![trace(2, 1)]).await;
    assert!(
        matches!(locked, Err(StoreError::Unavailable(_))),
        "{locked:?}"
    );
    other.execute_batch("ROLLBACK").expect("no lock");
    let left = settle(&mut task, &inbox, vec![trace(3, 1)]).await;
    assert!(matches!(left, Err(StoreError::Unavailable(_))), "{left:?}");
}

#[tokio::test]
async fn a_repeated_insert_is_refused_only_because_of_another_row() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut task = task(dir.path()).await;
    let insert = async |task: &mut Task, n, again| {
        let row = Organization {
            sid: OrganizationSid::from_bytes([n; 16]),
            domain_name: "one.example".to_owned(),
            status: OrganizationStatus::Active,
            created: Timestamp(1),
            updated: Timestamp(1),
        };
        let insert = Operation::Admin(Box::new(Admin::InsertOrganization(row)));
        settle_again(task, &Inbox::default(), vec![insert], again).await
    };
    let table = [
        (1, false, true),
        (1, false, false),
        (1, true, true),
        (2, true, false),
    ];
    for (n, again, added) in table {
        match insert(&mut task, n, again).await {
            Ok(committed) => assert!(added && committed.all_applied(), "{n} {again}"),
            Err(StoreError::Duplicate(_)) => assert!(!added, "{n} {again}"),
            Err(error) => panic!("{n} {again}: {error}"),
        }
    }
}

#[tokio::test]
async fn only_a_write_that_changes_look_ups_clears_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut task = task(dir.path()).await;
    let gone_since = Timestamp(1);
    let row = Organization {
        sid: OrganizationSid::from_bytes([1; 16]),
        domain_name: "one.example".to_owned(),
        status: OrganizationStatus::Active,
        created: Timestamp(1),
        updated: Timestamp(1),
    };
    for (admin, clears) in [
        (
            Admin::AdoptCallbacks {
                from: String::new(),
                gone_since,
            },
            false,
        ),
        (Admin::InsertOrganization(row), true),
    ] {
        let domains = &task.caches.domains;
        if let Err(generation) = domains.get("one.example") {
            domains.keep(generation, "one.example".to_owned(), None);
        }
        let write = vec![Operation::Admin(Box::new(admin))];
        let written = settle(&mut task, &Inbox::default(), write).await;
        written.expect("it is written");
        assert_eq!(task.caches.domains.get("one.example").is_err(), clears);
    }
}

/// A task with a new database in `folder`.
async fn task(folder: &Path) -> Task {
    let url = format!("sqlite:{}", folder.join("p.db").display());
    let mut opened = crate::connect::open(&url).await.expect("a database");
    crate::migrate::migrate(&mut opened.connection, opened.dialect, Timestamp(0))
        .await
        .expect("tables");
    Task::new(Start {
        dialect: opened.dialect,
        connection: opened.connection,
        target: opened.target,
        instance: InstanceSid::from_bytes([1; 16]),
        caches: Arc::new(Caches::new(None)),
        lock: opened.lock,
    })
}

async fn run(task: &mut Task, sql: &str) {
    let connection = task.connection.as_mut().expect("a connection");
    connection.run(sql).await.expect("it runs");
}
