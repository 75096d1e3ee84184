//! `examples/voicemail`: what a caller says arrives by e-mail.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::server::Options;
use e2e::tone::Heard;
use e2e::{MailServer, Reply};

use super::{SOON, Scene, talk};

/// A scene whose calls to `1000` run the document of the example.
fn scene(mail: &MailServer) -> anyhow::Result<Scene> {
    let server = Options::default().config(&mail.config()).start()?;
    let scene = Scene::on(server, |kim| kim)?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/voicemail/voicemail.xml");
    let document = std::fs::read_to_string(&path).context("the document of the example")?;
    // A shorter greeting: the test would only listen to it.
    let greeting = document.find("Ann cannot").zip(document.find("</Say>"));
    let (start, end) = greeting.context("a greeting")?;
    let document = document.replace(&document[start..end], "Hello.");
    let verbs = document
        .replace("<Response>", "")
        .replace("</Response>", "");
    scene.app.on("/v", Reply::document(&verbs));
    Ok(scene)
}

#[test]
fn a_message_arrives_by_email_with_the_voice_of_the_caller() -> anyhow::Result<()> {
    let mail = MailServer::with_starttls("pbx", "open sesame")?;
    let scene = scene(&mail)?;
    scene.kim.dial("1000")?;
    scene.kim.wait_for("CALL_ESTABLISHED")?;
    talk(4.0);
    // She hangs up without a key.
    scene.kim.hangup()?;
    let hung_up = Instant::now();
    let mails = mail.wait_for(1, Duration::from_secs(10))?;
    ensure!(hung_up.elapsed() < Duration::from_secs(10));
    ensure!(mails[0].protection() == (true, true), "{:?}", mails[0]);
    ensure!(mails[0].recipients() == ["ann@example.org"]);
    ensure!(
        mails[0].header("Subject") == Some("Voicemail from kim"),
        "{:?}",
        mails[0]
    );
    let text = mails[0].text()?;
    ensure!(
        text.contains("kim has left a message of") && text.contains("/Recordings/RE"),
        "{text}"
    );
    let parts = mails[0].parts()?;
    let [_, sound] = &parts[..] else {
        anyhow::bail!("{parts:?}");
    };
    ensure!(sound.kind == "audio/wav", "{}", sound.kind);
    let heard = Heard::from_wav(&sound.content)?;
    let own = heard.span_of(scene.kims);
    ensure!(
        own.seconds() >= 1.0 && own.share(scene.kims) >= 0.95,
        "{:.2} s of the caller's tone in {:.2} s",
        own.seconds(),
        heard.seconds()
    );
    // It is the file of the recording, byte by byte.
    let name = sound.name.clone().unwrap_or_default();
    let rest = scene.server.rest();
    let path = rest
        .path("Recordings")
        .replace(".json", &format!("/{name}"));
    let file = rest.send("GET", &path, None)?;
    ensure!(file.body == sound.content, "{path}: {}", file.start);
    Ok(())
}

#[test]
fn an_empty_message_sends_no_email_and_a_broken_mail_server_harms_no_call() -> anyhow::Result<()> {
    let mut mail = MailServer::start()?;
    let server = Options::default().config(&mail.config()).start()?;
    // Her phone is silent from the first second on.
    let scene = Scene::on(server, |kim| kim.plays_ms(100))?;
    mail.stop();
    scene.app.on(
        "/v",
        Reply::document(
            "<Gather timeout=\"1\" action=\"/none\"/>\
             <Record finishOnKey=\"#\" playBeep=\"false\" trim=\"trim-silence\" timeout=\"1\"/>\
             <Email from=\"a@b.example\" to=\"ann@example.org\" attach=\"recording\" subject=\"first\"/>\
             <Email from=\"a@b.example\" to=\"ann@example.org\" subject=\"second\">Nothing attached.</Email>\
             <Redirect>/last</Redirect>",
        ),
    );
    scene.app.on("/last", Reply::document("<Hangup/>"));
    scene.kim.dial("1000")?;
    scene.kim.wait_for("CALL_ESTABLISHED")?;
    scene.app.wait_for("/last", 1, SOON)?;
    scene.kim.wait_for("CALL_CLOSED")?;
    let calls = scene.server.rest().finished_calls(1, SOON)?;
    ensure!(calls[0]["status"] == "completed", "{calls:?}");
    mail.start_again()?;
    mail.wait_for(1, Duration::from_secs(15))?;
    let listed = scene.server.rest().all("Email/Messages", "messages")?;
    let subjects: Vec<_> = listed.iter().map(|mail| &mail["subject"]).collect();
    ensure!(subjects == ["second"], "{subjects:?}");
    Ok(())
}
