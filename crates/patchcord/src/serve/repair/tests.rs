//! Servers that die, and others that complete what they leave behind.

use std::collections::BTreeMap;

use model::record::{CallRecord, Callback, Conference, Recording, RecordingKind, StartedRecording};
use model::{
    AccountSid, CallSid, CallStatus, ConferenceSid, ConferenceStatus, EventSid, HttpMethod,
    MessageSid, MessageStatus, RecordingSid, RecordingSource,
};
use store::{Change, DeliveryFilter, SecretKey, Window};
use testkit::postgres::Postgres;

use super::*;

const ACCOUNT: AccountSid = AccountSid::from_bytes([1; 16]);

fn call_sid(n: u8) -> CallSid {
    CallSid::from_bytes([n; 16])
}

fn recording_sid(n: u8) -> RecordingSid {
    RecordingSid::from_bytes([n; 16])
}

/// A separate database server with the address of a database; `None` if tests of PostgreSQL are
/// switched off.
#[cfg(unix)]
fn shared_database() -> Option<(Postgres, String)> {
    let postgres = Postgres::required()?;
    let url = format!("{}/postgres", postgres.url);
    Some((postgres, url))
}

/// A minute from now: a server without a heartbeat until then is dead.
fn later() -> Timestamp {
    now().unwrap() + Duration::from_secs(60)
}

fn call(n: u8, instance: InstanceSid) -> CallRecord {
    let created = now().unwrap();
    CallRecord {
        status: CallStatus::InProgress,
        answered: Some(created),
        ..testkit::records::call(call_sid(n), instance, ACCOUNT, created)
    }
}

fn callback(n: u8, sequence: u8) -> Callback {
    let mut event = [n; 16];
    event[15] = sequence;
    Callback {
        event: EventSid::from_bytes(event),
        account: ACCOUNT,
        author: ACCOUNT,
        lane: call_sid(n).into(),
        call: Some(call_sid(n)),
        sequence: sequence.into(),
        url: "http://app.example/s".to_owned(),
        method: HttpMethod::Post,
        params: Vec::new(),
        created: now().unwrap(),
    }
}

/// The farewell of a leg that has made a number of callbacks: one for the number, one for the leg
/// itself with its recording.
fn farewell(sequence: i64, recording: Option<RecordingSid>) -> String {
    let target = serde_json::json!({
        "url": "http://app.example/s", "method": HttpMethod::Post, "author": ACCOUNT,
    });
    let recording = recording.map(|sid| {
        let started = now().unwrap();
        serde_json::json!({
            "sid": sid, "url": format!("http://here/{sid}"), "started": started, "length_s": null,
        })
    });
    let leg = serde_json::json!({ "event_names": true, "recording": recording });
    serde_json::json!({
        "sequence": sequence,
        "last": [
            { "target": target, "params": [["CallStatus", ""]], "about": "Number" },
            { "target": target, "params": [], "about": { "Leg": leg } },
        ],
    })
    .to_string()
}

/// An open leg with pending callbacks, and its farewell.
async fn open_call(store: &Store, n: u8, sent: u8, recording: Option<RecordingSid>) {
    let farewell = farewell(sent.into(), recording);
    let mut changes = vec![
        Change::CallCreated(Box::new(call(n, store.instance()))),
        Change::CallFarewell {
            sid: call_sid(n),
            farewell,
        },
    ];
    let queue = |sequence| Change::CallbackQueued(Box::new(callback(n, sequence)));
    changes.extend((0..sent).map(queue));
    changes.extend(recording.map(|sid| Change::RecordingStarted {
        started: StartedRecording {
            sid,
            account: ACCOUNT,
            call: Some(call_sid(n)),
            conference: None,
            kind: RecordingKind::default(),
            created: now().unwrap(),
        },
        farewell: None,
    }));
    store.commit(changes).await.unwrap();
}

