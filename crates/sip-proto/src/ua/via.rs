//! The return path of responses (RFC 3261 §18.2, RFC 3581), and our own Via and Contact.

use std::net::{IpAddr, SocketAddr};

use super::{DEFAULT_PORT, Peer, Transport};
use crate::header::{NameAddr, Via};
use crate::message::{HeaderName, Headers};
use crate::uri::{Host, SipUri, Uri};
use model::egress::{Class, class};

/// Records the real source of the request in the top Via, and returns where responses go. `None`
/// without a usable Via.
///
/// UDP: to the source port if the sender requests it (`rport`), or if the sender does not know its
/// own address, because the port is then that of a NAT too; otherwise to the port in Via. `maddr`
/// is not followed: it would let a stranger aim our responses at others.
pub(super) fn stamp(headers: &mut Headers, peer: Peer) -> Option<Peer> {
    let mut via = headers.via().ok()?;
    let source = peer.remote;
    let knows_itself = via.host.ip() == Some(source.ip());
    let asks = via.rport().is_some();
    if !knows_itself || asks {
        via.params.set("received", Some(&source.ip().to_string()));
    }
    if asks {
        via.params.set("rport", Some(&source.port().to_string()));
    }
    headers.replace_first(&HeaderName::Via, Some(&via.to_string()));
    let port = match peer.transport {
        Transport::Udp if knows_itself && !asks => via.port.unwrap_or(DEFAULT_PORT),
        Transport::Udp | Transport::Tcp => source.port(),
    };
    Some(Peer {
        remote: SocketAddr::new(source.ip(), port),
        ..peer
    })
}

/// Our address as `peer` can reach it.
pub(super) fn advertised(public: Option<IpAddr>, peer: Peer) -> SocketAddr {
    match public {
        Some(ip)
            if class(peer.remote.ip()) == Class::Public
                && ip.is_ipv4() == peer.remote.is_ipv4() =>
        {
            SocketAddr::new(ip, peer.local.port())
        }
        _ => peer.local,
    }
}

/// Our Via on a request to `peer`.
pub(super) fn own(address: SocketAddr, peer: Peer, branch: &str) -> String {
    let host = Host::from(address.ip());
    Via::new(peer.transport.via(), host, Some(address.port()), branch).to_string()
}

/// Our Contact towards `peer`.
pub(super) fn contact(user: &str, address: SocketAddr, peer: Peer) -> String {
    let user = Some(user).filter(|user| !user.is_empty());
    let mut uri = SipUri::new(user, Host::from(address.ip()), Some(address.port()));
    match peer.transport {
        Transport::Udp => {}
        Transport::Tcp => uri.params.set("transport", Some(Transport::Tcp.param())),
    }
    NameAddr::new(Uri::Sip(uri)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_way_back() {
        // Via, then the updated Via and the address of the response; the source is 192.0.2.1:4000.
        let table: &[(&str, &str, &str)] = &[
            (
                "SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKa",
                "SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKa",
                "192.0.2.1:5070",
            ),
            (
                "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa",
                "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa",
                "192.0.2.1:5060",
            ),
            (
                "SIP/2.0/UDP 192.0.2.1:5070;rport;branch=z9hG4bKa",
                "SIP/2.0/UDP 192.0.2.1:5070;rport=4000;branch=z9hG4bKa;received=192.0.2.1",
                "192.0.2.1:4000",
            ),
            (
                "SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bKa",
                "SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bKa;received=192.0.2.1",
                "192.0.2.1:4000",
            ),
            (
                "SIP/2.0/UDP phone.example.com;maddr=203.0.113.9;branch=z9hG4bKa",
                "SIP/2.0/UDP phone.example.com;maddr=203.0.113.9;branch=z9hG4bKa\
                 ;received=192.0.2.1",
                "192.0.2.1:4000",
            ),
        ];
        let peer = Peer {
            transport: Transport::Udp,
            remote: SocketAddr::from(([192, 0, 2, 1], 4000)),
            local: SocketAddr::from(([192, 0, 2, 9], 5060)),
            flow: None,
        };
        for (via, noted, back) in table {
            let mut headers = Headers::new();
            headers.push(HeaderName::Via, *via);
            let reply_to = stamp(&mut headers, peer).expect("a usable Via");
            assert_eq!(headers.get(HeaderName::Via), Some(*noted));
            assert_eq!(reply_to.remote.to_string(), *back, "{via}");
        }
        assert_eq!(stamp(&mut Headers::new(), peer), None);
    }

    #[test]
    fn names_the_address_that_can_be_reached() {
        let public = Some(IpAddr::from([203, 0, 113, 5]));
        // Remote address, public address, then the address we give.
        for (remote, public, expected) in [
            ([198, 51, 100, 1], public, "203.0.113.5:5080"),
            ([198, 51, 100, 1], None, "10.0.0.9:5080"),
            ([10, 0, 0, 1], public, "10.0.0.9:5080"),
            ([127, 0, 0, 1], public, "10.0.0.9:5080"),
        ] {
            let peer = Peer {
                transport: Transport::Tcp,
                remote: SocketAddr::from((remote, 5060)),
                local: SocketAddr::from(([10, 0, 0, 9], 5080)),
                flow: None,
            };
            let address = advertised(public, peer);
            assert_eq!(address.to_string(), expected, "{remote:?}");
            assert_eq!(
                contact("kim", address, peer),
                format!("<sip:kim@{expected};transport=tcp>")
            );
        }
    }
}
