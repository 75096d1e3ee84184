//! Sends the mails of the outbox: the shell around `plan`.
//!
//! One task claims mails and starts a job for each. **Invariant: a job ends only when its outcome is stored**, so a mail
//! that was sent is sent again only if this process is killed between the two.
//!
//! The waits run on a clock that does not follow steps of the wall clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::email::{Email, Senders};
use model::{SteadyClock, Timestamp, breaker, error};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::carrier::Carrier;
use crate::compose::{Attachment, compose};
use crate::outbox::{AttachmentError, Claimed, Outbox, OutboxError, Recordings};
use crate::plan::{Attempt, Plan, PlanConfig, Verdict};

/// How often the outbox is searched for mails that are due.
const SEARCH: Duration = Duration::from_millis(500);
/// How long one attempt may take; must be less than the lease of a claim.
const ATTEMPT: Duration = Duration::from_secs(240);
/// Wait before an outcome is stored again that could not be stored.
const STORE_AGAIN: Duration = Duration::from_secs(1);
/// How long mails in progress may take when the server stops.
const PATIENCE: Duration = Duration::from_millis(900);

/// Counters since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PostStats {
    /// Mails that the mail server accepted.
    pub sent: u64,
    /// Attempts that will be repeated.
    pub retried: u64,
    /// Mails that failed.
    pub failed: u64,
}

#[derive(Default)]
struct Counters {
    sent: AtomicU64,
    retried: AtomicU64,
    failed: AtomicU64,
}

/// Sends mails until the server stops.
#[derive(Clone)]
pub struct Post {
    parts: Arc<Parts>,
}

struct Parts {
    carrier: Carrier,
    outbox: Arc<dyn Outbox>,
    recordings: Arc<dyn Recordings>,
    senders: Senders,
    domain: String,
    bounces_to: Option<String>,
    plan: PlanConfig,
    counters: Counters,
}

/// What a job has done.
enum Done {
    Attempted {
        mail: Box<Claimed>,
        probe: bool,
        attempt: Attempt,
    },
    Stored,
}

impl Post {
    /// - `domain`: after the `@` of each `Message-ID`
    /// - `bounces_to`: address that the mail servers report to; `None`: the sender of each mail
    #[must_use]
    pub fn new(
        carrier: Carrier,
        outbox: Arc<dyn Outbox>,
        recordings: Arc<dyn Recordings>,
        senders: Senders,
        (domain, bounces_to): (String, Option<String>),
        plan: PlanConfig,
    ) -> Self {
        Self {
            parts: Arc::new(Parts {
                carrier,
                outbox,
                recordings,
                senders,
                domain,
                bounces_to,
                plan,
                counters: Counters::default(),
            }),
        }
    }

    /// Counters since the start.
    #[must_use]
    pub fn stats(&self) -> PostStats {
        let counters = &self.parts.counters;
        PostStats {
            sent: counters.sent.load(Ordering::Relaxed),
            retried: counters.retried.load(Ordering::Relaxed),
            failed: counters.failed.load(Ordering::Relaxed),
        }
    }

    /// Runs until the server stops; mails in progress get a moment to be accepted.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        let mut round = Round {
            plan: Plan::new(self.parts.plan),
            clock: SteadyClock::new(wall(), Instant::now().into_std()),
            jobs: JoinSet::new(),
            is_broken: false,
            parts: self.parts,
        };
        loop {
            round.start_due().await;
            tokio::select! {
                Some(done) = round.jobs.join_next() => round.handle(done),
                () = tokio::time::sleep(SEARCH) => {}
                _ = stopped.changed() => break,
            }
        }
        let rest = async {
            while let Some(done) = round.jobs.join_next().await {
                round.handle(done);
            }
        };
        if tokio::time::timeout(PATIENCE, rest).await.is_err() {
            warn!("e-mails in progress are sent after the next start");
        }
    }
}

/// The running delivery.
struct Round {
    parts: Arc<Parts>,
    plan: Plan,
    clock: SteadyClock,
    jobs: JoinSet<Done>,
    /// The outbox could not be read last time.
    is_broken: bool,
}

impl Round {
    fn now(&self) -> Timestamp {
        self.clock.at(Instant::now().into_std())
    }

    async fn start_due(&mut self) {
        let room = self.plan.room(self.now());
        if room == 0 {
            return;
        }
        let claimed = match self.parts.outbox.claim(room).await {
            Ok(claimed) => claimed,
            Err(error) => {
                if !std::mem::replace(&mut self.is_broken, true) {
                    warn!(%error, "e-mails wait");
                }
                return;
            }
        };
        self.is_broken = false;
        for mail in claimed {
            let probe = self.plan.handle_start();
            let parts = Arc::clone(&self.parts);
            self.jobs.spawn(async move {
                let mail = Box::new(mail);
                let claimed = mail.clone();
                // In a task of its own, so that a panic is an outcome like any other.
                let tried = tokio::spawn(async move {
                    tokio::time::timeout(ATTEMPT, parts.attempt(&claimed)).await
                });
                let attempt = match tried.await {
                    Ok(Ok(attempt)) => attempt,
                    Ok(Err(_)) => Attempt::Unreachable("the mail server took too long".to_owned()),
                    Err(_) => Attempt::NotReady("an internal failure".to_owned()),
                };
                Done::Attempted {
                    mail,
                    probe,
                    attempt,
                }
            });
        }
    }

