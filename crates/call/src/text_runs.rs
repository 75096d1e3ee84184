//! The runs of documents for text messages that arrived: one task for each, around a
//! `call_proto::TextRun`.
//!
//! The task commits before it acts, as that of a message which is sent (`messages`). **Invariant: a
//! message that was accepted has its document fetched, by this task or by a later process;** its
//! record ends then, or if that is impossible. One that is passed on ends once the message which does so is stored.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use call_proto::{
    Fact, FetchFailure, Fetched, NewMessage, Req, RunCommand, SendError, TextArrival, TextRun,
};
use futures_util::FutureExt as _;
use model::record::Message;
use model::{Lane, MessageSid};
use store::Change;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tracing::{Instrument, error, info, info_span, warn};
use webhook::CookieJar;

use crate::books::Books;
use crate::clock::Clock;
use crate::engine::{Engine, Shared};
use crate::messages::{self, Place};
use crate::records::Kept;
use crate::{facts, open_messages, panics, strangers};

/// How often it is tried to store a message that passes on one which was accepted.
const TRIES: usize = 30;
/// How long messages of an earlier process wait for a place before they look again.
const PAUSE: Duration = Duration::from_secs(1);

/// Stores a text message and starts its document. Returns once it is stored.
///
/// - `stranger`: the place of a sender that proved nothing, held until the run is over
///
/// # Errors
/// [`SendError`] if nothing was stored.
pub(crate) async fn start(
    shared: &Arc<Shared>,
    arrival: TextArrival,
    stranger: Option<strangers::Place>,
) -> Result<MessageSid, SendError> {
    let place = Place::take(shared).ok_or(SendError::Busy)?;
    let clock = Clock::start();
    let machine = TextRun::new(&shared.settings, arrival, rand::random(), clock.now());
    let sid = machine.record().sid;
    let (committed, done) = oneshot::channel();
    spawn(place, (machine, clock), Some(committed), stranger);
    done.await.map_err(|_| SendError::Store)?;
    Ok(sid)
}

impl Engine {
    /// Runs the documents of text messages that a server accepted which died before it had fetched
    /// them. Returns how many there were.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn resume_texts(&self) -> Result<usize, store::StoreError> {
        let shared = &self.shared;
        let mut resumed = Vec::new();
        for orphan in shared.parts.store.claim_texts(crate::now()).await? {
            let record = orphan.record;
            let arrival = orphan
                .farewell
                .as_deref()
                .map(serde_json::from_str::<TextArrival>);
            let Some(Ok(mut arrival)) = arrival else {
                warn!(message.sid = %record.sid, "a text message cannot be read; its document does not run");
                shared.parts.store.commit(vec![given_up(record)]).await?;
                continue;
            };
            if let Some(keyword) = &mut arrival.keyword
                && let Some((reply, _)) = keyword.reply
                && shared.parts.store.message(reply).await?.is_some()
            {
                keyword.reply = None;
            }
            if let Some(outgoing) = arrival.outgoing {
                let store = &shared.parts.store;
                arrival.is_passed_on = store.message(outgoing).await?.is_some();
                if let Some(contact) = &arrival.contact
                    && let Some(to) = store.mask_participant(contact.to).await?
                {
                    let connection = masking::Connection {
                        contact: contact.clone(),
                        to: to.number,
                        mask: to.mask_number,
                    };
                    let text = masking::document::text(&connection, &record.body);
                    arrival.document.text = Some(text);
                }
            }
            resumed.push((record, arrival));
        }
        let count = resumed.len();
        if count > 0 {
            tokio::spawn(run_again(Arc::clone(shared), resumed));
        }
        Ok(count)
    }
}

/// Runs documents of messages that an earlier process had accepted, as soon as there are places.
async fn run_again(shared: Arc<Shared>, resumed: Vec<(Message, TextArrival)>) {
    let mut stop = shared.messages.stop();
    for (record, arrival) in resumed {
        let place = loop {
            if let Some(place) = Place::take(&shared) {
                break place;
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                // The rest is left to the next process.
                () = open_messages::stopped(&mut stop) => return,
            }
        };
        info!(message.sid = %record.sid, "runs the document of a text message of an earlier run");
        let clock = Clock::start();
        let seed = rand::random();
        let machine = TextRun::again(&shared.settings, record, arrival, seed, clock.now());
        spawn(place, (machine, clock), None, None);
    }
}

/// The end of a message whose document cannot run.
fn given_up(record: Message) -> Change {
    Change::MessageEnded {
        message: Box::new(Message {
            updated: crate::now(),
            reason: Some("internal-failure".to_owned()),
            ..record
        }),
        tells: None,
    }
}

