//! The minimum that any bridge must do: one thread, a socket per leg, receive and forward.
//!
//! The bench runs it as a separate process next to the server, on the same machine in the same run,
//! to measure the cost of the system itself. **Invariant: it does not look into packets.**

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use super::rtp::Rtp;

/// A relay in a separate process, which ends when this is dropped.
pub struct Relay(Child);

impl Relay {
    /// Starts the current program again as `relay PAIRS`, which must call [`run`], and opens two
    /// legs for each pair that send to each other through it.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn start(pairs: usize, rtp: &Rtp) -> anyhow::Result<Self> {
        let mut relay = Self(
            Command::new(std::env::current_exe()?)
                .args(["relay", &pairs.to_string()])
                .stdout(Stdio::piped())
                .spawn()?,
        );
        let output = relay.0.stdout.take().context("the relay's output")?;
        for (call, line) in BufReader::new(output).lines().take(pairs).enumerate() {
            let line = line?;
            for (leg, port) in line.split(' ').enumerate() {
                let leg = (call * 2 + leg + 1) as u64;
                rtp.open(leg)?;
                rtp.send(leg, SocketAddr::from(([127, 0, 0, 1], port.parse()?)))?;
            }
        }
        Ok(relay)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Opens two sockets for each of `pairs` bridges, prints their ports (a line `a b` each) and
/// forwards packets until the process is ended. A leg's peer is the last address that sent to it.
///
/// # Errors
/// If the system refuses sockets.
pub fn run(pairs: usize, mut tell: impl FnMut(&str) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut poll = Poll::new().context("epoll")?;
    let mut sockets = Vec::with_capacity(pairs * 2);
    for leg in 0..pairs * 2 {
        let mut socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        poll.registry()
            .register(&mut socket, Token(leg), Interest::READABLE)?;
        sockets.push(socket);
    }
    for pair in sockets.chunks_exact(2) {
        tell(&format!(
            "{} {}",
            pair[0].local_addr()?.port(),
            pair[1].local_addr()?.port()
        ))?;
    }
    let mut peers: Vec<Option<SocketAddr>> = vec![None; pairs * 2];
    let mut events = Events::with_capacity(1024);
    let mut buffer = [0; 2048];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            let leg = event.token().0;
            while let Ok((length, from)) = sockets[leg].recv_from(&mut buffer) {
                peers[leg] = Some(from);
                if let Some(to) = peers[leg ^ 1] {
                    // A full buffer loses the packet, as on any network.
                    let _ = sockets[leg ^ 1].send_to(&buffer[..length], to);
                }
            }
        }
    }
}
