//! The text of a noun: its target in canonical form, and the header list after the `?`.
//! [`model::Target::parse`] decides what a text without a noun means.
//!
//! **Invariant: every header returned has a name that is a token (RFC 3261 §25.1), except in a REFER
//! one that starts with `X-`, and a value without control characters.**

use model::address::is_sip_address;
use model::target::has_sip_scheme;
use model::{Bare, number};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The characters that are escaped in the header list of a URI (RFC 3261 §25.1, `hvalue`).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'[')
    .remove(b']')
    .remove(b'/')
    .remove(b'?')
    .remove(b':')
    .remove(b'+')
    .remove(b'$');

/// Maximum length of a target, in bytes.
const MAX_TARGET: usize = 254;

/// Maximum length of the headers of one target, in bytes, counting two more for each.
const MAX_HEADERS: usize = 1023;

/// Optional prefix of a login, in any case.
const CLIENT: &str = "client:";

/// The kind of party that a text names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Number,
    Client,
    Sip,
}

impl Kind {
    /// Name of the element.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Number => "Number",
            Self::Client => "Client",
            Self::Sip => "Sip",
        }
    }
}

/// A target split from its header list.
#[derive(Default, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    /// Empty if it cannot be dialled.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    /// Header fields that were refused.
    pub(crate) refused: Vec<String>,
}

/// The kind of party named by the plain text of a `Dial`.
pub(crate) fn kind_of(text: &str) -> Kind {
    match model::Target::parse(text, Bare::Number) {
        model::Target::Sip(_) => Kind::Sip,
        model::Target::Client(_) => Kind::Client,
        model::Target::Number(_) | model::Target::Named(_) => Kind::Number,
    }
}

/// The canonical form of a message recipient: `client:` and a login, a SIP address, a number, or a
/// name that may be either; empty if it can be none.
pub(crate) fn recipient(text: &str) -> String {
    let kind = kind_of(text);
    let target = normal(kind, text);
    if kind == Kind::Client && !target.is_empty() {
        format!("client:{target}")
    } else {
        target
    }
}

/// The URI for a REFER in canonical form, with its header list, and the header fields that were
/// refused; no URI if the text is not a SIP address. Unlike in a `Dial`, a header keeps its name:
/// the phone decides which ones it sends (RFC 3261 §19.1.5).
pub(crate) fn referred(text: &str) -> (Option<String>, Vec<String>) {
    let split = split_with(Kind::Sip, text, header);
    let model::Target::Sip(mut uri) = model::Target::parse(&split.target, Bare::Number) else {
        return (None, split.refused);
    };
    if !is_sip_uri(&uri) {
        return (None, split.refused);
    }
    let mut mark = '?';
    for (name, value) in split.headers {
        uri.push(mark);
        uri.extend(utf8_percent_encode(&name, ESCAPED));
        uri.push('=');
        uri.extend(utf8_percent_encode(&value, ESCAPED));
        mark = '&';
    }
    (Some(uri), split.refused)
}

/// Whether a URI with a scheme and without a header list is valid, with or without a user part.
fn is_sip_uri(uri: &str) -> bool {
    if uri.contains('@') {
        return is_sip_address(uri);
    }
    let host = uri.split_once(':').map(|(_, host)| host);
    host.is_some_and(|host| is_sip_address(&format!("x@{host}")))
}

/// Splits a text such as `sip:desk@pbx.example?dept=7&X-Id=2`.
pub(crate) fn split(kind: Kind, text: &str) -> Target {
    split_with(kind, text, |field| header(field).map(extension))
}

/// - `header`: reads one `name=value`.
fn split_with(kind: Kind, text: &str, header: impl Fn(&str) -> Option<(String, String)>) -> Target {
    // The user part of a SIP address may contain a `?` too.
    let from = if kind == Kind::Sip {
        text.rfind('@').unwrap_or(0)
    } else {
        0
    };
    let (name, list) = match text[from..].find('?') {
        Some(at) => (&text[..from + at], &text[from + at + 1..]),
        None => (text, ""),
    };
    let mut split = Target {
        target: normal(kind, name.trim()),
        ..Target::default()
    };
    let mut room = MAX_HEADERS;
    for field in list
        .split('&')
        .map(str::trim)
        .filter(|field| !field.is_empty())
    {
        let header = header(field).filter(|(name, value)| name.len() + value.len() + 2 <= room);
        match header {
            Some((name, value)) => {
                room -= name.len() + value.len() + 2;
                split.headers.push((name, value));
            }
            None => split.refused.push(field.to_owned()),
        }
    }
    split
}

/// The client that is probably meant by a target that is called as something else: a number with
/// letters, or a SIP address that is a single word and thus the name of a host.
///
/// - `text`: the target as written.
pub(crate) fn meant_client<'a>(kind: Kind, text: &str, target: &'a str) -> Option<&'a str> {
    match kind {
        Kind::Number => (!number::is_dialable(target)).then_some(target),
        Kind::Client => None,
        Kind::Sip if has_sip_scheme(text) => None,
        Kind::Sip => {
            let address = target.strip_prefix("sip:")?;
            let word = address.split(';').next()?;
            (!address.contains('@') && !word.contains(['.', ':'])).then_some(word)
        }
    }
}

/// Whether a text is a sequence of keys and waits.
pub(crate) fn is_digits(text: &str) -> bool {
    text.chars()
        .all(|c| matches!(c, '0'..='9' | '*' | '#' | 'A'..='D' | 'a'..='d' | 'w' | 'W'))
}

/// The target in canonical form, or an empty text if it cannot be dialled.
fn normal(kind: Kind, name: &str) -> String {
    let target = match kind {
        Kind::Number => number::plain(name),
        Kind::Client => match name.get(..CLIENT.len()) {
            Some(prefix) if prefix.eq_ignore_ascii_case(CLIENT) => &name[CLIENT.len()..],
            Some(_) | None => name,
        }
        .trim()
        .to_owned(),
        Kind::Sip if has_sip_scheme(name) || name.is_empty() => name.to_owned(),
        Kind::Sip => format!("sip:{name}"),
    };
    let usable = target.len() <= MAX_TARGET
        && !target
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>'));
    if usable { target } else { String::new() }
}

/// One `name=value` of a header list.
fn header(field: &str) -> Option<(String, String)> {
    let (name, value) = field.split_once('=').unwrap_or((field, ""));
    let (name, value) = (
        percent_decoded(name.trim())?,
        percent_decoded(value.trim())?,
    );
    let token = |b: u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b);
    let bare = &name[prefix_length(&name)..];
    let allowed =
        !bare.is_empty() && bare.bytes().all(token) && !value.chars().any(char::is_control);
    allowed.then_some((name, value))
}

/// Length of the `X-` in front of a header's name; 0 if there is none.
fn prefix_length(name: &str) -> usize {
    match name.get(..2) {
        Some(prefix) if prefix.eq_ignore_ascii_case("x-") => 2,
        Some(_) | None => 0,
    }
}

/// A header of an INVITE, whose name always starts with `X-`.
fn extension((name, value): (String, String)) -> (String, String) {
    let bare = &name[prefix_length(&name)..];
    (format!("X-{bare}"), value)
}

/// Decodes `%20` and the like; a `%` that starts no such code is kept. `None` if the bytes are not UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    Some(decoded.into_owned())
}
