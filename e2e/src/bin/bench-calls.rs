//! What a call costs: sipp calls the real server, with records, callbacks and trace on, beside a bare
//! sipp that only answers, in the same run.
//!
//! Two kinds of call: one that hears a sound of 3 s and is hung up on (INVITE, document over HTTP,
//! Play, BYE), and one that hangs up as soon as it is answered. **Invariant: both servers are measured
//! in the same way, from outside** (`/proc`), so that the machine's other work falls on both.
//! `bench-calls --calls N --rate N` sets how many, and how many each second.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command line tool answers on stdout")]

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::cost::{cpu_ms, rss_mb};
use e2e::server::Options;
use e2e::sipp::Scenario;
use e2e::{App, Pitch, Reply, Server, ports};

/// Calls of either kind before anything is measured.
const WARM_UP: u32 = 100;
/// Time for records and callbacks of the last calls.
const SETTLE: Duration = Duration::from_secs(2);
/// How long all calls of a kind may take.
const LIMIT: Duration = Duration::from_secs(120);

struct Load {
    calls: u32,
    rate: u32,
}

fn main() -> anyhow::Result<()> {
    let load = read_arguments()?;
    let baseline = answering_sipp(&load).context("the sipp that only answers")?;
    println!("| call | what | CPU ms per call | RSS MB | times the bare sipp |");
    println!("|---|---|---|---|---|");
    println!("| answer + hang up | bare sipp | {baseline:.2} | | 1.0 |");
    for (name, scenario, document) in [
        (
            "answer + hang up",
            "call-and-hang-up",
            "<Play>/silence.wav</Play>",
        ),
        (
            "document, Play 3 s, BYE",
            "call-until-bye",
            "<Play>/prompt.wav</Play>",
        ),
    ] {
        let (cost, rss) = server(&load, scenario, document).context(name)?;
        let times = cost / baseline;
        println!("| {name} | patchcord | {cost:.2} | {rss:.1} | {times:.1} |");
    }
    Ok(())
}

fn read_arguments() -> anyhow::Result<Load> {
    let mut load = Load {
        calls: 1000,
        rate: 50,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let number = words
            .next()
            .and_then(|word| word.parse().ok())
            .with_context(|| format!("`{word}` needs a number"))?;
        match word.as_str() {
            "--calls" => load.calls = number,
            "--rate" => load.rate = number,
            _ => anyhow::bail!("`{word}` is neither --calls nor --rate"),
        }
    }
    Ok(load)
}

/// CPU time per call of a sipp that answers and is hung up on.
fn answering_sipp(load: &Load) -> anyhow::Result<f64> {
    let port = ports::free()?;
    let folder = tempfile::tempdir()?;
    let uas = Guard(
        Command::new("sipp")
            .current_dir(folder.path())
            .args(["-sn", "uas", "-i", "127.0.0.1", "-nostdin"])
            .args([
                "-p",
                &port.to_string(),
                "-mp",
                &ports::block(4)?.to_string(),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?,
    );
    sleep(Duration::from_secs(1));
    let before = cpu_ms(uas.0.id())?;
    Scenario::new("call-and-hang-up")
        .load(load.calls, load.rate, LIMIT)
        .run_at(([127, 0, 0, 1], port).into())?;
    Ok((cpu_ms(uas.0.id())? - before) / f64::from(load.calls))
}

/// CPU time per call of the server, and its memory afterwards.
fn server(load: &Load, scenario: &str, document: &str) -> anyhow::Result<(f64, f64)> {
    let app = App::start()?;
    app.on("/v", Reply::document(document));
    app.on("/cb", Reply::status(200));
    app.on("/prompt.wav", Reply::wav(Pitch::of(440.0).wav(3)));
    app.on("/silence.wav", Reply::wav(audio::wav::encode(&[0; 80_000])));
    let mut server = Options::default()
        .variable("PATCHCORD_LOG__LEVEL", "warn")
        .start()?;
    let rest = server.rest();
    rest.public_number("1000", &app.url("/v"), &app.url("/cb"))?;
    let calls = |server: &Server, count| {
        let scenario = Scenario::new(scenario);
        scenario.load(count, load.rate, LIMIT).run(server)
    };
    calls(&server, WARM_UP)?;
    sleep(SETTLE);
    let told = app.requests("/cb").len();
    let pid = server.process().id();
    let before = cpu_ms(pid)?;
    calls(&server, load.calls)?;
    sleep(SETTLE);
    let cost = (cpu_ms(pid)? - before) / f64::from(load.calls);
    let callbacks = app.requests("/cb").len() - told;
    ensure!(
        callbacks >= 3 * load.calls as usize,
        "{callbacks} callbacks for {} calls\n{}",
        load.calls,
        server.log()
    );
    Ok((cost, rss_mb(pid)?))
}

/// A child process that ends with its owner.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
