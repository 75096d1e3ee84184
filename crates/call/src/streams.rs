//! Media streams: from the media side to a WebSocket server and back; `siprec` has those to a recording server.
//!
//! What is sent and what it means is decided by `stream_proto::Session`; this carries it out. **Invariant:
//! every stream that is opened reports its end once, and a server that does not read or write delays
//! nothing.**

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use call_proto::{Req, StreamCounts, StreamNews, StreamOver, StreamRequest};
use futures_util::{SinkExt as _, StreamExt as _};
use media::{Control, EndpointId, EngineControl, Frame, PlayId, RecordingId};
use model::{CallSid, error};
use stream_proto::{Order, Session, Start, Track};
use tokio::sync::mpsc::{self, Receiver, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use webhook::tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use webhook::tokio_tungstenite::tungstenite::{self, Message};
use webhook::{SocketError, WebSocket};

use crate::siprec;
use crate::stream_orders::{Failure, Instruction, track_of, tracks};

/// Frames from the media side that wait for the task of a stream: it takes them at once, so that only a
/// busy machine fills this.
const WAITING: usize = 500;
/// Messages of a server that are read before anything else gets its turn.
const MESSAGES_AT_ONCE: usize = 64;
/// How long a server may take to accept the last messages.
const GOODBYE: Duration = Duration::from_secs(2);

/// The server of a stream.
pub(crate) enum Server<O> {
    /// A WebSocket server, and what connects to it.
    Socket(O),
    /// A recording server.
    Recorder(Box<siprec::Client>),
}

/// Where a stream gets its audio.
pub(crate) struct Ends<'a> {
    pub(crate) call: CallSid,
    pub(crate) endpoint: EndpointId,
    /// Unique names for its taps.
    pub(crate) taps: [RecordingId; 2],
    pub(crate) session: &'a media::Session,
}

/// The streams of a family.
#[derive(Default)]
pub(crate) struct Streams(HashMap<Req, Stream>);

struct Stream {
    endpoint: EndpointId,
    taps: [RecordingId; 2],
    track: rcml::Track,
    play: Option<PlayId>,
    instructions: UnboundedSender<Instruction>,
}

impl Streams {
    /// Connects, in a job of its own.
    ///
    /// - `tell`: called with each event of the stream
    pub(crate) fn open(
        &mut self,
        (req, request): (Req, StreamRequest),
        ends: &Ends<'_>,
        server: Server<impl Future<Output = Result<WebSocket, SocketError>> + Send + 'static>,
        tell: impl Fn(StreamNews) + Send + Sync + 'static,
        jobs: &mut JoinSet<()>,
    ) {
        let (instructions, received) = mpsc::unbounded_channel();
        self.0.retain(|_, stream| !stream.instructions.is_closed());
        let (call, endpoint, taps) = (ends.call, ends.endpoint, ends.taps);
        let stream = Stream {
            endpoint,
            taps,
            track: request.track,
            play: None,
            instructions,
        };
        self.0.insert(req, stream);
        let session = ends.session.clone();
        let job = Job {
            call,
            endpoint,
            request,
            session: session.clone(),
            instructions: received,
        };
        jobs.spawn(async move {
            let connected = || tell(StreamNews::Connected);
            let over = match server {
                Server::Socket(opening) => job.run(opening, connected).await,
                Server::Recorder(client) => client.run(job.instructions, connected).await,
            };
            for recording in taps {
                session.control(EngineControl::StopRecord { recording });
            }
            tell(StreamNews::Over(Box::new(over)));
        });
    }

    /// The stream begins: audio flows.
    pub(crate) fn begin(&mut self, req: Req, play: Option<PlayId>, session: &media::Session) {
        let Some(stream) = self.0.get_mut(&req) else {
            return;
        };
        let (endpoint, taps) = (stream.endpoint, stream.taps);
        stream.play = play;
        if let Some(play) = play {
            session.control(EngineControl::PlayLive { endpoint, play });
        }
        let (frames, heard) = mpsc::channel(WAITING);
        let tracks = tracks(stream.track).into_iter().map(|track| match track {
            Track::Inbound => media::Track::Heard,
            Track::Outbound => media::Track::Sent,
        });
        for (track, recording) in tracks.zip(taps) {
            session.control(Control::Tap {
                recording,
                endpoint,
                track,
                frames: frames.clone(),
            });
        }
        stream.tell(Instruction::Begin(play, heard));
    }

