//! Copies an embedded database to a server, and compares the two.
//!
//! Rows are copied table by table, in pages. **Invariant: a page and the note of how far the copy has come are written in one
//! transaction**, so an interrupted copy continues without losing or doubling a row, and no server starts on the target
//! until both databases have been compared. Left to others: the files of the data folder.

mod table;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use model::RecordingSid;
use tokio::time::{Instant, sleep};

use crate::connection::{Access, Connection, Target};
use crate::dialect::Dialect;
use crate::secret::SecretKey;
use crate::sql::{Sql, args};
use crate::writer::now;
use crate::{Result, StoreError, connect, migrate, rows};

pub use table::Sum;
use table::Table;

/// Tables that are not copied: each database has its own.
const OWN: [&str; 3] = ["migrations", "copies", "copied_tables"];
/// How long the connection of an interrupted copy may hold the target.
const LOCK_PATIENCE: Duration = Duration::from_secs(15);
/// Recordings that are read at once.
const RECORDINGS: i64 = 1_000;

/// A copy of an embedded database to a server. It holds the lock of the source, so no server can use that.
pub struct Transfer {
    source: Connection,
    target: Connection,
    tables: Vec<Table>,
    /// Rows of the source.
    total: u64,
    /// Rows that an earlier run has copied.
    found: u64,
    _lock: File,
}

/// What a copy is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Copying rows.
    Copying,
    /// Reading both databases to compare them.
    Comparing,
}

/// How far a copy has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// What is done.
    pub phase: Phase,
    /// The table.
    pub table: &'a str,
    /// Rows of all tables that are done, in this phase.
    pub done: u64,
    /// Rows of all tables.
    pub total: u64,
}

/// A table in both databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Its name.
    pub table: String,
    /// In the embedded database.
    pub source: Sum,
    /// On the server.
    pub target: Sum,
}

/// What the target is before a copy.
enum Found {
    Empty,
    /// An unfinished copy of the same source.
    Part,
}

impl Transfer {
    /// Opens both databases, and prepares the target unless it is an unfinished copy of the same source.
    ///
    /// - `from`: the file of the embedded database; no server may use it
    /// - `to`: `postgres://…`, a database without rows, or an unfinished copy of `from`
    ///
    /// # Errors
    /// [`StoreError::Unusable`] with a text that says what to do.
    pub async fn open(from: &Path, to: &str) -> Result<Self> {
        let shown = from.display();
        if !from.is_file() {
            return Err(refusal(format!("there is no database file `{shown}`")));
        }
        let lock = connect::lock(from).await.map_err(|error| {
            refusal(format!(
                "{error}. To copy it, stop the server that uses `{shown}`, and keep it stopped until \
                 the copy is finished"
            ))
        })?;
        let from_url = format!("sqlite:{shown}");
        let mut source = Target::Embedded(from.to_owned())
            .connect(Access::Read)
            .await
            .map_err(|error| connect::unusable(&from_url, error))?;
        check_version(&mut source, &format!("`{shown}`")).await?;
        let identity = identity(&mut source)
            .await?
            .ok_or_else(|| refusal(format!("`{shown}` holds no data: there is nothing to copy")))?;
        let mut target = server(to).await?;
        hold(&mut target).await?;
        match examine(&mut target, &identity).await? {
            Found::Empty => begin(&mut target, &identity).await?,
            Found::Part => check_version(&mut target, "the unfinished copy").await?,
        }
        let mut transfer = Self {
            source,
            target,
            tables: Vec::new(),
            total: 0,
            found: 0,
            _lock: lock,
        };
        transfer.plan().await?;
        Ok(transfer)
    }

    async fn plan(&mut self) -> Result<()> {
        self.tables = table::tables(&mut self.source, &OWN).await?;
        for table in &self.tables {
            if !table.is_same(&mut self.target).await? {
                return Err(refusal(format!(
                    "the table `{}` has other columns on the server: copy to an empty database",
                    table.name
                )));
            }
            self.total += table.count(&mut self.source).await?;
            self.found += table.count(&mut self.target).await?;
        }
        Ok(())
    }

    /// Rows that an earlier run has copied already.
    #[must_use]
    pub const fn found(&self) -> u64 {
        self.found
    }

