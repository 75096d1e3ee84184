//! The core's settings, and the limits it imposes on strangers.

use std::net::{AddrParseError, IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use super::OurNames;

/// Settings of the core.
#[derive(Clone, Debug)]
pub struct CoreConfig {
    /// The names of this server. Its own addresses need not be listed.
    pub ours: OurNames,
    /// Value of `Server` and `User-Agent`.
    pub user_agent: String,
    /// Challenge with SHA-256 besides MD5.
    pub sha256: bool,
    /// How long a nonce may be used.
    pub nonce_lifetime: Duration,
    /// How often registered phones are sent OPTIONS; zero for never.
    pub keepalive: Duration,
    /// Maximum unanswered inbound calls; more are refused with 503.
    pub max_setup: usize,
    /// Peers whose calls need no credentials.
    pub trunks: Vec<TrunkSource>,
}

/// The source of a trunk's calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrunkSource {
    /// Name.
    pub name: String,
    /// Addresses.
    pub addresses: Vec<TrunkAddress>,
}

/// A source address of a trunk's calls.
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

/// Maximum transactions before new requests outside dialogs get a stateless 503: some 2 KB each,
/// for at most 32 s, so 1,500 requests a second fit.
pub(super) const MAX_TRANSACTIONS: usize = 50_000;
/// How many of them can be of senders that have proved nothing: trunks and clients keep the rest.
pub(super) const MAX_OF_STRANGERS: usize = MAX_TRANSACTIONS / 4;
/// How many can be of senders whose credentials are not verified, or wrong.
pub(super) const MAX_UNVERIFIED: usize = MAX_TRANSACTIONS / 4;
/// How many of these can be of one source.
pub(super) const MAX_OF_SOURCE: usize = 1_000;
/// How many transactions there can be within dialogs, besides the others; BYE always has one.
pub(super) const MAX_IN_DIALOGS: usize = MAX_TRANSACTIONS;
/// How many of these can be within one dialog: more than [`super::gate`] lets pass in 32 s.
pub(super) const MAX_IN_DIALOG: usize = 1_000;
/// Maximum octets of a request that are repeated in its response, and so kept for 32 s.
pub(super) const MAX_ECHOED: usize = 8_192;
/// Maximum requests waiting for a digest look-up; each holds its request.
pub(super) const MAX_LOOKUPS: usize = 2_000;
/// Maximum remembered remote parties of one INVITE of ours: forks beyond that are not answered.
pub(super) const MAX_FORKS: usize = 16;
/// REFERs that one dialog may have: each makes the engine send a request to an application.
pub(super) const MAX_REFERS: u32 = 20;
/// Nonces whose use is remembered; older ones become stale.
pub(super) const MAX_NONCES: usize = 100_000;
/// How often a request of ours is sent again with credentials.
pub(super) const MAX_AUTH_TRIES: u8 = 4;
/// How often a re-INVITE of ours is retried after 491.
pub(super) const MAX_GLARE_RETRIES: u8 = 4;
/// Seconds after which a refused caller may retry.
pub(super) const RETRY_AFTER: u32 = 5;
/// How often a provisional response is repeated, so that proxies keep waiting (RFC 3261 §13.3.1.1).
pub(super) const PROGRESS_REFRESH: Duration = Duration::from_secs(60);
/// How soon an unknown caller gets 100, if it has no other response (RFC 3261 §17.2.1).
pub(super) const TRYING: Duration = Duration::from_millis(200);
