//! The handles of the media plane, and the start and end of its workers.
//!
//! **Invariant: a session outlives its last handle only until its endpoints are closed.** It opens
//! its endpoints on the worker that was least busy when it began; the `directory` knows where they
//! are later.

use crate::address;
use crate::control::Control;
use crate::directory::{Asker, Directory, SessionId};
use crate::disk::Disk;
use crate::poller::{Poller, Waker};
use crate::sockets::Ports;
use crate::worker::{Message, Worker};
use media_proto::{EndpointId, Report};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::UnboundedSender;
use tracing::warn;

/// Where the reports of a session go.
pub type Reports = UnboundedSender<(EndpointId, Report)>;

/// Configuration of the media plane.
#[derive(Debug, Clone)]
pub struct MediaConfig {
    /// Worker threads; 0 means one per core.
    pub workers: usize,
    /// Address to bind to. `0.0.0.0` means all IPv4 addresses, `::` all of both versions.
    pub address: IpAddr,
    /// Address to name in SDP; `None`: the one our packets to the remote party leave from.
    pub advertised: Option<IpAddr>,
    /// RTP and RTCP ports; `0..=0`: any free ports.
    pub ports: RangeInclusive<u16>,
    /// How long without packets until `Silence` is reported.
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

/// Sockets from which the caller sends a stream; they do not block.
#[derive(Debug)]
pub struct Outlet {
    /// For RTP, on an even port.
    pub rtp: UdpSocket,
    /// For RTCP, on the port after it.
    pub rtcp: UdpSocket,
    /// The address to name in SDP.
    pub address: IpAddr,
}

/// Gauges and counters of the media plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Sessions in progress.
    pub sessions: usize,
    /// Endpoints open.
    pub endpoints: usize,
    /// Half seconds of recordings replaced by silence because the disk was too slow.
    pub recording_overruns: u64,
    /// Tenths of a second of audio dropped because a listener was too slow.
    pub unheard: u64,
    /// Datagrams that the system refused to send.
    pub unsent: u64,
    /// Times a worker failed and restarted.
    pub faults: u64,
    /// How often endpoints moved to another worker.
    pub moves: u64,
}

/// What a worker and its handles share.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) sessions: AtomicUsize,
    pub(crate) endpoints: AtomicUsize,
    pub(crate) unheard: AtomicU64,
    pub(crate) unsent: AtomicU64,
    pub(crate) faults: AtomicU64,
    pub(crate) moves: AtomicU64,
}

/// Handle to the worker threads; they end when the last handle and the last session are dropped.
#[derive(Debug, Clone)]
pub struct MediaPlane {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Arc<MediaConfig>,
    ports: Arc<Ports>,
    directory: Arc<Directory>,
    next_session: AtomicU64,
    /// Blocks of recordings replaced by silence because the disk was too slow.
    overruns: Arc<AtomicU64>,
    /// Disconnected when all threads have ended.
    running: Mutex<Receiver<()>>,
}

/// The channel to one worker.
pub(crate) struct Way {
    inbox: Sender<Message>,
    waker: Waker,
    gauges: Arc<Gauges>,
}

/// State shared by all workers.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    pub(crate) config: Arc<MediaConfig>,
    pub(crate) ports: Arc<Ports>,
    pub(crate) disk: Disk,
    pub(crate) directory: Arc<Directory>,
    /// Origin of every engine's clock, and the time since the Unix epoch at that moment.
    pub(crate) started: (Instant, Duration),
}

impl MediaPlane {
    /// Starts the workers, and raises the limit of open files to the permitted maximum.
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
        let ends = (0..workers)
            .map(|_| way())
            .collect::<io::Result<Vec<_>>>()?;
        let (ways, ends): (Vec<_>, Vec<_>) = ends.into_iter().unzip();
        let directory = Arc::new(Directory::new(ways.into()));
        let unix_time = SystemTime::now().duration_since(UNIX_EPOCH);
        let common = Common {
            config: Arc::new(config),
            ports,
            disk: disk.clone(),
            directory: Arc::clone(&directory),
            started: (Instant::now(), unix_time.unwrap_or_default()),
        };
        // Made first: if a thread cannot be started, dropping this stops the others.
        let inner = Inner {
            config: Arc::clone(&common.config),
            ports: Arc::clone(&common.ports),
            directory,
            next_session: AtomicU64::new(0),
            overruns: disk.overruns(),
            running: Mutex::new(running),
        };
        for (number, end) in ends.into_iter().enumerate() {
            start_worker(number, end, &common, &held)?;
        }
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// A new group of endpoints, opened on the worker that is least busy now.
    pub fn session(&self, reports: Reports) -> Session {
        let id = SessionId(self.inner.next_session.fetch_add(1, Ordering::Relaxed));
        let ways = self.inner.directory.ways.iter().enumerate();
        let least = ways.min_by_key(|(_, way)| way.load());
        if let Some((_, way)) = least {
            way.gauges.sessions.fetch_add(1, Ordering::Relaxed);
        }
        let asker = Asker {
            session: id,
            // There is at least one worker: `start` fails otherwise.
            home: least.map_or(0, |(worker, _)| worker),
            reports,
        };
        Session {
            inner: Arc::new(Opened {
                asker,
                plane: Arc::clone(&self.inner),
            }),
        }
    }