    pub(crate) fn key(&self, req: Req, key: char) {
        if let Some(stream) = self.0.get(&req) {
            stream.tell(Instruction::Key(key));
        }
    }

    pub(crate) fn close(&self, req: Req) {
        if let Some(stream) = self.0.get(&req) {
            stream.tell(Instruction::Close);
        }
    }

    /// The media side has played everything before a mark.
    pub(crate) fn marked(&self, endpoint: EndpointId, play: PlayId, mark: u64) {
        if let Some(stream) = self.that_plays(endpoint, play) {
            stream.tell(Instruction::Marked(mark));
        }
    }

    /// The media side has dropped audio.
    pub(crate) fn unplayed(&self, endpoint: EndpointId, play: PlayId, samples: usize) {
        if let Some(stream) = self.that_plays(endpoint, play) {
            stream.tell(Instruction::Unplayed(samples));
        }
    }

    fn that_plays(&self, endpoint: EndpointId, play: PlayId) -> Option<&Stream> {
        let mut streams = self.0.values();
        streams.find(|stream| stream.endpoint == endpoint && stream.play == Some(play))
    }
}

impl Stream {
    fn tell(&self, instruction: Instruction) {
        // Its task may have ended; the family learns of that from its last news.
        let _ = self.instructions.send(instruction);
    }
}

/// The task of one stream.
struct Job {
    call: CallSid,
    endpoint: EndpointId,
    request: StreamRequest,
    session: media::Session,
    instructions: UnboundedReceiver<Instruction>,
}

impl Job {
    /// Runs the stream to its end.
    async fn run(
        mut self,
        opening: impl Future<Output = Result<WebSocket, SocketError>>,
        connected: impl FnOnce(),
    ) -> StreamOver {
        let failed = |failure| StreamOver {
            failure,
            counts: StreamCounts::default(),
        };
        let opened = tokio::select! {
            opened = opening => opened,
            // It is closed before there is a connection; nothing else can come.
            _ = self.instructions.recv() => return failed(None),
        };
        let mut socket = match opened {
            Ok(socket) => socket,
            Err(error) => return failed(Some((error.code, error.text))),
        };
        connected();
        match self.instructions.recv().await {
            Some(Instruction::Begin(play, frames)) => self.stream(socket, play, frames).await,
            _ => {
                let _ = tokio::time::timeout(GOODBYE, socket.close(None)).await;
                failed(None)
            }
        }
    }

    async fn stream(
        mut self,
        socket: WebSocket,
        play: Option<PlayId>,
        frames: Receiver<Frame>,
    ) -> StreamOver {
        let started = Instant::now();
        let start = Start {
            stream: self.request.sid,
            account: self.request.account,
            call: self.call,
            tracks: tracks(self.request.track),
            both_ways: self.request.both_ways,
            parameters: std::mem::take(&mut self.request.parameters),
        };
        let session = Session::new(start, started.elapsed());
        let mut line = Line {
            timer: Box::pin(tokio::time::sleep_until(started + session.poll_timeout())),
            session,
            socket,
            frames,
            started,
            ping: false,
            unflushed: false,
        };
        let over = poll_fn(|cx| self.poll(&mut line, play, cx)).await;
        match over {
            Ok(Over::Unasked) => line.say_goodbye().await,
            // The answer to its Close frame (RFC 6455 §5.5.1) still waits.
            Ok(Over::Closed) => {
                let _ = tokio::time::timeout(GOODBYE, line.socket.flush()).await;
            }
            Err(_) => {}
        }
        StreamOver {
            failure: over.err(),
            counts: counts(&line.session),
        }
    }

    /// Takes everything that has happened, and sends what follows from it, until the server closes the
    /// connection or the stream is closed.
    fn poll(
        &mut self,
        line: &mut Line,
        play: Option<PlayId>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Over, Failure>> {
        if self.poll_instructions(&mut line.session, cx).is_ready() {
            return Poll::Ready(Ok(Over::Unasked));
        }
        line.poll_frames(cx);
        if let Poll::Ready(closed) = line.poll_messages(cx) {
            return Poll::Ready(closed.map(|()| Over::Closed));
        }
        line.poll_time(cx);
        while let Some(order) = line.session.poll_order() {
            self.carry_out(order, line, play)?;
        }
        line.poll_send(cx)?;
        Poll::Pending
    }

    /// Follows the call's instructions; ready when the stream is to be closed.
    fn poll_instructions(&mut self, session: &mut Session, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match ready!(self.instructions.poll_recv(cx)) {
                Some(Instruction::Key(key)) => session.key(key),
                Some(Instruction::Marked(mark)) => session.marked(mark),
                Some(Instruction::Unplayed(samples)) => session.unplayed(samples),
                Some(Instruction::Begin(..)) => {}
                Some(Instruction::Close) | None => return Poll::Ready(()),
            }
        }
    }

