//! Callbacks to receivers that fail, are slow or are down: none is lost, none is out of order, and
//! nothing else is affected.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::load::ua::Ua;
use e2e::server::{Options, program};
use e2e::{App, ClosedApp, Reply, Request, Server, wait};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

const LIMIT: Duration = Duration::from_secs(8);
/// Calls to each receiver.
const CALLS: usize = 12;
/// Callbacks of a call: ringing, in-progress, completed.
pub(crate) const EVENTS: [&str; 3] = ["ringing", "in-progress", "completed"];

/// A server that retries callbacks soon, and accepts calls from any address on this machine.
pub(crate) fn server(trunk: &Ua) -> anyhow::Result<Server> {
    let config = format!(
        "[webhooks]\nfirst_wait_ms = 40\nlongest_wait_s = 1\nbreaker_wait_ms = 100\nbreaker_longest_s = 1\n\
         [fetch]\ntimeout_ms = 400\n\
         [[trunk]]\nname = 'load'\nuri = '{}'\naddresses = ['127.0.0.1']\n",
        trunk.local()
    );
    Options::default()
        .config(&config)
        .variable("PATCHCORD_LOG__LEVEL", "info")
        .start()
}

/// A number that answers, stays silent and hangs up; `status` receives its callbacks.
pub(crate) fn number(
    server: &Server,
    number: &str,
    document: &str,
    status: &str,
) -> anyhow::Result<()> {
    let further = [("StatusCallback", status)];
    let made = server.rest().number_with(number, document, &further);
    made.map(drop)
}

/// Runs the user agents until no call is left.
pub(crate) fn finish(uas: &mut [&mut Ua]) -> anyhow::Result<()> {
    let deadline = Instant::now() + LIMIT;
    while uas.iter().any(|ua| ua.live() > 0) {
        ensure!(Instant::now() < deadline, "the calls do not end");
        for ua in uas.iter_mut() {
            ua.pump(Duration::ZERO)?;
        }
    }
    Ok(())
}

/// Answers chosen from a seed: half of them failures, some slow.
fn moody(seed: u64) -> Vec<Reply> {
    let mut random = StdRng::seed_from_u64(seed);
    let reply = |_| {
        let status = [200, 200, 500, 503][random.random_range(0..4)];
        Reply::status(status).after(Duration::from_millis(random.random_range(0..60)))
    };
    let mut replies: Vec<Reply> = (0..60).map(reply).collect();
    replies.push(Reply::status(200));
    replies
}

/// Every call reported every event, each under its own id, and none before the previous one was
/// accepted: the attempts for one event of a call are consecutive.
pub(crate) fn check(requests: &[Request], calls: usize) -> anyhow::Result<()> {
    let mut told: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for request in requests {
        let param = |name| request.param(name).with_context(|| format!("{request:?}"));
        let event = request
            .header("x-patchcord-event")
            .context("no event header")?;
        let of_call = told.entry(param("CallSid")?).or_default();
        let seen = (event, param("CallStatus")?);
        if of_call.last() != Some(&seen) {
            of_call.push(seen);
        }
    }
    ensure!(told.len() == calls, "{} of {calls} calls", told.len());
    let events: BTreeSet<&str> = told.values().flatten().map(|(event, _)| *event).collect();
    ensure!(
        events.len() == calls * EVENTS.len(),
        "one event each: {told:#?}"
    );
    for (call, seen) in told {
        let statuses: Vec<&str> = seen.iter().map(|(_, status)| *status).collect();
        ensure!(statuses == EVENTS, "{call}: {seen:?}");
    }
    Ok(())
}

