//! Cases about listing callbacks and delivering them again.

use std::time::{Duration, Instant};

use model::record::{Callback, Notification};
use model::{AccountStatus, NotificationSid, Timestamp, error};
use store::{
    Change, DROPPED, DeliveryFilter, DeliveryState, Inspect, NotificationFilter, Place, RowKey,
    Scope, StoreError, Window,
};

use super::values::*;
use super::{Database, raw};

pub(crate) async fn callbacks_are_listed_and_delivered_again(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    for (n, parent) in [(1, None), (2, Some(1)), (3, None)] {
        insert_account(&store, n, parent, organization).await;
    }
    // From today, since a server's heartbeat deletes callbacks that ended long ago.
    let start = now();
    let at = |ms: i64| Timestamp(start.0 + ms);
    let mut changes = Vec::new();
    let mut events = Vec::new();
    for n in 0..12u32 {
        let made = Callback {
            account: account_sid(1 + n % 3),
            created: at(i64::from(n)),
            ..callback(call_sid(n / 3), i64::from(n % 3))
        };
        events.push(made.event);
        changes.push(Change::CallbackQueued(Box::new(made)));
    }
    let event = |n: usize| events[n];
    let done = |n: usize, dead: Option<&str>| Change::CallbackDone {
        event: event(n),
        attempts: 3,
        status: dead.is_none().then_some(204),
        dead: dead.map(str::to_owned),
        at: at(50),
        given_up: None,
    };
    changes.extend([
        done(3, None),
        done(4, Some("too old")),
        done(6, Some("too old")),
        done(8, Some("refused")),
    ]);
    changes.push(Change::CallbackRetry {
        event: event(1),
        attempts: 2,
        next_at: at(77),
        status: Some(503),
        error: "busy".to_owned(),
    });
    commit(&store, changes).await;

    let all = DeliveryFilter::default();
    let tree = DeliveryFilter {
        scope: Some(Scope::Tree(account_sid(1))),
        ..all.clone()
    };
    let dead = DeliveryFilter {
        state: Some(DeliveryState::Dead),
        ..all.clone()
    };
    let later = DeliveryFilter {
        created_from: Some(at(5)),
        ..dead.clone()
    };
    let table = [
        ("all", &all, 12),
        ("tree", &tree, 8),
        ("dead", &dead, 3),
        ("later", &later, 2),
    ];
    for (name, filter, total) in table {
        let rows = store.deliveries(filter).await.unwrap();
        assert_eq!(
            (rows.total, rows.items.len()),
            (total, total as usize),
            "{name}"
        );
        assert!(
            rows.items
                .is_sorted_by(|a, b| a.callback.created > b.callback.created)
        );
    }
    let page = async |place| {
        let filter = DeliveryFilter {
            window: Window {
                place,
                ..Window::at(0, 5)
            },
            ..all.clone()
        };
        store.deliveries(&filter).await.map(|rows| rows.items)
    };
    let first = page(Place::Offset).await.unwrap();
    let after = first[4].callback.event.to_string();
    let second = page(Place::AfterRow(after)).await.unwrap();
    let whole = store.deliveries(&all).await.unwrap().items;
    assert_eq!([&first[..], &second[..]].concat(), whole[..10]);
    let before = RowKey {
        created: second[0].callback.created,
        sid: second[0].callback.event.to_string(),
    };
    assert_eq!(page(Place::NewerThan(before)).await.unwrap(), first);
    let unknown = page(Place::AfterRow("x".to_owned())).await;
    assert!(matches!(unknown, Err(StoreError::NoRow(_))));
    let of_call = DeliveryFilter {
        lane: Some(call_sid(2).into()),
        created_until: Some(at(7)),
        ..all.clone()
    };
    assert_eq!(store.deliveries(&of_call).await.unwrap().total, 2);
    let shown = store.delivery(event(1)).await.unwrap().unwrap();
    assert_eq!(
        (shown.state, shown.attempts, shown.http_status, shown.error),
        (
            DeliveryState::Pending,
            2,
            Some(503),
            Some("busy".to_owned())
        )
    );
    let gone = store.delivery(event(4)).await.unwrap().unwrap();
    assert_eq!((gone.ended, gone.next_at), (Some(at(50)), None));

    // One of another account, a pending one, all dead ones of the tree, a delivered one.
    let of_event = |n: usize, account| DeliveryFilter {
        scope: Some(Scope::Own(account_sid(account))),
        event: Some(event(n)),
        ..all.clone()
    };
    let dead_of_tree = DeliveryFilter {
        state: dead.state,
        ..tree.clone()
    };
    let table = [
        (of_event(8, 1), 0),
        (of_event(1, 2), 0),
        (dead_of_tree, 2),
        (of_event(3, 1), 1),
    ];
    for (filter, count) in table {
        assert_eq!(store.replay(&filter, at(90)).await.unwrap(), count);
    }
    let inspect = Inspect::open(&db.url).await.unwrap();
    assert_eq!(inspect.replay(&dead, at(91)).await.unwrap(), 1);
    assert_eq!(inspect.replay(&dead, at(92)).await.unwrap(), 0);
    assert_eq!(inspect.deliveries(&dead).await.unwrap().total, 0);

    let wanted = store.replayed_callbacks().await.unwrap();
    let seen: Vec<_> = wanted
        .iter()
        .map(|row| (row.callback.event, row.attempts, row.replayed))
        .collect();
    assert_eq!(
        seen,
        [
            (event(3), 0, Some(at(90))),
            (event(4), 0, Some(at(90))),
            (event(6), 0, Some(at(90))),
            (event(8), 0, Some(at(91))),
        ]
    );
    let claim = |n| Change::CallbackClaimed { event: event(n) };
    let claims = vec![claim(3), claim(3), claim(1), claim(4)];
    let claimed = store.commit(claims).await.unwrap();
    let ours: Vec<_> = (0..4).map(|n| claimed.applied(n)).collect();
    assert_eq!(ours, [true, false, false, true]);
    assert_eq!(store.replayed_callbacks().await.unwrap().len(), 2);
    // A result from a server that no longer delivers a callback changes nothing, and notifies nobody.
    let given_up = |n: usize| Change::CallbackDone {
        event: event(n),
        attempts: 3,
        status: None,
        dead: Some("no answer".to_owned()),
        at: at(60),
        given_up: Some(Box::new(Notification::of_account(
            NotificationSid::new(at(60), [n as u8; 10]),
            account_sid(1),
            error::INTERNAL,
            "given up".to_owned(),
            at(60),
        ))),
    };
    let result = store.commit(vec![given_up(6), given_up(8)]).await.unwrap();
    assert!(!result.applied(0) && !result.applied(1), "{result:?}");
    let notifications = NotificationFilter::of(Scope::Own(account_sid(1)));
    assert_eq!(store.notifications(&notifications).await.unwrap().total, 0);
    assert!(store.commit(vec![given_up(1)]).await.unwrap().applied(0));
    assert_eq!(store.notifications(&notifications).await.unwrap().total, 1);
    // A late result of an attempt made before the end changes nothing.
    commit(&store, vec![done(3, None)]).await;
    let late = Change::CallbackRetry {
        event: event(3),
        attempts: 9,
        next_at: at(1),
        status: None,
        error: String::new(),
    };
    assert!(!store.commit(vec![late]).await.unwrap().applied(0));
    store.close().await;

    // Unclaimed rows are picked up at the next start.
    let after = db.open().await;
    let later = now() + Duration::from_secs(60);
    let waiting = undelivered(&after, later).await;
    assert_eq!(waiting.len(), 10);
    let replayed = inspect.delivery(event(8)).await.unwrap().unwrap();
    assert_eq!(replayed.state, DeliveryState::Pending);
}

