//! Text messages through an SMPP link: a real SMSC (node-smpp), its receipts, its texts, its moods.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::server::Options;
use e2e::{App, Reply, Rest, Server, ports, setting, wait};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A running SMSC.
pub(crate) struct Smsc {
    process: Child,
    folder: TempDir,
    port: u64,
}

impl Smsc {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let mut node = Command::new("node");
        let modules = e2e::process::cache()?.join("node/node_modules");
        node.env("NODE_PATH", modules);
        Self::run(node, "smsc.js")
    }

    /// An HTTP provider.
    fn http() -> anyhow::Result<Self> {
        let python = e2e::process::cache()?.join("venv/bin/python");
        Self::run(Command::new(python), "provider.py")
    }

    fn run(mut program: Command, script: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let scripts = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("smsc");
        let process = program
            .arg(scripts.join(script))
            .arg(folder.path().join("log"))
            .arg(folder.path().join("orders"))
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start it: was scripts/setup run?")?;
        let mut smsc = Self {
            process,
            folder,
            port: 0,
        };
        let ready = wait::until("SMSC", SOON, || smsc.events("ready").into_iter().next())?;
        smsc.port = ready["port"].as_u64().context("no port")?;
        Ok(smsc)
    }

    pub(crate) fn port(&self) -> u64 {
        self.port
    }

    fn events(&self, of: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|event| event["event"] == of).collect()
    }

    /// Has it send a text to the server.
    fn sends(&self, order: &Value) -> anyhow::Result<()> {
        use std::io::Write as _;
        let path = self.folder.path().join("orders");
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)?;
        Ok(writeln!(file, "{order}")?)
    }

    /// What it was given for a recipient, its segments joined in order.
    pub(crate) fn given(&self, to: &str) -> String {
        let mut parts: BTreeMap<String, String> = BTreeMap::new();
        for event in self
            .events("submit")
            .iter()
            .filter(|event| event["to"] == to)
        {
            let udh = event["udh"][0].as_str().unwrap_or_default().to_owned();
            parts.insert(udh, event["text"].as_str().unwrap_or_default().to_owned());
        }
        parts.into_values().collect()
    }
}