fn spawn(
    place: Place,
    (machine, clock): (TextRun, Clock),
    committed: Option<oneshot::Sender<()>>,
    stranger: Option<strangers::Place>,
) {
    let span = info_span!("text", sid = %machine.record().sid);
    tokio::spawn(run(place, (machine, clock), committed, stranger).instrument(span));
}

/// What a job of the task has found.
enum Done {
    Fetched(Req, Result<Fetched, FetchFailure>),
    Sent(Req, Result<Message, SendError>),
}

struct Task {
    shared: Arc<Shared>,
    lane: Lane,
    machine: TextRun,
    clock: Clock,
    books: Books,
    jar: CookieJar,
    jobs: JoinSet<Done>,
    /// Notified once the record is stored.
    committed: Option<oneshot::Sender<()>>,
}

async fn run(
    place: Place,
    (machine, clock): (TextRun, Clock),
    committed: Option<oneshot::Sender<()>>,
    stranger: Option<strangers::Place>,
) {
    let shared = Arc::clone(place.shared());
    let mut task = Task {
        lane: machine.record().lane(),
        books: Books::new(&shared.records, clock),
        machine,
        clock,
        jar: CookieJar::default(),
        jobs: JoinSet::new(),
        committed,
        shared,
    };
    if let Err(panic) = AssertUnwindSafe(task.live()).catch_unwind().await {
        let panic = panics::words(panic.as_ref());
        error!(
            panic,
            "the document of a text message panicked and is ended"
        );
        // Without effect if its document was on record as fetched.
        let ended = given_up(task.machine.record().clone());
        task.books.write(vec![ended], task.lane).await;
    }
    task.books.close(task.lane, Vec::new()).await;
    drop(stranger);
    drop(place);
}

impl Task {
    async fn live(&mut self) {
        let mut stop = self.shared.messages.stop();
        while self.carry_out().await && !self.machine.is_over() {
            tokio::select! {
                Some(done) = self.jobs.join_next() => {
                    let now = self.clock.now();
                    match done {
                        Ok(Done::Fetched(req, result)) => {
                            self.machine.handle_fetched(req, &result, now);
                        }
                        Ok(Done::Sent(req, outcome)) => {
                            self.machine.handle_sent(req, outcome.map(|sent| sent.sid), now);
                        }
                        Err(failed) if failed.is_panic() => {
                            std::panic::resume_unwind(failed.into_panic());
                        }
                        Err(_) => {} // Jobs are never cancelled.
                    }
                }
                () = open_messages::stopped(&mut stop) => self.machine.shut_down(self.clock.now()),
            }
        }
    }

    /// Carries out the machine's commands; false if its record cannot be stored, so that the message
    /// was not accepted.
    async fn carry_out(&mut self) -> bool {
        loop {
            let commands = self.machine.poll_commands();
            if commands.is_empty() {
                return true;
            }
            for command in commands {
                match command {
                    RunCommand::Commit(facts) => {
                        if !self.commit(facts).await {
                            return false;
                        }
                    }
                    RunCommand::Fetch(req, request) => {
                        let (shared, jar) = (Arc::clone(&self.shared), self.jar.clone());
                        self.jobs.spawn(async move {
                            let result = crate::audio::document(&shared, request, jar).await;
                            Done::Fetched(req, result)
                        });
                    }
                    RunCommand::Send(req, new) => {
                        let shared = Arc::clone(&self.shared);
                        self.jobs
                            .spawn(async move { Done::Sent(req, send(&shared, *new).await) });
                    }
                    RunCommand::Trace(entry) => self.books.trace(entry),
                }
            }
        }
    }

    async fn commit(&mut self, facts: Vec<Fact>) -> bool {
        facts.iter().for_each(facts::log);
        let changes = facts::changes(facts, &mut std::collections::BTreeMap::new());
        let kept = match self.books.write(changes, self.lane).await {
            Kept::Now => true,
            // Another server took this one for dead, and runs the document; or the provider repeated the text.
            Kept::Lost(lost) => !lost.contains(&self.lane),
            Kept::Late(refused) | Kept::Never(refused) => !refused.contains(&self.lane),
        };
        // Dropping it reports that the message was not accepted.
        if let Some(committed) = self.committed.take()
            && kept
        {
            let _ = committed.send(());
        }
        kept
    }
}

/// Sends a message of a document. One that passes on a message which was accepted is tried again while it cannot be stored.
async fn send(shared: &Arc<Shared>, new: NewMessage) -> Result<Message, SendError> {
    let mut tries = if new.chosen.is_some() { TRIES } else { 1 };
    loop {
        tries -= 1;
        match messages::send(shared, new.clone()).await {
            Ok((record, _)) => return Ok(record),
            Err(refusal) if tries == 0 => return Err(refusal),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
