//! Cases about numbers for sale, their orders, and what accounts used.

use std::time::Duration;

use model::available::{
    AvailableNumber, Capabilities, DigitPattern, Near, NumberKind, NumberSearch, Position,
    WantedCapabilities,
};
use model::day::Day;
use model::record::Number;
use model::usage::{Amount, Used};
use model::{AccountStatus, CallStatus, Direction, Timestamp};
use store::{Change, DailyUsage, DiscardedKind, Inspect, NumberOrder, Scope};

use super::values::*;
use super::{Database, raw};

pub(super) fn available(number: &str, place: Option<&str>) -> AvailableNumber {
    AvailableNumber {
        phone_number: number.to_owned(),
        country: "US".to_owned(),
        kind: NumberKind::Local,
        region: Some("AR".to_owned()),
        locality: None,
        rate_center: None,
        lata: None,
        postal_code: None,
        position: place.and_then(Position::parse),
        can: Capabilities {
            voice: true,
            ..Capabilities::default()
        },
        cost: None,
    }
}

pub(crate) async fn numbers_for_sale_are_found_until_someone_has_them(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    insert_account(&store, 1, None, organization).await;
    let inspect = Inspect::open(&db.url).await.unwrap();
    let all = [
        available("+15015550100", Some("34.7465,-92.2896")),
        available("+15015550101", Some("35.1495,-90.0490")),
        available("+19015550102", None),
    ];
    inspect.import_numbers(&all, false).await.unwrap();
    let found = async |search: NumberSearch| {
        let limit = if search.limit == 0 { 9 } else { search.limit };
        let search = NumberSearch { limit, ..search };
        let found = store.inventory(&search).await.unwrap().into_iter();
        let last = found.map(|number| number.phone_number[9..].to_owned());
        last.collect::<Vec<_>>().join(" ")
    };
    let base = NumberSearch::default;
    let pattern = |digits: &str, at_start| NumberSearch {
        contains: Some(DigitPattern {
            digits: digits.to_owned(),
            at_start,
        }),
        ..base()
    };
    let place = |text: &str, miles| Near {
        position: Position::parse(text).unwrap(),
        miles,
    };
    let table = [
        (base(), "100 101 102"),
        (
            NumberSearch {
                area_code: Some("501".to_owned()),
                ..base()
            },
            "100 101",
        ),
        (
            NumberSearch {
                area_code: Some("50".to_owned()),
                offset: 1,
                limit: 1,
                ..base()
            },
            "101",
        ),
        (pattern("501555010*", true), "100 101"),
        (pattern("1901", true), "102"),
        (pattern("5550102", true), ""),
        (pattern("555*102", false), "102"),
        (
            NumberSearch {
                region: Some("ar".to_owned()),
                country: Some("US".to_owned()),
                ..base()
            },
            "100 101 102",
        ),
        (
            NumberSearch {
                kind: Some(NumberKind::Mobile),
                ..base()
            },
            "",
        ),
        (
            NumberSearch {
                near: Some(place("34.7,-92.3", 25.0)),
                ..base()
            },
            "100",
        ),
        (
            NumberSearch {
                near: Some(place("34.7,-92.3", 200.0)),
                ..base()
            },
            "100 101",
        ),
        (
            NumberSearch {
                near: Some(place("34.7,-92.3", 200.0)),
                offset: 1,
                ..base()
            },
            "101",
        ),
        (
            NumberSearch {
                near_number: Some(("+15015550101".to_owned(), 5.0)),
                ..base()
            },
            "101",
        ),
        (
            NumberSearch {
                near_number: Some(("+19015550102".to_owned(), 5.0)),
                ..base()
            },
            "",
        ),
        (
            NumberSearch {
                can: WantedCapabilities {
                    voice: Some(true),
                    sms: Some(false),
                    ..WantedCapabilities::default()
                },
                ..base()
            },
            "100 101 102",
        ),
    ];
    for (search, expected) in table {
        assert_eq!(found(search.clone()).await, expected, "{search:?}");
    }
    // Taken in either spelling.
    store
        .insert_number(number(1, organization, "+15015550100"))
        .await
        .unwrap();
    store
        .insert_number(number(2, organization, "15015550101"))
        .await
        .unwrap();
    assert_eq!(found(base()).await, "102");
    let sid = number(1, organization, "x").sid.to_string();
    let discarded = store.discard(DiscardedKind::Number, &sid, Timestamp(1));
    assert!(discarded.await.unwrap());
    assert_eq!(found(base()).await, "102");
    assert!(store.forget_discarded(&sid).await.unwrap());
    assert_eq!(found(base()).await, "100 102");
    // Imported again: other data, and with `replace` no other numbers.
    let moved = AvailableNumber {
        country: "CA".to_owned(),
        ..available("+15015550100", None)
    };
    inspect.import_numbers(&[moved], false).await.unwrap();
    assert_eq!(store.inventory_countries().await.unwrap(), ["CA", "US"]);
    inspect.import_numbers(&all[2..], true).await.unwrap();
    assert_eq!(found(base()).await, "102");
}

