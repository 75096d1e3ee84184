//! From a URI to the address of the next hop: numeric hosts, and names through the system's
//! resolver (A and AAAA; no SRV or NAPTR).

use std::net::{IpAddr, SocketAddr};

use sip_proto::ua::{Peer, Transport};
use sip_proto::uri::{Host, Uri};

use crate::{ResolveError, SipAddrs};

/// Next hop for `uri`, which may lack its `sip:`.
pub(crate) async fn resolve(uri: &str, ours: SipAddrs) -> Result<Peer, ResolveError> {
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
    let remote = address(&sip.host, sip.port.unwrap_or(5060), bound).await?;
    let local = crate::local::address_towards(bound, remote);
    Ok(Peer {
        transport,
        remote,
        local,
        flow: None,
    })
}

async fn address(host: &Host, port: u16, bound: SocketAddr) -> Result<SocketAddr, ResolveError> {
    if let Some(ip) = host.ip() {
        return Ok(SocketAddr::new(ip, port));
    }
    let name = host.to_string();
    let found = tokio::net::lookup_host((name.as_str(), port)).await;
    let usable = |ip: IpAddr| ip.is_ipv4() || bound.is_ipv6();
    let first = found
        .ok()
        .and_then(|mut all| all.find(|address| usable(address.ip())));
    first.ok_or(ResolveError::NoAddress(name))
}
