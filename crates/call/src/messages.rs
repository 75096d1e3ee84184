//! Text messages outside of calls: one task for each, around a `call_proto::TextMessage`.
//!
//! The task commits before it acts, like that of a call (`actor`): the record and the first
//! callback are on disk before the API answers and before anything is sent. **Invariant: a stored
//! message is ended exactly once, by this task or by the repair of the next process.**

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use call_proto::routing;
use call_proto::{
    Fact, MessageCommand, NewMessage, OutgoingMessage, Route, SendError, TextMessage, Unreachable,
};
use futures_util::FutureExt as _;
use model::profile::Traffic;
use model::record::Message;
use model::{Lane, Target};
use sip::LegId;
use store::{Change, StoreError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::{Instrument, error, info_span};

use crate::books::Books;
use crate::clock::Clock;
use crate::engine::{Engine, Shared};
use crate::records::Kept;
use crate::resolve::{self, Destination, Peers};
use crate::{closing, facts, forwarding, open_messages, panics, sip_side};

/// Counts a message for as long as it lives.
pub(crate) struct Place(Arc<Shared>);

impl Place {
    pub(crate) fn take(shared: &Arc<Shared>) -> Option<Self> {
        let stops = shared.live.draining().load(Ordering::Relaxed);
        (!stops && shared.messages.enter()).then(|| Self(Arc::clone(shared)))
    }

    /// A place for what continues a message that was accepted, also if the server is full or about to stop.
    pub(crate) fn beside(shared: &Arc<Shared>) -> Self {
        shared.messages.enter_anyway();
        Self(Arc::clone(shared))
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.messages.leave();
    }
}

impl Engine {
    /// Sends a text message. Returns its record once stored: `queued` if a route is to take it, else `sending`.
    ///
    /// # Errors
    /// [`SendError`] if nothing was sent and nothing was stored.
    pub async fn send_message(&self, new: NewMessage) -> Result<Message, SendError> {
        let (record, _) = send(&self.shared, new).await?;
        Ok(record)
    }

    /// The same, and later the final response to the message, or the one that describes its end best.
    ///
    /// # Errors
    /// [`SendError`] if nothing was sent and nothing was stored.
    pub async fn send_and_watch(
        &self,
        new: NewMessage,
    ) -> Result<(Message, oneshot::Receiver<Outcome>), SendError> {
        send_to(&self.shared, new, true).await
    }
}

/// The final response to a message, with its reason phrase.
pub(crate) type Outcome = (u16, String);

/// Sends a text message. Returns its record once stored, and later what became of it: one that waits for a route is
/// accepted at once.
///
/// # Errors
/// [`SendError`] if nothing was sent and nothing was stored.
pub(crate) async fn send(
    shared: &Arc<Shared>,
    new: NewMessage,
) -> Result<(Message, oneshot::Receiver<Outcome>), SendError> {
    send_to(shared, new, false).await
}

/// The same.
///
/// - `watches`: whether the outcome of a message that waits for a route is wanted, too
async fn send_to(
    shared: &Arc<Shared>,
    new: NewMessage,
    watches: bool,
) -> Result<(Message, oneshot::Receiver<Outcome>), SendError> {
    let place = if new.chosen.is_some() {
        Place::beside(shared)
    } else {
        Place::take(shared).ok_or(SendError::Busy)?
    };
    let (over, outcome) = oneshot::channel();
    let (mut over, mut unwatched) = (Some(over), None);
    let watcher = if watches { &mut over } else { &mut unwatched };
    if let Some(record) = forwarding::forward(shared, &new, watcher).await? {
        // Otherwise the forwarder has it.
        if let Some(over) = over {
            let _ = over.send((202, String::new()));
        }
        return Ok((record, outcome));
    }
    let over = over.ok_or(SendError::Store)?;
    let clock = Clock::start();
    let kind = Kind {
        answers_keyword: new.answers_keyword.is_some(),
        is_released: new.released.is_some(),
        is_known_before: new.known_before().is_some(),
    };
    let machine = TextMessage::new(&shared.settings, new, rand::random(), clock.now());
    let record = machine.record().clone();
    let span = info_span!("message", sid = %record.sid);
    let (committed, done) = oneshot::channel();
    let running = run(place, (machine, clock), (committed, over), kind);
    tokio::spawn(running.instrument(span));
    done.await.map_err(|_| SendError::Store)?;
    Ok((record, outcome))
}

/// The result of a look-up, and the peers that its routes lead to.
type Found = (Result<Vec<Route>, Unreachable>, Peers);

struct Task {
    shared: Arc<Shared>,
    lane: Lane,
    machine: TextMessage,
    clock: Clock,
    books: Books,
    sip_events: sip::LegEvents,
    peers: Peers,
    look_ups: JoinSet<Found>,
    /// Notified once the record is stored.
    committed: Option<oneshot::Sender<()>>,
    kind: Kind,
}

/// What is special about a message.
#[derive(Clone, Copy)]
struct Kind {
    /// It answers a keyword, so opt-outs do not stop it.
    answers_keyword: bool,
    /// It has a record already, because it waited for its time.
    is_released: bool,
    /// Another server may have recorded it already.
    is_known_before: bool,
}

async fn run(
    place: Place,
    (machine, clock): (TextMessage, Clock),
    (committed, over): (oneshot::Sender<()>, oneshot::Sender<Outcome>),
    kind: Kind,
) {
    let shared = Arc::clone(&place.0);
    let (sip_events, mut from_sip) = mpsc::unbounded_channel();
    let mut task = Task {
        lane: machine.record().lane(),
        books: Books::new(&shared.records, clock),
        machine,
        clock,
        sip_events,
        peers: Peers::new(),
        look_ups: JoinSet::new(),
        committed: Some(committed),
        kind,
        shared,
    };
    let lived = AssertUnwindSafe(task.live(&mut from_sip))
        .catch_unwind()
        .await;
    if let Err(panic) = lived.and_then(|lived| lived) {
        let panic = panics::words(panic.as_ref());
        error!(panic, "a message panicked and is ended");
        if let Err(error) = task.fail().await {
            error!(%error, "its record stays open until the next start");
        }
    }
    // Most senders do not wait for it.
    let _ = over.send(task.machine.outcome());
    task.books.close(task.lane, Vec::new()).await;
    drop(place);
}

impl Task {
    /// Runs the message until it has ended.
    ///
    /// # Errors
    /// The payload of a panic in the look-up: its answer will never come.
    async fn live(
        &mut self,
        from_sip: &mut mpsc::UnboundedReceiver<(LegId, sip::LegEvent)>,
    ) -> Result<(), Box<dyn Any + Send>> {
        let mut stop = self.shared.messages.stop();
        loop {
            if !self.carry_out().await || self.machine.is_over() {
                return Ok(());
            }
            let wake = self.machine.poll_timeout();
            tokio::select! {
                Some((_, event)) = from_sip.recv() => {
                    if let sip::LegEvent::MessageDone { status, reason } = event {
                        self.machine.handle_answer(status, &reason, self.clock.now());
                    }
                }
                Some(found) = self.look_ups.join_next() => match found {
                    Ok((routes, peers)) => {
                        self.peers = peers;
                        self.machine.handle_routes(routes, self.clock.now());
                    }
                    Err(failed) if failed.is_panic() => return Err(failed.into_panic()),
                    Err(_) => {} // Look-ups are never cancelled.
                },
                () = self.clock.sleep_until(wake) => self.machine.handle_timeout(self.clock.now()),
                () = open_messages::stopped(&mut stop) => self.machine.shut_down(self.clock.now()),
            }
        }
    }

    /// Carries out the machine's commands; false if its record cannot be stored, so that the
    /// message does not exist.
    async fn carry_out(&mut self) -> bool {
        loop {
            let commands = self.machine.poll_commands();
            if commands.is_empty() {
                return true;
            }
            for command in commands {
                match command {
                    MessageCommand::Commit(facts) => {
                        if !self.commit(facts).await {
                            return false;
                        }
                    }
                    MessageCommand::Resolve(target) => self.look_up(target),
                    MessageCommand::Send(message) => self.send(*message),
                    MessageCommand::Trace(entry) => self.books.trace(entry),
                }
            }
        }
    }

    async fn commit(&mut self, facts: Vec<Fact>) -> bool {
        facts.iter().for_each(facts::log);
        let mut changes = facts::changes(facts, &mut std::collections::BTreeMap::new());
        if self.kind.is_released {
            let of_record = |change| match change {
                Change::MessageCreated { message, farewell } => {
                    forwarding::stored(message, farewell, true)
                }
                change => change,
            };
            changes = changes.into_iter().map(of_record).collect();
        }
        let is_first = self.committed.is_some();
        let mut is_elsewhere = false;
        let kept = match self.books.write(changes, self.lane).await {
            Kept::Now => true,
            // One that waited for its time was canceled, or another server sends it.
            Kept::Lost(lost) if is_first && lost.contains(&self.lane) => {
                is_elsewhere = self.kind.is_known_before;
                !(self.kind.is_released || is_elsewhere)
            }
            Kept::Lost(_) => true,
            Kept::Late(refused) | Kept::Never(refused) => !refused.contains(&self.lane),
        };
        // Dropping it reports that the message does not exist.
        if let Some(committed) = self.committed.take()
            && (kept || is_elsewhere)
        {
            let _ = committed.send(());
        }
        kept
    }

    fn look_up(&mut self, target: Target) {
        let shared = Arc::clone(&self.shared);
        let account = self.machine.record().account;
        let by = resolve::By {
            author: account,
            account,
            traffic: Traffic::OutboundTexts,
        };
        let from = self.machine.record().from.clone();
        let from = Some(from).filter(|_| !self.kind.answers_keyword);
        self.look_ups.spawn(async move {
            let mut peers = Peers::new();
            let routes = resolve::text(
                &shared,
                (&target, routing::Place::Parameter),
                (by, from.as_deref()),
                &mut peers,
            );
            let routes = routes
                .await
                .unwrap_or_else(|error| Err(resolve::unknown(&target, &error)));
            (routes, peers)
        });
    }

    fn send(&mut self, message: OutgoingMessage) {
        let now = self.clock.now();
        let peer = match self.peers.get(resolve::key(&message.route.via)) {
            Some(Destination::Sip(peer)) => *peer,
            Some(Destination::StandIn(conduct)) => {
                return self
                    .machine
                    .handle_answer(conduct.message_status(), "", now);
            }
            None => {
                return self
                    .machine
                    .handle_answer(503, "the route leads nowhere", now);
            }
        };
        let sip = &self.shared.parts.sip;
        let leg = sip.new_leg(self.sip_events.clone());
        let spec = Box::new(sip_side::message(message, peer));
        sip.send(leg, sip::LegCommand::Message(spec));
    }

    /// Ends the message as the repair of a later process would.
    async fn fail(&mut self) -> Result<(), StoreError> {
        let store = self.shared.parts.store.clone();
        for message in store
            .abandoned_messages(&[self.lane], self.clock.now())
            .await?
        {
            let ending = closing::message(&store, &message).await?;
            self.books.write(ending, self.lane).await;
        }
        Ok(())
    }
}
