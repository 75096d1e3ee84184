//! Cases about registered phones: each server keeps its own.

use std::time::Duration;

use model::{OrganizationSid, ServerSid, Timestamp};
use store::{Change, KeptPhones, Store};

use super::values::*;
use super::{Database, raw};

const HERE: ServerSid = ServerSid::from_bytes([1; 16]);
const THERE: ServerSid = ServerSid::from_bytes([2; 16]);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn of() -> OrganizationSid {
    OrganizationSid::from_bytes(bytes(1))
}

async fn keep(store: &Store, server: ServerSid, login: &str, phones: Option<(&str, Timestamp)>) {
    let kept = |(content, expires): (&str, Timestamp)| KeptPhones {
        content: content.to_owned(),
        expires,
    };
    let change = Change::Registered {
        organization: of(),
        login: login.to_owned(),
        server,
        phones: phones.map(kept),
    };
    commit(store, vec![change]).await;
}

async fn kept(store: &Store, server: ServerSid) -> Vec<(String, String)> {
    store.registered(of(), server).await.unwrap()
}

fn rows(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let row = |(login, content): &(&str, &str)| ((*login).to_owned(), (*content).to_owned());
    expected.iter().map(row).collect()
}

pub(crate) async fn a_server_changes_only_registrations_of_its_own(db: &Database) {
    let store = db.open().await;
    let later = now() + DAY;
    keep(&store, HERE, "kim", Some(("first", later))).await;
    keep(&store, HERE, "ann", Some(("one", later))).await;
    assert!(kept(&store, THERE).await.is_empty());
    // The same phone, or another one of the same client, registers there and leaves again.
    keep(&store, THERE, "kim", Some(("elsewhere", later))).await;
    keep(&store, HERE, "kim", Some(("renewed", later))).await;
    assert_eq!(kept(&store, THERE).await, rows(&[("kim", "elsewhere")]));
    keep(&store, THERE, "kim", None).await;
    keep(&store, THERE, "ann", None).await;
    store.close().await;
    let store = db.open().await;
    let all = rows(&[("ann", "one"), ("kim", "renewed")]);
    assert_eq!(kept(&store, HERE).await, all);
    keep(&store, HERE, "ann", None).await;
    assert_eq!(kept(&store, HERE).await, rows(&[("kim", "renewed")]));
}

pub(crate) async fn registrations_of_an_earlier_release_go_to_the_first_server(db: &Database) {
    db.open().await.close().await;
    let organization = of();
    let old = format!(
        "DROP TABLE registrations;
         DROP TABLE queues;
         DROP TABLE replies;
         DROP TABLE api_keys;
         DROP TABLE audit;
         DROP INDEX calls_queue;
         ALTER TABLE calls DROP COLUMN queue;
         ALTER TABLE calls DROP COLUMN queue_since;
         ALTER TABLE calls DROP COLUMN conference_coaches;
         ALTER TABLE started_recordings DROP COLUMN status;
         ALTER TABLE started_recordings DROP COLUMN updated;
         DELETE FROM migrations WHERE version >= 16;
         INSERT INTO bindings VALUES ('{organization}', 'kim', 'old'), ('{organization}', 'ann', 'old');"
    );
    raw::run(&db.url, &old).await;
    let store = db.open().await;
    // A heartbeat does not take them for expired.
    let instance = store.instance();
    let alive = Change::Alive {
        instance,
        at: now() + DAY,
    };
    commit(&store, vec![alive]).await;
    keep(&store, HERE, "ann", Some(("new", now() + DAY))).await;
    for server in [HERE, THERE] {
        let adopted = Change::RegistrationsAdopted {
            organization,
            server,
        };
        store.commit(vec![adopted]).await.unwrap();
        if server == HERE {
            assert_eq!(kept(&store, THERE).await, []);
        }
    }
    let all = rows(&[("ann", "new"), ("kim", "old")]);
    assert_eq!(kept(&store, HERE).await, all);
}

pub(crate) async fn expired_registrations_of_a_server_that_is_gone_are_removed(db: &Database) {
    let store = db.open().await;
    let start = now();
    keep(&store, THERE, "kim", Some(("gone", start))).await;
    keep(&store, THERE, "ann", Some(("valid", start + DAY))).await;
    for (after, left) in [(DAY, 2), (DAY + Duration::from_secs(1), 1)] {
        let alive = Change::Alive {
            instance: store.instance(),
            at: start + after,
        };
        commit(&store, vec![alive]).await;
        assert_eq!(kept(&store, THERE).await.len(), left, "{after:?}");
    }
}
