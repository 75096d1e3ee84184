//! The single writing task: commits that wait at the same time share a transaction.
//!
//! A group consists of the commits queued while the previous group was being written, and in the
//! short [`REST`] after it: a commit that a caller waits for ([`Hurry::Now`]) is written at once if
//! the writer is idle. Commits that can wait ([`Hurry::Shared`], [`Hurry::Soon`]) are written with
//! the next group, or after their own delay if there is none, so that the cost of a transaction and
//! its sync is shared. The task sleeps until a group is due: a commit that joins a group does not
//! wake it.
//!
//! **Invariant: every accepted commit is answered, and answered `Ok` only once it is on disk.** A
//! busy or lost database is retried until it works; a disk that cannot be written is reported to
//! the caller of the commit; a commit that the database refuses is retried alone, so it affects no
//! other.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use model::{InstanceSid, Timestamp};
use tokio::sync::{Notify, oneshot};
use tracing::{error, warn};

use crate::apply;
use crate::caches::Caches;
use crate::connection::{Access, Connection, Failure, Target};
use crate::counts::Counts;
use crate::dialect::Dialect;
use crate::operation::{Context, Operation};
use crate::{Change, Committed, Result, StoreError};

/// Number of operations at which a transaction takes no more commits, nor waits for more.
const GROUP: usize = 512;
/// Pause after a group. A commit that finds the writer idle is written immediately; those of a busy
/// server wait at most this long and share the cost of a transaction.
const REST: Duration = Duration::from_millis(3);
/// How long a commit that delays no caller may wait for others to share its transaction.
const SHARED: Duration = Duration::from_millis(20);
/// How long a commit that no caller waits for may wait for others.
const SOON: Duration = Duration::from_millis(100);
/// How often this process sends its heartbeat.
const ALIVE_EVERY: Duration = Duration::from_secs(10);
/// How soon it sends the next one while old rows are left: faster than they become old under load, and
/// other writes have most of the time.
const CLEANED_EVERY: Duration = Duration::from_secs(1);
/// Pause before a transaction is retried.
const RETRY_AFTER: Duration = Duration::from_millis(50);
/// How long a group is retried while the disk cannot be written; then the callers of its commits
/// are notified.
const UNWRITABLE_PATIENCE: Duration = Duration::from_millis(200);
/// How long a closing store retries.
const CLOSING_PATIENCE: Duration = Duration::from_secs(10);

/// The urgency of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hurry {
    /// Written as soon as the writer is free.
    Now,
    /// At most [`SHARED`] later.
    Shared,
    /// At most [`SOON`] later.
    Soon,
}

/// Handle to the writing task, which ends when the last handle is dropped.
#[derive(Clone)]
pub(crate) struct Writer(Arc<Handle>);

struct Handle(Arc<Inbox>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.state().close();
        self.0.wake.notify_one();
    }
}

/// Commits waiting for the task.
#[derive(Default)]
struct Inbox {
    state: Mutex<State>,
    wake: Notify,
    /// The last attempt to write failed for a reason unrelated to any commit.
    is_stuck: AtomicBool,
}

#[derive(Default)]
struct State {
    group: Group,
    alarm: Alarm,
    /// No group is written before this time, unless it is full.
    rests_until: Option<Instant>,
    /// When the next heartbeat is due; `None`: immediately.
    alive_due: Option<Instant>,
    /// Nothing more is accepted since then.
    closed: Option<Instant>,
    /// The task has ended.
    is_over: bool,
    /// Notified once the task has ended.
    done: Vec<oneshot::Sender<()>>,
}

/// When the task checks its inbox next.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Alarm {
    /// When its current write is done.
    #[default]
    Busy,
    /// By itself, at this time.
    At(Instant),
    /// When it is woken.
    Off,
}

/// The task's next action.
enum Next {
    Write(Vec<Job>),
    Sleep(Option<Instant>),
    End(Vec<oneshot::Sender<()>>),
}

struct Job {
    operations: Vec<Operation>,
    /// It may have been written before, although its caller or this task did not learn so.
    again: bool,
    hurry: Hurry,
    reply: oneshot::Sender<Result<Committed>>,
}

