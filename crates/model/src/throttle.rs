//! Counts what accounts do against the rates that their profiles allow.
//!
//! **Invariant: in no period of a rate's length are there more admitted events than it allows**, whatever the rate was
//! before. Left to others: which rate applies.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::AccountSid;
use crate::profile::Rate;

/// The recent events of each account with a rate.
#[derive(Debug, Default)]
pub struct Throttle(BTreeMap<AccountSid, VecDeque<Instant>>);

impl Throttle {
    /// Whether an event now is within the rate; then it counts.
    pub fn admit(&mut self, account: AccountSid, rate: Rate, now: Instant) -> bool {
        let recent = self.0.entry(account).or_default();
        // Before the clock of the machine began, nothing happened.
        let since = now.checked_sub(rate.period);
        while recent
            .front()
            .is_some_and(|at| since.is_some_and(|since| *at <= since))
        {
            recent.pop_front();
        }
        let events = usize::try_from(rate.events).unwrap_or(usize::MAX);
        let admitted = recent.len() < events;
        if admitted {
            recent.push_back(now);
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "virtual time needs an origin")]
    #[test]
    fn a_rate_is_never_exceeded_in_any_period() {
        let rate = Rate {
            events: 2,
            period: Duration::from_secs(10),
        };
        let none = Rate { events: 0, ..rate };
        let long = Rate {
            period: Duration::from_nanos(u64::MAX),
            ..rate
        };
        let [a, b] = [1, 2].map(|n| AccountSid::from_bytes([n; 16]));
        let start = Instant::now();
        let mut throttle = Throttle::default();
        for (account, rate, seconds, admitted) in [
            (a, rate, 0, true),
            (a, rate, 6, true),
            (a, rate, 9, false),
            (b, rate, 9, true),
            (b, none, 9, false),
            (a, rate, 10, true),
            (a, rate, 11, false),
            (a, rate, 16, true),
            (a, long, 30, false),
        ] {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(throttle.admit(account, rate, now), admitted, "{seconds} s");
        }
    }
}
