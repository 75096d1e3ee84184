//! What the command line asks of a running server: the traces of live calls and the state of routes for texts, which are in
//! its memory, and upkeep of data that it keeps look-ups of.
//!
//! The questions come over a Unix socket in the data folder, which only the server's user can enter: one
//! line with the identifier of a leg; the answer is what will be stored when the call is over, or nothing
//! if the leg is not live. Or the word `routes`; the answer is a line with JSON. Or a line with an order (`upkeep`); the answer begins with `+` if it was carried out, otherwise with `-`.

use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use call::Engine;
use model::{CallSid, MessageRouteSid};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::upkeep::{Order, Upkeep};
use crate::usage::WrongUsage;

/// Longest time for a question and its answer.
const PATIENCE: Duration = Duration::from_secs(6);
/// Longest question.
const MAX_LINE: u64 = 1_024;
/// Longest time for an order.
const UPKEEP_PATIENCE: Duration = Duration::from_secs(1_800);

/// Asks for the state of routes.
const ROUTES: &str = "routes";

/// Whether a route for texts can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RouteState {
    /// The route.
    pub(crate) sid: MessageRouteSid,
    /// Whether messages can leave by it now.
    pub(crate) is_up: bool,
    /// Why it is not, or was not the last time.
    pub(crate) problem: Option<String>,
}

fn path(data: &Path) -> PathBuf {
    data.join("live.sock")
}

/// What answers.
#[derive(Clone)]
pub(crate) struct Answers {
    pub(crate) engine: Engine,
    pub(crate) upkeep: Upkeep,
}

/// Answers until `stopped`. Without the socket, live calls cannot be shown; everything else works.
pub(crate) fn serve(
    data: &Path,
    answers: Answers,
    mut stopped: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let path = path(data);
    let listener = listen(&path);
    tokio::spawn(async move {
        let listener = match listener {
            Ok(listener) => listener,
            Err(error) => return warn!("`calls show` cannot show live calls: {error:#}"),
        };
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        tokio::spawn(answer(stream, answers.clone()));
                    }
                    // Too many open files, for example.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
                _ = stopped.changed() => break,
            }
        }
        // The next start removes what is left.
        let _ = std::fs::remove_file(&path);
    })
}

fn listen(path: &Path) -> Result<UnixListener> {
    let listen = || {
        if let Err(error) = std::fs::remove_file(path)
            && error.kind() != ErrorKind::NotFound
        {
            return Err(error);
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    listen().with_context(|| format!("cannot listen on {}", path.display()))
}

/// Answers one question; the connection is closed if it is not understood.
async fn answer(mut stream: UnixStream, answers: Answers) -> Option<()> {
    let mut line = String::new();
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader.take(MAX_LINE));
    let asked = tokio::time::timeout(PATIENCE, reader.read_line(&mut line));
    asked.await.ok()?.ok()?;
    let line = line.trim_end();
    let bytes = if let Some(order) = Order::of_line(line) {
        // It is carried out even if the command is interrupted.
        let work = tokio::spawn(async move { answers.upkeep.carry_out(&order).await });
        match work.await.ok()? {
            Ok(text) => format!("+{text}"),
            Err(error) => format!("-{}", crate::usage::sentence(&error)),
        }
        .into_bytes()
    } else if line == ROUTES {
        let routes = answers.engine.health_of_routes().into_iter();
        let routes = routes.map(|(sid, health)| RouteState {
            sid,
            is_up: health.is_up,
            problem: health.problem,
        });
        serde_json::to_vec(&routes.collect::<Vec<_>>()).ok()?
    } else {
        let trace = answers.engine.trace(line.parse().ok()?);
        tokio::time::timeout(PATIENCE, trace).await.ok()??
    };
    tokio::time::timeout(PATIENCE, writer.write_all(&bytes))
        .await
        .ok()?
        .ok()
}

/// Has the server that uses this data folder carry out an order.
pub(crate) async fn order(data: &Path, order: &Order) -> Result<String> {
    let asking = async {
        let mut stream = UnixStream::connect(path(data)).await?;
        stream
            .write_all(format!("{}\n", order.line()).as_bytes())
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(UPKEEP_PATIENCE, asking)
        .await
        .context("the server takes too long; its log says whether it has finished")?
        .with_context(|| {
            format!(
                "the server cannot be reached through {}; use its REST API instead",
                path(data).display()
            )
        })?;
    match answer.split_at_checked(1) {
        Some(("+", text)) => Ok(text.to_owned()),
        Some(("-", text)) => Err(WrongUsage(text.to_owned()).into()),
        Some(_) | None => Err(anyhow!("the server did not answer; its log says why")),
    }
}

/// The state of the routes of the server that uses this data folder; `None` if there is no such server.
pub(crate) async fn routes(data: &Path) -> Option<Vec<RouteState>> {
    let asking = async {
        let mut stream = UnixStream::connect(path(data)).await.ok()?;
        let line = format!("{ROUTES}\n");
        stream.write_all(line.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        serde_json::from_slice(&answer).ok()
    };
    tokio::time::timeout(PATIENCE, asking).await.ok()?
}

/// The trace of the first of these legs that is live on the server that uses this data folder; `None` if none is, or
/// there is no such server.
pub(crate) async fn trace(data: &Path, legs: impl IntoIterator<Item = CallSid>) -> Option<Vec<u8>> {
    let asking = async {
        for leg in legs {
            let mut stream = UnixStream::connect(path(data)).await.ok()?;
            stream.write_all(format!("{leg}\n").as_bytes()).await.ok()?;
            let mut blob = Vec::new();
            stream.read_to_end(&mut blob).await.ok()?;
            if !blob.is_empty() {
                return Some(blob);
            }
        }
        None
    };
    tokio::time::timeout(PATIENCE, asking).await.ok()?
}
