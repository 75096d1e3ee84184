//! A separate PostgreSQL server for a test. It ends with its handle.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The user `nobody`: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;

/// The environment variable that switches these tests off.
const SETTING: &str = "PATCHCORD_TEST_POSTGRES";

/// A running server, possibly not ready yet.
pub struct Postgres {
    /// Address without a database name; a database named `postgres` exists.
    pub url: String,
    process: Child,
    _dir: tempfile::TempDir,
}

impl Postgres {
    /// Starts a server with an empty folder; `None` if `PATCHCORD_TEST_POSTGRES` is `skip`.
    ///
    /// # Panics
    /// If it cannot be started: a test that does not run must not pass unnoticed.
    pub fn required() -> Option<Self> {
        if std::env::var(SETTING).is_ok_and(|setting| setting == "skip") {
            eprintln!("skipped: {SETTING}=skip");
            return None;
        }
        Some(Self::start().unwrap_or_else(|reason| {
            panic!(
                "{reason}: install PostgreSQL (Debian: `apt-get install postgresql`; its service need not \
                 run), or set {SETTING}=skip"
            )
        }))
    }

    fn start() -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let data = dir.path().join("data");
        let is_root = unprivileged(dir.path());
        run(command("initdb", is_root)
            .args([
                "--auth=trust",
                "--username=test",
                "--no-sync",
                "--encoding=UTF8",
            ])
            .arg("--pgdata")
            .arg(&data))?;
        let port = free_port()?;
        let process = command("postgres", is_root)
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(dir.path())
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &port.to_string(),
                "-c",
                "fsync=off",
            ])
            .spawn()
            .map_err(|error| format!("`postgres` cannot be started: {error}"))?;
        Ok(Self {
            url: format!("postgres://test@127.0.0.1:{port}"),
            process,
            _dir: dir,
        })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Killed at once, it would leave its shared memory behind.
        let pid = self.process.id().to_string();
        let asked = Command::new("kill").args(["-QUIT", &pid]).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

/// Gives the folder to `nobody` if running as root; returns whether it is.
fn unprivileged(dir: &Path) -> bool {
    chown(dir, Some(NOBODY), Some(NOBODY)).is_ok()
}

fn command(program: &str, is_root: bool) -> Command {
    let mut command = Command::new(installed(program));
    command
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if is_root {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// The newest version in the folder where Debian puts these programs, or else the one in `PATH`.
fn installed(program: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let programs = versions
        .flatten()
        .map(|version| version.path().join("bin").join(program));
    programs
        .filter(|path| path.is_file())
        .max()
        .unwrap_or_else(|| PathBuf::from(program))
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{program}` failed: {status}")),
        Err(error) => Err(format!("`{program}` cannot be started: {error}")),
    }
}

fn free_port() -> Result<u16, String> {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    Ok(socket
        .local_addr()
        .map_err(|error| error.to_string())?
        .port())
}
