//! `/Accounts/{sid}/Recordings`.

use std::time::Duration;

use model::record::{Notification, Recording, RecordingKind};
use model::{AccountSid, NotificationSid, RecordingSid, Timestamp};
use store::{Change, NotificationFilter, Scope};

use crate::server::{Answer, Server, account_sid, call_sid, of};

fn recording_sid(n: u32) -> RecordingSid {
    let mut bytes = [0xee; 16];
    bytes[12..].copy_from_slice(&n.to_be_bytes());
    RecordingSid::from_bytes(bytes)
}

async fn keep(server: &Server, rows: u32) {
    let account = server.account("p", server.admin).await;
    let changes = (0..rows)
        .map(|n| Change::Recording(recording(n, account)))
        .collect();
    server.store.commit(changes).await.unwrap();
}

fn recording(n: u32, account: AccountSid) -> Recording {
    let at = Timestamp(1_377_216_000_000_000 + i64::from(n) * 3_600_000_000);
    Recording {
        sid: recording_sid(n),
        account,
        call: Some(call_sid(n % 10)),
        conference: None,
        kind: RecordingKind::default(),
        duration_ms: i64::from(n) * 1_000,
        size_bytes: 44,
        created: at,
        updated: at,
    }
}

fn list(answer: &Answer) -> (usize, i64, String, String) {
    let page = answer.json();
    let text = |key: &str| page[key].as_str().unwrap().to_owned();
    (
        page["recordings"].as_array().unwrap().len(),
        page["total"].as_i64().unwrap(),
        text("start"),
        text("end"),
    )
}

#[tokio::test]
async fn recordings_are_listed() {
    let server = Server::start().await;
    keep(&server, 34).await;
    let who = of("p");
    let path = format!(
        "/Accounts/{}/Recordings.json",
        crate::server::account_sid("p")
    );
    let call = call_sid(3);
    let table = [
        (String::new(), (34, 34, "0", "34")),
        ("?PageSize=10".to_owned(), (10, 34, "0", "9")),
        ("?PageSize=10&Page=2".to_owned(), (10, 34, "20", "29")),
        ("?PageSize=10&Page=3".to_owned(), (4, 34, "30", "34")),
        (
            "?StartTime=2013-08-24%2014:30:07.82".to_owned(),
            (10, 10, "0", "10"),
        ),
        ("?EndTime=2013-08-23".to_owned(), (25, 25, "0", "25")),
        (format!("?CallSid={call}"), (4, 4, "0", "4")),
        (
            format!("?CallSid=ID{}-{call}", "0".repeat(32)),
            (4, 4, "0", "4"),
        ),
    ];
    for (query, (rows, total, start, end)) in table {
        let answer = server.get(&who, &format!("{path}{query}")).await;
        let expected = (rows, total, start.to_owned(), end.to_owned());
        assert_eq!(list(&answer), expected, "{query}");
    }
    for (query, first) in [
        ("SortBy=Duration", "0.0"),
        ("SortBy=Duration:desc", "33.0"),
        ("SortBy=DateCreated", "0.0"),
        ("SortBy=CallSid", "30.0"),
        ("SortBy=CallSid:desc", "29.0"),
        ("", "33.0"),
    ] {
        let answer = server.get(&who, &format!("{path}?{query}")).await;
        assert_eq!(answer.column("recordings", "duration")[0], first, "{query}");
    }
    for bad in [
        "SortBy=:asc",
        "SortBy=DateCreated:invalid",
        "Page=4",
        "PageSize=0",
        "StartTime=x",
        "SubAccounts=x",
    ] {
        server.get(&who, &format!("{path}?{bad}")).await.is(400);
    }
    let above = format!("/Accounts/{}/Recordings.json", server.admin);
    assert_eq!(server.get(&server.admin(), &above).await.json()["total"], 0);
    let tree = server
        .get(&server.admin(), &format!("{above}?SubAccounts=true"))
        .await;
    assert_eq!(tree.json()["total"], 34);
    // Those of one call, even an unknown one: the whole list, without pages.
    for (call, rows) in [(call_sid(3), 4), (call_sid(77), 0)] {
        let path = path.replace("Recordings", &format!("Calls/{call}/Recordings"));
        let answer = server.get(&who, &path).await;
        assert_eq!(answer.column("", "sid").len(), rows);
    }
}

