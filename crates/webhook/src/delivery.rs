//! Decides which callback is sent when: the pure part of the delivery.
//!
//! A *lane* is the subject of callbacks: a call, a conference, a message. Those of one lane to one
//! host form a *queue*: they go out one after the other, in order of sequence; a failed one delays
//! those after it until it is delivered or given up. A *host* is one origin as reached by one
//! account: it has a breaker and a limited number of slots. A *customer* (`shares`) has a limited number of
//! slots in total, so no customer can affect another, however many accounts it has. **Invariant: a row ends exactly once,
//! and never while a row of its queue with a lower sequence waits.** It has no clock and no random
//! source, and sends nothing itself.
//!
//! All rows are on disk; a limited number is also in memory, the first ones of each queue. When
//! there is no room for one more, the customer with the most rows in memory evicts the last ones of its account with the
//! most, taken from that account's host with the most. `pages` reads back the rows that are only on disk.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use model::backoff::Backoff;
use model::breaker::{Breaker, BreakerSettings, Change, Verdict};
use model::{AccountSid, EventSid, Lane, Timestamp, error};
use url::Url;

use crate::outbox::{Failure, Outcome, PendingCallback, RowPlace};

mod host;
mod pages;
mod shares;

use host::{Host, Row, Stage};
use pages::Pages;
pub(crate) use pages::Read;
use shares::Shares;

/// Rows read from disk at a time.
pub(crate) const PAGE: usize = 500;

/// Maximum rows evicted at a time to make room.
const PUT_BACK: usize = 64;

/// Settings of the delivery.
#[derive(Clone, Debug)]
pub struct CallbackConfig {
    /// Planned wait after the first failure; doubles with each further failure.
    pub first_wait: Duration,
    /// Longest planned wait, and the longest wait a server can request.
    pub longest_wait: Duration,
    /// A callback older than this is given up when an attempt fails.
    pub max_age: Duration,
    /// Maximum concurrent callbacks of one account to one origin.
    pub per_host: usize,
    /// Maximum concurrent callbacks of one customer: an account directly below the top account, with its sub-accounts.
    pub per_customer: usize,
    /// Maximum concurrent callbacks in total.
    pub at_once: usize,
    /// Consecutive failures that open the circuit breaker of a host.
    pub breaker_failures: u32,
    /// How long it opens the first time; doubles with each failed probe.
    pub breaker_wait: Duration,
    /// The longest it opens.
    pub breaker_longest: Duration,
    /// How often to look for rows to replay.
    pub replay_every: Duration,
    /// Maximum rows in memory; the others wait on disk.
    pub max_rows: usize,
}

impl Default for CallbackConfig {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(300),
            max_age: Duration::from_secs(24 * 3600),
            per_host: 8,
            per_customer: 32,
            at_once: 1024,
            breaker_failures: 5,
            breaker_wait: Duration::from_secs(10),
            breaker_longest: Duration::from_secs(60),
            replay_every: Duration::from_secs(1),
            max_rows: 20_000,
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

/// The result of an attempt for a callback.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Attempt {
    /// Nothing is left to try.
    Ended(Outcome),
    /// To be retried, possibly after the wait that the server requested.
    Failed {
        failure: Failure,
        asked: Option<Duration>,
    },
    /// Nothing could be sent, for a reason unrelated to the host; to be retried.
    Unsent { reason: String },
}

impl Attempt {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Ended(Outcome::Delivered { .. }) => Verdict::Alive,
            Self::Ended(Outcome::Dead(failure)) if failure.status.is_some() => Verdict::Alive,
            Self::Ended(Outcome::Dead(_) | Outcome::Dropped) | Self::Unsent { .. } => {
                Verdict::Unknown
            }
            Self::Failed { asked, .. } => Verdict::Failing { asked: *asked },
        }
    }
}

/// What becomes of a row that is to be dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Drop {
    /// Its end is to be stored.
    Ends,
    /// It is being sent, or its end is being stored.
    InProgress,
    /// It is not in memory, and will not be taken there.
    OnDisk,
}

/// An action for the shell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Output {
    /// Try this row and report the result to [`Delivery::handle_attempt`].
    Send(Box<PendingCallback>),
    /// Store the failed attempt of this row.
    Retry(Box<PendingCallback>, Failure),
    /// Store the end of this row, then report to [`Delivery::handle_stored`].
    End(Box<PendingCallback>, Outcome),
    /// Read this page of the outbox and report to [`Delivery::handle_page`].
    Read(Read),
    /// Find the customer of this account and report to [`Delivery::handle_customer`].
    Ask(AccountSid),
    /// Requests to a host are suspended.
    Opened {
        account: AccountSid,
        origin: Arc<str>,
        until: Timestamp,
    },
    /// The host responds again.
    Closed {
        account: AccountSid,
        origin: Arc<str>,
    },
}

