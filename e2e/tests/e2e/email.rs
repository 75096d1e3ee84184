//! E-mail: what a real mail server receives, and that nothing is lost.

use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::mail::Mail;
use e2e::server::Options;
use e2e::{MailServer, Server, wait};
use rand::Rng as _;
use serde_json::Value;

const SOON: Duration = Duration::from_secs(10);

fn server(mail: &MailServer) -> anyhow::Result<Server> {
    Options::default().config(&mail.config()).start()
}

fn send(server: &Server, form: &str) -> anyhow::Result<Value> {
    let rest = server.rest();
    let answer = rest.send("POST", &rest.path("Email/Messages"), Some(form))?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    ensure!(answer.status() == 200, "{} {text}", answer.start);
    Ok(serde_json::from_str(&text)?)
}

/// What the API shows of a mail.
fn shown(server: &Server, sid: &Value) -> anyhow::Result<Value> {
    let rest = server.rest();
    let path = format!("Email/Messages/{}", sid.as_str().unwrap_or_default());
    let answer = rest.send("GET", &rest.path(&path), None)?;
    Ok(serde_json::from_slice(&answer.body)?)
}

fn wait_status(server: &Server, sid: &Value, status: &str) -> anyhow::Result<Value> {
    wait::until(status, SOON, || {
        shown(server, sid)
            .ok()
            .filter(|mail| mail["status"] == status)
    })
}

const HELLO: &str = "From=Box%20%3Cbox@a.example%3E&To=ann@b.example&CC=kim@c.example,joe@c.example\
    &BCC=secret@d.example&Subject=Gr%C3%B6%C3%9Fe&Body=line%20one%0A.%0Aline%20three%20%F0%9F%99%82";

fn check_hello(mail: &Mail) -> anyhow::Result<()> {
    let to = [
        "ann@b.example",
        "kim@c.example",
        "joe@c.example",
        "secret@d.example",
    ];
    ensure!(
        mail.sender() == "box@a.example" && mail.recipients() == to,
        "{mail:?}"
    );
    ensure!(
        mail.header("From") == Some("Box <box@a.example>"),
        "{mail:?}"
    );
    ensure!(mail.header("Subject") == Some("Größe"), "{mail:?}");
    ensure!(mail.header("Bcc").is_none(), "{mail:?}");
    ensure!(
        mail.text()?.trim_end() == "line one\n.\nline three 🙂",
        "{mail:?}"
    );
    Ok(())
}

#[test]
fn a_mail_arrives_over_starttls_with_credentials() -> anyhow::Result<()> {
    let mail = MailServer::with_starttls("kim", "open sesame")?;
    let server = server(&mail)?;
    let sent = send(&server, HELLO)?;
    ensure!(sent["status"] == "queued", "{sent}");
    let mails = mail.wait_for(1, SOON)?;
    ensure!(mails[0].protection() == (true, true), "{mails:?}");
    check_hello(&mails[0])?;
    let sid = sent["sid"].as_str().unwrap_or_default();
    let id = mails[0].header("Message-ID").unwrap_or_default();
    ensure!(id == format!("<{sid}@e2e.test>"), "{id}");
    wait_status(&server, &sent["sid"], "sent").map(drop)
}

#[test]
fn a_mail_arrives_over_tls_with_credentials() -> anyhow::Result<()> {
    let mail = MailServer::with_tls("kim", "open sesame")?;
    let server = server(&mail)?;
    let sent = send(&server, HELLO)?;
    let mails = mail.wait_for(1, SOON)?;
    ensure!(mails[0].protection() == (true, true), "{mails:?}");
    check_hello(&mails[0])?;
    wait_status(&server, &sent["sid"], "sent").map(drop)
}

#[test]
fn a_server_with_another_certificate_gets_no_mail() -> anyhow::Result<()> {
    let mail = MailServer::with_starttls("kim", "open sesame")?;
    let config = mail.config();
    let config: Vec<&str> = config
        .lines()
        .filter(|line| !line.starts_with("ca "))
        .collect();
    let server = Options::default().config(&config.join("\n")).start()?;
    let sent = send(&server, HELLO)?;
    let waiting = wait::until("the reason", SOON, || {
        let mail = shown(&server, &sent["sid"]).ok()?;
        mail["error_message"].is_string().then_some(mail)
    })?;
    let reason = waiting["error_message"].as_str().unwrap_or_default();
    ensure!(
        waiting["status"] == "queued" && reason.contains("certificate"),
        "{waiting}"
    );
    ensure!(mail.mails()?.is_empty(), "it was sent");
    Ok(())
}

