//! `/Accounts/{sid}/Webhooks/Deliveries`.

use model::record::Callback;
use model::{AccountSid, EventSid, HttpMethod, Timestamp};
use store::Change;

use crate::server::{Server, call_sid};

fn event(n: u8) -> EventSid {
    EventSid::from_bytes([n; 16])
}

/// Six callbacks of an account, an hour apart: 1 and 2 delivered, 3 and 4 dead, 5 and 6 pending.
async fn fill(server: &Server, account: AccountSid, first: u8) {
    let mut changes = Vec::new();
    for n in first..first + 6 {
        changes.push(Change::CallbackQueued(Box::new(Callback {
            author: account,
            event: event(n),
            account,
            lane: call_sid(u32::from(n) / 3).into(),
            call: Some(call_sid(u32::from(n) / 3)),
            sequence: i64::from(n),
            url: "http://bob:secret@app.example/status?x=1".to_owned(),
            method: HttpMethod::Post,
            params: vec![("CallStatus".to_owned(), "in progress".to_owned())],
            created: Timestamp(1_377_216_000_000_000 + i64::from(n) * 3_600_000_000),
        })));
        if n < first + 4 {
            let is_dead = n >= first + 2;
            changes.push(Change::CallbackDone {
                event: event(n),
                attempts: 4,
                status: Some(if is_dead { 503 } else { 200 }),
                dead: is_dead.then(|| "the response has status 503".to_owned()),
                at: Timestamp(1_377_316_000_000_000),
                given_up: None,
            });
        }
    }
    server.store.commit(changes).await.unwrap();
}

#[tokio::test]
async fn deliveries_are_listed() {
    let server = Server::start().await;
    let who = server.admin();
    fill(&server, server.admin, 1).await;
    let path = format!("/Accounts/{}/Webhooks/Deliveries", server.admin);
    for (query, total) in [
        ("", 6),
        ("?State=dead", 2),
        ("?State=Delivered", 2),
        ("?State=pending&PageSize=1", 2),
        (&*format!("?CallSid={}", call_sid(1)), 3),
        (&*format!("?CallSid={0}&Lane={0}", call_sid(1)), 3),
        (
            &*format!("?CallSid={}&Lane={}", call_sid(1), call_sid(2)),
            0,
        ),
        ("?StartTime=2013-08-23", 6),
        ("?StartTime=2013-08-24", 0),
        ("?EndTime=2013-08-23", 6),
        ("?StartTime=2013-08-23T03:00:00Z", 4),
        (
            "?StartTime=2013-08-23T03:00:00Z&EndTime=2013-08-23T04:30:00Z",
            2,
        ),
    ] {
        let page = server.get(&who, &format!("{path}.json{query}")).await;
        assert_eq!(page.json()["total"], total, "{query} {}", page.body);
    }
    for bad in ["?State=gone", "?CallSid=x", "?StartTime=2013-08-23T03"] {
        let answer = server.get(&who, &format!("{path}.json{bad}")).await;
        assert_eq!(answer.status, 400, "{bad}");
    }
    let after = format!("{path}.json?PageSize=3&AfterSid={}", event(5));
    let page = server.get(&who, &after).await;
    let expected = [4, 3, 2].map(|n| event(n).to_string());
    assert_eq!(page.column("deliveries", "sid"), expected);
    let one = server.get(&who, &format!("{path}/{}.json", event(3))).await;
    let one = one.json();
    for (key, value) in [
        ("sid", event(3).to_string()),
        ("state", "dead".to_owned()),
        ("last_error", "the response has status 503".to_owned()),
        ("url", "http://app.example/status?x=1".to_owned()),
        ("parameters", "CallStatus=in+progress".to_owned()),
        ("date_created", "Fri, 23 Aug 2013 03:00:00 +0000".to_owned()),
        ("date_ended", "Sat, 24 Aug 2013 03:46:40 +0000".to_owned()),
    ] {
        assert_eq!(one[key], value, "{one}");
    }
    assert_eq!(
        (&one["attempts"], &one["last_status"]),
        (&4.into(), &503.into())
    );
    assert!(one["next_attempt"].is_null() && one["date_replayed"].is_null());
    let xml = server.get(&who, &path).await.body;
    assert!(
        xml.contains("<Deliveries page=") && xml.contains("<LastStatus>503<"),
        "{xml}"
    );
}

