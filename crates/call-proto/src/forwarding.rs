//! Messages that are stored and forwarded: when each one is tried, by which route, and how it ends.
//!
//! One [`Forwarder`] serves all messages of a server. **Invariants: a message is submitted only after the claim
//! of it is on record; each one ends once, with a reason; the memory for waiting messages is
//! limited**, since all of them are also in the database, from which the forwarder asks for more. Left to others:
//! links, records, and receipts, except for what a receipt means ([`receipt`]).

mod posts;
mod queued;
mod receipts;
pub mod router;
mod schedule;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use model::message_route::{MessageRoute, OnDoubt};
use model::record::Notification;
use model::{
    AccountSid, MessageRouteSid, MessageSid, MessageStatus, NotificationSid, Timestamp, error,
};

use crate::ids::Ids;
use crate::message::problem;

pub use posts::{ProviderPost, ProviderRefusal};
pub use queued::{ForwardCommand, Move, Outcome, Queued, RouteState, VALIDITY, enqueue};
pub use receipts::{ReceiptNews, receipt};
pub use schedule::{schedule, unsent, validity_left};

/// Most messages in memory; the others wait in the database.
const MAX_HELD: usize = 10_000;
/// Messages that are read from the database at once.
const PAGE: usize = 1_000;
/// Pause after a page.
const PAGE_PAUSE: Duration = Duration::from_millis(200);
/// Pause after a page of which nothing was wanted.
const IDLE_PAUSE: Duration = Duration::from_secs(1);
/// Most messages that wait for the windows of all routes together; each route has an equal share, so that a slow one keeps
/// no message of another route out.
const MAX_READY: usize = MAX_HELD / 2;
/// Most messages in a route's share.
const SHARE_MAX: usize = 1_000;
/// After so many submissions of which it is not known whether the provider took them, a message fails.
const MAX_DOUBTS: i64 = 3;
/// First delay after all routes have failed; it doubles each time.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// Longest such delay.
const RETRY_MAX: Duration = Duration::from_secs(300);
/// How soon a message without a usable route is looked at again; a route that comes up is noticed at once.
const RECHECK: Duration = Duration::from_secs(5);

struct Held {
    queued: Queued,
    place: Place,
    /// Routes that failed in this round.
    tried: BTreeSet<MessageRouteSid>,
    /// The number of attempts on record.
    attempts: i64,
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

/// Why messages are read from the database.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Loading {
    /// The next page of the search.
    Search,
    /// More for a route whose share has room again.
    Refill(MessageRouteSid),
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
    /// What is being read.
    loading: Option<Loading>,
    /// When something is read again at the earliest.
    load_at: Timestamp,
    /// Whether messages were left in the database since the search began.
    left_some: bool,
    /// Routes of which messages were left there because their share was full, and the first of these messages.
    full: BTreeMap<MessageRouteSid, (Timestamp, MessageSid)>,
    /// Accounts that are not active, as far as they have messages here.
    inactive: BTreeSet<AccountSid>,
    /// No more messages are claimed: the server stops.
    is_stopping: bool,
    /// Routes say what doubt means, so nothing in doubt is looked at before.
    knows_routes: bool,
    /// The last thing read was more for a route.
    has_refilled: bool,
    ids: Ids,
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
            knows_routes: false,
            search_at: Some(now),
            search_after: None,
            loading: None,
            load_at: now,
            left_some: false,
            full: BTreeMap::new(),
            inactive: BTreeSet::new(),
            is_stopping: false,
            has_refilled: false,
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

    /// The accounts that have messages here.
    #[must_use]
    pub fn accounts(&self) -> BTreeSet<AccountSid> {
        let held = self.held.values();
        held.map(|held| held.queued.message.account).collect()
    }

