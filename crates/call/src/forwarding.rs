//! Forwards stored messages: one task around a `call_proto::forwarding::Forwarder`, with the links to providers.
//!
//! **Invariant: a message is given to a provider only after the commit that says so**, and what the
//! provider answers is committed as often as it takes. Rows of routes are read once a second, so a change of
//! them counts without a restart, on each server of a shared database. Left to others: links
//! (`smpp`), the meaning of outcomes (`call-proto`).

mod http;
mod link;
mod provider;
mod receipts;
mod sip_route;
mod upkeep;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use call_proto::forwarding::{
    self, ForwardCommand, Forwarder, Move, Outcome, Queued, RouteState, router,
};
use call_proto::{MessageFarewell, NewMessage, SendError};
use model::message_route::{MessageRoute, RouteHealth, RouteSettings};
use model::profile::Traffic;
use model::record::{Message, Notification};
use model::{
    AccountSid, AccountStatus, MessageRouteSid, MessageSid, MessageStatus, Target, Timestamp,
};
use store::{Change, QueuedMessage, Store, StoreError};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};
use webhook::Callbacks;

use crate::clock::Clock;
use crate::engine::{Engine, Shared};
use crate::messages;
use crate::resolve;
use link::LinkHere;
use receipts::Desk;

/// How often the rows of routes are read.
const REFRESH: Duration = Duration::from_secs(1);
/// How often a shared database is searched for what was taken over from other servers.
const SEARCH: Duration = Duration::from_secs(15);
/// How often an embedded one is searched, for whatever was left there.
const SEARCH_OWN: Duration = Duration::from_secs(60);
/// Pause before a failed commit is tried again.
const AGAIN: Duration = Duration::from_millis(500);
/// Inputs handled before the commands are carried out: their changes share a transaction.
const INPUTS_AT_ONCE: usize = 1_000;
/// Messages that an HTTP provider, the trunk or the phones take at a time.
const REQUESTS_AT_ONCE: usize = 16;

type HealthTable = Arc<Mutex<BTreeMap<MessageRouteSid, RouteHealth>>>;

type RoutesRead = Arc<RwLock<Option<Arc<Vec<MessageRoute>>>>>;

/// Learns the outcome of a message.
type Watcher = oneshot::Sender<messages::Outcome>;

enum Input {
    Accepted(Box<Queued>, Option<Watcher>),
    Link(MessageRouteSid, u64, smpp_proto::Event),
    Outcome(MessageSid, MessageRouteSid, Outcome),
    Loaded(Result<(Vec<Queued>, bool), StoreError>),
    InDoubt(Vec<Queued>),
    Stop,
}

/// Handle to the task.
pub(crate) struct Forwarding {
    inputs: mpsc::UnboundedSender<Input>,
    /// As last read; `None` before that.
    routes: RoutesRead,
    health: HealthTable,
    /// Whether messages are being claimed or submitted.
    is_busy: Arc<AtomicBool>,
    clock: Clock,
}

/// What [`Forwarding::start`] needs later, when the engine is there.
pub(crate) struct Waiting {
    inbox: mpsc::UnboundedReceiver<Input>,
}

impl Forwarding {
    /// The handle, and what becomes its task.
    pub(crate) fn new() -> (Self, Waiting) {
        let (inputs, inbox) = mpsc::unbounded_channel();
        let handle = Self {
            inputs,
            routes: Arc::default(),
            health: HealthTable::default(),
            is_busy: Arc::default(),
            clock: Clock::start(),
        };
        (handle, Waiting { inbox })
    }

