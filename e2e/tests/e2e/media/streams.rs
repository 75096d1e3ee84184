//! Media streams with a real phone and a WebSocket server in Python.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::process::Process;
use e2e::{Pitch, Reply, Server, wait};
use serde_json::{Value, json};

use super::{SOON, Scene};

/// A program in `e2e/sdk` that is a WebSocket server.
pub(super) struct Agent {
    _process: Process,
    folder: tempfile::TempDir,
    port: u64,
}

impl Agent {
    /// An agent that plays these tones.
    fn start(scene: &Scene, pitches: &[Pitch]) -> anyhow::Result<Self> {
        Self::playing("agent.py", scene, pitches)
    }

    /// The program of this name, which plays these tones and can use the API.
    pub(super) fn playing(program: &str, scene: &Scene, pitches: &[Pitch]) -> anyhow::Result<Self> {
        let mut arguments: Vec<String> = pitches.iter().map(|it| it.hz().to_string()).collect();
        let base = scene.server.ready()["http"]
            .as_str()
            .context("no address")?;
        let rest = scene.server.rest();
        let rest = [e2e::server::ADMIN_TOKEN, base, rest.account()];
        arguments.extend(rest.map(str::to_owned));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Self::run(program, &arguments)
    }

    /// The program of this name.
    pub(super) fn run(program: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let sdk = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("sdk");
        let mut command = Command::new(e2e::process::cache()?.join("venv/bin/python"));
        command.arg(sdk.join(program)).args(arguments);
        let log = folder.path().join("log");
        let process = Process::start(command, &folder.path().join("out"), &log)?;
        let mut agent = Self {
            _process: process,
            folder,
            port: 0,
        };
        let line = agent.wait_for(|line| line["port"].is_u64())?;
        agent.port = line["port"].as_u64().context("no port")?;
        Ok(agent)
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("ws://127.0.0.1:{}{path}", self.port)
    }

    /// What it has noticed so far.
    pub(super) fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("out")).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines = whole.lines().map(serde_json::from_str);
        lines.filter_map(Result::ok).collect()
    }

    /// The first line like this, once it is there.
    pub(super) fn wait_for(&self, like: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let found = wait::until("the agent", SOON, || {
            self.lines().into_iter().find(|line| like(line))
        });
        found.with_context(|| {
            let log = e2e::process::tail(&self.folder.path().join("log"));
            format!("{:#?}\n{log}", self.lines())
        })
    }

    fn has(&self, line: &Value) -> anyhow::Result<()> {
        self.wait_for(|found| found == line).map(drop)
    }
}

fn is_near(measured: &Value, hz: f64) -> anyhow::Result<()> {
    let near = measured
        .as_f64()
        .is_some_and(|found| (found - hz).abs() < 25.0);
    ensure!(near, "{measured} Hz instead of {hz} Hz");
    Ok(())
}

/// The last callback of the stream about this event.
fn stream_event(scene: &Scene, event: &str) -> anyhow::Result<e2e::Request> {
    wait::until(event, SOON, || {
        let mut requests = scene.app.requests("/stream").into_iter();
        requests.rfind(|request| request.param("StreamEvent") == Some(event))
    })
}