/// Everything that a server must deliver.
async fn ours(store: &Store) -> Vec<Callback> {
    let rows = store.undelivered_callbacks(None, 10_000).await.unwrap();
    rows.into_iter().map(|row| row.callback).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn last_callbacks_name_only_recordings_that_exist() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("p.db").display());
    let key = SecretKey::random();
    let dead = Store::open(&url, key.clone()).await.unwrap();
    for n in 1..=4 {
        open_call(&dead, n, 0, Some(recording_sid(n))).await;
    }
    // One was completed in time, one has two seconds, one is empty, one has no file.
    let complete = Recording {
        sid: recording_sid(1),
        account: ACCOUNT,
        call: Some(call_sid(1)),
        conference: None,
        kind: RecordingKind::default(),
        duration_ms: 5_900,
        size_bytes: 1,
        created: Timestamp(1),
        updated: Timestamp(1),
    };
    dead.commit(vec![Change::Recording(complete)])
        .await
        .unwrap();
    dead.close().await;
    let file = |n| dir.path().join(format!("{}.wav", recording_sid(n)));
    // Neither was completed by the server that recorded it.
    let part = |n| dir.path().join(format!("{}.wav.part", recording_sid(n)));
    std::fs::write(part(2), audio::wav::encode(&[0; 16_000])).unwrap();
    std::fs::write(part(3), audio::wav::encode(&[])).unwrap();

    let store = Store::open(&url, key).await.unwrap();
    // However long the server was down: their age counts from now.
    let at = later() + Duration::from_secs(48 * 3600);
    let found = complete_at(&store, dir.path(), at, |_| {}).await;
    assert_eq!(found.unwrap(), 4);
    assert!(file(2).exists() && !file(3).exists());
    assert!(!part(2).exists() && !part(3).exists());
    let told = ours(&store).await;
    assert_eq!(told.len(), 8);
    assert!(told.iter().all(|callback| callback.created == at));
    for (n, expected) in (1..).zip([Some("6"), Some("2"), None, None]) {
        let last = told
            .iter()
            .rfind(|callback| callback.lane == call_sid(n).into());
        let about: BTreeMap<&str, &str> = last
            .unwrap()
            .params
            .iter()
            .filter(|(name, _)| name.starts_with("Recording"))
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(about.get("RecordingDuration").copied(), expected, "{n}");
        assert_eq!(about.len(), if expected.is_some() { 3 } else { 0 }, "{n}");
        let kept = store.recording(recording_sid(n)).await.unwrap();
        assert_eq!(kept.is_some(), expected.is_some(), "{n}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_that_cannot_be_completed_harms_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("p.db").display());
    let key = SecretKey::random();
    let dead = Store::open(&url, key.clone()).await.unwrap();
    for n in [1, 2] {
        open_call(&dead, n, 0, Some(recording_sid(n))).await;
    }
    dead.close().await;
    let part = |n| dir.path().join(format!("{}.wav.part", recording_sid(n)));
    let second = audio::wav::encode(&[0; 16_000]);
    std::fs::create_dir(part(1)).unwrap();
    std::fs::write(part(2), &second).unwrap();
    // Files of others.
    std::fs::write(dir.path().join("note.part"), "mine").unwrap();
    std::fs::create_dir(dir.path().join("x.part")).unwrap();

    let store = Store::open(&url, key).await.unwrap();
    let found = complete_at(&store, dir.path(), later(), |_| {}).await;
    assert_eq!(found.unwrap(), 2);
    let recorded = async |n| store.recording(recording_sid(n)).await.unwrap().is_some();
    assert!(!recorded(1).await && recorded(2).await);
    let note = std::fs::read_to_string(dir.path().join("note.part"));
    assert_eq!(note.unwrap(), "mine");
    assert!(dir.path().join("x.part").is_dir());
    // It is tried again.
    std::fs::remove_dir(part(1)).unwrap();
    std::fs::write(part(1), &second).unwrap();
    complete_at(&store, dir.path(), later(), |_| {})
        .await
        .unwrap();
    assert!(recorded(1).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_recording_is_reported_once() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("p.db").display());
    let key = SecretKey::random();
    let dead = Store::open(&url, key.clone()).await.unwrap();
    let farewell = |completed: bool, absent: bool| {
        serde_json::json!({
            "sequence": 0,
            "target": { "url": "http://app.example/r", "method": HttpMethod::Post, "author": ACCOUNT },
            "completed": completed,
            "absent": absent,
            "url": "http://here/RE1",
            "params": [["RecordingSource", "RecordVerb"]],
        })
    };
    // Stored, empty, empty without interest in that, one whose file is gone, and one of two channels.
    let kept = [
        (true, true, 1),
        (true, true, 1),
        (true, false, 1),
        (true, true, 1),
        (true, true, 2),
    ];
    for (n, (completed, absent, channels)) in (1..).zip(kept) {
        open_call(&dead, n, 1, None).await;
        let started = StartedRecording {
            sid: recording_sid(n),
            account: ACCOUNT,
            call: Some(call_sid(n)),
            conference: None,
            kind: RecordingKind {
                channels,
                ..RecordingKind::default()
            },
            created: now().unwrap(),
        };
        let farewell = Some(farewell(completed, absent).to_string());
        let change = Change::RecordingStarted { started, farewell };
        dead.commit(vec![change]).await.unwrap();
    }
    dead.close().await;
    let part = |n| dir.path().join(format!("{}.wav.part", recording_sid(n)));
    std::fs::write(part(1), audio::wav::encode(&[0; 12_000])).unwrap();
    let mut apart = audio::wav::header(2, 0).to_vec();
    apart.resize(apart.len() + 4 * 12_000, 0);
    std::fs::write(part(5), apart).unwrap();
    for n in [2, 3] {
        std::fs::write(part(n), audio::wav::encode(&[])).unwrap();
    }
    let store = Store::open(&url, key).await.unwrap();
    for _ in 0..2 {
        complete_at(&store, dir.path(), later(), |_| {})
            .await
            .unwrap();
    }
    let told = ours(&store).await;
    let of = |n: u8| -> Vec<(i64, String)> {
        let about = told.iter().filter(|it| it.lane == call_sid(n).into());
        let about = about.filter(|it| it.url.ends_with("/r"));
        let text = |it: &Callback| {
            let params = it
                .params
                .iter()
                .filter(|(name, _)| name != "RecordingSource");
            let words: Vec<_> = params
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            words.join(" ")
        };
        about.map(|it| (it.sequence, text(it))).collect()
    };
    let completed = "RecordingStatus=completed RecordingUrl=http://here/RE1 RecordingDuration=2";
    assert_eq!(of(1), [(1, completed.to_owned())]);
    assert_eq!(of(5), [(1, completed.to_owned())]);
    let apart = store.recording(recording_sid(5)).await.unwrap().unwrap();
    assert_eq!((apart.kind.channels, apart.duration_ms), (2, 1500));
    let file = std::fs::read(dir.path().join(format!("{}.wav", recording_sid(5)))).unwrap();
    let file = audio::wav::decode(&file).unwrap();
    assert_eq!((file.channels, file.samples.len()), (2, 24_000));
    let absent = "RecordingStatus=absent RecordingDuration=0";
    assert_eq!(of(2), [(1, absent.to_owned())]);
    assert_eq!(of(3), []);
    let failed = "RecordingStatus=failed ErrorCode=13620";
    assert_eq!(of(4), [(1, failed.to_owned())]);
    assert_eq!(store.started_recordings(later()).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_on_their_way_have_failed_and_tell_so() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("p.db").display());
    let key = SecretKey::random();
    let dead = Store::open(&url, key.clone()).await.unwrap();
    let farewell = serde_json::json!({
        "sequence": 4,
        "target": { "url": "http://app.example/s", "method": HttpMethod::Post, "author": ACCOUNT },
        "params": [["Body", "words"]],
    });
    let sid = |n| MessageSid::from_bytes([n; 16]);
    let kept = [Some(farewell.to_string()), Some("broken".to_owned()), None];
    let created = (1..).zip(kept).map(|(n, farewell)| {
        let at = now().unwrap();
        let instance = dead.instance();
        let message = testkit::records::message(sid(n), instance, ACCOUNT, call_sid(1), at);
        let message = Box::new(message);
        Change::MessageCreated { message, farewell }
    });
    dead.commit(created.collect()).await.unwrap();
    // The call made more callbacks meanwhile, one of which is waiting.
    let made = Change::CallbackQueued(Box::new(callback(1, 6)));
    dead.commit(vec![made]).await.unwrap();
    dead.close().await;

    let store = Store::open(&url, key).await.unwrap();
    let found = complete_at(&store, dir.path(), later(), |_| {}).await;
    assert_eq!(found.unwrap(), 3, "whoever asks has to look for callbacks");
    for n in 1..=3 {
        let record = store.message(sid(n)).await.unwrap().unwrap();
        assert_eq!(record.status, MessageStatus::Failed);
        assert_eq!(record.reason.as_deref(), Some("node-lost"));
    }
    let told = ours(&store).await;
    let [made, told] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(
        (made.sequence, told.sequence),
        (6, 7),
        "one behind the other"
    );
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = [
        pair("Body", "words"),
        pair("MessageStatus", "failed"),
        pair("SmsStatus", "failed"),
        pair("ErrorCode", "30008"),
    ];
    assert_eq!(told.params, expected);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_shared_database_calls_are_closed_once_by_servers_that_live() {
    let Some((_postgres, url)) = shared_database() else {
        return;
    };
    let key = SecretKey::random();
    let dead = ready(&url, &key).await;
    let first = Store::open(&url, key.clone()).await.unwrap();
    let second = Store::open(&url, key).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    for n in 1..=40 {
        open_call(&dead, n, 2, None).await;
    }
    // A live call, and the remains of one that had ended.
    open_call(&first, 50, 1, None).await;
    let left = Change::CallbackQueued(Box::new(callback(60, 0)));
    dead.commit(vec![left]).await.unwrap();

    let round = async |store: &Store, at| {
        let found = complete_at(store, folder.path(), at, |_| {}).await.unwrap();
        let adopted = store.adopt_callbacks(at).await.unwrap();
        (found, adopted)
    };
    let now = now().unwrap();
    assert_eq!(round(&first, now).await, (0, false), "it may live");

    let later = later();
    for store in [&first, &second] {
        stay_alive(store, later).await;
    }
    let patrols = tokio::join!(round(&first, later), round(&second, later));
    assert!(patrols.0.0 == 40 || patrols.1.0 == 40, "{patrols:?}");
    for store in [&first, &second] {
        assert_eq!(round(store, later).await, (0, false), "nothing is left");
    }

    let mut all: Vec<(InstanceSid, Callback)> = Vec::new();
    for store in [&first, &second] {
        let rows = ours(store).await;
        all.extend(rows.into_iter().map(|row| (store.instance(), row)));
    }
    assert_eq!(ours(&dead).await, [], "nothing is the dead server's");
    let filter = DeliveryFilter {
        window: Window::at(0, 1),
        ..DeliveryFilter::default()
    };
    let total = first.deliveries(&filter).await.unwrap().total;
    assert_eq!((total, all.len()), (40 * 4 + 2, 40 * 4 + 2));
    for n in 1..=40 {
        let of_call = all.iter().filter(|(_, row)| row.lane == call_sid(n).into());
        let (owners, sequences): (Vec<_>, Vec<_>) =
            of_call.map(|(owner, row)| (*owner, row.sequence)).unzip();
        assert_eq!(sequences, [0, 1, 2, 3], "call {n}");
        assert!(owners.iter().all(|owner| *owner == owners[0]), "call {n}");
        let record = first.call(call_sid(n)).await.unwrap().unwrap();
        assert_eq!(record.status, CallStatus::Completed);
        assert_eq!(record.reason.as_deref(), Some("node-lost"));
    }
    let living = first.call(call_sid(50)).await.unwrap().unwrap();
    assert_eq!(living.ended, None);
}

/// The callbacks of a call stay together, whichever server comes first.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_closes_a_call_delivers_its_callbacks() {
    let Some((_postgres, url)) = shared_database() else {
        return;
    };
    let key = SecretKey::random();
    let dead = ready(&url, &key).await;
    open_call(&dead, 1, 2, None).await;
    let first = Store::open(&url, key.clone()).await.unwrap();
    let second = Store::open(&url, key).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let later = later();
    for store in [&first, &second] {
        stay_alive(store, later).await;
    }
    assert!(!second.adopt_callbacks(later).await.unwrap(), "it is open");
    let found = complete_at(&first, folder.path(), later, |_| {}).await;
    assert_eq!(found.unwrap(), 1);
    assert!(!second.adopt_callbacks(later).await.unwrap(), "it has all");
    assert_eq!(ours(&first).await.len(), 4);
}

/// The server sends its heartbeat, ahead of time.
#[cfg(unix)]
async fn stay_alive(store: &Store, at: Timestamp) {
    let instance = store.instance();
    let alive = Change::Alive { instance, at };
    store.commit(vec![alive]).await.unwrap();
}

/// Opens the first database of a server that has just been started.
#[cfg(unix)]
async fn ready(url: &str, key: &SecretKey) -> Store {
    for _ in 0..100 {
        if let Ok(store) = Store::open(url, key.clone()).await {
            return store;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("`postgres` did not get ready in 10 s");
}

/// After a database outage all servers are silent until they have sent a heartbeat again.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_fell_silent_just_now_are_given_a_round() {
    let Some((_postgres, url)) = shared_database() else {
        return;
    };
    let key = SecretKey::random();
    let other = ready(&url, &key).await;
    let store = Store::open(&url, key).await.unwrap();
    let mut silent = BTreeSet::new();
    let at = later();
    stay_alive(&store, at).await;
    assert!(!still_silent(&store, &mut silent, at).await.unwrap());
    stay_alive(&other, at).await;
    // It was only the database.
    assert!(still_silent(&store, &mut silent, at).await.unwrap());
    assert_eq!(silent, BTreeSet::new());
    // No server could write for a minute, and this server still cannot.
    let at = at + Duration::from_secs(60);
    for _ in 0..3 {
        assert!(!still_silent(&store, &mut silent, at).await.unwrap());
    }
    stay_alive(&store, at).await;
    assert!(!still_silent(&store, &mut silent, at).await.unwrap());
    assert!(still_silent(&store, &mut silent, at).await.unwrap());
    assert_eq!(silent, BTreeSet::from([other.instance()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_conference_is_reported_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("p.db").display());
    let key = SecretKey::random();
    let before = Store::open(&url, key.clone()).await.unwrap();
    let sid = ConferenceSid::from_bytes([7; 16]);
    let created = now().unwrap();
    let record = Conference {
        sid,
        instance: before.instance(),
        account: ACCOUNT,
        name: "sales".to_owned(),
        status: ConferenceStatus::Waiting,
        created,
        updated: created,
        started: None,
        ended: None,
        reason: None,
    };
    let target = serde_json::json!({
        "url": "http://app.example/s", "method": HttpMethod::Get, "author": ACCOUNT,
    });
    let first = Callback {
        lane: sid.into(),
        call: None,
        ..callback(1, 0)
    };
    let changes = vec![
        Change::ConferenceCreated(Box::new(record)),
        Change::ConferenceFarewell {
            sid,
            farewell: serde_json::json!({
                "target": target,
                "recording": { "sid": recording_sid(1), "url": "http://app.example/1.wav" },
            })
            .to_string(),
        },
        Change::CallbackQueued(Box::new(first.clone())),
        Change::RecordingStarted {
            started: StartedRecording {
                sid: recording_sid(1),
                account: ACCOUNT,
                call: None,
                conference: Some(sid),
                kind: RecordingKind {
                    source: RecordingSource::Conference,
                    channels: 1,
                },
                created,
            },
            farewell: Some(
                serde_json::json!({
                    "sequence": 0, "target": target, "completed": true, "absent": false,
                    "url": "http://app.example/1.wav", "params": [],
                })
                .to_string(),
            ),
        },
    ];
    before.commit(changes).await.unwrap();
    drop(before);
    let part = dir.path().join(format!("{}.wav.part", recording_sid(1)));
    std::fs::write(part, audio::wav::encode(&[0; 16_000])).unwrap();

    let store = Store::open(&url, key).await.unwrap();
    for _ in 0..2 {
        complete_at(&store, dir.path(), later(), |_| {})
            .await
            .unwrap();
    }
    let ended = store.conference(sid).await.unwrap().unwrap();
    assert_eq!(ended.reason.as_deref(), Some("node-lost"));
    let told = ours(&store).await;
    let [queued, recorded, last] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(queued.event, first.event);
    assert_eq!((last.sequence, last.method), (2, HttpMethod::Get));
    let param_of = |callback: &Callback, name: &str| {
        let mut params = callback.params.iter();
        let found = params.find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    };
    assert_eq!((recorded.sequence, recorded.lane), (1, sid.into()));
    let status = param_of(recorded, "RecordingStatus");
    assert_eq!(status.as_deref(), Some("completed"));
    let kept = store.recording(recording_sid(1)).await.unwrap().unwrap();
    assert_eq!((kept.conference, kept.duration_ms), (Some(sid), 2_000));
    let url = param_of(last, "RecordingUrl");
    assert_eq!(url.as_deref(), Some("http://app.example/1.wav"));
    let param = |name: &str| {
        let found = last.params.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(param("StatusCallbackEvent"), Some("conference-end"));
    assert_eq!(param("ReasonConferenceEnded"), Some("node-lost"));
    assert_eq!(param("FriendlyName"), Some("sales"));
    assert_eq!(param("SequenceNumber"), Some("3"));
}
