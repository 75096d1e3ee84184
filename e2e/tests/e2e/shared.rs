//! Servers that share one PostgreSQL database: what one writes the other shows, and closes if its writer dies.
//!
//! **Invariant: everything asserted is observed from outside**, as in `kill`. The death of a server is only noticed after
//! its heartbeats have been missing for half a minute, so `just kill` runs that test.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::load::ua::Ua;
use e2e::server::Options;
use e2e::sipp::Scenario;
use e2e::{App, Reply, Server, wait};
use serde_json::Value;
use testkit::postgres::Postgres;

use crate::kill::{is_final, last_words, records_are_final, text};

const SOON: Duration = Duration::from_secs(15);
/// A server is dead 30 s after its last heartbeat; the others look for dead ones every 15 s.
const DEATH: Duration = Duration::from_secs(90);
const CALLS: usize = 10;

/// Two servers, a phone that calls through one of them, and the application of both.
struct Pair {
    first: Server,
    second: Server,
    app: App,
    ua: Ua,
    _postgres: Postgres,
}

fn options(postgres: &Postgres, ua: &Ua) -> Options {
    let trunk = ua.local();
    let config = format!("[[trunk]]\nname = 'load'\nuri = '{trunk}'\naddresses = ['127.0.0.1']\n");
    let url = format!("{}/postgres", postgres.url);
    Options::default()
        .config(&config)
        .variable("PATCHCORD_DATABASE__URL", &url)
        .variable("PATCHCORD_SERVER__SECRET_KEY", &"5e".repeat(32))
        .variable("PATCHCORD_LOG__LEVEL", "info")
}

fn server(postgres: &Postgres, ua: &Ua) -> anyhow::Result<Server> {
    options(postgres, ua).start()
}

impl Pair {
    /// `None` without PostgreSQL.
    fn start() -> anyhow::Result<Option<Self>> {
        let Some(postgres) = Postgres::required() else {
            return Ok(None);
        };
        let ua = Ua::bind()?;
        // PostgreSQL has just been started.
        let first = wait::until("the first server", SOON, || server(&postgres, &ua).ok())?;
        let second = server(&postgres, &ua)?;
        // Both record to the same folder.
        let [here, there] = [&second, &first].map(|server| server.data().join("recordings"));
        std::fs::remove_dir_all(&here)?;
        std::os::unix::fs::symlink(there, here)?;
        let app = App::start()?;
        for path in ["/number", "/leg"] {
            app.on(path, Reply::status(200));
        }
        let verbs = "<Dial record=\"true\"><Number statusCallback=\"/leg\">2000</Number></Dial>";
        app.on("/v", Reply::document(verbs));
        let further = [("StatusCallback", &*app.url("/number"))];
        first.rest().number_with("1000", &app.url("/v"), &further)?;
        Ok(Some(Self {
            first,
            second,
            app,
            ua,
            _postgres: postgres,
        }))
    }

    /// Brings up `CALLS` bridged calls through the first server.
    fn talk(&mut self) -> anyhow::Result<()> {
        self.ua.connect(self.first.sip_udp()?);
        for _ in 0..CALLS {
            self.ua.call("1000")?;
        }
        let ua = &mut self.ua;
        wait::until("the calls", SOON, || {
            ua.pump(Duration::from_millis(5)).ok()?;
            (ua.open_dialogs() == 2 * CALLS).then_some(())
        })
    }
}

/// The recordings of all calls are listed, and their files complete.
fn recorded(server: &Server) -> Option<()> {
    let listed = server.rest().all("Recordings", "recordings").ok()?;
    let files = std::fs::read_dir(server.data().join("recordings")).ok()?;
    let complete = files
        .flatten()
        .filter(|file| file.path().extension().is_some_and(|kind| kind == "wav"));
    (listed.len() == CALLS && complete.count() == CALLS).then_some(())
}

fn closed(server: &Server) -> Option<Vec<Value>> {
    let calls = server.rest().all("Calls", "calls").ok()?;
    let all = calls.len() == 2 * CALLS && calls.iter().all(|call| is_final(text(call, "status")));
    all.then_some(calls)
}

/// A call is changed only by the server that runs it; the other one names that server.
fn changes_are_sent_on(pair: &Pair) -> anyhow::Result<()> {
    let calls = pair.second.rest().all("Calls", "calls")?;
    let call = text(calls.first().context("no call")?, "sid");
    let there = text(pair.first.ready(), "instance");
    let rest = pair.second.rest();
    let path = rest.path(&format!("Calls/{call}"));
    let answer = rest.send("POST", &path, Some("Status=completed"))?;
    let body: Value = serde_json::from_slice(&answer.body)?;
    let status = (answer.status(), &body["code"]);
    ensure!(
        status == (421, &20_421.into()),
        "{} {body}",
        answer.status()
    );
    let named = body["message"].as_str().unwrap_or_default();
    ensure!(
        there.starts_with("ID") && named.contains(there),
        "{there}: {body}"
    );
    Ok(())
}