pub(crate) async fn an_order_leads_to_a_number_or_to_its_release(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    insert_account(&store, 1, None, organization).await;
    let text = "+15015550100";
    let of = |n: u32| number(n, organization, text);
    let order = |number: &Number| NumberOrder {
        phone_number: number.phone_number.clone(),
        number: number.sid,
        account: number.account,
    };
    let at = Timestamp(1_700_000_000_000_000);
    let (hour, minute) = (Duration::from_secs(3600), Duration::from_secs(60));
    let claimed = async |at| {
        let claimed = store.claim_releases(at).await.unwrap();
        claimed
            .into_iter()
            .map(|order| order.number)
            .collect::<Vec<_>>()
    };
    // One order at a time, and it may be recorded again.
    assert!(store.begin_order(&order(&of(1)), at).await.unwrap());
    assert!(store.begin_order(&order(&of(1)), at).await.unwrap());
    assert!(!store.begin_order(&order(&of(2)), at).await.unwrap());
    assert!(!store.insert_ordered_number(of(2)).await.unwrap());
    assert!(store.insert_ordered_number(of(1)).await.unwrap());
    assert!(store.number(of(1).sid).await.unwrap().is_some());
    // What is held is neither forgotten nor released.
    store.forget_order(&order(&of(1))).await.unwrap();
    store.give_up_order(&order(&of(1))).await.unwrap();
    assert_eq!(claimed(at + hour).await, []);
    // Deleted: released, and again later if that fails; by one server.
    let sid = of(1).sid.to_string();
    let discarded = store.discard(DiscardedKind::Number, &sid, at);
    assert!(discarded.await.unwrap());
    assert_eq!(claimed(at + hour).await, []);
    assert!(store.forget_discarded(&sid).await.unwrap());
    assert_eq!(claimed(at).await, [of(1).sid]);
    assert_eq!(claimed(at).await, []);
    assert_eq!(claimed(at + minute).await, [of(1).sid]);
    store.forget_order(&order(&of(1))).await.unwrap();
    assert_eq!(claimed(at + hour).await, []);
    // Interrupted: released when it is old, and no longer completed.
    assert!(store.begin_order(&order(&of(3)), at).await.unwrap());
    assert_eq!(claimed(at + minute).await, []);
    assert_eq!(claimed(at + hour).await, [of(3).sid]);
    assert!(!store.insert_ordered_number(of(3)).await.unwrap());
    assert!(store.number(of(3).sid).await.unwrap().is_none());
    store.forget_order(&order(&of(3))).await.unwrap();
    // Its account is closed.
    assert!(store.begin_order(&order(&of(4)), at).await.unwrap());
    assert!(store.insert_ordered_number(of(4)).await.unwrap());
    store
        .set_account_status(account_sid(1), AccountStatus::Closed, at)
        .await
        .unwrap();
    assert_eq!(claimed(at).await, [of(4).sid]);
}

pub(crate) async fn usage_is_added_up_by_day(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    insert_account(&store, 1, None, organization).await;
    insert_account(&store, 2, Some(1), organization).await;
    let noon = |day: i64| Timestamp(Day(day).start().0 + 43_200_000_000);
    for (n, account, day, seconds) in [(1, 1, 10, 20), (2, 1, 10, 61), (3, 1, 11, 0), (4, 2, 11, 5)]
    {
        let mut leg = call(&store, account_sid(account), n);
        leg.direction = if n == 2 {
            Direction::OutboundDial
        } else {
            Direction::Inbound
        };
        let end = Change::CallEnded {
            sid: leg.sid,
            status: CallStatus::Completed,
            at: noon(day),
            duration_s: Some(seconds),
            ring_duration_s: None,
            reason: None,
            hangup_by: None,
            sip_status: None,
            sip_reason: None,
        };
        store
            .commit(vec![Change::CallCreated(Box::new(leg))])
            .await
            .unwrap();
        store.commit(vec![end.clone()]).await.unwrap();
        // Written again, because its confirmation was lost: the sums stay.
        assert!(store.commit_again(vec![end]).await.unwrap().all_applied());
    }
    let daily = |day, used, count, seconds, minutes| DailyUsage {
        day: Day(day),
        used,
        amount: Amount {
            count,
            seconds,
            minutes,
        },
    };
    let own = Scope::Own(account_sid(1));
    let all = store.usage(own, Day(0), Day(99)).await.unwrap();
    let expected = [
        daily(10, Used::CallsInbound, 1, 20, 1),
        daily(10, Used::CallsOutbound, 1, 61, 2),
        daily(11, Used::CallsInbound, 1, 0, 0),
    ];
    assert_eq!(all, expected);
    // What an earlier release left is added up when the table is made.
    let migration = include_str!("../../../../migrations/0022-usage/up.sql");
    let (_, sums) = migration.split_once(");\n").unwrap();
    raw::run(&db.url, &format!("DELETE FROM usage_days;\n{sums}")).await;
    let again = store.usage(own, Day(0), Day(99)).await.unwrap();
    assert_eq!(again, expected);
    let tree = Scope::Tree(account_sid(1));
    let day = store.usage(tree, Day(11), Day(11)).await.unwrap();
    assert_eq!(day, [daily(11, Used::CallsInbound, 2, 5, 1)]);
}
