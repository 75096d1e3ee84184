//! Recordings in progress: started, paused, continued and ended while a call or conference is live.

use call_proto::{Modify, NewRecording, Pause, RecordingChange, Sides, Turn};
use model::record::{Conference, RecordingKind, StartedRecording};
use model::{
    AccountSid, CallStatus, ConferenceSid, ConferenceStatus, HttpMethod, InstanceSid,
    RecordingEvent, RecordingSid, RecordingSource, Timestamp,
};
use store::Change;

use crate::server::{Server, call, call_sid};

/// The identifier that the engine gives every recording.
const RECORDING: RecordingSid = RecordingSid::from_bytes([0x77; 16]);

/// An account with a live call, one of another account, and one that has ended.
async fn server() -> (Server, AccountSid) {
    let server = Server::start().await;
    let admin = server.admin;
    let other = server.account("o", admin).await;
    let mut over = call(9, admin);
    over.status = CallStatus::Completed;
    let calls = vec![call(1, admin), call(2, other), over];
    server.keep(calls).await;
    (server, admin)
}

fn asked(server: &Server) -> Option<Modify> {
    let last = server.engine.modified.lock().unwrap().pop();
    last.map(|(_, modify)| modify)
}

#[tokio::test]
async fn a_recording_is_started_changed_and_read() {
    let (server, account) = server().await;
    let who = server.admin();
    let path = format!(
        "/2010-04-01/Accounts/{account}/Calls/{}/Recordings",
        call_sid(1)
    );
    let post = async |path: &str, form: &str| server.ask("POST", Some(&who), path, &[], form).await;
    let started = post(&format!("{path}.json"), "").await;
    assert_eq!(started.status, 201);
    let shown = started.error();
    assert_eq!(shown["sid"], RECORDING.to_string());
    assert_eq!(shown["call_sid"], call_sid(1).to_string());
    assert_eq!(shown["status"], "in-progress");
    assert_eq!(shown["source"], "StartCallRecordingAPI");
    assert!(shown["duration"].is_null() && shown["media_url"].is_null());
    let plain = NewRecording {
        sides: Sides::Mixed,
        trim: false,
        callback: None,
    };
    assert_eq!(asked(&server), Some(Modify::Record(Box::new(plain))));
    let one = format!("{path}/{RECORDING}.json");
    let current = format!("{path}/Twilio.CURRENT.json");
    let table = [
        (
            &one,
            "Status=paused",
            Some(RECORDING),
            Turn::Pause(Pause::Silence),
            "paused",
        ),
        (
            &current,
            "Status=in-progress",
            None,
            Turn::Resume,
            "in-progress",
        ),
        (
            &current,
            "Status=paused&PauseBehavior=skip",
            None,
            Turn::Pause(Pause::Skip),
            "paused",
        ),
        (
            &one,
            "Status=stopped",
            Some(RECORDING),
            Turn::Stop,
            "stopped",
        ),
    ];
    for (path, form, recording, turn, status) in table {
        let changed = post(path, form).await;
        assert_eq!(changed.status, 200, "{form}");
        assert_eq!(changed.json()["status"], status);
        let change = RecordingChange { recording, turn };
        assert_eq!(asked(&server), Some(Modify::Recording(change)), "{form}");
        let read = server.ask("GET", Some(&who), &one, &[], "").await.json();
        assert_eq!(
            (&read["status"], &read["sid"]),
            (&status.into(), &shown["sid"])
        );
    }
    // It is over, but not yet complete.
    for (method, form) in [("POST", "Status=stopped"), ("DELETE", "")] {
        let refused = server.ask(method, Some(&who), &one, &[], form).await;
        assert_eq!(refused.status, 409, "{method}");
        assert_eq!(refused.error()["code"], 21241);
    }
    assert_eq!(asked(&server), None, "the engine is not asked");
    let listed = server
        .ask("GET", Some(&who), &format!("{path}.json"), &[], "")
        .await;
    assert_eq!(listed.json()["recordings"][0]["status"], "stopped");
    // In an account's list only at this base path.
    let of_account = format!("/Accounts/{account}/Recordings.json");
    let at_twilio = format!("/2010-04-01{of_account}");
    let at_twilio = server.ask("GET", Some(&who), &at_twilio, &[], "").await;
    assert_eq!(at_twilio.json()["recordings"][0]["status"], "stopped");
    assert_eq!(server.get(&who, &of_account).await.json()["total"], 0);
}

