//! Verifications: `/v2/Services` and `/2fa`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;
use tokio::task::JoinSet;

use crate::server::{Answer, Server, of};

/// The document of an answer that is not a refusal.
fn shown(answer: &Answer) -> Value {
    assert!(answer.status.is_success(), "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

/// The code in the last text that was sent.
fn sent_code(server: &Server) -> String {
    let messages = server.engine.messages.lock().unwrap();
    let text = &messages.last().unwrap().body;
    text.chars().filter(char::is_ascii_digit).collect()
}

async fn service(server: &Server, more: &str) -> String {
    let form = format!("FriendlyName=Shop&From=%2B15550001&{more}");
    let made = server.post(&server.admin(), "/v2/Services", &form).await;
    made.is(201);
    shown(&made)["sid"].as_str().unwrap().to_owned()
}

const TO: &str = "To=%2B4915112345678&Channel=sms";

#[tokio::test]
async fn the_right_code_approves_once() {
    let server = Server::start().await;
    let who = server.admin();
    let sid = service(&server, "").await;
    assert!(sid.starts_with("VA"), "{sid}");
    let base = format!("/v2/Services/{sid}");
    let begun = server
        .post(&who, &format!("{base}/Verifications"), TO)
        .await;
    begun.is(201);
    let begun = shown(&begun);
    let expected = [
        ("status", Value::from("pending")),
        ("valid", false.into()),
        ("to", "+4915112345678".into()),
        ("channel", "sms".into()),
        ("service_sid", sid.as_str().into()),
    ];
    for (name, value) in expected {
        assert_eq!(begun[name], value, "{name}");
    }
    let code = sent_code(&server);
    assert_eq!(code.len(), 6);
    // No answer has it.
    assert!(!begun.to_string().contains(&code), "{begun}");
    let check = format!("{base}/VerificationCheck");
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let guess = |code: &str| format!("To=%2B4915112345678&Code={code}");
    let answer = shown(&server.post(&who, &check, &guess(wrong)).await);
    assert_eq!(
        (&answer["status"], &answer["valid"]),
        (&"pending".into(), &false.into())
    );
    assert_eq!(answer["checks_left"], 4);
    let answer = shown(&server.post(&who, &check, &guess(&code)).await);
    assert_eq!(
        (&answer["status"], &answer["valid"]),
        (&"approved".into(), &true.into())
    );
    // It is used up.
    server.post(&who, &check, &guess(&code)).await.is(404);
    let one = format!("{base}/Verifications/{}", begun["sid"].as_str().unwrap());
    assert_eq!(shown(&server.get(&who, &one).await)["status"], "approved");
    let summary = shown(&server.get(&who, "/v2/Attempts/Summary").await);
    assert_eq!(summary["total_attempts"], 1);
    assert_eq!(summary["total_converted"], 1);
    assert_eq!(summary["conversion_rate_percentage"], 100.0);
}

#[tokio::test]
async fn guesses_that_arrive_together_are_no_more_than_the_limit() {
    let server = Arc::new(Server::start().await);
    let who = server.admin();
    let sid = service(&server, "CodeLength=4").await;
    let base = format!("/v2/Services/{sid}");
    server
        .post(&who, &format!("{base}/Verifications"), TO)
        .await
        .is(201);
    let code: u32 = sent_code(&server).parse().unwrap();
    let mut tasks = JoinSet::new();
    for lane in 0..20 {
        let (server, base) = (Arc::clone(&server), base.clone());
        tasks.spawn(async move {
            let (who, mut compared) = (server.admin(), 0);
            for n in 0..50 {
                // Never the right one.
                let guess = (code + 1 + lane * 50 + n) % 10_000;
                let form = format!("To=%2B4915112345678&Code={guess:04}");
                let answer = server
                    .post(&who, &format!("{base}/VerificationCheck"), &form)
                    .await;
                match answer.status.as_u16() {
                    201 => compared += 1,
                    429 => assert_eq!(answer.error()["code"], 60_202),
                    other => panic!("{other}: {}", answer.body),
                }
            }
            compared
        });
    }
    let mut compared = 0;
    while let Some(done) = tasks.join_next().await {
        compared += done.unwrap();
    }
    assert_eq!(compared, 5);
    // The right one comes too late.
    let form = format!("To=%2B4915112345678&Code={code:04}");
    let late = server
        .post(&who, &format!("{base}/VerificationCheck"), &form)
        .await;
    late.is(429);
}

#[tokio::test]
async fn the_same_code_is_sent_again_and_not_too_often() {
    let server = Server::start().await;
    let who = server.admin();
    let sid = service(&server, "ResendSeconds=0&MaxSends=3").await;
    let path = format!("/v2/Services/{sid}/Verifications");
    let first = shown(&server.post(&who, &path, TO).await);
    let code = sent_code(&server);
    let second = shown(&server.post(&who, &path, TO).await);
    assert_eq!(
        (first["sid"].clone(), code.clone()),
        (second["sid"].clone(), sent_code(&server))
    );
    assert_eq!(second["send_count"], 2);
    server.post(&who, &path, TO).await.is(201);
    let fourth = server.post(&who, &path, TO).await;
    fourth.is(429);
    assert_eq!(fourth.error()["code"], 60_203);
    assert!(fourth.headers.contains_key("retry-after"));
    // By default a code may be sent again after half a minute.
    let quick = service(&server, "").await;
    let path = format!("/v2/Services/{quick}/Verifications");
    server.post(&who, &path, TO).await.is(201);
    let soon = server.post(&who, &path, TO).await;
    assert_eq!(soon.error()["code"], 60_212);
}

#[tokio::test]
async fn a_pumping_run_is_stopped_within_fifty_codes() {
    let server = Server::start().await;
    let who = server.admin();
    let sid = service(&server, "").await;
    let path = format!("/v2/Services/{sid}/Verifications");
    let mut refused = 0;
    for n in 0..300 {
        let form = format!("To=%2B88213{:07}&Channel=sms", 4_560_000 + n);
        let answer = server.post(&who, &path, &form).await;
        match answer.status.as_u16() {
            201 => {}
            403 => {
                assert_eq!(answer.error()["code"], 60_410);
                refused += 1;
            }
            other => panic!("{other}: {}", answer.body),
        }
    }
    let sent = server.engine.messages.lock().unwrap().len();
    assert!(sent <= 50, "{sent} codes were sent");
    assert_eq!(sent + refused, 300);
    // Other numbers are served, and so is one that is known to be safe.
    server.post(&who, &path, TO).await.is(201);
    let safe = "PhoneNumber=%2B882134560299";
    server
        .post(&who, "/v2/SafeList/Numbers", safe)
        .await
        .is(201);
    server
        .get(&who, "/v2/SafeList/Numbers/+882134560299")
        .await
        .is(200);
    let form = "To=%2B882134560299&Channel=sms";
    server.post(&who, &path, form).await.is(201);
    server
        .delete(&who, "/v2/SafeList/Numbers/+882134560299")
        .await
        .is(204);
    server
        .get(&who, "/v2/SafeList/Numbers/+882134560299")
        .await
        .is(404);
}

#[tokio::test]
async fn limits_of_the_application_count_values() {
    let server = Server::start().await;
    let who = server.admin();
    let sid = service(&server, "").await;
    let limits = format!("/v2/Services/{sid}/RateLimits");
    let limit = server.post(&who, &limits, "UniqueName=end_user_ip").await;
    let limit = shown(&limit);
    let limit = limit["sid"].as_str().unwrap();
    server
        .post(&who, &limits, "UniqueName=end_user_ip")
        .await
        .is(409);
    let buckets = format!("{limits}/{limit}/Buckets");
    let bucket = server.post(&who, &buckets, "Max=2&Interval=3600").await;
    let bucket = shown(&bucket);
    let form = |n: u32, ip: &str| {
        format!("To=%2B491511234{n:04}&Channel=sms&RateLimits=%7B%22end_user_ip%22%3A%22{ip}%22%7D")
    };
    let path = format!("/v2/Services/{sid}/Verifications");
    for (n, ip, status) in [(1, "a", 201), (2, "a", 201), (3, "a", 429), (4, "b", 201)] {
        server.post(&who, &path, &form(n, ip)).await.is(status);
    }
    let unknown = server
        .post(
            &who,
            &path,
            &format!("{TO}&RateLimits=%7B%22x%22%3A%22y%22%7D"),
        )
        .await;
    assert_eq!(unknown.error()["code"], 60_200);
    let one = format!("{buckets}/{}", bucket["sid"].as_str().unwrap());
    assert_eq!(shown(&server.post(&who, &one, "Max=3").await)["max"], 3);
    server.post(&who, &path, &form(3, "a")).await.is(201);
    let page = shown(&server.get(&who, &buckets).await);
    assert_eq!(page["meta"]["key"], "buckets");
    assert_eq!(page["meta"]["next_page_url"], Value::Null);
    server
        .delete(&who, &format!("{limits}/{limit}"))
        .await
        .is(204);
    server.get(&who, &one).await.is(404);
}

#[tokio::test]
async fn settings_and_parameters_are_checked() {
    let server = Server::start().await;
    let who = server.admin();
    let sid = service(&server, "AllowedPrefixes=%2B49").await;
    let one = format!("/v2/Services/{sid}");
    for (form, status) in [
        ("CodeLength=3", 400),
        ("CodeLength=8", 200),
        ("FriendlyName=12345", 400),
        ("Template=hello", 400),
        ("TestCode=12", 400),
        ("AllowedPrefixes=x", 400),
        ("Nonsense=1", 400),
    ] {
        server.post(&who, &one, form).await.is(status);
    }
    assert_eq!(shown(&server.get(&who, &one).await)["code_length"], 8);
    let path = format!("{one}/Verifications");
    for (form, code) in [
        ("To=%2B12025550100&Channel=sms", 60_605),
        ("To=ann&Channel=sms", 60_200),
        ("To=%2B4915112345678&Channel=whatsapp", 60_200),
        ("To=kim@example.org&Channel=sms", 60_200),
        ("To=%2B4915112345678&Channel=sms&CustomCode=1234", 60_200),
        ("To=%2B4915112345678&Channel=sms&DeviceIp=x", 60_200),
    ] {
        let answer = server.post(&who, &path, form).await;
        assert_eq!(answer.error()["code"], code, "{form}");
    }
    assert!(server.engine.messages.lock().unwrap().is_empty());
    server.delete(&who, &one).await.is(204);
    server.get(&who, &one).await.is(404);
}

#[tokio::test]
async fn a_call_speaks_the_code_after_a_key() {
    let server = Server::start().await;
    let who = server.admin();
    for (more, asks) in [("", false), ("DtmfInputRequired=true", true)] {
        let sid = service(&server, more).await;
        let path = format!("/v2/Services/{sid}/Verifications");
        let form = "To=%2B4915112345678&Channel=call&Locale=de";
        server.post(&who, &path, form).await.is(201);
        let calls = server.engine.created.lock().unwrap();
        let document = format!("{:?}", calls.last().unwrap().planned);
        assert_eq!(document.contains("Gather"), asks, "{document}");
        assert_eq!(document.contains("Ihr Code"), !asks, "{document}");
    }
}

#[tokio::test]
async fn a_service_in_test_mode_sends_nothing() {
    let server = Server::start().await;
    let who = server.admin();
    let sid = service(&server, "TestCode=123456").await;
    let base = format!("/v2/Services/{sid}");
    server
        .post(&who, &format!("{base}/Verifications"), TO)
        .await
        .is(201);
    assert!(server.engine.messages.lock().unwrap().is_empty());
    let check = format!("{base}/VerificationCheck");
    let answer = server
        .post(&who, &check, "To=%2B4915112345678&Code=123456")
        .await;
    assert_eq!(shown(&answer)["status"], "approved");
}

#[tokio::test]
async fn verifications_belong_to_their_account() {
    let server = Server::start().await;
    let sid = service(&server, "").await;
    server.account("other", server.admin).await;
    let path = format!("/v2/Services/{sid}");
    server.get(&of("other"), &path).await.is(404);
    let form = "To=%2B4915112345678&Channel=sms";
    server
        .post(&of("other"), &format!("{path}/Verifications"), form)
        .await
        .is(404);
    let list = shown(&server.get(&of("other"), "/v2/Services").await);
    assert_eq!(list["services"], serde_json::json!([]));
}

#[tokio::test]
async fn what_was_sent_is_forgotten_after_thirty_days() {
    let server = Server::start().await;
    let who = server.admin();
    let sid = service(&server, "").await;
    let path = format!("/v2/Services/{sid}/Verifications");
    let begun = shown(&server.post(&who, &path, TO).await);
    let one = format!("{path}/{}", begun["sid"].as_str().unwrap());
    for (days, attempts, status) in [(29, 1, 200), (31, 0, 404)] {
        let later = crate::server::now() + std::time::Duration::from_secs(days * 24 * 3600);
        server.store.forget_old_verifications(later).await.unwrap();
        let listed = server.get(&who, "/v2/Attempts").await.json();
        assert_eq!(listed["attempts"].as_array().unwrap().len(), attempts);
        server.get(&who, &one).await.is(status);
    }
}

#[tokio::test]
async fn one_time_passwords_are_json_in_and_out() {
    let server = Server::start().await;
    let who = server.admin();
    let json = [("content-type", "application/json")];
    let send =
        r#"{"service":"Shop","from":"+15550001","to":"+4915112345678","body":"Use {code} now"}"#;
    let sent = server
        .ask("POST", Some(&who), "/2fa/send", &json, send)
        .await;
    sent.is(200);
    let code = sent_code(&server);
    let seen = shown(&sent);
    assert_eq!(
        (&seen["status"], &seen["service"]),
        (&"sent".into(), &"Shop".into())
    );
    assert!(!sent.body.contains(&code));
    let text = server
        .engine
        .messages
        .lock()
        .unwrap()
        .last()
        .unwrap()
        .body
        .clone();
    assert_eq!(text, format!("Use {code} now"));
    let check =
        |code: &str| format!(r#"{{"service":"Shop","to":"+4915112345678","code":"{code}"}}"#);
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let answer = server
        .ask("POST", Some(&who), "/2fa/verify", &json, &check(wrong))
        .await;
    answer.is(403);
    assert_eq!(answer.error()["code"], 60_022);
    assert!(answer.body.contains("4 more guesses"), "{}", answer.body);
    let answer = server
        .ask("POST", Some(&who), "/2fa/verify", &json, &check(&code))
        .await;
    assert_eq!(shown(&answer)["status"], "verified");
    let again = server
        .ask("POST", Some(&who), "/2fa/verify", &json, &check(&code))
        .await;
    again.is(404);
    for (body, status) in [
        (r#"{"service":"Shop"}"#, 400),
        (
            r#"{"service":"Shop","from":"+1","to":"+4915112345678","body":"no place"}"#,
            400,
        ),
        ("[]", 400),
        ("{", 400),
    ] {
        let answer = server
            .ask("POST", Some(&who), "/2fa/send", &json, body)
            .await;
        answer.is(status);
    }
}

/// How often each status and code came back when all these were sent at the same time.
async fn at_once(
    server: &Arc<Server>,
    path: &str,
    forms: Vec<String>,
) -> BTreeMap<(u16, i64), usize> {
    let mut tasks = JoinSet::new();
    for form in forms {
        let (server, path) = (Arc::clone(server), path.to_owned());
        tasks.spawn(async move {
            let answer = server.post(&server.admin(), &path, &form).await;
            let code = match answer.status.is_success() {
                true => 0,
                false => answer.error()["code"].as_i64().unwrap(),
            };
            (answer.status.as_u16(), code)
        });
    }
    let mut seen = BTreeMap::new();
    while let Some(done) = tasks.join_next().await {
        *seen.entry(done.unwrap()).or_default() += 1;
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_requested_together_are_no_more_than_the_limits() {
    let server = Arc::new(Server::start().await);
    let to = |n: u32| format!("To=%2B88213{:07}&Channel=sms", 4_560_000 + n);
    // What each of 80 requests gets, by what the service allows.
    let table = [
        ("", [((201, 0), 30), ((403, 60_410), 50)]),
        ("DailyLimit=7", [((201, 0), 7), ((429, 20_429), 73)]),
        (
            "BlockLimit=9&WatchPercent=0",
            [((201, 0), 9), ((403, 60_410), 71)],
        ),
    ];
    for (settings, expected) in table {
        let sid = service(&server, settings).await;
        let path = format!("/v2/Services/{sid}/Verifications");
        server.engine.messages.lock().unwrap().clear();
        let seen = at_once(&server, &path, (0..80).map(to).collect()).await;
        assert_eq!(seen, BTreeMap::from(expected), "{settings}");
        let sent = server.engine.messages.lock().unwrap().len();
        assert_eq!(sent, expected[0].1, "{settings}");
    }
    // A limit of the application, too; what another limit refuses is not counted by it.
    let sid = service(&server, "MaxSends=1").await;
    let limits = format!("/v2/Services/{sid}/RateLimits");
    let who = server.admin();
    let limit = shown(&server.post(&who, &limits, "UniqueName=ip").await);
    let buckets = format!("{limits}/{}/Buckets", limit["sid"].as_str().unwrap());
    let bucket = server.post(&who, &buckets, "Max=3&Interval=86400").await;
    bucket.is(201);
    let path = format!("/v2/Services/{sid}/Verifications");
    let counted = "RateLimits=%7B%22ip%22%3A%22a%22%7D";
    let one: Vec<String> = (0..20).map(|_| format!("{}&{counted}", to(1))).collect();
    let seen = at_once(&server, &path, one).await;
    assert_eq!(seen[&(201, 0)], 1, "{seen:?}");
    let all = (2..22).map(|n| format!("{}&{counted}", to(n))).collect();
    let seen = at_once(&server, &path, all).await;
    let expected = [((201, 0), 2), ((429, 20_429), 18)];
    assert_eq!(seen, BTreeMap::from(expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_requested_together_for_one_recipient_are_no_more_than_it_may_get() {
    let server = Arc::new(Server::start().await);
    let table = [
        ("", [((201, 0), 1), ((429, 60_212), 19)]),
        (
            "ResendSeconds=0&MaxSends=4",
            [((201, 0), 4), ((429, 60_203), 16)],
        ),
    ];
    for (settings, expected) in table {
        let sid = service(&server, settings).await;
        let path = format!("/v2/Services/{sid}/Verifications");
        server.engine.messages.lock().unwrap().clear();
        let seen = at_once(&server, &path, vec![TO.to_owned(); 20]).await;
        assert_eq!(seen, BTreeMap::from(expected), "{settings}");
        let sent = server.engine.messages.lock().unwrap().len();
        assert_eq!(sent, expected[0].1, "{settings}");
        let one = format!("{path}/%2B4915112345678");
        let one = shown(&server.get(&server.admin(), &one).await);
        assert_eq!(one["send_count"], expected[0].1, "{settings}");
    }
}

#[tokio::test]
async fn no_code_is_sent_to_a_recipient_whose_guesses_are_used_up() {
    let server = Server::start().await;
    let who = server.admin();
    let sid = service(&server, "ResendSeconds=0").await;
    let base = format!("/v2/Services/{sid}");
    let (path, check) = (
        format!("{base}/Verifications"),
        format!("{base}/VerificationCheck"),
    );
    let begun = shown(&server.post(&who, &path, TO).await);
    let code = sent_code(&server);
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let guess = |code: &str| format!("To=%2B4915112345678&Code={code}");
    for _ in 0..5 {
        server.post(&who, &check, &guess(wrong)).await.is(201);
    }
    let refused = server.post(&who, &path, TO).await;
    refused.is(429);
    assert_eq!(refused.error()["code"], 60_202);
    let wait: u64 = refused.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((590..=600).contains(&wait), "{wait}");
    server.post(&who, &check, &guess(&code)).await.is(429);
    let one = format!("{path}/{}", begun["sid"].as_str().unwrap());
    server.post(&who, &one, "Status=approved").await.is(404);
    let canceled = shown(&server.post(&who, &one, "Status=canceled").await);
    assert_eq!(canceled["status"], "canceled");
    server.post(&who, &path, TO).await.is(201);
    let again = server.post(&who, &check, &guess(&sent_code(&server))).await;
    assert_eq!(shown(&again)["status"], "approved");
}

#[tokio::test]
async fn a_code_that_cannot_be_sent_leaves_everything_as_it_was() {
    let server = Server::start().await;
    let who = server.admin();
    let sid = service(&server, "CustomCodeEnabled=true&ResendSeconds=0").await;
    let base = format!("/v2/Services/{sid}");
    let path = format!("{base}/Verifications");
    let busy = |on: bool| server.engine.is_busy.store(on, Ordering::Relaxed);
    let sent = async || {
        let list = shown(&server.get(&who, "/v2/Attempts").await);
        list["attempts"].as_array().unwrap().len()
    };
    busy(true);
    server.post(&who, &path, TO).await.is(429);
    assert_eq!(sent().await, 0);
    let one = format!("{path}/%2B4915112345678");
    server.get(&who, &one).await.is(404);
    busy(false);
    let first = format!("{TO}&CustomCode=first1");
    server.post(&who, &path, &first).await.is(201);
    busy(true);
    let second = format!("{TO}&CustomCode=second2");
    server.post(&who, &path, &second).await.is(429);
    assert_eq!(sent().await, 1);
    assert_eq!(shown(&server.get(&who, &one).await)["send_count"], 1);
    // The code that has arrived is right.
    let check = format!("{base}/VerificationCheck");
    let answer = server
        .post(&who, &check, "To=%2B4915112345678&Code=first1")
        .await;
    assert_eq!(shown(&answer)["status"], "approved");
    // Without a sender nothing is recorded either.
    busy(false);
    let form = "FriendlyName=Other";
    let other = shown(&server.post(&who, "/v2/Services", form).await);
    let path = format!(
        "/v2/Services/{}/Verifications",
        other["sid"].as_str().unwrap()
    );
    server.post(&who, &path, TO).await.is(400);
    assert_eq!(sent().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_of_one_time_passwords_is_made_once() {
    let server = Arc::new(Server::start().await);
    let mut tasks = JoinSet::new();
    for n in 0..20 {
        let server = Arc::clone(&server);
        tasks.spawn(async move {
            let json = [("content-type", "application/json")];
            let body = format!(
                r#"{{"service":"Shop","from":"+15550001","to":"+49151123456{n:02}","body":"{{code}}"}}"#
            );
            let who = server.admin();
            let sent = server
                .ask("POST", Some(&who), "/2fa/send", &json, &body)
                .await;
            sent.is(200);
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let list = shown(&server.get(&server.admin(), "/v2/Services").await);
    assert_eq!(list["services"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_text_that_is_not_sent_becomes_a_call_if_the_code_is_still_needed() {
    let server = Server::start().await;
    let who = server.admin();
    let sid = service(&server, "FallbackChannel=call").await;
    let path = format!("/v2/Services/{sid}/Verifications");
    let called = || server.engine.created.lock().unwrap().len();
    // The recipient, how its verification ends before, the response to the text, and whether it is called.
    let table = [
        ("+4930111110001", None, 200, false),
        ("+4930111110002", Some("canceled"), 480, false),
        ("+4930111110003", Some("approved"), 480, false),
        ("+4930111110004", None, 480, true),
    ];
    for (to, ended, response, is_called) in table {
        let to = to.replace('+', "%2B");
        let form = format!("To={to}&Channel=sms");
        server.post(&who, &path, &form).await.is(201);
        if let Some(status) = ended {
            let form = format!("Status={status}");
            let one = format!("{path}/{to}");
            server.post(&who, &one, &form).await.is(200);
        }
        assert_eq!(called(), 0);
        let over = server.engine.outcomes.lock().unwrap().pop().unwrap();
        over.send((response, String::new())).unwrap();
        let waits = if is_called { 5_000 } else { 200 };
        for _ in 0..waits / 10 {
            if called() > 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(called(), usize::from(is_called), "{to}");
    }
}

#[tokio::test]
async fn the_record_of_a_text_does_not_have_its_code() {
    let server = Server::start().await;
    let sid = service(&server, "").await;
    let path = format!("/v2/Services/{sid}/Verifications");
    server.post(&server.admin(), &path, TO).await.is(201);
    let messages = server.engine.messages.lock().unwrap();
    let shown = messages[0].recorded_as.as_deref();
    assert_eq!(shown, Some("Your Shop code is [code removed]."));
}

#[tokio::test]
async fn a_text_that_is_not_sent_does_not_keep_the_person_waiting() {
    let server = Server::start().await;
    let who = server.admin();
    let sid = service(&server, "").await;
    let path = format!("/v2/Services/{sid}/Verifications");
    let first = server.post(&who, &path, TO).await;
    first.is(201);
    server.post(&who, &path, TO).await.is(429);
    let over = server.engine.outcomes.lock().unwrap().pop().unwrap();
    over.send((503, "no trunk".to_owned())).unwrap();
    let one = format!("{path}/{}", shown(&first)["sid"].as_str().unwrap());
    let mut status = String::new();
    for _ in 0..500 {
        let shown = server.get(&who, &one).await.json();
        shown["status"].as_str().unwrap().clone_into(&mut status);
        if status != "pending" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(status, "failed");
    server.post(&who, &path, TO).await.is(201);
}
