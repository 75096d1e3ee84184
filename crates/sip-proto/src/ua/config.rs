//! What the core must know of its surroundings, and the limits it sets to strangers.

use std::net::{AddrParseError, IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// Settings of the core.
#[derive(Clone, Debug)]
pub struct CoreConfig {
    /// Digest realm, and one of the names of this server.
    pub domain: String,
    /// Further host names of this server. Its own addresses need not be listed.
    pub names: Vec<String>,
    /// Address that peers outside private networks reach us at, when it is not the bound one.
    pub public_address: Option<IpAddr>,
    /// `Server` and `User-Agent`.
    pub user_agent: String,
    /// Challenge with SHA-256 besides MD5.
    pub sha256: bool,
    /// How long a nonce can be used.
    pub nonce_lifetime: Duration,
    /// How often registered phones are asked whether they are there; zero for never.
    pub keepalive: Duration,
    /// Unanswered inbound calls at once; more are refused with 503.
    pub max_setup: usize,
    /// Whose calls need no credentials.
    pub trunks: Vec<TrunkSource>,
}

/// Where calls of a trunk come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrunkSource {
    /// Name.
    pub name: String,
    /// Addresses.
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

/// Transactions at once before new requests outside dialogs get a stateless 503: some 2 KB each,
/// for 32 s at most, so 1,500 requests a second fit.
pub(super) const MAX_TRANSACTIONS: usize = 50_000;
/// Requests that wait for a digest look-up at once; each holds its request.
pub(super) const MAX_LOOKUPS: usize = 2_000;
/// Far ends of one INVITE of ours that are remembered: forks beyond that are not answered.
pub(super) const MAX_FORKS: usize = 16;
/// Nonces whose use is remembered; older ones become stale.
pub(super) const MAX_NONCES: usize = 100_000;
/// Times one request of ours is sent again with credentials.
pub(super) const MAX_AUTH_TRIES: u8 = 4;
/// Times a re-INVITE of ours is tried again after 491.
pub(super) const MAX_GLARE_RETRIES: u8 = 4;
/// Seconds after which a refused caller may try again.
pub(super) const RETRY_AFTER: u32 = 5;
/// How often a provisional response is repeated, so that proxies keep waiting (RFC 3261 §13.3.1.1).
pub(super) const PROGRESS_REFRESH: Duration = Duration::from_secs(60);
/// How soon a caller that we do not know gets 100, if it has no other response (RFC 3261 §17.2.1).
pub(super) const TRYING: Duration = Duration::from_millis(200);
