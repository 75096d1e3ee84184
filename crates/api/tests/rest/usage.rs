//! `/Accounts/{sid}/Usage/Records`.

use model::record::{Recording, RecordingKind};
use model::{AccountSid, CallStatus, Direction, MessageSid, RecordingSid, Timestamp};
use serde_json::{Value, json};
use store::Change;

use crate::server::{Server, call, call_sid, now, of};

/// A leg that ended at a time, after so many seconds.
async fn ended(server: &Server, n: u32, account: AccountSid, at: Timestamp, seconds: i64) {
    let mut record = call(n, account);
    record.instance = server.store.instance();
    record.direction = if n.is_multiple_of(2) {
        Direction::OutboundApi
    } else {
        Direction::Inbound
    };
    let end = Change::CallEnded {
        sid: call_sid(n),
        status: CallStatus::Completed,
        at,
        duration_s: Some(seconds),
        ring_duration_s: None,
        reason: None,
        hangup_by: None,
        sip_status: None,
        sip_reason: None,
    };
    let changes = vec![Change::CallCreated(Box::new(record)), end.clone()];
    assert!(server.store.commit(changes).await.unwrap().all_applied());
    // A second end has no effect, neither on the call nor on the sums.
    assert!(!server.store.commit(vec![end]).await.unwrap().all_applied());
}

fn at(text: &str) -> Timestamp {
    Timestamp::from_rfc3339(text).unwrap()
}

fn columns(records: &Value, names: &[&str]) -> Vec<Vec<String>> {
    let records = records.as_array().unwrap().iter();
    let text = |record: &Value, name: &str| record[name].as_str().unwrap().to_owned();
    records
        .map(|record| names.iter().map(|name| text(record, name)).collect())
        .collect()
}

#[tokio::test]
async fn calls_are_summed_by_period() {
    let server = Server::start().await;
    let who = server.admin();
    let base = format!("/Accounts/{}/Usage/Records", server.admin);
    for n in 0..3 {
        ended(&server, n, server.admin, at("2024-02-29T23:59:59Z"), 20).await;
    }
    ended(&server, 3, server.admin, at("2024-03-01T00:00:00Z"), 61).await;
    ended(&server, 4, server.admin, at("2025-01-01T00:00:00Z"), 0).await;
    let names = ["start_date", "end_date", "count", "usage"];
    let table: &[(&str, Value)] = &[
        (
            "/Daily.json",
            json!([
                ["2024-02-29", "2024-02-29", "3", "1"],
                ["2024-03-01", "2024-03-01", "1", "2"],
                ["2025-01-01", "2025-01-01", "1", "0"],
            ]),
        ),
        (
            "/monthly.json",
            json!([
                ["2024-02-01", "2024-02-29", "3", "1"],
                ["2024-03-01", "2024-03-31", "1", "2"],
                ["2025-01-01", "2025-01-31", "1", "0"],
            ]),
        ),
        (
            "/Yearly.json?Category=calls",
            json!([
                ["2024-01-01", "2024-12-31", "4", "3"],
                ["2025-01-01", "2025-12-31", "1", "0"],
            ]),
        ),
        (
            "/Daily.json?Category=CALLS_INBOUND",
            json!([
                ["2024-02-29", "2024-02-29", "1", "1"],
                ["2024-03-01", "2024-03-01", "1", "2"],
            ]),
        ),
        (
            "/AllTime.json?StartDate=2024-02-29&EndDate=2024-02-29",
            json!([["2024-02-29", "2024-02-29", "3", "1"]]),
        ),
        (
            ".json?StartDate=2024-03-01&EndDate=2024-12-31",
            json!([["2024-03-01", "2024-12-31", "1", "2"]]),
        ),
        ("/Daily.json?Category=sms", json!([])),
        ("/Today.json", json!([])),
        ("/Daily.json?StartDate=-1day", json!([])),
    ];
    for (query, expected) in table {
        let shown = server.get(&who, &format!("{base}{query}")).await.json();
        assert_eq!(json!(columns(&shown, &names)), *expected, "{query}");
    }
    let all = server
        .get(&who, &format!("{base}/Yearly.json"))
        .await
        .json();
    let first = &all[0];
    assert_eq!(
        (&first["category"], &first["description"]),
        (&"calls".into(), &"Total Calls".into())
    );
    assert_eq!(
        (&first["usage_unit"], &first["count_unit"]),
        (&"minutes".into(), &"calls".into())
    );
    assert_eq!(
        (&first["price"], &first["price_unit"]),
        (&"0.0".into(), &"USD".into())
    );
    let uri =
        format!("/2012-04-24{base}.json?Category=calls&StartDate=2024-01-01&EndDate=2024-12-31");
    assert_eq!(first["uri"], uri);
    let xml = server.get(&who, &format!("{base}/Yearly")).await;
    let head = "<RestcommResponse><UsageRecords><UsageRecord><Category>calls</Category>";
    assert!(xml.body.contains(head), "{}", xml.body);
    for query in [
        "/Daily.json?StartDate=yesterday",
        "/Daily.json?StartDate=99999999days",
        "/Daily.json?Category=faxes",
        "/Daily.json?StartDate=2024-03-02&EndDate=2024-03-01",
    ] {
        server.get(&who, &format!("{base}{query}")).await.is(400);
    }
    let unknown = server.get(&who, &format!("{base}/Weekly.json")).await;
    unknown.is(404);
    assert!(unknown.body.contains("Yesterday"), "{}", unknown.body);
}

