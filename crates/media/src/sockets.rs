//! Pairs of UDP ports: RTP on an even port, RTCP on the next (RFC 3550 §11).
//!
//! **Invariant: a socket is in the table from its opening to its closing, under one number.**
//! Left to others: what is sent and received.

use media_proto::SocketId;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Pairs tried before an endpoint is refused.
const TRIES: usize = 256;
/// Expedited forwarding (RFC 3246), as traffic class.
const EXPEDITED: u32 = 46 << 2;

/// Allocates ports; shared by all workers.
#[derive(Debug)]
pub(crate) struct Ports {
    /// Even ports that have an odd one after them: the first, and how many.
    first: u16,
    pairs: usize,
    /// Cycles through the range, so that a port rests before it is reused.
    next: AtomicUsize,
}

impl Ports {
    /// `0..=0` means any ports.
    pub(crate) fn new(range: &RangeInclusive<u16>, start: usize) -> Self {
        let first = range.start().next_multiple_of(2);
        let pairs = (usize::from(*range.end()) + 1).saturating_sub(first.into()) / 2;
        Self {
            first,
            pairs,
            next: AtomicUsize::new(start % pairs.max(1)),
        }
    }

    /// Binds a pair.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrInUse`] if no free pair was found; others from the system.
    pub(crate) fn open(&self, address: IpAddr) -> io::Result<(UdpSocket, UdpSocket)> {
        for _ in 0..TRIES {
            let opened = if self.first == 0 {
                any_pair(address)
            } else {
                self.next_pair(address)
            };
            match opened {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                opened => return opened,
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    fn next_pair(&self, address: IpAddr) -> io::Result<(UdpSocket, UdpSocket)> {
        if self.pairs == 0 {
            return Err(io::Error::other("the port range has no pair of ports"));
        }
        let pair = self.next.fetch_add(1, Ordering::Relaxed) % self.pairs;
        let port = self.first + 2 * u16::try_from(pair).map_err(io::Error::other)?;
        Ok((bind(address, port)?, bind(address, port + 1)?))
    }
}

/// Takes any port and the one that makes a pair with it.
fn any_pair(address: IpAddr) -> io::Result<(UdpSocket, UdpSocket)> {
    let one = bind(address, 0)?;
    let port = one.local_addr()?.port();
    let other = bind(address, port ^ 1)?;
    Ok(if port % 2 == 0 {
        (one, other)
    } else {
        (other, one)
    })
}

fn bind(address: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((address, port))?;
    socket.set_nonblocking(true)?;
    let options = socket2::SockRef::from(&socket);
    // A request to the network; the call works without it.
    let _ = match address {
        IpAddr::V4(_) => options.set_tos_v4(EXPEDITED),
        IpAddr::V6(_) => options.set_tclass_v6(EXPEDITED),
    };
    Ok(socket)
}

/// The open sockets of one worker.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    slots: Vec<Option<UdpSocket>>,
    free: Vec<usize>,
}

impl Sockets {
    pub(crate) fn insert(&mut self, socket: UdpSocket) -> SocketId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(socket);
        SocketId(slot)
    }

    pub(crate) fn get(&self, socket: SocketId) -> Option<&UdpSocket> {
        self.slots.get(socket.0)?.as_ref()
    }

    /// Removes a socket without closing it.
    pub(crate) fn remove(&mut self, socket: SocketId) -> Option<UdpSocket> {
        let removed = self.slots.get_mut(socket.0)?.take()?;
        self.free.push(socket.0);
        Some(removed)
    }

    pub(crate) fn close(&mut self, socket: SocketId) {
        drop(self.remove(socket));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn ports(pair: &(UdpSocket, UdpSocket)) -> (u16, u16) {
        (
            pair.0.local_addr().unwrap().port(),
            pair.1.local_addr().unwrap().port(),
        )
    }

    #[test]
    fn pairs_are_even_and_odd() {
        let any = Ports::new(&(0..=0), 0);
        let pairs: Vec<_> = (0..20).map(|_| any.open(LOOPBACK).unwrap()).collect();
        for (rtp, rtcp) in pairs.iter().map(ports) {
            assert_eq!((rtp % 2, rtcp), (0, rtp + 1));
        }
    }

    #[test]
    fn a_range_is_used_up_and_reused() {
        // Some free ports of the system, so that this test does not disturb others.
        let free = ports(&any_pair(LOOPBACK).unwrap()).0;
        let range = Ports::new(&(free..=free + 1), 5);
        let pair = range.open(LOOPBACK).unwrap();
        assert_eq!(ports(&pair), (free, free + 1));
        assert_eq!(
            range.open(LOOPBACK).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
        drop(pair);
        assert_eq!(ports(&range.open(LOOPBACK).unwrap()).0, free);
    }

    #[test]
    fn counts_whole_pairs_only() {
        let table = [
            (10_000..=10_003, 2),
            (10_001..=10_003, 1),
            (10_001..=10_002, 0),
            (65_534..=65_535, 1),
        ];
        for (range, pairs) in table {
            assert_eq!(Ports::new(&range, 0).pairs, pairs, "{range:?}");
        }
        assert!(Ports::new(&(10_001..=10_002), 0).open(LOOPBACK).is_err());
    }

    #[test]
    fn numbers_are_used_again() {
        let mut sockets = Sockets::default();
        let socket = || UdpSocket::bind("127.0.0.1:0").unwrap();
        let (first, second) = (sockets.insert(socket()), sockets.insert(socket()));
        sockets.close(first);
        sockets.close(first);
        assert!(sockets.get(first).is_none() && sockets.get(second).is_some());
        assert_eq!(sockets.insert(socket()), first);
        assert_eq!(sockets.insert(socket()), SocketId(2));
    }
}
