//! Cases about what was deleted and can be restored.

use std::time::Duration;

use model::available::NumberSearch;
use model::record::Transcription;
use model::{Timestamp, TranscriptionSid, TranscriptionStatus};
use store::{Change, DiscardedKind, Inspect, NumberOrder, Scope, StoreError, Window};

use super::Database;
use super::values::*;

/// Moves rows to the bin and back; nothing is different afterwards.
pub(crate) async fn what_is_restored_is_as_it_was(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    insert_account(&store, 1, None, organization).await;
    let owner = Scope::Own(account_sid(1));
    let number = number(1, organization, "+12025550100");
    store.insert_number(number.clone()).await.unwrap();
    let recording = recording(1, call_sid(1), 14_700);
    let text = Transcription {
        sid: TranscriptionSid::from_bytes([1; 16]),
        account: account_sid(1),
        recording: recording.sid,
        status: TranscriptionStatus::Completed,
        duration_s: None,
        text: Some("é '\" $1".to_owned()),
        created: Timestamp(1),
        updated: Timestamp(2),
    };
    let made = vec![
        Change::Recording(recording.clone()),
        Change::Transcription(Box::new(text.clone())),
    ];
    commit(&store, made).await;
    let listed = async || {
        let filter = store::RecordingFilter::of(owner);
        store.recordings(&filter).await.unwrap().total
    };
    assert_eq!(listed().await, 1);
    let rows = [
        (DiscardedKind::Number, number.sid.to_string()),
        (DiscardedKind::Recording, recording.sid.to_string()),
    ];
    for (at, (kind, sid)) in (10..).zip(&rows) {
        assert!(store.discard(*kind, sid, Timestamp(at)).await.unwrap());
        assert!(!store.discard(*kind, sid, Timestamp(at)).await.unwrap());
    }
    // Nothing else sees them, and the look-ups of calls neither.
    assert!(store.number(number.sid).await.unwrap().is_none());
    let spelt = [number.phone_number.clone()];
    let found = store.number_candidates(None, &spelt).await.unwrap();
    assert!(found.exact.is_empty());
    assert!(store.recording(recording.sid).await.unwrap().is_none());
    assert!(store.transcription(text.sid).await.unwrap().is_none());
    assert_eq!(listed().await, 0);
    let bin = store.bin(owner, &Window::all()).await.unwrap();
    let shown: Vec<_> = bin
        .items
        .iter()
        .map(|item| (item.kind, &item.sid))
        .collect();
    assert_eq!(shown, [(rows[1].0, &rows[1].1), (rows[0].0, &rows[0].1)]);
    assert_eq!(bin.items[1].name, "+12025550100");

    for (_, sid) in &rows {
        assert!(store.restore(sid).await.unwrap());
        assert!(!store.restore(sid).await.unwrap());
    }
    assert_eq!(store.number(number.sid).await.unwrap(), Some(number));
    let found = store.number_candidates(None, &spelt).await.unwrap();
    assert_eq!(found.exact.len(), 1);
    assert_eq!(
        store.recording(recording.sid).await.unwrap(),
        Some(recording)
    );
    assert_eq!(store.transcription(text.sid).await.unwrap(), Some(text));
    assert_eq!(listed().await, 1);
    assert_eq!(store.bin(owner, &Window::all()).await.unwrap().total, 0);
}

/// A name in the bin is free; whoever takes it keeps it.
pub(crate) async fn a_number_in_the_bin_can_be_taken(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    for n in [1, 2] {
        insert_account(&store, n, None, organization).await;
    }
    let own = number(1, organization, "9966");
    let sid = own.sid.to_string();
    store.insert_number(own).await.unwrap();
    assert!(
        store
            .discard(DiscardedKind::Number, &sid, Timestamp(1))
            .await
            .unwrap()
    );
    let of_another = model::record::Number {
        account: account_sid(2),
        ..number(2, organization, "9966")
    };
    store.insert_number(of_another.clone()).await.unwrap();
    let refused = store.restore(&sid).await;
    let is_taken = matches!(
        refused,
        Err(StoreError::Taken(_) | StoreError::Duplicate(_))
    );
    assert!(is_taken, "{refused:?}");
    assert!(store.discarded(&sid).await.unwrap().is_some());
    let other = of_another.sid.to_string();
    assert!(
        store
            .discard(DiscardedKind::Number, &other, Timestamp(2))
            .await
            .unwrap()
    );
    assert!(store.restore(&sid).await.unwrap());
}

