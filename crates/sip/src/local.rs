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

/// Whether a socket bound to `bound` receives what is sent to `ip`.
pub(crate) fn is_own(bound: SocketAddr, ip: IpAddr) -> bool {
    if !bound.ip().is_unspecified() {
        return bound.ip() == ip;
    }
    // Every loopback address is this machine's, whichever one the system would send from.
    ip.is_loopback() || address_towards(bound, SocketAddr::new(ip, 9)).ip() == ip
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_own_addresses() {
        let any = "0.0.0.0:5060".parse().unwrap();
        let one = "127.0.0.1:5060".parse().unwrap();
        let table = [
            (any, "127.0.0.1", true),
            (any, "127.0.0.5", true),
            (any, "192.0.2.1", false),
            (one, "127.0.0.1", true),
            (one, "127.0.0.5", false),
        ];
        for (bound, ip, expected) in table {
            assert_eq!(is_own(bound, ip.parse().unwrap()), expected, "{bound} {ip}");
        }
    }
}
