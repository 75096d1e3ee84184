//! Recordings as MP3: made from the stored file by a program that the operator has installed.
//!
//! The result is kept beside the recording, so each is made once. **Invariant: at most [`AT_ONCE`] programs run, none longer than
//! [`PATIENCE`], and a file that is not complete is never served.** Left to others: removing the file with its recording
//! (`closing`, `retention`).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use model::RecordingSid;
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::closing::file_of;

/// Programs that run at the same time.
const AT_ONCE: usize = 2;
/// How long a request waits for one of them to end.
const WAIT: Duration = Duration::from_secs(10);
/// Longest time for a recording: an hour of speech takes a few seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// Programs that can do it, best first.
const PROGRAMS: [&str; 2] = ["lame", "ffmpeg"];

/// Makes MP3 files.
#[derive(Debug, Clone)]
pub struct Mp3Encoder {
    program: PathBuf,
    places: Arc<Semaphore>,
}

/// Why there is no MP3 file.
#[derive(Debug, thiserror::Error)]
pub enum Mp3Error {
    /// There is no recording to make it from.
    #[error("there is no recording to make it from")]
    Missing,
    /// Too many others are being made.
    #[error("too many others are being made")]
    Busy,
    /// The program failed.
    #[error("{0}")]
    Failed(String),
}

impl Mp3Encoder {
    /// The first program that is in one of these folders; `None` if there is none.
    ///
    /// - `folders`: as in the environment variable `PATH`
    #[must_use]
    pub fn find(folders: Option<OsString>) -> Option<Self> {
        let folders = folders?;
        let found = PROGRAMS.iter().find_map(|name| {
            let paths = std::env::split_paths(&folders).map(|folder| folder.join(name));
            paths.into_iter().find(|path| path.is_file())
        })?;
        Some(Self {
            program: found,
            places: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// The path of a recording as MP3, which is made if it is not there yet.
    ///
    /// # Errors
    /// [`Mp3Error`] if it cannot be made now.
    pub async fn file(&self, folder: &Path, sid: RecordingSid) -> Result<PathBuf, Mp3Error> {
        let wav = file_of(folder, sid);
        let made = wav.with_extension("mp3");
        let exists = async |path: &Path| tokio::fs::try_exists(path).await.unwrap_or(false);
        if !exists(&wav).await {
            return Err(Mp3Error::Missing);
        }
        if exists(&made).await {
            return Ok(made);
        }
        let place = timeout(WAIT, self.places.acquire()).await;
        let _place = place
            .map_err(|_| Mp3Error::Busy)?
            .map_err(|_| Mp3Error::Busy)?;
        if exists(&made).await {
            return Ok(made); // Made while this request waited.
        }
        let random: u64 = rand::random();
        let begun = wav.with_extension(format!("mp3.{random:016x}.part"));
        let encoded = self.encode(&wav, &begun).await;
        let finished = match encoded {
            Ok(()) => tokio::fs::rename(&begun, &made)
                .await
                .map_err(|error| error.to_string()),
            Err(why) => Err(why),
        };
        if let Err(why) = finished {
            let _ = tokio::fs::remove_file(&begun).await;
            return Err(Mp3Error::Failed(why));
        }
        // It may have been deleted meanwhile.
        if !exists(&wav).await {
            let _ = tokio::fs::remove_file(&made).await;
            return Err(Mp3Error::Missing);
        }
        Ok(made)
    }

    async fn encode(&self, from: &Path, to: &Path) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        if self.program.ends_with("lame") {
            command.args(["--quiet", "-V", "5"]).arg(from).arg(to);
        } else {
            command
                .args(["-nostdin", "-loglevel", "error", "-y", "-f", "wav", "-i"])
                .arg(from)
                .args(["-f", "mp3", "-q:a", "5"])
                .arg(to);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let output = match timeout(PATIENCE, command.output()).await {
            Err(_) => return Err(format!("it took longer than {} s", PATIENCE.as_secs())),
            Ok(Err(error)) => return Err(error.to_string()),
            Ok(Ok(output)) => output,
        };
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or_default();
        Err(format!("{}: {last}", output.status))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A program that copies, or fails if the recording holds `bad`.
    fn encoder(folder: &Path) -> Mp3Encoder {
        let program = folder.join("lame");
        let script = "#!/bin/sh\nif grep -q bad \"$4\"; then echo no good >&2; exit 3; fi\ncp \"$4\" \"$5\"\n";
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        Mp3Encoder::find(Some(folder.as_os_str().to_owned())).unwrap()
    }

    #[tokio::test]
    async fn a_file_is_made_once_and_never_shown_in_part() {
        let dir = tempfile::tempdir().unwrap();
        let (tools, folder) = (dir.path().join("tools"), dir.path().join("recordings"));
        std::fs::create_dir(&tools).unwrap();
        std::fs::create_dir(&folder).unwrap();
        assert!(Mp3Encoder::find(Some(tools.as_os_str().to_owned())).is_none());
        assert!(Mp3Encoder::find(None).is_none());
        let encoder = encoder(&tools);
        let sid = |n| RecordingSid::from_bytes([n; 16]);
        std::fs::write(file_of(&folder, sid(1)), "sound").unwrap();
        std::fs::write(file_of(&folder, sid(2)), "bad").unwrap();
        let made = encoder.file(&folder, sid(1)).await.unwrap();
        assert_eq!(std::fs::read(&made).unwrap(), b"sound");
        std::fs::write(&made, "kept").unwrap();
        let again = encoder.file(&folder, sid(1)).await.unwrap();
        assert_eq!(std::fs::read(again).unwrap(), b"kept");
        let failed = encoder.file(&folder, sid(2)).await.unwrap_err();
        let Mp3Error::Failed(why) = failed else {
            panic!("{failed:?}")
        };
        assert!(why.contains("no good"), "{why}");
        let missing = encoder.file(&folder, sid(3)).await.unwrap_err();
        assert!(matches!(missing, Mp3Error::Missing), "{missing:?}");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 3);
    }
}
