//! Decides who owns a name or number that two accounts could claim.
//!
//! Clients are looked up by login, numbers in several spellings, and both are dialled the same way.
//! **Invariant: a number belongs to its account.** A login of another account cannot take its
//! calls, whatever the spelling, and whichever was created first: [`claimant`] decides for calls,
//! and [`collide`] and [`login_rule`] keep such pairs from being created. Left to others: finding
//! the rows.

use crate::number::{candidates, e164, is_dialable, plain};
use crate::{AccountSid, OrganizationSid};

/// Maximum number of digits of an extension: a numeric login that is not a phone number.
pub const LONGEST_EXTENSION: usize = 6;

/// Maximum number of characters of a login. It is part of an index, whose rows PostgreSQL limits.
pub const MAX_LOGIN_CHARS: usize = 64;

/// Maximum number of bytes of a number or pattern.
pub const MAX_NUMBER_BYTES: usize = 200;

/// Short numbers of emergency services: dialling one must not reach another account's phone or application.
const EMERGENCY: [&str; 6] = ["000", "110", "112", "119", "911", "999"];

/// Characters that make a stored number a pattern.
const PATTERN_CHARACTERS: [char; 9] = ['*', '#', '^', '|', '.', '$', '\\', '[', ']'];

/// Whether a client can have this login, as far as its length goes. A longer text is not looked up: strangers send
/// it, and answers are kept in memory.
#[must_use]
pub fn may_be_login(text: &str) -> bool {
    // A character has at most four bytes.
    let is_short = text.len() <= MAX_LOGIN_CHARS * 4 && text.chars().count() <= MAX_LOGIN_CHARS;
    is_short && !text.is_empty()
}

/// Whether a text can be a stored number or pattern, or match one, as far as its length goes; see [`may_be_login`].
#[must_use]
pub fn may_be_number(text: &str) -> bool {
    text.len() <= MAX_NUMBER_BYTES
}

/// The owner of a dialled text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claimant {
    /// The client with this login.
    Client,
    /// The number stored in one of the dialled spellings.
    Number,
}

/// The owner of a client or number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner {
    /// Its account.
    pub account: AccountSid,
    /// The organization of that account.
    pub organization: OrganizationSid,
}

/// Who is called if the dialled text is both the login of a client and a spelling of a number (not
/// a pattern). Within an account it is the client, otherwise the number; but an organization's
/// extensions are its own, whatever numbers others have.
#[must_use]
pub fn claimant(dialled: &str, client: Owner, number: Owner) -> Claimant {
    let foreign = client.organization != number.organization;
    if client.account == number.account || (foreign && is_extension(dialled)) {
        Claimant::Client
    } else {
        Claimant::Number
    }
}

/// Whether some dialled text matches both a client and a stored number, and would call the number
/// although that belongs to another account.
#[must_use]
pub fn collide(client: (&str, Owner), number: (&str, Owner)) -> bool {
    claimant(client.0, client.1, number.1) == Claimant::Number
        && candidates(client.0)
            .iter()
            .any(|spelling| spelling == number.0)
}

/// Whether a number that another account wants to add is dialled like an existing one. Extensions
/// and patterns belong to an organization, and do not collide with any number of another; all other
/// numbers are global. It does not matter which of the two exists.
#[must_use]
pub fn is_taken(wanted: (&str, Owner), existing: (&str, Owner)) -> bool {
    let shares = wanted.1.organization == existing.1.organization
        || !(is_local(wanted.0) || is_local(existing.0));
    wanted.1.account != existing.1.account
        && shares
        && candidates(wanted.0)
            .iter()
            .any(|spelling| spelling == existing.0)
}

/// Whether a stored number can be dialled in an organization: extensions and patterns belong to one, all other numbers
/// are global.
#[must_use]
pub fn is_dialled_in(number: (&str, OrganizationSid), organization: OrganizationSid) -> bool {
    number.1 == organization || !is_local(number.0)
}

fn is_local(number: &str) -> bool {
    is_extension(number) || is_pattern(number)
}

/// The stored form of a number: E.164 if written with a country code, otherwise without visual
/// separators. So two numbers that are dialled the same way are spelt alike, except for the `+` in
/// front.
#[must_use]
pub fn stored(number: &str) -> String {
    if is_pattern(number) {
        return number.to_owned();
    }
    e164(number).unwrap_or_else(|| plain(number))
}

fn is_extension(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_EXTENSION && text.bytes().all(|b| b.is_ascii_digit())
}

/// Rules for a login.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LoginRule {
    /// A name or an extension: no restriction.
    Free,
    /// A phone number: its account must own it, in one of these spellings.
    OwnNumber(Vec<String>),
    /// A phone number in a spelling that is not looked up; the given one is.
    Spelling(String),
}

