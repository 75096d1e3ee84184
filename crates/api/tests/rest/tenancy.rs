//! Roles, and access between accounts: P is below the top, A below P, S next to P.

use model::AccountStatus;
use model::record::{Callback, Conference, Notification, Recording, RecordingKind, Transcription};
use model::{
    AccountSid, ConferenceSid, ConferenceStatus, EmailSid, EventSid, HttpMethod, MessageSid,
    NotificationSid, RecordingSid, TranscriptionSid, TranscriptionStatus,
};
use store::Change;

use crate::server::{Credentials, Server, account_sid, call, call_sid, now, of};

#[tokio::test]
async fn roles_limit_what_an_account_may_do() {
    let server = Server::start().await;
    let admin = Some(server.admin);
    for (name, role) in [
        ("reader", "Reader"),
        ("keeper", "Keeper"),
        ("guest", "Guest"),
    ] {
        server
            .account_with(name, admin, role, AccountStatus::Active)
            .await;
    }
    let own = |name| format!("/Accounts/{}", account_sid(name));
    let table = [
        ("reader", "GET", own("reader"), 200),
        ("reader", "PUT", own("reader"), 403),
        ("reader", "GET", own("keeper"), 403),
        ("keeper", "GET", own("keeper"), 200),
        ("keeper", "PUT", own("keeper"), 200),
        ("guest", "GET", own("guest"), 403),
        ("guest", "GET", "/Accounts".to_owned(), 403),
        ("keeper", "GET", format!("/Accounts/{}", server.admin), 403),
        ("reader", "GET", format!("{}/Clients", own("reader")), 403),
    ];
    for (name, method, path, status) in table {
        let form = if method == "PUT" {
            "FriendlyName=x"
        } else {
            ""
        };
        let answer = server.ask(method, Some(&of(name)), &path, &[], form).await;
        assert_eq!(
            answer.status, status,
            "{name} {method} {path}: {}",
            answer.body
        );
    }
    // A role other than Administrator acts only on itself, even for its own children.
    let keeper = Some(account_sid("keeper"));
    server
        .account_with("below", keeper, "Keeper", AccountStatus::Active)
        .await;
    server.get(&of("keeper"), &own("below")).await.is(403);
}