    /// Rows of the source.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Whether this key decrypts the secrets of the source; `true` if there are none.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn is_key(&mut self, key: &SecretKey) -> Result<bool> {
        let mut sql = rows::ACCOUNTS.select();
        sql.text(" LIMIT 1");
        let found = self.source.all(&sql).await?;
        match found.first().map(|row| rows::account(row, key)) {
            Some(Err(StoreError::WrongKey)) => Ok(false),
            Some(Err(error)) => Err(error),
            Some(Ok(_)) | None => Ok(true),
        }
    }

    /// Recordings of the source with SIDs after this one, in order; none after the last.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn recordings_after(
        &mut self,
        after: Option<RecordingSid>,
    ) -> Result<Vec<RecordingSid>> {
        let after = after.map_or_else(String::new, |sid| sid.to_string());
        let text = "SELECT sid FROM recordings WHERE sid > $1 AND gone IS NULL \
                    UNION SELECT sid FROM bin WHERE sid > $1 AND kind = 'recording' ORDER BY sid LIMIT $2";
        let sql = Sql::new(text, args![after, RECORDINGS]);
        let found = self.source.all(&sql).await?;
        found.iter().map(|row| row.word("sid")).collect()
    }

    /// Copies what is not there yet.
    ///
    /// # Errors
    /// As reported by the databases; the copy can be continued.
    pub async fn copy(&mut self, mut progress: impl FnMut(Progress<'_>)) -> Result<()> {
        let (mut done, total) = (self.found, self.total);
        for table in &self.tables {
            let mut report = |rows: u64| {
                done += rows;
                progress(Progress {
                    phase: Phase::Copying,
                    table: &table.name,
                    done: done.min(total),
                    total,
                });
            };
            copy_table(&mut self.source, &mut self.target, table, &mut report).await?;
        }
        Ok(())
    }

    /// Compares both databases. A table that an earlier run began is copied again if the source has changed since then.
    ///
    /// # Errors
    /// As reported by the databases.
    pub async fn compare(
        &mut self,
        mut progress: impl FnMut(Progress<'_>),
    ) -> Result<Vec<Compared>> {
        let (mut done, total) = (0, self.total);
        let mut all = Vec::new();
        for table in &self.tables {
            let mut report = |rows: u64| {
                done += rows;
                progress(Progress {
                    phase: Phase::Comparing,
                    table: &table.name,
                    done: done.min(total),
                    total,
                });
            };
            let source = source_sum(&mut self.source, table, &mut report).await?;
            let mut target = target_sum(&mut self.target, table).await?;
            if source != target && self.found > 0 {
                empty(&mut self.target, table).await?;
                copy_table(&mut self.source, &mut self.target, table, &mut |_| {}).await?;
                target = target_sum(&mut self.target, table).await?;
            }
            all.push(Compared {
                table: table.name.clone(),
                source,
                target,
            });
        }
        Ok(all)
    }

    /// Releases the target to servers, after a comparison without differences.
    ///
    /// # Errors
    /// As reported by the server.
    pub async fn finish(mut self) -> Result<()> {
        let target = &mut self.target;
        target.run(Dialect::Postgres.begin()).await?;
        let finished = Sql::new("UPDATE copies SET finished = $1", args![now()]);
        target.execute(finished).await?;
        target.run("DELETE FROM copied_tables").await?;
        target.run("COMMIT").await?;
        // Until its statistics are up to date, a server plans as if all tables were empty.
        target.run_long("ANALYZE").await?;
        self.target.close().await?;
        Ok(self.source.close().await?)
    }
}

/// Stops a server that is started on a copy before it is finished.
pub(crate) async fn refuse_unfinished(connection: &mut Connection) -> Result<()> {
    let text = "SELECT source FROM copies WHERE finished IS NULL";
    let found = connection.all(&Sql::new(text, Vec::new())).await?;
    if found.is_empty() {
        return Ok(());
    }
    Err(refusal(
        "the database holds an unfinished copy: repeat `patchcord migrate` until it reports that the \
         copy is finished, or use an empty database"
            .to_owned(),
    ))
}

fn refusal(text: String) -> StoreError {
    StoreError::Unusable(text)
}

async fn server(to: &str) -> Result<Connection> {
    let (Dialect::Postgres, target) = connect::target(to)? else {
        return Err(refusal(format!(
            "`{}` is not the address of a server: write `postgres://USER@HOST/NAME`",
            connect::without_secrets(to)
        )));
    };
    let connected = target.connect(Access::Write).await;
    connected.map_err(|error| connect::unusable(to, error))
}

/// Keeps other copies off the target for as long as the connection lives.
async fn hold(target: &mut Connection) -> Result<()> {
    let text = "SELECT CAST(pg_try_advisory_lock(7263) AS TEXT) AS held";
    let give_up = Instant::now() + LOCK_PATIENCE;
    loop {
        let found = target.all(&Sql::new(text, Vec::new())).await?;
        let held = found.first().map(|row| row.text("held")).transpose()?;
        if held.as_deref() == Some("true") {
            return Ok(());
        }
        if Instant::now() >= give_up {
            return Err(refusal(
                "another `patchcord migrate` is copying to this database: wait until it has ended"
                    .to_owned(),
            ));
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Refuses tables of another version than this release works with.
async fn check_version(connection: &mut Connection, which: &str) -> Result<()> {
    let newest = migrate::newest();
    let seen = migrate::seen_version(connection)
        .await
        .map_err(|error| refusal(format!("{which} is not a database of Patchcord: {error}")))?;
    if seen == newest {
        return Ok(());
    }
    let advice = if seen > newest {
        "use the release that wrote it"
    } else {
        "start a server of this release on it once, and stop it, or copy from the beginning to an empty database"
    };
    Err(refusal(format!(
        "the tables of {which} have version {seen}, and this release copies version {newest}: {advice}"
    )))
}

/// What tells this database from others: its first organization, which never changes.
async fn identity(connection: &mut Connection) -> Result<Option<String>> {
    let text = "SELECT sid FROM organizations ORDER BY created, sid LIMIT 1";
    let found = connection.all(&Sql::new(text, Vec::new())).await?;
    found.first().map(|row| row.text("sid")).transpose()
}

async fn names_of_tables(target: &mut Connection) -> Result<BTreeSet<String>> {
    let text = "SELECT CAST(tablename AS TEXT) AS name FROM pg_tables \
                WHERE schemaname = current_schema()";
    let found = target.all(&Sql::new(text, Vec::new())).await?;
    found.iter().map(|row| row.text("name")).collect()
}

async fn examine(target: &mut Connection, identity: &str) -> Result<Found> {
    let names = names_of_tables(target).await?;
    if names.contains("copies") {
        let text = "SELECT source, finished FROM copies";
        let copies = target.all(&Sql::new(text, Vec::new())).await?;
        if let Some(copy) = copies.first() {
            let same = copy.text("source")? == identity;
            return match (copy.opt_time("finished")?, same) {
                (None, true) => Ok(Found::Part),
                (None, false) => Err(refusal(
                    "the target holds an unfinished copy of another database: copy to an empty one"
                        .to_owned(),
                )),
                (Some(at), true) => Err(refusal(format!(
                    "this database was copied to the target at {}: nothing is left to do. Start the \
                     server with `database.url` set to it",
                    at.iso8601()
                ))),
                (Some(_), false) => Err(not_empty("copies")),
            };
        }
    }
    for name in names.iter().filter(|name| !OWN.contains(&name.as_str())) {
        let text = format!("SELECT CAST(1 AS BIGINT) AS n FROM \"{name}\" LIMIT 1");
        if !target.all(&Sql::new(text, Vec::new())).await?.is_empty() {
            return Err(not_empty(name));
        }
    }
    Ok(Found::Empty)
}

fn not_empty(table: &str) -> StoreError {
    refusal(format!(
        "the target is not empty: its table `{table}` has rows. Nothing was changed; create a new \
         database, for example with `createdb`, and copy to that"
    ))
}

/// Makes the tables, and notes whose copy this is.
async fn begin(target: &mut Connection, identity: &str) -> Result<()> {
    migrate::migrate(target, Dialect::Postgres, now()).await?;
    let text = "INSERT INTO copies (source, started) VALUES ($1, $2)";
    target
        .execute(Sql::new(text, args![identity, now()]))
        .await?;
    Ok(())
}

async fn last_row(target: &mut Connection, table: &Table) -> Result<i64> {
    let text = "SELECT last_row FROM copied_tables WHERE name = $1";
    let sql = Sql::new(text, args![table.name.as_str()]);
    let found = target.all(&sql).await?;
    let last = found.first().map(|row| row.int("last_row")).transpose()?;
    Ok(last.unwrap_or(i64::MIN))
}

async fn copy_table(
    source: &mut Connection,
    target: &mut Connection,
    table: &Table,
    report: &mut impl FnMut(u64),
) -> Result<()> {
    let mut after = last_row(target, table).await?;
    while let Some(page) = table.page(source, after).await? {
        after = page.last_row;
        let copied = page.rows.len() as u64;
        target.run(Dialect::Postgres.begin()).await?;
        for insert in table.inserts(page.rows) {
            target.execute(insert).await?;
        }
        let note = "INSERT INTO copied_tables (name, last_row) VALUES ($1, $2) \
                    ON CONFLICT (name) DO UPDATE SET last_row = excluded.last_row";
        target
            .execute(Sql::new(note, args![table.name.as_str(), after]))
            .await?;
        target.run("COMMIT").await?;
        report(copied);
    }
    Ok(())
}

/// Forgets what was copied of a table.
async fn empty(target: &mut Connection, table: &Table) -> Result<()> {
    target.run(Dialect::Postgres.begin()).await?;
    target
        .run_long(&format!("TRUNCATE TABLE \"{}\"", table.name))
        .await?;
    let note = "DELETE FROM copied_tables WHERE name = $1";
    target
        .execute(Sql::new(note, args![table.name.as_str()]))
        .await?;
    Ok(target.run("COMMIT").await?)
}

async fn source_sum(
    source: &mut Connection,
    table: &Table,
    report: &mut impl FnMut(u64),
) -> Result<Sum> {
    let (mut sum, mut after) = (Sum::default(), i64::MIN);
    while let Some(page) = table.page(source, after).await? {
        after = page.last_row;
        Table::add(&mut sum, &page);
        report(page.rows.len() as u64);
    }
    Ok(sum)
}

async fn target_sum(target: &mut Connection, table: &Table) -> Result<Sum> {
    let mut sum = Sum::default();
    target.run(Dialect::Postgres.begin()).await?;
    target.run(&table.declare()).await?;
    while table.fetch(target, &mut sum).await? > 0 {}
    target.run("COMMIT").await?;
    Ok(sum)
}
