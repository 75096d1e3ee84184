//! Recordings of `<Dial>` and `<Record>`: whose tones are in the file, on which channel, from when.

use std::time::Instant;

use e2e::phone::Setup;
use e2e::sipp::Scenario;
use e2e::tone::Heard;
use e2e::{Pitch, Reply, Request, Rest, wait};
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

/// Each channel has more than a second and a half of one party, and nothing of the other.
fn check_channels(scene: &Scene, [left, right]: &[Heard; 2]) {
    for (channel, own, other) in [
        (left, scene.kims, scene.anns),
        (right, scene.anns, scene.kims),
    ] {
        let span = channel.span_of(own);
        assert!(
            span.seconds() >= 1.5 && span.share(own) >= 0.95,
            "{own:?}: {:.2} s",
            span.seconds()
        );
        assert!(channel.span_of(other).seconds() < 0.05, "{other:?}");
        let (own, other) = (channel.level(own), channel.level(other));
        assert!(other < own - 20.0, "{own} and {other}");
    }
    let difference = (left.seconds() - right.seconds()).abs();
    assert!(difference < 0.001, "{difference} s");
}

#[test]
fn each_party_has_a_channel() -> anyhow::Result<()> {
    // The legs are transcoded.
    let scene = Scene::with(Setup::wideband)?;
    let record = "record=\"record-from-answer-dual\" recordingStatusCallback=\"/told\"";
    let document = format!("<Dial {record} action=\"/after\"><Client>ann</Client></Dial>");
    scene.app.on("/v", Reply::document(&document));
    scene.app.on("/after", Reply::document(""));
    scene.app.on("/told", Reply::status(200));
    let ann = scene.ann(|ann| ann.alaw().answers())?;
    scene.kim.dial("1000")?;
    ann.wait_for("CALL_ESTABLISHED")?;
    talk(1.0);
    // A party on hold is silent for as long as that lasts.
    ann.hold(true)?;
    talk(1.5);
    ann.hold(false)?;
    talk(1.5);
    ann.hangup()?;
    let after = scene.app.wait_for("/after", 1, SOON)?;
    let told = scene.app.wait_for("/told", 1, SOON)?;
    assert_eq!(told[0].param("RecordingChannels"), Some("2"));
    let rest = scene.server.rest();
    let path = format!("/2010-04-01/Accounts/{}/Recordings.json", rest.account());
    let listed: Value = serde_json::from_slice(&rest.send("GET", &path, None)?.body)?;
    assert_eq!(listed["recordings"][0]["channels"], 2, "{listed}");
    let [left, right] = Heard::channels_of_wav(&file(&rest, &after[0])?)?;
    assert!(left.span_of(scene.kims).seconds() >= 3.5);
    assert!(left.span_of(scene.kims).share(scene.kims) >= 0.95);
    let spoken = right.loud_parts(-30.0, 0.5);
    assert!(
        matches!(spoken[..], [first, second] if first > 0.5 && second > 1.0),
        "{spoken:?}"
    );
    for (channel, own, other) in [
        (&left, scene.kims, scene.anns),
        (&right, scene.anns, scene.kims),
    ] {
        assert!(channel.level(other) < channel.level(own) - 20.0);
    }
    Ok(())
}

#[test]
fn a_recording_from_the_ringing_has_the_ring_tone() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let document = "<Dial record=\"record-from-ringing-dual\" ringTone=\"fr\" \
                    action=\"/after\"><Client>ann</Client></Dial>";
    scene.app.on("/v", Reply::document(document));
    scene.app.on("/after", Reply::document(""));
    let ann = scene.ann(|ann| ann)?;
    scene.kim.dial("1000")?;
    ann.wait_for("CALL_INCOMING")?;
    talk(2.5);
    ann.answer()?;
    ann.wait_for("CALL_ESTABLISHED")?;
    talk(2.0);
    ann.hangup()?;
    let after = scene.app.wait_for("/after", 1, SOON)?;
    let channels = Heard::channels_of_wav(&file(&scene.server.rest(), &after[0])?)?;
    check_channels(&scene, &channels);
    let [left, right] = &channels;
    assert!(
        (4.0..7.0).contains(&left.seconds()),
        "{:.2} s",
        left.seconds()
    );
    // The caller hears a second and a half of the French ring tone, and is recorded meanwhile.
    let ring = Pitch::of(440.0);
    let (rings, silence) = (right.part(0.2, 1.3), right.part(1.7, 2.4));
    assert!(rings.share(ring) >= 0.9, "{}", rings.share(ring));
    assert!(silence.share(ring) < 0.1 && silence.share(scene.anns) < 0.1);
    let american = Pitch::of(480.0);
    assert!(rings.level(american) < rings.level(ring) - 20.0);
    assert!(left.part(0.5, 2.4).share(scene.kims) >= 0.9);
    assert!(left.share(ring) < 0.05);
    Ok(())
}

