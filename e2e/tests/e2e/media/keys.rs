//! Keys of real phones, told in three ways, reach the application.

use std::time::Duration;

use audio::tone::KeyTone;
use e2e::phone::Setup;
use e2e::sipp::Scenario;
use e2e::{App, Reply, Server};

use super::{SOON, Scene, talk};

const GATHER: &str =
    "<Gather action=\"/g\" numDigits=\"4\" timeout=\"3\"><Say>Press four keys.</Say></Gather>";

/// What the application is told after a phone pressed these keys.
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

/// µ-law: half a second of silence, then each key for 100 ms with 100 ms of silence behind it.
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
    // The finishing key is no part of the input, and short of four keys it ends it.
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
