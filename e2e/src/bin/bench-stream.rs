//! Measures the cost of a bidirectional media stream: the real server against a bare relay, in the same
//! run.
//!
//! Each call runs `<Connect><Stream>`, and its WebSocket server is `e2e::load::peer`, a thread of this
//! process: RTP becomes messages, and what the peer sends back becomes RTP. The relay of
//! `e2e::load::relay` forwards the same number of RTP packets, but knows no WebSockets: all that the
//! server spends on messages counts. **Invariant: both are measured in the same way, from outside**
//! (`/proc`), so that only the ratio counts; the time of the peer is not part of it.
//!
//! Times after the answer begin when the caller receives the 200. `bench-stream 50 100` runs those even
//! numbers of streams only; `--seconds N` sets how long each is measured.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command line tool answers on stdout")]

use std::io::Write as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::cost::{cpu_ms, rss_mb};
use e2e::load::bench::Load;
use e2e::load::peer::{Peer, Received};
use e2e::load::relay::{self, Relay};
use e2e::load::rtp::{Rtp, Window};

/// New calls per second while a level is built up.
const RAMP: f64 = 20.0;
/// Time for everything to settle before measuring.
const SETTLE: Duration = Duration::from_secs(2);

/// The cost of one level.
struct Cost {
    /// CPU time in ms per stream and second.
    cpu_ms: f64,
    rss_mb: f64,
    /// RTP that came back to the callers.
    window: Window,
    seconds: f64,
}

/// What only the server has.
struct Streams {
    cost: Cost,
    /// Messages to the peer.
    received: Received,
    /// CPU time of the peer, in ms per stream and second.
    peer_ms: f64,
    /// Times from the answer of each call, in ms: to its first RTP packet with what the peer said, to the
    /// first message to the peer, and to the first message with something that the caller said.
    first: [Vec<f64>; 3],
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
    let (levels, time) = read_arguments(&arguments)?;
    println!(
        "| streams | what | CPU ms per stream-second | RSS MB | RTP packets back per stream and second | messages out | RTP to message p50 ms | p99 ms | message to RTP p50 ms | p99 ms |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let mut verdicts = Vec::new();
    for streams in levels {
        let relay = measure_relay(streams, time).context("relay")?;
        print_row(streams, "bare relay", &relay, None);
        let server = measure_server(streams, time).context("server")?;
        print_row(streams, "patchcord", &server.cost, Some(&server.received));
        // The load of a shared machine changes; what it was in between is about the mean.
        let again = measure_relay(streams, time).context("relay")?;
        print_row(streams, "bare relay again", &again, None);
        let cpu_ms = f64::midpoint(relay.cpu_ms, again.cpu_ms);
        verdicts.push(verdict(streams, &Cost { cpu_ms, ..relay }, &server));
    }
    println!("\n{}", verdicts.join("\n"));
    Ok(())
}

fn read_arguments(arguments: &[String]) -> anyhow::Result<(Vec<usize>, Duration)> {
    let (mut levels, mut seconds) = (Vec::new(), 10);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if word == "--seconds" {
            seconds = words.next().context("--seconds needs a number")?.parse()?;
            continue;
        }
        let level: usize = word
            .parse()
            .with_context(|| format!("`{word}` should be a number of streams"))?;
        ensure!(
            level >= 2 && level.is_multiple_of(2),
            "an even number, so that the relay has pairs: {level}"
        );
        levels.push(level);
    }
    if levels.is_empty() {
        levels = vec![10, 100];
    }
    Ok((levels, Duration::from_secs(seconds)))
}

/// A row; for the relay, all packets take the same way.
fn print_row(streams: usize, what: &str, cost: &Cost, received: Option<&Received>) {
    let per_second = |count: u64| count as f64 / streams as f64 / cost.seconds;
    let ms = |us: usize| format!("{:.2}", us as f64 / 1000.0);
    let rate = per_second(cost.window.received);
    let out = received.map_or_else(Default::default, |received| {
        let ages = &received.ages;
        let rate = format!("{:.1}", per_second(received.messages));
        [rate, ms(ages.percentile(0.5)), ms(ages.percentile(0.99))]
    });
    println!(
        "| {streams} | {what} | {:.2} | {:.1} | {rate:.1} | {} | {} | {} |",
        cost.cpu_ms,
        cost.rss_mb,
        out.join(" | "),
        ms(cost.window.p50_us),
        ms(cost.window.p99_us),
    );
}

