//! A real mail server: aiosmtpd, in a process of its own.
//!
//! **Invariant: a mail that it has accepted is on disk before it says so**, also if it is ended right afterwards.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Process, cache};
use crate::wait;

/// How long it may take to listen.
const START: Duration = Duration::from_secs(10);

/// A mail that was accepted.
#[derive(Clone, Debug)]
pub struct Mail(Value);

/// A part of a mail.
#[derive(Clone, Debug)]
pub struct Part {
    /// MIME type.
    pub kind: String,
    /// File name, if it is attached.
    pub name: Option<String>,
    /// Decoded content.
    pub content: Vec<u8>,
}

/// A running mail server.
pub struct MailServer {
    process: Option<Process>,
    folder: TempDir,
    options: Value,
    port: u16,
}

impl MailServer {
    /// Starts one without encryption and passwords.
    ///
    /// # Errors
    /// If aiosmtpd is not installed or does not start.
    pub fn start() -> anyhow::Result<Self> {
        Self::with(json!({}))
    }

    /// Starts one that requires STARTTLS with a certificate of its own, and these credentials.
    ///
    /// # Errors
    /// As [`MailServer::start`]; also if openssl is missing.
    pub fn with_starttls(user: &str, password: &str) -> anyhow::Result<Self> {
        Self::encrypted(json!({ "require_tls": true, "user": user, "password": password }))
    }

    /// Starts one that speaks TLS from the first byte, and requires these credentials.
    ///
    /// # Errors
    /// As [`MailServer::with_starttls`].
    pub fn with_tls(user: &str, password: &str) -> anyhow::Result<Self> {
        Self::encrypted(json!({ "tls": true, "user": user, "password": password }))
    }

    fn encrypted(mut options: Value) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (cert, key) = (
            folder.path().join("cert.pem"),
            folder.path().join("key.pem"),
        );
        let status = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ])
            .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&cert)
            .output()?;
        ensure!(
            status.status.success(),
            "openssl: {}",
            String::from_utf8_lossy(&status.stderr)
        );
        options["cert"] = json!(cert);
        options["key"] = json!(key);
        Self::run(folder, options)
    }

    fn with(options: Value) -> anyhow::Result<Self> {
        Self::run(tempfile::tempdir()?, options)
    }

    fn run(folder: TempDir, options: Value) -> anyhow::Result<Self> {
        std::fs::create_dir(folder.path().join("mails"))?;
        let mut server = Self {
            process: None,
            folder,
            options,
            port: 0,
        };
        server.start_again()?;
        Ok(server)
    }

    /// Starts it again at the same port after [`MailServer::stop`].
    ///
    /// # Errors
    /// As [`MailServer::start`].
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.options["port"] = json!(self.port);
        let python = cache()?.join("venv/bin/python");
        let mut command = Command::new(python);
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk/mail_server.py"))
            .arg(self.folder.path().join("mails"))
            .arg(self.options.to_string());
        let stdout = self.folder.path().join("stdout");
        let log = self.folder.path().join("log");
        let process = Process::start(command, &stdout, &log)?;
        self.port = wait::until("the port of the mail server", START, || {
            std::fs::read_to_string(&stdout).ok()?.trim().parse().ok()
        })
        .with_context(|| process.tail())?;
        self.process = Some(process);
        Ok(())
    }

    /// Ends it; connections to its port are refused.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// The section `[mail]` of a configuration that uses it.
    pub fn config(&self) -> String {
        let mut lines = vec![
            "[mail]".to_owned(),
            "server = \"localhost\"".to_owned(),
            format!("port = {}", self.port),
            "first_wait_s = 1".to_owned(),
            // As they were recorded, also where `lame` is installed.
            "mp3 = false".to_owned(),
        ];
        let tls = self.options["tls"] == json!(true);
        let security = match self.options.get("cert") {
            Some(_) if tls => "tls",
            Some(_) => "starttls",
            None => "none",
        };
        lines.push(format!("security = \"{security}\""));
        for (name, key) in [
            ("ca", "cert"),
            ("username", "user"),
            ("password", "password"),
        ] {
            if let Some(value) = self.options.get(key) {
                lines.push(format!("{name} = {value}"));
            }
        }
        lines.join("\n") + "\n"
    }

    /// The mails that were accepted so far, in order.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn mails(&self) -> anyhow::Result<Vec<Mail>> {
        let folder = std::fs::read_dir(self.folder.path().join("mails"))?;
        let mut paths: Vec<PathBuf> = folder.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
        paths.sort();
        let read = |path: PathBuf| Ok(Mail(serde_json::from_slice(&std::fs::read(path)?)?));
        paths.into_iter().map(read).collect()
    }

    /// Waits until so many mails were accepted.
    ///
    /// # Errors
    /// After `limit`.
    pub fn wait_for(&self, count: usize, limit: Duration) -> anyhow::Result<Vec<Mail>> {
        let what = format!("{count} mails");
        wait::until(&what, limit, || {
            self.mails().ok().filter(|mails| mails.len() >= count)
        })
    }
}

impl Mail {
    /// Sender of the envelope.
    pub fn sender(&self) -> &str {
        self.0["from"].as_str().unwrap_or_default()
    }

    /// Recipients of the envelope.
    pub fn recipients(&self) -> Vec<&str> {
        let all = self.0["to"].as_array();
        all.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// Whether it came over TLS, with credentials that were accepted.
    pub fn protection(&self) -> (bool, bool) {
        let is = |name: &str| self.0[name] == json!(true);
        (is("encrypted"), is("authenticated"))
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.0["headers"].as_array()?;
        let found = headers.iter().find(|header| {
            header[0]
                .as_str()
                .is_some_and(|known| known.eq_ignore_ascii_case(name))
        });
        found?[1].as_str()
    }

    /// Its parts that are not made of others.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn parts(&self) -> anyhow::Result<Vec<Part>> {
        let Some(parts) = self.0["parts"].as_array() else {
            bail!("no parts in {}", self.0);
        };
        let read = |part: &Value| {
            let text = part["content"].as_str().unwrap_or_default();
            Ok(Part {
                kind: part["type"].as_str().unwrap_or_default().to_owned(),
                name: part["name"].as_str().map(str::to_owned),
                content: base64::prelude::BASE64_STANDARD.decode(text)?,
            })
        };
        parts.iter().map(read).collect()
    }

    /// The text of its first part, with the line ends of the system.
    ///
    /// # Errors
    /// If there is none.
    pub fn text(&self) -> anyhow::Result<String> {
        let parts = self.parts()?;
        let first = parts.first().context("no part")?;
        Ok(String::from_utf8(first.content.clone())?.replace("\r\n", "\n"))
    }
}
