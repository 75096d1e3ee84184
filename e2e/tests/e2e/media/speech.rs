//! A recognizer receives the audio of a real phone, and its result reaches the application.

use anyhow::{Context as _, ensure};
use e2e::server::Options;
use e2e::{Reply, wait};

use super::{SOON, Scene};

/// Recognises the pitch of a tone, from the zero crossings in half a second of it; before that it
/// reports that speech was detected.
const RECOGNIZER: &str = r#"
import json, os, struct, sys

def say(**line):
    print(json.dumps(line), flush=True)

samples = []
while len(samples) < 8000:
    data = sys.stdin.buffer.read(320)
    if not data:
        say(error="the audio ended too early")
        sys.exit()
    loud = struct.unpack(f"<{len(data) // 2}h", data)
    if not samples and max(map(abs, loud)) < 500:
        continue
    if not samples:
        say(partial="a tone")
    samples.extend(loud)
half = samples[4000:8000]
crossings = sum(a < 0 <= b for a, b in zip(half, half[1:]))
say(final=f"{os.environ['PATCHCORD_LANGUAGE']} {crossings * 2}", confidence=0.75)
sys.stdin.buffer.read()
"#;

#[test]
fn speech_of_a_phone_is_recognised_and_reported() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("hear.py");
    std::fs::write(&program, RECOGNIZER)?;
    let config = format!("[speech]\nrecognizer = 'python3 {}'\n", program.display());
    let scene = Scene::on(Options::default().config(&config).start()?, |kim| kim)?;
    let gather = "<Gather input=\"speech\" action=\"/g\" language=\"en-GB\" partialResultCallback=\"/p\">\
                  <Play>/music.wav</Play></Gather>";
    scene.app.on("/v", Reply::document(gather));
    scene.app.on("/music.wav", Reply::wav(scene.music.wav(30)));
    scene.app.on("/p", Reply::status(200));
    scene.app.on("/g", Reply::document("<Hangup/>"));
    scene.kim.dial("1000")?;
    let asked = scene.app.wait_for("/g", 1, SOON)?;
    let param = |name| asked[0].param(name).unwrap_or_default().to_owned();
    let heard = param("SpeechResult");
    let height = heard.strip_prefix("en-GB ").context(heard.clone())?;
    let height: f64 = height.parse()?;
    let said = scene.kims.hz();
    ensure!(
        (height - said).abs() < 10.0,
        "{height} Hz were heard of {said} Hz"
    );
    ensure!(param("Confidence") == "0.75", "{}", param("Confidence"));
    let partial = scene.app.wait_for("/p", 1, SOON)?;
    ensure!(partial[0].param("UnstableSpeechResult") == Some("a tone"));
    // The prompt stopped when speech began, long before its end.
    scene.kim.wait_for("CALL_CLOSED")?;
    let calls = scene.server.rest().finished_calls(1, SOON)?;
    let seconds = calls[0]["duration"].as_i64();
    ensure!(seconds.is_some_and(|length| length < 10), "{}", calls[0]);
    Ok(())
}

/// What the caller says and what it hears are recognised apart, as often as something is said.
#[test]
fn a_transcription_has_both_sides_of_a_call() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("hear.py");
    std::fs::write(&program, RECOGNIZER)?;
    let config = format!("[speech]\nrecognizer = 'python3 {}'\n", program.display());
    let scene = Scene::on(Options::default().config(&config).start()?, |kim| kim)?;
    let starts = "<Start><Transcription languageCode=\"en-GB\" statusCallbackUrl=\"/t\"/></Start>\
                  <Play>/music.wav</Play>";
    scene.app.on("/v", Reply::document(starts));
    scene.app.on("/music.wav", Reply::wav(scene.music.wav(30)));
    scene.app.on("/t", Reply::status(200));
    scene.kim.dial("1000")?;
    for (track, pitch) in [
        ("inbound_track", scene.kims),
        ("outbound_track", scene.music),
    ] {
        let texts = wait::until("two utterances", SOON, || {
            let told = scene.app.requests("/t");
            let of_track = told.iter().filter(|it| {
                it.param("TranscriptionEvent") == Some("transcription-content")
                    && it.param("Track") == Some(track)
            });
            let texts = of_track.map(|it| it.param("TranscriptionData").unwrap_or_default());
            let texts: Vec<String> = texts.map(str::to_owned).collect();
            (texts.len() >= 2).then_some(texts)
        })?;
        for text in texts {
            let data: serde_json::Value = serde_json::from_str(&text)?;
            ensure!(data["confidence"] == 0.75, "{text}");
            let heard = data["transcript"].as_str().context("a transcript")?;
            let height = heard.strip_prefix("en-GB ").context(text.clone())?;
            let height: f64 = height.parse()?;
            let wanted = pitch.hz();
            ensure!(
                (height - wanted).abs() < 10.0,
                "{height} Hz were heard of {wanted} Hz on {track}"
            );
        }
    }
    scene.kim.hangup()?;
    wait::until("its end", SOON, || {
        let told = scene.app.requests("/t");
        let last = told.last()?;
        (last.param("TranscriptionEvent") == Some("transcription-stopped")).then_some(())
    })
}
