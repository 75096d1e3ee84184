//! The audit log: every change, with who made it and what it changed, but no secret.

use serde_json::Value;

use crate::server::{Server, of};

/// The log of an account, latest first.
async fn log(server: &Server, account: &str) -> Vec<Value> {
    let path = format!("/Accounts/{account}/AuditLog.json");
    let found = server.get(&server.admin(), &path).await.json();
    found["audit_log"].as_array().unwrap().clone()
}

fn shown(entry: &Value, name: &str) -> Value {
    let text = entry[name].as_str();
    text.map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
}

#[tokio::test]
async fn each_change_is_recorded_with_what_was_before_and_after() {
    let server = Server::start().await;
    let account = server.account("one", server.admin).await.to_string();
    let list = format!("/Accounts/{account}/Queues.json");
    let made = server.post(&of("one"), &list, "FriendlyName=a").await;
    let queue = made.json()["sid"].as_str().unwrap().to_owned();
    // In XML and at the other base path, too.
    let path = format!("/2010-04-01/Accounts/{account}/Queues/{queue}");
    server
        .post(&server.admin(), &path, "FriendlyName=b")
        .await
        .is(200);
    server.delete(&of("one"), &path).await.is(204);
    let log = log(&server, &account).await;
    let column = |name: &str| -> Vec<&str> {
        let texts = log
            .iter()
            .map(|entry| entry[name].as_str().unwrap_or_default());
        texts.collect()
    };
    assert_eq!(column("method"), ["DELETE", "POST", "POST"]);
    assert_eq!(
        column("actor_sid"),
        [&account, &server.admin.to_string(), &account]
    );
    assert!(
        column("source")
            .iter()
            .all(|source| source.starts_with("10.0.0."))
    );
    let sent = format!("/restcomm/2012-04-24{list}");
    assert_eq!(column("path"), [&path, &path, &sent]);
    let id = made.headers["x-request-id"].to_str().unwrap();
    assert_eq!(column("request_id")[2], id);
    let names = |name: &str| -> Vec<Value> {
        let entries = log.iter();
        let resources = entries.map(|entry| shown(entry, name)["friendly_name"].clone());
        resources.collect()
    };
    assert_eq!(names("before"), ["b".into(), "a".into(), Value::Null]);
    assert_eq!(names("after"), [Value::Null, "b".into(), "a".into()]);
    let one = format!("/Accounts/{account}/AuditLog/{}.json", column("sid")[0]);
    let read = server.get(&server.admin(), &one).await;
    assert_eq!(read.json(), log[0]);
}

#[tokio::test]
async fn reads_refusals_and_repeated_requests_are_not_recorded() {
    let server = Server::start().await;
    let (admin, account) = (server.admin(), server.admin.to_string());
    let list = format!("/Accounts/{account}/Queues.json");
    server.get(&admin, &list).await.is(200);
    server.post(&admin, &list, "MaxSize=x").await.is(400);
    let missing = format!("/Accounts/{account}/Queues/QU{}.json", "0".repeat(32));
    server.delete(&admin, &missing).await.is(404);
    assert_eq!(log(&server, &account).await, [Value::Null; 0]);
    let headers = [("idempotency-key", "k")];
    for _ in 0..2 {
        let form = "FriendlyName=a";
        server
            .ask("POST", Some(&admin), &list, &headers, form)
            .await
            .is(200);
    }
    assert_eq!(log(&server, &account).await.len(), 1);
}

