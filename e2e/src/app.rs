//! The customer's web application: serves documents and files, and remembers the requests.
//!
//! **Invariant: every request is recorded before it is answered**, so a test that saw the effect of an
//! answer finds the request that caused it.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use socket2::{Domain, Socket, Type};

use crate::http::{self, Message};
use crate::wait;

/// One request that the application received.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: String,
    /// Path, without the query.
    pub path: String,
    /// Parameters of the query, then of the form body.
    pub params: Vec<(String, String)>,
    /// Header fields.
    pub headers: Vec<(String, String)>,
    /// When it arrived.
    pub at: Instant,
}

impl Request {
    /// Value of a header field, in any letter case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Value of the first parameter of this name.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// An answer of the application.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub kind: &'static str,
    /// Body.
    pub body: Vec<u8>,
    /// Wait before answering.
    pub delay: Duration,
}

impl Reply {
    /// A document; `verbs` is the content of `<Response>`.
    pub fn document(verbs: &str) -> Self {
        let body = format!("<?xml version=\"1.0\"?>\n<Response>{verbs}</Response>").into_bytes();
        Self {
            status: 200,
            kind: "text/xml",
            body,
            delay: Duration::ZERO,
        }
    }

    /// A sound file.
    pub fn wav(body: Vec<u8>) -> Self {
        Self {
            status: 200,
            kind: "audio/wav",
            body,
            delay: Duration::ZERO,
        }
    }

    /// The same reply after a delay.
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// A status without a body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            kind: "text/plain",
            body: Vec::new(),
            delay: Duration::ZERO,
        }
    }
}

#[derive(Default)]
struct State {
    replies: BTreeMap<String, Vec<Reply>>,
    /// By path, each in order of arrival.
    requests: BTreeMap<String, Vec<Request>>,
}

/// An application that refuses connections: its port is reserved, but nothing listens yet.
pub struct ClosedApp {
    socket: Socket,
    address: SocketAddr,
}

impl ClosedApp {
    /// Reserves a free port.
    ///
    /// # Errors
    /// If no port is free.
    pub fn bind() -> anyhow::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).context("application")?;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).context("application")?;
        let address = socket.local_addr()?.as_socket().context("an IP socket")?;
        Ok(Self { socket, address })
    }

    /// Address of a path: `http://127.0.0.1:port/path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Starts the application, which answers `path` with `reply` from its first request on.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn open(self, path: &str, reply: Reply) -> anyhow::Result<App> {
        let state = State {
            replies: BTreeMap::from([(path.to_owned(), vec![reply])]),
            ..State::default()
        };
        self.serve(state)
    }

    fn serve(self, state: State) -> anyhow::Result<App> {
        self.socket.listen(128).context("application")?;
        App::serve(self.socket.into(), state)
    }
}

/// A running application.
pub struct App {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl App {
    /// Starts it on a free port. It ends with the test process.
    ///
    /// # Errors
    /// If no port is free.
    pub fn start() -> anyhow::Result<Self> {
        ClosedApp::bind()?.serve(State::default())
    }

    fn serve(listener: TcpListener, state: State) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || serve(&stream, &state));
            }
        });
        Ok(Self { address, state })
    }

    /// Address of a path: `http://127.0.0.1:port/path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers `path` with `reply` from now on.
    pub fn on(&self, path: &str, reply: Reply) -> &Self {
        self.on_each(path, vec![reply])
    }

    /// Answers `path` with these replies in turn, and with the last one from then on.
    pub fn on_each(&self, path: &str, replies: Vec<Reply>) -> &Self {
        lock(&self.state).replies.insert(path.to_owned(), replies);
        self
    }

    /// The requests to `path` so far.
    pub fn requests(&self, path: &str) -> Vec<Request> {
        lock(&self.state)
            .requests
            .get(path)
            .cloned()
            .unwrap_or_default()
    }

    /// Waits for `count` requests to `path`, and returns them.
    ///
    /// # Errors
    /// If they do not arrive within `limit`; lists the actual requests.
    pub fn wait_for(
        &self,
        path: &str,
        count: usize,
        limit: Duration,
    ) -> anyhow::Result<Vec<Request>> {
        wait::until(&format!("{count} requests to {path}"), limit, || {
            let requests = self.requests(path);
            (requests.len() >= count).then_some(requests)
        })
        .with_context(|| format!("{:#?}", lock(&self.state).requests))
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers the requests on a connection until the server closes it.
fn serve(stream: &TcpStream, state: &Mutex<State>) {
    while let Ok(message) = http::read(stream) {
        if answer(stream, &message, state).is_none() {
            return;
        }
    }
}

fn answer(stream: &TcpStream, message: &Message, state: &Mutex<State>) -> Option<()> {
    let request = understand(message)?;
    let reply = {
        let mut state = lock(state);
        let before = state.requests.get(&request.path).map_or(0, Vec::len);
        let replies = state.replies.get(&request.path);
        let reply = replies
            .and_then(|list| list.get(before).or_else(|| list.last()))
            .cloned();
        state
            .requests
            .entry(request.path.clone())
            .or_default()
            .push(request);
        reply.unwrap_or_else(|| Reply::status(404))
    };
    thread::sleep(reply.delay);
    let answer = Message {
        start: format!("HTTP/1.1 {} -", reply.status),
        headers: vec![("Content-Type".to_owned(), reply.kind.to_owned())],
        body: reply.body,
    };
    // The server may have given up waiting.
    http::write(stream, &answer).ok()
}

fn understand(message: &Message) -> Option<Request> {
    let mut words = message.start.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut params = http::pairs(query);
    if message
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
    {
        params.extend(http::pairs(&message.text()));
    }
    Some(Request {
        method: method.to_owned(),
        path: path.to_owned(),
        params,
        headers: message.headers.clone(),
        at: Instant::now(),
    })
}
