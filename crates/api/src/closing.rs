//! What a closed account leaves behind: live calls, notifications and recordings.
//!
//! **Invariant: a recording is removed in three steps, of which each can be repeated after a crash**: its
//! file gets another name, its row is deleted, the file is deleted. So if a row has no file
//! here, either its removal was begun here, or the file is lost or on another server's disk. Closing an account does this at once, for
//! it and all below it; [`clear_closed_accounts`] is repeated for all while the server runs, for what failed or came too late.

use std::path::{Path, PathBuf};

use call_proto::Modify;
use model::{AccountSid, RecordingSid, Timestamp};
use store::{Discarded, DiscardedKind, Store, StoreError};

use crate::Calls;

/// Number of recordings removed together.
const AT_ONCE: i64 = 1_000;

/// Path of a recording's file.
pub(crate) fn file_of(folder: &Path, sid: RecordingSid) -> PathBuf {
    folder.join(format!("{sid}.wav"))
}

/// What becomes of the row of a recording whose file is set aside.
#[derive(Clone, Copy)]
pub(crate) enum Aside {
    /// It is deleted.
    Deleted,
    /// It stays, and shows that the file is gone.
    Emptied,
}

impl Aside {
    /// The name of a file that is about to be deleted.
    fn of(self, file: &Path) -> PathBuf {
        let mut name = file.as_os_str().to_owned();
        name.push(self.suffix());
        name.into()
    }

    /// What it has in addition to its own name.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Deleted => ".gone",
            Self::Emptied => ".emptied",
        }
    }
}

/// What a recording without a file means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It is lost, and its row goes.
    Lost,
    /// It may be on another server's disk.
    Elsewhere,
}

/// Removes recordings; returns those that stay, with the reasons.
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
        match set_aside(&file_of(folder, sid), Aside::Deleted, missing).await {
            Ok(()) => removed.push(sid),
            Err(error) => kept.push((sid, error)),
        }
    }
    if !removed.is_empty() {
        store.delete_recordings(removed.clone()).await?;
    }
    for sid in removed {
        remove_aside(&file_of(folder, sid), Aside::Deleted).await;
    }
    Ok(kept)
}

/// Gives the file of a recording the name of one that is about to be deleted.
///
/// # Errors
/// If it stays as it is, with the reason.
pub(crate) async fn set_aside(file: &Path, aside: Aside, missing: Missing) -> std::io::Result<()> {
    let renamed = tokio::fs::rename(file, aside.of(file)).await;
    // Not before: it would be made again from the recording.
    let _ = tokio::fs::remove_file(file.with_extension("mp3")).await;
    match renamed {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let was_here = tokio::fs::try_exists(aside.of(file)).await.unwrap_or(false);
            match was_here || missing == Missing::Lost {
                true => Ok(()),
                false => Err(error),
            }
        }
        renamed => renamed,
    }
}

/// Deletes a file that was set aside.
pub(crate) async fn remove_aside(file: &Path, aside: Aside) {
    let file = aside.of(file);
    if let Err(error) = tokio::fs::remove_file(&file).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        let file = file.display();
        tracing::warn!(%error, %file, "the file of a removed recording cannot be deleted");
    }
}

/// Completes the removals that an earlier run of the server began.
///
/// # Errors
/// As reported by the database.
pub async fn finish_removals(store: &Store, folder: &Path) -> Result<(), StoreError> {
    let mut files = match tokio::fs::read_dir(folder).await {
        Ok(files) => files,
        Err(error) => {
            tracing::warn!(%error, "the folder of recordings cannot be read; begun removals wait for the next start");
            return Ok(());
        }
    };
    let mut begun = Vec::new();
    while let Ok(Some(file)) = files.next_entry().await {
        let name = file.file_name();
        let sid = |aside: Aside| {
            let name = name.to_str()?.strip_suffix(aside.suffix())?;
            name.strip_suffix(".wav")?.parse::<RecordingSid>().ok()
        };
        begun.extend(sid(Aside::Deleted));
        // Until its row says so, the file shows that it was here.
        if let Some(sid) = sid(Aside::Emptied)
            && (store.why_recording_is_gone(sid).await?.is_some()
                || store.recording(sid).await?.is_none())
        {
            remove_aside(&file_of(folder, sid), Aside::Emptied).await;
        }
    }
    remove_recordings(store, folder, begun, Missing::Elsewhere)
        .await
        .map(drop)
}

