//! Which address a request comes from, if reverse proxies pass it on.
//!
//! **Invariant: only what a trusted proxy wrote is believed.** Each proxy appends the address it was called from to
//! `X-Forwarded-For`, or to `Forwarded` (RFC 7239), so entries are read from the end: the first address that is not a
//! trusted proxy is the client, and whatever is in front of it was written by that client.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use axum::http::header::FORWARDED;
use model::source::Network;

const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// The proxies that the operator listed.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies(pub(super) Vec<Network>);

impl Proxies {
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// The address of the client whose request came from `peer`. If both headers are there and disagree, one of them
    /// is the client's own, so neither is believed.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(peer) {
            return peer;
        }
        let entries = |name: &str| -> Option<Vec<Option<IpAddr>>> {
            let mut values = headers.get_all(name).into_iter().peekable();
            values.peek()?;
            let read = if name == FORWARDED {
                forwarded
            } else {
                address
            };
            let entries = values.flat_map(|value| value.to_str().unwrap_or_default().split(','));
            Some(entries.map(read).collect())
        };
        let [plain, standard] = [X_FORWARDED_FOR, FORWARDED.as_str()]
            .map(|name| entries(name).map(|entries| self.last_untrusted(peer, &entries)));
        match (plain, standard) {
            (Some(plain), Some(standard)) if plain != standard => peer,
            (Some(client), _) | (None, Some(client)) => client,
            (None, None) => peer,
        }
    }

    /// An entry that is not an address ends the walk at the proxy that wrote it.
    fn last_untrusted(&self, peer: IpAddr, entries: &[Option<IpAddr>]) -> IpAddr {
        let mut client = peer;
        for entry in entries.iter().rev() {
            let Some(address) = entry else {
                break;
            };
            client = *address;
            if !self.trusts(client) {
                break;
            }
        }
        client
    }
}

/// An address, perhaps with a port, and in brackets if it is of IPv6.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    bare.unwrap_or(text).parse().ok().or_else(with_port)
}

/// The `for` of one element of `Forwarded` (RFC 7239 §4).
fn forwarded(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, node) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    address(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Headers.
    type Lines<'a> = &'a [(&'a str, &'a str)];

    #[test]
    fn the_last_entry_that_is_not_of_a_proxy_is_the_client() {
        const PROXY: &str = "10.0.0.1";
        let table: &[(&str, Lines<'_>, &str)] = &[
            (PROXY, &[], PROXY),
            (PROXY, &[("X-Forwarded-For", "192.0.2.1")], "192.0.2.1"),
            (
                PROXY,
                &[("X-Forwarded-For", "1.1.1.1, 192.0.2.1")],
                "192.0.2.1",
            ),
            (
                PROXY,
                &[("X-Forwarded-For", "1.1.1.1,192.0.2.1, 10.0.0.2")],
                "192.0.2.1",
            ),
            (
                PROXY,
                &[
                    ("X-Forwarded-For", "1.1.1.1"),
                    ("X-Forwarded-For", "192.0.2.1"),
                ],
                "192.0.2.1",
            ),
            (PROXY, &[("X-Forwarded-For", "192.0.2.1:4711")], "192.0.2.1"),
            (PROXY, &[("X-Forwarded-For", "2001:db8::1")], "2001:db8::1"),
            (
                PROXY,
                &[("X-Forwarded-For", "[2001:db8::1]:4711")],
                "2001:db8::1",
            ),
            (
                PROXY,
                &[("X-Forwarded-For", "10.0.0.3, 10.0.0.2")],
                "10.0.0.3",
            ),
            (PROXY, &[("X-Forwarded-For", "192.0.2.1, unknown")], PROXY),
            (
                PROXY,
                &[("X-Forwarded-For", "192.0.2.1, x, 10.0.0.2")],
                "10.0.0.2",
            ),
            (PROXY, &[("X-Forwarded-For", "")], PROXY),
            (
                PROXY,
                &[("Forwarded", "for=1.1.1.1, by=x;For=192.0.2.1;proto=https")],
                "192.0.2.1",
            ),
            (
                PROXY,
                &[("Forwarded", "for=\"[2001:db8::1]:4711\"")],
                "2001:db8::1",
            ),
            (PROXY, &[("Forwarded", "for=192.0.2.1, for=_hidden")], PROXY),
            (
                PROXY,
                &[
                    ("X-Forwarded-For", "192.0.2.1"),
                    ("Forwarded", "for=192.0.2.1"),
                ],
                "192.0.2.1",
            ),
            (
                PROXY,
                &[
                    ("X-Forwarded-For", "192.0.2.1"),
                    ("Forwarded", "for=1.1.1.1"),
                ],
                PROXY,
            ),
            (
                "203.0.113.9",
                &[("X-Forwarded-For", "192.0.2.1")],
                "203.0.113.9",
            ),
            (
                "::ffff:10.0.0.1",
                &[("X-Forwarded-For", "192.0.2.1")],
                "192.0.2.1",
            ),
        ];
        let proxies = Proxies(vec!["10.0.0.0/24".parse().unwrap()]);
        for (peer, lines, expected) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in *lines {
                let name: axum::http::HeaderName = name.parse().unwrap();
                headers.append(name, value.parse().unwrap());
            }
            let client = proxies.client(peer.parse().unwrap(), &headers);
            assert_eq!(client.to_string(), *expected, "{peer} {lines:?}");
            let peer = peer.parse().unwrap();
            assert_eq!(Proxies::default().client(peer, &headers), peer, "no proxy");
        }
    }
}
