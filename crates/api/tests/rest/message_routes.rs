//! Routes of text messages: who makes them, what they must have, and what is never shown.

use crate::server::{Server, of};

#[tokio::test]
async fn a_route_is_made_shown_changed_and_deleted() {
    let server = Server::start().await;
    let admin = server.admin();
    let account = server.admin.to_string();
    let list = format!("/Accounts/{account}/MessageRoutes.json");
    let form = "Kind=smpp&Host=smsc.example&SystemId=me&Secret=hushhush&Window=20&SourceTonNpi=5,0&Tlvs=1403=0001";
    let made = server.post(&admin, &list, form).await.json();
    let sid = made["sid"].as_str().unwrap();
    assert!(sid.starts_with("MR"), "{made}");
    for (name, value) in [
        ("kind", serde_json::json!("smpp")),
        ("port", serde_json::json!(2775)),
        ("window", serde_json::json!(20)),
        ("source_ton_npi", serde_json::json!("5,0")),
        ("tlvs", serde_json::json!("1403=0001")),
        ("encoding", serde_json::json!("gsm")),
        ("up", serde_json::json!(true)),
        ("submitted", serde_json::json!(3)),
    ] {
        assert_eq!(made[name], value, "{name}");
    }
    let path = format!("/Accounts/{account}/MessageRoutes/{sid}.json");
    let changed = server
        .post(&admin, &path, "Priority=7&Enabled=false")
        .await
        .json();
    assert_eq!(
        (&changed["priority"], &changed["window"]),
        (&7.into(), &20.into())
    );
    let kept = server.store.all_message_routes().await.unwrap();
    assert_eq!(kept[0].secret.as_deref(), Some("hushhush"));
    for path in [&list, &path] {
        let shown = server.get(&admin, path).await;
        assert!(!shown.body.contains("hushhush"), "{}", shown.body);
    }
    server.delete(&admin, &path).await.is(200);
    server.get(&admin, &path).await.is(404);
}

#[tokio::test]
async fn what_a_route_cannot_be_is_refused() {
    let server = Server::start().await;
    let admin = server.admin();
    let list = format!("/Accounts/{}/MessageRoutes.json", server.admin);
    for form in [
        "",
        "Kind=pigeon",
        "Kind=smpp",
        "Kind=smpp&Host=a%20b",
        "Kind=smpp&Host=h&Port=0",
        "Kind=smpp&Host=h&Window=1001",
        "Kind=smpp&Host=h&InterfaceVersion=60",
        "Kind=smpp&Host=h&SourceTonNpi=9",
        "Kind=smpp&Host=h&Tlvs=x",
        "Kind=smpp&Host=h&DataCoding=256",
        "Kind=smpp&Host=h&Url=http://a",
        "Kind=http",
        "Kind=http&Url=ftp://a",
        "Kind=client&Host=h",
        "Kind=sip&Priority=-1",
    ] {
        server.post(&admin, &list, form).await.is(400);
    }
    for form in [
        "Kind=http&Url=https://provider.example/messages",
        "Kind=sip&Prefix=%23",
        "Kind=client&ToPrefix=1",
    ] {
        server.post(&admin, &list, form).await.is(200);
    }
}

/// A route reaches any address in the name of the platform, so an account below cannot make one.
#[tokio::test]
async fn only_the_administrator_of_the_platform_changes_routes() {
    let server = Server::start().await;
    let admin = server.admin();
    let below = server.account("below", server.admin).await;
    let own = of("below");
    let list = format!("/Accounts/{below}/MessageRoutes.json");
    server.post(&own, &list, "Kind=client").await.is(403);
    let made = server.post(&admin, &list, "Kind=client").await.json();
    let sid = made["sid"].as_str().unwrap();
    let path = format!("/Accounts/{below}/MessageRoutes/{sid}.json");
    server.get(&own, &path).await.is(403);
    server.post(&own, &path, "Priority=1").await.is(403);
    server.delete(&own, &path).await.is(403);
}

/// Nothing is recorded before the signature is right, and every refusal has its number.
#[tokio::test]
async fn a_provider_posts_to_a_signed_address() {
    let server = Server::start().await;
    let admin = server.admin();
    let list = format!("/Accounts/{}/MessageRoutes.json", server.admin);
    let form = "Kind=http&Url=http://provider.example/&Secret=hush-hush";
    let made = server.post(&admin, &list, form).await.json();
    let url = made["inbound_url"].as_str().unwrap();
    let path = &url[url.find("/restcomm/").unwrap()..];
    let post = async |path: &str, signature: &str, body: &str| {
        let headers = [
            ("content-type", "application/json"),
            ("x-patchcord-signature", signature),
        ];
        server.ask("POST", None, path, &headers, body).await
    };
    for (body, status, code) in [
        ("odd", 400, 21_100),
        ("lost", 404, 20_404),
        ("vain", 422, 12_003),
        ("busy", 503, 20_429),
    ] {
        let answer = post(path, body, body).await;
        answer.is(status);
        assert_eq!(answer.error()["code"], code, "{}", answer.body);
    }
    let taken = post(path, "fine", "fine").await;
    taken.is(200);
    assert_eq!(taken.json()["message"], format!("SM{}", "55".repeat(16)));
    post(path, "wrong", "fine").await.is(401);
    let unknown = path.replace(&path[path.len() - 4..], "0000");
    post(&unknown, "fine", "fine").await.is(404);
    server.ask("GET", None, path, &[], "").await.is(405);
    let huge = "x".repeat(300 * 1024);
    post(path, &huge[..9], &huge).await.is(413);
    let headers = [
        ("content-type", "application/json"),
        ("x-patchcord-signature", "fine"),
        (
            "x-patchcord-signed-url",
            "http://pbx/restcomm/message-routes/MR0",
        ),
    ];
    server
        .ask("POST", None, path, &headers, "fine")
        .await
        .is(401);
}
