//! What lists of calls, conferences, messages, recordings and notifications filter and sort by, and what
//! they cost.

use std::time::Duration;

use model::record::{
    Callback, Conference, Membership, Message, Notification, Recording, RecordingKind,
};
use model::{
    AccountSid, AccountStatus, CallStatus, ConferenceSid, ConferenceStatus, EventSid, HttpMethod,
    MessageDirection, MessageSid, MessageStatus, NotificationSid, RecordingSid, RecordingSource,
    Timestamp,
};
use serde_json::Value;
use store::Change;
use testkit::statements::Statements;

use crate::server::{Answer, Server, call, call_sid, of};
use crate::tenancy::items;

const TWILIO: &str = "/2010-04-01";
/// 2013-08-23.
const START: Timestamp = Timestamp(1_377_216_000_000_000);

fn hours(n: u32) -> Duration {
    Duration::from_secs(u64::from(n) * 3_600)
}

fn sixteen(n: u32) -> [u8; 16] {
    let mut bytes = [0xab; 16];
    bytes[12..].copy_from_slice(&n.to_be_bytes());
    bytes
}

fn conference_sid(n: u32) -> ConferenceSid {
    ConferenceSid::from_bytes(sixteen(n))
}

fn conference(server: &Server, n: u32, name: &str, status: ConferenceStatus) -> Change {
    let ended = matches!(
        status,
        ConferenceStatus::Completed | ConferenceStatus::Failed
    );
    Change::ConferenceCreated(Box::new(Conference {
        sid: conference_sid(n),
        instance: server.store.instance(),
        account: server.admin,
        name: name.to_owned(),
        status,
        created: START + hours(n),
        updated: START + hours(n),
        started: Some(START),
        ended: ended.then_some(START + hours(n)),
        reason: None,
    }))
}

fn joined(n: u32, conference: u32, change: impl FnOnce(&mut Membership)) -> Change {
    let mut membership = Membership {
        conference: conference_sid(conference),
        muted: false,
        starts: true,
        ends: false,
        on_hold: false,
        label: None,
        coaches: None,
    };
    change(&mut membership);
    Change::ConferenceJoined {
        call: call_sid(n),
        at: START + hours(n),
        membership,
    }
}

fn message(server: &Server, n: u32) -> Message {
    let sid = MessageSid::from_bytes(sixteen(n));
    let instance = server.store.instance();
    let at = START + hours(n);
    Message {
        from: format!("+49376{n:02}"),
        to: format!("+1355{n:02}"),
        body: if n < 6 { "Hello, you" } else { "Bye" }.to_owned(),
        ..testkit::records::message(sid, instance, server.admin, call_sid(1), at)
    }
}

fn created(message: Message) -> Change {
    Change::MessageCreated {
        message: Box::new(message),
        farewell: None,
    }
}

fn recording(account: AccountSid, n: u32) -> Recording {
    Recording {
        sid: RecordingSid::from_bytes(sixteen(n)),
        account,
        call: Some(call_sid(1)),
        conference: None,
        kind: RecordingKind::default(),
        duration_ms: 1_000,
        size_bytes: 44,
        created: START + hours(n),
        updated: START + hours(n),
    }
}

fn notification(account: AccountSid, n: u32) -> Change {
    Change::Notification(Box::new(Notification {
        sid: NotificationSid::from_bytes(sixteen(n)),
        account,
        lane: call_sid(1).into(),
        call: Some(call_sid(1)),
        level: i64::from(n % 2),
        code: 12_100,
        text: format!("{n}"),
        request_url: None,
        request_method: None,
        line: None,
        column: None,
        created: START + hours(n),
    }))
}

/// Rows, total, start and end of a numbered page.
fn page(answer: &Answer, key: &str) -> (usize, i64, String, String) {
    let page = answer.json();
    let text = |key: &str| page[key].as_str().unwrap_or_default().to_owned();
    (
        page[key].as_array().map_or(0, Vec::len),
        page["total"].as_i64().unwrap_or(-1),
        text("start"),
        text("end"),
    )
}

