//! Cases about changes of accounts, which never write back what was read before.

use model::AccountStatus::{self, Active, Closed, Suspended, Uninitialized};
use model::record::{Account, Client, Number};
use model::{OrganizationSid, Timestamp};
use store::{AccountChange, Scope, Store, StoreError};

use super::Database;
use super::values::*;

async fn account(store: &Store, n: u32) -> Account {
    (*store.account(account_sid(n)).await.unwrap().unwrap()).clone()
}

async fn set_status(store: &Store, n: u32, status: AccountStatus) {
    let (sid, at) = (account_sid(n), Timestamp(5));
    store.set_account_status(sid, status, at).await.unwrap();
}

pub(crate) async fn a_change_of_an_account_sets_only_what_it_names(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    let text = |text: &str| Some(text.to_owned());
    let name = AccountChange {
        friendly_name: text("Ann"),
        ..AccountChange::default()
    };
    let role = AccountChange {
        role: text("Developer"),
        ..AccountChange::default()
    };
    let password = AccountChange {
        password_hash: text("hash"),
        ..AccountChange::default()
    };
    let nothing = AccountChange::default();
    let table = [
        (&name, Active, Some(Active)),
        (&role, Suspended, Some(Suspended)),
        (&password, Active, Some(Active)),
        (&password, Suspended, Some(Suspended)),
        (&name, Uninitialized, Some(Uninitialized)),
        (&password, Uninitialized, Some(Active)),
        (&nothing, Active, Some(Active)),
        (&name, Closed, None),
        (&password, Closed, None),
        (&nothing, Closed, None),
    ];
    for (n, (change, before, after)) in (1..).zip(table) {
        insert_account(&store, n, None, organization).await;
        set_status(&store, n, before).await;
        let unchanged = account(&store, n).await;
        let at = Timestamp(9);
        let done = store.change_account(account_sid(n), change, at).await;
        assert_eq!(done.unwrap(), after.is_some(), "{change:?} {before}");
        let AccountChange {
            friendly_name,
            role,
            password_hash,
        } = change.clone();
        let expected = after.map(|status| Account {
            friendly_name: friendly_name.unwrap_or(unchanged.friendly_name.clone()),
            role: role.unwrap_or(unchanged.role.clone()),
            password_hash: password_hash.or(unchanged.password_hash.clone()),
            status,
            updated: at,
            ..unchanged.clone()
        });
        let expected = expected.unwrap_or(unchanged);
        assert_eq!(account(&store, n).await, expected, "{change:?} {before}");
    }
    let missing = store.change_account(account_sid(99), &name, Timestamp(9));
    assert!(!missing.await.unwrap());
}

pub(crate) async fn changes_of_an_account_at_once_are_all_kept(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    for n in 1..20 {
        insert_account(&store, n, None, organization).await;
        let (sid, at) = (account_sid(n), Timestamp(9));
        let named = AccountChange {
            friendly_name: Some("Ann".to_owned()),
            ..AccountChange::default()
        };
        let protected = AccountChange {
            password_hash: Some("hash".to_owned()),
            ..AccountChange::default()
        };
        let (named, protected, added, suspended) = tokio::join!(
            store.change_account(sid, &named, at),
            store.change_account(sid, &protected, at),
            store.add_secondary_token(sid, "token", at),
            store.set_account_status(sid, Suspended, at),
        );
        assert!(named.unwrap() && protected.unwrap() && added.unwrap());
        suspended.unwrap();
        let found = account(&store, n).await;
        let expected = Account {
            friendly_name: "Ann".to_owned(),
            password_hash: Some("hash".to_owned()),
            secondary_token: Some("token".to_owned()),
            status: Suspended,
            updated: at,
            ..found.clone()
        };
        assert_eq!(found, expected);
    }
}