/// Callbacks that a server has are marked for it; others end at once. One that was dropped can be delivered again.
pub(crate) async fn waiting_callbacks_are_dropped(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    insert_account(&store, 1, None, organization).await;
    let at = now();
    let queued: Vec<_> = (1..=4)
        .map(|sequence| Callback {
            created: at,
            ..callback(call_sid(1), sequence)
        })
        .collect();
    let event = |n: usize| queued[n].event;
    let mut changes: Vec<_> = queued
        .iter()
        .map(|made| Change::CallbackQueued(Box::new(made.clone())))
        .collect();
    changes.push(Change::CallbackDone {
        event: event(0),
        attempts: 1,
        status: Some(200),
        dead: None,
        at,
        given_up: None,
    });
    commit(&store, changes).await;
    // One is to be delivered again, and no server has claimed it.
    raw::run(
        &db.url,
        &format!("UPDATE outbox SET owner = '' WHERE event = '{}'", event(1)),
    )
    .await;
    let one = |n: usize| DeliveryFilter {
        scope: Some(Scope::Own(account_sid(1))),
        event: Some(event(n)),
        ..DeliveryFilter::default()
    };
    let state = async |n: usize| store.delivery(event(n)).await.unwrap().unwrap();
    for (n, count) in [(0, 0), (1, 1), (1, 0), (2, 1), (2, 0)] {
        assert_eq!(
            store.drop_callbacks(&one(n), at).await.unwrap(),
            count,
            "{n}"
        );
    }
    assert_eq!(state(0).await.state, DeliveryState::Delivered);
    let ended = state(1).await;
    let shown = (ended.state, ended.error.as_deref(), ended.ended);
    assert_eq!(shown, (DeliveryState::Dead, Some(DROPPED), Some(at)));
    assert_eq!(state(2).await.state, DeliveryState::Pending);
    assert_eq!(store.dropped_callbacks().await.unwrap(), [event(2)]);
    store.end_dropped_callback(event(2), at).await.unwrap();
    store.end_dropped_callback(event(3), at).await.unwrap();
    assert_eq!(state(2).await.state, DeliveryState::Dead);
    assert_eq!(state(3).await.state, DeliveryState::Pending, "not marked");
    assert!(store.dropped_callbacks().await.unwrap().is_empty());
    assert_eq!(store.replay(&one(2), at).await.unwrap(), 1);
    let claim = Change::CallbackClaimed { event: event(2) };
    commit(&store, vec![claim]).await;
    assert!(store.dropped_callbacks().await.unwrap().is_empty());
    let inspect = Inspect::open(&db.url).await.unwrap();
    let all = DeliveryFilter {
        lane: Some(call_sid(1).into()),
        ..DeliveryFilter::default()
    };
    assert_eq!(inspect.drop_callbacks(&all, at).await.unwrap(), 2);
    assert_eq!(inspect.drop_callbacks(&all, at).await.unwrap(), 0);
}

