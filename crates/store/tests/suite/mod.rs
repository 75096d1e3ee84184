//! Cases that every database must pass, starting from an empty one.

use std::time::{Duration, Instant};

use model::record::{
    CallRecord, Callback, MediaCounts, Notification, Recording, RecordingKind, StartedRecording,
};
use model::{CallStatus, EventSid, HangupBy, InstanceSid, RecordingSid, Timestamp};
use store::{
    CallFilter, CallUpdate, Change, Inspect, NotificationFilter, OrphanRecording, RecordingFilter,
    RecordingKey, Scope, SecretKey, Sort, Store, StoreError,
};

mod accounts;
mod audit;
mod bin;
mod deliveries;
mod directory;
mod emails;
mod lanes;
mod lists;
mod masking;
mod messages;
mod numbers;
mod organizations;
mod plans;
pub(crate) mod raw;
mod recordings;
mod registrations;
mod replies;
pub(crate) mod values;
pub(crate) mod verify;
pub(crate) mod voicemail;
mod waiting;

pub(crate) use accounts::*;
pub(crate) use audit::*;
pub(crate) use bin::*;
pub(crate) use deliveries::*;
pub(crate) use directory::*;
pub(crate) use emails::*;
pub(crate) use lanes::*;
pub(crate) use lists::*;
pub(crate) use masking::*;
pub(crate) use messages::*;
pub(crate) use numbers::*;
pub(crate) use organizations::*;
pub(crate) use plans::*;
pub(crate) use recordings::*;
pub(crate) use registrations::*;
pub(crate) use replies::*;
use values::*;
pub(crate) use verify::*;
pub(crate) use voicemail::*;
pub(crate) use waiting::*;

/// An empty database.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) key: SecretKey,
    /// Deleted together with the database.
    pub(crate) _dir: Option<tempfile::TempDir>,
}

impl Database {
    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.url, self.key.clone()).await.unwrap()
    }
}

