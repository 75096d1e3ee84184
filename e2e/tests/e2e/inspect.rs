//! The output of the command line while a server is running.

use std::time::Duration;

use anyhow::ensure;
use e2e::phone::Setup;
use e2e::server::program;
use e2e::{App, Pitch, Reply, Server, ports, wait};

const SOON: Duration = Duration::from_secs(8);

/// Standard output of `patchcord` on the server's data folder.
fn patchcord(server: &Server, arguments: &[&str]) -> anyhow::Result<String> {
    let output = program()
        .args(arguments)
        .arg("--data")
        .arg(server.data())
        .output()?;
    ensure!(output.status.success(), "{arguments:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Immediately after a call its trace is still being written to disk: the test waits for it.
#[test]
fn a_call_that_has_just_ended_is_shown() -> anyhow::Result<()> {
    let server = Server::start()?;
    let app = App::start()?;
    app.on("/v", Reply::document("<Play>/missing.wav</Play>"));
    app.on("/cb", Reply::status(200));
    let rest = server.rest();
    rest.public_number("1000", &app.url("/v"), &app.url("/cb"))?;
    let kim = Setup::new("kim").start(&server, Pitch::of(500.0))?;
    for turn in 1..=3 {
        kim.dial("1000")?;
        let calls = rest.finished_calls(turn, SOON)?;
        let sid = calls[0]["sid"].as_str().unwrap_or_default();
        let shown = patchcord(&server, &["calls", "show", sid])?;
        ensure!(shown.contains("INVITE"), "{shown}");
        let replayed = patchcord(&server, &["replay", sid])?;
        ensure!(replayed.contains("identical"), "{replayed}");
    }
    let listed = patchcord(&server, &["calls", "list", "--limit", "2"])?;
    ensure!(
        listed.contains("2 of 3; `--limit N` shows more"),
        "{listed}"
    );
    let none = patchcord(&server, &["calls", "list", "--status", "busy"])?;
    ensure!(none == "no matching calls\n", "{none}");
    let one = patchcord(&server, &["calls", "list", "--number", "KIM", "--json"])?;
    let one: serde_json::Value = serde_json::from_str(&one)?;
    ensure!(one["total"] == 3, "{one}");
    Ok(())
}

/// What cannot be, whether misspelt or not on record, is wrong usage of every command.
#[test]
fn wrong_usage_exits_with_64() -> anyhow::Result<()> {
    let server = Server::start()?;
    let (call, event) = (format!("CA{:032}", 7), format!("EV{:032}", 7));
    let table: [(&[&str], i32); 12] = [
        (&["calls", "show", "xyz"], 64),
        (&["calls", "show", &call], 64),
        (&["calls", "list", "--status", "done"], 64),
        (&["test", "--from", "xyz"], 64),
        (&["test", "--from", &call], 64),
        (&["replay", &call], 64),
        (&["webhooks", "show", "xyz"], 64),
        (&["webhooks", "show", &event], 64),
        (&["webhooks", "list", "--lane", "CA12"], 64),
        (&["webhooks", "replay", "xyz"], 64),
        (&["notifications", "list", "--call", "CA12"], 64),
        (&["calls", "list", "--status", "COMPLETED"], 0),
    ];
    for (arguments, expected) in table {
        let output = program()
            .args(arguments)
            .arg("--data")
            .arg(server.data())
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.code() == Some(expected),
            "{arguments:?}: {:?}, {said}",
            output.status
        );
        ensure!(said.is_empty() == (expected == 0), "{arguments:?}: {said}");
    }
    Ok(())
}

/// The trace of a live call is in the memory of its server, which is asked for it.
#[test]
fn a_live_call_is_shown() -> anyhow::Result<()> {
    let server = Server::start()?;
    let app = App::start()?;
    let document = r#"<Gather timeout="60" numDigits="4" action="/keys"/>"#;
    app.on("/v", Reply::document(document));
    app.on("/keys", Reply::document("<Hangup/>"));
    app.on("/cb", Reply::status(200));
    let rest = server.rest();
    rest.public_number("1000", &app.url("/v"), &app.url("/cb"))?;
    let kim = Setup::new("kim").start(&server, Pitch::of(500.0))?;
    kim.dial("1000")?;
    kim.wait_for("CALL_ESTABLISHED")?;
    let calls = rest.calls()?;
    let sid = calls[0]["sid"].as_str().unwrap_or_default();
    let show = |what: &str| {
        wait::until(what, SOON, || {
            let shown = patchcord(&server, &["calls", "show", sid]).ok()?;
            shown.contains(what).then_some(shown)
        })
    };
    let shown = show("<Gather>, line 2")?;
    ensure!(shown.contains("- INVITE 1000 -"), "{shown}");
    ensure!(shown.ends_with("the call is not over yet\n"), "{shown}");
    kim.press('7')?;
    show("key (telephone-event)")?;
    let json = patchcord(&server, &["calls", "show", sid, "--json"])?;
    let json: serde_json::Value = serde_json::from_str(&json)?;
    ensure!(json["call"]["status"] == "in-progress", "{json}");
    let trace = json["trace"].as_array().map_or(0, Vec::len);
    ensure!(trace > 5 && json["journal"][0].is_object(), "{json}");
    kim.hangup()?;
    rest.finished_calls(1, SOON)?;
    let shown = patchcord(&server, &["calls", "show", sid])?;
    ensure!(
        shown.contains("- BYE -") && !shown.contains("not over"),
        "{shown}"
    );
    Ok(())
}

/// A wrong password and calls to numbers that are not there, are private or have an application without an
/// address leave no other trace, and each leaves one line.
#[test]
fn who_is_turned_away_is_listed() -> anyhow::Result<()> {
    let server = Server::start()?;
    server.rest().client("kim", "good-Secret-1")?;
    let wrong = Setup::new("kim").registers("bad-Secret-1");
    ensure!(
        wrong.start(&server, Pitch::of(500.0)).is_err(),
        "it registered"
    );
    server.rest().number("4712", "http://127.0.0.1/a.xml")?;
    let application = server
        .rest()
        .post("Applications", &[("FriendlyName", "empty")])?;
    let application = application["sid"].as_str().unwrap_or_default();
    let properties = [("Public", "true"), ("VoiceApplicationSid", application)];
    server
        .rest()
        .number_with("4713", "http://127.0.0.1/a.xml", &properties)?;
    let bob = Setup::new("bob").start(&server, Pitch::of(500.0))?;
    for (at, number) in ["4711", "4712", "4713"].into_iter().enumerate() {
        bob.dial(number)?;
        bob.wait_for_nth("CALL_CLOSED", at + 1)?;
    }
    let listed = wait::until("the refusals", Duration::from_secs(20), || {
        let output = program()
            .args(["doctor", "phones", "--data"])
            .arg(server.data())
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let expected = [
            "wrong password for `kim`",
            "wrong password for `bob`",
            "`4711` is neither",
            "    1× from 127.0.0.1  `4712` is not public",
            "the application of `4713` has no address",
        ];
        let all = expected.iter().all(|part| text.contains(part));
        (all && output.status.code() == Some(1)).then_some(text)
    });
    // The phone answers the challenge of the private number with credentials that are no client's.
    ensure!(
        listed.as_ref().is_ok_and(|text| text.lines().count() == 5),
        "{listed:?} {}",
        server.log()
    );
    ensure!(server.log().contains("turned away"), "{}", server.log());
    Ok(())
}

#[test]
fn problems_and_phones_are_listed() -> anyhow::Result<()> {
    let server = Server::start()?;
    let rest = server.rest();
    let none = patchcord(&server, &["phones", "list"])?;
    ensure!(none == "no phone is registered\n", "{none}");
    rest.client("kim", "good-Secret-1")?;
    let dead = format!("http://127.0.0.1:{}/v", ports::free()?);
    rest.number("1000", &dead)?;
    let kim = Setup::new("kim")
        .registers("good-Secret-1")
        .start(&server, Pitch::of(500.0))?;
    let phones = patchcord(&server, &["phones", "list"])?;
    ensure!(
        phones.starts_with("kim ") && phones.contains("from 127.0.0.1:"),
        "{phones}"
    );
    kim.dial("1000")?;
    let calls = rest.finished_calls(1, SOON)?;
    let call = calls[0]["sid"].as_str().unwrap_or_default();
    let told = patchcord(&server, &["notifications", "list", "--call", call])?;
    ensure!(
        told.contains("error 11205") && told.contains(&dead),
        "{told}"
    );
    Ok(())
}
