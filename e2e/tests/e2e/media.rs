//! Calls with sound: who hears whom, and for how long.
//!
//! **Invariant: every party's tone is random per run**; levels and shares are judged by `e2e::tone`.

mod answering;
mod conference;
mod dial;
mod interjection;
mod keys;
mod mailbox;
mod pipecat;
mod prompts;
mod queue;
mod readme;
mod recording;
mod refer;
mod rehearsal;
mod relay;
mod replay;
mod screening;
mod several;
mod siprec;
mod speech;
mod streams;
mod transfer;
mod voicemail;
mod wideband;

use std::thread;
use std::time::Duration;

use e2e::phone::Setup;
use e2e::{App, Phone, Pitch, Server};

/// How long an application may wait for a request.
const SOON: Duration = Duration::from_secs(8);

/// Server, application and the caller `kim`, a registered client; `ann` also exists as a client.
struct Scene {
    server: Server,
    app: App,
    kim: Phone,
    kims: Pitch,
    anns: Pitch,
    music: Pitch,
}

impl Scene {
    /// A scene in which calls to `1000` run the document at `/v`.
    fn new() -> anyhow::Result<Self> {
        Self::with(|kim| kim)
    }

    /// The same with further settings for kim's phone.
    fn with(setup: impl FnOnce(Setup) -> Setup) -> anyhow::Result<Self> {
        Self::on(Server::start()?, setup)
    }

    /// The same with a different server.
    fn on(server: Server, setup: impl FnOnce(Setup) -> Setup) -> anyhow::Result<Self> {
        Self::sounding(server, setup, Pitch::random(3))
    }

    /// The same with these pitches: of kim, of ann, and of music.
    fn sounding(
        server: Server,
        setup: impl FnOnce(Setup) -> Setup,
        pitches: Vec<Pitch>,
    ) -> anyhow::Result<Self> {
        let app = App::start()?;
        let rest = server.rest();
        rest.client("kim", "kim-Secret-1")?;
        rest.client("ann", "ann-Secret-1")?;
        rest.number("1000", &app.url("/v"))?;
        let mut pitches = pitches.into_iter();
        let mut pitch = || {
            pitches
                .next()
                .unwrap_or_else(|| unreachable!("three were asked for"))
        };
        let (kims, anns, music) = (pitch(), pitch(), pitch());
        let kim = setup(Setup::new("kim").registers("kim-Secret-1")).start(&server, kims)?;
        Ok(Self {
            server,
            app,
            kim,
            kims,
            anns,
            music,
        })
    }

    /// Starts ann's phone, registered and configured by `setup`.
    fn ann(&self, setup: impl FnOnce(Setup) -> Setup) -> anyhow::Result<Phone> {
        setup(Setup::new("ann").registers("ann-Secret-1")).start(&self.server, self.anns)
    }
}

/// Lets both talk: the only wait of fixed length, that of the measurement.
fn talk(seconds: f64) {
    thread::sleep(Duration::from_secs_f64(seconds));
}