pub(crate) fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn bad_receivers_get_everything_in_order_and_delay_no_other() -> anyhow::Result<()> {
    // Two servers with the same calls; only the receivers of the first are faulty.
    let (mut bad_ua, mut good_ua) = (Ua::bind()?, Ua::bind()?);
    let (bad, good) = (server(&bad_ua)?, server(&good_ua)?);
    bad_ua.connect(bad.sip_udp()?);
    good_ua.connect(good.sip_udp()?);
    let app = App::start()?;
    app.on("/v", Reply::document("<Hangup/>"));
    app.on("/ok", Reply::status(200));
    let (moody_app, slow_app) = (App::start()?, App::start()?);
    moody_app.on_each("/s", moody(7));
    // The first three are never answered in time.
    let mut late = vec![Reply::status(200).after(Duration::from_millis(600)); 3];
    late.push(Reply::status(200).after(Duration::from_millis(150)));
    slow_app.on_each("/s", late);
    let away = ClosedApp::bind()?;
    let receivers = [moody_app.url("/s"), slow_app.url("/s"), away.url("/s")];
    for (nth, receiver) in (0..).zip(&receivers) {
        number(&bad, &format!("100{nth}"), &app.url("/v"), receiver)?;
        number(&good, &format!("100{nth}"), &app.url("/v"), &app.url("/ok"))?;
    }
    for server in [&bad, &good] {
        number(server, "2000", &app.url("/v"), &app.url("/ok"))?;
    }

    let mut setups = (Vec::new(), Vec::new());
    let mut background = 0;
    let mut ratio = f64::MAX;
    // More samples give a better median: noise averages out, a real difference remains.
    for _ in 0..4 {
        for sample in 0..60 {
            if sample % 3 < 2 && background < CALLS * receivers.len() {
                let callee = format!("100{}", background % receivers.len());
                background += 1;
                bad_ua.call(&callee)?;
                good_ua.call(&callee)?;
                finish(&mut [&mut bad_ua, &mut good_ua])?;
            }
            // One after the other, so that they do not disturb each other.
            let mut pair = [(&mut bad_ua, &mut setups.0), (&mut good_ua, &mut setups.1)];
            if sample % 2 == 1 {
                pair.reverse();
            }
            for (ua, setup) in pair {
                ua.call("2000")?;
                finish(&mut [&mut *ua])?;
                setup.extend(ua.tally().setup.last());
            }
        }
        ratio = median(&mut setups.0).as_secs_f64() / median(&mut setups.1).as_secs_f64();
        if ratio <= 1.2 && background == CALLS * receivers.len() {
            break;
        }
    }
    eprintln!(
        "set-up {:?} beside bad receivers, {:?} without; ratio {ratio:.2} of {} pairs",
        median(&mut setups.0),
        median(&mut setups.1),
        setups.0.len()
    );
    ensure!(bad_ua.tally().failures() + good_ua.tally().failures() == 0);
    ensure!(
        bad.metric("patchcord_callbacks_waiting")? > 0.0,
        "the receivers are still bad while set-up is measured"
    );

    let away_app = away.open("/s", Reply::status(200))?;
    wait::until("every callback", LIMIT, || {
        let waiting = bad.metric("patchcord_callbacks_waiting").ok()?;
        (waiting == 0.0).then_some(())
    })
    .with_context(|| bad.log())?;
    for (name, app) in [
        ("moody", &moody_app),
        ("slow", &slow_app),
        ("away", &away_app),
    ] {
        check(&app.requests("/s"), CALLS).context(name)?;
    }
    ensure!(moody_app.requests("/s").len() > CALLS * EVENTS.len());
    ensure!(bad.metric("patchcord_callbacks_opened_total")? >= 1.0);
    ensure!(bad.metric("patchcord_callbacks_dead_total")? == 0.0);
    ensure!(ratio <= 1.2, "set-up takes {ratio:.2} times as long");
    Ok(())
}

