//! Messages that are stored and forwarded: when each one is tried, by which route, and how it ends.
//!
//! One [`Forwarder`] serves all messages of a server. **Invariants: a message is submitted only after the claim
//! of it is on record; each one ends once, with a reason; the memory for waiting messages is
//! limited**, since all of them are also in the database, from which the forwarder asks for more. Left to others:
//! links, records, and receipts, except for what a receipt means ([`receipt`]).

mod posts;
mod receipts;
pub mod router;
mod schedule;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use model::message_route::{Forwarding, MessageRoute, OnDoubt};
use model::record::{Callback, Message, Notification};
use model::{
    AccountSid, MessageRouteSid, MessageSid, MessageStatus, NotificationSid, Timestamp, error,
};

use crate::context::Settings;
use crate::farewell::MessageFarewell;
use crate::ids::Ids;
use crate::message::{message_params, problem, without_password};
use crate::request::NewMessage;

pub use posts::{ProviderPost, ProviderRefusal};
pub use receipts::{ReceiptNews, receipt};
pub use schedule::{schedule, unsent, validity_left};

/// Most messages in memory; the others wait in the database.
const MAX_HELD: usize = 10_000;
/// Messages that are read from the database at once.
const PAGE: usize = 1_000;
/// Pause between two pages, and between two searches.
const PAGE_PAUSE: Duration = Duration::from_millis(200);
/// First delay after all routes have failed; it doubles each time.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// Longest such delay.
const RETRY_MAX: Duration = Duration::from_secs(300);
/// How soon a message without a usable route is looked at again; a route that comes up is noticed at once.
const RECHECK: Duration = Duration::from_secs(5);
/// Validity period of a message that does not have its own.
pub const VALIDITY: Duration = Duration::from_secs(4 * 3600);

/// A message that waits, with what is needed to report on it.
#[derive(Clone, PartialEq, Debug)]
pub struct Queued {
    /// The record; its forwarding is set.
    pub message: Message,
    /// Makes the callbacks.
    pub farewell: Option<MessageFarewell>,
    /// Its account and those above it.
    pub accounts: Vec<AccountSid>,
    /// The text to send, if it is not that of the record.
    pub text: Option<String>,
}

/// What a provider said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It took the message, and calls its parts so.
    Accepted(Vec<String>),
    /// It will never take it: number of the error table, and reason.
    Refused(u16, String),
    /// It cannot take it now.
    Unavailable(String),
    /// It is not known whether it took the message.
    Doubtful(String),
    /// Nothing was sent: the link went down first.
    NotSent,
}

/// A change of a message's record, and what follows from it; all of it in one commit.
#[derive(Clone, PartialEq, Debug)]
pub struct Move {
    /// The record with its new values.
    pub message: Box<Message>,
    /// Its status before: the change applies only to that.
    pub expected: MessageStatus,
    /// What the provider calls its parts.
    pub parts: Vec<String>,
    /// Reports the new status.
    pub callback: Option<Callback>,
    /// Tells the account's owner.
    pub notification: Option<Notification>,
}

/// What to do, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum ForwardCommand {
    /// Commit this claim → [`Forwarder::handle_claimed`].
    Claim(Move),
    /// Commit this, as often as it takes.
    Commit(Move),
    /// Give the message to the provider → [`Forwarder::handle_outcome`].
    Submit(MessageRouteSid, Box<Message>),
    /// Read so many messages after the place → [`Forwarder::handle_loaded`].
    Load(Option<(Timestamp, MessageSid)>, usize),
}

/// The state of a route, reported by its link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RouteState {
    /// Whether it can take messages.
    pub is_up: bool,
    /// Most messages that it takes at a time.
    pub limit: usize,
}

struct Held {
    queued: Queued,
    place: Place,
    /// Routes that failed in this round.
    tried: BTreeSet<MessageRouteSid>,
    /// Rounds in which all routes failed.
    rounds: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Waits for this time; true: or for a route.
    Later(Timestamp, bool),
    /// Waits for a place in the route's window.
    Ready(MessageRouteSid),
    /// Being claimed or submitted.
    Underway(MessageRouteSid),
}

