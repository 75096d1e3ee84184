//! The handles of the media plane: which worker a session is on, and how to reach it.
//!
//! **Invariant: a session stays on one worker for its life**, so its endpoints can be joined
//! without a lock, and its controls keep their order. A session goes to the worker with the least
//! to do.

use crate::control::Control;
use crate::disk::Disk;
use crate::poller::{Poller, Waker};
use crate::sockets::Ports;
use crate::worker::{Message, Worker};
use media_proto::{EndpointId, Report, SessionId};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;
use tracing::warn;

/// Where the reports of a session go.
pub type Reports = UnboundedSender<(EndpointId, Report)>;

/// How the media plane runs.
#[derive(Debug, Clone)]
pub struct MediaConfig {
    /// Worker threads; 0 means one per core.
    pub workers: usize,
    /// Address to bind to. `0.0.0.0` means all IPv4 addresses, `::` all of both versions.
    pub address: IpAddr,
    /// Address to name in SDP; `None`: the one our packets to the far side leave from.
    pub advertised: Option<IpAddr>,
    /// RTP and RTCP ports; `0..=0`: any free ports.
    pub ports: RangeInclusive<u16>,
    /// How long nothing may come before `Silence` is reported.
    pub silence_timeout: Duration,
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self {
            workers: 0,
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            advertised: None,
            ports: 0..=0,
            silence_timeout: Duration::from_secs(60),
        }
    }
}

/// What the media plane is doing and has met with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Sessions in progress.
    pub sessions: usize,
    /// Endpoints open.
    pub endpoints: usize,
    /// Half seconds of recordings that a slow disk has turned into silence.
    pub recording_overruns: u64,
    /// Tenths of a second of audio that a slow listener did not get.
    pub unheard: u64,
    /// Datagrams that the system refused to send.
    pub unsent: u64,
    /// Times a worker failed and began anew.
    pub faults: u64,
}

/// What a worker and its handles share.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) sessions: AtomicUsize,
    pub(crate) endpoints: AtomicUsize,
    pub(crate) unheard: AtomicU64,
    pub(crate) unsent: AtomicU64,
    pub(crate) faults: AtomicU64,
}

/// Handle to the worker threads; they end when the last handle and the last session are dropped.
#[derive(Debug, Clone)]
pub struct MediaPlane {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    workers: Vec<Arc<Link>>,
    next_session: AtomicU64,
    /// Blocks of recordings that a slow disk has turned into silence.
    overruns: Arc<AtomicU64>,
    /// Disconnected when all threads have ended.
    running: Mutex<Receiver<()>>,
}

/// The way to one worker.
struct Link {
    inbox: Sender<Message>,
    waker: Waker,
    gauges: Arc<Gauges>,
}

impl MediaPlane {
    /// Starts the workers, and raises the limit of open files to what is allowed.
    ///
    /// # Errors
    /// If a thread or its epoll instance cannot be made.
    pub fn start(config: MediaConfig) -> io::Result<Self> {
        raise_file_limit();
        let (held, running) = mpsc::channel();
        let disk = Disk::start(&held)?;
        let workers = match config.workers {
            0 => thread::available_parallelism()?.get(),
            workers => workers,
        };
        let ports = Arc::new(Ports::new(&config.ports, random() as usize));
        let config = Arc::new(config);
        let start = |number| start_worker(number, &config, &ports, &disk, &held);
        let workers = (0..workers).map(start).collect::<io::Result<_>>()?;
        Ok(Self {
            inner: Arc::new(Inner {
                workers,
                next_session: AtomicU64::new(0),
                overruns: disk.overruns(),
                running: Mutex::new(running),
            }),
        })
    }

    /// A new group of endpoints on the worker with the least to do.
    pub fn session(&self, reports: Reports) -> Session {
        let id = SessionId(self.inner.next_session.fetch_add(1, Ordering::Relaxed));
        // There is at least one worker: `start` fails without.
        let least = self.inner.workers.iter().min_by_key(|link| link.load());
        let link = least.map(Arc::clone);
        if let Some(link) = &link {
            link.gauges.sessions.fetch_add(1, Ordering::Relaxed);
            link.send(Message::Begin(id, reports));
        }
        Session {
            inner: Arc::new(Pinned { id, link }),
        }
    }

