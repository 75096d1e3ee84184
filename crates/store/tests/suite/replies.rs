//! Answers that are kept for requests with a key.

use std::time::Duration;

use model::{AccountSid, Timestamp};
use store::{Claim, RequestKey, Store};

use super::Database;
use super::values::*;

fn key(account: u8, key: &str) -> RequestKey {
    RequestKey {
        account: AccountSid::from_bytes([account; 16]),
        route: "POST /calls".to_owned(),
        key: key.to_owned(),
    }
}

async fn claim(store: &Store, key: RequestKey, fingerprint: &str, at: Timestamp) -> Claim {
    store.claim_key(key, fingerprint, at).await.unwrap()
}

pub(crate) async fn a_key_is_claimed_once_and_its_answer_survives_a_restart(db: &Database) {
    let store = db.open().await;
    let now = now();
    let Claim::First(claimed) = claim(&store, key(1, "k"), "a", now).await else {
        panic!("nobody else has it");
    };
    let later = now + Duration::from_secs(1);
    let unanswered = Claim::Unanswered(now);
    assert_eq!(claim(&store, key(1, "k"), "a", later).await, unanswered);
    assert_eq!(
        claim(&store, key(1, "k"), "b", later).await,
        Claim::Different
    );
    let other = claim(&store, key(2, "k"), "b", later).await;
    assert!(matches!(other, Claim::First(_)), "another account");
    store.keep_reply(&claimed, b"an answer\0").await.unwrap();
    store.close().await;
    let store = db.open().await;
    let answered = Claim::Answered(b"an answer\0".to_vec());
    assert_eq!(claim(&store, key(1, "k"), "a", later).await, answered);
    assert_eq!(
        claim(&store, key(1, "k"), "b", later).await,
        Claim::Different
    );
    // A day later it is a new request.
    let next_day = now + Duration::from_secs(24 * 3600 + 1);
    let Claim::First(second) = claim(&store, key(1, "k"), "b", next_day).await else {
        panic!("it has expired");
    };
    // What the first one does now has no effect.
    store.keep_reply(&claimed, b"late").await.unwrap();
    store.release_key(&claimed).await.unwrap();
    let unanswered = Claim::Unanswered(next_day);
    assert_eq!(claim(&store, key(1, "k"), "b", next_day).await, unanswered);
    store.release_key(&second).await.unwrap();
    let again = claim(&store, key(1, "k"), "c", next_day).await;
    assert!(matches!(again, Claim::First(_)));
}

pub(crate) async fn old_answers_are_forgotten(db: &Database) {
    let store = db.open().await;
    let now = now();
    for (name, age) in [("old", 24 * 3600 + 1), ("young", 60)] {
        let at = now - Duration::from_secs(age);
        claim(&store, key(1, name), "a", at).await;
    }
    store.forget_replies(now).await.unwrap();
    // Asked as of a time when neither would have expired.
    let then = now - Duration::from_secs(60);
    let old = claim(&store, key(1, "old"), "a", then).await;
    assert!(matches!(old, Claim::First(_)));
    let young = claim(&store, key(1, "young"), "a", then).await;
    assert_eq!(young, Claim::Unanswered(then));
}

pub(crate) async fn an_account_keeps_a_limited_number_of_answers(db: &Database) {
    db.open().await.close().await;
    let account = AccountSid::from_bytes([1; 16]);
    let now = now();
    let insert = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20005)
         INSERT INTO replies (account, route, key, fingerprint, claim, created)
         SELECT '{account}', 'POST /calls', 'k' || i, 'a', 'c', {} + i FROM n;",
        now.0
    );
    super::raw::run(&db.url, &insert).await;
    let store = db.open().await;
    store.forget_replies(now).await.unwrap();
    let fifth = claim(&store, key(1, "k5"), "a", now).await;
    assert!(matches!(fifth, Claim::First(_)), "one of the oldest five");
    let sixth = claim(&store, key(1, "k6"), "a", now).await;
    assert_eq!(sixth, Claim::Unanswered(Timestamp(now.0 + 6)));
}
