//! `/Accounts/{sid}/Transcriptions`.

use model::record::{Recording, RecordingKind, Transcription};
use model::{
    AccountSid, AccountStatus, RecordingSid, Timestamp, TranscriptionSid, TranscriptionStatus,
};
use store::Change;

use crate::server::{Server, call, call_sid, of};

fn transcription(n: u8, account: AccountSid, text: &str) -> Transcription {
    let created = Timestamp(1_377_000_000_000_000 + i64::from(n) * 86_400_000_000);
    Transcription {
        sid: TranscriptionSid::from_bytes([n; 16]),
        account,
        recording: RecordingSid::from_bytes([n % 2; 16]),
        status: TranscriptionStatus::Completed,
        duration_s: Some(12),
        text: Some(text.to_owned()),
        created,
        updated: created,
    }
}

async fn keep(server: &Server, all: Vec<Transcription>) {
    let changes = all
        .into_iter()
        .map(|one| Change::Transcription(Box::new(one)));
    server.store.commit(changes.collect()).await.unwrap();
}

#[tokio::test]
async fn transcriptions_are_filtered_and_deleted() {
    let server = Server::start().await;
    let who = server.admin();
    let p = server.account("p", server.admin).await;
    keep(
        &server,
        vec![
            transcription(1, server.admin, "Hello from RestComm"),
            transcription(2, server.admin, "restcomm again"),
            transcription(3, server.admin, "50% off"),
            transcription(4, p, "RestComm below"),
        ],
    )
    .await;
    let list = format!("/Accounts/{}/Transcriptions", server.admin);
    let json = format!("{list}.json");
    let sid = |n: u8| TranscriptionSid::from_bytes([n; 16]).to_string();
    let table: &[(&str, &[u8])] = &[
        ("", &[1, 2, 3]),
        ("?TranscriptionText=RestComm", &[1, 2]),
        ("?TranscriptionText=hello%25rest", &[1]),
        ("?TranscriptionText=nothing", &[]),
        ("?StartTime=2013-08-22&EndTime=2013-08-22", &[2]),
        ("?EndTime=2013-08-21", &[1]),
        ("?SubAccounts=true&TranscriptionText=RestComm", &[1, 2, 4]),
        ("?PageSize=2&Page=1", &[3]),
    ];
    for (query, expected) in table {
        let found = server.get(&who, &format!("{json}{query}")).await;
        let expected: Vec<_> = expected.iter().map(|n| sid(*n)).collect();
        assert_eq!(found.column("transcriptions", "sid"), expected, "{query}");
    }
    let page = server.get(&who, &format!("{json}?PageSize=2")).await.json();
    assert_eq!((&page["total"], &page["end"]), (&3.into(), &"1".into()));
    let next = page["next_page_uri"].as_str().unwrap();
    let next = server.get(&who, next).await;
    assert_eq!(next.column("transcriptions", "sid"), [sid(3)]);
    server
        .get(&who, &format!("{json}?StartTime=yesterday"))
        .await
        .is(400);
    // Of one recording; at the Twilio base newest first.
    let of_one = format!(
        "/Accounts/{}/Recordings/{}/Transcriptions.json",
        server.admin,
        RecordingSid::from_bytes([1; 16])
    );
    let found = server.get(&who, &of_one).await;
    assert_eq!(found.column("transcriptions", "sid"), [sid(1), sid(3)]);
    let found = server.get(&who, &format!("/2010-04-01{of_one}")).await;
    assert_eq!(found.column("transcriptions", "sid"), [sid(3), sid(1)]);

    let path = format!("{list}/{}.json", sid(1));
    let shown = server.get(&who, &path).await.json();
    assert_eq!(
        (&shown["status"], &shown["duration"]),
        (&"completed".into(), &"12".into())
    );
    assert_eq!(shown["transcription_text"], "Hello from RestComm");
    assert!(shown.get("api_version").is_none());
    let xml = server.get(&who, &list).await;
    let head = "<RestcommResponse><Transcriptions><Transcription><Sid>";
    assert!(xml.body.contains(head), "{}", xml.body);
    // As with Restcomm, deleting succeeds whether or not there was one.
    for _ in 0..2 {
        server.delete(&who, &path).await.is(200);
        server.get(&who, &path).await.is(404);
    }
    server
        .delete(&who, &format!("/2010-04-01{path}"))
        .await
        .is(404);
    let second = format!("/2010-04-01{list}/{}.json", sid(2));
    server.delete(&who, &second).await.is(204);
    // A developer only reads.
    let developer = server
        .account_with("d", Some(server.admin), "Developer", AccountStatus::Active)
        .await;
    keep(&server, vec![transcription(5, developer, "x")]).await;
    let own = format!("/Accounts/{developer}/Transcriptions/{}.json", sid(5));
    server.get(&of("d"), &own).await.is(200);
    server.delete(&of("d"), &own).await.is(403);
}

#[tokio::test]
async fn a_transcription_changes_and_goes_with_its_recording() {
    let server = Server::start().await;
    let who = server.admin();
    let begun = Transcription {
        status: TranscriptionStatus::InProgress,
        text: None,
        duration_s: None,
        ..transcription(1, server.admin, "")
    };
    keep(&server, vec![begun]).await;
    let sid = TranscriptionSid::from_bytes([1; 16]);
    let path = format!("/Accounts/{}/Transcriptions/{sid}.json", server.admin);
    let shown = server.get(&who, &path).await.json();
    assert_eq!(shown["status"], "in-progress");
    assert!(shown.get("transcription_text").is_none() && shown.get("duration").is_none());
    keep(&server, vec![transcription(1, server.admin, "done")]).await;
    let shown = server.get(&who, &path).await.json();
    assert_eq!(
        (&shown["status"], &shown["transcription_text"]),
        (&"completed".into(), &"done".into())
    );
    server.keep(vec![call(1, server.admin)]).await;
    let recording = RecordingSid::from_bytes([1; 16]);
    let change = Change::Recording(Recording {
        sid: recording,
        account: server.admin,
        call: Some(call_sid(1)),
        conference: None,
        kind: RecordingKind::default(),
        duration_ms: 1,
        size_bytes: 1,
        created: Timestamp(1),
        updated: Timestamp(1),
    });
    server.store.commit(vec![change]).await.unwrap();
    let of_it = format!("/Accounts/{}/Recordings/{recording}", server.admin);
    server.delete(&who, &of_it).await.is(200);
    server.get(&who, &path).await.is(404);
}
