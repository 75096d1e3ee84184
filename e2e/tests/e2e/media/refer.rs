//! The server transfers the caller away with its own REFER, and lets a caller hear itself.

use e2e::phone::Setup;
use e2e::sipp::Scenario;
use e2e::{App, Reply, Server, wait};

use super::{SOON, Scene, talk};

/// The address of the transfer: nobody listens there, since the phone of the scenario does not call.
const TARGET: &str = "sip:ann@127.0.0.1:5999?X-Order=7&User-to-User=5%3Bencoding%3Dhex";

/// A document that transfers to [`TARGET`].
fn refer() -> Reply {
    let target = TARGET.replace('&', "&amp;");
    Reply::document(&format!(
        "<Refer action=\"/after\"><Sip>{target}</Sip></Refer>"
    ))
}

#[test]
fn the_caller_is_transferred_and_hangs_up() -> anyhow::Result<()> {
    let (server, app) = (Server::start()?, App::start()?);
    app.on("/v", refer());
    app.on("/after", Reply::document("<Pause length=\"9\"/>"));
    let rest = server.rest();
    rest.public_number("1003", &app.url("/v"), "")?;
    let scenario = Scenario::new("refer-accept-notify-and-bye").service("1003");
    let phone = scenario.start(&server)?;
    let asked = app.wait_for("/after", 1, SOON)?;
    for (name, expected) in [
        ("ReferCallStatus", "in-progress"),
        ("ReferSipResponseCode", "202"),
        ("NotifySipResponseCode", "200"),
    ] {
        assert_eq!(asked[0].param(name), Some(expected), "{asked:?}");
    }
    let messages = phone.messages();
    assert!(
        messages.contains(&format!("Refer-To: <{TARGET}>")),
        "{messages}"
    );
    phone.finish()?;
    let calls = rest.finished_calls(1, SOON)?;
    assert_eq!(calls[0]["status"], "completed", "{calls:#?}");
    assert_eq!(calls[0]["reason"], "referred", "{calls:#?}");
    Ok(())
}

/// A refusal is reported at once; a REFER without an answer is repeated until something else ends the
/// call.
#[test]
fn a_refused_transfer_lets_the_document_continue() -> anyhow::Result<()> {
    let (server, app) = (Server::start()?, App::start()?);
    app.on("/v", refer());
    app.on("/after", refer());
    let rest = server.rest();
    rest.public_number("1003", &app.url("/v"), "")?;
    let scenario = Scenario::new("refer-refuse-then-ignore-expect-bye").service("1003");
    let phone = scenario.start(&server)?;
    let asked = app.wait_for("/after", 1, SOON)?;
    assert_eq!(asked[0].param("ReferCallStatus"), Some("failed"));
    assert_eq!(asked[0].param("ReferSipResponseCode"), Some("403"));
    assert_eq!(asked[0].param("NotifySipResponseCode"), None);
    let notified = || {
        let list = rest.get("Notifications").ok()?.to_string();
        list.contains("13242").then_some(())
    };
    wait::until("a notification", SOON, notified)?;
    let repeated = || (phone.messages().matches("REFER sip:").count() >= 3).then_some(());
    wait::until("the REFER again", SOON, repeated)?;
    let calls = rest.calls()?;
    let sid = calls[0]["sid"].as_str().unwrap_or_default();
    rest.post(&format!("Calls/{sid}"), &[("Status", "completed")])?;
    phone.finish()
}

#[test]
fn an_echo_lets_the_caller_hear_itself() -> anyhow::Result<()> {
    for setup in [|kim: Setup| kim, |kim: Setup| kim.wideband()] {
        let scene = Scene::with(setup)?;
        scene.app.on("/v", Reply::document("<Echo/>"));
        scene.kim.dial("1000")?;
        scene.kim.wait_for("CALL_ESTABLISHED")?;
        talk(2.0);
        scene.kim.hangup()?;
        scene.server.rest().finished_calls(1, SOON)?;
        let heard = scene.kim.heard()?.span_of(scene.kims);
        let (seconds, share) = (heard.seconds(), heard.share(scene.kims));
        assert!(seconds >= 1.0, "its own tone was heard for {seconds:.2} s");
        assert!(share >= 0.8, "its own tone is {share:.2} of what it heard");
    }
    Ok(())
}