#[tokio::test]
async fn files_need_credentials_or_a_signature() {
    let server = Server::start().await;
    keep(&server, 2).await;
    let sid = recording_sid(1);
    let file = server.dir.path().join(format!("{sid}.wav"));
    std::fs::write(&file, "0123456789").unwrap();
    let who = of("p");
    let path = format!(
        "/Accounts/{}/Recordings/{sid}",
        crate::server::account_sid("p")
    );
    let shown = server.get(&who, &format!("{path}.json")).await.json();
    let link = shown["file_uri"].as_str().unwrap();
    let link = link
        .strip_prefix("http://pbx.example:8080")
        .unwrap()
        .to_owned();
    assert!(
        link.starts_with(&format!("/restcomm/2012-04-24{path}.wav?Signature=")),
        "{link}"
    );
    let bent = format!("{}0", &link[..link.len() - 1]);
    let bent = if bent == link {
        format!("{}1", &link[..link.len() - 1])
    } else {
        bent
    };
    let bare = format!("/restcomm/recordings/{sid}.wav");
    let signature = link.split_once('?').unwrap().1;
    let signed_bare = format!("{bare}?{signature}");
    let wav = format!("{path}.wav");
    // Credentials or a signature; with a wrong signature the file looks missing.
    let table = [
        (None, link.clone(), 200),
        (None, bent, 404),
        (
            None,
            link.replace(&sid.to_string(), &recording_sid(0).to_string()),
            404,
        ),
        (None, wav.clone(), 401),
        (Some(who.clone()), wav.clone(), 200),
        (Some(server.admin()), wav.clone(), 404),
        (Some(who.clone()), wav.replace("wav", "mp4"), 406),
        (
            Some(who.clone()),
            wav.replace(&sid.to_string(), &recording_sid(0).to_string()),
            404,
        ),
        (Some(who.clone()), wav.replace(&sid.to_string(), "RE1"), 404),
        (None, bare.clone(), 401),
        (None, signed_bare, 200),
        (Some(server.admin()), bare.clone(), 200),
        (None, format!("{path}?Signature=0"), 404),
    ];
    for (who, path, status) in table {
        let path = if who == Some(server.admin()) && path == wav {
            path.replace(
                &crate::server::account_sid("p").to_string(),
                &server.admin.to_string(),
            )
        } else {
            path
        };
        let answer = server.ask("GET", who.as_ref(), &path, &[], "").await;
        assert_eq!(answer.status, status, "{path}");
        if status == 200 {
            assert_eq!(answer.body, "0123456789");
            assert_eq!(answer.headers["content-type"], "audio/x-wav");
            assert_eq!(answer.headers["content-length"], "10");
        }
    }
    for (range, status, body, shown) in [
        ("bytes=2-4", 206, "234", Some("bytes 2-4/10")),
        ("bytes=-3", 206, "789", Some("bytes 7-9/10")),
        ("bytes=10-", 416, "", Some("bytes */10")),
        ("bytes=x", 200, "0123456789", None),
    ] {
        let answer = server
            .ask("GET", None, &link, &[("range", range)], "")
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.body.as_str()),
            (status, body),
            "{range}"
        );
        let found = answer
            .headers
            .get("content-range")
            .map(|value| value.to_str().unwrap());
        assert_eq!(found, shown, "{range}");
    }
}

