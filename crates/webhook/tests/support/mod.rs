//! A web server for tests: it records its requests and gives the answers it is told to give.

#![allow(dead_code, reason = "every test file uses a part of it")]

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::AccountSid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use webhook::{AddressPolicy, FetchConfig, FetchRequest, Fetcher, Keyring, KeyringError, Secrets};

/// A request that the server received.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    /// `POST /target body`.
    pub(crate) fn line(&self) -> String {
        format!("{} {} {}", self.method, self.target, self.body)
            .trim_end()
            .to_owned()
    }
}

/// The bytes of a response.
pub(crate) fn reply(status: u16, headers: &[&str], body: &str) -> Vec<u8> {
    let mut text = format!(
        "HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n",
        body.len()
    );
    for header in headers {
        text.push_str(&format!("{header}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

pub(crate) type Answer = Pin<Box<dyn Future<Output = Vec<u8>> + Send>>;
pub(crate) type Handler = Arc<dyn Fn(Asked) -> Answer + Send + Sync>;

/// A running server; it ends with the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// A server whose answers are immediate.
    pub(crate) async fn start(answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::slow(move |asked| {
            let bytes = answer(&asked);
            async move { bytes }
        })
        .await
    }

    /// A server whose answers may take time.
    pub(crate) async fn slow<F>(answer: impl Fn(Asked) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Vec<u8>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |asked| Box::pin(answer(asked)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let notes = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&handler), Arc::clone(&notes)));
            }
        });
        Self { address, asked }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("not poisoned").clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }
}

/// Answers the requests of one connection, until an answer is empty.
pub(crate) async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    handler: Handler,
    notes: Arc<Mutex<Vec<Asked>>>,
) {
    let mut buffer = Vec::new();
    while let Some(asked) = read(&mut stream, &mut buffer).await {
        notes.lock().expect("not poisoned").push(asked.clone());
        let answer = handler(asked).await;
        if answer.is_empty() || stream.write_all(&answer).await.is_err() {
            return;
        }
        if !answer.starts_with(b"HTTP/1.1 ") || is_unfinished(&answer) {
            tokio::time::sleep(Duration::from_secs(3)).await;
            return;
        }
    }
}

/// Whether a response announces more bytes than it has.
fn is_unfinished(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return true;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    length.and_then(|text| text.parse().ok()).unwrap_or(0) > body.len()
}

async fn read(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Option<Asked> {
    loop {
        if let Some((asked, used)) = parse(buffer) {
            buffer.drain(..used);
            return Some(asked);
        }
        let mut piece = [0; 4096];
        let length = stream
            .read(&mut piece)
            .await
            .ok()
            .filter(|length| *length > 0)?;
        buffer.extend_from_slice(&piece[..length]);
    }
}

fn parse(buffer: &[u8]) -> Option<(Asked, usize)> {
    let text = std::str::from_utf8(buffer).ok()?;
    let (head, rest) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, text)| text.parse().ok()).unwrap_or(0);
    let body = rest.get(..length)?.to_owned();
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    Some((
        Asked {
            method,
            target,
            headers,
            body,
        },
        head.len() + 4 + length,
    ))
}

/// The same two secrets for every account.
pub(crate) struct OneKey;

#[async_trait::async_trait]
impl Keyring for OneKey {
    async fn secrets(&self, _: AccountSid) -> Result<Option<Secrets>, KeyringError> {
        Ok(Some(Secrets {
            primary: "12345".to_owned(),
            secondary: Some("54321".to_owned()),
        }))
    }
}

/// As [`OneKey`], after this many failed requests.
pub(crate) struct LateKey(pub(crate) AtomicU32);

#[async_trait::async_trait]
impl Keyring for LateKey {
    async fn secrets(&self, account: AccountSid) -> Result<Option<Secrets>, KeyringError> {
        let less = |left: u32| left.checked_sub(1);
        let order = Ordering::SeqCst;
        if self.0.fetch_update(order, order, less).is_ok() {
            return Err(KeyringError("the database is unavailable".to_owned()));
        }
        OneKey.secrets(account).await
    }
}

/// A fetcher with short timeouts.
pub(crate) fn fetcher() -> Fetcher {
    Fetcher::new(quick()).expect("TLS")
}

/// Settings with short timeouts and small limits.
pub(crate) fn quick() -> FetchConfig {
    FetchConfig {
        timeout: Duration::from_millis(300),
        total_timeout: Duration::from_millis(900),
        max_document: 1000,
        max_media: 5000,
        ..FetchConfig::default()
    }
}

/// A request that may reach this machine.
pub(crate) fn request(method: model::HttpMethod, url: &str) -> FetchRequest {
    FetchRequest {
        policy: AddressPolicy { private_ok: true },
        ..FetchRequest::new(method, url)
    }
}
