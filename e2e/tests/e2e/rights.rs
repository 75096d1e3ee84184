//! Which addresses the server contacts for an account, whichever account a call belongs to.

use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use anyhow::ensure;
use e2e::phone::Setup;
use e2e::rest::Rest;
use e2e::server::Options;
use e2e::{App, Pitch, Reply, Server, http, wait};

const SOON: Duration = Duration::from_secs(8);
const TENANT: &str = "AC000000000000000000000000000000aa";

/// The tenant's client calls the administrator's number, whose document is on this machine. The
/// call belongs to the tenant, who redirects it to this machine: that request is not made.
#[test]
fn a_tenant_cannot_borrow_the_rights_of_the_number_it_calls() -> anyhow::Result<()> {
    let server = Server::start()?;
    let app = App::start()?;
    app.on("/v", Reply::document("<Play>/tone.wav</Play>"));
    app.on("/tone.wav", Reply::wav(Pitch::of(440.0).wav(20)));
    app.on("/secret", Reply::document(""));
    let admin = server.rest();
    admin.number("1000", &app.url("/v"))?;
    let tenant = tenant(&server)?;
    tenant.client("sue", "sue-Secret-1")?;
    let sue = Setup::new("sue")
        .registers("sue-Secret-1")
        .start(&server, Pitch::of(700.0))?;
    sue.dial("1000")?;
    sue.wait_for("CALL_ESTABLISHED")?;
    app.wait_for("/tone.wav", 1, SOON)?;

    let calls = tenant.calls()?;
    let call = text(&calls[0], "sid");
    tenant.post(&format!("Calls/{call}"), &[("Url", &app.url("/secret"))])?;
    let refused = wait::until("a notification", SOON, || {
        let list = tenant.get("Notifications").ok()?;
        let codes = list["notifications"].as_array()?.clone();
        codes
            .into_iter()
            .find(|found| found.to_string().contains("11110"))
    });
    ensure!(refused.is_ok(), "no notification; {}", server.log());
    ensure!(
        app.requests("/secret").is_empty(),
        "the tenant's address was asked"
    );
    tenant.finished_calls(1, SOON)?;
    Ok(())
}

/// An account below the administrator's, as an API client.
fn tenant(server: &Server) -> anyhow::Result<Rest> {
    let form = [
        ("EmailAddress", "tenant@example.org"),
        ("Password", "tenant-Secret-1"),
        ("Sid", TENANT),
    ];
    let made = server.rest().send(
        "POST",
        "/restcomm/2012-04-24/Accounts.json",
        Some(&http::form(&form)),
    )?;
    let made: serde_json::Value = serde_json::from_slice(&made.body)?;
    let (sid, token) = (text(&made, "sid"), text(&made, "auth_token"));
    ensure!(!sid.is_empty() && !token.is_empty(), "{made}");
    Ok(server.rest_as(&sid, &token))
}

/// A tenant's document and API calls name SIP addresses on this machine: nothing is sent there, by
/// UDP or TCP. The administrator's document may contact them.
#[test]
fn a_tenant_cannot_have_the_server_send_sip_into_its_own_network() -> anyhow::Result<()> {
    let server = Options::default()
        .variable("PATCHCORD_FETCH__ALLOW_PRIVATE", "true")
        .start()?;
    let app = App::start()?;
    let tcp = TcpListener::bind("127.0.0.1:0")?;
    let udp = UdpSocket::bind("127.0.0.1:0")?;
    tcp.set_nonblocking(true)?;
    udp.set_nonblocking(true)?;
    let over_tcp = format!("sip:x@{};transport=tcp", tcp.local_addr()?);
    let over_udp = format!("sip:x@{}", udp.local_addr()?);
    let document = format!(
        "<Sms to=\"{over_tcp}\">&#10;SET pwned 1&#10;</Sms><Sms to=\"{over_udp}\">x</Sms>\
         <Dial timeout=\"2\"><Sip>{over_tcp}</Sip><Sip>{over_udp}</Sip></Dial>"
    );
    app.on("/v", Reply::document(&document));
    app.on("/cb", Reply::status(200));
    let tenant = tenant(&server)?;
    tenant.public_number("2000", &app.url("/v"), &app.url("/cb"))?;
    server
        .rest()
        .public_number("3000", &app.url("/v"), &app.url("/cb"))?;
    let stranger = Setup::new("sue").start(&server, Pitch::of(700.0))?;
    stranger.dial("2000")?;
    tenant.finished_calls(1, SOON)?;
    for to in [&over_tcp, &over_udp] {
        let form = [("To", to.as_str()), ("From", "1"), ("Url", &app.url("/v"))];
        let answer = tenant.send("POST", &tenant.path("Calls"), Some(&http::form(&form)))?;
        ensure!(answer.status() >= 400, "{to}: {}", answer.status());
    }
    let codes = tenant.get("Notifications")?["notifications"].to_string();
    ensure!(codes.contains("11110"), "{codes}");
    let heard = || tcp.accept().is_ok() || udp.recv_from(&mut [0; 64]).is_ok();
    ensure!(!heard(), "the tenant's document reached this machine");

    // The same listeners receive from the administrator's document, so they would have received the
    // tenant's.
    let other = Setup::new("tom").start(&server, Pitch::of(600.0))?;
    other.dial("3000")?;
    wait::until("the administrator's SIP", SOON, || heard().then_some(()))?;
    Ok(())
}

