//! One TCP connection: a task that reads messages and one that writes them.
//!
//! **The reader waits for the SIP task, so one peer cannot flood it; the SIP task never waits for the
//! writer.** Either end closing ends both.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use sip_proto::message::Message;
use sip_proto::parse::{Frame, Framer, ParseError};
use sip_proto::ua::FlowId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::udp::canonical;

/// How long a connection may stay before its first message.
const FIRST_MESSAGE: Duration = Duration::from_secs(30);
/// How long it may be silent afterwards: longer than a registration lives, because a phone behind
/// NAT can only be called over the connection it registered on.
const SILENCE: Duration = Duration::from_secs(3700);
/// How long connecting may take; a SIP transaction gives up after 32 s.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one message may take to be written.
const WRITE: Duration = Duration::from_secs(10);
/// Messages that may wait to be written; a peer that lets more wait is cut off.
pub(crate) const QUEUE: usize = 256;

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

/// Runs a connection that a peer opened.
pub(crate) async fn serve(
    flow: FlowId,
    stream: TcpStream,
    queue: mpsc::Receiver<Bytes>,
    events: FlowEvents,
) {
    run(flow, stream, queue, &events).await;
    let _ = events
        .send((flow, FlowEvent::Closed { connected: true }))
        .await;
}

/// Opens a connection and runs it.
pub(crate) async fn connect(
    flow: FlowId,
    remote: SocketAddr,
    queue: mpsc::Receiver<Bytes>,
    events: FlowEvents,
) {
    let stream = match timeout(CONNECT, TcpStream::connect(remote)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(_)) | Err(_) => None,
    };
    let connected = stream.is_some();
    if let Some(stream) = stream {
        run(flow, stream, queue, &events).await;
    }
    let _ = events.send((flow, FlowEvent::Closed { connected })).await;
}

async fn run(flow: FlowId, stream: TcpStream, queue: mpsc::Receiver<Bytes>, events: &FlowEvents) {
    // Small messages must not wait for each other; without it they only come a little later.
    let _ = stream.set_nodelay(true);
    if let Ok(local) = stream.local_addr() {
        let local = canonical(local);
        let _ = events.send((flow, FlowEvent::Open { local })).await;
    }
    let (reader, writer) = stream.into_split();
    let mut writing = tokio::spawn(write(writer, queue));
    tokio::select! {
        () = read(flow, reader, events) => {
            // The SIP task drops its end of the queue when it hears of this, and what it had to say
            // before is still written.
            let _ = events.send((flow, FlowEvent::Closed { connected: true })).await;
            let _ = writing.await;
        }
        _ = &mut writing => {}
    }
}

/// Reads until the peer closes, falls silent or sends what cannot be cut into messages.
async fn read(flow: FlowId, mut reader: OwnedReadHalf, events: &FlowEvents) {
    let mut framer = Framer::new();
    let mut buffer = vec![0; 16 * 1024];
    let mut patience = FIRST_MESSAGE;
    loop {
        let len = match timeout(patience, reader.read(&mut buffer)).await {
            Ok(Ok(len)) if len > 0 => len,
            Ok(_) | Err(_) => return,
        };
        framer.push(&buffer[..len]);
        for item in framer.by_ref() {
            let event = match item {
                Ok(Frame::Message(message)) => {
                    patience = SILENCE;
                    FlowEvent::Message(Ok(*message))
                }
                Ok(Frame::Ping) => FlowEvent::Ping,
                Err(error) => FlowEvent::Message(Err(error)),
            };
            if events.send((flow, event)).await.is_err() {
                return;
            }
        }
        if framer.is_closed() {
            return;
        }
    }
}

/// Writes until the queue is closed or the peer no longer reads.
async fn write(mut writer: OwnedWriteHalf, mut queue: mpsc::Receiver<Bytes>) -> io::Result<()> {
    while let Some(bytes) = queue.recv().await {
        timeout(WRITE, writer.write_all(&bytes)).await??;
    }
    writer.shutdown().await
}
