//! How much unsolicited input a remote party may send to the call engine.

use std::time::{Duration, Instant};

/// Events that a leg may cause at once.
const BURST: u32 = 64;
/// One more event per interval.
const REFILL: Duration = Duration::from_millis(50);

/// A token bucket. Invariant: **in any time t at most 64 + t / 50 ms events pass**, so the engine's
/// backlog is bounded by how long it is idle, not by how fast a peer sends.
#[derive(Debug)]
pub(super) struct Gate {
    tokens: u32,
    since: Instant,
}

impl Gate {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            tokens: BURST,
            since: now,
        }
    }

    /// When one more event may pass, if none passes now.
    pub(super) fn opens_at(&self) -> Instant {
        self.since + REFILL
    }

    /// Whether one more event may pass.
    pub(super) fn pass(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.since);
        let earned = elapsed.as_nanos() / REFILL.as_nanos();
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(BURST).min(BURST);
            self.tokens = BURST.min(self.tokens + earned);
            self.since = now;
        }
        let passes = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ua::testing::start;

    #[test]
    fn passes_a_burst_then_a_trickle() {
        let t0 = start();
        let mut gate = Gate::new(t0);
        let burst = (0..200).filter(|_| gate.pass(t0)).count();
        assert_eq!(burst, 64);
        // In ms after the burst, one event each, and whether it passes.
        for (at, passes) in [
            (49, false),
            (50, true),
            (99, false),
            (100, true),
            (101, false),
        ] {
            let now = t0 + Duration::from_millis(at);
            assert_eq!(gate.opens_at() <= now, passes, "at {at}");
            assert_eq!(gate.pass(now), passes, "at {at}");
        }
        let later = t0 + Duration::from_secs(3600);
        assert_eq!((0..200).filter(|_| gate.pass(later)).count(), 64);
    }
}