/// Requests to `…/Calls/{sid}/Recordings`, as Twilio's libraries send them.
fn ask(rest: &Rest, path: &str, form: &str) -> anyhow::Result<Value> {
    let path = format!("/2010-04-01/Accounts/{}/{path}.json", rest.account());
    let message = rest.send("POST", &path, Some(form))?;
    anyhow::ensure!(message.status() < 300, "{path} {form}: {}", message.start);
    Ok(serde_json::from_slice(&message.body)?)
}

#[test]
fn the_api_records_a_live_call_and_leaves_out_a_pause() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    scene
        .app
        .on("/v", Reply::document("<Gather timeout=\"60\"/>"));
    scene.app.on("/told", Reply::status(200));
    scene.kim.dial("1000")?;
    scene.kim.wait_for("CALL_ESTABLISHED")?;
    let rest = scene.server.rest();
    let call = wait::until("the call is in progress", SOON, || {
        let calls = rest.calls().ok()?;
        let call = calls.iter().find(|call| call["status"] == "in-progress")?;
        Some(call["sid"].as_str()?.to_owned())
    })?;
    // A second in which the phone opens its audio.
    talk(1.0);
    let recordings = format!("Calls/{call}/Recordings");
    let current = format!("{recordings}/Twilio.CURRENT");
    let told = format!("RecordingStatusCallback={}", scene.app.url("/told"));
    let started = ask(&rest, &recordings, &told)?;
    assert_eq!(started["status"], "in-progress");
    let begun = Instant::now();
    talk(1.5);
    let paused = ask(&rest, &current, "Status=paused&PauseBehavior=skip")?;
    let first = begun.elapsed();
    assert_eq!(
        (&paused["status"], &paused["sid"]),
        (&"paused".into(), &started["sid"])
    );
    talk(1.5);
    let resumed = ask(&rest, &current, "Status=in-progress")?;
    assert_eq!(resumed["status"], "in-progress");
    let resumed = Instant::now();
    talk(1.5);
    ask(&rest, &current, "Status=stopped")?;
    let expected = (first + resumed.elapsed()).as_secs_f64();
    let told = scene.app.wait_for("/told", 1, SOON)?;
    assert_eq!(told[0].param("RecordingStatus"), Some("completed"));
    assert_eq!(
        told[0].param("RecordingSource"),
        Some("StartCallRecordingAPI")
    );
    let recorded = fetched(&rest, &told[0])?;
    let length = recorded.seconds();
    // The requests take their time.
    assert!((length - expected).abs() < 0.5, "{length} and {expected} s");
    let own = recorded.span_of(scene.kims);
    assert!(own.seconds() > length - 0.2, "{:.2} s", own.seconds());
    assert!(own.share(scene.kims) >= 0.95, "no gap at the pause");
    let sid = started["sid"].as_str().unwrap_or_default();
    let shown = rest.get(&format!("{recordings}/{sid}"))?;
    assert_eq!(shown["status"], "completed");
    let shown: f64 = shown["duration"].as_str().unwrap_or_default().parse()?;
    assert!((shown - length).abs() < 0.01, "{shown} and {length} s");
    Ok(())
}

/// The sound of the recording that a request names.
fn fetched(rest: &Rest, request: &Request) -> anyhow::Result<Heard> {
    Heard::from_wav(&file(rest, request)?)
}

/// The file of the recording that a request names, fetched as an application would.
fn file(rest: &Rest, request: &Request) -> anyhow::Result<Vec<u8>> {
    let url = request.param("RecordingUrl").unwrap_or_default();
    let path = url
        .split_once("//")
        .and_then(|(_, rest)| rest.split_once("/"));
    let (_, path) = path.ok_or_else(|| anyhow::anyhow!("no address: {url}"))?;
    let message = rest.send("GET", &format!("/{path}"), None)?;
    anyhow::ensure!(message.status() == 200, "{url}: {}", message.start);
    Ok(message.body)
}

