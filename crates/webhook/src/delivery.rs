//! Which callback goes out when: the pure part of the delivery.
//!
//! The callbacks of one call to one host make a *lane*: one after the other, in the order of their
//! sequence; a failed one holds up those behind it until it is through or given up. A host is what
//! one account reaches at one origin: it has a breaker and a limited number of places, and an
//! account has a limited number of places in all, so nothing an account does costs another one
//! anything. **Invariant: a row ends exactly once, and never while a row of its lane with a lower
//! sequence waits.** It has no clock and no random source, and sends nothing itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use model::{AccountSid, CallSid, EventSid, Timestamp};
use url::Url;

use crate::backoff::Backoff;
use crate::breaker::{Breaker, BreakerSettings, Change, Verdict};
use crate::outbox::{Failure, Outcome, PendingCallback};

/// Settings of the delivery.
#[derive(Clone, Debug)]
pub struct CallbackConfig {
    /// Planned wait after the first failure; doubles with each further one.
    pub first_wait: Duration,
    /// Longest planned wait, and longest wait a server can ask for.
    pub longest_wait: Duration,
    /// A callback older than this is given up when an attempt fails.
    pub max_age: Duration,
    /// Callbacks of one account on their way to one origin at once.
    pub per_host: usize,
    /// Callbacks of one account on their way at once.
    pub per_account: usize,
    /// Failures in a row after which a host is left alone.
    pub breaker_failures: u32,
    /// For how long, the first time; doubles with each probe that fails.
    pub breaker_wait: Duration,
    /// For how long at most.
    pub breaker_longest: Duration,
    /// How often to look for rows that somebody wants delivered again.
    pub replay_every: Duration,
}

impl Default for CallbackConfig {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(300),
            max_age: Duration::from_secs(24 * 3600),
            per_host: 8,
            per_account: 32,
            breaker_failures: 5,
            breaker_wait: Duration::from_secs(10),
            breaker_longest: Duration::from_secs(60),
            replay_every: Duration::from_secs(1),
        }
    }
}

impl CallbackConfig {
    pub(crate) fn backoff(&self) -> Backoff {
        Backoff {
            first: self.first_wait,
            longest: self.longest_wait,
        }
    }

    fn breaker(&self) -> Breaker {
        Breaker::new(BreakerSettings {
            failures: self.breaker_failures.max(1),
            waits: Backoff {
                first: self.breaker_wait,
                longest: self.breaker_longest.max(self.breaker_wait),
            },
        })
    }
}

/// What an attempt says about a callback.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Attempt {
    /// Nothing is left to try.
    Ended(Outcome),
    /// To be tried again, perhaps after the time that the server asked for.
    Failed {
        failure: Failure,
        asked: Option<Duration>,
    },
}

impl Attempt {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Ended(Outcome::Delivered { .. }) => Verdict::Alive,
            Self::Ended(Outcome::Dead(failure)) if failure.status.is_some() => Verdict::Alive,
            Self::Ended(Outcome::Dead(_)) => Verdict::Unknown,
            Self::Failed { asked, .. } => Verdict::Failing { asked: *asked },
        }
    }
}

/// What the shell has to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Output {
    /// Try this row and tell [`Delivery::handle_attempt`].
    Send(Box<PendingCallback>),
    /// Note the failed attempt of this row.
    Retry(Box<PendingCallback>, Failure),
    /// Store the end of this row, then tell [`Delivery::handle_stored`].
    End(Box<PendingCallback>, Outcome),
    /// A host is left alone.
    Opened {
        account: AccountSid,
        origin: Arc<str>,
        until: Timestamp,
    },
    /// It answers again.
    Closed {
        account: AccountSid,
        origin: Arc<str>,
    },
}

/// What has happened since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CallbackStats {
    /// Rows that are not through.
    pub waiting: u64,
    /// Hosts that are left alone, counted for each account.
    pub open_hosts: u64,
    /// Rows that the application took.
    pub delivered: u64,
    /// Rows that were given up.
    pub dead: u64,
    /// Attempts that failed and are repeated.
    pub retried: u64,
    /// How often a host was left alone.
    pub opened: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Waiting,
    Flying { probe: bool },
}

