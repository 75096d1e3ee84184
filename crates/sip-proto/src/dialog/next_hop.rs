//! Where a request within a dialog is sent (RFC 3261 §8.1.2, §12.2.1.1), with NAT in mind.
//!
//! The remote party writes these addresses, so they may lead only into a network that it is in
//! itself: it must not make the server send to the server's own machine or network.
//!
//! Only numeric addresses are followed: a name would need DNS in the middle of a call, and except
//! with unusual routing, the proxy or phone it names is the one its messages come from.

use std::net::{IpAddr, SocketAddr};

use model::egress::{Class, class};

use crate::ua::{DEFAULT_PORT, Peer, Transport};
use crate::uri::Uri;

/// The next hop that a Route value names. Proxies of one network name each other's private addresses.
pub(super) fn by_route(route: &Uri, peer: Peer) -> Peer {
    match numeric(route, peer) {
        Some((transport, address)) if shares_network(address.ip(), peer.remote.ip()) => {
            towards(transport, address, peer)
        }
        Some(_) | None => peer,
    }
}

/// Whether the remote party may name the address: public ones, and private ones if it has one
/// itself. It may name addresses of this machine only if it runs on it.
fn shares_network(named: IpAddr, peer: IpAddr) -> bool {
    if named == peer {
        return true;
    }
    match class(named) {
        Class::Public => true,
        Class::Private => {
            class(peer) == Class::Private
                && (!named.to_canonical().is_loopback() || peer.to_canonical().is_loopback())
        }
        Class::Metadata | Class::Invalid => false,
    }
}

/// The next hop that a Contact names, without routes. A private address other than the message's
/// source is how a phone behind NAT knows itself: the request goes to the NAT.
pub(super) fn by_contact(contact: &Uri, peer: Peer) -> Peer {
    match numeric(contact, peer) {
        Some((transport, address))
            if address.ip() == peer.remote.ip() || class(address.ip()) == Class::Public =>
        {
            towards(transport, address, peer)
        }
        Some(_) | None => peer,
    }
}

/// Reuses the connection to that host while it lives; otherwise the address decides.
fn towards(transport: Transport, remote: SocketAddr, peer: Peer) -> Peer {
    if transport.is_flow()
        && peer.flow.is_some()
        && peer.transport == transport
        && remote.ip() == peer.remote.ip()
    {
        return peer;
    }
    Peer {
        transport,
        remote,
        local: peer.local,
        flow: None,
    }
}

fn numeric(uri: &Uri, peer: Peer) -> Option<(Transport, SocketAddr)> {
    let ip = uri.host()?.ip()?;
    if ip.is_unspecified() {
        return None;
    }
    let transport = match uri.param("transport") {
        Some(name) => Transport::from_param(name)?,
        None if ip == peer.remote.ip() => peer.transport,
        None => Transport::Udp,
    };
    Some((
        transport,
        SocketAddr::new(ip, uri.port().unwrap_or(DEFAULT_PORT)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_far_party_names_no_network_that_it_is_not_in() {
        // The peer's address, the address it names, and whether a Route and a Contact may lead
        // there.
        let table = [
            ("198.51.100.7", "203.0.113.9", true, true),
            ("198.51.100.7", "198.51.100.7", true, true),
            ("198.51.100.7", "127.0.0.1", false, false),
            ("198.51.100.7", "10.0.0.1", false, false),
            ("198.51.100.7", "169.254.169.254", false, false),
            ("198.51.100.7", "224.0.0.1", false, false),
            ("198.51.100.7", "255.255.255.255", false, false),
            ("198.51.100.7", "[::ffff:127.0.0.1]", false, false),
            ("10.0.0.2", "10.0.0.1", true, false),
            ("10.0.0.2", "127.0.0.1", false, false),
            ("10.0.0.2", "169.254.169.254", false, false),
            ("127.0.0.1", "127.0.0.2", true, false),
        ];
        for (from, named, by_its_route, by_its_contact) in table {
            let peer = Peer {
                transport: Transport::Udp,
                remote: SocketAddr::new(from.parse().unwrap(), 5060),
                local: SocketAddr::from(([198, 51, 100, 1], 5060)),
                flow: None,
            };
            let uri = Uri::parse(&format!("sip:x@{named}:7000;transport=tcp")).unwrap();
            let leads = |hop: Peer| hop.remote.port() == 7000;
            assert_eq!(leads(by_route(&uri, peer)), by_its_route, "{from} {named}");
            assert_eq!(
                leads(by_contact(&uri, peer)),
                by_its_contact,
                "{from} {named}"
            );
        }
    }
    #[test]
    fn a_contact_without_a_port_means_the_default_port() {
        let peer = Peer {
            transport: Transport::Udp,
            remote: SocketAddr::from(([198, 51, 100, 7], 6000)),
            local: SocketAddr::from(([198, 51, 100, 1], 5060)),
            flow: None,
        };
        for (contact, port) in [
            ("sip:x@203.0.113.9", 5060),
            ("sip:x@203.0.113.9:7000", 7000),
        ] {
            let hop = by_contact(&Uri::parse(contact).unwrap(), peer);
            assert_eq!(hop.remote, SocketAddr::from(([203, 0, 113, 9], port)));
        }
    }
}
