//! `/Accounts/{sid}/Conferences` and their participants.

use std::time::Duration;

use call_proto::{Coaching, Modify, ParticipantChange, Planned};
use model::record::{Conference, Membership, Recording, RecordingKind};
use model::{
    AccountSid, ConferenceSid, ConferenceStatus, DetectionMode, HttpMethod, RecordingSid,
    RecordingSource, Timestamp,
};
use store::Change;

use crate::server::{Server, call, call_sid, of};

const TWILIO: &str = "/2010-04-01";

fn conference_sid(n: u8) -> ConferenceSid {
    ConferenceSid::from_bytes([n; 16])
}

/// A running conference with two calls, and one that has ended.
async fn keep(server: &Server) -> AccountSid {
    let account = server.account("p", server.admin).await;
    let at = Timestamp(1_377_216_000_000_000);
    let conference = |n: u8, ended: bool| Conference {
        sid: conference_sid(n),
        instance: server.store.instance(),
        account,
        name: format!("room {n}"),
        status: if ended {
            ConferenceStatus::Completed
        } else {
            ConferenceStatus::Running
        },
        created: at + Duration::from_secs(n.into()),
        updated: at + Duration::from_secs(n.into()),
        started: Some(at),
        ended: ended.then_some(at),
        reason: ended.then(|| "last-member-left".to_owned()),
    };
    server
        .keep((1..4).map(|n| call(n, account)).collect())
        .await;
    let joined = |n: u32, label: Option<&str>| Change::ConferenceJoined {
        call: call_sid(n),
        at: at + Duration::from_secs(60),
        membership: Membership {
            conference: conference_sid(1),
            muted: n == 2,
            starts: true,
            ends: false,
            on_hold: false,
            label: label.map(str::to_owned),
            coaches: None,
        },
    };
    let changes = vec![
        Change::ConferenceCreated(Box::new(conference(1, false))),
        Change::ConferenceCreated(Box::new(conference(2, true))),
        joined(1, Some("Ann")),
        joined(2, None),
    ];
    server.store.commit(changes).await.unwrap();
    account
}

#[tokio::test]
async fn conferences_are_listed_and_read() {
    let server = Server::start().await;
    let account = keep(&server).await;
    let who = of("p");
    let path = format!("/Accounts/{account}/Conferences");
    let table = [
        ("", vec!["room 2", "room 1"]),
        ("?Status=RUNNING_MODERATOR_PRESENT", vec!["room 1"]),
        ("?Status=completed", vec!["room 2"]),
        ("?FriendlyName=room%201", vec!["room 1"]),
        ("?DateCreated=2013-08-24", vec![]),
    ];
    for (query, names) in table {
        let page = server
            .get(&who, &format!("{path}.json{query}"))
            .await
            .json();
        let listed = page["conferences"].as_array().unwrap().clone();
        let found: Vec<_> = listed
            .iter()
            .map(|one| one["friendly_name"].as_str().unwrap())
            .collect();
        assert_eq!(found, names, "{query}");
    }
    let one = format!("{path}/{}.json", conference_sid(1));
    let read = server.get(&who, &one).await.json();
    assert_eq!(read["status"], "RUNNING_MODERATOR_PRESENT");
    assert_eq!(
        read["subresource_uris"]["participants"],
        format!("/2012-04-24{path}/{}/Participants.json", conference_sid(1))
    );
    let twilio = server.get(&who, &format!("{TWILIO}{one}")).await.json();
    assert_eq!(twilio["status"], "in-progress");
    assert!(twilio["reason_conference_ended"].is_null());
    let other = format!("{path}/{}.json", conference_sid(9));
    server.get(&who, &other).await.is(404);
}