struct Row {
    pending: PendingCallback,
    stage: Stage,
}

/// The callbacks of a call to a host. The key is the order.
#[derive(Default)]
struct Lane {
    rows: BTreeMap<(i64, EventSid), Row>,
    flying: bool,
    /// Where it stands among the idle lanes of its host.
    due: Option<Timestamp>,
}

impl Lane {
    /// When its first row may go, if none is on its way.
    fn next(&self) -> Option<Timestamp> {
        let (_, first) = self.rows.first_key_value()?;
        (!self.flying && first.stage == Stage::Waiting).then_some(first.pending.next_at)
    }
}

struct Host {
    breaker: Breaker,
    flying: usize,
    lanes: BTreeMap<CallSid, Lane>,
    idle: BTreeSet<(Timestamp, CallSid)>,
    /// Where it stands in the agenda of its account.
    wake: Option<Timestamp>,
}

#[derive(Default)]
struct Account {
    flying: usize,
    hosts: BTreeMap<Arc<str>, Host>,
    agenda: BTreeSet<(Timestamp, Arc<str>)>,
    /// Where it stands in the agenda of all.
    wake: Option<Timestamp>,
}

#[derive(Clone)]
struct Place {
    account: AccountSid,
    origin: Arc<str>,
    call: CallSid,
    key: (i64, EventSid),
}

/// The rows that are not through, and when each goes out.
pub(crate) struct Delivery {
    config: CallbackConfig,
    accounts: BTreeMap<AccountSid, Account>,
    agenda: BTreeSet<(Timestamp, AccountSid)>,
    known: BTreeMap<EventSid, Place>,
    outputs: VecDeque<Output>,
    counts: CallbackStats,
}

impl Delivery {
    /// Nothing to do yet.
    pub(crate) fn new(config: CallbackConfig) -> Self {
        Self {
            config,
            accounts: BTreeMap::new(),
            agenda: BTreeSet::new(),
            known: BTreeMap::new(),
            outputs: VecDeque::new(),
            counts: CallbackStats::default(),
        }
    }

    /// Takes a row in its place among those of its lane. One that is known is left alone.
    pub(crate) fn handle_row(&mut self, pending: PendingCallback) {
        let callback = &pending.callback;
        if self.known.contains_key(&callback.event) {
            return;
        }
        let place = Place {
            account: callback.account,
            origin: origin(&callback.url),
            call: callback.call,
            key: (callback.sequence, callback.event),
        };
        self.known.insert(callback.event, place.clone());
        let account = self.accounts.entry(place.account).or_default();
        let host = account
            .hosts
            .entry(Arc::clone(&place.origin))
            .or_insert_with(|| Host {
                breaker: self.config.breaker(),
                flying: 0,
                lanes: BTreeMap::new(),
                idle: BTreeSet::new(),
                wake: None,
            });
        let stage = Stage::Waiting;
        let lane = host.lanes.entry(place.call).or_default();
        lane.rows.insert(place.key, Row { pending, stage });
        host.settle(place.call);
        self.plan(place.account, &place.origin);
    }

