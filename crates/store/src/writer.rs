//! The one task that writes: commits that wait at the same moment share a transaction.
//!
//! A group is what has queued up while the group before it was written. One that follows another
//! closely also waits a moment for company, because the price of a transaction and its sync is
//! shared; the first after a silence never waits.
//!
//! **Invariant: every commit that was accepted is answered, and answered `Ok` only when it is on
//! disk.** A busy or lost database is tried again until it works; a disk that takes no writes is
//! told to whoever commits; a commit that the database refuses is tried alone, so it harms no other.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{InstanceSid, Timestamp};
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, Connection};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};

use crate::admin::Admin;
use crate::apply::{self, Context};
use crate::caches::Caches;
use crate::connect::{self, Opened};
use crate::dialect::{Dialect, run};
use crate::{Change, Committed, Result, StoreError};

/// Commits that wait at most; more wait outside.
const QUEUE: usize = 1_024;
/// Operations in one transaction at most.
const GROUP: usize = 512;
/// How long a commit waits for others that may share its transaction.
const COMPANY: Duration = Duration::from_millis(4);
/// A group so soon after the last one means load.
const LOAD: Duration = Duration::from_millis(20);
/// How often this process tells that it lives.
const ALIVE_EVERY: Duration = Duration::from_secs(10);
/// Pause before a transaction is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(50);
/// How long a group is tried while the disk takes no writes; then whoever commits is told.
const UNWRITABLE_PATIENCE: Duration = Duration::from_millis(200);
/// How long a closing store tries.
const CLOSING_PATIENCE: Duration = Duration::from_secs(10);

/// What one commit is made of.
pub(crate) enum Operation {
    Change(Change),
    Admin(Box<Admin>),
}

/// Handle to the writing task, which ends when the last handle is dropped.
#[derive(Clone)]
pub(crate) struct Writer {
    messages: mpsc::Sender<Message>,
}

enum Message {
    Commit(Job),
    Close(oneshot::Sender<()>),
}

struct Job {
    operations: Vec<Operation>,
    /// It failed before, and may have been written all the same.
    again: bool,
    reply: oneshot::Sender<Result<Committed>>,
}

impl Writer {
    pub(crate) fn spawn(opened: Opened, instance: InstanceSid, caches: Arc<Caches>) -> Self {
        let (messages, inbox) = mpsc::channel(QUEUE);
        let task = Task {
            connection: opened.writer,
            options: opened.options,
            dialect: opened.dialect,
            context: Context {
                instance,
                repeated: false,
            },
            caches,
            closing: false,
            _lock: opened.lock,
        };
        tokio::spawn(task.run(inbox));
        Self { messages }
    }

    /// Writes the operations in one transaction.
    pub(crate) async fn commit(&self, operations: Vec<Operation>) -> Result<Committed> {
        self.send(operations, false).await
    }

    /// Writes operations whose commit failed before.
    pub(crate) async fn commit_again(&self, operations: Vec<Operation>) -> Result<Committed> {
        self.send(operations, true).await
    }

    async fn send(&self, operations: Vec<Operation>, again: bool) -> Result<Committed> {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            operations,
            again,
            reply,
        };
        self.messages
            .send(Message::Commit(job))
            .await
            .map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Commits that wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        self.messages.max_capacity() - self.messages.capacity()
    }

    /// Returns when everything accepted before is written and the database is closed.
    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.messages.send(Message::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }
}

struct Task {
    connection: AnyConnection,
    options: AnyConnectOptions,
    dialect: Dialect,
    context: Context,
    caches: Arc<Caches>,
    closing: bool,
    /// Released after the connection is closed.
    _lock: Option<File>,
}