/// Initial state of a writer.
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
    /// If its thread cannot be started.
    pub(crate) fn spawn(start: Start) -> std::io::Result<Self> {
        let inbox = Arc::<Inbox>::default();
        let writer = Self(Arc::new(Handle(Arc::clone(&inbox))));
        match start.connection {
            // Its calls block, so it has its own thread.
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
        Ok(writer)
    }

    /// Writes the operations in one transaction.
    pub(crate) async fn commit(
        &self,
        operations: Vec<Operation>,
        hurry: Hurry,
    ) -> Result<Committed> {
        self.send(operations, false, hurry).await
    }

    /// Retries operations whose commit failed before.
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
        self.0.0.add(Job {
            operations,
            again,
            hurry,
            reply,
        });
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Whether the last attempt to write succeeded, as far as that depends on the database.
    pub(crate) fn takes_writes(&self) -> bool {
        !self.0.0.is_stuck.load(Ordering::Relaxed)
    }

    /// Returns once everything accepted before is written and the database is closed.
    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        {
            let mut state = self.0.0.state();
            if state.is_over {
                return;
            }
            state.close();
            state.done.push(done);
        }
        self.0.0.wake.notify_one();
        // An error means that the task ended in another way.
        let _ = closed.await;
    }
}

impl Inbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a commit; a closed inbox drops it, which notifies the waiter.
    fn add(&self, job: Job) {
        let mut state = self.state();
        if state.closed.is_none() && state.add(job, Instant::now()) {
            drop(state);
            self.wake.notify_one();
        }
    }
}

/// Notifies the waiter when a task has ended, for whatever reason.
struct Over<'a>(&'a Inbox);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        *state = State {
            closed: Some(Instant::now()),
            is_over: true,
            ..State::default()
        };
    }
}

impl State {
    fn close(&mut self) {
        self.closed.get_or_insert_with(Instant::now);
    }

    /// Whether a closing store has retried for long enough.
    fn gives_up(&self, now: Instant) -> bool {
        self.closed
            .is_some_and(|closed| now.duration_since(closed) >= CLOSING_PATIENCE)
    }

    /// Returns whether the task must be woken.
    fn add(&mut self, job: Job, now: Instant) -> bool {
        let due = match job.hurry {
            Hurry::Now => now,
            Hurry::Shared => now + SHARED,
            Hurry::Soon => now + SOON,
        };
        self.group.add(job, due);
        let due = self.rests_until.map_or(due, |rested| rested.max(due));
        match self.alarm {
            Alarm::Busy => false,
            Alarm::At(at) => due < at || self.group.is_full(),
            Alarm::Off => true,
        }
    }

    /// Records that the task has written a group. The next heartbeat is due early if old rows are left.
    fn wrote(&mut self, now: Instant, leaves_old_rows: bool) {
        self.rests_until = Some(now + REST);
        if leaves_old_rows {
            self.alive_due = Some(now + CLEANED_EVERY);
        }
    }

    /// A heartbeat joins the next group, so that even a permanently busy writer sends it.
    fn next(&mut self, now: Instant, heartbeat: impl FnOnce() -> Job) -> Next {
        self.alarm = Alarm::Busy;
        let alive_due = self.alive_due.unwrap_or(now);
        if alive_due <= now && self.closed.is_none() {
            self.group.add(heartbeat(), now + SOON);
            self.alive_due = Some(now + ALIVE_EVERY);
        }
        let rests = self.rests_until.is_some_and(|rested| now < rested);
        let is_due = self.group.is_full() || (self.group.is_due(now) && !rests);
        if is_due || (self.closed.is_some() && !self.group.jobs.is_empty()) {
            return Next::Write(self.group.take(now));
        }
        if self.closed.is_some() {
            return Next::End(std::mem::take(&mut self.done));
        }
        let due = self.group.due.max(self.group.due.and(self.rests_until));
        let wake = due.into_iter().chain(self.alive_due).min();
        self.alarm = wake.map_or(Alarm::Off, Alarm::At);
        Next::Sleep(wake)
    }
}

