//! Text messages: each ends once, and reports that once.

use std::time::Duration;

use model::message_route::Forwarding;
use model::opt_out::OptOut;
use model::record::Message;
use model::{
    MessageDirection, MessageRouteSid, MessageSid, MessageStatus, OptOutSid, Timestamp, error,
};
use store::{Change, MessageFilter, MessageKey, Person, Scope, Sort, Store, parts_taken};
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

/// A message that waits for a route, due at this time.
fn queued(store: &Store, n: u32, due: Timestamp) -> Message {
    Message {
        call: None,
        status: MessageStatus::Queued,
        forwarding: Some(Forwarding {
            expires: due + Duration::from_secs(60),
            due,
            attempts: 0,
            doubts: 0,
            segments: 2,
            route: None,
            provider_id: None,
            price: None,
        }),
        ..message(store, n)
    }
}

fn moved(message: &Message, status: MessageStatus, expected: MessageStatus) -> Change {
    Change::MessageMoved {
        message: Box::new(Message {
            status,
            ..message.clone()
        }),
        expected,
        tells: None,
    }
}

pub(crate) async fn a_queue_is_read_in_order_and_left_once(db: &Database) {
    use MessageStatus::{Delivered, Queued, Sending, Sent};
    let store = db.open().await;
    let start = now();
    let later = start + Duration::from_secs(9);
    let all = [(1, later), (2, start), (3, start)];
    let all = all.map(|(n, due)| queued(&store, n, due));
    let changes = all.iter().map(|message| created(message, Some("{}")));
    store.commit(changes.collect()).await.unwrap();
    let page = store.queued_messages(None, 2).await.unwrap();
    assert_eq!([&page[0].message, &page[1].message], [&all[1], &all[2]]);
    assert_eq!(page[0].farewell.as_deref(), Some("{}"));
    // A text that the record must not show is kept until the message is sent.
    let text = "Your code is 1234.";
    let sealed = store.seal_text(all[1].sid, text);
    assert!(!sealed.windows(4).any(|part| part == b"1234"));
    let unsent = |sealed| Change::MessageUnsent {
        sid: all[1].sid,
        sealed,
    };
    store_all(&store, vec![unsent(sealed)]).await;
    let page = store.queued_messages(None, 2).await.unwrap();
    assert_eq!(page[0].text.as_deref(), Some(text));
    assert_eq!(page[1].text, None);
    let back = [
        moved(&all[1], Sending, Queued),
        moved(&all[1], Queued, Sending),
    ];
    store_all(&store, back.to_vec()).await;
    let page = store.queued_messages(None, 2).await.unwrap();
    assert_eq!(page[0].text.as_deref(), Some(text), "it was tried in vain");
    let sent = [
        moved(&all[1], Sending, Queued),
        moved(&all[1], Sent, Sending),
    ];
    store_all(&store, sent.to_vec()).await;
    let late = store.commit(vec![unsent(vec![1])]).await.unwrap();
    assert!(!late.applied(0), "it has been sent");
    let after = Some((start, all[2].sid));
    let page = store.queued_messages(after, 2).await.unwrap();
    assert_eq!((page.len(), &page[0].message), (1, &all[0]));

    let claim = moved(&all[0], Sending, Queued);
    let committed = store.commit(vec![claim.clone(), claim]).await.unwrap();
    assert!(committed.applied(0) && !committed.applied(1));
    let route = MessageRouteSid::from_bytes(bytes(9));
    let mut changes = vec![moved(&all[0], Sent, Sending)];
    let ids = ["a1".to_owned(), "a2".to_owned()];
    changes.extend(parts_taken(all[0].sid, route, &ids, start));
    assert!(store.commit(changes).await.unwrap().all_applied());
    let names = ["x".to_owned(), "a2".to_owned()];
    let part = store.message_part(route, &names).await.unwrap().unwrap();
    assert_eq!((part.message, part.part, part.state), (all[0].sid, 1, None));
    let done = Change::MessagePartDone {
        part: Box::new(part),
        state: Delivered,
    };
    let committed = store.commit(vec![done.clone(), done]).await.unwrap();
    assert!(committed.applied(0) && !committed.applied(1));
    let (found, parts) = store.forwarded_message(all[0].sid).await.unwrap().unwrap();
    assert_eq!(found.message.status, Sent);
    let states: Vec<_> = parts.iter().map(|part| part.state).collect();
    assert_eq!(states, [None, Some(Delivered)]);
    let other = MessageRouteSid::from_bytes(bytes(8));
    assert_eq!(store.message_part(other, &names).await.unwrap(), None);
}

/// What a dead server was to forward is not ended: a later one takes it over, and counts what may have been
/// sent.
pub(crate) async fn a_queue_outlives_its_server(db: &Database) {
    let store = db.open().await;
    let start = now();
    let first = queued(&store, 1, start);
    let second = queued(&store, 2, start);
    let claim = moved(&second, MessageStatus::Sending, MessageStatus::Queued);
    let changes = vec![created(&first, None), created(&second, None), claim];
    store.commit(changes).await.unwrap();
    store.close().await;
    let store = db.open().await;
    let much_later = start + Duration::from_secs(3_600 * 24 * 365 * 50);
    assert_eq!(store.orphan_messages(much_later).await.unwrap(), []);
    assert_eq!(store.adopt_queued_messages(much_later).await.unwrap(), 2);
    assert_eq!(store.adopt_queued_messages(much_later).await.unwrap(), 0);
    let page = store.queued_messages(None, 9).await.unwrap();
    let doubts = |at: usize| page[at].message.forwarding.as_ref().unwrap().doubts;
    assert_eq!((page.len(), doubts(0), doubts(1)), (2, 0, 1));
}

