//! When each part of the engine is to be called.
//!
//! An entry is never taken out early: its owner remembers when it is due, and ignores it
//! otherwise. **Invariant: entries come out in the order of their time, then of their name**, so a
//! run can be replayed. In steady state nothing allocates: each entry is pushed as one is popped.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// A frame that is due longer ago than this is skipped: the remote party could not play it.
pub(crate) const TOO_LATE: Duration = Duration::from_millis(200);

/// Whom to call; the number is a slot.
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
    /// See whether an endpoint has gone silent.
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

    /// The next entry that is due, and when it was due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Instant, Timer)> {
        self.next_at().filter(|at| *at <= now)?;
        self.0.pop().map(|Reverse(entry)| entry)
    }
}
