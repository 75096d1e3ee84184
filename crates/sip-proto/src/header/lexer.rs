//! Shared small grammar of header values: quoted strings and parameters (RFC 3261 §25.1).

use crate::parse::is_token;
use crate::uri::{Params, UriError};
use std::borrow::Cow;

/// A description of the fault in a header value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

impl From<UriError> for Malformed {
    fn from(error: UriError) -> Self {
        Self(error.0)
    }
}

/// The text of a value; bytes that are not UTF-8 become U+FFFD.
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// Length of the quoted string at the start of `text`, quotes included.
pub(crate) fn quoted_len(text: &str) -> Option<usize> {
    if !text.starts_with('"') {
        return None;
    }
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Text of a quoted string, without quotes and escaping backslashes.
pub(crate) fn unquote(quoted: &str) -> String {
    let inner = quoted
        .strip_prefix('"')
        .and_then(|q| q.strip_suffix('"'))
        .unwrap_or(quoted);
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' {
            chars.next().unwrap_or(c)
        } else {
            c
        });
    }
    out
}

/// `text` as a quoted string; control characters, which could break the line, are dropped.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars().filter(|c| !c.is_ascii_control() || *c == '\t') {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// Splits a token or quoted string off the front: the value as written, and the rest.
pub(crate) fn value(text: &str) -> Result<(&str, &str), Malformed> {
    if text.starts_with('"') {
        let len = quoted_len(text).ok_or(Malformed("unterminated quoted string"))?;
        return Ok(text.split_at(len));
    }
    let stop = |b: u8| b <= b' ' || b == 0x7f || b"\",;<>".contains(&b);
    Ok(text.split_at(text.bytes().position(stop).unwrap_or(text.len())))
}

/// Reads `;name[=value]` repeated to the end of `text`, white space allowed around each part.
pub(crate) fn params(text: &str) -> Result<Params, Malformed> {
    let mut rest = text.trim_ascii();
    let mut params = Params::with_capacity(rest.len());
    while !rest.is_empty() {
        let item = rest
            .strip_prefix(';')
            .ok_or(Malformed("junk after the value"))?
            .trim_ascii_start();
        let end = item
            .bytes()
            .position(|b| b" \t=;".contains(&b))
            .unwrap_or(item.len());
        let (name, after) = item.split_at(end);
        if !is_token(name.as_bytes()) {
            return Err(Malformed("malformed parameter"));
        }
        let after = after.trim_ascii_start();
        rest = match after.strip_prefix('=') {
            Some(text) => {
                let (value, after) = value(text.trim_ascii_start())?;
                params.push_raw(name, Some(value));
                after.trim_ascii_start()
            }
            None => {
                params.push_raw(name, None);
                after
            }
        };
    }
    Ok(params)
}
