//! The API plays a sound to one party of a connected call.

use e2e::Reply;
use e2e::phone::Setup;
use e2e::wait;

use super::{SOON, Scene, talk};

#[test]
fn the_api_plays_a_sound_to_a_connected_party() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let document = "<Dial><Client>ann</Client></Dial>";
    scene.app.on("/v", Reply::document(document));
    scene.app.on("/notice.wav", Reply::wav(scene.music.wav(2)));
    let ann = scene.ann(Setup::answers)?;
    scene.kim.dial("1000")?;
    ann.wait_for("CALL_ESTABLISHED")?;
    let rest = scene.server.rest();
    let call = wait::until("the caller's leg", SOON, || {
        let calls = rest.calls().ok()?;
        let call = calls.iter().find(|call| call["direction"] == "inbound")?;
        Some(call["sid"].as_str()?.to_owned())
    })?;
    talk(1.5);
    let notice = scene.app.url("/notice.wav");
    rest.post(&format!("Calls/{call}"), &[("Play", &notice)])?;
    let again = rest.post(&format!("Calls/{call}"), &[("Say", "too early")]);
    assert!(again.is_err(), "{again:?}");
    talk(4.0);
    ann.hangup()?;
    scene.kim.wait_for("CALL_CLOSED")?;

    // The notice replaced the other party for its two seconds, and only for the caller.
    let heard = scene.kim.heard()?;
    let played = heard.span_of(scene.music);
    let (seconds, share) = (played.seconds(), played.share(scene.music));
    assert!(
        (1.9..2.2).contains(&seconds) && share >= 0.95,
        "{seconds:.2} s, {share:.2}"
    );
    let connected = heard.span_of(scene.anns).seconds();
    assert!(
        connected >= 4.5,
        "{connected:.2} s from the first to the last sound of ann"
    );
    let ann = ann.heard()?;
    ann.check_bridge(scene.kims, scene.anns, 4.5)?;
    let leaked = ann.span_of(scene.music).seconds();
    assert!(leaked < 0.1, "{leaked:.2} s of the notice reached ann");
    Ok(())
}
