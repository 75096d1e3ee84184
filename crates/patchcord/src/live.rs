//! The traces of live calls: the server keeps them in memory, `patchcord calls show` asks for them.
//!
//! They are asked for over a Unix socket in the data folder, which only the server's user can enter: one
//! line with the identifier of a leg; the answer is what will be stored when the call is over, or nothing
//! if the leg is not live.

use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use call::Engine;
use model::CallSid;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

/// Longest time for a question and its answer.
const PATIENCE: Duration = Duration::from_secs(6);
/// Longest question.
const MAX_LINE: u64 = 64;

fn path(data: &Path) -> PathBuf {
    data.join("live.sock")
}

/// Answers until `stopped`. Without the socket, live calls cannot be shown; everything else works.
pub(crate) fn serve(
    data: &Path,
    engine: Engine,
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
                        let work = answer(stream, engine.clone());
                        tokio::spawn(tokio::time::timeout(PATIENCE, work));
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
async fn answer(mut stream: UnixStream, engine: Engine) -> Option<()> {
    let mut line = String::new();
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader.take(MAX_LINE));
    reader.read_line(&mut line).await.ok()?;
    let blob = engine.trace(line.trim_end().parse().ok()?).await?;
    writer.write_all(&blob).await.ok()
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