    /// Opens a pair of sockets for a stream that the caller itself sends, on a pair of the ports for RTP.
    ///
    /// - `remote`: the other side, as known from its signalling
    ///
    /// # Errors
    /// Those of the system, or [`io::ErrorKind::AddrInUse`] if no pair of ports is free.
    pub fn outlet(&self, remote: IpAddr) -> io::Result<Outlet> {
        let config = &self.inner.config;
        let local = address::choose(config.address, config.advertised, Some(remote));
        let (rtp, rtcp) = self.inner.ports.open(local.bind)?;
        Ok(Outlet {
            rtp,
            rtcp,
            address: local.announce,
        })
    }

    /// The current gauges and counters.
    pub fn counts(&self) -> Counts {
        let overruns = self.inner.overruns.load(Ordering::Relaxed);
        let none = Counts {
            recording_overruns: overruns,
            ..Counts::default()
        };
        self.inner.directory.ways.iter().fold(none, |counts, way| {
            let gauges = &way.gauges;
            Counts {
                sessions: counts.sessions + gauges.sessions.load(Ordering::Relaxed),
                endpoints: counts.endpoints + gauges.endpoints.load(Ordering::Relaxed),
                unheard: counts.unheard + gauges.unheard.load(Ordering::Relaxed),
                unsent: counts.unsent + gauges.unsent.load(Ordering::Relaxed),
                faults: counts.faults + gauges.faults.load(Ordering::Relaxed),
                moves: counts.moves + gauges.moves.load(Ordering::Relaxed),
                ..counts
            }
        })
    }

    /// Ends all sessions, completes their recordings and waits for the threads, at most as long as
    /// `patience`; false if that was not enough. Later requests get no reply. Blocks: call it at
    /// the very end.
    pub fn shutdown(&self, patience: Duration) -> bool {
        self.inner.stop();
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

impl Inner {
    fn stop(&self) {
        for way in self.directory.ways.iter() {
            // A worker that has already ended does not matter.
            let _ = way.send(Message::Stop);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A group of endpoints. When the last clone is dropped its endpoints are closed, wherever they are.
///
/// Its controls may name endpoints of other sessions; their reports go to the session that opened
/// them.
#[derive(Debug, Clone)]
pub struct Session {
    inner: Arc<Opened>,
}

#[derive(Debug)]
struct Opened {
    asker: Asker,
    plane: Arc<Inner>,
}

impl Session {
    /// Hands a request to the worker responsible for it; never waits.
    pub fn control(&self, control: impl Into<Control>) {
        let Opened { asker, plane } = &*self.inner;
        plane.directory.send(asker, control.into());
    }

    /// Makes the worker of this session fail, as a fault in it would.
    #[cfg(test)]
    pub(crate) fn provoke_fault(&self) {
        let Opened { asker, plane } = &*self.inner;
        plane.directory.tell(asker.home, Message::Fault);
    }

    /// Blocks the worker of this session between the first and the second message it sends.
    #[cfg(test)]
    pub(crate) fn provoke_stall(&self) -> Receiver<()> {
        let Opened { asker, plane } = &*self.inner;
        let (until, stalled) = mpsc::sync_channel(0);
        plane.directory.tell(asker.home, Message::Stall(until));
        stalled
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.plane.directory.end(&self.asker);
        if let Some(way) = self.plane.directory.ways.get(self.asker.home) {
            way.gauges.sessions.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Way {
    /// Hands a message over; returns it if the worker has ended, which happens only on request.
    pub(crate) fn send(&self, message: Message) -> Result<(), Message> {
        self.leave(message)?;
        self.waker.wake();
        Ok(())
    }

    /// The same without waking the worker: it finds the message when it is awake for another reason.
    pub(crate) fn leave(&self, message: Message) -> Result<(), Message> {
        self.inbox.send(message).map_err(|unsent| unsent.0)
    }

    /// An endpoint about to be opened is counted through its session.
    fn load(&self) -> usize {
        let load = |gauge: &AtomicUsize| gauge.load(Ordering::Relaxed);
        load(&self.gauges.sessions) + load(&self.gauges.endpoints)
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way")
            .field("gauges", &self.gauges)
            .finish_non_exhaustive()
    }
}

/// The worker's end of its channel.
struct End {
    poller: Poller,
    messages: Receiver<Message>,
    gauges: Arc<Gauges>,
}

fn way() -> io::Result<(Way, End)> {
    let poller = Poller::new()?;
    let (inbox, messages) = mpsc::channel();
    let (waker, gauges) = (poller.waker(), Arc::<Gauges>::default());
    let way = Way {
        inbox,
        waker,
        gauges: Arc::clone(&gauges),
    };
    let end = End {
        poller,
        messages,
        gauges,
    };
    Ok((way, end))
}

fn start_worker(number: usize, end: End, common: &Common, running: &Sender<()>) -> io::Result<()> {
    let worker = Worker::new(end.poller, end.messages, end.gauges, common.clone());
    let held = running.clone();
    thread::Builder::new()
        .name(format!("media-{number}"))
        .spawn(move || {
            worker.run();
            drop(held);
        })?;
    Ok(())
}

/// Two sockets per leg: the usual limit of 1024 files would allow 500 legs.
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

/// A number that is not easily guessed.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    // Each of these is seeded by the system's random source.
    RandomState::new().hash_one(Instant::now())
}
