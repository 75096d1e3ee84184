//! `patchcord demo`: a real call through the real server, and its ladder.
//!
//! Starts the server on a throw-away data folder and free ports, a web application, and two phones;
//! sets up clients and a number over the REST API as any user would; alice calls the number, its
//! document dials bob, both play a tone and listen. **Invariant: the last line states who
//! measurably heard whom, and the exit code is 0 only if both did and all records are complete.**

mod app;
mod ladder;
mod picture;
mod rest;
mod screen;
mod stay;

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use call_proto::Entry;
use phone::{Call, Heard, Phone, PhoneConfig, WhenCalled};
use rand::Rng as _;
use store::Inspect;

use crate::config::{self, Config, Flags};
use crate::ladder::Style;
use crate::serve::{self, Running};
use crate::shutdown;

use app::App;
use ladder::Story;
use rest::{CallRow, Rest};
use screen::Screen;

/// The number that alice calls.
const NUMBER: &str = "+1000";
const DOMAIN: &str = "patchcord";
/// Sound before both ends have settled is not measured.
const SETTLE: Duration = Duration::from_millis(300);
const TALK: Duration = Duration::from_secs(3);
/// Longest wait for anything that should happen immediately.
const PATIENCE: Duration = Duration::from_secs(15);
/// The criteria for hearing: share of frames with the other's tone, and how far below it an echo of
/// its own tone must stay, in dB.
const ENOUGH: f64 = 0.95;
const ECHO_BELOW_DB: f64 = 30.0;

/// The party at each end.
const NAMES: [&str; 2] = ["alice", "bob"];

/// Everything that runs during the demo.
struct Stage {
    data: tempfile::TempDir,
    server: Running,
    app: App,
    rest: Rest,
    passwords: [String; 2],
    phones: [Phone; 2],
}

/// The sound heard at both ends.
struct Outcome {
    from: SystemTime,
    heard: [Heard; 2],
}

/// Runs the demo, and with `stay` keeps the server until a signal.
///
/// # Errors
/// If a part does not start, the two do not hear each other, or a record is incomplete.
pub(crate) async fn run(stay: bool) -> Result<()> {
    let screen = Screen::new();
    let mut stages = shutdown::watch_signals().context("signal handlers")?;
    let work = async {
        let stage = set_up(&screen, stages.clone()).await?;
        let outcome = play(&screen, &stage).await;
        let told = match &outcome {
            Ok(outcome) => tell(&screen, &stage, outcome).await,
            Err(_) => Ok(()),
        };
        Ok::<_, anyhow::Error>((stage, outcome.map(|_| ()).and(told)))
    };
    let mut interrupted = stages.clone();
    let (stage, outcome) = tokio::select! {
        done = work => done?,
        () = shutdown::reached(&mut interrupted, shutdown::Stage::Draining) => bail!("interrupted"),
    };
    if stay {
        stay::explain(&screen, &stage);
        shutdown::reached(&mut stages, shutdown::Stage::Draining).await;
    }
    let Stage { server, phones, .. } = stage;
    drop(phones);
    server.stop().await;
    outcome
}

/// Starts everything and creates what a user would create.
async fn set_up(
    screen: &Screen,
    stages: tokio::sync::watch::Receiver<shutdown::Stage>,
) -> Result<Stage> {
    let data = tempfile::tempdir().context("cannot create a temporary folder")?;
    let config = configuration(data.path())?;
    let server = serve::start(config, stages).await?;
    screen.step(&format!(
        "server: API on http://{}, SIP on {}, empty database",
        server.http, server.sip.udp
    ));
    let app = App::start().await?;
    screen.step(&format!("application: serves documents on {}", app.base()));

    let rest = Rest::new(server.http, server.administrator.sid, data.path())?;
    let passwords = [password(), password()];
    for (name, password) in NAMES.iter().zip(&passwords) {
        rest.create_client(name, password).await?;
    }
    rest.create_number(NUMBER, &app.voice_url()).await?;
    screen.step(&format!(
        "API: clients alice and bob, number {NUMBER} -> {}",
        app.voice_url()
    ));

    let tones = tones();
    let [alice, bob] = &passwords;
    let phones = [
        phone(&server, NAMES[0], alice, tones[0]).await?,
        phone(&server, NAMES[1], bob, tones[1]).await?,
    ];
    screen.step(&format!(
        "phones: alice plays {} Hz, bob {} Hz; both registered with digest over SIP/UDP",
        tones[0], tones[1]
    ));
    Ok(Stage {
        data,
        server,
        app,
        rest,
        passwords,
        phones,
    })
}

