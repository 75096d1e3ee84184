//! The audit log.

use std::time::Duration;

use model::record::AuditEntry;
use model::{AccountSid, AuditSid, Timestamp};
use store::{Inspect, Place, Scope, Store, Window};

use super::Database;
use super::values::*;

fn entry(number: u8, account: u8, created: Timestamp) -> AuditEntry {
    AuditEntry {
        sid: AuditSid::from_bytes([number; 16]),
        account: AccountSid::from_bytes([account; 16]),
        actor: AccountSid::from_bytes([9; 16]),
        key: None,
        source: "10.0.0.1".to_owned(),
        request: "RQ1".to_owned(),
        method: "POST".to_owned(),
        path: "/x".to_owned(),
        before: None,
        after: Some("{}".to_owned()),
        created,
    }
}

async fn listed(store: &Store, account: u8) -> Vec<AuditEntry> {
    let scope = Scope::Own(AccountSid::from_bytes([account; 16]));
    let window = Window {
        offset: 0,
        limit: 10,
        place: Place::Newest,
    };
    store.audit_log(scope, &window).await.unwrap().items
}

pub(crate) async fn changes_are_listed_until_they_are_old(db: &Database) {
    let store = db.open().await;
    let now = now();
    let old = entry(1, 1, now - Duration::from_secs(90 * 24 * 3600 + 1));
    let (young, other) = (entry(2, 1, now), entry(3, 2, now));
    for entry in [&old, &young, &other] {
        store.insert_audit_entry(entry.clone()).await.unwrap();
    }
    assert_eq!(listed(&store, 1).await, [young.clone(), old.clone()]);
    assert_eq!(store.audit_entry(old.sid).await.unwrap(), Some(old.clone()));
    let inspect = Inspect::open(&db.url).await.unwrap();
    let all = inspect.audit_log(None, 10).await.unwrap();
    assert_eq!(all, [old.clone(), young.clone(), other.clone()]);
    let of_one = inspect.audit_log(Some(young.account), 1).await.unwrap();
    assert_eq!(of_one, std::slice::from_ref(&young));
    store.forget_audit_entries(now).await.unwrap();
    assert_eq!(listed(&store, 1).await, [young]);
    assert_eq!(listed(&store, 2).await, [other]);
}
