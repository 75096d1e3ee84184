//! `patchcord backup`: a consistent copy of the database and the data folder, while the server runs.
//!
//! **Invariant: the folder has its name only once it is complete and on disk.** Every row that was committed before the
//! command was started is in it, with the file of every recording that has one.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{ErrorKind, IsTerminal as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use store::{SecretKey, Snapshot};

use crate::archive::{self, Manifest, Writer};
use crate::calls::reachable;
use crate::config::Config;
use crate::usage::WrongUsage;

/// Missing recordings that are named on the screen.
const NAMED: usize = 5;

/// Backs up the database and the data folder to `folder`, which must not exist or be empty.
///
/// - `with_key`: whether the secret key is put into it, too
///
/// # Errors
/// [`WrongUsage`] if the folder or the data cannot be used as they are.
pub(crate) async fn run(config: &Config, folder: &Path, with_key: bool) -> Result<String> {
    let data = &config.server.data;
    let shown = folder.display();
    let begun = unfinished(folder)?;
    let url = address(config)?;
    let key = key(config)?;
    let mut snapshot = Snapshot::open(&url).await?;
    let created = crate::now().iso8601();
    let mut archive = Writer::create(&begun)?;
    let database = if let Some(name) = snapshot.name() {
        dump(&url, name, &archive.path(archive::DUMP))?;
        archive::DUMP
    } else {
        copy_embedded(&snapshot, &archive.path(archive::EMBEDDED))?;
        archive::EMBEDDED
    };
    archive.adopt(database)?;
    let contents = snapshot.contents().await?;
    let (recordings, missing) = copy_recordings(&mut snapshot, data, &mut archive).await?;
    let has_key = with_key && archive.copy(&data.join(archive::KEY), archive::KEY)?;
    for name in archive::OTHERS {
        archive.copy(&data.join(name), name)?;
    }
    let manifest = Manifest {
        format: archive::FORMAT,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        key_check: key.sign(archive::KEY_CHECK, &created),
        created,
        database: database.to_owned(),
        tables_version: contents.version,
        rows: contents.tables.into_iter().collect::<BTreeMap<_, _>>(),
        missing,
        has_key,
    };
    let rows: u64 = manifest.rows.values().sum();
    let files = archive.finish(&manifest, folder)?;
    let mut text = format!(
        "{shown}: {rows} rows of {} tables and {recordings} recordings, in {files} files; `sha256sum -c SHA256SUMS` in \
         that folder checks them\n",
        manifest.rows.len()
    );
    if !manifest.missing.is_empty() {
        let named: Vec<_> = manifest
            .missing
            .iter()
            .take(NAMED)
            .map(String::as_str)
            .collect();
        text += &format!(
            "{} in {}: {}{}\n",
            match manifest.missing.len() {
                1 => "1 recording has no file".to_owned(),
                count => format!("{count} recordings have no file"),
            },
            data.join(archive::RECORDINGS).display(),
            named.join(", "),
            if manifest.missing.len() > NAMED {
                " …; manifest.json names all"
            } else {
                ""
            }
        );
    }
    text += if has_key {
        "It holds the secret key, which decrypts tokens and passwords: keep it where only you can read it.\n"
    } else {
        "It does not hold the secret key, without which it cannot be restored: keep the key in another place.\n"
    };
    Ok(text)
}

/// The folder that is filled first. Refuses a backup that would be lost in another one.
fn unfinished(folder: &Path) -> Result<PathBuf> {
    let shown = folder.display();
    match std::fs::read_dir(folder) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                let text = format!("{shown} is not empty: name a new folder");
                return Err(WrongUsage(text).into());
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => {
            return Err(WrongUsage(format!("{shown} cannot be used: {error}")).into());
        }
    }
    let mut name = folder
        .file_name()
        .map_or_else(OsString::new, ToOwned::to_owned);
    name.push(".unfinished");
    let begun = folder.with_file_name(name);
    if begun.exists() {
        return Err(WrongUsage(format!(
            "{} was left by a backup that was interrupted, or belongs to one that is running: delete it in \
             the first case",
            begun.display()
        ))
        .into());
    }
    Ok(begun)
}

/// The address of the database, which must exist.
fn address(config: &Config) -> Result<String> {
    let url = match &config.database.url {
        Some(url) => url.expose().to_owned(),
        None => format!(
            "sqlite:{}",
            config.server.data.join("patchcord.db").display()
        ),
    };
    if let Some(file) = store::embedded_file(&url)? {
        reachable(&config.server.data, &file)?;
    }
    Ok(url)
}

