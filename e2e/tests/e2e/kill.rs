//! `kill -9` in the middle of many calls: after the next start nothing is left open, and every
//! party that must be notified is.
//!
//! Calls ring, are bridged, bridged and recorded, hear a sound file, collect keys while the API records them, meet in a conference or wait in
//! a queue. **Invariant:
//! everything asserted is observed from outside**: the API, the callbacks that arrived, the BYEs
//! that remote parties received, the files. `just kill` repeats it at random instants.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use anyhow::ensure;
use e2e::app::Request;
use e2e::load::ua::Ua;
use e2e::server::{Options, program};
use e2e::{App, Pitch, Reply, Server, ports, setting, wait};
use model::Timestamp;
use serde_json::Value;

/// Calls of each kind.
const EACH: usize = 20;
/// The document of each kind, with its number.
const KINDS: [(&str, &str); 7] = [
    (
        "1001",
        "<Dial><Number statusCallback=\"/leg\">2000</Number></Dial>",
    ),
    (
        "1002",
        "<Dial record=\"true\"><Number statusCallback=\"/leg\">2000</Number></Dial>",
    ),
    ("1003", "<Play>/tone.wav</Play>"),
    (
        "1004",
        "<Dial timeout=\"600\"><Number statusCallback=\"/leg\">2001</Number></Dial>",
    ),
    (
        "1005",
        "<Gather timeout=\"60\"><Play>/tone.wav</Play></Gather>",
    ),
    (
        "1006",
        "<Dial><Conference beep=\"false\" statusCallback=\"/conference\" statusCallbackEvent=\"end\" \
         record=\"record-from-start\" recordingStatusCallback=\"/recording\" \
         recordingStatusCallbackEvent=\"completed absent\">room</Conference></Dial>",
    ),
    ("1007", "<Enqueue>line</Enqueue>"),
];
/// Dialogs of these calls: those of the callers, and of the callees of two kinds.
const DIALOGS: usize = 7 * EACH + 2 * EACH;
/// A dialog that the server started is recorded once it is older than this.
const ON_RECORD: Duration = Duration::from_millis(500);
const SOON: Duration = Duration::from_secs(15);
const EVENT: &str = "x-patchcord-event";

/// Everything in one round.
struct Scene {
    server: Server,
    app: App,
    ua: Ua,
}

impl Scene {
    fn new() -> anyhow::Result<Self> {
        let app = App::start()?;
        app.on("/tone.wav", Reply::wav(Pitch::of(440.0).wav(30)));
        for path in ["/number", "/leg", "/conference", "/recording", "/live"] {
            app.on(path, Reply::status(200));
        }
        let mut ua = Ua::bind()?;
        ua.only_ring("2001");
        let trunk = ua.local();
        let config =
            format!("[[trunk]]\nname = 'load'\nuri = '{trunk}'\naddresses = ['127.0.0.1']\n");
        let address = || Ok::<_, anyhow::Error>(format!("127.0.0.1:{}", ports::lasting()?));
        let options = Options::default()
            .config(&config)
            .flag("--http", &address()?)
            .flag("--sip", &address()?)
            .variable("PATCHCORD_LOG__LEVEL", "info");
        let server = options.start()?;
        ua.connect(server.sip_udp()?);
        for (number, verbs) in KINDS {
            app.on(&format!("/{number}"), Reply::document(verbs));
            let document = app.url(&format!("/{number}"));
            let further = [("StatusCallback", &*app.url("/number"))];
            server.rest().number_with(number, &document, &further)?;
        }
        Ok(Self { server, app, ua })
    }

    /// Places all calls, for at most `limit`.
    fn ring(&mut self, limit: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        for n in 0..EACH * KINDS.len() {
            if Instant::now() >= deadline {
                break;
            }
            self.ua.call(KINDS[n % KINDS.len()].0)?;
            self.ua.pump(Duration::from_millis(5))?;
        }
        Ok(())
    }

    /// Kills the server, and again this long after its next start, in the middle of the repair;
    /// then checks the outcome.
    fn survive(&mut self, again: Duration) -> anyhow::Result<()> {
        let safe = Instant::now() - ON_RECORD;
        self.server.kill()?;
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let killed = Timestamp::from_unix(since).iso8601();
        self.ua.forget_unanswered();
        self.server.crash_while_starting(again)?;
        self.server.start_again()?;
        self.check(safe)?;
        // Its end is unknown, except that it was live until then.
        let calls = self.server.rest().all("Calls", "calls")?;
        for call in calls
            .iter()
            .filter(|call| text(call, "reason") == "node-lost")
        {
            // Times in this format sort alphabetically.
            let end = text(call, "end_time");
            ensure!(*end <= *killed, "ended after the kill at {killed}: {call}");
        }
        Ok(())
    }

