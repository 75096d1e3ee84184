//! Cases about lists of calls: selection, order and windows.

use model::record::{CallRecord, Recording};
use model::{AccountStatus, RecordingSid, Timestamp};
use store::{CallFilter, CallKey, Change, Place, RowKey, Scope, Sort, Store, StoreError, Window};

use super::Database;
use super::values::*;

pub(crate) async fn calls_are_filtered_sorted_and_counted(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    for (n, parent) in [(1, None), (2, Some(1)), (3, Some(2)), (4, None)] {
        insert_account(&store, n, parent, organization).await;
    }
    let mut changes = Vec::new();
    for n in 0..60 {
        let mut call = call(&store, account_sid(1 + n % 3), n);
        call.from = if n % 2 == 0 {
            format!("+3021097{n:02}")
        } else {
            format!("ann{n}")
        };
        call.to = format!("bob_{n}");
        call.started = Some(Timestamp(i64::from(n)));
        call.parent = (n == 7).then_some(call_sid(3));
        changes.push(Change::CallCreated(Box::new(call)));
    }
    commit(&store, changes).await;
    commit(
        &store,
        vec![ended(call_sid(0), 1_000), ended(call_sid(3), 2_000)],
    )
    .await;

    let own = CallFilter::of(Scope::Own(account_sid(1)));
    let tree = CallFilter::of(Scope::Tree(account_sid(1)));
    let text = |text: &str| Some(text.to_owned());
    let table = [
        ("own", own.clone(), 20),
        ("tree", tree.clone(), 60),
        (
            "lower tree",
            CallFilter::of(Scope::Tree(account_sid(2))),
            40,
        ),
        ("stranger", CallFilter::of(Scope::Tree(account_sid(4))), 0),
        (
            "ends with",
            CallFilter {
                to: text("b_17"),
                ..tree.clone()
            },
            1,
        ),
        (
            "wildcard",
            CallFilter {
                from: text("3021097%"),
                ..tree.clone()
            },
            30,
        ),
        (
            "any case",
            CallFilter {
                from: text("ANN1_"),
                ..tree.clone()
            },
            5,
        ),
        (
            "backslash",
            CallFilter {
                from: text("\\"),
                ..tree.clone()
            },
            0,
        ),
        (
            "quote",
            CallFilter {
                from: text("' OR 1=1 --"),
                ..tree.clone()
            },
            0,
        ),
        (
            "status",
            CallFilter {
                status: vec!["compl%".to_owned()],
                ..tree.clone()
            },
            2,
        ),
        (
            "status word",
            CallFilter {
                status: vec!["queued".to_owned()],
                ..own.clone()
            },
            18,
        ),
        (
            "status words",
            CallFilter {
                status: vec!["Queued".to_owned(), "completed".to_owned()],
                to: text("b_17"),
                ..tree.clone()
            },
            1,
        ),
        (
            "from then",
            CallFilter {
                started_from: Some(Timestamp(50)),
                ..tree.clone()
            },
            10,
        ),
        (
            "until then",
            CallFilter {
                ended_until: Some(Timestamp(1_500)),
                ..tree.clone()
            },
            1,
        ),
        (
            "parent",
            CallFilter {
                parent: Some(call_sid(3).to_string()),
                ..tree.clone()
            },
            1,
        ),
        (
            "parents",
            CallFilter {
                parent: text("CA%"),
                ..tree.clone()
            },
            1,
        ),
    ];
    for (name, filter, total) in table {
        let rows = store.calls(&filter).await.unwrap();
        assert_eq!(rows.total, total, "{name}");
        assert_eq!(rows.items.len() as i64, total.min(50), "{name}");
    }

    let first = |key, descending| {
        let filter = CallFilter {
            sort: Some(Sort { key, descending }),
            window: Window::at(0, 1),
            ..tree.clone()
        };
        let store = store.clone();
        async move { store.calls(&filter).await.unwrap().items.remove(0) }
    };
    let table = [
        (CallKey::Created, false, 0),
        (CallKey::Created, true, 59),
        (CallKey::From, false, 0),
        (CallKey::From, true, 9),
        (CallKey::To, true, 9),
        (CallKey::Status, false, 3),
        (CallKey::Status, true, 59),
        (CallKey::Direction, true, 59),
        (CallKey::Duration, false, 59),
        (CallKey::Duration, true, 3),
    ];
    for (key, descending, n) in table {
        let call = first(key, descending).await;
        assert_eq!(call.sid, call_sid(n), "{key:?} {descending}");
    }
    let window = Window::at(50, 50);
    let last = CallFilter {
        window,
        ..tree.clone()
    };
    let last = store.calls(&last).await.unwrap();
    assert_eq!(last.items.last().map(|call| call.sid), Some(call_sid(0)));
    assert_eq!(last.items.len(), 10);
    windows_beside_a_row(&store, &tree).await;
}