    /// Starts the task.
    pub(crate) fn start(waiting: Waiting, engine: &Engine) {
        let shared = &engine.shared;
        let handle = &shared.forwarding;
        let task = Task {
            machine: Forwarder::new(rand::random(), handle.clock.now()),
            clock: handle.clock,
            inputs: handle.inputs.clone(),
            routes: Arc::clone(&handle.routes),
            health: Arc::clone(&handle.health),
            is_busy: Arc::clone(&handle.is_busy),
            links: BTreeMap::new(),
            next_link: 0,
            rows: BTreeMap::new(),
            notified: BTreeMap::new(),
            tokens: BTreeMap::new(),
            next_token: 0,
            watchers: BTreeMap::new(),
            engine: engine.clone(),
        };
        tokio::spawn(task.run(waiting.inbox));
    }

    /// Begins nothing any more, and completes what is underway.
    pub(crate) fn shut_down(&self) {
        let _ = self.inputs.send(Input::Stop);
    }

    /// Whether a provider has been given messages, and has not answered yet.
    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy.load(Ordering::Acquire)
    }

    /// The routes as last read.
    async fn routes(&self, store: &Store) -> Result<Arc<Vec<MessageRoute>>, StoreError> {
        let known = self
            .routes
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match known {
            Some(routes) => Ok(routes),
            None => store.all_message_routes().await.map(Arc::new),
        }
    }
}

impl Engine {
    /// How a route is, and what it did.
    #[must_use]
    pub fn route_health(&self, route: MessageRouteSid) -> RouteHealth {
        let health = &self.shared.forwarding.health;
        let table = health.lock().unwrap_or_else(PoisonError::into_inner);
        table.get(&route).cloned().unwrap_or_default()
    }

    /// The same for all routes that this server uses.
    #[must_use]
    pub fn health_of_routes(&self) -> Vec<(MessageRouteSid, RouteHealth)> {
        let health = &self.shared.forwarding.health;
        let table = health.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs = table.iter().map(|(sid, health)| (*sid, health.clone()));
        pairs.collect()
    }
}

/// Stores a message that a route is to take. `None` if it is for a client, a SIP address or a party
/// of test mode, if its recipient has opted out, if the profile of its account does not allow it, or if no route is for it: then it goes to SIP at once,
/// which also reports why it is refused.
///
/// # Errors
/// [`SendError`] if nothing was stored.
pub(crate) async fn forward(
    shared: &Shared,
    new: &NewMessage,
    over: &mut Option<Watcher>,
) -> Result<Option<Message>, SendError> {
    let accounts = accepting_accounts(shared, new).await;
    let Some(accounts) = accounts.map_err(|_| SendError::Store)? else {
        return Ok(None);
    };
    let segments = smpp_proto::text::segment_count(&new.body);
    let now = shared.forwarding.clock.now();
    let (message, farewell, callback) =
        forwarding::enqueue(&shared.settings, new.clone(), segments, rand::random(), now);
    let (record, kept) = (Box::new(message.clone()), farewell.as_ref().and_then(kept));
    let mut changes = vec![stored(record, kept, new.released.is_some())];
    let text = new.recorded_as.as_ref().map(|_| new.body.clone());
    changes.extend(text.as_ref().map(|text| Change::MessageUnsent {
        sid: message.sid,
        sealed: shared.parts.store.seal_text(message.sid, text),
    }));
    changes.extend(
        callback
            .clone()
            .map(|told| Change::CallbackQueued(Box::new(told))),
    );
    let committed = shared.parts.store.commit(changes).await;
    // It was canceled, or another server sends it.
    let may_be_elsewhere = new.released.is_some() || new.known_before().is_some();
    if !committed.map_err(|_| SendError::Store)?.applied(0) && may_be_elsewhere {
        return Ok(Some(message));
    }
    callback
        .into_iter()
        .for_each(|told| shared.parts.callbacks.deliver(told));
    let queued = Box::new(Queued {
        message: message.clone(),
        farewell,
        accounts,
        is_active: true,
        text,
    });
    let accepted = Input::Accepted(queued, over.take());
    let _ = shared.forwarding.inputs.send(accepted);
    Ok(Some(message))
}

