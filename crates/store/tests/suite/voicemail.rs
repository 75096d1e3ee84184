//! Cases about voicemail boxes.

use std::time::Duration;

use ::voicemail::{Case, Settings, State, Visit, Voicemail, VoicemailBox};
use model::record::Callback;
use model::{EventSid, HttpMethod, Lane, RecordingSid, Timestamp, VoicemailBoxSid};
use store::{Change, DeliveryFilter, Person, StoreError, VoicemailFilter, Window};

use super::Database;
use super::values::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp(1_700_000_000_000_000 + seconds * 1_000_000)
}

pub(crate) fn mailbox(n: u32) -> VoicemailBox {
    VoicemailBox {
        sid: VoicemailBoxSid::from_bytes(bytes(n)),
        account: account_sid(1),
        name: format!("box {n}"),
        client: Some("ann".to_owned()),
        pin: Some("digest".to_owned()),
        settings: Settings {
            email_to: "ann@a.example".to_owned(),
            review: true,
            ..Settings::default()
        },
        created: at(n.into()),
        updated: at(n.into()),
    }
}

fn message(mailbox: &VoicemailBox, n: u32, call: Option<u32>) -> Voicemail {
    let call = call.map(call_sid);
    let visit = Visit::new(call, &format!("+49300{n}"), "1000", Case::Busy);
    let recording = RecordingSid::from_bytes(bytes(n));
    Voicemail::recorded(mailbox, &visit, (recording, 7), at(100 + i64::from(n)))
}

fn callback(n: u32) -> Callback {
    Callback {
        event: EventSid::from_bytes(bytes(n)),
        account: account_sid(1),
        author: account_sid(1),
        lane: Lane::from(account_sid(1)),
        call: None,
        sequence: n.into(),
        url: "https://a.example/new".to_owned(),
        method: HttpMethod::Post,
        params: vec![],
        created: at(0),
    }
}

/// A box comes back as it was; its name is unique in the account, and a row that changed meanwhile is not replaced.
pub(crate) async fn a_voicemail_box_is_kept_as_it_is(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    insert_account(&store, 1, None, organization).await;
    let one = mailbox(1);
    store.insert_voicemail_box(&one).await.unwrap();
    assert_eq!(
        store.voicemail_box(one.sid).await.unwrap(),
        Some(one.clone())
    );
    let mut two = mailbox(2);
    two.name.clone_from(&one.name);
    let refused = store.insert_voicemail_box(&two).await;
    assert!(
        matches!(refused, Err(StoreError::Duplicate(_))),
        "{refused:?}"
    );
    let mut changed = one.clone();
    changed.client = None;
    changed.updated = at(50);
    assert!(
        store
            .update_voicemail_box(&changed, one.updated)
            .await
            .unwrap()
    );
    assert!(!store.update_voicemail_box(&one, one.updated).await.unwrap());
    let listed = store
        .voicemail_boxes(account_sid(1), &Window::all())
        .await
        .unwrap();
    assert_eq!(listed.items, [changed.clone()]);
    assert_eq!(store.all_voicemail_boxes(None).await.unwrap(), [changed]);
    assert!(
        store
            .all_voicemail_boxes(Some(one.sid))
            .await
            .unwrap()
            .is_empty()
    );
}

/// A message is delivered once, with its callback, once its caller is content or gone.
pub(crate) async fn a_voicemail_is_delivered_once(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    insert_account(&store, 1, None, organization).await;
    let mailbox = mailbox(1);
    store.insert_voicemail_box(&mailbox).await.unwrap();
    let mut going_on = call(&store, account_sid(1), 1);
    going_on.ended = None;
    store
        .commit(vec![Change::CallCreated(Box::new(going_on))])
        .await
        .unwrap();
    // One in a call that is not over, one whose call is gone, one that its caller has replaced.
    let (live, gone, replaced) = (
        message(&mailbox, 1, Some(1)),
        message(&mailbox, 2, Some(2)),
        message(&mailbox, 3, Some(1)),
    );
    for one in [&live, &gone, &replaced, &live] {
        let is_new = store.voicemail(one.sid).await.unwrap().is_none();
        assert_eq!(store.keep_voicemail(one).await.unwrap(), is_new);
    }
    store.settle_voicemail(replaced.sid, true).await.unwrap();
    let due = store.voicemails_to_deliver().await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0], gone);
    store.settle_voicemail(live.sid, false).await.unwrap();
    store.settle_voicemail(replaced.sid, false).await.unwrap();
    let due = store.voicemails_to_deliver().await.unwrap();
    assert_eq!(
        due.iter().map(|one| one.sid).collect::<Vec<_>>(),
        [live.sid, gone.sid]
    );
    for (n, one) in due.into_iter().enumerate() {
        let delivered = one.delivered(&mailbox.settings, at(200));
        let told = callback(10 + u32::try_from(n).unwrap());
        assert!(
            store
                .deliver_voicemail(&delivered, Some(&told))
                .await
                .unwrap()
        );
        let again = callback(20);
        assert!(
            !store
                .deliver_voicemail(&delivered, Some(&again))
                .await
                .unwrap()
        );
    }
    assert!(store.voicemails_to_deliver().await.unwrap().is_empty());
    let counted = store.voicemail_counts(&[mailbox.sid]).await.unwrap();
    assert_eq!(counted, [(mailbox.sid, State::New, 2)]);
    let told = store.deliveries(&DeliveryFilter::default()).await.unwrap();
    assert_eq!(told.items.len(), 2);
    // The recording of the replaced one goes.
    let left = store.voicemails_to_clear().await.unwrap();
    assert_eq!(
        left.iter().map(|one| one.sid).collect::<Vec<_>>(),
        [replaced.sid]
    );
    store.clear_voicemail(replaced.sid).await.unwrap();
    assert!(store.voicemails_to_clear().await.unwrap().is_empty());
    // They are mailed when they are due, and say so once.
    assert!(store.voicemails_to_mail(at(199)).await.unwrap().is_empty());
    let due = store.voicemails_to_mail(at(200)).await.unwrap();
    assert_eq!(due.len(), 2);
    store
        .voicemail_is_mailed(live.sid, Some(live.email_sid()))
        .await
        .unwrap();
    store.voicemail_is_mailed(gone.sid, None).await.unwrap();
    assert!(store.voicemails_to_mail(at(900)).await.unwrap().is_empty());
    let mailed = store.voicemail(live.sid).await.unwrap().unwrap();
    assert_eq!(
        (mailed.email, mailed.mail_due),
        (Some(live.email_sid()), None)
    );
    assert!(store.voicemails_to_delete().await.unwrap().is_empty());
}

