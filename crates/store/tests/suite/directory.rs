//! Cases about accounts, clients, numbers and applications.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use model::naming::{self, Claimant};
use model::record::{Account, Application, Client, Number, Recording};
use model::{AccountStatus, HttpMethod, Timestamp};
use store::{
    AdminSeed, Change, DiscardedKind, NumberFilter, NumberKey, RecordingFilter, Scope, SecretKey,
    Sort, Store, StoreError, Window,
};

use super::values::*;
use super::{Database, raw};

pub(crate) async fn the_first_start_makes_an_administrator(db: &Database) {
    let store = db.open().await;
    let seed = AdminSeed {
        sid: Some(account_sid(7)),
        token: Some("77f8c12cc7b8f8423e5c38b035249166".to_owned()),
        email: Some("Admin@Example.org".to_owned()),
        password: None,
    };
    let made = store
        .first_start("One.Example", seed)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (made.sid, made.email.as_str()),
        (account_sid(7), "admin@example.org")
    );
    assert_eq!(made.password.len(), 32);
    assert_eq!(
        store
            .first_start("two.example", AdminSeed::default())
            .await
            .unwrap(),
        None
    );
    let organization = store.default_organization().await.unwrap().unwrap();
    assert_eq!(organization.domain_name, "one.example");
    let table = [
        (made.sid.to_string(), made.token.as_str(), true),
        (made.sid.to_string(), made.password.as_str(), true),
        ("ADMIN@example.org".to_owned(), made.token.as_str(), true),
        (made.email.clone(), made.password.as_str(), true),
        (made.email.clone(), "RestComm", false),
        (made.email.clone(), "", false),
        ("Administrator".to_owned(), made.token.as_str(), false),
        ("nobody@example.org".to_owned(), made.token.as_str(), false),
        (account_sid(8).to_string(), made.token.as_str(), false),
    ];
    for (login, secret, good) in table {
        let account = store.account_of_login(&login).await.unwrap();
        let account = account.as_deref();
        let known = account.is_some_and(|account| store.knows(account, secret));
        let accepted = known || store.is_password(account, secret).await.unwrap();
        assert_eq!(accepted, good, "{login} {secret}");
    }
}

pub(crate) async fn tokens_are_sealed(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    insert_account(&store, 1, None, organization).await;
    let account = store.account(account_sid(1)).await.unwrap().unwrap();
    assert_eq!(account.auth_token, "token-1");
    assert_eq!(account.secondary_token, None);
    let both = Account {
        secondary_token: Some("token-2".to_owned()),
        updated: Timestamp(2),
        ..(*account).clone()
    };
    let added = store.add_secondary_token(account.sid, "token-2", Timestamp(2));
    assert!(added.await.unwrap());
    let login = account_sid(1).to_string();
    for (secret, good) in [("token-1", true), ("token-2", true), ("token-3", false)] {
        let found = store.account_of_login(&login).await.unwrap().unwrap();
        assert_eq!(store.knows(&found, secret), good, "{secret}");
        assert_eq!(*found, both);
    }
    store.close().await;
    let stranger = Store::open(&db.url, SecretKey::random()).await.unwrap();
    let denied = stranger.account(account_sid(1)).await;
    assert!(matches!(denied, Err(StoreError::WrongKey)), "{denied:?}");
}