/// Decides about all messages that wait; see the module.
pub struct Forwarder {
    routes: Vec<MessageRoute>,
    states: BTreeMap<MessageRouteSid, RouteState>,
    held: BTreeMap<MessageSid, Held>,
    later: BTreeSet<(Timestamp, MessageSid)>,
    expiries: BTreeSet<(Timestamp, MessageSid)>,
    ready: BTreeMap<MessageRouteSid, VecDeque<MessageSid>>,
    underway: BTreeMap<MessageRouteSid, usize>,
    commands: Vec<ForwardCommand>,
    /// When the database is searched for more; `None` if all is here.
    search_at: Option<Timestamp>,
    /// Where the search continues.
    search_after: Option<(Timestamp, MessageSid)>,
    /// Whether a page is being read.
    is_loading: bool,
    /// Whether messages were left in the database since the search began.
    left_some: bool,
    ids: Ids,
}

/// A new message for a route: its record, its farewell, and the callback that it is queued.
///
/// - `validity`: how long it may be tried
/// - `segments`: number of short messages that it takes
/// - `seed`: must not be predictable.
#[must_use]
pub fn enqueue(
    settings: &Settings,
    new: NewMessage,
    segments: usize,
    seed: u64,
    now: Timestamp,
) -> (Message, Option<MessageFarewell>, Option<Callback>) {
    let mut ids = Ids::new(seed);
    let validity = new.validity.unwrap_or(VALIDITY);
    let (sid, created) = (new.sid(now, &mut ids), new.created(now));
    let record = Message {
        sid,
        instance: settings.instance,
        account: new.account,
        call: None,
        from: without_password(&new.from),
        to: without_password(&new.to),
        body: new.recorded_as.unwrap_or(new.body),
        direction: new.direction,
        status: MessageStatus::Queued,
        error_code: None,
        reason: None,
        created,
        updated: now,
        sent: None,
        forwarding: Some(Forwarding {
            expires: now + validity,
            due: now,
            attempts: 0,
            doubts: 0,
            segments: i64::try_from(segments).unwrap_or(i64::MAX),
            route: None,
            provider_id: None,
            price: None,
        }),
    };
    let dialect = new.dialect;
    let farewell = new
        .callback
        .map(|target| MessageFarewell::new(0, target, message_params(&record, dialect)));
    let told = farewell.clone();
    let told = told.map(|farewell| farewell.callback(&record, ids.event(now)));
    (record, farewell, told)
}

impl Forwarder {
    /// Begins with a search for what an earlier run left.
    ///
    /// - `seed`: must not be predictable.
    #[must_use]
    pub fn new(seed: u64, now: Timestamp) -> Self {
        Self {
            routes: Vec::new(),
            states: BTreeMap::new(),
            held: BTreeMap::new(),
            later: BTreeSet::new(),
            expiries: BTreeSet::new(),
            ready: BTreeMap::new(),
            underway: BTreeMap::new(),
            commands: Vec::new(),
            search_at: Some(now),
            search_after: None,
            is_loading: false,
            left_some: false,
            ids: Ids::new(seed),
        }
    }

    /// Messages in memory.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Whether a message is here.
    #[must_use]
    pub fn is_held(&self, sid: MessageSid) -> bool {
        self.held.contains_key(&sid)
    }

    /// Whether a route has a message now.
    #[must_use]
    pub fn is_underway(&self, sid: MessageSid, route: MessageRouteSid) -> bool {
        let held = self.held.get(&sid);
        held.is_some_and(|held| held.place == Place::Underway(route))
    }

    /// Messages that a route has now: waiting for its window, and underway.
    #[must_use]
    pub fn depth(&self, route: MessageRouteSid) -> usize {
        let ready = self.ready.get(&route).map_or(0, VecDeque::len);
        ready + self.underway.get(&route).copied().unwrap_or(0)
    }

    /// The rows of routes have changed.
    pub fn set_routes(&mut self, routes: Vec<MessageRoute>, now: Timestamp) {
        let known: BTreeSet<MessageRouteSid> = routes.iter().map(|route| route.sid).collect();
        self.states.retain(|sid, _| known.contains(sid));
        self.routes = routes;
        let waiting: Vec<MessageSid> = self.ready.values().flatten().copied().collect();
        self.ready.clear();
        for sid in waiting {
            self.plan(sid, now);
        }
        self.look_again(now);
    }

    /// A route has another state.
    pub fn set_state(&mut self, route: MessageRouteSid, state: RouteState, now: Timestamp) {
        let before = self.states.insert(route, state).unwrap_or_default();
        if before.is_up && !state.is_up {
            for sid in self.ready.remove(&route).unwrap_or_default() {
                self.plan(sid, now);
            }
        } else if !before.is_up && state.is_up {
            self.look_again(now);
            self.search_at = self.search_at.map(|_| now);
        }
        self.fill(now);
    }

