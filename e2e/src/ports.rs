//! Finds ports that are currently unused.
//!
//! **Invariant: two callers in one process never get the same port.** Between processes, the
//! system's allocation order makes a clash unlikely. Needed for peers that cannot bind port 0
//! themselves.

use std::collections::BTreeSet;
use std::net::{TcpListener, UdpSocket};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, bail};

/// Below those that the system assigns (32768 and up), above the media ports of servers.
const LASTING: std::ops::Range<u16> = 21_000..32_000;

static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port that is free for UDP and TCP on 127.0.0.1.
///
/// # Errors
/// If none is free.
pub fn free() -> anyhow::Result<u16> {
    block(1)
}

/// The first of `count` ports in a row that are free for UDP and TCP on 127.0.0.1; even, as RTP
/// requires.
///
/// # Errors
/// If many attempts find none.
pub fn block(count: u16) -> anyhow::Result<u16> {
    for attempt in 0..200 {
        let first = if attempt < 100 {
            let probe = UdpSocket::bind(("127.0.0.1", 0)).context("no free port")?;
            probe.local_addr()?.port() & !1
        } else {
            // After a flood, closed connections hold most of the ports that the system assigns.
            rand::random_range(LASTING) & !1
        };
        let Some(last) = first.checked_add(count - 1) else {
            continue;
        };
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        if (first..=last).all(|port| !given.contains(&port) && is_free(port)) {
            given.extend(first..=last);
            return Ok(first);
        }
    }
    bail!("no {count} free ports in a row");
}

/// A port that is free for UDP and TCP on 127.0.0.1 and that the system never assigns by itself, so
/// that a server can bind it again after a restart.
///
/// # Errors
/// If many attempts find none.
pub fn lasting() -> anyhow::Result<u16> {
    for _ in 0..200 {
        let port = rand::random_range(LASTING);
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        if !given.contains(&port) && is_free(port) {
            given.insert(port);
            return Ok(port);
        }
    }
    bail!("no port below those for connections is free");
}

fn is_free(port: u16) -> bool {
    UdpSocket::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok()
}
