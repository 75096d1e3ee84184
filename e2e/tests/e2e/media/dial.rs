//! `<Dial>` between real phones: both hear each other, first the ring tone, and never themselves.

use e2e::phone::Setup;
use e2e::tone::Heard;
use e2e::{Phone, Reply};

use super::{SOON, Scene, talk};

/// Seconds that both talk, and the minimum that must be heard.
const TALK: f64 = 2.5;
const HEARD: f64 = 2.0;

/// The caller dials a number whose document dials ann; both must hear each other.
fn both_hear_each_other(setup: impl FnOnce(Setup) -> Setup) -> anyhow::Result<()> {
    let scene = Scene::new()?;
    scene.app.on(
        "/v",
        Reply::document("<Dial action=\"/after\"><Client>ann</Client></Dial>"),
    );
    scene.app.on("/after", Reply::document(""));
    let ann = scene.ann(|ann| setup(ann).answers())?;
    scene.kim.dial("1000")?;
    ann.wait_for("CALL_ESTABLISHED")?;
    talk(TALK);
    ann.hangup()?;
    scene.kim.wait_for("CALL_CLOSED")?;

    scene
        .kim
        .heard()?
        .check_bridge(scene.anns, scene.kims, HEARD)?;
    ann.heard()?.check_bridge(scene.kims, scene.anns, HEARD)?;

    let asked = scene.app.wait_for("/after", 1, SOON)?;
    assert_eq!(asked[0].method, "POST");
    assert_eq!(
        asked[0].param("DialCallStatus"),
        Some("completed"),
        "{asked:?}"
    );
    let duration: i64 = asked[0]
        .param("DialCallDuration")
        .unwrap_or_default()
        .parse()?;
    assert!((2..=4).contains(&duration), "{duration}");
    let calls = scene.server.rest().finished_calls(2, SOON)?;
    assert_eq!(
        (&calls[0]["direction"], &calls[1]["direction"]),
        (&"inbound".into(), &"outbound-dial".into())
    );
    assert_eq!(calls[1]["parent_call_sid"], calls[0]["sid"]);
    assert_eq!(asked[0].param("DialCallSid"), calls[1]["sid"].as_str());
    Ok(())
}

#[test]
fn two_phones_hear_each_other() -> anyhow::Result<()> {
    let outcome = both_hear_each_other(|ann| ann);
    assert!(outcome.is_ok(), "{outcome:?}");
    Ok(())
}

#[test]
fn two_phones_hear_each_other_across_codecs() -> anyhow::Result<()> {
    let outcome = both_hear_each_other(Setup::alaw);
    assert!(outcome.is_ok(), "{outcome:?}");
    Ok(())
}

#[test]
fn a_phone_registered_over_tcp_is_called_over_tcp() -> anyhow::Result<()> {
    let outcome = both_hear_each_other(Setup::tcp);
    assert!(outcome.is_ok(), "{outcome:?}");
    Ok(())
}

#[test]
fn the_caller_hangs_up() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    scene
        .app
        .on("/v", Reply::document("<Dial><Client>ann</Client></Dial>"));
    let ann = scene.ann(Setup::answers)?;
    scene.kim.dial("1000")?;
    ann.wait_for("CALL_ESTABLISHED")?;
    talk(1.0);
    scene.kim.hangup()?;
    ann.wait_for("CALL_CLOSED")?;
    let calls = scene.server.rest().finished_calls(2, SOON)?;
    assert!(
        calls.iter().all(|call| call["status"] == "completed"),
        "{calls:#?}"
    );
    Ok(())
}

/// What the caller hears while ann's phone rings for two seconds.
fn heard_while_ringing(dial: &str) -> anyhow::Result<(Scene, Heard)> {
    let scene = Scene::new()?;
    scene.app.on(
        "/v",
        Reply::document(&format!("{dial}<Client>ann</Client></Dial>")),
    );
    scene.app.on("/music.wav", Reply::wav(scene.music.wav(5)));
    let ann = scene.ann(|ann| ann)?;
    scene.kim.dial("1000")?;
    ann.wait_for("CALL_INCOMING")?;
    talk(2.0);
    ann.answer()?;
    ann.wait_for("CALL_ESTABLISHED")?;
    talk(1.5);
    scene.kim.hangup()?;
    ann.wait_for("CALL_CLOSED")?;
    let heard = scene.kim.heard()?;
    Ok((scene, heard))
}

