//! The WebSocket server of many media streams, on one thread.
//!
//! It behaves as a voice agent that never pauses: it speaks as soon as a stream starts, and answers each
//! 20 ms that it hears with 20 ms of its own. Both directions carry stamps, so that each knows how long
//! the audio took. **Invariant: it sends nothing that it was not asked for**, so the streams themselves set
//! the pace.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use serde_json::Value;
use sha1::{Digest as _, Sha1};
use tungstenite::Message;
use tungstenite::protocol::{Role, WebSocket};

use super::ages::Ages;
use super::payload::{self, FRAME, Finder, SILENCE, Stamp};
use crate::{cost, http};

const LISTENER: Token = Token(usize::MAX);
/// How often it checks whether it should end.
const CHECK: Duration = Duration::from_millis(100);
/// Appended to the key of a handshake (RFC 6455 §4.2.2).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// When the first messages of a leg's stream arrived, on the clock of [`payload::now`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firsts {
    /// The first message with audio, which may be silence.
    pub audio: Duration,
    /// The first one with something that the leg has sent.
    pub stamped: Duration,
}

/// What was received since the last look.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Messages with audio.
    pub messages: u64,
    /// Ages of the stamps in them.
    pub ages: Ages,
}

#[derive(Default)]
struct Shared {
    received: Received,
    firsts: BTreeMap<u64, Firsts>,
    thread: u32,
    fault: Option<String>,
}

/// A running server. It ends when this is dropped.
pub struct Peer {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    ends: Arc<AtomicBool>,
}

impl Peer {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn start() -> anyhow::Result<Self> {
        let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let (address, poll) = (listener.local_addr()?, Poll::new().context("epoll")?);
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        let (shared, ends) = (
            Arc::<Mutex<Shared>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let worker = Worker {
            poll,
            listener,
            shared: Arc::clone(&shared),
            streams: BTreeMap::new(),
            next: 0,
        };
        let until = Arc::clone(&ends);
        thread::spawn(move || worker.run(&until));
        Ok(Self {
            address,
            shared,
            ends,
        })
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("ws://{}/", self.address)
    }

    /// What was received since the last look.
    ///
    /// # Errors
    /// If a connection did not behave as expected.
    pub fn received(&self) -> anyhow::Result<Received> {
        let mut shared = lock(&self.shared);
        match shared.fault.take() {
            Some(fault) => anyhow::bail!("the WebSocket server: {fault}"),
            None => Ok(std::mem::take(&mut shared.received)),
        }
    }

    /// The first messages of each leg that was heard.
    pub fn firsts(&self) -> BTreeMap<u64, Firsts> {
        lock(&self.shared).firsts.clone()
    }

    /// CPU time used by its thread so far, in ms.
    ///
    /// # Errors
    /// If it has ended.
    pub fn cpu_ms(&self) -> anyhow::Result<f64> {
        cost::thread_cpu_ms(lock(&self.shared).thread)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Stream {
    socket: WebSocket<TcpStream>,
    sid: String,
    finder: Finder,
    first: Option<Duration>,
    is_known: bool,
}

struct Worker {
    poll: Poll,
    listener: TcpListener,
    shared: Arc<Mutex<Shared>>,
    streams: BTreeMap<usize, Stream>,
    next: usize,
}

impl Worker {
    fn run(mut self, ends: &AtomicBool) {
        lock(&self.shared).thread = cost::this_thread();
        let mut events = Events::with_capacity(1024);
        while !ends.load(Ordering::Relaxed) {
            if self.poll.poll(&mut events, Some(CHECK)).is_err() {
                continue;
            }
            for event in &events {
                let done = match event.token() {
                    LISTENER => self.accept(),
                    Token(stream) => self.serve(stream),
                };
                if let Err(error) = done {
                    lock(&self.shared).fault = Some(format!("{error:#}"));
                }
            }
        }
    }

    fn accept(&mut self) -> anyhow::Result<()> {
        while let Ok((stream, _)) = self.listener.accept() {
            let stream = std::net::TcpStream::from(stream);
            stream.set_nonblocking(false)?;
            shake_hands(&stream)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            let token = Token(self.next);
            self.poll
                .registry()
                .register(&mut stream, token, Interest::READABLE)?;
            let stream = Stream {
                socket: WebSocket::from_raw_socket(stream, Role::Server, None),
                sid: String::new(),
                finder: Finder::default(),
                first: None,
                is_known: false,
            };
            self.streams.insert(self.next, stream);
            self.next += 1;
            self.serve(token.0)?;
        }
        Ok(())
    }

    /// Reads what is there.
    fn serve(&mut self, number: usize) -> anyhow::Result<()> {
        let Some(stream) = self.streams.get_mut(&number) else {
            return Ok(());
        };
        loop {
            match stream.socket.read() {
                Ok(Message::Text(text)) => stream.receive(&text, &self.shared)?,
                Ok(_) => {}
                Err(tungstenite::Error::Io(error))
                    if error.kind() == std::io::ErrorKind::WouldBlock =>
                {
                    return Ok(());
                }
                // The stream is over.
                Err(_) => {
                    self.streams.remove(&number);
                    return Ok(());
                }
            }
        }
    }
}

impl Stream {
    fn receive(&mut self, text: &str, shared: &Mutex<Shared>) -> anyhow::Result<()> {
        let message: Value = serde_json::from_str(text)?;
        match message["event"].as_str() {
            Some("start") => {
                self.sid = message["streamSid"].as_str().unwrap_or_default().to_owned();
                self.speak()
            }
            Some("media") => {
                let payload = message["media"]["payload"].as_str().context("no payload")?;
                let found = self.finder.push(&STANDARD.decode(payload)?);
                self.speak()?;
                self.note(found, shared);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn note(&mut self, found: Option<Stamp>, shared: &Mutex<Shared>) {
        let first = *self.first.get_or_insert_with(payload::now);
        let mut shared = lock(shared);
        shared.received.messages += 1;
        let Some(stamp) = found else { return };
        shared.received.ages.note(stamp.age_us());
        if !std::mem::replace(&mut self.is_known, true) {
            let firsts = Firsts {
                audio: first,
                stamped: payload::now(),
            };
            shared.firsts.insert(stamp.leg, firsts);
        }
    }

    /// Sends 20 ms of audio.
    fn speak(&mut self) -> anyhow::Result<()> {
        let mut audio = [SILENCE; FRAME];
        Stamp::new(0).write(&mut audio);
        let (sid, payload) = (&self.sid, STANDARD.encode(audio));
        let text =
            format!(r#"{{"event":"media","streamSid":"{sid}","media":{{"payload":"{payload}"}}}}"#);
        Ok(self.socket.send(Message::text(text))?)
    }
}

/// Answers the request for a WebSocket.
fn shake_hands(mut stream: &std::net::TcpStream) -> anyhow::Result<()> {
    let request = http::read(stream)?;
    let key = request.header("sec-websocket-key").context("no key")?;
    let accept = STANDARD.encode(Sha1::digest(format!("{key}{GUID}")));
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    Ok(stream.write_all(answer.as_bytes())?)
}
