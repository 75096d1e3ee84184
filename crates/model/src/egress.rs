//! Which addresses an account may have the server connect to, whatever the protocol.
//!
//! The server's rules are a [`Guard`], those of an account an [`AddressPolicy`]. Left to others:
//! resolving names, and checking before each connection.
//!
//! **Invariant: an IPv4 address is judged alike in every IPv6 form that leads to it** (mapped,
//! compatible, 6to4, NAT64). Behind a local NAT64 prefix, which may hold it at several positions,
//! the most restricted of these counts, and none is public.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::AccountSid;

/// What an account may reach.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct AddressPolicy {
    /// Whether loopback and private addresses are allowed too.
    pub private_ok: bool,
}

/// Paths of this server below which addresses are signed: documents, and recordings in both dialects.
const SIGNED: [&str; 5] = [
    "/restcomm/voicemail/",
    "/restcomm/masks",
    "/restcomm/verifications",
    "/restcomm/2012-04-24/Accounts/",
    "/2010-04-01/Accounts/",
];

impl AddressPolicy {
    /// What an account may reach with addresses that it wrote: the administrator's applications and phones may be
    /// in private networks and on this machine.
    #[must_use]
    pub fn of(author: AccountSid, administrator: AccountSid) -> Self {
        Self {
            private_ok: author == administrator,
        }
    }

    /// What an account may reach with this address: as [`AddressPolicy::of`], but signed addresses of this server may be reached
    /// wherever it is, since it is this server that decides what they show.
    ///
    /// - `own`: the public address of this server
    #[must_use]
    pub fn for_address(self, url: &str, own: &str) -> Self {
        let below = url.strip_prefix(own).unwrap_or_default();
        let (path, query) = below.split_once('?').unwrap_or((below, ""));
        // Nothing that could lead to another path once it is read more closely.
        let is_plain = !path.contains(['%', '\\', '#']) && !path.contains("..");
        let is_own = SIGNED.iter().any(|prefix| path.starts_with(prefix));
        let is_signed = query.starts_with("Signature=") || query.contains("&Signature=");
        Self {
            private_ok: self.private_ok || (is_plain && is_own && is_signed),
        }
    }
}

/// The rules of the whole server.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Whether private addresses are allowed for every account.
    pub allow_private: bool,
    /// Allowed for every account, whatever their class, unless no single machine can have them.
    pub allowed: Vec<IpAddr>,
}

/// The kind of an address, as far as the rules distinguish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Reachable from everywhere.
    Public,
    /// Loopback, private networks, carrier networks.
    Private,
    /// Link-local addresses, and those where clouds serve secrets to their machines.
    Metadata,
    /// Not the address of a single machine.
    Invalid,
}

/// An address that may not be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address {0} is not allowed")]
pub struct Refused(pub IpAddr);

impl Refused {
    /// What to do about it.
    ///
    /// - `section`: of the configuration, for the protocol: `fetch` or `sip`
    #[must_use]
    pub fn advice(self, section: &str) -> String {
        match class(self.0) {
            Class::Private => format!(
                "use a public address, or ask the operator to set `{section}.allow_private`"
            ),
            // One setting for all protocols.
            Class::Metadata => format!(
                "use a public address, or ask the operator to add {} to `fetch.allow_addresses`",
                self.0
            ),
            Class::Public | Class::Invalid => "use a public address".to_owned(),
        }
    }
}

impl Guard {
    /// Whether an account with this policy may connect to the address.
    ///
    /// # Errors
    /// [`Refused`] if it may not.
    pub fn check(&self, address: IpAddr, policy: AddressPolicy) -> Result<(), Refused> {
        let address = unwrapped(address);
        let allowed = match class(address) {
            Class::Public => true,
            Class::Private => self.allow_private || policy.private_ok || self.lists(address),
            Class::Metadata => self.lists(address),
            Class::Invalid => false,
        };
        if allowed {
            Ok(())
        } else {
            Err(Refused(address))
        }
    }

    /// The addresses of a name that an account with this policy may connect to, in their order. A name may have several,
    /// some of them private.
    ///
    /// # Errors
    /// [`Refused`] if there are addresses and none is allowed.
    pub fn permitted(
        &self,
        found: impl IntoIterator<Item = SocketAddr>,
        policy: AddressPolicy,
    ) -> Result<Vec<SocketAddr>, Refused> {
        let mut refused = None;
        let mut allowed = Vec::new();
        for address in found {
            match self.check(address.ip(), policy) {
                Ok(()) => allowed.push(address),
                Err(error) => refused = Some(error),
            }
        }
        match refused {
            Some(error) if allowed.is_empty() => Err(error),
            Some(_) | None => Ok(allowed),
        }
    }

