//! The connections that read.
//!
//! **Invariant: a read neither waits for the writer nor blocks a thread of the async runtime, and it
//! changes nothing.** A connection that was lost is replaced, and the read is tried again. A shared
//! database ends a read that takes too long, also if nothing waits for it any more.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::trace;

use crate::Result;
use crate::connection::{Access, Connection, Failure, Target};
use crate::row::Row;
use crate::sql::Sql;

/// How long a read waits for a free connection, and for a database that is away.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long closing waits for reads that are under way.
const CLOSING_PATIENCE: Duration = Duration::from_secs(5);
/// Pause before a read is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// Handle to the connections. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Readers {
    pool: Arc<Pool>,
    /// When a read that has not found its rows is ended.
    until: Option<Instant>,
}

struct Pool {
    target: Target,
    size: u32,
    /// One for each read that may be under way.
    places: Arc<Semaphore>,
    /// Open, and used by no read.
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// At most `size` connections, opened when they are needed.
    pub(crate) fn new(target: Target, size: u32) -> Self {
        let pool = Arc::new(Pool {
            target,
            size,
            places: Arc::new(Semaphore::new(size as usize)),
            idle: Mutex::default(),
        });
        Self { pool, until: None }
    }

    /// The same connections, for reads that end with [`Failure::TooLong`] at a time.
    pub(crate) fn until(&self, at: Instant) -> Self {
        Self {
            pool: Arc::clone(&self.pool),
            until: Some(at),
        }
    }

    /// Opens a connection, to find out whether that is possible.
    pub(crate) async fn check(&self) -> Result<(), Failure> {
        let connection = self.pool.target.connect(Access::Read).await?;
        self.pool.idle().push(connection);
        Ok(())
    }

    /// The first row, if there is one.
    pub(crate) async fn first<T>(
        &self,
        sql: Sql,
        read: impl Fn(&Row) -> Result<T>,
    ) -> Result<Option<T>> {
        self.rows(sql).await?.first().map(read).transpose()
    }

    /// All rows.
    pub(crate) async fn many<T>(
        &self,
        sql: Sql,
        read: impl Fn(&Row) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.rows(sql).await?.iter().map(read).collect()
    }

    /// Returns when no more is read, or what is read takes too long; later reads fail.
    pub(crate) async fn close(&self) {
        // An error says that it was closed before, or that a read is still under way. The places are
        // kept from the reads that wait for one.
        let _places = timeout(
            CLOSING_PATIENCE,
            self.pool.places.acquire_many(self.pool.size),
        )
        .await;
        self.pool.places.close();
        self.pool.idle().clear();
    }

    async fn rows(&self, sql: Sql) -> Result<Vec<Row>, Failure> {
        // Without its arguments, which name people.
        trace!(statement = sql.as_text(), "reading");
        let until = self.until;
        let patience = Instant::now() + PATIENCE;
        let give_up = until.map_or(patience, |until| until.min(patience));
        let place = timeout_at(give_up, Arc::clone(&self.pool.places).acquire_owned())
            .await
            .map_err(|_| Failure::Busy)?
            .map_err(|_| Failure::Closed)?;
        let pool = Arc::clone(&self.pool);
        let read = async move {
            let found = pool.read(&sql, (give_up, until)).await;
            drop(place);
            match found {
                Err(failure) if until.is_some() && failure.is_cancelled() => Err(Failure::TooLong),
                found => found,
            }
        };
        if !self.pool.target.blocks() {
            return read.await;
        }
        let runtime = Handle::current();
        let blocking = tokio::task::spawn_blocking(move || runtime.block_on(read));
        match blocking
            .await
            .map_err(tokio::task::JoinError::try_into_panic)
        {
            Ok(found) => found,
            Err(Ok(panic)) => resume_unwind(panic),
            Err(Err(_)) => Err(Failure::Closed), // The runtime ends.
        }
    }
}

impl Pool {
    async fn read(
        &self,
        sql: &Sql,
        (give_up, until): (Instant, Option<Instant>),
    ) -> Result<Vec<Row>, Failure> {
        loop {
            let attempt = timeout_at(give_up, self.attempt(sql, until));
            match attempt.await.unwrap_or(Err(Failure::Silent)) {
                Err(failure)
                    if failure.is_transient()
                        && !failure.is_cancelled()
                        && Instant::now() < give_up =>
                {
                    sleep(RETRY_AFTER).await;
                }
                settled => return settled,
            }
        }
    }

