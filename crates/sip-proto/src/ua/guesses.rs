//! Limits password guessing by counting wrong digests.
//!
//! They are counted for a source and a login together, and for a source alone, with the same patience as wrong passwords
//! at the API (`model::guesses`); while a login or source has to wait, further attempts are refused like a wrong one, right
//! or not. **Invariants: a source has to wait only for what it sent itself, and a phone at its registered address and port only
//! for what came from there for its own login**, so neither a stranger nor another phone of the same user with an old password
//! can lock it out. Memory is bounded. Left to others: credentials count only if their nonce was sent to their source
//! (`digest::Nonces`), so forged sources neither fill the memory nor make others wait.

use std::collections::BTreeMap;
use std::time::Instant;

use model::Source;
use model::guesses::{Guessed, OF_PAIR, OF_SOURCE};

/// Maximum source and login pairs remembered.
const MAX_ROWS: usize = 10_000;

/// An attempt to prove who one is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt<'a> {
    pub(super) source: Source,
    pub(super) login: &'a str,
    pub(super) home: Home,
}

/// Where the phones of a login are registered, compared with where an attempt comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Home {
    /// At other sources, or nowhere.
    Elsewhere,
    /// One is registered from this source, with another port.
    Source,
    /// One is registered from this source and this port, and its attempts are counted by themselves. Behind a border
    /// controller, all phones have the same port.
    Port(u16),
}

impl Attempt<'_> {
    /// What it is counted under.
    fn row(&self) -> Row {
        let port = match self.home {
            Home::Port(port) => Some(port),
            Home::Elsewhere | Home::Source => None,
        };
        (self.login.to_owned(), port)
    }
}

/// A login, and the port of a registered phone.
type Row = (String, Option<u16>);

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
    logins: BTreeMap<Row, Guessed>,
}

impl Guesses {
    /// Whether a source has to wait before this attempt.
    pub(super) fn are_used_up(&self, attempt: Attempt<'_>, now: Instant) -> bool {
        let Some(of_source) = self.sources.get(&attempt.source) else {
            return false;
        };
        let of_login = of_source.logins.get(&attempt.row());
        of_login.is_some_and(|guessed| guessed.wait(&OF_PAIR, now).is_some())
            || of_source.all.wait(&OF_SOURCE, now).is_some() && attempt.home == Home::Elsewhere
    }

    /// Counts one more wrong password.
    pub(super) fn note(&mut self, attempt: Attempt<'_>, now: Instant) {
        let row = attempt.row();
        let known = self.sources.get(&attempt.source);
        if known.is_none_or(|known| !known.logins.contains_key(&row)) {
            self.make_room(now);
            self.rows += 1;
        }
        let of_source = self
            .sources
            .entry(attempt.source)
            .or_insert_with(|| OfSource {
                all: Guessed::new(now),
                logins: BTreeMap::new(),
            });
        let of_login = of_source.logins.entry(row);
        let of_login = of_login.or_insert_with(|| Guessed::new(now));
        of_login.note(now);
        // A phone that keeps trying an old password is not one that guesses at many: the others at its address need not wait.
        if of_login.failures() <= OF_PAIR.free {
            of_source.all.note(now);
        }
    }

