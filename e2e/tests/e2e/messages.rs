//! Text messages of a call, to real phones.

use std::time::Duration;

use anyhow::ensure;
use e2e::phone::Setup;
use e2e::sipp::Scenario;
use e2e::{App, Pitch, Reply, Server};

const SOON: Duration = Duration::from_secs(8);

/// The caller gets one, so do somebody registered over TCP and a SIP address, and one has nowhere to
/// go; each ends once, on record and at the application.
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
