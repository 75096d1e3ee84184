//! The ordered list of header fields of one message (RFC 3261 §7.3).

use super::HeaderName;
use bytes::Bytes;

/// One header field: a name and the value bytes, unfolded and without outer white space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Field name.
    pub name: HeaderName,
    /// Field value, never with a line break.
    pub value: Bytes,
}

/// Header fields in wire order. Content-Length is not among them: the serialiser owns it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    fields: Vec<Header>,
}

/// Names a header in a look-up: a [`HeaderName`] or its text in any spelling.
pub trait NameLike {
    /// Whether this names the same header.
    fn names(&self, header: &HeaderName) -> bool;
}

impl NameLike for HeaderName {
    fn names(&self, header: &HeaderName) -> bool {
        self == header
    }
}

impl NameLike for &HeaderName {
    fn names(&self, header: &HeaderName) -> bool {
        *self == header
    }
}

impl NameLike for &str {
    fn names(&self, header: &HeaderName) -> bool {
        header.is(self.as_bytes())
    }
}

/// Converts into a header value.
pub trait IntoValue {
    /// The bytes of the value.
    fn into_value(self) -> Bytes;
}

impl IntoValue for Bytes {
    fn into_value(self) -> Bytes {
        self
    }
}

impl IntoValue for String {
    fn into_value(self) -> Bytes {
        self.into()
    }
}

impl IntoValue for &str {
    fn into_value(self) -> Bytes {
        Bytes::copy_from_slice(self.as_bytes())
    }
}

impl IntoValue for u32 {
    fn into_value(self) -> Bytes {
        self.to_string().into()
    }
}

impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn with_capacity(fields: usize) -> Self {
        Self {
            fields: Vec::with_capacity(fields),
        }
    }

    /// Adds a field taken from a message: without line breaks, and not Content-Length.
    pub(crate) fn push_parsed(&mut self, field: Header) {
        self.fields.push(field);
    }

    /// Number of header lines.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// All header lines in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Header> {
        self.fields.iter()
    }

    /// Whether a header of that name is present.
    pub fn contains(&self, name: impl NameLike) -> bool {
        self.get_bytes(name).is_some()
    }

    /// First value of that name if it is UTF-8.
    pub fn get(&self, name: impl NameLike) -> Option<&str> {
        self.get_bytes(name)
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    /// First value of that name.
    pub fn get_bytes(&self, name: impl NameLike) -> Option<&[u8]> {
        self.fields
            .iter()
            .find(|h| name.names(&h.name))
            .map(|h| h.value.as_ref())
    }

    /// All lines of that name, in order; comma lists are not split.
    pub fn lines<'a>(&'a self, name: impl NameLike + 'a) -> impl Iterator<Item = &'a [u8]> {
        self.fields
            .iter()
            .filter(move |h| name.names(&h.name))
            .map(|h| h.value.as_ref())
    }

    /// All elements of that name over all lines, comma lists split (quotes and `<>` respected);
    /// elements that are not UTF-8 are skipped.
    pub fn all<'a>(&'a self, name: impl NameLike + 'a) -> impl Iterator<Item = &'a str> {
        self.lines(name)
            .flat_map(split_list)
            .filter_map(|item| std::str::from_utf8(item).ok())
    }

    /// Appends a line. CR, LF and NUL in the value become spaces, so a value stays on one line;
    /// Content-Length is ignored, since the serialiser writes it.
    pub fn push(&mut self, name: HeaderName, value: impl IntoValue) {
        if name != HeaderName::ContentLength {
            self.fields.push(Header {
                name,
                value: one_line(value.into_value()),
            });
        }
    }

    /// Adds a line before all others (Via, Route).
    pub fn push_front(&mut self, name: HeaderName, value: impl IntoValue) {
        if name != HeaderName::ContentLength {
            self.fields.insert(
                0,
                Header {
                    name,
                    value: one_line(value.into_value()),
                },
            );
        }
    }

    /// Adds a header from outside. Returns `false`, adding nothing, if the name is not a token or
    /// is Content-Length, or if the value holds a control character other than tab.
    #[must_use]
    pub fn push_custom(&mut self, name: &str, value: &str) -> bool {
        let Some(name) = HeaderName::parse(name) else {
            return false;
        };
        let clean = !value.bytes().any(|b| (b < 0x20 && b != b'\t') || b == 0x7f);
        if clean && name != HeaderName::ContentLength {
            self.fields.push(Header {
                name,
                value: value.trim().into_value(),
            });
            return true;
        }
        false
    }

    /// Replaces the first line of that name in place and removes the others; adds it if there was
    /// none.
    pub fn set(&mut self, name: HeaderName, value: impl IntoValue) {
        let Some(first) = self.fields.iter().position(|h| h.name == name) else {
            self.push(name, value);
            return;
        };
        self.fields[first].value = one_line(value.into_value());
        let mut seen = false;
        self.fields
            .retain(|h| h.name != name || !std::mem::replace(&mut seen, true));
    }

    /// Removes all lines of that name; returns whether there were any.
    pub fn remove(&mut self, name: impl NameLike) -> bool {
        let before = self.fields.len();
        self.fields.retain(|h| !name.names(&h.name));
        self.fields.len() != before
    }

    /// Replaces the first element of the first line of that name (top Via, top Route) by `value`,
    /// or removes it if `value` is `None`. Returns whether there was one.
    pub fn replace_first(&mut self, name: &HeaderName, value: Option<&str>) -> bool {
        let Some(index) = self.fields.iter().position(|h| h.name == *name) else {
            return false;
        };
        let line = self.fields[index].value.clone();
        let rest = split_list(&line).skip(1);
        let parts: Vec<&[u8]> = value.map(str::as_bytes).into_iter().chain(rest).collect();
        if parts.is_empty() {
            self.fields.remove(index);
        } else {
            self.fields[index].value = one_line(parts.join(&b", "[..]).into());
        }
        true
    }
}

fn one_line(value: Bytes) -> Bytes {
    let breaks = |b: &u8| matches!(b, b'\r' | b'\n' | 0);
    if !value.iter().any(breaks) {
        return value;
    }
    value
        .iter()
        .map(|b| if breaks(b) { b' ' } else { *b })
        .collect::<Vec<u8>>()
        .into()
}

/// Splits a comma list (RFC 3261 §7.3.1); commas inside quotes or `<>` do not split. Elements are
/// trimmed, and may be empty: the caller decides what that means.
pub fn split_list(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let end = crate::parse::find_top_level(line, b',');
        rest = end.map(|at| &line[at + 1..]);
        Some(line[..end.unwrap_or(line.len())].trim_ascii())
    })
}
