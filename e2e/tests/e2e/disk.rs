//! A disk that rejects writes: a call that cannot be recorded is not reported, and no record stays
//! open.

use std::time::Duration;

use e2e::load::ua::Ua;
use e2e::server::Options;
use e2e::{App, Pitch, Reply, wait};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_full_disk_refuses_new_calls_and_leaves_no_record_open() -> anyhow::Result<()> {
    let app = App::start()?;
    app.on("/v", Reply::document("<Play>/tone.wav</Play>"));
    app.on("/tone.wav", Reply::wav(Pitch::of(440.0).wav(30)));
    app.on("/number", Reply::status(200));
    let mut ua = Ua::bind()?;
    let trunk = ua.local();
    let config = format!("[[trunk]]\nname = 'load'\nuri = '{trunk}'\naddresses = ['127.0.0.1']\n");
    let server = Options::default()
        .config(&config)
        .survives_file_limit()
        .start()?;
    ua.connect(server.sip_udp()?);
    let further = [("StatusCallback", &*app.url("/number"))];
    server
        .rest()
        .number_with("1000", &app.url("/v"), &further)?;
    ua.call("1000")?;
    wait::until("the first call", SOON, || {
        ua.pump(Duration::from_millis(5)).ok()?;
        (ua.open_dialogs() == 1).then_some(())
    })?;
    app.wait_for("/number", 2, SOON)?;

    server.limit_files("1")?;
    ua.call("1000")?;
    wait::until("the refusal of the second call", SOON, || {
        ua.pump(Duration::from_millis(5)).ok()?;
        (ua.tally().failures() == 1).then_some(())
    })?;
    assert_eq!(ua.tally().failed.get("503"), Some(&1), "{:?}", ua.tally());
    // The call has ended all the same, but no record shows it yet.
    let rest = server.rest();
    let calls = rest.calls()?;
    let sid = calls[0]["sid"].as_str().unwrap_or_default();
    let path = rest.path(&format!("Calls/{sid}"));
    let answer = rest.send("POST", &path, Some("Status=completed"))?;
    assert_eq!(answer.status(), 503, "{}", answer.text());
    wait::until("the end of the first call", SOON, || {
        ua.pump(Duration::from_millis(5)).ok()?;
        (ua.tally().ended == 1).then_some(())
    })?;
    let waiting = || server.metric("patchcord_records_waiting").ok();
    wait::until("facts that wait", SOON, || {
        waiting().filter(|count| *count >= 1.0)
    })?;
    assert_eq!(
        app.requests("/number").len(),
        2,
        "nobody is told before it is on record"
    );

    server.limit_files("unlimited")?;
    let calls = server.rest().finished_calls(1, SOON)?;
    assert_eq!(calls[0]["status"], "completed");
    let told = app.wait_for("/number", 3, SOON)?;
    assert_eq!(told[2].param("CallStatus"), Some("completed"));
    assert_eq!(app.requests("/v").len(), 1, "the second call asked nobody");
    wait::until("nothing that waits", SOON, || {
        waiting().filter(|count| *count == 0.0)
    })?;
    Ok(())
}
