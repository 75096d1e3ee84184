//! `/Accounts/{sid}/SMS/Messages`.

use std::time::Duration;

use call_proto::{CallbackTarget, Dialect, NewMessage};
use model::record::Message;
use model::{HttpMethod, MessageDirection, MessageSid, MessageStatus, Timestamp};
use store::Change;

use crate::server::{Answer, Server, call_sid, now, of};

fn message(server: &Server, n: u8) -> Message {
    let created =
        Timestamp(1_377_216_000_000_000) + Duration::from_secs(u64::from(n) * 3_600 + 1_800);
    let sid = MessageSid::from_bytes([n; 16]);
    let instance = server.store.instance();
    Message {
        from: format!("+1{n:03}"),
        to: if n.is_multiple_of(2) { "ann" } else { "bob" }.to_owned(),
        body: format!("text {n}"),
        ..testkit::records::message(sid, instance, server.admin, call_sid(1), created)
    }
}

#[tokio::test]
async fn messages_are_listed() {
    let server = Server::start().await;
    let who = server.admin();
    let mut changes = Vec::new();
    for n in 0..30 {
        let message = message(&server, n);
        changes.push(Change::MessageCreated {
            message: Box::new(message.clone()),
            farewell: None,
        });
        let at = message.created + Duration::from_secs(1);
        let over = |status, code: Option<u16>, sent| Message {
            status,
            error_code: code,
            reason: Some("what it said".to_owned()),
            updated: at,
            sent,
            ..message.clone()
        };
        let over = match n {
            0..10 => over(MessageStatus::Sent, None, Some(at)),
            10..15 => over(MessageStatus::Failed, Some(30_005), None),
            _ => continue,
        };
        changes.push(Change::MessageEnded {
            message: Box::new(over),
            tells: None,
        });
    }
    server.store.commit(changes).await.unwrap();
    let path = format!("/Accounts/{}/SMS/Messages.json", server.admin);
    for (query, total) in [
        ("", 30),
        ("?To=ann", 15),
        ("?From=007", 1),
        ("?Body=text+1", 11),
        ("?Status=sent", 10),
        ("?Status=failed", 5),
        ("?Status=sending", 15),
        ("?StartTime=2013-08-24", 6),
        ("?EndTime=2013-08-23", 24),
    ] {
        let page = server.get(&who, &format!("{path}{query}")).await.json();
        assert_eq!(page["total"], total, "{query}");
        let alias = path.replace("SMS/", "");
        let page = server.get(&who, &format!("{alias}{query}")).await.json();
        assert_eq!(page["total"], total, "{query}");
    }
    for (sort, field, first) in [
        ("DateCreated", "body", "text 0"),
        ("From:desc", "body", "text 29"),
        ("To:desc", "to", "bob"),
        ("Status", "status", "failed"),
        ("Body", "body", "text 0"),
    ] {
        let page = server.get(&who, &format!("{path}?SortBy={sort}")).await;
        assert_eq!(page.column("messages", field)[0], first, "{sort}");
    }
    let item = |n: u8| {
        let sid = MessageSid::from_bytes([n; 16]);
        path.replace(".json", &format!("/{sid}.json"))
    };
    let sent = server.get(&who, &item(3)).await.json();
    assert_eq!(
        (&sent["status"], &sent["direction"]),
        (&"sent".into(), &"outbound-call".into())
    );
    assert_eq!(sent["date_sent"], "2013-08-23T03:30:01.000Z");
    assert!(sent.get("error_code").is_none());
    let failed = server.get(&who, &item(12)).await.json();
    assert_eq!(failed["error_code"], 30_005);
    assert_eq!(failed["error_message"], "what it said");
    let xml = item(12).replace(".json", "");
    let xml = server.get(&who, &xml).await;
    let error =
        "<Error><ErrorCode>30005</ErrorCode><ErrorMessage>what it said</ErrorMessage></Error>";
    assert!(xml.body.contains(error), "{}", xml.body);
    server.get(&who, &item(99)).await.is(404);
    server.delete(&who, &path).await.is(405);
}

