//! Cases about verifications.

use std::time::Duration;

use model::{
    Timestamp, VerificationSid, VerifyAttemptSid, VerifyBucketSid, VerifyLimitSid, VerifySafeSid,
    VerifyServiceSid,
};
use store::{AttemptCounts, AttemptFilter, Hit, NewCode, SendTo, Store, StoreError, Window};
use verify::{
    Attempt, Bucket, Channel, RateLimit, SafeNumber, Service, Settings, Status, Verification,
};

use super::Database;
use super::values::*;

pub(crate) const TO: &str = "+4915112345678";

fn seconds(n: i64) -> Timestamp {
    Timestamp(1_700_000_000_000_000 + n * 1_000_000)
}

pub(crate) fn service(n: u32, settings: Settings) -> Service {
    Service {
        sid: VerifyServiceSid::from_bytes(bytes(n)),
        account: account_sid(1),
        name: "Shop".to_owned(),
        settings,
        created: seconds(i64::from(n)),
        updated: seconds(i64::from(n)),
    }
}

/// The `n`th code of a test, as the first one of a verification.
pub(crate) fn code(service: &Service, n: u32, to: &str, at: Timestamp) -> NewCode {
    let sid = VerificationSid::from_bytes(bytes(n));
    let verification = Verification {
        sid,
        account: service.account,
        service: service.sid,
        to: to.to_owned(),
        channel: Channel::Sms,
        status: Status::Pending,
        digest: format!("digest {n}"),
        sends: 1,
        checks: 0,
        max_checks: 3,
        expires: at + Duration::from_secs(600),
        created: at,
        updated: at,
    };
    let attempt = Attempt {
        sid: VerifyAttemptSid::from_bytes(bytes(n)),
        account: service.account,
        service: service.sid,
        verification: sid,
        to: to.to_owned(),
        channel: Channel::Sms,
        network: Some("192.0.2.0/24".to_owned()),
        is_confirmed: false,
        created: at,
        updated: at,
    };
    NewCode {
        settings: service.settings.clone(),
        is_safe: false,
        today: 0,
        verification,
        before: None,
        attempt,
        hits: Vec::new(),
    }
}

/// The `n`th code, as another one of the verification of an earlier one.
fn another(first: &NewCode, n: u32, at: Timestamp) -> NewCode {
    let before = first.verification.clone();
    let next = NewCode {
        verification: Verification {
            channel: Channel::Call,
            digest: format!("digest {n}"),
            sends: before.sends + 1,
            updated: at,
            ..before.clone()
        },
        before: Some(before),
        ..first.clone()
    };
    NewCode {
        attempt: Attempt {
            sid: VerifyAttemptSid::from_bytes(bytes(n)),
            channel: Channel::Call,
            created: at,
            updated: at,
            ..first.attempt.clone()
        },
        ..next
    }
}

pub(crate) fn bucket(n: u32, max: i64) -> Bucket {
    Bucket {
        sid: VerifyBucketSid::from_bytes(bytes(n)),
        account: account_sid(1),
        limit: VerifyLimitSid::from_bytes(bytes(1)),
        max,
        period_s: 3_600,
        created: seconds(0),
        updated: seconds(0),
    }
}

fn all() -> AttemptFilter {
    AttemptFilter {
        account: account_sid(1),
        service: None,
        to: None,
        from: None,
        until: None,
        window: Window::all(),
    }
}

async fn found(store: &Store, one: &NewCode) -> Verification {
    let found = store.verification(one.verification.sid).await.unwrap();
    found.unwrap()
}

