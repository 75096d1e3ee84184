//! `;name=value` parameters of URIs and header values.

use super::UriError;
use crate::header::quoted_len;
use crate::parse::{Class, class, find_top_level};
use std::fmt;

/// Ordered parameters. Names are compared without case; values stay as written, quotes included.
///
/// Stored as the text `;name=value;flag`, so reading a message costs one allocation for all of
/// them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(String);

impl Params {
    /// Reads URI parameters: nothing, or `;name[=value]` repeated, without white space.
    pub(crate) fn parse_uri(text: &str) -> Result<Self, UriError> {
        let Some(items) = text.strip_prefix(';') else {
            return if text.is_empty() {
                Ok(Self::default())
            } else {
                Err(UriError("junk"))
            };
        };
        for item in items.split(';') {
            let (name, value) = item.split_once('=').unwrap_or((item, ""));
            if name.is_empty() || !legal(name) || !legal(value) {
                return Err(UriError("malformed parameter"));
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// An empty list with room for `bytes` bytes of text.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    /// Appends a parameter; the caller guarantees valid characters.
    pub(crate) fn push_raw(&mut self, name: &str, value: Option<&str>) {
        self.0.push(';');
        self.0.push_str(name);
        if let Some(value) = value {
            self.0.push('=');
            self.0.push_str(value);
        }
    }

    /// Value of the first parameter of that name; the empty text if it has none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.unwrap_or(""))
    }

    /// Whether a parameter of that name is present, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Replaces the parameter in place or appends it. Characters that would end a parameter are
    /// dropped from the value unless it is a quoted string.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        let value = value.map(clean);
        let value = value.as_deref();
        if !self.has(name) {
            return self.push_raw(name, value);
        }
        let mut changed = Self::with_capacity(self.0.len() + value.map_or(0, str::len));
        let mut done = false;
        for (n, v) in self.iter() {
            let hit = !done && n.eq_ignore_ascii_case(name);
            done |= hit;
            changed.push_raw(n, if hit { value } else { v });
        }
        *self = changed;
    }

    /// Removes all parameters of that name; returns whether there were any.
    pub fn remove(&mut self, name: &str) -> bool {
        let had = self.has(name);
        if had {
            let mut changed = Self::with_capacity(self.0.len());
            for (n, v) in self.iter().filter(|(n, _)| !n.eq_ignore_ascii_case(name)) {
                changed.push_raw(n, v);
            }
            *self = changed;
        }
        had
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let mut rest = self.0.as_str();
        std::iter::from_fn(move || {
            let items = rest.strip_prefix(';')?;
            let end = find_top_level(items.as_bytes(), b';').unwrap_or(items.len());
            let (item, tail) = items.split_at(end);
            rest = tail;
            Some(match item.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (item, None),
            })
        })
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `value` without the characters that would end it, or unchanged if it is one quoted string.
fn clean(value: &str) -> String {
    if quoted_len(value) == Some(value.len()) && !value.contains(char::is_control) {
        return value.to_owned();
    }
    value
        .chars()
        .filter(|c| !c.is_control() && !" ;,<>\"".contains(*c))
        .collect()
}

/// URI parameter characters (§25.1 `paramchar`), and non-ASCII ones.
static PARAM: Class = class(b"-_.!~*'()[]/:&+$", true);

fn legal(text: &str) -> bool {
    super::sip::legal_escaped(text, &PARAM)
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
