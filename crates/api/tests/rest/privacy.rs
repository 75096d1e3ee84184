//! `/Accounts/{sid}/Retention` and `/Accounts/{sid}/Erasures`: what was said and written is removed, and the records stay.

use std::time::Duration;

use model::email::Email;
use model::record::{CallRecord, Callback, Message, Notification, Recording, RecordingKind};
use model::{
    AccountSid, CallSid, CallStatus, EventSid, HttpMethod, MessageSid, MessageStatus,
    NotificationSid, RecordingSid, Timestamp,
};
use serde_json::Value;
use store::Change;

use crate::server::{Server, now, of};

const PERSON: &str = "+493012345678";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What one call left behind, with a number that is its own.
struct Kept {
    call: CallSid,
    recording: RecordingSid,
    message: MessageSid,
}

/// A call with a message, a recording, a notification, a trace and two callbacks.
///
/// - `ended`: whether it is over
async fn keep(server: &Server, account: AccountSid, n: u8, at: Timestamp, ended: bool) -> Kept {
    let kept = Kept {
        call: CallSid::new(at, [n; 10]),
        recording: RecordingSid::new(at, [n; 10]),
        message: MessageSid::new(at, [n; 10]),
    };
    let instance = server.store.instance();
    let call = CallRecord {
        from: format!("sip:{PERSON}@carrier.example"),
        to: "1000".to_owned(),
        caller_name: Some("Ann".to_owned()),
        status: if ended {
            CallStatus::Completed
        } else {
            CallStatus::InProgress
        },
        ended: ended.then_some(at),
        ..testkit::records::call(kept.call, instance, account, at)
    };
    let message = Message {
        to: PERSON.to_owned(),
        body: "your PIN".to_owned(),
        ..testkit::records::message(kept.message, instance, account, kept.call, at)
    };
    let over = Message {
        status: MessageStatus::Sent,
        sent: Some(at),
        ..message.clone()
    };
    let callback = |name: &str, part: u8| {
        let mut bytes = [n; 16];
        bytes[0] = part;
        Callback {
            author: account,
            event: EventSid::from_bytes(bytes),
            account,
            lane: kept.call.into(),
            call: Some(kept.call),
            sequence: i64::from(part),
            url: "http://app.example/".to_owned(),
            method: HttpMethod::Post,
            params: vec![(name.to_owned(), "1".to_owned())],
            created: at,
        }
    };
    let mut changes = vec![
        Change::CallCreated(Box::new(call)),
        Change::MessageCreated {
            message: Box::new(message),
            farewell: None,
        },
        Change::MessageEnded {
            message: Box::new(over),
            tells: None,
        },
        Change::Recording(Recording {
            sid: kept.recording,
            account,
            call: Some(kept.call),
            conference: None,
            kind: RecordingKind::default(),
            duration_ms: 1_000,
            size_bytes: 10,
            created: at,
            updated: at,
        }),
        Change::Notification(Box::new(Notification {
            call: Some(kept.call),
            lane: kept.call.into(),
            ..Notification::of_account(
                NotificationSid::new(at, [n; 10]),
                account,
                12_100,
                format!("about {PERSON}"),
                at,
            )
        })),
        Change::Trace {
            lane: kept.call.into(),
            blob: vec![1, 2],
        },
    ];
    for (part, name) in (1..).zip(["Digits", "CallStatus"]) {
        let callback = callback(name, part);
        let event = callback.event;
        changes.push(Change::CallbackQueued(Box::new(callback)));
        changes.push(Change::CallbackDone {
            event,
            attempts: 1,
            status: Some(200),
            dead: None,
            at,
            given_up: None,
        });
    }
    server.store.commit(changes).await.unwrap();
    let file = server.dir.path().join(format!("{}.wav", kept.recording));
    std::fs::write(file, "0123456789").unwrap();
    kept
}

