//! The peer that a message goes to or came from.

use std::net::SocketAddr;

/// Port of a SIP address without one, over UDP and TCP (RFC 3261 §19.1.2).
pub const DEFAULT_PORT: u16 = 5060;

/// How a message travels.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transport {
    /// Datagrams; the machines repeat messages themselves.
    Udp,
    /// A byte stream.
    Tcp,
}

impl Transport {
    /// Whether the transport repeats lost bytes by itself.
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp => true,
        }
    }

    /// Whether its messages travel over a connection, which may close.
    #[must_use]
    pub const fn is_flow(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp => true,
        }
    }

    /// Whether a peer whose connection has closed can be reached over a new one that we open.
    #[must_use]
    pub const fn can_be_reopened(self) -> bool {
        match self {
            // There is nothing to open.
            Self::Udp => false,
            Self::Tcp => true,
        }
    }

    /// The word in Via: `UDP`, `TCP`.
    #[must_use]
    pub const fn via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }

    /// The word in `;transport=`: `udp`, `tcp`.
    #[must_use]
    pub const fn param(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }

    /// The transport a `;transport=` parameter names, in any case; `None` if it is not built.
    #[must_use]
    pub fn from_param(text: &str) -> Option<Self> {
        [Self::Udp, Self::Tcp]
            .into_iter()
            .find(|transport| transport.param().eq_ignore_ascii_case(text))
    }
}

/// One connection of a stream transport. Numbers are never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FlowId(pub u64);

/// The two ends of a message's path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Peer {
    /// The transport.
    pub transport: Transport,
    /// The remote end.
    pub remote: SocketAddr,
    /// Our end: the address to which the remote end can answer (for TCP, that of the listener).
    pub local: SocketAddr,
    /// The connection to use, or that the message came by; `None` for UDP, and for TCP if any
    /// connection to `remote` will do, including a new one.
    pub flow: Option<FlowId>,
}
