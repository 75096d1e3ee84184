//! Machine detection on the wire: what a phone plays after its answer decides.

use anyhow::Context as _;
use e2e::{Pitch, Reply, Server};

use super::{SOON, Scene};

/// The API calls ann, who plays this much of her tone, which is not that of a fax machine.
fn called(plays_ms: u32, more: &[(&str, &str)]) -> anyhow::Result<Scene> {
    let pitches = [600.0, 700.0, 800.0].map(Pitch::of).to_vec();
    let scene = Scene::sounding(Server::start()?, |kim| kim, pitches)?;
    scene
        .app
        .on("/answered", Reply::document("<Pause length=\"4\"/>"));
    scene.app.on("/result", Reply::status(200));
    let _ann = scene.ann(|ann| ann.answers().plays_ms(plays_ms))?;
    let (url, result) = (scene.app.url("/answered"), scene.app.url("/result"));
    let mut form = vec![
        ("From", "kim"),
        ("To", "client:ann"),
        ("Url", &*url),
        ("MachineDetection", "Enable"),
        ("AsyncAmdStatusCallback", &*result),
    ];
    form.extend(more);
    scene.server.rest().post("Calls", &form)?;
    scene.app.wait_for("/answered", 1, SOON)?;
    scene.server.rest().finished_calls(1, SOON)?;
    Ok(scene)
}

/// The request at this path, and the record, name this result after about this time.
fn check(scene: &Scene, path: &str, by: &str, about_ms: u32) -> anyhow::Result<()> {
    let asked = scene.app.wait_for(path, 1, SOON)?;
    assert_eq!(asked[0].param("AnsweredBy"), Some(by));
    let took = asked[0].param("MachineDetectionDuration");
    let took: u32 = took.context("no duration")?.parse()?;
    assert!((about_ms..about_ms + 1000).contains(&took), "{took} ms");
    assert!(asked[0].header("X-Patchcord-Signature").is_some());
    let calls = scene.server.rest().finished_calls(1, SOON)?;
    assert_eq!(calls[0]["answered_by"], by);
    Ok(())
}

#[test]
fn the_document_learns_that_a_machine_speaks() -> anyhow::Result<()> {
    let scene = called(10_000, &[])?;
    check(&scene, "/answered", "machine_start", 2400)?;
    assert_eq!(scene.app.requests("/result").len(), 0);
    Ok(())
}

#[test]
fn a_callback_reports_a_person() -> anyhow::Result<()> {
    let scene = called(600, &[("AsyncAmd", "true")])?;
    assert_eq!(scene.app.requests("/answered")[0].param("AnsweredBy"), None);
    check(&scene, "/result", "human", 1700)
}
