//! Two servers that share a database: each has look-ups that may be some seconds old.

use model::record::{Recording, RecordingKind};
use model::{RecordingSid, Timestamp};
use store::Change;

use crate::server::{Server, of};

#[tokio::test]
async fn an_account_that_another_server_has_closed_or_suspended_stays_so() {
    let Some((one, two, _postgres)) = Server::two().await else {
        return;
    };
    let p = one.account("p", one.admin).await;
    let change = "FriendlyName=back&Password=RestComm13&Role=Administrator";
    let table = [
        ("a", "closed", change, 400),
        ("b", "suspended", change, 200),
        ("c", "closed", "Status=active", 400),
    ];
    for (name, word, change, status) in table {
        let path = format!("/Accounts/{}.json", one.account(name, p).await);
        // From now on, the other server knows it as active.
        let shown = two.get(&of(name), &path).await.json();
        assert_eq!(shown["status"], "active");
        let form = format!("Status={word}");
        one.post(&of("p"), &path, &form).await.is(200);
        let changed = two.post(&of(name), &path, change).await;
        changed.is(status);
        assert_eq!(changed.body.contains("a closed account"), status == 400);
        let shown = two.get(&two.admin(), &path).await.json();
        assert_eq!(shown["status"], word);
        assert_eq!(shown["friendly_name"] == "back", status == 200);
    }
}

#[tokio::test]
async fn tokens_are_changed_as_they_are_not_as_another_server_knew_them() {
    let Some((one, two, _postgres)) = Server::two().await else {
        return;
    };
    let sid = one.account("lyra", one.admin).await;
    let who = of("lyra");
    let account = format!("/Accounts/{sid}");
    two.get(&who, &account).await.is(200);
    let secondary = format!("{account}/AuthTokens/Secondary.json");
    let promote = format!("{account}/AuthTokens/Promote.json");
    let made = one.post(&who, &secondary, "").await.json();
    let token = &made["secondary_auth_token"];
    assert!(token.is_string());
    // The other server has not seen it yet, and neither refuses nor replaces it.
    let promoted = two.post(&who, &promote, "").await.json();
    assert_eq!(&promoted["auth_token"], token);
    assert_eq!(promoted["secondary_auth_token"], "token-lyra");
    // Nor does a change of anything else bring the earlier ones back.
    let form = "FriendlyName=Lyra";
    let changed = one.post(&who, &format!("{account}.json"), form).await;
    assert_eq!(&changed.json()["auth_token"], token);
    let again = one.post(&who, &secondary, "").await;
    again.is(409);
}

#[tokio::test]
async fn nothing_is_created_for_an_account_that_another_server_has_closed() {
    let Some((one, two, _postgres)) = Server::two().await else {
        return;
    };
    let sid = one.account("lyra", one.admin).await;
    let (who, account) = (of("lyra"), format!("/Accounts/{sid}"));
    // From now on, the other server knows it as active.
    two.get(&who, &account).await.is(200);
    let close = one.post(&one.admin(), &account, "Status=closed").await;
    close.is(200);
    let table = [
        ("Clients", "Login=kim&Password=RestComm12"),
        ("IncomingPhoneNumbers", "PhoneNumber=3003&isSIP=true"),
        ("Applications", "FriendlyName=a"),
    ];
    let lists = table.map(|(list, form)| (format!("{account}/{list}.json"), form));
    let below = "EmailAddress=x%40a.example&Password=RestComm12";
    for (path, form) in lists
        .into_iter()
        .chain([("/Accounts.json".to_owned(), below)])
    {
        let refused = two.post(&who, &path, form).await;
        assert_eq!(refused.error()["code"], 20005, "{path}");
        refused.is(403);
    }
}

/// Each server has its own folder. What it has begun to remove is removed also if it dies meanwhile; what was never
/// there stays for the server that has it.
#[tokio::test]
async fn recordings_of_a_closed_account_are_removed_where_they_are() {
    let Some((one, two, _postgres)) = Server::two().await else {
        return;
    };
    let account = one.account("a", one.admin).await;
    let recording = |n: u8| Recording {
        sid: RecordingSid::from_bytes([n; 16]),
        account,
        call: None,
        conference: None,
        kind: RecordingKind::default(),
        duration_ms: 1,
        size_bytes: 1,
        created: Timestamp(1),
        updated: Timestamp(1),
    };
    let rows = [1, 2].map(recording);
    let changes = rows.iter().map(|row| Change::Recording(row.clone()));
    one.store.commit(changes.collect()).await.unwrap();
    let file = |n: usize, gone: &str| one.dir.path().join(format!("{}.wav{gone}", rows[n].sid));
    std::fs::write(file(0, ""), "x").unwrap();
    std::fs::write(file(1, ".gone"), "x").unwrap();
    let path = format!("/Accounts/{account}.json");
    two.post(&two.admin(), &path, "Status=closed").await.is(200);
    let left = || async {
        let mut left = Vec::new();
        for row in &rows {
            left.push(one.store.recording(row.sid).await.unwrap().is_some());
        }
        left
    };
    assert_eq!(left().await, [true, true]);
    let (store, folder) = (&one.store, one.dir.path());
    api::finish_removals(store, folder).await.unwrap();
    assert_eq!(left().await, [true, false]);
    let stays = api::clear_closed_accounts(store, &*one.engine, folder, None).await;
    assert_eq!((stays.unwrap(), left().await), (None, vec![false, false]));
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
}

/// A sweep meets more recordings of other servers than it reads at once, and does not stop there.
#[tokio::test]
async fn old_recordings_are_removed_where_they_are() {
    const ELSEWHERE: u16 = 501;
    let Some((one, _two, _postgres)) = Server::two().await else {
        return;
    };
    let account = one.account("a", one.admin).await;
    let recording = |n: u16| Recording {
        sid: RecordingSid::from_bytes([(n >> 8) as u8, n as u8].repeat(8).try_into().unwrap()),
        account,
        call: None,
        conference: None,
        kind: RecordingKind::default(),
        duration_ms: 1,
        size_bytes: 1,
        created: Timestamp(i64::from(n)),
        updated: Timestamp(1),
    };
    let rows: Vec<Recording> = (0..ELSEWHERE + 2).map(recording).collect();
    let changes = rows.iter().map(|row| Change::Recording(row.clone()));
    one.store.commit(changes.collect()).await.unwrap();
    let [.., here, begun] = &rows[..] else {
        unreachable!()
    };
    let folder = one.dir.path();
    let file = |sid: RecordingSid, aside: &str| folder.join(format!("{sid}.wav{aside}"));
    std::fs::write(file(here.sid, ""), "x").unwrap();
    // The server died before the row said so.
    std::fs::write(file(begun.sid, ".emptied"), "x").unwrap();
    api::finish_removals(&one.store, folder).await.unwrap();
    assert!(file(begun.sid, ".emptied").exists());

    let days = store::Retention::default().with(store::Kept::Recordings, Some(1));
    let now = model::Timestamp(i64::MAX / 2);
    api::apply_retention(&one.store, folder, &days, now)
        .await
        .unwrap();
    let why = async |row: &Recording| one.store.why_recording_is_gone(row.sid).await.unwrap();
    assert_eq!(why(here).await.as_deref(), Some("retention"));
    assert_eq!(why(begun).await.as_deref(), Some("retention"));
    assert_eq!(why(&rows[0]).await, None);
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);

    // And before the file was deleted.
    std::fs::write(file(begun.sid, ".emptied"), "x").unwrap();
    api::finish_removals(&one.store, folder).await.unwrap();
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
}
