//! The names and addresses under which this server is reached.
//!
//! **Invariant: [`OurNames`] alone decides whether a host is ours**, for requests that arrive and for addresses that are
//! to be called. Left to others: which addresses the machine has.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::DEFAULT_PORT;
use crate::uri::{Host, Uri};

/// The names and addresses of this server.
#[derive(Clone, Debug, Default)]
pub struct OurNames {
    /// The domain of the first organization, also the digest realm of its clients.
    pub domain: String,
    /// The domains of further organizations, in lower case.
    pub more_domains: Vec<String>,
    /// Further host names.
    pub names: Vec<String>,
    /// Address at which peers outside private networks reach us, if it is not the bound one.
    pub public_address: Option<IpAddr>,
    /// Addresses of this machine at which we receive SIP.
    pub addresses: Vec<IpAddr>,
    /// Whether we receive it at every loopback address: only the usual one is among `addresses`.
    pub every_loopback: bool,
    /// Ports at which we receive it.
    pub ports: Vec<u16>,
}

impl OurNames {
    /// Whether a host is one of ours.
    ///
    /// - `local`: where the request that names it arrived
    pub(super) fn include(&self, host: &Host, local: IpAddr) -> bool {
        match host {
            Host::Name(name) => is_localhost(name) || self.has_name(name),
            host => host.ip().is_some_and(|ip| {
                ip.to_canonical() == local.to_canonical() || self.has_address(ip)
            }),
        }
    }

    /// Whether a request for a URI is for us: another server may use another port of an address of ours, but not of our
    /// domain.
    ///
    /// - `local`: where the request arrived
    pub(super) fn are_in(&self, uri: &Uri, local: SocketAddr) -> bool {
        let port = match uri {
            Uri::Sip(uri) => uri.port,
            Uri::Tel(_) | Uri::Other(_) => None,
        };
        let is_port = |port| port == local.port() || self.ports.contains(&port);
        let (Some(host), true) = (uri.host(), port.is_none_or(is_port)) else {
            return matches!(uri.host(), Some(Host::Name(name)) if self.has_name(name));
        };
        self.include(host, local.ip())
    }

    /// The domain of an organization that a URI names, as it is listed here. `None` for the other names and addresses of
    /// this server, and for those of others.
    #[must_use]
    pub fn domain_in(&self, uri: &Uri) -> Option<&str> {
        let Some(Host::Name(name)) = uri.host() else {
            return None;
        };
        let mut domains = self.domains();
        let found = domains.find(|domain| domain.eq_ignore_ascii_case(name));
        found.map(String::as_str)
    }

    /// The name under which the registrar knows a client: its login, followed by `@` and the domain of its organization
    /// unless that is the first one. A login has no `@`.
    #[must_use]
    pub fn address_of_record(&self, login: &str, domain: &str) -> String {
        if domain.eq_ignore_ascii_case(&self.domain) {
            login.to_owned()
        } else {
            format!("{login}@{}", domain.to_ascii_lowercase())
        }
    }

    /// The client or number at this server that a `sip:` address names, so that a request for it need not be sent.
    /// `None` if the address leads elsewhere.
    #[must_use]
    pub fn local(&self, uri: &str) -> Option<Local> {
        let user = self.local_user(uri)?;
        let uri = Uri::parse(uri).ok()?;
        let domain = self.domain_in(&uri).map(str::to_owned);
        Some(Local { user, domain })
    }

    /// The number or login, unescaped, of a `sip:` address at which a request would arrive here.
    fn local_user(&self, uri: &str) -> Option<String> {
        let uri = Uri::parse(uri).ok()?;
        let sip = uri.as_sip().filter(|sip| !sip.secure)?;
        let is_ours = match &sip.host {
            Host::Name(name) if self.has_name(name) => true,
            host => {
                let ip = match host {
                    Host::Name(name) if is_localhost(name) => Some(Ipv4Addr::LOCALHOST.into()),
                    host => host.ip(),
                };
                self.ports.contains(&sip.port.unwrap_or(DEFAULT_PORT))
                    && ip.is_some_and(|ip| self.has_address(ip))
            }
        };
        let user = uri
            .subscriber()
            .filter(|user| is_ours && !user.is_empty())?;
        Some(user.into_owned())
    }

