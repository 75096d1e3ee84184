//! Completes what a server that is gone left behind: open calls, messages on their way, and recordings
//! without a record.
//!
//! **Invariant: a leg is closed in one transaction with its last callbacks, so a second crash in the
//! middle neither loses nor doubles them.** The callbacks are delivered by whoever empties the
//! outbox. They name a recording only if it is on record, so files are recorded before calls are
//! closed, and both look at the servers of the same moment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use call_proto::{Farewell, MessageFarewell};
use model::record::{Recording, StartedRecording};
use model::{EventSid, RecordingSid, Timestamp};
use serde::de::DeserializeOwned;
use sip::{DialogSnapshot, Sip};
use store::{Change, Orphan, Store};
use tokio::sync::watch;
use tracing::{info, warn};
use webhook::Callbacks;

/// Legs that are closed in one transaction.
const GROUP: usize = 200;

/// How often a shared database is searched for what other servers left behind.
const PATROL: Duration = Duration::from_secs(15);

/// Completes what other servers leave behind while this one runs: of a shared database only their
/// silence tells that they are gone, and that takes longer than a restart.
pub(super) struct Patrol {
    pub(super) store: Store,
    pub(super) sip: Sip,
    pub(super) callbacks: Callbacks,
    pub(super) recordings: PathBuf,
}

impl Patrol {
    /// Until the server stops.
    pub(super) async fn walk(self, mut stopped: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                _ = stopped.changed() => return,
                () = tokio::time::sleep(PATROL) => {}
            }
            if let Err(error) = self.round().await {
                warn!(%error, "what other servers left behind could not be completed");
            }
        }
    }

    async fn round(&self) -> Result<()> {
        let found = complete(&self.store, &self.sip, &self.recordings).await;
        // What could not be confirmed may have been written all the same.
        let stored = !matches!(found, Ok(0));
        self.callbacks.adopt(stored).await?;
        found.map(drop)
    }
}

/// Records the files that servers which are gone left, and closes their calls; returns how many
/// calls there were.
pub(super) async fn complete(store: &Store, sip: &Sip, recordings: &Path) -> Result<usize> {
    complete_at(store, recordings, now()?, |orphan| hang_up(sip, orphan)).await
}

async fn complete_at(
    store: &Store,
    recordings: &Path,
    now: Timestamp,
    hang_up: impl Fn(&Orphan),
) -> Result<usize> {
    record_files(store, recordings, now).await?;
    close_messages(store, now).await?;
    close_orphans(store, now, hang_up).await
}

/// Hangs up the dialogs and writes the final records; returns how many legs were open.
async fn close_orphans(store: &Store, now: Timestamp, hang_up: impl Fn(&Orphan)) -> Result<usize> {
    let orphans = store.orphans(now).await?;
    for group in orphans.chunks(GROUP) {
        // First, and again after the next crash if need be: a far side that is gone refuses it.
        group.iter().for_each(&hang_up);
        let mut changes = Vec::new();
        let mut starts = Vec::new();
        for orphan in group {
            starts.push(changes.len());
            changes.extend(closing(store, orphan).await?);
        }
        let committed = store.commit(changes).await?;
        let closed = starts.into_iter().filter(|at| committed.applied(*at));
        info!(
            calls = closed.count(),
            "closed calls that an earlier run left open"
        );
    }
    Ok(orphans.len())
}

/// Ends the text messages that nobody waits for any more, each with its callback.
async fn close_messages(store: &Store, now: Timestamp) -> Result<()> {
    for orphan in store.orphan_messages(now).await? {
        let message = &orphan.record;
        let farewell: Option<MessageFarewell> = orphan
            .farewell
            .as_deref()
            .and_then(|text| read(text, "the callback of a message"));
        let callback = farewell.map(|farewell| {
            let event = EventSid::new(message.updated, rand::random());
            farewell.callback(message, event)
        });
        let ended = Change::MessageEnded {
            message: Box::new(message.clone()),
            tells: callback.as_ref().map(|callback| callback.event),
        };
        let told = callback.map(|callback| Change::CallbackQueued(Box::new(callback)));
        store
            .commit(std::iter::once(ended).chain(told).collect())
            .await?;
        info!(message.sid = %message.sid, "ended a message that an earlier run left on its way");
    }
    Ok(())
}

