//! How often a password may be guessed, at the API and by SIP.
//!
//! **Invariant: after some wrong passwords in a row, the next one is checked only after a wait, which each further one
//! doubles.** Left to others: whose wrong passwords are counted together, for how many the counts are kept, and what a
//! right password is (`api/src/guard.rs`, `sip-proto/src/ua/guesses.rs`).

use std::time::{Duration, Instant};

/// How often a password may be wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// Wrong passwords without a wait.
    pub free: u32,
    /// The longest wait.
    pub longest: Duration,
}

/// For one account or login from one source.
pub const OF_PAIR: Patience = Patience {
    free: 5,
    longest: Duration::from_secs(60),
};

/// For one source. More than for one account, as many people may share an address.
pub const OF_SOURCE: Patience = Patience {
    free: 20,
    longest: Duration::from_secs(60),
};

/// For one account from all sources. A stranger with many addresses can make the owner of an account wait that long
/// where the owner is new.
pub const OF_ACCOUNT: Patience = Patience {
    free: 50,
    longest: Duration::from_secs(10),
};

/// Wrong passwords are forgotten when none has come for this long.
pub const FORGOTTEN: Duration = Duration::from_secs(15 * 60);

/// Wrong passwords in a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Guessed {
    failures: u32,
    last: Instant,
}

impl Guessed {
    /// None yet.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self {
            failures: 0,
            last: now,
        }
    }

    /// Counts one more.
    pub fn note(&mut self, now: Instant) {
        if self.is_forgotten(now) {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        self.last = now;
    }

    /// How long the next password has to wait; `None` if it need not.
    #[must_use]
    pub fn wait(&self, patience: &Patience, now: Instant) -> Option<Duration> {
        let doublings = self.failures.checked_sub(patience.free)?.min(16);
        let wait = patience.longest.min(Duration::from_secs(1 << doublings));
        wait.checked_sub(now.duration_since(self.last))
            .filter(|wait| !wait.is_zero())
    }

    /// Whether none has come for so long that the earlier ones no longer count.
    #[must_use]
    pub fn is_forgotten(&self, now: Instant) -> bool {
        now.duration_since(self.last) >= FORGOTTEN
    }

    /// How many.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// When the last one came.
    #[must_use]
    pub const fn last(&self) -> Instant {
        self.last
    }
}
