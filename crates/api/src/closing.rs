//! What a closed account leaves behind: live calls, and recordings.
//!
//! **Invariant: a recording's row goes only after its file**, so rows show what is left to remove after
//! a failure or a crash. Closing an account does this at once; [`clear_closed_accounts`] is repeated while the
//! server runs, for what failed or came too late.

use std::path::{Path, PathBuf};

use call_proto::Modify;
use model::RecordingSid;
use store::{Store, StoreError};

use crate::Calls;

/// Number of recordings removed together.
const AT_ONCE: i64 = 1_000;

/// Path of a recording's file.
pub(crate) fn file_of(folder: &Path, sid: RecordingSid) -> PathBuf {
    folder.join(format!("{sid}.wav"))
}

/// Which recordings count as removed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Also those without a file.
    Removed,
    /// Only those whose file was here: another may be on another server's disk, or on one that is not mounted.
    Kept,
}

/// Removes recordings, each file before its row; returns those that stay, with the last reason.
///
/// # Errors
/// As reported by the database.
pub(crate) async fn remove_recordings(
    store: &Store,
    folder: &Path,
    sids: Vec<RecordingSid>,
    missing: Missing,
) -> Result<Vec<(RecordingSid, std::io::Error)>, StoreError> {
    let (mut removed, mut kept) = (Vec::new(), Vec::new());
    for sid in sids {
        match tokio::fs::remove_file(file_of(folder, sid)).await {
            Ok(()) => removed.push(sid),
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound && missing == Missing::Removed =>
            {
                removed.push(sid);
            }
            Err(error) => kept.push((sid, error)),
        }
    }
    if !removed.is_empty() {
        store.delete_recordings(removed).await?;
    }
    Ok(kept)
}

/// Hangs up the calls of closed accounts on this server, and removes the notifications and recordings of closed
/// accounts. Returns how many recordings stay, with the reason for one of them: a server that shares its database
/// leaves those whose files are not here.
///
/// # Errors
/// As reported by the database.
pub async fn clear_closed_accounts(
    store: &Store,
    calls: &dyn Calls,
    folder: &Path,
) -> Result<Option<(i64, String)>, StoreError> {
    for call in store.open_calls_of_closed_accounts().await? {
        if let Err(error) = calls.modify(call, Modify::Complete).await {
            tracing::warn!(%error, call.sid = %call, "a call of a closed account could not be ended");
        }
    }
    store.delete_notifications_of_closed_accounts().await?;
    let missing = if store.is_shared() || !folder.is_dir() {
        Missing::Kept
    } else {
        Missing::Removed
    };
    let (mut kept, mut why) = (0, None);
    loop {
        let found = store.recordings_of_closed_accounts(kept, AT_ONCE).await?;
        if found.is_empty() {
            return Ok(why.map(|why| (kept, why)));
        }
        let left = remove_recordings(store, folder, found, missing).await?;
        kept += i64::try_from(left.len()).unwrap_or(AT_ONCE);
        why = left
            .last()
            .map(|(sid, error)| format!("{sid}: {error}"))
            .or(why);
    }
}