#[test]
fn the_ring_tone_is_heard_until_the_answer() -> anyhow::Result<()> {
    let (scene, heard) = heard_while_ringing("<Dial>")?;
    let (low, high) = (e2e::Pitch::of(440.0), e2e::Pitch::of(480.0));
    let ringing = heard.span_of(low);
    assert!(
        ringing.seconds() >= 1.0,
        "the ring tone lasts {:.2} s",
        ringing.seconds()
    );
    assert!(
        ringing.level(high) > -30.0,
        "480 Hz at {:.1} dBFS",
        ringing.level(high)
    );
    let talking = heard.span_of(scene.anns);
    assert!(
        talking.seconds() >= 1.0,
        "ann is heard for {:.2} s",
        talking.seconds()
    );
    assert!(
        talking.level(low) < -45.0,
        "the ring tone goes on at {:.1} dBFS",
        talking.level(low)
    );
    Ok(())
}

#[test]
fn dial_music_takes_the_place_of_the_ring_tone() -> anyhow::Result<()> {
    let (scene, heard) = heard_while_ringing("<Dial dialMusic=\"/music.wav\">")?;
    let music = heard.span_of(scene.music);
    assert!(
        music.seconds() >= 1.0,
        "the music lasts {:.2} s",
        music.seconds()
    );
    assert!(
        music.share(scene.music) >= 0.95,
        "{:.2}",
        music.share(scene.music)
    );
    assert!(
        music.level(e2e::Pitch::of(440.0)) < -45.0,
        "the ring tone is heard as well"
    );
    let talking = heard.span_of(scene.anns);
    assert!(
        talking.seconds() >= 1.0,
        "ann is heard for {:.2} s",
        talking.seconds()
    );
    Ok(())
}

/// Another phone that can be called.
fn fay(scene: &Scene, setup: impl FnOnce(Setup) -> Setup) -> anyhow::Result<Phone> {
    scene.server.rest().client("fay", "fay-Secret-1")?;
    let phone = setup(Setup::new("fay").registers("fay-Secret-1"));
    phone.start(&scene.server, scene.music)
}

fn kinds(phone: &Phone, kind: &str) -> usize {
    let events = phone.events();
    events.iter().filter(|event| event["type"] == kind).count()
}

/// The caller and fay talk until fay hangs up; the caller has heard fay.
fn talks_with_fay(scene: &Scene, fay: &Phone) -> anyhow::Result<()> {
    fay.wait_for("CALL_ESTABLISHED")?;
    talk(1.5);
    fay.hangup()?;
    scene.kim.wait_for("CALL_CLOSED")?;
    let heard = scene.kim.heard()?;
    heard.check_bridge(scene.music, scene.kims, 1.0)
}

#[test]
fn two_phones_ring_one_after_the_other() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let dial =
        "<Dial sequential=\"true\" timeout=\"2\"><Client>ann</Client><Client>fay</Client></Dial>";
    scene.app.on("/v", Reply::document(dial));
    // Ann's phone rings until the time is up, and only then fay's.
    let ann = scene.ann(|ann| ann)?;
    let fay = fay(&scene, Setup::answers)?;
    scene.kim.dial("1000")?;
    ann.wait_for("CALL_INCOMING")?;
    talk(0.5);
    assert_eq!(kinds(&fay, "CALL_ESTABLISHED"), 0, "both rang at once");
    ann.wait_for("CALL_CLOSED")?;
    talks_with_fay(&scene, &fay)?;
    let calls = scene.server.rest().finished_calls(3, SOON)?;
    let statuses: Vec<_> = calls.iter().map(|call| call["status"].as_str()).collect();
    let expected = [Some("completed"), Some("no-answer"), Some("completed")];
    assert_eq!(statuses, expected, "{calls:#?}");
    Ok(())
}

#[test]
fn the_first_of_two_ringing_phones_to_answer_is_connected() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let dial = "<Dial><Client>ann</Client><Client>fay</Client></Dial>";
    scene.app.on("/v", Reply::document(dial));
    let ann = scene.ann(|ann| ann)?;
    let fay = fay(&scene, |fay| fay)?;
    scene.kim.dial("1000")?;
    ann.wait_for("CALL_INCOMING")?;
    fay.wait_for("CALL_INCOMING")?;
    fay.answer()?;
    fay.wait_for("CALL_ESTABLISHED")?;
    ann.wait_for("CALL_CLOSED")?;
    talks_with_fay(&scene, &fay)?;
    let calls = scene.server.rest().finished_calls(3, SOON)?;
    let reasons: Vec<_> = calls.iter().map(|call| call["reason"].as_str()).collect();
    assert!(reasons.contains(&Some("answered-elsewhere")), "{reasons:?}");
    Ok(())
}
