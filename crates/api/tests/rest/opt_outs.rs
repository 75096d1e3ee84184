//! Opt-outs: who wants no texts from which number, and what keywords bring about.

use crate::server::{Server, of};

#[tokio::test]
async fn an_opt_out_refuses_messages_in_any_spelling_until_it_is_deleted() {
    let server = Server::start().await;
    server.account("p", server.admin).await;
    let who = of("p");
    let base = format!("/Accounts/{}", who.0);
    let list = format!("{base}/OptOuts.json");
    let form = "Number=%2B49+30+123456&Recipient=4915112345678";
    let made = server.post(&who, &list, form).await.json();
    for (field, value) in [
        ("number", "+4930123456"),
        ("recipient", "+4915112345678"),
        ("account_sid", &who.0),
    ] {
        assert_eq!(made[field], value, "{made}");
    }
    assert!(made["keyword"].is_null(), "{made}");
    server.post(&who, &list, form).await.is(409);
    let send = |prefix: &str, from: &str, to: &str| {
        let path = format!("{prefix}{base}/Messages.json");
        let form = format!("From={from}&To={to}&Body=hi");
        let (server, who) = (&server, &who);
        async move { server.post(who, &path, &form).await }
    };
    for (prefix, from, to, status) in [
        ("", "%2B4930123456", "%2B4915112345678", 400),
        ("/2010-04-01", "4930123456", "00+49+1511+2345678", 400),
        ("", "%2B4930123457", "%2B4915112345678", 200),
        ("", "%2B4930123456", "%2B4915112345679", 200),
    ] {
        let sent = send(prefix, from, to).await;
        sent.is(status);
        if status == 400 {
            assert_eq!(sent.error()["code"], 21_610, "{}", sent.body);
        }
    }
    let found = |filter: &str| {
        let path = format!("{list}?{filter}");
        let (server, who) = (&server, &who);
        async move { server.get(who, &path).await.column("opt_outs", "sid").len() }
    };
    assert_eq!(found("Recipient=%2B4915112345678").await, 1);
    assert_eq!(found("Recipient=%2B4915112345679").await, 0);
    assert_eq!(found("Number=4930123456").await, 1);
    let one = format!("{base}/OptOuts/{}.json", made["sid"].as_str().unwrap());
    assert_eq!(server.get(&who, &one).await.json()["sid"], made["sid"]);
    server.delete(&who, &one).await.is(200);
    server.get(&who, &one).await.is(404);
    server.delete(&who, &one).await.is(404);
    send("", "%2B4930123456", "%2B4915112345678").await.is(200);
    let log = server.get(&who, &format!("{base}/AuditLog.json")).await;
    let noted = log.column("audit_log", "path");
    let of_opt_outs = noted.iter().filter(|path| path.contains("OptOuts")).count();
    assert_eq!(of_opt_outs, 2, "added and deleted: {noted:?}");
}

#[tokio::test]
async fn settings_have_defaults_and_each_answer_can_be_left_out() {
    let server = Server::start().await;
    server.account("p", server.admin).await;
    let who = of("p");
    let path = format!("/Accounts/{}/OptOutSettings.json", who.0);
    let fresh = server.get(&who, &path).await.json();
    assert_eq!(fresh["keywords"], "auto");
    let changed = "Keywords=on&StopReply=Bye.&HelpReply=none";
    server.post(&who, &path, changed).await.is(200);
    let shown = server.get(&who, &path).await.json();
    assert_eq!(shown["keywords"], "on");
    assert_eq!(
        (&shown["stop_reply"], &shown["help_reply"]),
        (&"Bye.".into(), &"none".into())
    );
    assert_eq!(shown["start_reply"], fresh["start_reply"]);
    let back = "Keywords=auto&StopReply=&HelpReply=";
    assert_eq!(server.post(&who, &path, back).await.json(), fresh);
    for wrong in [
        "Keywords=maybe".to_owned(),
        format!("StopReply={}", "x".repeat(1_601)),
    ] {
        server.post(&who, &path, &wrong).await.is(400);
    }
}

#[tokio::test]
async fn what_an_opt_out_cannot_be_is_refused() {
    let server = Server::start().await;
    let admin = server.admin();
    let list = format!("/Accounts/{}/OptOuts.json", server.admin);
    for form in [
        String::new(),
        "Number=1".to_owned(),
        "Recipient=1".to_owned(),
        "Number=1&Recipient=a%0Ab".to_owned(),
        format!("Number=1&Recipient={}", "x".repeat(255)),
    ] {
        server.post(&admin, &list, &form).await.is(400);
    }
}

/// The number is gone, and still gets no texts.
#[tokio::test]
async fn an_opt_out_outlives_the_erasure_of_the_person() {
    let server = Server::start().await;
    server.account("p", server.admin).await;
    let who = of("p");
    let base = format!("/Accounts/{}", who.0);
    let list = format!("{base}/OptOuts.json");
    let form = "Number=%2B4930123456&Recipient=%2B4915112345678";
    server.post(&who, &list, form).await.is(200);
    let erased = server
        .post(
            &server.admin(),
            &format!("{base}/Erasures.json"),
            "PhoneNumber=%2B4915112345678",
        )
        .await
        .json();
    assert_eq!(erased["opt_outs"], 1, "{erased}");
    let shown = server.get(&who, &list).await;
    assert!(!shown.body.contains("4915112345678"), "{}", shown.body);
    let message = "From=%2B4930123456&To=%2B4915112345678&Body=hi";
    let messages = format!("{base}/Messages.json");
    assert_eq!(
        server.post(&who, &messages, message).await.error()["code"],
        21_610
    );
    server.post(&who, &list, form).await.is(409);
}