/// Commits that will share a transaction.
#[derive(Default)]
struct Group {
    jobs: Vec<Job>,
    operations: usize,
    /// The latest time to write it; `None` if there is nothing to write.
    due: Option<Instant>,
}

impl Group {
    fn add(&mut self, job: Job, due: Instant) {
        self.operations += job.operations.len();
        self.jobs.push(job);
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    fn is_full(&self) -> bool {
        self.operations >= GROUP
    }

    /// The first jobs, of [`GROUP`] operations or a little more; the others are due immediately.
    fn take(&mut self, now: Instant) -> Vec<Job> {
        let mut operations = 0;
        let first = self.jobs.iter().take_while(|job| {
            let has_room = operations < GROUP;
            operations += job.operations.len();
            has_room
        });
        let rest = self.jobs.split_off(first.count());
        let taken = std::mem::take(self).jobs;
        for job in rest {
            self.add(job, now);
        }
        taken
    }
}

struct Task {
    /// `None` after one that is of no more use: the next attempt opens another.
    connection: Option<Connection>,
    target: Target,
    context: Context,
    caches: Arc<Caches>,
    /// Released after the connection is closed.
    _lock: Option<File>,
}

impl Task {
    fn new(start: Start) -> Self {
        Self {
            connection: Some(start.connection),
            target: start.target,
            context: Context {
                dialect: start.dialect,
                instance: start.instance,
                repeated: false,
            },
            caches: start.caches,
            _lock: start.lock,
        }
    }

    async fn run(mut self, inbox: Arc<Inbox>) {
        let _over = Over(&inbox);
        let done = loop {
            let next = inbox.state().next(Instant::now(), || self.heartbeat());
            match next {
                Next::Write(group) => {
                    let leaves_old_rows = self.settle(group, &inbox).await;
                    inbox.state().wrote(Instant::now(), leaves_old_rows);
                }
                Next::Sleep(due) => tokio::select! {
                    () = inbox.wake.notified() => {}
                    () = sleep_until(due) => {}
                },
                Next::End(done) => break done,
            }
        };
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            warn!(%error, "closing the database failed");
        }
        drop(self._lock);
        for done in done {
            let _ = done.send(());
        }
    }

    fn heartbeat(&self) -> Job {
        let alive = Change::Alive {
            instance: self.context.instance,
            at: crate::now(),
        };
        Job {
            operations: vec![Operation::Change(alive)],
            again: false,
            hurry: Hurry::Soon,
            reply: oneshot::channel().0,
        }
    }

    /// Answers every job of the group; returns whether old rows are left to delete.
    async fn settle(&mut self, mut group: Vec<Job>, inbox: &Inbox) -> bool {
        let failure = match self.persist(&mut group, inbox).await {
            Ok(results) => {
                let leaves_old_rows = results.iter().any(|result| result.leaves_old_rows);
                for (job, result) in group.into_iter().zip(results) {
                    let _ = job.reply.send(Ok(result));
                }
                return leaves_old_rows;
            }
            Err(failure) => failure,
        };
        // A database that fails is not caused by a single commit, so retrying each alone is pointless.
        let unwritable = failure.is_unwritable() || failure.is_transient();
        if unwritable || group.len() == 1 {
            for job in group {
                let _ = job.reply.send(Err(refused(&failure)));
            }
            return false;
        }
        let mut leaves_old_rows = false;
        for mut job in group {
            let alone = std::slice::from_mut(&mut job);
            let result = match self.persist(alone, inbox).await {
                Ok(mut results) => results.pop().ok_or(StoreError::Closed),
                Err(failure) => Err(refused(&failure)),
            };
            leaves_old_rows |= matches!(&result, Ok(written) if written.leaves_old_rows);
            let _ = job.reply.send(result);
        }
        leaves_old_rows
    }