/// Every case by name, for the databases to run.
macro_rules! for_each_case {
    ($run:ident) => {
        $run! {
            values_of_every_type_come_back,
            a_leg_lives_once,
            only_another_server_that_is_alive_runs_calls_elsewhere,
            an_end_needs_the_owner_and_takes_its_callbacks_along,
            a_refused_commit_harms_no_other,
            many_commits_at_once_are_all_kept,
            calls_are_filtered_sorted_and_counted,
            a_long_list_has_true_pages,
            every_list_is_read_by_an_index,
            a_filter_that_matches_all_does_not_sort_them,
            what_is_due_is_found_by_index,
            recordings_notifications_and_traces_come_back,
            a_recording_in_progress_is_listed_with_its_state,
            only_the_own_server_of_a_call_may_still_store_its_trace,
            a_family_is_found_from_each_of_its_legs,
            orphans_are_closed_once,
            a_call_ended_by_another_server_is_lost_for_its_own,
            orphans_keep_what_must_be_told,
            a_message_ends_once_and_tells_so_once,
            a_queue_is_read_in_order_and_left_once,
            a_queue_outlives_its_server,
            messages_on_their_way_are_closed_once_after_a_crash,
            a_scheduled_message_leaves_once,
            opt_outs_are_known_by_any_spelling,
            texts_without_a_document_are_claimed_once,
            an_email_comes_back_as_it_was,
            an_email_is_claimed_for_one_attempt_at_a_time,
            a_server_that_starts_again_sends_its_emails_at_once,
            an_email_of_the_distant_future_is_due,
            a_failed_email_is_reported_once,
            a_secret_of_an_email_is_sealed_until_it_is_sent,
            rows_from_before_lanes_belong_to_their_call,
            a_conference_ends_once_also_when_its_server_is_dead,
            a_member_that_left_is_heard_again,
            what_needs_no_call_is_kept_under_its_own_lane,
            callbacks_of_a_message_wait_for_its_end_after_a_crash,
            callbacks_survive_a_restart_in_order,
            a_long_backlog_is_read_in_pages,
            callbacks_are_listed_and_delivered_again,
            waiting_callbacks_are_dropped,
            more_rows_than_a_transaction_may_change_are_changed_in_several,
            the_first_start_makes_an_administrator,
            tokens_are_sealed,
            a_change_of_an_account_sets_only_what_it_names,
            changes_of_an_account_at_once_are_all_kept,
            tokens_change_as_they_were_read_or_not_at_all,
            nothing_is_added_to_a_closed_account,
            closing_an_account_takes_its_tree_along,
            clients_are_found_by_login_and_domain,
            a_text_longer_than_any_name_is_not_looked_up,
            a_row_that_changed_since_it_was_read_is_not_replaced,
            digests_of_an_earlier_release_are_sealed,
            numbers_are_found_by_spelling_then_pattern,
            numbers_are_listed,
            a_key_is_claimed_once_and_its_answer_survives_a_restart,
            old_answers_are_forgotten,
            changes_are_listed_until_they_are_old,
            an_account_keeps_a_limited_number_of_answers,
            a_name_gets_one_owner_whoever_asks_at_once,
            an_organization_is_closed_without_accounts_only,
            a_move_takes_everything_along_or_nothing,
            applications_come_back,
            what_is_restored_is_as_it_was,
            a_number_in_the_bin_can_be_taken,
            a_bought_number_is_released_when_it_leaves_the_bin,
            a_number_in_the_bin_moves_with_its_account,
            numbers_for_sale_are_found_until_someone_has_them,
            an_order_leads_to_a_number_or_to_its_release,
            usage_is_added_up_by_day,
            recordings_of_closed_accounts_are_read_in_pages,
            a_server_changes_only_registrations_of_its_own,
            registrations_of_an_earlier_release_go_to_the_first_server,
            expired_registrations_of_a_server_that_is_gone_are_removed,
            messages_are_counted_in_all_boxes_of_a_client,
            counting_messages_reads_no_whole_table,
            a_verification_ends_once,
            a_code_is_taken_back,
            codes_requested_together_are_no_more_than_the_limits,
            guesses_made_together_are_no_more_than_the_limit,
            a_service_of_a_name_is_made_once,
            limits_of_a_service_and_safe_numbers_come_back,
            old_verifications_are_forgotten,
            a_mask_never_has_two_meanings,
            an_interaction_ends_once,
            masks_of_what_is_deleted_are_free,
            interactions_at_the_same_moment_are_no_more_than_the_limit,
            old_sessions_are_forgotten,
            a_voicemail_box_is_kept_as_it_is,
            a_voicemail_is_delivered_once,
            voicemails_are_found_in_order,
        }
    };
}
pub(crate) use for_each_case;

pub(crate) async fn values_of_every_type_come_back(db: &Database) {
    let store = db.open().await;
    let odd = "é 🎈 '\" \\ % \n\t;-- $1 ?";
    let full = CallRecord {
        to: String::new(),
        from: odd.repeat(1_000),
        created: Timestamp(i64::MIN),
        updated: Timestamp(i64::MAX),
        started: Some(Timestamp(-1)),
        answered: Some(Timestamp(0)),
        parent: Some(call_sid(9)),
        ring_duration_s: Some(0),
        caller_name: Some(String::new()),
        forwarded_from: Some(odd.to_owned()),
        muted: true,
        ..call(&store, account_sid(1), 1)
    };
    let empty = CallRecord {
        number: None,
        started: None,
        caller_name: None,
        from: "a\0b".to_owned(),
        ..call(&store, account_sid(1), 2)
    };
    let created = |call: &CallRecord| Change::CallCreated(Box::new(call.clone()));
    commit(&store, vec![created(&full), created(&empty)]).await;
    assert_eq!(store.call(full.sid).await.unwrap(), Some(full));
    let stored = CallRecord {
        from: "a\u{fffd}b".to_owned(), // Not every database takes a NUL.
        ..empty
    };
    assert_eq!(store.call(stored.sid).await.unwrap(), Some(stored));
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    for (n, blob) in [(1, bytes), (2, Vec::new())] {
        let lane = call_sid(n).into();
        let blob_of = blob.clone();
        commit(&store, vec![Change::Trace { lane, blob }]).await;
        assert_eq!(store.trace(lane).await.unwrap(), Some(blob_of));
    }
}

