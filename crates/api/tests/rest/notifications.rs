//! `/Accounts/{sid}/Notifications`.

use model::record::Notification;
use model::{ConferenceSid, MessageSid, NotificationSid, Timestamp};
use store::Change;

use crate::server::{Server, call_sid};

#[tokio::test]
async fn notifications_are_listed() {
    let server = Server::start().await;
    let who = server.admin();
    let changes = (0..34u32)
        .map(|n| {
            let mut bytes = [0xdd; 16];
            bytes[12..].copy_from_slice(&n.to_be_bytes());
            Change::Notification(Box::new(Notification {
                sid: NotificationSid::from_bytes(bytes),
                account: server.admin,
                lane: match n {
                    33 => MessageSid::from_bytes([1; 16]).into(),
                    32 => ConferenceSid::from_bytes([1; 16]).into(),
                    _ => call_sid(1).into(),
                },
                call: (n < 5).then(|| call_sid(1)),
                level: i64::from(n % 2),
                code: u16::try_from(n % 4 * 100).unwrap(),
                text: if n < 17 {
                    "The Restcomm way".to_owned()
                } else {
                    format!("t{n}")
                },
                request_url: Some(format!("http://a.example/{}", n % 3)),
                request_method: Some("POST".to_owned()),
                line: Some(3),
                column: None,
                created: Timestamp(1_377_216_000_000_000 + i64::from(n) * 3_600_000_000),
            }))
        })
        .collect();
    server.store.commit(changes).await.unwrap();
    let path = format!("/Accounts/{}/Notifications.json", server.admin);
    for (query, rows, total) in [
        ("", 34, 34),
        ("?PageSize=10&Page=3", 4, 34),
        ("?ErrorCode=100", 9, 9),
        ("?RequestUrl=http://a.example/1", 11, 11),
        ("?MessageText=Restcomm", 17, 17),
        ("?StartTime=2013-08-24", 10, 10),
    ] {
        let page = server.get(&who, &format!("{path}{query}")).await.json();
        assert_eq!(
            page["notifications"].as_array().unwrap().len(),
            rows,
            "{query}"
        );
        assert_eq!(page["total"], total, "{query}");
    }
    // Their subjects: a message, a conference, a call.
    let page = server.get(&who, &path).await.json();
    let about = |n: usize, key: &str| page["notifications"][n][key].as_str().map(str::to_owned);
    let message = MessageSid::from_bytes([1; 16]).to_string();
    let conference = ConferenceSid::from_bytes([1; 16]).to_string();
    assert_eq!(about(0, "message_sid"), Some(message));
    assert_eq!(about(1, "conference_sid"), Some(conference));
    assert_eq!(
        (about(0, "call_sid"), about(2, "message_sid")),
        (None, None)
    );
    for (sort, key, first) in [
        ("ErrorCode", "error_code", 0),
        ("ErrorCode:desc", "error_code", 300),
        ("Log:desc", "log", 1),
        ("Log", "log", 0),
    ] {
        let page = server
            .get(&who, &format!("{path}?SortBy={sort}"))
            .await
            .json();
        assert_eq!(page["notifications"][0][key], first, "{sort}");
    }
    for (sort, first) in [
        ("MessageText", "The Restcomm way"),
        ("MessageText:desc", "t33"),
        ("DateCreated", "The Restcomm way"),
        ("CallSid:desc", "The Restcomm way"),
    ] {
        let page = server.get(&who, &format!("{path}?SortBy={sort}")).await;
        assert_eq!(
            page.column("notifications", "message_text")[0],
            first,
            "{sort}"
        );
    }
    server
        .get(&who, &format!("{path}?SortBy=:asc"))
        .await
        .is(400);
    server
        .get(&who, &format!("{path}?ErrorCode=x"))
        .await
        .is(400);

    let first = server
        .get(&who, &format!("{path}?SortBy=DateCreated"))
        .await
        .json();
    let one = &first["notifications"][0];
    let item = path.replace(".json", &format!("/{}.json", one["sid"].as_str().unwrap()));
    assert_eq!(&server.get(&who, &item).await.json(), one);
    assert_eq!(
        one["more_info"],
        "http://pbx.example:8080/restcomm/errors/0.html"
    );
    assert_eq!(one["message_date"], "2013-08-23T00:00:00.000Z");
    assert_eq!((&one["line"], one.get("response_body")), (&3.into(), None));
    let of_call = path.replace(
        "Notifications",
        &format!("Calls/{}/Notifications", call_sid(1)),
    );
    assert_eq!(server.get(&who, &of_call).await.json()["total"], 5);
    let unknown = path.replace(".json", &format!("/NO{}", "0".repeat(32)));
    server.get(&who, &unknown).await.is(404);
}
