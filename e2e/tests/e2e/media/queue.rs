//! `<Enqueue>` and `<Queue>`: calls of different families wait for and hear each other.

use anyhow::Context as _;
use e2e::phone::Setup;
use e2e::{Pitch, Reply, wait};

use super::conference::replay;
use super::{SOON, Scene, talk};

/// Seconds that the two talk, and the minimum that must be heard.
const TALK: f64 = 3.0;
const HEARD: f64 = 2.5;

#[test]
fn a_waiting_caller_is_taken_and_both_hear_each_other() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let rest = scene.server.rest();
    rest.number("1001", &scene.app.url("/agent"))?;
    let hold = Pitch::of(2650.0);
    scene.app.on(
        "/v",
        Reply::document("<Enqueue waitUrl=\"/wait\" action=\"/done\">support</Enqueue>"),
    );
    scene
        .app
        .on("/wait", Reply::document("<Play>/hold.wav</Play>"));
    scene.app.on("/hold.wav", Reply::wav(hold.wav(1)));
    let takes = "<Dial action=\"/next\"><Queue url=\"/hello\">support</Queue></Dial>";
    scene.app.on("/agent", Reply::document(takes));
    scene
        .app
        .on("/hello", Reply::document("<Play>/hello.wav</Play>"));
    scene.app.on("/hello.wav", Reply::wav(scene.music.wav(1)));
    scene
        .app
        .on("/done", Reply::document("<Play>/hello.wav</Play>"));
    scene.app.on("/next", Reply::document(""));

    scene.kim.dial("1000")?;
    scene.kim.wait_for("CALL_ESTABLISHED")?;
    // The API shows who waits.
    let queue = wait::until("a waiting call", SOON, || {
        let queues = rest.all("Queues", "queues").ok()?;
        queues.into_iter().find(|it| it["current_size"] == 1)
    })?;
    assert_eq!(queue["friendly_name"], "support");
    let sid = queue["sid"].as_str().context("a SID")?;
    let front = rest.get(&format!("Queues/{sid}/Members/Front"))?;
    assert_eq!(front["position"], 1, "{front}");
    talk(1.5);

    let ann = scene.ann(Setup::alaw)?;
    ann.dial("1001")?;
    ann.wait_for("CALL_ESTABLISHED")?;
    let hello = scene.app.wait_for("/hello", 1, SOON)?;
    assert!(hello[0].param("DequeingCallSid").is_some(), "{hello:?}");
    talk(1.0 + TALK);
    ann.hangup()?;
    let done = scene.app.wait_for("/done", 1, SOON)?;
    assert_eq!(done[0].param("QueueResult"), Some("bridged"));
    let next = scene.app.wait_for("/next", 1, SOON)?;
    assert_eq!(next[0].param("DialCallStatus"), Some("completed"));
    assert_eq!(next[0].param("DialCallSid"), done[0].param("CallSid"));
    scene.kim.wait_for("CALL_CLOSED")?;

    let (kim, ann) = (scene.kim.heard()?, ann.heard()?);
    kim.check_bridge(scene.anns, scene.kims, HEARD)?;
    ann.check_bridge(scene.kims, scene.anns, HEARD)?;
    let waited = kim.span_of(hold).seconds();
    assert!(waited > 1.0, "{waited:.1} s of the wait document");
    let together = kim.span_of(scene.anns);
    assert!(together.share(hold) < 0.02, "the wait went on");
    // The greeting before, and the document after the queue.
    let greeted = kim.span_of(scene.music).seconds();
    assert!(greeted > TALK, "{greeted:.1} s from first to last");
    for call in rest.finished_calls(2, SOON)? {
        let sid = call["sid"].as_str().unwrap_or_default();
        replay(&scene, sid)?;
    }
    let queue = rest.get(&format!("Queues/{sid}"))?;
    assert_eq!(queue["current_size"], 0, "{queue}");
    Ok(())
}

#[test]
fn the_api_takes_a_caller_out_of_a_queue() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let rest = scene.server.rest();
    scene.app.on(
        "/v",
        Reply::document("<Enqueue waitUrl=\"\" action=\"/done\">support</Enqueue>"),
    );
    scene
        .app
        .on("/out", Reply::document("<Play>/out.wav</Play>"));
    scene.app.on("/out.wav", Reply::wav(scene.music.wav(1)));
    let url = scene.app.url("/out");
    let queue = rest.post("Queues", &[("FriendlyName", "support"), ("MaxSize", "1")])?;
    let queue = format!("Queues/{}", queue["sid"].as_str().context("a SID")?);
    scene.kim.dial("1000")?;
    scene.kim.wait_for("CALL_ESTABLISHED")?;
    wait::until("a waiting call", SOON, || {
        (rest.get(&queue).ok()?["current_size"] == 1).then_some(())
    })?;
    let refused = rest.send("DELETE", &rest.path(&queue), None)?;
    assert_eq!(refused.status(), 409, "{refused:?}");
    let member = rest.post(&format!("{queue}/Members/Front"), &[("Url", &url)])?;
    assert_eq!(member["position"], 1, "{member}");
    scene.kim.wait_for("CALL_CLOSED")?;
    let heard = scene.kim.heard()?.span_of(scene.music).seconds();
    assert!(heard > 0.7, "{heard:.2} s");
    assert_eq!(scene.app.requests("/done").len(), 0);
    let deleted = rest.send("DELETE", &rest.path(&queue), None)?;
    assert_eq!(deleted.status(), 200, "{deleted:?}");
    Ok(())
}
