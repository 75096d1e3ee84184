//! `/Accounts/{sid}/Email/Messages`.

use model::email::{Email, Senders};
use model::record::{Recording, RecordingKind};
use model::{EmailSid, EmailStatus, RecordingSid, Timestamp};
use store::{Change, ClaimedEmail};

use crate::server::{Server, account_sid, call_sid};

const FORM: &str = "From=box@a.example&To=Ann%20%3Cann@b.example%3E&Subject=Hello&Body=text";

fn path(server: &Server) -> String {
    format!("/Accounts/{}/Email/Messages.json", server.admin)
}

#[tokio::test]
async fn an_email_is_stored_and_shown() {
    let server = Server::start().await;
    let who = server.admin();
    let form = format!("{FORM}&CC=c@c.example,d@d.example&BCC=e@e.example&Type=text/html");
    let sent = server.post(&who, &path(&server), &form).await;
    assert_eq!(sent.status, 200);
    let shown = sent.json();
    assert_eq!(shown["to"], "Ann <ann@b.example>");
    assert_eq!(shown["status"], "queued");
    assert!(shown.get("cc").is_none(), "not shown, as in Restcomm");
    let sid: EmailSid = shown["sid"].as_str().unwrap().parse().unwrap();
    let stored = server.store.email(sid).await.unwrap().unwrap();
    assert_eq!(stored.cc, ["c@c.example", "d@d.example"]);
    assert_eq!(stored.bcc, ["e@e.example"]);
    assert!(stored.html);
    let one = format!("/Accounts/{}/Email/Messages/{sid}", server.admin);
    let one = server.get(&who, &format!("{one}.json")).await.json();
    assert_eq!(one, shown);
    // Its end shows the reason.
    let failed = ClaimedEmail {
        email: Email {
            status: EmailStatus::Failed,
            error_code: Some(14_211),
            reason: Some("no such mailbox".to_owned()),
            ..stored
        },
        attempt: 0,
    };
    assert!(server.store.end_email(&failed, None).await.unwrap());
    let xml = format!("/Accounts/{}/Email/Messages/{sid}", server.admin);
    let xml = server.get(&who, &xml).await.body;
    for part in [
        "<EmailMessage>",
        "<Subject>Hello</Subject>",
        "<Status>failed</Status>",
        "<ErrorCode>14211</ErrorCode>",
        "<ErrorMessage>no such mailbox</ErrorMessage>",
    ] {
        assert!(xml.contains(part), "{part} {xml}");
    }
}

#[tokio::test]
async fn emails_are_listed() {
    let server = Server::start().await;
    let who = server.admin();
    for number in 0..3 {
        let form = format!("From=box{number}@a.example&To=ann@b.example&Subject=s&Body=b");
        server.post(&who, &path(&server), &form).await;
    }
    for (query, total) in [
        ("", 3),
        ("?From=box1@a.example", 1),
        ("?To=ann@b.example", 3),
        ("?To=ann", 0),
        ("?Status=queued", 3),
        ("?Status=sent", 0),
        ("?StartTime=2999-01-01", 0),
        ("?EndTime=2000-01-01", 0),
    ] {
        let page = server
            .get(&who, &format!("{}{query}", path(&server)))
            .await
            .json();
        assert_eq!(page["total"], total, "{query}");
    }
    let refused = server
        .get(&who, &format!("{}?Status=lost", path(&server)))
        .await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn emails_are_checked() {
    let server = Server::start().await;
    let who = server.admin();
    let of_other = RecordingSid::from_bytes([9; 16]);
    server.account("other", server.admin).await;
    let recording = |sid, account| {
        Change::Recording(Recording {
            sid,
            account,
            call: Some(call_sid(1)),
            conference: None,
            kind: RecordingKind::default(),
            duration_ms: 1,
            size_bytes: 1,
            created: Timestamp(1),
            updated: Timestamp(1),
        })
    };
    let own = RecordingSid::from_bytes([8; 16]);
    let changes = vec![
        recording(own, server.admin),
        recording(of_other, account_sid("other")),
    ];
    server.store.commit(changes).await.unwrap();
    let without = |name: &str| {
        let parts = FORM.split('&').filter(|part| !part.starts_with(name));
        parts.collect::<Vec<_>>().join("&")
    };
    let big = format!("{}&Body={}", without("Body"), "x".repeat(256 * 1024 + 1));
    let table = [
        (without("From"), 400),
        (without("To"), 400),
        (without("Subject"), 400),
        (without("Body"), 400),
        (format!("{}&To=ann", without("To")), 400),
        (format!("{}&To=a@b,c@d", without("To")), 400),
        (format!("{}&From=a@b%0D%0ABcc:x@y", without("From")), 400),
        (
            format!("{}&Subject=a%0D%0ABcc:x@y", without("Subject")),
            400,
        ),
        (format!("{FORM}&CC=a@b,x"), 400),
        (format!("{FORM}&BCC=x"), 400),
        (format!("{FORM}&Type=image/png"), 400),
        (format!("{FORM}&Type=text/html;charset=latin1"), 400),
        (format!("{FORM}&Attach=CA1"), 400),
        (format!("{FORM}&Attach={of_other}"), 400),
        (big, 413),
        (format!("{FORM}&Attach={own}"), 200),
        (FORM.to_owned(), 200),
    ];
    for (form, status) in table {
        let answer = server.post(&who, &path(&server), &form).await;
        let shown: String = form.chars().take(120).collect();
        assert_eq!(answer.status, status, "{shown} {}", answer.body);
    }
}

#[tokio::test]
async fn a_sender_must_be_allowed_and_a_mail_server_must_be_there() {
    let server = Server::with(|state| {
        state.mail = Some(Senders::new(&["@b.example".to_owned()]));
    })
    .await;
    let who = server.admin();
    let refused = server.post(&who, &path(&server), FORM).await;
    refused.is(403);
    assert_eq!(refused.error()["code"], 14_214);
    let form = FORM.replace("box@a.example", "box@b.example");
    assert_eq!(server.post(&who, &path(&server), &form).await.status, 200);
    let server = Server::with(|state| state.mail = None).await;
    let refused = server.post(&server.admin(), &path(&server), FORM).await;
    refused.is(501);
    assert_eq!(refused.error()["code"], 14_210);
}
