//! A phone transfers the party that it talks to: SIP REFER by a real phone.

use anyhow::Context as _;
use e2e::phone::Setup;
use e2e::server::DOMAIN;
use e2e::sipp::{Running, Scenario};
use e2e::{Phone, Pitch, Reply};

use super::{SOON, Scene, talk};

/// How long the parties talk before and after a transfer, in seconds.
const TALK: f64 = 2.5;
/// How long a tone must be heard at least.
const HEARD_S: f64 = 1.0;

/// A third phone, to which calls are transferred.
fn fay(scene: &Scene, pitch: Pitch) -> anyhow::Result<Phone> {
    scene.server.rest().client("fay", "fay-Secret-1")?;
    let phone = Setup::new("fay").registers("fay-Secret-1").answers();
    phone.start(&scene.server, pitch)
}

/// The number has a document for transfers.
fn with_refer_url(scene: &Scene) -> anyhow::Result<()> {
    let (app, rest) = (&scene.app, scene.server.rest());
    app.on("/v", Reply::document("<Dial><Client>ann</Client></Dial>"));
    app.on("/r", Reply::document("<Dial><Client>fay</Client></Dial>"));
    let refer = app.url("/r");
    let further = [("ReferUrl", refer.as_str()), ("Public", "true")];
    rest.number_with("1001", &app.url("/v"), &further)?;
    Ok(())
}

#[test]
fn the_called_phone_transfers_the_caller() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    with_refer_url(&scene)?;
    let ann = scene.ann(Setup::answers)?;
    let fay = fay(&scene, scene.music)?;
    scene.kim.dial("1001")?;
    ann.wait_for("CALL_ESTABLISHED")?;
    talk(TALK);
    ann.transfer("fay")?;
    ann.wait_for("CALL_CLOSED")?;
    fay.wait_for("CALL_ESTABLISHED")?;
    talk(TALK);
    fay.hangup()?;
    scene.kim.wait_for("CALL_CLOSED")?;

    // The caller heard first one, then the other; the other heard the caller.
    let heard = scene.kim.heard()?;
    for (who, pitch) in [("ann", scene.anns), ("fay", scene.music)] {
        let seconds = heard.span_of(pitch).seconds();
        assert!(seconds >= HEARD_S, "{who} was heard for {seconds:.2} s");
    }
    let seconds = fay.heard()?.span_of(scene.kims).seconds();
    assert!(seconds >= HEARD_S, "kim was heard for {seconds:.2} s");

    let asked = scene.app.wait_for("/r", 1, SOON)?;
    let target = format!("sip:fay@{DOMAIN}");
    for (name, expected) in [
        ("From", "kim"),
        ("Transferee", "kim"),
        ("ReferTarget", "fay"),
        ("ReferTransferTarget", &target),
    ] {
        assert_eq!(asked[0].param(name), Some(expected), "{asked:?}");
    }
    let calls = scene.server.rest().finished_calls(3, SOON)?;
    assert!(
        calls.iter().all(|call| call["status"] == "completed"),
        "{calls:#?}"
    );
    let reasons: Vec<_> = calls.iter().map(|call| call["reason"].as_str()).collect();
    assert!(reasons.contains(&Some("transferred")), "{reasons:?}");
    Ok(())
}

#[test]
fn the_calling_phone_transfers_the_called_one() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let dial = "<Dial referUrl=\"/mine\" referMethod=\"GET\"><Client>ann</Client></Dial>";
    scene.app.on("/v", Reply::document(dial));
    let document = "<Dial><Client>fay</Client></Dial>";
    scene.app.on("/mine", Reply::document(document));
    let ann = scene.ann(Setup::answers)?;
    let fay = fay(&scene, scene.music)?;
    scene.kim.dial("1000")?;
    scene.kim.wait_for("CALL_ESTABLISHED")?;
    ann.wait_for("CALL_ESTABLISHED")?;
    talk(1.0);
    scene.kim.transfer("fay")?;
    scene.kim.wait_for("CALL_CLOSED")?;
    fay.wait_for("CALL_ESTABLISHED")?;
    talk(TALK);
    ann.hangup()?;
    fay.wait_for("CALL_CLOSED")?;
    fay.heard()?
        .check_bridge(scene.anns, scene.music, HEARD_S)?;
    let asked = scene.app.wait_for("/mine", 1, SOON)?;
    assert_eq!(asked[0].method, "GET");
    // The phone's Contact has `kim` with a number of its own.
    let transferor = asked[0].param("Transferor").unwrap_or_default();
    assert!(transferor.starts_with("kim"), "{asked:?}");
    Ok(())
}

/// The phone of a stranger calls this number of the server, to be connected to ann.
fn stranger(scenario: &str, number: &str, refer_to: &str) -> Scenario {
    let scenario = Scenario::new(scenario).service(number);
    scenario.key("refer_to", refer_to)
}

