//! A child process that ends with its owner.
//!
//! **Invariant: only processes started here are ended, by their own id.** Standard output and error
//! go to files, so nothing blocks on a full pipe and failures can be examined afterwards.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;

use crate::wait;

/// A running child process.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with standard output in `stdout` and standard error in `log`.
    ///
    /// # Errors
    /// If the program is missing or a file cannot be made.
    pub fn start(mut command: Command, stdout: &Path, log: &Path) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let open = |path: &Path| File::create(path).with_context(|| path.display().to_string());
        let child = command
            .stdin(Stdio::null())
            .stdout(open(stdout)?)
            .stderr(open(log)?)
            .spawn()
            .with_context(|| format!("starting {name}; is it installed?"))?;
        Ok(Self {
            name,
            child,
            log: log.to_owned(),
        })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name (`TERM`, `KILL`).
    ///
    /// # Errors
    /// If `kill` cannot be run.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let target = self.child.id().to_string();
        Command::new("kill")
            .args(["-s", name, &target])
            .stderr(Stdio::null())
            .status()?;
        Ok(())
    }

    /// The exit status, if it has exited.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits until it exits by itself.
    ///
    /// # Errors
    /// If it does not within `limit`.
    pub fn finish(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let what = format!("end of {}", self.name);
        wait::until(&what, limit, || self.ended()).with_context(|| self.tail())
    }

    /// The last lines of its standard error.
    pub fn tail(&self) -> String {
        tail(&self.log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- {} ({}):\n{}", self.name, self.child.id(), self.tail());
        }
    }
}

/// The last lines of a file.
pub fn tail(path: &Path) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// The folder in which `scripts/setup` installs libraries and tools.
///
/// # Errors
/// If the environment names no home folder.
pub fn cache() -> anyhow::Result<PathBuf> {
    let folder = match std::env::var_os("XDG_CACHE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(std::env::var_os("HOME").context("no HOME")?).join(".cache"),
    };
    Ok(folder.join("patchcord"))
}
