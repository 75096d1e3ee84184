//! E-mails: each is claimed for one attempt at a time, and ends once.

use std::time::Duration;

use model::email::Email;
use model::record::Notification;
use model::{EmailSid, EmailStatus, NotificationSid, RecordingSid, ServerSid, Timestamp, error};
use store::{
    Change, ClaimedEmail, EmailClaim, EmailFilter, NotificationFilter, Scope, Store, StoreError,
};
use testkit::records;

use super::values::*;
use super::{Database, raw};

const LEASE: Duration = Duration::from_secs(600);

fn email(n: u32, created: Timestamp) -> Email {
    records::email(EmailSid::from_bytes(bytes(n)), account_sid(1), created)
}

fn claim(server: u32) -> EmailClaim {
    EmailClaim {
        holder: ServerSid::from_bytes(bytes(server)),
        lease: LEASE,
        longest_wait: Duration::from_secs(60),
        limit: 10,
    }
}

fn seconds(at: u64) -> Timestamp {
    Timestamp(0) + Duration::from_secs(1_000_000 + at)
}

/// The mails that a server claims, with their attempts.
async fn claimed(store: &Store, server: u32, at: u64) -> Vec<ClaimedEmail> {
    store
        .claim_emails(&claim(server), seconds(at))
        .await
        .unwrap()
}

async fn queue(store: &Store, email: &Email) {
    let change = Change::EmailQueued(Box::new(email.clone()));
    commit(store, vec![change]).await;
}

pub(crate) async fn an_email_comes_back_as_it_was(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    insert_account(&store, 1, None, organization).await;
    let full = Email {
        call: Some(call_sid(7)),
        cc: vec!["A, B <a@b>".to_owned(), "c@d".to_owned()],
        bcc: vec!["e@f".to_owned()],
        subject: "é 🎈 '\" %".to_owned(),
        body: "one\r\n.\ntwo\n".to_owned(),
        html: true,
        recordings: vec![
            RecordingSid::from_bytes(bytes(1)),
            RecordingSid::from_bytes(bytes(2)),
        ],
        ..email(1, seconds(0))
    };
    store.insert_email(&full).await.unwrap();
    queue(&store, &full).await; // Repeating it has no effect.
    assert_eq!(store.email(full.sid).await.unwrap(), Some(full.clone()));
    let found = claimed(&store, 1, 0).await;
    assert_eq!(
        found,
        [ClaimedEmail {
            email: full,
            attempt: 1
        }]
    );
    let closed = model::AccountStatus::Closed;
    store
        .set_account_status(account_sid(1), closed, seconds(1))
        .await
        .unwrap();
    let refused = store.insert_email(&email(2, seconds(0))).await;
    assert!(
        matches!(refused, Err(StoreError::AccountClosed)),
        "{refused:?}"
    );
}

pub(crate) async fn an_email_is_claimed_for_one_attempt_at_a_time(db: &Database) {
    let store = db.open().await;
    queue(&store, &email(1, seconds(10))).await;
    assert_eq!(claimed(&store, 1, 9).await, [], "not due yet");
    let first = claimed(&store, 1, 10).await.remove(0);
    assert_eq!(first.attempt, 1);
    assert_eq!(claimed(&store, 2, 11).await, [], "in progress");
    let failed = ClaimedEmail {
        email: Email {
            error_code: Some(error::EMAIL_GIVEN_UP),
            reason: Some("try later".to_owned()),
            updated: seconds(12),
            ..first.email.clone()
        },
        ..first.clone()
    };
    store.retry_email(&failed, seconds(40)).await.unwrap();
    let shown = store.email(first.email.sid).await.unwrap().unwrap();
    assert_eq!(
        (shown.status, shown.reason.as_deref()),
        (EmailStatus::Queued, Some("try later"))
    );
    assert_eq!(claimed(&store, 1, 39).await, []);
    let second = claimed(&store, 1, 40).await.remove(0);
    assert_eq!(second.attempt, 2);
    // The server died, and another one takes over after the lease.
    assert_eq!(claimed(&store, 2, 639).await, []);
    let third = claimed(&store, 2, 640).await.remove(0);
    assert_eq!(third.attempt, 3);
    // What an abandoned attempt reports has no effect.
    let sent = |of: &ClaimedEmail, at| ClaimedEmail {
        email: Email {
            status: EmailStatus::Sent,
            updated: seconds(at),
            sent: Some(seconds(at)),
            ..of.email.clone()
        },
        ..of.clone()
    };
    assert!(!store.end_email(&sent(&second, 641), None).await.unwrap());
    store.retry_email(&second, seconds(641)).await.unwrap();
    assert_eq!(claimed(&store, 1, 642).await, []);
    assert!(store.end_email(&sent(&third, 643), None).await.unwrap());
    assert!(
        !store.end_email(&sent(&third, 644), None).await.unwrap(),
        "it ends once"
    );
    assert_eq!(claimed(&store, 1, 9_999).await, []);
    assert_eq!(store.unsent_emails().await.unwrap(), 0);
}

