//! When to try a callback again.
//!
//! **Invariant: the wait is between half and all of the planned time**, so that callbacks that
//! failed together are not retried together.

use std::time::{Duration, SystemTime};

use crate::http_date;

/// Settings of the waits between attempts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    /// Planned wait after the first failure; doubles with each further failure.
    pub(crate) first: Duration,
    /// Longest planned wait.
    pub(crate) longest: Duration,
}

impl Backoff {
    /// How long to wait after a number of failures.
    ///
    /// - `failures`: at least 1.
    /// - `asked`: the wait requested by the server, which is respected if longer, within reason.
    /// - `random`: 0 to 1.
    pub(crate) fn wait(&self, failures: u32, asked: Option<Duration>, random: f64) -> Duration {
        let doubled = 2u32.saturating_pow(failures.saturating_sub(1).min(30));
        let planned = self.first.saturating_mul(doubled).min(self.longest);
        let jittered = planned.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0);
        asked.map_or(jittered, |asked| jittered.max(asked.min(self.longest)))
    }
}

/// The wait in a `Retry-After` header: seconds, or a date (RFC 9110 §10.2.3).
pub(crate) fn retry_after(header: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = header.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = u64::try_from(http_date::parse(header)?).ok()?;
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(date))?;
    Some(at.duration_since(now).unwrap_or_default())
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

    #[test]
    fn reads_retry_after() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let table = [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("-3", None),
            ("soon", None),
        ];
        for (header, seconds) in table {
            assert_eq!(
                retry_after(header, now),
                seconds.map(Duration::from_secs),
                "{header}"
            );
        }
    }
}
