//! Serves HTTP with limits on time and connections.
//!
//! A client gets some seconds for the head of a request, also between two requests, and has to take
//! or send something at least once a minute; the body of a form has its own limit (`api`).
//! **Invariant: connections never use more than their share of the process's file descriptors, and
//! no source more than its share of the connections**, so that sockets for calls and the database
//! can always be opened. When all are in use, one that waits for a request makes room for a new one: of the source that
//! has most, the one that has waited longest. If none waits, the new one is closed at once. A request that still arrives
//! on a connection that has to make room is answered with 503, so **none that has begun is given up**. Trusted proxies
//! have connections of many clients, so they have no share. Left to others: what is answered.

mod seats;

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, StatusCode};
use hyper::body::{Frame, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use model::Source;
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, Sleep};
use tower::ServiceExt as _;
use tracing::{debug, warn};

use self::seats::Seats;
use super::proxies::Proxies;

/// Of so many file descriptors, one is for a connection to the API, and one for a callback.
const DESCRIPTORS_PER_CONNECTION: u64 = 8;
/// Bounds of the resulting number of connections.
const CONNECTIONS: std::ops::RangeInclusive<usize> = 16..=4096;
/// Pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often the log reports that connections are refused.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);
/// How long a connection that has to make room may take to send what it has answered. It no longer counts meanwhile.
const LEAVES_WITHIN: Duration = Duration::from_millis(250);
/// Maximum size of a request's head, in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// The limits on connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Maximum at once.
    pub(super) connections: usize,
    /// Maximum at once from one address or IPv6 network.
    pub(super) per_source: usize,
    /// Timeout for the head of a request, from the end of the previous request.
    pub(super) head: Duration,
    /// Timeout without a byte in either direction.
    pub(super) stall: Duration,
    /// Without a request, after which the connection may have to make room.
    pub(super) idle: Duration,
}

impl Limits {
    /// - `connections`, `per_source`: as configured; by default an eighth of the descriptors that
    ///   the process may have, and a quarter of that
    pub(super) fn of_api(connections: Option<usize>, per_source: Option<usize>) -> Self {
        let connections = connections.unwrap_or_else(share_of_descriptors);
        Self {
            connections,
            per_source: per_source.unwrap_or((connections / 4).max(8)),
            ..Self::of_metrics()
        }
    }

    pub(super) const fn of_metrics() -> Self {
        Self {
            connections: 32,
            per_source: 16,
            head: Duration::from_secs(10),
            stall: Duration::from_secs(60),
            idle: Duration::from_secs(1),
        }
    }
}

/// The share of the file descriptors that one kind of connection may use: an eighth, within [`CONNECTIONS`].
pub(super) fn share_of_descriptors() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let share = usize::try_from(descriptors / DESCRIPTORS_PER_CONNECTION).unwrap_or(usize::MAX);
    share.clamp(*CONNECTIONS.start(), *CONNECTIONS.end())
}

/// Serves until `stopped`, and then until the requests in progress are answered.
///
/// - `name`: name of the listener, for the log
pub(super) fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    proxies: Proxies,
    name: &'static str,
    stopped: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let server = Server {
        router,
        room: Arc::new(Room {
            limits,
            seats: Mutex::default(),
        }),
        proxies: Arc::new(proxies),
        name,
        stopped,
        connections: JoinSet::new(),
        full: Seldom::default(),
        broken: Seldom::default(),
    };
    tokio::spawn(server.run(listener))
}

struct Server {
    router: Router,
    room: Arc<Room>,
    proxies: Arc<Proxies>,
    name: &'static str,
    stopped: watch::Receiver<bool>,
    connections: JoinSet<()>,
    full: Seldom,
    broken: Seldom,
}