    /// What is going on.
    pub fn counts(&self) -> Counts {
        let overruns = self.inner.overruns.load(Ordering::Relaxed);
        let none = Counts {
            recording_overruns: overruns,
            ..Counts::default()
        };
        self.inner.workers.iter().fold(none, |counts, link| {
            let gauges = &link.gauges;
            Counts {
                sessions: counts.sessions + gauges.sessions.load(Ordering::Relaxed),
                endpoints: counts.endpoints + gauges.endpoints.load(Ordering::Relaxed),
                unheard: counts.unheard + gauges.unheard.load(Ordering::Relaxed),
                unsent: counts.unsent + gauges.unsent.load(Ordering::Relaxed),
                faults: counts.faults + gauges.faults.load(Ordering::Relaxed),
                ..counts
            }
        })
    }

    /// Ends all sessions, completes their recordings and waits for the threads, at most as long as
    /// `patience`; false if that was not enough. What is asked after this gets no reply. Blocks:
    /// call it at the very end.
    pub fn shutdown(&self, patience: Duration) -> bool {
        for link in &self.inner.workers {
            link.send(Message::Stop);
        }
        let running = self
            .inner
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        matches!(
            running.recv_timeout(patience),
            Err(RecvTimeoutError::Disconnected)
        )
    }
}

/// A group of endpoints. When the last clone is dropped its endpoints are closed.
#[derive(Debug, Clone)]
pub struct Session {
    inner: Arc<Pinned>,
}

#[derive(Debug)]
struct Pinned {
    id: SessionId,
    link: Option<Arc<Link>>,
}

impl Session {
    /// Hands a request to the worker; never blocks.
    pub fn control(&self, control: Control) {
        if let Some(link) = &self.inner.link {
            link.send(Message::Control(self.inner.id, control));
        }
    }

    /// Makes the worker of this session fail, as a fault in it would.
    #[cfg(test)]
    pub(crate) fn provoke_fault(&self) {
        if let Some(link) = &self.inner.link {
            link.send(Message::Fault);
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(link) = &self.link {
            link.gauges.sessions.fetch_sub(1, Ordering::Relaxed);
            link.send(Message::End(self.id));
        }
    }
}

impl Link {
    fn send(&self, message: Message) {
        // The worker is gone only after `shutdown`.
        if self.inbox.send(message).is_ok() {
            self.waker.wake();
        }
    }

    /// An endpoint that is about to be opened counts as its session.
    fn load(&self) -> usize {
        let load = |gauge: &AtomicUsize| gauge.load(Ordering::Relaxed);
        load(&self.gauges.sessions) + load(&self.gauges.endpoints)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.send(Message::Stop);
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("gauges", &self.gauges)
            .finish_non_exhaustive()
    }
}

fn start_worker(
    number: usize,
    config: &Arc<MediaConfig>,
    ports: &Arc<Ports>,
    disk: &Disk,
    running: &Sender<()>,
) -> io::Result<Arc<Link>> {
    let poller = Poller::new()?;
    let (inbox, messages) = mpsc::channel();
    let (waker, gauges) = (poller.waker(), Arc::<Gauges>::default());
    let worker = Worker::new(
        poller,
        messages,
        Arc::clone(&gauges),
        Arc::clone(config),
        Arc::clone(ports),
        disk.clone(),
    );
    let held = running.clone();
    thread::Builder::new()
        .name(format!("media-{number}"))
        .spawn(move || {
            worker.run();
            drop(held);
        })?;
    Ok(Arc::new(Link {
        inbox,
        waker,
        gauges,
    }))
}

/// Two sockets per leg: the usual 1024 files would be 500 legs.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        warn!(%error, "failed to raise the limit of open files");
    }
}

/// A number that others shall not guess easily.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    // Each of these is seeded by the system's random source.
    RandomState::new().hash_one(Instant::now())
}
