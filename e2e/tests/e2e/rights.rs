//! What an account may let the server ask, whoever a call belongs to.

use std::time::Duration;

use anyhow::ensure;
use e2e::phone::Setup;
use e2e::{App, Pitch, Reply, Server, http, wait};

const SOON: Duration = Duration::from_secs(8);
const TENANT: &str = "AC000000000000000000000000000000aa";

/// The tenant's client calls the administrator's number, whose document is on this machine. The
/// call belongs to the tenant, who redirects it to this machine: that is not asked.
#[test]
fn a_tenant_cannot_borrow_the_rights_of_the_number_it_calls() -> anyhow::Result<()> {
    let server = Server::start()?;
    let app = App::start()?;
    app.on("/v", Reply::document("<Play>/tone.wav</Play>"));
    app.on("/tone.wav", Reply::wav(Pitch::of(440.0).wav(20)));
    app.on("/secret", Reply::document(""));
    let admin = server.rest();
    admin.number("1000", &app.url("/v"))?;
    let form = [
        ("EmailAddress", "tenant@example.org"),
        ("Password", "tenant-Secret-1"),
        ("Sid", TENANT),
    ];
    let made = admin.send(
        "POST",
        "/restcomm/2012-04-24/Accounts.json",
        Some(&http::form(&form)),
    )?;
    let made: serde_json::Value = serde_json::from_slice(&made.body)?;
    let (sid, token) = (text(&made, "sid"), text(&made, "auth_token"));
    ensure!(!sid.is_empty() && !token.is_empty(), "{made}");
    let tenant = server.rest_as(&sid, &token);
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

fn text(value: &serde_json::Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}