pub(crate) async fn closing_an_account_takes_its_tree_along(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    for (n, parent) in [(1, None), (2, Some(1)), (3, Some(2)), (4, Some(1))] {
        insert_account(&store, n, parent, organization).await;
        let login = format!("c{n}");
        store
            .insert_client(Client {
                account: account_sid(n),
                ..client(n, organization, &login)
            })
            .await
            .unwrap();
        let kept = Recording {
            account: account_sid(n),
            ..recording(n, call_sid(n), 1)
        };
        commit(&store, vec![Change::Recording(kept)]).await;
    }
    let status = |n| {
        let store = store.clone();
        async move { store.account(account_sid(n)).await.unwrap().unwrap().status }
    };
    let children = store.child_accounts(account_sid(1)).await.unwrap();
    assert_eq!(
        children.iter().map(|a| a.sid).collect::<Vec<_>>(),
        [account_sid(2), account_sid(4)]
    );
    for (account, customer) in [(1, 1), (2, 2), (3, 2), (4, 4), (9, 9)] {
        let found = store.customer_of(account_sid(account)).await.unwrap();
        assert_eq!(found, account_sid(customer), "{account}");
    }
    for (n, parent) in [(5, 6), (6, 5)] {
        insert_account(&store, n, Some(parent), organization).await;
    }
    let found = store.customer_of(account_sid(5)).await;
    assert!(
        matches!(found, Err(StoreError::Corrupt { .. })),
        "{found:?}"
    );
    let steps = [
        (1, AccountStatus::Suspended, [AccountStatus::Suspended; 4]),
        (1, AccountStatus::Active, [AccountStatus::Active; 4]),
        (
            2,
            AccountStatus::Closed,
            [
                AccountStatus::Active,
                AccountStatus::Closed,
                AccountStatus::Closed,
                AccountStatus::Active,
            ],
        ),
        (
            1,
            AccountStatus::Suspended,
            [
                AccountStatus::Suspended,
                AccountStatus::Closed,
                AccountStatus::Closed,
                AccountStatus::Suspended,
            ],
        ),
    ];
    for (n, new, expected) in steps {
        store
            .set_account_status(account_sid(n), new, Timestamp(5))
            .await
            .unwrap();
        for (n, expected) in (1..).zip(expected) {
            assert_eq!(status(n).await, expected, "account {n}");
        }
    }
    for (n, left) in [(1, 1), (2, 0), (3, 0), (4, 1)] {
        let scope = Scope::Own(account_sid(n));
        assert_eq!(
            store.clients(scope).await.unwrap().len(),
            left,
            "account {n}"
        );
        let recordings = store.recordings(&RecordingFilter::of(scope)).await.unwrap();
        // Their files go first, so they are never deleted with the account.
        assert_eq!(recordings.total, 1, "account {n}");
    }
}

pub(crate) async fn clients_are_found_by_login_and_domain(db: &Database) {
    let store = db.open().await;
    let one = organization(&store, 1, "one.example").await;
    let two = organization(&store, 2, "two.example").await;
    store.insert_client(client(1, one, "bob")).await.unwrap();
    store.insert_client(client(2, two, "bob")).await.unwrap();
    let find = |login: &'static str, domain: &'static str| {
        let store = store.clone();
        async move { store.client_of_login(login, domain).await.unwrap() }
    };
    assert_eq!(find("bob", "One.Example").await.unwrap().sid, client_sid(1));
    assert_eq!(find("bob", "two.example").await.unwrap().sid, client_sid(2));
    assert!(
        find("Bob", "one.example").await.is_none(),
        "logins keep their case"
    );
    assert!(find("eve", "one.example").await.is_none());
    assert!(find("bob", "three.example").await.is_none());

    store.insert_client(client(3, one, "eve")).await.unwrap();
    assert!(
        find("eve", "one.example").await.is_some(),
        "not found is forgotten by a write"
    );
    let changed = Client {
        enabled: false,
        updated: Timestamp(2),
        ..client(1, one, "bob")
    };
    let read = Timestamp(1);
    assert!(store.update_client(changed.clone(), read).await.unwrap());
    assert_eq!(find("bob", "one.example").await.as_deref(), Some(&changed));
    assert!(store.delete_client(client_sid(1)).await.unwrap());
    assert!(!store.delete_client(client_sid(1)).await.unwrap());
    assert!(
        !store.update_client(changed, Timestamp(2)).await.unwrap(),
        "gone stays gone"
    );
    assert!(find("bob", "one.example").await.is_none());

    let start = Instant::now();
    for _ in 0..1_000 {
        assert!(find("eve", "one.example").await.is_some());
    }
    assert!(
        start.elapsed() < Duration::from_millis(100),
        "hot: {:?}",
        start.elapsed()
    );
}