/// The rule for a login: one that reads as a phone number would receive calls to that number from
/// every account of the organization.
#[must_use]
pub fn login_rule(login: &str) -> LoginRule {
    if let Some(plain) = e164(login).filter(|plain| plain != login) {
        return LoginRule::Spelling(plain);
    }
    let is_free = is_extension(login) && !is_emergency(login);
    if is_free || !is_dialable(login) {
        LoginRule::Free
    } else {
        LoginRule::OwnNumber(candidates(login))
    }
}

/// What a text is that somebody wants to store as a number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NumberRule {
    /// A number, which is stored like this.
    Number(String),
    /// `*` or a pattern, stored as written.
    Pattern,
    /// Dots are its only pattern characters: a number written with separators, which is spelt like this, or a pattern
    /// that can be written without them. As a pattern it would not match the number that was meant.
    Dotted(String),
    /// Neither: it could never be dialled.
    Unusable,
}

/// The rule for a text that is to be stored as a number; the only place that decides what may be stored.
#[must_use]
pub fn number_rule(text: &str) -> NumberRule {
    let is_written = is_dialable(text) && !text.contains(char::is_whitespace) && !text.is_empty();
    if !may_be_number(text) {
        NumberRule::Unusable
    } else if text.contains(|c| is_pattern_character(c) && !matches!(c, '#' | '.')) {
        if text.bytes().all(|b| b.is_ascii_graphic()) {
            NumberRule::Pattern
        } else {
            NumberRule::Unusable
        }
    } else if !is_written {
        NumberRule::Unusable
    } else if text.contains('.') {
        let plain: String = text.chars().filter(|c| *c != '.').collect();
        NumberRule::Dotted(stored(&plain))
    } else if is_pattern(text) {
        NumberRule::Pattern
    } else {
        NumberRule::Number(stored(text))
    }
}

fn is_pattern_character(c: char) -> bool {
    PATTERN_CHARACTERS.contains(&c)
}

/// Whether a number is one of an emergency service: a customer who has it would receive everybody's calls to it.
#[must_use]
pub fn is_emergency(number: &str) -> bool {
    EMERGENCY.contains(&number.trim_start_matches('+'))
}

/// Whether an account may use an application: its own, or one of the account that sets it, which is that account or
/// above it. A call may later run it as long as it belongs to the account or one above: who set it is not stored.
///
/// - `application`: the account that has it
/// - `setter`: the account that names it in a request
#[must_use]
pub fn may_use(application: AccountSid, account: AccountSid, setter: AccountSid) -> bool {
    application == account || application == setter
}

