//! Measures the cost of a conference participant: the real server against a bare relay, in the same
//! run.
//!
//! All participants talk at once in one `<Conference>`, the most expensive case: each hears a sum
//! without itself. The relay of `e2e::load::relay` forwards the same number of packets. Then one
//! participant sends bursts, and the others measure when they arrive. At last three participants send a
//! tone each, and it is checked who hears whom. **Invariant: both are
//! measured in the same way, from outside**, so that only the ratio counts. `bench-conference 10
//! 30` runs those even numbers of participants only; `--seconds N` sets how long each is measured.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command line tool answers on stdout")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::RangeInclusive;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::cost::{cpu_ms, rss_mb};
use e2e::load::bench::Load;
use e2e::load::relay::{self, Relay};
use e2e::load::rtp::{LegStats, Rtp, Speech};
use e2e::load::ua::Ua;
use e2e::rest::Rest;
use e2e::tone::Heard;
use e2e::{Pitch, wait};
use serde_json::Value;

/// New calls per second while a level is built up.
const RAMP: f64 = 20.0;
/// Time for everything to settle before measuring.
const SETTLE: Duration = Duration::from_secs(2);
/// How long bursts are timed.
const BURSTS: Duration = Duration::from_secs(6);
/// How long call records may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first leg of a load.
const TALKER: u64 = 1;
/// The legs that send tones at the end; at most ten of the others are checked.
const SINGERS: RangeInclusive<u64> = 1..=3;
const LISTENERS: usize = 10;
/// How long tones are sent before, and while they are listened to.
const SONG: Duration = Duration::from_secs(1);
/// Share of frames in which a tone of another participant must be, and the maximum level of one's own.
const HEARD_SHARE: f64 = 0.95;
const OWN_DBFS: f64 = -50.0;
const DOCUMENT: &str =
    "<Dial><Conference beep=\"false\" maxParticipants=\"250\">load</Conference></Dial>";

/// The cost of one level.
struct Cost {
    /// CPU time in ms per participant and second.
    cpu_ms: f64,
    /// Resident memory in MB.
    rss_mb: f64,
    /// Packets per participant and second.
    rate: f64,
    /// Packets of the worst participant that did not reach the server, according to its call
    /// record; `None` for the relay.
    lost_in: Option<u64>,
    /// How many fewer packets the worst participant received than it sent. A mix sends the same number whatever
    /// it receives.
    lost_out: u64,
    /// Time from the first packet of a burst to the first loud packet at another participant, in
    /// ms.
    heard_p50: f64,
    heard_p99: f64,
    /// Who heard whose tone, for the server.
    tones: String,
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
        "| participants | what | CPU ms per participant-second | RSS MB | packets per participant and second | lost on the way in, worst | out, worst | heard p50 ms | p99 ms |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut verdicts = Vec::new();
    for people in levels {
        let relay = measure_relay(people, time).context("relay")?;
        print_row(people, "bare relay", &relay);
        let server = measure_server(people, time).context("server")?;
        print_row(people, "patchcord", &server);
        verdicts.push(format!(
            "{people} participants: {:.1} times the relay's CPU; added p50 {:+.1} ms; tones: {}",
            server.cpu_ms / relay.cpu_ms,
            server.heard_p50 - relay.heard_p50,
            server.tones,
        ));
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
            .with_context(|| format!("`{word}` should be a number of participants"))?;
        ensure!(
            level >= 2 && level.is_multiple_of(2),
            "an even number, so that the relay has pairs: {level}"
        );
        levels.push(level);
    }
    if levels.is_empty() {
        levels = vec![10, 30, 100];
    }
    Ok((levels, Duration::from_secs(seconds)))
}

fn print_row(people: usize, what: &str, cost: &Cost) {
    let lost_in = cost
        .lost_in
        .map_or_else(String::new, |lost| lost.to_string());
    println!(
        "| {people} | {what} | {:.2} | {:.1} | {:.1} | {lost_in} | {} | {:.1} | {:.1} |",
        cost.cpu_ms, cost.rss_mb, cost.rate, cost.lost_out, cost.heard_p50, cost.heard_p99,
    );
}

/// Measures process `pid` while all talk, then while one sends bursts; `pass` waits for that long.
fn measure<'a>(
    pid: u32,
    time: Duration,
    with_rtp: impl Fn(&dyn Fn(&Rtp) -> anyhow::Result<Seen>) -> anyhow::Result<Seen> + 'a,
    mut pass: impl FnMut(Duration) -> anyhow::Result<()>,
) -> anyhow::Result<Cost> {
    with_rtp(&|rtp| {
        rtp.say(Speech::Tone)?;
        Seen::now(rtp)
    })?;
    pass(SETTLE)?;
    let before = with_rtp(&Seen::now)?;
    let (cpu, start) = (cpu_ms(pid)?, Instant::now());
    pass(time)?;
    let (used, seconds) = (cpu_ms(pid)? - cpu, start.elapsed().as_secs_f64());
    let after = with_rtp(&Seen::now)?;
    let rss_mb = rss_mb(pid)?;
    with_rtp(&|rtp| {
        rtp.say(Speech::Bursts(TALKER))?;
        Seen::now(rtp)
    })?;
    pass(BURSTS)?;
    let heard = with_rtp(&Seen::now)?;
    ensure!(heard.ages > 0, "a burst is heard");
    let received = after.received() - before.received();
    let people = after.legs.len() as f64;
    Ok(Cost {
        cpu_ms: used / seconds / people,
        rss_mb,
        rate: received as f64 / people / seconds,
        lost_in: None,
        lost_out: after.worst_loss_since(&before),
        heard_p50: heard.p50_us as f64 / 1000.0,
        heard_p99: heard.p99_us as f64 / 1000.0,
        tones: String::new(),
    })
}