    fn carry_out(
        &self,
        order: Order,
        line: &mut Line,
        play: Option<PlayId>,
    ) -> Result<(), Failure> {
        let endpoint = self.endpoint;
        let control = match (order, play) {
            (Order::Ping, _) => {
                line.ping = true;
                return Ok(());
            }
            (Order::Broken, _) => {
                let text = "the server does not read, or nothing came from it for a minute";
                return Err((error::STREAM_LOST, text.to_owned()));
            }
            // A stream that only listens has no such orders.
            (_, None) => return Ok(()),
            (Order::Play(audio), Some(play)) => EngineControl::Feed {
                endpoint,
                play,
                audio,
            },
            (Order::Mark(mark), Some(play)) => EngineControl::Mark {
                endpoint,
                play,
                mark,
            },
            (Order::Clear, Some(play)) => EngineControl::ClearLive { endpoint, play },
        };
        self.session.control(control);
        Ok(())
    }
}

/// Why a stream ends without a failure.
#[derive(Debug)]
enum Over {
    /// The server has closed the connection.
    Closed,
    /// The call is over or has stopped it.
    Unasked,
}

/// The connection of a stream, and what is sent over it.
struct Line {
    session: Session,
    socket: WebSocket,
    frames: Receiver<Frame>,
    started: Instant,
    /// Due when the session may have something to do; it is moved only when it is due.
    timer: Pin<Box<Sleep>>,
    /// Whether to send a ping.
    ping: bool,
    /// Whether something was handed over that the system has not taken yet.
    unflushed: bool,
}

impl Line {
    fn poll_frames(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(frame)) = self.frames.poll_recv(cx) {
            self.session
                .hear(track_of(&frame), frame.at, &frame.samples);
        }
    }

    /// Reads the server's messages; ready when it has closed the connection.
    fn poll_messages(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        for _ in 0..MESSAGES_AT_ONCE {
            let message = ready!(self.socket.poll_next_unpin(cx));
            if let Some(over) = self.receive(message) {
                return Poll::Ready(over);
            }
        }
        // The others get their turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_time(&mut self, cx: &mut Context<'_>) {
        while self.timer.as_mut().poll(cx).is_ready() {
            self.session.handle_timeout(self.started.elapsed());
            let wake = self.started + self.session.poll_timeout();
            self.timer.as_mut().reset(wake);
        }
    }

    /// Sends as much as the connection has room for.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        loop {
            let has_more = self.ping || self.session.has_message();
            let taken = match (has_more, self.unflushed) {
                (true, _) => self.socket.poll_ready_unpin(cx),
                (false, true) => self.socket.poll_flush_unpin(cx),
                (false, false) => return Ok(()),
            };
            match taken {
                Poll::Ready(taken) => taken.map_err(|error| lost(&error))?,
                Poll::Pending => return Ok(()),
            }
            self.send_next()?;
        }
    }

    /// Hands the next message to the connection, which must have room for it. Without a next message,
    /// everything has been sent.
    fn send_next(&mut self) -> Result<(), Failure> {
        let message = if std::mem::take(&mut self.ping) {
            Some(Message::Ping(Vec::new().into()))
        } else {
            self.session.poll_message().map(Message::text)
        };
        self.unflushed = message.is_some();
        let sent = message.map(|message| self.socket.start_send_unpin(message));
        sent.transpose().map_err(|error| lost(&error))?;
        Ok(())
    }

    /// Takes a message; returns how the stream ends with it, if it does.
    fn receive(
        &mut self,
        message: Option<Result<Message, tungstenite::Error>>,
    ) -> Option<Result<(), Failure>> {
        let now = self.started.elapsed();
        match message {
            Some(Ok(Message::Text(text))) => self.session.receive(text.as_str(), now),
            Some(Ok(Message::Binary(_))) => self.session.receive_binary(now),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                self.session.receive_other(now);
                // The answer to a ping waits.
                self.unflushed = true;
            }
            Some(Ok(Message::Close(frame))) => {
                let code = frame.map_or(CloseCode::Status, |frame| frame.code);
                return Some(closed_with(code));
            }
            Some(Err(error)) => return Some(Err(lost(&error))),
            None => return Some(Ok(())),
        }
        None
    }

    /// Sends the last messages, and closes the connection.
    async fn say_goodbye(&mut self) {
        self.session.stop();
        let goodbye = async {
            while let Some(text) = self.session.poll_message() {
                self.socket.feed(Message::text(text)).await?;
            }
            self.socket.close(None).await?;
            while let Some(message) = self.socket.next().await {
                message?;
            }
            Ok::<(), tungstenite::Error>(())
        };
        // The stream is over, whatever the server does.
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }
}