/// The items of an account, one of each kind, created by the top account.
pub(crate) async fn items(server: &Server, account: AccountSid, n: u8) -> Vec<String> {
    let who = server.admin();
    let mut paths = Vec::new();
    for (kind, form) in [
        ("Clients", format!("Login=c{n}&Password=RestComm12")),
        (
            "IncomingPhoneNumbers",
            format!("PhoneNumber=9{n}&isSIP=true"),
        ),
        ("Applications", "FriendlyName=x".to_owned()),
        ("Queues", format!("FriendlyName=q{n}")),
        ("OutgoingCallerIds", format!("PhoneNumber=%2B1501555010{n}")),
        (
            "OptOuts",
            format!("Number=%2B493012345{n}&Recipient=%2B4915112345678"),
        ),
        ("Keys", "FriendlyName=x".to_owned()),
        ("VoicemailBoxes", format!("FriendlyName=v{n}")),
        (
            "Usage/Triggers",
            "UsageCategory=calls&TriggerValue=9&CallbackUrl=http://a/t".to_owned(),
        ),
        (
            "Geolocation/Immediate",
            "DeviceIdentifier=1&StatusCallback=http://a/g".to_owned(),
        ),
        (
            "Geolocation/Notification",
            "DeviceIdentifier=1&StatusCallback=http://a/g&GeofenceEvent=in\
             &EventGeofenceLatitude=1&EventGeofenceLongitude=1&GeofenceRange=1"
                .to_owned(),
        ),
    ] {
        let list = format!("/Accounts/{account}/{kind}.json");
        let created = server.post(&who, &list, &form).await.json();
        paths.push(format!("{kind}/{}", created["sid"].as_str().unwrap()));
    }
    let numbers = format!("/Accounts/{account}/IncomingPhoneNumbers");
    let form = format!("PhoneNumber=8{n}&isSIP=true");
    let made = server
        .post(&who, &format!("{numbers}.json"), &form)
        .await
        .json();
    let number = made["sid"].as_str().unwrap();
    server
        .delete(&who, &format!("{numbers}/{number}.json"))
        .await;
    paths.push(format!("Bin/{number}"));
    let log = format!("/Accounts/{account}/AuditLog.json");
    let log = server.get(&who, &log).await;
    paths.push(format!("AuditLog/{}", log.column("audit_log", "sid")[0]));
    let (recording, notification) = (
        RecordingSid::from_bytes([n; 16]),
        NotificationSid::from_bytes([n; 16]),
    );
    server.keep(vec![call(n.into(), account)]).await;
    let transcription = Transcription {
        sid: TranscriptionSid::from_bytes([n; 16]),
        account,
        recording,
        status: TranscriptionStatus::Completed,
        duration_s: Some(1),
        text: Some("x".to_owned()),
        created: now(),
        updated: now(),
    };
    let of_recording = format!("Transcriptions/{}", transcription.sid);
    let changes = vec![
        Change::Transcription(Box::new(transcription)),
        Change::Recording(Recording {
            sid: recording,
            account,
            call: Some(call_sid(n.into())),
            conference: None,
            kind: RecordingKind::default(),
            duration_ms: 1,
            size_bytes: 1,
            created: now(),
            updated: now(),
        }),
        Change::Notification(Box::new(Notification {
            sid: notification,
            account,
            lane: account.into(),
            call: None,
            level: 0,
            code: 12_100,
            text: "x".to_owned(),
            request_url: None,
            request_method: None,
            line: None,
            column: None,
            created: now(),
        })),
    ];
    server.store.commit(changes).await.unwrap();
    let (message, event) = (
        MessageSid::from_bytes([n; 16]),
        EventSid::from_bytes([n; 16]),
    );
    let call_of_it = call_sid(n.into());
    let kept =
        testkit::records::message(message, server.store.instance(), account, call_of_it, now());
    let changes = vec![
        Change::MessageCreated {
            message: Box::new(kept),
            farewell: None,
        },
        Change::CallbackQueued(Box::new(Callback {
            author: account,
            event,
            account,
            lane: call_of_it.into(),
            call: Some(call_of_it),
            sequence: 0,
            url: "http://app.example/".to_owned(),
            method: HttpMethod::Post,
            params: Vec::new(),
            created: now(),
        })),
    ];
    server.store.commit(changes).await.unwrap();
    let conference = Conference {
        sid: ConferenceSid::from_bytes([n; 16]),
        instance: server.store.instance(),
        account,
        name: "room".to_owned(),
        status: ConferenceStatus::Running,
        created: now(),
        updated: now(),
        started: None,
        ended: None,
        reason: None,
    };
    paths.push(format!("Conferences/{}", conference.sid));
    let created = Change::ConferenceCreated(Box::new(conference));
    server.store.commit(vec![created]).await.unwrap();
    paths.push(format!("SMS/Messages/{message}"));
    let email = testkit::records::email(EmailSid::from_bytes([n; 16]), account, now());
    paths.push(format!("Email/Messages/{}", email.sid));
    let queued = Change::EmailQueued(Box::new(email));
    server.store.commit(vec![queued]).await.unwrap();
    paths.push(format!("Webhooks/Deliveries/{event}"));
    paths.push(format!("Calls/{}", call_sid(n.into())));
    paths.push(format!("Recordings/{recording}"));
    paths.push(of_recording);
    paths.push(format!("Notifications/{notification}"));
    paths
}

const LISTS: [&str; 6] = [
    "Clients",
    "IncomingPhoneNumbers",
    "Applications",
    "Calls",
    "Recordings",
    "Notifications",
];

