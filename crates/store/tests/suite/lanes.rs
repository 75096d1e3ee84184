//! Lanes: rows of calls, messages and conferences are ordered, stored and repaired alike.

use std::time::Duration;

use model::record::{Message, Recording, RecordingKind, StartedRecording};
use model::{
    ConferenceSid, ConferenceStatus, Lane, MessageSid, MessageStatus, NotificationSid, RecordingSid,
};
use store::{Change, ConferenceFilter, ParticipantFilter, Scope};

use super::values::*;
use super::{Database, raw};

const BEFORE_LANES: [&str; 7] = [
    include_str!("../../../../migrations/0001-first/up.sql"),
    include_str!("../../../../migrations/0002-webhooks/up.sql"),
    include_str!("../../../../migrations/0003-authors/up.sql"),
    include_str!("../../../../migrations/0004-repair/up.sql"),
    include_str!("../../../../migrations/0005-endings/up.sql"),
    include_str!("../../../../migrations/0006-pages/up.sql"),
    include_str!("../../../../migrations/0007-messages/up.sql"),
];

/// A message outside of calls.
fn message(instance: model::InstanceSid, n: u32) -> Message {
    let sid = MessageSid::from_bytes(bytes(n));
    Message {
        call: None,
        ..testkit::records::message(sid, instance, account_sid(1), call_sid(1), now())
    }
}

pub(crate) async fn rows_from_before_lanes_belong_to_their_call(db: &Database) {
    let is_sqlite = db.url.starts_with("sqlite:");
    let blob = if is_sqlite { "BLOB" } else { "BYTEA" };
    let notes = "CREATE TABLE migrations (version BIGINT PRIMARY KEY, name TEXT NOT NULL, \
                 applied BIGINT NOT NULL);";
    let mut text = notes.to_owned();
    for (version, migration) in (1..).zip(BEFORE_LANES) {
        text += &migration.replace("{{blob}}", blob);
        text += &format!("INSERT INTO migrations VALUES ({version}, 'old', 0);\n");
    }
    let (call, account) = (call_sid(1), account_sid(1));
    let (message, recording, started) = (
        MessageSid::from_bytes(bytes(1)),
        RecordingSid::from_bytes(bytes(1)),
        RecordingSid::from_bytes(bytes(2)),
    );
    let notification = |n| NotificationSid::from_bytes(bytes(n));
    let event = callback(call, 1).event;
    let gone = model::InstanceSid::from_bytes([7; 16]);
    text += &format!(
        "INSERT INTO outbox VALUES ('{event}', '{gone}', '{account}', '{call}', 1, 'http://a/', 'POST', '[]', 5, \
         'pending', 2, NULL, 503, 'busy', NULL, NULL, NULL);
         INSERT INTO recordings VALUES ('{recording}', '{account}', '{call}', 7, 8, 1, 2);
         INSERT INTO started_recordings VALUES ('{started}', '{gone}', '{account}', '{call}', {});
         INSERT INTO messages VALUES ('{message}', '{gone}', '{account}', '{call}', 'a', 'b', 'words', \
         'outbound-call', 'sending', NULL, NULL, 1, 1, NULL, NULL, 'kept');
         INSERT INTO notifications VALUES ('{}', '{account}', '{call}', 0, 11100, 'x', NULL, NULL, NULL, NULL, 1);
         INSERT INTO notifications VALUES ('{}', '{account}', NULL, 0, 11100, 'x', NULL, NULL, NULL, NULL, 1);
         INSERT INTO traces VALUES ('{call}', CAST('abc' AS {blob}));",
        now().0,
        notification(1),
        notification(2),
    );
    raw::run(&db.url, &text).await;

    let store = db.open().await;
    let lane = Lane::from(call);
    let told = store.delivery(event).await.unwrap().unwrap();
    assert_eq!((told.callback.lane, told.callback.call), (lane, Some(call)));
    assert_eq!((told.attempts, told.http_status), (2, Some(503)));
    assert_eq!(store.next_sequence(lane).await.unwrap(), 2);
    let kept = store.recording(recording).await.unwrap().unwrap();
    assert_eq!(
        (kept.call, kept.conference, kept.duration_ms),
        (Some(call), None, 7)
    );
    let left = store.started_recordings(now()).await.unwrap();
    assert_eq!(
        left.iter().map(|it| it.started.lane()).collect::<Vec<_>>(),
        [lane]
    );
    let orphans = store.orphan_messages(now()).await.unwrap();
    let [orphan] = orphans.as_slice() else {
        panic!("{orphans:?}");
    };
    assert_eq!(
        (orphan.record.lane(), orphan.farewell.as_deref()),
        (lane, Some("kept"))
    );
    for (n, about) in [(1, lane), (2, account.into())] {
        let row = store.notification(notification(n)).await.unwrap().unwrap();
        assert_eq!(row.lane, about);
    }
    assert_eq!(
        store.trace(lane).await.unwrap().as_deref(),
        Some(&b"abc"[..])
    );
}

