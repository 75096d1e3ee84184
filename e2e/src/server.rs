//! The real server under test: `patchcord serve` on free ports with a throw-away data folder.
//!
//! **Invariant: only the documented contract is used** (flags, environment, ready line, signals, exit
//! code), so the same tests run against any build of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::Process;
use crate::rest::Rest;
use crate::wait;

/// First administrator of every server here.
pub const ADMIN_SID: &str = "AC00000000000000000000000000000e2e";
/// The administrator's API token.
pub const ADMIN_TOKEN: &str = "end-to-end-token";
/// SIP domain and digest realm.
pub const DOMAIN: &str = "e2e.test";

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(20);
/// How long a connection of another test may have the port of a server that starts again.
const TAKEN: Duration = Duration::from_secs(10);

/// A running server.
pub struct Server {
    process: Process,
    folder: TempDir,
    ready: Value,
    options: Options,
}

/// The settings of a server to start.
#[derive(Default)]
pub struct Options {
    config: Option<String>,
    environment: Vec<(String, String)>,
    flags: Vec<(String, String)>,
    survives_file_limit: bool,
    descriptors: Option<u32>,
    binary: Option<PathBuf>,
}

impl Options {
    /// Sets a program other than [`binary`].
    pub fn binary(mut self, path: PathBuf) -> Self {
        self.binary = Some(path);
        self
    }

    /// Turns reaching the process's limit for files (`RLIMIT_FSIZE`) into a failed write instead of
    /// its end.
    pub fn survives_file_limit(mut self) -> Self {
        self.survives_file_limit = true;
        self
    }

    /// How many file descriptors it may have.
    pub fn descriptors(mut self, count: u32) -> Self {
        self.descriptors = Some(count);
        self
    }

    /// Settings as the text of a TOML file.
    pub fn config(mut self, toml: &str) -> Self {
        self.config = Some(toml.to_owned());
        self
    }

    /// Adds an environment variable.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces a flag that all tests use.
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        self.flags.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the server and waits for its ready line.
    ///
    /// # Errors
    /// If it exits or stays silent; shows its log.
    pub fn start(self) -> anyhow::Result<Server> {
        let folder = tempfile::tempdir()?;
        let (process, ready) = self.spawn_ready(folder.path())?;
        Ok(Server {
            process,
            folder,
            ready,
            options: self,
        })
    }

    fn spawn_ready(&self, folder: &Path) -> anyhow::Result<(Process, Value)> {
        let (mut process, stdout) = self.spawn(folder)?;
        let line = wait::until("ready line", START, || {
            let text = std::fs::read_to_string(&stdout).unwrap_or_default();
            let line = text
                .lines()
                .next()
                .filter(|_| text.contains('\n'))
                .map(str::to_owned);
            line.or_else(|| process.ended().map(|status| format!("ended: {status}")))
        })
        .with_context(|| process.tail())?;
        let ready: Value =
            serde_json::from_str(&line).with_context(|| format!("{line}\n{}", process.tail()))?;
        if ready["ready"] != Value::Bool(true) {
            bail!("not ready: {line}");
        }
        Ok((process, ready))
    }

    /// Starts a server that is expected to refuse, and returns its exit status and standard error.
    ///
    /// # Errors
    /// If it does not exit.
    pub fn refused(self) -> anyhow::Result<(ExitStatus, String)> {
        let folder = tempfile::tempdir()?;
        let (mut process, _) = self.spawn(folder.path())?;
        let status = process.finish(START)?;
        Ok((status, process.tail()))
    }

    fn spawn(&self, folder: &Path) -> anyhow::Result<(Process, PathBuf)> {
        let binary = self.binary.clone().unwrap_or_else(binary);
        let limit = self.descriptors.map(|count| format!("ulimit -n {count}; "));
        let trap = self
            .survives_file_limit
            .then(|| "trap '' XFSZ; ".to_owned());
        let before = limit.into_iter().chain(trap).collect::<String>();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{before}exec \"$0\" \"$@\"")]);
        command.arg(binary);
        command = clean(command);
        command.arg("serve");
        for flag in ["--http", "--sip", "--metrics"] {
            let given = self.flags.iter().find(|(name, _)| name == flag);
            command
                .arg(flag)
                .arg(given.map_or("127.0.0.1:0", |(_, value)| value));
        }
        command
            .arg("--data")
            .arg(folder.join("data"))
            .env("PATCHCORD_ADMIN_SID", ADMIN_SID)
            .env("PATCHCORD_ADMIN_TOKEN", ADMIN_TOKEN)
            .env("PATCHCORD_DOMAIN", DOMAIN)
            .env("PATCHCORD_LOG__LEVEL", "debug")
            // Load tests and benches send more.
            .env("PATCHCORD_HTTP__MAX_REQUESTS_PER_MINUTE", "0")
            .env(
                "PATCHCORD_HTTP__MAX_REQUESTS_PER_MINUTE_PER_CREDENTIAL",
                "0",
            )
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(text) = &self.config {
            let path = folder.join("config.toml");
            std::fs::write(&path, text)?;
            command.arg("--config").arg(path);
        }
        let stdout = folder.join("stdout");
        let process = Process::start(command, &stdout, &folder.join("log"))?;
        Ok((process, stdout))
    }
}