/// Strangers send such texts, and each answer is kept in memory.
pub(crate) async fn a_text_longer_than_any_name_is_not_looked_up(db: &Database) {
    let store = db.open().await;
    let one = organization(&store, 1, "one.example").await;
    for (n, more, is_found) in [(1, 0, true), (2, 1, false)] {
        let login = "k".repeat(naming::MAX_LOGIN_CHARS + more);
        store.insert_client(client(n, one, &login)).await.unwrap();
        let found = store.client_in(one, &login).await.unwrap();
        assert_eq!(found.is_some(), is_found, "login {}", login.len());

        let text = "7".repeat(naming::MAX_NUMBER_BYTES + more);
        store.insert_number(number(n, one, &text)).await.unwrap();
        let found = store.number_candidates(Some(one), &[text]).await.unwrap();
        assert_eq!(!found.exact.is_empty(), is_found, "number {more}");

        let email = format!("{}@{n}", "a".repeat(Account::MAX_EMAIL_BYTES - 2 + more));
        insert_account(&store, n, None, one).await;
        let account = store.account(account_sid(n)).await.unwrap().unwrap();
        let account = Account {
            sid: account_sid(n + 10),
            email: email.clone(),
            ..(*account).clone()
        };
        store.insert_account(account, None).await.unwrap();
        let found = store.account_of_login(&email).await.unwrap();
        assert_eq!(found.is_some(), is_found, "e-mail {}", email.len());
    }
}

pub(crate) async fn a_row_that_changed_since_it_was_read_is_not_replaced(db: &Database) {
    let store = db.open().await;
    let one = organization(&store, 1, "one.example").await;
    for n in 1..20 {
        let created = client(n, one, &format!("c{n}"));
        let read = created.updated;
        let at = Timestamp(read.0 + 1);
        store.insert_client(created.clone()).await.unwrap();
        let named = Client {
            friendly_name: "Ann".to_owned(),
            updated: at,
            ..created.clone()
        };
        let disabled = Client {
            enabled: false,
            updated: at,
            ..created.clone()
        };
        let (first, second) = tokio::join!(
            store.update_client(named.clone(), read),
            store.update_client(disabled.clone(), read),
        );
        let (first, second) = (first.unwrap(), second.unwrap());
        assert!(first != second, "one of two: {first} {second}");
        let kept = if first { named } else { disabled };
        assert_eq!(store.client(kept.sid).await.unwrap(), Some(kept));

        let created = number(n, one, &format!("99{n:02}"));
        store.insert_number(created.clone()).await.unwrap();
        let public = Number {
            public: true,
            updated: at,
            ..created.clone()
        };
        assert!(store.update_number(public.clone(), read).await.unwrap());
        let outdated = Number {
            updated: Timestamp(at.0 + 1),
            ..created
        };
        assert!(!store.update_number(outdated, read).await.unwrap());
        assert_eq!(store.number(public.sid).await.unwrap(), Some(public));
    }
}