fn form_of(kind: &str, n: usize) -> String {
    match kind {
        "Clients" => format!("Login=new{n}&Password=RestComm12"),
        "IncomingPhoneNumbers" => format!("PhoneNumber=77{n}&isSIP=true"),
        "Applications" => "FriendlyName=x".to_owned(),
        _ => "From=a&To=b&Url=http://a/d".to_owned(),
    }
}

#[tokio::test]
async fn an_account_works_in_its_own_tree_only() {
    let server = Server::start().await;
    let p = server.account("p", server.admin).await;
    let a = server.account("a", p).await;
    let s = server.account("s", server.admin).await;
    let below_s = server.account("bs", s).await;
    let who = of("p");
    let tree = [
        (p, true),
        (a, true),
        (server.admin, false),
        (s, false),
        (below_s, false),
    ];
    for (n, (account, allowed)) in (1u8..).zip(tree) {
        let base = format!("/Accounts/{account}");
        let paths = items(&server, account, n).await;
        let check = |answer: crate::server::Answer, path: &str| {
            let good = matches!(answer.status.as_u16(), 200 | 204);
            assert_eq!(good, allowed, "{path}: {} {}", answer.status, answer.body);
            assert!(good || answer.status == 403, "{path}: {}", answer.status);
        };
        for list in LISTS {
            let path = format!("{base}/{list}");
            check(server.get(&who, &path).await, &path);
        }
        // The first four kinds are created by request, the others by calls.
        for list in &LISTS[..4] {
            let path = format!("{base}/{list}");
            check(
                server.post(&who, &path, &form_of(list, n.into())).await,
                &path,
            );
        }
        for item in &paths {
            let path = format!("{base}/{item}");
            check(server.get(&who, &path).await, &path);
        }
        // The first three kinds can be changed.
        for item in &paths[..3] {
            let path = format!("{base}/{item}");
            check(server.post(&who, &path, "FriendlyName=y").await, &path);
            check(server.put(&who, &path, "FriendlyName=z").await, &path);
        }
        // Records of the past cannot be deleted, except recordings.
        let deleted = |item: &&String| item.starts_with("Recordings");
        for item in paths[..3].iter().chain(paths.iter().filter(deleted)) {
            let path = format!("{base}/{item}");
            check(server.delete(&who, &path).await, &path);
        }
    }
    // The accounts themselves, not only their contents.
    for account in [server.admin, s] {
        let path = format!("/Accounts/{account}");
        server.get(&who, &path).await.is(403);
        server.post(&who, &path, "FriendlyName=x").await.is(403);
        server.put(&who, &path, "FriendlyName=x").await.is(403);
    }
}

#[tokio::test]
async fn the_top_account_works_everywhere_but_items_stay_where_they_are() {
    let server = Server::start().await;
    let p = server.account("p", server.admin).await;
    let who: Credentials = server.admin();
    for item in items(&server, p, 1).await {
        server
            .get(&who, &format!("/Accounts/{p}/{item}"))
            .await
            .is(200);
        // Through another account's path.
        let elsewhere = format!("/Accounts/{}/{item}", server.admin);
        server.get(&who, &elsewhere).await.is(404);
        if item.starts_with("App") {
            server
                .put(&who, &format!("/Accounts/{p}/{item}"), "FriendlyName=y")
                .await
                .is(200);
            server.put(&who, &elsewhere, "FriendlyName=y").await.is(404);
            // As in Restcomm, even for one that does not exist; it still exists.
            server.delete(&who, &elsewhere).await.is(200);
            let whole = format!("/Accounts/{p}/{item}");
            server.get(&who, &whole).await.is(200);
        }
    }
    // The account in the path, named by its e-mail address.
    let path = "/Accounts/p%40example.org/Clients.json";
    assert_eq!(server.get(&who, path).await.column("", "login"), ["c1"]);
}
