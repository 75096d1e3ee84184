//! One origin as reached by one account: its queues, breaker and slots.
//!
//! **Invariant: a queue is among the idle ones exactly while its first row may be sent.** Left to
//! others: the account's total slots, and which rows are in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::breaker::{Breaker, Verdict};
use model::{EventSid, Lane, Timestamp, error};

use super::Output;
use crate::outbox::{Failure, Outcome, PendingCallback};

/// Due queues among which a probe is chosen.
const PROBE_CANDIDATES: usize = 1_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    Waiting,
    Flying { probe: bool },
}

pub(super) struct Row {
    pub(super) pending: PendingCallback,
    pub(super) stage: Stage,
}

/// The callbacks of a lane to a host, keyed by their order.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) rows: BTreeMap<(i64, EventSid), Row>,
    pub(super) flying: bool,
    /// Its position among the idle queues of its host.
    due: Option<Timestamp>,
}

impl Queue {
    /// When its first row may be sent, if none is in progress.
    fn next(&self) -> Option<Timestamp> {
        let (_, first) = self.rows.first_key_value()?;
        (!self.flying && first.stage == Stage::Waiting).then_some(first.pending.next_at)
    }
}

pub(super) struct Host {
    pub(super) breaker: Breaker,
    pub(super) flying: usize,
    /// Rows in its queues.
    pub(super) rows: usize,
    pub(super) queues: BTreeMap<Lane, Queue>,
    idle: BTreeSet<(Timestamp, Lane)>,
    /// Its position in the agenda of its account.
    pub(super) wake: Option<Timestamp>,
}

impl Host {
    /// A host without history.
    pub(super) fn new(breaker: Breaker) -> Self {
        Self {
            breaker,
            flying: 0,
            rows: 0,
            queues: BTreeMap::new(),
            idle: BTreeSet::new(),
            wake: None,
        }
    }

    /// When it may be used next: by its first queue, or to be forgotten once its breaker's time has
    /// passed.
    pub(super) fn next(&self, places: usize) -> Option<Timestamp> {
        let earliest = self.breaker.earliest()?;
        match self.idle.first() {
            Some((due, _)) => (self.flying < places.max(1)).then_some(earliest.max(*due)),
            None if self.queues.is_empty() && !self.breaker.is_closed() => Some(earliest),
            None => None,
        }
    }

    /// The first row of the first due queue, or of one that shows whether the host is up; a host without queues forgets its history.
    pub(super) fn start(&mut self, now: Timestamp) -> Option<PendingCallback> {
        let Some((_, lane)) = self.to_start(now) else {
            self.breaker
                .handle_verdict(Verdict::Alive, false, Timestamp(0), 0.0);
            return None;
        };
        let queue = self.queues.get_mut(&lane)?;
        let mut first = queue.rows.first_entry()?;
        let probe = self.breaker.handle_start();
        first.get_mut().stage = Stage::Flying { probe };
        let pending = first.get().pending.clone();
        queue.flying = true;
        self.flying += 1;
        self.settle(lane);
        Some(pending)
    }

    /// The queue to send from. A probe is a row that has failed as seldom as possible: the host may be up, and refuse only
    /// what is sent to one of its addresses.
    fn to_start(&self, now: Timestamp) -> Option<(Timestamp, Lane)> {
        let first = self.idle.first().copied();
        if self.breaker.is_closed() {
            return first;
        }
        let attempts = |lane: &Lane| {
            let row = self.queues.get(lane)?.rows.first_key_value();
            row.map(|(_, row)| row.pending.attempts)
        };
        let due = self.idle.iter().take_while(|(at, _)| *at <= now);
        let due = due.take(PROBE_CANDIDATES);
        due.min_by_key(|(at, lane)| (attempts(lane), *at))
            .copied()
            .or(first)
    }

    /// Updates a queue's place among the idle ones; an empty one is dropped.
    pub(super) fn settle(&mut self, lane: Lane) {
        let Some(queue) = self.queues.get_mut(&lane) else {
            return;
        };
        let due = queue.next();
        if let Some(at) = queue.due {
            self.idle.remove(&(at, lane));
        }
        if let Some(at) = due {
            self.idle.insert((at, lane));
        }
        queue.due = due;
        if queue.rows.is_empty() {
            self.queues.remove(&lane);
        }
    }

    /// Takes a row out of its queue, unless it is in progress.
    pub(super) fn take_waiting(
        &mut self,
        lane: Lane,
        key: (i64, EventSid),
    ) -> Option<PendingCallback> {
        let queue = self.queues.get_mut(&lane)?;
        if queue.rows.get(&key)?.stage != Stage::Waiting {
            return None;
        }
        let row = queue.rows.remove(&key)?;
        self.rows = self.rows.saturating_sub(1);
        self.settle(lane);
        Some(row.pending)
    }

    /// Gives up the rows that are too old to wait for an unresponsive host.
    pub(super) fn expire(&mut self, now: Timestamp, max_age: Duration) -> Vec<Output> {
        let mut ended = Vec::new();
        let lanes: Vec<Lane> = self.queues.keys().copied().collect();
        for lane in lanes {
            let Some(queue) = self.queues.get_mut(&lane) else {
                continue;
            };
            let old = queue.rows.extract_if(.., |_, row| {
                row.stage == Stage::Waiting && now.since(row.pending.since) >= max_age
            });
            for (_, row) in old {
                let outcome = Outcome::Dead(Failure {
                    code: error::FETCH_IO,
                    status: None,
                    reason: "the host has not answered for too long".to_owned(),
                });
                ended.push(Output::End(Box::new(row.pending), outcome));
            }
            self.settle(lane);
        }
        self.rows = self.rows.saturating_sub(ended.len());
        ended
    }

    /// Drops the last waiting rows of the last queues, or of one queue.
    pub(super) fn put_back(&mut self, lane: Option<Lane>, count: usize) -> Vec<EventSid> {
        // A queue with only a row in progress yields none.
        let most = count + self.flying;
        let lanes: Vec<Lane> = match lane {
            Some(lane) => vec![lane],
            None => self.queues.keys().rev().take(most).copied().collect(),
        };
        let mut events = Vec::new();
        for lane in lanes {
            while events.len() < count
                && let Some(queue) = self.queues.get_mut(&lane)
                && let Some(last) = queue.rows.last_entry()
                && last.get().stage == Stage::Waiting
            {
                let ((_, event), _) = last.remove_entry();
                events.push(event);
                self.settle(lane);
            }
        }
        self.rows = self.rows.saturating_sub(events.len());
        events
    }
}
