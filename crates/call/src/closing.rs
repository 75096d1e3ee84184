//! Ends legs, text messages and conferences that no process runs any more: those of a dead server, or of a
//! family that failed.
//!
//! **Invariant: an end and the callbacks it causes are one list of changes, to be committed
//! together**; the store drops the callbacks if another process was faster.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use call_proto::{Farewell, MessageFarewell, RecordingFarewell, RecordingOutcome, RoomFarewell};
use model::record::{Recording, recording_seconds};
use model::{EventSid, RecordingSid, Timestamp};
use serde::de::DeserializeOwned;
use store::{Change, Orphan, OrphanConference, OrphanMessage, OrphanRecording, Store, StoreError};
use tracing::warn;

use crate::clock::Clock;

/// How long the media side may take to close a file, and how often that is checked.
const CLOSES_WITHIN: Duration = Duration::from_secs(5);
const PACE: Duration = Duration::from_millis(50);

/// The end of a leg, its callbacks made at `now`.
///
/// # Errors
/// As reported by the database.
pub async fn leg(
    store: &Store,
    orphan: &Orphan,
    now: Timestamp,
) -> Result<Vec<Change>, StoreError> {
    let record = &orphan.record;
    let farewell: Option<Farewell> = orphan
        .farewell
        .as_deref()
        .and_then(|text| read(text, "the final callback of a call"));
    let mut farewell = farewell.unwrap_or_default();
    farewell.follow(store.next_sequence(record.sid.into()).await?);
    let lengths = lengths(store, &farewell).await?;
    farewell.settle_recordings(|sid| lengths.get(&sid).copied());
    let event = || EventSid::new(now, rand::random());
    let callbacks = farewell
        .callbacks(record, now, event)
        .into_iter()
        .map(|callback| Change::CallbackQueued(Box::new(callback)));
    let closed = Change::OrphanClosed(Box::new(record.clone()));
    Ok(std::iter::once(closed).chain(callbacks).collect())
}

/// The end of a text message. Committed before the end of the leg that sent it, and each before the
/// next is requested, so that their callbacks follow each other.
///
/// # Errors
/// As reported by the database.
pub async fn message(store: &Store, orphan: &OrphanMessage) -> Result<Vec<Change>, StoreError> {
    let message = &orphan.record;
    let next = store.next_sequence(message.lane()).await?;
    let farewell: Option<MessageFarewell> = orphan
        .farewell
        .as_deref()
        .and_then(|text| read(text, "the callback of a message"));
    let callback = farewell.map(|mut farewell| {
        farewell.follow(next);
        let event = EventSid::new(message.updated, rand::random());
        farewell.callback(message, event)
    });
    let ended = Change::MessageEnded {
        message: Box::new(message.clone()),
        tells: callback.as_ref().map(|callback| callback.event),
    };
    let told = callback.map(|callback| Change::CallbackQueued(Box::new(callback)));
    Ok(std::iter::once(ended).chain(told).collect())
}

/// The end of a recording, with its callback, made at `now`. Each is committed before the next is
/// requested, so that their callbacks follow each other. The repair at start commits it before the end of
/// the leg that made it; after a panic, the legs have been closed already.
///
/// - `file`: length in milliseconds and size of the completed file; a length of 0 means that it is
///   empty; `None` means that there is no file.
///
/// # Errors
/// As reported by the database.
pub async fn recording(
    store: &Store,
    orphan: &OrphanRecording,
    file: Option<(i64, i64)>,
    now: Timestamp,
) -> Result<Vec<Change>, StoreError> {
    let started = &orphan.started;
    let (duration_ms, size_bytes) = file.unwrap_or_default();
    let end = match file {
        None => RecordingOutcome::Failed,
        Some(_) if duration_ms > 0 => RecordingOutcome::Completed(duration_ms),
        Some(_) => RecordingOutcome::Absent,
    };
    let farewell: Option<RecordingFarewell> = orphan
        .farewell
        .as_deref()
        .and_then(|text| read(text, "the callback of a recording"));
    let callback = match farewell.filter(|farewell| farewell.reports(end)) {
        Some(mut farewell) => {
            farewell.follow(store.next_sequence(started.lane()).await?);
            let event = EventSid::new(now, rand::random());
            Some(farewell.callback(started, end, event, now))
        }
        None => None,
    };
    let closed = Change::RecordingClosed {
        sid: started.sid,
        tells: callback.as_ref().map(|callback| callback.event),
    };
    let complete = (duration_ms > 0).then_some(Change::Recording(Recording {
        sid: started.sid,
        account: started.account,
        call: started.call,
        conference: started.conference,
        kind: started.kind,
        duration_ms,
        size_bytes,
        created: started.created,
        updated: now,
    }));
    let told = callback.map(|callback| Change::CallbackQueued(Box::new(callback)));
    Ok(std::iter::once(closed)
        .chain(complete)
        .chain(told)
        .collect())
}

