//! Which of our addresses a peer can answer to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use tracing::warn;

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

/// Addresses of this machine at which sockets that are bound to these addresses receive: for the unspecified address, those
/// of all networks it is connected to now.
pub(crate) fn addresses(bound: &[SocketAddr]) -> Vec<IpAddr> {
    let machine = if bound.iter().any(|address| address.ip().is_unspecified()) {
        if_addrs::get_if_addrs().unwrap_or_else(|error| {
            warn!(%error, "the addresses of this machine are not known; only the one at which a request arrives counts");
            Vec::new()
        })
    } else {
        Vec::new()
    };
    let mut all: Vec<IpAddr> = machine.iter().map(if_addrs::Interface::ip).collect();
    let fixed = bound.iter().map(SocketAddr::ip);
    all.extend(fixed.filter(|ip| !ip.is_unspecified()));
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_own_addresses() {
        let any = "0.0.0.0:5060".parse().unwrap();
        let one = "127.0.0.2:5060".parse().unwrap();
        assert_eq!(addresses(&[one, one]), [one.ip()]);
        let all = addresses(&[any, one]);
        assert!(all.contains(&Ipv4Addr::LOCALHOST.into()) && all.contains(&one.ip()));
        assert!(!all.contains(&any.ip()) && !all.contains(&[192, 0, 2, 1].into()));
    }
}