fn verdict(streams: usize, relay: &Cost, server: &Streams) -> String {
    let share = |times: &[f64], share: f64| {
        let at = (times.len() as f64 * share).ceil() as usize;
        times.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    };
    let times = |times: &[f64]| {
        let [p50, p95, worst] = [0.5, 0.95, 1.0].map(|part| share(times, part));
        format!("p50 {p50:.1} ms, p95 {p95:.1} ms, worst {worst:.1} ms")
    };
    let [back, out, stamped] = &server.first;
    let added = |us: usize, relay_us: usize| (us as f64 - relay_us as f64) / 1000.0;
    let (ages, window, bare) = (&server.received.ages, &server.cost.window, &relay.window);
    format!(
        "{streams} streams: {:.2} times the relay's CPU (the peer itself: {:.2} ms per stream-second)\n  \
         added, RTP to message: p50 {:+.2} ms, p99 {:+.2} ms; message to RTP: p50 {:+.2} ms, p99 {:+.2} ms\n  \
         from the answer to the first RTP packet with the peer's sound: {}\n  \
         to the first message to the peer: {}\n  \
         to the first message with the caller's sound: {}",
        server.cost.cpu_ms / relay.cpu_ms,
        server.peer_ms,
        added(ages.percentile(0.5), bare.p50_us),
        added(ages.percentile(0.99), bare.p99_us),
        added(window.p50_us, bare.p50_us),
        added(window.p99_us, bare.p99_us),
        times(back),
        times(out),
        times(stamped),
    )
}

/// Measures process `pid` while `streams` streams are up; `pass` waits for that long.
fn measure(
    pid: u32,
    streams: usize,
    time: Duration,
    mut look: impl FnMut() -> anyhow::Result<Window>,
    mut pass: impl FnMut(Duration) -> anyhow::Result<()>,
) -> anyhow::Result<Cost> {
    pass(SETTLE)?;
    look()?;
    let (cpu, start) = (cpu_ms(pid)?, Instant::now());
    pass(time)?;
    let (used, seconds) = (cpu_ms(pid)? - cpu, start.elapsed().as_secs_f64());
    Ok(Cost {
        cpu_ms: used / seconds / streams as f64,
        rss_mb: rss_mb(pid)?,
        window: look()?,
        seconds,
    })
}

fn measure_relay(streams: usize, time: Duration) -> anyhow::Result<Cost> {
    let rtp = Rtp::start()?;
    let relay = Relay::start(streams / 2, &rtp)?;
    let pass = |time| {
        sleep(time);
        Ok(())
    };
    measure(relay.pid(), streams, time, || Ok(rtp.window()), pass)
}

fn measure_server(streams: usize, time: Duration) -> anyhow::Result<Streams> {
    let peer = Peer::start()?;
    let document = format!("<Connect><Stream url=\"{}\"/></Connect>", peer.url());
    let mut load = Load::start(&document, streams, RAMP)?;
    let pid = load.server.process().id();
    let ua = std::cell::RefCell::new(&mut load.ua);
    let mut received = Received::default();
    let mut peer_cpu = [0.0; 2];
    let look = || {
        received = peer.received()?;
        peer_cpu = [peer_cpu[1], peer.cpu_ms()?];
        Ok(ua.borrow().rtp().window())
    };
    // The media thread counts on its own; this one only keeps the dialogs alive.
    let pass = |time| ua.borrow_mut().pump(time);
    let cost = measure(pid, streams, time, look, pass)?;
    let first = firsts(load.ua.rtp(), &peer)?;
    ensure!(
        first.iter().all(|times| times.len() == streams),
        "all streams carry audio both ways: {:?}\n{}",
        first.each_ref().map(Vec::len),
        load.server.log()
    );
    load.end()?;
    Ok(Streams {
        peer_ms: (peer_cpu[1] - peer_cpu[0]) / cost.seconds / streams as f64,
        cost,
        received,
        first,
    })
}

/// The times of [`Streams::first`], each from the smallest.
fn firsts(rtp: &Rtp, peer: &Peer) -> anyhow::Result<[Vec<f64>; 3]> {
    let (legs, firsts) = (rtp.legs()?, peer.firsts());
    let mut times = <[Vec<f64>; 3]>::default();
    for (leg, stats) in &legs {
        let (Some(began), Some(first)) = (stats.began, firsts.get(leg)) else {
            continue;
        };
        let ends = [stats.stamped, Some(first.audio), Some(first.stamped)];
        for (times, end) in times.iter_mut().zip(ends) {
            let span = end.map(|end| end.saturating_sub(began).as_secs_f64() * 1000.0);
            times.extend(span);
        }
    }
    times
        .iter_mut()
        .for_each(|times| times.sort_by(f64::total_cmp));
    Ok(times)
}
