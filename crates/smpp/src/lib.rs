//! SMPP links: one task with a socket around each `smpp_proto::Session`.
//!
//! **Invariant: the task never waits for anything but its socket, its timer and its commands**; what came is
//! handed over through a channel without a limit, since the session limits what is unanswered.

#![forbid(unsafe_code)]

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use smpp_proto::session::Key;
use smpp_proto::{Event, Output, Session, SessionSettings, Submission};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::sleep_until;
use tokio_rustls::TlsConnector;

/// Bytes read at once.
const READ: usize = 64 * 1024;

/// Where a link leads.
#[derive(Clone, Debug)]
pub struct LinkSettings {
    /// Name or address of the SMSC.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// For an encrypted connection; see [`tls`].
    pub tls: Option<Arc<ClientConfig>>,
    /// The session.
    pub session: SessionSettings,
}

/// Settings for encrypted connections: certificates must be signed by an authority that the system trusts.
///
/// # Errors
/// The library's text if it has no usable versions of TLS.
pub fn tls() -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    Ok(Arc::new(
        builder.with_root_certificates(roots).with_no_client_auth(),
    ))
}

enum Command {
    Submit(Submission),
    Acknowledge(Key, u32),
}

/// Handle to a link. When it is dropped, the link unbinds.
#[derive(Debug)]
pub struct Link {
    commands: mpsc::UnboundedSender<Command>,
}

impl Link {
    /// Connects, and stays connected. Must be called within a tokio runtime.
    ///
    /// - `events`: called for everything that happens; must not block.
    #[must_use]
    pub fn spawn(settings: LinkSettings, events: impl FnMut(Event) + Send + 'static) -> Self {
        let (commands, inbox) = mpsc::unbounded_channel();
        tokio::spawn(run(settings, inbox, events));
        Self { commands }
    }

    /// Submits a text → [`Event::Answered`].
    pub fn submit(&self, submission: Submission) {
        // The task lives as long as this handle.
        let _ = self.commands.send(Command::Submit(submission));
    }

    /// Answers a received message.
    pub fn acknowledge(&self, key: Key, status: u32) {
        let _ = self.commands.send(Command::Acknowledge(key, status));
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>>;

/// The connection of a link.
enum Connection {
    None,
    Connecting(Connecting),
    Open(Box<dyn Stream>),
}

async fn connect(settings: LinkSettings) -> io::Result<Box<dyn Stream>> {
    let socket = TcpStream::connect((settings.host.as_str(), settings.port)).await?;
    socket.set_nodelay(true)?;
    let Some(tls) = settings.tls else {
        return Ok(Box::new(socket));
    };
    let name = ServerName::try_from(settings.host).map_err(io::Error::other)?;
    let stream = TlsConnector::from(tls).connect(name, socket).await?;
    Ok(Box::new(stream))
}

async fn run(
    settings: LinkSettings,
    mut inbox: mpsc::UnboundedReceiver<Command>,
    mut events: impl FnMut(Event),
) {
    let mut session = Session::new(settings.session.clone(), Instant::now());
    let mut connection = Connection::None;
    let mut out = BytesMut::new();
    let mut unflushed = false;
    let mut buffer = vec![0; READ];
    let mut has_owner = true;
    loop {
        while let Some(output) = session.poll_output() {
            match output {
                Output::Connect => {
                    connection = Connection::Connecting(Box::pin(connect(settings.clone())));
                }
                Output::Send(bytes) => out.extend_from_slice(&bytes),
                Output::Close => {
                    farewell(&mut connection, &mut out).await;
                    connection = Connection::None;
                }
                Output::Event(event) => events(event),
            }
        }
        if session.is_stopped() {
            return;
        }
        let timer = session.poll_timeout();
        tokio::select! {
            command = inbox.recv(), if has_owner => match command {
                Some(Command::Submit(submission)) => session.submit(submission, Instant::now()),
                Some(Command::Acknowledge(key, status)) => session.acknowledge(key, status),
                None => {
                    has_owner = false;
                    session.stop(Instant::now());
                }
            },
            happened = progress(&mut connection, &mut out, &mut unflushed, &mut buffer) => match happened {
                Ok(Progress::Connected(stream)) => {
                    connection = Connection::Open(stream);
                    out.clear();
                    unflushed = false;
                    session.handle_connected(Instant::now());
                }
                Ok(Progress::Read(0)) => {
                    connection = Connection::None;
                    session.handle_closed("the SMSC closed the connection", Instant::now());
                }
                Ok(Progress::Read(count)) => session.handle_bytes(&buffer[..count], Instant::now()),
                Ok(Progress::Written) => {}
                Err(error) => {
                    connection = Connection::None;
                    session.handle_closed(&error.to_string(), Instant::now());
                }
            },
            () = async {
                match timer {
                    Some(at) => sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            } => session.handle_timeout(Instant::now()),
        }
    }
}

/// What a connection did.
enum Progress {
    Connected(Box<dyn Stream>),
    /// So many bytes; 0: the other side has closed it.
    Read(usize),
    Written,
}

/// Waits for the connection. Dropping the future loses nothing.
async fn progress(
    connection: &mut Connection,
    out: &mut BytesMut,
    unflushed: &mut bool,
    buffer: &mut [u8],
) -> io::Result<Progress> {
    match connection {
        Connection::None => std::future::pending().await,
        Connection::Connecting(connecting) => Ok(Progress::Connected(connecting.as_mut().await?)),
        Connection::Open(stream) => {
            let (mut read, mut write) = tokio::io::split(stream);
            let has_more = !out.is_empty() || *unflushed;
            let writing = async {
                // TLS may keep what was written; it goes with the next poll, whatever was read meanwhile.
                if out.is_empty() {
                    write.flush().await?;
                    *unflushed = false;
                } else {
                    write.write_buf(out).await?;
                    *unflushed = true;
                }
                io::Result::Ok(Progress::Written)
            };
            tokio::select! {
                count = read.read(buffer) => Ok(Progress::Read(count?)),
                written = writing, if has_more => written,
            }
        }
    }
}

/// Sends what is left, such as the answer to `unbind`, if the socket takes it at once.
async fn farewell(connection: &mut Connection, out: &mut BytesMut) {
    if let Connection::Open(stream) = connection {
        let patience = std::time::Duration::from_millis(500);
        let _ = tokio::time::timeout(patience, async {
            stream.write_all(out).await?;
            stream.shutdown().await
        })
        .await;
    }
    out.clear();
}