    /// Checks the outcome after the restart; callers, and callees that answered before `safe`, must
    /// have received BYE.
    fn check(&mut self, safe: Instant) -> anyhow::Result<()> {
        wait::until("BYE in each dialog", SOON, || {
            self.ua.pump(Duration::from_millis(5)).ok()?;
            (self.ua.dialogs_on_record(safe) == 0).then_some(())
        })?;
        let calls = self.server.rest().all("Calls", "calls")?;
        records_are_final(&calls)?;
        let told = |path: &str| last_words(&self.app.requests(path));
        let roots: BTreeSet<String> = legs(&calls, |call| call["parent_call_sid"].is_null());
        let children: BTreeSet<String> = legs(&calls, |call| !call["parent_call_sid"].is_null());
        wait::until("the last callback of each leg", SOON, || {
            let numbers: BTreeSet<String> = told("/number").into_keys().collect();
            let legs: BTreeSet<String> = told("/leg").into_keys().collect();
            (numbers == roots && legs == children).then_some(())
        })?;
        for (call, events) in told("/number").into_iter().chain(told("/leg")) {
            ensure!(events.len() == 1, "{call} has the events {events:?}");
        }
        self.conferences_are_over()?;
        for queue in self.server.rest().all("Queues", "queues")? {
            ensure!(queue["current_size"] == 0, "{queue}");
        }
        self.recordings_are_listed()
    }

    /// Has the API record the calls that collect keys, and pause every second of these recordings.
    fn record_some(&self) -> anyhow::Result<BTreeSet<String>> {
        let rest = self.server.rest();
        let told = self.app.url("/live");
        let mut made = BTreeSet::new();
        for call in rest.all("Calls", "calls")? {
            if text(&call, "to") != "1005" {
                continue;
            }
            let path = format!("Calls/{}/Recordings", text(&call, "sid"));
            let recording = rest.post(&path, &[("RecordingStatusCallback", told.as_str())])?;
            if made.len() % 2 == 0 {
                rest.post(&format!("{path}/Twilio.CURRENT"), &[("Status", "paused")])?;
            }
            made.insert(text(&recording, "sid").to_owned());
        }
        Ok(made)
    }

    /// Each of these recordings is complete, which is reported once.
    fn they_are_complete(&self, made: &BTreeSet<String>) -> anyhow::Result<()> {
        let ends = wait::until("the end of each recording", SOON, || {
            let mut ends: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for request in self.app.requests("/live") {
                let recording = request.param("RecordingSid")?.to_owned();
                let status = request.param("RecordingStatus")?;
                let event = request.header(EVENT)?;
                let known = ends.entry(recording).or_default();
                known.insert(format!("{status} {event}"));
            }
            ends.keys().eq(made).then_some(ends)
        })?;
        for (recording, events) in ends {
            let whole = events.iter().all(|event| event.starts_with("completed "));
            ensure!(whole && events.len() == 1, "{recording}: {events:?}");
            let shown = self.server.rest().get(&format!("Recordings/{recording}"))?;
            ensure!(shown["status"] == "completed", "{shown}");
        }
        Ok(())
    }

    /// Each conference is closed and its end reported, once.
    fn conferences_are_over(&self) -> anyhow::Result<()> {
        let all = self.server.rest().all("Conferences", "conferences")?;
        for conference in &all {
            let status = text(conference, "status");
            ensure!(["COMPLETED", "FAILED"].contains(&status), "{conference}");
        }
        let known = legs(&all, |_| true);
        wait::until("the end of each conference", SOON, || {
            let told = self.app.requests("/conference");
            let ends: BTreeSet<String> = told
                .iter()
                .filter_map(|request| Some(request.param("ConferenceSid")?.to_owned()))
                .collect();
            (ends == known).then_some(())
        })?;
        let mut events: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for request in self.app.requests("/conference") {
            let conference = request.param("ConferenceSid").unwrap_or_default();
            let event = request.header(EVENT).unwrap_or_default().to_owned();
            events
                .entry(conference.to_owned())
                .or_default()
                .insert(event);
        }
        let twice = events.iter().find(|(_, events)| events.len() != 1);
        ensure!(twice.is_none(), "the end is reported twice: {twice:?}");
        self.their_recordings_are_over(&known)
    }

    /// Each conference had a recording, whose end is reported once.
    fn their_recordings_are_over(&self, conferences: &BTreeSet<String>) -> anyhow::Result<()> {
        let ends = || {
            let mut ends: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for request in self.app.requests("/recording") {
                let conference = request.param("ConferenceSid").unwrap_or_default();
                let event = request.header(EVENT).unwrap_or_default().to_owned();
                let known = ends.entry(conference.to_owned()).or_default();
                known.insert(event);
            }
            ends
        };
        let found = wait::until("the end of each conference's recording", SOON, || {
            let ends = ends();
            (ends.keys().eq(conferences)).then_some(ends)
        })?;
        let twice = found.iter().find(|(_, events)| events.len() != 1);
        ensure!(twice.is_none(), "an end is reported twice: {twice:?}");
        Ok(())
    }

