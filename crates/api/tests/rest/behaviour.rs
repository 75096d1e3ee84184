//! What holds for every resource: identifiers of requests, limits on their number, repeated
//! requests, and conditions.

use std::collections::HashSet;

use api::RateLimits;
use http::HeaderMap;

use crate::server::{Answer, Credentials, Server, of};

const KEY: &str = "idempotency-key";

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

async fn with(
    server: &Server,
    who: &Credentials,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    form: &str,
) -> Answer {
    server.ask(method, Some(who), path, headers, form).await
}

/// Path of a list of the top account.
fn list(server: &Server, kind: &str) -> String {
    format!("/Accounts/{}/{kind}.json", server.admin)
}

#[tokio::test]
async fn each_answer_has_an_identifier_of_its_own() {
    let server = Server::start().await;
    let path = list(&server, "Calls");
    let mut seen = HashSet::new();
    for (who, status) in [(server.admin(), 200), (of("stranger"), 401)] {
        for _ in 0..2 {
            let answer = server.get(&who, &path).await;
            answer.is(status);
            let id = header(&answer.headers, "x-request-id").to_owned();
            assert_eq!(header(&answer.headers, "twilio-request-id"), id);
            assert!(id.starts_with("RQ") && id.len() == 34, "{id}");
            assert!(seen.insert(id));
        }
    }
}

#[tokio::test]
async fn requests_are_limited_for_each_credential_and_account() {
    let limits = RateLimits {
        of_account: 4,
        of_credential: 3,
    };
    let server = Server::with(|state| state.rate_limits = limits).await;
    server.account("other", server.admin).await;
    let admin = server.admin();
    let path = list(&server, "Calls");
    for remaining in ["2", "1", "0"] {
        let answer = server.get(&admin, &path).await;
        answer.is(200);
        assert_eq!(header(&answer.headers, "ratelimit-limit"), "3");
        assert_eq!(header(&answer.headers, "ratelimit-remaining"), remaining);
        let reset: u64 = header(&answer.headers, "ratelimit-reset").parse().unwrap();
        assert!((1..=60).contains(&reset));
        let policies: Vec<_> = answer.headers.get_all("ratelimit-policy").iter().collect();
        let all = [
            "3;w=60;comment=\"credential\"",
            "4;w=60;comment=\"account\"",
        ];
        assert_eq!(policies, all);
    }
    let refused = server.get(&admin, &path).await;
    refused.is(429);
    assert_eq!(refused.error()["code"], 20_429);
    assert_eq!(
        header(&refused.headers, "retry-after"),
        header(&refused.headers, "ratelimit-reset")
    );
    assert_eq!(header(&refused.headers, "ratelimit-remaining"), "0");
    // The password is another credential of the same account, which has had its four requests.
    let password = (admin.0.clone(), crate::server::PASSWORD.to_owned());
    let refused = server.get(&password, &path).await;
    refused.is(429);
    assert_eq!(header(&refused.headers, "ratelimit-limit"), "4");
    server.get(&of("other"), "/Accounts.json").await.is(200);
    // Wrong credentials are not counted here, and learn nothing about the limits.
    let stranger = server.get(&(admin.0, "wrong".to_owned()), &path).await;
    stranger.is(401);
    assert!(!stranger.headers.contains_key("ratelimit-limit"));
}

async fn repeated_requests_are_carried_out_once(server: &Server) {
    let admin = server.admin();
    for base in ["/restcomm/2012-04-24", "/2010-04-01"] {
        let path = format!("{base}{}", list(server, "Queues"));
        let count = async || {
            let all = server.get(&admin, &path).await;
            all.json()["queues"].as_array().unwrap().len()
        };
        let before = count().await;
        let form = format!("FriendlyName=of{}", base.len());
        let headers = [(KEY, "\"one\"")];
        let send = async |form: &str| with(server, &admin, ("POST", &path), &headers, form).await;
        let first = send(&form).await;
        assert!(first.status.is_success(), "{}", first.body);
        assert!(!first.headers.contains_key("idempotent-replayed"));
        let second = send(&form).await;
        assert_eq!((second.status, &second.body), (first.status, &first.body));
        assert_eq!(header(&second.headers, "idempotent-replayed"), "true");
        assert_eq!(
            second.headers["content-type"],
            first.headers["content-type"]
        );
        assert_ne!(
            second.headers["x-request-id"],
            first.headers["x-request-id"]
        );
        assert_eq!(count().await, before + 1);
        let other = send("FriendlyName=other").await;
        other.is(422);
        assert_eq!(other.error()["code"], 20_422);
        // Neither another key nor another account is the same request.
        let headers = [(KEY, "two")];
        let fresh = with(server, &admin, ("POST", &path), &headers, &form).await;
        assert!(!fresh.headers.contains_key("idempotent-replayed"));
    }
}

