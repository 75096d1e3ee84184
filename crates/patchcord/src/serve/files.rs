//! The data folder: what is in it and who may read it.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use model::record::Account;
use store::{AdminSeed, FirstStart, Store};
use tracing::info;

use crate::config::Config;

/// Folders inside the data folder.
const RECORDINGS: &str = "recordings";
pub(super) const SOUNDS: &str = "cache/sounds";
pub(super) const SPEECH: &str = "cache/speech";
const CREDENTIALS: &str = "admin-credentials";

/// Folder of recordings.
pub(super) fn recordings(data: &Path) -> PathBuf {
    data.join(RECORDINGS)
}

/// Makes the data folder and those inside it, readable by their owner only.
pub(super) fn make_folders(data: &Path) -> Result<()> {
    for folder in [RECORDINGS, SOUNDS, SPEECH] {
        let path = data.join(folder);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make the folder {}", path.display()))?;
    }
    Ok(())
}

/// Makes the organization and the administrator in an empty database, and finds them in any other.
pub(super) async fn first_start(config: &Config, store: &Store) -> Result<Arc<Account>> {
    let seed = AdminSeed {
        sid: config.admin.sid,
        token: config
            .admin
            .token
            .as_ref()
            .map(|token| token.expose().to_owned()),
        email: Some(config.admin.email.as_str().to_owned()),
        password: config
            .admin
            .password
            .as_ref()
            .map(|password| password.expose().to_owned()),
    };
    let made = store
        .first_start(config.server.domain.as_str(), seed)
        .await?;
    if let Some(made) = &made {
        let path = config.server.data.join(CREDENTIALS);
        write_credentials(&path, made)
            .with_context(|| format!("cannot write {}", path.display()))?;
        info!(
            "first start: the administrator's credentials are in {}",
            path.display()
        );
    }
    let organization = store
        .default_organization()
        .await?
        .context("the database has no organization; use an empty data folder")?;
    let accounts = store.organization_accounts(organization.sid).await?;
    let top = accounts
        .into_iter()
        .find(|account| account.parent.is_none());
    top.map(Arc::new)
        .context("the database has no administrator; use an empty data folder")
}

fn write_credentials(path: &Path, made: &FirstStart) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    // Written so that a shell can read it: `. admin-credentials`.
    for (name, value) in [
        ("SID", made.sid.to_string()),
        ("TOKEN", made.token.clone()),
        ("EMAIL", made.email.clone()),
        ("PASSWORD", made.password.clone()),
    ] {
        let quoted = value.replace('\'', "'\\''");
        writeln!(file, "PATCHCORD_ADMIN_{name}='{quoted}'")?;
    }
    Ok(())
}