    /// A password was right: earlier wrong ones counted with this attempt are mistakes. Those of the source remain, or one
    /// right password between the guesses would undo them.
    pub(super) fn forgive(&mut self, attempt: Attempt<'_>) {
        if let Some(of_source) = self.sources.get_mut(&attempt.source)
            && let Some(of_login) = of_source.logins.get_mut(&attempt.row())
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
        if let Some(row) = oldest.map(|(row, _)| row.clone()) {
            of_source.logins.remove(&row);
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

    fn from(last: u8, login: &str, home: Home) -> Attempt<'_> {
        Attempt {
            source: source(last),
            login,
            home,
        }
    }

    #[test]
    fn a_source_waits_longer_after_each_wrong_password_of_a_login() {
        let (mut guesses, start) = (Guesses::default(), start());
        let waits = |guesses: &Guesses, last, login, at| {
            guesses.are_used_up(from(last, login, Home::Source), start + seconds(at))
        };
        let kim = from(1, "kim", Home::Elsewhere);
        for tried in 0..5 {
            assert!(!waits(&guesses, 1, "kim", 0), "{tried}");
            guesses.note(kim, start);
        }
        assert!(waits(&guesses, 1, "kim", 0) && !waits(&guesses, 1, "kim", 1));
        assert!(!waits(&guesses, 2, "kim", 0) && !waits(&guesses, 1, "ann", 0));
        for tried in 1..=8 {
            guesses.note(kim, start + seconds(tried));
        }
        assert!(waits(&guesses, 1, "kim", 67) && !waits(&guesses, 1, "kim", 68));
        guesses.forgive(kim);
        assert!(!waits(&guesses, 1, "kim", 8), "the password was right");
    }

    #[test]
    fn a_source_that_tries_many_logins_waits_for_all_but_its_own_phones() {
        let (mut guesses, start) = (Guesses::default(), start());
        let stranger = from(1, "ann", Home::Elsewhere);
        for tried in 0..20 {
            assert!(!guesses.are_used_up(stranger, start));
            guesses.note(from(1, &format!("guess{tried}"), Home::Elsewhere), start);
        }
        assert!(guesses.are_used_up(stranger, start));
        for home in [Home::Source, Home::Port(5060)] {
            let own = from(1, "ann", home);
            assert!(!guesses.are_used_up(own, start), "{home:?}");
        }
        let other = from(2, "ann", Home::Elsewhere);
        assert!(!guesses.are_used_up(other, start));
        guesses.forgive(from(1, "guess0", Home::Elsewhere));
        assert!(guesses.are_used_up(stranger, start));
        assert!(!guesses.are_used_up(stranger, start + seconds(1)));
    }

    #[test]
    fn one_phone_with_an_old_password_makes_no_other_wait() {
        let (mut guesses, start) = (Guesses::default(), start());
        let old = from(1, "old", Home::Source);
        for tried in 0..100 {
            guesses.note(old, start + seconds(60 * tried));
        }
        let now = start + seconds(60 * 99);
        assert!(guesses.are_used_up(old, now));
        assert!(!guesses.are_used_up(from(1, "ann", Home::Elsewhere), now));
        // Nor the other phone of the same user, but it may not guess without end either.
        let registered = from(1, "old", Home::Port(5060));
        assert!(!guesses.are_used_up(registered, now));
        for _ in 0..5 {
            guesses.note(registered, now);
        }
        assert!(guesses.are_used_up(registered, now));
        guesses.forgive(registered);
        assert!(!guesses.are_used_up(registered, now));
        assert!(guesses.are_used_up(old, now));
    }

    #[test]
    fn a_full_table_forgets_first_who_fills_it() {
        let (mut guesses, start) = (Guesses::default(), start());
        for _ in 0..5 {
            guesses.note(from(1, "kim", Home::Elsewhere), start);
        }
        let longest = "x".repeat(model::naming::MAX_LOGIN_CHARS - 5);
        for n in 0..3 * MAX_ROWS {
            let login = format!("{n:05}{longest}");
            guesses.note(from(2, &login, Home::Elsewhere), start);
        }
        assert_eq!(guesses.rows, MAX_ROWS);
        let kept = guesses.sources.values().map(|of| of.logins.len()).sum();
        assert_eq!(guesses.rows, kept);
        assert!(guesses.are_used_up(from(1, "kim", Home::Source), start));
        let later = start + model::guesses::FORGOTTEN;
        guesses.note(from(3, "ann", Home::Elsewhere), later);
        assert_eq!((guesses.rows, guesses.sources.len()), (1, 1));
    }

    #[test]
    fn many_sources_cost_bounded_memory() {
        let (mut guesses, start) = (Guesses::default(), start());
        for n in 0..u32::try_from(MAX_ROWS + 50).unwrap() {
            let attempt = Attempt {
                source: IpAddr::from(n.to_be_bytes()).into(),
                login: "kim",
                home: Home::Elsewhere,
            };
            guesses.note(attempt, start);
        }
        assert_eq!((guesses.rows, guesses.sources.len()), (MAX_ROWS, MAX_ROWS));
    }
}