/// The legs' counters so far, and packet ages since the last look.
struct Seen {
    legs: BTreeMap<u64, LegStats>,
    ages: u64,
    p50_us: usize,
    p99_us: usize,
}

impl Seen {
    fn now(rtp: &Rtp) -> anyhow::Result<Self> {
        let window = rtp.window();
        Ok(Self {
            legs: rtp.legs()?,
            ages: window.received,
            p50_us: window.p50_us,
            p99_us: window.p99_us,
        })
    }

    fn received(&self) -> u64 {
        self.legs.values().map(|leg| leg.received).sum()
    }

    /// Packets sent by the worst leg since `before` without one in return.
    fn worst_loss_since(&self, before: &Self) -> u64 {
        let losses = self.legs.iter().map(|(leg, now)| {
            let then = before.legs.get(leg).copied().unwrap_or_default();
            (now.sent - then.sent).saturating_sub(now.received - then.received)
        });
        losses.max().unwrap_or(0)
    }
}

fn measure_relay(people: usize, time: Duration) -> anyhow::Result<Cost> {
    let rtp = Rtp::start()?;
    let relay = Relay::start(people / 2, &rtp)?;
    let pass = |time| {
        sleep(time);
        Ok(())
    };
    measure(relay.pid(), time, |look| look(&rtp), pass)
}

fn measure_server(people: usize, time: Duration) -> anyhow::Result<Cost> {
    let mut load = Load::start(DOCUMENT, people, RAMP)?;
    let pid = load.server.process().id();
    // The media thread counts on its own; this one only keeps the dialogs alive.
    let ua = RefCell::new(&mut load.ua);
    let with_rtp = |look: &dyn Fn(&Rtp) -> anyhow::Result<Seen>| look(ua.borrow().rtp());
    let pass = |time| ua.borrow_mut().pump(time);
    let cost = measure(pid, time, with_rtp, pass)?;
    let tones = check_tones(&mut load.ua, people)?;
    load.end()?;
    let lost_in = Some(worst_loss_on_record(&load.server.rest(), people)?);
    Ok(Cost {
        lost_in,
        tones,
        ..cost
    })
}

/// Checks that listeners hear all tones, and that those who send one hear all but their own.
fn check_tones(ua: &mut Ua, people: usize) -> anyhow::Result<String> {
    let singers: Vec<_> = SINGERS
        .zip(Pitch::random(SINGERS.count()))
        .filter(|(leg, _)| *leg <= people as u64)
        .collect();
    for (leg, pitch) in &singers {
        ua.rtp().sing(*leg, *pitch)?;
    }
    let silent = (SINGERS.end() + 1..=people as u64).take(LISTENERS);
    let listeners: Vec<u64> = SINGERS.chain(silent).collect();
    ua.rtp().say(Speech::Songs)?;
    ua.pump(SONG)?;
    ua.rtp().listen(listeners)?;
    ua.pump(SONG)?;
    let heard = ua.rtp().heard()?;
    for (leg, samples) in &heard {
        let heard = Heard::new(samples.clone());
        for (singer, pitch) in &singers {
            let (level, share) = (heard.level(*pitch), heard.share(*pitch));
            let right = match singer == leg {
                true => level <= OWN_DBFS,
                false => share >= HEARD_SHARE,
            };
            let found = format!("{level:.0} dBFS, in {:.0} % of frames", share * 100.0);
            ensure!(
                right,
                "leg {leg} hears the tone of leg {singer} with {found}"
            );
        }
    }
    let silent = heard.len().saturating_sub(singers.len());
    let singers = singers.len();
    Ok(format!(
        "{silent} listeners heard all {singers}, and {singers} talkers heard the others and not themselves"
    ))
}

/// Packets of the worst participant that did not reach the server.
fn worst_loss_on_record(rest: &Rest, people: usize) -> anyhow::Result<u64> {
    let counted = |call: &Value| call["media"]["packets_lost"].as_u64();
    wait::until("the records of all calls", PATIENCE, || {
        let calls = rest.all("Calls", "calls").ok()?;
        let lost = calls.iter().map(counted).collect::<Option<Vec<_>>>()?;
        (lost.len() == people).then(|| lost.into_iter().max().unwrap_or(0))
    })
}
