//! Which source an endpoint accepts, and where we send: symmetric RTP (RFC 4961) and latching (RFC
//! 7362).
//!
//! A phone behind a NAT cannot know the address its packets appear to come from. So if the address
//! in its SDP cannot be reached, we also accept one on the host of its signalling. **Invariants:
//! the announced address wins as soon as it sends**, so a stranger next to the phone can neither
//! take over a stream nor listen; **no caller aims a stream at a third party**: until the announced
//! address of an unknown caller has sent, packets go only to the host of its signalling,
//! except for a few that open a path through a NAT.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use model::egress::{Class, class};

/// How long an announced address on the signalling host may be silent before another port of that
/// host is accepted: its NAT has then remapped the port after all.
const SAME_HOST: Duration = Duration::from_secs(2);
/// Packets that we send in total to another host for an unknown caller.
const TRIAL: u8 = 10;

#[derive(Debug)]
pub(crate) struct Source {
    signalling: Option<IpAddr>,
    /// Whether the remote party is known, so that its SDP is trusted.
    proved: bool,
    announced: Option<SocketAddr>,
    /// The announced address has sent.
    heard: bool,
    /// Another address that sends in place of the announced one.
    learnt: Option<SocketAddr>,
    /// When another port of the announced host first sent.
    knocked: Option<Instant>,
    /// The remainder of [`TRIAL`].
    trial: u8,
}

impl Source {
    pub(crate) fn new(signalling: Option<IpAddr>, proved: bool) -> Self {
        Self {
            signalling,
            proved,
            announced: None,
            heard: false,
            learnt: None,
            knocked: None,
            trial: TRIAL,
        }
    }

    /// The remote party's SDP names an address. If it is new, the source is learned again.
    pub(crate) fn announce(&mut self, address: SocketAddr) {
        if self.announced != Some(address) {
            self.heard = self.learnt == Some(address);
            self.learnt = None;
            self.knocked = None;
        }
        self.announced = Some(address);
    }

    /// True if a packet from this address may be accepted.
    pub(crate) fn allows(&mut self, from: SocketAddr, now: Instant) -> bool {
        if self.announced == Some(from) {
            return true;
        }
        if self.heard {
            return false;
        }
        match self.learnt {
            Some(learnt) => from == learnt,
            None => self.may_learn(from, now),
        }
    }

    /// Whether an address may stand in for the announced one, which has not sent.
    fn may_learn(&mut self, from: SocketAddr, now: Instant) -> bool {
        if self.signalling != Some(from.ip()) {
            return false;
        }
        match self.announced.map(|announced| announced.ip()) {
            None => true,
            Some(host) if host == from.ip() => *self.knocked.get_or_insert(now) + SAME_HOST <= now,
            Some(host) => class(host) != Class::Public,
        }
    }

    /// A valid packet came from this address.
    pub(crate) fn lock(&mut self, from: SocketAddr) {
        if self.announced == Some(from) {
            self.heard = true;
            self.learnt = None;
        } else {
            self.learnt = Some(from);
        }
    }

    /// Where to send.
    pub(crate) fn target(&self) -> Option<SocketAddr> {
        let announced = || {
            let to = self.announced.filter(|to| is_of_a_network(to.ip()))?;
            (self.is_safe(to.ip()) || self.trial > 0).then_some(to)
        };
        self.learnt.or_else(announced)
    }

    /// Whether a stream may go to an announced host that has not sent: the signalling host, or one
    /// named by a known party. A party outside a private network is not trusted about hosts inside
    /// it.
    fn is_safe(&self, host: IpAddr) -> bool {
        self.heard || self.signalling == Some(host) || self.is_trusted_about(host)
    }

    /// Whether the remote party is known, and may name this host.
    fn is_trusted_about(&self, host: IpAddr) -> bool {
        let is_outside = |signalling| class(signalling) == Class::Public;
        let crosses = class(host) == Class::Private && self.signalling.is_some_and(is_outside);
        self.proved && !crosses
    }

    /// Whether RTCP may go to this host, while RTP goes to `target`.
    pub(crate) fn may_name(&self, host: IpAddr, target: SocketAddr) -> bool {
        is_of_a_network(host) && (host == target.ip() || self.is_trusted_about(host))
    }

    /// Counts a packet sent to this address.
    pub(crate) fn sent(&mut self, to: SocketAddr) {
        if !self.is_safe(to.ip()) {
            self.trial = self.trial.saturating_sub(1);
        }
    }

    /// True if RTCP from this host may be accepted: its port may differ.
    pub(crate) fn allows_host(&self, from: IpAddr) -> bool {
        let is_announced = self
            .announced
            .is_some_and(|announced| announced.ip() == from);
        match self.learnt {
            Some(learnt) => from == learnt.ip(),
            None => is_announced || (!self.heard && self.signalling == Some(from)),
        }
    }

    /// True if packets come from another host or port than the SDP announces.
    pub(crate) fn is_learnt(&self) -> bool {
        self.learnt.is_some()
    }
}