/// What was kept for this case; `None`, with a warning, if it cannot be read.
fn read<T: DeserializeOwned>(text: &str, what: &str) -> Option<T> {
    let tell = |error| warn!(%error, "{what} is lost: what was kept of it cannot be read");
    serde_json::from_str(text).map_err(tell).ok()
}

/// The end of a leg and the callbacks it causes; the store leaves these out if another server was
/// faster.
async fn closing(store: &Store, orphan: &Orphan) -> Result<Vec<Change>> {
    let record = &orphan.record;
    let farewell: Option<Farewell> = orphan
        .farewell
        .as_deref()
        .and_then(|text| read(text, "the last callback of a call"));
    let mut farewell = farewell.unwrap_or_default();
    let lengths = lengths(store, &farewell).await?;
    farewell.settle_recordings(|sid| lengths.get(&sid).copied());
    let event = || EventSid::new(record.updated, rand::random());
    let callbacks = farewell
        .callbacks(record, event)
        .into_iter()
        .map(|callback| Change::CallbackQueued(Box::new(callback)));
    let closed = Change::OrphanClosed(Box::new(record.clone()));
    Ok(std::iter::once(closed).chain(callbacks).collect())
}

/// The recordings that callbacks may name, with their lengths in seconds. One whose file may be on
/// another server's disk is not among them: nobody can fetch it, and perhaps it is empty.
async fn lengths(store: &Store, farewell: &Farewell) -> Result<BTreeMap<RecordingSid, i64>> {
    let mut lengths = BTreeMap::new();
    for sid in farewell.recordings() {
        if let Some(recording) = store.recording(sid).await? {
            lengths.insert(sid, recording.duration_ms / 1_000);
        }
    }
    Ok(lengths)
}

fn hang_up(sip: &Sip, orphan: &Orphan) {
    let Some(dialog) = orphan.dialog.as_deref() else {
        return;
    };
    match serde_json::from_str::<DialogSnapshot>(dialog) {
        Ok(dialog) => sip.hang_up(dialog),
        Err(error) => {
            warn!(call.sid = %orphan.record.sid, %error, "the dialog cannot be read; no BYE is sent")
        }
    }
}

/// Records the files that an earlier run began and did not complete; their headers are repaired
/// already. A file that is not here may be on another server's disk: its row is left.
async fn record_files(store: &Store, folder: &Path, now: Timestamp) -> Result<()> {
    let started = store.started_recordings(now).await?;
    let found: Vec<Change> = started
        .into_iter()
        .filter_map(|started| recorded(started, folder, now))
        .collect();
    if !found.is_empty() {
        info!(
            recordings = found.len(),
            "completed recordings that an earlier run left open"
        );
        store.commit(found).await?;
    }
    Ok(())
}

fn recorded(started: StartedRecording, folder: &Path, now: Timestamp) -> Option<Change> {
    let path = folder.join(format!("{}.wav", started.sid));
    let size = std::fs::metadata(&path).ok()?.len();
    let duration_ms = audio::wav::recorded_ms(size);
    if duration_ms == 0 {
        // Nothing was recorded. A file that cannot be removed is looked at again.
        std::fs::remove_file(&path).ok()?;
        return Some(Change::RecordingGone { sid: started.sid });
    }
    let StartedRecording {
        sid,
        account,
        call,
        created,
    } = started;
    Some(Change::Recording(Recording {
        sid,
        account,
        call,
        duration_ms: i64::try_from(duration_ms).unwrap_or(i64::MAX),
        size_bytes: i64::try_from(size).unwrap_or(i64::MAX),
        created,
        updated: now,
    }))
}

fn now() -> Result<Timestamp> {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH)?;
    Ok(Timestamp::from_unix(since))
}

#[cfg(test)]
mod tests;
