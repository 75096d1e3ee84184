//! Opens a database: address, lock, pool, and error texts that say what to do.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::InstanceSid;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, Connection as _};

use crate::caches::Caches;
use crate::connection::{Connection, Failure, Target};
use crate::dialect::{Dialect, run};
use crate::{Result, StoreError, writer};

/// Connections that read. The writer has one of its own.
const READERS: u32 = 4;
/// How long an earlier process may take to let go of the file.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);

/// An opened database.
pub(crate) struct Opened {
    pub(crate) dialect: Dialect,
    pub(crate) readers: AnyPool,
    /// Brings the tables up to date, before anything else.
    pub(crate) migrator: AnyConnection,
    /// Where the writer connects.
    pub(crate) target: Target,
    /// Held as long as the process uses an SQLite database.
    pub(crate) lock: Option<File>,
}

impl Opened {
    /// The connection of the writer, once the tables are up to date.
    pub(crate) async fn writer(
        self,
        instance: InstanceSid,
        caches: Arc<Caches>,
    ) -> Result<writer::Start, Failure> {
        let connection = match &self.target {
            Target::Embedded(_) => {
                self.migrator.close().await?;
                self.target.connect().await?
            }
            Target::Shared(_) => Connection::Shared(Box::new(self.migrator)),
        };
        Ok(writer::Start {
            dialect: self.dialect,
            connection,
            target: self.target,
            instance,
            caches,
            lock: self.lock,
        })
    }
}

/// Connects to `sqlite:PATH` or `postgres://…`.
pub(crate) async fn open(url: &str) -> Result<Opened> {
    sqlx::any::install_default_drivers();
    let dialect = Dialect::of(url).ok_or_else(|| {
        StoreError::Unusable(format!(
            "`{url}` is not a database address: write `sqlite:PATH` or `postgres://USER@HOST/NAME`"
        ))
    })?;
    let lock = match dialect {
        Dialect::Sqlite => {
            let path = sqlite_path(url)?;
            let lock = lock(&path).await?;
            // Made here so that it is private from the start; SQLite gives its mode to the files beside
            // it. An error is reported by the connection.
            let _ = private_file(&path);
            Some(lock)
        }
        Dialect::Postgres => None,
    };
    let options = AnyConnectOptions::from_str(&normalized(url, dialect))
        .map_err(|error| unusable(url, error))?;
    let migrator = connect(&options, dialect)
        .await
        .map_err(|error| unusable(url, error))?;
    let readers = AnyPoolOptions::new()
        .max_connections(READERS)
        .after_connect(move |connection, _| {
            Box::pin(async move { set_up(connection, dialect).await })
        })
        .connect_lazy_with(options.clone());
    let target = match dialect {
        Dialect::Sqlite => Target::Embedded(sqlite_path(url)?),
        Dialect::Postgres => Target::Shared(Box::new(options)),
    };
    Ok(Opened {
        dialect,
        readers,
        migrator,
        target,
        lock,
    })
}

/// Connections that only read, beside a server that may use the database.
pub(crate) async fn open_to_read(url: &str) -> Result<AnyPool> {
    sqlx::any::install_default_drivers();
    let options = match Dialect::of(url) {
        Some(Dialect::Sqlite) => format!("sqlite:{}?mode=rw", sqlite_path(url)?.display()),
        Some(Dialect::Postgres) | None => url.to_owned(),
    };
    let options = AnyConnectOptions::from_str(&options).map_err(|error| unusable(url, error))?;
    let pool = AnyPoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await;
    pool.map_err(|error| unusable(url, error))
}

/// One more connection, ready to use.
pub(crate) async fn connect(
    options: &AnyConnectOptions,
    dialect: Dialect,
) -> sqlx::Result<AnyConnection> {
    let mut connection = AnyConnection::connect_with(options).await?;
    set_up(&mut connection, dialect).await?;
    Ok(connection)
}

async fn set_up(connection: &mut AnyConnection, dialect: Dialect) -> sqlx::Result<()> {
    for statement in dialect.setup() {
        run(connection, statement).await?;
    }
    Ok(())
}

/// Adds what makes SQLite create the file.
fn normalized(url: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::Postgres => url.to_owned(),
        Dialect::Sqlite if url.contains("mode=") => url.to_owned(),
        Dialect::Sqlite if url.contains('?') => format!("{url}&mode=rwc"),
        Dialect::Sqlite => format!("{url}?mode=rwc"),
    }
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

/// Takes the lock that keeps a second server off the same file. SQLite's own locks would not:
/// they are held for a moment only, and two servers would close each other's calls.
async fn lock(database: &Path) -> Result<File> {
    let path = PathBuf::from(format!("{}.lock", database.display()));
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
    match Dialect::of(url) {
        Some(Dialect::Sqlite) => {}
        Some(Dialect::Postgres) | None => return Ok(None),
    }
    let path = format!("{}.lock", sqlite_path(url)?.display());
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
        let text = unusable(
            "postgres://bob:secret@db.example/p",
            sqlx::Error::WorkerCrashed,
        )
        .to_string();
        assert!(text.contains("postgres://…@db.example/p") && !text.contains("secret"));
    }
}
