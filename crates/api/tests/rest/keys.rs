//! API keys: what they permit, and for how long.

use serde_json::Value;

use crate::server::{Credentials, Server, of};

/// A new key of an account, as its credentials.
async fn key(server: &Server, account: &str, form: &str) -> (Value, Credentials) {
    let path = format!("/Accounts/{account}/Keys.json");
    let made = server.post(&server.admin(), &path, form).await.json();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let credentials = (text("sid"), text("secret"));
    (made, credentials)
}

#[tokio::test]
async fn a_key_is_made_once_shown_listed_changed_and_deleted() {
    let server = Server::start().await;
    let admin = server.admin();
    let account = server.admin.to_string();
    let (made, own) = key(&server, &account, "FriendlyName=a").await;
    assert!(own.0.starts_with("SK") && own.0.len() == 34);
    assert_eq!(own.1.len(), 32);
    assert_eq!(made["friendly_name"], "a");
    for base in ["/restcomm/2012-04-24", "/2010-04-01"] {
        let list = format!("{base}/Accounts/{account}/Keys.json");
        let listed = server.get(&admin, &list).await;
        assert_eq!(listed.column("keys", "sid"), [own.0.as_str()]);
        assert!(!listed.body.contains(&own.1), "{}", listed.body);
    }
    let path = format!("/Accounts/{account}/Keys/{}.json", own.0);
    let calls = format!("/Accounts/{account}/Calls.json");
    server.get(&own, &calls).await.is(200);
    let changed = server.post(&admin, &path, "FriendlyName=b").await.json();
    assert_eq!(changed["friendly_name"], "b");
    assert!(changed.get("secret").is_none());
    server.get(&own, &calls).await.is(200);
    server.delete(&admin, &path).await.is(200);
    server.get(&own, &calls).await.is(401);
    server.get(&admin, &path).await.is(404);
    server.delete(&admin, &path).await.is(404);
    server.post(&admin, &path, "FriendlyName=c").await.is(404);
}

#[tokio::test]
async fn a_key_permits_what_it_lists_and_never_other_credentials() {
    let server = Server::start().await;
    let account = server.admin.to_string();
    let (all, reads, calls) = (
        key(&server, &account, "").await.1,
        key(&server, &account, "Permissions=Read:*").await.1,
        key(&server, &account, "Permissions=*:Calls,Read:Queues")
            .await
            .1,
    );
    let call = "From=1000&To=client:bob&Url=http://app.example/a";
    // Method, path, form; status for each of the keys.
    let table = [
        ("GET", "/Calls", "", [200, 200, 200]),
        ("POST", "/Calls", call, [200, 403, 200]),
        ("GET", "/Queues", "", [200, 200, 200]),
        ("POST", "/Queues", "FriendlyName=q", [200, 403, 403]),
        ("GET", "/Clients", "", [200, 200, 403]),
        ("GET", "/Keys", "", [403, 403, 403]),
        ("POST", "/Keys", "", [403, 403, 403]),
        ("GET", "", "", [403, 403, 403]),
        ("POST", "", "FriendlyName=x", [403, 403, 403]),
        ("POST", "/AuthTokens/Secondary", "", [403, 403, 403]),
    ];
    for (method, place, form, expected) in table {
        let path = format!("/Accounts/{account}{place}.json");
        for (who, status) in [&all, &reads, &calls].into_iter().zip(expected) {
            let answer = server.ask(method, Some(who), &path, &[], form).await;
            assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
            if status == 403 {
                assert_eq!(answer.error()["code"], 21_103);
                assert!(answer.body.contains("The API key does not permit "));
            }
        }
    }
}

#[tokio::test]
async fn a_key_has_the_rights_of_its_account_only() {
    let server = Server::start().await;
    let one = server.account("one", server.admin).await;
    let other = server.account("other", server.admin).await;
    let (_, own) = key(&server, &one.to_string(), "").await;
    let list = |account| format!("/Accounts/{account}/Calls.json");
    server.get(&own, &list(one)).await.is(200);
    server.get(&own, &list(other)).await.is(403);
    server.get(&own, &list(server.admin)).await.is(403);
    // Nor is it a login of another account, or of an account with its secret.
    let mixed = (one.to_string(), own.1.clone());
    server.get(&mixed, &list(one)).await.is(401);
    let path = format!("/Accounts/{other}/Keys/{}.json", own.0);
    server.get(&of("other"), &path).await.is(404);
    let status = "Status=suspended";
    let suspended = format!("/Accounts/{one}.json");
    server
        .post(&server.admin(), &suspended, status)
        .await
        .is(200);
    server.get(&own, &list(one)).await.is(403);
    let closed = "Status=closed";
    server
        .post(&server.admin(), &suspended, closed)
        .await
        .is(200);
    server.get(&own, &list(one)).await.is(401);
}

#[tokio::test]
async fn a_key_expires() {
    let server = Server::start().await;
    let account = server.admin.to_string();
    let (made, own) = key(&server, &account, "DateExpires=2999-01-31").await;
    assert_eq!(made["date_expires"], "Thu, 31 Jan 2999 23:59:59 +0000");
    let path = format!("/Accounts/{account}/Calls.json");
    server.get(&own, &path).await.is(200);
    let sid = own.0.parse().unwrap();
    let mut stored = server.store.api_key(sid).await.unwrap().unwrap();
    let read = stored.updated;
    stored.expires = Some(crate::server::now());
    stored.updated = crate::server::now();
    assert!(server.store.update_api_key(stored, read).await.unwrap());
    server.get(&own, &path).await.is(401);
    let one = format!("/Accounts/{account}/Keys/{}.json", own.0);
    let never = server.post(&server.admin(), &one, "DateExpires=").await;
    assert!(never.json().get("date_expires").is_none());
    server.get(&own, &path).await.is(200);
}

#[tokio::test]
async fn wrong_secrets_are_slowed_down() {
    let server = Server::start().await;
    let account = server.admin.to_string();
    let (_, own) = key(&server, &account, "").await;
    let path = format!("/restcomm/2012-04-24/Accounts/{account}/Calls.json");
    let from = std::net::IpAddr::from([10, 9, 9, 9]);
    let wrong = (own.0.clone(), "wrong".to_owned());
    let ask = async |who: &Credentials| {
        let request = ("GET", path.as_str(), &[][..], "");
        server.ask_from(from, Some(who), request).await
    };
    for _ in 0..5 {
        ask(&wrong).await.is(401);
    }
    ask(&wrong).await.is(429);
    ask(&own).await.is(200);
}

#[tokio::test]
async fn what_a_key_cannot_be_is_refused() {
    let server = Server::start().await;
    let path = format!("/Accounts/{}/Keys.json", server.admin);
    for (form, reason) in [
        ("Permissions=Read", "is not written `Action:Kind`"),
        ("Permissions=Write:Calls", "is not one of Create, Read"),
        ("Permissions=Read:Cats", "is not a kind of resource"),
        ("Permissions=Read:Accounts", "no key permits anything with"),
        ("Permissions=*:Keys", "no key permits anything with"),
        ("DateExpires=2020-01-01", "it must be in the future"),
        ("DateExpires=soon", "is not a day"),
    ] {
        let answer = server.post(&server.admin(), &path, form).await;
        answer.is(400);
        assert!(answer.body.contains(reason), "{form}: {}", answer.body);
    }
    for _ in 0..100 {
        server.post(&server.admin(), &path, "").await.is(200);
    }
    let over = server.post(&server.admin(), &path, "").await;
    over.is(409);
    assert!(
        over.body.contains("the account has 100 keys"),
        "{}",
        over.body
    );
}