#[tokio::test]
async fn a_repeated_request_is_carried_out_once() {
    repeated_requests_are_carried_out_once(&Server::start().await).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_repeated_request_is_carried_out_once_whichever_server_it_reaches() {
    let Some((one, two, _postgres)) = Server::two().await else {
        return;
    };
    repeated_requests_are_carried_out_once(&one).await;
    let path = list(&one, "Queues");
    let (admin, headers) = (one.admin(), [(KEY, "shared")]);
    let form = "FriendlyName=shared";
    let first = with(&one, &admin, ("POST", &path), &headers, form).await;
    let second = with(&two, &admin, ("POST", &path), &headers, form).await;
    assert_eq!(second.body, first.body);
    assert_eq!(header(&second.headers, "idempotent-replayed"), "true");
}

#[tokio::test]
async fn a_refusal_gives_the_key_back_and_keys_belong_to_accounts() {
    let server = Server::start().await;
    let below = server.account("below", server.admin).await;
    let admin = server.admin();
    let path = format!("/Accounts/{below}/Calls.json");
    let headers = [(KEY, "k")];
    let refused = with(&server, &admin, ("POST", &path), &headers, "From=1").await;
    refused.is(400);
    let form = "From=1000&To=client:bob&Url=http://app.example/a";
    let made = with(&server, &admin, ("POST", &path), &headers, form).await;
    made.is(200);
    assert!(!made.headers.contains_key("idempotent-replayed"));
    // The account itself has chosen the same key by chance.
    let own = with(&server, &of("below"), ("POST", &path), &headers, form).await;
    own.is(200);
    assert!(!own.headers.contains_key("idempotent-replayed"));
    assert_eq!(server.engine.created.lock().unwrap().len(), 2);
    // Nor does an API key get an answer to its account, of which it may not permit the request.
    let keys = format!("/Accounts/{below}/Keys.json");
    let key = server
        .post(&admin, &keys, "Permissions=Read:*")
        .await
        .json();
    let text = |name: &str| key[name].as_str().unwrap().to_owned();
    let reads = (text("sid"), text("secret"));
    with(&server, &reads, ("POST", &path), &headers, form)
        .await
        .is(403);
    let xml = path.replace(".json", "");
    let other_format = with(&server, &admin, ("POST", &xml), &headers, form).await;
    other_format.is(422);
}

#[tokio::test]
async fn a_key_that_cannot_be_used_is_refused() {
    let server = Server::start().await;
    let path = list(&server, "Queues");
    let long = "k".repeat(256);
    for headers in [
        &[(KEY, "")][..],
        &[(KEY, long.as_str())],
        &[(KEY, "a"), (KEY, "b")],
        &[(KEY, "ä")],
    ] {
        let form = "FriendlyName=x";
        let answer = with(&server, &server.admin(), ("POST", &path), headers, form).await;
        answer.is(400);
        assert!(answer.body.contains("Idempotency-Key: "), "{}", answer.body);
    }
}

#[tokio::test]
async fn requests_at_once_with_one_key_are_carried_out_once() {
    let server = Server::start().await;
    let admin = server.admin();
    let path = list(&server, "Calls");
    let form = "From=1000&To=client:bob&Url=http://app.example/a";
    let send = || with(&server, &admin, ("POST", &path), &[(KEY, "same")], form);
    let answers = futures_util::future::join_all((0..10).map(|_| send())).await;
    assert_eq!(server.engine.created.lock().unwrap().len(), 1);
    for answer in &answers {
        match answer.status.as_u16() {
            200 => {}
            409 => {
                assert_eq!(answer.error()["code"], 20_423);
                assert_eq!(header(&answer.headers, "retry-after"), "1");
            }
            other => panic!("{other} {}", answer.body),
        }
    }
    let later = send().await;
    later.is(200);
    assert_eq!(header(&later.headers, "idempotent-replayed"), "true");
}

#[tokio::test]
async fn a_single_resource_has_a_tag_until_it_changes() {
    let server = Server::start().await;
    let admin = server.admin();
    let made = server
        .post(&admin, &list(&server, "Queues"), "FriendlyName=a")
        .await;
    let sid = made.json()["sid"].as_str().unwrap().to_owned();
    for base in ["/restcomm/2012-04-24", "/2010-04-01"] {
        let path = format!("{base}/Accounts/{}/Queues/{sid}", server.admin);
        let mut tags = HashSet::new();
        for path in [path.clone(), format!("{path}.json")] {
            let read = server.get(&admin, &path).await;
            read.is(200);
            let tag = header(&read.headers, "etag").to_owned();
            let known = [("if-none-match", tag.as_str())];
            let again = with(&server, &admin, ("GET", &path), &known, "").await;
            again.is(304);
            assert_eq!(
                (again.body.as_str(), header(&again.headers, "etag")),
                ("", tag.as_str())
            );
            let other = [("if-none-match", "\"other\"")];
            with(&server, &admin, ("GET", &path), &other, "")
                .await
                .is(200);
            let change = |form: &'static str| {
                let known = [("if-match", tag.as_str())];
                let (server, admin, path) = (&server, &admin, path.as_str());
                async move { with(server, admin, ("POST", path), &known, form).await }
            };
            change("MaxSize=7").await.is(200);
            let stale = change("MaxSize=9").await;
            stale.is(412);
            assert!(stale.body.contains("20424"), "{}", stale.body);
            with(&server, &admin, ("GET", &path), &known, "")
                .await
                .is(200);
            server.post(&admin, &path, "MaxSize=8").await.is(200);
            assert!(tags.insert(tag));
        }
    }
    let path = format!("/Accounts/{}/Queues/{sid}.json", server.admin);
    let stale = [("if-match", "\"stale\"")];
    with(&server, &admin, ("DELETE", &path), &stale, "")
        .await
        .is(412);
    server.get(&admin, &path).await.is(200);
    with(&server, &admin, ("DELETE", &path), &[("if-match", "*")], "")
        .await
        .is(200);
    with(&server, &admin, ("DELETE", &path), &[("if-match", "*")], "")
        .await
        .is(404);
    // A list has no tag.
    let listed = server.get(&admin, &list(&server, "Queues")).await;
    assert!(!listed.headers.contains_key("etag"));
    let (queues, form) = (list(&server, "Queues"), "FriendlyName=b");
    let answer = with(
        &server,
        &admin,
        ("POST", &queues),
        &[("if-match", "*")],
        form,
    )
    .await;
    answer.is(412);
}

#[tokio::test]
async fn of_two_changes_based_on_the_same_answer_one_is_refused() {
    let server = Server::start().await;
    let admin = server.admin();
    let made = server
        .post(&admin, &list(&server, "Queues"), "FriendlyName=a")
        .await;
    let sid = made.json()["sid"].as_str().unwrap().to_owned();
    let path = format!("/Accounts/{}/Queues/{sid}.json", server.admin);
    let tag = header(&server.get(&admin, &path).await.headers, "etag").to_owned();
    let forms: Vec<String> = (1..=8).map(|size| format!("MaxSize={size}")).collect();
    let known = [("if-match", tag.as_str())];
    let sent = forms
        .iter()
        .map(|form| with(&server, &admin, ("POST", &path), &known, form));
    let answers = futures_util::future::join_all(sent).await;
    let changed = answers.iter().filter(|answer| answer.status == 200);
    assert_eq!(changed.count(), 1);
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer.status.as_u16(), 200 | 412))
    );
}