    /// A message was stored by this server, or by a dead one that this one follows.
    pub fn accept(&mut self, queued: Queued, now: Timestamp) {
        if self.held.len() >= MAX_HELD {
            return self.leave_in_database(now);
        }
        self.hold(queued, now);
        self.fill(now);
    }

    /// Messages of a dead server were taken over.
    pub fn handle_adopted(&mut self, now: Timestamp) {
        self.leave_in_database(now);
        self.search_at = Some(now);
    }

    /// A page of the search.
    ///
    /// - `is_last`: whether nothing is behind it.
    pub fn handle_loaded(&mut self, page: Vec<Queued>, is_last: bool, now: Timestamp) {
        self.is_loading = false;
        let last = page.last().and_then(|queued| {
            let forwarding = queued.message.forwarding.as_ref()?;
            Some((forwarding.due, queued.message.sid))
        });
        for queued in page {
            if self.held.len() >= MAX_HELD {
                self.left_some = true;
                break;
            }
            self.hold(queued, now);
        }
        self.search_after = if is_last { None } else { last };
        let done = is_last && !self.left_some;
        self.search_at = (!done).then(|| now + PAGE_PAUSE);
        if is_last {
            self.left_some = false;
        }
        self.fill(now);
    }

    /// A page could not be read.
    pub fn handle_load_failed(&mut self, now: Timestamp) {
        self.is_loading = false;
        self.search_at = Some(now + RECHECK);
    }

    /// Whether a claim was recorded; if not, the message has another status, and is no longer waiting.
    pub fn handle_claimed(&mut self, sid: MessageSid, applied: bool, now: Timestamp) {
        let Some(held) = self.held.get(&sid) else {
            return;
        };
        let Place::Underway(route) = held.place else {
            return;
        };
        if applied {
            let mut message = Box::new(held.queued.message.clone());
            if let Some(text) = &held.queued.text {
                message.body.clone_from(text);
            }
            self.commands.push(ForwardCommand::Submit(route, message));
        } else {
            self.forget(sid);
            self.fill(now);
        }
    }

    /// What came of a submission. Ignored if the message is not underway.
    pub fn handle_outcome(&mut self, sid: MessageSid, outcome: Outcome, now: Timestamp) {
        let Some(held) = self.held.get_mut(&sid) else {
            return;
        };
        let Place::Underway(by) = held.place else {
            return;
        };
        let route = self.routes.iter().find(|route| route.sid == by);
        match outcome {
            Outcome::Accepted(ids) => {
                let price = route.map_or(0, |route| route.price);
                if let Some(forwarding) = &mut held.queued.message.forwarding {
                    forwarding.provider_id = ids.first().filter(|id| !id.is_empty()).cloned();
                    forwarding.price = Some(price.saturating_mul(forwarding.segments));
                }
                let name = route.map_or("a route", |route| route.name.as_str());
                let reason = format!("accepted by {name}");
                self.end(sid, MessageStatus::Sent, None, reason, ids, now);
            }
            Outcome::Refused(code, reason) => {
                self.end(
                    sid,
                    MessageStatus::Failed,
                    Some(code),
                    reason,
                    Vec::new(),
                    now,
                );
            }
            Outcome::Unavailable(reason) => {
                held.tried.insert(by);
                held.queued.message.reason = Some(reason);
                self.requeue(sid, now, now);
            }
            Outcome::NotSent => {
                held.tried.insert(by);
                if let Some(forwarding) = &mut held.queued.message.forwarding {
                    forwarding.attempts -= 1;
                }
                self.requeue(sid, now, now);
            }
            Outcome::Doubtful(reason) => {
                if let Some(forwarding) = &mut held.queued.message.forwarding {
                    forwarding.doubts += 1;
                }
                held.queued.message.reason = Some(reason);
                let due = now + RETRY_MIN;
                self.requeue(sid, due, now);
            }
        }
        self.fill(now);
    }