#[tokio::test]
async fn a_message_is_sent_without_a_call() {
    let server = Server::start().await;
    let who = server.admin();
    let sub = server.account("sub", server.admin).await;
    let path = format!("/Accounts/{sub}/SMS/Messages.json");
    let form = "From=%2B1999&To=client:ann&Body=a%0Ab&StatusCallback=http://a/told&StatusCallbackMethod=get";
    let sent = server.post(&who, &path, form).await.json();
    let expected = [
        ("status", "sending"),
        ("direction", "outbound-api"),
        ("from", "+1999"),
        ("to", "client:ann"),
        ("body", "a\nb"),
    ];
    for (field, value) in expected {
        assert_eq!(sent[field], value, "{field}");
    }
    assert!(sent.get("call_sid").is_none(), "{sent}");
    let asked = server.engine.messages.lock().unwrap().clone();
    let told = "http://a/told".to_owned();
    let new = NewMessage {
        account: sub,
        from: "+1999".to_owned(),
        to: "client:ann".to_owned(),
        body: "a\nb".to_owned(),
        recorded_as: None,
        direction: MessageDirection::OutboundApi,
        headers: Vec::new(),
        callback: Some(CallbackTarget {
            url: told,
            method: HttpMethod::Get,
            author: server.admin,
        }),
        validity: None,
        dialect: Dialect::RESTCOMM,
        answers_keyword: None,
        released: None,
        chosen: None,
    };
    assert_eq!(asked, [new]);
    let alias = path.replace("SMS/", "");
    for to in ["ann", "%2B1555", "sip:bob@h:5061", "bob@h"] {
        let form = format!("From=My+Shop&To={to}&Body=x");
        server.post(&who, &alias, &form).await.is(200);
    }
    let last = server.engine.messages.lock().unwrap().pop();
    assert_eq!(last.and_then(|new| new.callback), None);
}

#[tokio::test]
async fn a_message_that_cannot_be_sent_is_refused_by_parameter() {
    let server = Server::start().await;
    let who = server.admin();
    let path = format!("/Accounts/{}/Messages.json", server.admin);
    let long = "x".repeat(1_601);
    let wide = "x".repeat(255);
    let table = [
        ("To=ann&Body=x".to_owned(), "From"),
        ("From=+&To=ann&Body=x".to_owned(), "From"),
        ("From=a%0D%0AX:+1&To=ann&Body=x".to_owned(), "From"),
        ("From=a+b@c&To=ann&Body=x".to_owned(), "From"),
        (format!("From={wide}&To=ann&Body=x"), "From"),
        ("From=a&Body=x".to_owned(), "To"),
        ("From=a&To=&Body=x".to_owned(), "To"),
        ("From=a&To=client:&Body=x".to_owned(), "To"),
        ("From=a&To=sip:ann&Body=x".to_owned(), "To"),
        ("From=a&To=ann@h%0D%0AX:+1&Body=x".to_owned(), "To"),
        ("From=a&To=ann".to_owned(), "Body"),
        ("From=a&To=ann&Body=+%0A".to_owned(), "Body"),
        (format!("From=a&To=ann&Body={long}"), "Body"),
        (
            "From=a&To=ann&Body=x&StatusCallback=ftp://x".to_owned(),
            "StatusCallback",
        ),
        (
            "From=a&To=ann&Body=x&StatusCallback=http://a/s&StatusCallbackMethod=PUT".to_owned(),
            "StatusCallbackMethod",
        ),
    ];
    for (form, named) in table {
        let answer = server.post(&who, &path, &form).await;
        answer.is(400);
        let text = answer.error()["message"].to_string();
        assert!(text.contains(&format!("\"{named}")), "{form}: {text}");
    }
    server
        .post(&who, &path, "From=a&To=busy&Body=x")
        .await
        .is(429);
    server.drain();
    server
        .post(&who, &path, "From=a&To=ann&Body=x")
        .await
        .is(503);
    assert!(server.engine.messages.lock().unwrap().is_empty());
}