    /// Runs one transaction; repeats it while the database is busy or unavailable.
    async fn persist(
        &mut self,
        group: &mut [Job],
        inbox: &Inbox,
    ) -> Result<Vec<Committed>, Failure> {
        let since = Instant::now();
        if self.connection.is_none() && inbox.state().gives_up(since) {
            return Err(Failure::Silent);
        }
        let mut complained = since;
        loop {
            let failure = match self.attempt(group).await {
                Ok(results) => {
                    inbox.is_stuck.store(false, Ordering::Relaxed);
                    if group.iter().any(Job::changes_look_ups) {
                        self.caches.clear();
                    }
                    return Ok(results);
                }
                Err(failure) => failure,
            };
            let stuck = failure.is_unwritable() || failure.is_transient();
            inbox.is_stuck.store(stuck, Ordering::Relaxed);
            if failure.is_transient() && inbox.state().gives_up(Instant::now()) {
                self.connection = None; // Whatever is left to write fails at once.
                return Err(failure);
            }
            self.recover(&failure).await;
            let patience = if failure.is_unwritable() {
                UNWRITABLE_PATIENCE
            } else if failure.is_transient() {
                Duration::MAX
            } else {
                Duration::ZERO
            };
            if since.elapsed() >= patience {
                return Err(failure);
            }
            if complained.elapsed() > Duration::from_secs(1) {
                complained = Instant::now();
                warn!(error = %failure, "the database is busy or unavailable: the write is retried");
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    async fn attempt(&mut self, group: &mut [Job]) -> Result<Vec<Committed>, Failure> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => {
                let opened = self.target.connect(Access::Write).await?;
                self.connection.insert(opened)
            }
        };
        connection.run(self.context.dialect.begin()).await?;
        // Before any row is locked, so that servers cannot wait for each other.
        if let Some(lock) = self.context.dialect.lock_directory()
            && group.iter().any(Job::locks_directory)
        {
            connection.run(lock).await?;
        }
        let mut results = Vec::with_capacity(group.len());
        let mut counts = Counts::default();
        for job in &*group {
            let context = Context {
                repeated: job.again,
                ..self.context
            };
            let operations = &job.operations;
            results.push(apply::operations(connection, context, &mut counts, operations).await?);
        }
        counts.write(connection).await?;
        let written = connection.run("COMMIT").await;
        if written.is_err() {
            group.iter_mut().for_each(|job| job.again = true);
        }
        written.map(|()| results)
    }

    /// Rolls back the failed transaction; gives up a connection that is of no more use.
    async fn recover(&mut self, failure: &Failure) {
        if let Some(connection) = &mut self.connection
            && (failure.is_read_only_server() || !connection.leave().await)
        {
            self.connection = None;
        }
    }
}

impl Job {
    fn locks_directory(&self) -> bool {
        self.operations.iter().any(|operation| match operation {
            Operation::Admin(admin) => admin.locks_directory(),
            Operation::Change(_) => false,
        })
    }

    fn changes_look_ups(&self) -> bool {
        self.operations.iter().any(|operation| match operation {
            Operation::Admin(admin) => admin.changes_look_ups(),
            Operation::Change(_) => false,
        })
    }
}

/// The error for the caller of a commit that was not written.
fn refused(failure: &Failure) -> StoreError {
    if let Some(message) = failure.duplicate() {
        return StoreError::Duplicate(unique_name(message));
    }
    let refused = StoreError::from(failure);
    if matches!(refused, StoreError::Database(_)) {
        error!(error = %failure, "the database refused a commit");
    }
    refused
}

/// The unique value, from the columns or index in the database's message.
fn unique_name(message: &str) -> &'static str {
    const NAMES: &[(&str, &str, &str)] = &[
        ("clients_login", "clients.login", "the login"),
        ("accounts_email", "accounts.email", "the e-mail address"),
        ("numbers_number", "numbers.phone_number", "the number"),
        ("queues_name", "queues.name", "the name"),
        ("extensions_name", "extensions.name", "the name"),
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

/// The clock, read only at the edge of the crate.
pub(crate) fn now() -> Timestamp {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(Timestamp(0), Timestamp::from_unix)
}

#[cfg(test)]
mod tests;
