//! Limits notifications that outsiders can cause as often as they like, or a host that fails.
//!
//! **Invariant: at most one a minute per account, number and text, and bounded memory and rows
//! whatever the outsiders do.**

use std::collections::BTreeMap;
use std::time::Duration;

use model::{AccountSid, Timestamp};

/// How long a problem that an account was notified of is not reported again.
const QUIET: Duration = Duration::from_secs(60);
/// Maximum problems of one account in that time; more are not reported.
const MAX_OF_ACCOUNT: usize = 20;
/// Maximum problems of all accounts in that time.
const MAX: usize = 1_000;

/// What accounts were notified of, and when.
#[derive(Default)]
pub(crate) struct News(BTreeMap<(AccountSid, u16, String), Timestamp>);

impl News {
    /// Whether to notify the account of a problem; if so, it counts as notified.
    pub(crate) fn is_news(
        &mut self,
        account: AccountSid,
        code: u16,
        text: &str,
        now: Timestamp,
    ) -> bool {
        self.0.retain(|_, at| now < *at + QUIET);
        let of_account = self.0.range((account, 0, String::new())..);
        let of_account = of_account.take_while(|((other, ..), _)| *other == account);
        let key = (account, code, text.to_owned());
        let is_full = self.0.len() >= MAX || of_account.count() >= MAX_OF_ACCOUNT;
        if is_full || self.0.contains_key(&key) {
            return false;
        }
        self.0.insert(key, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(n: u32) -> AccountSid {
        AccountSid::from_bytes(u128::from(n).to_be_bytes())
    }

    #[test]
    fn a_problem_is_reported_once_a_minute_and_another_one_at_once() {
        let mut news = News::default();
        let mut is_news = |second: i64, of: u32, code: u16, text: &str| {
            news.is_news(
                account(of),
                code,
                text,
                Timestamp::from_millis(second * 1_000),
            )
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
        let mut news = News::default();
        let mut reported = |of: u32, second: i64| {
            let now = Timestamp::from_millis(second * 1_000);
            let texts = (0..1_000).map(|n: u32| n.to_string());
            texts
                .filter(|text| news.is_news(account(of), 11_007, text, now))
                .count()
        };
        assert_eq!(reported(1, 0), MAX_OF_ACCOUNT);
        assert_eq!(reported(2, 0), MAX_OF_ACCOUNT, "another account");
        assert_eq!(reported(1, 60), MAX_OF_ACCOUNT, "a minute later");
        let others: usize = (3..200).map(|of| reported(of, 60)).sum();
        assert_eq!(others + MAX_OF_ACCOUNT, MAX, "of all accounts");
    }
}