/// What is left: the text of the message, the state of the recording and whether it can be fetched, the trace, notifications and callbacks.
async fn left(server: &Server, account: AccountSid, kept: &Kept) -> String {
    let who = server.admin();
    let base = format!("/Accounts/{account}");
    let message = server
        .get(&who, &format!("{base}/SMS/Messages/{}.json", kept.message))
        .await
        .json();
    let recording = format!("{base}/Recordings/{}", kept.recording);
    let state = server.get(&who, &format!("{recording}.json")).await.json();
    let file = server.get(&who, &format!("{recording}.wav")).await.status;
    let trace = server.store.trace(kept.call.into()).await.unwrap();
    let notifications = format!("{base}/Calls/{}/Notifications.json", kept.call);
    let notifications = server.get(&who, &notifications).await.json();
    let callbacks = format!("{base}/Webhooks/Deliveries.json?Lane={}", kept.call);
    let callbacks = server.get(&who, &callbacks).await.json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!(
        "{}; {} {}; {}, {} notifications, {} callbacks",
        text(&message["body"]),
        text(&state["status"]),
        file.as_u16(),
        if trace.is_some() { "trace" } else { "no trace" },
        notifications["total"],
        callbacks["total"]
    )
}

const ALL: &str = "your PIN; completed 200; trace, 1 notifications, 2 callbacks";

#[tokio::test]
async fn what_is_older_than_an_account_keeps_it_is_removed() {
    let server = Server::start().await;
    let p = server.account("p", server.admin).await;
    let start = now();
    let old = keep(&server, p, 1, start - DAY * 8, true).await;
    let recent = keep(&server, p, 2, start - DAY * 6, true).await;
    let live = keep(&server, p, 3, start - DAY * 8, false).await;
    let of_another = keep(&server, server.admin, 4, start - DAY * 8, true).await;
    let path = format!("/Accounts/{p}/Retention.json");
    let who = of("p");
    let sweep = async || {
        let nothing = store::Retention::default();
        api::apply_retention(&server.store, server.dir.path(), &nothing, start)
            .await
            .unwrap();
    };
    sweep().await;
    assert_eq!(left(&server, p, &old).await, ALL);
    let steps = [
        (
            "Digits=7",
            "your PIN; completed 200; no trace, 1 notifications, 1 callbacks",
        ),
        (
            "Callbacks=7",
            "your PIN; completed 200; no trace, 1 notifications, 0 callbacks",
        ),
        (
            "Notifications=7&Digits=",
            "your PIN; completed 200; no trace, 0 notifications, 0 callbacks",
        ),
        (
            "MessageBodies=7",
            "[removed after the retention time]; completed 200; no trace, 0 notifications, 0 callbacks",
        ),
        (
            "Recordings=7",
            "[removed after the retention time]; absent 410; no trace, 0 notifications, 0 callbacks",
        ),
    ];
    for (form, expected) in steps {
        server.post(&who, &path, form).await.is(200);
        sweep().await;
        assert_eq!(left(&server, p, &old).await, expected, "{form}");
    }
    // Neither what is younger, nor what belongs to a live call or another account.
    for kept in [&recent, &live] {
        assert_eq!(left(&server, p, kept).await, ALL);
    }
    assert_eq!(left(&server, server.admin, &of_another).await, ALL);
    let shown = server.get(&who, &path).await.json();
    assert_eq!(
        (&shown["recordings"], &shown["digits"]),
        (&7.into(), &0.into())
    );
    for form in ["Traces=-1", "Traces=x", "Traces=40000"] {
        server.post(&who, &path, form).await.is(400);
    }
    // The default of the server holds for what an account has not set; 0 is for good.
    server.post(&who, &path, "Traces=0").await.is(200);
    let all = store::Retention::default().with(store::Kept::Traces, Some(5));
    api::apply_retention(&server.store, server.dir.path(), &all, start)
        .await
        .unwrap();
    assert_eq!(left(&server, p, &recent).await, ALL);
    let elsewhere = left(&server, server.admin, &of_another).await;
    assert!(elsewhere.contains("no trace"), "{elsewhere}");
    // What is gone can still be deleted, and comes back from the bin as it was.
    let recording = format!("/Accounts/{p}/Recordings/{}.json", old.recording);
    server.delete(&who, &recording).await.is(200);
    let bin = format!("/Accounts/{p}/Bin/{}.json", old.recording);
    server.post(&who, &bin, "").await.is(200);
    assert!(left(&server, p, &old).await.contains("absent 410"));
}