/// The registration that the second server saw when it started expires; the phone has renewed it meanwhile with
/// the first server.
#[test]
fn a_phone_stays_registered_with_its_server() -> anyhow::Result<()> {
    let Some(postgres) = Postgres::required() else {
        return Ok(());
    };
    let ua = Ua::bind()?;
    let mut first = wait::until("the first server", SOON, || server(&postgres, &ua).ok())?;
    first.rest().client("ann", "ann-Secret-1")?;
    let phone = |scenario: &str| {
        Scenario::new(scenario)
            .service("ann")
            .credentials("ann", "ann-Secret-1")
    };
    phone("register-for").key("lifetime", "4").run(&first)?;
    let seen = Instant::now();
    let second = server(&postgres, &ua)?;
    phone("register-for").key("lifetime", "600").run(&first)?;
    ensure!(seen.elapsed() < Duration::from_secs(4), "too slow to tell");
    // What must not happen at the expiry has no event.
    std::thread::sleep(Duration::from_secs(5).saturating_sub(seen.elapsed()));
    first.kill()?;
    first.start_again()?;
    phone("register-query-expect-one")
        .run(&first)
        .with_context(|| format!("{}\n{}", first.log(), second.log()))
}

#[test]
fn what_one_server_writes_the_other_shows() -> anyhow::Result<()> {
    let Some(mut pair) = Pair::start()? else {
        return Ok(());
    };
    pair.talk()?;
    changes_are_sent_on(&pair)?;
    pair.ua.pump(Duration::from_secs(1))?;
    let ua = &mut pair.ua;
    wait::until("the end of the calls", SOON, || {
        ua.hang_up_older(Duration::ZERO);
        ua.pump(Duration::from_millis(5)).ok()?;
        (ua.open_dialogs() == 0).then_some(())
    })?;
    let calls = wait::until("the records", SOON, || closed(&pair.second))?;
    records_are_final(&calls)?;
    wait::until("the recordings", SOON, || recorded(&pair.second))?;
    for call in &calls {
        ensure!(text(call, "status") == "completed", "{call}");
    }
    // The number that was created with the first server, called through the second.
    let mut other = Ua::bind()?;
    other.connect(pair.second.sip_udp()?);
    other.call("1000")?;
    wait::until("a call through the second server", SOON, || {
        other.pump(Duration::from_millis(5)).ok()?;
        ua.pump(Duration::from_millis(5)).ok()?;
        (other.open_dialogs() == 1 && ua.open_dialogs() == 1).then_some(())
    })?;
    Ok(())
}

#[test]
#[ignore = "takes a minute or more: run by `just kill`"]
fn the_calls_of_a_dead_server_are_closed_by_the_other() -> anyhow::Result<()> {
    let Some(mut pair) = Pair::start()? else {
        return Ok(());
    };
    pair.talk()?;
    pair.ua.pump(Duration::from_secs(1))?;
    let safe = Instant::now();
    pair.first.kill()?;
    let ua = &mut pair.ua;
    let calls = wait::until("the records", DEATH, || {
        ua.pump(Duration::from_millis(50)).ok()?;
        closed(&pair.second)
    })
    .with_context(|| pair.second.log())?;
    records_are_final(&calls)?;
    recorded(&pair.second).context("the recordings")?;
    for call in &calls {
        let end = (text(call, "status"), text(call, "reason"));
        ensure!(end == ("completed", "node-lost"), "{call}");
    }
    wait::until("BYE in each dialog", SOON, || {
        ua.pump(Duration::from_millis(5)).ok()?;
        (ua.dialogs_on_record(safe) == 0).then_some(())
    })?;
    let told = |path: &str| last_words(&pair.app.requests(path));
    wait::until("the last callbacks", SOON, || {
        let found: BTreeSet<String> = told("/number")
            .into_keys()
            .chain(told("/leg").into_keys())
            .collect();
        (found.len() == 2 * CALLS).then_some(())
    })?;
    for (call, events) in told("/number").into_iter().chain(told("/leg")) {
        ensure!(events.len() == 1, "{call} has the events {events:?}");
    }
    Ok(())
}

/// A machine that was suspended for a while: its calls are closed meanwhile, so it must not go on with them.
#[test]
#[ignore = "takes a minute or more: run by `just kill`"]
fn a_server_that_was_paused_hangs_up_the_calls_that_were_closed() -> anyhow::Result<()> {
    let Some(mut pair) = Pair::start()? else {
        return Ok(());
    };
    pair.talk()?;
    pair.ua.pump(Duration::from_secs(1))?;
    ensure!(pair.first.metric("patchcord_calls_live")? == CALLS as f64);
    pair.first.pause(true)?;
    // Nothing reads the phone's socket meanwhile, so the other server's BYE is not answered.
    let calls = wait::until("the records", DEATH, || closed(&pair.second))
        .with_context(|| pair.second.log())?;
    pair.first.pause(false)?;
    wait::until("the end of the calls", DEATH, || {
        let live = pair.first.metric("patchcord_calls_live").ok()?;
        (live == 0.0).then_some(())
    })
    .with_context(|| pair.first.log())?;
    let later = closed(&pair.second).context("the records")?;
    for (before, after) in calls.iter().zip(&later) {
        // Only the counters of the packets are added.
        for key in [
            "sid",
            "status",
            "reason",
            "hangup_by",
            "duration",
            "end_time",
        ] {
            ensure!(before[key] == after[key], "{before} became {after}");
        }
    }
    for path in ["/number", "/leg"] {
        for (call, events) in last_words(&pair.app.requests(path)) {
            ensure!(events.len() == 1, "{call} has the events {events:?}");
        }
    }
    Ok(())
}