    fn has_name(&self, name: &str) -> bool {
        self.all().any(|ours| ours.eq_ignore_ascii_case(name))
    }

    fn has_address(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.addresses.contains(&ip)
            || self.every_loopback && ip.is_loopback()
            || self.public_address == Some(ip)
            || self.all().any(|ours| ours.parse() == Ok(ip))
    }

    fn all(&self) -> impl Iterator<Item = &String> {
        self.names.iter().chain(self.domains())
    }

    fn domains(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.domain).chain(&self.more_domains)
    }
}

/// A client or number at this server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Local {
    /// Login or number, unescaped.
    pub user: String,
    /// Domain of the organization that the address names; `None` if it names the server otherwise.
    pub domain: Option<String>,
}

fn is_localhost(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ours_is_not_sent_to() {
        let ours = OurNames {
            domain: "pbx.example".to_owned(),
            more_domains: vec!["two.example".to_owned()],
            names: vec!["pbx2.example".to_owned(), "198.51.100.7".to_owned()],
            public_address: Some([203, 0, 113, 1].into()),
            addresses: vec![[192, 0, 2, 9].into(), [10, 0, 0, 9].into()],
            every_loopback: true,
            ports: vec![5060, 5080],
        };
        let local = SocketAddr::from(([192, 0, 2, 9], 5060));
        // The address, and its user if requests for it arrive here, at port 5060 or 5080.
        let table = [
            ("sip:bob@pbx.example", Some("bob")),
            ("sip:bob@PBX2.example:7000;transport=tcp", Some("bob")),
            ("sip:bob@Two.example:7000", Some("bob")),
            ("sip:m%C3%BCller@pbx.example", Some("m\u{fc}ller")),
            ("sip:+12025550100;npdi@pbx.example", Some("+12025550100")),
            ("sip:bob@192.0.2.9", Some("bob")),
            ("sip:bob@10.0.0.9", Some("bob")),
            ("sip:bob@127.0.0.7:5080", Some("bob")),
            ("sip:bob@[::ffff:10.0.0.9]", Some("bob")),
            ("sip:bob@192.0.2.9:5080", Some("bob")),
            ("sip:bob@192.0.2.9:5999", None),
            ("sip:bob@203.0.113.1", Some("bob")),
            ("sip:bob@198.51.100.7", Some("bob")),
            ("sip:bob@localhost:5080", Some("bob")),
            ("sip:bob@localhost:5999", None),
            ("sip:bob@[::1]:5080", Some("bob")),
            ("sip:bob@192.0.2.10", None),
            ("sip:bob@elsewhere.example", None),
            ("sips:bob@pbx.example", None),
            ("sip:pbx.example", None),
            ("tel:+12025550100", None),
        ];
        for (uri, expected) in table {
            let found = ours.local_user(uri);
            assert_eq!(found.as_deref(), expected, "{uri}");
            // An INVITE for it that arrives is judged in the same way.
            let uri = Uri::parse(uri).unwrap();
            let arrives = ours.are_in(&uri, local) && matches!(uri, Uri::Sip(_));
            let is_plain = uri
                .as_sip()
                .is_some_and(|sip| !sip.secure && sip.user.is_some());
            assert_eq!(arrives && is_plain, expected.is_some(), "{uri:?}");
        }
        for (uri, domain) in [
            ("sip:bob@PBX.example", Some("pbx.example")),
            ("sip:bob@Two.Example", Some("two.example")),
            ("sip:bob@pbx2.example", None),
            ("sip:bob@192.0.2.9", None),
        ] {
            assert_eq!(ours.local(uri).unwrap().domain.as_deref(), domain, "{uri}");
        }
        assert_eq!(ours.address_of_record("bob", "PBX.example"), "bob");
        assert_eq!(
            ours.address_of_record("bob", "Two.example"),
            "bob@two.example"
        );
        // One bound to another address receives it only there.
        let bound = OurNames {
            addresses: vec![[127, 0, 0, 1].into()],
            ports: vec![5060],
            ..OurNames::default()
        };
        for (uri, expected) in [("sip:bob@127.0.0.1", true), ("sip:bob@127.0.0.7", false)] {
            assert_eq!(bound.local_user(uri).is_some(), expected, "{uri}");
        }
    }
}