pub(crate) async fn only_another_server_that_is_alive_runs_calls_elsewhere(db: &Database) {
    let store = db.open().await;
    let (other, unknown) = (
        InstanceSid::from_bytes([8; 16]),
        InstanceSid::from_bytes([9; 16]),
    );
    let (instance, at) = (other, now());
    commit(&store, vec![Change::Alive { instance, at }]).await;
    // Nobody can share an embedded database.
    let shared = store.is_shared();
    for (server, after, expected) in [
        (other, 29, shared),
        (other, 31, false),
        (unknown, 0, false),
        (store.instance(), 0, false),
    ] {
        let later = at + Duration::from_secs(after);
        let elsewhere = store.runs_elsewhere(server, later).await.unwrap();
        assert_eq!(elsewhere, expected, "{server} after {after} s");
    }
}

pub(crate) async fn a_leg_lives_once(db: &Database) {
    let store = db.open().await;
    let call = call(&store, account_sid(1), 1);
    let sid = call.sid;
    let dialog = Some("{\"cseq\":1}".to_owned());
    let created = Change::CallCreated(Box::new(call.clone()));
    commit(&store, vec![created.clone(), created]).await;
    assert_eq!(store.call(sid).await.unwrap().as_ref(), Some(&call));

    let ringing = Change::CallRinging {
        sid,
        at: Timestamp(10),
        sip_call_id: Some("abc@host".to_owned()),
    };
    let answered = Change::CallAnswered {
        sid,
        at: Timestamp(20),
        answered_by: Some("bob".to_owned()),
        sip_call_id: None,
        ring_duration_s: Some(3),
        dialog,
    };
    let muted = Change::CallUpdated(Box::new(CallUpdate {
        sid,
        at: Timestamp(25),
        muted: Some(true),
        sip_call_id: None,
        answered_by: Some("machine_start".to_owned()),
        dialog: None,
    }));
    let done = store
        .commit(vec![ringing.clone(), answered, muted, ended(sid, 30)])
        .await
        .unwrap();
    assert!(done.all_applied(), "{done:?}");
    let counts = MediaCounts {
        packets_in: 5,
        wrong_source: 1,
        ..MediaCounts::default()
    };
    // They arrive when the media is closed, after the end.
    commit(&store, vec![Change::CallMedia { sid, counts }]).await;
    let expected = CallRecord {
        status: CallStatus::Completed,
        updated: Timestamp(30),
        started: Some(Timestamp(20)),
        answered: Some(Timestamp(20)),
        ended: Some(Timestamp(30)),
        duration_s: Some(7),
        ring_duration_s: Some(3),
        answered_by: Some("machine_start".to_owned()),
        reason: Some("caller-hung-up".to_owned()),
        hangup_by: Some(HangupBy::Caller),
        sip_status: Some(200),
        sip_reason: Some("Q.850;cause=16".to_owned()),
        media: Some(counts),
        sip_call_id: Some("abc@host".to_owned()),
        muted: true,
        ..call
    };
    assert_eq!(store.call(sid).await.unwrap(), Some(expected.clone()));

    for late in [ringing, ended(sid, 30), ended(sid, 31)] {
        let done = store.commit(vec![late]).await.unwrap();
        assert!(!done.applied(0));
    }
    assert_eq!(store.call(sid).await.unwrap(), Some(expected));
    store.close().await;
    assert!(matches!(
        store.commit(vec![]).await,
        Err(StoreError::Closed)
    ));
}