async fn check(server: &Server, path: &str, key: &str, table: &[(&str, usize)]) {
    for (query, rows) in table {
        let query = query.replace('>', "%3E").replace('<', "%3C");
        let path = format!("{path}.json?{query}");
        let answer = server.get(&server.admin(), &path).await;
        let found = answer.json()[key].as_array().map_or(0, Vec::len);
        assert_eq!(found, *rows, "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn calls_are_filtered_by_conference_and_time() {
    let server = Server::start().await;
    let mut calls: Vec<_> = (0..6).map(|n| call(n, server.admin)).collect();
    for (n, call) in (0..).zip(&mut calls) {
        call.created = START + hours(n);
        call.started = Some(START + hours(n * 12));
        call.ended = (n > 2).then_some(START + hours(n * 12 + 1));
        call.parent = (n == 5).then_some(call_sid(4));
        if n > 2 {
            call.status = CallStatus::Completed;
        }
    }
    server.keep(calls).await;
    let changes = vec![
        conference(&server, 1, "room", ConferenceStatus::Running),
        joined(0, 1, |_| ()),
        joined(1, 1, |_| ()),
    ];
    server.store.commit(changes).await.unwrap();
    let path = format!("/Accounts/{}/Calls", server.admin);
    let of_room = format!("ConferenceSid={}", conference_sid(1));
    let (none, parent) = (
        format!("ConferenceSid={}", conference_sid(2)),
        format!("ParentCallSid={}", call_sid(4)),
    );
    let table = [
        (of_room.as_str(), 2),
        ("ConferenceSid=CF%25", 2),
        (none.as_str(), 0),
        (parent.as_str(), 1),
        ("ParentCallSid=CA%25", 1),
        ("StartTime=2013-08-24+14:30:07.820000000", 4),
        ("EndTime=2013-08-24", 1),
        ("Status=comp%25", 3),
    ];
    check(&server, &path, "calls", &table).await;
    let table = [
        (parent.as_str(), 1),
        ("StartTime=2013-08-23", 2),
        ("StartTime>=2013-08-24", 4),
        ("StartTime>=2013-08-24T12:00:00Z", 3),
        ("StartTime<=2013-08-23", 2),
        ("StartTime<=2013-08-23T11:00:00Z", 1),
        ("StartTime>=2013-08-24&StartTime<=2013-08-24", 2),
        ("EndTime>=2013-08-25", 2),
        ("EndTime<=2013-08-24", 1),
        ("Status=completed&PageSize=1000", 3),
    ];
    check(&server, &format!("{TWILIO}{path}"), "calls", &table).await;
    let who = server.admin();
    for (base, bad) in [
        ("", "ConferenceSid=CA1"),
        ("", "StartTime=23.08.2013"),
        (TWILIO, "StartTime%3E=yesterday"),
        (TWILIO, "PageSize=1001"),
        (TWILIO, "Status=%25"),
        (TWILIO, "SortBy=From"),
    ] {
        let answer = server.get(&who, &format!("{base}{path}.json?{bad}")).await;
        answer.is(400);
        let name = bad.split(['=', '%']).next().unwrap();
        assert!(answer.body.contains(name), "{bad}: {}", answer.body);
    }
}

#[tokio::test]
async fn conferences_are_filtered_by_patterns() {
    let server = Server::start().await;
    let changes = vec![
        conference(&server, 1, "1111", ConferenceStatus::Running),
        conference(&server, 2, "1111", ConferenceStatus::Completed),
    ];
    server.store.commit(changes).await.unwrap();
    let who = server.admin();
    let path = format!("/Accounts/{}/Conferences", server.admin);
    for (query, rows) in [
        ("", 2),
        ("Status=COMPLETED", 1),
        ("FriendlyName=1111", 2),
        ("FriendlyName=11%25", 2),
        ("FriendlyName=1112", 0),
        ("FriendlyName=1111&Status=COMPLETED", 1),
        ("Status=RUNNING%25", 1),
        ("Status=running-moderator-present", 1),
        ("Status=STOPPING", 0),
        ("Status=STOP%25", 0),
        ("DateCreated=2013-08-23", 2),
        ("DateCreated=2013-08-24", 0),
        ("DateUpdated=2013-08-22", 0),
    ] {
        let answer = server.get(&who, &format!("{path}.json?{query}")).await;
        let found = page(&answer, "conferences");
        // The end of the last page is its length.
        let expected = (rows, i64::try_from(rows).unwrap(), "0", rows.to_string());
        assert_eq!(
            (found.0, found.1, found.2.as_str(), found.3),
            expected,
            "{query}"
        );
    }
    let bad = server.get(&who, &format!("{path}.json?Status=over")).await;
    bad.is(400);
    assert!(
        bad.body.contains("RUNNING_MODERATOR_ABSENT"),
        "{}",
        bad.body
    );
    server.post(&who, &format!("{path}.json"), "").await.is(405);
}

/// Twilio's list without a status has only what is in progress; a name is a whole value there.
#[tokio::test]
async fn twilio_lists_conferences_in_progress_unless_another_status_is_asked_for() {
    let server = Server::start().await;
    let changes = vec![
        conference(&server, 1, "a", ConferenceStatus::Waiting),
        conference(&server, 2, "b", ConferenceStatus::Running),
        conference(&server, 3, "c", ConferenceStatus::Completed),
        conference(&server, 4, "d", ConferenceStatus::Failed),
    ];
    server.store.commit(changes).await.unwrap();
    let path = format!("{TWILIO}/Accounts/{}/Conferences", server.admin);
    let table = [
        ("", 1),
        ("Status=init", 1),
        ("Status=in-progress", 1),
        ("Status=completed", 2),
        ("FriendlyName=b", 1),
        ("FriendlyName=%25", 0),
        ("Status=completed&DateCreated=2013-08-23", 2),
        ("Status=completed&DateCreated>=2013-08-23T04:00:00Z", 1),
        ("Status=completed&DateCreated<=2013-08-23T03:00:00Z", 1),
        ("Status=completed&DateUpdated>=2013-08-24", 0),
    ];
    check(&server, &path, "conferences", &table).await;
}

#[tokio::test]
async fn participants_are_those_who_are_there() {
    let server = Server::start().await;
    let calls = (0..4).map(|n| call(n, server.admin)).collect();
    server.keep(calls).await;
    let changes = vec![
        conference(&server, 1, "room", ConferenceStatus::Running),
        conference(&server, 2, "over", ConferenceStatus::Completed),
        joined(0, 1, |it| it.muted = true),
        joined(1, 1, |it| it.on_hold = true),
        joined(2, 1, |it| it.coaches = Some(call_sid(0))),
    ];
    server.store.commit(changes).await.unwrap();
    let who = server.admin();
    let path = |n| {
        let (account, sid) = (server.admin, conference_sid(n));
        format!("/Accounts/{account}/Conferences/{sid}/Participants")
    };
    for (n, rows, end) in [(1, 3, "3"), (2, 0, "0")] {
        let answer = server.get(&who, &format!("{}.json", path(n))).await;
        let expected = (
            rows,
            i64::try_from(rows).unwrap(),
            "0".to_owned(),
            end.to_owned(),
        );
        assert_eq!(page(&answer, "calls"), expected, "{n}");
    }
    let table = [
        ("", 3),
        ("Muted=true", 1),
        ("Muted=false", 2),
        ("Hold=true", 1),
        ("Hold=false", 2),
        ("Coaching=true", 1),
        ("Coaching=false", 2),
        ("Muted=true&Hold=true", 0),
        ("PageSize=2", 2),
    ];
    check(
        &server,
        &format!("{TWILIO}{}", path(1)),
        "participants",
        &table,
    )
    .await;
    let bad = format!("{TWILIO}{}.json?Hold=perhaps", path(1));
    server.get(&who, &bad).await.is(400);
}

#[tokio::test]
async fn messages_are_filtered_sorted_and_paged() {
    let server = Server::start().await;
    let mut changes = Vec::new();
    for n in 0..34 {
        let mut new = message(&server, n);
        if n < 4 {
            new.from = format!("+12{n}");
            new.direction = MessageDirection::OutboundApi;
        }
        let sent = Message {
            status: MessageStatus::Sent,
            error_code: (n == 7).then_some(30_008),
            reason: (n == 7).then(|| "no idea".to_owned()),
            sent: Some(new.created),
            ..new.clone()
        };
        changes.push(created(new));
        if n % 2 == 1 {
            changes.push(Change::MessageEnded {
                message: Box::new(sent),
                tells: None,
            });
        }
    }
    server.store.commit(changes).await.unwrap();
    let who = server.admin();
    let path = format!("/Accounts/{}/SMS/Messages", server.admin);
    for (query, expected) in [
        ("", (34, 34, "0", "34")),
        ("PageSize=10", (10, 34, "0", "9")),
        ("PageSize=10&Page=2", (10, 34, "20", "29")),
        ("PageSize=10&Page=3", (4, 34, "30", "34")),
        ("From=49376%25", (30, 30, "0", "30")),
        ("From=37605", (1, 1, "0", "1")),
        ("To=13551%25", (10, 10, "0", "10")),
        ("Body=Hello", (6, 6, "0", "6")),
        ("Body=hello,%20y", (6, 6, "0", "6")),
        ("Status=sent", (17, 17, "0", "17")),
        ("StartTime=2013-08-24+14:30:07.82", (10, 10, "0", "10")),
        ("EndTime=2013-08-23+14:30", (25, 25, "0", "25")),
    ] {
        let answer = server.get(&who, &format!("{path}.json?{query}")).await;
        let (rows, total, start, end) = expected;
        let expected = (rows, total, start.to_owned(), end.to_owned());
        assert_eq!(page(&answer, "messages"), expected, "{query}");
    }
    // All messages have one price, which leaves the default order.
    for (sort, key, first) in [
        ("DateCreated", "from", "+120"),
        ("DateCreated:desc", "from", "+4937633"),
        ("From:asc", "from", "+120"),
        ("To:desc", "to", "+135533"),
        ("Status:asc", "status", "sending"),
        ("Status:DESC", "status", "sent"),
        ("Body", "body", "Bye"),
        ("Body:desc", "body", "Hello, you"),
        ("Direction", "from", "+123"),
        ("Direction:desc", "from", "+4937633"),
        ("Price:desc", "from", "+4937633"),
    ] {
        let answer = server
            .get(&who, &format!("{path}.json?SortBy={sort}"))
            .await;
        assert_eq!(answer.column("messages", key)[0], first, "{sort}");
    }
    for bad in [
        "SortBy=:asc",
        "SortBy=DateCreated:invalid",
        "Page=1&PageSize=0",
    ] {
        server
            .get(&who, &format!("{path}.json?{bad}"))
            .await
            .is(400);
    }
    let sid = MessageSid::from_bytes(sixteen(7));
    let one = server.get(&who, &format!("{path}/{sid}.json")).await.json();
    assert_eq!(
        (&one["status"], &one["error_code"]),
        (&"sent".into(), &30_008.into())
    );
    assert_eq!(one["error_message"], "no idea");
    let table = [
        ("DateSent=2013-08-23", 12),
        ("DateSent>=2013-08-24", 5),
        ("DateSent<=2013-08-23T03:00:00Z", 2),
        ("From=%2B120", 1),
        ("From=20", 0),
    ];
    let twilio = format!("{TWILIO}/Accounts/{}/Messages", server.admin);
    check(&server, &twilio, "messages", &table).await;
}

#[tokio::test]
async fn a_developer_sends_no_messages() {
    let server = Server::start().await;
    let dev = server
        .account_with(
            "dev",
            Some(server.admin),
            "Developer",
            AccountStatus::Active,
        )
        .await;
    for path in ["SMS/Messages", "Messages"] {
        let path = format!("/Accounts/{dev}/{path}.json");
        let answer = server.post(&of("dev"), &path, "From=a&To=b&Body=x").await;
        answer.is(403);
    }
    assert!(server.engine.messages.lock().unwrap().is_empty());
}

#[tokio::test]
async fn twilio_filters_recordings_and_notifications() {
    let server = Server::start().await;
    let mut changes: Vec<_> = (0..4)
        .map(|n| Change::Recording(recording(server.admin, n * 12)))
        .collect();
    changes.push(Change::Recording(Recording {
        call: None,
        conference: Some(conference_sid(1)),
        kind: RecordingKind {
            source: RecordingSource::Conference,
            channels: 1,
        },
        ..recording(server.admin, 99)
    }));
    changes.extend((0..4).map(|n| notification(server.admin, n * 11)));
    server.store.commit(changes).await.unwrap();
    let account = format!("{TWILIO}/Accounts/{}", server.admin);
    let (of_call, of_room) = (
        format!("CallSid={}", call_sid(1)),
        format!("ConferenceSid={}", conference_sid(1)),
    );
    let table = [
        ("", 5),
        (of_call.as_str(), 4),
        (of_room.as_str(), 1),
        ("DateCreated=2013-08-23", 2),
        ("DateCreated>=2013-08-24", 3),
        ("DateCreated<=2013-08-23T11:00:00Z", 1),
    ];
    check(
        &server,
        &format!("{account}/Recordings"),
        "recordings",
        &table,
    )
    .await;
    let table = [
        ("", 4),
        ("Log=0", 2),
        ("Log=1", 2),
        ("MessageDate=2013-08-23", 3),
        ("MessageDate>=2013-08-23T12:00:00Z", 2),
        ("MessageDate<=2013-08-23T12:00:00Z", 2),
        ("Log=1&MessageDate>=2013-08-24", 1),
    ];
    let of_one = format!("{account}/Calls/{}/Notifications", call_sid(1));
    for path in [format!("{account}/Notifications"), of_one] {
        check(&server, &path, "notifications", &table).await;
    }
    let who = server.admin();
    for bad in [
        "Notifications.json?Log=2",
        "Recordings.json?ConferenceSid=x",
    ] {
        server.get(&who, &format!("{account}/{bad}")).await.is(400);
    }
}

#[tokio::test]
async fn notifications_and_recordings_follow_the_days() {
    let server = Server::start().await;
    let mut changes: Vec<_> = (0..34).map(|n| notification(server.admin, n)).collect();
    changes.extend((0..34).map(|n| Change::Recording(recording(server.admin, n))));
    server.store.commit(changes).await.unwrap();
    let who = server.admin();
    for (key, list) in [
        ("notifications", "Notifications"),
        ("recordings", "Recordings"),
    ] {
        let path = format!("/Accounts/{}/{list}.json", server.admin);
        for (query, expected) in [
            ("PageSize=10", (10, 34, "0", "9")),
            ("PageSize=10&Page=2", (10, 34, "20", "29")),
            ("PageSize=10&Page=3", (4, 34, "30", "34")),
            ("StartTime=2013-08-24+14:30:07.82", (10, 10, "0", "10")),
            ("EndTime=2013-08-23+14:30", (25, 25, "0", "25")),
        ] {
            let answer = server.get(&who, &format!("{path}?{query}")).await;
            let (rows, total, start, end) = expected;
            let expected = (rows, total, start.to_owned(), end.to_owned());
            assert_eq!(page(&answer, key), expected, "{list} {query}");
        }
        for bad in ["SortBy=:asc", "SortBy=DateCreated:invalid"] {
            server.get(&who, &format!("{path}?{bad}")).await.is(400);
        }
    }
}

#[tokio::test]
async fn the_push_identity_of_a_client_comes_and_goes() {
    let server = Server::start().await;
    let who = server.admin();
    let list = format!("/Accounts/{}/Clients", server.admin);
    let form = "Login=bob&Password=RestComm1234&IsPushEnabled=true";
    let answer = server.post(&who, &format!("{list}.json"), form).await;
    let made = answer.json();
    assert_eq!(made["push_client_identity"], made["sid"]);
    // Nothing is sent to it, which the caller should know.
    let warning = answer.headers["patchcord-warning"].to_str().unwrap();
    assert!(warning.starts_with("IsPushEnabled"), "{warning}");
    let item = format!("{list}/{}", made["sid"].as_str().unwrap());
    for (form, shown) in [
        ("FriendlyName=Bob", true),
        ("IsPushEnabled=false", false),
        ("FriendlyName=Bobby", false),
        ("IsPushEnabled=true", true),
    ] {
        let changed = server.put(&who, &format!("{item}.json"), form).await.json();
        let read = server.get(&who, &format!("{item}.json")).await.json();
        for json in [changed, read] {
            assert_eq!(json.get("push_client_identity").is_some(), shown, "{form}");
        }
    }
    let xml = server.get(&who, &item).await;
    assert!(xml.body.contains("<PushClientIdentity>CL"), "{}", xml.body);
    let bad = server
        .put(&who, &format!("{item}.json"), "IsPushEnabled=yes")
        .await;
    bad.is(400);
}

#[tokio::test]
async fn the_events_of_a_call_are_its_callbacks() {
    let server = Server::start().await;
    let who = server.admin();
    server
        .keep(vec![call(1, server.admin), call(2, server.admin)])
        .await;
    let event = |n: u32, of: u32| Callback {
        author: server.admin,
        event: EventSid::from_bytes(sixteen(n)),
        account: server.admin,
        lane: call_sid(of).into(),
        call: Some(call_sid(of)),
        sequence: n.into(),
        url: "http://user:secret@app.example/s".to_owned(),
        method: HttpMethod::Post,
        params: vec![("CallStatus".to_owned(), format!("s{n}"))],
        created: START + hours(n),
    };
    let mut changes: Vec<_> = [(1, 1), (2, 1), (3, 1), (4, 2)]
        .map(|(n, of)| Change::CallbackQueued(Box::new(event(n, of))))
        .into();
    changes.push(Change::CallbackDone {
        event: EventSid::from_bytes(sixteen(1)),
        attempts: 1,
        status: Some(204),
        dead: None,
        at: START + hours(2),
        given_up: None,
    });
    server.store.commit(changes).await.unwrap();
    let path = |n| {
        format!(
            "{TWILIO}/Accounts/{}/Calls/{}/Events",
            server.admin,
            call_sid(n)
        )
    };
    let page = server
        .get(&who, &format!("{}.json?PageSize=2", path(1)))
        .await
        .json();
    let statuses = |page: &Value| -> Vec<String> {
        let events = page["events"].as_array().unwrap();
        let status = |one: &Value| one["request"]["parameters"]["CallStatus"].to_string();
        events.iter().map(status).collect()
    };
    assert_eq!(statuses(&page), ["\"s3\"", "\"s2\""]);
    let pending = &page["events"][0];
    assert_eq!(pending["request"]["url"], "http://app.example/s");
    assert_eq!(pending["request"]["method"], "POST");
    assert!(pending["response"]["response_code"].is_null(), "{pending}");
    let next = page["next_page_uri"].as_str().unwrap();
    let rest = server.get(&who, next).await.json();
    assert_eq!(statuses(&rest), ["\"s1\""]);
    let done = &rest["events"][0]["response"];
    assert_eq!(done["response_code"], 204);
    assert_eq!(done["date_created"], "Fri, 23 Aug 2013 02:00:00 +0000");
    let xml = server.get(&who, &path(2)).await;
    let item = "<Parameters><Item><Name>CallStatus</Name><Value>s4</Value></Item></Parameters>";
    assert!(xml.body.contains(item), "{}", xml.body);
    server.get(&who, &format!("{}.json", path(9))).await.is(404);
}

#[tokio::test]
async fn a_recording_is_refused_in_other_formats() {
    let server = Server::start().await;
    let row = recording(server.admin, 1);
    let sid = row.sid;
    server
        .store
        .commit(vec![Change::Recording(row)])
        .await
        .unwrap();
    std::fs::write(server.dir.path().join(format!("{sid}.wav")), "RIFF").unwrap();
    let who = server.admin();
    let path = format!("/Accounts/{}/Recordings", server.admin);
    let unknown = RecordingSid::from_bytes([1; 16]);
    for base in ["", TWILIO] {
        let answer = server.get(&who, &format!("{base}{path}/{sid}.mp3")).await;
        answer.is(406);
        assert!(
            answer.body.contains("<Code>21480</Code>"),
            "{}",
            answer.body
        );
        let answer = server
            .get(&who, &format!("{base}{path}/{unknown}.mp3"))
            .await;
        answer.is(404);
    }
    // A signed link is for the recording, whatever its format.
    let shown = server.get(&who, &format!("{path}/{sid}.json")).await.json();
    let link = shown["file_uri"]
        .as_str()
        .unwrap()
        .replace(".wav?", ".mp3?");
    let link = link.strip_prefix("http://pbx.example:8080").unwrap();
    server.ask("GET", None, link, &[], "").await.is(406);
    let head = server
        .ask("HEAD", Some(&who), &format!("{path}/{sid}.wav"), &[], "")
        .await;
    head.is(200);
    assert_eq!(
        (head.body.as_str(), &head.headers["content-length"]),
        ("", &"4".parse().unwrap())
    );
}

/// A list costs the same however many rows it has.
#[tokio::test]
async fn no_list_reads_its_rows_one_by_one() {
    let server = Server::start().await;
    let few = server.account("few", server.admin).await;
    let many = server.account("many", server.admin).await;
    let mut paths = items(&server, few, 1).await;
    for n in 2..8 {
        let made = items(&server, many, n).await;
        if n == 2 {
            paths.extend(made);
        }
    }
    // A first request fills the caches.
    let who = server.admin();
    let mut counts = Vec::new();
    let statements = Statements::collect();
    for (base, list) in lists(&paths) {
        let mut found = Vec::new();
        for account in [few, many] {
            let path = format!("{base}/Accounts/{account}/{list}.json");
            server.get(&who, &path).await.is(200);
            drop(statements.take());
            server.get(&who, &path).await.is(200);
            found.push(statements.take());
        }
        assert_eq!(found[0].len(), found[1].len(), "{base} {list}: {found:#?}");
        counts.push((found[1].len(), base, list));
    }
    let (most, base, list) = counts.into_iter().max().unwrap();
    assert!((1..=4).contains(&most), "{base} {list}: {most} statements");
}

/// The lists of both bases that have the items at `paths`.
fn lists(paths: &[String]) -> Vec<(&'static str, String)> {
    let mut lists: Vec<String> = paths
        .iter()
        .filter_map(|path| path.rsplit_once('/'))
        .map(|(list, _)| list.to_owned())
        // Its kinds are listed together.
        .filter(|list| !list.starts_with("Geolocation/"))
        .collect();
    lists.sort();
    lists.dedup();
    let both = |list: String| [("", list.clone()), (TWILIO, list)];
    let only_here = |(base, list): &(&str, String)| {
        base.is_empty()
            || !matches!(
                list.as_str(),
                "AuditLog" | "Bin" | "Email/Messages" | "SMS/Messages" | "Webhooks/Deliveries"
            )
    };
    lists.into_iter().flat_map(both).filter(only_here).collect()
}
