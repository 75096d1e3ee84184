//! The server under load, as measured by the benches.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::ua::Ua;
use crate::server::{Options, Server};
use crate::{App, Reply};

/// A server with calls to one number.
pub struct Load {
    /// The server.
    pub server: Server,
    /// The user agent that places all calls.
    pub ua: Ua,
    calls: usize,
    _app: App,
}

impl Load {
    /// Starts a server and places this many calls, `rate` new ones per second, which all run the same
    /// document.
    ///
    /// # Errors
    /// If a process does not start, or a call fails.
    pub fn start(document: &str, calls: usize, rate: f64) -> anyhow::Result<Self> {
        Self::start_each(&[document], calls, rate)
    }

    /// The same with a document per call, in the order of the calls; the last one is also that of all
    /// further calls.
    ///
    /// # Errors
    /// If a process does not start, or a call fails.
    pub fn start_each(
        documents: &[impl AsRef<str>],
        calls: usize,
        rate: f64,
    ) -> anyhow::Result<Self> {
        let app = App::start()?;
        let replies = documents.iter().map(|it| Reply::document(it.as_ref()));
        app.on_each("/v", replies.collect());
        let mut ua = Ua::bind()?;
        let trunk = ua.local();
        let config =
            format!("[[trunk]]\nname = 'load'\nuri = '{trunk}'\naddresses = ['127.0.0.1']\n");
        let server = Options::default()
            .config(&config)
            .variable("PATCHCORD_LOG__LEVEL", "warn")
            .start()?;
        ua.connect(server.sip_udp()?);
        server.rest().number("1000", &app.url("/v"))?;
        ua.build_up("1000", calls, rate)
            .with_context(|| server.log())?;
        Ok(Self {
            server,
            ua,
            calls,
            _app: app,
        })
    }

    /// Hangs up all calls.
    ///
    /// # Errors
    /// If a call has already ended.
    pub fn end(&mut self) -> anyhow::Result<()> {
        ensure!(
            self.ua.talking() == self.calls,
            "only {} of {} calls were still up\n{}",
            self.ua.talking(),
            self.calls,
            self.server.log()
        );
        self.ua.hang_up_older(Duration::ZERO);
        self.ua.pump(Duration::from_secs(1))
    }
}
