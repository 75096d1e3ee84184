//! `;name=value` parameters of URIs and header values.

use super::UriError;
use std::fmt;

/// Ordered parameters. Names are compared without case; values stay as written, quotes included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, Option<String>)>);

impl Params {
    /// Reads URI parameters: nothing, or `;name[=value]` repeated, without white space.
    pub(crate) fn parse_uri(text: &str) -> Result<Self, UriError> {
        let Some(text) = text.strip_prefix(';') else {
            return if text.is_empty() {
                Ok(Self::default())
            } else {
                Err(UriError("junk"))
            };
        };
        let mut params = Self(Vec::with_capacity(2));
        for item in text.split(';') {
            let (name, value) = match item.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (item, None),
            };
            if name.is_empty() || !legal(name) || !value.is_none_or(legal) {
                return Err(UriError("malformed parameter"));
            }
            params.0.push((name.to_owned(), value.map(str::to_owned)));
        }
        Ok(params)
    }

    /// Adds a parameter at the end; the caller vouches for its characters.
    pub(crate) fn push_raw(&mut self, name: &str, value: Option<&str>) {
        self.0.push((name.to_owned(), value.map(str::to_owned)));
    }

    /// Value of the first parameter of that name; the empty text if it has no value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.unwrap_or(""))
    }

    /// Whether a parameter of that name is there, with or without value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Replaces the parameter in place or adds it at the end. Characters that would end a parameter
    /// are left out of the value unless it is a quoted string.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        let value = value.map(|v| {
            if v.len() > 1 && v.starts_with('"') && v.ends_with('"') {
                return v.to_owned();
            }
            v.chars()
                .filter(|c| !c.is_control() && !" ;,<>\"".contains(*c))
                .collect()
        });
        match self
            .0
            .iter_mut()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
        {
            Some(param) => param.1 = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Removes all parameters of that name; whether there were any.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self.0.len() != before
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// URI parameter characters (§25.1 `paramchar`), and non-ASCII ones.
fn legal(text: &str) -> bool {
    let one = |b: u8| b.is_ascii_alphanumeric() || b >= 0x80 || b"-_.!~*'()[]/:&+$".contains(&b);
    super::sip::legal_escaped(text, one)
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.iter() {
            write!(f, ";{name}")?;
            if let Some(value) = value {
                write!(f, "={value}")?;
            }
        }
        Ok(())
    }
}
