//! What the operator decides.

use std::net::{AddrParseError, IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// Settings of the SIP side.
#[derive(Clone, Debug)]
pub struct SipConfig {
    /// Address and port for UDP; `[::]` takes IPv4 as well, port 0 lets the system choose.
    pub udp: SocketAddr,
    /// Address and port for TCP, likewise.
    pub tcp: SocketAddr,
    /// The organization's domain: digest realm, and one of the names of this server.
    pub domain: String,
    /// Address that peers outside private networks reach us at, when it is not the bound one.
    pub public_address: Option<IpAddr>,
    /// Challenge with SHA-256 besides MD5. Many phones understand only MD5 and stop at this.
    pub sha256: bool,
    /// How long a nonce can be used.
    pub nonce_lifetime: Duration,
    /// Inbound calls that may be in set-up at once; more are refused with 503.
    pub max_calls_in_setup: usize,
    /// Trunks; the first is the outbound proxy.
    pub trunks: Vec<Trunk>,
    /// `Server` and `User-Agent`.
    pub user_agent: String,
}

impl Default for SipConfig {
    fn default() -> Self {
        Self {
            udp: SocketAddr::from(([0, 0, 0, 0], 5080)),
            tcp: SocketAddr::from(([0, 0, 0, 0], 5080)),
            domain: "patchcord".to_owned(),
            public_address: None,
            sha256: false,
            nonce_lifetime: Duration::from_secs(300),
            max_calls_in_setup: 1000,
            trunks: Vec::new(),
            user_agent: concat!("Patchcord/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// A provider's SIP server that calls go to and come from.
#[derive(Clone, PartialEq, Eq)]
pub struct Trunk {
    /// Name.
    pub name: String,
    /// Where calls go: `host[:port][;transport=tcp]`, with or without `sip:`.
    pub uri: String,
    /// Digest user name, if it challenges.
    pub username: Option<String>,
    /// Digest password.
    pub password: Option<String>,
    /// Addresses its calls come from.
    pub addresses: Vec<TrunkAddress>,
}

/// An address that calls of a trunk come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrunkAddress {
    /// Address.
    pub ip: IpAddr,
    /// Source port; `None` for any.
    pub port: Option<u16>,
}

impl TrunkAddress {
    /// Whether `source` is this address.
    #[must_use]
    pub fn matches(&self, source: SocketAddr) -> bool {
        self.ip == source.ip() && self.port.is_none_or(|port| port == source.port())
    }
}

impl FromStr for TrunkAddress {
    type Err = AddrParseError;

    /// Reads `192.0.2.7`, `192.0.2.7:5060`, `2001:db8::7` or `[2001:db8::7]:5060`.
    fn from_str(text: &str) -> Result<Self, AddrParseError> {
        match text.parse::<SocketAddr>() {
            Ok(address) => Ok(Self {
                ip: address.ip(),
                port: Some(address.port()),
            }),
            Err(_) => text.parse().map(|ip| Self { ip, port: None }),
        }
    }
}

impl std::fmt::Debug for Trunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trunk")
            .field("name", &self.name)
            .field("uri", &self.uri)
            .field("username", &self.username)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}
