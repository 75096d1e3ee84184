//! Calls with sipp, an independent implementation of RFC 3261.

mod support;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use sip::{Credentials, InviteSpec, LegCommand, LegEvent, Sip};
use support::{Counts, LOGIN, PASSWORD, SDP, answer_all, server};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::time::timeout;

fn scenario(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/sipp")
        .join(name);
    path.to_str().expect("a path in UTF-8").to_owned()
}

fn sipp(args: &[&str]) -> Command {
    let mut command = Command::new("sipp");
    command
        .args(["-i", "127.0.0.1", "-nostdin", "-trace_err", "-trace_logs"])
        .args(args);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.kill_on_drop(true);
    command
}

/// Runs a caller to its end. sipp exits with 0 if every call followed the scenario.
async fn call(server: SocketAddr, user: &str, args: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = sipp(args);
    command.args([
        "-s",
        user,
        "-timeout",
        "20",
        "-timeout_error",
        &server.to_string(),
    ]);
    command.current_dir(folder.path());
    let run = timeout(Duration::from_secs(30), command.output()).await;
    let output = run.expect("sipp ends").expect("sipp is installed");
    if !output.status.success() {
        for file in std::fs::read_dir(folder.path())
            .expect("a folder")
            .flatten()
        {
            let text = std::fs::read(file.path()).unwrap_or_default();
            eprintln!("{:?}\n{}", file.file_name(), String::from_utf8_lossy(&text));
        }
    }
    output
}

