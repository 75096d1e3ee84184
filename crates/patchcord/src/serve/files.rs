//! The data folder: its content and its permissions.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use model::OrganizationSid;
use model::record::Account;
use store::{AdminSeed, FirstStart, Store};
use tracing::{info, warn};

use crate::config::Config;
use crate::restore::UNFINISHED;

/// Folders inside the data folder.
const RECORDINGS: &str = "recordings";
pub(super) const SOUNDS: &str = "cache/sounds";
pub(super) const SPEECH: &str = "cache/speech";
const CREDENTIALS: &str = "admin-credentials";

/// Folder of recordings.
pub(super) fn recordings(data: &Path) -> PathBuf {
    data.join(RECORDINGS)
}

/// Creates the data folder and those inside it, readable only by their owner, and also restricts
/// what is in it already.
pub(super) fn make_folders(data: &Path) -> Result<()> {
    if data.join(UNFINISHED).exists() {
        return Err(anyhow!(
            "the folder {} holds a restore that was interrupted: repeat `patchcord restore`",
            data.display()
        ));
    }
    for folder in [RECORDINGS, SOUNDS, SPEECH] {
        let path = data.join(folder);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot create the folder {}", path.display()))?;
    }
    make_private(data)
}

/// Removes all rights of other users from the data folder, its files and its folders. No other user
/// can enter a private folder, so deeper levels do not matter.
fn make_private(data: &Path) -> Result<()> {
    restrict(data)?;
    let entries = std::fs::read_dir(data)
        .with_context(|| format!("cannot read the folder {}", data.display()))?;
    for entry in entries {
        let path = entry?.path();
        if !path.is_symlink() {
            restrict(&path)?;
        }
    }
    Ok(())
}

fn restrict(path: &Path) -> Result<()> {
    let change = || {
        let mut permissions = std::fs::metadata(path)?.permissions();
        if permissions.mode() & 0o077 == 0 {
            return Ok(());
        }
        permissions.set_mode(permissions.mode() & 0o700);
        std::fs::set_permissions(path, permissions)
    };
    change().with_context(|| {
        format!(
            "{} can be read by other users, and its permissions cannot be changed",
            path.display()
        )
    })
}

/// Creates the organization and its top account in an empty database, and finds them in any
/// other.
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
            "first start: the credentials of the top account are in {}",
            path.display()
        );
    }
    let organization = store
        .default_organization()
        .await?
        .context("the database has no organization; use an empty database")?;
    let accounts = store.organization_accounts(organization.sid).await?;
    let top = accounts
        .into_iter()
        .find(|account| account.parent.is_none())
        .context("the database has no top account; use an empty database")?;
    let unused = without_effect(config, store, &top).await?;
    if !unused.is_empty() {
        let names: Vec<String> = unused.iter().map(|name| format!("`{name}`")).collect();
        let names = names.join(", ");
        let verb = if unused.len() == 1 { "has" } else { "have" };
        warn!("{names} {verb} no effect: the database already has a top account");
    }
    for text in config.weak_secrets(&unused) {
        warn!("{text}");
    }
    Ok(Arc::new(top))
}

/// Settings of the top account that differ from the account: they are used only to create it.
async fn without_effect(
    config: &Config,
    store: &Store,
    account: &Account,
) -> Result<Vec<&'static str>> {
    let admin = &config.admin;
    let email = admin.email.as_str();
    let has_password = match &admin.password {
        Some(password) => store.is_password(Some(account), password.expose()).await?,
        None => true,
    };
    let settings = [
        ("admin.sid", admin.sid.is_none_or(|sid| sid == account.sid)),
        (
            "admin.token",
            admin
                .token
                .as_ref()
                .is_none_or(|token| store.knows(account, token.expose())),
        ),
        (
            "admin.email",
            config.has_default_email() || email.eq_ignore_ascii_case(&account.email),
        ),
        ("admin.password", has_password),
    ];
    let unused = settings.into_iter().filter(|(_, is_used)| !is_used);
    Ok(unused.map(|(name, _)| name).collect())
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
            "this database keeps the domain `{kept}`, because the passwords of its clients are bound to \
             it; `{asked}` would be used only for an empty database"
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
    // Written in a form that a shell can read: `. admin-credentials`.
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

#[cfg(test)]
mod tests {
    use store::SecretKey;

    use super::*;
    use crate::config::{Flags, load};

    #[tokio::test]
    async fn settings_that_differ_from_the_administrator_have_no_effect() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("patchcord.db").display());
        let key = SecretKey::from_hex(&"0f".repeat(32)).unwrap();
        let store = Store::open(&url, key).await.unwrap();
        let config = |settings: &[(&str, &str)]| {
            let flags = Flags {
                data: Some(dir.path().display().to_string()),
                ..Flags::default()
            };
            let variable = |(name, value): &(&str, &str)| {
                (format!("PATCHCORD_ADMIN_{name}"), (*value).to_owned())
            };
            load(&flags, settings.iter().map(variable)).unwrap()
        };
        let first = [
            ("SID", "AC0123456789abcdef0123456789abcdef"),
            ("TOKEN", "9f2c71d0a4be8853"),
            ("EMAIL", "Root@example.org"),
            ("PASSWORD", "correct horse battery"),
        ];
        let account = first_start(&config(&first), &store).await.unwrap();
        let all = ["admin.sid", "admin.token", "admin.email", "admin.password"];
        type Settings = [(&'static str, &'static str)];
        let table: [(&Settings, &[&str]); 4] = [
            (&[], &[]),
            (&first, &[]),
            (&[("TOKEN", "open-sesame")], &["admin.token"]),
            (
                &[
                    ("SID", "AC00000000000000000000000000000000"),
                    ("TOKEN", "open-sesame"),
                    ("EMAIL", "else@example.org"),
                    ("PASSWORD", "open-sesame"),
                ],
                &all,
            ),
        ];
        for (settings, expected) in table {
            let config = config(settings);
            let unused = without_effect(&config, &store, &account).await.unwrap();
            assert_eq!(unused, expected, "{settings:?}");
            assert!(config.weak_secrets(&unused).is_empty(), "{settings:?}");
        }
    }

    #[test]
    fn the_data_folder_becomes_private() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        make_folders(&data).unwrap();
        let recordings = data.join(RECORDINGS);
        assert_eq!((mode(&data), mode(&recordings)), (0o700, 0o700));
        // As left by a program with another umask.
        let database = data.join("patchcord.db-wal");
        std::fs::write(&database, "").unwrap();
        for (path, open) in [(&data, 0o755), (&recordings, 0o755), (&database, 0o644)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(open)).unwrap();
        }
        make_folders(&data).unwrap();
        assert_eq!((mode(&data), mode(&recordings)), (0o700, 0o700));
        assert_eq!(mode(&database), 0o600);
    }
}
