//! Limits how many keys an endpoint may report.
//!
//! A remote party that changes the timestamp with each telephone-event packet presses a key per
//! packet. **Invariant: in any time t at most 64 + t / 50 ms keys pass**, so the backlog of reports
//! is bounded by how long their receiver is idle, not by how fast a peer sends.

use std::time::{Duration, Instant};

/// Keys that may be reported at once: more than a person types ahead.
const BURST: u32 = 64;
/// One more key per interval; a key and its gap take longer than this.
const REFILL: Duration = Duration::from_millis(50);

/// A token bucket, full at first.
#[derive(Debug)]
pub(crate) struct Gate {
    tokens: u32,
    /// Time up to which tokens have been credited.
    since: Instant,
}

impl Gate {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            tokens: BURST,
            since: now,
        }
    }

    /// Whether one more key may pass.
    pub(crate) fn pass(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.since);
        let earned = elapsed.as_nanos() / REFILL.as_nanos();
        match u32::try_from(earned) {
            Ok(earned) if earned < BURST => {
                self.tokens = BURST.min(self.tokens + earned);
                self.since += REFILL * earned;
            }
            Ok(_) | Err(_) => {
                self.tokens = BURST;
                self.since = now;
            }
        }
        let passes = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_a_burst_then_a_trickle() {
        #[expect(clippy::disallowed_methods, reason = "a test has to begin somewhere")]
        let started = Instant::now();
        let at = |ms| started + Duration::from_millis(ms);
        let mut gate = Gate::new(started);
        assert_eq!((0..200).filter(|_| gate.pass(started)).count(), 64);
        // In ms after the burst, one key each, and whether it passes.
        for (ms, passes) in [
            (49, false),
            (75, true),
            (99, false),
            (100, true),
            (101, false),
        ] {
            assert_eq!(gate.pass(at(ms)), passes, "at {ms}");
        }
        assert_eq!((0..200).filter(|_| gate.pass(at(3_600_000))).count(), 64);
    }
}
