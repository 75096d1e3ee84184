//! Gateways, and which trunk takes calls to numbers.

use model::{AccountStatus, GatewaySid};

use crate::server::{Server, of};

const NEW: &str = "FriendlyName=carrier&UserName=4711&Password=secret1&Proxy=sip.example:5070&Register=true&TTL=600";

fn list(server: &Server) -> String {
    format!("/Accounts/{}/Management/Gateways", server.admin)
}

/// Case 265.
#[tokio::test]
async fn a_gateway_is_added_read_and_deleted() {
    let server = Server::start().await;
    let (who, list) = (server.admin(), list(&server));
    let created = server.post(&who, &format!("{list}.json"), NEW).await.json();
    let sid = created["sid"].as_str().unwrap();
    assert!(sid.parse::<GatewaySid>().is_ok(), "{sid}");
    let table = [
        ("friendly_name", "carrier"),
        ("user_name", "4711"),
        ("password", "secret1"),
        ("proxy", "sip.example:5070"),
        ("registration_status", "refused 403"),
    ];
    for (key, value) in table {
        assert_eq!(created[key], value, "{key}");
    }
    assert_eq!(created["register"], true);
    assert_eq!(created["time_to_live"], 600);
    let uri = created["uri"].as_str().unwrap();
    assert_eq!(uri, format!("/2012-04-24/Management/Gateways/{sid}.json"));
    for path in [format!("{list}/{sid}.json"), uri.to_owned()] {
        assert_eq!(server.get(&who, &path).await.json(), created, "{path}");
    }
    let all = server.get(&who, &format!("{list}.json")).await.json();
    assert_eq!(all, serde_json::json!([created]));
    let xml = server.get(&who, &format!("{list}/{sid}")).await;
    assert!(xml.body.contains("<Gateway><Sid>GW"), "{}", xml.body);
    assert_eq!(
        server.engine.outbound.lock().unwrap().primary.as_deref(),
        Some("sip.example:5070")
    );
    server.delete(&who, &format!("{list}/{sid}")).await.is(200);
    server.get(&who, &format!("{list}/{sid}")).await.is(404);
    server.delete(&who, &format!("{list}/{sid}")).await.is(200);
    assert_eq!(server.engine.outbound.lock().unwrap().primary, None);
    // The audit log has the change, but not the password.
    let log = format!("/Accounts/{}/AuditLog.json", server.admin);
    let log = server.get(&who, &log).await.body;
    assert!(
        log.contains("sip.example") && !log.contains("secret1"),
        "{log}"
    );
}

/// Case 266.
#[tokio::test]
async fn a_change_leaves_what_is_not_sent() {
    let server = Server::start().await;
    let (who, list) = (server.admin(), list(&server));
    let form = "UserName=4711&Password=secret1&Proxy=sip.example&Register=true";
    let mut before = server
        .post(&who, &format!("{list}.json"), form)
        .await
        .json();
    assert_eq!(before["friendly_name"], "4711");
    assert_eq!(before["time_to_live"], 3600);
    let path = format!("{list}/{}.json", before["sid"].as_str().unwrap());
    let changes = [
        ("FriendlyName=other", "friendly_name", "other"),
        ("UserName=kim%40sip.example", "user_name", "kim@sip.example"),
        ("Password=secret2", "password", "secret2"),
        (
            "Proxy=10.0.0.9%3Btransport=tcp",
            "proxy",
            "10.0.0.9;transport=tcp",
        ),
    ];
    for (at, (form, key, value)) in changes.into_iter().enumerate() {
        let method = if at % 2 == 0 { "POST" } else { "PUT" };
        let mut after = server
            .ask(method, Some(&who), &path, &[], form)
            .await
            .json();
        before[key] = value.into();
        after["date_updated"] = before["date_updated"].clone();
        assert_eq!(after, before, "{form}");
    }
    let off = server
        .post(&who, &path, "Register=false&TTL=60")
        .await
        .json();
    assert_eq!(
        (&off["register"], &off["time_to_live"]),
        (&false.into(), &60.into())
    );
    assert!(off.get("registration_status").is_none());
}

#[tokio::test]
async fn wrong_gateways_are_refused_by_name() {
    let server = Server::start().await;
    let (who, list) = (server.admin(), list(&server));
    let without = |name: &str| {
        let left = NEW.split('&').filter(|pair| !pair.starts_with(name));
        left.collect::<Vec<_>>().join("&")
    };
    let table = [
        (without("UserName"), "UserName"),
        (without("Password"), "Password"),
        (without("Proxy"), "Proxy"),
        (without("Register"), "Register"),
        (without("UserName") + "&UserName=a%0D%0AX", "UserName"),
        (without("UserName") + "&UserName=a%40b%40c d", "UserName"),
        (without("Proxy") + "&Proxy=kim%40sip.example", "Proxy"),
        (without("Proxy") + "&Proxy=two words", "Proxy"),
        (without("Register") + "&Register=maybe", "Register"),
        (without("TTL") + "&TTL=59", "TTL"),
        (without("TTL") + "&TTL=3601", "TTL"),
        (without("TTL") + "&TTL=x", "TTL"),
    ];
    for (form, name) in table {
        let answer = server.post(&who, &format!("{list}.json"), &form).await;
        answer.is(400);
        assert!(answer.body.contains(name), "{form}: {}", answer.body);
    }
    let left = server.get(&who, &format!("{list}.json")).await.json();
    assert_eq!(left, serde_json::json!([]));
    for (method, path) in [("GET", "x"), ("POST", "x"), ("PUT", "GW0123")] {
        let path = format!("{list}/{path}");
        server.ask(method, Some(&who), &path, &[], "").await.is(404);
    }
    for _ in 0..100 {
        server.post(&who, &list, NEW).await.is(200);
    }
    server.post(&who, &list, NEW).await.is(409);
}