#[tokio::test]
async fn the_parameters_of_a_recording() {
    let (server, account) = server().await;
    let who = server.admin();
    let path = format!("/Accounts/{account}/Calls/{}/Recordings.json", call_sid(1));
    let target = |method| call_proto::CallbackTarget {
        url: "http://app.example/r".to_owned(),
        method,
        author: account,
    };
    let get = target(HttpMethod::Get);
    let [begins, completed, absent] = RecordingEvent::ALL;
    let table = [
        ("RecordingChannels=dual", Sides::Apart, false, None),
        ("RecordingTrack=inbound", Sides::Inbound, false, None),
        (
            "RecordingTrack=outbound&RecordingChannels=mono",
            Sides::Outbound,
            false,
            None,
        ),
        (
            "RecordingTrack=both&Trim=trim-silence",
            Sides::Mixed,
            true,
            None,
        ),
        (
            "RecordingStatusCallback=http://app.example/r",
            Sides::Mixed,
            false,
            Some((target(HttpMethod::Post), vec![completed])),
        ),
        (
            "RecordingStatusCallback=http://app.example/r&RecordingStatusCallbackMethod=GET\
             &RecordingStatusCallbackEvent=absent+in-progress",
            Sides::Mixed,
            false,
            Some((get, vec![begins, absent])),
        ),
    ];
    for (form, sides, trim, callback) in table {
        let started = server.post(&who, &path, form).await;
        assert_eq!(started.status, 200, "{form}");
        let expected = NewRecording {
            sides,
            trim,
            callback,
        };
        assert_eq!(
            asked(&server),
            Some(Modify::Record(Box::new(expected))),
            "{form}"
        );
    }
    let bad = [
        "RecordingChannels=three",
        "RecordingTrack=inbound&RecordingChannels=dual",
        "RecordingStatusCallback=/r",
        "RecordingStatusCallbackEvent=later",
        "Trim=yes",
    ];
    for form in bad {
        let refused = server.post(&who, &path, form).await;
        assert_eq!(
            (refused.status.as_u16(), refused.error()["code"].clone()),
            (400, 21100.into()),
            "{form}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_recorded_is_refused() {
    let (server, account) = server().await;
    let who = server.admin();
    let calls = format!("/Accounts/{account}/Calls");
    let start = |n| format!("{calls}/{}/Recordings.json", call_sid(n));
    let change = |n, name: &str| format!("{calls}/{}/Recordings/{name}.json", call_sid(n));
    server.post(&who, &start(1), "").await.is(200);
    let sid = RECORDING.to_string();
    let unknown = RecordingSid::from_bytes([1; 16]).to_string();
    let table = [
        (start(2), "", 404, 20404),
        (start(8), "", 404, 20404),
        (start(9), "", 410, 21220),
        (change(9, "Twilio.CURRENT"), "Status=paused", 410, 21220),
        (change(1, &unknown), "Status=paused", 404, 20404),
        (change(1, "RE1"), "Status=paused", 404, 20404),
        (change(9, &sid), "Status=paused", 404, 20404),
        (change(1, &sid), "", 400, 21100),
        (change(1, &sid), "Status=completed", 400, 21100),
        (
            change(1, &sid),
            "Status=stopped&PauseBehavior=skip",
            400,
            21100,
        ),
        (change(1, &sid), "Status=in-progress", 409, 21241),
    ];
    for (path, form, status, code) in table {
        let refused = server.post(&who, &path, form).await;
        let found = (refused.status.as_u16(), refused.error()["code"].clone());
        assert_eq!(found, (status, code.into()), "{path} {form}");
    }
    // Nothing of this reached the engine but what only it can know.
    let twilio = format!("/2010-04-01{}", start(9));
    let refused = server.ask("POST", Some(&who), &twilio, &[], "").await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn the_recording_of_a_conference_is_changed() {
    let (server, account) = server().await;
    let who = server.admin();
    let conference = |n: u8, ended: bool| Conference {
        sid: ConferenceSid::from_bytes([n; 16]),
        instance: InstanceSid::from_bytes([1; 16]),
        account,
        name: format!("c{n}"),
        status: ConferenceStatus::Running,
        created: Timestamp(1),
        updated: Timestamp(1),
        started: Some(Timestamp(1)),
        ended: ended.then_some(Timestamp(2)),
        reason: None,
    };
    let started = StartedRecording {
        sid: RecordingSid::from_bytes([1; 16]),
        account,
        call: None,
        conference: Some(ConferenceSid::from_bytes([1; 16])),
        kind: RecordingKind {
            source: RecordingSource::Conference,
            channels: 1,
        },
        created: Timestamp(1),
    };
    let changes = vec![
        Change::ConferenceCreated(Box::new(conference(1, false))),
        Change::ConferenceCreated(Box::new(conference(2, true))),
        Change::RecordingStarted {
            started: started.clone(),
            farewell: None,
        },
    ];
    server.store.commit(changes).await.unwrap();
    let path = |n: u8, name: &str| {
        let sid = ConferenceSid::from_bytes([n; 16]);
        format!("/Accounts/{account}/Conferences/{sid}/Recordings/{name}.json")
    };
    let one = started.sid.to_string();
    let table = [
        (
            1,
            "Twilio.CURRENT",
            "Status=paused&PauseBehavior=skip",
            200,
            "paused",
        ),
        (1, &one, "Status=in-progress", 200, "in-progress"),
        (1, "Twilio.CURRENT", "Status=stopped", 200, "stopped"),
        (1, &one, "Status=paused", 409, ""),
        (2, "Twilio.CURRENT", "Status=paused", 410, ""),
        (2, &one, "Status=paused", 404, ""),
    ];
    for (n, name, form, status, shown) in table {
        let answer = server.post(&who, &path(n, name), form).await;
        assert_eq!(answer.status, status, "{n} {name} {form}");
        if status == 200 {
            assert_eq!(answer.json()["status"], shown);
            let read = server.get(&who, &path(1, &one)).await.json();
            assert_eq!(read["status"], shown);
        }
    }
    server.delete(&who, &path(1, &one)).await.is(409);
}

#[tokio::test]
async fn a_call_is_recorded_and_limited_from_its_answer() {
    let (server, account) = server().await;
    let who = server.admin();
    let path = format!("/Accounts/{account}/Calls.json");
    let form = "From=+1555&To=client:bob&Url=http://a/doc.xml";
    let post = async |more: &str| server.post(&who, &path, &format!("{form}{more}")).await;
    post("&Record=true&RecordingChannels=dual&TimeLimit=30")
        .await
        .is(200);
    let made = server.engine.created.lock().unwrap().pop().unwrap();
    assert_eq!(made.recording.unwrap().sides, Sides::Apart);
    assert_eq!(made.time_limit, Some(std::time::Duration::from_secs(30)));
    post("&Record=false").await.is(200);
    let made = server.engine.created.lock().unwrap().pop().unwrap();
    assert_eq!((made.recording, made.time_limit), (None, None));
    for bad in [
        "&RecordingChannels=dual",
        "&Record=false&Trim=do-not-trim",
        "&Record=yes",
        "&TimeLimit=0",
        "&TimeLimit=86401",
        "&TimeLimit=x",
    ] {
        let refused = post(bad).await;
        let found = (refused.status.as_u16(), refused.error()["code"].clone());
        assert_eq!(found, (400, 21100.into()), "{bad}");
    }
}
