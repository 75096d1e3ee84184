//! One state of a database that a server may be using, to back it up.
//!
//! **Invariant: everything read through a [`Snapshot`] belongs to the same moment,** and the server that writes meanwhile does
//! not wait. Left to others: the files beside the database, and the dump of a shared database (`pg_dump`, which
//! reads the same state by the name of the snapshot).

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::RecordingSid;
use rusqlite::backup::{Backup, StepResult};

use crate::connection::{Access, Connection, Failure, Target};
use crate::sql::{Sql, args};
use crate::{Result, StoreError, connect, migrate};

/// Pages of an embedded database that are copied at once.
const PAGES: i32 = 1_000;
/// Pause when the file is busy.
const PAUSE: Duration = Duration::from_millis(50);
/// Recordings that are read at once.
const RECORDINGS: i64 = 10_000;

/// A database as it is at one moment.
pub struct Snapshot {
    connection: Connection,
    /// Under which another connection can read the same state of a shared database.
    name: Option<String>,
}

/// What a database holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Version of its tables.
    pub version: i64,
    /// Names of the tables, with their rows, by name.
    pub tables: Vec<(String, u64)>,
}

impl Snapshot {
    /// Opens `sqlite:PATH` or `postgres://…`, beside a server that may use it.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] with a text for the operator.
    pub async fn open(url: &str) -> Result<Self> {
        let (_, target) = connect::target(url)?;
        let explained = |error: Failure| connect::unusable(url, error);
        let mut connection = target.connect(Access::Read).await.map_err(explained)?;
        let name = match &target {
            Target::Embedded(_) => {
                // The first read of a transaction fixes what it sees.
                let fixed = async {
                    connection.run("BEGIN").await?;
                    let read = Sql::new("SELECT name FROM sqlite_master LIMIT 1", Vec::new());
                    connection.all(&read).await.map(drop)
                };
                fixed.await.map_err(explained)?;
                None
            }
            Target::Shared(_) => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                connection.run(begin).await.map_err(explained)?;
                let export = Sql::new("SELECT pg_export_snapshot() AS name", Vec::new());
                let rows = connection.all(&export).await.map_err(explained)?;
                rows.first().map(|row| row.text("name")).transpose()?
            }
        };
        Ok(Self { connection, name })
    }

    /// The name for `pg_dump --snapshot`, valid until this is dropped; `None` if the database is embedded.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Copies an embedded database to a new file, readable by its owner only, and checks the copy.
    ///
    /// - `progress`: is called with the pages that are copied and all pages
    ///
    /// # Errors
    /// [`StoreError::Unusable`] if the copy is damaged or the database is shared; otherwise as reported by the database.
    pub fn copy_to(&self, file: &Path, mut progress: impl FnMut(i32, i32)) -> Result<()> {
        let Connection::Embedded(source) = &self.connection else {
            let text = "a shared database is not copied as a file: use `pg_dump`";
            return Err(StoreError::Unusable(text.to_owned()));
        };
        connect::private_file(file).map_err(|error| {
            StoreError::Unusable(format!("cannot write `{}`: {error}", file.display()))
        })?;
        let mut copied = || {
            let mut target = rusqlite::Connection::open(file)?;
            {
                let backup = Backup::new(source, &mut target)?;
                loop {
                    match backup.step(PAGES)? {
                        StepResult::Done => break,
                        StepResult::Busy | StepResult::Locked => std::thread::sleep(PAUSE),
                        // Also results of a later version of the library.
                        _ => {}
                    }
                    let at = backup.progress();
                    progress(at.pagecount - at.remaining, at.pagecount);
                }
            }
            // Complete in one file.
            let mode = "PRAGMA journal_mode = DELETE";
            target.query_row(mode, [], |_| Ok(()))?;
            check(&target)
        };
        match copied().map_err(Failure::Embedded)? {
            None => Ok(()),
            Some(damage) => Err(damaged(file, &damage)),
        }
    }

    /// What the database holds.
    ///
    /// # Errors
    /// As reported by the database; [`StoreError::Unusable`] if it is not one of Patchcord.
    pub async fn contents(&mut self) -> Result<Contents> {
        let connection = &mut self.connection;
        let version = migrate::seen_version(connection).await.map_err(|error| {
            StoreError::Unusable(format!("this is not a database of Patchcord: {error}"))
        })?;
        let text = if self.name.is_none() {
            "SELECT name FROM sqlite_master WHERE type = 'table' \
             AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
        } else {
            "SELECT CAST(tablename AS TEXT) COLLATE \"C\" AS name FROM pg_tables \
             WHERE schemaname = current_schema() ORDER BY 1"
        };
        let mut tables = Vec::new();
        for row in connection.all(&Sql::new(text, Vec::new())).await? {
            let name = row.text("name")?;
            let count = format!("SELECT COUNT(*) AS n FROM \"{name}\"");
            let rows = connection.all(&Sql::new(count, Vec::new())).await?;
            let rows = rows.first().map(|row| row.int("n")).transpose()?;
            let rows = u64::try_from(rows.unwrap_or_default()).unwrap_or_default();
            tables.push((name, rows));
        }
        Ok(Contents { version, tables })
    }

    /// Recordings, complete or in progress, with SIDs after this one, in order; none after the last.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn recordings_after(
        &mut self,
        after: Option<RecordingSid>,
    ) -> Result<Vec<RecordingSid>> {
        let after = after.map_or_else(String::new, |sid| sid.to_string());
        let text = "SELECT sid FROM recordings WHERE sid > $1 AND gone IS NULL \
                    UNION SELECT sid FROM started_recordings WHERE sid > $1 \
                    UNION SELECT sid FROM bin WHERE sid > $1 AND kind = 'recording' ORDER BY sid LIMIT $2";
        let sql = Sql::new(text, args![after, RECORDINGS]);
        let found = self.connection.all(&sql).await?;
        found.iter().map(|row| row.word("sid")).collect()
    }
}

