//! One `[[siprec]]` table of the configuration file.
//!
//! **Invariant: a connector has a name of its own and the address of a recording server.** The address is
//! only resolved when a call is to be recorded.

use super::setting::{Secret, Setting as _};
use super::source::{Problem, secret_from_file};
use super::trunk::one_line;
use super::{Key, Reason};

/// A recording server that documents name as a connector (`<Siprec>`).
#[derive(Clone, Debug, Default)]
pub(crate) struct Siprec {
    /// Its name in documents.
    pub(crate) name: String,
    /// Its SIP address.
    pub(crate) uri: String,
    /// Digest user for challenges.
    pub(crate) username: Option<String>,
    /// Digest password.
    pub(crate) password: Option<Secret>,
}

/// The keys of a connector, for the documentation and for suggestions.
pub(super) const KEYS: &[Key] = &[
    key(
        "name",
        "a string",
        "Name that documents write as `connectorName`; required. A document without one uses the server called `Default`.",
    ),
    key(
        "uri",
        "`sip:[user@]host[:port][;transport=tcp]`",
        "SIP address of the recording server; required. An INVITE with metadata is longer than most networks let through in one UDP packet, so prefer `transport=tcp`.",
    ),
    key(
        "username",
        "a string",
        "Digest user name, if the server asks for one.",
    ),
    Key {
        secret: true,
        ..key("password", "a string", "Digest password.")
    },
];

const fn key(name: &'static str, kind: &'static str, doc: &'static str) -> Key {
    Key {
        section: "siprec",
        name,
        kind,
        default: "",
        secret: false,
        doc,
    }
}

/// Reads the table at position `at` (from 0); `None` if it has any fault.
///
/// - `earlier`: the connectors before it
pub(super) fn read(
    at: usize,
    table: &toml::Table,
    earlier: &[Siprec],
    problems: &mut Vec<Problem>,
) -> Option<Siprec> {
    let before = problems.len();
    let mut siprec = Siprec::default();
    let mut refuse = |name: &str, reason: Reason| {
        problems.push(Problem::new(format!("siprec[{at}].{name}"), reason));
    };
    for (name, value) in table {
        let read = super::source::plain(value).and_then(|text| set(&mut siprec, name, &text));
        if let Err(reason) = read {
            refuse(name, reason);
        }
    }
    for (name, value) in [("name", &siprec.name), ("uri", &siprec.uri)] {
        if value.is_empty() && !table.contains_key(name) {
            refuse(name, "is missing".to_owned());
        }
    }
    if earlier.iter().any(|other| other.name == siprec.name) {
        refuse(
            "name",
            format!("`{}` is the name of another one", siprec.name),
        );
    }
    (problems.len() == before).then_some(siprec)
}

fn set(siprec: &mut Siprec, name: &str, text: &str) -> Result<(), Reason> {
    match name {
        "name" => siprec.name = one_line(text)?,
        "uri" => siprec.uri = address(text)?,
        "username" => siprec.username = Some(one_line(text)?),
        "password" => siprec.password = Some(Secret::read(text)?),
        "password_file" => siprec.password = Some(Secret::read(&secret_from_file(text)?)?),
        _ => return Err(super::source::no_such_key(name, KEYS.iter())),
    }
    Ok(())
}

fn address(text: &str) -> Result<String, Reason> {
    let bare = text.strip_prefix("sip:").unwrap_or_default();
    let (user, host) = bare.rsplit_once('@').unwrap_or(("", bare));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.!~*'()%+".contains(c);
    if host.is_empty() || !user.chars().all(is_plain) || !model::address::is_next_hop(host) {
        return Err("must be `sip:[user@]host[:port][;transport=tcp]`".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_a_connector_or_says_what_is_wrong() {
        let table: &[(&str, &str)] = &[
            (
                "name = 'a'\nuri = 'sip:srs@rec.example:5070;transport=tcp'",
                "",
            ),
            (
                "name = 'a'\nuri = 'sip:h'\nusername = 'u'\npassword = 'p'",
                "",
            ),
            ("uri = 'sip:h'", "`siprec[1].name`: is missing"),
            ("name = 'a'", "`siprec[1].uri`: is missing"),
            (
                "name = 'a'\nuri = 'h'",
                "`siprec[1].uri`: must be `sip:[user@]host[:port][;transport=tcp]`",
            ),
            (
                "name = 'a'\nuri = \"sip:a b@h\"",
                "`siprec[1].uri`: must be `sip:[user@]host[:port][;transport=tcp]`",
            ),
            (
                "name = 'first'\nuri = 'sip:h'",
                "`siprec[1].name`: `first` is the name of another one",
            ),
            (
                "name = 'a'\nuri = 'sip:h'\nusernam = 'x'",
                "`siprec[1].usernam`: no such key; did you mean `username`?",
            ),
        ];
        let first = Siprec {
            name: "first".to_owned(),
            ..Siprec::default()
        };
        for (text, expected) in table {
            let mut problems = Vec::new();
            let earlier = std::slice::from_ref(&first);
            let siprec = read(1, &text.parse().unwrap(), earlier, &mut problems);
            assert_eq!(siprec.is_some(), expected.is_empty(), "{text}");
            let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
            assert_eq!(found.join("; "), *expected, "{text}");
        }
    }
}
