//! How many requests an account, and each of its credentials, may send in a minute.
//!
//! A minute begins with the first request that is counted in it. **Invariant: one account cannot
//! use up the requests of another.** Only requests with right credentials are counted here; wrong
//! ones are slowed down by `guard`. Left to others: connections (`patchcord`), and calls.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use model::AccountSid;

/// The period in which requests are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// Counts that are remembered; of more, those that began first are forgotten.
const MAX_ROWS: usize = 20_000;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Maximum number of requests in a minute; 0 means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateLimits {
    /// Of an account, whichever credentials it uses.
    pub of_account: u32,
    /// Of one token, password or other credential.
    pub of_credential: u32,
}

/// The counts of this process.
pub(crate) struct Rates {
    limits: RateLimits,
    counts: Mutex<HashMap<u64, Count>>,
    hashes: RandomState,
}

struct Count {
    began: Instant,
    requests: u32,
}

/// What is left of the limit that is reached first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    limits: RateLimits,
    limit: u32,
    remaining: u32,
    /// Until requests are counted anew.
    reset: Duration,
    /// Whether this request exceeds the limit.
    pub(crate) is_over: bool,
}

impl Rates {
    pub(crate) fn new(limits: RateLimits) -> Self {
        Self {
            limits,
            counts: Mutex::default(),
            hashes: RandomState::new(),
        }
    }

    /// Counts one request; `None` if there is no limit.
    ///
    /// - `secret`: what the account logged in with
    pub(crate) fn count(
        &self,
        account: AccountSid,
        secret: &str,
        now: Instant,
    ) -> Option<Standing> {
        let RateLimits {
            of_account,
            of_credential,
        } = self.limits;
        let keys = [
            (of_credential, self.hashes.hash_one((account, secret))),
            (of_account, self.hashes.hash_one(account)),
        ];
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let limited = keys.into_iter().filter(|(limit, _)| *limit > 0);
        let standings = limited.map(|(limit, key)| {
            make_room(&mut counts, key, now);
            let count = counts.entry(key).or_insert(Count {
                began: now,
                requests: 0,
            });
            if now.duration_since(count.began) >= WINDOW {
                *count = Count {
                    began: now,
                    requests: 0,
                };
            }
            count.requests = count.requests.saturating_add(1);
            Standing {
                limits: self.limits,
                limit,
                remaining: limit.saturating_sub(count.requests),
                reset: WINDOW.saturating_sub(now.duration_since(count.began)),
                is_over: count.requests > limit,
            }
        });
        standings.min_by_key(|standing| (!standing.is_over, standing.remaining))
    }
}

fn make_room(counts: &mut HashMap<u64, Count>, key: u64, now: Instant) {
    if counts.len() < MAX_ROWS || counts.contains_key(&key) {
        return;
    }
    counts.retain(|_, count| now.duration_since(count.began) < WINDOW);
    if counts.len() >= MAX_ROWS {
        let oldest = counts.iter().min_by_key(|(_, count)| count.began);
        if let Some(key) = oldest.map(|(key, _)| *key) {
            counts.remove(&key);
        }
    }
}

impl Standing {
    /// Seconds after which requests are counted anew.
    pub(crate) fn wait(&self) -> u64 {
        self.reset.as_secs() + u64::from(self.reset.subsec_nanos() > 0)
    }

    /// What the refusal of a request says.
    pub(crate) fn text(&self) -> String {
        format!(
            "More than {} requests in a minute; wait {} s.",
            self.limit,
            self.wait()
        )
    }

    /// Writes the headers of the IETF's draft: `RateLimit-…`.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        headers.insert(LIMIT, self.limit.into());
        headers.insert(REMAINING, self.remaining.into());
        headers.insert(RESET, self.wait().into());
        let RateLimits {
            of_account,
            of_credential,
        } = self.limits;
        let window = WINDOW.as_secs();
        for (limit, whose) in [(of_credential, "credential"), (of_account, "account")] {
            let policy = format!("{limit};w={window};comment=\"{whose}\"");
            if let (true, Ok(policy)) = (limit > 0, HeaderValue::try_from(policy)) {
                headers.append(POLICY, policy);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(last: u8) -> AccountSid {
        AccountSid::from_bytes([last; 16])
    }

    #[test]
    fn the_tighter_limit_counts_until_its_minute_is_over() {
        let rates = Rates::new(RateLimits {
            of_account: 5,
            of_credential: 3,
        });
        let start = Instant::now();
        let count = |who, secret, after| {
            let now = start + Duration::from_secs(after);
            let standing = rates.count(account(who), secret, now).unwrap();
            (
                standing.limit,
                standing.remaining,
                standing.wait(),
                standing.is_over,
            )
        };
        assert_eq!(count(1, "a", 0), (3, 2, 60, false));
        assert_eq!(count(1, "a", 10), (3, 1, 50, false));
        assert_eq!(count(1, "a", 10), (3, 0, 50, false));
        assert_eq!(count(1, "a", 10), (3, 0, 50, true));
        // The refused request counted for the account.
        assert_eq!(count(1, "b", 20), (5, 0, 40, false));
        assert_eq!(count(1, "b", 21), (5, 0, 39, true));
        assert_eq!(count(2, "a", 20), (3, 2, 60, false), "another account");
        assert_eq!(count(1, "a", 60), (3, 2, 60, false), "the next minute");
    }

    #[test]
    fn no_limit_counts_nothing_and_one_is_enough() {
        let none = Rates::new(RateLimits::default());
        assert_eq!(none.count(account(1), "a", Instant::now()), None);
        let one = Rates::new(RateLimits {
            of_account: 1,
            of_credential: 0,
        });
        let count = |secret| one.count(account(1), secret, Instant::now()).unwrap();
        assert!(!count("a").is_over && count("b").is_over);
        let mut headers = HeaderMap::new();
        count("c").write(&mut headers);
        assert_eq!(headers[POLICY], "1;w=60;comment=\"account\"");
    }

    #[test]
    fn counts_are_bounded() {
        let rates = Rates::new(RateLimits {
            of_account: 0,
            of_credential: 1,
        });
        let now = Instant::now();
        for number in 0..MAX_ROWS + 10 {
            rates.count(account(1), &number.to_string(), now);
        }
        assert_eq!(rates.counts.lock().unwrap().len(), MAX_ROWS);
    }
}
