//! Text messages: each ends once, and reports that once.

use std::time::Duration;

use model::record::Message;
use model::{MessageDirection, MessageSid, MessageStatus, error};
use store::{Change, MessageFilter, MessageKey, Scope, Sort, Store};
use testkit::records;

use super::Database;
use super::values::*;

fn message(store: &Store, n: u32) -> Message {
    let sid = MessageSid::from_bytes(bytes(n));
    records::message(sid, store.instance(), account_sid(1), call_sid(1), now())
}

fn created(message: &Message, farewell: Option<&str>) -> Change {
    Change::MessageCreated {
        message: Box::new(message.clone()),
        farewell: farewell.map(str::to_owned),
    }
}

/// Its end, with the callback about it.
fn ended(message: &Message, status: MessageStatus, sequence: i64) -> Vec<Change> {
    let told = callback(message.lane(), sequence);
    let message = Message {
        status,
        reason: Some("it said so".to_owned()),
        ..message.clone()
    };
    let over = Change::MessageEnded {
        message: Box::new(message),
        tells: Some(told.event),
    };
    vec![over, Change::CallbackQueued(Box::new(told))]
}

pub(crate) async fn a_message_ends_once_and_tells_so_once(db: &Database) {
    let store = db.open().await;
    let message = message(&store, 1);
    let twice = vec![created(&message, None), created(&message, None)];
    let committed = store.commit(twice).await.unwrap();
    assert!(committed.applied(0) && !committed.applied(1));
    let kept = store.message(message.sid).await.unwrap();
    assert_eq!(kept.as_ref(), Some(&message));
    let mut changes = ended(&message, MessageStatus::Sent, 1);
    changes.extend(ended(&message, MessageStatus::Failed, 2));
    // Callbacks of the same call that report something else are unaffected.
    changes.push(Change::CallbackQueued(Box::new(callback(
        message.lane(),
        3,
    ))));
    let committed = store.commit(changes).await.unwrap();
    let applied: Vec<bool> = (0..5).map(|at| committed.applied(at)).collect();
    assert_eq!(applied, [true, true, false, false, true]);
    let kept = store.message(message.sid).await.unwrap().unwrap();
    assert_eq!(kept.status, MessageStatus::Sent);
    assert_eq!(kept.reason.as_deref(), Some("it said so"));
    let filter = MessageFilter {
        sort: Some(Sort {
            key: MessageKey::Body,
            descending: true,
        }),
        ..MessageFilter::of(Scope::Own(account_sid(1)))
    };
    let rows = store.messages(&filter).await.unwrap();
    assert_eq!((rows.total, rows.items), (1, vec![kept]));
}

pub(crate) async fn messages_on_their_way_are_closed_once_after_a_crash(db: &Database) {
    let before = db.open().await;
    let (open, over) = (message(&before, 1), message(&before, 2));
    let mut changes = vec![created(&open, Some("kept")), created(&over, None)];
    changes.extend(ended(&over, MessageStatus::Sent, 1));
    store_all(&before, changes).await;
    let later = now() + Duration::from_secs(60);
    assert_eq!(before.orphan_messages(later).await.unwrap(), [], "its own");
    before.close().await;

    let after = db.open().await;
    let orphans = after.orphan_messages(later).await.unwrap();
    let [orphan] = orphans.as_slice() else {
        panic!("{orphans:?}");
    };
    assert_eq!(orphan.farewell.as_deref(), Some("kept"));
    let expected = Message {
        status: MessageStatus::Failed,
        error_code: Some(error::MESSAGE_FAILED),
        reason: Some("node-lost".to_owned()),
        updated: later,
        ..open.clone()
    };
    assert_eq!(orphan.record, expected);
    let told = callback(open.lane(), 2);
    let close = || {
        let over = Change::MessageEnded {
            message: Box::new(orphan.record.clone()),
            tells: Some(told.event),
        };
        vec![over, Change::CallbackQueued(Box::new(told.clone()))]
    };
    assert!(after.commit(close()).await.unwrap().all_applied());
    assert_eq!(after.message(open.sid).await.unwrap(), Some(expected));
    assert_eq!(after.orphan_messages(later).await.unwrap(), []);
    let again = after.commit(close()).await.unwrap();
    assert!(!again.applied(0) && !again.applied(1));
    // The callback of the other message moved too, so that one server has all of the call.
    let ours = after.undelivered_callbacks(None, 10).await.unwrap();
    assert_eq!(ours.len(), 2);
}

/// A text that arrived stays open until its document was fetched; the next server takes it over, once.
pub(crate) async fn texts_without_a_document_are_claimed_once(db: &Database) {
    let before = db.open().await;
    let text = |n| Message {
        call: None,
        direction: MessageDirection::Inbound,
        status: MessageStatus::Received,
        ..message(&before, n)
    };
    let (open, read) = (text(1), text(2));
    let over = Change::MessageEnded {
        message: Box::new(read.clone()),
        tells: None,
    };
    let changes = vec![
        created(&open, Some("kept")),
        created(&read, Some("read")),
        over,
    ];
    store_all(&before, changes).await;
    let later = now() + Duration::from_secs(60);
    assert_eq!(before.claim_texts(later).await.unwrap(), [], "its own");
    let usual = before.abandoned_messages(&[open.lane()], later).await;
    assert_eq!(usual.unwrap(), [], "it is not one that was being sent");
    before.close().await;

    let after = db.open().await;
    assert_eq!(after.orphan_messages(later).await.unwrap(), []);
    let claimed = after.claim_texts(later).await.unwrap();
    let [orphan] = claimed.as_slice() else {
        panic!("{claimed:?}");
    };
    assert_eq!(orphan.farewell.as_deref(), Some("kept"));
    let expected = Message {
        instance: after.instance(),
        ..open.clone()
    };
    assert_eq!(orphan.record, expected);
    assert_eq!(
        after.claim_texts(later).await.unwrap(),
        [],
        "claimed already"
    );
    // The server that was taken for dead learns of it before it replies.
    let late = Change::MessageEnded {
        message: Box::new(open.clone()),
        tells: None,
    };
    let late = after.commit(vec![late]).await.unwrap();
    assert!(!late.applied(0) && late.lost().contains(&open.lane()));
    let done = Change::MessageEnded {
        message: Box::new(expected),
        tells: None,
    };
    assert!(after.commit(vec![done]).await.unwrap().all_applied());
}

async fn store_all(store: &Store, changes: Vec<Change>) {
    assert!(store.commit(changes).await.unwrap().all_applied());
}