/// The change that makes a message one of this server: a new record, or that of one that waited for its time.
pub(crate) fn stored(message: Box<Message>, farewell: Option<String>, is_released: bool) -> Change {
    if is_released {
        Change::MessageReleased { message, farewell }
    } else {
        Change::MessageCreated { message, farewell }
    }
}

/// The accounts of a message, if a route may take it.
async fn accepting_accounts(
    shared: &Shared,
    new: &NewMessage,
) -> Result<Option<Vec<AccountSid>>, StoreError> {
    let target = Target::parse(&new.to, model::Bare::ClientOrNumber);
    let store = &shared.parts.store;
    let accounts = chain(store, new.account).await?;
    // They need not be up.
    let routes = shared.forwarding.routes(store).await?;
    let ask = router::Ask {
        from: &new.from,
        to: &new.to,
        accounts: &accounts,
    };
    if router::choose(&routes, ask).is_empty() {
        return Ok(None);
    }
    let by = resolve::By {
        author: new.account,
        account: new.account,
        traffic: Traffic::OutboundTexts,
    };
    if new.answers_keyword.is_none()
        && let Some(_) = resolve::opted_out(shared, new.account, &new.from, &target).await?
    {
        return Ok(None);
    }
    let may_leave = resolve::may_leave(shared, &target, by).await?;
    Ok(may_leave.then_some(accounts))
}

/// An account and those above it.
async fn chain(store: &Store, account: AccountSid) -> Result<Vec<AccountSid>, StoreError> {
    let mut accounts = vec![account];
    let mut at = account;
    while let Some(parent) = store.account(at).await?.and_then(|account| account.parent) {
        if accounts.contains(&parent) {
            break;
        }
        accounts.push(parent);
        at = parent;
    }
    Ok(accounts)
}

fn kept(farewell: &MessageFarewell) -> Option<String> {
    let tell = |error| error!(%error, "the callbacks of a message cannot be kept");
    serde_json::to_string(farewell).map_err(tell).ok()
}

fn read_back(text: &str) -> Option<MessageFarewell> {
    let tell = |error| warn!(%error, "the callbacks of a message cannot be read");
    serde_json::from_str(text).map_err(tell).ok()
}

struct Task {
    machine: Forwarder,
    clock: Clock,
    inputs: mpsc::UnboundedSender<Input>,
    /// As last read; `None` before that.
    routes: RoutesRead,
    health: HealthTable,
    is_busy: Arc<AtomicBool>,
    links: BTreeMap<MessageRouteSid, LinkHere>,
    /// Distinguishes the events of a link from those of an earlier link of the same route.
    next_link: u64,
    rows: BTreeMap<MessageRouteSid, MessageRoute>,
    /// When the account of a route was last notified that it is down.
    notified: BTreeMap<MessageRouteSid, Timestamp>,
    /// The messages that links have now, by the token of their submission.
    tokens: BTreeMap<u64, MessageSid>,
    next_token: u64,
    /// Who wants to know what becomes of a message.
    watchers: BTreeMap<MessageSid, Watcher>,
    engine: Engine,
}