    fn handle(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(Done::Attempted {
                mail,
                probe,
                attempt,
            }) => self.decide(mail, probe, attempt),
            Ok(Done::Stored) => self.plan.handle_stored(),
            Err(error) => {
                // The mail is claimed again after its lease.
                warn!(%error, "the outcome of an e-mail could not be stored");
                self.plan.handle_stored();
            }
        }
    }

    fn decide(&mut self, mail: Box<Claimed>, probe: bool, attempt: Attempt) {
        let of = (mail.attempt, mail.age);
        let now = self.now();
        let (verdict, change) = self
            .plan
            .handle_attempt(of, attempt, probe, now, rand::random());
        match change {
            Some(breaker::Change::Opened { .. }) => {
                warn!("the mail server cannot be reached; e-mails wait");
            }
            Some(breaker::Change::Closed) => info!("the mail server can be reached again"),
            None => {}
        }
        log(&mail.email, &verdict);
        let parts = Arc::clone(&self.parts);
        self.jobs.spawn(async move {
            while let Err(error) = parts.store(&mail, &verdict).await {
                warn!(%error, email.sid = %mail.email.sid, "the outcome of an e-mail waits");
                tokio::time::sleep(STORE_AGAIN).await;
            }
            parts.count(&verdict);
            Done::Stored
        });
    }
}

impl Parts {
    async fn attempt(
        &self,
        Claimed {
            email: mail,
            is_test,
            ..
        }: &Claimed,
    ) -> Attempt {
        if *is_test {
            return Attempt::Pretended;
        }
        if !self.carrier.is_set_up() {
            let reason = "no mail server is configured".to_owned();
            return Attempt::Hopeless(error::EMAIL_NOT_SET_UP, reason);
        }
        if !self.senders.allow(&mail.from) {
            let reason = format!("`{}` is not among the allowed senders", mail.from);
            return Attempt::Hopeless(error::EMAIL_SENDER, reason);
        }
        let mut attachments: Vec<Attachment> = Vec::new();
        for recording in &mail.recordings {
            match self.recordings.attachment(mail, *recording).await {
                Ok(attachment) => attachments.push(attachment),
                Err(AttachmentError::Later(reason)) => return Attempt::NotReady(reason),
                Err(AttachmentError::Never(reason)) => {
                    return Attempt::Hopeless(error::EMAIL_ATTACHMENT, reason);
                }
            }
        }
        let bounces_to = self.bounces_to.as_deref();
        match compose(mail, &attachments, &self.domain, bounces_to) {
            Ok(composed) => self.carrier.carry(mail, attachments, composed).await,
            Err(reason) => Attempt::Hopeless(error::EMAIL_REFUSED, reason),
        }
    }

    async fn store(&self, mail: &Claimed, verdict: &Verdict) -> Result<(), OutboxError> {
        match verdict {
            Verdict::Sent => self.outbox.sent(mail).await,
            Verdict::Retry { wait, code, reason } => {
                self.outbox.retry(mail, *wait, (*code, reason)).await
            }
            Verdict::Failed { code, reason } => self.outbox.failed(mail, (*code, reason)).await,
        }
    }

    fn count(&self, verdict: &Verdict) {
        let counter = match verdict {
            Verdict::Sent => &self.counters.sent,
            Verdict::Retry { .. } => &self.counters.retried,
            Verdict::Failed { .. } => &self.counters.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Reports an outcome; the server's words may name a person.
fn log(mail: &Email, verdict: &Verdict) {
    let (sid, call) = (mail.sid, mail.call.map(tracing::field::display));
    match verdict {
        Verdict::Sent => info!(email.sid = %sid, call.sid = call, "e-mail sent"),
        Verdict::Retry { wait, reason, .. } => {
            info!(email.sid = %sid, call.sid = call, wait_s = wait.as_secs(), "e-mail will be tried again");
            debug!(email.sid = %sid, reason, "why an e-mail will be tried again");
        }
        Verdict::Failed { code, reason } => {
            warn!(email.sid = %sid, call.sid = call, code, "e-mail failed");
            debug!(email.sid = %sid, reason, "why an e-mail failed");
        }
    }
}

fn wall() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    let millis = since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    });
    Timestamp::from_millis(millis)
}
