//! The one task that writes: commits that wait at the same moment share a transaction.
//!
//! A group is what has queued up while the group before it was written. One that follows another
//! closely also waits a moment for company, because the price of a transaction and its sync is
//! shared; the first after a silence never waits. What nobody waits for closely
//! ([`Hurry::Soon`]) goes along with whatever is written next.
//!
//! **Invariant: every commit that was accepted is answered, and answered `Ok` only when it is on
//! disk.** A busy or lost database is tried again until it works; a disk that takes no writes is
//! told to whoever commits; a commit that the database refuses is tried alone, so it harms no other.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{InstanceSid, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};

use crate::admin::Admin;
use crate::apply::{self, Context};
use crate::caches::Caches;
use crate::connection::{Connection, Failure, Target};
use crate::dialect::Dialect;
use crate::{Change, Committed, Result, StoreError};

/// Commits that wait at most; more wait outside.
const QUEUE: usize = 1_024;
/// Operations after which a transaction does not wait for more.
const GROUP: usize = 512;
/// How long a commit waits for others that may share its transaction.
const COMPANY: Duration = Duration::from_millis(4);
/// A group so soon after the last one means load.
const LOAD: Duration = Duration::from_millis(20);
/// How long a commit that nobody waits for closely may wait for others.
const SOON: Duration = Duration::from_millis(100);
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

/// How closely somebody waits for a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hurry {
    Now,
    Soon,
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
    hurry: Hurry,
    reply: oneshot::Sender<Result<Committed>>,
}

/// What a writer starts with.
pub(crate) struct Start {
    pub(crate) dialect: Dialect,
    pub(crate) connection: Connection,
    pub(crate) target: Target,
    pub(crate) instance: InstanceSid,
    pub(crate) caches: Arc<Caches>,
    /// Held as long as the writer works.
    pub(crate) lock: Option<File>,
}

impl Writer {
    /// # Errors
    /// If there can be no thread for it.
    pub(crate) fn spawn(start: Start) -> std::io::Result<Self> {
        let (messages, inbox) = mpsc::channel(QUEUE);
        match start.connection {
            // Its calls block, so it has a thread of its own.
            Connection::Embedded(_) => {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build()?;
                std::thread::Builder::new()
                    .name("store-writer".to_owned())
                    .spawn(move || runtime.block_on(Task::new(start).run(inbox)))?;
            }
            Connection::Shared(_) => drop(tokio::spawn(Task::new(start).run(inbox))),
        }
        Ok(Self { messages })
    }

    /// Writes the operations in one transaction.
    pub(crate) async fn commit(
        &self,
        operations: Vec<Operation>,
        hurry: Hurry,
    ) -> Result<Committed> {
        self.send(operations, false, hurry).await
    }

    /// Writes operations whose commit failed before.
    pub(crate) async fn commit_again(&self, operations: Vec<Operation>) -> Result<Committed> {
        self.send(operations, true, Hurry::Now).await
    }