/// Path of the program: `PATCHCORD_BIN`, or next to the test binary in the target folder.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("PATCHCORD_BIN") {
        return path.into();
    }
    let mut path = std::env::current_exe().unwrap_or_default();
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    path.join("patchcord")
}

/// The program, without the environment variables meant for the tests: it treats each `PATCHCORD_…`
/// as a setting and refuses unknown ones.
pub fn program() -> Command {
    clean(Command::new(binary()))
}

fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PATCHCORD_") {
            command.env_remove(name);
        }
    }
    command
}

impl Server {
    /// Starts a server with the settings common to all tests.
    ///
    /// # Errors
    /// As [`Options::start`].
    pub fn start() -> anyhow::Result<Self> {
        Options::default().start()
    }

    /// Kills it as a crash would (`kill -9`).
    ///
    /// # Errors
    /// If it does not exit.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.signal("KILL")?;
        self.process.finish(START)?;
        Ok(())
    }

    /// Stops it without ending it, as a machine that is suspended, or lets it continue.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub fn pause(&self, paused: bool) -> anyhow::Result<()> {
        self.process.signal(if paused { "STOP" } else { "CONT" })
    }

    /// Keeps files from growing beyond `bytes` from now on (`unlimited` lifts that), as a full disk
    /// would.
    ///
    /// # Errors
    /// If `prlimit` cannot be run.
    pub fn limit_files(&self, bytes: &str) -> anyhow::Result<()> {
        let status = Command::new("prlimit")
            .arg("--pid")
            .arg(self.process.id().to_string())
            .arg(format!("--fsize={bytes}:"))
            .status()?;
        anyhow::ensure!(status.success(), "prlimit: {status}");
        Ok(())
    }

    /// Restarts it after it has exited and kills it after this time, whatever it is doing.
    ///
    /// # Errors
    /// If it cannot be started or does not exit.
    pub fn crash_while_starting(&mut self, after: Duration) -> anyhow::Result<()> {
        self.keep_ports()?;
        (self.process, _) = self.options.spawn(self.folder.path())?;
        std::thread::sleep(after);
        self.kill()
    }

    /// Restarts it after it has exited: same data, same ports.
    ///
    /// # Errors
    /// As [`Options::start`].
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.keep_ports()?;
        let give_up = Instant::now() + TAKEN;
        loop {
            match self.options.spawn_ready(self.folder.path()) {
                Ok(started) => {
                    (self.process, self.ready) = started;
                    return Ok(());
                }
                // The system has given the port to a connection of another test meanwhile.
                Err(error)
                    if format!("{error:?}").contains("already in use")
                        && Instant::now() < give_up => {}
                Err(error) => return Err(error),
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn keep_ports(&mut self) -> anyhow::Result<()> {
        let http = self.ready["http"].as_str().unwrap_or_default();
        let http = http.trim_start_matches("http://").to_owned();
        let sip = self.sip_udp()?.to_string();
        let flags = [("--http", http), ("--sip", sip)];
        self.options.flags = flags
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        Ok(())
    }

    /// The ready line.
    pub fn ready(&self) -> &Value {
        &self.ready
    }

    /// Address of SIP over UDP.
    ///
    /// # Errors
    /// If the ready line has none.
    pub fn sip_udp(&self) -> anyhow::Result<SocketAddr> {
        self.sip("udp")
    }

    /// Address of SIP over TCP.
    ///
    /// # Errors
    /// If the ready line has none.
    pub fn sip_tcp(&self) -> anyhow::Result<SocketAddr> {
        self.sip("tcp")
    }

    fn sip(&self, transport: &str) -> anyhow::Result<SocketAddr> {
        let text = self.ready["sip"][transport].as_str();
        text.and_then(|text| text.parse().ok())
            .with_context(|| format!("no {transport} address in {}", self.ready))
    }

    /// The API as the first administrator.
    pub fn rest(&self) -> Rest {
        self.rest_as(ADMIN_SID, ADMIN_TOKEN)
    }

    /// The API as another account.
    pub fn rest_as(&self, account: &str, token: &str) -> Rest {
        Rest::new(
            self.ready["http"].as_str().unwrap_or_default(),
            account,
            token,
        )
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The last lines of its log.
    pub fn log(&self) -> String {
        self.process.tail()
    }

    /// Value of a metric in `/metrics`.
    ///
    /// # Errors
    /// If the metric does not exist.
    pub fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let url = self.ready["metrics"]
            .as_str()
            .context("no metrics address")?;
        let base = url.trim_end_matches("/metrics");
        let text = Rest::new(base, "", "")
            .send("GET", "/metrics", None)?
            .text();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok())
            .with_context(|| format!("no {name} in\n{text}"))
    }
}