/// A message that waits for its time: of two servers that send it and a request that cancels it, one is first.
pub(crate) async fn a_scheduled_message_leaves_once(db: &Database) {
    let before = db.open().await;
    let scheduled = |n: u32| Message {
        status: MessageStatus::Scheduled,
        ..message(&before, n)
    };
    let send_at = now() + Duration::from_secs(60);
    let planned = |message: &Message| {
        let plan = Change::MessagePlanned {
            sid: message.sid,
            send_at,
            plan: "{}".to_owned(),
        };
        vec![created(message, None), plan]
    };
    let (sent, canceled) = (scheduled(1), scheduled(2));
    store_all(&before, planned(&sent)).await;
    store_all(&before, planned(&canceled)).await;
    assert_eq!(before.due_messages(now(), 9).await.unwrap(), []);
    before.close().await;

    // It belongs to no server: a later one finds it, and does not take it for abandoned.
    let after = db.open().await;
    let later = send_at + Duration::from_secs(600);
    assert_eq!(after.orphan_messages(later).await.unwrap(), []);
    assert_eq!(after.adopt_queued_messages(later).await.unwrap(), 0);
    let due = after.due_messages(send_at, 9).await.unwrap();
    assert_eq!(due.len(), 2);
    assert_eq!((due[0].send_at, due[0].plan.as_str()), (send_at, "{}"));
    let release = |status: MessageStatus, sequence: i64| {
        let told = callback(sent.lane(), sequence);
        let message = Box::new(Message {
            status,
            instance: after.instance(),
            updated: later,
            ..sent.clone()
        });
        let farewell = Some("kept".to_owned());
        vec![
            Change::MessageReleased { message, farewell },
            Change::CallbackQueued(Box::new(told)),
        ]
    };
    let mut changes = release(MessageStatus::Sending, 1);
    changes.extend(release(MessageStatus::Queued, 2));
    let committed = after.commit(changes).await.unwrap();
    let applied: Vec<bool> = (0..4).map(|at| committed.applied(at)).collect();
    assert_eq!(applied, [true, true, false, false]);
    let cancel = |of: &Message| Change::MessageMoved {
        message: Box::new(Message {
            status: MessageStatus::Canceled,
            ..of.clone()
        }),
        expected: MessageStatus::Scheduled,
        tells: None,
    };
    let committed = after
        .commit(vec![cancel(&sent), cancel(&canceled)])
        .await
        .unwrap();
    assert!(!committed.applied(0) && committed.applied(1));
    assert_eq!(after.due_messages(later, 9).await.unwrap(), []);
    let kept = after.message(sent.sid).await.unwrap().unwrap();
    assert_eq!(
        (kept.status, kept.instance),
        (MessageStatus::Sending, after.instance())
    );
    assert!(after.delete_message(canceled.sid).await.unwrap());
}

pub(crate) async fn opt_outs_are_known_by_any_spelling(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    insert_account(&store, 1, None, organization).await;
    let opt_out = |n: u32, recipient: &str| OptOut {
        sid: OptOutSid::from_bytes(bytes(n)),
        account: account_sid(1),
        number: "+4930123456".to_owned(),
        recipient: recipient.to_owned(),
        keyword: Some("STOP".to_owned()),
        created: now(),
        updated: now(),
    };
    let one = opt_out(1, "+4915112345678");
    let twice = vec![
        Change::OptedOut(Box::new(one.clone())),
        Change::OptedOut(Box::new(opt_out(2, "+4915112345678"))),
    ];
    let committed = store.commit(twice).await.unwrap();
    assert!(committed.applied(0) && !committed.applied(1));
    let is_out =
        async |from: &str, to: &str| store.is_opted_out(account_sid(1), from, to).await.unwrap();
    assert!(is_out("4930123456", "00 49 1511 2345678").await);
    assert!(!is_out("+4930123457", "+4915112345678").await);
    let person = Person {
        account: account_sid(1),
        spellings: vec!["+4915112345678".to_owned(), "4915112345678".to_owned()],
        pseudonym: "person".to_owned(),
    };
    assert_eq!(store.erase_opt_outs(&person).await.unwrap(), 1);
    assert_eq!(store.erase_opt_outs(&person).await.unwrap(), 0);
    let kept = store.opt_out(one.sid).await.unwrap().unwrap();
    assert!(kept.recipient.starts_with("erased:"), "{kept:?}");
    assert!(is_out("+4930123456", "+4915112345678").await);
    // The person says STOP again, and is erased again; then START ends both.
    store_all(
        &store,
        vec![Change::OptedOut(Box::new(opt_out(3, "+4915112345678")))],
    )
    .await;
    assert_eq!(store.erase_opt_outs(&person).await.unwrap(), 1);
    let found = store.opt_outs_between(account_sid(1), "+4930123456", "+4915112345678");
    let found = found.await.unwrap();
    assert_eq!(found, [OptOutSid::from_bytes(bytes(3))]);
    store_all(&store, vec![Change::OptedIn(found)]).await;
    assert!(!is_out("+4930123456", "+4915112345678").await);
}