#[tokio::test]
async fn the_recordings_of_a_conference_are_listed() {
    let server = Server::start().await;
    let account = keep(&server).await;
    let recording = |n: u8| Recording {
        sid: RecordingSid::from_bytes([n; 16]),
        account,
        call: None,
        conference: Some(conference_sid(n)),
        kind: RecordingKind {
            source: RecordingSource::Conference,
            channels: 1,
        },
        duration_ms: 1_000,
        size_bytes: 44,
        created: Timestamp(1),
        updated: Timestamp(1),
    };
    let changes = [1, 2].map(|n| Change::Recording(recording(n)));
    server.store.commit(changes.to_vec()).await.unwrap();
    let who = of("p");
    let path = |n| {
        let sid = conference_sid(n);
        format!("/Accounts/{account}/Conferences/{sid}/Recordings.json")
    };
    for base in ["", TWILIO] {
        let page = server.get(&who, &format!("{base}{}", path(1))).await.json();
        let listed = page["recordings"].as_array().unwrap();
        assert_eq!(listed.len(), 1, "{page}");
        assert_eq!(listed[0]["conference_sid"], conference_sid(1).to_string());
        assert!(listed[0]["call_sid"].is_null(), "{page}");
    }
    server.get(&who, &path(9)).await.is(404);
}

#[tokio::test]
async fn participants_are_listed_changed_and_removed() {
    let server = Server::start().await;
    let account = keep(&server).await;
    let who = of("p");
    let path = format!("/Accounts/{account}/Conferences/{}", conference_sid(1));
    let list = server
        .get(&who, &format!("{path}/Participants.json"))
        .await
        .json();
    assert_eq!(list["total"], 2);
    assert_eq!(list["calls"].as_array().unwrap().len(), 2);
    let (first, second) = (call_sid(1), call_sid(2));
    let ann = format!("{path}/Participants/Ann.json");
    let twilio = server.get(&who, &format!("{TWILIO}{ann}")).await.json();
    assert_eq!(twilio["call_sid"], first.to_string());
    assert_eq!(twilio["label"], "Ann");
    assert_eq!(
        (&twilio["muted"], &twilio["hold"]),
        (&false.into(), &false.into())
    );
    let muted = format!("{path}/Participants/{second}.json");
    let muted = server.get(&who, &muted).await.json();
    assert_eq!(
        (&muted["sid"], &muted["muted"]),
        (&second.to_string().into(), &true.into())
    );

    let one = format!("{path}/Participants/{first}.json");
    let form = "Muted=true&Hold=true&HoldUrl=http://app/w&HoldMethod=GET";
    server
        .post(&who, &format!("{TWILIO}{one}"), form)
        .await
        .is(200);
    server.post(&who, &one, "Mute=false").await.is(200);
    let form = "AnnounceUrl=http://app/a&EndConferenceOnExit=true";
    server.post(&who, &one, form).await.is(200);
    server.delete(&who, &one).await.is(200);
    let changes: Vec<ParticipantChange> =
        std::mem::take(&mut *server.engine.modified.lock().unwrap())
            .into_iter()
            .map(|(call, modify)| match modify {
                Modify::Participant(change) if call == first => *change,
                other => panic!("{call} {other:?}"),
            })
            .collect();
    let [held, unmuted, announced, removed] = &changes[..] else {
        panic!("{changes:?}");
    };
    assert!(
        changes
            .iter()
            .all(|change| change.conference == conference_sid(1))
    );
    assert_eq!((held.muted, held.on_hold), (Some(true), Some(true)));
    assert_eq!(held.hold_document.as_ref().unwrap().url, "http://app/w");
    assert_eq!((unmuted.muted, unmuted.on_hold), (Some(false), None));
    assert_eq!(announced.announcement.as_ref().unwrap().url, "http://app/a");
    assert_eq!(announced.ends, Some(true));
    assert!(removed.kick);

    // The same through the call itself, as Restcomm has it.
    let call = |n: u32| format!("/Accounts/{account}/Calls/{}.json", call_sid(n));
    server.post(&who, &call(1), "Mute=true").await.is(200);
    let (_, muted) = server.engine.modified.lock().unwrap().pop().unwrap();
    let mut expected = ParticipantChange::of(conference_sid(1));
    expected.muted = Some(true);
    assert_eq!(muted, Modify::Participant(Box::new(expected)));
    server.post(&who, &call(3), "Mute=true").await.is(400);

    for (form, status) in [
        ("", 400),
        ("HoldUrl=http://app/w", 400),
        ("Hold=perhaps", 400),
    ] {
        server.post(&who, &one, form).await.is(status);
    }
    // A call that is not in the conference, or in no conference.
    for (conference, n) in [(conference_sid(2), 1), (conference_sid(1), 3)] {
        let path = format!("/Accounts/{account}/Conferences/{conference}/Participants");
        server
            .get(&who, &format!("{path}/{}.json", call_sid(n)))
            .await
            .is(404);
    }
}