pub(crate) async fn more_rows_than_a_transaction_may_change_are_changed_in_several(db: &Database) {
    const MANY: i64 = 10_001;
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    insert_account(&store, 1, None, organization).await;
    let (account, at) = (account_sid(1), now());
    let numbers = format!(
        "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {MANY}) \
         SELECT CAST(n AS TEXT)"
    );
    let callbacks = format!(
        "INSERT INTO outbox (event, owner, account, lane, sequence, url, method, params, created, \
         state, attempts) {numbers}, '', '{account}', CAST(n / 5 AS TEXT), n, '', '', '', {}, \
         'dead', 1 FROM c",
        at.0
    );
    raw::run(&db.url, &callbacks).await;
    let all = DeliveryFilter::default();
    assert_eq!(store.replay(&all, at).await.unwrap(), MANY);
    let dead = "SELECT COUNT(*) FROM outbox WHERE state = 'dead'";
    assert_eq!(raw::rows(&db.url, dead).await, [[Some("0".to_owned())]]);
    raw::run(&db.url, "UPDATE outbox SET state = 'dead'").await;
    let inspect = Inspect::open(&db.url).await.unwrap();
    let later = at + Duration::from_secs(1);
    assert_eq!(inspect.replay(&all, later).await.unwrap(), MANY as u64);
    assert!(store.adopt_callbacks(at).await.unwrap());
    assert_eq!(store.undelivered_count().await.unwrap(), MANY);
    let notifications = format!(
        "INSERT INTO notifications (sid, account, lane, level, code, message, created) \
         {numbers}, '{account}', '', 0, 0, '', 1 FROM c"
    );
    raw::run(&db.url, &notifications).await;
    let closed = AccountStatus::Closed;
    store.set_account_status(account, closed, at).await.unwrap();
    let left = raw::rows(&db.url, "SELECT COUNT(*) FROM notifications").await;
    assert_eq!(left, [[Some("0".to_owned())]]);
}