#[test]
fn a_message_is_recorded_until_a_key() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    // A second in which the phone opens its audio.
    let record = "<Gather timeout=\"1\" action=\"/none\"/><Record action=\"/after\" finishOnKey=\"#\" timeout=\"20\" recordingStatusCallback=\"/told\"/>";
    scene.app.on("/v", Reply::document(record));
    // A sound afterwards: the phone may hold the end of the beep back until more packets arrive.
    let sound = scene.app.url("/sound.wav");
    scene.app.on("/sound.wav", Reply::wav(scene.music.wav(1)));
    scene
        .app
        .on("/after", Reply::document(&format!("<Play>{sound}</Play>")));
    scene.kim.dial("1000")?;
    scene.kim.wait_for("CALL_ESTABLISHED")?;
    talk(3.5);
    scene.kim.press('#')?;
    let after = scene.app.wait_for("/after", 1, SOON)?;
    assert_eq!(after[0].param("Digits"), Some("#"));
    let told = scene.app.wait_for("/told", 1, SOON)?;
    assert_eq!(told[0].param("RecordingStatus"), Some("completed"));
    assert_eq!(
        told[0].param("RecordingUrl"),
        after[0].param("RecordingUrl")
    );
    scene.kim.wait_for("CALL_CLOSED")?;

    let recorded = fetched(&scene.server.rest(), &after[0])?;
    let beep = Pitch::of(1000.0);
    let duration: f64 = after[0]
        .param("RecordingDuration")
        .unwrap_or_default()
        .parse()?;
    assert!(
        (duration - recorded.seconds()).abs() <= 0.1 && (1.8..3.2).contains(&duration),
        "{duration} and {:.2} s",
        recorded.seconds()
    );
    // The call has this recording and no other.
    let call = after[0].param("CallSid").unwrap_or_default();
    let rest = scene.server.rest();
    let listed = rest.get(&format!("Calls/{call}/Recordings"))?;
    let listed = listed.as_array().cloned().unwrap_or_default();
    let seconds: Vec<Option<f64>> = listed
        .iter()
        .map(|one| one["duration"].as_str()?.parse().ok())
        .collect();
    assert!(
        matches!(seconds[..], [Some(shown)] if (shown - recorded.seconds()).abs() <= 0.1),
        "{listed:?}"
    );
    let own = recorded.span_of(scene.kims);
    assert!(own.seconds() >= duration - 0.4, "{:.2} s", own.seconds());
    assert!(own.share(scene.kims) >= 0.95, "{}", own.share(scene.kims));
    // The beep was heard, and is not in the recording.
    let heard = scene.kim.heard()?;
    let heard = heard.span_of(beep).seconds();
    assert!(heard >= 0.05, "{heard:.2} s of the beep");
    assert!(recorded.level(beep) < recorded.level(scene.kims) - 20.0);
    Ok(())
}

#[test]
fn silence_ends_a_message_and_is_trimmed() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let record =
        "<Record action=\"/after\" timeout=\"2\" playBeep=\"false\" trim=\"trim-silence\"/>";
    scene.app.on("/v", Reply::document(record));
    scene.app.on("/after", Reply::document("<Hangup/>"));
    let rest = scene.server.rest();
    rest.public_number("1001", &scene.app.url("/v"), "")?;
    let voice = scene.anns;
    let silence = |seconds: usize| vec![audio::g711::ULAW_SILENCE; seconds * 8_000];
    let sound = [silence(1), voice.ulaw(2), silence(4)].concat();
    Scenario::new("keys-in-the-sound-expect-bye")
        .media(sound)
        .service("1001")
        .run(&scene.server)?;
    let after = scene.app.wait_for("/after", 1, SOON)?;
    assert_eq!(after[0].param("Digits"), None);
    let recorded = fetched(&scene.server.rest(), &after[0])?;
    // Two seconds of voice, and a margin of a fifth of a second on both sides.
    assert!(
        (2.2..2.7).contains(&recorded.seconds()),
        "{:.2} s",
        recorded.seconds()
    );
    let own = recorded.span_of(voice);
    assert!(
        own.seconds() >= 1.8 && own.share(voice) >= 0.95,
        "{:.2} s",
        own.seconds()
    );
    Ok(())
}
