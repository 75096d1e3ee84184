//! Voicemail boxes: what callers say reaches the owner by e-mail, callback, API and phone.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::server::Options;
use e2e::tone::Heard;
use e2e::{MailServer, Reply, ports, wait};
use serde_json::Value;

use super::{SOON, Scene, talk};

const TO: (&str, &str) = ("EmailTo", "ann@example.org");
const FROM: (&str, &str) = ("EmailFrom", "box@example.org");

/// A box with a short greeting, which calls to `1000` reach.
fn mailbox(scene: &Scene, more: &[(&str, &str)]) -> anyhow::Result<Value> {
    let mut form = vec![("FriendlyName", "Ann"), ("Greeting", "Hello.")];
    form.extend_from_slice(more);
    let rest = scene.server.rest();
    let made = rest.post("VoicemailBoxes", &form)?;
    let address = made["voice_url"].as_str().context("an address")?;
    let numbers = rest.all("IncomingPhoneNumbers", "incomingPhoneNumbers")?;
    let number = numbers[0]["sid"].as_str().context("a number")?;
    rest.post(
        &format!("IncomingPhoneNumbers/{number}"),
        &[("VoiceUrl", address), ("VoiceMethod", "POST")],
    )?;
    Ok(made)
}

fn messages(scene: &Scene, mailbox: &Value) -> anyhow::Result<Vec<Value>> {
    let sid = mailbox["sid"].as_str().context("a box")?;
    let list = format!("VoicemailBoxes/{sid}/Messages");
    scene.server.rest().all(&list, "voicemail_messages")
}

fn wait_for_message(scene: &Scene, mailbox: &Value) -> anyhow::Result<Value> {
    wait::until("a message in the box", Duration::from_secs(10), || {
        messages(scene, mailbox).ok()?.into_iter().next()
    })
}

/// Kim calls, talks, and hangs up without a key.
fn leaves_a_message(scene: &Scene) -> anyhow::Result<()> {
    scene.kim.dial("1000")?;
    scene.kim.wait_for("CALL_ESTABLISHED")?;
    talk(5.0);
    scene.kim.hangup()
}

fn check_sound(scene: &Scene, heard: &Heard) -> anyhow::Result<()> {
    let own = heard.span_of(scene.kims);
    ensure!(
        own.seconds() >= 1.0 && own.share(scene.kims) >= 0.95,
        "{:.2} s of the caller's tone in {:.2} s",
        own.seconds(),
        heard.seconds()
    );
    Ok(())
}

#[test]
fn a_message_reaches_the_mail_server_the_application_and_the_api() -> anyhow::Result<()> {
    let mail = MailServer::with_starttls("pbx", "open sesame")?;
    let server = Options::default().config(&mail.config()).start()?;
    let scene = Scene::on(server, |kim| kim)?;
    let callback = scene.app.url("/new");
    let mailbox = mailbox(
        &scene,
        &[
            TO,
            FROM,
            ("TimeZone", "Europe/Berlin"),
            ("CallbackUrl", &callback),
        ],
    )?;
    leaves_a_message(&scene)?;
    let hung_up = Instant::now();
    let mails = mail.wait_for(1, Duration::from_secs(10))?;
    ensure!(hung_up.elapsed() < Duration::from_secs(10));
    ensure!(mails[0].recipients() == ["ann@example.org"]);
    ensure!(
        mails[0].header("Subject") == Some("Voicemail from kim"),
        "{:?}",
        mails[0]
    );
    let text = mails[0].text()?;
    ensure!(
        text.contains("(Europe/Berlin)") && text.contains("/Recordings/RE"),
        "{text}"
    );
    let parts = mails[0].parts()?;
    let [_, sound] = &parts[..] else {
        anyhow::bail!("{parts:?}");
    };
    check_sound(&scene, &Heard::from_wav(&sound.content)?)?;
    let told = scene.app.wait_for("/new", 1, SOON)?;
    ensure!(told[0].param("Event") == Some("new-message"));
    ensure!(told[0].param("From") == Some("kim") && told[0].param("To") == Some("1000"));
    let one = wait_for_message(&scene, &mailbox)?;
    ensure!(one["status"] == "new", "{one}");
    ensure!(told[0].param("VoicemailSid") == one["sid"].as_str());
    // The link in the answer plays the same sound without credentials.
    let link = one["recording_url"].as_str().context("a link")?;
    let path = link.splitn(4, '/').nth(3).context("a path")?;
    let file = scene.server.rest().send("GET", &format!("/{path}"), None)?;
    ensure!(file.body == sound.content, "{}", file.start);
    Ok(())
}

#[test]
fn a_killed_server_and_an_absent_mail_server_lose_no_message() -> anyhow::Result<()> {
    let mut mail = MailServer::start()?;
    let address = || Ok::<_, anyhow::Error>(format!("127.0.0.1:{}", ports::lasting()?));
    let options = Options::default()
        .config(&mail.config())
        .flag("--http", &address()?)
        .flag("--sip", &address()?);
    let mut scene = Scene::on(options.start()?, |kim| kim)?;
    let mailbox = mailbox(&scene, &[TO, FROM, ("Review", "true")])?;
    mail.stop();
    scene.kim.dial("1000")?;
    scene.kim.wait_for("CALL_ESTABLISHED")?;
    talk(5.0);
    // In the middle of the message.
    scene.server.kill()?;
    scene.server.start_again()?;
    let one = wait_for_message(&scene, &mailbox)?;
    ensure!(one["status"] == "new", "{one}");
    mail.start_again()?;
    let mails = mail.wait_for(1, Duration::from_secs(30))?;
    let parts = mails[0].parts()?;
    let sound = parts.last().context("an attachment")?;
    check_sound(&scene, &Heard::from_wav(&sound.content)?)?;
    ensure!(messages(&scene, &mailbox)?.len() == 1);
    ensure!(mail.mails()?.len() == 1);
    Ok(())
}