    /// The result of `patchcord doctor calls`: its exit code and the number of open calls.
    fn doctor(&self) -> anyhow::Result<(i32, usize)> {
        let output = program()
            .args(["doctor", "calls", "--json", "--data"])
            .arg(self.server.data())
            .output()?;
        let open: Vec<Value> = serde_json::from_slice(&output.stdout)?;
        Ok((output.status.code().unwrap_or(-1), open.len()))
    }

    /// Each file has a record, and each record a file.
    fn recordings_are_listed(&self) -> anyhow::Result<()> {
        let listed: BTreeSet<String> = self
            .server
            .rest()
            .all("Recordings", "recordings")?
            .iter()
            .map(|recording| text(recording, "sid").to_owned())
            .collect();
        let files = std::fs::read_dir(self.server.data().join("recordings"))?;
        let files: BTreeSet<String> = files
            .flatten()
            .map(|file| file.file_name().to_string_lossy().into_owned())
            .filter_map(|name| Some(name.strip_suffix(".wav")?.to_owned()))
            .collect();
        ensure!(listed == files, "listed {listed:?}, on disk {files:?}");
        Ok(())
    }
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn legs(calls: &[Value], which: impl Fn(&Value) -> bool) -> BTreeSet<String> {
    let chosen = calls.iter().filter(|call| which(call));
    chosen.map(|call| text(call, "sid").to_owned()).collect()
}

pub(crate) fn is_final(status: &str) -> bool {
    !["queued", "ringing", "in-progress"].contains(&status)
}

pub(crate) fn records_are_final(calls: &[Value]) -> anyhow::Result<()> {
    for call in calls {
        let (status, reason) = (text(call, "status"), text(call, "reason"));
        ensure!(is_final(status), "open after the restart: {call}");
        ensure!(!text(call, "end_time").is_empty(), "no end: {call}");
        if reason == "node-lost" {
            ensure!(["completed", "failed"].contains(&status), "{call}");
        }
    }
    Ok(())
}

/// The event ids of the final callbacks, by call.
pub(crate) fn last_words(requests: &[Request]) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for request in requests {
        let status = request.param("CallStatus").unwrap_or_default();
        if !is_final(status) || ["initiated", "answered"].contains(&status) {
            continue;
        }
        let event = request
            .headers
            .iter()
            .find_map(|(name, value)| name.eq_ignore_ascii_case(EVENT).then(|| value.clone()));
        let call = request.param("CallSid").unwrap_or_default().to_owned();
        found.entry(call).or_default().extend(event);
    }
    found
}

#[test]
fn a_killed_server_leaves_nothing_open() -> anyhow::Result<()> {
    let mut scene = Scene::new()?;
    scene.ring(SOON)?;
    wait::until("all dialogs", SOON, || {
        scene.ua.pump(Duration::from_millis(5)).ok()?;
        (scene.ua.open_dialogs() == DIALOGS).then_some(())
    })?;
    scene.ua.pump(2 * ON_RECORD)?;
    let safe = Instant::now();
    ensure!(scene.doctor()? == (0, DIALOGS + EACH), "all calls are fine");
    let recorded = scene.record_some()?;
    assert_eq!(recorded.len(), EACH);
    // Samples reach the file every half second.
    scene.ua.pump(2 * ON_RECORD)?;
    scene.server.kill()?;
    ensure!(
        scene.doctor()? == (1, DIALOGS + EACH),
        "their server is gone"
    );
    scene.server.start_again()?;
    ensure!(scene.doctor()? == (0, 0), "no call is open");
    scene.check(safe)?;
    let calls = scene.server.rest().all("Calls", "calls")?;
    let lost = calls
        .iter()
        .filter(|call| text(call, "reason") == "node-lost");
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    for call in lost {
        *ends.entry(text(call, "status")).or_default() += 1;
    }
    let expected = BTreeMap::from([("completed", DIALOGS), ("failed", EACH)]);
    assert_eq!(ends, expected);
    let recordings = scene.server.rest().all("Recordings", "recordings")?;
    // Those of the recorded calls, those of the API, and that of the conference.
    assert_eq!(recordings.len(), 2 * EACH + 1);
    scene.they_are_complete(&recorded)
}

#[test]
#[ignore = "takes minutes: just kill"]
fn killed_at_any_instant() -> anyhow::Result<()> {
    let rounds = u64::from(setting("PATCHCORD_KILLS", 20));
    for round in 1..=rounds {
        let mut scene = Scene::new()?;
        // From the first INVITE to some time after the last answer.
        let instant = Duration::from_millis(2_500 * round / rounds);
        let start = Instant::now();
        scene.ring(instant)?;
        scene.ua.pump(instant.saturating_sub(start.elapsed()))?;
        scene
            .survive(Duration::from_millis(10 * round))
            .map_err(|error| error.context(format!("killed after {instant:?}")))?;
        eprintln!("round {round} of {rounds}: killed after {instant:?}");
    }
    Ok(())
}
