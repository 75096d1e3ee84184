//! Cases about how the database finds the rows of a list.

use ::voicemail::State;
use model::available::{NumberKind, NumberSearch};
use model::day::Day;
use model::{AccountSid, CallSid, ConferenceSid, Lane, QueueSid, RecordingSid, Timestamp};
use store::{
    AccountFilter, CallFilter, CallerIdFilter, ConferenceFilter, DeliveryFilter, DeliveryState,
    EmailFilter, Kept, MessageFilter, NotificationFilter, NumberFilter, OldRow, ParticipantFilter,
    Place, RecordingFilter, Scope, Store, TranscriptionFilter, UsageTriggerFilter, VoicemailFilter,
    Window,
};
use testkit::statements::Statements;

use super::values::*;
use super::{Database, mailbox, raw};

/// Where the rows come from and in which order they are read.
#[derive(Clone, Copy, PartialEq)]
enum Rows {
    /// By an index, in the order of the list.
    InOrder,
    /// The same, by an index of what they belong to rather than of the account.
    OfOne,
    /// The same, by an index of what the filter names.
    ByFilter,
    /// By an index of a time, and sorted: they are few.
    ByTime,
    /// By an index, and sorted: they are few, or a filter of the caller asks for it.
    Sorted,
}

/// No list reads a whole table, and in the default order none is sorted.
pub(crate) async fn every_list_is_read_by_an_index(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    insert_account(&store, 1, None, organization).await;
    let statements = Statements::collect();
    for scope in [Scope::Own(account_sid(1)), Scope::Tree(account_sid(1))] {
        let own = matches!(scope, Scope::Own(_));
        let order = if own { Rows::InOrder } else { Rows::Sorted };
        lists_of(&store, scope).await;
        check(db, &statements, order).await;
        filtered_lists_of(&store, scope).await;
        check(db, &statements, Rows::Sorted).await;
    }
    insert_account(&store, 2, Some(1), organization).await;
    let tree = Scope::Tree(account_sid(1));
    let _ = statements.take();
    lists_side_by_side(&store, tree).await;
    // The choice of PostgreSQL depends on what is in the tables.
    if db.url.starts_with("sqlite:") {
        check(db, &statements, Rows::InOrder).await;
    } else {
        let _ = statements.take();
    }
    let own = Scope::Own(account_sid(1));
    lists_by_filter(&store, own).await;
    check(db, &statements, Rows::ByFilter).await;
    lists_by_time(&store, own).await;
    check(db, &statements, Rows::ByTime).await;
    lists_of_one(&store).await;
    check(db, &statements, Rows::OfOne).await;
    other_lists(&store).await;
    check(db, &statements, Rows::Sorted).await;
}

/// What a server looks for again and again, and what is deleted in time, is found by an index of just that.
pub(crate) async fn what_is_due_is_found_by_index(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    insert_account(&store, 1, None, organization).await;
    let service = masking::Service {
        sid: model::MaskServiceSid::from_bytes(bytes(1)),
        account: account_sid(1),
        name: "rides".to_owned(),
        settings: masking::Settings::default(),
        created: Timestamp(1),
        updated: Timestamp(1),
    };
    let at = Timestamp(9);
    let statements = Statements::collect();
    store
        .forget_mask_sessions(Some(&service), at)
        .await
        .unwrap();
    store.forget_mask_sessions(None, at).await.unwrap();
    store.due_messages(at, 10).await.unwrap();
    store.dropped_callbacks().await.unwrap();
    let last = OldRow {
        created: Timestamp(1),
        name: String::new(),
    };
    let account = account_sid(1);
    for after in [None, Some(&last)] {
        store
            .older_than(Kept::Recordings, account, at, after)
            .await
            .unwrap();
    }
    let read = statements.take();
    let indexes = [
        "mask_sessions_old",
        "mask_sessions_old",
        "messages_scheduled",
        "outbox_dropped",
        "recordings_kept",
        "recordings_kept",
    ];
    assert_eq!(read.len(), indexes.len(), "{read:#?}");
    for (statement, index) in read.iter().zip(indexes) {
        assert!(!statement.contains("OFFSET"), "{statement}");
        let steps = raw::plan(&db.url, statement).await;
        let is_used = steps.iter().any(|step| step.contains(index));
        // The choice of PostgreSQL depends on what is in the tables.
        let is_free = !db.url.starts_with("sqlite:");
        assert!(is_used || is_free, "{statement}\n{steps:#?}");
    }
}