#[tokio::test]
async fn header_fields_and_encodings_are_checked() {
    let server = Server::start().await;
    let who = server.admin();
    let path = format!("/Accounts/{}/SMS/Messages.json", server.admin);
    let form = "From=a&To=ann&Body=x&X-Order=4711&x-shop=north+side&Encoding=UCS-2";
    server.post(&who, &path, form).await.is(200);
    let sent = server.engine.messages.lock().unwrap().pop().unwrap();
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        sent.headers,
        [header("X-Order", "4711"), header("x-shop", "north side")]
    );
    let long = "x".repeat(257);
    for (more, named) in [
        ("X-A=1%0D%0AEvil:+1".to_owned(), "X-A"),
        ("X-A%3A=1".to_owned(), "X-A:"),
        (format!("X-A={long}"), "X-A"),
        ("Encoding=EBCDIC".to_owned(), "Encoding"),
    ] {
        let form = format!("From=a&To=ann&Body=x&{more}");
        let answer = server.post(&who, &path, &form).await;
        answer.is(400);
        let text = answer.error()["message"].to_string();
        assert!(text.contains(named), "{more}: {text}");
    }
    // What needs attachments or a service is refused where parameters must be known.
    let twilio = format!("/2010-04-01/Accounts/{}/Messages.json", server.admin);
    for name in ["MediaUrl", "MessagingServiceSid", "ContentSid"] {
        let form = format!("From=a&To=ann&Body=x&{name}=http://a/b");
        let answer = server.post(&who, &twilio, &form).await;
        answer.is(400);
        assert!(answer.body.contains(name), "{}", answer.body);
    }
    assert!(server.engine.messages.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_message_that_has_ended_can_be_redacted_and_deleted() {
    let server = Server::start().await;
    let who = server.admin();
    let (open, over) = (message(&server, 1), message(&server, 2));
    let created = |message: &Message| Change::MessageCreated {
        message: Box::new(message.clone()),
        farewell: Some("text 2".to_owned()),
    };
    let ended = Change::MessageEnded {
        message: Box::new(Message {
            status: MessageStatus::Sent,
            reason: Some("200 OK".to_owned()),
            ..over.clone()
        }),
        tells: None,
    };
    let changes = vec![created(&open), created(&over), ended];
    server.store.commit(changes).await.unwrap();
    let list = format!("/Accounts/{}/SMS/Messages", server.admin);
    let path = |message: &Message| format!("{list}/{}.json", message.sid);
    server.post(&who, &path(&open), "Body=").await.is(409);
    server.delete(&who, &path(&open)).await.is(409);
    server.post(&who, &path(&over), "Body=other").await.is(400);
    let kept = server.get(&who, &path(&over)).await.json();
    assert_eq!(kept["body"], "text 2");
    let redacted = server.post(&who, &path(&over), "Body=").await.json();
    assert_eq!(
        (&redacted["body"], &redacted["status"]),
        (&"".into(), &"sent".into())
    );
    server.delete(&who, &path(&over)).await.is(204);
    server.get(&who, &path(&over)).await.is(404);
    server.delete(&who, &path(&over)).await.is(404);
    let left = server.get(&who, &format!("{list}.json")).await.json();
    assert_eq!(left["total"], 1);
}

/// A message waits for its time, and can be canceled until then; only what has ended can be changed or deleted.
#[tokio::test]
async fn a_message_is_scheduled_and_canceled() {
    let server = Server::start().await;
    server.account("p", server.admin).await;
    let who = of("p");
    for (prefix, created) in [("", 200), ("/2010-04-01", 201)] {
        let list = format!("{prefix}/Accounts/{}/Messages.json", who.0);
        let in_minutes =
            |minutes: u64| (now() + Duration::from_secs(minutes * 60)).iso8601_seconds();
        let form =
            |at: &str| format!("From=%2B1999&To=%2B1555&Body=hi&ScheduleType=fixed&SendAt={at}");
        let soon = in_minutes(6);
        let made = server.post(&who, &list, &form(&soon)).await;
        made.is(created);
        let made: serde_json::Value = serde_json::from_str(&made.body).unwrap();
        assert_eq!(made["status"], "scheduled", "{made}");
        let one = list.replace(".json", &format!("/{}.json", made["sid"].as_str().unwrap()));
        let pending = |answer: Answer| {
            answer.is(409);
            assert_eq!(answer.error()["code"], 20_410, "{}", answer.body);
        };
        pending(server.post(&who, &one, "Body=").await);
        pending(server.delete(&who, &one).await);
        let canceled = server.post(&who, &one, "Status=canceled").await.json();
        assert_eq!(canceled["status"], "canceled");
        let again = server.post(&who, &one, "Status=canceled").await;
        again.is(409);
        assert_eq!(again.error()["code"], 30_409);
        server.post(&who, &one, "Status=sent").await.is(400);
        assert_eq!(server.post(&who, &one, "Body=").await.json()["body"], "");
        server.delete(&who, &one).await.is(204);
        for (at, code) in [
            (in_minutes(4), 35_114),
            (in_minutes(35 * 24 * 60 + 1), 35_114),
            ("tomorrow".to_owned(), 35_114),
            ("2030-05-15".to_owned(), 35_114),
        ] {
            let refused = server.post(&who, &list, &form(&at)).await;
            refused.is(400);
            assert_eq!(refused.error()["code"], code, "{at}");
        }
        for more in [
            "ScheduleType=fixed",
            &format!("SendAt={soon}"),
            "ScheduleType=later",
            "ValidityPeriod=0",
            "ValidityPeriod=36001",
            "ValidityPeriod=x",
        ] {
            let form = format!("From=%2B1999&To=%2B1555&Body=hi&{more}");
            server.post(&who, &list, &form).await.is(400);
        }
        let form = "From=%2B1999&To=%2B1555&Body=hi&ValidityPeriod=36000";
        server.post(&who, &list, form).await.is(created);
    }
    let asked = server.engine.messages.lock().unwrap().clone();
    let validity = asked.iter().map(|new| new.validity).collect::<Vec<_>>();
    let longest = Some(Duration::from_secs(36_000));
    assert_eq!(validity, [None, longest, None, longest]);
}