#[tokio::test]
async fn a_person_is_erased_with_a_receipt() {
    let server = Server::start().await;
    let p = server.account("p", server.admin).await;
    let a = server.account("a", p).await;
    let who = of("p");
    let at = now() - DAY;
    let kept = keep(&server, a, 1, at, true).await;
    let live = keep(&server, p, 2, at, false).await;
    let of_another = keep(&server, server.admin, 3, at, true).await;
    let binned = keep(&server, p, 4, at, true).await;
    let recording = format!("/Accounts/{p}/Recordings/{}.json", binned.recording);
    server.delete(&who, &recording).await.is(200);
    let ids = format!("/Accounts/{p}/OutgoingCallerIds.json");
    let form = "PhoneNumber=%2B493012345678";
    server.post(&server.admin(), &ids, form).await.is(200);

    let path = format!("/Accounts/{p}/Erasures.json");
    let receipt = server.post(&who, &path, form).await;
    assert!(receipt.status.is_success(), "{}", receipt.body);
    assert!(!receipt.body.contains("12345678"), "{}", receipt.body);
    let receipt = receipt.json();
    let counts = [
        ("calls", 2),
        // That of the live call is still in its trace.
        ("messages", 2),
        ("recordings", 2),
        ("traces", 2),
        ("notifications", 2),
        ("callbacks", 4),
        ("caller_ids", 1),
        ("not_over", 1),
        ("callbacks_waiting", 0),
    ];
    for (kind, count) in counts {
        assert_eq!(receipt[kind], count, "{kind}: {receipt}");
    }
    let pseudonym = receipt["pseudonym"].as_str().unwrap();
    assert_eq!(
        left(&server, a, &kept).await,
        "[erased]; absent 410; no trace, 0 notifications, 0 callbacks"
    );
    let call = server.store.call(kept.call).await.unwrap().unwrap();
    assert_eq!((call.from.as_str(), call.to.as_str()), (pseudonym, "1000"));
    assert_eq!(call.caller_name, None);
    let file = server.dir.path().join(format!("{}.wav", binned.recording));
    assert!(!file.exists());
    let bin = server.get(&who, &format!("/Accounts/{p}/Bin.json")).await;
    assert_eq!(bin.json()["total"], 0);
    assert_eq!(left(&server, server.admin, &of_another).await, ALL);
    let untouched = server.store.call(live.call).await.unwrap().unwrap();
    assert!(untouched.from.contains(PERSON));
    let log = server
        .get(&who, &format!("/Accounts/{p}/AuditLog.json"))
        .await;
    assert!(!log.body.contains("12345678"), "{}", log.body);
    assert!(log.body.contains(pseudonym), "{}", log.body);

    // Again: only what was not over is left.
    let again = server.post(&who, &path, form).await.json();
    assert_eq!(
        (&again["calls"], &again["not_over"]),
        (&0.into(), &1.into())
    );
    for wrong in ["PhoneNumber=1000", "PhoneNumber=ann", ""] {
        server.post(&who, &path, wrong).await.is(400);
    }
    let numbers = format!("/Accounts/{p}/IncomingPhoneNumbers.json");
    let own = "PhoneNumber=%2B493087654321&isSIP=true";
    server.post(&who, &numbers, own).await.is(200);
    let own = "PhoneNumber=0049+30+87654321";
    server.post(&who, &path, own).await.is(409);
}

/// Stores an e-mail for each edit; the first is sent, the second waits, and so on.
async fn mails(server: &Server, account: AccountSid, at: Timestamp, edits: &[fn(&mut Email)]) {
    for (n, edit) in (0..).zip(edits) {
        let mut email = testkit::records::email(email_sid(n), account, at);
        edit(&mut email);
        server.store.insert_email(&email).await.unwrap();
        if n % 2 == 1 {
            continue;
        }
        let claim = store::EmailClaim {
            holder: model::ServerSid::from_bytes([1; 16]),
            lease: DAY,
            longest_wait: DAY,
            limit: 10,
        };
        for mut claimed in server.store.claim_emails(&claim, now()).await.unwrap() {
            if claimed.email.sid == email.sid {
                claimed.email.status = model::EmailStatus::Sent;
                assert!(server.store.end_email(&claimed, None).await.unwrap());
            }
        }
    }
}