/// Case 267.
#[tokio::test]
async fn trunks_are_only_for_accounts_without_a_parent() {
    let server = Server::start().await;
    let active = AccountStatus::Active;
    let child = server.account("child", server.admin).await;
    let admin = Some(server.admin);
    let developer = server.account_with("dev", admin, "Developer", active).await;
    let second = server
        .account_with("second", None, "Administrator", active)
        .await;
    let table = [
        (of("child"), child, 403),
        (of("dev"), developer, 403),
        (of("second"), second, 200),
        (server.admin(), child, 200),
    ];
    for (who, account, status) in table {
        let base = format!("/Accounts/{account}");
        for path in [
            "Management/Gateways",
            "OutboundProxy",
            "OutboundProxy/getActiveProxy",
        ] {
            server.get(&who, &format!("{base}/{path}")).await.is(status);
        }
        let list = format!("{base}/Management/Gateways.json");
        let created = server.post(&who, &list, NEW).await;
        created.is(status);
        server.get(&who, "/Management/Gateways").await.is(status);
        let unknown = format!("{base}/Management/Gateways/GW{}", "0".repeat(32));
        let other = if status == 403 { 403 } else { 404 };
        server.get(&who, &unknown).await.is(other);
        server
            .post(&who, &unknown, "FriendlyName=x")
            .await
            .is(other);
        server.delete(&who, &unknown).await.is(status);
        let switch = format!("{base}/OutboundProxy/switchProxy");
        let switched = server.get(&who, &switch).await.status.as_u16();
        assert_eq!(switched == 403, status == 403, "{switched}");
        let twilio = format!("/2010-04-01{base}/Management/Gateways.json");
        server.get(&who, &twilio).await.is(404);
    }
}

/// Cases 269 and 270.
#[tokio::test]
async fn calls_to_numbers_take_the_first_trunk_or_the_second() {
    let server = Server::start().await;
    let who = server.admin();
    let base = format!("/Accounts/{}/OutboundProxy", server.admin);
    let json = async |path: &str| server.get(&who, &format!("{base}.json{path}")).await;
    let none = json("").await.json();
    assert_eq!(
        none,
        serde_json::json!({"UsingFallBackProxy": "false", "AllowFallbackToPrimary": "true"})
    );
    json("/switchProxy").await.is(409);
    for proxy in ["one.example", "two.example", "three.example"] {
        let form = format!("UserName=a&Password=secret1&Proxy={proxy}&Register=false");
        server.post(&who, &list(&server), &form).await.is(200);
    }
    let shown = |active: &str, on_fallback: &str| {
        serde_json::json!({
            "ActiveProxy": active,
            "UsingFallBackProxy": on_fallback,
            "AllowFallbackToPrimary": "true",
            "PrimaryProxy": "one.example",
            "FallbackProxy": "two.example",
        })
    };
    assert_eq!(json("").await.json(), shown("one.example", "false"));
    for (active, on_fallback) in [("two.example", "true"), ("one.example", "false")] {
        let switched = json("/switchProxy").await.json();
        assert_eq!(switched, serde_json::json!({ "ActiveProxy": active }));
        assert_eq!(json("/getActiveProxy").await.json(), switched);
        assert_eq!(json("").await.json(), shown(active, on_fallback));
    }
    let xml = server.get(&who, &format!("{base}/getActiveProxy")).await;
    let element = "<ActiveProxy><ActiveProxy>one.example</ActiveProxy>";
    assert!(xml.body.contains(element), "{}", xml.body);
}

#[tokio::test]
async fn a_deleted_gateway_rests_in_the_bin() {
    let server = Server::start().await;
    let (who, list) = (server.admin(), list(&server));
    let created = server.post(&who, &format!("{list}.json"), NEW).await.json();
    let sid = created["sid"].as_str().unwrap();
    let one = format!("{list}/{sid}.json");
    server.delete(&who, &one).await.is(200);
    server.get(&who, &one).await.is(404);
    let none = server.engine.outbound.lock().unwrap().primary.clone();
    assert_eq!(none, None, "not in use");
    let bin = format!("/Accounts/{}/Bin", server.admin);
    let all = server.get(&who, &format!("{bin}.json")).await.json();
    let item = &all["bin"][0];
    assert_eq!(
        (&item["kind"], &item["name"], &item["sid"]),
        (&"gateway".into(), &"carrier".into(), &sid.into())
    );
    let resting = format!("{bin}/{sid}.json");
    server.post(&who, &resting, "").await.is(200);
    // With its password, which is stored sealed.
    assert_eq!(server.get(&who, &one).await.json(), created);
    assert_eq!(
        server.engine.outbound.lock().unwrap().primary.as_deref(),
        Some("sip.example:5070")
    );
    server.delete(&who, &one).await.is(200);
    server.delete(&who, &resting).await.is(204);
    server.get(&who, &resting).await.is(404);
    // Other accounts have neither gateways nor those of others in their bins.
    server.account("p", server.admin).await;
    server.get(&of("p"), &resting).await.is(403);
}