#[test]
fn documents_and_callbacks_are_signed_with_every_live_token() -> anyhow::Result<()> {
    let mut ua = Ua::bind()?;
    let server = server(&ua)?;
    ua.connect(server.sip_udp()?);
    let app = App::start()?;
    app.on("/v", Reply::document("<Hangup/>"));
    app.on("/s", Reply::status(200));
    number(&server, "1000", &app.url("/v"), &app.url("/s"))?;
    for tokens in [1, 2] {
        if tokens == 2 {
            server.rest().post("AuthTokens/Secondary", &[])?;
        }
        ua.call("1000")?;
        finish(&mut [&mut ua])?;
        let callbacks = app.wait_for("/s", EVENTS.len() * tokens, LIMIT)?;
        let documents = app.requests("/v");
        for request in [documents.last(), callbacks.last()] {
            let request = request.context("a request")?;
            let header = |name| {
                let value = request.header(name).map(str::to_owned);
                value.with_context(|| format!("{name} of {request:?}"))
            };
            let ours = header("x-patchcord-signature")?;
            assert_eq!(ours.matches(",v1=").count(), tokens, "{ours}");
            assert!(header("x-patchcord-signed-url")?.starts_with(&app.url(&request.path)));
            assert_eq!(header("x-twilio-signature")?.len(), 28);
            assert!(header("x-patchcord-event")?.starts_with("EV"));
        }
    }
    Ok(())
}

#[test]
fn a_dead_callback_is_replayed_by_command_and_by_rest() -> anyhow::Result<()> {
    let mut ua = Ua::bind()?;
    let server = server(&ua)?;
    ua.connect(server.sip_udp()?);
    let app = App::start()?;
    app.on("/v", Reply::document("<Hangup/>"));
    // Refused for good, then accepted.
    app.on_each("/s", vec![Reply::status(410); 3]);
    number(&server, "1000", &app.url("/v"), &app.url("/s"))?;
    ua.call("1000")?;
    finish(&mut [&mut ua])?;
    let deliveries = |state: &str, count: usize| {
        let path = format!("Webhooks/Deliveries?State={state}");
        wait::until(&format!("{count} {state}"), LIMIT, || {
            let list = server.rest().get(&path).ok()?;
            let found = list["deliveries"].as_array()?.clone();
            (found.len() == count).then_some(found)
        })
    };
    let dead = deliveries("dead", 3)?;
    assert_eq!(dead[0]["last_status"], 410, "{dead:?}");
    // One for all three, which failed for the same reason.
    let noted = wait::until("the notification", LIMIT, || {
        let list = server.rest().get("Notifications").ok()?;
        let found = list["notifications"].as_array()?.clone();
        (!found.is_empty()).then_some(found)
    })?;
    assert_eq!(noted.len(), 1, "{noted:?}");
    assert_eq!(noted[0]["error_code"], 11_206, "{noted:?}");
    let text = noted[0]["message_text"].as_str().unwrap_or_default();
    assert!(
        text.ends_with("given up: the application refused it with status 410"),
        "{text}"
    );
    app.on("/s", Reply::status(200));

    // Newest first, so the last is the call's first.
    let event = dead[2]["sid"].as_str().context("no sid")?.to_owned();
    let webhooks = |words: &[&str]| -> anyhow::Result<String> {
        let mut command = program();
        command
            .arg("webhooks")
            .args(words)
            .arg("--data")
            .arg(server.data());
        let output = command.output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{words:?}: {output:?}");
        Ok(text)
    };
    assert_eq!(
        webhooks(&["replay", &event])?,
        "1 queued for delivery again\n"
    );
    assert_eq!(deliveries("delivered", 1)?[0]["sid"], event.as_str());
    let shown = webhooks(&["show", &event])?;
    assert!(shown.contains("state     delivered\n"), "{shown}");
    assert!(webhooks(&["list", "--state", "dead"])?.ends_with("2 of 2\n"));

    let answer = server
        .rest()
        .post("Webhooks/Deliveries/Replay", &[("State", "dead")])?;
    assert_eq!(answer["replayed"], 2);
    deliveries("delivered", 3)?;
    let requests = app.requests("/s");
    let told = |request: &Request| {
        let event = request.header("x-patchcord-event").map(str::to_owned);
        (event, request.param("CallStatus").map(str::to_owned))
    };
    let told: Vec<_> = requests.iter().map(told).collect();
    assert_eq!(told[..3], told[3..], "the same events in the same order");
    Ok(())
}
