//! Schedules the calls of each part of the engine.
//!
//! An entry is never removed early: its owner remembers its own due time and ignores entries for
//! another. **Invariant: entries come out in the order of time, then of name**, so a run can be
//! replayed. In steady state nothing allocates: each entry is pushed as one is popped.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// A frame overdue by more than this is skipped: the remote party could not play it.
pub(crate) const TOO_LATE: Duration = Duration::from_millis(200);

/// What to call; the number is a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The next frame of a play.
    Play(usize),
    /// The next frame of a recording.
    Record(usize),
    /// The next frame of a mix.
    Mix(usize),
    /// The next RTCP report of an endpoint.
    Rtcp(usize),
    /// The check whether an endpoint has gone silent.
    Silence(usize),
}

#[derive(Debug, Default)]
pub(crate) struct Timers(BinaryHeap<Reverse<(Instant, Timer)>>);

impl Timers {
    pub(crate) fn arm(&mut self, at: Instant, timer: Timer) {
        self.0.push(Reverse((at, timer)));
    }

    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// The next due entry, and when it was due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Instant, Timer)> {
        self.next_at().filter(|at| *at <= now)?;
        self.0.pop().map(|Reverse(entry)| entry)
    }
}
