//! The data folder: what is in it and who may read it.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use model::OrganizationSid;
use model::record::Account;
use store::{AdminSeed, FirstStart, Store};
use tracing::{info, warn};

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
            .with_context(|| format!("cannot create the folder {}", path.display()))?;
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

/// The domain of an organization never changes: the passwords of its clients are bound to it.
pub(super) async fn keep_domain(
    config: &mut Config,
    store: &Store,
    organization: OrganizationSid,
) -> Result<()> {
    let Some(organization) = store.organization(organization).await? else {
        return Ok(());
    };
    let asked = config.server.domain.as_str();
    let kept = &organization.domain_name;
    if asked != kept {
        warn!(
            "this data folder belongs to the domain `{kept}`, which stays: the passwords of its \
             clients are bound to it; `{asked}` is used only for a new folder"
        );
        config.server.domain = kept
            .parse()
            .map_err(|()| anyhow!("the database has the domain `{kept}`, which is not valid"))?;
    }
    Ok(())
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
