//! E-mail: its record, and what an address may look like.
//!
//! **Invariant: no text that has passed [`Mailbox::parse`] or [`header`] holds a line break or another
//! control character,** so that none adds a header or a recipient. Left to others: composing the message
//! (`mail`), and whether an address exists.

use serde::{Deserialize, Serialize};

use crate::record::Account;
use crate::{AccountSid, CallSid, EmailSid, EmailStatus, Lane, RecordingSid, Timestamp};

/// One e-mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Email {
    /// Identifier, also of the message (`Message-ID`).
    pub sid: EmailSid,
    /// Owner.
    pub account: AccountSid,
    /// Call whose document sent it, if any.
    pub call: Option<CallSid>,
    /// Sender, as [`Mailbox::parse`] accepts it.
    pub from: String,
    /// Recipient, likewise.
    pub to: String,
    /// Further recipients, named in the message.
    pub cc: Vec<String>,
    /// Further recipients, not named in the message.
    pub bcc: Vec<String>,
    /// Subject, at most [`MAX_SUBJECT`] characters.
    pub subject: String,
    /// Text or HTML.
    pub body: String,
    /// What the record says instead, and keeps when the text is no longer needed to be sent: for one that holds a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_as: Option<String>,
    /// Whether the body is HTML.
    pub html: bool,
    /// Recordings that are attached.
    pub recordings: Vec<RecordingSid>,
    /// Where it is.
    pub status: EmailStatus,
    /// Number in the error table, once an attempt failed; none any more when it was sent.
    pub error_code: Option<u16>,
    /// Why the last attempt failed.
    pub reason: Option<String>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
    /// When the mail server accepted it.
    pub sent: Option<Timestamp>,
}

/// Longest subject, in characters; the rest is cut off.
pub const MAX_SUBJECT: usize = 160;
/// Longest body, in bytes.
pub const MAX_BODY: usize = 256 * 1024;
/// Maximum number of addresses in one list of further recipients.
pub const MAX_COPIES: usize = 50;
/// Maximum number of recordings attached to one mail.
pub const MAX_RECORDINGS: usize = 10;

/// Longest name before an address, in characters.
const MAX_NAME: usize = 120;
/// Longest part of an address before its `@`, in bytes (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL: usize = 64;

impl Email {
    /// The lane of its notifications: its call, or else its account.
    #[must_use]
    pub fn lane(&self) -> Lane {
        self.call.map_or(self.account.into(), Lane::from)
    }

    /// Everyone who receives it, in order.
    pub fn recipients(&self) -> impl Iterator<Item = &str> {
        let copies = self.cc.iter().chain(&self.bcc).map(String::as_str);
        std::iter::once(self.to.as_str()).chain(copies)
    }
}

/// An address with the name of its owner: `Ann <ann@example.org>`, or the address alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Name.
    pub name: Option<String>,
    /// Address.
    pub address: String,
}

impl Mailbox {
    /// Reads one address, with or without a name before it. Quoted local parts and address literals of
    /// RFC 5321 are not accepted.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.chars().any(char::is_control) {
            return None;
        }
        let Some(inner) = text.strip_suffix('>') else {
            return is_address(text).then(|| Self {
                name: None,
                address: text.to_owned(),
            });
        };
        let (name, address) = inner.rsplit_once('<')?;
        let name = name.trim().trim_matches('"').trim();
        let fits = name.chars().count() <= MAX_NAME && !name.contains(['"', '<', '>', '\\']);
        (fits && is_address(address)).then(|| Self {
            name: (!name.is_empty()).then(|| name.to_owned()),
            address: address.to_owned(),
        })
    }
}

/// Whether a text is an address: `local@domain`, in ASCII.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let is_atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    let atoms = |part: &str| {
        part.split('.')
            .all(|atom| !atom.is_empty() && atom.chars().all(is_atom))
    };
    let is_label = |label: &str| {
        let inside = |c: char| c.is_ascii_alphanumeric() || c == '-';
        (1..=63).contains(&label.len())
            && label.chars().all(inside)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= Account::MAX_EMAIL_BYTES
        && local.len() <= MAX_LOCAL
        && atoms(local)
        && domain.split('.').all(is_label)
}

