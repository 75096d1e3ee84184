//! Facts that a killed process had confirmed are found by the next one.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use model::record::CallRecord;
use model::{AccountSid, CallSid, Timestamp};
use store::{CallFilter, Change, Scope, SecretKey, Store};

const DATABASE: &str = "PATCHCORD_CRASH_DATABASE";
const CONFIRMED: usize = 300;

/// The process to be killed: stores calls, eight at a time, and reports each once it is stored.
#[test]
#[ignore = "runs as a child of the other test"]
fn child() {
    let Ok(url) = std::env::var(DATABASE) else {
        return; // Started by hand, it has nothing to do.
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Store::open(&url, SecretKey::random()).await.unwrap();
        let tasks: Vec<_> = (0..8u32)
            .map(|task| tokio::spawn(keep_calls(store.clone(), task)))
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

async fn keep_calls(store: Store, task: u32) {
    for n in 0..1_000_000 {
        let call = call(&store, task * 1_000_000 + n);
        let sid = call.sid;
        let created = Change::CallCreated(Box::new(call));
        store.commit(vec![created]).await.unwrap();
        let line = format!("kept {sid}\n");
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }
}

#[tokio::test]
async fn a_killed_process_loses_nothing_it_confirmed() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("p.db").display());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(DATABASE, &url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let kept: Vec<CallSid> = lines
        .filter_map(|line| line.unwrap().split("kept ").nth(1)?.parse().ok())
        .take(CONFIRMED)
        .collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(kept.len(), CONFIRMED);

    let store = Store::open(&url, SecretKey::random()).await.unwrap();
    for sid in &kept {
        assert!(store.call(*sid).await.unwrap().is_some(), "{sid} is lost");
    }
    let orphans = store.close_orphans(Timestamp(0)).await.unwrap();
    let account = AccountSid::from_bytes([1; 16]);
    let all = CallFilter::of(Scope::Own(account));
    let counted = store.calls(&all).await.unwrap().total;
    assert!(orphans.len() >= CONFIRMED);
    assert_eq!(
        i64::try_from(orphans.len()).unwrap(),
        counted,
        "counted with its call"
    );
}

fn call(store: &Store, n: u32) -> CallRecord {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    let (sid, account) = (CallSid::from_bytes(bytes), AccountSid::from_bytes([1; 16]));
    testkit::records::call(sid, store.instance(), account, Timestamp(1))
}