impl Task {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Input>) {
        let mut refresh = tokio::time::interval(REFRESH);
        refresh.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let is_shared = self.engine.shared.parts.store.is_shared();
        let mut search = tokio::time::interval(if is_shared { SEARCH } else { SEARCH_OWN });
        search.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut inputs = Vec::new();
        loop {
            let wake = self.machine.poll_timeout();
            tokio::select! {
                count = inbox.recv_many(&mut inputs, INPUTS_AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    for input in inputs.drain(..) {
                        self.handle(input);
                    }
                }
                _ = refresh.tick() => self.refresh().await,
                _ = search.tick() => self.machine.handle_adopted(self.clock.now()),
                () = self.clock.sleep_until(wake) => self.machine.handle_timeout(self.clock.now()),
            }
            self.carry_out().await;
            self.is_busy
                .store(!self.machine.is_idle(), Ordering::Release);
        }
    }

    fn handle(&mut self, input: Input) {
        let now = self.clock.now();
        match input {
            Input::Accepted(queued, watcher) => {
                self.watchers
                    .extend(watcher.map(|watcher| (queued.message.sid, watcher)));
                self.machine.accept(*queued, now);
            }
            Input::Outcome(sid, route, outcome) => self.outcome(sid, route, outcome),
            Input::Link(route, link, event) => self.link_event(route, link, event),
            Input::InDoubt(found) => self.machine.handle_in_doubt(found, now),
            Input::Stop => self.machine.stop(),
            Input::Loaded(Ok((page, is_last))) => self.machine.handle_loaded(page, is_last, now),
            Input::Loaded(Err(error)) => {
                warn!(%error, "waiting messages cannot be read");
                self.machine.handle_load_failed(now);
            }
        }
    }

    fn outcome(&mut self, sid: MessageSid, route: MessageRouteSid, outcome: Outcome) {
        self.count(route, |health| match &outcome {
            Outcome::Accepted(_) => health.accepted += 1,
            Outcome::Refused(..) => health.refused += 1,
            Outcome::Unavailable(reason) => {
                health.unavailable += 1;
                health.problem = Some(reason.clone());
            }
            Outcome::Doubtful(_) => health.doubtful += 1,
            Outcome::NotSent | Outcome::Returned => {}
        });
        self.machine.handle_outcome(sid, outcome, self.clock.now());
    }

    fn count(&self, route: MessageRouteSid, change: impl FnOnce(&mut RouteHealth)) {
        count(&self.health, route, change);
    }

    /// Reads the rows of routes, and starts and stops links.
    async fn refresh(&mut self) {
        self.watchers.retain(|_, watcher| !watcher.is_closed());
        let store = &self.engine.shared.parts.store;
        let found = match store.all_message_routes().await {
            Ok(found) => found,
            Err(error) => return warn!(%error, "the routes of messages cannot be read"),
        };
        let depths: Vec<(MessageRouteSid, usize)> = found
            .iter()
            .map(|route| (route.sid, self.machine.depth(route.sid)))
            .collect();
        for (route, depth) in depths {
            self.count(route, |health| health.depth = depth);
        }
        self.give_up_texts();
        self.notice_inactive().await;
        let rows: BTreeMap<_, _> = found
            .iter()
            .map(|route| (route.sid, route.clone()))
            .collect();
        let is_first = self
            .routes
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none();
        if rows == self.rows && !is_first {
            return;
        }
        let now = self.clock.now();
        let gone: Vec<MessageRouteSid> = self
            .rows
            .iter()
            .filter(|(sid, row)| !rows.get(*sid).is_some_and(|new| is_same_link(row, new)))
            .map(|(sid, _)| *sid)
            .collect();
        for sid in gone {
            // What it has now is in doubt: the answers of the old link are not listened to.
            if let Some(mut link) = self.links.remove(&sid) {
                link.give_up_all();
                link.give_up_texts(self.desk(sid), &self.rows);
            }
            self.machine.set_state(sid, RouteState::default(), now);
            self.count(sid, |health| health.is_up = false);
            self.settle(sid);
        }
        let shown = Arc::new(found.clone());
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        self.machine.set_routes(found, now);
        let old = std::mem::replace(&mut self.rows, rows.clone());
        for (sid, row) in rows {
            let is_open = old.get(&sid).is_some_and(|old| is_same_link(old, &row));
            if row.enabled && !is_open {
                self.open(&row);
            }
        }
        self.rows_gone();
    }

    fn desk(&self, route: MessageRouteSid) -> Desk {
        Desk {
            engine: self.engine.clone(),
            route,
            health: Arc::clone(&self.health),
        }
    }

    /// Forgets the counters of deleted routes.
    fn rows_gone(&self) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.retain(|sid, _| self.rows.contains_key(sid));
    }

    fn open(&mut self, row: &MessageRoute) {
        let now = self.clock.now();
        match &row.settings {
            RouteSettings::Smpp(settings) => {
                self.next_link += 1;
                let inputs = self.inputs.clone();
                let (sid, number) = (row.sid, self.next_link);
                let opened = LinkHere::open(row, settings, number, move |event| {
                    let _ = inputs.send(Input::Link(sid, number, event));
                });
                match opened {
                    Ok(link) => {
                        self.links.insert(row.sid, link);
                    }
                    Err(problem) => self.count(row.sid, |health| health.problem = Some(problem)),
                }
            }
            RouteSettings::Http(_) | RouteSettings::Sip(_) | RouteSettings::Client => {
                let state = RouteState {
                    is_up: true,
                    limit: REQUESTS_AT_ONCE,
                };
                self.machine.set_state(row.sid, state, now);
                self.count(row.sid, |health| health.is_up = true);
            }
        }
    }

    /// Carries out the machine's commands.
    async fn carry_out(&mut self) {
        loop {
            let commands = self.machine.poll_commands();
            if commands.is_empty() {
                return;
            }
            let mut moves = Vec::new();
            let mut claims = Vec::new();
            for command in commands {
                match command {
                    ForwardCommand::Claim(claim) => {
                        claims.push((claim.message.sid, moves.len()));
                        moves.push(claim);
                    }
                    ForwardCommand::Commit(moved) => moves.push(moved),
                    ForwardCommand::Submit(route, message) => self.submit(route, *message),
                    ForwardCommand::Load(after, limit) => self.load(after, limit),
                    ForwardCommand::LoadInDoubt => self.load_in_doubt(),
                }
            }
            if !moves.is_empty() {
                self.record(moves, &claims).await;
            }
        }
    }

    /// Commits these changes, as often as it takes, and reports about the claims.
    async fn record(&mut self, mut moves: Vec<Move>, claims: &[(MessageSid, usize)]) {
        // Only what was really changed is notified.
        let notifications: Vec<Option<Notification>> = moves
            .iter_mut()
            .map(|moved| moved.notification.take())
            .collect();
        let mut changes = Vec::new();
        let mut starts = Vec::new();
        for moved in &moves {
            starts.push(changes.len());
            changes.extend(changes_of(moved));
        }
        let parts = &self.engine.shared.parts;
        let mut committed = parts.store.commit(changes.clone()).await;
        while let Err(problem) = &committed {
            if matches!(problem, StoreError::Closed) {
                return;
            }
            error!(error = %problem, "what became of messages cannot be stored; trying again");
            tokio::time::sleep(AGAIN).await;
            committed = parts.store.commit_again(changes.clone()).await;
        }
        let Ok(committed) = committed else {
            return;
        };
        let applied = |at: usize| committed.applied(starts[at]);
        let notified = notifications.into_iter().enumerate();
        let notified = notified.filter_map(|(at, row)| row.filter(|_| applied(at)));
        let notified: Vec<Change> = notified
            .map(|row| Change::Notification(Box::new(row)))
            .collect();
        if !notified.is_empty()
            && let Err(error) = parts.store.commit(notified).await
        {
            error!(%error, "notifications about messages cannot be stored");
        }
        for (at, moved) in moves.into_iter().enumerate() {
            if applied(at) {
                tell(&mut self.watchers, &moved.message);
            }
            if let Some(callback) = moved.callback.filter(|_| applied(at)) {
                parts.callbacks.deliver(callback);
            }
        }
        for (sid, at) in claims {
            self.machine
                .handle_claimed(*sid, applied(*at), self.clock.now());
        }
    }

    fn load(&self, after: Option<(Timestamp, MessageSid)>, limit: usize) {
        let (engine, inputs) = (self.engine.clone(), self.inputs.clone());
        tokio::spawn(async move {
            let loaded = page(&engine.shared.parts.store, after, limit).await;
            let _ = inputs.send(Input::Loaded(loaded));
        });
    }

    fn load_in_doubt(&self) {
        let (engine, inputs) = (self.engine.clone(), self.inputs.clone());
        tokio::spawn(async move {
            let store = &engine.shared.parts.store;
            loop {
                let found = async { with_accounts(store, store.messages_in_doubt().await?).await };
                match found.await {
                    Ok(found) => return drop(inputs.send(Input::InDoubt(found))),
                    Err(StoreError::Closed) => return,
                    Err(error) => {
                        warn!(%error, "the messages that were being sent cannot be read");
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            }
        });
    }

    fn submit(&mut self, route: MessageRouteSid, message: Message) {
        let sid = message.sid;
        self.count(route, |health| health.submitted += 1);
        let Some(row) = self.rows.get(&route).cloned() else {
            return self.outcome(sid, route, Outcome::NotSent);
        };
        match &row.settings {
            RouteSettings::Smpp(settings) => {
                self.next_token += 1;
                let token = self.next_token;
                let Some(link) = self.links.get_mut(&route) else {
                    return self.outcome(sid, route, Outcome::NotSent);
                };
                match link.submit(token, settings, &message, self.clock.now()) {
                    Ok(()) => {
                        self.tokens.insert(token, sid);
                    }
                    Err(outcome) => self.outcome(sid, route, outcome),
                }
            }
            RouteSettings::Http(settings) => {
                let fetcher = self.engine.shared.parts.fetcher.clone();
                let request = http::request(settings, row.secret.clone(), &message);
                let inputs = self.inputs.clone();
                tokio::spawn(async move {
                    let outcome = http::submit(&fetcher, request).await;
                    let _ = inputs.send(Input::Outcome(sid, route, outcome));
                });
            }
            RouteSettings::Sip(_) | RouteSettings::Client => {
                let (engine, inputs) = (self.engine.clone(), self.inputs.clone());
                tokio::spawn(async move {
                    let outcome = sip_route::submit(&engine.shared, &row, message).await;
                    let _ = inputs.send(Input::Outcome(sid, route, outcome));
                });
            }
        }
    }

    /// Messages that a link had when it was given up are in doubt.
    fn settle(&mut self, route: MessageRouteSid) {
        let tokens = std::mem::take(&mut self.tokens);
        for sid in tokens.values() {
            let outcome = Outcome::Doubtful("the route was changed before the answer".to_owned());
            if self.machine.is_underway(*sid, route) {
                self.outcome(*sid, route, outcome);
            }
        }
        let is_held = |(_, sid): &(u64, MessageSid)| self.machine.is_held(*sid);
        self.tokens = tokens.into_iter().filter(is_held).collect();
    }

    fn link_event(&mut self, route: MessageRouteSid, number: u64, event: smpp_proto::Event) {
        let now = self.clock.now();
        let desk = self.desk(route);
        let Some(link) = self
            .links
            .get_mut(&route)
            .filter(|link| link.number == number)
        else {
            return;
        };
        match event {
            smpp_proto::Event::Up => {
                let limit = link.limit();
                info!(%route, "a link is bound");
                self.machine
                    .set_state(route, RouteState { is_up: true, limit }, now);
                self.count(route, |health| {
                    health.is_up = true;
                    health.problem = None;
                });
            }
            smpp_proto::Event::Down(reason) => {
                warn!(%route, %reason, "a link is down");
                self.notify_down(route, &reason);
                self.machine.set_state(route, RouteState::default(), now);
                self.count(route, |health| {
                    health.is_up = false;
                    health.problem = Some(reason);
                });
            }
            smpp_proto::Event::Answered(token, answer) => {
                if let Some(sid) = self.tokens.remove(&token) {
                    self.outcome(sid, route, link::outcome(answer));
                }
            }
            smpp_proto::Event::Throttled => {
                self.count(route, |health| health.throttled += 1);
                let paused = RouteState {
                    is_up: true,
                    limit: 0,
                };
                self.machine.set_state(route, paused, now);
            }
            smpp_proto::Event::Resumed => {
                let limit = link.limit();
                self.machine
                    .set_state(route, RouteState { is_up: true, limit }, now);
            }
            smpp_proto::Event::Arrived(key, message) => {
                link.arrived(key, *message, desk, &self.rows);
            }
        }
    }
}

fn count(health: &HealthTable, route: MessageRouteSid, change: impl FnOnce(&mut RouteHealth)) {
    let mut table = health.lock().unwrap_or_else(PoisonError::into_inner);
    change(table.entry(route).or_default());
}

/// Reports the outcome of a message to whatever waits for it: as if the provider had answered by SIP.
fn tell(watchers: &mut BTreeMap<MessageSid, Watcher>, message: &Message) {
    let in_doubt = message.forwarding.as_ref().is_some_and(|of| of.doubts > 0);
    let status = match message.status {
        MessageStatus::Queued | MessageStatus::Sending => return,
        MessageStatus::Failed if in_doubt => {
            // It may have arrived: nothing is known.
            watchers.remove(&message.sid);
            return;
        }
        MessageStatus::Sent => 202,
        _ => 480,
    };
    if let Some(watcher) = watchers.remove(&message.sid) {
        let _ = watcher.send((status, message.reason.clone().unwrap_or_default()));
    }
}

/// The facts of one change.
pub(crate) fn changes_of(moved: &Move) -> Vec<Change> {
    let message = &moved.message;
    let mut changes = vec![Change::MessageMoved {
        message: message.clone(),
        expected: moved.expected,
        attempt: moved.attempt,
        tells: moved.callback.as_ref().map(|callback| callback.event),
    }];
    let route = message
        .forwarding
        .as_ref()
        .and_then(|forwarding| forwarding.route);
    if let Some(route) = route {
        changes.extend(store::parts_taken(
            message.sid,
            route,
            &moved.parts,
            message.updated,
        ));
    }
    let notification = moved.notification.clone();
    changes.extend(notification.map(|row| Change::Notification(Box::new(row))));
    let callback = moved.callback.clone();
    changes.extend(callback.map(|row| Change::CallbackQueued(Box::new(row))));
    changes
}

/// Part of the queue in the database, and whether it is the last.
async fn page(
    store: &Store,
    after: Option<(Timestamp, MessageSid)>,
    limit: usize,
) -> Result<(Vec<Queued>, bool), StoreError> {
    let rows = store
        .queued_messages(after, i64::try_from(limit).unwrap_or(i64::MAX))
        .await?;
    let is_last = rows.len() < limit;
    Ok((with_accounts(store, rows).await?, is_last))
}

/// Rows with the accounts of their messages.
async fn with_accounts(store: &Store, rows: Vec<QueuedMessage>) -> Result<Vec<Queued>, StoreError> {
    let mut page = Vec::with_capacity(rows.len());
    for row in rows {
        let QueuedMessage {
            message,
            farewell,
            text,
        } = row;
        let accounts = chain(store, message.account).await?;
        let account = store.account(message.account).await?;
        let is_active = account.is_some_and(|account| account.status == AccountStatus::Active);
        page.push(Queued {
            is_active,
            farewell: farewell.as_deref().and_then(read_back),
            message,
            accounts,
            text,
        });
    }
    Ok(page)
}

/// Whether a link or a provider need not be left because a row was changed.
fn is_same_link(old: &MessageRoute, new: &MessageRoute) -> bool {
    (old.enabled, &old.settings, &old.secret) == (new.enabled, &new.settings, &new.secret)
}

/// Delivers a callback that was stored.
pub(crate) fn deliver(callbacks: &Callbacks, moved: Move) {
    if let Some(callback) = moved.callback {
        callbacks.deliver(callback);
    }
}