/// A filter that matches every row of its index, though it looks as if it matched few: the rows are read in the order of the
/// index, and only as many as are needed.
pub(crate) async fn a_filter_that_matches_all_does_not_sort_them(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    insert_account(&store, 1, None, organization).await;
    let account = account_sid(1);
    let sid = match db.url.starts_with("sqlite:") {
        true => "printf('CA%032x', i)",
        false => "'CA' || lpad(to_hex(i), 32, '0')",
    };
    let fill = format!(
        "WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < 30000) \
         INSERT INTO calls (sid, instance, account, to_user, from_user, status, direction, created, updated, muted) \
         SELECT {sid}, 'ID00000000000000000000000000000001', '{account}', 'bob', '+12025550100', 'completed', 'inbound', i, i, 0 FROM n; ANALYZE"
    );
    raw::run(&db.url, &fill).await;
    let filter = CallFilter {
        from: Some("12025550100".to_owned()),
        window: Window::at(15_000, 50),
        ..CallFilter::of(Scope::Own(account))
    };
    let statements = Statements::collect();
    let found = store.calls(&filter).await.unwrap();
    assert_eq!((found.total, found.items.len()), (30_000, 50));
    let read = statements.take();
    let in_order =
        |text: &&String| text.contains("LIKE") && text.contains(" ORDER BY created DESC");
    let in_order: Vec<_> = read.iter().filter(in_order).collect();
    let [page] = in_order[..] else {
        panic!("{read:#?}");
    };
    // Its positions are read beside, in steps.
    let (_, from) = page.split_once(" FROM ").unwrap();
    let step = format!("SELECT created, sid FROM {from}");
    let account = format!("'{account}'");
    let arguments = [
        &account,
        "'0100'",
        "'%12025550100'",
        "20000",
        "''",
        "50",
        "1000",
    ];
    for statement in [page, &step] {
        let steps = raw::chosen_plan(&db.url, statement, &arguments).await;
        let sorts = |step: &String| step.contains("Sort") || step.contains("TEMP B-TREE");
        assert!(!steps.iter().any(sorts), "{statement}\n{steps:#?}");
        let by_index = |step: &String| step.contains("calls_by_from");
        assert!(steps.iter().any(by_index), "{statement}\n{steps:#?}");
    }
}

/// Lists of several accounts, whose rows need not be sorted.
async fn lists_side_by_side(store: &Store, tree: Scope) {
    let page = Window::at(100, 50);
    let older = Window {
        place: Place::OlderThan(store::RowKey {
            created: Timestamp(9),
            sid: "x".to_owned(),
        }),
        ..Window::default()
    };
    for window in [Window::default(), page, older] {
        let mut calls = CallFilter::of(tree);
        calls.window.clone_from(&window);
        calls.status = vec!["busy".to_owned()];
        store.calls(&calls).await.unwrap();
        let mut messages = MessageFilter::of(tree);
        messages.window.clone_from(&window);
        messages.body = Some("x".to_owned());
        store.messages(&messages).await.unwrap();
        let mut notifications = NotificationFilter::of(tree);
        notifications.window = window;
        store.notifications(&notifications).await.unwrap();
    }
}

