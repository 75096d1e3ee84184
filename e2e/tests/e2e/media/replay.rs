//! A real call, replayed from its journal.

use std::process::Output;

use e2e::phone::Setup;
use e2e::{Reply, server, wait};

use super::{SOON, Scene, talk};

/// Runs the program against the data of the scene's server.
pub(super) fn patchcord(scene: &Scene, args: &[&str]) -> anyhow::Result<Output> {
    let mut command = server::program();
    command.args(args).arg("--data").arg(scene.server.data());
    Ok(command.output()?)
}

#[test]
fn a_real_call_replays_identically() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let verbs = "<say/><Play>/prompt.wav</Play>\
                 <Dial record=\"true\" action=\"/after\"><Client>ann</Client></Dial>";
    scene.app.on("/v", Reply::document(verbs));
    scene.app.on("/prompt.wav", Reply::wav(scene.music.wav(1)));
    scene.app.on("/after", Reply::document("<Hangup/>"));
    let ann = scene.ann(Setup::answers)?;
    scene.kim.dial("1000")?;
    ann.wait_for("CALL_ESTABLISHED")?;
    talk(0.5);
    ann.hangup()?;
    scene.kim.wait_for("CALL_CLOSED")?;
    let calls = scene.server.rest().finished_calls(2, SOON)?;
    let child = calls.iter().find(|call| call["direction"] != "inbound");
    let sid = child
        .and_then(|call| call["sid"].as_str())
        .unwrap_or("none");

    // The journal is stored shortly after the records.
    let replayed = wait::until("a journal", SOON, || {
        let output = patchcord(&scene, &["replay", sid]).ok()?;
        (output.status.code() != Some(64)).then_some(output)
    })?;
    let said = String::from_utf8(replayed.stdout)?;
    assert_eq!(replayed.status.code(), Some(0), "{said}");
    let steps: usize = said.split(' ').next().unwrap_or_default().parse()?;
    assert!(
        said.ends_with(" steps, identical\n") && steps > 15,
        "{said}"
    );

    let export = String::from_utf8(patchcord(&scene, &["calls", "show", sid, "--json"])?.stdout)?;
    assert!(export.contains("did you mean `Say`?"), "{export}");
    let file = scene.server.data().join("call.json");
    let path = file.display().to_string();
    std::fs::write(
        &file,
        export.replace("Client(\\\"ann\\\")", "Client(\\\"eve\\\")"),
    )?;
    let tampered = patchcord(&scene, &["replay", &path])?;
    let said = String::from_utf8(tampered.stdout)?;
    assert_eq!(tampered.status.code(), Some(1), "{said}");
    assert!(
        said.contains("Client(\"eve\")") && said.contains("Client(\"ann\")"),
        "{said}"
    );
    Ok(())
}