pub(crate) async fn a_verification_ends_once(db: &Database) {
    let store = db.open().await;
    let settings = Settings {
        resend_s: 30,
        ..Settings::default()
    };
    let service = service(1, settings);
    store.insert_verify_service(service.clone()).await.unwrap();
    let read = store.verify_service(service.sid).await.unwrap();
    assert_eq!(read.as_ref(), Some(&service));

    let first = code(&service, 1, TO, seconds(0));
    assert!(store.record_code(&first).await.unwrap());
    let pending = store.pending_verification(service.sid, TO).await.unwrap();
    assert_eq!(pending.as_ref(), Some(&first.verification));
    // Neither too soon nor beside the one that is pending.
    let soon = another(&first, 2, seconds(29));
    assert!(!store.record_code(&soon).await.unwrap());
    let beside = code(&service, 3, TO, seconds(31));
    assert!(!store.record_code(&beside).await.unwrap());
    let second = another(&first, 4, seconds(31));
    assert!(store.record_code(&second).await.unwrap());
    assert_eq!(found(&store, &first).await, second.verification);

    // Guesses are counted up to the limit, which a code does not lift.
    let sid = first.verification.sid;
    for counted in [true, true, true, false] {
        let guess = store.count_guess(sid, seconds(40)).await;
        assert_eq!(guess.unwrap(), counted);
    }
    let late = another(&second, 5, seconds(70));
    assert!(!store.record_code(&late).await.unwrap());
    let fresh = code(&service, 6, TO, seconds(70));
    assert!(!store.record_code(&fresh).await.unwrap());
    // When it has expired, another one takes its place.
    let fresh = code(&service, 7, TO, seconds(601));
    assert!(store.record_code(&fresh).await.unwrap());
    assert_eq!(found(&store, &first).await.status, Status::TooManyChecks);
    let sid = fresh.verification.sid;
    for (status, ends) in [(Status::Approved, true), (Status::Canceled, false)] {
        let ended = store.end_verification(sid, status, seconds(610)).await;
        assert_eq!(ended.unwrap(), ends);
    }
    assert_eq!(found(&store, &fresh).await.status, Status::Approved);
    assert!(!store.count_guess(sid, seconds(611)).await.unwrap());
    let of_recipient = store.pending_verification(service.sid, TO).await.unwrap();
    assert_eq!(of_recipient, None);

    let sent = store.verify_attempts(&all()).await.unwrap();
    let confirmed = [(fresh, true), (second, false), (first, false)];
    for (attempt, (code, is_confirmed)) in sent.items.iter().zip(&confirmed) {
        let found = (attempt.sid, attempt.is_confirmed);
        assert_eq!(found, (code.attempt.sid, *is_confirmed));
    }
    let counts = AttemptCounts {
        sent: 3,
        confirmed: 1,
    };
    assert_eq!(store.count_attempts(&all()).await.unwrap(), counts);
    // As seen for the next one: two of the block could have been confirmed, and one of all was.
    let of = SendTo {
        service: service.sid,
        to: "+4915112340000",
        network: Some("192.0.2.0/24"),
    };
    let seen = store.seen_codes(&of, seconds(620)).await.unwrap();
    let block = (seen.block.sent, seen.block.settled, seen.block.confirmed);
    assert_eq!((block, seen.from_network, seen.today), ((3, 2, 1), 3, 3));
    assert_eq!((seen.to_recipient, seen.since_last), (0, None));
    let to = SendTo {
        to: TO,
        network: None,
        ..of
    };
    let seen = store.seen_codes(&to, seconds(630)).await.unwrap();
    let last = Some(Duration::from_secs(29));
    assert_eq!((seen.to_recipient, seen.since_last), (2, last));
    assert_eq!(seen.from_network, 0);
}

pub(crate) async fn a_code_is_taken_back(db: &Database) {
    let store = db.open().await;
    let settings = Settings {
        resend_s: 0,
        ..Settings::default()
    };
    let service = service(1, settings);
    let hit = |at| vec![store.hit(&bucket(1, 1), "a", at)];
    let first = NewCode {
        hits: hit(seconds(0)),
        ..code(&service, 1, TO, seconds(0))
    };
    assert!(store.record_code(&first).await.unwrap());
    assert!(store.is_full(&first.hits[0]).await.unwrap());
    // A full bucket refuses, and counts nothing.
    let second = another(&first, 2, seconds(1));
    assert!(!store.record_code(&second).await.unwrap());
    let second = NewCode {
        hits: vec![store.hit(&bucket(2, 1), "a", seconds(1))],
        ..second
    };
    assert!(store.record_code(&second).await.unwrap());
    store.revoke_code(&second).await.unwrap();
    let restored = found(&store, &first).await;
    let as_before = Verification {
        updated: restored.updated,
        ..first.verification.clone()
    };
    assert_eq!(restored, as_before);
    assert!(!store.is_full(&second.hits[0]).await.unwrap());
    assert_eq!(store.verify_attempts(&all()).await.unwrap().total, 1);
    store.revoke_code(&second).await.unwrap(); // Once is enough.
    assert_eq!(found(&store, &first).await.sends, 1);
    // Without the only one, the verification has failed.
    store.revoke_code(&first).await.unwrap();
    assert_eq!(found(&store, &first).await.status, Status::Failed);
    assert!(!store.is_full(&first.hits[0]).await.unwrap());
    let pending = store.pending_verification(service.sid, TO).await.unwrap();
    assert_eq!(pending, None);
    let again = code(&service, 3, TO, seconds(2));
    assert!(store.record_code(&again).await.unwrap());
}

