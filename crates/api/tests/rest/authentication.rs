//! Authentication, and limits on failed attempts.

use std::time::{Duration, Instant};

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
    // Another scheme, a non-existent account, invalid Base64.
    for scheme in ["Bearer x", "basic YTpi", "Basic ###", "basic"] {
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
    let paths = [
        "/Accounts".to_owned(),
        "/Organizations".to_owned(),
        "/Profiles".to_owned(),
        format!("/Accounts/{admin}/Clients"),
        format!("/Accounts/{admin}/Recordings"),
        "/Accounts/AC00000000000000000000000000000000".to_owned(),
        "/Organizations/OR00000000000000000000000000000000".to_owned(),
        "/Profiles/PR00000000000000000000000000000000".to_owned(),
        format!("/Accounts/{admin}/Clients/CL00000000000000000000000000000000"),
        format!("/Accounts/{admin}/Recordings/RE00000000000000000000000000000000"),
        "/".to_owned(),
        String::new(),
        "/Nowhere/at/all".to_owned(),
    ];
    // To a stranger, missing resources look the same as existing ones.
    for (n, path) in paths.iter().enumerate() {
        let known = server.account(&format!("known{n}"), admin).await;
        let wrong = (known.to_string(), "wrong".to_owned());
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
async fn pages_of_configured_origins_may_read_answers() {
    let server = Server::start().await;
    // The origin must match exactly; a prefix is not enough.
    for (origin, allowed) in [
        ("https://designer.example", true),
        ("https://designer.exam", false),
        ("https://designer.example:8443", false),
        ("http://designer.example", false),
        ("https://evil.example", false),
    ] {
        // The request itself, one that is refused, and the one that a browser sends before it.
        for (method, path) in [
            ("GET", "/Logout"),
            ("GET", "/Accounts"),
            ("OPTIONS", "/Accounts"),
        ] {
            let answer = server
                .ask(method, None, path, &[("origin", origin)], "")
                .await;
            let found = answer.headers.get("access-control-allow-origin");
            let found = found.map(|value| value.to_str().unwrap());
            assert_eq!(found, allowed.then_some(origin), "{method} {path} {origin}");
        }
    }
}

#[tokio::test]
async fn large_requests_are_refused_before_anything_else() {
    let server = Server::start().await;
    for length in ["10000001", "262145"] {
        let length = [("content-length", length)];
        for path in ["/Accounts", "/Profiles"] {
            server.ask("POST", None, path, &length, "").await.is(413);
        }
    }
}

#[tokio::test]
async fn a_form_is_bounded_in_bytes_and_parameters() {
    let server = Server::start().await;
    let admin = server.admin();
    let clients = format!("/Accounts/{}/Clients.json", server.admin);
    let client = "Login=bob&Password=RestComm12&";
    let filled = |bytes: usize| format!("{client}x={}", "a".repeat(bytes - client.len() - 2));
    let counted = |count: usize| format!("{client}{}", "a=&".repeat(count - 2));
    let table = [
        (filled(256 * 1024 + 1), 413),
        (counted(100_000), 413),
        (counted(80_000), 400),
        (counted(301), 400),
        (counted(300), 200),
        (filled(256 * 1024), 200),
    ];
    for (form, status) in table {
        let answer = server.post(&admin, &clients, &form).await;
        assert_eq!(answer.status, status, "{} bytes", form.len());
    }
    let query = format!("{clients}?{}", "a=&".repeat(301));
    let answer = server.get(&admin, &query).await;
    assert!(
        answer.body.contains("at most 300 parameters"),
        "{}",
        answer.body
    );
    answer.is(400);
}

#[tokio::test]
async fn guesses_have_to_wait_but_tokens_do_not() {
    let server = Server::start().await;
    let (admin, token) = server.admin();
    let path = format!("/Accounts/{admin}");
    let pair = |user: &str, secret: &str| (user.to_owned(), secret.to_owned());
    let ask = async |address: &str, who: (String, String)| {
        let address = address.parse().unwrap();
        let answer = server.ask_from(address, Some(&who), ("GET", &path, &[], ""));
        answer.await
    };
    let guesser = "192.0.2.1";
    // Sent concurrently, so that none waits for the others.
    let guesses = (0..12).map(|n| ask(guesser, pair("admin@example.org", &format!("guess{n}"))));
    let mut statuses = Vec::new();
    for answer in futures_util::future::join_all(guesses).await {
        statuses.push(answer.status.as_u16());
        let wait = answer.headers.get("retry-after");
        assert_eq!(wait.is_some(), answer.status == 429, "{}", answer.body);
    }
    let refused = statuses.iter().filter(|status| **status == 401).count();
    assert_eq!(refused, 5, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 401 | 429)));

    // The right password does not help the guesser, but nobody else has to wait, and a token always works.
    ask(guesser, pair(&admin, PASSWORD)).await.is(429);
    ask(guesser, pair("nobody@example.org", "x")).await.is(401);
    ask("192.0.2.2", pair(&admin, "wrong")).await.is(401);
    ask("192.0.2.2", pair(&admin, PASSWORD)).await.is(200);
    for address in [guesser, "192.0.2.2"] {
        ask(address, pair(&admin, &token)).await.is(200);
    }
    // Without credentials there is no guess.
    let request = ("GET", path.as_str(), &[][..], "");
    let none = server
        .ask_from(guesser.parse().unwrap(), None, request)
        .await;
    none.is(401);
}

#[tokio::test]
async fn many_right_passwords_at_once_are_no_guesses() {
    let server = Server::start().await;
    let path = format!("/Accounts/{}", server.admin);
    let who = (server.admin.to_string(), PASSWORD.to_owned());
    let request = || async {
        let request = ("GET", path.as_str(), &[][..], "");
        let address = "192.0.2.1".parse().unwrap();
        server.ask_from(address, Some(&who), request).await.is(200);
    };
    futures_util::future::join_all((0..20).map(|_| request())).await;
}

#[tokio::test]
async fn a_login_that_does_not_exist_takes_as_long_as_a_wrong_password() {
    let server = Server::start().await;
    let path = format!("/Accounts/{}", server.admin);
    let mut took = Vec::new();
    for login in ["admin@example.org", "nobody@example.org"] {
        let who = (login.to_owned(), "wrong".to_owned());
        let mut fastest = Duration::MAX;
        for _ in 0..3 {
            let start = Instant::now();
            server.get(&who, &path).await.is(401);
            fastest = fastest.min(start.elapsed());
        }
        took.push(fastest);
    }
    // Without the computation it takes a hundredth.
    assert!(took[1] * 4 > took[0] && took[0] * 4 > took[1], "{took:?}");
}