pub(crate) async fn numbers_are_found_by_spelling_then_pattern(db: &Database) {
    let store = db.open().await;
    let one = organization(&store, 1, "one.example").await;
    let two = organization(&store, 2, "two.example").await;
    let stored = ["16.*", "16508.*", "*", "7777|8888", "+12025550123", "kim"];
    for (n, text) in (1..).zip(stored) {
        store.insert_number(number(n, one, text)).await.unwrap();
    }
    store
        .insert_number(number(20, two, "+12025550123"))
        .await
        .unwrap();
    let twin = store.insert_number(number(21, one, "kim")).await;
    assert!(
        matches!(twin, Err(StoreError::Duplicate("the number"))),
        "{twin:?}"
    );

    let find = |organization, dialled: &'static str| {
        let store = store.clone();
        async move {
            let spellings = model::number::candidates(dialled);
            let found = store
                .number_candidates(organization, &spellings)
                .await
                .unwrap();
            let texts = |numbers: &[std::sync::Arc<Number>]| {
                numbers
                    .iter()
                    .map(|n| n.phone_number.clone())
                    .collect::<Vec<_>>()
            };
            (
                texts(&found.exact),
                texts(&found.patterns),
                found.any.is_some(),
            )
        }
    };
    let patterns = vec![
        "7777|8888".to_owned(),
        "16508.*".to_owned(),
        "16.*".to_owned(),
    ];
    let both = vec!["+12025550123".to_owned(); 2];
    let kim = vec!["kim".to_owned()];
    let table = [
        (
            Some(one),
            "12025550123",
            both.clone(),
            patterns.clone(),
            true,
        ),
        (Some(one), "kim", kim.clone(), patterns.clone(), true),
        (Some(one), "*", vec![], patterns.clone(), true),
        (Some(two), "+1 202 555 0123", both.clone(), vec![], false),
        (None, "+12025550123", both, vec![], false),
        (None, "unknown", vec![], vec![], false),
    ];
    for (organization, dialled, exact, patterns, any) in table {
        assert_eq!(
            find(organization, dialled).await,
            (exact, patterns, any),
            "{dialled}"
        );
    }
    let longer = Number {
        phone_number: "165082.*".to_owned(),
        updated: Timestamp(2),
        ..number(1, one, "x")
    };
    assert!(store.update_number(longer, Timestamp(1)).await.unwrap());
    let sid = number_sid(3).to_string();
    let discarded = store.discard(DiscardedKind::Number, &sid, Timestamp(3));
    assert!(discarded.await.unwrap());
    let patterns = vec![
        "7777|8888".to_owned(),
        "165082.*".to_owned(),
        "16508.*".to_owned(),
    ];
    assert_eq!(find(Some(one), "kim").await, (kim, patterns, false));
}

pub(crate) async fn a_name_gets_one_owner_whoever_asks_at_once(db: &Database) {
    let store = db.open().await;
    let here = organization(&store, 1, "one.example").await;
    let there = organization(&store, 2, "two.example").await;
    let of_another = |n, text: &str| Number {
        account: account_sid(2),
        ..number(n, there, text)
    };
    for n in 1..20 {
        let (plain, plus) = (format!("1202555{n:04}"), format!("+1202555{n:04}"));
        let added = tokio::join!(
            store.insert_number(number(n, here, &plain)),
            store.insert_number(of_another(100 + n, &plus)),
        );
        let by_number = matches!(
            added,
            (Ok(()), Err(StoreError::Taken(Claimant::Number)))
                | (Err(StoreError::Taken(Claimant::Number)), Ok(()))
        );
        assert!(by_number, "{added:?}");
        let login = format!("20{n:02}");
        let of_neighbour = Number {
            account: account_sid(2),
            ..number(200 + n, here, &login)
        };
        let added = tokio::join!(
            store.insert_client(client(n, here, &login)),
            store.insert_number(of_neighbour),
        );
        let by_other = matches!(
            added,
            (Ok(()), Err(StoreError::Taken(Claimant::Client)))
                | (Err(StoreError::Taken(Claimant::Number)), Ok(()))
        );
        assert!(by_other, "{added:?}");
    }
    for (n, text) in [(300, "*"), (301, "16.*"), (302, "1001")] {
        store.insert_number(number(n, here, text)).await.unwrap();
        store.insert_number(of_another(n + 10, text)).await.unwrap();
    }
}

