//! URIs as values (RFC 3261 §19.1, RFC 3966): parsed, compared, written.
//!
//! User parts, parameters and URI headers keep the escapes they came with, because `%3B` and `;` are
//! different users (§19.1.4); decoding is an explicit step. Invariant: **parsing what was displayed
//! gives an equal value.** Left to others: resolving hosts, and which schemes are served.

mod host;
mod params;
mod sip;

pub use host::Host;
pub(crate) use host::parse_v6;
pub use params::Params;
pub use sip::{SipUri, escape_user, unescape};

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A URI of a Request-URI or an address header. `==` compares the text as written;
/// [`Uri::equivalent`] is the comparison of RFC 3261 §19.1.4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uri {
    /// `sip:` or `sips:`.
    Sip(SipUri),
    /// `tel:`.
    Tel(TelUri),
    /// Any other scheme, opaque.
    Other(OtherUri),
}

/// A `tel:` URI (RFC 3966).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelUri {
    /// Number as written, with its visual separators.
    pub number: String,
    /// Parameters, in order.
    pub params: Params,
}

/// A URI of a scheme this crate does not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherUri {
    /// Scheme as written.
    pub scheme: String,
    /// Everything after the colon.
    pub rest: String,
}

/// A text that is not a URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed URI: {0}")]
pub struct UriError(pub &'static str);

impl Uri {
    /// Reads a URI without `<>` and without white space around it.
    ///
    /// # Errors
    /// [`UriError`] naming the faulty part.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let (scheme, rest) = text.split_once(':').ok_or(UriError("no scheme"))?;
        if scheme.eq_ignore_ascii_case("sip") {
            return SipUri::parse_rest(false, rest).map(Self::Sip);
        }
        if scheme.eq_ignore_ascii_case("sips") {
            return SipUri::parse_rest(true, rest).map(Self::Sip);
        }
        if scheme.eq_ignore_ascii_case("tel") {
            return TelUri::parse_rest(rest).map(Self::Tel);
        }
        OtherUri::parse(scheme, rest).map(Self::Other)
    }

    /// `sip`, `sips`, `tel` or the other scheme as written.
    pub fn scheme(&self) -> &str {
        match self {
            Self::Sip(uri) if uri.secure => "sips",
            Self::Sip(_) => "sip",
            Self::Tel(_) => "tel",
            Self::Other(uri) => &uri.scheme,
        }
    }

    /// The `sip:` or `sips:` URI inside.
    pub fn as_sip(&self) -> Option<&SipUri> {
        match self {
            Self::Sip(uri) => Some(uri),
            Self::Tel(_) | Self::Other(_) => None,
        }
    }

    /// User part with escapes decoded, or the number of a `tel:` URI.
    pub fn user(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Sip(uri) => uri.decoded_user(),
            Self::Tel(uri) => Some(Cow::Borrowed(&uri.number)),
            Self::Other(_) => None,
        }
    }

    /// The number or name in the user part, with escapes decoded, without the parameters that may
    /// follow a number there (RFC 3261 §19.1.6).
    pub fn subscriber(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Sip(uri) => {
                let user = uri.user.as_deref()?;
                Some(unescape(model::number::of_user_part(user)))
            }
            Self::Tel(_) | Self::Other(_) => self.user(),
        }
    }

    /// Host of a `sip:` or `sips:` URI.
    pub fn host(&self) -> Option<&Host> {
        self.as_sip().map(|uri| &uri.host)
    }

    /// Port of a `sip:` or `sips:` URI, if written.
    pub fn port(&self) -> Option<u16> {
        self.as_sip().and_then(|uri| uri.port)
    }

    /// Value of a URI parameter; the empty text if it has no value.
    pub fn param(&self, name: &str) -> Option<&str> {
        match self {
            Self::Sip(uri) => uri.params.get(name),
            Self::Tel(uri) => uri.params.get(name),
            Self::Other(_) => None,
        }
    }

    /// Whether both name the same resource (RFC 3261 §19.1.4, RFC 3966 §4).
    pub fn equivalent(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sip(a), Self::Sip(b)) => a.equivalent(b),
            (Self::Tel(a), Self::Tel(b)) => a.equivalent(b),
            (Self::Other(a), Self::Other(b)) => {
                a.scheme.eq_ignore_ascii_case(&b.scheme) && a.rest == b.rest
            }
            _ => false,
        }
    }
}

impl TelUri {
    fn parse_rest(rest: &str) -> Result<Self, UriError> {
        let (number, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
        let digits = number.strip_prefix('+').unwrap_or(number);
        let legal = |b: u8| b.is_ascii_hexdigit() || b"*#-.()".contains(&b);
        if digits.is_empty() || !digits.bytes().all(legal) {
            return Err(UriError("illegal telephone number"));
        }
        Ok(Self {
            number: number.to_owned(),
            params: Params::parse_uri(params)?,
        })
    }

    /// The number without visual separators.
    pub fn digits(&self) -> String {
        self.number
            .chars()
            .filter(|c| !"-.()".contains(*c))
            .collect()
    }

    fn equivalent(&self, other: &Self) -> bool {
        self.digits().eq_ignore_ascii_case(&other.digits())
            && same_tel_params(&self.params, &other.params)
            && same_tel_params(&other.params, &self.params)
    }
}

/// One direction: each parameter of `a` is in `b`.
fn same_tel_params(a: &Params, b: &Params) -> bool {
    a.iter().all(|(name, _)| match (a.get(name), b.get(name)) {
        (Some(value), Some(other)) => value.eq_ignore_ascii_case(other),
        _ => false,
    })
}

impl OtherUri {
    fn parse(scheme: &str, rest: &str) -> Result<Self, UriError> {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(letter) {
            return Err(UriError("illegal scheme"));
        }
        if rest.is_empty() || rest.bytes().any(|b| b <= b' ' || b"<>\"\x7f".contains(&b)) {
            return Err(UriError("illegal character"));
        }
        Ok(Self {
            scheme: scheme.to_owned(),
            rest: rest.to_owned(),
        })
    }
}

impl From<SipUri> for Uri {
    fn from(uri: SipUri) -> Self {
        Self::Sip(uri)
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text)
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sip(uri) => uri.fmt(f),
            Self::Tel(uri) => write!(f, "tel:{}{}", uri.number, uri.params),
            Self::Other(uri) => write!(f, "{}:{}", uri.scheme, uri.rest),
        }
    }
}

#[cfg(test)]
mod tests;