pub(crate) async fn a_server_that_starts_again_sends_its_emails_at_once(db: &Database) {
    let store = db.open().await;
    for n in 1..=3 {
        queue(&store, &email(n, seconds(0))).await;
    }
    let one = |server| EmailClaim {
        limit: 1,
        ..claim(server)
    };
    for server in [1, 2] {
        let found = store.claim_emails(&one(server), seconds(1)).await.unwrap();
        assert_eq!(found.len(), 1, "as many as asked for");
    }
    let server = ServerSid::from_bytes(bytes(1));
    store.release_emails(server, seconds(2)).await.unwrap();
    let again = claimed(&store, 1, 2).await;
    let attempts: Vec<i64> = again.iter().map(|claimed| claimed.attempt).collect();
    assert_eq!(attempts, [1, 2], "the one not tried yet, and its own");
}

/// A time that no plan leads to was written while the clock was wrong.
pub(crate) async fn an_email_of_the_distant_future_is_due(db: &Database) {
    let store = db.open().await;
    queue(&store, &email(1, seconds(100_000))).await;
    assert_eq!(claimed(&store, 1, 0).await.len(), 1);
}

pub(crate) async fn a_failed_email_is_reported_once(db: &Database) {
    let store = db.open().await;
    queue(&store, &email(1, seconds(0))).await;
    let first = claimed(&store, 1, 0).await.remove(0);
    let failed = ClaimedEmail {
        email: Email {
            status: EmailStatus::Failed,
            error_code: Some(error::EMAIL_REFUSED),
            reason: Some("no such mailbox".to_owned()),
            ..first.email.clone()
        },
        ..first
    };
    let told = |n| {
        let sid = NotificationSid::from_bytes(bytes(n));
        let text = "it failed".to_owned();
        Notification::of_account(sid, account_sid(1), error::EMAIL_REFUSED, text, seconds(0))
    };
    assert!(store.end_email(&failed, Some(told(1))).await.unwrap());
    assert!(!store.end_email(&failed, Some(told(2))).await.unwrap());
    let filter = NotificationFilter::of(Scope::Own(account_sid(1)));
    assert_eq!(store.notifications(&filter).await.unwrap().items.len(), 1);
    let filter = EmailFilter {
        status: Some("failed".to_owned()),
        ..EmailFilter::of(Scope::Own(account_sid(1)))
    };
    assert_eq!(store.emails(&filter).await.unwrap().items, [failed.email]);
}

/// What its record must not show is in the database only sealed, and not at all once it has ended.
pub(crate) async fn a_secret_of_an_email_is_sealed_until_it_is_sent(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    insert_account(&store, 1, None, organization).await;
    let secret = Email {
        body: "Your code is 73519.".to_owned(),
        recorded_as: Some("Your code is [code removed].".to_owned()),
        ..email(1, seconds(0))
    };
    let shown = Email {
        body: "Your code is [code removed].".to_owned(),
        recorded_as: None,
        ..secret.clone()
    };
    store.insert_email(&secret).await.unwrap();
    // One that an earlier version stored.
    let before = Email {
        sid: EmailSid::from_bytes(bytes(2)),
        ..shown.clone()
    };
    store.insert_email(&before).await.unwrap();
    let old = format!(
        "UPDATE emails SET body = 'Your code is 73519.', \
         recorded_as = 'Your code is [code removed].' WHERE sid = '{}'",
        before.sid
    );
    raw::run(&db.url, &old).await;
    let stored = || async {
        let text = "SELECT body, recorded_as, CASE WHEN unsent IS NULL THEN 'gone' ELSE 'sealed' END \
                    FROM emails ORDER BY sid";
        let rows = raw::rows(&db.url, text).await;
        rows.into_iter()
            .map(|row| {
                row.into_iter()
                    .map(Option::unwrap_or_default)
                    .collect::<Vec<_>>()
            })
            .collect::<Vec<_>>()
    };
    let removed = "Your code is [code removed].";
    assert_eq!(
        stored().await,
        [
            [removed, "", "sealed"],
            ["Your code is 73519.", removed, "gone"]
        ]
    );
    let sealed = if db.url.starts_with("sqlite:") {
        "SELECT hex(unsent) FROM emails WHERE unsent IS NOT NULL"
    } else {
        "SELECT upper(encode(unsent, 'hex')) FROM emails WHERE unsent IS NOT NULL"
    };
    let sealed = raw::rows(&db.url, sealed).await[0][0].clone().unwrap();
    assert!(!sealed.contains("3733353139"), "the digits of the code");
    assert_eq!(store.email(secret.sid).await.unwrap(), Some(shown.clone()));
    drop(store);

    let store = db.open().await; // The server was started again.
    let found = claimed(&store, 1, 0).await;
    let mails: Vec<&Email> = found.iter().map(|claimed| &claimed.email).collect();
    let old = Email {
        sid: before.sid,
        ..secret.clone()
    };
    assert_eq!(mails, [&secret, &old]);
    store.retry_email(&found[0], seconds(40)).await.unwrap();
    assert_eq!(claimed(&store, 1, 40).await[0].email.body, secret.body);
    for sid in [secret.sid, before.sid] {
        let attempt = i64::from(sid == secret.sid) + 1;
        let ended = ClaimedEmail {
            email: Email {
                sid,
                status: EmailStatus::Sent,
                ..secret.clone()
            },
            attempt,
        };
        assert!(store.end_email(&ended, None).await.unwrap());
        assert_eq!(store.email(sid).await.unwrap().unwrap().body, removed);
    }
    assert_eq!(stored().await, [[removed, "", "gone"]; 2]);
}