fn email_sid(n: u8) -> model::EmailSid {
    model::EmailSid::from_bytes([n; 16])
}

/// What a mail still says.
async fn said(server: &Server, n: u8) -> String {
    let mail = server.store.email(email_sid(n)).await.unwrap().unwrap();
    let (cc, bcc) = (mail.cc.join(","), mail.bcc.join(","));
    format!(
        "{} {} {cc} {bcc} {} {} {}",
        mail.from,
        mail.to,
        mail.subject,
        mail.body,
        mail.recordings.len()
    )
}

#[tokio::test]
async fn mails_are_removed_after_the_retention_time() {
    let server = Server::start().await;
    let p = server.account("p", server.admin).await;
    let start = now();
    let attached: fn(&mut Email) = |mail| {
        mail.cc = vec!["c@x.example".to_owned()];
        mail.bcc = vec!["d@x.example".to_owned()];
        mail.recordings = vec![RecordingSid::from_bytes([1; 16])];
    };
    mails(&server, p, start - DAY * 8, &[attached, attached]).await;
    let path = format!("/Accounts/{p}/Retention.json");
    let shown = server.post(&of("p"), &path, "Emails=7").await.json();
    assert_eq!(shown["emails"], 7);
    let nothing = store::Retention::default();
    for _ in 0..2 {
        api::apply_retention(&server.store, server.dir.path(), &nothing, start)
            .await
            .unwrap();
    }
    let gone = "[removed after the retention time]";
    assert_eq!(
        said(&server, 0).await,
        format!("{gone} {gone}   {gone} {gone} 0")
    );
    let waiting = "box@a.example ann@b.example c@x.example d@x.example Hello text 1";
    assert_eq!(said(&server, 1).await, waiting, "not sent yet");
}

#[tokio::test]
async fn the_mails_and_verifications_of_a_person_are_erased() {
    let server = Server::start().await;
    let p = server.account("p", server.admin).await;
    let at = now() - DAY;
    let edits: [fn(&mut Email); 5] = [
        |mail| mail.body = format!("{PERSON} has called"),
        |mail| mail.subject = format!("From {PERSON}"),
        |mail| mail.to = "493012345678@fax.example".to_owned(),
        |_| {},
        // Another number, which begins the same way.
        |mail| mail.body = format!("{PERSON}9 has called"),
    ];
    mails(&server, p, at, &edits).await;
    let service = model::VerifyServiceSid::from_bytes([1; 16]);
    let store = &server.store;
    let (one, attempt) = verification(p, service, at);
    let code = store::NewCode {
        settings: verify::Settings::default(),
        is_safe: true,
        today: 0,
        verification: one.clone(),
        before: None,
        attempt: attempt.clone(),
        hits: Vec::new(),
    };
    assert!(store.record_code(&code).await.unwrap());
    let safe = verify::SafeNumber {
        sid: model::VerifySafeSid::from_bytes([1; 16]),
        account: p,
        phone_number: PERSON.to_owned(),
        created: at,
    };
    store.insert_safe_number(safe).await.unwrap();
    let path = format!("/Accounts/{p}/Erasures.json");
    let form = "PhoneNumber=%2B493012345678";
    let receipt = server.post(&of("p"), &path, form).await.json();
    for (kind, count) in [
        ("emails", 2),
        ("verifications", 1),
        ("safe_numbers", 1),
        // A mail that waits.
        ("not_over", 1),
    ] {
        assert_eq!(receipt[kind], count, "{kind}: {receipt}");
    }
    let erased = "[erased] [erased]   [erased] [erased] 0";
    assert_eq!(said(&server, 0).await, erased);
    assert_eq!(said(&server, 2).await, erased);
    assert!(said(&server, 1).await.contains(PERSON), "it waits");
    assert!(said(&server, 4).await.contains("has called"));
    let left = store.verification(one.sid).await.unwrap().unwrap();
    let sent = store.verify_attempt(attempt.sid).await.unwrap().unwrap();
    let pseudonym = receipt["pseudonym"].as_str().unwrap();
    assert_eq!((left.to.as_str(), sent.to.as_str()), (pseudonym, pseudonym));
    assert_eq!(left.status, verify::Status::Expired);
    let pending = store.pending_verification(service, PERSON).await;
    assert!(pending.unwrap().is_none());
}

