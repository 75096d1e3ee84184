//! From a URI to the address of the next hop: numeric hosts, and names through the system's
//! resolver (A and AAAA; no SRV or NAPTR).

use std::net::{IpAddr, SocketAddr};

use model::egress::Refused;
use sip_proto::ua::{DEFAULT_PORT, Peer, Transport};
use sip_proto::uri::{Host, SipUri, Uri};

use crate::{ResolveError, SipAddrs};

/// Which of the addresses of a name may be reached, in their order; the first one is.
pub(crate) type Permit<'a> =
    &'a (dyn Fn(Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Refused> + Sync);

/// Next hop for `uri`, which may lack its `sip:`.
pub(crate) async fn resolve(
    uri: &str,
    ours: SipAddrs,
    permit: Permit<'_>,
) -> Result<Peer, ResolveError> {
    let (sip, transport, bound) = read(uri, ours)?;
    let found = addresses(&sip.host, sip.port.unwrap_or(DEFAULT_PORT), bound).await;
    let remote = permit(found)?.into_iter().next();
    let remote = remote.ok_or_else(|| ResolveError::NoAddress(sip.host.to_string()))?;
    let local = crate::local::address_towards(bound, remote);
    Ok(Peer {
        transport,
        remote,
        local,
        flow: None,
    })
}

/// Every address of the host of a URI; none if it cannot be read.
pub(crate) async fn hosts(uri: &str, ours: SipAddrs) -> Vec<IpAddr> {
    let Ok((sip, _, bound)) = read(uri, ours) else {
        return Vec::new();
    };
    let found = addresses(&sip.host, DEFAULT_PORT, bound).await;
    found.iter().map(SocketAddr::ip).collect()
}

/// The URI, which may lack its `sip:`, its transport, and our address for that.
fn read(uri: &str, ours: SipAddrs) -> Result<(SipUri, Transport, SocketAddr), ResolveError> {
    let not_sip = || ResolveError::NotSip(uri.to_owned());
    let parsed = Uri::parse(uri)
        .ok()
        .filter(|parsed| parsed.as_sip().is_some());
    let parsed = match parsed {
        Some(parsed) => parsed,
        None => Uri::parse(&format!("sip:{uri}")).map_err(|_| not_sip())?,
    };
    let sip = parsed.as_sip().ok_or_else(not_sip)?;
    let transport = match sip.transport() {
        None => Transport::Udp,
        Some(name) => {
            Transport::from_param(name).ok_or_else(|| ResolveError::Transport(name.to_owned()))?
        }
    };
    let bound = match transport {
        Transport::Udp => ours.udp,
        Transport::Tcp => ours.tcp,
    };
    Ok((sip.clone(), transport, bound))
}

/// The addresses of a host that our socket can send to.
async fn addresses(host: &Host, port: u16, bound: SocketAddr) -> Vec<SocketAddr> {
    if let Some(ip) = host.ip() {
        return vec![SocketAddr::new(ip, port)];
    }
    let name = host.to_string();
    let found = tokio::net::lookup_host((name.as_str(), port)).await;
    let usable = |address: &SocketAddr| address.is_ipv4() || bound.is_ipv6();
    found.into_iter().flatten().filter(usable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_permitted_address_of_a_name_is_reached() {
        let any = SocketAddr::from(([0, 0, 0, 0], 5060));
        let ours = SipAddrs { udp: any, tcp: any };
        let refused = Refused([127, 0, 0, 1].into());
        // As if the name had a private address first, and then a public one.
        let both = |_| Ok(vec![SocketAddr::from(([192, 0, 2, 7], 5070))]);
        let peer = resolve("sip:kim@localhost:5070", ours, &both).await;
        assert_eq!(peer.unwrap().remote.ip(), IpAddr::from([192, 0, 2, 7]));
        let asked = |found: Vec<SocketAddr>| {
            assert!(
                found
                    .iter()
                    .all(|at| at.port() == 5070 && at.ip().is_loopback())
            );
            Err(refused)
        };
        let peer = resolve("sip:kim@localhost:5070", ours, &asked).await;
        assert!(matches!(peer, Err(ResolveError::Refused(found)) if found == refused));
        let peer = resolve("sip:kim@127.0.0.1", ours, &Ok).await;
        assert_eq!(
            peer.unwrap().remote,
            SocketAddr::from(([127, 0, 0, 1], 5060))
        );
    }
}