impl Server {
    async fn run(mut self, listener: TcpListener) {
        let mut stopped = self.stopped.clone();
        loop {
            tokio::select! {
                () = until(&mut stopped) => break,
                Some(_) = self.connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        self.take(stream, peer.ip());
                        // However many are waiting, calls get their turn between two of them.
                        tokio::task::yield_now().await;
                    }
                    Err(error) => self.pause(&error).await,
                },
            }
        }
        drop(listener);
        while self.connections.join_next().await.is_some() {}
    }

    fn take(&mut self, stream: TcpStream, peer: IpAddr) {
        let (source, is_proxy) = (Source::from(peer), self.proxies.trusts(peer));
        let place = match Room::take(&self.room, source, is_proxy) {
            Ok(place) => place,
            Err(why) => {
                if let Some(refused) = self.full.count() {
                    let listener = self.name;
                    warn!(listener, refused, source = %source, "HTTP connections are refused: {why}");
                }
                return;
            }
        };
        let (router, stopped) = (self.router.clone(), self.stopped.clone());
        let client = Client {
            peer,
            proxies: Arc::clone(&self.proxies),
        };
        self.connections
            .spawn(connection(stream, client, router, place, stopped));
    }

    /// A resource is exhausted, such as file descriptors: waits until some may be free again.
    async fn pause(&mut self, error: &io::Error) {
        if is_of_the_peer(error) {
            return;
        }
        if let Some(failed) = self.broken.count() {
            let listener = self.name;
            warn!(listener, failed, %error, "HTTP connections cannot be accepted");
        }
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// Returns when everything stops.
async fn until(stopped: &mut watch::Receiver<bool>) {
    // An error means that the server is gone: stop as well.
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// Whether the connection was gone before it was accepted.
fn is_of_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// Who sends the requests of a connection.
struct Client {
    peer: IpAddr,
    proxies: Arc<Proxies>,
}

async fn connection(
    stream: TcpStream,
    client: Client,
    router: Router,
    place: Place,
    mut stopped: watch::Receiver<bool>,
) {
    let limits = place.room.limits;
    let _ = stream.set_nodelay(true);
    let (seat, room) = (place.seat, Arc::clone(&place.room));
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let busy = Busy::begin(&room, seat);
        let mut request: Request = request.map(Body::new);
        let source = client.proxies.client(client.peer, request.headers());
        request.extensions_mut().insert(Source::from(source));
        let answer = busy.map(|busy| (router.clone().oneshot(request), busy));
        async move {
            let Some((answer, busy)) = answer else {
                return Ok(unavailable());
            };
            let busy = Some(busy);
            Ok::<_, Infallible>(answer.await?.map(|body| Answering { body, _busy: busy }))
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(Stream::new(stream, limits.stall)), service);
    tokio::pin!(served);
    let ended = tokio::select! {
        biased;
        ended = served.as_mut() => ended,
        () = place.left.notified() => {
            // No request is in progress, and none can begin.
            served.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(LEAVES_WITHIN, served).await;
            return;
        }
        () = until(&mut stopped) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "an HTTP connection failed");
    }
}

/// Answers a request on a connection that has to make room. Nothing has been done, so it can be sent again.
fn unavailable() -> hyper::Response<Answering> {
    let mut response = hyper::Response::new(Answering {
        body: Body::empty(),
        _busy: None,
    });
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

/// Who has which connections.
struct Room {
    limits: Limits,
    seats: Mutex<Seats>,
}

/// The place of one connection; freed when dropped.
struct Place {
    room: Arc<Room>,
    seat: u64,
    /// Wakes when the connection has to make room: its place is taken.
    left: Arc<Notify>,
}

impl Room {
    /// - `is_proxy`: the source has no share of its own
    fn take(room: &Arc<Self>, source: Source, is_proxy: bool) -> Result<Place, &'static str> {
        let mut seats = room.seats();
        let (seat, left) = seats.take(source, is_proxy, &room.limits, Instant::now())?;
        drop(seats);
        Ok(Place {
            room: Arc::clone(room),
            seat,
            left,
        })
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.seats().free(self.seat);
    }
}

/// Keeps a connection from making room while a request is answered.
struct Busy {
    room: Arc<Room>,
    seat: u64,
}

impl Busy {
    /// `None` if the connection has to make room.
    fn begin(room: &Arc<Room>, seat: u64) -> Option<Self> {
        let is_seated = room.seats().set_idle_since(seat, None);
        is_seated.then(|| Self {
            room: Arc::clone(room),
            seat,
        })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let now = Instant::now();
        self.room.seats().set_idle_since(self.seat, Some(now));
    }
}

/// The body of an answer; its connection is busy until it has been handed over.
struct Answering {
    body: Body,
    /// `None` if the connection has no seat.
    _busy: Option<Busy>,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        HttpBody::size_hint(&self.body)
    }
}

/// Counts frequent events, and reports them rarely.
#[derive(Default)]
struct Seldom {
    said: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    /// Counts one; returns how many to report, if it is time to.
    fn count(&mut self) -> Option<u64> {
        self.unsaid += 1;
        if self
            .said
            .is_some_and(|said| said.elapsed() < COMPLAIN_EVERY)
        {
            return None;
        }
        self.said = Some(Instant::now());
        Some(std::mem::take(&mut self.unsaid))
    }
}

/// A connection that fails when nothing has been received or sent for a while.
struct Stream {
    inner: TcpStream,
    stall: Duration,
    gives_up: Pin<Box<Sleep>>,
}

impl Stream {
    fn new(inner: TcpStream, stall: Duration) -> Self {
        Self {
            inner,
            stall,
            gives_up: Box::pin(tokio::time::sleep(stall)),
        }
    }

    /// Restarts the timeout if data moved, and fails if it has passed.
    fn watched<T>(
        &mut self,
        context: &mut Context<'_>,
        moved: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            let until = Instant::now() + self.stall;
            self.gives_up.as_mut().reset(until);
            return moved;
        }
        ready!(self.gives_up.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        let moved = Pin::new(&mut stream.inner).poll_read(context, buffer);
        stream.watched(context, moved)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        let moved = Pin::new(&mut stream.inner).poll_write(context, bytes);
        stream.watched(context, moved)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