/// The addresses of a list separated by commas; `Err` with the first one that is not an address.
///
/// # Errors
/// The text that is not an address, or the whole list if it has more than [`MAX_COPIES`].
pub fn list(text: &str) -> Result<Vec<String>, String> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    if parts.len() > MAX_COPIES {
        return Err(text.to_owned());
    }
    let read = |part: &str| match Mailbox::parse(part) {
        Some(_) => Ok(part.to_owned()),
        None => Err(part.to_owned()),
    };
    parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(read)
        .collect()
}

/// A text as the value of a header: one line, at most [`MAX_SUBJECT`] characters.
#[must_use]
pub fn header(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if !word.is_empty() {
            if !clean.is_empty() {
                clean.push(' ');
            }
            clean.push_str(word);
        }
    }
    clean.chars().take(MAX_SUBJECT).collect()
}

/// A text in which each `{{Name}}` is replaced by that parameter; one that there is not stands for nothing.
#[must_use]
pub fn fill(text: &str, params: &[(String, String)], escape: fn(&str) -> String) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((name, after)) = after.split_once("}}") else {
            filled.push_str("{{");
            rest = after;
            continue;
        };
        let named = params.iter().find(|(known, _)| known == name.trim());
        filled.push_str(&named.map_or_else(String::new, |(_, value)| escape(value)));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// The recordings that a list names by their SIDs or addresses, separated by commas or spaces.
///
/// # Errors
/// The part that names no recording, or the whole list if it has more than [`MAX_RECORDINGS`].
pub fn recordings(text: &str) -> Result<Vec<RecordingSid>, String> {
    let parts = text.split(|c: char| c == ',' || c.is_whitespace());
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    if parts.len() > MAX_RECORDINGS {
        return Err(text.to_owned());
    }
    let read = |part: &str| recording(part).ok_or_else(|| part.to_owned());
    parts.into_iter().map(read).collect()
}

/// The recording that a SID names, or the last part of an address with or without a query and an ending.
fn recording(text: &str) -> Option<RecordingSid> {
    let path = text.split(['?', '#']).next()?;
    let last = path.rsplit('/').next()?;
    last.split('.').next()?.parse().ok()
}

/// Which senders accounts may use.
#[derive(Clone, Debug, Default)]
pub struct Senders(Vec<String>);

impl Senders {
    /// Addresses, and domains with all of their addresses; any sender if there are none.
    #[must_use]
    pub fn new(allowed: &[String]) -> Self {
        Self(
            allowed
                .iter()
                .map(|entry| entry.to_ascii_lowercase())
                .collect(),
        )
    }

    /// Whether mails may be sent in the name of this sender.
    #[must_use]
    pub fn allow(&self, from: &str) -> bool {
        let Some(mailbox) = Mailbox::parse(from) else {
            return false;
        };
        let address = mailbox.address.to_ascii_lowercase();
        let domain = address.split_once('@').map_or("", |(_, domain)| domain);
        let fits = |entry: &String| *entry == address || entry.trim_start_matches('@') == domain;
        self.0.is_empty() || self.0.iter().any(fits)
    }
}

