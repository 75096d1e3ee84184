//! One `[[trunk]]` table of the configuration file.
//!
//! **Invariant: a trunk has a name and an address to send calls to.** Its address is only resolved
//! when a call needs it.

use std::net::IpAddr;

use super::setting::{Secret, Setting};
use super::source::{Problem, secret_from_file};
use super::{Key, Reason};

/// A provider's SIP server that calls come from and go to.
#[derive(Clone, Debug)]
pub(crate) struct Trunk {
    /// Its name, for people and logs.
    pub(crate) name: String,
    /// Where calls go: `host[:port][;transport=tcp]`.
    pub(crate) uri: String,
    /// Digest user for challenges.
    pub(crate) username: Option<String>,
    /// Digest password.
    pub(crate) password: Option<Secret>,
    /// Source addresses of its calls.
    pub(crate) addresses: Vec<IpAddr>,
}

/// The keys of a trunk, for the documentation and for suggestions.
pub(super) const KEYS: &[Key] = &[
    key(
        "name",
        "a string",
        "Display name, also used in the log; required.",
    ),
    key(
        "uri",
        "`host[:port][;transport=tcp]`",
        "Address that calls to numbers are sent to; required.",
    ),
    key(
        "username",
        "a string",
        "Digest user name, if the provider asks for one.",
    ),
    Key {
        secret: true,
        ..key("password", "a string", "Digest password.")
    },
    key(
        "addresses",
        "a list of IP addresses",
        "Addresses that the provider's calls come from; calls from elsewhere are not trusted.",
    ),
];

const fn key(name: &'static str, kind: &'static str, doc: &'static str) -> Key {
    Key {
        section: "trunk",
        name,
        kind,
        default: "",
        secret: false,
        doc,
    }
}

/// Reads the table at position `at` (from 0); `None` if it has any fault.
pub(super) fn read(at: usize, table: &toml::Table, problems: &mut Vec<Problem>) -> Option<Trunk> {
    let before = problems.len();
    let mut trunk = Trunk {
        name: String::new(),
        uri: String::new(),
        username: None,
        password: None,
        addresses: Vec::new(),
    };
    for (name, value) in table {
        let read = super::source::plain(value).and_then(|text| set(&mut trunk, name, &text));
        if let Err(reason) = read {
            problems.push(Problem::new(format!("trunk[{at}].{name}"), reason));
        }
    }
    for (name, value) in [("name", &trunk.name), ("uri", &trunk.uri)] {
        if value.is_empty() && problems.len() == before {
            problems.push(Problem::new(
                format!("trunk[{at}].{name}"),
                "is missing".to_owned(),
            ));
        }
    }
    (problems.len() == before).then_some(trunk)
}

fn set(trunk: &mut Trunk, name: &str, text: &str) -> Result<(), Reason> {
    match name {
        "name" => trunk.name = one_line(text)?,
        "uri" => trunk.uri = next_hop(text)?,
        "username" => trunk.username = Some(one_line(text)?),
        "password" => trunk.password = Some(Secret::read(text)?),
        "password_file" => trunk.password = Some(Secret::read(&secret_from_file(text)?)?),
        "addresses" => trunk.addresses = Setting::read(text)?,
        _ => return Err(super::source::no_such_key(name, KEYS.iter())),
    }
    Ok(())
}

/// `host[:port][;transport=tcp]`, with or without `sip:`.
fn next_hop(text: &str) -> Result<String, Reason> {
    if !model::address::is_next_hop(text) {
        return Err("must be `host[:port][;transport=tcp]`".to_owned());
    }
    Ok(text.to_owned())
}

/// A text that can go into a SIP header.
pub(super) fn one_line(text: &str) -> Result<String, Reason> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("must be one line of text".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_a_trunk_or_says_what_is_wrong() {
        let table: &[(&str, &str)] = &[
            ("name = 'a'\nuri = 'sip.example'", ""),
            (
                "name = 'a'\nuri = 'h'\npassword = 'p'\naddresses = ['10.0.0.1', '10.0.0.2']",
                "",
            ),
            ("uri = 'h'", "`trunk[0].name`: is missing"),
            (
                "name = 'a'\nuri = 'h'\nadresses = []",
                "`trunk[0].adresses`: no such key; did you mean `addresses`?",
            ),
            (
                "name = 'a'\nuri = 'h'\naddresses = ['x']",
                "`trunk[0].addresses`: `x` is not an IP address",
            ),
            (
                "name = 'a'\nuri = \"h\\r\\nX: y\"",
                "`trunk[0].uri`: must be `host[:port][;transport=tcp]`",
            ),
            (
                "name = 'a'\nuri = 'bad uri here'",
                "`trunk[0].uri`: must be `host[:port][;transport=tcp]`",
            ),
            (
                "name = 'a'\nuri = 'h'\npassword_file = '/nowhere'",
                "`trunk[0].password_file`: cannot read `/nowhere`",
            ),
        ];
        for (text, expected) in table {
            let mut problems = Vec::new();
            let trunk = read(0, &text.parse().unwrap(), &mut problems);
            assert_eq!(trunk.is_some(), expected.is_empty(), "{text}");
            let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
            let found = found.join("; ");
            assert!(
                found.starts_with(expected) && (found.is_empty() == expected.is_empty()),
                "{found}"
            );
        }
    }
}