/// Pages by key equal those by offset, forwards and backwards, even if newer rows arrive in
/// between.
async fn windows_beside_a_row(store: &Store, tree: &CallFilter) {
    let page = async |place| {
        let mut window = Window::at(0, 7);
        window.place = place;
        let filter = CallFilter {
            window,
            ..tree.clone()
        };
        store.calls(&filter).await.unwrap().items
    };
    let key = |call: &CallRecord| RowKey {
        created: call.created,
        sid: call.sid.to_string(),
    };
    let mut seen: Vec<CallRecord> = page(Place::Newest).await;
    loop {
        let last = seen.last().unwrap();
        let older = page(Place::OlderThan(key(last))).await;
        assert_eq!(older, page(Place::AfterRow(last.sid.to_string())).await);
        let Some(first) = older.first() else { break };
        let newer = page(Place::NewerThan(key(first))).await;
        assert_eq!(newer, seen[seen.len() - 7..]);
        seen.extend(older);
    }
    assert_eq!(seen.len(), 60);
    assert!(seen.is_sorted_by_key(|call| std::cmp::Reverse((call.created, call.sid.to_string()))));
    after_a_row_in_any_order(store, tree).await;
}

/// Pages after a row equal those by offset in every order; a missing row is reported.
async fn after_a_row_in_any_order(store: &Store, tree: &CallFilter) {
    let page = async |sort, place, offset| {
        let window = Window {
            place,
            ..Window::at(offset, 7)
        };
        let filter = CallFilter {
            window,
            sort,
            ..tree.clone()
        };
        let rows = store.calls(&filter).await?;
        assert_eq!(rows.total, 60);
        Ok::<_, StoreError>(rows.items)
    };
    let keys = [
        CallKey::Created,
        CallKey::From,
        CallKey::To,
        CallKey::Direction,
        CallKey::Status,
        CallKey::Duration,
    ];
    for key in keys {
        for descending in [false, true] {
            let sort = Some(Sort { key, descending });
            let mut seen = page(sort, Place::Offset, 0).await.unwrap();
            while let Some(last) = seen.last() {
                let place = Place::AfterRow(last.sid.to_string());
                let next = page(sort, place, 0).await.unwrap();
                let offset = i64::try_from(seen.len()).unwrap();
                assert_eq!(next, page(sort, Place::Offset, offset).await.unwrap());
                if next.is_empty() {
                    break;
                }
                seen.extend(next);
            }
            assert_eq!(seen.len(), 60, "{key:?} {descending}");
        }
    }
    let unknown = page(None, Place::AfterRow("CA".to_owned()), 0).await;
    assert!(matches!(unknown, Err(StoreError::NoRow(_))), "{unknown:?}");
}

/// Rows of a long list: more than two steps of its ladder.
const LONG: i64 = 5_003;

/// Pages of a list that is too long to be counted at each request have the rows and the length of the list, also
/// when rows are added or change while its positions are kept.
pub(crate) async fn a_long_list_has_true_pages(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    insert_account(&store, 1, None, organization).await;
    fill_long_list(db).await;
    let own = CallFilter::of(Scope::Own(account_sid(1)));
    let text = |text: &str| Some(text.to_owned());
    let completed = CallFilter {
        status: vec!["completed".to_owned()],
        ..own.clone()
    };
    let oldest_first = Some(Sort {
        key: CallKey::Created,
        descending: false,
    });
    let table = [
        ("all", own.clone()),
        ("status", completed.clone()),
        (
            "status, oldest first",
            CallFilter {
                sort: oldest_first,
                ..completed.clone()
            },
        ),
        (
            "begun",
            CallFilter {
                started_from: Some(Timestamp(100)),
                ..own.clone()
            },
        ),
        (
            "few",
            CallFilter {
                to: text("0001"),
                ..completed.clone()
            },
        ),
        (
            "many of a number",
            CallFilter {
                from: text("2025550100"),
                ended_until: Some(Timestamp(4_900)),
                ..own.clone()
            },
        ),
    ];
    let orders = [
        CallKey::From,
        CallKey::To,
        CallKey::Direction,
        CallKey::Status,
        CallKey::Duration,
    ];
    for key in orders {
        for (descending, filter) in [(false, &own), (true, &own), (false, &completed)] {
            let sorted = CallFilter {
                sort: Some(Sort { key, descending }),
                ..filter.clone()
            };
            pages_are_those_of_the_whole(&store, &sorted, &format!("{key:?} {descending}")).await;
        }
    }
    for round in 0..3 {
        for (name, filter) in &table {
            pages_are_those_of_the_whole(&store, filter, &format!("{name}, round {round}")).await;
        }
        // In the next round, there are newer rows.
        let mut call = call(&store, account_sid(1), 900_000 + round);
        call.created = Timestamp(1_000_000 + i64::from(round));
        call.started = Some(call.created);
        call.from = "+12025550100".to_owned();
        let sid = call.sid;
        commit(&store, vec![Change::CallCreated(Box::new(call))]).await;
        commit(&store, vec![ended(sid, 2_000_000)]).await;
    }
}

