//! Screening on the wire: the called party hears the application and decides with a key.

use e2e::phone::Setup;
use e2e::{Phone, Reply};

use super::{SOON, Scene, talk};

const DIAL: &str = "<Dial action=\"/after\"><Client url=\"/screen\">ann</Client></Dial>";
const SCREEN: &str = "<Gather numDigits=\"1\" timeout=\"5\" action=\"/decide\">\
                      <Play>/prompt.wav</Play></Gather><Hangup/>";

/// Kim calls, ann answers, hears a second of music and presses a key.
fn asked(scene: &Scene, key: char) -> anyhow::Result<Phone> {
    scene.app.on("/v", Reply::document(DIAL));
    scene.app.on("/screen", Reply::document(SCREEN));
    scene.app.on("/prompt.wav", Reply::wav(scene.music.wav(1)));
    let ann = scene.ann(Setup::answers)?;
    scene.kim.dial("1000")?;
    let asked = scene.app.wait_for("/screen", 1, SOON)?;
    assert_eq!(asked[0].param("CallStatus"), Some("in-progress"));
    assert_eq!(asked[0].param("Direction"), Some("outbound-dial"));
    ann.wait_for("CALL_ESTABLISHED")?;
    talk(1.5);
    ann.press(key)?;
    let decided = scene.app.wait_for("/decide", 1, SOON)?;
    let digits = decided[0].param("Digits").map(str::to_owned);
    assert_eq!(digits, Some(key.to_string()));
    Ok(ann)
}

#[test]
fn a_key_takes_the_call() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    scene.app.on("/decide", Reply::document(""));
    scene.app.on("/after", Reply::document(""));
    let ann = asked(&scene, '1')?;
    talk(2.0);
    ann.hangup()?;
    scene.kim.wait_for("CALL_CLOSED")?;

    let heard = ann.heard()?;
    let prompt = heard.span_of(scene.music);
    assert!(prompt.seconds() > 0.8, "{:.2} s", prompt.seconds());
    let kim = heard.span_of(scene.kims);
    assert!(kim.seconds() > 1.5, "{:.2} s", kim.seconds());
    // The caller hears the called party, but never the screening document.
    let heard = scene.kim.heard()?;
    let talked = heard.span_of(scene.anns);
    assert!(talked.seconds() > 1.5, "{:.2} s", talked.seconds());
    assert!(
        heard.share(scene.music) < 0.05,
        "{:.2}",
        heard.share(scene.music)
    );
    let asked = scene.app.wait_for("/after", 1, SOON)?;
    assert_eq!(asked[0].param("DialCallStatus"), Some("completed"));
    Ok(())
}

#[test]
fn another_key_declines_and_the_caller_continues() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    scene.app.on("/decide", Reply::document("<Hangup/>"));
    scene
        .app
        .on("/after", Reply::document("<Play>/prompt.wav</Play>"));
    let ann = asked(&scene, '2')?;
    ann.wait_for("CALL_CLOSED")?;
    let asked = scene.app.wait_for("/after", 1, SOON)?;
    assert_eq!(asked[0].param("DialCallStatus"), Some("no-answer"));
    scene.kim.wait_for("CALL_CLOSED")?;
    let heard = scene.kim.heard()?;
    let next = heard.span_of(scene.music);
    assert!(next.seconds() > 0.7, "{:.2} s", next.seconds());
    assert!(
        heard.share(scene.anns) < 0.05,
        "{:.2}",
        heard.share(scene.anns)
    );
    Ok(())
}
