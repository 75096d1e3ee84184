//! `<Dial record="true">`: one file with both sides in it.

use e2e::phone::Setup;
use e2e::tone::Heard;
use e2e::{Reply, wait};
use serde_json::Value;

use super::{SOON, Scene, talk};

#[test]
fn a_recording_holds_both_tones() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    scene.app.on(
        "/v",
        Reply::document("<Dial record=\"true\" action=\"/after\"><Client>ann</Client></Dial>"),
    );
    scene.app.on("/after", Reply::document(""));
    let ann = scene.ann(Setup::answers)?;
    scene.kim.dial("1000")?;
    ann.wait_for("CALL_ESTABLISHED")?;
    talk(2.5);
    ann.hangup()?;

    let asked = scene.app.wait_for("/after", 1, SOON)?;
    let url = asked[0]
        .param("RecordingUrl")
        .unwrap_or_default()
        .to_owned();
    let rest = scene.server.rest();
    let listed = rest.get("Recordings")?;
    let sid = listed["recordings"][0]["sid"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(!sid.is_empty() && url.contains(&sid), "{url} and {listed}");
    assert_eq!(
        listed["recordings"].as_array().map(Vec::len),
        Some(1),
        "{listed}"
    );

    let path = rest
        .path(&format!("Recordings/{sid}"))
        .replace(".json", ".wav");
    let file = rest.send("GET", &path, None)?;
    assert_eq!(file.status(), 200, "{}", file.start);
    let recorded = Heard::from_wav(&file.body)?;
    for pitch in [scene.kims, scene.anns] {
        let span = recorded.span_of(pitch);
        assert!(
            span.seconds() >= 2.0 && span.share(pitch) >= 0.95,
            "{pitch:?}: {:.2} s",
            span.seconds()
        );
    }
    let calls = rest.finished_calls(2, SOON)?;
    for (call, by) in calls.iter().zip(["application", "callee"]) {
        assert_eq!(call["hangup_by"], by, "{call}");
    }
    let counted = |call: &Value| call["media"]["packets_in"].as_i64();
    let calls = wait::until("the counters of both legs", SOON, || {
        let calls = rest.calls().ok()?;
        calls
            .iter()
            .all(|call| counted(call).is_some())
            .then_some(calls)
    })?;
    assert!(
        calls.iter().all(|call| counted(call) >= Some(100)),
        "{calls:?}"
    );
    let duration: f64 = match &rest.get(&format!("Recordings/{sid}"))?["duration"] {
        Value::String(text) => text.parse()?,
        other => other.as_f64().unwrap_or_default(),
    };
    assert!(
        (duration - recorded.seconds()).abs() < 1.1,
        "{duration} and {:.2}",
        recorded.seconds()
    );
    Ok(())
}
