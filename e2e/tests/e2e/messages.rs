//! Text messages to real phones, from a call and from the API.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::time::Duration;

use anyhow::ensure;
use e2e::phone::Setup;
use e2e::sipp::Scenario;
use e2e::{App, Pitch, Reply, Server, wait};

const SOON: Duration = Duration::from_secs(8);

/// The caller gets one, as do a phone registered over TCP and a SIP address; one has no route. Each
/// ends exactly once, on record and at the application.
#[test]
fn messages_of_a_call_reach_phones_and_end_once() -> anyhow::Result<()> {
    let server = Server::start()?;
    let app = App::start()?;
    let rest = server.rest();
    for login in ["kim", "ann", "eve"] {
        rest.client(login, "good-Secret-1")?;
    }
    let desk = Scenario::new("message-expect-text").start(&server)?;
    let desk_address = format!("sip:desk@127.0.0.1:{}", desk.port());
    let callback = app.url("/told");
    app.on("/told", Reply::status(200));
    app.on("/v", Reply::document("<Redirect>/next</Redirect>"));
    app.on(
        "/next",
        Reply::document(&format!(
            "<Sms statusCallback=\"{callback}\">words</Sms>\
             <Sms to=\"client:ann\" from=\"Shop\" statusCallback=\"{callback}\">words</Sms>\
             <Sms to=\"{desk_address}\" from=\"My Shop\" statusCallback=\"{callback}\">\
             Your code is 4711 (Grüße)</Sms>\
             <Sms to=\"eve\" statusCallback=\"{callback}\">to nobody</Sms>"
        )),
    );
    rest.number("1000", &app.url("/v"))?;
    let phone = |login: &str| Setup::new(login).registers("good-Secret-1");
    let _ann = phone("ann").tcp().start(&server, Pitch::of(700.0))?;
    let kim = phone("kim").start(&server, Pitch::of(500.0))?;
    kim.dial("1000")?;
    kim.wait_for("CALL_CLOSED")?;
    desk.finish()?;
    let told = app.wait_for("/told", 4, SOON)?;

    let list = rest.get("SMS/Messages")?;
    let call = rest.finished_calls(1, SOON)?;
    for (to, from, status, code) in [
        ("kim", "1000", "sent", None),
        ("client:ann", "Shop", "sent", None),
        (&desk_address, "My Shop", "sent", None),
        ("eve", "1000", "failed", Some(30_003)),
    ] {
        let all = list["messages"].as_array().cloned().unwrap_or_default();
        let of_one = all.iter().filter(|one| one["to"] == to);
        let [one] = of_one.collect::<Vec<_>>()[..] else {
            anyhow::bail!("{to}: {list}");
        };
        ensure!(one["status"] == status && one["from"] == from, "{one}");
        ensure!(one["error_code"].as_i64() == code, "{one}");
        ensure!(one["call_sid"] == call[0]["sid"], "{one}");
        let sid = one["sid"].as_str();
        let mine = told.iter().filter(|asked| asked.param("MessageSid") == sid);
        let statuses: Vec<_> = mine.map(|asked| asked.param("MessageStatus")).collect();
        ensure!(statuses == [Some(status)], "{to}: {statuses:?}");
    }
    Ok(())
}

/// The statuses of a message that the application received, in order, each event once.
fn statuses(app: &App, sid: &str) -> Vec<String> {
    let mut events = BTreeSet::new();
    let mut found = Vec::new();
    for asked in app.requests("/told") {
        let event = asked.header("x-patchcord-event").unwrap_or_default();
        if asked.param("MessageSid") == Some(sid) && events.insert(event.to_owned()) {
            found.push(asked.param("MessageStatus").unwrap_or_default().to_owned());
        }
    }
    found
}

/// Without a call: the API sends one text to a registered phone, one to a SIP address, and one to
/// an unregistered phone.
#[test]
fn a_message_of_the_api_reaches_a_registered_phone() -> anyhow::Result<()> {
    let server = Server::start()?;
    let app = App::start()?;
    app.on("/told", Reply::status(200));
    let rest = server.rest();
    for login in ["ann", "eve"] {
        rest.client(login, "good-Secret-1")?;
    }
    // Fails unless it receives exactly this text from this sender.
    let desk = Scenario::new("message-expect-text").start(&server)?;
    let desk_address = format!("sip:desk@127.0.0.1:{}", desk.port());
    let text = "Your code is 4711 (Grüße)";
    let _ann = Setup::new("ann")
        .registers("good-Secret-1")
        .start(&server, Pitch::of(700.0))?;
    let send = |to: &str| {
        let callback = app.url("/told");
        let form = [
            ("From", "My Shop"),
            ("To", to),
            ("Body", text),
            ("StatusCallback", callback.as_str()),
        ];
        rest.post("SMS/Messages", &form)
    };
    let table = [
        ("client:ann", "sent", None),
        (&desk_address, "sent", None),
        ("client:eve", "failed", Some(30_003)),
    ];
    for (to, status, code) in table {
        let made = send(to)?;
        let sid = made["sid"].as_str().unwrap_or_default().to_owned();
        ensure!(
            made["status"] == "sending" && made["direction"] == "outbound-api",
            "{made}"
        );
        ensure!(made.get("call_sid").is_none(), "{made}");
        let told = wait::until("two callbacks", SOON, || {
            let told = statuses(&app, &sid);
            (told.len() >= 2).then_some(told)
        })?;
        ensure!(told == ["sending", status], "{to}: {told:?}");
        let one = rest.get(&format!("SMS/Messages/{sid}"))?;
        ensure!(one["status"] == status && one["body"] == text, "{one}");
        ensure!(one["error_code"].as_i64() == code, "{one}");
    }
    desk.finish()?;
    ensure!(rest.all("Calls", "calls")?.is_empty(), "there was no call");
    Ok(())
}

/// A recipient that never answers keeps the message pending when the server is killed.
#[test]
fn a_killed_server_leaves_no_message_pending() -> anyhow::Result<()> {
    let mut server = Server::start()?;
    let app = App::start()?;
    app.on("/told", Reply::status(200));
    let silent = UdpSocket::bind("127.0.0.1:0")?;
    silent.set_read_timeout(Some(SOON))?;
    let to = format!("sip:desk@{}", silent.local_addr()?);
    let callback = app.url("/told");
    let form = [
        ("From", "Shop"),
        ("To", to.as_str()),
        ("Body", "words"),
        ("StatusCallback", callback.as_str()),
    ];
    let made = server.rest().post("Messages", &form)?;
    let sid = made["sid"].as_str().unwrap_or_default().to_owned();
    let mut datagram = [0; 2_048];
    let length = silent.recv(&mut datagram)?;
    ensure!(datagram[..length].starts_with(b"MESSAGE "), "it was sent");
    server.kill()?;
    server.start_again()?;
    let told = wait::until("the final callback", SOON, || {
        let told = statuses(&app, &sid);
        (told.len() >= 2).then_some(told)
    })?;
    ensure!(told == ["sending", "failed"], "{told:?}");
    let one = server.rest().get(&format!("Messages/{sid}"))?;
    ensure!(
        one["status"] == "failed" && one["error_code"] == 30_008,
        "{one}"
    );
    ensure!(one["error_message"] == "node-lost", "{one}");
    // A second crash does not end anything again.
    server.kill()?;
    server.start_again()?;
    let again = server.rest().get(&format!("Messages/{sid}"))?;
    ensure!(again == one, "{again}");
    ensure!(statuses(&app, &sid) == ["sending", "failed"], "told once");
    Ok(())
}
