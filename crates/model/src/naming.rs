//! Who is meant by a name or number that two accounts could claim.
//!
//! Clients are looked up by login, numbers in several spellings, and both are dialled in the same
//! way. **Invariant: a number belongs to its account.** A login of another account cannot take its
//! calls, in whatever spelling and order the two were created: [`claimant`] decides for calls, and
//! [`collide`] and [`login_rule`] keep such pairs from being created. Left to others: finding the rows.

use crate::AccountSid;
use crate::number::{candidates, e164, is_dialable};

/// Most digits of a login that reads as a number and is no phone number: an extension.
pub const LONGEST_EXTENSION: usize = 6;

/// Characters that make a stored number a pattern.
const PATTERN_CHARACTERS: [char; 9] = ['*', '#', '^', '|', '.', '$', '\\', '[', ']'];

/// What is meant by a dialled text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claimant {
    /// The client with this login.
    Client,
    /// The number stored in one of its spellings.
    Number,
}

/// Who is called, if the dialled text is the login of a client of one account and a spelling of a
/// number (no pattern) of another or the same one: within an account the client, otherwise the number.
#[must_use]
pub fn claimant(client: AccountSid, number: AccountSid) -> Claimant {
    if client == number {
        Claimant::Client
    } else {
        Claimant::Number
    }
}

/// Whether a client and a stored number would both be meant by some dialled text, although they belong to
/// different accounts.
#[must_use]
pub fn collide(client: (&str, AccountSid), number: (&str, AccountSid)) -> bool {
    claimant(client.1, number.1) == Claimant::Number
        && candidates(client.0)
            .iter()
            .any(|spelling| spelling == number.0)
}

/// What a login must observe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LoginRule {
    /// A name, or an extension: nothing.
    Free,
    /// A phone number: its account must have it, in one of these spellings.
    OwnNumber(Vec<String>),
    /// A phone number in a spelling that is not looked up; this one is.
    Spelling(String),
}

/// What a login must observe: one that reads as a phone number would receive the calls to it, from every
/// account of the organization.
#[must_use]
pub fn login_rule(login: &str) -> LoginRule {
    if let Some(plain) = e164(login).filter(|plain| plain != login) {
        return LoginRule::Spelling(plain);
    }
    let is_extension =
        login.len() <= LONGEST_EXTENSION && login.bytes().all(|b| b.is_ascii_digit());
    if is_extension || !is_dialable(login) {
        LoginRule::Free
    } else {
        LoginRule::OwnNumber(candidates(login))
    }
}

/// Whether a stored number is `*` or a pattern: it receives calls to numbers that no account has.
#[must_use]
pub fn is_pattern(number: &str) -> bool {
    number.contains(PATTERN_CHARACTERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: AccountSid = AccountSid::from_bytes([1; 16]);
    const B: AccountSid = AccountSid::from_bytes([2; 16]);

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
