//! Measures the cost of a call: sipp calls the real server, with records, callbacks and trace on,
//! and for comparison a bare sipp that only answers, in the same run.
//!
//! Two kinds of call: one that hears a sound of 3 s and is hung up on (INVITE, document over HTTP,
//! Play, BYE), and one that hangs up as soon as it is answered. **Invariant: both servers are measured
//! in the same way, from outside** (`/proc`), so that other load on the machine affects both.
//! `bench-calls --calls N --rate N` sets their number and how many start each second. With
//! `PATCHCORD_BEFORE_BIN` another program, such as an older version, is measured alternately with
//! this one.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command line tool answers on stdout")]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::cost::{cpu_ms, rss_mb};
use e2e::load::ua::Ua;
use e2e::server::Options;
use e2e::sipp::Scenario;
use e2e::{App, Pitch, Reply, Server, ports};

/// Calls of each kind before the measurement starts.
const WARM_UP: u32 = 100;
/// Time for the records and callbacks of the last calls.
const SETTLE: Duration = Duration::from_secs(2);
/// How long all calls of a kind may take.
const LIMIT: Duration = Duration::from_secs(120);
/// Calls whose set-up is timed, and how many start each second.
const SET_UP_CALLS: u32 = 1_000;
const SET_UP_RATE: u32 = 100;
/// How long one of them lasts.
const TALK: Duration = Duration::from_millis(300);
/// How often each program is measured, alternately.
const ROUNDS: usize = 2;

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
    let before = std::env::var_os("PATCHCORD_BEFORE_BIN").map(PathBuf::from);
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
        let mut old = Cost::default();
        let mut new = Cost::default();
        for _ in 0..ROUNDS {
            if let Some(before) = &before {
                old.add(server(&load, Some(before), scenario, document).context(name)?);
            }
            new.add(server(&load, None, scenario, document).context(name)?);
            if before.is_none() {
                break;
            }
        }
        if before.is_some() {
            old.print(name, "patchcord before", baseline);
        }
        new.print(name, "patchcord", baseline);
        if before.is_some() {
            println!(
                "    {name}: {:.2} times the CPU of the version before",
                new.cpu_ms() / old.cpu_ms()
            );
        }
    }
    let programs = before.iter().map(|path| ("patchcord before", Some(path)));
    for (what, program) in programs.chain([("patchcord", None)]) {
        let [median, worst] = set_up(program).context("set-up")?;
        println!(
            "    INVITE to 200 at {SET_UP_RATE} calls a second, {what}: p50 {median:.1} ms, p99 {worst:.1} ms"
        );
    }
    Ok(())
}

/// The cost of a program's calls.
#[derive(Default)]
struct Cost {
    cpu_ms: Vec<f64>,
    rss_mb: f64,
}

impl Cost {
    fn add(&mut self, other: Self) {
        self.cpu_ms.extend(other.cpu_ms);
        self.rss_mb = self.rss_mb.max(other.rss_mb);
    }

    /// CPU time of one call.
    fn cpu_ms(&self) -> f64 {
        self.cpu_ms.iter().sum::<f64>() / self.cpu_ms.len() as f64
    }

    fn print(&self, call: &str, what: &str, baseline: f64) {
        println!(
            "| {call} | {what} | {:.2} | {:.1} | {:.1} |",
            self.cpu_ms(),
            self.rss_mb,
            self.cpu_ms() / baseline
        );
    }
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

/// CPU time per call of a sipp that answers and gets BYE.
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

/// The cost of a program's calls, and its memory afterwards.
fn server(
    load: &Load,
    program: Option<&PathBuf>,
    scenario: &str,
    document: &str,
) -> anyhow::Result<Cost> {
    let app = App::start()?;
    app.on("/v", Reply::document(document));
    app.on("/cb", Reply::status(200));
    app.on("/prompt.wav", Reply::wav(Pitch::of(440.0).wav(3)));
    app.on("/silence.wav", Reply::wav(audio::wav::encode(&[0; 80_000])));
    let mut server = start(program)?;
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
    Ok(Cost {
        cpu_ms: vec![cost],
        rss_mb: rss_mb(pid)?,
    })
}

fn start(program: Option<&PathBuf>) -> anyhow::Result<Server> {
    // A trunk: strangers have limits for each source.
    let config =
        "[[trunk]]\nname = 'load'\nuri = 'sip:127.0.0.1:5999'\naddresses = ['127.0.0.1']\n";
    let mut options = Options::default()
        .config(config)
        .variable("PATCHCORD_LOG__LEVEL", "warn");
    if let Some(program) = program {
        options = options.binary(program.clone());
    }
    options.start()
}

/// Median and 99th percentile of the time from INVITE to 200, in ms, seen by the caller.
fn set_up(program: Option<&PathBuf>) -> anyhow::Result<[f64; 2]> {
    let app = App::start()?;
    app.on("/v", Reply::document("<Play>/silence.wav</Play>"));
    app.on("/cb", Reply::status(200));
    app.on("/silence.wav", Reply::wav(audio::wav::encode(&[0; 80_000])));
    let server = start(program)?;
    let rest = server.rest();
    rest.public_number("1000", &app.url("/v"), &app.url("/cb"))?;
    let mut ua = Ua::bind()?;
    ua.connect(server.sip_udp()?);
    let pace = Duration::from_secs(1) / SET_UP_RATE;
    let start = Instant::now();
    for placed in 0..WARM_UP + SET_UP_CALLS {
        while start.elapsed() < pace * placed {
            ua.pump(Duration::from_micros(200))?;
        }
        ua.hang_up_older(TALK);
        ua.call("1000")?;
    }
    while ua.live() > 0 {
        ua.hang_up_older(TALK);
        ua.pump(Duration::from_millis(1))?;
    }
    let tally = ua.tally();
    ensure!(tally.failures() == 0, "{:?}", tally.failed);
    let mut times = tally.setup[WARM_UP as usize..].to_vec();
    times.sort();
    let at = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1000.0;
    Ok([at(50), at(99)])
}

/// A child process that ends with its owner.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