#[tokio::test]
async fn a_participant_coaches_another() {
    let server = Server::start().await;
    let account = keep(&server).await;
    let who = of("p");
    let (coach, coached) = (call_sid(1), call_sid(2));
    let path = format!("/Accounts/{account}/Conferences/{}", conference_sid(1));
    let one = format!("{TWILIO}{path}/Participants/{coach}.json");
    for form in [
        format!("CallSidToCoach={coached}"),
        format!("Coaching=true&CallSidToCoach={coached}"),
        format!("Coaching=false&CallSidToCoach={coached}"),
    ] {
        server.post(&who, &one, &form).await.is(200);
    }
    let changes = std::mem::take(&mut *server.engine.modified.lock().unwrap());
    let whom: Vec<_> = changes
        .into_iter()
        .map(|(_, modify)| match modify {
            Modify::Participant(change) => change.coaching,
            other => panic!("{other:?}"),
        })
        .collect();
    let of = Coaching::Of(coached);
    assert_eq!(whom, [Some(of), Some(of), Some(Coaching::Nobody)]);
    for form in [
        "Coaching=true".to_owned(),
        format!("CallSidToCoach={}", call_sid(3)),
        "CallSidToCoach=bob".to_owned(),
    ] {
        server.post(&who, &one, &form).await.is(400);
    }
    let change = Change::ConferenceJoined {
        call: coach,
        at: Timestamp(2),
        membership: Membership {
            conference: conference_sid(1),
            muted: false,
            starts: true,
            ends: false,
            on_hold: false,
            label: None,
            coaches: Some(coached),
        },
    };
    server.store.commit(vec![change]).await.unwrap();
    let shown = server.get(&who, &one).await.json();
    assert_eq!(shown["coaching"], true);
    assert_eq!(shown["call_sid_to_coach"], coached.to_string());
}

#[tokio::test]
async fn a_conference_is_ended_and_announced_to() {
    let server = Server::start().await;
    let account = keep(&server).await;
    let who = of("p");
    let path = |n| format!("/Accounts/{account}/Conferences/{}.json", conference_sid(n));
    server.post(&who, &path(1), "").await.is(400);
    server
        .post(&who, &path(1), "AnnounceUrl=http://app/a.wav")
        .await
        .is(200);
    let asked = server.engine.modified.lock().unwrap().len();
    assert_eq!(asked, 2);
    let ended = server.post(&who, &path(1), "Status=completed").await.json();
    assert_eq!(
        (&ended["status"], &ended["reason"]),
        (&"COMPLETED".into(), &"ended-by-api".into())
    );
    server
        .post(&who, &path(1), "Status=completed")
        .await
        .is(410);
    server
        .post(&who, &path(2), "AnnounceUrl=http://app/a")
        .await
        .is(410);
}