/// Counters since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CallbackStats {
    /// Rows that are not through.
    pub waiting: u64,
    /// Hosts whose breaker is open, counted per account.
    pub open_hosts: u64,
    /// Rows accepted by the application.
    pub delivered: u64,
    /// Rows that were given up.
    pub dead: u64,
    /// Failed attempts that will be retried.
    pub retried: u64,
    /// How often a circuit breaker opened.
    pub opened: u64,
}

/// A time, and an order among those of the same time.
type Turn = (Timestamp, u64);

#[derive(Default)]
struct Account {
    flying: usize,
    /// Rows in the queues of its hosts.
    rows: usize,
    hosts: BTreeMap<Arc<str>, Host>,
    agenda: BTreeSet<(Timestamp, Arc<str>)>,
    /// Its position in the agenda of all accounts.
    wake: Option<Turn>,
    /// When it last sent: those that are due and have waited since before that come first.
    served: Turn,
    /// It is due, and waits for a slot of its customer.
    blocked: bool,
}

#[derive(Clone)]
struct Place {
    account: AccountSid,
    origin: Arc<str>,
    lane: Lane,
    key: (i64, EventSid),
}

/// The unfinished rows, and when each is sent.
pub(crate) struct Delivery {
    config: CallbackConfig,
    accounts: BTreeMap<AccountSid, Account>,
    agenda: BTreeSet<(Turn, AccountSid)>,
    /// Requests sent so far.
    sent: u64,
    shares: Shares,
    known: BTreeMap<EventSid, Place>,
    pages: Pages,
    outputs: VecDeque<Output>,
    counts: CallbackStats,
}

impl Delivery {
    /// An idle delivery.
    pub(crate) fn new(config: CallbackConfig) -> Self {
        let shares = Shares::new(config.per_customer, config.at_once);
        Self {
            config,
            accounts: BTreeMap::new(),
            agenda: BTreeSet::new(),
            sent: 0,
            shares,
            known: BTreeMap::new(),
            pages: Pages::default(),
            outputs: VecDeque::new(),
            counts: CallbackStats::default(),
        }
    }

    /// Puts a stored row in its place in its queue, or leaves it on disk. A known one is
    /// unaffected.
    pub(crate) fn handle_row(&mut self, pending: PendingCallback) {
        if self.known.contains_key(&pending.callback.event) {
            return;
        }
        let place = Place::of(&pending);
        // A replayed row belongs before those of its queue that are in memory.
        let is_early = self.last_key(&place) > Some(place.key);
        let is_behind = self.pages.is_behind(place.account, &place.origin);
        if (is_early || !is_behind) && self.make_room(&place, is_early) {
            self.insert(place, pending);
        } else {
            self.leave(&place);
        }
    }

    /// The customer of an account; `None` if it could not be found, and the account counts alone for now.
    pub(crate) fn handle_customer(&mut self, sid: AccountSid, customer: Option<AccountSid>) {
        let flying = self.accounts.get(&sid).map_or(0, |account| account.flying);
        let before = self.shares.customer(sid);
        self.shares.learn(sid, customer, flying);
        self.release(before);
        if let Some(account) = self.accounts.get_mut(&sid) {
            // Its turn comes again, under the limit that applies now.
            account.blocked = false;
            self.plan_account(sid);
        }
    }

    /// Starts reading the rows on disk.
    ///
    /// - `count`: how many rows there are.
    pub(crate) fn look_through(&mut self, count: u64) {
        self.pages
            .look_through(count.saturating_sub(self.known.len() as u64));
    }

    /// Whether the content of the disk is not fully known yet.
    pub(crate) fn is_looking_through(&self) -> bool {
        self.pages.is_thorough()
    }

    /// The requested page of the outbox; `None` if it cannot be read.
    pub(crate) fn handle_page(
        &mut self,
        read: Read,
        page: Option<Vec<PendingCallback>>,
        now: Timestamp,
    ) {
        if !self.pages.open(read.pass) {
            return;
        }
        let Some(page) = page else {
            self.pages.fail(now);
            return;
        };
        let is_last = page.len() < PAGE;
        let is_through = page.into_iter().all(|row| self.handle_stored_row(row));
        self.pages.close(is_last && is_through, now);
    }