/// Calls one a microsecond: every 100th one busy, to 1,000 numbers from one.
async fn fill_long_list(db: &Database) {
    let (sid, to) = match db.url.starts_with("sqlite:") {
        true => ("printf('CA%032x', 1000 + i)", "printf('%08d', i % 1000)"),
        false => (
            "'CA' || lpad(to_hex(1000 + i), 32, '0')",
            "lpad(CAST(i % 1000 AS TEXT), 8, '0')",
        ),
    };
    let account = account_sid(1);
    let fill = format!(
        "WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {LONG}) \
         INSERT INTO calls (sid, instance, account, to_user, from_user, status, direction, created, updated, \
         started, ended, duration_s, muted) SELECT {sid}, 'ID00000000000000000000000000000001', '{account}', {to}, \
         '+12025550100', CASE WHEN i % 100 = 7 THEN 'busy' ELSE 'completed' END, CASE WHEN i % 3 = 0 THEN 'inbound' ELSE 'outbound-api' END, i, i, i, i, \
         CASE WHEN i < 4000 THEN i % 700 ELSE 700 END, 0 FROM n; \
         INSERT INTO counters (account, kind, n) VALUES ('{account}', 'calls', {LONG})"
    );
    super::raw::run(&db.url, &fill).await;
}

/// Pages at the beginning, near the steps of a ladder and at the end.
async fn pages_are_those_of_the_whole(store: &Store, filter: &CallFilter, name: &str) {
    let read = async |window| {
        let filter = CallFilter {
            window,
            ..filter.clone()
        };
        store.calls(&filter).await.unwrap()
    };
    let mut everything = Window::all();
    everything.place = Place::Newest;
    let whole = read(everything).await.items;
    let length = i64::try_from(whole.len()).unwrap();
    let sid = |call: &CallRecord| call.sid;
    for offset in [
        0,
        1_995,
        2_000,
        2_003,
        3_999,
        4_000,
        4_900,
        (length - 7).max(0),
        length,
    ] {
        let page = read(Window::at(offset, 10)).await;
        assert_eq!(page.total, length, "{name} at {offset}");
        let expected = whole.iter().skip(usize::try_from(offset).unwrap()).take(10);
        assert!(
            page.items.iter().map(sid).eq(expected.clone().map(sid)),
            "{name} at {offset}"
        );
        let Some(before) = offset
            .checked_sub(1)
            .and_then(|at| whole.get(usize::try_from(at).ok()?))
        else {
            continue;
        };
        let mut after = Window::at(0, 10);
        after.place = Place::AfterRow(before.sid.to_string());
        let page = read(after).await;
        assert_eq!(page.total, length, "{name} after {offset}");
        assert!(
            page.items.iter().map(sid).eq(expected.map(sid)),
            "{name} after {offset}"
        );
    }
}

pub(crate) async fn recordings_of_closed_accounts_are_read_in_pages(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    for (n, parent) in [(1, None), (2, Some(1)), (3, Some(2)), (4, Some(1))] {
        insert_account(&store, n, parent, organization).await;
    }
    let changes = (1..=8).map(|n| {
        Change::Recording(Recording {
            account: account_sid(1 + n % 4),
            ..recording(n, call_sid(1), 1)
        })
    });
    commit(&store, changes.collect()).await;
    for n in [2, 4] {
        let (sid, at) = (account_sid(n), Timestamp(9));
        let closed = store.set_account_status(sid, AccountStatus::Closed, at);
        closed.await.unwrap();
    }
    let sid = |n| RecordingSid::from_bytes(bytes(n));
    let table: [(Option<u32>, Option<u32>, &[u32]); 5] = [
        (None, None, &[1, 2, 3]),
        (None, Some(3), &[5, 6, 7]),
        (None, Some(7), &[]),
        (Some(2), None, &[1, 2, 5]),
        (Some(4), Some(3), &[7]),
    ];
    for (of, after, expected) in table {
        let found = store.recordings_of_closed_accounts(of.map(account_sid), after.map(sid), 3);
        let expected: Vec<_> = expected.iter().copied().map(sid).collect();
        assert_eq!(found.await.unwrap(), expected, "{of:?} {after:?}");
    }
}
