//! Keys of real phones, sent in three ways, reach the application.

use std::time::Duration;

use audio::tone::KeyTone;
use e2e::load::ua::Ua;
use e2e::phone::Setup;
use e2e::server::Options;
use e2e::sipp::Scenario;
use e2e::{App, Reply, Server, wait};

use super::{SOON, Scene, talk};

const GATHER: &str =
    "<Gather action=\"/g\" numDigits=\"4\" timeout=\"3\"><Say>Press four keys.</Say></Gather>";

/// The keys reported to the application after a phone pressed these keys.
fn collected(scene: &Scene, keys: &str) -> anyhow::Result<String> {
    scene.app.on("/v", Reply::document(GATHER));
    scene.app.on("/g", Reply::document("<Hangup/>"));
    scene.kim.dial("1000")?;
    scene.kim.wait_for("CALL_ESTABLISHED")?;
    talk(0.3);
    for key in keys.chars() {
        scene.kim.press(key)?;
        talk(0.1);
    }
    let asked = scene.app.wait_for("/g", 1, SOON)?;
    scene.kim.wait_for("CALL_CLOSED")?;
    Ok(asked[0].param("Digits").unwrap_or_default().to_owned())
}

#[test]
fn keys_by_telephone_event_are_gathered() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    assert_eq!(collected(&scene, "12*9")?, "12*9");
    let calls = scene.server.rest().finished_calls(1, SOON)?;
    assert_eq!(calls[0]["status"], "completed");
    Ok(())
}

#[test]
fn keys_by_info_are_gathered() -> anyhow::Result<()> {
    let scene = Scene::with(|kim| kim.keys_by_info())?;
    assert_eq!(collected(&scene, "7007")?, "7007");
    Ok(())
}

/// µ-law: half a second of silence, then each key for 100 ms followed by 100 ms of silence.
fn keys_in_sound(keys: &str) -> Vec<u8> {
    let mut samples = vec![0_i16; 4000];
    for key in keys.chars() {
        let mut tone = KeyTone::new(key).unwrap_or_else(|| unreachable!("{key} is a key"));
        let mut pressed = [0; 800];
        tone.fill(&mut pressed);
        samples.extend(pressed);
        samples.extend([0; 800]);
    }
    samples.extend([0; 4000]);
    samples
        .iter()
        .map(|sample| audio::g711::ulaw_encode(*sample))
        .collect()
}

#[test]
fn keys_in_the_sound_are_gathered() -> anyhow::Result<()> {
    let server = Server::start()?;
    let app = App::start()?;
    app.on("/v", Reply::document(GATHER));
    app.on("/g", Reply::document("<Hangup/>"));
    server.rest().public_number("1000", &app.url("/v"), "")?;
    Scenario::new("keys-in-the-sound-expect-bye")
        .media(keys_in_sound("4#"))
        .run(&server)?;
    // The finishing key is not part of the input, and ends it before the fourth key.
    let asked = app.wait_for("/g", 1, SOON)?;
    assert_eq!(asked[0].param("Digits"), Some("4"));
    Ok(())
}

#[test]
fn keys_are_passed_on_to_a_phone_that_knows_another_way() -> anyhow::Result<()> {
    let scene = Scene::with(|kim| kim.keys_by_info())?;
    let ann = scene.ann(Setup::answers)?;
    scene
        .app
        .on("/v", Reply::document("<Dial><Client>ann</Client></Dial>"));
    scene.kim.dial("1000")?;
    ann.wait_for("CALL_ESTABLISHED")?;
    talk(0.3);
    scene.kim.press('5')?;
    let key = ann.wait_for("CALL_DTMF_START")?;
    assert_eq!(key["param"], "5", "{key}");
    talk(Duration::from_millis(300).as_secs_f64());
    scene.kim.hangup()?;
    Ok(())
}

/// A flood of key presses from a broken or hostile caller costs next to nothing and harms no other
/// call.
#[test]
fn a_flood_of_keys_is_bounded() -> anyhow::Result<()> {
    const PRESSES: u64 = 100_000;
    const GROWTH_BYTES: f64 = 5e6;
    let app = App::start()?;
    app.on("/v", Reply::document("<Dial><Number>2000</Number></Dial>"));
    let gather = "<Gather timeout=\"60\" finishOnKey=\"#\" action=\"/g\"/>";
    app.on("/keys", Reply::document(gather));
    let mut ua = Ua::bind()?;
    let trunk = ua.local();
    let config = format!("[[trunk]]\nname = 'load'\nuri = '{trunk}'\naddresses = ['127.0.0.1']\n");
    let server = Options::default()
        .config(&config)
        .variable("PATCHCORD_LOG__LEVEL", "warn")
        .start()?;
    ua.connect(server.sip_udp()?);
    server.rest().number("1000", &app.url("/v"))?;
    server.rest().number("1001", &app.url("/keys"))?;
    // Legs 1 and 2 are bridged; leg 3 presses keys.
    ua.build_up("1000", 1, 10.0)?;
    ua.build_up("1001", 2, 10.0)?;
    ua.pump(Duration::from_secs(1))?;
    let memory = || server.metric("process_resident_memory_bytes");
    let (before, start) = (ua.rtp().legs()?, memory()?);
    ua.rtp().press(3, PRESSES)?;
    wait::until("key presses", Duration::from_secs(60), || {
        ua.pump(Duration::from_millis(20)).ok()?;
        let sent = ua.rtp().legs().ok()?[&3].sent - before[&3].sent;
        (sent >= PRESSES).then_some(())
    })?;
    let (after, growth) = (ua.rtp().legs()?, memory()? - start);
    eprintln!("memory {:+.2} MB", growth / 1e6);
    for (from, to) in [(1, 2), (2, 1)] {
        let sent = after[&from].sent - before[&from].sent;
        let received = after[&to].received - before[&to].received;
        assert!(received * 100 >= sent * 98, "{received} of {sent}");
    }
    assert!(growth < GROWTH_BYTES, "{growth} bytes for {PRESSES} keys");
    // The flooded call is alive, and so is its script.
    ua.hang_up_older(Duration::ZERO);
    wait::until("end of every leg", Duration::from_secs(10), || {
        ua.pump(Duration::from_millis(5)).ok()?;
        (ua.live() == 0).then_some(())
    })?;
    let calls = server.rest().finished_calls(3, SOON)?;
    for call in calls {
        assert_eq!(call["status"], "completed", "{call}");
    }
    Ok(())
}
