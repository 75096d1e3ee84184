//! Who may speak on an endpoint, and where we send: symmetric RTP with a lock.
//!
//! A phone behind a NAT cannot know the address that its packets come from. So besides the address
//! of its SDP we accept the first address that sends from the host its signalling comes from.
//! **Invariant: the first accepted address is the only one until the remote party announces another
//! in its SDP**, so a stranger can neither steal a stream nor speak into it.

use std::net::{IpAddr, SocketAddr};

#[derive(Debug)]
pub(crate) struct Source {
    signalling: Option<IpAddr>,
    announced: Option<SocketAddr>,
    locked: Option<SocketAddr>,
}

impl Source {
    pub(crate) fn new(signalling: Option<IpAddr>) -> Self {
        Self {
            signalling,
            announced: None,
            locked: None,
        }
    }

    /// The remote party's SDP names an address. If it is new, the source is learnt again.
    pub(crate) fn announce(&mut self, address: SocketAddr) {
        if self.announced != Some(address) && self.locked != Some(address) {
            self.locked = None;
        }
        self.announced = Some(address);
    }

    /// True if a packet from here may be accepted.
    pub(crate) fn allows(&self, from: SocketAddr) -> bool {
        match self.locked {
            Some(locked) => from == locked,
            None => self.announced == Some(from) || self.signalling == Some(from.ip()),
        }
    }

    /// A good packet came from here.
    pub(crate) fn lock(&mut self, from: SocketAddr) {
        self.locked = Some(from);
    }

    /// Where to send.
    pub(crate) fn target(&self) -> Option<SocketAddr> {
        self.locked.or(self.announced)
    }

    /// True if RTCP from this host may be accepted: its port may differ.
    pub(crate) fn allows_host(&self, from: IpAddr) -> bool {
        match self.locked {
            Some(locked) => from == locked.ip(),
            None => {
                self.announced
                    .is_some_and(|announced| announced.ip() == from)
                    || self.signalling == Some(from)
            }
        }
    }

    /// True if packets come from another host or port than the SDP says.
    pub(crate) fn is_learnt(&self) -> bool {
        self.locked.is_some() && self.locked != self.announced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn learns_once_then_locks() {
        let (announced, nat, stranger) = (
            address("10.0.0.2:4000"),
            address("192.0.2.7:61000"),
            address("192.0.2.66:4000"),
        );
        let mut source = Source::new(Some(nat.ip()));
        source.announce(announced);
        assert_eq!(source.target(), Some(announced));
        for (from, allowed) in [(announced, true), (nat, true), (stranger, false)] {
            assert_eq!(source.allows(from), allowed, "{from} at first");
        }
        source.lock(nat);
        assert_eq!(source.target(), Some(nat));
        assert!(source.is_learnt());
        let other_port = SocketAddr::new(nat.ip(), 61001);
        for (from, allowed) in [(nat, true), (announced, false), (other_port, false)] {
            assert_eq!(source.allows(from), allowed, "{from} when locked");
        }
        assert!(source.allows_host(nat.ip()) && !source.allows_host(stranger.ip()));
    }

    #[test]
    fn a_new_announcement_opens_the_lock() {
        let (first, second) = (address("192.0.2.1:4000"), address("192.0.2.2:4000"));
        let mut source = Source::new(None);
        source.announce(first);
        source.lock(first);
        source.announce(first);
        assert!(!source.allows(second));
        source.announce(second);
        assert_eq!(source.target(), Some(second));
        assert!(source.allows(second) && !source.allows(first));
    }
}
