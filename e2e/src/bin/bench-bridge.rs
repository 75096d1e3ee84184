//! Measures the cost of a bridged call: the real server against a bare relay, in the same run.
//!
//! For each number of calls it first runs the relay of `e2e::load::relay`, then the server, with the same
//! sender, and prints CPU time per second of a call, memory, packets and the age of packets on
//! arrival. **Invariant: both are measured in the same way, from outside** (`/proc`), so that only
//! the ratio counts and other load on the machine affects both. `bench-bridge 50 100` runs those
//! numbers only; `--seconds N` sets how long each is measured.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command line tool answers on stdout")]

use std::cell::RefCell;
use std::io::Write as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use e2e::cost::{cpu_ms, rss_mb};
use e2e::load::bench::Load;
use e2e::load::relay::{self, Relay};
use e2e::load::rtp::{Rtp, Window};

/// New calls per second while a level is built up.
const RAMP: f64 = 50.0;
/// Time for everything to settle before measuring.
const SETTLE: Duration = Duration::from_secs(2);

/// The cost of one level.
struct Cost {
    /// CPU time in ms per call and second.
    cpu_ms: f64,
    /// Resident memory in MB.
    rss_mb: f64,
    window: Window,
    seconds: f64,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, pairs] = arguments.as_slice()
        && word == "relay"
    {
        return relay::run(pairs.parse()?, |line| {
            Ok(writeln!(std::io::stdout(), "{line}")?)
        });
    }
    let (levels, measured) = read_arguments(&arguments)?;
    println!(
        "| calls | what | CPU ms per call-second | RSS MB | packets per leg and second | lost % | p50 ms | p99 ms |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut verdicts = Vec::new();
    for calls in levels {
        let relay = measure_relay(calls, measured).context("relay")?;
        print_row(calls, "bare relay", &relay);
        let server = measure_server(calls, measured).context("server")?;
        print_row(calls, "patchcord", &server);
        verdicts.push(format!(
            "{calls} calls: {:.1} times the relay's CPU; added p50 {:+.2} ms, p99 {:+.2} ms",
            server.cpu_ms / relay.cpu_ms,
            (server.window.p50_us as f64 - relay.window.p50_us as f64) / 1000.0,
            (server.window.p99_us as f64 - relay.window.p99_us as f64) / 1000.0,
        ));
    }
    println!("\n{}", verdicts.join("\n"));
    Ok(())
}

fn read_arguments(arguments: &[String]) -> anyhow::Result<(Vec<usize>, Duration)> {
    let mut levels = Vec::new();
    let mut seconds = 10;
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => seconds = words.next().context("--seconds needs a number")?.parse()?,
            number => levels.push(
                number
                    .parse()
                    .with_context(|| format!("`{number}` is not a number of calls"))?,
            ),
        }
    }
    if levels.is_empty() {
        levels = vec![50, 100, 200, 400];
    }
    Ok((levels, Duration::from_secs(seconds)))
}

fn print_row(calls: usize, what: &str, cost: &Cost) {
    let legs = calls as f64 * 2.0;
    let lost = 100.0 * (1.0 - cost.window.received as f64 / cost.window.sent.max(1) as f64);
    println!(
        "| {calls} | {what} | {:.2} | {:.1} | {:.1} | {:.2} | {:.2} | {:.2} |",
        cost.cpu_ms,
        cost.rss_mb,
        cost.window.received as f64 / legs / cost.seconds,
        lost.max(0.0),
        cost.window.p50_us as f64 / 1000.0,
        cost.window.p99_us as f64 / 1000.0,
    );
}

/// Measures process `pid` while `calls` calls are up; `pass` waits for that long.
fn measure(
    pid: u32,
    calls: usize,
    time: Duration,
    rtp: impl Fn() -> Window,
    mut pass: impl FnMut(Duration) -> anyhow::Result<()>,
) -> anyhow::Result<Cost> {
    pass(SETTLE)?;
    rtp();
    let (cpu, start) = (cpu_ms(pid)?, Instant::now());
    pass(time)?;
    let (used, seconds) = (cpu_ms(pid)? - cpu, start.elapsed().as_secs_f64());
    let window = rtp();
    Ok(Cost {
        cpu_ms: used / seconds / calls as f64,
        rss_mb: rss_mb(pid)?,
        window,
        seconds,
    })
}

fn measure_relay(calls: usize, time: Duration) -> anyhow::Result<Cost> {
    let rtp = Rtp::start()?;
    let relay = Relay::start(calls, &rtp)?;
    let pass = |time| {
        sleep(time);
        Ok(())
    };
    measure(relay.pid(), calls, time, || rtp.window(), pass)
}

fn measure_server(calls: usize, time: Duration) -> anyhow::Result<Cost> {
    let mut load = Load::start("<Dial><Number>2000</Number></Dial>", calls, RAMP)?;
    let pid = load.server.process().id();
    // The media thread counts on its own; this one only keeps the dialogs alive.
    let ua = RefCell::new(&mut load.ua);
    let window = || ua.borrow().rtp().window();
    let pass = |time| ua.borrow_mut().pump(time);
    let cost = measure(pid, calls, time, window, pass)?;
    load.end()?;
    Ok(cost)
}