pub(crate) async fn what_needs_no_call_is_kept_under_its_own_lane(db: &Database) {
    let store = db.open().await;
    let message = message(store.instance(), 1);
    let lane = message.lane();
    assert_eq!(lane, Lane::from(message.sid));
    let conference = ConferenceSid::from_bytes(bytes(3));
    let mixed = Recording {
        call: None,
        conference: Some(conference),
        ..recording(4, call_sid(1), 900)
    };
    let begun = StartedRecording {
        sid: RecordingSid::from_bytes(bytes(5)),
        account: account_sid(1),
        call: None,
        conference: Some(conference),
        kind: RecordingKind::default(),
        created: now(),
    };
    let about = model::record::Notification {
        lane,
        call: None,
        ..notification(6, "not taken")
    };
    let changes = vec![
        Change::MessageCreated {
            message: Box::new(message.clone()),
            farewell: None,
        },
        Change::Recording(mixed.clone()),
        Change::RecordingStarted {
            started: begun.clone(),
            farewell: None,
        },
        Change::Notification(Box::new(about.clone())),
        Change::Trace {
            lane,
            blob: vec![1, 2],
        },
        Change::CallbackQueued(Box::new(callback(lane, 0))),
        Change::CallbackQueued(Box::new(callback(conference, 4))),
    ];
    assert!(store.commit(changes).await.unwrap().all_applied());
    assert_eq!(store.message(message.sid).await.unwrap(), Some(message));
    assert_eq!(
        store.recording(mixed.sid).await.unwrap().as_ref(),
        Some(&mixed)
    );
    assert_eq!(mixed.lane(), Lane::from(conference));
    let kept = store.notification(about.sid).await.unwrap();
    assert_eq!(kept, Some(about));
    assert_eq!(store.trace(lane).await.unwrap(), Some(vec![1, 2]));
    assert_eq!(store.next_sequence(lane).await.unwrap(), 1);
    assert_eq!(store.next_sequence(conference.into()).await.unwrap(), 5);
    store.close().await;
    let after = db.open().await;
    let later = now() + Duration::from_secs(60);
    let left = after.started_recordings(later).await.unwrap();
    let left: Vec<_> = left.into_iter().map(|it| it.started).collect();
    assert_eq!(left, [begun]);
}

/// The server that ends the message delivers all of its callbacks, so they stay in order.
pub(crate) async fn callbacks_of_a_message_wait_for_its_end_after_a_crash(db: &Database) {
    let before = db.open().await;
    let message = message(before.instance(), 1);
    let lane = message.lane();
    let changes = vec![
        Change::MessageCreated {
            message: Box::new(message.clone()),
            farewell: None,
        },
        Change::CallbackQueued(Box::new(callback(lane, 0))),
        Change::CallbackQueued(Box::new(callback(call_sid(9), 0))),
    ];
    assert!(before.commit(changes).await.unwrap().all_applied());
    let ours = before.abandoned_messages(&[lane], now()).await.unwrap();
    assert_eq!(ours.len(), 1, "found by its own lane");
    before.close().await;

    let after = db.open().await;
    let later = now() + Duration::from_secs(60);
    let waiting = undelivered(&after, later).await;
    let of = |rows: &[store::PendingCallback]| -> Vec<(Lane, i64)> {
        let place = |row: &store::PendingCallback| (row.callback.lane, row.callback.sequence);
        rows.iter().map(place).collect()
    };
    assert_eq!(of(&waiting), [(call_sid(9).into(), 0)]);
    let orphans = after.orphan_messages(later).await.unwrap();
    let told = callback(lane, after.next_sequence(lane).await.unwrap());
    let close = || {
        let over = Change::MessageEnded {
            message: Box::new(orphans[0].record.clone()),
            tells: Some(told.event),
        };
        vec![over, Change::CallbackQueued(Box::new(told.clone()))]
    };
    assert!(after.commit(close()).await.unwrap().all_applied());
    assert!(!after.commit(close()).await.unwrap().applied(0));
    let kept = after.message(message.sid).await.unwrap().unwrap();
    assert_eq!(kept.status, MessageStatus::Failed);
    let waiting = after.undelivered_callbacks(None, 10).await.unwrap();
    let expected = [(call_sid(9).into(), 0), (lane, 0), (lane, 1)];
    assert_eq!(of(&waiting), expected, "calls sort before messages");
}

