//! What the caller hears from the server itself.

use e2e::Reply;

use super::{SOON, Scene};

#[test]
fn a_played_file_is_heard_whole() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    scene
        .app
        .on("/v", Reply::document("<Play>/prompt.wav</Play>"));
    scene.app.on("/prompt.wav", Reply::wav(scene.music.wav(2)));
    scene.kim.dial("1000")?;
    scene.kim.wait_for("CALL_CLOSED")?;
    let prompt = scene.kim.heard()?.span_of(scene.music);
    // The phone discards the rest of its jitter buffer when the call ends.
    assert!(
        (1.8..=2.1).contains(&prompt.seconds()),
        "{:.2} s",
        prompt.seconds()
    );
    assert!(
        prompt.share(scene.music) >= 0.95,
        "{:.2}",
        prompt.share(scene.music)
    );
    let calls = scene.server.rest().finished_calls(1, SOON)?;
    assert_eq!(calls[0]["status"], "completed");
    Ok(())
}

#[test]
fn spoken_text_is_heard_in_two_languages() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    // A pause in the stream leaves no gap in the phone's recording; played silence does.
    let verbs = "<Say>Good morning to everybody</Say><Play>/quiet.wav</Play>\
                 <Say language=\"de\">Guten Morgen</Say>";
    scene.app.on("/v", Reply::document(verbs));
    scene
        .app
        .on("/quiet.wav", Reply::wav(audio::wav::encode(&[0; 8000])));
    scene.kim.dial("1000")?;
    scene.kim.wait_for("CALL_CLOSED")?;
    let spoken = scene.kim.heard()?.loud_parts(-40.0, 0.6);
    assert_eq!(spoken.len(), 2, "{spoken:?}");
    assert!(spoken.iter().all(|seconds| *seconds > 0.4), "{spoken:?}");
    Ok(())
}
