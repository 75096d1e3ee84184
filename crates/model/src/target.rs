//! Interprets the text of a `To`: a client, a phone number or a SIP address.
//!
//! **Invariant: [`Target::parse`] is the only place that decides it**, for the REST API, documents,
//! messages and rehearsals alike. Left to others: splitting off the header list after a `?`, and
//! looking up a [`Target::Named`].

use serde::{Deserialize, Serialize};

use crate::number;

/// Prefix of a client's login; the colon may be missing.
const CLIENT: &str = "client";

/// A called party, before look-up.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Target {
    /// A client of the account's organization, by login.
    Client(String),
    /// A phone number, through a trunk.
    Number(String),
    /// A SIP address, with its scheme.
    Sip(String),
    /// A client of the account's organization with this login, or else a phone number.
    Named(String),
}

/// The meaning of a text with neither a prefix nor a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bare {
    /// A phone number: calls, where a client needs `client:`.
    Number,
    /// The client with this login, if it exists, or else a phone number: messages.
    ClientOrNumber,
}

impl Target {
    /// The meaning of a text:
    ///
    /// 1. With an `@`, or `sip:` or `sips:` in any case in front: a SIP address. A missing scheme is
    ///    added, and one in capitals becomes lower-case.
    /// 2. With `client` in front, in any case: a client. `client:` is removed.
    /// 3. Anything else is interpreted according to `bare`; a phone number loses its visual
    ///    separators.
    #[must_use]
    pub fn parse(text: &str, bare: Bare) -> Self {
        let text = text.trim();
        if let Some((scheme, rest)) = split_sip_scheme(text).filter(|(_, rest)| !rest.is_empty()) {
            return Self::Sip(format!("{scheme}{rest}"));
        }
        if text.contains('@') {
            return Self::Sip(format!("sip:{text}"));
        }
        if let Some(rest) = without_prefix(text, CLIENT) {
            return Self::Client(rest.strip_prefix(':').map_or(text, str::trim).to_owned());
        }
        match bare {
            Bare::Number => Self::Number(number::plain(text)),
            Bare::ClientOrNumber => Self::Named(text.to_owned()),
        }
    }

    /// The login, number, name or address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Client(text) | Self::Number(text) | Self::Sip(text) | Self::Named(text) => text,
        }
    }
}

/// The form of a caller's address in the user part of From: `client:thomas` becomes `thomas`, so
/// that the called party can call back. A SIP address or a number is unchanged.
#[must_use]
pub fn caller(text: &str) -> &str {
    let login = without_prefix(text.trim(), CLIENT).and_then(|rest| rest.strip_prefix(':'));
    match login.map(str::trim) {
        Some(login) if !login.is_empty() && !login.contains('@') => login,
        Some(_) | None => text,
    }
}

/// Whether a text starts with `sip:` or `sips:` and continues after it.
#[must_use]
pub fn has_sip_scheme(text: &str) -> bool {
    split_sip_scheme(text).is_some_and(|(_, rest)| !rest.is_empty())
}

/// The scheme, `sip:` or `sips:` in lower case, and the rest.
pub(crate) fn split_sip_scheme(text: &str) -> Option<(&'static str, &str)> {
    ["sip:", "sips:"]
        .into_iter()
        .find_map(|scheme| Some((scheme, without_prefix(text, scheme)?)))
}

fn without_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_calls_is_named_by_its_login() {
        let table = [
            ("client:thomas", "thomas"),
            ("Client: thomas", "thomas"),
            ("client:", "client:"),
            ("client7", "client7"),
            ("client:kim@h", "client:kim@h"),
            ("sip:client:kim@h", "sip:client:kim@h"),
            ("+1999", "+1999"),
        ];
        for (text, user) in table {
            assert_eq!(caller(text), user, "{text}");
        }
    }

    #[test]
    fn decides_what_a_text_means() {
        let client = |login: &str| Target::Client(login.to_owned());
        let number = |number: &str| Target::Number(number.to_owned());
        let sip = |uri: &str| Target::Sip(uri.to_owned());
        // The text, and its meaning where a bare text is a number.
        let table = [
            ("+12025550123", number("+12025550123")),
            (" +1 (202) 555-0123 ", number("+12025550123")),
            ("*77#", number("*77#")),
            ("131313", number("131313")),
            ("kim", number("kim")),
            ("client:kim", client("kim")),
            ("Client: kim", client("kim")),
            ("client7", client("client7")),
            ("clientele", client("clientele")),
            ("sip:kim@h:5061", sip("sip:kim@h:5061")),
            ("SIPS:Kim@h", sip("sips:Kim@h")),
            ("Sip:kim@h", sip("sip:kim@h")),
            ("sip:h", sip("sip:h")),
            ("kim@h", sip("sip:kim@h")),
            ("client:kim@h", sip("sip:client:kim@h")),
            ("sip:", number("sip:")),
            ("", number("")),
            ("é", number("é")),
        ];
        for (text, meaning) in table {
            assert_eq!(Target::parse(text, Bare::Number), meaning, "{text}");
            let named = match meaning {
                Target::Number(_) => Target::Named(text.trim().to_owned()),
                meaning @ (Target::Client(_) | Target::Sip(_) | Target::Named(_)) => meaning,
            };
            assert_eq!(Target::parse(text, Bare::ClientOrNumber), named, "{text}");
        }
    }
}