/// Whether a MIME type is HTML; `None` if it is neither `text/plain` nor `text/html`, or in another encoding than UTF-8.
#[must_use]
pub fn is_html(kind: &str) -> Option<bool> {
    let mut parts = kind.split(';').map(str::trim);
    let html = match parts.next()?.to_ascii_lowercase().as_str() {
        "text/plain" => false,
        "text/html" => true,
        _ => return None,
    };
    let mut parameters = parts.filter(|part| !part.is_empty());
    let is_utf8 = |parameter: &str| {
        let parameter = parameter.replace([' ', '"'], "").to_ascii_lowercase();
        parameter
            .strip_prefix("charset=")
            .is_none_or(|charset| charset == "utf-8")
    };
    parameters.all(is_utf8).then_some(html)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_address_is() {
        let long = format!("{}@b.example", "a".repeat(65));
        let table = [
            ("ann@example.org", Some((None, "ann@example.org"))),
            (" ann@localhost ", Some((None, "ann@localhost"))),
            (
                "Ann B. <a.b+c@x-y.example>",
                Some((Some("Ann B."), "a.b+c@x-y.example")),
            ),
            ("\"Ann, B\" <ann@b>", Some((Some("Ann, B"), "ann@b"))),
            ("Zoë <z@b>", Some((Some("Zoë"), "z@b"))),
            ("<a@b>", Some((None, "a@b"))),
            ("", None),
            ("ann", None),
            ("@b", None),
            ("a@", None),
            ("a@b@c", None),
            ("a b@c", None),
            ("a..b@c", None),
            (".a@c", None),
            ("a@-b", None),
            ("a@b..c", None),
            ("a@b,c@d", None),
            ("a@b\r\nBcc: x@y", None),
            ("A\r\nBcc: x@y <a@b>", None),
            ("A <a@b> <c@d>", None),
            (&long, None),
        ];
        for (text, expected) in table {
            let found = Mailbox::parse(text);
            let found = found
                .as_ref()
                .map(|found| (found.name.as_deref(), found.address.as_str()));
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn lists_are_read_whole_or_refused() {
        let table: &[(&str, Result<&[&str], &str>)] = &[
            ("", Ok(&[])),
            ("a@b", Ok(&["a@b"])),
            ("a@b, C <c@d>,", Ok(&["a@b", "C <c@d>"])),
            ("a@b,x,y", Err("x")),
        ];
        for (text, expected) in table {
            let found = list(text);
            let found = found.as_deref().map_err(String::as_str);
            let expected = expected.map(|all| all.iter().map(|one| (*one).to_owned()).collect());
            assert_eq!(found.map(<[String]>::to_vec), expected, "{text}");
        }
        assert!(list(&"a@b,".repeat(MAX_COPIES + 1)).is_err());
    }

    #[test]
    fn a_header_is_one_line() {
        assert_eq!(header("a\r\nBcc: x@y\t\u{0}b  "), "a Bcc: x@y b");
        assert_eq!(header(&"é".repeat(200)).chars().count(), MAX_SUBJECT);
    }

    #[test]
    fn recordings_are_named_by_sid_or_address() {
        let sid = "RE0123456789abcdef0123456789abcdef";
        let one: RecordingSid = sid.parse().unwrap();
        let table = [
            (String::new(), Ok(vec![])),
            (sid.to_owned(), Ok(vec![one])),
            (
                format!("http://h/A/Recordings/{sid}.wav?sig=1/2"),
                Ok(vec![one]),
            ),
            (format!("{sid}, /x/{sid}"), Ok(vec![one, one])),
            (format!("{sid} CA1"), Err("CA1".to_owned())),
        ];
        for (text, expected) in table {
            assert_eq!(recordings(&text), expected, "{text}");
        }
        assert!(recordings(&format!("{sid} ").repeat(MAX_RECORDINGS + 1)).is_err());
    }

    #[test]
    fn who_may_send() {
        let any = Senders::default();
        let some = Senders::new(&[
            "Box@a.example".to_owned(),
            "@b.example".to_owned(),
            "c.example".to_owned(),
        ]);
        let table = [
            ("x@y", true, false),
            ("box@a.example", true, true),
            ("Ann <BOX@A.example>", true, true),
            ("other@a.example", true, false),
            ("ann@b.example", true, true),
            ("ann@c.example", true, true),
            ("ann@sub.c.example", true, false),
            ("not an address", false, false),
        ];
        for (from, by_any, by_some) in table {
            assert_eq!(
                (any.allow(from), some.allow(from)),
                (by_any, by_some),
                "{from}"
            );
        }
    }

    #[test]
    fn what_is_html() {
        let table = [
            ("text/plain", Some(false)),
            ("TEXT/HTML; charset=\"UTF-8\"", Some(true)),
            ("text/html; format=flowed;", Some(true)),
            ("text/html; charset=latin1", None),
            ("application/json", None),
            ("", None),
        ];
        for (kind, expected) in table {
            assert_eq!(is_html(kind), expected, "{kind}");
        }
    }
}