pub(crate) async fn numbers_are_listed(db: &Database) {
    let store = db.open().await;
    let one = organization(&store, 1, "one.example").await;
    for n in 1..=12 {
        let mut number = number(n, one, &format!("99{n:02}"));
        number.friendly_name = if n == 5 {
            "My Company Line".to_owned()
        } else {
            format!("n{n}")
        };
        if n == 1 {
            number.extra = BTreeMap::from([("SmsUrl".to_owned(), "http://a/\"1\"".to_owned())]);
            number.voice.application = Some(application_sid(1));
            number.status_callback_method = Some(HttpMethod::Get);
        }
        store.insert_number(number.clone()).await.unwrap();
        assert_eq!(store.number(number.sid).await.unwrap(), Some(number));
    }
    let all = NumberFilter {
        scope: Scope::Own(account_sid(1)),
        phone_number: None,
        friendly_name: None,
        sort: Some(Sort {
            key: NumberKey::PhoneNumber,
            descending: true,
        }),
        window: Window::at(0, 10),
    };
    let rows = store.numbers(&all).await.unwrap();
    assert_eq!((rows.total, rows.items.len()), (12, 10));
    assert_eq!(rows.items[0].phone_number, "9912");
    let text = |text: &str| Some(text.to_owned());
    let table = [
        (
            NumberFilter {
                friendly_name: text("ompan"),
                ..all.clone()
            },
            1,
        ),
        (
            NumberFilter {
                phone_number: text("91_"),
                ..all.clone()
            },
            3,
        ),
        (
            NumberFilter {
                phone_number: text("9%1"),
                ..all.clone()
            },
            4,
        ),
    ];
    for (filter, total) in table {
        assert_eq!(
            store.numbers(&filter).await.unwrap().total,
            total,
            "{filter:?}"
        );
    }
    let attached = store
        .numbers_with_application(Scope::Own(account_sid(1)))
        .await
        .unwrap();
    assert_eq!(attached.len(), 1);
}

pub(crate) async fn applications_come_back(db: &Database) {
    let store = db.open().await;
    let mut application = application(1);
    assert!(store.application(application.sid).await.unwrap().is_none());
    store.insert_application(application.clone()).await.unwrap();
    assert_eq!(
        store.application(application.sid).await.unwrap().as_deref(),
        Some(&application)
    );
    application.kind = Some("voice".to_owned());
    application.updated = Timestamp(3);
    let updated = store.update_application(application.clone(), Timestamp(2));
    assert!(updated.await.unwrap());
    assert_eq!(
        store.current_application(application.sid).await.unwrap(),
        Some(application.clone())
    );
    let outdated = Application {
        kind: Some("sms".to_owned()),
        updated: Timestamp(4),
        ..application.clone()
    };
    let outdated = store.update_application(outdated, Timestamp(2));
    assert!(!outdated.await.unwrap(), "changed since it was read");
    let listed = store
        .applications(Scope::Own(account_sid(1)))
        .await
        .unwrap();
    assert_eq!(listed, vec![application.clone()]);
    assert!(store.delete_application(application.sid).await.unwrap());
    assert!(store.application(application.sid).await.unwrap().is_none());
}

/// What a client logs in with, as the columns of the database have it.
async fn stored_digests(db: &Database) -> Vec<Vec<Option<String>>> {
    let text = "SELECT ha1_md5, ha1_sha256, CASE WHEN ha1 IS NULL THEN 'open' ELSE 'sealed' END \
                FROM clients";
    raw::rows(&db.url, text).await
}

pub(crate) async fn digests_of_an_earlier_release_are_sealed(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    let mut kept = client(1, organization, "bob");
    kept.ha1_md5 = "5f4dcc3b5aa765d61d8327deb882cf99".to_owned();
    kept.ha1_sha256 = "5e884898da28047151d0e56f8dc62927".to_owned();
    store.insert_client(kept.clone()).await.unwrap();
    let sealed = vec![
        ["", "", "sealed"]
            .map(|text| Some(text.to_owned()))
            .to_vec(),
    ];
    assert_eq!(stored_digests(db).await, sealed);
    store.close().await;

    let in_the_clear = format!(
        "UPDATE clients SET ha1 = NULL, ha1_md5 = '{}', ha1_sha256 = '{}'",
        kept.ha1_md5, kept.ha1_sha256
    );
    raw::run(&db.url, &in_the_clear).await;

    let store = db.open().await;
    assert_eq!(stored_digests(db).await, sealed);
    assert_eq!(store.client(kept.sid).await.unwrap(), Some(kept.clone()));
    if let Some(dir) = &db._dir {
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes
                .windows(kept.ha1_md5.len())
                .any(|window| window == kept.ha1_md5.as_bytes());
            assert!(!found, "{}", path.display());
        }
    }
}