/// Whether a server that closes the connection with this status reports an error.
fn closed_with(code: CloseCode) -> Result<(), Failure> {
    match code {
        CloseCode::Normal
        | CloseCode::Away
        | CloseCode::Status
        | CloseCode::Iana(_)
        | CloseCode::Library(_) => Ok(()),
        code => {
            let code = u16::from(code);
            let text = format!("the server closed the connection with status {code}");
            Err((error::STREAM_LOST, text))
        }
    }
}

fn lost(error: &tungstenite::Error) -> Failure {
    use tungstenite::Error;
    use tungstenite::error::ProtocolError;
    let code = match error {
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => error::STREAM_LOST,
        Error::Protocol(_) | Error::Capacity(_) | Error::Utf8(_) => error::STREAM_PROTOCOL,
        _ => error::STREAM_LOST,
    };
    (code, format!("the connection broke: {error}"))
}

fn counts(session: &Session) -> StreamCounts {
    let counts = session.counts();
    let in_ms = |samples: u64| samples * 1000 / u64::from(::audio::RATE);
    StreamCounts {
        sent: counts.sent,
        unsent: counts.unsent,
        received_ms: in_ms(counts.received),
        unplayed_ms: in_ms(counts.unplayed),
        strange: counts.strange,
        first_strange: counts.first_strange,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use call_proto::StreamTarget;
    use media::{MediaConfig, MediaPlane};
    use model::{AccountSid, StreamSid};
    use sha1::{Digest as _, Sha1};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpSocket, TcpStream};
    use webhook::tokio_tungstenite::WebSocketStream;
    use webhook::tokio_tungstenite::tungstenite::protocol::Role;
    use webhook::{AddressPolicy, FetchConfig, Fetcher, SocketRequest};

    const ENDPOINT: EndpointId = EndpointId(1);
    const PLAY: PlayId = PlayId(1);
    /// Frames that do not all fit into the buffers of the system.
    const FRAMES: u64 = 20_000;

    /// The answer to the key of a handshake (RFC 6455 §4.2.2).
    fn accepted(key: &str) -> String {
        let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
        STANDARD.encode(Sha1::digest(text))
    }

    /// Accepts one connection, over which little fits that is not read.
    async fn accept(listener: tokio::net::TcpListener) -> WebSocketStream<TcpStream> {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let key = head
            .lines()
            .find_map(|line| line.strip_prefix("sec-websocket-key: "));
        let accept = accepted(key.unwrap());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        WebSocketStream::from_raw_socket(stream, Role::Server, None).await
    }

    /// A connection between us and a server.
    pub(crate) async fn connected() -> (WebSocket, WebSocketStream<TcpStream>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let server = tokio::spawn(accept(listener));
        let fetcher = Fetcher::new(FetchConfig::default()).unwrap();
        let request = SocketRequest {
            url,
            policy: AddressPolicy { private_ok: true },
            stamp: None,
        };
        let client = fetcher.open_socket(request).await.unwrap();
        (client, server.await.unwrap())
    }

    fn session(
        plane: &MediaPlane,
    ) -> (
        media::Session,
        UnboundedReceiver<(EndpointId, media::Report)>,
    ) {
        let (reports, news) = mpsc::unbounded_channel();
        let session = plane.session(reports);
        session.control(Control::Open {
            endpoint: ENDPOINT,
            offer: None,
            signalling: None,
            proved: true,
            like: None,
        });
        let (endpoint, play) = (ENDPOINT, PLAY);
        session.control(EngineControl::PlayLive { endpoint, play });
        (session, news)
    }

    fn frame(at: u64) -> Frame {
        Frame {
            track: media::Track::Heard,
            at: at * media::FRAME as u64,
            samples: [0; media::FRAME],
        }
    }

    /// The next message whose event is this one.
    async fn event(server: &mut WebSocketStream<TcpStream>, event: &str) -> serde_json::Value {
        loop {
            let Message::Text(text) = server.next().await.unwrap().unwrap() else {
                panic!("closed before {event}");
            };
            let message: serde_json::Value = serde_json::from_str(&text).unwrap();
            if message["event"] == event {
                return message;
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_does_not_read_loses_audio_and_delays_nothing() {
        let plane = MediaPlane::start(MediaConfig {
            workers: 1,
            address: [127, 0, 0, 1].into(),
            ..MediaConfig::default()
        });
        let plane = plane.unwrap();
        let (session, mut news) = session(&plane);
        let (client, mut server) = connected().await;
        let (instruct, instructions) = mpsc::unbounded_channel();
        let job = Job {
            call: CallSid::from_bytes([3; 16]),
            endpoint: ENDPOINT,
            request: StreamRequest {
                sid: StreamSid::from_bytes([1; 16]),
                account: AccountSid::from_bytes([2; 16]),
                author: AccountSid::from_bytes([2; 16]),
                target: StreamTarget::Socket(String::new()),
                track: rcml::Track::Inbound,
                both_ways: true,
                parameters: Vec::new(),
            },
            session,
            instructions,
        };
        let (frames, heard) = mpsc::channel(WAITING);
        let running = tokio::spawn(job.stream(client, Some(PLAY), heard));
        event(&mut server, "start").await;
        // From here on it reads nothing, and the audio that it gets is more than the system holds.
        for at in 0..FRAMES {
            tokio::time::timeout(GOODBYE, frames.send(frame(at)))
                .await
                .unwrap()
                .unwrap();
        }
        // What it sends is played meanwhile.
        for message in [
            r#"{"event":"media","media":{"payload":"////"}}"#,
            r#"{"event":"mark","mark":{"name":"m"}}"#,
        ] {
            server.send(Message::text(message)).await.unwrap();
        }
        let marked = async {
            loop {
                if let (_, media::Report::Marked { mark, .. }) = news.recv().await.unwrap() {
                    return mark;
                }
            }
        };
        let mark = tokio::time::timeout(GOODBYE, marked).await.unwrap();
        instruct.send(Instruction::Marked(mark)).ok().unwrap();
        // When it reads again, the mark is there, and the audio continues with a jump in time.
        let before = event(&mut server, "mark").await;
        assert_eq!(before["mark"]["name"], "m");
        frames.send(frame(FRAMES)).await.unwrap();
        let next = event(&mut server, "media").await;
        let timestamp = next["media"]["timestamp"].as_str().unwrap();
        assert_eq!(timestamp, (FRAMES * 20).to_string());
        instruct.send(Instruction::Close).ok().unwrap();
        event(&mut server, "stop").await;
        let over = running.await.unwrap();
        let StreamCounts { sent, unsent, .. } = over.counts;
        assert_eq!((over.failure, sent + unsent), (None, FRAMES + 1));
        assert!(unsent > 1_000, "{unsent}");
        let chunk = next["media"]["chunk"].as_str().unwrap();
        assert_eq!(chunk, sent.to_string());
    }

    #[tokio::test]
    async fn how_a_server_ends_a_stream_matters() {
        let normal = CloseCode::Normal;
        let table = [
            (Some(normal), None),
            (Some(CloseCode::Library(4_001)), None),
            (Some(CloseCode::Error), Some(error::STREAM_LOST)),
            (None, Some(error::STREAM_LOST)),
        ];
        for (code, expected) in table {
            let (mut client, mut server) = connected().await;
            match code {
                Some(code) => {
                    let reason = "".into();
                    let frame = tungstenite::protocol::CloseFrame { code, reason };
                    server.close(Some(frame)).await.unwrap();
                }
                None => drop(server),
            }
            let failure = match client.next().await.unwrap() {
                Ok(Message::Close(frame)) => closed_with(frame.unwrap().code).err(),
                Ok(message) => panic!("{message:?}"),
                Err(error) => Some(lost(&error)),
            };
            assert_eq!(failure.map(|(code, _)| code), expected, "{code:?}");
        }
    }
}
