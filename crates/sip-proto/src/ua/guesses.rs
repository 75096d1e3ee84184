//! Limits password guessing by counting wrong digests.
//!
//! They are counted for a source and a login together, and for a source alone, with the same patience as wrong passwords
//! at the API (`model::guesses`); while a login or source has to wait, further attempts are refused like a wrong one, right
//! or not. **Invariants: a source has to wait only for what it sent itself, and a phone at its registered address only for
//! its own login**, so a stranger cannot lock a phone out. Memory is bounded. Left to others: credentials count only if their
//! nonce was sent to their source (`digest::Nonces`), so forged sources neither fill the memory nor make others wait.

use std::collections::BTreeMap;
use std::time::Instant;

use model::Source;
use model::guesses::{Guessed, OF_PAIR, OF_SOURCE};

/// Maximum source and login pairs remembered.
const MAX_ROWS: usize = 10_000;

/// Counts wrong passwords.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    sources: BTreeMap<Source, OfSource>,
    /// Pairs in all.
    rows: usize,
}

/// What one source has sent.
#[derive(Debug)]
struct OfSource {
    all: Guessed,
    logins: BTreeMap<String, Guessed>,
}

impl Guesses {
    /// Whether a source has to wait before its next attempt at a login.
    ///
    /// - `is_at_home`: whether a phone of that login is registered from the source
    pub(super) fn are_used_up(
        &self,
        source: Source,
        login: &str,
        is_at_home: impl FnOnce() -> bool,
        now: Instant,
    ) -> bool {
        let Some(of_source) = self.sources.get(&source) else {
            return false;
        };
        let of_login = of_source.logins.get(login);
        of_login.is_some_and(|guessed| guessed.wait(&OF_PAIR, now).is_some())
            || of_source.all.wait(&OF_SOURCE, now).is_some() && !is_at_home()
    }

    /// Counts one more wrong password.
    pub(super) fn note(&mut self, source: Source, login: &str, now: Instant) {
        let known = self.sources.get(&source);
        if known.is_none_or(|known| !known.logins.contains_key(login)) {
            self.make_room(now);
            self.rows += 1;
        }
        let of_source = self.sources.entry(source).or_insert_with(|| OfSource {
            all: Guessed::new(now),
            logins: BTreeMap::new(),
        });
        let of_login = of_source.logins.entry(login.to_owned());
        let of_login = of_login.or_insert_with(|| Guessed::new(now));
        of_login.note(now);
        // A phone that keeps trying an old password is not one that guesses at many: the others at its address need not wait.
        if of_login.failures() <= OF_PAIR.free {
            of_source.all.note(now);
        }
    }

    /// A password was right: earlier wrong ones for this login are mistakes. Those of the source remain, or one right
    /// password between the guesses would undo them.
    pub(super) fn forgive(&mut self, source: Source, login: &str) {
        if let Some(of_source) = self.sources.get_mut(&source)
            && let Some(of_login) = of_source.logins.get_mut(login)
        {
            *of_login = Guessed::new(of_login.last());
        }
    }