    /// Takes a row of a page or skips it; false if the pass must come back to it.
    fn handle_stored_row(&mut self, pending: PendingCallback) -> bool {
        let place = Place::of(&pending);
        let at = place.row();
        let is_closed = self.pages.is_closed(at, &place.origin);
        if !self.known.contains_key(&at.event) && !self.pages.has_ended(at.event) {
            if !is_closed && self.make_room(&place, false) {
                self.pages.take();
                self.insert(place, pending);
            } else {
                let held = self.held(&place);
                let accounts = &self.accounts;
                let by = |whose: &_| held_by(accounts, whose);
                let (account, origin) = (place.account, &place.origin);
                if !self.pages.pass_over(account, origin, at, held, by) {
                    return false;
                }
            }
        }
        self.pages.step(at);
        true
    }

    fn insert(&mut self, place: Place, pending: PendingCallback) {
        self.known.insert(place.key.1, place.clone());
        if self.shares.asks_for(place.account) {
            self.outputs.push_back(Output::Ask(place.account));
        }
        let account = self.accounts.entry(place.account).or_default();
        let host = account
            .hosts
            .entry(Arc::clone(&place.origin))
            .or_insert_with(|| Host::new(self.config.breaker()));
        account.rows += 1;
        host.rows += 1;
        let stage = Stage::Waiting;
        let queue = host.queues.entry(place.lane).or_default();
        queue.rows.insert(place.key, Row { pending, stage });
        host.settle(place.lane);
        self.plan(place.account, &place.origin);
    }

    fn leave(&mut self, place: &Place) {
        let held = self.held(place);
        self.pages
            .leave(place.account, &place.origin, place.row(), held);
    }

    /// Rows in memory of a row's host and account.
    fn held(&self, place: &Place) -> (usize, usize) {
        let Some(account) = self.accounts.get(&place.account) else {
            return (0, 0);
        };
        let host = account.hosts.get(&place.origin);
        (host.map_or(0, |host| host.rows), account.rows)
    }

    /// The last row of a queue.
    fn last_key(&self, place: &Place) -> Option<(i64, EventSid)> {
        let host = self
            .accounts
            .get(&place.account)?
            .hosts
            .get(&place.origin)?;
        let (key, _) = host.queues.get(&place.lane)?.rows.last_key_value()?;
        Some(*key)
    }

    /// Rows in memory by customer.
    fn rows_of_customers(&self) -> BTreeMap<AccountSid, usize> {
        let mut rows = BTreeMap::new();
        for (sid, account) in &self.accounts {
            *rows.entry(self.shares.customer(*sid)).or_default() += account.rows;
        }
        rows
    }

    /// Ensures room for one more row; false if its host has as many as any other.
    ///
    /// - `is_early`: it may take the place of a later one of its queue.
    fn make_room(&mut self, place: &Place, is_early: bool) -> bool {
        if self.known.len() < self.config.max_rows.max(1) {
            return true;
        }
        if is_early && self.put_back(place.account, &place.origin, Some(place.lane), 1) {
            return true;
        }
        let (here, _) = self.held(place);
        let rows = self.rows_of_customers();
        let customer = self.shares.customer(place.account);
        let own = rows.get(&customer).copied().unwrap_or(0);
        let most = rows.iter().max_by_key(|(_, rows)| **rows);
        let (greediest, more) = match most {
            Some((greediest, rows)) if *rows > own + 1 => (*greediest, rows - own),
            Some(_) | None => (customer, 0),
        };
        let of_greediest = self.accounts.iter();
        let of_greediest = of_greediest.filter(|(sid, _)| self.shares.customer(**sid) == greediest);
        let from = of_greediest.max_by_key(|(_, account)| account.rows);
        let from = from.map_or(place.account, |(sid, _)| *sid);
        let largest = self.accounts.get(&from).and_then(|account| {
            let largest = account.hosts.iter().max_by_key(|(_, host)| host.rows)?;
            Some((Arc::clone(largest.0), largest.1.rows))
        });
        let Some((origin, rows)) = largest else {
            return false;
        };
        let more = if greediest == customer {
            rows.saturating_sub(here)
        } else {
            more
        };
        more > 1 && self.put_back(from, &origin, None, (more / 2).min(PUT_BACK))
    }

