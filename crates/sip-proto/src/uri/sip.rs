//! `sip:` and `sips:` URIs (RFC 3261 §19.1).

use super::{Host, Params, UriError};
use crate::parse::{Class, class};
use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// A `sip:` or `sips:` URI. `==` compares text; [`SipUri::equivalent`] is RFC 3261 §19.1.4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipUri {
    /// Whether the scheme is `sips`.
    pub secure: bool,
    /// User part as written, including escapes; [`SipUri::decoded_user`] decodes it.
    pub user: Option<String>,
    /// Password part as written.
    pub password: Option<String>,
    /// Host.
    pub host: Host,
    /// Port, if written.
    pub port: Option<u16>,
    /// URI parameters, in order.
    pub params: Params,
    /// Headers after `?`, as written.
    pub headers: Vec<(String, String)>,
}

impl SipUri {
    /// `sip:user@host:port`; characters not allowed in a user part are escaped.
    pub fn new(user: Option<&str>, host: Host, port: Option<u16>) -> Self {
        Self {
            secure: false,
            user: user.map(escape_user),
            password: None,
            host,
            port,
            params: Params::default(),
            headers: Vec::new(),
        }
    }

    /// Reads everything after `sip:` or `sips:`.
    pub(super) fn parse_rest(secure: bool, rest: &str) -> Result<Self, UriError> {
        let (userinfo, rest) = match rest.split_once('@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, rest),
        };
        let (user, password) = match userinfo {
            Some(userinfo) => parse_userinfo(userinfo)?,
            None => (None, None),
        };
        let (rest, headers) = match rest.split_once('?') {
            Some((rest, headers)) => (rest, parse_headers(headers)?),
            None => (rest, Vec::new()),
        };
        let (hostport, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
        if hostport.bytes().any(|b| b.is_ascii_whitespace()) {
            return Err(UriError("white space"));
        }
        let (host, port) = Host::parse_with_port(hostport)?;
        let params = Params::parse_uri(params)?;
        Ok(Self {
            secure,
            user,
            password,
            host,
            port,
            params,
            headers,
        })
    }

    /// User part with escapes decoded; bytes that are not UTF-8 become U+FFFD.
    pub fn decoded_user(&self) -> Option<Cow<'_, str>> {
        self.user.as_deref().map(unescape)
    }

    /// Value of the `transport` parameter.
    pub fn transport(&self) -> Option<&str> {
        self.params.get("transport")
    }

    /// Whether both name the same resource (RFC 3261 §19.1.4, RFC 5954 §4.2).
    pub fn equivalent(&self, other: &Self) -> bool {
        let text = |a: &Option<String>, b: &Option<String>| {
            a.as_deref().map(normal_escapes) == b.as_deref().map(normal_escapes)
        };
        self.secure == other.secure
            && text(&self.user, &other.user)
            && text(&self.password, &other.password)
            && self.host == other.host
            && self.port == other.port
            && same_params(&self.params, &other.params)
            && same_params(&other.params, &self.params)
            && same_headers(&self.headers, &other.headers)
    }
}

/// `#` should be escaped, but phones dial it as is; likewise non-ASCII characters.
static USER: Class = class(b"-_.!~*'()&=+$,;?/#", true);
/// Also `@`, `,` and `;`, which senders of `?Replaces=` tend not to escape.
static HEADER: Class = class(b"-_.!~*'()[]/?:+$@,;", true);

fn parse_userinfo(userinfo: &str) -> Result<(Option<String>, Option<String>), UriError> {
    let (user, password) = match userinfo.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (userinfo, None),
    };
    if user.is_empty() || !legal_escaped(user, &USER) {
        return Err(UriError("malformed user"));
    }
    if !password.is_none_or(|text| legal_escaped(text, &USER)) {
        return Err(UriError("malformed password"));
    }
    Ok((Some(user.to_owned()), password.map(str::to_owned)))
}

fn parse_headers(text: &str) -> Result<Vec<(String, String)>, UriError> {
    let pair = |item: &str| {
        let (name, value) = item.split_once('=').ok_or(UriError("malformed header"))?;
        if name.is_empty() || !legal_escaped(name, &HEADER) || !legal_escaped(value, &HEADER) {
            return Err(UriError("malformed header"));
        }
        Ok((name.to_owned(), value.to_owned()))
    };
    text.split('&').map(pair).collect()
}

/// Whether every byte is in `class` or part of a complete `%HH`.
pub(super) fn legal_escaped(text: &str, class: &Class) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let escape = byte == b'%'
            && bytes.next().is_some_and(|b| b.is_ascii_hexdigit())
            && bytes.next().is_some_and(|b| b.is_ascii_hexdigit());
        if !escape && !class[usize::from(byte)] {
            return false;
        }
    }
    true
}

/// Decodes `%HH`; bytes that are not UTF-8 become U+FFFD.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let decoded = escapes(text).fold(Vec::with_capacity(text.len()), |mut out, (byte, _)| {
        out.push(byte);
        out
    });
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

/// Escapes characters not allowed in a user part, `%` and `@` included.
pub fn escape_user(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Bytes of `text` with `%HH` decoded, and whether each was escaped.
fn escapes(text: &str) -> impl Iterator<Item = (u8, bool)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let byte = *bytes.get(at)?;
        let hex = |i: usize| bytes.get(i).and_then(|b| char::from(*b).to_digit(16));
        if byte == b'%'
            && let (Some(high), Some(low)) = (hex(at + 1), hex(at + 2))
        {
            at += 3;
            return Some(((high * 16 + low) as u8, true));
        }
        at += 1;
        Some((byte, false))
    })
}

/// One form for all spellings of the same text: an escaped character outside the reserved set
/// equals the plain character, an escaped reserved one does not (§19.1.4).
fn normal_escapes(text: &str) -> Vec<(u8, bool)> {
    let reserved = |b: u8| b";/?:@&=+$,".contains(&b);
    escapes(text)
        .map(|(byte, escaped)| (byte, escaped && reserved(byte)))
        .collect()
}

/// One direction: `b` contradicts nothing in `a`. Of repeated names the first one counts.
fn same_params(a: &Params, b: &Params) -> bool {
    // These must be in both or in neither; any other may be missing from one side.
    const BINDING: [&str; 5] = ["transport", "user", "ttl", "method", "maddr"];
    a.iter().all(|(name, _)| match (a.get(name), b.get(name)) {
        (Some(value), Some(other)) => unescape(value).eq_ignore_ascii_case(&unescape(other)),
        _ => !BINDING
            .iter()
            .any(|binding| binding.eq_ignore_ascii_case(&unescape(name))),
    })
}

fn same_headers(a: &[(String, String)], b: &[(String, String)]) -> bool {
    let matches = |(n1, v1): &(String, String), (n2, v2): &(String, String)| {
        unescape(n1).eq_ignore_ascii_case(&unescape(n2)) && unescape(v1) == unescape(v2)
    };
    a.len() == b.len()
        && a.iter().all(|x| b.iter().any(|y| matches(x, y)))
        && b.iter().all(|x| a.iter().any(|y| matches(x, y)))
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "sips:" } else { "sip:" })?;
        if let Some(user) = &self.user {
            f.write_str(user)?;
            if let Some(password) = &self.password {
                write!(f, ":{password}")?;
            }
            f.write_char('@')?;
        }
        self.host.fmt(f)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)?;
        for (index, (name, value)) in self.headers.iter().enumerate() {
            write!(f, "{}{name}={value}", if index == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}
