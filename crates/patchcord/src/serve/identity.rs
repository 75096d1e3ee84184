//! What identifies the server among those that share its database.
//!
//! A file in the data folder holds the identity, so it is the same after a restart. **Invariant: two running servers
//! never have the same identity**: the file is locked while the server runs. Left to others: what belongs to a server
//! (`call::StoreDirectory`), and the identity of the process (`Store::instance`).

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use model::{ServerSid, Timestamp};
use tracing::warn;

/// Name of the file in the data folder.
const FILE: &str = "server.id";
/// How long the system may take to end an earlier server that was killed.
const PATIENCE: Duration = Duration::from_secs(2);

/// The identity, for as long as the server runs.
pub(super) struct Identity {
    pub(super) sid: ServerSid,
    /// Holds the lock.
    _file: File,
}

/// Reads the identity kept in the data folder, or makes one.
///
/// # Errors
/// If the folder belongs to another server that is running, or the file cannot be read or written.
pub(super) async fn claim(data: &Path) -> Result<Identity> {
    let path = data.join(FILE);
    let unusable = || format!("cannot use {}", path.display());
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .with_context(unusable)?;
    lock(&file, data).await?;
    let mut text = String::new();
    file.read_to_string(&mut text).with_context(unusable)?;
    let sid = match text.trim() {
        // Empty also if the first start was interrupted.
        "" => {
            let sid = fresh()?;
            file.rewind()
                .and_then(|()| writeln!(file, "{sid}"))
                .and_then(|()| file.sync_all())
                .with_context(unusable)?;
            sid
        }
        kept => kept.parse().with_context(|| {
            let advice = "delete it, and phones will have to register again";
            format!("{}; {advice}", unusable())
        })?,
    };
    Ok(Identity { sid, _file: file })
}

async fn lock(file: &File, data: &Path) -> Result<()> {
    let give_up = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < give_up => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(TryLockError::WouldBlock) => bail!(
                "the data folder {} is in use by another server: stop that one, or give this one a folder of its own",
                data.display()
            ),
            Err(TryLockError::Error(error)) => {
                warn!(%error, "the data folder cannot be locked; no other server may use it");
                return Ok(());
            }
        }
    }
}

fn fresh() -> Result<ServerSid> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(ServerSid::new(Timestamp::from_unix(since), rand::random()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_keeps_its_identity_and_shares_it_with_no_other() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = claim(one.path()).await.unwrap();
        assert_ne!(first.sid, claim(two.path()).await.unwrap().sid);
        let Err(error) = claim(one.path()).await else {
            panic!("two servers in one folder");
        };
        assert!(error.to_string().contains("another server"), "{error}");
        let sid = first.sid;
        drop(first);
        assert_eq!(claim(one.path()).await.unwrap().sid, sid);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_as_an_identity_is_named() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join(FILE);
        // As left by a start that was interrupted.
        std::fs::write(&path, "").unwrap();
        let sid = claim(data.path()).await.unwrap().sid;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{sid}\n"));
        std::fs::write(&path, "SV12").unwrap();
        let Err(error) = claim(data.path()).await else {
            panic!("read");
        };
        assert!(
            format!("{error:#}").contains("server.id; delete it"),
            "{error:#}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "SV12");
    }
}
