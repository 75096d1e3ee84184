//! Cases about how the database finds the rows of a list.

use model::{AccountSid, ConferenceSid, Lane, QueueSid, Timestamp};
use store::{
    AccountFilter, CallFilter, ConferenceFilter, DeliveryFilter, EmailFilter, MessageFilter,
    NotificationFilter, NumberFilter, ParticipantFilter, RecordingFilter, Scope, Store, Window,
};
use testkit::statements::Statements;

use super::values::*;
use super::{Database, raw};

/// Where the rows come from and in which order they are read.
#[derive(Clone, Copy, PartialEq)]
enum Rows {
    /// By an index, in the order of the list.
    InOrder,
    /// The same, by an index of what they belong to rather than of the account.
    OfOne,
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
    lists_of_one(&store).await;
    check(db, &statements, Rows::OfOne).await;
    other_lists(&store).await;
    check(db, &statements, Rows::Sorted).await;
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
    store.numbers(&numbers(scope)).await.unwrap();
    let deliveries = DeliveryFilter {
        scope: Some(scope),
        ..DeliveryFilter::default()
    };
    store.deliveries(&deliveries).await.unwrap();
    let Scope::Own(parent) = scope else { return };
    store.accounts_page(&accounts(parent)).await.unwrap();
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
    assert!(read.len() > 5, "{read:?}");
    for statement in read {
        let steps = raw::plan(&db.url, &statement).await;
        assert!(!steps.is_empty(), "{statement}");
        // Only what a statement makes itself is read whole: the accounts of a tree, parts of a union.
        let whole = |step: &&String| {
            let reads_all = step.starts_with("SCAN ") || step.contains("Seq Scan");
            let of_its_own = step.starts_with("SCAN tree") || step.starts_with("SCAN shown");
            reads_all && !of_its_own && !step.contains(" USING ")
        };
        let found: Vec<_> = steps.iter().filter(whole).collect();
        assert!(found.is_empty(), "{statement}\n{steps:#?}");
        // Not of rows that were created at the same instant.
        let sorts = |step: &String| {
            step == "USE TEMP B-TREE FOR ORDER BY" || step.trim_start_matches("->").trim() == "Sort"
        };
        let is_sorted = steps.iter().any(sorts);
        assert!(
            order == Rows::Sorted || !is_sorted,
            "{statement}\n{steps:#?}"
        );
        // The choice of PostgreSQL depends on what is in the tables.
        if order == Rows::OfOne && db.url.starts_with("sqlite:") {
            let searches = steps.iter().filter(|step| step.starts_with("SEARCH"));
            assert!(
                searches.clone().count() > 0 && searches.clone().all(|step| step.contains("_of_")),
                "{statement}\n{steps:#?}"
            );
        }
    }
}
