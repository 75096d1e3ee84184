//! Measures two things that many rooms must not cost: processor time while nothing is heard in them,
//! and the sound of another room while hundreds of participants hang up at once.
//!
//! **Empty rooms:** each of 500 calls is in a `<Conference>` of its own and sends no RTP. In one half of
//! the run the rooms have not started and the calls wait in silence, so nothing is due; in the other they
//! have started, so each participant is sent the silence of its room 50 times a second. The server
//! without any call is measured in the same way. **Hanging up:** ten participants talk in one room; 500
//! others fill two more and send BYE at the same moment. The longest time between two packets of the
//! first room, its missing packets and its tone are measured in the seconds before and after.
//! **Invariant: both are measured from outside**, by `/proc` and at the sockets.
//!
//! `--calls N` sets how many calls there are instead of 500, `--seconds N` how long each is measured.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command line tool answers on stdout")]

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::Pitch;
use e2e::cost::{cpu_ms, rss_mb};
use e2e::load::bench::Load;
use e2e::load::rtp::Speech;
use e2e::tone::Heard;

/// New calls per second.
const RAMP: f64 = 50.0;
/// Time for everything to settle before measuring.
const SETTLE: Duration = Duration::from_secs(3);
/// Participants of the room that is listened to.
const FEW: u64 = 10;
/// Participants of the largest room.
const LARGEST: usize = 250;

fn main() -> anyhow::Result<()> {
    let (mut calls, mut seconds) = (500, 10);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    for pair in arguments.chunks(2) {
        match pair {
            [name, value] if name == "--calls" => calls = value.parse()?,
            [name, value] if name == "--seconds" => seconds = value.parse()?,
            _ => anyhow::bail!("usage: bench-rooms [--calls N] [--seconds N]"),
        }
    }
    let time = Duration::from_secs(seconds);
    println!(
        "| calls | what | CPU ms per second | RSS MB | packets to each call per second |\n|---|---|---|---|---|"
    );
    let waiting = "startConferenceOnEnter=\"false\" waitUrl=\"\"";
    for (count, what, attributes) in [
        (0, "no calls", ""),
        (calls, "alone in a room that waits", waiting),
        (calls, "alone in a room that has started", ""),
    ] {
        let Rooms { cpu, rss, sent } = measure_rooms(count, attributes, time).context(what)?;
        println!("| {count} | {what} | {cpu:.1} | {rss:.1} | {sent:.1} |");
    }
    println!();
    measure_exits(calls, time).context("hanging up")
}

fn room(name: &str, attributes: &str) -> String {
    format!(
        "<Dial><Conference beep=\"false\" maxParticipants=\"{LARGEST}\" {attributes}>{name}</Conference></Dial>"
    )
}

/// The cost of rooms without sound.
struct Rooms {
    /// CPU time in ms per second.
    cpu: f64,
    /// Memory in MB.
    rss: f64,
    /// Packets that each call received per second.
    sent: f64,
}

/// Measures this many calls, each in its own room.
fn measure_rooms(calls: usize, attributes: &str, time: Duration) -> anyhow::Result<Rooms> {
    let documents: Vec<_> = (0..calls.max(1))
        .map(|number| room(&format!("room{number}"), attributes))
        .collect();
    let mut load = Load::start_each(&documents, calls, RAMP)?;
    load.ua.rtp().say(Speech::Mute)?;
    let pid = load.server.process().id();
    load.ua.pump(SETTLE)?;
    let received = |load: &Load| -> anyhow::Result<u64> {
        let legs = load.ua.rtp().legs()?;
        Ok(legs.values().map(|leg| leg.received).sum())
    };
    let (cpu, before, start) = (cpu_ms(pid)?, received(&load)?, Instant::now());
    load.ua.pump(time)?;
    let (used, seconds) = (cpu_ms(pid)? - cpu, start.elapsed().as_secs_f64());
    let sent = (received(&load)? - before) as f64 / seconds / calls.max(1) as f64;
    let (cpu, rss) = (used / seconds, rss_mb(pid)?);
    load.end()?;
    Ok(Rooms { cpu, rss, sent })
}

/// What the listeners of the small room noticed during some time.
struct Noticed {
    gap: Duration,
    missing: u64,
    share: f64,
}

fn measure_exits(calls: usize, time: Duration) -> anyhow::Result<()> {
    let mut documents = vec![room("few", ""); FEW as usize];
    for first in (0..calls).step_by(LARGEST) {
        let members = LARGEST.min(calls - first);
        documents.extend(vec![room(&format!("many{first}"), ""); members]);
    }
    let everyone = documents.len();
    let mut load = Load::start_each(&documents, everyone, RAMP)?;
    let pitches = Pitch::random(2);
    load.ua.rtp().sing(1, pitches[0])?;
    for leg in FEW + 1..=everyone as u64 {
        load.ua.rtp().sing(leg, pitches[1])?;
    }
    load.ua.rtp().say(Speech::Songs)?;
    load.ua.pump(SETTLE)?;
    let before = notice(&mut load, pitches[0], |load| load.ua.pump(time))?;
    let mut over = Duration::ZERO;
    let after = notice(&mut load, pitches[0], |load| {
        let start = Instant::now();
        load.ua.hang_up_legs(&(FEW + 1..=everyone as u64));
        while load.ua.live() > FEW as usize {
            ensure!(start.elapsed() < time, "calls do not end");
            load.ua.pump(Duration::from_millis(5))?;
        }
        over = start.elapsed();
        load.ua.pump(time.saturating_sub(over))
    })?;
    ensure!(
        load.ua.talking() == FEW as usize,
        "the small room is still there"
    );
    println!(
        "| while | worst gap ms | missing packets | frames with the talker's tone % |\n|---|---|---|---|"
    );
    for (what, noticed) in [("all talk", before), ("the others hang up", after)] {
        println!(
            "| {what} | {:.1} | {} | {:.1} |",
            noticed.gap.as_secs_f64() * 1000.0,
            noticed.missing,
            noticed.share * 100.0
        );
    }
    println!(
        "\n{calls} participants hung up at once; all calls were over after {:.0} ms",
        over.as_secs_f64() * 1000.0
    );
    Ok(())
}

fn notice(
    load: &mut Load,
    pitch: Pitch,
    happen: impl FnOnce(&mut Load) -> anyhow::Result<()>,
) -> anyhow::Result<Noticed> {
    const LISTENERS: RangeInclusive<u64> = 2..=FEW;
    let missing = |load: &Load| -> anyhow::Result<u64> {
        let legs = load.ua.rtp().legs()?;
        let listeners = LISTENERS.filter_map(|leg| legs.get(&leg));
        Ok(listeners.map(|leg| leg.missing).max().unwrap_or(0))
    };
    load.ua.rtp().listen(LISTENERS)?;
    load.ua.rtp().gaps()?;
    let before = missing(load)?;
    happen(load)?;
    let gaps = load.ua.rtp().gaps()?;
    let gap = LISTENERS.filter_map(|leg| gaps.get(&leg)).max();
    let heard = load.ua.rtp().heard()?;
    let shares = heard.into_values().map(|it| Heard::new(it).share(pitch));
    Ok(Noticed {
        gap: gap.copied().unwrap_or_default(),
        missing: missing(load)? - before,
        share: shares.fold(1.0, f64::min),
    })
}