/// What recordings without a file mean in a folder: without it, nothing is known about its files, and servers that
/// share a database may each have their own.
pub(crate) fn missing(store: &Store, folder: &Path) -> Missing {
    match store.is_shared() || !folder.is_dir() {
        true => Missing::Elsewhere,
        false => Missing::Lost,
    }
}

/// Deletes something that is in the bin for good.
///
/// # Errors
/// As reported by the database. [`Gone::Kept`] if the file of a recording cannot be removed.
pub async fn delete_discarded(
    store: &Store,
    folder: &Path,
    found: &Discarded,
) -> Result<Gone, StoreError> {
    let sid = match found.kind {
        DiscardedKind::Recording => found.sid.parse::<RecordingSid>().ok(),
        DiscardedKind::Number | DiscardedKind::Gateway => None,
    };
    let Some(sid) = sid else {
        let is_gone = store.forget_discarded(&found.sid).await?;
        return Ok(if is_gone {
            Gone::Deleted
        } else {
            Gone::NotThere
        });
    };
    let file = file_of(folder, sid);
    if let Err(error) = set_aside(&file, Aside::Deleted, missing(store, folder)).await {
        return Ok(Gone::Kept(error));
    }
    if store.forget_discarded(&found.sid).await? {
        remove_aside(&file, Aside::Deleted).await;
        return Ok(Gone::Deleted);
    }
    if store.recording(sid).await?.is_some()
        && let Err(error) = tokio::fs::rename(Aside::Deleted.of(&file), &file).await
    {
        return Ok(Gone::Kept(error));
    }
    Ok(Gone::NotThere)
}

/// What became of something in the bin.
#[derive(Debug)]
pub enum Gone {
    /// It is deleted.
    Deleted,
    /// It is no longer in the bin: it was restored or deleted at the same time.
    NotThere,
    /// Its file cannot be removed here.
    Kept(std::io::Error),
}

/// Deletes what was moved to the bin before this time. A server that shares its database leaves recordings whose
/// files have never been here.
///
/// # Errors
/// As reported by the database.
pub async fn empty_bin(store: &Store, folder: &Path, before: Timestamp) -> Result<(), StoreError> {
    for kind in DiscardedKind::ALL {
        let mut after = None;
        loop {
            let page = store.discarded_before(kind, before, after.as_ref()).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            for found in &page {
                let gone = delete_discarded(store, folder, found).await?;
                if let Gone::Kept(error) = gone
                    && error.kind() != std::io::ErrorKind::NotFound
                {
                    tracing::warn!(%error, recording.sid = %found.sid, "the file of a deleted recording cannot be removed");
                }
            }
        }
    }
    Ok(())
}

/// Hangs up the calls of closed accounts on this server, and removes the notifications and recordings of closed
/// accounts. Returns how many recordings stay, with the reason for one of them: a server that shares its database
/// leaves those whose files have never been here.
///
/// - `of`: only this account and all below it
///
/// # Errors
/// As reported by the database.
pub async fn clear_closed_accounts(
    store: &Store,
    calls: &dyn Calls,
    folder: &Path,
    of: Option<AccountSid>,
) -> Result<Option<(i64, String)>, StoreError> {
    for call in store.open_calls_of_closed_accounts(of).await? {
        if let Err(error) = calls.modify(call, Modify::Complete).await {
            tracing::warn!(%error, call.sid = %call, "a call of a closed account could not be ended");
        }
    }
    if of.is_none() {
        // Those of one account went when it was closed.
        store.delete_notifications_of_closed_accounts().await?;
    }
    let missing = missing(store, folder);
    let (mut kept, mut why, mut last) = (0, None, None);
    let mut in_bins = false;
    loop {
        let found = if in_bins {
            store
                .discarded_recordings_of_closed_accounts(of, last, AT_ONCE)
                .await?
        } else {
            store
                .recordings_of_closed_accounts(of, last, AT_ONCE)
                .await?
        };
        last = found.last().copied();
        if last.is_none() && in_bins {
            return Ok(why.map(|why| (kept, why)));
        }
        if last.is_none() {
            in_bins = true;
            continue;
        }
        let left = remove_recordings(store, folder, found, missing).await?;
        kept += i64::try_from(left.len()).unwrap_or(AT_ONCE);
        // Rather one that is not just elsewhere.
        let is_elsewhere = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
        let worst = left.iter().min_by_key(|(_, error)| is_elsewhere(error));
        if let Some((sid, error)) = worst.filter(|(_, error)| why.is_none() || !is_elsewhere(error))
        {
            why = Some(format!("{sid}: {error}"));
        }
    }
}
