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

/// Removes recordings, each file before its row; returns those whose files cannot be removed, which stay.
///
/// # Errors
/// As reported by the database.
pub(crate) async fn remove_recordings(
    store: &Store,
    folder: &Path,
    sids: Vec<RecordingSid>,
) -> Result<Vec<RecordingSid>, StoreError> {
    let (mut removed, mut kept) = (Vec::new(), Vec::new());
    for sid in sids {
        match tokio::fs::remove_file(file_of(folder, sid)).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, recording.sid = %sid, "the file of a recording cannot be removed");
                kept.push(sid);
            }
            Ok(()) | Err(_) => removed.push(sid),
        }
    }
    if !removed.is_empty() {
        store.delete_recordings(removed).await?;
    }
    Ok(kept)
}

/// Hangs up the calls of closed accounts on this server, and removes the recordings of closed accounts.
///
/// # Errors
/// As reported by the database.
pub async fn clear_closed_accounts(
    store: &Store,
    calls: &dyn Calls,
    folder: &Path,
) -> Result<(), StoreError> {
    for call in store.open_calls_of_closed_accounts().await? {
        if let Err(error) = calls.modify(call, Modify::Complete).await {
            tracing::warn!(%error, call.sid = %call, "a call of a closed account could not be ended");
        }
    }
    let mut kept = 0;
    loop {
        let found = store.recordings_of_closed_accounts(kept, AT_ONCE).await?;
        if found.is_empty() {
            return Ok(());
        }
        let left = remove_recordings(store, folder, found).await?;
        kept += i64::try_from(left.len()).unwrap_or(AT_ONCE);
    }
}