    async fn send(
        &self,
        operations: Vec<Operation>,
        again: bool,
        hurry: Hurry,
    ) -> Result<Committed> {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            operations,
            again,
            hurry,
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

/// Commits that will share a transaction.
#[derive(Default)]
struct Group {
    jobs: Vec<Job>,
    operations: usize,
    /// When it is written at the latest; `None` if there is nothing to write.
    due: Option<Instant>,
}

impl Group {
    fn add(&mut self, job: Job, due: Instant) {
        self.operations += job.operations.len();
        self.jobs.push(job);
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    fn is_due(&self, now: Instant) -> bool {
        self.operations >= GROUP || self.due.is_some_and(|due| due <= now)
    }
}

struct Task {
    connection: Connection,
    target: Target,
    dialect: Dialect,
    context: Context,
    caches: Arc<Caches>,
    closing: bool,
    /// End of the last group that somebody waited for.
    written: Option<Instant>,
    /// Released after the connection is closed.
    _lock: Option<File>,
}

impl Task {
    fn new(start: Start) -> Self {
        Self {
            connection: start.connection,
            target: start.target,
            dialect: start.dialect,
            context: Context {
                instance: start.instance,
                repeated: false,
            },
            caches: start.caches,
            closing: false,
            written: None,
            _lock: start.lock,
        }
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        let mut alive = tokio::time::interval(ALIVE_EVERY);
        alive.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut group = Group::default();
        let mut done = None;
        loop {
            tokio::select! {
                message = inbox.recv() => {
                    let mut next = message;
                    let is_over = next.is_none();
                    // All that has queued up comes along.
                    while let Some(message) = next {
                        match message {
                            Message::Commit(job) => self.accept(job, &mut group),
                            Message::Close(reply) => done = Some(reply),
                        }
                        next = if group.operations < GROUP { inbox.try_recv().ok() } else { None };
                    }
                    if done.is_some() {
                        self.closing = true;
                        inbox.close();
                    }
                    if is_over {
                        self.settle(group.jobs).await;
                        break;
                    }
                }
                () = sleep_until(group.due) => {}
                _ = alive.tick(), if !self.closing => self.tell_alive(&mut group),
            }
            if self.closing || group.is_due(Instant::now()) {
                let waited_for = group.jobs.iter().any(|job| job.hurry == Hurry::Now);
                self.settle(std::mem::take(&mut group).jobs).await;
                if waited_for {
                    self.written = Some(Instant::now());
                }
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

    fn accept(&self, job: Job, group: &mut Group) {
        let now = Instant::now();
        let due = match job.hurry {
            Hurry::Soon => now + SOON,
            Hurry::Now if self.written.is_some_and(|at| now - at < LOAD) => now + COMPANY,
            Hurry::Now => now,
        };
        group.add(job, due);
    }

    fn tell_alive(&self, group: &mut Group) {
        let alive = Change::Alive {
            instance: self.context.instance,
            at: crate::now(),
        };
        let job = Job {
            operations: vec![Operation::Change(alive)],
            again: false,
            hurry: Hurry::Soon,
            reply: oneshot::channel().0,
        };
        self.accept(job, group);
    }

    /// Answers every job of the group.
    async fn settle(&mut self, group: Vec<Job>) {
        if group.is_empty() {
            return;
        }
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
        let unwritable = failure.is_unwritable();
        if unwritable || group.len() == 1 {
            for job in group {
                let _ = job.reply.send(Err(refused(&failure)));
            }
            return;
        }
        for job in group {
            let alone = std::slice::from_ref(&job);
            let result = match self.persist(alone).await {
                Ok(mut results) => results.pop().ok_or(StoreError::Closed),
                Err(failure) => Err(refused(&failure)),
            };
            let _ = job.reply.send(result);
        }
    }

    /// One transaction; repeats it while the database is busy or away.
    async fn persist(&mut self, group: &[Job]) -> Result<Vec<Committed>, Failure> {
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
            let patience = if failure.is_unwritable() {
                UNWRITABLE_PATIENCE
            } else if !failure.is_transient() {
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

    async fn attempt(&mut self, group: &[Job]) -> Result<Vec<Committed>, Failure> {
        self.connection.run(self.dialect.begin()).await?;
        let mut results = Vec::with_capacity(group.len());
        for job in group {
            let context = Context {
                repeated: self.context.repeated || job.again,
                ..self.context
            };
            results.push(apply::operations(&mut self.connection, context, &job.operations).await?);
        }
        self.connection.run("COMMIT").await?;
        Ok(results)
    }

    /// Leaves the failed transaction, with a new connection if the old one cannot.
    async fn recover(&mut self) -> Result<(), Failure> {
        if !self.connection.leave().await {
            self.connection = self.target.connect().await?;
        }
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

/// The error for the caller of a commit that is not written.
fn refused(failure: &Failure) -> StoreError {
    if failure.is_unwritable() {
        return StoreError::Unavailable(failure.to_string());
    }
    if let Some(message) = failure.duplicate() {
        return StoreError::Duplicate(unique_name(message));
    }
    error!(error = %failure, "the database refused a commit");
    StoreError::Database(sqlx::Error::Protocol(failure.to_string()))
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

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
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
        task.settle(vec![Job {
            operations,
            again: false,
            hurry: Hurry::Now,
            reply,
        }])
        .await;
        answer.await.expect("every job is answered")
    }

    #[tokio::test]
    async fn a_full_disk_is_told_and_passes() {
        let dir = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", dir.path().join("p.db").display());
        let mut opened = crate::connect::open(&url).await.expect("a database");
        crate::migrate::migrate(&mut opened.migrator, opened.dialect, Timestamp(0))
            .await
            .expect("tables");
        let start = opened
            .writer(
                InstanceSid::from_bytes([1; 16]),
                Arc::new(Caches::new(None)),
            )
            .await
            .expect("a connection");
        let mut task = Task::new(start);
        // No more pages than there are.
        task.connection
            .run("PRAGMA max_page_count = 1")
            .await
            .expect("a limit");
        let full = settle(&mut task, vec![trace(1, 1_000_000)]).await;
        assert!(matches!(full, Err(StoreError::Unavailable(_))), "{full:?}");
        task.connection
            .run("PRAGMA max_page_count = 100000")
            .await
            .expect("a limit");
        let written = settle(&mut task, vec![trace(1, 1_000_000)]).await;
        assert!(written.expect("it passes").all_applied());
    }
}