impl Drop for Smsc {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Adds a route to the SMSC, and waits for the bind.
pub(crate) fn link(rest: &Rest, smsc: &Smsc, more: &[(&str, &str)]) -> anyhow::Result<String> {
    let port = smsc.port.to_string();
    let mut form = vec![
        ("Kind", "smpp"),
        ("FriendlyName", "link"),
        ("Host", "127.0.0.1"),
        ("Port", port.as_str()),
        ("SystemId", "me"),
        ("Secret", "secret"),
    ];
    form.extend(more);
    let created = rest.post("MessageRoutes", &form)?;
    let sid = created["sid"]
        .as_str()
        .with_context(|| created.to_string())?
        .to_owned();
    wait::until("bind", SOON, || {
        let route = rest.get(&format!("MessageRoutes/{sid}")).ok()?;
        (route["up"] == true).then_some(())
    })?;
    Ok(sid)
}

fn send(rest: &Rest, to: &str, body: &str, callback: Option<&str>) -> anyhow::Result<String> {
    let to = format!("+{to}");
    let mut form = vec![("From", "+4930123456"), ("To", to.as_str()), ("Body", body)];
    form.extend(callback.map(|url| ("StatusCallback", url)));
    let sent = rest.post("SMS/Messages", &form)?;
    ensure!(sent["status"] == "queued", "{sent}");
    Ok(sent["sid"].as_str().context("no sid")?.to_owned())
}

pub(crate) fn ends_as(rest: &Rest, sid: &str, status: &str) -> anyhow::Result<Value> {
    let path = format!("SMS/Messages/{sid}");
    let last = std::cell::RefCell::new(Value::Null);
    let found = wait::until(status, SOON, || {
        let message = rest.get(&path).ok()?;
        last.replace(message.clone());
        (message["status"] == status).then_some(message)
    });
    found.with_context(|| last.borrow().to_string())
}

/// From the API to the SMSC and back: each status is reported once, in order.
#[test]
fn a_message_is_delivered_through_a_link() -> anyhow::Result<()> {
    let (server, app, smsc) = (Server::start()?, App::start()?, Smsc::start()?);
    let rest = server.rest();
    app.on("/told", Reply::status(200));
    link(&rest, &smsc, &[("Price", "750")])?;
    let told = app.url("/told");
    let sid = send(&rest, "4915112345678", "words", Some(&told))?;
    ends_as(&rest, &sid, "delivered")?;
    let seen: Vec<String> = app
        .wait_for("/told", 3, SOON)?
        .iter()
        .map(|request| {
            request
                .param("MessageStatus")
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    ensure!(seen == ["queued", "sent", "delivered"], "{seen:?}");
    ensure!(smsc.given("4915112345678") == "words");
    let submit = &smsc.events("submit")[0];
    ensure!(
        submit["from"] == "4930123456" && submit["ton"] == 1,
        "{submit}"
    );
    Ok(())
}

/// Every length at a limit, every alphabet, character by character at the SMSC.
#[test]
fn texts_arrive_character_by_character() -> anyhow::Result<()> {
    let (server, smsc) = (Server::start()?, Smsc::start()?);
    let rest = server.rest();
    link(&rest, &smsc, &[("Window", "20")])?;
    let gsm = "Grüße, €5 [ok] @home. ".repeat(30);
    let take = |text: &str, count: usize| text.chars().take(count).collect::<String>();
    let plain = "a1".repeat(230);
    let texts = [
        take(&plain, 160),
        take(&plain, 161),
        take(&plain, 459),
        take(&"жук".repeat(30), 70),
        take(&"жук".repeat(30), 71),
        "emoji 😀 and 🇩🇪 flags".repeat(6),
        gsm,
    ];
    for (at, text) in texts.iter().enumerate() {
        let to = format!("49151000000{at}");
        let sid = send(&rest, &to, text, None)?;
        ends_as(&rest, &sid, "delivered")?;
        let given = smsc.given(&to);
        ensure!(given == *text, "{at}: {given} for {text}");
    }
    Ok(())
}

/// What the SMSC refuses fails at once with its number; what it throttles or drops is sent again.
#[test]
fn refusals_throttling_and_a_lost_link() -> anyhow::Result<()> {
    let (server, smsc) = (Server::start()?, Smsc::start()?);
    let rest = server.rest();
    let route = link(&rest, &smsc, &[])?;
    let refused = send(&rest, "4900111", "x", None)?;
    let undelivered = send(&rest, "4922111", "x", None)?;
    let silent = send(&rest, "4933111", "x", None)?;
    let throttled = send(&rest, "4915100058", "x", None)?;
    ensure!(ends_as(&rest, &refused, "failed")?["error_code"] == 30_005);
    ensure!(ends_as(&rest, &undelivered, "undelivered")?["error_code"] == 30_005);
    ends_as(&rest, &silent, "sent")?;
    ends_as(&rest, &throttled, "delivered")?;
    ensure!(smsc.events("throttled").len() == 1);
    // The link breaks before the answer: it is sent again, which is counted.
    let dropped = send(&rest, "4911111", "once or twice", None)?;
    ends_as(&rest, &dropped, "delivered")?;
    ensure!(
        smsc.events("submit")
            .iter()
            .filter(|event| event["to"] == "4911111")
            .count()
            == 2
    );
    let health = rest.get(&format!("MessageRoutes/{route}"))?;
    ensure!(
        health["doubtful"] == 1 && health["refused"] == 1 && health["throttled"] == 1,
        "{health}"
    );
    Ok(())
}

/// Texts from the SMSC are on record before it has its answer, and run the application of their number.
#[test]
fn texts_arrive_from_a_link() -> anyhow::Result<()> {
    let (server, app, smsc) = (Server::start()?, App::start()?, Smsc::start()?);
    let rest = server.rest();
    app.on("/text", Reply::document("<Sms>thanks</Sms>"));
    let text = app.url("/text");
    rest.number_with("4930777", &app.url("/v"), &[("SmsUrl", &text)])?;
    link(&rest, &smsc, &[])?;
    smsc.sends(&serde_json::json!({"from": "4915199", "to": "4930777", "text": "hello €"}))?;
    let parts = ["first part, ", "second"];
    smsc.sends(&serde_json::json!({"from": "4915198", "to": "4930777", "parts": parts}))?;
    smsc.sends(&serde_json::json!({"from": "4915199", "to": "4900", "text": "nobody"}))?;
    wait::until("answers", SOON, || {
        (smsc.events("answered").len() == 4).then_some(())
    })?;
    let list = rest.get("SMS/Messages")?;
    let bodies: Vec<&str> = list["messages"]
        .as_array()
        .context("no list")?
        .iter()
        .filter(|message| message["direction"] == "inbound")
        .filter_map(|message| message["body"].as_str())
        .collect();
    ensure!(
        bodies.contains(&"hello €") && bodies.contains(&"first part, second"),
        "{list}"
    );
    let refused = smsc.events("answered");
    ensure!(
        refused
            .iter()
            .any(|event| event["to"] == "4900" && event["status"] == 0x65),
        "{refused:?}"
    );
    // The application of the number has them, and its replies leave by the link.
    app.wait_for("/text", 2, SOON)?;
    for to in ["4915199", "4915198"] {
        wait::until("reply", SOON, || (smsc.given(to) == "thanks").then_some(()))?;
    }
    Ok(())
}

/// An HTTP provider with an implementation of the signature of its own: messages leave, receipts and texts come back, each once.
#[test]
fn an_http_provider_takes_messages_and_posts_receipts_and_texts() -> anyhow::Result<()> {
    let (server, app, provider) = (Server::start()?, App::start()?, Smsc::http()?);
    let rest = server.rest();
    app.on("/text", Reply::document(""));
    let text = app.url("/text");
    rest.number_with("4930777", &app.url("/v"), &[("SmsUrl", &text)])?;
    let url = format!("http://127.0.0.1:{}/send", provider.port);
    let form = [("Kind", "http"), ("Url", url.as_str()), ("Secret", "quiet")];
    let route = rest.post("MessageRoutes", &form)?;
    let inbound = &route["inbound_url"];
    provider.sends(&serde_json::json!({"inbound": inbound, "secret": "quiet"}))?;
    let path = format!("MessageRoutes/{}", route["sid"].as_str().context("no sid")?);
    wait::until("route", SOON, || {
        (rest.get(&path).ok()?["up"] == true).then_some(())
    })?;
    let delivered = send(&rest, "4915100011", "words", None)?;
    let lost = send(&rest, "4915100022", "words", None)?;
    let blocked = send(&rest, "4915100033", "words", None)?;
    ends_as(&rest, &delivered, "delivered")?;
    ensure!(ends_as(&rest, &lost, "undelivered")?["error_code"] == 30_005);
    ensure!(ends_as(&rest, &blocked, "failed")?["error_code"] == 30_004);
    let taken = provider.events("message");
    ensure!(
        taken.iter().all(|event| event["signed"] == true),
        "{taken:?}"
    );

    let text = |id: &str, to: &str| serde_json::json!({"id": id, "from": "+4915199", "to": to, "body": "hello €"});
    for order in [
        serde_json::json!({"post": text("t1", "4930777")}),
        serde_json::json!({"post": text("t1", "4930777")}),
        serde_json::json!({"post": text("t2", "4900")}),
        serde_json::json!({"post": text("t3", "4930777"), "secret": "loud"}),
        serde_json::json!({"post": {"id": "t4", "status": "lost"}}),
        serde_json::json!({"post": {"id": "t5"}}),
    ] {
        provider.sends(&order)?;
    }
    let answers = wait::until("answers", SOON, || {
        let posted = provider.events("posted");
        let texts = posted
            .into_iter()
            .filter(|event| event["id"].as_str().is_some_and(|id| id.starts_with('t')));
        let texts: Vec<Value> = texts.collect();
        (texts.len() == 6).then_some(texts)
    })?;
    let told: Vec<(&Value, &Value)> = answers
        .iter()
        .map(|event| (&event["status"], &event["answer"]["code"]))
        .collect();
    let null = Value::Null;
    let expected = [
        (200, &null),
        (200, &null),
        (422, &12_003.into()),
        (401, &20_003.into()),
        (400, &21_100.into()),
        (400, &21_100.into()),
    ];
    ensure!(
        told.len() == expected.len()
            && told
                .iter()
                .zip(expected)
                .all(|((status, code), (s, c))| **status == s && *code == c),
        "{answers:?}"
    );
    ensure!(
        answers[0]["answer"]["message"] == answers[1]["answer"]["message"],
        "{answers:?}"
    );
    let asked = app.wait_for("/text", 1, SOON)?;
    ensure!(asked[0].param("Body") == Some("hello €"));
    let list = rest.get("SMS/Messages")?;
    let messages = list["messages"].as_array().context("no list")?;
    let inbound = messages
        .iter()
        .filter(|message| message["direction"] == "inbound");
    ensure!(
        inbound.count() == 1 && app.requests("/text").len() == 1,
        "{list}"
    );
    Ok(())
}

/// A server that is killed at any time loses no message; those sent twice are among those that it counts as in doubt.
#[test]
fn nothing_is_lost_when_the_server_is_killed() -> anyhow::Result<()> {
    killed_while_sending(100, 3)
}

#[test]
#[ignore = "takes minutes: just kill"]
fn killed_at_any_instant_of_many_messages() -> anyhow::Result<()> {
    killed_while_sending(1_000, setting("PATCHCORD_KILLS", 20))
}

/// Requests that may wait for a response from the SMSC in the test's link.
const WINDOW: u32 = 5;

/// Sends so many messages, while the server is killed so many times at random instants; then looks at each message.
fn killed_while_sending(count: u32, kills: u32) -> anyhow::Result<()> {
    let address = || Ok::<_, anyhow::Error>(format!("127.0.0.1:{}", ports::lasting()?));
    let options = Options::default()
        .flag("--http", &address()?)
        .flag("--sip", &address()?);
    let mut server = options.start()?;
    let smsc = Smsc::start()?;
    let window = WINDOW.to_string();
    link(&server.rest(), &smsc, &[("Window", window.as_str())])?;
    let accepted = Arc::new(AtomicU32::new(0));
    let (rest, progress) = (server.rest(), Arc::clone(&accepted));
    let sender = std::thread::spawn(move || {
        let until = Instant::now() + Duration::from_secs(300);
        let mut sids = BTreeMap::new();
        let mut attempt = 0;
        while sids.len() < count as usize && Instant::now() < until {
            attempt += 1;
            // A recipient of its own for each attempt: one without a response may have been accepted all the same.
            let to = format!("4916{attempt:07}1");
            if let Ok(sid) = send(&rest, &to, "x", None) {
                sids.insert(to, sid);
                progress.fetch_add(1, Ordering::Relaxed);
            }
        }
        sids
    });
    for kill in 0..kills {
        let at = count * kill / kills + rand::random_range(0..=count / kills / 2);
        wait::until("progress", Duration::from_secs(60), || {
            (accepted.load(Ordering::Relaxed) >= at).then_some(())
        })?;
        // Any instant, not just after a response.
        std::thread::sleep(Duration::from_micros(rand::random_range(0..30_000)));
        server.kill()?;
        server.start_again()?;
    }
    let sids = sender
        .join()
        .map_err(|_| anyhow::anyhow!("the sender panicked"))?;
    ensure!(
        sids.len() == count as usize,
        "{} of {count} were accepted",
        sids.len()
    );
    let rest = server.rest();
    wait::until("all sent", Duration::from_secs(30), || {
        ["queued", "sending"]
            .iter()
            .all(|status| {
                let list = rest.get(&format!("SMS/Messages?Status={status}"));
                list.is_ok_and(|list| list["messages"].as_array().is_some_and(Vec::is_empty))
            })
            .then_some(())
    })?;
    let mut submitted: BTreeMap<String, i64> = BTreeMap::new();
    for event in smsc.events("submit") {
        let to = event["to"].as_str().unwrap_or_default().to_owned();
        *submitted.entry(to).or_default() += 1;
    }
    let file = rusqlite::Connection::open(server.data().join("patchcord.db"))?;
    let mut rows = file.prepare("SELECT sid, to_user, status, doubts FROM messages")?;
    let rows = rows.query_map([], |row| {
        let (sid, to): (String, String) = (row.get(0)?, row.get(1)?);
        let (status, doubts): (String, i64) = (row.get(2)?, row.get(3)?);
        Ok((sid, (to, status, doubts)))
    })?;
    let rows = rows.collect::<Result<BTreeMap<_, _>, _>>()?;
    for (to, sid) in &sids {
        ensure!(rows.contains_key(sid), "{sid} to {to} is not on record");
        ensure!(submitted.contains_key(to), "{sid} to {to} was lost");
    }
    let (mut doubtful, mut twice) = (0, 0);
    for (sid, (to, status, doubts)) in &rows {
        // A receipt that came while the server was down is not repeated by this SMSC.
        ensure!(status == "sent" || status == "delivered", "{sid}: {status}");
        let times = submitted.get(to.trim_start_matches('+')).copied();
        let times = times.unwrap_or_default();
        ensure!(
            (1..=1 + doubts).contains(&times),
            "{sid}: {times} times, {doubts} doubts"
        );
        doubtful += doubts;
        twice += i64::from(times > 1);
    }
    eprintln!(
        "{} messages, {kills} kills: {doubtful} in doubt, {twice} sent twice",
        rows.len()
    );
    // The window of docs/messaging.md.
    let most = i64::from(kills * 2 * WINDOW);
    ensure!(
        doubtful <= most,
        "{doubtful} in doubt, at most {most} are documented"
    );
    Ok(())
}
