//! Message waiting indication, as phones see it: baresip and sipp subscribe, and a phone that does not is notified as well.
//!
//! Changes are made through the API of voicemail boxes.

use std::net::UdpSocket;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::Server;
use e2e::phone::Setup;
use e2e::sipp::Scenario;
use e2e::tone::Pitch;
use e2e::wait;

const PASSWORD: &str = "ann-Secret-1";
const PATIENCE: Duration = Duration::from_secs(8);

/// A server with the client `ann`, and her box.
fn server_with_box() -> anyhow::Result<(Server, String)> {
    let server = Server::start()?;
    let rest = server.rest();
    rest.client("ann", PASSWORD)?;
    let made = rest.post(
        "VoicemailBoxes",
        &[("FriendlyName", "Ann"), ("Client", "ann")],
    )?;
    let sid = made["sid"].as_str().context("a box")?.to_owned();
    Ok((server, sid))
}

/// Adds a message to the box, and gives it its status through the API, which notifies the phones.
fn leave((server, mailbox): (&Server, &str), n: u32, status: &str) -> anyhow::Result<()> {
    let rest = server.rest();
    let sid = format!("VM{n:032x}");
    write(
        server,
        "INSERT INTO voicemail_messages (sid, account, mailbox, state, source, target, reason, ready, duration_s, \
         to_transcribe, delete_after_mail, created, updated) \
         VALUES (?2, ?1, ?3, 'heard', '', '', 'direct', 1, 1, 0, 0, 0, 0)",
        &[rest.account(), &sid, mailbox],
    )?;
    rest.post(
        &format!("VoicemailBoxes/{mailbox}/Messages/{sid}"),
        &[("Status", status)],
    )?;
    Ok(())
}

fn write(server: &Server, statement: &str, values: &[&str]) -> anyhow::Result<()> {
    let file = rusqlite::Connection::open(server.data().join("patchcord.db"))?;
    file.busy_timeout(PATIENCE)?;
    file.execute(statement, rusqlite::params_from_iter(values))?;
    Ok(())
}

/// A phone of `ann` registers, from a port that is free afterwards.
fn register(server: &Server) -> anyhow::Result<u16> {
    let phone = Scenario::new("register-expect-200")
        .service("ann")
        .credentials("ann", PASSWORD)
        .start(server)?;
    let port = phone.port();
    phone.finish()?;
    Ok(port)
}

// Run by itself, it passes more often than not. The same is proved with sipp below.
#[test]
#[ignore = "baresip 1.0.0 with mwi.so often does nothing but send SUBSCRIBE once it has registered, without reading an answer"]
fn baresip_shows_what_waits_and_what_comes() -> anyhow::Result<()> {
    let (server, mailbox) = server_with_box()?;
    let to = (&server, mailbox.as_str());
    leave(to, 1, "new")?;
    leave(to, 2, "heard")?;
    let phone = Setup::new("ann")
        .registers(PASSWORD)
        .watches_messages()
        .start(&server, Pitch::of(600.0))?;
    let shows = |text: &str| {
        let shown = || phone.printed().contains(text).then_some(());
        wait::until(text, PATIENCE, shown)
            .with_context(|| format!("{}\n{}", phone.printed(), server.log()))
    };
    let first = "Messages-Waiting: yes\r\nMessage-Account: sip:ann@e2e.test\r\nVoice-Message: 1/1 (0/0)\r\n";
    shows(first)?;
    leave(to, 3, "new")?;
    shows("Voice-Message: 2/1 (0/0)")
}

#[test]
fn a_subscription_is_refreshed_and_ended() -> anyhow::Result<()> {
    let (server, mailbox) = server_with_box()?;
    let to = (&server, mailbox.as_str());
    leave(to, 1, "new")?;
    leave(to, 2, "heard")?;
    let outcome = Scenario::new("subscribe-refresh-and-end-expect-notifies")
        .service("ann")
        .credentials("ann", PASSWORD)
        .run(&server);
    assert!(outcome.is_ok(), "{outcome:?}\n{}", server.log());
    Ok(())
}

#[test]
fn a_phone_that_does_not_subscribe_is_notified() -> anyhow::Result<()> {
    let (server, mailbox) = server_with_box()?;
    let to = (&server, mailbox.as_str());
    let phone = UdpSocket::bind(("127.0.0.1", register(&server)?))?;
    phone.set_read_timeout(Some(PATIENCE))?;
    leave(to, 1, "new")?;
    let notify = notify(&phone)?;
    let body = "Messages-Waiting: yes\r\nMessage-Account: sip:ann@e2e.test\r\nVoice-Message: 1/0 (0/0)\r\n";
    ensure!(notify.ends_with(&format!("\r\n\r\n{body}")), "{notify}");
    for line in [
        "Event: message-summary",
        "Subscription-State: active",
        "Content-Type: application/simple-message-summary",
    ] {
        ensure!(notify.lines().any(|found| found == line), "{notify}");
    }
    answer(&phone, &notify, &server)?;
    // The next change reaches it as well.
    leave(to, 2, "heard")?;
    let next = wait::until("the next NOTIFY", PATIENCE, || {
        let found = self::notify(&phone).ok()?;
        found.contains("Voice-Message: 1/1 (0/0)").then_some(found)
    })?;
    answer(&phone, &next, &server)
}

/// The next NOTIFY that arrives; other requests are left unanswered.
fn notify(phone: &UdpSocket) -> anyhow::Result<String> {
    loop {
        let mut datagram = [0; 4096];
        let length = phone.recv(&mut datagram).context("no NOTIFY")?;
        let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
        if text.starts_with("NOTIFY ") {
            return Ok(text);
        }
    }
}

/// Answers a request with 200.
fn answer(phone: &UdpSocket, request: &str, server: &Server) -> anyhow::Result<()> {
    let copied = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
    let lines = request.lines();
    let lines = lines.filter(|line| copied.iter().any(|name| line.starts_with(name)));
    let lines: Vec<&str> = lines.collect();
    let text = format!(
        "SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n",
        lines.join("\r\n")
    );
    phone.send_to(text.as_bytes(), server.sip_udp()?)?;
    Ok(())
}
