//! The contract of `docs/operating.md`: ready line, exit codes, health, signals.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::phone::Setup;
use e2e::server::Options;
use e2e::{App, Pitch, Reply, Server, ports};

const LIMIT: Duration = Duration::from_secs(8);

#[test]
fn the_ready_line_names_every_listener() -> anyhow::Result<()> {
    let server = Server::start()?;
    let ready = server.ready();
    assert!(
        ready["http"]
            .as_str()
            .is_some_and(|url| url.starts_with("http://127.0.0.1:")),
        "{ready}"
    );
    assert!(
        ready["metrics"]
            .as_str()
            .is_some_and(|url| url.ends_with("/metrics")),
        "{ready}"
    );
    assert_ne!(server.sip_udp()?.port(), 0);
    assert_ne!(server.sip_tcp()?.port(), 0);
    assert!(server.metric("process_resident_memory_bytes")? > 0.0);
    Ok(())
}

#[test]
fn health_answers_without_credentials() -> anyhow::Result<()> {
    let server = Server::start()?;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(
            server.rest_as("", "").send("GET", path, None)?.status(),
            200,
            "{path}"
        );
    }
    Ok(())
}

#[test]
fn metrics_are_not_on_the_public_listener() -> anyhow::Result<()> {
    let server = Server::start()?;
    assert_ne!(server.rest().send("GET", "/metrics", None)?.status(), 200);
    Ok(())
}

#[test]
fn an_idle_server_ends_cleanly_at_the_first_signal() -> anyhow::Result<()> {
    let mut server = Server::start()?;
    server.process().signal("TERM")?;
    let status = server.process().finish(LIMIT)?;
    assert_eq!(status.code(), Some(0), "{}", server.log());
    Ok(())
}

/// The first signal lets the call go on, the limit ends it with BYE and a reason on record.
#[test]
fn a_call_that_outlasts_the_drain_gets_bye() -> anyhow::Result<()> {
    let limited = Options::default().variable("PATCHCORD_SERVER__DRAIN_S", "2");
    let mut server = limited.start()?;
    let app = App::start()?;
    app.on("/v", Reply::document("<Gather timeout=\"60\"/>"));
    server
        .rest()
        .public_number("1000", &app.url("/v"), &app.url("/s"))?;
    let kim = Setup::new("kim").start(&server, Pitch::of(500.0))?;
    kim.dial("1000")?;
    kim.wait_for("CALL_ESTABLISHED")?;
    let told = Instant::now();
    server.process().signal("TERM")?;
    kim.wait_for("CALL_CLOSED")?;
    ensure!(
        told.elapsed() >= Duration::from_secs(2),
        "{:?}",
        told.elapsed()
    );
    let status = server.process().finish(LIMIT)?;
    assert_eq!(status.code(), Some(0), "{}", server.log());
    assert!(server.log().contains("get BYE"), "{}", server.log());
    Ok(())
}

/// Callbacks that wait for a dead host are left for the next start, which the log says; nothing else is wrong.
#[test]
fn a_clean_stop_warns_only_of_what_is_left() -> anyhow::Result<()> {
    for _ in 0..3 {
        // The log of a higher level is longer than what is kept of it.
        let quiet = Options::default().variable("PATCHCORD_LOG__LEVEL", "warn");
        let mut server = quiet.start()?;
        let app = App::start()?;
        app.on("/v", Reply::document("<Reject/>"));
        let dead = format!("http://127.0.0.1:{}/s", ports::free()?);
        let rest = server.rest();
        rest.public_number("1000", &app.url("/v"), &dead)?;
        let kim = Setup::new("kim").start(&server, Pitch::of(500.0))?;
        kim.dial("1000")?;
        rest.finished_calls(1, LIMIT)?;
        let before = server.log().lines().count();
        server.process().signal("INT")?;
        let status = server.process().finish(LIMIT)?;
        let log = server.log();
        assert_eq!(status.code(), Some(0), "{log}");
        let warnings = log
            .lines()
            .skip(before)
            .filter(|line| line.contains("WARN"));
        let (left, others): (Vec<&str>, Vec<&str>) =
            warnings.partition(|line| line.contains("callbacks are left for the next start"));
        ensure!(left.len() == 1 && others.is_empty(), "{others:?} {left:?}");
    }
    Ok(())
}

/// What goes wrong with an application is in the log, with the number of the error and the host.
#[test]
fn an_application_that_fails_leaves_a_warning() -> anyhow::Result<()> {
    let server = Server::start()?;
    let dead = format!("http://127.0.0.1:{}", ports::free()?);
    let rest = server.rest();
    rest.public_number("1000", &format!("{dead}/v?key=secret-part"), &dead)?;
    let kim = Setup::new("kim").start(&server, Pitch::of(500.0))?;
    kim.dial("1000")?;
    rest.finished_calls(1, Duration::from_secs(8))?;
    let log = server.log();
    let line = log
        .lines()
        .find(|line| line.contains("WARN") && line.contains("11205"));
    let line = line.with_context(|| log.clone())?;
    ensure!(line.contains(&dead), "{line}");
    ensure!(!line.contains("secret-part"), "{line}");
    Ok(())
}

#[test]
fn a_bad_key_is_refused_with_64_and_its_name() -> anyhow::Result<()> {
    let (status, text) = Options::default()
        .config("[fetch]\ntimout_ms = 1\n")
        .refused()?;
    assert_eq!(status.code(), Some(64), "{text}");
    assert!(
        text.contains("`fetch.timout_ms`") && text.contains("`timeout_ms`"),
        "{text}"
    );
    let (status, text) = Options::default()
        .variable("PATCHCORD_SIP__SHA256", "perhaps")
        .refused()?;
    assert_eq!(status.code(), Some(64), "{text}");
    assert!(text.contains("`PATCHCORD_SIP__SHA256`"), "{text}");
    Ok(())
}

#[test]
fn an_address_in_use_is_refused_with_70() -> anyhow::Result<()> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let (status, text) = Options::default().flag("--http", &address).refused()?;
    assert_eq!(status.code(), Some(70), "{text}");
    assert!(text.contains(&address), "{text}");
    assert!(text.contains("`--http`"), "{text}");
    Ok(())
}
