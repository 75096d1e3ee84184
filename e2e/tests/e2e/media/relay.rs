//! A conversation in text with a real phone, real speech synthesis, and a WebSocket server in Python.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use e2e::process::Process;
use e2e::server::{ADMIN_TOKEN, Options};
use e2e::{Reply, wait};
use serde_json::{Value, json};

use super::streams::Agent;
use super::{SOON, Scene};

/// Understands a question as soon as it hears something; the next time, a word after two seconds; and then
/// nothing any more. It counts in a file.
const RECOGNIZER: &str = r#"
import json, os, sys

def say(**line):
    print(json.dumps(line), flush=True)

count = os.path.join(os.path.dirname(__file__), "count")
with open(count, "a+") as file:
    file.write("x")
    file.flush()
    turn = file.tell()
needed = {1: 8000, 2: 32000 + 8000}.get(turn)
heard = 0
while needed is None or heard < needed:
    data = sys.stdin.buffer.read(320)
    if not data:
        sys.exit()
    heard += len(data)
said = {1: "what time is it", 2: "stop please"}[turn]
say(partial=said.split()[0])
say(final=said)
sys.stdin.buffer.read()
"#;

#[test]
fn a_prompt_arrives_the_answer_is_heard_and_speech_stops_it() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let scene = listening(folder.path())?;
    let sound = scene.app.url("/music.wav");
    let agent = Agent::run("relay.py", &[ADMIN_TOKEN, &sound])?;
    let document = format!(
        "<Connect action=\"/after\"><ConversationRelay url=\"{}\" dtmfDetection=\"true\">\
         <Parameter name=\"from\" value=\"kim\"/></ConversationRelay></Connect>",
        agent.url("/text?x=1").replace('&', "&amp;")
    );
    scene.app.on("/v", Reply::document(&document));
    scene.app.on("/after", Reply::document("<Hangup/>"));
    scene.app.on("/music.wav", Reply::wav(scene.music.wav(1)));
    scene.kim.dial("1000")?;

    agent.wait_for(|line| *line == json!({"path": "/text?x=1", "signed": true}))?;
    let setup = message(&agent, "setup")?;
    let calls = scene.server.rest().all("Calls", "calls")?;
    assert_eq!(setup["callSid"], calls[0]["sid"]);
    assert_eq!(setup["direction"], "inbound");
    assert_eq!(setup["customParameters"], json!({"from": "kim"}));
    let error = message(&agent, "error")?;
    assert_eq!(
        error["description"],
        "Invalid message received: a binary message"
    );
    let prompt = message(&agent, "prompt")?;
    assert_eq!(
        prompt,
        json!({"type": "prompt", "voicePrompt": "what time is it", "lang": "en-US", "last": true})
    );
    let interrupt = message(&agent, "interrupt")?;
    agent.wait_for(|line| line["message"]["voicePrompt"] == "stop please")?;
    // The sound follows a second later, for a second.
    super::talk(3.0);
    scene.kim.press('7')?;
    scene.kim.wait_for("CALL_CLOSED")?;
    agent.wait_for(|line| line["closed"] == "/text?x=1")?;

    let utterance = interrupt["utteranceUntilInterrupt"]
        .as_str()
        .context("no utterance")?;
    let milliseconds = interrupt["durationUntilInterruptMs"]
        .as_f64()
        .context("no duration")?;
    ensure!(
        utterance.starts_with("It is late") && !utterance.contains("hour"),
        "{utterance}"
    );
    // Nothing is sent in between, so that the sound follows the speech. All of the answer would take
    // more than eight seconds.
    let heard = scene.kim.heard()?;
    let parts = heard.exact_parts(-40.0, 0.7);
    let [(begins, ends)] = parts[..] else {
        anyhow::bail!("{parts:?}");
    };
    let tone = heard.share(scene.music) * heard.seconds();
    ensure!((0.8..1.2).contains(&tone), "{tone} s of the sound");
    let spoken = ends - begins - 1.0;
    let late = spoken - milliseconds / 1000.0;
    ensure!(
        spoken > 0.8 && (-0.3..0.15).contains(&late),
        "{spoken} s were heard of {milliseconds} ms"
    );

    let after = scene.app.wait_for("/after", 1, SOON)?;
    assert_eq!(after[0].param("SessionId"), setup["sessionId"].as_str());
    assert_eq!(after[0].param("SessionStatus"), Some("ended"));
    assert_eq!(after[0].param("HandoffData"), Some("{\"digit\": \"7\"}"));
    let notifications = scene.server.rest().all("Notifications", "notifications")?;
    let found = notifications.iter().find(|it| it["error_code"] == 64_107);
    let text = found.context("no notification")?["message_text"].to_string();
    ensure!(
        text.contains("2 messages were not understood; the first: a binary message"),
        "{text}"
    );
    Ok(())
}

/// A scene with the recognizer, which is put into this folder.
fn listening(folder: &Path) -> anyhow::Result<Scene> {
    let program = folder.join("hear.py");
    std::fs::write(&program, RECOGNIZER)?;
    let config = format!("[speech]\nrecognizer = 'python3 {}'\n", program.display());
    Scene::on(Options::default().config(&config).start()?, |kim| kim)
}

#[test]
fn the_example_agent_answers_is_interrupted_and_hands_over() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let scene = listening(folder.path())?;
    let port = e2e::ports::free()?;
    let example = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/conversation-relay");
    let mut command = Command::new(e2e::process::cache()?.join("venv/bin/python"));
    command
        .arg("-B")
        .arg(example.join("agent.py"))
        .env("AGENT_PORT", port.to_string());
    let out = folder.path().join("out");
    let agent = Process::start(command, &out, &folder.path().join("log"))?;
    let prints = |what: &str| {
        let found = wait::until(what, SOON, || {
            let text = std::fs::read_to_string(&out).ok()?;
            text.lines()
                .any(|line| line.starts_with(what))
                .then_some(())
        });
        found.with_context(|| format!("{:?} {}", std::fs::read_to_string(&out), agent.tail()))
    };
    prints("listens at")?;
    let document = std::fs::read_to_string(example.join("answer.xml"))?;
    let document = document.replace("8766", &port.to_string());
    let verbs = document.split("Response>").nth(1).unwrap_or_default();
    let verbs = verbs.trim_end_matches("</");
    scene.app.on("/v", Reply::document(verbs));
    scene.app.on("/after.xml", Reply::document("<Hangup/>"));
    scene.kim.dial("1000")?;
    prints("call from kim")?;
    prints("asked: what time is it")?;
    prints("interrupted after: You said")?;
    prints("asked: stop please")?;
    scene.kim.press('0')?;
    scene.kim.wait_for("CALL_CLOSED")?;
    prints("over")?;
    let after = scene.app.wait_for("/after.xml", 1, SOON)?;
    assert_eq!(after[0].param("HandoffData"), Some("person"));
    Ok(())
}

/// The first message of this type.
fn message(agent: &Agent, kind: &str) -> anyhow::Result<Value> {
    let line = agent.wait_for(|line| line["message"]["type"] == kind)?;
    Ok(line["message"].clone())
}