#[test]
fn a_refused_mail_fails_with_a_notification_and_a_deferred_one_is_sent_later() -> anyhow::Result<()>
{
    let mail = MailServer::start()?;
    let server = server(&mail)?;
    let form = |to: &str| format!("From=box@a.example&To={to}&Subject=s&Body=b&Type=text/html");
    let refused = send(&server, &form("unknown@b.example"))?;
    let later = send(&server, &form("later@b.example"))?;
    let failed = wait_status(&server, &refused["sid"], "failed")?;
    let reason = failed["error_message"].as_str().unwrap_or_default();
    ensure!(
        failed["error_code"] == 14_211 && reason.contains("no such mailbox"),
        "{failed}"
    );
    let rest = server.rest();
    let answer = rest.send("GET", &rest.path("Notifications?ErrorCode=14211"), None)?;
    let list: Value = serde_json::from_slice(&answer.body)?;
    ensure!(list["total"] == 1, "{list}");
    let mails = mail.wait_for(1, SOON)?;
    ensure!(mails[0].recipients() == ["later@b.example"], "{mails:?}");
    ensure!(mails[0].parts()?[0].kind == "text/html", "{mails:?}");
    let sent = wait_status(&server, &later["sid"], "sent")?;
    ensure!(
        sent["error_message"].is_null() && sent["error_code"].is_null(),
        "{sent}"
    );
    Ok(())
}

/// The text of the mail has the code, and nothing else has it afterwards.
#[test]
fn a_code_arrives_by_mail_and_is_on_no_record() -> anyhow::Result<()> {
    let mail = MailServer::start()?;
    let server = server(&mail)?;
    let rest = server.rest();
    let json = |path: &str, form: &str| -> anyhow::Result<(u16, Value)> {
        let answer = rest.send("POST", path, Some(form))?;
        Ok((answer.status(), serde_json::from_slice(&answer.body)?))
    };
    let form = "FriendlyName=Shop&EmailFrom=Shop+%3Cshop%40a.example%3E";
    let (_, service) = json("/v2/Services", form)?;
    let service = format!(
        "/v2/Services/{}",
        service["sid"].as_str().unwrap_or_default()
    );
    let to = "To=kim%40b.example";
    let send = format!("Channel=email&Locale=de&{to}");
    let (status, sent) = json(&format!("{service}/Verifications"), &send)?;
    ensure!(
        (status, &sent["status"]) == (201, &"pending".into()),
        "{sent}"
    );
    let mails = mail.wait_for(1, SOON)?;
    let text = mails[0].text()?;
    let code: String = text.chars().filter(char::is_ascii_digit).collect();
    ensure!(
        mails[0].header("Subject") == Some("Ihr Code für Shop"),
        "{mails:?}"
    );
    ensure!(
        mails[0].header("From") == Some("Shop <shop@a.example>"),
        "{mails:?}"
    );
    ensure!(
        text.trim_end() == format!("Ihr Code für Shop lautet {code}."),
        "{text}"
    );
    wait::until("the record", SOON, || {
        let list = rest.get("Email/Messages").ok()?;
        let body = list["messages"][0]["body"].as_str()?.to_owned();
        assert!(!body.contains(&code), "{body}");
        (list["messages"][0]["status"] == "sent").then_some(())
    })?;
    let check = format!("{service}/VerificationCheck");
    let (_, checked) = json(&check, &format!("Code={code}&{to}"))?;
    ensure!(checked["status"] == "approved", "{checked}");
    Ok(())
}

/// Without a mail server, the API says so; with `--dev` alone, the mail can be read on a page.
#[test]
fn without_a_mail_server_nothing_is_accepted_except_for_a_developer() -> anyhow::Result<()> {
    let server = Server::start()?;
    let rest = server.rest();
    let answer = rest.send("POST", &rest.path("Email/Messages"), Some(HELLO))?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    ensure!(answer.status() == 501 && text.contains("14210"), "{text}");
    let answer = rest.send("GET", "/dev/mail", None)?;
    ensure!(answer.status() == 404, "{}", answer.start);
    let server = Options::default()
        .variable("PATCHCORD_SERVER__DEV", "true")
        .start()?;
    let sent = send(&server, HELLO)?;
    wait_status(&server, &sent["sid"], "sent")?;
    let rest = server.rest();
    let list = rest.send("GET", "/dev/mail.json", None)?;
    let list: Value = serde_json::from_slice(&list.body)?;
    ensure!(
        list[0]["subject"] == "Größe" && list[0]["bcc"][0] == "secret@d.example",
        "{list}"
    );
    let sid = sent["sid"].as_str().unwrap_or_default();
    for (path, expected) in [
        ("/dev/mail".to_owned(), "<a href=\"/dev/mail/EM"),
        (format!("/dev/mail/{sid}"), "Box &lt;box@a.example&gt;"),
        (format!("/dev/mail/{sid}/body"), "line three"),
        (format!("/dev/mail/{sid}/message.eml"), "Message-ID: <EM"),
    ] {
        let page = rest.send("GET", &path, None)?;
        let text = String::from_utf8_lossy(&page.body);
        ensure!(
            page.status() == 200 && text.contains(expected),
            "{path} {text}"
        );
    }
    Ok(())
}

