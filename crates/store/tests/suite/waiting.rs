//! Cases about voice messages that wait for clients.

use model::OrganizationSid;
use model::record::Client;
use model::waiting::Waiting;
use store::Store;
use testkit::statements::Statements;

use super::values::*;
use super::{Database, raw};

/// Login, new and old messages, in the order of logins.
async fn count(store: &Store, of: &[(OrganizationSid, &str)]) -> Vec<(String, u32, u32)> {
    let of: Vec<_> = of
        .iter()
        .map(|(one, login)| (*one, (*login).to_owned()))
        .collect();
    let found = store.waiting_messages(&of).await.unwrap().into_iter();
    let mut all: Vec<_> = found
        .map(|(client, Waiting { new, old })| (client.login, new, old))
        .collect();
    all.sort();
    all
}

async fn add(db: &Database, n: u32, owner: u32, of: &str, states: &[&str]) {
    let account = account_sid(owner);
    raw::run(
        &db.url,
        &format!(
            "INSERT INTO voicemail_boxes (sid, account, name, client, settings, created, updated) \
             VALUES ('B{n}', '{account}', 'B{n}', {of}, '{{}}', 0, 0)"
        ),
    )
    .await;
    for (at, state) in states.iter().enumerate() {
        let columns = "(sid, account, mailbox, state, source, target, reason, ready, duration_s, to_transcribe, \
                       delete_after_mail, created, updated)";
        raw::run(
            &db.url,
            &format!("INSERT INTO voicemail_messages {columns} VALUES ('M{n}.{at}', '{account}', 'B{n}', '{state}', '', '', \
                 'direct', 1, 1, 0, 0, 0, 0)"),
        )
        .await;
    }
}

pub(crate) async fn messages_are_counted_in_all_boxes_of_a_client(db: &Database) {
    let store = db.open().await;
    let one = organization(&store, 1, "one.example").await;
    let two = organization(&store, 2, "two.example").await;
    for (n, of, login) in [
        (1, one, "bob"),
        (2, two, "bob"),
        (3, one, "ann"),
        (4, one, "eve"),
    ] {
        insert_account(&store, n, None, of).await;
        let one = Client {
            account: account_sid(n),
            ..client(n, of, login)
        };
        store.insert_client(one).await.unwrap();
    }
    // The client n belongs to the account n.
    add(db, 1, 1, "'bob'", &["new", "new", "heard", "recording"]).await;
    add(db, 2, 1, "'bob'", &["new", "heard", "deleted"]).await;
    add(db, 3, 2, "'bob'", &["heard"]).await;
    add(db, 4, 3, "'ann'", &[]).await;
    // Of an account that has no such client, and of none.
    add(db, 5, 3, "'bob'", &["new"]).await;
    add(db, 6, 1, "NULL", &["new"]).await;
    let all = [(one, "bob"), (one, "ann"), (one, "eve"), (one, "nobody")];
    let expected = [("ann".to_owned(), 0, 0), ("bob".to_owned(), 3, 2)];
    assert_eq!(count(&store, &all).await, expected);
    assert_eq!(
        count(&store, &[(two, "bob")]).await,
        [("bob".to_owned(), 0, 1)]
    );
    assert_eq!(count(&store, &[]).await, []);
    // More clients than one statement takes.
    let logins: Vec<String> = (0..1_200).map(|n| format!("phone{n}")).collect();
    let mut many: Vec<_> = logins.iter().map(|login| (one, login.as_str())).collect();
    many.push((one, "bob"));
    assert_eq!(count(&store, &many).await, [("bob".to_owned(), 3, 2)]);
}

/// It is asked for every half minute.
pub(crate) async fn counting_messages_reads_no_whole_table(db: &Database) {
    let store = db.open().await;
    let one = organization(&store, 1, "one.example").await;
    let statements = Statements::collect();
    count(&store, &[(one, "bob"), (one, "ann")]).await;
    let all = statements.take();
    let statement = all.iter().find(|text| text.contains("voicemail_boxes"));
    for step in raw::plan(&db.url, statement.unwrap()).await {
        let is_scan = step.contains("Seq Scan")
            || step.contains("SCAN clients")
            || step.contains("SCAN b")
            || step.contains("SCAN m");
        assert!(!is_scan, "{step}");
    }
}