pub(crate) async fn tokens_change_as_they_were_read_or_not_at_all(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    insert_account(&store, 1, None, organization).await;
    let (sid, at) = (account_sid(1), Timestamp(9));
    let secondary = || async { store.secondary_token(sid).await.unwrap() };
    let tokens = || async {
        let account = account(&store, 1).await;
        (account.auth_token, account.secondary_token)
    };
    let both = |one: &str, two: &str| (one.to_owned(), Some(two.to_owned()));
    assert!(secondary().await.is_none());
    assert!(store.add_secondary_token(sid, "two", at).await.unwrap());
    assert!(!store.add_secondary_token(sid, "three", at).await.unwrap());
    assert_eq!(tokens().await, both("token-1", "two"));

    let read = secondary().await.unwrap();
    let (first, second) = tokio::join!(
        store.promote_token(sid, read.clone(), at),
        store.promote_token(sid, read.clone(), at),
    );
    assert!(first.unwrap() != second.unwrap(), "swapped once");
    assert_eq!(tokens().await, both("two", "token-1"));
    let deleted = store.delete_secondary_token(sid, read.clone(), at);
    assert!(!deleted.await.unwrap(), "the one that was read leads now");
    assert_eq!(tokens().await, both("two", "token-1"));
    let read = secondary().await.unwrap();
    let deleted = store.delete_secondary_token(sid, read.clone(), at);
    assert!(deleted.await.unwrap());
    assert!(store.add_secondary_token(sid, "token-1", at).await.unwrap());
    assert!(!store.promote_token(sid, read, at).await.unwrap());
    assert_eq!(tokens().await, both("two", "token-1"));

    set_status(&store, 1, Closed).await;
    let read = secondary().await.unwrap();
    assert!(!store.promote_token(sid, read.clone(), at).await.unwrap());
    let deleted = store.delete_secondary_token(sid, read, at);
    assert!(!deleted.await.unwrap());
    assert!(!store.add_secondary_token(sid, "four", at).await.unwrap());
    assert_eq!(tokens().await, both("two", "token-1"));
}

/// Adds one of everything that an account can own, and an account below it, with a client of its own.
pub(crate) async fn add_to(
    store: &Store,
    n: u32,
    organization: OrganizationSid,
) -> [Result<(), StoreError>; 4] {
    let of = account_sid(n);
    let client = |n: u32| Client {
        account: account_sid(n),
        ..client(n, organization, &format!("c{n}"))
    };
    let number = Number {
        account: of,
        ..number(n, organization, &format!("99{n:04}"))
    };
    let mut application = application(n);
    application.account = of;
    let below = new_account(n + 1_000, Some(n), organization);
    [
        store.insert_client(client(n)).await,
        store.insert_number(number).await,
        store.insert_application(application).await,
        store.insert_account(below, Some(client(n + 1_000))).await,
    ]
}

/// What is left of that.
pub(crate) async fn owned_by(store: &Store, n: u32) -> (usize, usize, usize, usize) {
    let scope = Scope::Tree(account_sid(n));
    let clients = store.clients(scope).await.unwrap();
    let number = store.number(number_sid(n)).await.unwrap();
    let applications = store.applications(scope).await.unwrap();
    let accounts = store.account_tree(account_sid(n)).await.unwrap();
    let open = accounts.iter().filter(|account| account.status != Closed);
    let numbers = usize::from(number.is_some());
    (clients.len(), numbers, applications.len(), open.count())
}

pub(crate) async fn nothing_is_added_to_a_closed_account(db: &Database) {
    let store = db.open().await;
    let organization = organization(&store, 1, "one.example").await;
    for (n, status) in [(1, Active), (2, Suspended), (3, Closed)] {
        insert_account(&store, n, None, organization).await;
        set_status(&store, n, status).await;
        let added = add_to(&store, n, organization).await;
        let closed = status == Closed;
        let is_refused = |result: &Result<(), StoreError>| {
            matches!(result, Err(StoreError::AccountClosed)) && closed
        };
        let as_expected = |result| is_refused(result) || result.is_ok() && !closed;
        assert!(added.iter().all(as_expected), "{status}: {added:?}");
        let expected = if closed { (0, 0, 0, 0) } else { (2, 1, 1, 2) };
        assert_eq!(owned_by(&store, n).await, expected, "{status}");
    }
}