/// A call that has left a conference is neither in it nor muted there.
pub(crate) async fn a_member_that_left_is_heard_again(db: &Database) {
    let store = db.open().await;
    let record = call(&store, account_sid(1), 1);
    let leg = record.sid;
    commit(&store, vec![Change::CallCreated(Box::new(record))]).await;
    let conference = |n| ConferenceSid::from_bytes(bytes(n));
    let joined = Change::ConferenceJoined {
        call: leg,
        at: now(),
        membership: model::record::Membership {
            on_hold: true,
            label: Some("Ann".to_owned()),
            coaches: Some(leg),
            conference: conference(1),
            muted: true,
            starts: true,
            ends: false,
        },
    };
    let left = |n| Change::ConferenceLeft {
        call: leg,
        at: now(),
        conference: conference(n),
    };
    commit(&store, vec![joined.clone()]).await;
    let entered = store.participant(leg).await.unwrap().unwrap();
    // A later change of its terms does not make it enter again.
    commit(&store, vec![joined]).await;
    let of = |n| ParticipantFilter::of(conference(n));
    let there = store.participants(&of(1)).await.unwrap();
    let [one] = &there.items[..] else {
        panic!("{there:?}");
    };
    assert_eq!(
        (there.total, one.call, one.joined),
        (1, leg, entered.joined)
    );
    assert!(one.membership.muted && one.membership.on_hold && !one.membership.ends);
    assert_eq!(one.membership.label.as_deref(), Some("Ann"));
    assert_eq!(store.participants(&of(2)).await.unwrap().items, []);
    let label = Some("Ann".to_owned());
    let table = [
        (
            "muted",
            ParticipantFilter {
                muted: Some(true),
                ..of(1)
            },
            1,
        ),
        (
            "not muted",
            ParticipantFilter {
                muted: Some(false),
                ..of(1)
            },
            0,
        ),
        (
            "held",
            ParticipantFilter {
                on_hold: Some(true),
                ..of(1)
            },
            1,
        ),
        (
            "not held",
            ParticipantFilter {
                on_hold: Some(false),
                ..of(1)
            },
            0,
        ),
        (
            "coach",
            ParticipantFilter {
                coaching: Some(true),
                ..of(1)
            },
            1,
        ),
        (
            "no coach",
            ParticipantFilter {
                coaching: Some(false),
                ..of(1)
            },
            0,
        ),
        ("label", ParticipantFilter { label, ..of(1) }, 1),
    ];
    for (name, filter, total) in table {
        let found = store.participants(&filter).await.unwrap();
        assert_eq!(
            (found.total, found.items.len() as i64),
            (total, total),
            "{name}"
        );
    }
    let steps = [(left(2), false, true), (left(1), true, false)];
    for (change, applied, muted) in steps {
        let done = store.commit(vec![change]).await.unwrap();
        assert_eq!(done.applied(0), applied);
        let found = store.call(leg).await.unwrap().unwrap();
        assert_eq!(found.muted, muted);
        let is_in = store.participant(leg).await.unwrap().is_some();
        assert_eq!(is_in, muted);
    }
}