/// A number returns to the organization where its account is by then.
pub(crate) async fn a_number_in_the_bin_moves_with_its_account(db: &Database) {
    let store = db.open().await;
    let one = organization(&store, 1, "one.example").await;
    let two = organization(&store, 2, "two.example").await;
    let three = organization(&store, 3, "three.example").await;
    insert_account(&store, 1, None, one).await;
    let extension = number(1, one, "1001");
    store.insert_number(extension.clone()).await.unwrap();
    let sid = extension.sid.to_string();
    let bin = DiscardedKind::Number;
    assert!(store.discard(bin, &sid, Timestamp(1)).await.unwrap());
    store
        .move_accounts(account_sid(1), two, Timestamp(2))
        .await
        .unwrap();
    assert!(store.restore(&sid).await.unwrap());
    let organization = async || {
        let found = store.number(extension.sid).await.unwrap();
        found.unwrap().organization
    };
    assert_eq!(organization().await, two);
    // Numbers can also be moved without their account.
    assert!(store.discard(bin, &sid, Timestamp(3)).await.unwrap());
    store
        .move_numbers(account_sid(1), three, Timestamp(4))
        .await
        .unwrap();
    assert!(store.restore(&sid).await.unwrap());
    assert_eq!(organization().await, three);
}

/// The carrier gets a number back, and others can buy one of the inventory, once it has left the bin.
pub(crate) async fn a_bought_number_is_released_when_it_leaves_the_bin(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    insert_account(&store, 1, None, organization).await;
    let at = Timestamp(1_700_000_000_000_000);
    let bought = number(1, organization, "+15015550100");
    let order = NumberOrder {
        phone_number: bought.phone_number.clone(),
        number: bought.sid,
        account: bought.account,
    };
    let inspect = Inspect::open(&db.url).await.unwrap();
    let for_sale = super::numbers::available(&bought.phone_number, None);
    inspect.import_numbers(&[for_sale], false).await.unwrap();
    let search = NumberSearch {
        limit: 10,
        ..NumberSearch::default()
    };
    let is_free = async || !store.inventory(&search).await.unwrap().is_empty();
    assert!(is_free().await);
    assert!(store.begin_order(&order, at).await.unwrap());
    assert!(store.insert_ordered_number(bought.clone()).await.unwrap());
    let sid = bought.sid.to_string();
    let later = at + Duration::from_secs(3600);
    for _ in 0..2 {
        assert!(
            store
                .discard(DiscardedKind::Number, &sid, at)
                .await
                .unwrap()
        );
        assert!(!is_free().await && store.is_reserved("15015550100").await.unwrap());
        assert_eq!(store.claim_releases(later).await.unwrap(), []);
        let found = store.discarded_number(account_sid(1), &bought.phone_number);
        assert_eq!(found.await.unwrap().unwrap().sid, sid);
        assert!(store.restore(&sid).await.unwrap());
        // Whoever wanted to delete it for good comes too late.
        assert!(!store.forget_discarded(&sid).await.unwrap());
        assert_eq!(store.claim_releases(later).await.unwrap(), []);
    }
    assert!(
        store
            .discard(DiscardedKind::Number, &sid, at)
            .await
            .unwrap()
    );
    let kind = DiscardedKind::Number;
    assert_eq!(store.discarded_before(kind, at, None).await.unwrap(), []);
    let page = store.discarded_before(kind, later, None).await.unwrap();
    assert_eq!(page.len(), 1);
    let next = store
        .discarded_before(kind, later, page.last())
        .await
        .unwrap();
    assert_eq!(next, []);
    assert!(store.forget_discarded(&sid).await.unwrap());
    assert!(!store.forget_discarded(&sid).await.unwrap());
    assert!(is_free().await);
    assert_eq!(store.claim_releases(later).await.unwrap(), [order]);
}