/// Every list as it is read without a filter.
async fn lists_of(store: &Store, scope: Scope) {
    let window = Window::default();
    store.calls(&CallFilter::of(scope)).await.unwrap();
    store.messages(&MessageFilter::of(scope)).await.unwrap();
    store.emails(&EmailFilter::of(scope)).await.unwrap();
    let recordings = RecordingFilter::of(scope);
    store.recordings(&recordings).await.unwrap();
    let unfinished = RecordingFilter {
        unfinished: true,
        ..recordings
    };
    store.recordings(&unfinished).await.unwrap();
    let notifications = NotificationFilter::of(scope);
    store.notifications(&notifications).await.unwrap();
    let conferences = ConferenceFilter::of(scope);
    store.conferences(&conferences).await.unwrap();
    store.clients_page(scope, &window).await.unwrap();
    store.clients(scope).await.unwrap();
    store.applications_page(scope, &window).await.unwrap();
    store.queues(scope, &window).await.unwrap();
    store.bin(scope, &window).await.unwrap();
    store.numbers(&numbers(scope)).await.unwrap();
    let deliveries = DeliveryFilter {
        scope: Some(scope),
        ..DeliveryFilter::default()
    };
    store.deliveries(&deliveries).await.unwrap();
    for oldest_first in [true, false] {
        let transcriptions = TranscriptionFilter {
            oldest_first,
            ..transcriptions(scope)
        };
        store.transcriptions(&transcriptions).await.unwrap();
    }
    store.audit_log(scope, &window).await.unwrap();
    let Scope::Own(account) = scope else { return };
    store.accounts_page(&accounts(account)).await.unwrap();
    store.api_keys(account, &window).await.unwrap();
    let caller_ids = caller_ids(account);
    store.caller_ids(&caller_ids).await.unwrap();
    let triggers = UsageTriggerFilter {
        account,
        recurring: None,
        by: None,
        category: None,
        window: window.clone(),
    };
    store.usage_triggers(&triggers).await.unwrap();
    store.geolocations(account).await.unwrap();
    store.watched_triggers(None, 50).await.unwrap();
}

/// Every filter that has an index: the rows are found by it, in the order of the list.
async fn lists_by_filter(store: &Store, scope: Scope) {
    let text = |text: &str| Some(text.to_owned());
    let calls = || CallFilter::of(scope);
    let messages = || MessageFilter::of(scope);
    for exact in [true, false] {
        for party in ["+12025550100", "alice"] {
            let to = CallFilter {
                exact,
                to: text(party),
                ..calls()
            };
            store.calls(&to).await.unwrap();
            let from = CallFilter {
                exact,
                from: text(party),
                ..calls()
            };
            store.calls(&from).await.unwrap();
            let to = MessageFilter {
                exact,
                to: text(party),
                ..messages()
            };
            store.messages(&to).await.unwrap();
            let from = MessageFilter {
                exact,
                from: text(party),
                ..messages()
            };
            store.messages(&from).await.unwrap();
        }
    }
    let status = CallFilter {
        status: vec!["busy".to_owned()],
        ..calls()
    };
    store.calls(&status).await.unwrap();
    let status = MessageFilter {
        status: text("failed"),
        ..messages()
    };
    store.messages(&status).await.unwrap();
    let code = NotificationFilter {
        code: Some(11_200),
        ..NotificationFilter::of(scope)
    };
    store.notifications(&code).await.unwrap();
    let name = ConferenceFilter {
        name: text("room"),
        ..ConferenceFilter::of(scope)
    };
    store.conferences(&name).await.unwrap();
    let status = ConferenceFilter {
        statuses: Some(vec![model::ConferenceStatus::Running]),
        ..ConferenceFilter::of(scope)
    };
    store.conferences(&status).await.unwrap();
    let state = DeliveryFilter {
        scope: Some(scope),
        state: Some(DeliveryState::Dead),
        ..DeliveryFilter::default()
    };
    store.deliveries(&state).await.unwrap();
}

/// Filters by times of which an index has the rows in another order.
async fn lists_by_time(store: &Store, scope: Scope) {
    let (from, until) = (Some(Timestamp(1)), Some(Timestamp(9)));
    let started = CallFilter {
        started_from: from,
        started_until: until,
        ..CallFilter::of(scope)
    };
    store.calls(&started).await.unwrap();
    let mut page = started.clone();
    page.window.place = Place::Newest;
    store.calls(&page).await.unwrap();
    let ended = CallFilter {
        ended_from: from,
        ..CallFilter::of(scope)
    };
    store.calls(&ended).await.unwrap();
    let sent = MessageFilter {
        sent_from: from,
        sent_until: until,
        ..MessageFilter::of(scope)
    };
    store.messages(&sent).await.unwrap();
    let updated = ConferenceFilter {
        updated_from: from,
        ..ConferenceFilter::of(scope)
    };
    store.conferences(&updated).await.unwrap();
}