#[tokio::test]
async fn deliveries_are_wanted_again() {
    let server = Server::start().await;
    let who = server.admin();
    let other = server.account("other", server.admin).await;
    fill(&server, server.admin, 1).await;
    fill(&server, other, 11).await;
    let path = format!("/Accounts/{}/Webhooks/Deliveries", server.admin);
    let state = async |n| {
        server
            .store
            .delivery(event(n))
            .await
            .unwrap()
            .unwrap()
            .state
            .as_str()
    };
    for bad in ["", "State=pending", "State=x"] {
        let answer = server.post(&who, &format!("{path}/Replay.json"), bad).await;
        assert_eq!(answer.status, 400, "{bad}");
    }
    // One that was delivered, then a pending one, then all dead ones.
    for (n, expected) in [(1, "pending"), (5, "pending")] {
        let answer = server
            .post(&who, &format!("{path}/{}/Replay.json", event(n)), "")
            .await;
        assert_eq!(answer.json()["state"], expected, "{}", answer.body);
        assert_eq!(answer.json()["sid"], event(n).to_string());
    }
    let answer = server
        .post(&who, &format!("{path}/Replay.json"), "State=dead")
        .await;
    assert_eq!(answer.body, "{\"replayed\":2}\n");
    let both = format!("CallSid={}&Lane={}", call_sid(1), call_sid(0));
    let answer = server
        .post(&who, &format!("{path}/Replay.json"), &both)
        .await;
    assert_eq!(answer.body, "{\"replayed\":0}\n");
    let range = "StartTime=2013-08-23T02:00:00Z&EndTime=2013-08-23T02:00:00Z";
    let answer = server.post(&who, &format!("{path}/Replay"), range).await;
    assert!(
        answer.body.contains("<Replayed>1</Replayed>"),
        "{}",
        answer.body
    );
    for n in 1..=6 {
        assert_eq!(state(n).await, "pending", "{n}");
    }
    assert_eq!(state(13).await, "dead", "another account's");
    let tree = "State=dead&SubAccounts=true";
    let answer = server
        .post(&who, &format!("{path}/Replay.json"), tree)
        .await;
    assert_eq!(answer.body, "{\"replayed\":2}\n");

    // Ownership is respected.
    let stranger = (other.to_string(), "token-other".to_owned());
    let theirs = format!("/Accounts/{other}/Webhooks/Deliveries");
    let table = [
        (&stranger, format!("{path}/Replay.json"), 403),
        (&stranger, format!("{path}/{}/Replay.json", event(1)), 403),
        (&stranger, format!("{theirs}/{}/Replay.json", event(1)), 404),
        (
            &stranger,
            format!("{theirs}/{}/Replay.json", event(99)),
            404,
        ),
        (
            &stranger,
            format!("{theirs}/{}/Replay.json", event(11)),
            200,
        ),
        (&who, format!("{path}.json"), 405),
    ];
    for (who, path, status) in table {
        let answer = server.post(who, &path, "State=dead").await;
        assert_eq!(answer.status, status, "{path}");
    }
}

#[tokio::test]
async fn waiting_callbacks_are_dropped() {
    let server = Server::start().await;
    let who = server.admin();
    let other = server.account("other", server.admin).await;
    fill(&server, server.admin, 1).await;
    fill(&server, other, 11).await;
    let path = format!("/Accounts/{}/Webhooks/Deliveries", server.admin);
    for bad in ["", "StartTime=x", "Lane=x"] {
        let answer = server.post(&who, &format!("{path}/Drop.json"), bad).await;
        assert_eq!(answer.status, 400, "{bad}: {}", answer.body);
    }
    // One that was delivered stays as it is.
    for (n, expected) in [(1, "delivered"), (5, "pending")] {
        let one = format!("{path}/{}/Drop.json", event(n));
        let answer = server.post(&who, &one, "").await;
        assert_eq!(answer.json()["state"], expected, "{}", answer.body);
    }
    // The server that has it in memory ends it; here, there is none.
    assert_eq!(server.store.dropped_callbacks().await.unwrap(), [event(5)]);
    let all = "StartTime=2013-01-01";
    let answer = server.post(&who, &format!("{path}/Drop.json"), all).await;
    assert_eq!(answer.body, "{\"dropped\":1}\n");
    let mut marked = server.store.dropped_callbacks().await.unwrap();
    marked.sort();
    assert_eq!(marked, [event(5), event(6)], "none of another account");
    let stranger = (other.to_string(), "token-other".to_owned());
    let theirs = format!("/Accounts/{other}/Webhooks/Deliveries");
    let table = [
        (format!("{path}/Drop.json"), 403),
        (format!("{path}/{}/Drop.json", event(5)), 403),
        (format!("{theirs}/{}/Drop.json", event(5)), 404),
        (format!("{theirs}/{}/Drop.json", event(15)), 200),
    ];
    for (path, status) in table {
        let answer = server.post(&stranger, &path, "StartTime=2013-01-01").await;
        // The request about one takes no filter.
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
    }
}