    /// An attempt came back.
    ///
    /// - `random`: 0 to 1.
    pub(crate) fn handle_attempt(
        &mut self,
        event: EventSid,
        attempt: Attempt,
        now: Timestamp,
        random: f64,
    ) {
        let Some(place) = self.known.get(&event).cloned() else {
            return;
        };
        let (max_age, backoff) = (self.config.max_age, self.config.backoff());
        let Some(account) = self.accounts.get_mut(&place.account) else {
            return;
        };
        let Some(host) = account.hosts.get_mut(&place.origin) else {
            return;
        };
        let Some(lane) = host.lanes.get_mut(&place.call) else {
            return;
        };
        let Some(row) = lane.rows.get_mut(&place.key) else {
            return;
        };
        let Stage::Flying { probe } = row.stage else {
            return;
        };
        account.flying = account.flying.saturating_sub(1);
        host.flying = host.flying.saturating_sub(1);
        lane.flying = false;
        let verdict = attempt.verdict();
        row.pending.attempts = row.pending.attempts.saturating_add(1);
        let ended = match attempt {
            Attempt::Ended(outcome) => Some(outcome),
            Attempt::Failed { failure, .. } if now.since(row.pending.since) >= max_age => {
                Some(Outcome::Dead(failure))
            }
            Attempt::Failed { failure, asked } => {
                row.pending.next_at = now + backoff.wait(row.pending.attempts, asked, random);
                row.stage = Stage::Waiting;
                self.counts.retried += 1;
                let pending = Box::new(row.pending.clone());
                self.outputs.push_back(Output::Retry(pending, failure));
                None
            }
        };
        // The next of the call need not wait until the end of this one is stored.
        if let Some(outcome) = ended
            && let Some(row) = lane.rows.remove(&place.key)
        {
            let pending = Box::new(row.pending);
            self.outputs.push_back(Output::End(pending, outcome));
        }
        host.settle(place.call);
        let change = host.breaker.handle_verdict(verdict, probe, now, random);
        if !host.breaker.is_closed() {
            self.outputs.extend(host.expire(now, max_age));
        }
        self.tell(change, &place);
        self.plan(place.account, &place.origin);
    }

    /// The end of a row is on disk, or cannot be stored: it is not known any more.
    pub(crate) fn handle_stored(&mut self, event: EventSid, outcome: &Outcome) {
        if self.known.remove(&event).is_none() {
            return;
        }
        match outcome {
            Outcome::Delivered { .. } => self.counts.delivered += 1,
            Outcome::Dead(_) => self.counts.dead += 1,
        }
    }

    /// What to do by now.
    pub(crate) fn poll_output(&mut self, now: Timestamp) -> Option<Output> {
        while self.outputs.is_empty() {
            let (at, sid) = *self.agenda.first()?;
            if at > now {
                return None;
            }
            self.start(sid);
        }
        self.outputs.pop_front()
    }

    /// When the next row may go out.
    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// Whether a row is not through.
    pub(crate) fn knows(&self, event: EventSid) -> bool {
        self.known.contains_key(&event)
    }

    /// Rows that are not through.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    pub(crate) fn stats(&self) -> CallbackStats {
        let hosts = self.accounts.values().flat_map(|of| of.hosts.values());
        let open = hosts.filter(|host| !host.breaker.is_closed()).count();
        CallbackStats {
            waiting: self.known.len() as u64,
            open_hosts: open as u64,
            ..self.counts
        }
    }

    /// Sends the row that is due first at the host of an account that is due first.
    fn start(&mut self, sid: AccountSid) {
        let Some(account) = self.accounts.get_mut(&sid) else {
            self.agenda.retain(|(_, known)| *known != sid);
            return;
        };
        let Some((_, origin)) = account.agenda.first().cloned() else {
            self.plan_account(sid);
            return;
        };
        if let Some(host) = account.hosts.get_mut(&origin)
            && let Some(row) = host.start()
        {
            account.flying += 1;
            self.outputs.push_back(Output::Send(Box::new(row)));
        }
        self.plan(sid, &origin);
    }

    fn tell(&mut self, change: Option<Change>, place: &Place) {
        let (account, origin) = (place.account, Arc::clone(&place.origin));
        match change {
            Some(Change::Opened { until }) => {
                self.counts.opened += 1;
                self.outputs.push_back(Output::Opened {
                    account,
                    origin,
                    until,
                });
            }
            Some(Change::Closed) => self.outputs.push_back(Output::Closed { account, origin }),
            None => {}
        }
    }

    /// Puts a host in its place in the agenda; one with nothing to do and to remember is dropped.
    fn plan(&mut self, sid: AccountSid, origin: &Arc<str>) {
        let Some(account) = self.accounts.get_mut(&sid) else {
            return;
        };
        let Some(host) = account.hosts.get_mut(origin) else {
            return;
        };
        let wake = host.next(self.config.per_host);
        if wake != host.wake {
            if let Some(at) = host.wake {
                account.agenda.remove(&(at, Arc::clone(origin)));
            }
            if let Some(at) = wake {
                account.agenda.insert((at, Arc::clone(origin)));
            }
            host.wake = wake;
        }
        if host.lanes.is_empty() && host.wake.is_none() {
            account.hosts.remove(origin);
        }
        self.plan_account(sid);
    }

    fn plan_account(&mut self, sid: AccountSid) {
        let Some(account) = self.accounts.get_mut(&sid) else {
            return;
        };
        let is_full = account.flying >= self.config.per_account.max(1);
        let first = account.agenda.first().filter(|_| !is_full);
        let wake = first.map(|(at, _)| *at);
        if let Some(at) = account.wake {
            self.agenda.remove(&(at, sid));
        }
        if let Some(at) = wake {
            self.agenda.insert((at, sid));
        }
        account.wake = wake;
        if account.hosts.is_empty() && account.flying == 0 {
            self.accounts.remove(&sid);
        }
    }
}