/// The secret key in use.
fn key(config: &Config) -> Result<SecretKey> {
    let file = config.server.data.join(archive::KEY);
    match &config.server.secret_key {
        Some(key) => Ok(SecretKey::from_hex(key.expose())?),
        None if file.is_file() => Ok(SecretKey::load_or_create(&config.server.data)?),
        None => Err(WrongUsage(format!(
            "there is no {}, and `server.secret_key` is not set: name the folder with `--data`, or the settings with `--config`",
            file.display()
        ))
        .into()),
    }
}

fn copy_embedded(snapshot: &Snapshot, to: &Path) -> Result<()> {
    let shows = std::io::stderr().is_terminal();
    snapshot.copy_to(to, |done, all| {
        if shows {
            eprint!("\rcopying the database: {done} of {all} pages  ");
        }
    })?;
    if shows {
        eprintln!();
    }
    Ok(())
}

/// Has `pg_dump` write the state of a snapshot.
fn dump(url: &str, snapshot: &str, file: &Path) -> Result<()> {
    let (address, password) = without_password(url);
    let mut command = std::process::Command::new("pg_dump");
    command
        .args([
            "--format=custom",
            "--no-owner",
            "--no-privileges",
            "--no-password",
        ])
        .arg(format!("--snapshot={snapshot}"))
        .arg("--file")
        .arg(file)
        .arg("--dbname")
        .arg(&address);
    if let Some(password) = password {
        command.env("PGPASSWORD", password);
    }
    run_tool(command, "pg_dump")
}

/// Runs a tool of PostgreSQL.
pub(crate) fn run_tool(mut command: std::process::Command, name: &str) -> Result<()> {
    command.stdin(std::process::Stdio::null());
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(WrongUsage(format!(
                "`{name}` is not installed: install the client programs of PostgreSQL (Debian: \
                 `apt-get install postgresql-client`), in the version of the server or a later one"
            ))
            .into());
        }
        started => started.with_context(|| format!("cannot run `{name}`"))?,
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{name}` failed: {}", said.trim());
    }
    Ok(())
}

/// An address without its password, which would be visible in the list of processes.
pub(crate) fn without_password(url: &str) -> (String, Option<String>) {
    let Ok(mut parsed) = url::Url::parse(url) else {
        return (url.to_owned(), None);
    };
    let decoded = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned()
    };
    let mut password = parsed.password().map(decoded);
    // Fails only for addresses that cannot have one.
    let _ = parsed.set_password(None);
    if parsed.query().is_some() {
        let kept: Vec<(String, String)> = parsed
            .query_pairs()
            .filter_map(|(name, value)| {
                if name == "password" {
                    password = Some(value.into_owned());
                    return None;
                }
                Some((name.into_owned(), value.into_owned()))
            })
            .collect();
        parsed.set_query(None);
        if !kept.is_empty() {
            parsed.query_pairs_mut().extend_pairs(kept);
        }
    }
    (parsed.to_string(), password)
}

/// Copies the file of each recording; returns how many there are, and the names of those that are missing.
async fn copy_recordings(
    snapshot: &mut Snapshot,
    data: &Path,
    archive: &mut Writer,
) -> Result<(usize, Vec<String>)> {
    let folder = data.join(archive::RECORDINGS);
    let (mut copied, mut missing, mut after) = (0, Vec::new(), None);
    loop {
        let page = snapshot.recordings_after(after).await?;
        let Some(last) = page.last() else {
            return Ok((copied, missing));
        };
        after = Some(*last);
        for sid in page {
            // One that is in progress gets its final name at its end, perhaps just now.
            let names = ["wav", "wav.part", "wav"].map(|kind| format!("{sid}.{kind}"));
            let mut found = false;
            for name in names {
                let listed = format!("{}/{name}", archive::RECORDINGS);
                found = archive.copy(&folder.join(&name), &listed)?;
                if found {
                    break;
                }
            }
            if found {
                copied += 1;
            } else {
                missing.push(sid.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_taken_out_of_addresses() {
        let table = [
            ("postgres://u@h/p", "postgres://u@h/p", None),
            (
                "postgres://u:a%40b@h:5/p",
                "postgres://u@h:5/p",
                Some("a@b"),
            ),
            (
                "postgres://u@h/p?password=x%20y&connect_timeout=3",
                "postgres://u@h/p?connect_timeout=3",
                Some("x y"),
            ),
            ("postgres://h/p?password=x", "postgres://h/p", Some("x")),
        ];
        for (url, address, password) in table {
            let found = without_password(url);
            let expected = (address.to_owned(), password.map(str::to_owned));
            assert_eq!(found, expected, "{url}");
        }
    }
}