#[test]
fn the_owner_hears_the_message_by_phone() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let mailbox = mailbox(&scene, &[("Pin", "4711"), ("MinLength", "1")])?;
    leaves_a_message(&scene)?;
    wait_for_message(&scene, &mailbox)?;
    let access = mailbox["access_url"].as_str().context("an address")?;
    let rest = scene.server.rest();
    rest.number("1001", access)?;
    let ann = scene.ann(|ann| ann)?;
    ann.dial("1001")?;
    ann.wait_for("CALL_ESTABLISHED")?;
    talk(0.5);
    for key in "4711#".chars() {
        ann.press(key)?;
        talk(0.1);
    }
    // The menu, which a key interrupts.
    talk(2.0);
    ann.press('1')?;
    let heard = || {
        messages(&scene, &mailbox)
            .ok()?
            .into_iter()
            .find(|m| m["status"] == "heard")
    };
    let limit = Duration::from_secs(40);
    wait::until("the message is heard to its end", limit, heard)?;
    ann.hangup()?;
    ann.wait_for("CALL_CLOSED")?;
    check_sound(&scene, &ann.heard()?)?;
    Ok(())
}

#[test]
fn a_phone_that_does_not_answer_leads_to_the_box_with_its_own_greeting() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let mailbox = mailbox(&scene, &[])?;
    let address = mailbox["voice_url"].as_str().context("an address")?;
    let sound = scene.app.url("/busy.wav");
    scene.app.on("/busy.wav", Reply::wav(scene.music.wav(2)));
    let sid = mailbox["sid"].as_str().context("a box")?;
    let rest = scene.server.rest();
    rest.post(
        &format!("VoicemailBoxes/{sid}"),
        // The general one cannot be fetched, which nobody notices but the owner of the box.
        &[
            ("GreetingNoAnswer", &sound),
            ("Greeting", "http://127.0.0.1:1/gone.wav"),
        ],
    )?;
    // Ann has no phone, so she does not answer.
    let address = address.replace('&', "&amp;");
    let dial = format!("<Dial action=\"{address}\"><Client>ann</Client></Dial>");
    scene.app.on("/v", Reply::document(&dial));
    rest.number("1002", &scene.app.url("/v"))?;
    scene.kim.dial("1002")?;
    scene.kim.wait_for("CALL_ESTABLISHED")?;
    talk(7.0);
    scene.kim.hangup()?;
    let one = wait_for_message(&scene, &mailbox)?;
    ensure!(one["reason"] == "no-answer" && one["to"] == "1002", "{one}");
    let heard = scene.kim.heard()?;
    let greeting = heard.span_of(scene.music);
    scene.kim.dial("1000")?;
    scene.kim.wait_for_nth("CALL_ESTABLISHED", 2)?;
    talk(8.0);
    scene.kim.hangup()?;
    wait::until("a second message", Duration::from_secs(10), || {
        (messages(&scene, &mailbox).ok()?.len() == 2).then_some(())
    })?;
    let reported = rest.all("Notifications", "notifications")?;
    ensure!(
        reported
            .iter()
            .any(|one| one.to_string().contains("13233") || one.to_string().contains("gone.wav")),
        "{reported:?}"
    );
    ensure!(
        greeting.seconds() > 1.5,
        "{:.2} s of the greeting",
        greeting.seconds()
    );
    Ok(())
}

/// The box of a customer works although this server's own address is one that customers may not reach.
#[test]
fn a_customer_has_a_box_too() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let form = "FriendlyName=shop&EmailAddress=shop%40example.org&Password=Shop-Secret-1";
    let rest = scene.server.rest();
    let made = rest.send("POST", "/restcomm/2012-04-24/Accounts.json", Some(form))?;
    let customer: Value = serde_json::from_slice(&made.body).context("an account")?;
    let (sid, token) = (
        customer["sid"].as_str().context("an account")?,
        customer["auth_token"].as_str().context("a token")?,
    );
    let own = scene.server.rest_as(sid, token);
    let mailbox = own.post(
        "VoicemailBoxes",
        &[("FriendlyName", "Shop"), ("Greeting", "Hello.")],
    )?;
    let address = mailbox["voice_url"].as_str().context("an address")?;
    own.number("2000", address)?;
    scene.kim.dial("2000")?;
    scene.kim.wait_for("CALL_ESTABLISHED")?;
    talk(5.0);
    scene.kim.hangup()?;
    let list = format!(
        "VoicemailBoxes/{}/Messages",
        mailbox["sid"].as_str().unwrap_or_default()
    );
    wait::until(
        "a message in the customer's box",
        Duration::from_secs(10),
        || {
            let found = own.all(&list, "voicemail_messages").ok()?;
            (found.len() == 1).then_some(())
        },
    )
}