/// How many of these codes are recorded if they are requested at the same moment, of these servers in turn.
pub(crate) async fn recorded_at_once(stores: &[&Store], codes: Vec<NewCode>) -> usize {
    let tasks: Vec<_> = codes
        .into_iter()
        .enumerate()
        .map(|(n, code)| {
            let store = stores[n % stores.len()].clone();
            tokio::spawn(async move { store.record_code(&code).await.unwrap() })
        })
        .collect();
    let mut recorded = 0;
    for task in tasks {
        recorded += usize::from(task.await.unwrap());
    }
    recorded
}

/// Codes that are requested at the same moment, and how many of them each limit allows.
pub(crate) async fn limits_hold_for(stores: &[&Store]) {
    let settings = Settings {
        resend_s: 0,
        ..Settings::default()
    };
    let unwatched = Settings {
        watch_percent: 0,
        ..settings.clone()
    };
    let table = [
        (settings.clone(), 30),
        (
            Settings {
                block_limit: 7,
                ..unwatched.clone()
            },
            7,
        ),
        (
            Settings {
                network_limit: 8,
                ..unwatched.clone()
            },
            8,
        ),
        (
            Settings {
                daily_limit: 9,
                ..unwatched.clone()
            },
            9,
        ),
    ];
    for (n, (settings, allowed)) in (1..).zip(table) {
        let service = service(n, settings);
        let code = |k: u32| {
            let to = format!("+491511234{k:04}");
            code(&service, n * 1_000 + k, &to, now())
        };
        let recorded = recorded_at_once(stores, (0..60).map(code).collect()).await;
        assert_eq!(recorded, allowed, "{:?}", service.settings);
    }
    // One recipient: one verification, and then as many codes as it may get.
    let service = service(9, settings);
    let first: Vec<_> = (0..20)
        .map(|k| code(&service, 9_000 + k, TO, now()))
        .collect();
    assert_eq!(recorded_at_once(stores, first).await, 1);
    let pending = stores[0].pending_verification(service.sid, TO).await;
    let pending = NewCode {
        verification: pending.unwrap().unwrap(),
        ..code(&service, 9_100, TO, now())
    };
    let more = (0..20).map(|k| {
        let next = another(&pending, 9_200 + k, now());
        let attempt = Attempt {
            verification: pending.verification.sid,
            ..next.attempt
        };
        NewCode { attempt, ..next }
    });
    assert_eq!(recorded_at_once(stores, more.collect()).await, 4);
    // A value of the application.
    let hit: Hit = stores[0].hit(&bucket(1, 5), "value", now());
    let counted = |k: u32| NewCode {
        hits: vec![hit.clone()],
        ..code(&service, 9_400 + k, &format!("+1202{k:03}0000"), now())
    };
    let recorded = recorded_at_once(stores, (0..20).map(counted).collect()).await;
    assert_eq!(recorded, 5);
}

pub(crate) async fn codes_requested_together_are_no_more_than_the_limits(db: &Database) {
    limits_hold_for(&[&db.open().await]).await;
}

