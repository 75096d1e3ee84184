//! sipp: a scripted SIP peer whose exit code says whether the server behaved as the scenario
//! expects.
//!
//! Scenarios are in `sipp/`, one per file, named by the outcome. **Invariant: a scenario ends by itself
//! or is ended at its limit**; its message log is shown when it fails.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::ports;
use crate::process::{self, Process};
use crate::server::{DOMAIN, Server};

/// How long a scenario may run by default.
const LIMIT: Duration = Duration::from_secs(12);

/// A scenario about to run.
pub struct Scenario {
    name: String,
    service: String,
    keys: Vec<(String, String)>,
    credentials: Option<(String, String)>,
    transport: &'static str,
    media: Option<Vec<u8>>,
    calls: u32,
    rate: u32,
    limit: Duration,
}

impl Scenario {
    /// - `name`: file in `sipp/` without `.xml`
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            service: "1000".to_owned(),
            keys: Vec::new(),
            credentials: None,
            transport: "u1",
            media: None,
            calls: 1,
            rate: 1,
            limit: LIMIT,
        }
    }

    /// The user that is called or registered (`[service]`).
    pub fn service(mut self, user: &str) -> Self {
        self.service = user.to_owned();
        self
    }

    /// A keyword of the scenario (`[name]`).
    pub fn key(mut self, name: &str, value: &str) -> Self {
        self.keys.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Digest user and password (`[authentication]`).
    pub fn credentials(mut self, user: &str, password: &str) -> Self {
        self.credentials = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// Uses one TCP connection.
    pub fn tcp(mut self) -> Self {
        self.transport = "t1";
        self
    }

    /// Headerless µ-law that `rtp_stream="tone.ulaw"` plays.
    pub fn media(mut self, ulaw: Vec<u8>) -> Self {
        self.media = Some(ulaw);
        self
    }

    /// `calls` calls in total, `rate` new ones per second, within `limit`.
    pub fn load(mut self, calls: u32, rate: u32, limit: Duration) -> Self {
        (self.calls, self.rate, self.limit) = (calls, rate, limit);
        self
    }

    /// Starts it; the port it listens on is known immediately, so it can be passed to another
    /// party.
    ///
    /// # Errors
    /// If sipp or the scenario is missing.
    pub fn start(self, server: &Server) -> anyhow::Result<Running> {
        let address = if self.transport == "t1" {
            server.sip_tcp()?
        } else {
            server.sip_udp()?
        };
        self.start_at(address)
    }

    fn start_at(self, address: SocketAddr) -> anyhow::Result<Running> {
        let folder = tempfile::tempdir()?;
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("sipp")
            .join(format!("{}.xml", self.name));
        if !file.exists() {
            bail!("no scenario {}", file.display());
        }
        let port = ports::free()?;
        let command = self.command(&folder, &file, &address.to_string(), port)?;
        let process = Process::start(
            command,
            &folder.path().join("stdout"),
            &folder.path().join("stderr"),
        )
        .with_context(|| self.name.clone())?;
        Ok(Running {
            name: self.name,
            port,
            limit: self.limit,
            process,
            folder,
        })
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// If it does not end as expected; shows the messages.
    pub fn run(self, server: &Server) -> anyhow::Result<()> {
        self.start(server)?.finish()
    }

    /// Runs it to its end against another peer than the server.
    ///
    /// # Errors
    /// If it does not end as expected; shows the messages.
    pub fn run_at(self, address: SocketAddr) -> anyhow::Result<()> {
        self.start_at(address)?.finish()
    }

    fn command(
        &self,
        folder: &TempDir,
        file: &Path,
        address: &str,
        port: u16,
    ) -> anyhow::Result<Command> {
        let path = folder.path();
        if let Some(media) = &self.media {
            std::fs::write(path.join("tone.ulaw"), media)?;
        }
        let mut command = Command::new("sipp");
        command.current_dir(path).arg(address).arg("-sf").arg(file);
        command.args([
            "-i",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-t",
            self.transport,
        ]);
        command.args([
            "-s",
            &self.service,
            "-m",
            &self.calls.to_string(),
            "-r",
            &self.rate.to_string(),
        ]);
        command.args([
            "-mp",
            &ports::block(4)?.to_string(),
            "-nostdin",
            "-default_behaviors",
            "none",
        ]);
        command.args([
            "-timeout",
            &format!("{}s", self.limit.as_secs()),
            "-timeout_error",
        ]);
        command.args(["-trace_err", "-error_file", "errors.log"]);
        if self.calls == 1 {
            command.args(["-trace_msg", "-message_file", "messages.log"]);
        }
        if let Some((user, password)) = &self.credentials {
            command.args(["-au", user, "-ap", password]);
        }
        command.args(["-key", "domain", DOMAIN]);
        for (name, value) in &self.keys {
            command.args(["-key", name, value]);
        }
        Ok(command)
    }
}

/// A running scenario.
pub struct Running {
    name: String,
    port: u16,
    limit: Duration,
    process: Process,
    folder: TempDir,
}

impl Running {
    /// Port on 127.0.0.1 that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it failed; shows the messages.
    pub fn finish(mut self) -> anyhow::Result<()> {
        let ended = self.process.finish(self.limit + Duration::from_secs(5));
        let story = || {
            let show = |name: &str| process::tail(&self.file(name));
            format!(
                "scenario {}\n{}\n{}",
                self.name,
                show("errors.log"),
                show("messages.log")
            )
        };
        let status = ended.with_context(story)?;
        if status.success() {
            return Ok(());
        }
        bail!("{status}: {}", story());
    }

    /// The messages so far; empty under load.
    pub fn messages(&self) -> String {
        std::fs::read_to_string(self.file("messages.log")).unwrap_or_default()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
