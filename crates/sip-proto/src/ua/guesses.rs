//! Limits password guessing by counting wrong digests.
//!
//! **Invariant: one source tries at most [`FREE`] passwords of a login per [`WINDOW`]**; further
//! attempts are refused like a wrong one, right or not. Other sources and logins are not affected,
//! so a stranger cannot lock a phone out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use model::Source;

/// Wrong passwords of one login from one source in a window.
const FREE: u32 = 10;
/// Length of the window.
const WINDOW: Duration = Duration::from_secs(60);
/// Maximum source and login pairs remembered.
const MOST: usize = 10_000;

/// Counts wrong passwords.
#[derive(Debug, Default)]
pub(super) struct Guesses(BTreeMap<(Source, String), Row>);

#[derive(Debug)]
struct Row {
    wrong: u32,
    since: Instant,
}

impl Guesses {
    /// Whether a source has used up its attempts.
    pub(super) fn are_used_up(&self, source: IpAddr, login: &str, now: Instant) -> bool {
        let row = self.0.get(&(source.into(), login.to_owned()));
        row.is_some_and(|row| row.wrong >= FREE && now < row.since + WINDOW)
    }

    /// Counts one more wrong password.
    pub(super) fn note(&mut self, source: IpAddr, login: &str, now: Instant) {
        if self.0.len() >= MOST {
            self.0.retain(|_, row| now < row.since + WINDOW);
            if self.0.len() >= MOST {
                // Forged sources fill it; starting afresh is cheaper than finding the oldest entry.
                self.0.clear();
            }
        }
        let row = self
            .0
            .entry((source.into(), login.to_owned()))
            .or_insert(Row {
                wrong: 0,
                since: now,
            });
        if now >= row.since + WINDOW {
            (row.wrong, row.since) = (0, now);
        }
        row.wrong += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "virtual time needs an origin")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_source_tries_a_few_passwords_a_minute() {
        let (mut guesses, start) = (Guesses::default(), start());
        let [here, there] = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]));
        for tried in 0..FREE {
            assert!(!guesses.are_used_up(here, "kim", start), "{tried}");
            guesses.note(here, "kim", start);
        }
        assert!(guesses.are_used_up(here, "kim", start));
        assert!(guesses.are_used_up(here, "kim", start + WINDOW / 2));
        assert!(
            !guesses.are_used_up(there, "kim", start) && !guesses.are_used_up(here, "ann", start)
        );
        let network = |last| format!("2001:db8::{last}").parse().unwrap();
        for last in 0..FREE {
            guesses.note(network(last), "kim", start);
        }
        assert!(guesses.are_used_up(network(77), "kim", start), "one /64");
        assert!(!guesses.are_used_up(here, "kim", start + WINDOW));
        guesses.note(here, "kim", start + WINDOW);
        assert!(!guesses.are_used_up(here, "kim", start + WINDOW));
    }

    #[test]
    fn forged_sources_cost_bounded_memory() {
        let (mut guesses, start) = (Guesses::default(), start());
        for n in 0..3 * u32::try_from(MOST).unwrap() {
            guesses.note(IpAddr::from(n.to_be_bytes()), "kim", start);
        }
        assert!(guesses.0.len() <= MOST);
    }
}