pub(crate) async fn an_end_needs_the_owner_and_takes_its_callbacks_along(db: &Database) {
    let store = db.open().await;
    let mine = call(&store, account_sid(1), 1);
    let mut foreign = call(&store, account_sid(1), 2);
    foreign.instance = InstanceSid::from_bytes([9; 16]);
    for (call, first) in [(mine, true), (foreign, false)] {
        let sid = call.sid;
        commit(&store, vec![Change::CallCreated(Box::new(call))]).await;
        let done = store
            .commit(vec![
                ended(sid, 30),
                Change::CallbackQueued(Box::new(callback(sid, 1))),
            ])
            .await
            .unwrap();
        assert_eq!((done.applied(0), done.applied(1)), (first, first));
    }
    let waiting = undelivered(&store, Timestamp(40)).await;
    assert_eq!(waiting.len(), 1);
}

pub(crate) async fn only_the_own_server_of_a_call_may_still_store_its_trace(db: &Database) {
    let store = db.open().await;
    let inspect = Inspect::open(&db.url).await.unwrap();
    let now = store.last_alive().await.unwrap().unwrap();
    let mine = call(&store, account_sid(1), 1);
    let others = CallRecord {
        instance: InstanceSid::from_bytes([9; 16]),
        ..mine.clone()
    };
    for (call, runs) in [(mine, true), (others, false)] {
        assert_eq!(inspect.server_runs(&call, now).await.unwrap(), runs);
    }
}

pub(crate) async fn a_family_is_found_from_each_of_its_legs(db: &Database) {
    let store = db.open().await;
    let leg = |n, parent: Option<&CallRecord>, answered: Option<i64>| CallRecord {
        parent: parent.map(|parent| parent.sid),
        answered: answered.map(Timestamp),
        ..call(&store, account_sid(1), n)
    };
    let first = leg(1, None, None);
    let second = leg(2, Some(&first), Some(20));
    let dialled = leg(3, Some(&second), Some(30));
    let stranger = leg(4, None, Some(40));
    let all = [&first, &second, &dialled, &stranger];
    let created = all.map(|leg| Change::CallCreated(Box::new(leg.clone())));
    commit(&store, created.to_vec()).await;
    let inspect = Inspect::open(&db.url).await.unwrap();
    for leg in [&first, &second, &dialled] {
        let root = inspect.root(leg.sid).await.unwrap();
        assert_eq!(root.map(|root| root.sid), Some(first.sid));
    }
    let below = inspect.descendants(first.sid).await.unwrap();
    let below: Vec<_> = below.iter().map(|leg| leg.sid).collect();
    assert_eq!(below, [second.sid, dialled.sid]);
    let heard = inspect.server_heard(&first).await.unwrap();
    assert_eq!(heard, store.last_alive().await.unwrap());
    for (leg, winner) in [(&first, Some(second.sid)), (&stranger, None)] {
        assert_eq!(store.answered_instead(leg).await.unwrap(), winner);
    }
}

pub(crate) async fn a_refused_commit_harms_no_other(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    store
        .insert_client(client(1, organization, "bob"))
        .await
        .unwrap();
    let twins = (2..30).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            let login = if n % 3 == 0 {
                "bob".to_owned()
            } else {
                format!("c{n}")
            };
            let result = store.insert_client(client(n, organization, &login)).await;
            match result {
                Ok(()) => assert_ne!(n % 3, 0),
                Err(StoreError::Duplicate(what)) => assert_eq!((n % 3, what), (0, "the login")),
                Err(error) => panic!("{error}"),
            }
        })
    });
    for twin in twins.collect::<Vec<_>>() {
        twin.await.unwrap();
    }
    let kept = store.clients(Scope::Own(account_sid(1))).await.unwrap();
    assert_eq!(kept.len(), 1 + 28 - 9);
}