pub(crate) async fn a_conference_ends_once_also_when_its_server_is_dead(db: &Database) {
    let store = db.open().await;
    let (here, gone) = (store.instance(), model::InstanceSid::from_bytes([7; 16]));
    let at = now();
    let sid = |n| ConferenceSid::from_bytes(bytes(n));
    let created = |n, instance| {
        Change::ConferenceCreated(Box::new(model::record::Conference {
            sid: sid(n),
            instance,
            account: account_sid(1),
            name: "standup".to_owned(),
            status: ConferenceStatus::Waiting,
            created: at,
            updated: at,
            started: None,
            ended: None,
            reason: None,
        }))
    };
    let ended = |n, reason: &str| Change::ConferenceEnded {
        sid: sid(n),
        status: ConferenceStatus::Completed,
        at: at + Duration::from_secs(9),
        reason: reason.to_owned(),
    };
    store.commit(vec![created(1, here)]).await.unwrap();
    let started = Change::ConferenceStarted {
        sid: sid(1),
        at: at + Duration::from_secs(1),
    };
    store.commit(vec![started]).await.unwrap();
    assert!(
        store
            .commit(vec![ended(1, "last-member-left")])
            .await
            .unwrap()
            .all_applied()
    );
    assert!(
        !store
            .commit(vec![ended(1, "again")])
            .await
            .unwrap()
            .applied(0)
    );
    let first = store.conference(sid(1)).await.unwrap().unwrap();
    assert_eq!(first.status, ConferenceStatus::Completed);
    assert_eq!(first.reason.as_deref(), Some("last-member-left"));
    assert_eq!(first.started, Some(at + Duration::from_secs(1)));

    let some = |statuses: &[ConferenceStatus]| Some(statuses.to_vec());
    let over = [ConferenceStatus::Failed, ConferenceStatus::Completed];
    for (name, exact, statuses, count) in [
        ("standup", true, some(&over), 1),
        ("standup", true, some(&[ConferenceStatus::Running]), 0),
        ("standup", true, some(&[]), 0),
        ("other", true, None, 0),
        ("stand%", false, None, 1),
        ("standup", false, None, 1),
        ("stand%", true, None, 0),
    ] {
        let filter = ConferenceFilter {
            name: Some(name.to_owned()),
            exact,
            statuses: statuses.clone(),
            created_from: Some(at),
            updated_until: Some(at + Duration::from_secs(60)),
            ..ConferenceFilter::of(Scope::Own(account_sid(1)))
        };
        let found = store.conferences(&filter).await.unwrap();
        assert_eq!(found.items.len(), count, "{name} {statuses:?}");
    }

    // Another server dies silently; one sends heartbeats; nothing is known of a third.
    let late = at + Duration::from_secs(3600);
    let (alive, unknown) = (
        model::InstanceSid::from_bytes([8; 16]),
        model::InstanceSid::from_bytes([9; 16]),
    );
    let last_sign = at + Duration::from_secs(5);
    let changes = vec![
        created(2, gone),
        created(3, alive),
        created(4, unknown),
        Change::Alive {
            instance: gone,
            at: last_sign,
        },
        Change::Alive {
            instance: alive,
            at: late,
        },
    ];
    store.commit(changes).await.unwrap();
    assert!(
        !store
            .commit(vec![ended(2, "not mine")])
            .await
            .unwrap()
            .applied(0)
    );
    for found in store.orphan_conferences(late).await.unwrap() {
        let close = vec![Change::ConferenceClosed(Box::new(found.record))];
        assert!(store.commit(close.clone()).await.unwrap().all_applied());
        assert!(!store.commit(close).await.unwrap().all_applied(), "twice");
    }
    assert_eq!(store.orphan_conferences(late).await.unwrap(), []);
    for (n, end) in [(2, last_sign), (4, at)] {
        let found = store.conference(sid(n)).await.unwrap().unwrap();
        assert_eq!(found.status, ConferenceStatus::Completed, "{n}");
        assert_eq!(found.reason.as_deref(), Some("node-lost"), "{n}");
        assert_eq!(found.ended, Some(end), "{n}");
    }
    // A file has one server at a time, so another one cannot be alive.
    let is_shared = !db.url.starts_with("sqlite:");
    let open = store.open_conferences().await.unwrap();
    let open: Vec<ConferenceSid> = open.iter().map(|open| open.sid).collect();
    assert_eq!(open, if is_shared { vec![sid(3)] } else { vec![] });
}
