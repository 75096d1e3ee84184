//! A receiver of callbacks is down for a minute: it misses nothing, and nothing else is affected.
//!
//! For the first half of the minute it refuses connections, for the second it accepts them and never
//! answers. **Invariant: set-up times are compared within one run and with a second server**, which
//! gets the same calls but has only healthy receivers, so that a busy machine slows both. Run by
//! `just outage`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::load::ua::Ua;
use e2e::{App, ClosedApp, Reply, Request, Server, setting, wait};
use serde_json::Value;

use crate::webhooks::{EVENTS, check, finish, median, number, server};

/// The number whose calls are measured; its receiver always works.
const MEASURED: &str = "2000";
/// Calls to it between two calls to a number whose receiver may be down.
const SAMPLES: usize = 4;
/// Pause between two rounds of calls.
const PAUSE: Duration = Duration::from_millis(50);
/// Longer than the test: effectively never.
const NEVER: Duration = Duration::from_secs(24 * 3600);
/// Time until all waiting callbacks have been accepted.
const RECOVERY: Duration = Duration::from_secs(60);

/// A server and its callers.
struct Side {
    server: Server,
    ua: Ua,
}

impl Side {
    fn start() -> anyhow::Result<Self> {
        let mut ua = Ua::bind()?;
        let server = server(&ua)?;
        ua.connect(server.sip_udp()?);
        Ok(Self { server, ua })
    }

    /// Makes one call from INVITE to BYE; returns its set-up time.
    fn call(&mut self, callee: &str) -> anyhow::Result<Duration> {
        self.ua.call(callee)?;
        finish(&mut [&mut self.ua])?;
        let setup = self.ua.tally().setup.last().copied();
        setup.with_context(|| format!("{:?}", self.ua.tally().failed))
    }
}

/// The results while the receiver was in one state.
struct Phase {
    /// Calls to the number whose receiver is in that state.
    calls: usize,
    /// Median set-up time of the measured calls: on the side under test, and on the other.
    setup: [Duration; 2],
}

impl Phase {
    /// How much longer set-up takes than `before`, less what slowed both sides.
    fn slowdown(&self, before: &Self) -> f64 {
        let [tested, other] =
            [0, 1].map(|side| self.setup[side].as_secs_f64() / before.setup[side].as_secs_f64());
        tested / other
    }
}

/// Calls `callee` steadily for `time`, and the measured number in between.
fn phase(sides: &mut [Side; 2], callee: &str, time: Duration) -> anyhow::Result<Phase> {
    let end = Instant::now() + time;
    let (mut calls, mut setups) = (0, [Vec::new(), Vec::new()]);
    while Instant::now() < end {
        for side in sides.iter_mut() {
            side.call(callee)?;
        }
        calls += 1;
        for sample in 0..SAMPLES {
            // One after the other, alternating which is first, so that they do not disturb each
            // other.
            for side in [sample % 2, (sample + 1) % 2] {
                setups[side].push(sides[side].call(MEASURED)?);
            }
        }
        sides[0].ua.pump(PAUSE)?;
    }
    let [mut tested, mut other] = setups;
    Ok(Phase {
        calls,
        setup: [median(&mut tested), median(&mut other)],
    })
}

/// The deliveries to `url`: each of these events once, and delivered.
fn check_deliveries(server: &Server, url: &str, told: &[Request]) -> anyhow::Result<()> {
    let events: BTreeSet<&str> = told
        .iter()
        .filter_map(|request| request.header("x-patchcord-event"))
        .collect();
    let list = server.rest().all("Webhooks/Deliveries", "deliveries")?;
    let here: Vec<&Value> = list.iter().filter(|row| row["url"] == url).collect();
    let sids: BTreeSet<&str> = here.iter().filter_map(|row| row["sid"].as_str()).collect();
    ensure!(sids == events, "listed {sids:?}, arrived {events:?}");
    ensure!(here.len() == sids.len(), "an event is listed twice");
    let open = here.iter().find(|row| row["state"] != "delivered");
    ensure!(open.is_none(), "not delivered: {open:?}");
    Ok(())
}

#[test]
#[ignore = "takes a minute: just outage"]
fn a_receiver_that_was_down_gets_everything_in_order_and_delays_no_other() -> anyhow::Result<()> {
    let length = Duration::from_secs(setting("PATCHCORD_OUTAGE_SECONDS", 60).into());
    let mut sides = [Side::start()?, Side::start()?];
    let (good, away) = (App::start()?, ClosedApp::bind()?);
    good.on("/v", Reply::document("<Hangup/>"));
    for path in ["/measured", "/before", "/other"] {
        good.on(path, Reply::status(200));
    }
    let (document, away_url) = (good.url("/v"), away.url("/s"));
    let [tested, other] = &sides;
    number(&tested.server, MEASURED, &document, &good.url("/measured"))?;
    number(&tested.server, "1000", &document, &good.url("/before"))?;
    number(&tested.server, "1001", &document, &away_url)?;
    for callee in [MEASURED, "1000", "1001"] {
        number(&other.server, callee, &document, &good.url("/other"))?;
    }

    let before = phase(&mut sides, "1000", length / 4)?;
    let refusing = phase(&mut sides, "1001", length / 2)?;
    let away = away.open("/s", Reply::status(200).after(NEVER))?;
    let silent = phase(&mut sides, "1001", length / 2)?;
    let unanswered = away.requests("/s").len();
    let waiting = sides[0].server.metric("patchcord_callbacks_waiting")?;
    away.on("/s", Reply::status(200));
    wait::until("every callback", RECOVERY, || {
        let waiting = sides[0].server.metric("patchcord_callbacks_waiting").ok()?;
        (waiting == 0.0).then_some(())
    })
    .with_context(|| sides[0].server.log())?;

    let slowdowns = [&refusing, &silent].map(|phase| phase.slowdown(&before));
    eprintln!(
        "set-up on the server under test and on the other: {:?} before, {:?} while refused ({:.2}), \
         {:?} without answers ({:.2}); {waiting} callbacks waited",
        before.setup, refusing.setup, slowdowns[0], silent.setup, slowdowns[1],
    );
    let calls = refusing.calls + silent.calls;
    ensure!(
        waiting >= (calls * EVENTS.len()) as f64,
        "all were held back: {waiting}"
    );
    let requests = away.requests("/s");
    let (lost, taken) = requests.split_at(unanswered);
    ensure!(!lost.is_empty(), "it was asked while it did not answer");
    // A callback waits until the earlier ones of its call have been accepted.
    let early = lost
        .iter()
        .find(|request| request.param("CallStatus") != Some(EVENTS[0]));
    ensure!(early.is_none(), "out of order: {early:?}");
    check(taken, calls).context("after its return")?;
    check_deliveries(&sides[0].server, &away_url, taken)?;
    check(&good.requests("/before"), before.calls).context("before")?;
    let measured = sides[0].ua.tally().placed - before.calls - calls;
    check(&good.requests("/measured"), measured).context("measured")?;
    ensure!(sides[0].server.metric("patchcord_callbacks_dead_total")? == 0.0);
    ensure!(
        slowdowns.iter().all(|slowdown| *slowdown <= 1.2),
        "others' set-up takes {slowdowns:.2?} times as long"
    );
    Ok(())
}