#[tokio::test]
async fn recent_periods_and_every_category() {
    let server = Server::start().await;
    let who = server.admin();
    let p = server.account("p", server.admin).await;
    let now = now();
    let day = std::time::Duration::from_secs(86_400);
    for (n, account) in [(1, server.admin), (2, p), (3, p)] {
        ended(&server, n, account, now, 61).await;
    }
    ended(&server, 5, p, now - day, 1).await;
    let message = testkit::records::message(
        MessageSid::from_bytes([1; 16]),
        server.store.instance(),
        p,
        call_sid(1),
        now,
    );
    let sent = Change::MessageCreated {
        message: Box::new(message),
        farewell: None,
    };
    let recording = Recording {
        sid: RecordingSid::from_bytes([1; 16]),
        account: p,
        call: Some(call_sid(2)),
        conference: None,
        kind: RecordingKind::default(),
        duration_ms: 61_500,
        size_bytes: 1,
        created: now,
        updated: now,
    };
    // What is stored again is counted once.
    for _ in 0..2 {
        let changes = vec![sent.clone(), Change::Recording(recording.clone())];
        server.store.commit(changes).await.unwrap();
    }
    let base = format!("/Accounts/{p}/Usage/Records");
    let twilio = format!("/2010-04-01{base}");
    let all = server
        .get(&of("p"), &format!("{twilio}/Today.json"))
        .await
        .json();
    let names = ["category", "count", "usage", "usage_unit"];
    let expected = json!([
        ["totalprice", "0", "0", "usd"],
        ["sms-outbound", "1", "1", "messages"],
        ["sms-inbound", "0", "0", "messages"],
        ["sms", "1", "1", "messages"],
        ["recordings", "1", "2", "minutes"],
        ["calls-outbound", "1", "2", "minutes"],
        ["calls-inbound", "1", "2", "minutes"],
        ["calls", "2", "4", "minutes"],
    ]);
    assert_eq!(json!(columns(&all["usage_records"], &names)), expected);
    let one = &all["usage_records"][7];
    assert_eq!(
        (&one["api_version"], &one["price_unit"]),
        (&"2010-04-01".into(), &"usd".into())
    );
    let daily = one["subresource_uris"]["daily"].as_str().unwrap();
    assert_eq!(daily, format!("{twilio}/Daily.json?Category=calls"));
    // The sum is rounded at one base, each call at the other; and accounts below count at one.
    let above = format!(
        "/Accounts/{}/Usage/Records/Today.json?Category=calls",
        server.admin
    );
    let own = server.get(&who, &above).await.json();
    assert_eq!(columns(&own, &["count", "usage"]), [["1", "2"]]);
    for (query, count) in [("", "3"), ("&IncludeSubaccounts=false", "1")] {
        let path = format!("/2010-04-01{above}{query}");
        let shown = server.get(&who, &path).await.json();
        assert_eq!(
            columns(&shown["usage_records"], &["count"]),
            [[count]],
            "{query}"
        );
    }
    let yesterday = server
        .get(&who, &format!("{base}/Yesterday.json"))
        .await
        .json();
    assert_eq!(columns(&yesterday, &["count", "usage"]), [["1", "1"]]);
    for word in ["Today", "ThisMonth", "LastMonth"] {
        server
            .get(&who, &format!("{base}/{word}.json"))
            .await
            .is(200);
    }
    let sum = server.get(&who, &format!("{base}/Today.json")).await.json();
    assert_eq!(columns(&sum, &["count", "usage"]), [["2", "3"]]);
}

#[tokio::test]
async fn usage_is_paged_by_twilios_clients() {
    let server = Server::start().await;
    let who = server.admin();
    for n in 1..=5 {
        let end = at(&format!("2024-03-0{n}T12:00:00Z"));
        ended(&server, n, server.admin, end, 1).await;
    }
    let mut path = format!(
        "/2010-04-01/Accounts/{}/Usage/Records/Daily.json?Category=calls&StartDate=2024-01-01&PageSize=2",
        server.admin
    );
    let mut pages = Vec::new();
    let mut last = Value::Null;
    for _ in 0..3 {
        let page = server.get(&who, &path).await.json();
        pages.push(
            columns(&page["usage_records"], &["start_date"])
                .concat()
                .join(" "),
        );
        path = page["next_page_uri"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        last = page;
    }
    assert_eq!(
        pages,
        [
            "2024-03-05 2024-03-04",
            "2024-03-03 2024-03-02",
            "2024-03-01"
        ]
    );
    assert_eq!(path, "");
    let previous = last["previous_page_uri"].as_str().unwrap();
    let page = server.get(&who, previous).await.json();
    let days = columns(&page["usage_records"], &["start_date"]);
    assert_eq!(days.concat().join(" "), pages[1]);
}