    async fn attempt(&self, sql: &Sql, until: Option<Instant>) -> Result<Vec<Row>, Failure> {
        let mut connection = match self.take_idle() {
            Some(connection) => connection,
            None => self.target.connect(Access::Read).await?,
        };
        let found = match until {
            Some(until) => connection.all_until(sql, until).await,
            None => connection.all(sql).await,
        };
        if !connection.is_lost() {
            let mut idle = self.idle();
            if !self.places.is_closed() {
                idle.push(connection);
            }
        }
        found
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle();
        idle.retain(|connection| !connection.is_lost());
        idle.pop()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreError;
    use crate::sql::args;

    /// Takes some hundred milliseconds.
    const SLOW: &str = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c \
                        WHERE x < 2000000) SELECT COUNT(*) AS n FROM c";

    /// Connections to a database with a row, and its folder.
    fn readers(size: u32) -> (Readers, rusqlite::Connection, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.db");
        let writer = rusqlite::Connection::open(&path).unwrap();
        let table =
            "PRAGMA journal_mode = WAL; CREATE TABLE t (a BIGINT); INSERT INTO t VALUES (7)";
        writer.execute_batch(table).unwrap();
        (Readers::new(Target::Embedded(path), size), writer, dir)
    }

    fn sql(text: &'static str) -> Sql {
        Sql::new(text, args![])
    }

    async fn numbers(readers: &Readers) -> Result<Vec<i64>> {
        let text = "SELECT a FROM t ORDER BY a";
        readers.many(sql(text), |row| row.int("a")).await
    }

    #[tokio::test]
    async fn a_read_does_not_block_the_runtime_and_is_finished_if_it_is_abandoned() {
        let (readers, _writer, _dir) = readers(1);
        tokio::select! {
            biased;
            () = sleep(Duration::from_millis(1)) => {}
            found = readers.first(sql(SLOW), |row| row.int("n")) => panic!("first {found:?}"),
        }
        assert_eq!(readers.pool.places.available_permits(), 0, "under way");
        assert_eq!(numbers(&readers).await.unwrap(), [7]);
        assert_eq!(readers.pool.idle().len(), 1, "the same connection");
    }

    #[tokio::test]
    async fn a_read_with_a_limit_is_ended_and_leaves_its_connection() {
        let (readers, _writer, _dir) = readers(1);
        let endless = SLOW.replace("2000000", "2000000000");
        let soon = readers.until(Instant::now() + Duration::from_millis(50));
        let begun = Instant::now();
        let ended = soon
            .first(Sql::new(endless, args![]), |row| row.int("n"))
            .await;
        assert!(matches!(ended, Err(StoreError::TooLong)), "{ended:?}");
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(readers.pool.idle().len(), 1, "the same connection");
        assert_eq!(numbers(&readers).await.unwrap(), [7]);
        let late = numbers(&soon).await;
        assert!(late.is_err(), "{late:?}");
    }

    #[tokio::test]
    async fn reads_share_the_connections_and_end_with_them() {
        let (readers, _writer, _dir) = readers(2);
        let reads = (0..20).map(|_| {
            let readers = readers.clone();
            tokio::spawn(async move { numbers(&readers).await })
        });
        for read in reads.collect::<Vec<_>>() {
            assert_eq!(read.await.unwrap().unwrap(), [7]);
        }
        assert!((1..=2).contains(&readers.pool.idle().len()));
        readers.close().await;
        assert!(readers.pool.idle().is_empty());
        let late = numbers(&readers).await;
        assert!(matches!(late, Err(StoreError::Closed)), "{late:?}");
        readers.close().await;
    }

    #[tokio::test]
    async fn a_connection_that_is_used_at_the_end_is_closed_after_its_read() {
        let (readers, _writer, _dir) = readers(1);
        let under_way = readers.first(sql(SLOW), |row| row.int("n"));
        // As if it took longer than closing waits.
        let end = async {
            readers.pool.places.close();
            readers.pool.idle().clear();
        };
        let (found, ()) = tokio::join!(biased; under_way, end);
        assert_eq!(found.unwrap(), Some(2_000_000));
        assert!(readers.pool.idle().is_empty());
    }

    #[tokio::test]
    async fn a_read_sees_what_is_committed_and_changes_nothing() {
        let (readers, writer, _dir) = readers(1);
        writer
            .execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (8)")
            .unwrap();
        assert_eq!(numbers(&readers).await.unwrap(), [7]);
        writer.execute_batch("COMMIT").unwrap();
        assert_eq!(numbers(&readers).await.unwrap(), [7, 8]);
        let changed = readers.many(sql("DELETE FROM t"), |_| Ok(())).await;
        assert!(changed.is_err(), "{changed:?}");
        assert_eq!(numbers(&readers).await.unwrap(), [7, 8]);
    }
}
