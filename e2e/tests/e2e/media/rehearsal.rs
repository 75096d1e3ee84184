//! A real call becomes a script of `patchcord test`, which passes as long as the application stays
//! the same.

use std::process::Output;
use std::time::Duration;

use e2e::phone::Setup;
use e2e::{Reply, server, wait};

use super::{SOON, Scene, talk};

fn patchcord(words: &[&str]) -> anyhow::Result<Output> {
    Ok(server::program().arg("test").args(words).output()?)
}

#[test]
fn a_recorded_call_becomes_a_script_that_passes() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let dial = "<Say>One moment</Say><Dial action=\"/after\"><Client>ann</Client></Dial>";
    scene.app.on("/v", Reply::document(dial));
    scene
        .app
        .on("/after", Reply::document("<Say>Thank you</Say>"));
    let ann = scene.ann(Setup::answers)?;
    scene.kim.dial("1000")?;
    ann.wait_for("CALL_ESTABLISHED")?;
    talk(1.0);
    ann.hangup()?;
    let calls = scene.server.rest().finished_calls(2, SOON)?;

    let sid = calls[0]["sid"].as_str().unwrap_or_default();
    let data = scene.server.data();
    let from = ["--from", sid, "--data", &data.display().to_string()].map(str::to_owned);
    let from: Vec<&str> = from.iter().map(String::as_str).collect();
    // The trace is stored a moment after the record.
    let script = wait::until("script", Duration::from_secs(5), || {
        let made = patchcord(&from).ok()?;
        made.status.success().then_some(made.stdout)
    })?;
    let file = data.join("recorded.test.yaml");
    std::fs::write(&file, &script)?;
    let file = file.display().to_string();
    let script = String::from_utf8_lossy(&script);

    let same = patchcord(&[&file])?;
    let said = String::from_utf8_lossy(&same.stdout);
    assert_eq!(same.status.code(), Some(0), "{said}\n{script}");
    assert!(script.contains("verbs: [Say, Dial, Say]"), "{script}");
    assert_eq!(patchcord(&[&file])?.stdout, same.stdout);

    scene.app.on("/after", Reply::document("<Hangup/>"));
    let other = patchcord(&[&file])?;
    let said = String::from_utf8_lossy(&other.stdout);
    assert_eq!(other.status.code(), Some(1), "{said}");
    assert!(said.contains("expected say `Thank you`"), "{said}");
    Ok(())
}