/// The transferor has talked to the requested party before; the document calls that party again.
#[test]
fn the_transferor_learns_of_the_outcome() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    with_refer_url(&scene)?;
    let ann = scene.ann(Setup::answers)?;
    let fay = fay(&scene, scene.music)?;
    let attended = format!("<sip:fay@{DOMAIN}?Replaces=other%3Bto-tag%3Da%3Bfrom-tag%3Db>");
    stranger("transfer-expect-notify-and-bye", "1001", &attended).run(&scene.server)?;
    fay.wait_for("CALL_ESTABLISHED")?;
    talk(TALK);
    fay.hangup()?;
    ann.wait_for("CALL_CLOSED")?;
    ann.heard()?
        .check_bridge(scene.music, scene.anns, HEARD_S)?;
    let asked = scene.app.wait_for("/r", 1, SOON)?;
    for (name, expected) in [
        ("Transferor", "sipp"),
        ("Transferee", "1001"),
        ("ReferTarget", "fay"),
    ] {
        assert_eq!(asked[0].param(name), Some(expected), "{asked:?}");
    }
    let target = asked[0].param("ReferTransferTarget").unwrap_or_default();
    assert!(target.contains("?Replaces=other%3B"), "{target}");
    Ok(())
}

/// The dialog of a running scenario's call, as Refer-To names it: `to-tag` is the server's.
fn replaces(consulting: &Running) -> anyhow::Result<String> {
    let log = consulting.messages();
    let (_, answer) = log.split_once("SIP/2.0 200").context("no answer")?;
    let field = |name: &str| {
        let mut lines = answer.lines();
        let line = lines.find_map(|line| line.strip_prefix(name));
        line.map(str::trim).context("no such header field")
    };
    let tag = |field: &str| {
        let (_, tag) = field.split_once(";tag=").context("no tag")?;
        anyhow::Ok(tag.to_owned())
    };
    let (to, from) = (tag(field("To:")?)?, tag(field("From:")?)?);
    let id = field("Call-ID:")?.replace('@', "%40");
    Ok(format!("{id}%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}"))
}

/// The transferor talks to fay in another call: ann and fay are connected, and nobody is asked.
#[test]
fn an_attended_transfer_connects_the_two_others() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    with_refer_url(&scene)?;
    let document = "<Dial><Client>fay</Client></Dial>";
    scene.app.on("/f", Reply::document(document));
    let rest = scene.server.rest();
    rest.public_number("1005", &scene.app.url("/f"), "")?;
    let ann = scene.ann(Setup::answers)?;
    let fay = fay(&scene, scene.music)?;
    let consulting = Scenario::new("call-until-bye")
        .service("1005")
        .start(&scene.server)?;
    fay.wait_for("CALL_ESTABLISHED")?;
    let dialog = replaces(&consulting)?;
    let attended = format!("<sip:fay@{DOMAIN}?Replaces={dialog}>");
    stranger("transfer-expect-notify-and-bye", "1001", &attended).run(&scene.server)?;
    consulting.finish()?;
    talk(TALK);
    fay.hangup()?;
    ann.wait_for("CALL_CLOSED")?;
    ann.heard()?
        .check_bridge(scene.music, scene.anns, HEARD_S)?;
    fay.heard()?
        .check_bridge(scene.anns, scene.music, HEARD_S)?;
    assert_eq!(scene.app.requests("/r").len(), 0);
    let calls = rest.finished_calls(4, SOON)?;
    let mut reasons: Vec<_> = calls
        .iter()
        .filter_map(|call| call["reason"].as_str())
        .collect();
    reasons.sort_unstable();
    let expected = ["hung-up", "partner-hung-up", "transferred", "transferred"];
    assert_eq!(reasons, expected, "{calls:#?}");
    Ok(())
}

#[test]
fn a_refused_transfer_leaves_the_call_as_it_was() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let document = "<Dial><Client>ann</Client></Dial>";
    scene.app.on("/v", Reply::document(document));
    let rest = scene.server.rest();
    rest.public_number("1002", &scene.app.url("/v"), "")?;
    let ann = scene.ann(Setup::answers)?;
    let to_fay = format!("<sip:fay@{DOMAIN}>");
    stranger("transfer-expect-404-and-talk-on", "1002", &to_fay).run(&scene.server)?;
    ann.wait_for("CALL_CLOSED")?;
    let calls = rest.finished_calls(2, SOON)?;
    let reasons: Vec<_> = calls.iter().map(|call| call["reason"].as_str()).collect();
    assert_eq!(reasons, [Some("hung-up"), Some("partner-hung-up")]);
    let told = rest.get("Notifications")?.to_string();
    assert!(told.contains("13240"), "{told}");
    Ok(())
}
