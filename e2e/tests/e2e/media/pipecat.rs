//! A Pipecat bot connected by a `<Stream>`: Pipecat's transport, serializer for Twilio and hang-up, unmodified.

use anyhow::{Context as _, ensure};
use e2e::tone::Heard;
use e2e::{Pitch, Reply, Rest, Server, wait};

use super::streams::Agent;
use super::{SOON, Scene, talk};

/// How long the sound of the bot may continue when the caller begins to speak.
const REACTION_S: f64 = 0.3;

#[test]
fn a_pipecat_bot_answers_is_interrupted_and_hangs_up() -> anyhow::Result<()> {
    let mut all = Pitch::random(5);
    let tones = all.split_off(3);
    let scene = Scene::sounding(Server::start()?, |kim| kim, all)?;
    let rest = scene.server.rest();
    let bot = Agent::playing("pipecat_bot.py", &scene, &tones)?;
    let stream = format!("<Stream url=\"{}\"/>", bot.url("/ws"));
    let document = format!("<Connect action=\"/after\">{stream}</Connect>");
    scene.app.on("/v", Reply::document(&document));
    scene.kim.dial("1000")?;

    bot.wait_for(|line| line["utterance"] == 1)?;
    scene.kim.mute()?;
    bot.wait_for(|line| line["answers"] == tones[0].hz())?;
    let line = bot.wait_for(|line| line["kind"] == "twilio")?;
    let call = line["call"].as_str().context("no call")?;
    record(&rest, call)?;
    talk(1.0);
    scene.kim.mute()?;
    bot.wait_for(|line| line["utterance"] == 2)?;
    scene.kim.mute()?;
    bot.wait_for(|line| line["answers"] == tones[1].hz())?;
    talk(0.7);
    scene.kim.press('5')?;
    bot.wait_for(|line| line["key"] == "5")?;
    scene.kim.wait_for("CALL_CLOSED")?;
    bot.wait_for(|line| line["ended"] == call)?;

    let lines = bot.lines();
    ensure!(
        !lines.iter().any(|line| line["fault"].is_string()),
        "{lines:?}"
    );
    let calls = rest.finished_calls(1, SOON)?;
    assert_eq!(calls[0]["sid"], call);
    assert_eq!(calls[0]["reason"], "api", "{}", calls[0]);
    ensure!(scene.app.requests("/after").is_empty());

    // In the recording, the voice that interrupts and the tone that it stops have one clock.
    let [caller, played] = Heard::channels_of_wav(&recording(&rest)?)?;
    let voice = caller.exact_parts(-40.0, 0.1);
    let [(begins, _)] = voice[..] else {
        anyhow::bail!("the caller spoke {voice:?}");
    };
    let recorded = parts(&played, &tones)?;
    let late = recorded[0].1 - begins;
    ensure!(
        (0.0..=REACTION_S).contains(&late),
        "the tone stopped {late} s after {begins} s: {recorded:?}"
    );
    // The phone heard the same: all of the first tone, and the same pause after it.
    let heard = parts(&scene.kim.heard()?, &tones)?;
    let [pause, expected] = [&heard, &recorded].map(|parts| parts[1].0 - parts[0].1);
    ensure!(
        (pause - expected).abs() < 0.1 && heard[0].1 - heard[0].0 >= 1.0,
        "{heard:?}, and {recorded:?} in the recording"
    );
    Ok(())
}

/// Start and end in seconds of the two tones, which are all that was heard.
fn parts(sound: &Heard, tones: &[Pitch]) -> anyhow::Result<[(f64, f64); 2]> {
    let all = sound.exact_parts(-40.0, 0.1);
    let [first, second] = all[..] else {
        anyhow::bail!("{all:?}");
    };
    for ((from, to), tone) in [first, second].into_iter().zip(tones) {
        let share = sound.part(from, to).share(*tone);
        ensure!(share >= 0.9, "{share} of {from} to {to} s is {tone:?}");
    }
    Ok([first, second])
}

/// Records the call, each side in a channel.
fn record(rest: &Rest, call: &str) -> anyhow::Result<()> {
    let account = rest.account();
    let path = format!("/2010-04-01/Accounts/{account}/Calls/{call}/Recordings.json");
    let answer = rest.send("POST", &path, Some("RecordingChannels=dual"))?;
    ensure!(
        answer.status() == 201,
        "{}: {}",
        answer.start,
        answer.text()
    );
    Ok(())
}

/// The file of the only recording, once it is complete.
fn recording(rest: &Rest) -> anyhow::Result<Vec<u8>> {
    let sid = wait::until("the recording", SOON, || {
        let all = rest.all("Recordings", "recordings").ok()?;
        let done = all.iter().find(|it| it["status"] == "completed")?;
        Some(done["sid"].as_str()?.to_owned())
    })?;
    let path = rest.path(&format!("Recordings/{sid}"));
    let file = rest.send("GET", &path.replace(".json", ".wav"), None)?;
    ensure!(file.status() == 200, "{}", file.start);
    Ok(file.body)
}