/// The record stays, so that it can be deleted later, and the recording of a closed account is removed later.
#[tokio::test]
async fn a_recording_whose_file_cannot_be_removed_stays() {
    let server = Server::start().await;
    let (who, admin) = (server.admin(), server.admin);
    server.account("a", admin).await;
    let stuck = [recording(1, admin), recording(2, account_sid("a"))];
    let gone = recording(3, account_sid("a"));
    let changes = stuck
        .iter()
        .chain([&gone])
        .map(|row| Change::Recording(row.clone()));
    server.store.commit(changes.collect()).await.unwrap();
    let path_of = |row: &Recording| server.dir.path().join(format!("{}.wav", row.sid));
    // What is there cannot be replaced by a file.
    let obstacle_of = |row: &Recording| server.dir.path().join(format!("{}.wav.gone", row.sid));
    for row in &stuck {
        std::fs::write(path_of(row), "0123456789").unwrap();
        std::fs::create_dir(obstacle_of(row)).unwrap();
    }
    let path = format!("/Accounts/{admin}/Recordings/{}.json", stuck[0].sid);
    server.delete(&who, &path).await.is(200);
    let path = format!("/Accounts/{admin}/Bin/{}.json", stuck[0].sid);
    let refused = server.delete(&who, &path).await;
    assert_eq!(refused.status, 500);
    assert!(refused.body.contains("\"code\":12400"), "{}", refused.body);
    server.get(&who, &path).await.is(200);
    let account = format!("/Accounts/{}.json", account_sid("a"));
    server.put(&who, &account, "Status=closed").await.is(200);
    let kept = |sid| {
        let store = server.store.clone();
        async move { store.recording(sid).await.unwrap().is_some() }
    };
    assert!(kept(stuck[1].sid).await && !kept(gone.sid).await);
    let late = Notification::of_account(
        NotificationSid::new(Timestamp(1), [1; 10]),
        account_sid("a"),
        12_400,
        "late".to_owned(),
        Timestamp(1),
    );
    let late = Change::Notification(Box::new(late));
    server.store.commit(vec![late]).await.unwrap();
    for row in &stuck {
        std::fs::remove_dir(obstacle_of(row)).unwrap();
    }
    server.delete(&who, &path).await.is(204);
    let folder = server.dir.path();
    // Closing another account does not clear this one.
    server.account("b", admin).await;
    let other = format!("/Accounts/{}.json", account_sid("b"));
    server.put(&who, &other, "Status=closed").await.is(200);
    assert!(kept(stuck[1].sid).await);
    api::clear_closed_accounts(&server.store, &*server.engine, folder, None)
        .await
        .unwrap();
    assert!(!kept(stuck[1].sid).await);
    let of_closed = NotificationFilter::of(Scope::Own(account_sid("a")));
    assert_eq!(
        server.store.notifications(&of_closed).await.unwrap().total,
        0
    );
    let left = std::fs::read_dir(folder).unwrap().flatten();
    let left = left.filter(|file| file.file_name().to_string_lossy().contains(".wav"));
    assert_eq!(left.count(), 0);
}

#[tokio::test]
async fn recordings_are_deleted_with_their_file() {
    let server = Server::start().await;
    keep(&server, 2).await;
    let sid = recording_sid(1);
    let file = server.dir.path().join(format!("{sid}.wav"));
    std::fs::write(&file, "0123456789").unwrap();
    let who = of("p");
    let account = crate::server::account_sid("p");
    let path = format!("/Accounts/{account}/Recordings/{sid}.json");
    let deleted = server.delete(&who, &path).await;
    assert_eq!((deleted.status.as_u16(), deleted.body.as_str()), (200, ""));
    assert!(file.exists(), "it rests in the bin");
    let left = server
        .get(&who, &format!("/Accounts/{account}/Recordings.json"))
        .await;
    assert_eq!(left.json()["total"], 1);
    server.delete(&who, &path).await.is(404);
    server.get(&who, &path).await.is(404);
    server
        .get(&who, &path.replace(".json", ".wav"))
        .await
        .is(404);
    let resting = path.replace("Recordings", "Bin");
    let shown = server.get(&who, &resting).await.json();
    assert_eq!(
        (&shown["kind"], &shown["name"]),
        (&"recording".into(), &shown["sid"])
    );
    server.post(&who, &resting, "").await.is(200);
    server.post(&who, &resting, "").await.is(404);
    server
        .get(&who, &path.replace(".json", ".wav"))
        .await
        .is(200);
    server.delete(&who, &path).await.is(200);
    server.delete(&who, &resting).await.is(204);
    server.get(&who, &resting).await.is(404);
    assert!(!file.exists());
    server.delete(&who, &path).await.is(404);
}