    /// Evicts the last waiting rows of a host, or of one of its queues; false if there are none.
    fn put_back(
        &mut self,
        sid: AccountSid,
        origin: &Arc<str>,
        lane: Option<Lane>,
        count: usize,
    ) -> bool {
        let Some(account) = self.accounts.get_mut(&sid) else {
            return false;
        };
        let Some(host) = account.hosts.get_mut(origin) else {
            return false;
        };
        let events = host.put_back(lane, count);
        account.rows = account.rows.saturating_sub(events.len());
        for event in &events {
            if let Some(place) = self.known.remove(event) {
                self.leave(&place);
            }
        }
        self.plan(sid, origin);
        !events.is_empty()
    }

    /// Handles the result of an attempt.
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
        let Some(queue) = host.queues.get_mut(&place.lane) else {
            return;
        };
        let Some(row) = queue.rows.get_mut(&place.key) else {
            return;
        };
        let Stage::Flying { probe } = row.stage else {
            return;
        };
        account.flying = account.flying.saturating_sub(1);
        self.shares.land(place.account);
        host.flying = host.flying.saturating_sub(1);
        queue.flying = false;
        let verdict = match attempt.verdict() {
            Verdict::Failing { asked } if row.pending.attempts > 0 => {
                Verdict::StillFailing { asked }
            }
            verdict => verdict,
        };
        row.pending.attempts = row.pending.attempts.saturating_add(1);
        let (failure, asked) = match attempt {
            Attempt::Ended(outcome) => (Err(outcome), None),
            Attempt::Failed { failure, asked } => (Ok(failure), asked),
            Attempt::Unsent { reason } => {
                let (code, status) = (error::FETCH_IO, None);
                (
                    Ok(Failure {
                        code,
                        status,
                        reason,
                    }),
                    None,
                )
            }
        };
        let ended = match failure {
            Err(outcome) => Some(outcome),
            Ok(failure) if now.since(row.pending.since) >= max_age => Some(Outcome::Dead(failure)),
            Ok(failure) => {
                row.pending.next_at = now + backoff.wait(row.pending.attempts, asked, random);
                row.stage = Stage::Waiting;
                self.counts.retried += 1;
                let pending = Box::new(row.pending.clone());
                self.outputs.push_back(Output::Retry(pending, failure));
                None
            }
        };
        // The next row of the queue need not wait until the end of this one is stored.
        if let Some(outcome) = ended
            && let Some(row) = queue.rows.remove(&place.key)
        {
            account.rows = account.rows.saturating_sub(1);
            host.rows = host.rows.saturating_sub(1);
            let pending = Box::new(row.pending);
            self.outputs.push_back(Output::End(pending, outcome));
        }
        host.settle(place.lane);
        let change = host.breaker.handle_verdict(verdict, probe, now, random);
        if !host.breaker.is_closed() {
            let ended = host.expire(now, max_age);
            account.rows = account.rows.saturating_sub(ended.len());
            self.outputs.extend(ended);
        }
        self.tell(change, &place);
        self.plan(place.account, &place.origin);
        let customer = self.shares.customer(place.account);
        self.release(customer);
    }

    /// Someone wants a row dropped. The ones after it in its queue need not wait for it any more. One in progress is
    /// unaffected: if it fails, it can be dropped then.
    pub(crate) fn handle_drop(&mut self, event: EventSid) -> Drop {
        let Some(place) = self.known.get(&event).cloned() else {
            // A page that is being read may contain it.
            self.pages.note_end(event);
            return Drop::OnDisk;
        };
        let Some(account) = self.accounts.get_mut(&place.account) else {
            return Drop::InProgress;
        };
        let Some(host) = account.hosts.get_mut(&place.origin) else {
            return Drop::InProgress;
        };
        let Some(row) = host.take_waiting(place.lane, place.key) else {
            return Drop::InProgress;
        };
        account.rows = account.rows.saturating_sub(1);
        let row = Box::new(row);
        self.outputs.push_back(Output::End(row, Outcome::Dropped));
        self.plan(place.account, &place.origin);
        Drop::Ends
    }

    /// Lets the account of a customer that has waited longest for a slot send, if there is a slot.
    fn release(&mut self, customer: AccountSid) {
        while !self.shares.is_full(customer) {
            let Some(sid) = self.shares.next(customer) else {
                return;
            };
            if let Some(account) = self.accounts.get_mut(&sid)
                && account.blocked
            {
                account.blocked = false;
                return self.plan_account(sid);
            }
        }
    }

    /// The end of a row is stored, or cannot be stored: forgets the row.
    pub(crate) fn handle_stored(&mut self, event: EventSid, outcome: &Outcome) {
        if self.known.remove(&event).is_none() {
            return;
        }
        self.pages.note_end(event);
        match outcome {
            Outcome::Delivered { .. } => self.counts.delivered += 1,
            Outcome::Dead(_) | Outcome::Dropped => self.counts.dead += 1,
        }
    }

    /// The next action due by `now`.
    pub(crate) fn poll_output(&mut self, now: Timestamp) -> Option<Output> {
        while self.outputs.is_empty() {
            if self.next_read().is_some_and(|at| at <= now) {
                return Some(Output::Read(self.pages.read()));
            }
            let ((at, _), sid) = *self.agenda.first()?;
            if at > now || self.shares.are_all_taken() {
                return None;
            }
            self.start(sid, now);
        }
        self.outputs.pop_front()
    }

    /// When the next row may be sent, or a page is to be read.
    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        let sending = self.agenda.first().map(|((at, _), _)| *at);
        let sending = sending.filter(|_| !self.shares.are_all_taken());
        sending.into_iter().chain(self.next_read()).min()
    }

    fn next_read(&self) -> Option<Timestamp> {
        self.pages.next(|whose| held_by(&self.accounts, whose))
    }

    /// Whether a row is in memory and unfinished.
    pub(crate) fn knows(&self, event: EventSid) -> bool {
        self.known.contains_key(&event)
    }

    /// Number of unfinished rows; approximate while some are only on disk.
    pub(crate) fn len(&self) -> u64 {
        self.known.len() as u64 + self.pages.on_disk()
    }

    /// Whether every row is finished.
    pub(crate) fn is_idle(&self) -> bool {
        self.known.is_empty() && self.pages.is_complete()
    }

    pub(crate) fn stats(&self) -> CallbackStats {
        let hosts = self.accounts.values().flat_map(|of| of.hosts.values());
        let open = hosts.filter(|host| !host.breaker.is_closed()).count();
        CallbackStats {
            waiting: self.len(),
            open_hosts: open as u64,
            ..self.counts
        }
    }

    /// Sends the first due row at the first due host of the first due account, if its customer has a slot.
    fn start(&mut self, sid: AccountSid, now: Timestamp) {
        let customer = self.shares.customer(sid);
        let (is_full, is_pending) = (self.shares.is_full(customer), self.shares.is_pending(sid));
        let Some(account) = self.accounts.get_mut(&sid) else {
            self.agenda.retain(|(_, known)| *known != sid);
            return;
        };
        let Some((_, origin)) = account.agenda.first().cloned() else {
            self.plan_account(sid);
            return;
        };
        if is_full || is_pending {
            account.blocked = true;
            // Otherwise the answer to the look-up releases it.
            if !is_pending {
                self.shares.wait(customer, sid);
            }
            return self.plan_account(sid);
        }
        if let Some(host) = account.hosts.get_mut(&origin)
            && let Some(row) = host.start(now)
        {
            account.flying += 1;
            self.sent += 1;
            account.served = (now, self.sent);
            self.shares.fly(sid);
            self.outputs.push_back(Output::Send(Box::new(row)));
        }
        self.plan(sid, &origin);
        // If there was nothing to send, the slot is for the next one.
        self.release(customer);
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

    /// Updates a host's place in the agenda; one with nothing to do or remember is dropped.
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
        if host.queues.is_empty() && host.wake.is_none() {
            account.hosts.remove(origin);
        }
        self.plan_account(sid);
    }

    fn plan_account(&mut self, sid: AccountSid) {
        let Some(account) = self.accounts.get_mut(&sid) else {
            return;
        };
        let first = account.agenda.first().filter(|_| !account.blocked);
        let (served, turn) = account.served;
        let wake = first.map(|(at, _)| ((*at).max(served), turn));
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

impl Place {
    fn of(pending: &PendingCallback) -> Self {
        let callback = &pending.callback;
        Self {
            account: callback.account,
            origin: origin(&callback.url),
            lane: callback.lane,
            key: (callback.sequence, callback.event),
        }
    }

    fn row(&self) -> RowPlace {
        let (sequence, event) = self.key;
        RowPlace {
            lane: self.lane,
            sequence,
            event,
        }
    }
}

/// Rows in memory of a host or an account.
fn held_by(
    accounts: &BTreeMap<AccountSid, Account>,
    (account, origin): &(AccountSid, Option<Arc<str>>),
) -> usize {
    let account = accounts.get(account);
    match origin {
        None => account.map_or(0, |account| account.rows),
        Some(origin) => account
            .and_then(|account| account.hosts.get(origin))
            .map_or(0, |host| host.rows),
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
