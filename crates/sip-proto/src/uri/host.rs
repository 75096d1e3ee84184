//! Hosts of URIs and Via (RFC 3261 §25.1, RFC 5118).

use super::UriError;
use crate::parse::{Class, class};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host: an address or a name.
#[derive(Debug, Clone)]
pub enum Host {
    /// A domain name, as written; compared without case.
    Name(String),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address, in brackets on the wire.
    V6(Ipv6Addr),
}

/// `_` is not a host name character, but container networks use it.
static NAME: Class = class(b"-._", false);

impl Host {
    /// Reads a host; an IPv6 address needs its brackets.
    ///
    /// # Errors
    /// [`UriError`] if it is neither a name nor an address.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner
                .strip_suffix(']')
                .ok_or(UriError("unclosed IPv6 reference"))?;
            return parse_v6(inner)
                .map(Self::V6)
                .ok_or(UriError("malformed IPv6 reference"));
        }
        if text.starts_with(|c: char| c.is_ascii_digit())
            && let Ok(address) = text.parse()
        {
            return Ok(Self::V4(address));
        }
        let shape = !text.is_empty() && !text.starts_with(['.', '-']) && !text.contains("..");
        if shape && text.bytes().all(|b| NAME[usize::from(b)]) {
            return Ok(Self::Name(text.to_owned()));
        }
        Err(UriError("malformed host"))
    }

    /// Reads `host`, `host:port`, or both with white space around the colon (Via).
    pub(crate) fn parse_with_port(text: &str) -> Result<(Self, Option<u16>), UriError> {
        let bracket = text.rfind(']').map_or(0, |at| at + 1);
        let Some(colon) = text[bracket..].find(':').map(|at| at + bracket) else {
            return Ok((Self::parse(text.trim())?, None));
        };
        let port = text[colon + 1..].trim();
        if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
            return Err(UriError("malformed port"));
        }
        let port = port.parse().map_err(|_| UriError("port out of range"))?;
        Ok((Self::parse(text[..colon].trim())?, Some(port)))
    }

    /// The address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::V4(address) => Some((*address).into()),
            Self::V6(address) => Some((*address).into()),
        }
    }
}

/// Reads an IPv6 address. The RFC 3261 grammar wrongly produces three colons before an embedded
/// IPv4 address; RFC 5118 §4.10 asks to tolerate that, and only that.
pub(crate) fn parse_v6(text: &str) -> Option<Ipv6Addr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (head, v4) = text.split_once(":::")?;
    v4.parse::<Ipv4Addr>().ok()?;
    format!("{head}::{v4}").parse().ok()
}

impl PartialEq for Host {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            (Self::V4(a), Self::V4(b)) => a == b,
            (Self::V6(a), Self::V6(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Host {}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(address),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}
