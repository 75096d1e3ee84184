//! Address headers: From, To, Contact, Route, Record-Route, Refer-To, Diversion (RFC 3261 §20.10).

use super::lexer::{Malformed, lossy, params, quote, quoted_len, unquote};
use crate::uri::{Params, Uri};
use std::fmt;

/// A `name-addr` or `addr-spec` with header parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    /// Display name, unquoted.
    pub display: Option<String>,
    /// The URI.
    pub uri: Uri,
    /// Header parameters (not those of the URI), in order.
    pub params: Params,
}

/// The Contact headers of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contacts {
    /// `Contact: *`, alone.
    Star,
    /// Addresses, possibly none.
    List(Vec<NameAddr>),
}

impl NameAddr {
    /// An address without display name and parameters.
    pub fn new(uri: Uri) -> Self {
        Self {
            display: None,
            uri,
            params: Params::default(),
        }
    }

    /// Reads one address.
    ///
    /// # Errors
    /// A short description of the fault.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        Self::read(text).map_err(|error| error.0)
    }

    /// Like [`NameAddr::parse`]; bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// A short description of the fault.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, &'static str> {
        Self::parse(&lossy(bytes))
    }

    fn read(text: &str) -> Result<Self, Malformed> {
        let text = text.trim_ascii();
        if text.starts_with('"') {
            let len = quoted_len(text).ok_or(Malformed("unterminated quoted string"))?;
            let (quoted, rest) = text.split_at(len);
            return Self::read_bracketed(Some(unquote(quoted)), rest.trim_ascii_start());
        }
        match text.find('<') {
            Some(at) => Self::read_bracketed(display(&text[..at])?, &text[at..]),
            None => Self::read_bare(text),
        }
    }

    /// `<uri>;params`
    fn read_bracketed(display: Option<String>, text: &str) -> Result<Self, Malformed> {
        let inner = text
            .strip_prefix('<')
            .ok_or(Malformed("no URI after the display name"))?;
        let (uri, tail) = inner.split_once('>').ok_or(Malformed("unclosed `<`"))?;
        Ok(Self {
            display,
            uri: Uri::parse(uri)?,
            params: params(tail)?,
        })
    }

    /// `uri;params`: without brackets all parameters are the header's, and a comma or question mark
    /// cannot occur in the URI (§20).
    fn read_bare(text: &str) -> Result<Self, Malformed> {
        let (uri, tail) = text.split_at(text.find(';').unwrap_or(text.len()));
        let uri = uri.trim_ascii_end();
        if uri.contains([',', '?']) {
            return Err(Malformed("URI needs `<>`"));
        }
        Ok(Self {
            display: None,
            uri: Uri::parse(uri)?,
            params: params(tail)?,
        })
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }

    /// The same address with that tag.
    #[must_use]
    pub fn with_tag(mut self, tag: &str) -> Self {
        self.params.set("tag", Some(tag));
        self
    }

    /// The `expires` parameter of a Contact in seconds; excessive values are capped, unreadable
    /// ones become 3600 (RFC 3261 §20.10).
    pub fn expires(&self) -> Option<u32> {
        self.params
            .get("expires")
            .map(|text| super::delta_seconds(text).unwrap_or(3600))
    }

    /// The `q` parameter of a Contact in thousandths, 0 to 1000.
    pub fn q(&self) -> Option<u16> {
        let q = self.params.get("q")?.parse::<f32>().ok()?;
        (0.0..=1.0)
            .contains(&q)
            .then_some((q * 1000.0).round() as u16)
    }
}

/// Reads an unquoted display name. The grammar requires tokens; `(`, `@` and non-ASCII characters
/// occur in practice and are harmless, but anything that could be a second address or a broken
/// quote is refused.
fn display(text: &str) -> Result<Option<String>, Malformed> {
    let text = text.trim_ascii();
    if text
        .bytes()
        .any(|b| (b < b' ' && b != b'\t') || b == 0x7f || b"\",;>".contains(&b))
    {
        return Err(Malformed("display name needs quotes"));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write!(f, "{} ", quote(display))?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}