/// The same with filters for which there is no index of their own.
async fn filtered_lists_of(store: &Store, scope: Scope) {
    let text = || Some("%1".to_owned());
    let from = Some(Timestamp(1));
    let calls = CallFilter {
        to: text(),
        from: text(),
        status: vec!["queued".to_owned()],
        started_from: from,
        ended_until: from,
        ..CallFilter::of(scope)
    };
    store.calls(&calls).await.unwrap();
    let messages = MessageFilter {
        to: text(),
        body: text(),
        status: text(),
        created_from: from,
        ..MessageFilter::of(scope)
    };
    store.messages(&messages).await.unwrap();
    let recordings = RecordingFilter {
        created_from: from,
        unfinished: true,
        ..RecordingFilter::of(scope)
    };
    store.recordings(&recordings).await.unwrap();
    let notifications = NotificationFilter {
        code: Some(1),
        level: Some(0),
        request_url: text(),
        text: text(),
        ..NotificationFilter::of(scope)
    };
    store.notifications(&notifications).await.unwrap();
    let conferences = ConferenceFilter {
        name: text(),
        exact: false,
        statuses: Some(vec![model::ConferenceStatus::Running]),
        ..ConferenceFilter::of(scope)
    };
    store.conferences(&conferences).await.unwrap();
    let numbers = NumberFilter {
        phone_number: text(),
        friendly_name: text(),
        ..numbers(scope)
    };
    store.numbers(&numbers).await.unwrap();
}

/// Lists of a call or a conference.
async fn lists_of_one(store: &Store) {
    let (scope, call) = (Scope::Own(account_sid(1)), call_sid(1));
    let mailbox = mailbox(1);
    for state in [None, Some(State::New)] {
        let of_box = VoicemailFilter {
            mailbox: &mailbox,
            state,
            from: None,
            created_from: None,
            created_until: None,
            window: Window::default(),
        };
        store.voicemails(&of_box).await.unwrap();
    }
    let conference = conference();
    let of_parent = CallFilter {
        parent: Some(call.to_string()),
        ..CallFilter::of(scope)
    };
    store.calls(&of_parent).await.unwrap();
    let of_conference = CallFilter {
        conference: Some(conference.to_string()),
        ..CallFilter::of(scope)
    };
    store.calls(&of_conference).await.unwrap();
    for unfinished in [true, false] {
        let of_call = RecordingFilter {
            call: Some(call.to_string()),
            unfinished,
            ..RecordingFilter::of(scope)
        };
        store.recordings(&of_call).await.unwrap();
        let of_conference = RecordingFilter {
            conference: Some(conference),
            unfinished,
            ..RecordingFilter::of(scope)
        };
        store.recordings(&of_conference).await.unwrap();
    }
    let of_call = NotificationFilter {
        call: Some(call.to_string()),
        ..NotificationFilter::of(scope)
    };
    store.notifications(&of_call).await.unwrap();
}