/// A verification of the person that was not completed in time, with its code.
fn verification(
    account: AccountSid,
    service: model::VerifyServiceSid,
    at: Timestamp,
) -> (verify::Verification, verify::Attempt) {
    let sid = model::VerificationSid::from_bytes([1; 16]);
    let one = verify::Verification {
        sid,
        account,
        service,
        to: PERSON.to_owned(),
        channel: verify::Channel::Sms,
        status: verify::Status::Pending,
        digest: String::new(),
        sends: 1,
        checks: 0,
        max_checks: 5,
        expires: at + Duration::from_secs(600),
        created: at,
        updated: at,
    };
    let attempt = verify::Attempt {
        sid: model::VerifyAttemptSid::from_bytes([1; 16]),
        account,
        service,
        verification: sid,
        to: PERSON.to_owned(),
        channel: verify::Channel::Sms,
        network: None,
        is_confirmed: false,
        created: at,
        updated: at,
    };
    (one, attempt)
}

/// A call between others that tried to reach the person, or sent a text to the person, names the number in its trace.
#[tokio::test]
async fn calls_that_only_tried_to_reach_a_person_are_erased_too() {
    let server = Server::start().await;
    let p = server.account("p", server.admin).await;
    let at = now() - DAY;
    let instance = server.store.instance();
    let mut changes = Vec::new();
    let mut calls = Vec::new();
    for n in 1..=3 {
        let sid = CallSid::new(at, [n; 10]);
        let call = CallRecord {
            from: "1000".to_owned(),
            to: "1001".to_owned(),
            status: CallStatus::Completed,
            ended: Some(at),
            ..testkit::records::call(sid, instance, p, at)
        };
        changes.push(Change::CallCreated(Box::new(call)));
        changes.push(Change::Trace {
            lane: sid.into(),
            blob: vec![1, 2],
        });
        calls.push(sid);
    }
    let notification = |n: u8, call: Option<CallSid>, text: &str| {
        let sid = NotificationSid::new(at, [n; 10]);
        let row = Notification::of_account(sid, p, 11_008, text.to_owned(), at);
        Change::Notification(Box::new(Notification {
            lane: call.map_or(row.lane, model::Lane::from),
            call,
            ..row
        }))
    };
    let reason = format!("no trunk leads to {PERSON}");
    changes.push(notification(1, Some(calls[0]), &reason));
    changes.push(notification(2, None, &reason));
    // A longer number is another person.
    changes.push(notification(3, Some(calls[2]), &format!("{reason}9")));
    let sent = Message {
        to: PERSON.to_owned(),
        ..testkit::records::message(MessageSid::new(at, [1; 10]), instance, p, calls[1], at)
    };
    let over = Message {
        status: MessageStatus::Sent,
        ..sent.clone()
    };
    changes.push(Change::MessageCreated {
        message: Box::new(sent),
        farewell: None,
    });
    changes.push(Change::MessageEnded {
        message: Box::new(over),
        tells: None,
    });
    server.store.commit(changes).await.unwrap();

    let path = format!("/Accounts/{p}/Erasures.json");
    let form = "PhoneNumber=%2B493012345678";
    let receipt = server.post(&of("p"), &path, form).await.json();
    let found = ["messages", "traces", "notifications", "not_over"].map(|kind| &receipt[kind]);
    assert_eq!(found, [1, 2, 2, 0].map(Value::from).each_ref(), "{receipt}");
    let mut left = Vec::new();
    for call in calls {
        left.push(server.store.trace(call.into()).await.unwrap().is_some());
    }
    assert_eq!(left, [false, false, true]);
    let list = format!("/Accounts/{p}/Notifications.json");
    let list = server.get(&of("p"), &list).await.json();
    assert_eq!(list["total"], 1, "{list}");
}