/// Whether a stored number is `*` or a pattern: it receives calls to numbers without an owner.
#[must_use]
pub fn is_pattern(number: &str) -> bool {
    number.contains(PATTERN_CHARACTERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: OrganizationSid = OrganizationSid::from_bytes([9; 16]);
    const A: Owner = owner(1, HERE);
    const B: Owner = owner(2, HERE);
    const ELSEWHERE: Owner = owner(3, OrganizationSid::from_bytes([8; 16]));

    const fn owner(account: u8, organization: OrganizationSid) -> Owner {
        Owner {
            account: AccountSid::from_bytes([account; 16]),
            organization,
        }
    }

    #[test]
    fn a_client_and_a_number_collide_if_the_login_finds_the_number() {
        let table = [
            ("+12025551111", "+12025551111", true),
            ("12025551111", "+12025551111", true),
            ("+12025551111", "12025551111", true),
            ("0012025551111", "+12025551111", true),
            ("+1-202-555-1111", "+12025551111", true),
            ("1001", "1001", true),
            ("1001", "+1001", true),
            ("2025551111", "+12025551111", false),
            ("kim", "1001", false),
        ];
        for (login, number, expected) in table {
            assert_eq!(
                collide((login, A), (number, B)),
                expected,
                "{login} {number}"
            );
            assert!(!collide((login, A), (number, A)), "{login} {number}");
            let foreign = collide((login, A), (number, ELSEWHERE));
            assert_eq!(foreign, expected && login.len() > 6, "{login} {number}");
        }
    }

    #[test]
    fn a_longer_text_names_nothing() {
        for (length, login, number) in [
            (0, false, true),
            (64, true, true),
            (65, false, true),
            (200, false, true),
            (201, false, false),
            (60_000, false, false),
        ] {
            let text = "1".repeat(length);
            assert_eq!(may_be_login(&text), login, "{length}");
            assert_eq!(may_be_number(&text), number, "{length}");
        }
        assert!(may_be_login(&"\u{1F4DE}".repeat(64)), "characters count");
        assert!(!may_be_login(&"\u{1F4DE}".repeat(65)));
    }

    #[test]
    fn a_number_is_taken_in_any_spelling() {
        let table = [
            ("+12025550100", "+12025550100", B, true),
            ("12025550100", "+12025550100", B, true),
            ("+12025550100", "12025550100", B, true),
            ("+12025550100", "12025550100", ELSEWHERE, true),
            ("1001", "1001", B, true),
            ("1001", "1001", ELSEWHERE, false),
            ("+1001", "1001", B, true),
            ("+1001", "1001", ELSEWHERE, false),
            ("+1001", "+1001", ELSEWHERE, true),
            ("+1234567", "1234567", ELSEWHERE, true),
            ("*", "*", ELSEWHERE, false),
            ("*77", "*77", ELSEWHERE, false),
            ("*77", "*77", B, true),
            ("1001", "1001", A, false),
            ("1001", "1002", B, false),
        ];
        for (wanted, existing, of, expected) in table {
            let (wanted, existing) = ((wanted, A), (existing, of));
            assert_eq!(
                is_taken(wanted, existing),
                expected,
                "{wanted:?} {existing:?}"
            );
            assert_eq!(
                is_taken(existing, wanted),
                expected,
                "{existing:?} {wanted:?}"
            );
        }
    }

    #[test]
    fn only_phone_numbers_are_dialled_in_every_organization() {
        for (number, everywhere) in [
            ("+12025550100", true),
            ("12025550100", true),
            ("1001", false),
            ("*77", false),
            ("*", false),
        ] {
            assert!(is_dialled_in((number, HERE), HERE), "{number}");
            let elsewhere = is_dialled_in((number, HERE), ELSEWHERE.organization);
            assert_eq!(elsewhere, everywhere, "{number}");
        }
    }

    #[test]
    fn numbers_that_are_dialled_alike_are_stored_alike() {
        let table = [
            ("+1-202-555-0100", "+12025550100"),
            ("0012025550100", "+12025550100"),
            ("+1(202)5550100", "+12025550100"),
            ("10-01", "1001"),
            ("12025550100", "12025550100"),
        ];
        for (written, expected) in table {
            assert_eq!(stored(written), expected, "{written}");
            let rule = NumberRule::Number(expected.to_owned());
            assert_eq!(number_rule(written), rule, "{written}");
            // Dots separate digits for who dials, and match any digit in a pattern.
            let dotted = written
                .replace(['-', '(', ')'], ".")
                .replacen("00", "00.", 1);
            if dotted.contains('.') {
                let rule = NumberRule::Dotted(expected.to_owned());
                assert_eq!(number_rule(&dotted), rule, "{dotted}");
            }
        }
    }

    #[test]
    fn a_number_that_is_stored_is_a_number_or_a_pattern() {
        let long = "1".repeat(MAX_NUMBER_BYTES + 1);
        let table = [
            ("*", NumberRule::Pattern),
            ("*77", NumberRule::Pattern),
            ("#31", NumberRule::Pattern),
            ("+1202555[0-9]+", NumberRule::Pattern),
            ("^1650.*$", NumberRule::Pattern),
            ("+1202555\\d.", NumberRule::Pattern),
            ("+1202555....", NumberRule::Dotted("+1202555".to_owned())),
            ("+1 202 555 0100", NumberRule::Unusable),
            ("* 7", NumberRule::Unusable),
            ("#a", NumberRule::Unusable),
            ("kim", NumberRule::Unusable),
            ("", NumberRule::Unusable),
            (&long, NumberRule::Unusable),
        ];
        for (written, expected) in table {
            assert_eq!(number_rule(written), expected, "{written}");
            if expected == NumberRule::Pattern {
                assert_eq!(stored(written), written);
            }
        }
    }

    #[test]
    fn a_login_that_is_a_phone_number_must_be_the_accounts_own() {
        let own = |spellings: &[&str]| {
            LoginRule::OwnNumber(spellings.iter().map(|s| (*s).to_owned()).collect())
        };
        let table = [
            ("kim", LoginRule::Free),
            ("kim7", LoginRule::Free),
            ("1001", LoginRule::Free),
            ("123456", LoginRule::Free),
            ("112", own(&["112", "+112"])),
            ("1234567", own(&["1234567", "+1234567"])),
            ("+12025551111", own(&["+12025551111", "12025551111"])),
            ("*77", own(&["*77"])),
            (
                "0012025551111",
                LoginRule::Spelling("+12025551111".to_owned()),
            ),
            (
                "+1 202 555-1111",
                LoginRule::Spelling("+12025551111".to_owned()),
            ),
        ];
        for (login, expected) in table {
            assert_eq!(login_rule(login), expected, "{login}");
        }
    }
}