    /// Whether nothing is being claimed or submitted.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.underway.values().all(|count| *count == 0)
    }

    /// The server stops: what is underway is completed, and nothing else is begun.
    pub const fn stop(&mut self) {
        self.is_stopping = true;
    }

    /// The accounts among [`accounts`](Self::accounts) that are suspended or closed: their messages end.
    pub fn set_inactive(&mut self, accounts: BTreeSet<AccountSid>, now: Timestamp) {
        if accounts == self.inactive {
            return;
        }
        self.inactive = accounts;
        let is_theirs = |held: &Held| self.inactive.contains(&held.queued.message.account);
        let theirs = self.held.iter().filter(|(_, held)| is_theirs(held));
        let theirs: Vec<MessageSid> = theirs.map(|(sid, _)| *sid).collect();
        for sid in theirs {
            self.plan(sid, now);
        }
        self.fill(now);
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
        if !self.knows_routes {
            self.knows_routes = true;
            self.commands.push(ForwardCommand::LoadInDoubt);
        }
        self.search_again(now);
        self.full.retain(|sid, _| known.contains(sid));
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
        if before.is_up != state.is_up {
            self.search_again(now);
        }
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

    /// Messages of a dead server may have been taken over.
    pub fn handle_adopted(&mut self, now: Timestamp) {
        self.leave_in_database(now);
        self.search_at = Some(now);
        if self.knows_routes {
            self.commands.push(ForwardCommand::LoadInDoubt);
        }
    }

    /// Messages of this server that are on record as being sent. Those that it does not know were being sent by a dead server, and
    /// it is not known whether the provider took them.
    pub fn handle_in_doubt(&mut self, found: Vec<Queued>, now: Timestamp) {
        for queued in found {
            let sid = queued.message.sid;
            let by = queued.message.forwarding.as_ref().and_then(|at| at.route);
            let Some(by) = by.filter(|_| !self.held.contains_key(&sid)) else {
                continue;
            };
            self.held
                .insert(sid, Held::new(queued, Place::Underway(by)));
            *self.underway.entry(by).or_default() += 1;
            let reason = "the server that sent it has stopped".to_owned();
            self.handle_outcome(sid, Outcome::Doubtful(reason), now);
        }
    }

    /// A page of the search.
    ///
    /// - `is_last`: whether nothing is behind it.
    pub fn handle_loaded(&mut self, page: Vec<Queued>, is_last: bool, now: Timestamp) {
        let loading = self.loading.take();
        let before = self.held.len();
        let last = page.last().and_then(|queued| {
            let forwarding = queued.message.forwarding.as_ref()?;
            Some((forwarding.due, queued.message.sid))
        });
        for queued in page {
            if self.held.len() >= MAX_HELD {
                self.leave_in_database(now);
                break;
            }
            self.hold(queued, now);
        }
        self.load_at = now + PAGE_PAUSE;
        if let (Some(Loading::Refill(route)), Some(last)) = (loading, last.filter(|_| !is_last)) {
            self.leave_for(route, last);
        }
        if loading == Some(Loading::Search) {
            let is_wanted = self.held.len() > before;
            self.search_after = if is_last { None } else { last };
            self.search_at = match (is_last, self.left_some) {
                (false, _) if is_wanted => Some(self.load_at),
                (false, _) => Some(now + IDLE_PAUSE),
                (true, true) => Some(now + RECHECK),
                (true, false) => None,
            };
            if is_last {
                self.left_some = false;
            }
        }
        self.fill(now);
    }

    /// A page could not be read.
    pub fn handle_load_failed(&mut self, now: Timestamp) {
        self.loading = None;
        self.load_at = now + RECHECK;
        // From the beginning: what was to be read for a route may lie before the place that was reached.
        self.search_after = None;
        self.search_at = Some(now + RECHECK);
    }

    /// Whether a claim was recorded; if not, the message has another status, and is no longer waiting.
    pub fn handle_claimed(&mut self, sid: MessageSid, applied: bool, now: Timestamp) {
        let Some(held) = self.held.get_mut(&sid) else {
            return;
        };
        let Place::Underway(route) = held.place else {
            return;
        };
        if applied {
            held.attempts += 1;
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
                self.requeue(sid, now);
            }
            Outcome::NotSent | Outcome::Returned => {
                if outcome == Outcome::NotSent {
                    held.tried.insert(by);
                }
                if let Some(forwarding) = &mut held.queued.message.forwarding {
                    forwarding.attempts -= 1;
                }
                self.requeue(sid, now);
            }
            Outcome::Doubtful(reason) => {
                let may_repeat = route.is_none_or(|route| route.on_doubt == OnDoubt::Resend);
                let mut doubts = 0;
                if let Some(forwarding) = &mut held.queued.message.forwarding {
                    forwarding.doubts += 1;
                    doubts = forwarding.doubts;
                }
                if may_repeat && doubts < MAX_DOUBTS {
                    held.tried.insert(by);
                    held.queued.message.reason = Some(reason);
                    self.requeue(sid, now);
                } else {
                    let reason =
                        format!("it is not known whether the provider accepted it: {reason}");
                    let code = Some(error::MESSAGE_FAILED);
                    self.end(sid, MessageStatus::Failed, code, reason, Vec::new(), now);
                }
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
        if self.loading.is_none() && self.load_at <= now {
            self.load(now);
        }
        self.fill(now);
    }

    /// Reads what is due to be read, if there is room.
    fn load(&mut self, now: Timestamp) {
        let search = self.search_at.is_some_and(|at| at <= now);
        // Neither keeps the other waiting.
        let refill = self.hungry().filter(|_| !(search && self.has_refilled));
        self.has_refilled = refill.is_some();
        if self.held.len() > MAX_HELD - PAGE {
            self.load_at = now + PAGE_PAUSE;
        } else if let Some((route, (due, _))) =
            refill.and_then(|route| Some((route, self.full.remove(&route)?)))
        {
            self.loading = Some(Loading::Refill(route));
            // From the first message on that is due then.
            let before = (Timestamp(due.0 - 1), MessageSid::from_bytes([0xFF; 16]));
            self.commands.push(ForwardCommand::Load(Some(before), PAGE));
        } else if search {
            self.loading = Some(Loading::Search);
            self.commands
                .push(ForwardCommand::Load(self.search_after, PAGE));
        }
    }

    /// A route whose share has room, and of which messages are in the database.
    fn hungry(&self) -> Option<MessageRouteSid> {
        let has_room = |route: &&MessageRouteSid| {
            let is_up = self.states.get(route).is_some_and(|state| state.is_up);
            let waiting = self.ready.get(route).map_or(0, VecDeque::len);
            is_up && waiting <= self.share() / 2
        };
        let hungry = self.full.iter().filter(|(route, _)| has_room(route));
        hungry
            .min_by_key(|(_, place)| **place)
            .map(|(route, _)| *route)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let first = |set: &BTreeSet<(Timestamp, MessageSid)>| set.first().map(|(at, _)| *at);
        let is_free = self.loading.is_none();
        let search = self.search_at.filter(|_| is_free);
        let search = search.map(|at| at.max(self.load_at));
        let refill = self.hungry().filter(|_| is_free).map(|_| self.load_at);
        [first(&self.later), first(&self.expiries), search, refill]
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
        self.held
            .insert(sid, Held::new(queued, Place::Later(now, false)));
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
        if !held.queued.is_active || self.inactive.contains(&held.queued.message.account) {
            let reason = "the account is suspended or closed".to_owned();
            let code = Some(error::MESSAGE_ACCOUNT);
            return self.end(sid, MessageStatus::Failed, code, reason, Vec::new(), now);
        }
        if forwarding.due > now {
            return self.wait(sid, forwarding.due, false);
        }
        let Some(route) = self.next_route(sid) else {
            let has_failed = self
                .held
                .get(&sid)
                .is_some_and(|held| !held.tried.is_empty());
            if has_failed {
                let due = self.after_all(sid, now);
                return self.wait(sid, due, false);
            }
            return self.wait(sid, now + RECHECK, true);
        };
        if self.ready.get(&route).map_or(0, VecDeque::len) >= self.share() {
            self.forget(sid);
            return self.leave_for(route, (forwarding.due, sid));
        }
        if let Some(held) = self.held.get_mut(&sid) {
            held.place = Place::Ready(route);
            self.expiries.insert((forwarding.expires, sid));
            self.ready.entry(route).or_default().push_back(sid);
        }
    }

    /// The best route that is up and has not failed in this round.
    fn next_route(&self, sid: MessageSid) -> Option<MessageRouteSid> {
        let held = self.held.get(&sid)?;
        let is_up = |route: &MessageRoute| {
            let state = self.states.get(&route.sid);
            state.is_some_and(|state| state.is_up)
        };
        let mut routes = router::choose(&self.routes, held.ask()).into_iter();
        let next = routes.find(|route| is_up(route) && !held.tried.contains(&route.sid));
        next.map(|route| route.sid)
    }

    /// When a message is tried again that all routes have failed to send. The delay doubles with each round; how many there
    /// were follows from the attempts on record, so that it outlives this process.
    fn after_all(&mut self, sid: MessageSid, now: Timestamp) -> Timestamp {
        let Some(held) = self.held.get_mut(&sid) else {
            return now;
        };
        held.tried.clear();
        let attempts = held.queued.message.forwarding.as_ref();
        let attempts = attempts.map_or(0, |forwarding| forwarding.attempts.max(1) - 1);
        let routes = router::choose(&self.routes, held.ask()).len().max(1);
        let rounds = attempts / i64::try_from(routes).unwrap_or(i64::MAX);
        let doubled = RETRY_MIN * 2_u32.saturating_pow(u32::try_from(rounds.min(16)).unwrap_or(0));
        now + doubled.min(RETRY_MAX)
    }

    /// How many messages may wait for a route's window.
    fn share(&self) -> usize {
        (MAX_READY / self.routes.len().max(1)).clamp(1, SHARE_MAX)
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
        if self.is_stopping {
            return;
        }
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
        let claim = Move::of(message, MessageStatus::Queued, held.attempts);
        self.commands.push(ForwardCommand::Claim(claim));
    }

    /// Records that a message waits again: for another route, or for a time if all have failed.
    fn requeue(&mut self, sid: MessageSid, now: Timestamp) {
        self.leave_place(sid);
        let due = match self.next_route(sid) {
            Some(_) => now,
            None => self.after_all(sid, now),
        };
        if let Some(held) = self.held.get_mut(&sid) {
            let message = &mut held.queued.message;
            message.status = MessageStatus::Queued;
            message.updated = now;
            let before = held.attempts;
            if let Some(forwarding) = &mut message.forwarding {
                forwarding.due = due;
                held.attempts = forwarding.attempts;
            }
            let moved = Move::of(message, MessageStatus::Sending, before);
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
            attempt: Some(held.attempts),
            parts,
            callback,
            notification,
        }));
    }

    /// Leaves a message of a route in the database until there is room for it.
    fn leave_for(&mut self, route: MessageRouteSid, place: (Timestamp, MessageSid)) {
        let first = self.full.entry(route).or_insert(place);
        *first = place.min(*first);
    }

    /// What was left for a route may leave by another one now.
    fn search_again(&mut self, now: Timestamp) {
        if !self.full.is_empty() {
            self.leave_in_database(now);
        }
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

impl Held {
    fn new(queued: Queued, place: Place) -> Self {
        let attempts = queued.message.forwarding.as_ref();
        Self {
            attempts: attempts.map_or(0, |forwarding| forwarding.attempts),
            queued,
            place,
            tried: BTreeSet::new(),
        }
    }

    fn ask(&self) -> router::Ask<'_> {
        router::Ask {
            from: &self.queued.message.from,
            to: &self.queued.message.to,
            accounts: &self.queued.accounts,
        }
    }
}

#[cfg(test)]
mod tests;
