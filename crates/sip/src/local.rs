//! Which of our addresses a peer can answer to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// `bound` itself, or, when it is the unspecified address, the address from which the system would
/// send to `remote`. Determining it sends nothing.
pub(crate) fn address_towards(bound: SocketAddr, remote: SocketAddr) -> SocketAddr {
    if !bound.ip().is_unspecified() {
        return bound;
    }
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let ip = UdpSocket::bind((any, 0))
        .and_then(|socket| socket.connect(remote).and_then(|()| socket.local_addr()))
        .map_or(bound.ip(), |address| address.ip());
    SocketAddr::new(ip, bound.port())
}