fn assert_success(output: &Output, what: &str) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{what}: {}\n{text}", output.status);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takes_calls_on_both_transports() {
    let (sip, calls) = server().await;
    let counts = answer_all(&sip, calls);
    let udp = ["-sn", "uac", "-m", "60", "-r", "60", "-d", "50"];
    assert_success(&call(sip.local().udp, "service", &udp).await, "UDP");
    let tcp = [
        "-sn",
        "uac",
        "-m",
        "30",
        "-r",
        "60",
        "-d",
        "50",
        "-t",
        "tn",
        "-max_socket",
        "100",
    ];
    assert_success(&call(sip.local().tcp, "service", &tcp).await, "TCP");
    assert_eq!(Counts::get(&counts.calls), 90);
    assert_eq!(Counts::get(&counts.byes), 90);
    assert_eq!(Counts::get(&counts.failed), 0);
    timeout(Duration::from_secs(1), sip.idle())
        .await
        .expect("no leg is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takes_calls_over_a_lossy_network() {
    let (sip, calls) = server().await;
    let counts = answer_all(&sip, calls);
    let args = [
        "-sn", "uac", "-m", "20", "-r", "40", "-d", "50", "-lost", "10",
    ];
    assert_success(&call(sip.local().udp, "service", &args).await, "10 % loss");
    assert_eq!(
        Counts::get(&counts.calls),
        20,
        "a repeated INVITE is one call"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plays_the_scenarios() {
    let (sip, calls) = server().await;
    let counts = answer_all(&sip, calls);
    // Scenario, called user, transport.
    let table = [
        ("uac-cancel.xml", "ring", "u1"),
        ("uac-cancel.xml", "ring", "t1"),
        ("uac-busy.xml", "busy", "u1"),
        ("uac-busy.xml", "busy", "t1"),
        ("uac-hangup-by-callee.xml", "hangup", "u1"),
        ("uac-reinvite-info.xml", "service", "u1"),
        ("uac-late-offer.xml", "service", "u1"),
        ("uac-challenge.xml", "private", "u1"),
        ("uac-challenge.xml", "private", "t1"),
        ("register.xml", LOGIN, "u1"),
        ("register.xml", LOGIN, "t1"),
    ];
    for (name, user, transport) in table {
        let file = scenario(name);
        let address = if transport == "u1" {
            sip.local().udp
        } else {
            sip.local().tcp
        };
        let args = [
            "-sf", &file, "-m", "1", "-t", transport, "-au", LOGIN, "-ap", PASSWORD,
        ];
        assert_success(
            &call(address, user, &args).await,
            &format!("{name} {transport}"),
        );
    }
    assert_eq!(Counts::get(&counts.canceled), 2);
    assert_eq!(Counts::get(&counts.reinvites), 1);
    assert_eq!(Counts::get(&counts.infos), 1);
    assert!(
        sip.bindings(LOGIN, support::REALM).is_empty(),
        "the scenario unregisters at its end"
    );
}

/// Calls a sipp that plays `args` and returns the events of the leg, without `Dialog`.
async fn place(args: &[&str], transport: &str, hang_up: bool) -> Vec<LegEvent> {
    let (sip, _calls) = server().await;
    let port = free_port();
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = sipp(args);
    command.args([
        "-p",
        &port.to_string(),
        "-t",
        transport,
        "-m",
        "1",
        "-timeout",
        "20",
    ]);
    let mut callee = command
        .current_dir(folder.path())
        .spawn()
        .expect("sipp is installed");
    tokio::time::sleep(Duration::from_millis(400)).await;
    let events = call_out(&sip, port, transport, hang_up).await;
    let status = timeout(Duration::from_secs(10), callee.wait()).await;
    let status = status.expect("sipp ends").expect("sipp was started");
    assert!(
        status.success(),
        "{args:?} {transport}: {status}, {events:?}"
    );
    events
}

async fn call_out(sip: &Sip, port: u16, transport: &str, hang_up: bool) -> Vec<LegEvent> {
    let (sender, mut events) = mpsc::unbounded_channel();
    let word = if transport == "u1" { "udp" } else { "tcp" };
    let target = format!("sip:service@127.0.0.1:{port};transport={word}");
    let route = sip.resolve(&target).await.expect("a numeric host");
    let mut spec = InviteSpec::new(target, "sip:+12025550123@example.com", route);
    spec.sdp = SDP.to_owned();
    spec.headers = vec![("X-RestComm-CallSid".to_owned(), "CA1".to_owned())];
    spec.credentials = Some(Credentials {
        username: LOGIN.to_owned(),
        password: PASSWORD.to_owned(),
    });
    let leg = sip.new_leg(sender);
    sip.send(leg, LegCommand::Invite(Box::new(spec)));
    let mut seen = Vec::new();
    loop {
        let next = timeout(Duration::from_secs(10), events.recv()).await;
        let Ok(Some((_, event))) = next else {
            panic!("no more after {seen:?}")
        };
        if matches!(event, LegEvent::Answered { .. }) && hang_up {
            sip.send(
                leg,
                LegCommand::Bye {
                    headers: Vec::new(),
                },
            );
        }
        let last = event.is_last();
        if !matches!(event, LegEvent::Dialog(_)) {
            seen.push(event);
        }
        if last {
            return seen;
        }
    }
}

fn free_port() -> u16 {
    let socket = std::net::UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
    socket.local_addr().expect("an address").port()
}

fn names(events: &[LegEvent]) -> String {
    let name = |event: &LegEvent| {
        let text = format!("{event:?}");
        text.split([' ', '{', '('])
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    events.iter().map(name).collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_calls_on_both_transports() {
    for transport in ["u1", "t1"] {
        let events = place(&["-sn", "uas"], transport, true).await;
        assert_eq!(names(&events), "Progress Answered ByeDone", "{transport}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_a_challenge() {
    let file = scenario("uas-challenge.xml");
    let events = place(&["-sf", &file], "u1", true).await;
    assert_eq!(names(&events), "Answered ByeDone", "{events:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hears_a_refusal_and_a_hangup() {
    let events = place(&["-sf", &scenario("uas-busy.xml")], "u1", false).await;
    let [
        LegEvent::Rejected {
            status: 486,
            headers,
            ..
        },
    ] = events.as_slice()
    else {
        panic!("{events:?}");
    };
    assert_eq!(headers, &[("X-Why".to_owned(), "asleep".to_owned())]);
    let events = place(&["-sf", &scenario("uas-hangup.xml")], "u1", false).await;
    assert_eq!(names(&events), "Answered Bye");
}
