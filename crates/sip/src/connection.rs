//! One TCP connection: a task that reads messages and one that writes them.
//!
//! **The reader waits for the SIP task, so one peer cannot flood it, and for the writer, so no answer is
//! dropped while the peer reads; the SIP task never waits for the writer.** Either end closing ends
//! both. Left to others: how long a connection may be silent (`places`).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip_proto::message::Message;
use sip_proto::parse::{Frame, Framer, ParseError};
use sip_proto::ua::FlowId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use crate::places::Heard;
use crate::udp::canonical;

/// How long connecting may take; a SIP transaction gives up after 32 s.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one message may take to be written.
const WRITE: Duration = Duration::from_secs(10);
/// Messages that may wait to be written before nothing more is read.
const FULL: usize = 256;
/// Messages that may wait to be written: those, and the answers to what was read before, which include
/// up to 2,000 that wait for the directory.
pub(crate) const QUEUE: usize = 4096;
/// A ping that comes sooner after an answered one is not answered: phones send one in half a minute.
const PING_PAUSE: Duration = Duration::from_millis(200);

/// What a connection tells the SIP task.
pub(crate) enum FlowEvent {
    /// Established; our address on it.
    Open { local: SocketAddr },
    /// A message, or what is wrong with one.
    Message(Result<Message, ParseError>),
    /// The peer wants to know whether we live.
    Ping,
    /// Over. The last event.
    Closed { connected: bool },
}

pub(crate) type FlowEvents = mpsc::Sender<(FlowId, FlowEvent)>;

/// One connection's ends of what it shares with the SIP task.
pub(crate) struct Line {
    pub(crate) flow: FlowId,
    /// What is to be written.
    pub(crate) queue: mpsc::Receiver<Bytes>,
    /// The other end of it, to see how much waits.
    pub(crate) waiting: mpsc::WeakSender<Bytes>,
    pub(crate) heard: Arc<Heard>,
    /// The clock of `heard`.
    pub(crate) origin: Instant,
    pub(crate) events: FlowEvents,
}

/// Runs a connection that a peer opened.
pub(crate) async fn serve(stream: TcpStream, line: Line) {
    let (flow, events) = (line.flow, line.events.clone());
    run(stream, line).await;
    let _ = events
        .send((flow, FlowEvent::Closed { connected: true }))
        .await;
}

/// Opens a connection and runs it.
pub(crate) async fn connect(remote: SocketAddr, line: Line) {
    let (flow, events) = (line.flow, line.events.clone());
    let stream = match timeout(CONNECT, TcpStream::connect(remote)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(_)) | Err(_) => None,
    };
    let connected = stream.is_some();
    if let Some(stream) = stream {
        run(stream, line).await;
    }
    let _ = events.send((flow, FlowEvent::Closed { connected })).await;
}

async fn run(stream: TcpStream, line: Line) {
    // Small messages must not wait for each other; without it they only come a little later.
    let _ = stream.set_nodelay(true);
    let reading = Reading {
        flow: line.flow,
        waiting: line.waiting,
        written: Arc::default(),
        heard: line.heard,
        origin: line.origin,
        events: line.events,
    };
    if let Ok(local) = stream.local_addr() {
        let local = canonical(local);
        let _ = reading.tell(FlowEvent::Open { local }).await;
    }
    let (reader, writer) = stream.into_split();
    let written = Arc::clone(&reading.written);
    let mut writing = tokio::spawn(write(writer, line.queue, written));
    tokio::select! {
        () = reading.read(reader) => {
            // The SIP task drops its end of the queue when it hears of this, and what it had to say
            // before is still written.
            let _ = reading.tell(FlowEvent::Closed { connected: true }).await;
            let _ = writing.await;
        }
        _ = &mut writing => {}
    }
}

/// The side of a connection that reads.
struct Reading {
    flow: FlowId,
    waiting: mpsc::WeakSender<Bytes>,
    /// Notified after each message that was written.
    written: Arc<Notify>,
    heard: Arc<Heard>,
    origin: Instant,
    events: FlowEvents,
}

impl Reading {
    /// Reads until the peer closes or sends what cannot be cut into messages.
    async fn read(&self, mut reader: OwnedReadHalf) {
        let mut framer = Framer::new();
        let mut buffer = vec![0; 16 * 1024];
        let mut next_pong = self.origin;
        loop {
            let len = match reader.read(&mut buffer).await {
                Ok(len) if len > 0 => len,
                Ok(_) | Err(_) => return,
            };
            let now = Instant::now();
            self.heard.note(now.saturating_duration_since(self.origin));
            framer.push(&buffer[..len]);
            for item in framer.by_ref() {
                let event = match item {
                    Ok(Frame::Message(message)) => FlowEvent::Message(Ok(*message)),
                    Ok(Frame::Ping) if now < next_pong => continue,
                    Ok(Frame::Ping) => {
                        next_pong = now + PING_PAUSE;
                        FlowEvent::Ping
                    }
                    Err(error) => FlowEvent::Message(Err(error)),
                };
                self.wait_for_room().await;
                if self.tell(event).await.is_err() {
                    return;
                }
            }
            if framer.is_closed() {
                return;
            }
        }
    }

    /// Waits while too many messages wait to be written. A peer that does not read them loses its
    /// connection.
    async fn wait_for_room(&self) {
        loop {
            let is_full = self
                .waiting
                .upgrade()
                .is_some_and(|queue| queue.max_capacity() - queue.capacity() >= FULL);
            if !is_full {
                return;
            }
            // One that was notified before waiting returns at once.
            self.written.notified().await;
        }
    }

    async fn tell(
        &self,
        event: FlowEvent,
    ) -> Result<(), mpsc::error::SendError<(FlowId, FlowEvent)>> {
        self.events.send((self.flow, event)).await
    }
}

/// Writes until the queue is closed or the peer no longer reads.
async fn write(
    mut writer: OwnedWriteHalf,
    mut queue: mpsc::Receiver<Bytes>,
    written: Arc<Notify>,
) -> io::Result<()> {
    while let Some(bytes) = queue.recv().await {
        timeout(WRITE, writer.write_all(&bytes)).await??;
        written.notify_one();
    }
    writer.shutdown().await
}