pub(crate) async fn callbacks_survive_a_restart_in_order(db: &Database) {
    let before = db.open().await;
    let queued: Vec<_> = [(1, 2), (1, 1), (2, 1), (2, 2), (3, 1)]
        .iter()
        .map(|(call, sequence)| callback(call_sid(*call), *sequence))
        .collect();
    let queue = |callback: &Callback| Change::CallbackQueued(Box::new(callback.clone()));
    let twice = queued.iter().chain(&queued).map(queue).collect();
    commit(&before, twice).await;
    let done = |at: usize, dead: bool| Change::CallbackDone {
        event: queued[at].event,
        attempts: 1,
        status: Some(500),
        dead: dead.then(|| "too old".to_owned()),
        at: Timestamp(50),
        given_up: None,
    };
    let retry = Change::CallbackRetry {
        event: queued[3].event,
        attempts: 2,
        next_at: Timestamp(77),
        status: None,
        error: "no answer".to_owned(),
    };
    commit(&before, vec![done(2, false), done(4, true), retry]).await;
    before.close().await;

    let after = db.open().await;
    let later = now() + Duration::from_secs(60);
    let waiting = undelivered(&after, later).await;
    let seen: Vec<_> = waiting
        .iter()
        .map(|pending| (&pending.callback, pending.attempts, pending.next_at))
        .collect();
    assert_eq!(
        seen,
        [
            (&queued[1], 0, None),
            (&queued[0], 0, None),
            (&queued[3], 2, Some(Timestamp(77))),
        ]
    );
}

pub(crate) async fn a_long_backlog_is_read_in_pages(db: &Database) {
    let store = db.open().await;
    assert!(!store.adopt_callbacks(now()).await.unwrap(), "nothing yet");
    // Some of them have the same position in their call.
    let rows = (0..20_000).map(|n| Callback {
        event: model::EventSid::from_bytes({
            let mut event = [0; 16];
            event[4..8].copy_from_slice(&bytes(n * 7_919 % 20_000)[..4]);
            event[8..12].copy_from_slice(&n.to_be_bytes());
            event
        }),
        ..callback(call_sid(n % 3_000), i64::from(n % 2))
    });
    let rows: Vec<Callback> = rows.collect();
    for part in rows.chunks(500) {
        let queue = |row: &Callback| Change::CallbackQueued(Box::new(row.clone()));
        commit(&store, part.iter().map(queue).collect()).await;
    }
    let start = Instant::now();
    let mut after = None;
    let mut seen = Vec::new();
    loop {
        let page = store.undelivered_callbacks(after, 500).await.unwrap();
        let places = page.iter().map(|row| {
            let callback = &row.callback;
            (callback.lane, callback.sequence, callback.event)
        });
        seen.extend(places);
        if page.len() < 500 {
            break;
        }
        after = seen.last().copied();
    }
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(seen.len(), 20_000);
    assert!(seen.is_sorted_by(|a, b| a < b), "in order, each once");
}
