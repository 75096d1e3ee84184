//! Wideband phones: tones above 4 kHz pass between two of them, and all others between a wideband phone
//! and one with G.711.

use e2e::phone::Setup;
use e2e::tone::Heard;
use e2e::{Phone, Pitch, Reply, Server};

use super::{SOON, Scene, talk};

/// Seconds that both talk, and the minimum that must be heard.
const TALK: f64 = 2.5;
const HEARD: f64 = 2.0;

const DOCUMENT: &str = "<Dial record=\"true\" action=\"/after\"><Client>ann</Client></Dial>";

/// Kim calls ann, both talk, ann hangs up; both must have heard each other.
fn both_hear_each_other(scene: &mut Scene, ann: &Phone) -> anyhow::Result<()> {
    scene.app.on("/v", Reply::document(DOCUMENT));
    scene.app.on("/after", Reply::document(""));
    scene.kim.dial("1000")?;
    ann.wait_for("CALL_ESTABLISHED")?;
    talk(TALK);
    ann.hangup()?;
    scene.kim.wait_for("CALL_CLOSED")?;
    scene
        .kim
        .heard()?
        .check_bridge(scene.anns, scene.kims, HEARD)?;
    ann.heard()?.check_bridge(scene.kims, scene.anns, HEARD)
}

#[test]
fn wideband_phones_hear_tones_above_4_khz() -> anyhow::Result<()> {
    let pitches = Pitch::random_wide(3);
    let mut scene = Scene::sounding(Server::start()?, Setup::wideband, pitches)?;
    let ann = scene.ann(|ann| ann.wideband().answers())?;
    both_hear_each_other(&mut scene, &ann)
}

#[test]
fn wideband_and_telephone_hear_each_other() -> anyhow::Result<()> {
    let mut scene = Scene::with(Setup::wideband)?;
    let ann = scene.ann(Setup::answers)?;
    both_hear_each_other(&mut scene, &ann)?;
    // The recording holds both.
    let rest = scene.server.rest();
    scene.app.wait_for("/after", 1, SOON)?;
    let listed = rest.get("Recordings")?;
    let sid = listed["recordings"][0]["sid"].as_str().unwrap_or_default();
    let path = rest.path(&format!("Recordings/{sid}"));
    let file = rest.send("GET", &path.replace(".json", ".wav"), None)?;
    let recorded = Heard::from_wav(&file.body)?;
    for pitch in [scene.kims, scene.anns] {
        let span = recorded.span_of(pitch);
        assert!(
            span.seconds() >= HEARD && span.share(pitch) >= 0.95,
            "{pitch:?}: {:.2} s, {:.2}",
            span.seconds(),
            span.share(pitch)
        );
    }
    Ok(())
}

#[test]
fn keys_pass_between_wideband_and_telephone() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let ann = scene.ann(|ann| ann.wideband().answers())?;
    let document = "<Dial><Client>ann</Client></Dial>";
    scene.app.on("/v", Reply::document(document));
    scene.kim.dial("1000")?;
    ann.wait_for("CALL_ESTABLISHED")?;
    talk(0.3);
    for (phone, other, key) in [(&scene.kim, &ann, '5'), (&ann, &scene.kim, '7')] {
        phone.press(key)?;
        let heard = other.wait_for("CALL_DTMF_START")?;
        assert_eq!(heard["param"], key.to_string(), "{heard}");
    }
    scene.kim.hangup()
}
