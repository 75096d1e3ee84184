//! Which address of ours the remote party can reach.
//!
//! **Invariant: the address named in SDP and the socket are of one IP version**, that of the remote
//! party's signalling if we are bound to both. Left to others: NAT in front of us, for which the
//! operator configures an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Where an endpoint is bound, and which address its SDP gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LocalAddress {
    pub(crate) bind: IpAddr,
    pub(crate) announce: IpAddr,
}

/// - `bound`: as configured; `::` stands for all addresses of both versions.
/// - `advertised`: as configured; used if it has the right version.
pub(crate) fn choose(
    bound: IpAddr,
    advertised: Option<IpAddr>,
    signalling: Option<IpAddr>,
) -> LocalAddress {
    let signalling = signalling.map(|address| address.to_canonical());
    let bind = match signalling {
        Some(IpAddr::V4(_)) | None if bound == Ipv6Addr::UNSPECIFIED => {
            Ipv4Addr::UNSPECIFIED.into()
        }
        Some(_) | None => bound,
    };
    let announce = advertised.filter(|address| address.is_ipv4() == bind.is_ipv4());
    let announce = announce.unwrap_or_else(|| {
        if bind.is_unspecified() {
            towards(signalling, bind)
        } else {
            bind
        }
    });
    LocalAddress { bind, announce }
}

/// The address from which our packets to `far` leave; loopback without a route.
fn towards(far: Option<IpAddr>, bind: IpAddr) -> IpAddr {
    let (anywhere, loopback): (IpAddr, IpAddr) = if bind.is_ipv4() {
        (
            Ipv4Addr::new(192, 0, 2, 1).into(),
            Ipv4Addr::LOCALHOST.into(),
        )
    } else {
        (
            Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, 1).into(),
            Ipv6Addr::LOCALHOST.into(),
        )
    };
    let far = far
        .filter(|far| far.is_ipv4() == bind.is_ipv4())
        .unwrap_or(anywhere);
    // Connecting a UDP socket sends nothing; it only looks up the route.
    let route = || -> std::io::Result<IpAddr> {
        let socket = UdpSocket::bind((bind, 0))?;
        socket.connect((far, 9))?;
        Ok(socket.local_addr()?.ip())
    };
    route().unwrap_or(loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_configuration_and_signalling() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let table = [
            ("127.0.0.1", None, None, "127.0.0.1", "127.0.0.1"),
            (
                "127.0.0.1",
                None,
                Some("127.0.0.2"),
                "127.0.0.1",
                "127.0.0.1",
            ),
            ("0.0.0.0", None, Some("127.0.0.1"), "0.0.0.0", "127.0.0.1"),
            (
                "0.0.0.0",
                Some("203.0.113.1"),
                Some("127.0.0.1"),
                "0.0.0.0",
                "203.0.113.1",
            ),
            (
                "0.0.0.0",
                Some("2001:db8::1"),
                Some("127.0.0.1"),
                "0.0.0.0",
                "127.0.0.1",
            ),
            ("::", None, Some("127.0.0.1"), "0.0.0.0", "127.0.0.1"),
            ("::", None, Some("::ffff:127.0.0.1"), "0.0.0.0", "127.0.0.1"),
            ("::", None, Some("::1"), "::", "::1"),
            ("::", Some("203.0.113.1"), None, "0.0.0.0", "203.0.113.1"),
        ];
        for (bound, advertised, signalling, bind, announce) in table {
            let expected = LocalAddress {
                bind: ip(bind),
                announce: ip(announce),
            };
            let chosen = choose(ip(bound), advertised.map(ip), signalling.map(ip));
            assert_eq!(chosen, expected, "{bound} {advertised:?} {signalling:?}");
        }
    }
}