pub(crate) async fn guesses_made_together_are_no_more_than_the_limit(db: &Database) {
    let store = db.open().await;
    let service = service(1, Settings::default());
    let one = code(&service, 1, TO, now());
    assert!(store.record_code(&one).await.unwrap());
    let sid = one.verification.sid;
    let guesses: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.count_guess(sid, now()).await.unwrap() })
        })
        .collect();
    let mut counted = 0;
    for guess in guesses {
        counted += i64::from(guess.await.unwrap());
    }
    assert_eq!(counted, one.verification.max_checks);
}

pub(crate) async fn a_service_of_a_name_is_made_once(db: &Database) {
    let store = db.open().await;
    let tasks: Vec<_> = (1..20)
        .map(|n| {
            let store = store.clone();
            let service = service(n, Settings::default());
            tokio::spawn(async move { store.verify_service_or_insert(service).await })
        })
        .collect();
    let mut sids = std::collections::BTreeSet::new();
    for task in tasks {
        sids.insert(task.await.unwrap().unwrap().unwrap().sid);
    }
    assert_eq!(sids.len(), 1);
    let list = store.verify_services(account_sid(1), &Window::all()).await;
    assert_eq!(list.unwrap().total, 1);
}

pub(crate) async fn limits_of_a_service_and_safe_numbers_come_back(db: &Database) {
    let store = db.open().await;
    let service = service(1, Settings::default());
    store.insert_verify_service(service.clone()).await.unwrap();
    let limit = RateLimit {
        sid: VerifyLimitSid::from_bytes(bytes(1)),
        account: service.account,
        service: service.sid,
        name: "end_user_ip".to_owned(),
        description: String::new(),
        created: seconds(1),
        updated: seconds(1),
    };
    store.insert_verify_limit(limit.clone()).await.unwrap();
    let twin = RateLimit {
        sid: VerifyLimitSid::from_bytes(bytes(2)),
        ..limit.clone()
    };
    let refused = store.insert_verify_limit(twin).await;
    assert!(
        matches!(refused, Err(StoreError::Duplicate(_))),
        "{refused:?}"
    );
    let named = store.verify_limit_of_name(service.sid, "end_user_ip").await;
    assert_eq!(named.unwrap().as_ref(), Some(&limit));
    let mut bucket = bucket(1, 5);
    store.insert_verify_bucket(bucket.clone()).await.unwrap();
    let read = bucket.updated;
    (bucket.max, bucket.updated) = (6, seconds(2));
    for changed in [true, false] {
        let update = store.update_verify_bucket(bucket.clone(), read).await;
        assert_eq!(update.unwrap(), changed);
    }
    let buckets = store.verify_buckets(&limit, &Window::all()).await.unwrap();
    assert_eq!(buckets.items, std::slice::from_ref(&bucket));
    let safe = SafeNumber {
        sid: VerifySafeSid::from_bytes(bytes(1)),
        account: service.account,
        phone_number: TO.to_owned(),
        created: seconds(1),
    };
    store.insert_safe_number(safe.clone()).await.unwrap();
    let found = store.safe_number(service.account, TO).await.unwrap();
    assert_eq!(found.as_ref(), Some(&safe));
    store.delete_safe_number(safe.sid).await.unwrap();
    assert_eq!(store.safe_number(service.account, TO).await.unwrap(), None);
    store.delete_verify_service(service.sid).await.unwrap();
    assert_eq!(store.verify_limit(limit.sid).await.unwrap(), None);
    assert_eq!(store.verify_bucket(bucket.sid).await.unwrap(), None);
}

pub(crate) async fn old_verifications_are_forgotten(db: &Database) {
    let store = db.open().await;
    let service = service(1, Settings::default());
    let old = code(&service, 1, TO, seconds(0));
    let new = code(&service, 2, "+4930123456", seconds(24 * 3600));
    for code in [&old, &new] {
        assert!(store.record_code(code).await.unwrap());
    }
    let later = seconds(30 * 24 * 3600 + 1);
    store.forget_old_verifications(later).await.unwrap();
    let left = store.verify_attempts(&all()).await.unwrap();
    assert_eq!(left.items, std::slice::from_ref(&new.attempt));
    let old = store.verification(old.verification.sid).await.unwrap();
    assert_eq!(old, None);
    assert_eq!(found(&store, &new).await, new.verification);
}
