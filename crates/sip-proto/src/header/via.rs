//! Via (RFC 3261 §20.42, RFC 3581, RFC 5118 §4.5).

use super::lexer::{Malformed, lossy, params};
use crate::parse::is_token;
use crate::uri::{Host, Params, parse_v6};
use std::fmt;
use std::net::IpAddr;

/// One Via element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    /// Transport token as written: `UDP`, `TCP`, `TLS`, ….
    pub transport: String,
    /// Host of sent-by.
    pub host: Host,
    /// Port of sent-by, if written.
    pub port: Option<u16>,
    /// `branch`, `received`, `rport` and the others, in order.
    pub params: Params,
}

impl Via {
    /// A Via of our own, asking for `rport`.
    pub fn new(transport: &str, host: Host, port: Option<u16>, branch: &str) -> Self {
        let mut params = Params::default();
        params.set("branch", Some(branch));
        params.set("rport", None);
        Self {
            transport: transport.to_owned(),
            host,
            port,
            params,
        }
    }

    /// Reads one element; accepts any protocol version, which the start line decides.
    pub(crate) fn parse(text: &str) -> Result<Self, Malformed> {
        let mut parts = text.splitn(3, '/');
        let (Some(name), Some(version), Some(rest)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(Malformed("no sent-protocol"));
        };
        let rest = rest.trim_ascii_start();
        let end = rest.find([' ', '\t']).ok_or(Malformed("no sent-by"))?;
        let (transport, rest) = rest.split_at(end);
        let tokens = [name.trim_ascii(), version.trim_ascii(), transport];
        if !tokens.iter().all(|token| is_token(token.as_bytes())) {
            return Err(Malformed("malformed sent-protocol"));
        }
        let (sent_by, tail) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
        let (host, port) = Host::parse_with_port(sent_by.trim_ascii())?;
        Ok(Self {
            transport: transport.to_owned(),
            host,
            port,
            params: params(tail)?,
        })
    }

    /// The top element of a Via line; without parameters if they are malformed.
    pub(crate) fn recover(line: &[u8]) -> Option<Self> {
        let first = crate::message::split_list(line).next()?;
        let text = lossy(first);
        let bare = || Self::parse(text.split(';').next()?).ok();
        Self::parse(&text).ok().or_else(bare)
    }

    /// The `branch` parameter.
    pub fn branch(&self) -> Option<&str> {
        self.params
            .get("branch")
            .filter(|branch| !branch.is_empty())
    }

    /// The branch if it identifies a transaction by itself (it starts with `z9hG4bK`, §8.1.1.7).
    pub fn rfc3261_branch(&self) -> Option<&str> {
        let cookie = |branch: &&str| {
            branch
                .get(..7)
                .is_some_and(|c| c.eq_ignore_ascii_case(COOKIE))
        };
        self.branch().filter(cookie)
    }

    /// The `received` parameter, with or without brackets.
    pub fn received(&self) -> Option<IpAddr> {
        address(self.params.get("received")?)
    }

    /// The `rport` parameter: `Some(None)` asks for it, `Some(Some(port))` answers it (RFC 3581).
    pub fn rport(&self) -> Option<Option<u16>> {
        self.params.get("rport").map(|port| port.parse().ok())
    }

    /// The `maddr` parameter, an address or a name.
    pub fn maddr(&self) -> Option<&str> {
        self.params.get("maddr").filter(|maddr| !maddr.is_empty())
    }

    /// The `ttl` parameter.
    pub fn ttl(&self) -> Option<u8> {
        self.params.get("ttl")?.parse().ok()
    }
}

const COOKIE: &str = "z9hG4bK";

fn address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    parse_v6(text.strip_prefix('[')?.strip_suffix(']')?).map(IpAddr::V6)
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)
    }
}