impl Host {
    /// When it may be used next: by its first lane, or to be forgotten once its breaker's time is
    /// over.
    fn next(&self, places: usize) -> Option<Timestamp> {
        let earliest = self.breaker.earliest()?;
        match self.idle.first() {
            Some((due, _)) => (self.flying < places.max(1)).then_some(earliest.max(*due)),
            None if self.lanes.is_empty() && !self.breaker.is_closed() => Some(earliest),
            None => None,
        }
    }

    /// The first row of the lane that is due first; a host without lanes forgets what it knew.
    fn start(&mut self) -> Option<PendingCallback> {
        let Some((_, call)) = self.idle.first().copied() else {
            self.breaker
                .handle_verdict(Verdict::Alive, false, Timestamp(0), 0.0);
            return None;
        };
        let lane = self.lanes.get_mut(&call)?;
        let mut first = lane.rows.first_entry()?;
        let probe = self.breaker.handle_start();
        first.get_mut().stage = Stage::Flying { probe };
        let pending = first.get().pending.clone();
        lane.flying = true;
        self.flying += 1;
        self.settle(call);
        Some(pending)
    }

    /// Puts a lane in its place among the idle ones; an empty one is dropped.
    fn settle(&mut self, call: CallSid) {
        let Some(lane) = self.lanes.get_mut(&call) else {
            return;
        };
        let due = lane.next();
        if let Some(at) = lane.due {
            self.idle.remove(&(at, call));
        }
        if let Some(at) = due {
            self.idle.insert((at, call));
        }
        lane.due = due;
        if lane.rows.is_empty() {
            self.lanes.remove(&call);
        }
    }

    /// Gives up the rows that are too old to wait for a host that does not answer.
    fn expire(&mut self, now: Timestamp, max_age: Duration) -> Vec<Output> {
        let mut ended = Vec::new();
        let calls: Vec<CallSid> = self.lanes.keys().copied().collect();
        for call in calls {
            let Some(lane) = self.lanes.get_mut(&call) else {
                continue;
            };
            let old = lane.rows.extract_if(.., |_, row| {
                row.stage == Stage::Waiting && now.since(row.pending.since) >= max_age
            });
            for (_, row) in old {
                let outcome = Outcome::Dead(Failure {
                    status: None,
                    reason: "the host has not answered for too long".to_owned(),
                });
                ended.push(Output::End(Box::new(row.pending), outcome));
            }
            self.settle(call);
        }
        ended
    }
}

/// Scheme, host and port of an address.
pub(crate) fn origin(url: &str) -> Arc<str> {
    Url::parse(url).map_or_else(
        |_| "invalid".into(),
        |url| url.origin().ascii_serialization().into(),
    )
}

#[cfg(test)]
mod tests;