#[tokio::test]
async fn a_party_is_called_into_a_conference() {
    let server = Server::start().await;
    let account = keep(&server).await;
    let who = of("p");
    let path = |name: &str| format!("/Accounts/{account}/Conferences/{name}/Participants.json");
    let form =
        "From=1000&To=client:bob&Label=Bob&Muted=true&Beep=onExit&WaitUrl=http://app/w&Timeout=9";
    let answer = server
        .post(&who, &format!("{TWILIO}{}", path("room%201")), form)
        .await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let shown: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(shown["conference_sid"], conference_sid(1).to_string());
    assert_eq!(
        (&shown["label"], &shown["muted"]),
        (&"Bob".into(), &true.into())
    );
    let new = server.engine.created.lock().unwrap().pop().unwrap();
    assert_eq!(new.timeout, Duration::from_secs(9));
    let Planned::Verbs { author, verbs } = new.planned else {
        panic!("{new:?}");
    };
    assert_eq!((author, verbs.len()), (account, 1));
    let text = format!("{verbs:?}");
    for part in [
        "name: \"room 1\"",
        "label: Some(\"Bob\")",
        "muted: true",
        "enter: false, exit: true",
        "http://app/w",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let sid = conference_sid(1).to_string();
    server
        .post(&who, &path(&sid), "From=1000&To=client:bob")
        .await
        .is(200);
    for (name, form, status) in [
        (sid.as_str(), "From=1000", 400),
        ("room%202", "From=1000&To=client:bob", 404),
        (
            &conference_sid(2).to_string(),
            "From=1000&To=client:bob",
            410,
        ),
        ("room%201", "From=1000&To=client:nobody", 400),
        // A participant is addressed by call SID or label, so a label that looks like a SID is ambiguous.
        (
            "room%201",
            "From=1000&To=client:bob&Label=CA00000000000000000000000000000001",
            400,
        ),
        ("room%201", "From=1000&To=client:bob&Label=a%0Ab", 400),
        (
            "room%201",
            &format!("From=1000&To=client:bob&Label={}", "x".repeat(129)),
            400,
        ),
    ] {
        server.post(&who, &path(name), form).await.is(status);
    }
}

#[tokio::test]
async fn a_participant_is_recorded_and_told_from_a_machine() {
    let server = Server::start().await;
    let account = keep(&server).await;
    let who = of("p");
    let path = format!("/Accounts/{account}/Conferences/room%201/Participants.json");
    for base in ["", TWILIO] {
        let form = "From=1000&To=client:bob&TimeLimit=60&Record=true&RecordingChannels=dual\
                    &Trim=trim-silence&RecordingStatusCallback=http://a/r\
                    &MachineDetection=DetectMessageEnd&MachineDetectionTimeout=10\
                    &AmdStatusCallback=http://a/amd&AmdStatusCallbackMethod=GET";
        let answer = server.post(&who, &format!("{base}{path}"), form).await;
        assert!(answer.status.is_success(), "{}", answer.body);
        let new = server.engine.created.lock().unwrap().pop().unwrap();
        assert_eq!(new.time_limit, Some(Duration::from_secs(60)));
        let recording = new.recording.unwrap();
        assert_eq!((recording.sides.channels(), recording.trim), (2, true));
        assert_eq!(recording.callback.unwrap().0.url, "http://a/r");
        let detection = new.detection.unwrap();
        assert_eq!(detection.terms.mode, DetectionMode::DetectMessageEnd);
        assert_eq!(detection.terms.timeout, Duration::from_secs(10));
        assert!(!detection.holds, "it enters at once");
        let callback = detection.callback.unwrap();
        assert_eq!(
            (&*callback.url, callback.method, callback.author),
            ("http://a/amd", HttpMethod::Get, account)
        );
        let plain = format!("{base}{path}");
        server
            .post(&who, &plain, "From=1000&To=client:bob")
            .await
            .is(answer.status.as_u16());
        let new = server.engine.created.lock().unwrap().pop().unwrap();
        assert_eq!(
            (new.recording, new.detection, new.time_limit),
            (None, None, None)
        );
        for wrong in [
            "MachineDetection=Maybe",
            "MachineDetection=Enable&MachineDetectionTimeout=2",
            "MachineDetection=Enable&AmdStatusCallback=ftp://a/b",
            "MachineDetection=Enable&AmdStatusCallbackMethod=PUT",
            "Record=yes",
            "RecordingChannels=dual",
            "Record=true&RecordingChannels=stereo",
            "TimeLimit=0",
        ] {
            let form = format!("From=1000&To=client:bob&{wrong}");
            server.post(&who, &plain, &form).await.is(400);
        }
    }
}
