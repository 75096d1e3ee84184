//! What one account reaches at one origin: its lanes, its breaker, its places.
//!
//! **Invariant: a lane is among the idle ones exactly while its first row may go.** Left to others:
//! places of the account in all, and which rows are in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::{CallSid, EventSid, Timestamp};

use super::Output;
use crate::breaker::{Breaker, Verdict};
use crate::outbox::{Failure, Outcome, PendingCallback};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    Waiting,
    Flying { probe: bool },
}

pub(super) struct Row {
    pub(super) pending: PendingCallback,
    pub(super) stage: Stage,
}

/// The callbacks of a call to a host. The key is the order.
#[derive(Default)]
pub(super) struct Lane {
    pub(super) rows: BTreeMap<(i64, EventSid), Row>,
    pub(super) flying: bool,
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

pub(super) struct Host {
    pub(super) breaker: Breaker,
    pub(super) flying: usize,
    /// In its lanes.
    pub(super) rows: usize,
    pub(super) lanes: BTreeMap<CallSid, Lane>,
    idle: BTreeSet<(Timestamp, CallSid)>,
    /// Where it stands in the agenda of its account.
    pub(super) wake: Option<Timestamp>,
}

impl Host {
    /// A host that nothing is known of.
    pub(super) fn new(breaker: Breaker) -> Self {
        Self {
            breaker,
            flying: 0,
            rows: 0,
            lanes: BTreeMap::new(),
            idle: BTreeSet::new(),
            wake: None,
        }
    }

    /// When it may be used next: by its first lane, or to be forgotten once its breaker's time is
    /// over.
    pub(super) fn next(&self, places: usize) -> Option<Timestamp> {
        let earliest = self.breaker.earliest()?;
        match self.idle.first() {
            Some((due, _)) => (self.flying < places.max(1)).then_some(earliest.max(*due)),
            None if self.lanes.is_empty() && !self.breaker.is_closed() => Some(earliest),
            None => None,
        }
    }

    /// The first row of the lane that is due first; a host without lanes forgets what it knew.
    pub(super) fn start(&mut self) -> Option<PendingCallback> {
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
    pub(super) fn settle(&mut self, call: CallSid) {
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
    pub(super) fn expire(&mut self, now: Timestamp, max_age: Duration) -> Vec<Output> {
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
        self.rows = self.rows.saturating_sub(ended.len());
        ended
    }

    /// Drops the last waiting rows of the last lanes, or of one lane.
    pub(super) fn put_back(&mut self, call: Option<CallSid>, count: usize) -> Vec<EventSid> {
        // A lane with nothing but a row on its way gives none.
        let lanes = count + self.flying;
        let calls: Vec<CallSid> = match call {
            Some(call) => vec![call],
            None => self.lanes.keys().rev().take(lanes).copied().collect(),
        };
        let mut events = Vec::new();
        for call in calls {
            while events.len() < count
                && let Some(lane) = self.lanes.get_mut(&call)
                && let Some(last) = lane.rows.last_entry()
                && last.get().stage == Stage::Waiting
            {
                let ((_, event), _) = last.remove_entry();
                events.push(event);
                self.settle(call);
            }
        }
        self.rows = self.rows.saturating_sub(events.len());
        events
    }
}
