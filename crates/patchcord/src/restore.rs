//! `patchcord restore`: fills an empty data folder, and an empty database, from a backup.
//!
//! **Invariant: no server starts on a folder that is not completely restored** ([`UNFINISHED`]). The backup is checked before
//! anything is written, and the result after it.

use std::collections::BTreeMap;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use store::{SecretKey, Snapshot};

use crate::archive::{self, Archive};
use crate::backup::{run_tool, without_password};
use crate::config::Config;
use crate::usage::WrongUsage;

/// A file in a data folder that is being filled.
pub(crate) const UNFINISHED: &str = "restore.unfinished";

/// Where the database goes.
enum Target {
    Embedded(PathBuf),
    Shared(String),
}

/// Restores the backup in `folder` to the data folder of the configuration.
///
/// - `to`: address of the PostgreSQL database to restore a dump to; default: that of the configuration
///
/// # Errors
/// [`WrongUsage`] if the backup, the folder or the database cannot be used as they are.
pub(crate) async fn run(config: &Config, folder: &Path, to: Option<String>) -> Result<String> {
    let archive = Archive::open(folder)?;
    check_version(&archive)?;
    check_key(config, &archive)?;
    let target = target(config, &archive, to).await?;
    let data = &config.server.data;
    prepare(data)?;
    for name in archive.sums.keys() {
        let is_database = *name == archive.manifest.database;
        if !is_database && name != archive::MANIFEST {
            archive.extract(name, &data.join(name))?;
        }
    }
    let url = match &target {
        Target::Embedded(file) => {
            archive.extract(archive::EMBEDDED, file)?;
            store::check_file(file)?;
            format!("sqlite:{}", file.display())
        }
        Target::Shared(url) => {
            load(url, &archive.path(archive::DUMP))?;
            url.clone()
        }
    };
    let contents = Snapshot::open(&url).await?.contents().await?;
    let found: BTreeMap<_, _> = contents.tables.into_iter().collect();
    if found != archive.manifest.rows {
        bail!(
            "the rows of the restored database differ from those that the backup lists; report this as a bug"
        );
    }
    std::fs::remove_file(data.join(UNFINISHED))?;
    let rows: u64 = found.values().sum();
    let recordings = archive
        .sums
        .keys()
        .filter(|name| name.starts_with(archive::RECORDINGS));
    let mut text = format!(
        "{}: {rows} rows of {} tables and {} recordings, as of {}\n",
        data.display(),
        found.len(),
        recordings.count(),
        archive.manifest.created
    );
    if !archive.manifest.has_key {
        text += "The backup does not contain the secret key: start the server with the same `server.secret_key` that you have just used.\n";
    }
    if let Target::Shared(_) = target {
        text += "Start the server with `database.url` set to the restored database.\n";
    }
    text += "Calls that were in progress at that time are closed when the server starts.\n";
    Ok(text)
}

/// Refuses tables that a server of this release could not read.
fn check_version(archive: &Archive) -> Result<()> {
    let (has, reads) = (archive.manifest.tables_version, store::newest_version());
    if has <= reads {
        return Ok(());
    }
    Err(WrongUsage(format!(
        "the backup was made by release {}, whose tables have version {has}; this release knows up to {reads}: use \
         that release or a later one",
        archive.manifest.program
    ))
    .into())
}

/// Refuses a backup whose secrets a server could not decrypt with the key that it would use.
fn check_key(config: &Config, archive: &Archive) -> Result<()> {
    let manifest = &archive.manifest;
    let (key, which) = match (&config.server.secret_key, manifest.has_key) {
        (Some(key), _) => (SecretKey::from_hex(key.expose())?, "`server.secret_key`"),
        (None, true) => {
            let text = std::fs::read_to_string(archive.path(archive::KEY))?;
            (
                SecretKey::from_hex(text.trim())?,
                "`secret.key` in the backup",
            )
        }
        (None, false) => {
            return Err(WrongUsage(
                "the backup does not hold the secret key: set `server.secret_key` (PATCHCORD_SECRET_KEY) to \
                 the content of the `secret.key` that you keep"
                    .to_owned(),
            )
            .into());
        }
    };
    if key.is_signed(archive::KEY_CHECK, &manifest.created, &manifest.key_check) {
        return Ok(());
    }
    Err(WrongUsage(format!(
        "{which} is not the key that the secrets in the backup are encrypted with"
    ))
    .into())
}

async fn target(config: &Config, archive: &Archive, to: Option<String>) -> Result<Target> {
    let configured = config
        .database
        .url
        .as_ref()
        .map(|url| url.expose().to_owned());
    let address = to.or(configured);
    let embedded = match &address {
        Some(url) => store::embedded_file(url)?,
        None => Some(config.server.data.join(archive::EMBEDDED)),
    };
    let is_dump = archive.manifest.database == archive::DUMP;
    match (embedded, address) {
        (Some(file), _) if !is_dump => {
            // One that an interrupted restore has left is replaced.
            if file.exists() && !config.server.data.join(UNFINISHED).exists() {
                let text = format!("{} exists already: restore to a new file", file.display());
                return Err(WrongUsage(text).into());
            }
            Ok(Target::Embedded(file))
        }
        (None, Some(url)) if is_dump => {
            if !store::is_empty(&url).await? {
                return Err(WrongUsage(
                    "the database is not empty: create a new one, for example with `createdb`, and restore to that"
                        .to_owned(),
                )
                .into());
            }
            Ok(Target::Shared(url))
        }
        (Some(_), _) => Err(WrongUsage(
            "the backup is of a PostgreSQL database: name an empty one with `--to` or `database.url`"
                .to_owned(),
        )
        .into()),
        (None, _) => Err(WrongUsage(
            "the backup is of an embedded database: restore it without `database.url`, then copy it to \
             PostgreSQL with `patchcord migrate`"
                .to_owned(),
        )
        .into()),
    }
}

/// Makes an empty data folder, or empties one that an interrupted restore has begun to fill.
fn prepare(data: &Path) -> Result<()> {
    let shown = data.display();
    let cannot = || format!("cannot use the folder {shown}");
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(data).with_context(cannot)?;
    let mark = data.join(UNFINISHED);
    let is_begun = mark.exists();
    for entry in std::fs::read_dir(data).with_context(cannot)? {
        let path = entry?.path();
        if !is_begun {
            let text = format!("{shown} is not empty: restore to a new folder");
            return Err(WrongUsage(text).into());
        }
        if path.is_dir() {
            std::fs::remove_dir_all(&path).with_context(cannot)?;
        } else if path != mark {
            std::fs::remove_file(&path).with_context(cannot)?;
        }
    }
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&mark)
        .and_then(|file| file.sync_all())
        .with_context(cannot)?;
    builder
        .create(data.join(archive::RECORDINGS))
        .with_context(cannot)
}

/// Has `pg_restore` fill an empty database, as a whole or not at all.
fn load(url: &str, file: &Path) -> Result<()> {
    let (address, password) = without_password(url);
    let mut command = std::process::Command::new("pg_restore");
    command
        .args([
            "--exit-on-error",
            "--single-transaction",
            "--no-owner",
            "--no-privileges",
            "--no-password",
        ])
        .arg("--dbname")
        .arg(&address)
        .arg(file);
    if let Some(password) = password {
        command.env("PGPASSWORD", password);
    }
    run_tool(command, "pg_restore")
}
