//! Who may come in at all.

use model::AccountStatus;

use crate::server::{PASSWORD, Server, of};

#[tokio::test]
async fn only_known_accounts_come_in() {
    let server = Server::start().await;
    let (admin, token) = server.admin();
    let own = format!("/Accounts/{admin}");
    let pair = |user: &str, secret: &str| Some((user.to_owned(), secret.to_owned()));
    let table = [
        ("nobody", None, 401),
        ("wrong token", pair(&admin, "wrong"), 401),
        ("e-mail and token", pair("admin@example.org", &token), 200),
        ("SID and token", pair(&admin, &token), 200),
        ("SID and password", pair(&admin, PASSWORD), 200),
        (
            "e-mail and password",
            pair("admin@example.org", PASSWORD),
            200,
        ),
        ("friendly name", pair("Administrator", &token), 401),
        ("unknown e-mail", pair("nobody@example.org", &token), 401),
        ("empty secret", pair(&admin, ""), 401),
    ];
    for (case, who, status) in table {
        let answer = server.ask("GET", who.as_ref(), &own, &[], "").await;
        assert_eq!(answer.status, status, "{case}");
        let challenge = answer.headers.get("www-authenticate");
        let challenge = challenge.map(|value| value.to_str().unwrap());
        let expected = (status == 401).then_some("Basic realm=\"Restcomm realm\"");
        assert_eq!(challenge, expected, "{case}");
    }
    // Another scheme, an account that nobody has, no Base64.
    for scheme in ["Bearer x", "basic YTpi", "Basic ###"] {
        let answer = server
            .ask("GET", None, &own, &[("authorization", scheme)], "")
            .await;
        answer.is(401);
    }
}

#[tokio::test]
async fn credentials_come_before_the_path_and_the_state_of_the_account() {
    let server = Server::start().await;
    let admin = server.admin;
    for (name, status) in [
        ("closed", AccountStatus::Closed),
        ("suspended", AccountStatus::Suspended),
        ("inactive", AccountStatus::Inactive),
    ] {
        server
            .account_with(name, Some(admin), "Administrator", status)
            .await;
    }
    let wrong = (admin.to_string(), "wrong".to_owned());
    let paths = [
        "/Accounts".to_owned(),
        "/Organizations".to_owned(),
        "/Profiles".to_owned(),
        format!("/Accounts/{admin}/Clients"),
        format!("/Accounts/{admin}/Recordings"),
        "/Accounts/AC00000000000000000000000000000000".to_owned(),
        format!("/Accounts/{admin}/Recordings/RE00000000000000000000000000000000"),
        "/".to_owned(),
        String::new(),
        "/Nowhere/at/all".to_owned(),
    ];
    // What is not there looks the same to a stranger as what is.
    for path in &paths {
        server.ask("GET", None, path, &[], "").await.is(401);
        server.get(&wrong, path).await.is(401);
        for name in ["closed", "suspended", "inactive"] {
            server.get(&of(name), path).await.is(403);
        }
    }
    server.get(&server.admin(), "/Nowhere").await.is(404);
    server.get(&server.admin(), "/").await.is(404);
}

#[tokio::test]
async fn an_account_without_password_reaches_accounts_only() {
    let server = Server::start().await;
    let status = AccountStatus::Uninitialized;
    let sid = server
        .account_with("new", Some(server.admin), "Administrator", status)
        .await;
    server
        .get(&of("new"), &format!("/Accounts/{sid}"))
        .await
        .is(200);
    let organization = format!("/Organizations/{}", server.organization);
    server.get(&of("new"), &organization).await.is(403);
}

#[tokio::test]
async fn some_things_need_no_credentials() {
    let server = Server::start().await;
    let logout = server.ask("GET", None, "/Logout", &[], "").await;
    assert_eq!((logout.status.as_u16(), logout.body.as_str()), (200, ""));
    server
        .ask("OPTIONS", None, "/Accounts", &[], "")
        .await
        .is(200);
    let page = server
        .ask("GET", None, "/restcomm/errors/20404.html", &[], "")
        .await;
    assert!(
        page.body.contains("resource does not exist"),
        "{}",
        page.body
    );
    server
        .ask("GET", None, "/restcomm/errors/1.html", &[], "")
        .await
        .is(404);
}

#[tokio::test]
async fn pages_of_the_designer_may_read_answers() {
    let server = Server::start().await;
    // The origin must be the same to the letter, not a beginning of it.
    for (origin, allowed) in [
        ("https://designer.example", true),
        ("https://designer.exam", false),
        ("https://evil.example", false),
    ] {
        let answer = server
            .ask("GET", None, "/Logout", &[("origin", origin)], "")
            .await;
        let found = answer.headers.get("access-control-allow-origin");
        let found = found.map(|value| value.to_str().unwrap());
        assert_eq!(found, allowed.then_some(origin), "{origin}");
    }
}

#[tokio::test]
async fn large_requests_are_refused_before_anything_else() {
    let server = Server::start().await;
    let length = [("content-length", "10000001")];
    for path in ["/Accounts", "/Profiles"] {
        server.ask("POST", None, path, &length, "").await.is(413);
    }
}
