//! Limits notifications that requests, strangers or a host that fails can cause as often as they like.
//!
//! **Invariant: an account gets the same notification at most once in a time, and only so many different ones; memory and
//! rows are bounded, whatever causes them.** Time is an `Instant`: setting the wall clock neither silences nor repeats a
//! notification.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::AccountSid;

/// The limits of one cause of notifications.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long a notification is not repeated.
    pub quiet: Duration,
    /// Maximum number of notifications to one account in that time; more are not sent.
    pub of_account: usize,
    /// Maximum number in that time to all accounts.
    pub of_all: usize,
}

/// What accounts were notified of, and when.
#[derive(Debug)]
pub struct News {
    limits: Limits,
    sent: BTreeMap<(AccountSid, u16, String), Instant>,
}

impl News {
    /// Nothing was sent yet.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        let sent = BTreeMap::new();
        Self { limits, sent }
    }

    /// Whether to notify the account; if so, it counts as notified.
    ///
    /// - `code`: number of the error table
    pub fn is_news(&mut self, account: AccountSid, code: u16, text: &str, now: Instant) -> bool {
        let Limits {
            quiet,
            of_account,
            of_all,
        } = self.limits;
        // `None`: the system started later. One just after `now` is recent, too: its caller was faster.
        let long_ago = now.checked_sub(quiet);
        let is_recent = |at: &Instant| long_ago.is_none_or(|long_ago| *at > long_ago);
        let known = self.sent.range((account, 0, String::new())..);
        let known = known.take_while(|((other, ..), _)| *other == account);
        if known.filter(|(_, at)| is_recent(at)).count() >= of_account {
            return false;
        }
        if self.sent.len() >= of_all {
            self.sent.retain(|_, at| is_recent(at));
            if self.sent.len() >= of_all {
                return false;
            }
        }
        let key = (account, code, text.to_owned());
        if self.sent.get(&key).is_some_and(is_recent) {
            return false;
        }
        self.sent.insert(key, now);
        true
    }

    /// Takes back a notification that could not be stored: the next of its kind is sent.
    pub fn forget(&mut self, account: AccountSid, code: u16, text: &str) {
        self.sent.remove(&(account, code, text.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        quiet: Duration::from_secs(60),
        of_account: 20,
        of_all: 1_000,
    };

    #[expect(clippy::disallowed_methods, reason = "virtual time needs an origin")]
    fn start() -> Instant {
        Instant::now()
    }

    fn account(n: u32) -> AccountSid {
        AccountSid::from_bytes(u128::from(n).to_be_bytes())
    }

    #[test]
    fn a_problem_is_reported_once_a_minute_and_another_one_at_once() {
        let (mut news, start) = (News::new(LIMITS), start());
        let mut is_news = |second: u64, of: u32, code: u16, text: &str| {
            let now = start + Duration::from_secs(second);
            news.is_news(account(of), code, text, now)
        };
        assert!(is_news(
            0,
            1,
            11_007,
            "+15550100001 has no voice application"
        ));
        assert!(!is_news(
            59,
            1,
            11_007,
            "+15550100001 has no voice application"
        ));
        let other_number = "+15550100002 has no voice application";
        assert!(is_news(59, 1, 11_007, other_number));
        assert!(is_news(59, 2, 11_007, other_number), "another account");
        assert!(is_news(59, 1, 11_001, other_number), "another code");
        assert!(is_news(
            60,
            1,
            11_007,
            "+15550100001 has no voice application"
        ));
    }

    #[test]
    fn whatever_outsiders_do_the_number_of_reports_is_bounded() {
        let (mut news, start) = (News::new(LIMITS), start());
        let mut reported = |of: u32, second: u64| {
            let now = start + Duration::from_secs(second);
            let texts = (0..1_000).map(|n: u32| n.to_string());
            texts
                .filter(|text| news.is_news(account(of), 11_007, text, now))
                .count()
        };
        assert_eq!(reported(1, 0), LIMITS.of_account);
        assert_eq!(reported(2, 0), LIMITS.of_account, "another account");
        assert_eq!(reported(1, 60), LIMITS.of_account, "a minute later");
        let others: usize = (3..200).map(|of| reported(of, 60)).sum();
        assert_eq!(others + LIMITS.of_account, LIMITS.of_all, "of all accounts");
    }

    #[test]
    fn what_could_not_be_stored_is_sent_next_time() {
        let (mut news, now) = (News::new(LIMITS), start());
        assert!(news.is_news(account(1), 20_001, "a", now));
        assert!(!news.is_news(account(1), 20_001, "a", now));
        news.forget(account(1), 20_001, "a");
        assert!(news.is_news(account(1), 20_001, "a", now));
    }

    #[test]
    fn two_callers_at_once_are_one_notification() {
        let (mut news, now) = (News::new(LIMITS), start());
        let later = now + Duration::from_micros(1);
        assert!(news.is_news(account(1), 20_001, "a", later));
        assert!(!news.is_news(account(1), 20_001, "a", now));
    }
}