    /// Makes room for one pair: of the source with the most, the one that was quiet longest.
    fn make_room(&mut self, now: Instant) {
        if self.rows < MAX_ROWS {
            return;
        }
        self.sources.retain(|_, of_source| {
            of_source
                .logins
                .retain(|_, guessed| !guessed.is_forgotten(now));
            !of_source.logins.is_empty()
        });
        self.rows = self.sources.values().map(|of| of.logins.len()).sum();
        if self.rows < MAX_ROWS {
            return;
        }
        let most = self
            .sources
            .iter_mut()
            .max_by_key(|(_, of)| of.logins.len());
        let Some((&source, of_source)) = most else {
            return;
        };
        let oldest = of_source
            .logins
            .iter()
            .min_by_key(|(_, guessed)| guessed.last());
        if let Some(login) = oldest.map(|(login, _)| login.clone()) {
            of_source.logins.remove(&login);
            self.rows -= 1;
        }
        if of_source.logins.is_empty() {
            self.sources.remove(&source);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::*;
    use crate::ua::testing::start;

    fn source(last: u8) -> Source {
        IpAddr::from([192, 0, 2, last]).into()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_source_waits_longer_after_each_wrong_password_of_a_login() {
        let (mut guesses, start) = (Guesses::default(), start());
        let waits = |guesses: &Guesses, last, login, at| {
            guesses.are_used_up(source(last), login, || true, start + seconds(at))
        };
        for tried in 0..5 {
            assert!(!waits(&guesses, 1, "kim", 0), "{tried}");
            guesses.note(source(1), "kim", start);
        }
        assert!(waits(&guesses, 1, "kim", 0) && !waits(&guesses, 1, "kim", 1));
        assert!(!waits(&guesses, 2, "kim", 0) && !waits(&guesses, 1, "ann", 0));
        for tried in 1..=8 {
            guesses.note(source(1), "kim", start + seconds(tried));
        }
        assert!(waits(&guesses, 1, "kim", 67) && !waits(&guesses, 1, "kim", 68));
        guesses.forgive(source(1), "kim");
        assert!(!waits(&guesses, 1, "kim", 8), "the password was right");
    }

    #[test]
    fn a_source_that_tries_many_logins_waits_for_all_but_its_own_phones() {
        let (mut guesses, start) = (Guesses::default(), start());
        for tried in 0..20 {
            assert!(!guesses.are_used_up(source(1), "ann", || false, start));
            guesses.note(source(1), &format!("guess{tried}"), start);
        }
        assert!(guesses.are_used_up(source(1), "ann", || false, start));
        assert!(
            !guesses.are_used_up(source(1), "ann", || true, start),
            "its own"
        );
        assert!(!guesses.are_used_up(source(2), "ann", || false, start));
        guesses.forgive(source(1), "guess0");
        assert!(guesses.are_used_up(source(1), "ann", || false, start));
        let later = start + seconds(1);
        assert!(!guesses.are_used_up(source(1), "ann", || false, later));
    }

    #[test]
    fn one_phone_with_an_old_password_makes_no_other_wait() {
        let (mut guesses, start) = (Guesses::default(), start());
        for tried in 0..100 {
            guesses.note(source(1), "old", start + seconds(60 * tried));
        }
        let now = start + seconds(60 * 99);
        assert!(guesses.are_used_up(source(1), "old", || false, now));
        assert!(!guesses.are_used_up(source(1), "ann", || false, now));
    }

    #[test]
    fn a_full_table_forgets_first_who_fills_it() {
        let (mut guesses, start) = (Guesses::default(), start());
        for _ in 0..5 {
            guesses.note(source(1), "kim", start);
        }
        let longest = "x".repeat(model::naming::MAX_LOGIN_CHARS - 5);
        for n in 0..3 * MAX_ROWS {
            guesses.note(source(2), &format!("{n:05}{longest}"), start);
        }
        assert_eq!(guesses.rows, MAX_ROWS);
        let kept = guesses.sources.values().map(|of| of.logins.len()).sum();
        assert_eq!(guesses.rows, kept);
        assert!(guesses.are_used_up(source(1), "kim", || true, start));
        let later = start + model::guesses::FORGOTTEN;
        guesses.note(source(3), "ann", later);
        assert_eq!((guesses.rows, guesses.sources.len()), (1, 1));
    }

    #[test]
    fn many_sources_cost_bounded_memory() {
        let (mut guesses, start) = (Guesses::default(), start());
        for n in 0..u32::try_from(MAX_ROWS + 50).unwrap() {
            guesses.note(IpAddr::from(n.to_be_bytes()).into(), "kim", start);
        }
        assert_eq!((guesses.rows, guesses.sources.len()), (MAX_ROWS, MAX_ROWS));
    }
}