/// The default configuration, with free ports, a temporary folder and a quiet log.
fn configuration(data: &Path) -> Result<Config> {
    let free = Some("127.0.0.1:0".to_owned());
    let flags = Flags {
        file: None,
        data: Some(data.display().to_string()),
        http: free.clone(),
        sip: free.clone(),
        metrics: free,
        dev: Some("true".to_owned()),
    };
    let quiet = ("PATCHCORD_LOG__LEVEL".to_owned(), "warn".to_owned());
    let config = config::load(&flags, [quiet])?;
    crate::logging::start(&config.log);
    Ok(config)
}

/// Two tones far apart, neither near the ring tone.
fn tones() -> [f64; 2] {
    let mut random = rand::rng();
    let low = random.random_range(55..=75) * 10;
    let high = random.random_range(100..=150) * 10;
    let (low, high) = (f64::from(low), f64::from(high));
    if random.random() {
        [low, high]
    } else {
        [high, low]
    }
}

/// A password strong enough for the API.
fn password() -> String {
    let mut random = rand::rng();
    format!(
        "Demo-{:08x}-{:04X}",
        random.random::<u32>(),
        random.random::<u16>()
    )
}

async fn phone(server: &Running, name: &str, password: &str, tone_hz: f64) -> Result<Phone> {
    let phone = Phone::start(PhoneConfig {
        tone_hz,
        when_called: WhenCalled::Answer(Duration::from_millis(800)),
        ..PhoneConfig::new(name, password, DOMAIN, server.sip.udp)
    })
    .await?;
    let registered = phone.register(Duration::from_secs(300)).await;
    registered.with_context(|| format!("{name} could not register"))?;
    Ok(phone)
}

/// The call itself.
async fn play(screen: &Screen, stage: &Stage) -> Result<Outcome> {
    let [alice, bob] = &stage.phones;
    let from = SystemTime::now();
    screen.step(&format!("alice calls {NUMBER}"));
    let at_alice = alice.call(NUMBER).await?;
    let at_bob = in_time("bob's phone does not ring", bob.incoming()).await??;
    screen.step("bob's phone rings");
    in_time("bob's answer is lost", at_bob.answered())
        .await?
        .map_err(gone)?;
    in_time("alice gets no answer", at_alice.answered())
        .await?
        .map_err(gone)?;
    screen.step("bob answers; both play their tones and listen");
    tokio::time::sleep(SETTLE).await;
    for call in [&at_alice, &at_bob] {
        call.mark();
    }
    tokio::time::sleep(TALK).await;
    let heard = [heard(&at_alice, bob), heard(&at_bob, alice)];
    screen.step("bob hangs up");
    at_bob.hang_up();
    in_time("bob's BYE is not answered", at_bob.over()).await?;
    in_time("alice's call does not end", at_alice.over()).await?;
    Ok(Outcome { from, heard })
}

fn heard(call: &Call, peer: &Phone) -> Heard {
    call.heard(peer.tone_hz())
}

fn gone(event: phone::CallEvent) -> anyhow::Error {
    anyhow::anyhow!("the call ended early: {event:?}")
}

async fn in_time<T>(problem: &str, work: impl Future<Output = T>) -> Result<T> {
    let done = tokio::time::timeout(PATIENCE, work).await;
    done.with_context(|| format!("{problem} within {} s", PATIENCE.as_secs()))
}

