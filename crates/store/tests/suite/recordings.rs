//! Recordings that are being made or have failed, among the complete ones.

use model::record::{Recording, ShownRecording, StartedRecording};
use model::{RecordingStatus, Timestamp};
use store::{Change, Place, RecordingFilter, RowKey, Scope, Window};

use super::Database;
use super::values::*;

/// It becomes a complete one, or one that has failed.
pub(crate) async fn a_recording_in_progress_is_listed_with_its_state(db: &Database) {
    let store = db.open().await;
    let complete = recording(1, call_sid(1), 14_700);
    commit(&store, vec![Change::Recording(complete.clone())]).await;
    let started = |n| {
        let Recording {
            sid, account, kind, ..
        } = recording(n, call_sid(1), 0);
        let created = Timestamp(complete.created.0 + i64::from(n));
        StartedRecording {
            sid,
            account,
            call: Some(call_sid(1)),
            conference: None,
            kind,
            created,
        }
    };
    let (going, failing) = (started(2), started(3));
    let start = |started: &StartedRecording| Change::RecordingStarted {
        started: started.clone(),
        farewell: None,
    };
    commit(&store, vec![start(&going), start(&failing)]).await;
    let states = async |filter: &RecordingFilter| {
        let rows = store.recordings(filter).await.unwrap();
        let of = |row: &ShownRecording| (row.status.as_str(), row.recording.duration_ms);
        let found: Vec<_> = rows.items.iter().map(of).collect();
        (rows.total, found)
    };
    let complete_only = RecordingFilter::of(Scope::Own(account_sid(1)));
    let all = RecordingFilter {
        unfinished: true,
        ..complete_only.clone()
    };
    let (going_on, done) = (("in-progress", 0), ("completed", 14_700));
    assert_eq!(states(&complete_only).await, (1, vec![done]));
    assert_eq!(states(&all).await, (3, vec![going_on, going_on, done]));
    let at = Timestamp(complete.created.0 + 9);
    let change = |sid, status| Change::RecordingChanged { sid, status, at };
    let failed = Change::RecordingReported {
        sid: failing.sid,
        tells: None,
    };
    let paused = change(going.sid, RecordingStatus::Paused);
    commit(&store, vec![paused, failed]).await;
    let paused = store.shown_recording(going.sid).await.unwrap().unwrap();
    assert_eq!(paused.status, RecordingStatus::Paused);
    assert_eq!(paused.recording.updated, at);
    assert_eq!(
        states(&all).await,
        (3, vec![("failed", 0), ("paused", 0), done])
    );
    // In pages, too: beside a row, and after one.
    let older = RecordingFilter {
        window: Window {
            place: Place::OlderThan(RowKey {
                created: failing.created,
                sid: failing.sid.to_string(),
            }),
            ..Window::all()
        },
        ..all.clone()
    };
    assert_eq!(states(&older).await.1, [("paused", 0), done]);
    let after = RecordingFilter {
        window: Window {
            place: Place::AfterRow(failing.sid.to_string()),
            ..Window::all()
        },
        ..all.clone()
    };
    assert_eq!(states(&after).await.1, [("paused", 0), done]);
    let whole = Recording {
        duration_ms: 100,
        ..paused.recording
    };
    commit(&store, vec![Change::Recording(whole)]).await;
    let (failed, done_too) = (("failed", 0), ("completed", 100));
    assert_eq!(states(&all).await, (3, vec![failed, done_too, done]));
    assert_eq!(states(&complete_only).await, (2, vec![done_too, done]));
}