/// The end of a recording of this process whose owner has failed, once the media side has closed its
/// file; `None`, with a warning, if that takes too long.
///
/// # Errors
/// As reported by the database.
pub(crate) async fn abandoned_recording(
    store: &Store,
    folder: &Path,
    orphan: &OrphanRecording,
    clock: Clock,
) -> Result<Option<Vec<Change>>, StoreError> {
    let sid = orphan.started.sid;
    let Some(file) = closed_file(folder, sid, orphan.started.kind.channels).await else {
        warn!(recording.sid = %sid, "a recording stays open until the next start");
        return Ok(None);
    };
    let ending = recording(store, orphan, Some(file), clock.now()).await?;
    Ok(Some(ending))
}

/// The length in milliseconds and the size of a recording, once the media side has closed its
/// file; `None` if that takes too long. An empty one is removed there.
async fn closed_file(folder: &Path, sid: RecordingSid, channels: u8) -> Option<(i64, i64)> {
    let (whole, part) = (format!("{sid}.wav"), format!("{sid}.wav.part"));
    for _ in 0..CLOSES_WITHIN.as_millis() / PACE.as_millis() {
        // Renaming it is the last step, so what is there afterwards is whole.
        if matches!(tokio::fs::try_exists(folder.join(&part)).await, Ok(false)) {
            let Ok(metadata) = tokio::fs::metadata(folder.join(&whole)).await else {
                return Some((0, 0));
            };
            let size = metadata.len();
            let length = audio::wav::recorded_ms(channels.into(), size);
            return Some((i64::try_from(length).ok()?, i64::try_from(size).ok()?));
        }
        tokio::time::sleep(PACE).await;
    }
    None
}

/// The end of a conference, its callback made at `now`.
///
/// # Errors
/// As reported by the database.
pub async fn conference(
    store: &Store,
    orphan: &OrphanConference,
    now: Timestamp,
) -> Result<Vec<Change>, StoreError> {
    let record = &orphan.record;
    let next = store.next_sequence(record.sid.into()).await?;
    let farewell: Option<RoomFarewell> = orphan
        .farewell
        .as_deref()
        .and_then(|text| read(text, "the callback of a conference"));
    let farewell = match farewell {
        Some(farewell) => Some(existing(store, farewell).await?),
        None => None,
    };
    let event = EventSid::new(now, rand::random());
    let told = farewell.map(|farewell| farewell.callback(record, next, event, now));
    let told = told.map(|callback| Change::CallbackQueued(Box::new(callback)));
    let closed = Change::ConferenceClosed(Box::new(record.clone()));
    Ok(std::iter::once(closed).chain(told).collect())
}

/// A farewell that names the recording only if that can be fetched.
async fn existing(store: &Store, mut farewell: RoomFarewell) -> Result<RoomFarewell, StoreError> {
    if let Some(sid) = farewell.recording()
        && store.recording(sid).await?.is_none()
    {
        farewell.without_recording();
    }
    Ok(farewell)
}

/// The farewell stored for this case; `None`, with a warning, if it cannot be read.
fn read<T: DeserializeOwned>(text: &str, what: &str) -> Option<T> {
    let tell = |error| warn!(%error, "{what} is lost: its stored data cannot be read");
    serde_json::from_str(text).map_err(tell).ok()
}

/// The recordings that callbacks may name, with their lengths in seconds. A recording whose file
/// may be on another server's disk is left out: it cannot be fetched, and may be empty.
async fn lengths(
    store: &Store,
    farewell: &Farewell,
) -> Result<BTreeMap<RecordingSid, i64>, StoreError> {
    let mut lengths = BTreeMap::new();
    for sid in farewell.recordings() {
        if let Some(recording) = store.recording(sid).await? {
            lengths.insert(sid, recording_seconds(recording.duration_ms));
        }
    }
    Ok(lengths)
}
