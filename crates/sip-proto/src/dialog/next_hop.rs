//! Where a request within a dialog is sent (RFC 3261 §8.1.2, §12.2.1.1), NAT in mind.
//!
//! Only numeric addresses are followed: a name would need DNS in the middle of a call, and the
//! proxy or phone it names is, but for rare routing, the one its messages come from.

use std::net::{IpAddr, SocketAddr};

use crate::ua::{Peer, Transport};
use crate::uri::Uri;

/// The next hop that a Route value names.
pub(super) fn by_route(route: &Uri, peer: Peer) -> Peer {
    match numeric(route, peer) {
        Some((transport, address)) => towards(transport, address, peer),
        None => peer,
    }
}

/// The next hop that a Contact names, without routes. A private address that is not the one the
/// message came from is what a phone behind NAT knows of itself: the answer goes back to the NAT.
pub(super) fn by_contact(contact: &Uri, peer: Peer) -> Peer {
    match numeric(contact, peer) {
        Some((_, address)) if address.ip() != peer.remote.ip() && is_private(address.ip()) => peer,
        Some((transport, address)) => towards(transport, address, peer),
        None => peer,
    }
}

/// A connection to that host is used on while it lives; otherwise the address counts.
fn towards(transport: Transport, remote: SocketAddr, peer: Peer) -> Peer {
    if transport == Transport::Tcp
        && peer.flow.is_some()
        && peer.transport == Transport::Tcp
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
    Some((transport, SocketAddr::new(ip, uri.port().unwrap_or(5060))))
}

/// Addresses that mean nothing outside their own network.
pub(crate) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}