pub(crate) async fn many_commits_at_once_are_all_kept(db: &Database) {
    let store = db.open().await;
    let start = Instant::now();
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let call = call(&store, account_sid(1), n);
                let sid = call.sid;
                commit(&store, vec![Change::CallCreated(Box::new(call))]).await;
                assert!(store.call(sid).await.unwrap().is_some(), "kept at once");
                commit(&store, vec![ended(sid, 99)]).await;
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    let rows = store
        .calls(&CallFilter::of(Scope::Own(account_sid(1))))
        .await
        .unwrap();
    assert_eq!((rows.total, rows.items.len()), (200, 50));
    assert!(rows.items.iter().all(|call| call.status.is_final()));
    assert!(store.open_calls(store.instance()).await.unwrap().is_empty());
}

pub(crate) async fn recordings_notifications_and_traces_come_back(db: &Database) {
    let store = db.open().await;
    let mut first = recording(1, call_sid(1), 14_700);
    commit(&store, vec![Change::Recording(first.clone())]).await;
    first.duration_ms = 15_000;
    let second = recording(2, call_sid(2), 100);
    let one = notification(1, "Failed to *fetch* 100%");
    let two = Notification {
        code: 11_205,
        ..notification(2, "other")
    };
    let blob = vec![0, 255, 7];
    commit(
        &store,
        vec![
            Change::Recording(first.clone()),
            Change::Recording(second.clone()),
            Change::Notification(Box::new(one.clone())),
            Change::Notification(Box::new(two.clone())),
            Change::Trace {
                lane: call_sid(1).into(),
                blob: blob.clone(),
            },
        ],
    )
    .await;
    assert_eq!(
        store.recording(first.sid).await.unwrap(),
        Some(first.clone())
    );
    assert_eq!(store.trace(call_sid(1).into()).await.unwrap(), Some(blob));
    assert_eq!(store.trace(call_sid(2).into()).await.unwrap(), None);
    assert_eq!(
        store.notification(one.sid).await.unwrap(),
        Some(one.clone())
    );

    let all = RecordingFilter::of(Scope::Own(account_sid(1)));
    let longest = RecordingFilter {
        sort: Some(Sort {
            key: RecordingKey::Duration,
            descending: true,
        }),
        ..all.clone()
    };
    let rows = store.recordings(&longest).await.unwrap();
    assert_eq!(
        (rows.total, rows.items),
        (2, vec![first.clone().into(), second.clone().into()])
    );
    let of_call = RecordingFilter {
        call: Some(call_sid(2).to_string()),
        ..all.clone()
    };
    assert_eq!(
        store.recordings(&of_call).await.unwrap().items,
        vec![second.into()]
    );
    assert!(store.delete_recordings(vec![first.sid]).await.unwrap());
    assert!(!store.delete_recordings(vec![first.sid]).await.unwrap());
    assert_eq!(store.recordings(&all).await.unwrap().total, 1);

    let all = NotificationFilter::of(Scope::Own(account_sid(1)));
    let table = [
        (all.clone(), 2),
        (
            NotificationFilter {
                text: Some("FETCH".to_owned()),
                ..all.clone()
            },
            1,
        ),
        (
            NotificationFilter {
                code: Some(11_205),
                ..all.clone()
            },
            1,
        ),
        (
            NotificationFilter {
                request_url: Some("http://a/1".to_owned()),
                ..all.clone()
            },
            2,
        ),
        (
            NotificationFilter {
                request_url: Some("http://a".to_owned()),
                ..all.clone()
            },
            0,
        ),
        (
            NotificationFilter {
                created_until: Some(Timestamp(1)),
                ..all.clone()
            },
            1,
        ),
    ];
    for (filter, total) in table {
        let rows = store.notifications(&filter).await.unwrap();
        assert_eq!(
            (rows.total, rows.items.len() as i64),
            (total, total),
            "{filter:?}"
        );
    }
}