/// The client of a registered phone is deleted, and another account takes its login: the phone is not called. Nor is one
/// that registered with an earlier password, or whose account is suspended.
#[test]
fn a_phone_that_lost_its_client_is_not_called() -> anyhow::Result<()> {
    let server = Server::start()?;
    let app = App::start()?;
    app.on("/v", Reply::document("<Pause/>"));
    let (admin, tenant) = (server.rest(), tenant(&server)?);
    let call = || {
        let form = [
            ("To", "client:1001"),
            ("From", "1"),
            ("Url", &app.url("/v")),
        ];
        tenant.send("POST", &tenant.path("Calls"), Some(&http::form(&form)))
    };
    let made = admin.client("1001", "old-Secret-1")?;
    let phone = |password| {
        let phone = Setup::new("1001").registers(password).answers();
        phone.start(&server, Pitch::of(700.0))
    };
    let former = phone("old-Secret-1")?;
    ensure!(
        call()?.status() == 200,
        "it is called as long as it has a client"
    );
    former.wait_for("CALL_ESTABLISHED")?;
    tenant.finished_calls(1, SOON)?;
    let client = admin.path(&format!("Clients/{}", text(&made, "sid")));
    ensure!(
        admin.send("DELETE", &client, None)?.status() < 300,
        "{client}"
    );
    let made = tenant.client("1001", "new-Secret-1")?;
    ensure!(
        call()?.status() >= 400,
        "called at the former owner's phone"
    );

    let phone = phone("new-Secret-1")?;
    ensure!(call()?.status() == 200, "{}", server.log());
    phone.wait_for("CALL_ESTABLISHED")?;
    tenant.finished_calls(2, SOON)?;
    let rings = former.events();
    let rings = rings
        .iter()
        .filter(|event| event["type"] == "CALL_ESTABLISHED");
    ensure!(rings.count() == 1, "{:?}", former.events());

    let account = format!("/restcomm/2012-04-24/Accounts/{}.json", tenant.account());
    for (status, is_called) in [("suspended", false), ("active", true)] {
        let form = http::form(&[("Status", status)]);
        let changed = admin.send("POST", &account, Some(&form))?;
        ensure!(changed.status() == 200, "{}", changed.start);
        let answer = admin.post(
            "Calls",
            &[
                ("To", "client:1001"),
                ("From", "1"),
                ("Url", &app.url("/v")),
            ],
        );
        ensure!(answer.is_ok() == is_called, "{status}: {answer:?}");
    }
    phone.wait_for_nth("CALL_ESTABLISHED", 2)?;
    let client = format!("Clients/{}", text(&made, "sid"));
    tenant.post(&client, &[("Password", "other-Secret-1")])?;
    ensure!(call()?.status() >= 400, "called with an earlier password");
    Ok(())
}

/// A tenant's document has the phone of a caller call an address on this machine, which the tenant may
/// not call itself: the phone is not asked.
#[test]
fn a_tenant_cannot_have_a_phone_call_into_the_servers_network() -> anyhow::Result<()> {
    let server = Options::default()
        .variable("PATCHCORD_FETCH__ALLOW_PRIVATE", "true")
        .start()?;
    let app = App::start()?;
    let document = "<Refer action=\"/after\"><Sip>sip:x@127.0.0.1:5999</Sip></Refer>";
    app.on("/v", Reply::document(document));
    app.on("/after", Reply::document(""));
    let tenant = tenant(&server)?;
    tenant.public_number("2000", &app.url("/v"), "")?;
    let stranger = Setup::new("sue").start(&server, Pitch::of(700.0))?;
    stranger.dial("2000")?;
    let asked = app.wait_for("/after", 1, SOON)?;
    ensure!(
        asked[0].param("ReferCallStatus") == Some("failed"),
        "{asked:?}"
    );
    ensure!(
        asked[0].param("ReferSipResponseCode").is_none(),
        "{asked:?}"
    );
    let codes = tenant.get("Notifications")?["notifications"].to_string();
    ensure!(codes.contains("11110"), "{codes}");
    Ok(())
}

fn text(value: &serde_json::Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}
