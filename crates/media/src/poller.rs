//! Waits for sockets, wake-ups from other threads, and timeouts.
//!
//! Level-triggered on purpose: one `recvfrom` per packet then suffices, since a socket that holds
//! more is reported again, after the others. **Invariant: a [`Waker::wake`] after
//! [`Poller::awake`] ends the next wait.**

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Sockets reported per wait.
const BATCH: usize = 256;
const WAKER: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
    waker: Waker,
    /// Events of the last wait.
    tokens: Vec<u64>,
}

/// Ends a wait from another thread.
#[derive(Debug, Clone)]
pub(crate) struct Waker {
    event: Arc<OwnedFd>,
    /// A wake-up is on its way: another one needs no system call.
    pending: Arc<AtomicBool>,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(
            &epoll,
            &event,
            epoll::EventData::new_u64(WAKER),
            epoll::EventFlags::IN,
        )?;
        let waker = Waker {
            event: Arc::new(event),
            pending: Arc::default(),
        };
        Ok(Self {
            epoll,
            waker,
            tokens: Vec::with_capacity(BATCH),
        })
    }

    pub(crate) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Reports a socket under `token` whenever it can be read, until it is closed.
    pub(crate) fn add(&self, socket: impl AsFd, token: usize) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token as u64);
        Ok(epoll::add(
            &self.epoll,
            socket,
            data,
            epoll::EventFlags::IN,
        )?)
    }

    /// Stops reporting a socket; its unread data stays there.
    pub(crate) fn remove(&self, socket: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, socket)?)
    }

    /// Waits for an event, at most `timeout`. An interrupted wait returns early.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        self.tokens.clear();
        let mut events = [const { MaybeUninit::uninit() }; BATCH];
        match epoll::wait(&self.epoll, events.as_mut_slice(), timeout.as_ref()) {
            Ok((events, _)) => {
                self.tokens
                    .extend(events.iter().map(|event| event.data.u64()));
                Ok(())
            }
            Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Number of events of the last wait.
    pub(crate) fn ready(&self) -> usize {
        self.tokens.len()
    }

    /// The token of an event; `None` if it is the waker's.
    pub(crate) fn token(&self, event: usize) -> Option<usize> {
        let token = self.tokens.get(event).copied().unwrap_or(WAKER);
        usize::try_from(token).ok().filter(|_| token != WAKER)
    }

    /// Acknowledges a wake-up: look at the messages after this.
    pub(crate) fn awake(&self) {
        let mut count = [0; 8];
        // Nothing to read only means that the wake-up has not arrived yet.
        let _ = rustix::io::read(self.waker.event.as_fd(), &mut count);
        self.waker.pending.store(false, Ordering::SeqCst);
    }
}

impl Waker {
    pub(crate) fn wake(&self) {
        if !self.pending.swap(true, Ordering::SeqCst) {
            // It fails only if the counter is full, and then the thread wakes up anyway.
            let _ = rustix::io::write(self.event.as_fd(), &1u64.to_ne_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::time::Instant;

    #[test]
    fn wakes_for_sockets_callers_and_time() {
        let mut poller = Poller::new().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        poller.add(&socket, 7).unwrap();
        let started = Instant::now();
        poller.wait(Some(Duration::from_millis(3))).unwrap();
        assert_eq!(poller.ready(), 0);
        assert!(started.elapsed() >= Duration::from_millis(3));

        for _ in 0..2 {
            let waker = poller.waker();
            std::thread::spawn(move || (0..3).for_each(|_| waker.wake()))
                .join()
                .unwrap();
            poller.wait(None).unwrap();
            assert_eq!((poller.ready(), poller.token(0)), (1, None));
            poller.awake();
        }
        socket.send_to(&[1], socket.local_addr().unwrap()).unwrap();
        for _ in 0..2 {
            poller.wait(None).unwrap();
            assert_eq!(
                (poller.ready(), poller.token(0)),
                (1, Some(7)),
                "until it is read"
            );
        }
    }
}