/// Prints everything known about the call, and the verdict last.
async fn tell(screen: &Screen, stage: &Stage, outcome: &Outcome) -> Result<()> {
    let calls = stage.rest.completed_calls(PATIENCE).await?;
    let trace = trace(stage.data.path(), &calls).await?;
    let mut story = Story::new(outcome.from);
    for (at, phone) in stage.phones.iter().enumerate() {
        story.add_sip(at, &phone.seen());
        story.add_rtp(at, &outcome.heard);
    }
    story.add_http(&stage.app.requests());
    story.add_trace(&trace, |sid| {
        let leg = calls.iter().find(|call| call.sid == sid.to_string())?;
        Some(NAMES[usize::from(!leg.parent.is_empty())].to_owned())
    });
    screen.print("\n");
    screen.print(&story.draw(Style::of_output()));
    screen.print(&picture::sound(&stage.phones, &outcome.heard));
    screen.print(&picture::records(&calls));
    screen.print(&picture::action(&stage.app.requests()));
    let complete = calls.iter().all(CallRow::is_completed) && calls.len() == 2;
    let tones = [stage.phones[0].tone_hz(), stage.phones[1].tone_hz()];
    let (line, both) = verdict(tones, &outcome.heard);
    screen.print(&format!("\n{line}\n"));
    match (both, complete) {
        (true, true) => Ok(()),
        (false, _) => bail!("they did not hear each other"),
        (true, false) => bail!("a call record is not completed"),
    }
}

/// The trace of the caller's leg, once it is stored.
async fn trace(data: &Path, calls: &[CallRow]) -> Result<Vec<Entry>> {
    let Some(root) = calls.iter().find(|call| call.parent.is_empty()) else {
        return Ok(Vec::new());
    };
    let sid = root
        .sid
        .parse()
        .context("the API returned an unexpected call SID")?;
    let url = format!("sqlite:{}", data.join("patchcord.db").display());
    let inspect = Inspect::open(&url).await?;
    for _ in 0..50 {
        if let Some(blob) = inspect.trace(sid).await? {
            return call::unpack_trace(&blob).context("the trace cannot be read");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(Vec::new())
}

/// Who heard whom, and whether both did.
fn verdict(tones: [f64; 2], heard: &[Heard; 2]) -> (String, bool) {
    let ends = [0, 1].map(|at| {
        let tones_heard = heard[at].tones;
        let echo = tones_heard.own_dbfs - tones_heard.peer_dbfs;
        let ok = tones_heard.share >= ENOUGH && echo <= -ECHO_BELOW_DB;
        let verb = if ok { "heard" } else { "did not hear" };
        let (name, peer) = (NAMES[at], NAMES[1 - at]);
        let share = (tones_heard.share * 100.0).floor();
        let text = format!("{name} {verb} {peer} ({} Hz, {share}%)", tones[1 - at]);
        (text, ok)
    });
    let [(alice, alice_ok), (bob, bob_ok)] = ends;
    (format!("{alice} and {bob}"), alice_ok && bob_ok)
}

#[cfg(test)]
mod tests {
    use phone::Measured;

    use super::*;

    #[test]
    fn the_verdict_is_what_was_measured() {
        let heard = |share, own_dbfs| Heard {
            sent: 150,
            received: 150,
            first_sent: None,
            first_received: None,
            tones: Measured {
                frames: 150,
                share,
                peer_dbfs: -16.0,
                own_dbfs,
            },
        };
        let table = [
            (
                1.0,
                -60.0,
                "alice heard bob (1000 Hz, 100%) and bob heard alice (600 Hz, 100%)",
                true,
            ),
            (
                0.9,
                -60.0,
                "alice heard bob (1000 Hz, 100%) and bob did not hear alice (600 Hz, 90%)",
                false,
            ),
            // An echo of one's own voice does not make a good line.
            (
                1.0,
                -20.0,
                "alice heard bob (1000 Hz, 100%) and bob did not hear alice (600 Hz, 100%)",
                false,
            ),
        ];
        for (share, own, line, both) in table {
            let told = verdict([600.0, 1000.0], &[heard(1.0, -60.0), heard(share, own)]);
            assert_eq!(told, (line.to_owned(), both));
        }
    }

    #[test]
    fn tones_are_apart_from_each_other_and_the_ring_tone() {
        for _ in 0..100 {
            let mut tones = tones();
            tones.sort_by(f64::total_cmp);
            assert!(
                tones[0] >= 550.0 && tones[1] - tones[0] >= 250.0,
                "{tones:?}"
            );
        }
    }
}