/// Lists of which no row is far from the others, or that name two kinds of rows.
async fn other_lists(store: &Store) {
    let participants = ParticipantFilter::of(conference());
    store.participants(&participants).await.unwrap();
    let queue = QueueSid::from_bytes([1; 16]);
    store.queue_members(queue).await.unwrap();
    store.queue_sizes(&[queue], Timestamp(1)).await.unwrap();
    let of_lane = DeliveryFilter {
        lane: Some(Lane::from(call_sid(1))),
        ..DeliveryFilter::default()
    };
    store.deliveries(&of_lane).await.unwrap();
    let own = Scope::Own(account_sid(1));
    for scope in [own, Scope::Tree(account_sid(1))] {
        store.usage(scope, Day(1), Day(366)).await.unwrap();
    }
    let search = NumberSearch {
        country: Some("US".to_owned()),
        kind: Some(NumberKind::Local),
        limit: 50,
        ..NumberSearch::default()
    };
    store.inventory(&search).await.unwrap();
    let area = NumberSearch {
        area_code: Some("202".to_owned()),
        ..search
    };
    store.inventory(&area).await.unwrap();
    store.inventory_countries().await.unwrap();
    let of_recording = TranscriptionFilter {
        recording: Some(RecordingSid::from_bytes([1; 16])),
        ..transcriptions(own)
    };
    store.transcriptions(&of_recording).await.unwrap();
    let number = CallerIdFilter {
        phone_number: Some("+12025550100".to_owned()),
        ..caller_ids(account_sid(1))
    };
    store.caller_ids(&number).await.unwrap();
    let of_call = DeliveryFilter {
        call: Some(CallSid::from_bytes([1; 16])),
        ..DeliveryFilter::default()
    };
    store.deliveries(&of_call).await.unwrap();
    store.organizations(None).await.unwrap();
    let active = model::OrganizationStatus::Active;
    store.organizations(Some(active)).await.unwrap();
    let with_parent = AccountFilter {
        itself: true,
        friendly_name: Some("one".to_owned()),
        ..accounts(account_sid(1))
    };
    store.accounts_page(&with_parent).await.unwrap();
}

fn conference() -> ConferenceSid {
    ConferenceSid::from_bytes([1; 16])
}

fn numbers(scope: Scope) -> NumberFilter {
    NumberFilter {
        scope,
        phone_number: None,
        friendly_name: None,
        sort: None,
        window: Window::default(),
    }
}

fn transcriptions(scope: Scope) -> TranscriptionFilter {
    TranscriptionFilter {
        scope,
        recording: None,
        text: None,
        created_from: None,
        created_until: None,
        oldest_first: false,
        window: Window::default(),
    }
}

fn caller_ids(account: AccountSid) -> CallerIdFilter {
    CallerIdFilter {
        account,
        phone_number: None,
        friendly_name: None,
        window: Window::default(),
    }
}

fn accounts(parent: AccountSid) -> AccountFilter {
    AccountFilter {
        parent,
        itself: false,
        friendly_name: None,
        statuses: Vec::new(),
        window: Window::default(),
    }
}

async fn check(db: &Database, statements: &Statements, order: Rows) {
    let read = statements.take();
    assert!(read.len() > 4, "{read:?}");
    for statement in read {
        let steps = raw::plan(&db.url, &statement).await;
        assert!(!steps.is_empty(), "{statement}");
        // Only what a statement makes itself is read whole: the accounts of a tree, parts of a union, rows to count.
        let whole = |step: &&String| {
            let reads_all = step.starts_with("SCAN ") || step.contains("Seq Scan");
            let of_its_own = ["tree", "shown", "found"]
                .iter()
                .any(|name| step.starts_with(&format!("SCAN {name}")));
            reads_all && !of_its_own && !step.contains(" USING ")
        };
        let found: Vec<_> = steps.iter().filter(whole).collect();
        assert!(found.is_empty(), "{statement}\n{steps:#?}");
        // Not of rows that were created at the same instant.
        let sorts = |step: &String| {
            step == "USE TEMP B-TREE FOR ORDER BY" || step.trim_start_matches("->").trim() == "Sort"
        };
        let is_sorted = steps.iter().any(sorts);
        let may_sort = matches!(order, Rows::Sorted | Rows::ByTime);
        assert!(may_sort || !is_sorted, "{statement}\n{steps:#?}");
        let index = match order {
            Rows::InOrder | Rows::Sorted => continue,
            Rows::OfOne => "_of_",
            Rows::ByFilter | Rows::ByTime => "_by_",
        };
        // The choice of PostgreSQL depends on what is in the tables.
        if db.url.starts_with("sqlite:") {
            let searches = steps.iter().filter(|step| step.starts_with("SEARCH"));
            let expected = |step: &&String| step.contains(index) && !step.contains("_by_age");
            assert!(
                searches.clone().count() > 0 && searches.clone().all(|step| expected(&step)),
                "{statement}\n{steps:#?}"
            );
        }
    }
}