/// Messages are heard from the oldest on, filtered, transcribed, erased and deleted.
pub(crate) async fn voicemails_are_found_in_order(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    insert_account(&store, 1, None, organization).await;
    let mailbox = mailbox(1);
    store.insert_voicemail_box(&mailbox).await.unwrap();
    let mut kept = Vec::new();
    for n in 1..=5 {
        let mut one = message(&mailbox, n, None).delivered(&Settings::default(), at(300));
        one.to_transcribe = n == 1;
        if n == 4 {
            one.state = State::Heard;
        }
        store.keep_voicemail(&one).await.unwrap();
        kept.push(one);
    }
    let mut heard = Vec::new();
    let mut last: Option<Voicemail> = None;
    while let Some(next) = store
        .next_voicemail(mailbox.sid, State::New, last.as_ref())
        .await
        .unwrap()
    {
        heard.push(next.from.clone());
        last = Some(next);
    }
    assert_eq!(heard, ["+493001", "+493002", "+493003", "+493005"]);
    let mut filter = VoicemailFilter {
        mailbox: &mailbox,
        state: None,
        from: None,
        created_from: None,
        created_until: None,
        window: Window::all(),
    };
    assert_eq!(store.voicemails(&filter).await.unwrap().items.len(), 5);
    filter.state = Some(State::Heard);
    assert_eq!(
        store.voicemails(&filter).await.unwrap().items,
        [kept[3].clone()]
    );
    filter.state = None;
    filter.from = Some("+493002".to_owned());
    assert_eq!(
        store.voicemails(&filter).await.unwrap().items,
        [kept[1].clone()]
    );
    filter.from = None;
    filter.created_from = Some(at(104));
    filter.created_until = Some(at(104));
    assert_eq!(
        store.voicemails(&filter).await.unwrap().items,
        [kept[3].clone()]
    );
    // A transcript is stored once.
    let due = store.voicemails_to_transcribe().await.unwrap();
    assert_eq!(due.len(), 1);
    let now = at(400);
    for (text, is_first) in [("call me", true), ("again", false)] {
        let told = callback(30);
        let stored = store.transcribe_voicemail(due[0].sid, Some(text), Some(&told), now);
        assert_eq!(stored.await.unwrap(), is_first, "{text}");
    }
    let one = store.voicemail(due[0].sid).await.unwrap().unwrap();
    assert_eq!(one.transcript.as_deref(), Some("call me"));
    // A person is erased, but not from a message that is to be mailed.
    let mut waiting = message(&mailbox, 1, None).delivered(&mailbox.settings, at(500));
    waiting.sid = Voicemail::sid_of(RecordingSid::from_bytes(bytes(77)));
    store.keep_voicemail(&waiting).await.unwrap();
    let person = Person {
        account: account_sid(1),
        spellings: vec!["+493001".to_owned()],
        pseudonym: "erased:1".to_owned(),
    };
    assert_eq!(store.erase_voicemails(&person).await.unwrap(), [1, 1]);
    let one = store.voicemail(one.sid).await.unwrap().unwrap();
    assert_eq!((one.from.as_str(), one.transcript), ("erased:1", None));
    // What is old goes, and the box with the rest.
    let old = store.voicemails_before(&mailbox, at(103)).await.unwrap();
    assert_eq!(old.len(), 3);
    assert!(store.delete_voicemail(old[0].sid).await.unwrap());
    assert!(!store.delete_voicemail(old[0].sid).await.unwrap());
    assert!(store.stray_voicemails().await.unwrap().is_empty());
    store.delete_voicemail_box(mailbox.sid).await.unwrap();
    let strays = store.stray_voicemails().await.unwrap();
    assert_eq!(strays, store.voicemails_of(&mailbox).await.unwrap());
    for stray in strays {
        store.delete_voicemail(stray.sid).await.unwrap();
    }
    store.keep_unmailed_voicemails().await.unwrap();
    let soon = at(500) + Duration::from_secs(9);
    assert!(
        store
            .voicemails_before(&mailbox, soon)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.voicemail_box(mailbox.sid).await.unwrap(), None);
}
