//! Decides when mails are sent, and what follows from an attempt: the pure part of the delivery.
//!
//! There is one mail server, so a failure to reach it concerns every mail: a breaker then holds all of them back, and
//! one mail probes the server. A failure of a single mail delays that mail alone. **Invariant: every attempt leads to
//! exactly one [`Verdict`]**, and a mail that keeps failing is given up at its maximum age. It has no clock and no random
//! source.

use std::time::Duration;

use model::backoff::Backoff;
use model::breaker::{self, Breaker, BreakerSettings};
use model::{Timestamp, error};

/// Settings of the delivery.
#[derive(Clone, Copy, Debug)]
pub struct PlanConfig {
    /// Planned wait after the first failure of a mail; doubles with each further failure.
    pub first_wait: Duration,
    /// Longest planned wait.
    pub longest_wait: Duration,
    /// A mail older than this is given up when an attempt fails.
    pub max_age: Duration,
    /// Maximum mails in progress, which is also the maximum of connections.
    pub at_once: usize,
}

impl Default for PlanConfig {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_secs(5),
            longest_wait: Duration::from_secs(900),
            max_age: Duration::from_secs(3 * 24 * 3600),
            at_once: 4,
        }
    }
}

/// How long the server is left alone at first, and at most, after it could not be reached.
const BREAKER: Backoff = Backoff {
    first: Duration::from_secs(2),
    longest: Duration::from_secs(30),
};
/// Failures in a row to reach the server that hold all mails back.
const BREAKER_FAILURES: u32 = 2;

/// The result of an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Attempt {
    /// The server accepted the mail.
    Sent,
    /// It counts as sent; the server was not asked.
    Pretended,
    /// The server refused it for good (5xx).
    Refused(String),
    /// The server refused it for now (4xx).
    Deferred(String),
    /// The server cannot be reached, or accepts no mail of ours.
    Unreachable(String),
    /// An attachment is not ready; the server was not asked.
    NotReady(String),
    /// It cannot be sent, whatever the server says, for a reason with this number of the error table.
    Hopeless(u16, String),
}

/// What becomes of a mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Sent,
    Retry {
        wait: Duration,
        code: u16,
        reason: String,
    },
    Failed {
        code: u16,
        reason: String,
    },
}

/// The state of the server, and the slots in use.
pub(crate) struct Plan {
    config: PlanConfig,
    breaker: Breaker,
    flying: usize,
}

impl Plan {
    pub(crate) fn new(config: PlanConfig) -> Self {
        let settings = BreakerSettings {
            failures: BREAKER_FAILURES,
            waits: BREAKER,
        };
        Self {
            config,
            breaker: Breaker::new(settings),
            flying: 0,
        }
    }

    /// How many mails may be started now.
    pub(crate) fn room(&self, now: Timestamp) -> usize {
        let free = self.config.at_once.saturating_sub(self.flying);
        match self.breaker.earliest() {
            _ if self.breaker.is_closed() => free,
            Some(earliest) if earliest <= now => free.min(1),
            Some(_) | None => 0,
        }
    }

    /// Records that an attempt begins; returns whether it probes the server.
    pub(crate) fn handle_start(&mut self) -> bool {
        self.flying += 1;
        self.breaker.handle_start()
    }

    /// The outcome of an attempt is stored, so its slot is free.
    pub(crate) fn handle_stored(&mut self) {
        self.flying = self.flying.saturating_sub(1);
    }

    /// Decides what follows from an attempt.
    ///
    /// - `attempts`: those begun for this mail, this one included
    /// - `probe`: the result of its [`Plan::handle_start`]
    /// - `random`: 0 to 1
    pub(crate) fn handle_attempt(
        &mut self,
        (attempts, age): (u32, Duration),
        attempt: Attempt,
        probe: bool,
        now: Timestamp,
        random: f64,
    ) -> (Verdict, Option<breaker::Change>) {
        let about_server = match &attempt {
            Attempt::Sent | Attempt::Refused(_) | Attempt::Deferred(_) => breaker::Verdict::Alive,
            Attempt::Unreachable(_) => breaker::Verdict::Failing { asked: None },
            Attempt::Pretended | Attempt::NotReady(_) | Attempt::Hopeless(..) => {
                breaker::Verdict::Unknown
            }
        };
        let change = self
            .breaker
            .handle_verdict(about_server, probe, now, random);
        let verdict = match attempt {
            Attempt::Sent | Attempt::Pretended => Verdict::Sent,
            Attempt::Refused(reason) => Verdict::Failed {
                code: error::EMAIL_REFUSED,
                reason,
            },
            Attempt::Hopeless(code, reason) => Verdict::Failed { code, reason },
            Attempt::Deferred(reason)
            | Attempt::Unreachable(reason)
            | Attempt::NotReady(reason)
                if age >= self.config.max_age =>
            {
                Verdict::Failed {
                    code: error::EMAIL_GIVEN_UP,
                    reason,
                }
            }
            // The breaker holds it back for as long as necessary.
            Attempt::Unreachable(reason) => self.retry(1, reason, random),
            Attempt::Deferred(reason) | Attempt::NotReady(reason) => {
                self.retry(attempts, reason, random)
            }
        };
        (verdict, change)
    }

