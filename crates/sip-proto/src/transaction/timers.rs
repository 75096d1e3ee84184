//! The timer values of RFC 3261 table 4.

use std::time::{Duration, Instant};

/// Round-trip estimate: first retransmission after this long.
pub(crate) const T1: Duration = Duration::from_millis(500);
/// Longest interval between retransmissions of non-INVITE requests and INVITE responses.
pub(crate) const T2: Duration = Duration::from_secs(4);
/// Longest time a message stays in the network.
pub(crate) const T4: Duration = Duration::from_secs(5);
/// Duration of timers B, F, H, J, L and M: 64 × T1.
pub(crate) const PATIENCE: Duration = Duration::from_secs(32);

/// The next retransmission of a message on an unreliable transport.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Repeat {
    pub(crate) at: Instant,
    interval: Duration,
}

impl Repeat {
    /// First retransmission after T1, none on a reliable transport.
    pub(crate) fn start(reliable: bool, now: Instant) -> Option<Self> {
        (!reliable).then(|| Self {
            at: now + T1,
            interval: T1,
        })
    }

    /// Whether it is due; if so, the next one is scheduled after twice the interval, at most
    /// `longest`.
    pub(crate) fn due(&mut self, longest: Duration, now: Instant) -> bool {
        if self.at > now {
            return false;
        }
        self.interval = longest.min(self.interval * 2);
        self.at = now + self.interval;
        true
    }

    /// Schedules the next one after `gap`.
    pub(crate) fn every(&mut self, gap: Duration) {
        self.interval = gap;
    }
}

/// The earlier of a fixed time and an optional retransmission.
pub(crate) fn earlier(repeat: Option<Repeat>, end: Instant) -> Instant {
    repeat.map_or(end, |repeat| repeat.at.min(end))
}