pub(crate) async fn orphans_keep_what_must_be_told(db: &Database) {
    let before = db.open().await;
    let call = call(&before, account_sid(1), 1);
    let (sid, account) = (call.sid, call.account);
    let start = now();
    let farewell = |text: &str| Change::CallFarewell {
        sid,
        farewell: text.to_owned(),
    };
    let started = |n: u8| StartedRecording {
        sid: RecordingSid::from_bytes([n; 16]),
        account,
        call: Some(sid),
        conference: None,
        kind: RecordingKind::default(),
        created: start + Duration::from_secs(u64::from(n)),
    };
    commit(
        &before,
        vec![Change::CallCreated(Box::new(call)), farewell("1")],
    )
    .await;
    let begun = |n: u8| OrphanRecording {
        started: started(n),
        farewell: Some(format!("of {n}")),
    };
    let recordings = (1..=3).map(|n| Change::RecordingStarted {
        started: started(n),
        farewell: begun(n).farewell,
    });
    commit(&before, recordings.chain([farewell("2")]).collect()).await;
    let complete = Change::Recording(Recording {
        sid: started(1).sid,
        account,
        call: Some(sid),
        conference: None,
        kind: RecordingKind::default(),
        duration_ms: 5,
        size_bytes: 6,
        created: Timestamp(1),
        updated: Timestamp(2),
    });
    commit(&before, vec![complete]).await;
    // Its own that a failed task left.
    let mine = before.abandoned_recordings(&[sid.into()]).await.unwrap();
    assert_eq!(mine, [begun(2), begun(3)]);
    let later = now() + Duration::from_secs(60);
    assert_eq!(
        before.started_recordings(later).await.unwrap(),
        [],
        "its own"
    );
    before.close().await;

    let after = db.open().await;
    let orphans = after.orphans(later).await.unwrap();
    assert_eq!(orphans.len(), 1);
    assert_eq!(orphans[0].farewell.as_deref(), Some("2"));
    let left = after.started_recordings(later).await.unwrap();
    assert_eq!(left, [begun(2), begun(3)]);
    // Its end is reported once.
    let told = |event: u8| {
        let tells = EventSid::from_bytes([event; 16]);
        let closed = Change::RecordingClosed {
            sid: started(2).sid,
            tells: Some(tells),
        };
        let callback = Callback {
            event: tells,
            ..callback(sid, 1)
        };
        vec![closed, Change::CallbackQueued(Box::new(callback))]
    };
    commit(&after, told(8)).await;
    commit(&after, told(9)).await;
    let queued = after.undelivered_callbacks(None, 10).await.unwrap();
    let events: Vec<_> = queued.iter().map(|it| it.callback.event).collect();
    assert_eq!(events, [EventSid::from_bytes([8; 16])]);
    let left = after.started_recordings(later).await.unwrap();
    assert_eq!(left, [begun(3)]);
    // Its missing file is searched for during a month.
    let at = start + Duration::from_secs(31 * 24 * 3600);
    let instance = after.instance();
    commit(&after, vec![Change::Alive { instance, at }]).await;
    assert_eq!(after.started_recordings(later).await.unwrap(), []);
}

