//! Cases about organizations, and about what moves from one to another.

use model::naming::Claimant;
use model::{AccountStatus, OrganizationStatus, Timestamp};
use store::{Scope, StoreError};

use super::Database;
use super::values::*;

pub(crate) async fn an_organization_is_closed_without_accounts_only(db: &Database) {
    let store = db.open().await;
    let one = organization(&store, 1, "one.example").await;
    let two = organization(&store, 2, "two.example").await;
    insert_account(&store, 1, None, one).await;
    let (closed, active) = (OrganizationStatus::Closed, OrganizationStatus::Active);
    let set = async |sid, status| {
        let at = Timestamp(9);
        store
            .set_organization_status(sid, status, at)
            .await
            .unwrap()
    };
    assert!(!set(one, closed).await);
    assert!(set(two, closed).await);
    assert_eq!(
        store.organization(two).await.unwrap().unwrap().status,
        closed
    );
    let listed = store.organizations(Some(closed)).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].updated, Timestamp(9));
    assert_eq!(store.organizations(None).await.unwrap().len(), 2);
    let refused = store.insert_account(new_account(2, None, two), None).await;
    assert!(matches!(refused, Err(StoreError::OrganizationClosed)));
    let refused = store.move_accounts(account_sid(1), two, Timestamp(9)).await;
    assert!(matches!(refused, Err(StoreError::OrganizationClosed)));
    let at = Timestamp(5);
    let status = AccountStatus::Closed;
    store
        .set_account_status(account_sid(1), status, at)
        .await
        .unwrap();
    assert!(set(one, closed).await);
    assert!(set(two, active).await);
    insert_account(&store, 2, None, two).await;
}

pub(crate) async fn a_move_takes_everything_along_or_nothing(db: &Database) {
    let store = db.open().await;
    let one = organization(&store, 1, "one.example").await;
    let two = organization(&store, 2, "two.example").await;
    insert_account(&store, 1, None, one).await;
    insert_account(&store, 2, Some(1), one).await;
    insert_account(&store, 3, Some(2), one).await;
    insert_account(&store, 4, None, two).await;
    let client_of = |n, account, organization, login: &str| model::record::Client {
        account: account_sid(account),
        ..client(n, organization, login)
    };
    let number_of = |n, account, organization, text: &str| model::record::Number {
        account: account_sid(account),
        ..number(n, organization, text)
    };
    store
        .insert_client(client_of(1, 3, one, "kim"))
        .await
        .unwrap();
    store
        .insert_number(number_of(1, 3, one, "1001"))
        .await
        .unwrap();
    store
        .insert_number(number_of(2, 3, one, "1002"))
        .await
        .unwrap();
    let move_to = async |to| store.move_accounts(account_sid(2), to, Timestamp(9)).await;
    let login_in = async |organization| {
        let found = store.client_in(organization, "kim").await.unwrap();
        found.map(|client| client.account)
    };
    // A client there has the number of one that would move as login.
    store
        .insert_client(client_of(2, 4, two, "1002"))
        .await
        .unwrap();
    let refused = move_to(two).await;
    assert!(
        matches!(refused, Err(StoreError::Taken(Claimant::Client))),
        "{refused:?}"
    );
    assert_eq!(login_in(one).await, Some(account_sid(3)), "nothing moved");
    store.delete_client(client_sid(2)).await.unwrap();
    assert!(move_to(two).await.unwrap());
    assert_eq!(login_in(one).await, None);
    assert_eq!(login_in(two).await, Some(account_sid(3)));
    for (n, organization) in [(1, one), (2, two), (3, two), (4, two)] {
        let account = store.account(account_sid(n)).await.unwrap().unwrap();
        assert_eq!(account.organization, organization, "{n}");
    }
    // The extension is free where it was, and taken where it is.
    store
        .insert_number(number_of(3, 1, one, "1001"))
        .await
        .unwrap();
    let refused = move_to(one).await;
    assert!(
        matches!(refused, Err(StoreError::Duplicate("the number"))),
        "{refused:?}"
    );
    let numbers = store.move_numbers(account_sid(1), two, Timestamp(10)).await;
    assert!(matches!(numbers, Err(StoreError::Duplicate("the number"))));
    store
        .move_numbers(account_sid(4), one, Timestamp(10))
        .await
        .unwrap();
    let moved = store.clients(Scope::Tree(account_sid(2))).await.unwrap();
    assert_eq!(moved[0].organization, two);
}
