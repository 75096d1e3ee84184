//! Settings chosen by the operator.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sip_proto::ua::{CoreConfig, OurNames, TrunkAddress, TrunkSource};

use crate::{SipAddrs, local};

/// Settings of the SIP side.
#[derive(Clone, Debug)]
pub struct SipConfig {
    /// Address and port for UDP; `[::]` takes IPv4 as well, port 0 lets the system choose.
    pub udp: SocketAddr,
    /// Address and port for TCP, likewise.
    pub tcp: SocketAddr,
    /// The first organization's domain: digest realm of its clients, and one of the names of this server.
    pub domain: String,
    /// Further host names under which phones register here. Our addresses and `localhost` always
    /// count.
    pub names: Vec<String>,
    /// Address at which peers outside private networks reach us, if it is not the bound one.
    pub public_address: Option<IpAddr>,
    /// Challenge with SHA-256 besides MD5. Many phones understand only MD5 and stop at this.
    pub sha256: bool,
    /// How long a nonce may be used.
    pub nonce_lifetime: Duration,
    /// How often registered phones are sent OPTIONS; zero for never.
    pub keepalive: Duration,
    /// Maximum inbound calls in set-up; more are refused with 503.
    pub max_calls_in_setup: usize,
    /// Trunks; the first is the outbound proxy, the second its substitute.
    pub trunks: Vec<Trunk>,
    /// Value of `Server` and `User-Agent`.
    pub user_agent: String,
}

impl Default for SipConfig {
    fn default() -> Self {
        Self {
            udp: SocketAddr::from(([0, 0, 0, 0], 5080)),
            tcp: SocketAddr::from(([0, 0, 0, 0], 5080)),
            domain: "patchcord".to_owned(),
            names: Vec::new(),
            public_address: None,
            sha256: false,
            nonce_lifetime: Duration::from_secs(300),
            keepalive: Duration::from_secs(60),
            max_calls_in_setup: 1000,
            trunks: Vec::new(),
            user_agent: concat!("Patchcord/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl SipConfig {
    /// The names of this server.
    ///
    /// - `bound`: where it receives SIP
    pub(crate) fn ours(&self, bound: SipAddrs) -> OurNames {
        let bound = [bound.udp, bound.tcp];
        let is_everywhere = |address: &SocketAddr| address.ip().is_unspecified();
        OurNames {
            domain: self.domain.clone(),
            more_domains: Vec::new(),
            names: self.names.clone(),
            public_address: self.public_address,
            addresses: local::addresses(&bound),
            every_loopback: bound.iter().any(is_everywhere),
            ports: bound.iter().map(SocketAddr::port).collect(),
        }
    }

    /// The part that the core needs.
    pub(crate) fn core(&self, ours: OurNames) -> CoreConfig {
        CoreConfig {
            ours,
            user_agent: self.user_agent.clone(),
            sha256: self.sha256,
            nonce_lifetime: self.nonce_lifetime,
            keepalive: self.keepalive,
            max_setup: self.max_calls_in_setup,
            trunks: sources(&self.trunks),
        }
    }
}

/// Where the calls of trunks come from.
pub(crate) fn sources(trunks: &[Trunk]) -> Vec<TrunkSource> {
    let source = |trunk: &Trunk| TrunkSource {
        name: trunk.name.clone(),
        addresses: trunk.addresses.clone(),
    };
    trunks.iter().map(source).collect()
}

/// A provider's SIP server that calls go to and come from.
#[derive(Clone, PartialEq, Eq)]
pub struct Trunk {
    /// Name.
    pub name: String,
    /// Where calls go: `host[:port][;transport=tcp]`, with or without `sip:`.
    pub uri: String,
    /// Digest user name for its challenges.
    pub username: Option<String>,
    /// Digest password.
    pub password: Option<String>,
    /// Source addresses of its calls.
    pub addresses: Vec<TrunkAddress>,
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