    fn retry(&self, failures: u32, reason: String, random: f64) -> Verdict {
        let waits = Backoff {
            first: self.config.first_wait,
            longest: self.config.longest_wait,
        };
        Verdict::Retry {
            wait: waits.wait(failures, None, random),
            code: error::EMAIL_GIVEN_UP,
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn seconds(at: i64) -> Timestamp {
        Timestamp(at * 1_000_000)
    }

    fn why() -> String {
        "why".to_owned()
    }

    /// What becomes of a mail, in words.
    fn words(verdict: &Verdict) -> String {
        match verdict {
            Verdict::Sent => "sent".to_owned(),
            Verdict::Retry { wait, .. } => format!("again in {} s", wait.as_secs()),
            Verdict::Failed { code, .. } => format!("failed {code}"),
        }
    }

    #[test]
    fn what_becomes_of_a_mail() {
        let young = Duration::ZERO;
        let old = 80 * HOUR;
        let table = [
            (1, young, Attempt::Sent, "sent"),
            (9, old, Attempt::Sent, "sent"),
            (1, young, Attempt::Pretended, "sent"),
            (1, young, Attempt::Refused(why()), "failed 14211"),
            (1, young, Attempt::Hopeless(14_213, why()), "failed 14213"),
            (1, young, Attempt::Deferred(why()), "again in 5 s"),
            (2, young, Attempt::Deferred(why()), "again in 10 s"),
            (20, young, Attempt::Deferred(why()), "again in 900 s"),
            (20, young, Attempt::Unreachable(why()), "again in 5 s"),
            (3, young, Attempt::NotReady(why()), "again in 20 s"),
            (20, old, Attempt::Deferred(why()), "failed 14212"),
            (20, old, Attempt::Unreachable(why()), "failed 14212"),
            (20, old, Attempt::NotReady(why()), "failed 14212"),
        ];
        for (attempts, age, attempt, expected) in table {
            let mut plan = Plan::new(PlanConfig::default());
            let probe = plan.handle_start();
            let of = (attempts, age);
            let shown = format!("{of:?} {attempt:?}");
            let (verdict, _) = plan.handle_attempt(of, attempt, probe, seconds(0), 1.0);
            assert_eq!(words(&verdict), expected, "{shown}");
        }
    }

    /// Plays attempts, each of one mail when there is room, and records how many could be started at each second.
    #[test]
    fn a_server_that_is_away_is_probed_by_one_mail() {
        let mut plan = Plan::new(PlanConfig::default());
        let of = (1, Duration::ZERO);
        let away = || Attempt::Unreachable(why());
        assert_eq!(plan.room(seconds(0)), 4);
        let probes = [plan.handle_start(), plan.handle_start()];
        assert_eq!((probes, plan.room(seconds(0))), ([false; 2], 2));
        plan.handle_attempt(of, away(), false, seconds(1), 1.0);
        assert_eq!(plan.room(seconds(1)), 2, "one failure is not enough");
        let (_, change) = plan.handle_attempt(of, away(), false, seconds(1), 1.0);
        assert!(matches!(change, Some(breaker::Change::Opened { .. })));
        plan.handle_stored();
        plan.handle_stored();
        // After each failed probe it waits twice as long, up to half a minute.
        let mut at = 1;
        for wait in [2, 4, 8, 16, 30, 30] {
            assert_eq!(plan.room(seconds(at + wait - 1)), 0, "{wait}");
            at += wait;
            assert_eq!(plan.room(seconds(at)), 1);
            assert!(plan.handle_start());
            assert_eq!(plan.room(seconds(at)), 0, "one probe at a time");
            plan.handle_attempt(of, away(), true, seconds(at), 1.0);
            plan.handle_stored();
        }
        at += 30;
        assert!(plan.handle_start());
        let (verdict, change) =
            plan.handle_attempt(of, Attempt::Deferred(why()), true, seconds(at), 1.0);
        assert_eq!(words(&verdict), "again in 5 s");
        assert_eq!(change, Some(breaker::Change::Closed), "it answers");
        plan.handle_stored();
        assert_eq!(plan.room(seconds(at)), 4);
    }

    #[test]
    fn a_probe_that_did_not_reach_the_server_is_followed_by_another() {
        let mut plan = Plan::new(PlanConfig::default());
        let of = (1, Duration::ZERO);
        for _ in 0..2 {
            plan.handle_start();
            plan.handle_attempt(of, Attempt::Unreachable(why()), false, seconds(0), 1.0);
            plan.handle_stored();
        }
        assert!(plan.handle_start());
        plan.handle_attempt(of, Attempt::NotReady(why()), true, seconds(5), 1.0);
        plan.handle_stored();
        assert_eq!(plan.room(seconds(5)), 1);
    }
}