impl Task {
    async fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        let mut alive = tokio::time::interval(ALIVE_EVERY);
        alive.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut done = None;
        let mut written: Option<Instant> = None;
        loop {
            let message = tokio::select! {
                message = inbox.recv() => message,
                _ = alive.tick(), if !self.closing => {
                    self.tell_alive().await;
                    continue;
                }
            };
            match message {
                Some(Message::Commit(job)) => {
                    if !self.closing && written.is_some_and(|at| at.elapsed() < LOAD) {
                        tokio::time::sleep(COMPANY).await;
                    }
                    let group = gather(job, &mut inbox, &mut done);
                    self.closing |= done.is_some();
                    self.settle(group).await;
                    written = Some(Instant::now());
                }
                Some(Message::Close(reply)) => done = Some(reply),
                None => break,
            }
            if done.is_some() {
                self.closing = true;
                inbox.close();
            }
        }
        if let Err(error) = self.connection.close().await {
            warn!(%error, "closing the database failed");
        }
        drop(self._lock);
        if let Some(done) = done {
            let _ = done.send(());
        }
    }

    async fn tell_alive(&mut self) {
        let alive = Change::Alive {
            instance: self.context.instance,
            at: crate::now(),
        };
        let (reply, _) = oneshot::channel();
        let job = Job {
            operations: vec![Operation::Change(alive)],
            again: false,
            reply,
        };
        self.settle(vec![job]).await;
    }

    /// Answers every job of the group.
    async fn settle(&mut self, group: Vec<Job>) {
        let failure = match self.persist(&group).await {
            Ok(results) => {
                for (job, result) in group.into_iter().zip(results) {
                    let _ = job.reply.send(Ok(result));
                }
                return;
            }
            Err(failure) => failure,
        };
        // What the disk does is nobody's fault: there is no use in trying each alone.
        let unwritable = self.dialect.is_unwritable(&failure);
        if unwritable || group.len() == 1 {
            for job in group {
                let _ = job.reply.send(Err(self.refused(&failure)));
            }
            return;
        }
        for job in group {
            let alone = std::slice::from_ref(&job);
            let result = match self.persist(alone).await {
                Ok(mut results) => results.pop().ok_or(StoreError::Closed),
                Err(failure) => Err(self.refused(&failure)),
            };
            let _ = job.reply.send(result);
        }
    }

    /// One transaction; repeats it while the database is busy or away.
    async fn persist(&mut self, group: &[Job]) -> Result<Vec<Committed>, sqlx::Error> {
        let since = Instant::now();
        let mut complained = since;
        self.context.repeated = false;
        loop {
            let failure = match self.attempt(group).await {
                Ok(results) => {
                    if group.iter().any(Job::changes_look_ups) {
                        self.caches.clear();
                    }
                    return Ok(results);
                }
                Err(failure) => failure,
            };
            if let Err(error) = self.recover().await {
                warn!(%error, "the database is away");
            }
            let patience = if self.dialect.is_unwritable(&failure) {
                UNWRITABLE_PATIENCE
            } else if !self.dialect.is_transient(&failure) {
                Duration::ZERO
            } else if self.closing {
                CLOSING_PATIENCE
            } else {
                Duration::MAX
            };
            if since.elapsed() >= patience {
                return Err(failure);
            }
            self.context.repeated = true;
            if complained.elapsed() > Duration::from_secs(1) {
                complained = Instant::now();
                warn!(error = %failure, "the database is busy or away: writing is tried again");
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    async fn attempt(&mut self, group: &[Job]) -> sqlx::Result<Vec<Committed>> {
        run(&mut self.connection, self.dialect.begin()).await?;
        let mut results = Vec::with_capacity(group.len());
        for job in group {
            let context = Context {
                repeated: self.context.repeated || job.again,
                ..self.context
            };
            results.push(apply::operations(&mut self.connection, context, &job.operations).await?);
        }
        run(&mut self.connection, "COMMIT").await?;
        Ok(results)
    }

    /// The error for the caller of a commit that is not written.
    fn refused(&self, failure: &sqlx::Error) -> StoreError {
        if self.dialect.is_unwritable(failure) {
            StoreError::Unavailable(failure.to_string())
        } else {
            refused(failure)
        }
    }

    /// Leaves the failed transaction, with a new connection if the old one cannot.
    async fn recover(&mut self) -> sqlx::Result<()> {
        if run(&mut self.connection, "ROLLBACK").await.is_ok() {
            return Ok(());
        }
        if self.connection.ping().await.is_ok() {
            return Ok(()); // There was no transaction to leave.
        }
        self.connection = connect::connect(&self.options, self.dialect).await?;
        Ok(())
    }
}

impl Job {
    fn changes_look_ups(&self) -> bool {
        self.operations
            .iter()
            .any(|operation| matches!(operation, Operation::Admin(_)))
    }
}

/// The first job and what has queued up behind it.
fn gather(
    first: Job,
    inbox: &mut mpsc::Receiver<Message>,
    done: &mut Option<oneshot::Sender<()>>,
) -> Vec<Job> {
    let mut size = first.operations.len();
    let mut group = vec![first];
    while size < GROUP {
        match inbox.try_recv() {
            Ok(Message::Commit(job)) => {
                size += job.operations.len();
                group.push(job);
            }
            Ok(Message::Close(reply)) => {
                *done = Some(reply);
                break;
            }
            Err(_) => break,
        }
    }
    group
}

/// The error for the caller of a commit that was refused for good.
fn refused(failure: &sqlx::Error) -> StoreError {
    match failure {
        sqlx::Error::Database(refusal) if refusal.is_unique_violation() => {
            StoreError::Duplicate(unique_name(refusal.message()))
        }
        _ => {
            error!(error = %failure, "the database refused a commit");
            StoreError::Database(sqlx::Error::Protocol(failure.to_string()))
        }
    }
}

/// What must be unique, from the columns or the index that the database's message names.
fn unique_name(message: &str) -> &'static str {
    const NAMES: &[(&str, &str, &str)] = &[
        ("clients_login", "clients.login", "the login"),
        ("accounts_email", "accounts.email", "the e-mail address"),
        ("numbers_number", "numbers.phone_number", "the number"),
        (
            "organizations_domain",
            "organizations.domain_name",
            "the domain",
        ),
    ];
    NAMES
        .iter()
        .find(|(index, column, _)| message.contains(index) || message.contains(column))
        .map_or("the identifier", |(_, _, name)| name)
}

/// The clock, read at the edge of the crate only.
pub(crate) fn now() -> Timestamp {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(Timestamp(0), Timestamp::from_unix)
}

#[cfg(test)]
mod tests {
    use model::CallSid;

    use super::*;

    fn trace(n: u8, bytes: usize) -> Operation {
        Operation::Change(Change::Trace {
            call: CallSid::from_bytes([n; 16]),
            blob: vec![n; bytes],
        })
    }

    async fn settle(task: &mut Task, operations: Vec<Operation>) -> Result<Committed> {
        let (reply, answer) = oneshot::channel();
        let again = false;
        task.settle(vec![Job {
            operations,
            again,
            reply,
        }])
        .await;
        answer.await.expect("every job is answered")
    }

    #[tokio::test]
    async fn a_full_disk_is_told_and_passes() {
        let dir = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", dir.path().join("p.db").display());
        let mut opened = connect::open(&url).await.expect("a database");
        crate::migrate::migrate(&mut opened.writer, opened.dialect, Timestamp(0))
            .await
            .expect("tables");
        let mut task = Task {
            connection: opened.writer,
            options: opened.options,
            dialect: opened.dialect,
            context: Context {
                instance: InstanceSid::from_bytes([1; 16]),
                repeated: false,
            },
            caches: Arc::new(Caches::new(None)),
            closing: false,
            _lock: opened.lock,
        };
        // No more pages than there are.
        run(&mut task.connection, "PRAGMA max_page_count = 1")
            .await
            .expect("a limit");
        let full = settle(&mut task, vec![trace(1, 1_000_000)]).await;
        assert!(matches!(full, Err(StoreError::Unavailable(_))), "{full:?}");
        run(&mut task.connection, "PRAGMA max_page_count = 100000")
            .await
            .expect("a limit");
        let written = settle(&mut task, vec![trace(1, 1_000_000)]).await;
        assert!(written.expect("it passes").all_applied());
    }
}