#[test]
fn an_agent_is_heard_hears_is_interrupted_and_closes() -> anyhow::Result<()> {
    let mut all = Pitch::random(6);
    let pitches = all.split_off(3);
    let scene = Scene::sounding(Server::start()?, |kim| kim, all)?;
    let agent = Agent::start(&scene, &pitches)?;
    scene.app.on("/stream", Reply::status(200));
    let url = agent.url("/talk?from=kim&amp;x=1");
    scene.app.on(
        "/v",
        Reply::document(&format!(
            "<Connect><Stream url=\"{url}\" name=\"bot\" statusCallback=\"/stream\">\
             <Parameter name=\"from\" value=\"kim\"/></Stream></Connect><Play>/music.wav</Play>"
        )),
    );
    scene.app.on("/music.wav", Reply::wav(scene.music.wav(1)));
    scene.kim.dial("1000")?;
    let pitch = agent.wait_for(|line| line["pitch"].is_f64())?;
    is_near(&pitch["pitch"], scene.kims.hz())?;
    scene.kim.press('7')?;
    scene.kim.wait_for("CALL_CLOSED")?;

    agent.has(&json!({"path": "/talk?from=kim&x=1", "signed": true, "ours": true}))?;
    agent.has(&json!({"event": "connected", "protocol": "Call"}))?;
    agent.has(&json!({"event": "media", "chunk": "1", "timestamp": "0"}))?;
    agent.has(&json!({"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": "7"}}))?;
    let start = agent.wait_for(|line| line["event"] == "start")?;
    let start = &start["start"];
    assert_eq!(start["customParameters"], json!({"from": "kim"}));
    assert_eq!(start["tracks"], json!(["inbound"]));
    let calls = scene.server.rest().finished_calls(1, SOON)?;
    assert_eq!(start["callSid"], calls[0]["sid"]);
    let marks = agent.lines();
    let marks = marks.iter().filter(|line| line["event"] == "mark");
    let marks: Vec<_> = marks.map(|line| &line["mark"]["name"]).collect();
    assert_eq!(marks, ["first", "second", "third"]);
    ensure!(!agent.lines().iter().any(|line| line["fault"].is_string()));

    // What the phone heard: the first tone with what was played of the second one before it was dropped,
    // then the third tone and the sound after the stream. Silence is sent in between.
    let heard = scene.kim.heard()?;
    let parts = heard.exact_parts(-40.0, 0.1);
    let [(from, to), _] = parts[..] else {
        anyhow::bail!("{parts:?}");
    };
    let extra = to - from - 0.6;
    ensure!(
        (-0.01..=0.06).contains(&extra),
        "not silent within 60 ms: {parts:?}"
    );
    let wanted = [(pitches[0], 0.6), (pitches[2], 1.5), (scene.music, 1.0)];
    for (pitch, seconds) in wanted {
        // In frames of 40 ms; the phone hangs up a little before the end of the last sound.
        let length = heard.share(pitch) * heard.seconds();
        ensure!(
            (length - seconds).abs() <= 0.2,
            "{length} s of {} Hz",
            pitch.hz()
        );
    }

    let stopped = stream_event(&scene, "stream-stopped")?;
    assert_eq!(stopped.param("StreamSid"), start["streamSid"].as_str());
    assert_eq!(stopped.param("StreamName"), Some("bot"));
    stream_event(&scene, "stream-started")?;
    // The two messages that were not understood.
    let notifications = scene.server.rest().all("Notifications", "notifications")?;
    let found = notifications.iter().find(|it| it["error_code"] == 31_951);
    let text = found.context("no notification")?["message_text"].to_string();
    ensure!(
        text.contains("2 messages were not understood; the first: a binary message"),
        "{text}"
    );
    Ok(())
}

#[test]
fn an_agent_ends_the_call_through_the_api() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let agent = Agent::start(&scene, &Pitch::random(3))?;
    let stream = format!("<Stream url=\"{}\"/>", agent.url("/end"));
    let document = format!("<Connect action=\"/after\">{stream}</Connect>");
    scene.app.on("/v", Reply::document(&document));
    scene.kim.dial("1000")?;
    agent.wait_for(|line| line["event"] == "media")?;
    scene.kim.press('1')?;
    scene.kim.wait_for("CALL_CLOSED")?;
    agent.has(&json!({"completed": [200, "completed"]}))?;
    // It learns of the end, and is told that there is nothing more to end.
    agent.wait_for(|line| line["event"] == "stop")?;
    agent.has(&json!({"completed": [404, 20_404]}))?;
    agent.has(&json!({"closed": "/end"}))?;
    ensure!(scene.app.requests("/after").is_empty());
    Ok(())
}

#[test]
fn a_connection_of_two_phones_is_listened_to_on_both_sides() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let _ann = scene.ann(|ann| ann.answers().alaw())?;
    let agent = Agent::start(&scene, &Pitch::random(3))?;
    let start = format!(
        "<Start><Stream url=\"{}\" track=\"both_tracks\" statusCallback=\"/stream\"/></Start>",
        agent.url("/listen")
    );
    scene.app.on("/stream", Reply::status(200));
    let document = format!("{start}<Dial><Client>ann</Client></Dial>");
    scene.app.on("/v", Reply::document(&document));
    scene.kim.dial("1000")?;
    stream_event(&scene, "stream-started")?;
    super::talk(2.0);
    scene.kim.hangup()?;
    let tracks = agent.wait_for(|line| line["tracks"].is_object())?;
    let tracks = &tracks["tracks"];
    is_near(&tracks["inbound"], scene.kims.hz())?;
    is_near(&tracks["outbound"], scene.anns.hz())?;
    stream_event(&scene, "stream-stopped")?;
    Ok(())
}