    fn lists(&self, address: IpAddr) -> bool {
        self.allowed
            .iter()
            .any(|listed| unwrapped(*listed) == address)
    }
}

/// Where clouds serve secrets, outside the link-local ranges.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// The kind of an address, in whatever form it is written.
#[must_use]
pub fn class(address: IpAddr) -> Class {
    match unwrapped(address) {
        IpAddr::V4(address) => class_v4(address),
        IpAddr::V6(address) => class_v6(address),
    }
}

fn class_v4(address: Ipv4Addr) -> Class {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        _ if METADATA_V4.contains(&address) => Class::Metadata,
        (169, 254, _) => Class::Metadata,
        (0 | 224..=255, _, _) => Class::Invalid,
        (10 | 127, _, _) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) => Class::Private,
        (192, 0, 0) | (198, 18..=19, _) => Class::Private,
        _ => Class::Public,
    }
}

fn class_v6(address: Ipv6Addr) -> Class {
    match address.segments() {
        _ if METADATA_V6.contains(&address) => Class::Metadata,
        [0x64, 0xff9b, 1, ..] if leads_to_metadata(address) => Class::Metadata,
        [0x64, 0xff9b, 1, ..] => Class::Private,
        [0xfe80..=0xfebf, ..] => Class::Metadata,
        [0xff00..=0xffff, ..] => Class::Invalid,
        [0, 0, 0, 0, 0, 0, 0, 0] => Class::Invalid,
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Private,
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Class::Private,
        _ => Class::Public,
    }
}

/// Whether an address with the local NAT64 prefix (RFC 8215) may hold a metadata address: at any
/// position that RFC 6052 §2.2 allows within a /48, since each network chooses its own prefix
/// length.
fn leads_to_metadata(address: Ipv6Addr) -> bool {
    let o = address.octets();
    let held = [
        [o[6], o[7], o[9], o[10]],
        [o[7], o[9], o[10], o[11]],
        [o[9], o[10], o[11], o[12]],
        [o[12], o[13], o[14], o[15]],
    ];
    held.into_iter()
        .any(|octets| class_v4(octets.into()) == Class::Metadata)
}