#[tokio::test]
async fn the_bin_is_emptied_in_time() {
    let server = Server::start().await;
    keep(&server, 2).await;
    let who = of("p");
    let account = crate::server::account_sid("p");
    let json = format!("/Accounts/{account}/IncomingPhoneNumbers.json");
    let number = server
        .post(&who, &json, "PhoneNumber=9966&isSIP=true")
        .await
        .json();
    let number = number["sid"].as_str().unwrap();
    let recording = recording_sid(1);
    let file = server.dir.path().join(format!("{recording}.wav"));
    std::fs::write(&file, "0123456789").unwrap();
    let delete = async |kind: &str, sid: &str| {
        let path = format!("/Accounts/{account}/{kind}/{sid}.json");
        let deleted = server.delete(&who, &path).await;
        assert!(deleted.status.is_success(), "{path}: {}", deleted.status);
    };
    delete("IncomingPhoneNumbers", number).await;
    delete("Recordings", &recording.to_string()).await;
    let bin = format!("/Accounts/{account}/Bin.json");
    let listed = async || server.get(&who, &bin).await.column("bin", "kind");
    assert_eq!(listed().await, ["recording", "number"]);
    let sweep = |before| api::empty_bin(&server.store, server.dir.path(), before);
    let now = Timestamp::from_unix(std::time::UNIX_EPOCH.elapsed().unwrap());
    sweep(now - std::time::Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(listed().await.len(), 2);
    sweep(now + std::time::Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(listed().await, [""; 0]);
    assert!(!file.exists());
    // A name that another account takes meanwhile is not given back.
    let again = server
        .post(&who, &json, "PhoneNumber=9966&isSIP=true")
        .await
        .json();
    let again = again["sid"].as_str().unwrap();
    delete("IncomingPhoneNumbers", again).await;
    let admin = server.admin();
    let others = format!("/Accounts/{}/IncomingPhoneNumbers.json", server.admin);
    server
        .post(&admin, &others, "PhoneNumber=9966&isSIP=true")
        .await
        .is(200);
    let path = format!("/Accounts/{account}/Bin/{again}.json");
    let refused = server.post(&who, &path, "").await;
    assert_eq!(refused.status, 409, "{}", refused.body);
}

#[tokio::test]
async fn links_expire_if_they_are_set_to() {
    for (lifetime, status) in [(3600, 200), (0, 404)] {
        let server = Server::with(|state| {
            let lifetime = Some(Duration::from_secs(lifetime));
            let key = state.store.key().clone();
            state.recording_links = store::RecordingLinks::new(key, lifetime);
        })
        .await;
        let items = crate::tenancy::items(&server, server.admin, 1).await;
        let item = items.iter().find(|item| item.starts_with("Rec")).unwrap();
        let sid = item.rsplit('/').next().unwrap();
        std::fs::write(server.dir.path().join(format!("{sid}.wav")), "RIFF").unwrap();
        let path = format!("/Accounts/{}/{item}.json", server.admin);
        let shown = server.get(&server.admin(), &path).await.json();
        let link = shown["file_uri"].as_str().unwrap();
        let link = link.strip_prefix("http://pbx.example:8080").unwrap();
        server.ask("GET", None, link, &[], "").await.is(status);
        // Neither a later expiry nor a missing one matches the signature.
        let (path, query) = link.split_once('?').unwrap();
        let (expires, signature) = query.split_once('&').unwrap();
        let later = format!("{path}?{}0&{signature}", expires);
        for bent in [later, format!("{path}?{signature}")] {
            server.ask("GET", None, &bent, &[], "").await.is(404);
        }
        // The recording itself is still there.
        let wav = format!("/Accounts/{}/{item}.wav", server.admin);
        server.get(&server.admin(), &wav).await.is(200);
    }
}