pub(crate) async fn orphans_are_closed_once(db: &Database) {
    let before = db.open().await;
    let start = now();
    let mut answered = call(&before, account_sid(1), 1);
    let mut unanswered = call(&before, account_sid(1), 2);
    let mut over = call(&before, account_sid(1), 3);
    for call in [&mut answered, &mut unanswered, &mut over] {
        call.created = start;
        call.updated = start;
    }
    let changes = [&answered, &unanswered, &over]
        .map(|call| Change::CallCreated(Box::new(call.clone())))
        .to_vec();
    commit(&before, changes).await;
    let last_alive = start + Duration::from_secs(12);
    commit(
        &before,
        vec![
            Change::CallAnswered {
                sid: answered.sid,
                at: start + Duration::from_secs(2),
                answered_by: None,
                sip_call_id: None,
                ring_duration_s: None,
                dialog: Some("{}".to_owned()),
            },
            ended(over.sid, start.0),
            Change::Alive {
                instance: before.instance(),
                at: last_alive,
            },
        ],
    )
    .await;
    let later = start + Duration::from_secs(60);
    assert!(
        before.close_orphans(later).await.unwrap().is_empty(),
        "its own are no orphans"
    );
    before.close().await;

    let after = db.open().await;
    assert_ne!(after.instance(), before.instance());
    let orphans = after.close_orphans(later).await.unwrap();
    let seen: Vec<_> = orphans
        .iter()
        .map(|orphan| {
            let call = &orphan.record;
            (
                call.sid,
                call.status,
                call.ended,
                call.duration_s,
                orphan.dialog.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (
                answered.sid,
                CallStatus::Completed,
                Some(last_alive),
                Some(10),
                Some("{}")
            ),
            (
                unanswered.sid,
                CallStatus::Failed,
                Some(last_alive),
                Some(0),
                None
            ),
        ]
    );
    for orphan in &orphans {
        let kept = after.call(orphan.record.sid).await.unwrap();
        assert_eq!(kept.as_ref(), Some(&orphan.record));
        assert_eq!(orphan.record.reason.as_deref(), Some("node-lost"));
    }
    assert!(after.close_orphans(later).await.unwrap().is_empty());
    let again = Change::OrphanClosed(Box::new(orphans[0].record.clone()));
    let told = Change::CallbackQueued(Box::new(callback(orphans[0].record.sid, 1)));
    let done = after.commit(vec![again, told]).await.unwrap();
    assert!(!done.applied(0) && !done.applied(1));
}

/// This server was silent for so long that another one closed its call, and took over its callbacks.
pub(crate) async fn a_call_ended_by_another_server_is_lost_for_its_own(db: &Database) {
    let store = db.open().await;
    let [lost, live] = [1, 2].map(|n| call(&store, account_sid(1), n));
    for call in [&lost, &live] {
        commit(&store, vec![Change::CallCreated(Box::new(call.clone()))]).await;
    }
    let orphan = CallRecord {
        status: CallStatus::Failed,
        ended: Some(Timestamp(9)),
        reason: Some("node-lost".to_owned()),
        ..lost.clone()
    };
    commit(&store, vec![Change::OrphanClosed(Box::new(orphan.clone()))]).await;
    let answered = |sid| Change::CallAnswered {
        sid,
        at: Timestamp(20),
        answered_by: None,
        sip_call_id: None,
        ring_duration_s: None,
        dialog: None,
    };
    let muted = |sid| {
        Change::CallUpdated(Box::new(CallUpdate {
            sid,
            at: Timestamp(20),
            muted: Some(true),
            sip_call_id: None,
            answered_by: None,
            dialog: None,
        }))
    };
    let told = |sid| Change::CallbackQueued(Box::new(callback(sid, 3)));
    let of_lost = [
        vec![answered(lost.sid), told(lost.sid)],
        vec![muted(lost.sid), told(lost.sid)],
    ];
    for changes in of_lost {
        let done = store.commit(changes).await.unwrap();
        assert!(!done.applied(0) && !done.applied(1), "{done:?}");
        assert_eq!(
            done.lost().iter().copied().collect::<Vec<_>>(),
            [lost.sid.into()]
        );
    }
    let done = store.commit(vec![answered(live.sid), told(live.sid)]).await;
    let done = done.unwrap();
    assert!(done.all_applied() && done.lost().is_empty(), "{done:?}");
    assert_eq!(store.call(lost.sid).await.unwrap().unwrap(), orphan);
    let both = [lost.sid, live.sid];
    assert_eq!(store.ended_elsewhere(&both).await.unwrap(), [lost.sid]);
    // An end that this server has written is no loss.
    let ended = Change::CallEnded {
        sid: live.sid,
        status: CallStatus::Completed,
        at: Timestamp(30),
        duration_s: Some(1),
        ring_duration_s: None,
        reason: Some("hung-up".to_owned()),
        hangup_by: None,
        sip_status: None,
        sip_reason: None,
    };
    let done = store.commit(vec![ended, muted(live.sid)]).await.unwrap();
    assert!(done.applied(0) && !done.applied(1) && done.lost().is_empty());
    assert_eq!(store.ended_elsewhere(&both).await.unwrap(), [lost.sid]);
}
