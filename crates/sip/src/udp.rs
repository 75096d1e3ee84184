//! The UDP socket.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use bytes::Bytes;
use sip_proto::ua::{Peer, Transport};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::local::address_towards;

/// Room for a second of packets while the task is busy.
const BUFFER_BYTES: usize = 4 << 20;
/// Maximum remote addresses whose route is remembered.
const MAX_ROUTES: usize = 10_000;
/// Maximum size of a datagram.
const MAX_DATAGRAM: usize = 65_535;

/// The socket, and the known routes to its peers.
pub(crate) struct Udp {
    /// Only its input wakes the task: a UDP socket becomes writable again with each datagram that has left.
    socket: AsyncFd<UdpSocket>,
    bound: SocketAddr,
    routes: HashMap<IpAddr, SocketAddr>,
    buffer: Vec<u8>,
}

impl Udp {
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        // The system may grant less; that only costs packets under load.
        let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(BUFFER_BYTES);
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let socket = wakes_for(UdpSocket::from(socket), Interest::READABLE)?;
        let bound = socket.get_ref().local_addr()?;
        Ok(Self {
            socket,
            bound,
            routes: HashMap::new(),
            buffer: vec![0; MAX_DATAGRAM],
        })
    }

    pub(crate) fn bound(&self) -> SocketAddr {
        self.bound
    }

    /// The next datagram. Cancel-safe.
    pub(crate) async fn receive(&mut self) -> io::Result<(Bytes, Peer)> {
        let (len, from) = self
            .socket
            .async_io(Interest::READABLE, |socket| {
                socket.recv_from(&mut self.buffer)
            })
            .await?;
        let remote = canonical(from);
        let local = self.local_for(remote);
        let bytes = Bytes::copy_from_slice(&self.buffer[..len]);
        Ok((
            bytes,
            Peer {
                transport: Transport::Udp,
                remote,
                local,
                flow: None,
            },
        ))
    }

    pub(crate) async fn send(&self, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        let to = match (self.bound, to) {
            (SocketAddr::V6(_), SocketAddr::V4(v4)) => {
                SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())
            }
            (_, to) => to,
        };
        let socket = self.socket.get_ref();
        match socket.send_to(bytes, to) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let full = wakes_for(socket.try_clone()?, Interest::WRITABLE)?;
                full.async_io(Interest::WRITABLE, |socket| socket.send_to(bytes, to))
                    .await
                    .map(|_| ())
            }
            sent => sent.map(|_| ()),
        }
    }

    fn local_for(&mut self, remote: SocketAddr) -> SocketAddr {
        if let Some(local) = self.routes.get(&remote.ip()) {
            return *local;
        }
        if self.routes.len() >= MAX_ROUTES {
            self.routes.clear();
        }
        let local = address_towards(self.bound, remote);
        self.routes.insert(remote.ip(), local);
        local
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe, for types whose descriptor may change; that of a socket does not"
)]
fn wakes_for(socket: UdpSocket, interest: Interest) -> io::Result<AsyncFd<UdpSocket>> {
    AsyncFd::with_interest(socket, interest)
}

/// An IPv4 peer of a dual-stack socket, as an IPv4 address.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