/// The version of the tables that this release makes.
#[must_use]
pub fn newest_version() -> i64 {
    migrate::newest()
}

/// The file of an embedded database; `None` for a shared one.
///
/// # Errors
/// [`StoreError::Unusable`] if it is not the address of a database.
pub fn embedded_file(url: &str) -> Result<Option<PathBuf>> {
    Ok(match connect::target(url)?.1 {
        Target::Embedded(path) => Some(path),
        Target::Shared(_) => None,
    })
}

/// Checks the file of an embedded database that no server uses.
///
/// # Errors
/// [`StoreError::Unusable`] if it is damaged or cannot be read.
pub fn check_file(file: &Path) -> Result<()> {
    let checked = rusqlite::Connection::open(file).and_then(|connection| check(&connection));
    match checked {
        Ok(None) => Ok(()),
        Ok(Some(damage)) => Err(damaged(file, &damage)),
        Err(error) => Err(damaged(file, &error.to_string())),
    }
}

/// Whether a shared database has no tables yet.
///
/// # Errors
/// As reported by the database.
pub async fn is_empty(url: &str) -> Result<bool> {
    let (_, target) = connect::target(url)?;
    let connected = target.connect(Access::Read).await;
    let mut connection = connected.map_err(|error| connect::unusable(url, error))?;
    let text = "SELECT CAST(tablename AS TEXT) AS name FROM pg_tables \
                WHERE schemaname = current_schema() LIMIT 1";
    let found = connection.all(&Sql::new(text, Vec::new())).await?;
    connection.close().await?;
    Ok(found.is_empty())
}

/// What is wrong with a database, if anything is.
fn check(connection: &rusqlite::Connection) -> rusqlite::Result<Option<String>> {
    let text = "PRAGMA integrity_check(1)";
    let found: String = connection.query_row(text, [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

fn damaged(file: &Path, damage: &str) -> StoreError {
    StoreError::Unusable(format!("`{}` is damaged: {damage}", file.display()))
}
