//! Completes what a dead server left behind: open calls and conferences, pending messages, and
//! recordings without a record.
//!
//! **Invariant: a leg is closed in one transaction with its last callbacks, so a second crash in
//! the middle neither loses nor duplicates them.** The callbacks are delivered by the task that
//! empties the outbox. They name a recording only if its record exists, so files are recorded
//! before calls are closed, and both use the same list of dead servers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use call::{Engine, closing};
use model::record::StartedRecording;
use model::{InstanceSid, Timestamp};
use sip::{DialogSnapshot, Sip};
use store::{Orphan, Store};
use tokio::sync::watch;
use tracing::{info, warn};
use webhook::Callbacks;

/// Maximum legs closed in one transaction.
const GROUP: usize = 200;

/// How often a shared database is searched for what other servers left behind.
const PATROL: Duration = Duration::from_secs(15);

/// A server sends a heartbeat every ten seconds; one this late cannot write.
const OWN_SILENCE: Duration = Duration::from_secs(20);

/// Completes what other servers leave behind while this one runs: with a shared database only their
/// silence shows that they are dead, which takes longer than a restart.
///
/// If the database itself was unavailable, every server was silent. So a round does nothing if it
/// finds servers silent that were not silent in the previous round: live ones send a heartbeat
/// meanwhile.
pub(super) struct Patrol {
    pub(super) store: Store,
    pub(super) engine: Engine,
    pub(super) sip: Sip,
    pub(super) callbacks: Callbacks,
    pub(super) recordings: PathBuf,
}

impl Patrol {
    /// Runs until the server stops.
    pub(super) async fn walk(self, mut stopped: watch::Receiver<bool>) {
        let mut silent = BTreeSet::new();
        loop {
            tokio::select! {
                _ = stopped.changed() => return,
                () = tokio::time::sleep(PATROL) => {}
            }
            if let Err(error) = self.round(&mut silent).await {
                // Other servers may also have been unable to send a heartbeat.
                silent.clear();
                warn!(%error, "what other servers left behind could not be completed");
            }
        }
    }

    async fn round(&self, silent: &mut BTreeSet<InstanceSid>) -> Result<()> {
        if !still_silent(&self.store, silent, now()?).await? {
            return Ok(());
        }
        let found = complete(&self.store, &self.sip, &self.recordings).await;
        // An unconfirmed write may have been carried out all the same.
        let stored = !matches!(found, Ok(0));
        self.callbacks.adopt(stored).await?;
        found?;
        self.engine.resume_texts().await?;
        Ok(())
    }
}

/// Checks which servers are silent now; returns whether they all were so at the last check, and
/// this server could send heartbeats all the time: if it could not, the others could not either.
async fn still_silent(
    store: &Store,
    silent: &mut BTreeSet<InstanceSid>,
    now: Timestamp,
) -> Result<bool> {
    let heard = store.last_alive().await?;
    if heard.is_none_or(|heard| now.since(heard) > OWN_SILENCE) {
        silent.clear();
        return Ok(false);
    }
    let found = store.silent_instances(now).await?;
    let before = std::mem::replace(silent, found);
    Ok(silent.is_subset(&before))
}

/// Records the files that dead servers left, and closes their calls; returns how many calls and
/// messages there were.
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
    let messages = close_messages(store, now).await? + adopt_messages(store, now).await?;
    let conferences = close_conferences(store, now).await?;
    Ok(messages + conferences + close_orphans(store, now, hang_up).await?)
}

/// Hangs up the dialogs and writes the final records; returns how many legs were open.
async fn close_orphans(store: &Store, now: Timestamp, hang_up: impl Fn(&Orphan)) -> Result<usize> {
    let orphans = store.orphans(now).await?;
    for group in orphans.chunks(GROUP) {
        // Done first, and again after another crash if necessary: a remote party that has already
        // hung up refuses it.
        group.iter().for_each(&hang_up);
        let mut changes = Vec::new();
        let mut starts = Vec::new();
        for orphan in group {
            starts.push(changes.len());
            changes.extend(closing::leg(store, orphan, now).await?);
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

/// Ends the text messages that no process handles any more, each with its callback; returns how
/// many there were.
async fn close_messages(store: &Store, now: Timestamp) -> Result<usize> {
    let orphans = store.orphan_messages(now).await?;
    for orphan in &orphans {
        store.commit(closing::message(store, orphan).await?).await?;
        let sid = orphan.record.sid;
        info!(message.sid = %sid, "ended a message that an earlier run left in transit");
    }
    Ok(orphans.len())
}

/// Takes over the messages that no process forwards any more; returns in how many batches. Their callbacks
/// are adopted with them.
async fn adopt_messages(store: &Store, now: Timestamp) -> Result<usize> {
    let adopted = store.adopt_queued_messages(now).await?;
    if adopted > 0 {
        info!("took over messages that an earlier run was to forward");
    }
    Ok(usize::try_from(adopted).unwrap_or(usize::MAX))
}

/// Ends the conferences that no process runs any more, each with its callback; returns how many
/// there were.
async fn close_conferences(store: &Store, now: Timestamp) -> Result<usize> {
    let orphans = store.orphan_conferences(now).await?;
    for orphan in &orphans {
        let closed = closing::conference(store, orphan, now).await?;
        store.commit(closed).await?;
        let sid = orphan.record.sid;
        info!(conference.sid = %sid, "ended a conference that an earlier run left open");
    }
    Ok(orphans.len())
}

/// A caller may have been answered although the record does not show it; one that was not refuses
/// the BYE.
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

/// Records the files that an earlier run started and did not complete, each with the callback about
/// it. If the database is shared, a file that is not here may be on another server's disk: its row is
/// left.
async fn record_files(store: &Store, folder: &Path, now: Timestamp) -> Result<()> {
    let mut completed = 0;
    for orphan in store.started_recordings(now).await? {
        let end = match file_length(&orphan.started, folder) {
            File::Complete(length) => Some(length),
            File::Missing if !store.is_shared() => None,
            File::Missing | File::Unusable => continue,
        };
        // Each before the next is prepared, so that their callbacks follow each other.
        let changes = closing::recording(store, &orphan, end, now).await?;
        store.commit(changes).await?;
        completed += 1;
    }
    if completed > 0 {
        info!(
            recordings = completed,
            "completed recordings that an earlier run left open"
        );
    }
    Ok(())
}

/// The file of a recording.
enum File {
    /// Its length in milliseconds, 0 for an empty one, and its size.
    Complete((i64, i64)),
    /// It is not here.
    Missing,
    /// It cannot be completed or removed now.
    Unusable,
}

/// Completes the file of a recording. An empty one is removed.
fn file_length(started: &StartedRecording, folder: &Path) -> File {
    let sid = started.sid;
    let path = folder.join(format!("{sid}.wav"));
    if let Err(error) = media::recover_recording(&path) {
        // It is tried again in the next round, or at the next start.
        let file = path.display();
        warn!(recording.sid = %sid, %error, %file, "a recording cannot be completed");
        return File::Unusable;
    }
    let size = match std::fs::metadata(&path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return File::Missing,
        Err(_) => return File::Unusable,
    };
    let duration_ms = audio::wav::recorded_ms(started.kind.channels.into(), size);
    if duration_ms == 0 && std::fs::remove_file(&path).is_err() {
        return File::Unusable;
    }
    File::Complete((
        i64::try_from(duration_ms).unwrap_or(i64::MAX),
        i64::try_from(size).unwrap_or(i64::MAX),
    ))
}

fn now() -> Result<Timestamp> {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH)?;
    Ok(Timestamp::from_unix(since))
}

#[cfg(test)]
mod tests;