#[test]
fn what_is_no_recording_is_not_attached() -> anyhow::Result<()> {
    let mail = MailServer::start()?;
    let server = server(&mail)?;
    let rest = server.rest();
    let form = "From=box@a.example&To=ann@b.example&Subject=s&Body=b&Attach=RE0123456789abcdef0123456789abcdef";
    let answer = rest.send("POST", &rest.path("Email/Messages"), Some(form))?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    ensure!(answer.status() == 400 && text.contains("Attach"), "{text}");
    Ok(())
}

/// Nothing is lost while the mail server is away; afterwards, each mail arrives once.
#[test]
fn mails_wait_while_the_mail_server_is_away() -> anyhow::Result<()> {
    const MAILS: usize = 20;
    let mut mail = MailServer::start()?;
    let server = server(&mail)?;
    mail.stop();
    for number in 0..MAILS {
        let form = format!("From=box@a.example&To=ann@b.example&Subject=s{number}&Body=b");
        send(&server, &form)?;
    }
    wait::until("the breaker", SOON, || {
        server
            .log()
            .contains("the mail server cannot be reached")
            .then_some(())
    })?;
    mail.start_again()?;
    let mails = mail.wait_for(MAILS, Duration::from_secs(20))?;
    check_all(&mails, MAILS, MAILS)
}

/// Every subject is there; no more than `most` mails arrived.
fn check_all(mails: &[Mail], count: usize, most: usize) -> anyhow::Result<()> {
    for number in 0..count {
        let subject = format!("s{number}");
        let copies: Vec<&Mail> = mails
            .iter()
            .filter(|mail| mail.header("Subject") == Some(&subject))
            .collect();
        ensure!(!copies.is_empty(), "{subject} is lost");
        let id = copies[0].header("Message-ID");
        ensure!(
            copies.iter().all(|copy| copy.header("Message-ID") == id),
            "{copies:?}"
        );
    }
    ensure!(mails.len() <= most, "{} mails arrived", mails.len());
    Ok(())
}

/// `kill -9` at random instants: each mail that was accepted arrives. One may arrive twice if the server is killed after
/// the mail server accepted it, and before that is on record: at most as many as are in progress at a time, for each kill.
#[test]
fn no_mail_is_lost_when_the_server_is_killed() -> anyhow::Result<()> {
    const MAILS: usize = 50;
    const KILLS: usize = 4;
    const AT_ONCE: usize = 4;
    let mail = MailServer::start()?;
    let mut server = server(&mail)?;
    let mut accepted = 0;
    for _ in 0..KILLS {
        let until = accepted + MAILS / KILLS;
        while accepted < until {
            let form = format!("From=box@a.example&To=ann@b.example&Subject=s{accepted}&Body=b");
            send(&server, &form)?;
            accepted += 1;
        }
        let pause = rand::rng().random_range(0..600);
        let until = Instant::now() + Duration::from_millis(pause);
        let _ = wait::until("the instant of the kill", SOON, || {
            (Instant::now() >= until).then_some(())
        });
        server.kill()?;
        server.start_again()?;
    }
    while accepted < MAILS {
        let form = format!("From=box@a.example&To=ann@b.example&Subject=s{accepted}&Body=b");
        send(&server, &form)?;
        accepted += 1;
    }
    wait::until(
        "all mails to be on record as sent",
        Duration::from_secs(30),
        || {
            let rest = server.rest();
            let answer = rest
                .send("GET", &rest.path("Email/Messages?Status=sent"), None)
                .ok()?;
            let list: Value = serde_json::from_slice(&answer.body).ok()?;
            (list["total"] == MAILS).then_some(())
        },
    )?;
    check_all(&mail.mails()?, MAILS, MAILS + KILLS * AT_ONCE)
}