/// Whether media may go to this address at all: not to metadata, multicast or broadcast addresses.
fn is_of_a_network(host: IpAddr) -> bool {
    match class(host) {
        Class::Public | Class::Private => true,
        Class::Metadata | Class::Invalid => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "virtual time needs an origin")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn rtcp_follows_the_rules_of_rtp() {
        // Signalling, whether the party is known, the host that it names for RTCP, and whether that is allowed.
        let table = [
            ("192.0.2.7", false, "192.0.2.9", true),
            ("192.0.2.7", false, "198.51.100.5", false),
            ("192.0.2.7", true, "198.51.100.5", true),
            ("192.0.2.7", true, "10.0.0.9", false),
            ("10.0.0.7", true, "10.0.0.9", true),
            ("10.0.0.7", true, "169.254.169.254", false),
            ("10.0.0.7", true, "224.0.0.251", false),
        ];
        for (signalling, proved, host, allowed) in table {
            let mut source = Source::new(Some(signalling.parse().unwrap()), proved);
            let target = address("192.0.2.9:4000");
            source.announce(target);
            source.lock(target);
            let named = source.may_name(host.parse().unwrap(), target);
            assert_eq!(named, allowed, "{host} by {signalling}, {proved}");
        }
    }

    #[test]
    fn learns_the_source_of_an_unreachable_address() {
        let now = start();
        // Announced address, signalling host, and who may send at first and after two seconds.
        let table = [
            ("10.0.0.2:4000", "192.0.2.7", "192.0.2.7:61000", true, true),
            (
                "100.64.3.1:4000",
                "192.0.2.7",
                "192.0.2.7:61000",
                true,
                true,
            ),
            (
                "[fd00::1]:4000",
                "2001:db8::7",
                "[2001:db8::7]:61000",
                true,
                true,
            ),
            (
                "10.0.0.2:4000",
                "192.0.2.7",
                "192.0.2.66:4000",
                false,
                false,
            ),
            (
                "192.0.2.7:4000",
                "192.0.2.7",
                "192.0.2.7:61000",
                false,
                true,
            ),
            // A media server: reachable where its SDP says.
            (
                "203.0.113.1:4000",
                "192.0.2.7",
                "192.0.2.7:4000",
                false,
                false,
            ),
        ];
        for (announced, signalling, from, at_first, later) in table {
            let mut source = Source::new(Some(signalling.parse().unwrap()), true);
            source.announce(address(announced));
            assert_eq!(source.target(), Some(address(announced)));
            let from = address(from);
            assert_eq!(source.allows(from, now), at_first, "{announced} {from}");
            let later_on = now + SAME_HOST;
            assert_eq!(source.allows(from, later_on), later, "{announced} {from}");
            assert!(source.allows(address(announced), now), "{announced}");
        }
    }

    #[test]
    fn the_announced_address_wins() {
        let now = start();
        let (announced, nat) = (address("10.0.0.2:4000"), address("192.0.2.7:61000"));
        let other_port = SocketAddr::new(nat.ip(), 61001);
        let mut source = Source::new(Some(nat.ip()), true);
        source.announce(announced);
        source.lock(nat);
        assert_eq!(source.target(), Some(nat));
        assert!(source.is_learnt());
        assert!(!source.allows(other_port, now), "one is learnt");
        assert!(source.allows_host(nat.ip()) && !source.allows_host([192, 0, 2, 66].into()));
        source.lock(announced);
        assert_eq!(source.target(), Some(announced));
        assert!(!source.is_learnt());
        assert!(!source.allows(nat, now + SAME_HOST * 9));
        assert!(source.allows_host(announced.ip()) && !source.allows_host(nat.ip()));
    }

    #[test]
    fn an_unproved_caller_names_no_third_party() {
        let now = start();
        let (host, third) = (address("192.0.2.7:4000"), address("203.0.113.9:4000"));
        // Announced address, whether known, and how many packets go there.
        let table = [(host, false, 100), (third, true, 100), (third, false, 10)];
        for (announced, proved, count) in table {
            let mut source = Source::new(Some(host.ip()), proved);
            source.announce(announced);
            let sends = |source: &mut Source| {
                let targets = (0..100).map_while(|_| {
                    let to = source.target()?;
                    source.sent(to);
                    Some(to)
                });
                targets.count()
            };
            assert_eq!(sends(&mut source), count, "{announced} {proved}");
            // Announcing another address gives no new trial; a packet from it does.
            let next = SocketAddr::new(announced.ip(), 7000);
            source.announce(next);
            assert_eq!(
                sends(&mut source) == 100,
                count == 100,
                "{announced} {proved}"
            );
            assert!(source.allows(next, now));
            source.lock(next);
            assert_eq!(sends(&mut source), 100, "{announced} {proved}");
        }
    }

    #[test]
    fn a_new_announcement_opens_the_lock() {
        let now = start();
        let (first, second) = (address("192.0.2.1:4000"), address("192.0.2.2:4000"));
        let mut source = Source::new(None, true);
        source.announce(first);
        source.lock(first);
        source.announce(first);
        assert!(!source.allows(second, now));
        source.announce(second);
        assert_eq!(source.target(), Some(second));
        assert!(source.allows(second, now) && !source.allows(first, now));
        source.lock(second);
        source.announce(first);
        assert_eq!(source.target(), Some(first));
    }
}