#[test]
fn a_server_that_refuses_the_handshake_is_reported() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let url = scene.app.url("/no-socket").replace("http", "ws");
    let stream = format!("<Stream url=\"{url}\" statusCallback=\"/stream\"/>");
    let gone = format!("<Stream url=\"ws://127.0.0.1:{}/\"/>", e2e::ports::free()?);
    let document = format!("<Connect>{stream}</Connect><Connect>{gone}</Connect>");
    scene.app.on("/v", Reply::document(&document));
    scene.app.on("/no-socket", Reply::status(403));
    scene.app.on("/stream", Reply::status(200));
    scene.kim.dial("1000")?;
    scene.kim.wait_for("CALL_CLOSED")?;
    let failed = stream_event(&scene, "stream-error")?;
    let error = failed.param("StreamError").unwrap_or_default().to_owned();
    ensure!(
        error.starts_with("31920: ") && error.contains("status 403"),
        "{error}"
    );
    let found = wait::until("notifications", Duration::from_secs(5), || {
        let all = scene
            .server
            .rest()
            .all("Notifications", "notifications")
            .ok()?;
        let codes: Vec<_> = all.iter().map(|it| it["error_code"].clone()).collect();
        (codes.len() >= 2).then_some(codes)
    })?;
    ensure!(
        found.contains(&json!(31_920)) && found.contains(&json!(31_902)),
        "{found:?}"
    );
    Ok(())
}

#[test]
fn the_example_agent_is_interrupted_and_transfers_the_call() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let ann = scene.ann(|ann| ann.answers())?;
    let folder = tempfile::tempdir()?;
    let port = e2e::ports::free()?;
    let example = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/voice-agent");
    let base = scene.server.ready()["http"]
        .as_str()
        .context("no address")?;
    let mut command = Command::new(e2e::process::cache()?.join("venv/bin/python"));
    command
        .arg("-B")
        .arg(example.join("agent.py"))
        .env("AGENT_PORT", port.to_string())
        .env("API_URL", base)
        .env("PATCHCORD_ADMIN_SID", scene.server.rest().account())
        .env("PATCHCORD_ADMIN_TOKEN", e2e::server::ADMIN_TOKEN)
        .env("PERSON_URL", scene.app.url("/person"));
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
    let document = document.replace("8765", &port.to_string());
    let verbs = document.split("Response>").nth(1).unwrap_or_default();
    let verbs = verbs.trim_end_matches("</");
    scene.app.on("/v", Reply::document(verbs));
    scene.app.on(
        "/person",
        Reply::document("<Dial><Client>ann</Client></Dial>"),
    );
    scene.kim.dial("1000")?;
    prints("says: Hello")?;
    // The phone's tone counts as speech.
    prints("interrupted")?;
    scene.kim.press('0')?;
    prints("transfers")?;
    prints("over")?;
    ann.wait_for("CALL_ESTABLISHED")?;
    super::talk(1.5);
    scene.kim.hangup()?;
    ann.wait_for("CALL_CLOSED")?;
    ann.heard()?.check_bridge(scene.kims, scene.anns, 1.0)
}

#[test]
fn a_server_that_stops_ends_its_streams() -> anyhow::Result<()> {
    let mut scene = Scene::new()?;
    let agent = Agent::start(&scene, &Pitch::random(3))?;
    let stream = format!("<Stream url=\"{}\"/>", agent.url("/listen"));
    let document = format!("<Connect>{stream}</Connect>");
    scene.app.on("/v", Reply::document(&document));
    scene.kim.dial("1000")?;
    agent.wait_for(|line| line["event"] == "media")?;
    // The first signal lets calls continue, the second one does not.
    scene.server.process().signal("TERM")?;
    wait::until("draining", SOON, || {
        scene.server.log().contains("drain").then_some(())
    })?;
    ensure!(!agent.lines().iter().any(|line| line["event"] == "stop"));
    scene.server.process().signal("TERM")?;
    agent.wait_for(|line| line["event"] == "stop")?;
    agent.has(&json!({"closed": "/listen"}))?;
    scene.kim.wait_for("CALL_CLOSED")?;
    let status = scene.server.process().finish(SOON)?;
    ensure!(status.success(), "{status}");
    Ok(())
}