    /// Call when [`poll_timeout`](Self::poll_timeout) is reached.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        while let Some((at, sid)) = self.expiries.first().copied().filter(|(at, _)| *at <= now) {
            self.expiries.remove(&(at, sid));
            self.plan(sid, now);
        }
        while let Some((at, sid)) = self.later.first().copied().filter(|(at, _)| *at <= now) {
            self.later.remove(&(at, sid));
            self.plan(sid, now);
        }
        let search = self.search_at.is_some_and(|at| at <= now);
        if search && !self.is_loading {
            if self.held.len() <= MAX_HELD - PAGE {
                self.is_loading = true;
                self.commands
                    .push(ForwardCommand::Load(self.search_after, PAGE));
            } else {
                self.search_at = Some(now + PAGE_PAUSE);
            }
        }
        self.fill(now);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let first = |set: &BTreeSet<(Timestamp, MessageSid)>| set.first().map(|(at, _)| *at);
        let search = self.search_at.filter(|_| !self.is_loading);
        [first(&self.later), first(&self.expiries), search]
            .into_iter()
            .flatten()
            .min()
    }

    /// The commands to carry out, in order.
    pub fn poll_commands(&mut self) -> Vec<ForwardCommand> {
        std::mem::take(&mut self.commands)
    }

    fn hold(&mut self, queued: Queued, now: Timestamp) {
        let sid = queued.message.sid;
        if self.held.contains_key(&sid) || queued.message.forwarding.is_none() {
            return;
        }
        let held = Held {
            queued,
            place: Place::Later(now, false),
            tried: BTreeSet::new(),
            rounds: 0,
        };
        self.held.insert(sid, held);
        self.plan(sid, now);
    }

    /// Finds the place for a message that waits: at a route, or for a time.
    fn plan(&mut self, sid: MessageSid, now: Timestamp) {
        let underway = |held: &Held| matches!(held.place, Place::Underway(_));
        if self.held.get(&sid).is_some_and(underway) {
            return; // A queue that it has left still names it.
        }
        self.leave_place(sid);
        let Some(held) = self.held.get_mut(&sid) else {
            return;
        };
        let Some(forwarding) = held.queued.message.forwarding.clone() else {
            return;
        };
        if forwarding.expires <= now {
            let reason = held.queued.message.reason.take();
            let reason = reason.unwrap_or_else(|| "no route was available".to_owned());
            let code = Some(error::MESSAGE_EXPIRED);
            return self.end(sid, MessageStatus::Failed, code, reason, Vec::new(), now);
        }
        let last = self
            .routes
            .iter()
            .find(|route| Some(route.sid) == forwarding.route);
        if forwarding.doubts > 0 && last.is_some_and(|route| route.on_doubt == OnDoubt::Fail) {
            let reason = "it is not known whether the provider accepted it".to_owned();
            let code = Some(error::MESSAGE_FAILED);
            return self.end(sid, MessageStatus::Failed, code, reason, Vec::new(), now);
        }
        if forwarding.due > now {
            return self.wait(sid, forwarding.due, false);
        }
        let ask = router::Ask {
            from: &held.queued.message.from,
            to: &held.queued.message.to,
            accounts: &held.queued.accounts,
        };
        let states = &self.states;
        let is_up = |sid| {
            states
                .get(&sid)
                .is_some_and(|state: &RouteState| state.is_up)
        };
        let mut usable = router::choose(&self.routes, ask).into_iter();
        let usable = usable.find(|route| is_up(route.sid) && !held.tried.contains(&route.sid));
        if let Some(route) = usable.map(|route| route.sid) {
            held.place = Place::Ready(route);
            self.expiries.insert((forwarding.expires, sid));
            self.ready.entry(route).or_default().push_back(sid);
            return;
        }
        if held.tried.is_empty() {
            return self.wait(sid, now + RECHECK, true);
        }
        held.tried.clear();
        let doubled = RETRY_MIN * 2_u32.saturating_pow(held.rounds.min(16));
        held.rounds += 1;
        self.wait(sid, now + doubled.min(RETRY_MAX), false);
    }

    /// Has a message wait; if there are many, it waits in the database.
    fn wait(&mut self, sid: MessageSid, until: Timestamp, for_route: bool) {
        if self.held.len() > MAX_HELD / 2 {
            self.forget(sid);
            self.left_some = true;
            let at = self.search_at.map_or(until, |at| at.min(until));
            self.search_at = Some(at);
            return;
        }
        if let Some(held) = self.held.get_mut(&sid) {
            let expires = held.queued.message.forwarding.as_ref();
            let until = expires.map_or(until, |forwarding| forwarding.expires.min(until));
            held.place = Place::Later(until, for_route);
            if let Some(forwarding) = held
                .queued
                .message
                .forwarding
                .as_mut()
                .filter(|_| !for_route)
            {
                forwarding.due = until;
            }
            self.later.insert((until, sid));
        }
    }

    /// Looks again at what waits for a route.
    fn look_again(&mut self, now: Timestamp) {
        let waits = |(_, held): &(&MessageSid, &Held)| matches!(held.place, Place::Later(_, true));
        let waiting = self.held.iter().filter(waits);
        let waiting: Vec<MessageSid> = waiting.map(|(sid, _)| *sid).collect();
        for sid in waiting {
            self.plan(sid, now);
        }
        self.fill(now);
    }

    /// Claims what the windows of the routes allow.
    fn fill(&mut self, now: Timestamp) {
        let routes: Vec<MessageRouteSid> = self.ready.keys().copied().collect();
        for route in routes {
            let limit = self.states.get(&route).map_or(0, |state| state.limit);
            while self.underway.get(&route).copied().unwrap_or(0) < limit {
                let Some(sid) = self.ready.get_mut(&route).and_then(VecDeque::pop_front) else {
                    self.ready.remove(&route);
                    break;
                };
                self.claim(sid, route, now);
            }
        }
    }

    fn claim(&mut self, sid: MessageSid, route: MessageRouteSid, now: Timestamp) {
        let Some(held) = self.held.get_mut(&sid) else {
            return;
        };
        // It may have left this queue already.
        if held.place != Place::Ready(route) {
            return;
        }
        let message = &mut held.queued.message;
        message.status = MessageStatus::Sending;
        message.updated = now;
        if let Some(forwarding) = &mut message.forwarding {
            self.expiries.remove(&(forwarding.expires, sid));
            forwarding.attempts += 1;
            forwarding.route = Some(route);
        }
        held.place = Place::Underway(route);
        *self.underway.entry(route).or_default() += 1;
        let claim = Move::of(message, MessageStatus::Queued);
        self.commands.push(ForwardCommand::Claim(claim));
    }

    /// Records that a message waits again.
    fn requeue(&mut self, sid: MessageSid, due: Timestamp, now: Timestamp) {
        self.leave_place(sid);
        if let Some(held) = self.held.get_mut(&sid) {
            let message = &mut held.queued.message;
            message.status = MessageStatus::Queued;
            message.updated = now;
            if let Some(forwarding) = &mut message.forwarding {
                forwarding.due = due;
            }
            let moved = Move::of(message, MessageStatus::Sending);
            self.commands.push(ForwardCommand::Commit(moved));
            self.plan(sid, now);
        }
    }

    /// Ends a message.
    fn end(
        &mut self,
        sid: MessageSid,
        status: MessageStatus,
        code: Option<u16>,
        reason: String,
        parts: Vec<String>,
        now: Timestamp,
    ) {
        let Some(held) = self.forget(sid) else {
            return;
        };
        let mut message = held.queued.message;
        let expected = message.status;
        message.status = status;
        message.error_code = code;
        message.reason = Some(reason);
        message.updated = now;
        message.sent = (status == MessageStatus::Sent).then_some(now);
        let callback = held.queued.farewell.map(|mut farewell| {
            farewell.follow(1);
            farewell.callback(&message, self.ids.event(now))
        });
        let notification = problem(&message).map(|(code, text)| {
            let sid = NotificationSid::new(now, self.ids.bytes());
            Notification {
                lane: message.lane(),
                ..Notification::of_account(sid, message.account, code, text, now)
            }
        });
        self.commands.push(ForwardCommand::Commit(Move {
            message: Box::new(message),
            expected,
            parts,
            callback,
            notification,
        }));
    }

    fn leave_in_database(&mut self, now: Timestamp) {
        self.left_some = true;
        self.search_at = Some(self.search_at.unwrap_or(now + PAGE_PAUSE));
    }

    fn forget(&mut self, sid: MessageSid) -> Option<Held> {
        self.leave_place(sid);
        self.held.remove(&sid)
    }

    /// Takes a message out of whatever it waits in.
    fn leave_place(&mut self, sid: MessageSid) {
        let Some(held) = self.held.get_mut(&sid) else {
            return;
        };
        if let Some(forwarding) = &held.queued.message.forwarding {
            self.expiries.remove(&(forwarding.expires, sid));
        }
        match held.place {
            Place::Later(at, _) => {
                self.later.remove(&(at, sid));
            }
            // It stays in the queue, and is skipped there.
            Place::Ready(_) => {}
            Place::Underway(route) => {
                if let Some(count) = self.underway.get_mut(&route) {
                    *count = count.saturating_sub(1);
                }
            }
        }
        held.place = Place::Later(Timestamp(0), false);
    }
}

impl Move {
    /// Nothing but the change.
    fn of(message: &Message, expected: MessageStatus) -> Self {
        Self {
            message: Box::new(message.clone()),
            expected,
            parts: Vec::new(),
            callback: None,
            notification: None,
        }
    }
}

#[cfg(test)]
mod tests;
