//! One TCP connection: one task reads messages, another writes them.
//!
//! **The reader waits for the SIP task, so one peer cannot flood it, and for the writer, so no
//! answer is dropped as long as the peer reads; the SIP task never waits for the writer.** When
//! either task ends, so does the other. Left to others: how long a connection may be silent
//! (`places`).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip_proto::message::Message;
use sip_proto::parse::{Frame, Framer, ParseError};
use sip_proto::ua::FlowId;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use crate::places::Heard;
use crate::udp::canonical;

/// Connect timeout; a SIP transaction gives up after 32 s.
const CONNECT: Duration = Duration::from_secs(5);
/// Timeout for writing one message.
const WRITE: Duration = Duration::from_secs(10);
/// How long a connection that is being closed may take to write everything that waits.
const DRAIN: Duration = Duration::from_secs(5);
/// Messages that may wait to be written before nothing more is read.
const FULL: usize = 256;
/// Maximum messages waiting to be written: those, and the answers to messages read earlier,
/// including up to 2,000 that wait for the directory.
pub(crate) const QUEUE: usize = 4096;
/// A ping sooner than this after an answered one gets no answer: phones send one per half minute.
const PING_PAUSE: Duration = Duration::from_millis(200);

/// An event of a connection for the SIP task.
pub(crate) enum FlowEvent {
    /// Established; the payload is our address on it.
    Open { local: SocketAddr },
    /// A message, or the fault in one.
    Message(Result<Message, ParseError>),
    /// A keep-alive ping to be answered.
    Ping,
    /// Closed. The last event.
    Closed { connected: bool },
}

pub(crate) type FlowEvents = mpsc::Sender<(FlowId, FlowEvent)>;

/// A connection's ends of the channels shared with the SIP task.
pub(crate) struct Line {
    pub(crate) flow: FlowId,
    /// Messages to write.
    pub(crate) queue: mpsc::Receiver<Bytes>,
    /// The sending end, to see how many wait.
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
    // Small messages must not wait for each other; without this they only arrive a little later.
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
    let mut writing = tokio::spawn(write(writer, line.queue, written, DRAIN));
    tokio::select! {
        () = reading.read(reader) => {
            // On this event the SIP task drops its end of the queue; messages already queued are
            // still written.
            let _ = reading.tell(FlowEvent::Closed { connected: true }).await;
            let _ = writing.await;
        }
        _ = &mut writing => {}
    }
}

/// The reading half of a connection.
struct Reading {
    flow: FlowId,
    waiting: mpsc::WeakSender<Bytes>,
    /// Notified after each written message.
    written: Arc<Notify>,
    heard: Arc<Heard>,
    origin: Instant,
    events: FlowEvents,
}

impl Reading {
    /// Reads until the peer closes or sends data that cannot be split into messages.
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

    /// Pauses while too many messages wait to be written. A peer that does not read them loses its
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
            // Returns at once if notified before waiting.
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

/// Writes until the queue is closed and empty, or the peer no longer reads.
///
/// - `drain`: how long writing may go on once the queue is closed
async fn write(
    mut writer: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Bytes>,
    written: Arc<Notify>,
    drain: Duration,
) -> io::Result<()> {
    let mut ends = None;
    while let Some(bytes) = queue.recv().await {
        let mut limit = WRITE;
        if queue.is_closed() {
            let now = Instant::now();
            let ends = *ends.get_or_insert(now + drain);
            limit = limit.min(ends.saturating_duration_since(now));
        }
        timeout(limit, writer.write_all(&bytes)).await??;
        written.notify_one();
    }
    timeout(drain, writer.shutdown()).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of a hundred messages reach a peer that takes 10 ms for each.
    async fn arrived(drain: Duration, is_closing: bool) -> usize {
        let (ours, mut theirs) = tokio::io::duplex(4);
        let (sender, queue) = mpsc::channel(100);
        for _ in 0..100 {
            sender.send(Bytes::from_static(b"ping")).await.unwrap();
        }
        let sender = (!is_closing).then_some(sender);
        let writing = tokio::spawn(write(ours, queue, Arc::default(), drain));
        let mut count = 0;
        let reading = async {
            let mut message = [0; 4];
            while theirs.read_exact(&mut message).await.is_ok() {
                count += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        // A connection that is not closing stays open.
        let _ = timeout(Duration::from_secs(4), reading).await;
        writing.abort();
        drop(sender);
        count
    }

    #[tokio::test]
    async fn a_closing_connection_is_not_drained_for_ever() {
        let drain = Duration::from_millis(100);
        assert!(arrived(drain, true).await < 50);
        assert_eq!(arrived(drain, false).await, 100, "it is not closing");
        assert_eq!(arrived(DRAIN, true).await, 100);
    }
}