#[tokio::test]
async fn no_secret_is_in_the_log() {
    let server = Server::start().await;
    let (admin, account) = (server.admin(), server.admin.to_string());
    let mut secrets = vec!["token-admin".to_owned(), "NewSecret12".to_owned()];
    let post = async |place: &str, form: &str| {
        let path = format!("/Accounts/{account}{place}.json");
        server.post(&admin, &path, form).await.json()
    };
    let text = |made: &Value, name: &str| made[name].as_str().unwrap().to_owned();
    let client = post("/Clients", "Login=a&Password=NewSecret12").await;
    secrets.push(text(&client, "password"));
    let address = "http%3A%2F%2Fu%3Ahidden%40app.example%2Fa";
    let client = format!("/Clients/{}", text(&client, "sid"));
    post(&client, &format!("VoiceUrl={address}")).await;
    secrets.push("hidden".to_owned());
    secrets.push(text(&post("/Keys", "").await, "secret"));
    let tokens = post("/AuthTokens/Secondary", "").await;
    secrets.push(text(&tokens, "secondary_auth_token"));
    post("", "FriendlyName=renamed").await;
    let form = "EmailAddress=new@example.org&Password=NewSecret12&FriendlyName=x";
    let made = server.post(&admin, "/Accounts.json", form).await.json();
    secrets.push(text(&made, "auth_token"));
    let log = Value::from(log(&server, &account).await).to_string();
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret}: {log}");
    }
    for kept in ["renamed", "http://app.example/a", "new@example.org"] {
        assert!(log.contains(kept), "{kept}: {log}");
    }
}

#[tokio::test]
async fn the_key_that_was_used_is_named_and_the_log_needs_its_permission() {
    let server = Server::start().await;
    let (admin, account) = (server.admin(), server.admin.to_string());
    let keys = format!("/Accounts/{account}/Keys.json");
    let made = server
        .post(&admin, &keys, "Permissions=Create:Queues")
        .await
        .json();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let key = (text("sid"), text("secret"));
    let list = format!("/Accounts/{account}/Queues.json");
    server.post(&key, &list, "FriendlyName=a").await.is(200);
    let log = log(&server, &account).await;
    assert_eq!(log[0]["key_sid"], key.0);
    assert_eq!(log[0]["actor_sid"], account);
    assert!(log[1].get("key_sid").is_none(), "made with the token");
    let path = format!("/Accounts/{account}/AuditLog.json");
    server.get(&key, &path).await.is(403);
}

#[tokio::test]
async fn the_log_of_accounts_below_can_be_read_with_it() {
    let server = Server::start().await;
    let below = server.account("below", server.admin).await;
    let list = format!("/Accounts/{below}/Queues.json");
    server
        .post(&of("below"), &list, "FriendlyName=a")
        .await
        .is(200);
    let admin = server.admin.to_string();
    assert!(log(&server, &admin).await.is_empty());
    let path = format!("/Accounts/{admin}/AuditLog.json?SubAccounts=true");
    let all = server.get(&server.admin(), &path).await;
    assert_eq!(all.column("audit_log", "account_sid"), [below.to_string()]);
    let foreign = format!("/Accounts/{admin}/AuditLog.json");
    server.get(&of("below"), &foreign).await.is(403);
}

#[tokio::test]
async fn a_change_whose_client_leaves_is_carried_out_and_recorded() {
    let server = Server::start().await;
    let (admin, account) = (server.admin(), server.admin.to_string());
    let list = format!("/Accounts/{account}/Queues.json");
    tokio::select! {
        biased;
        answer = server.post(&admin, &list, "FriendlyName=a") => panic!("too soon: {answer:?}"),
        () = std::future::ready(()) => {}
    }
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while log(&server, &account).await.is_empty() {
        assert!(std::time::Instant::now() < deadline, "it was given up");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let queues = server.get(&admin, &list).await;
    assert_eq!(queues.column("queues", "friendly_name"), ["a"]);
}

#[tokio::test]
async fn a_request_that_changes_nothing_is_not_in_it() {
    let server = Server::start().await;
    let admin = server.admin.to_string();
    let clients = format!("/Accounts/{admin}/Clients.json");
    let form = "Login=bob&Password=RestComm1234";
    server.post(&server.admin(), &clients, form).await.is(200);
    let before = log(&server, &admin).await.len();
    server.post(&server.admin(), &clients, form).await.is(200);
    let gone = format!(
        "/Accounts/{admin}/OutgoingCallerIds/PN{}.json",
        "0".repeat(32)
    );
    assert!(
        server
            .delete(&server.admin(), &gone)
            .await
            .status
            .is_success()
    );
    assert_eq!(log(&server, &admin).await.len(), before);
}
