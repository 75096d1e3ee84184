//! Removes what accounts keep only for a time.
//!
//! **Invariant: the file of a recording gets another name before its row says that it is gone, and is deleted after that**, so a
//! crash in between leaves a row that is found again, and a file that shows that it was here.

use std::path::Path;
use std::time::Duration;

use model::{AccountSid, RecordingSid, Timestamp};
use store::{Kept, Reason, Retention, Store, StoreError};

use crate::closing::{Aside, file_of, missing, remove_aside, set_aside};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Removes what is older than each account keeps it.
///
/// - `default`: for accounts that have not set a kind
///
/// # Errors
/// As reported by the database.
pub async fn apply_retention(
    store: &Store,
    folder: &Path,
    default: &Retention,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut last = None;
    loop {
        let accounts = store.accounts_with_retention(last).await?;
        let Some((account, _)) = accounts.last() else {
            return Ok(());
        };
        last = Some(*account);
        for (account, own) in &accounts {
            let retention = own.or(default);
            for kind in Kept::ALL {
                let days = retention.days(kind).unwrap_or_default();
                if days > 0 {
                    remove(store, folder, *account, kind, now - DAY * days).await?;
                }
            }
        }
    }
}

async fn remove(
    store: &Store,
    folder: &Path,
    account: AccountSid,
    kind: Kept,
    before: Timestamp,
) -> Result<(), StoreError> {
    // Traces hold pressed keys, too.
    let kinds: &[Kept] = match kind {
        Kept::Digits => &[Kept::Digits, Kept::Traces],
        Kept::MessageBodies
        | Kept::Recordings
        | Kept::Traces
        | Kept::Notifications
        | Kept::Callbacks
        | Kept::Emails => &[kind],
    };
    for kind in kinds {
        // Files of recordings that are on another server's disk, or cannot be removed, stay.
        let mut last = None;
        loop {
            let found = store
                .older_than(*kind, account, before, last.as_ref())
                .await?;
            last = found.last().cloned();
            if found.is_empty() {
                break;
            }
            let found: Vec<String> = found.into_iter().map(|row| row.name).collect();
            match kind {
                Kept::MessageBodies => store.remove_bodies(&found, Reason::Retention).await?,
                Kept::Recordings => {
                    remove_files(store, folder, &found, Reason::Retention).await?;
                }
                Kept::Traces => store.delete_traces(&found).await?,
                Kept::Notifications => store.delete_notifications(&found).await?,
                Kept::Emails => store.remove_emails(&found, Reason::Retention).await?,
                Kept::Callbacks | Kept::Digits => store.delete_callbacks(&found).await?,
            }
        }
    }
    Ok(())
}

/// Removes the files of recordings, and marks those that are gone; returns how many. A server that shares its database leaves
/// those whose files are not here.
pub(crate) async fn remove_files(
    store: &Store,
    folder: &Path,
    sids: &[String],
    reason: Reason,
) -> Result<usize, StoreError> {
    let missing = missing(store, folder);
    let (mut names, mut files) = (Vec::new(), Vec::new());
    for sid in sids {
        let Ok(recording) = sid.parse::<RecordingSid>() else {
            continue;
        };
        let file = file_of(folder, recording);
        match set_aside(&file, Aside::Emptied, missing).await {
            Ok(()) => {
                names.push(sid.clone());
                files.push(file);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(%error, recording.sid = %sid, "the file of a recording cannot be removed");
            }
        }
    }
    store.mark_recordings_gone(&names, reason).await?;
    for file in files {
        remove_aside(&file, Aside::Emptied).await;
    }
    Ok(names.len())
}
