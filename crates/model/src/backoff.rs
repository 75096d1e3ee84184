//! When to try something again that has failed.
//!
//! **Invariant: the wait is between half and all of the planned time**, so that what failed
//! together is not retried together.

use std::time::Duration;

/// Settings of the waits between attempts.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// Planned wait after the first failure; doubles with each further failure.
    pub first: Duration,
    /// Longest planned wait.
    pub longest: Duration,
}

impl Backoff {
    /// How long to wait after a number of failures.
    ///
    /// - `failures`: at least 1.
    /// - `asked`: the wait requested by the server, which is respected if longer, within reason.
    /// - `random`: 0 to 1.
    #[must_use]
    pub fn wait(&self, failures: u32, asked: Option<Duration>, random: f64) -> Duration {
        let doubled = 2u32.saturating_pow(failures.saturating_sub(1).min(30));
        let planned = self.first.saturating_mul(doubled).min(self.longest);
        let jittered = planned.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0);
        asked.map_or(jittered, |asked| jittered.max(asked.min(self.longest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_limit() {
        let backoff = Backoff {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(300),
        };
        let table = [
            (1, None, 0.0, 500),
            (1, None, 1.0, 1_000),
            (2, None, 1.0, 2_000),
            (5, None, 0.5, 12_000),
            (9, None, 1.0, 256_000),
            (10, None, 1.0, 300_000),
            (u32::MAX, None, 1.0, 300_000),
            (1, Some(20), 0.3, 20_000),
            (1, Some(100_000), 0.3, 300_000),
            (10, Some(1), 1.0, 300_000),
        ];
        for (failures, asked, random, millis) in table {
            let asked = asked.map(Duration::from_secs);
            let wait = backoff.wait(failures, asked, random);
            assert_eq!(wait.as_millis(), millis, "{failures} {asked:?} {random}");
        }
    }
}