/// The IPv4 address inside an IPv6 address that leads to it.
fn unwrapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => v4(high, low),
        [0, 0, 0, 0, 0xffff, 0, high, low] => v4(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_addresses_of_this_server_may_be_private() {
        let own = "http://127.0.0.1:8080";
        let table = [
            (
                "http://127.0.0.1:8080/restcomm/voicemail/x?Signature=1",
                true,
            ),
            ("http://127.0.0.1:8080/restcomm/voicemail/x", false),
            (
                "http://127.0.0.1:8080/2010-04-01/Accounts/a/Recordings/r.wav?Expires=1&Signature=2",
                true,
            ),
            (
                "http://127.0.0.1:8080/restcomm/voicemail/../../a?Signature=1",
                false,
            ),
            (
                "http://127.0.0.1:8080/restcomm/voicemail/%2e%2e/a?Signature=1",
                false,
            ),
            (
                "http://127.0.0.1:8080/restcomm/voicemail/x?NoSignature=1",
                false,
            ),
            ("http://127.0.0.1:8080/other?Signature=1", false),
            ("http://127.0.0.1:80801/restcomm/x?Signature=1", false),
            (
                "http://127.0.0.1:8080@10.0.0.1/restcomm/?Signature=1",
                false,
            ),
            ("http://127.0.0.1:8081/restcomm/x?Signature=1", false),
            ("http://10.0.0.1/restcomm/x?Signature=1", false),
        ];
        for (url, expected) in table {
            let policy = AddressPolicy::default().for_address(url, own);
            assert_eq!(policy.private_ok, expected, "{url}");
        }
        assert!(
            AddressPolicy { private_ok: true }
                .for_address("http://10.0.0.1/", own)
                .private_ok
        );
    }

    #[test]
    fn advises_the_setting_where_it_would_help() {
        let table = [
            ("127.0.0.1", "`sip.allow_private`"),
            ("::ffff:10.0.0.1", "`sip.allow_private`"),
            (
                "169.254.169.254",
                "add 169.254.169.254 to `fetch.allow_addresses`",
            ),
            ("fe80::1", "add fe80::1 to `fetch.allow_addresses`"),
            ("0.0.0.0", "use a public address"),
        ];
        for (text, expected) in table {
            let address = text.parse().unwrap();
            let advice = Refused(address).advice("sip");
            assert!(advice.ends_with(expected), "{text}: {advice}");
            let guard = Guard {
                allow_private: advice.contains("allow_private"),
                allowed: Vec::from_iter(advice.contains("allow_addresses").then_some(address)),
            };
            let reached = guard.check(address, AddressPolicy::default());
            assert_eq!(reached.is_ok(), advice.contains("operator"), "{text}");
        }
    }

    #[test]
    fn a_name_is_reached_at_its_permitted_addresses() {
        let guard = Guard::default();
        let at = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 5060);
        // The addresses of a name, and those of them that are permitted; one in brackets is the one that is refused.
        let table = [
            ("10.0.0.1 93.184.216.34", "93.184.216.34"),
            ("93.184.216.34 10.0.0.1", "93.184.216.34"),
            (
                "::1 2606:2800::1 93.184.216.34",
                "2606:2800::1 93.184.216.34",
            ),
            ("10.0.0.1 127.0.0.1", "(127.0.0.1)"),
            ("", ""),
        ];
        for (found, expected) in table {
            let found = found.split_ascii_whitespace().map(at);
            let reached = match guard.permitted(found, AddressPolicy::default()) {
                Ok(permitted) => {
                    let ips = permitted.iter().map(|address| address.ip().to_string());
                    ips.collect::<Vec<_>>().join(" ")
                }
                Err(Refused(ip)) => format!("({ip})"),
            };
            assert_eq!(reached, expected);
        }
    }

    #[test]
    fn judges_addresses() {
        let listed = "169.254.169.254".parse().unwrap();
        let strict = Guard::default();
        let listing = Guard {
            allowed: vec![listed],
            ..Guard::default()
        };
        let open = Guard {
            allow_private: true,
            ..Guard::default()
        };
        // The accounts: public account, private account, account on an open server, account on a
        // server that allows 169.254.169.254.
        let table = [
            ("93.184.216.34", "yyyy"),
            ("2606:2800:220:1::1", "yyyy"),
            ("127.0.0.1", "nyyn"),
            ("127.9.9.9", "nyyn"),
            ("10.1.2.3", "nyyn"),
            ("172.16.0.1", "nyyn"),
            ("172.31.255.255", "nyyn"),
            ("172.32.0.1", "yyyy"),
            ("192.168.1.1", "nyyn"),
            ("100.64.0.1", "nyyn"),
            ("100.128.0.1", "yyyy"),
            ("198.18.0.1", "nyyn"),
            ("::1", "nyyn"),
            ("fd12::1", "nyyn"),
            ("fec0::1", "nyyn"),
            ("::ffff:10.0.0.1", "nyyn"),
            ("::ffff:127.0.0.1", "nyyn"),
            ("::127.0.0.1", "nyyn"),
            ("2002:7f00:1::", "nyyn"),
            ("64:ff9b::a00:1", "nyyn"),
            ("::ffff:0:127.0.0.1", "nyyn"),
            ("64:ff9b:1::a00:1", "nyyn"),
            ("64:ff9b:1::5db8:d822", "nyyn"),
            ("64:ff9b:1:a9fe:a9:fe00::", "nnnn"),
            ("64:ff9b:1:a9:fe:a9fe::", "nnnn"),
            ("64:ff9b:1:0:a9:fea9:fe00:0", "nnnn"),
            ("64:ff9b:1::a9fe:a9fe", "nnnn"),
            ("64:ff9b:2::1", "yyyy"),
            ("::ffff:93.184.216.34", "yyyy"),
            ("169.254.169.254", "nnny"),
            ("::ffff:169.254.169.254", "nnny"),
            ("64:ff9b::a9fe:a9fe", "nnny"),
            ("169.254.1.1", "nnnn"),
            ("fe80::1", "nnnn"),
            ("fd00:ec2::254", "nnnn"),
            ("fd20:ce::254", "nnnn"),
            ("fd20:ce::1", "nyyn"),
            ("100.100.100.200", "nnnn"),
            ("168.63.129.16", "nnnn"),
            ("192.0.0.192", "nnnn"),
            ("0.0.0.0", "nnnn"),
            ("0.1.2.3", "nnnn"),
            ("::", "nnnn"),
            ("224.0.0.1", "nnnn"),
            ("255.255.255.255", "nnnn"),
            ("ff02::1", "nnnn"),
        ];
        let (public, private) = (AddressPolicy::default(), AddressPolicy { private_ok: true });
        for (text, expected) in table {
            let address = text.parse().unwrap();
            let found: String = [
                (&strict, public),
                (&strict, private),
                (&open, public),
                (&listing, public),
            ]
            .into_iter()
            .map(|(guard, policy)| guard.check(address, policy).map_or('n', |()| 'y'))
            .collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
