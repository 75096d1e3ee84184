//! Opens a database: address, lock, pool, and error texts that say what to do.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::connection::{Access, Connection, Failure, Target};
use crate::dialect::Dialect;
use crate::readers::Readers;
use crate::{Result, StoreError};

/// Connections that read. The writer has one of its own.
const READERS: u32 = 4;
/// How long an earlier process may take to let go of the file.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);
/// How long a server may leave a connection or bytes unanswered, if its address does not say so.
const SILENCE: Duration = Duration::from_secs(15);

/// An opened database.
pub(crate) struct Opened {
    pub(crate) dialect: Dialect,
    /// Brings the tables up to date, and is the writer's then.
    pub(crate) connection: Connection,
    pub(crate) target: Target,
    /// Held as long as the process uses an SQLite database.
    pub(crate) lock: Option<File>,
}

impl Opened {
    /// Connections that read, once the tables are up to date.
    pub(crate) fn readers(&self) -> Readers {
        Readers::new(self.target.clone(), READERS)
    }
}

/// Connects to `sqlite:PATH` or `postgres://…`.
pub(crate) async fn open(url: &str) -> Result<Opened> {
    let (dialect, target) = target(url)?;
    let lock = match &target {
        Target::Embedded(path) => {
            let lock = lock(path).await?;
            // Made here so that it is private from the start; SQLite gives its mode to the files beside
            // it. An error is reported by the connection.
            let _ = private_file(path);
            Some(lock)
        }
        Target::Shared(_) => None,
    };
    let connection = target.connect(Access::Write).await;
    Ok(Opened {
        dialect,
        connection: connection.map_err(|error| unusable(url, error))?,
        target,
        lock,
    })
}

/// A connection that only reads, beside a server that may use the database, and where it leads.
pub(crate) async fn open_to_read(url: &str) -> Result<(Readers, Target)> {
    let (_, target) = target(url)?;
    let readers = Readers::new(target.clone(), 1);
    let checked = readers.check().await;
    checked.map_err(|error| unusable(url, error))?;
    Ok((readers, target))
}

fn target(url: &str) -> Result<(Dialect, Target)> {
    match Dialect::of(url) {
        Some(Dialect::Sqlite) => Ok((Dialect::Sqlite, Target::Embedded(sqlite_path(url)?))),
        Some(Dialect::Postgres) => Ok((Dialect::Postgres, Target::Shared(server(url)?))),
        None => Err(StoreError::Unusable(format!(
            "`{url}` is not a database address: write `sqlite:PATH` or `postgres://USER@HOST/NAME`"
        ))),
    }
}

/// The server of an address. One that does not answer is given up, as a lost one is.
fn server(url: &str) -> Result<Box<tokio_postgres::Config>> {
    let mut config: tokio_postgres::Config = url
        .parse()
        .map_err(|error| unusable(url, Failure::Shared(error)))?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(SILENCE);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE);
    }
    Ok(Box::new(config))
}

fn sqlite_path(url: &str) -> Result<PathBuf> {
    let rest = url.strip_prefix("sqlite:").unwrap_or(url);
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let path = rest.split('?').next().unwrap_or_default();
    if path.is_empty() || path == ":memory:" {
        return Err(StoreError::Unusable(
            "the database must be a file: write `sqlite:PATH`".to_owned(),
        ));
    }
    Ok(PathBuf::from(path))
}

/// Opens a file for writing; if it does not exist, it is created, readable by its owner only.
fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn lock_path(database: &Path) -> PathBuf {
    PathBuf::from(format!("{}.lock", database.display()))
}

/// Takes the lock that keeps a second server off the same file. SQLite's own locks would not:
/// they are held for a moment only, and two servers would close each other's calls.
async fn lock(database: &Path) -> Result<File> {
    let path = lock_path(database);
    let file = private_file(&path).map_err(|error| {
        StoreError::Unusable(format!(
            "`{}` cannot be written: {error}; the database needs a folder this user may write to",
            path.display()
        ))
    })?;
    let give_up = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < give_up => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Unusable(format!(
                    "the database `{}` is in use by another server: stop that one, or give this \
                     one a database of its own",
                    database.display()
                )));
            }
            Err(TryLockError::Error(error)) => {
                return Err(StoreError::Unusable(format!(
                    "`{}` cannot be locked: {error}",
                    path.display()
                )));
            }
        }
    }
}

/// Whether a server holds an embedded database; `None` for a shared one. A server that starts at
/// this moment waits for the lock a little longer.
pub(crate) fn in_use(url: &str) -> Result<Option<bool>> {
    let Target::Embedded(path) = target(url)?.1 else {
        return Ok(None);
    };
    let path = lock_path(&path);
    let Ok(file) = File::open(path) else {
        return Ok(Some(false)); // No server has used it yet.
    };
    Ok(Some(matches!(
        file.try_lock_shared(),
        Err(TryLockError::WouldBlock)
    )))
}

/// Says what cannot be used without showing a password of the address.
pub(crate) fn unusable(url: &str, error: impl std::fmt::Display) -> StoreError {
    let shown = match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        _ => url.to_owned(),
    };
    StoreError::Unusable(format!("the database `{shown}` cannot be opened: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_file_of_an_address() {
        let table = [
            ("sqlite:/var/lib/p/p.db", Some("/var/lib/p/p.db")),
            ("sqlite:///var/p.db?mode=rwc", Some("/var/p.db")),
            ("sqlite:p.db", Some("p.db")),
            ("sqlite::memory:", None),
            ("sqlite:", None),
        ];
        for (url, path) in table {
            assert_eq!(sqlite_path(url).ok(), path.map(PathBuf::from), "{url}");
        }
    }

    #[test]
    fn error_texts_keep_passwords_out() {
        let url = "postgres://bob:secret@db.example/p";
        let text = unusable(url, Failure::Busy).to_string();
        assert!(text.contains("postgres://…@db.example/p") && !text.contains("secret"));
    }
}
