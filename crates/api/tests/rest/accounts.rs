//! `/Accounts`.

use call_proto::Modify;
use model::record::{CallRecord, Recording, RecordingKind};
use model::{AccountStatus, RecordingSid};
use store::Change;
use store::credentials::ha1_md5;

use crate::server::{PASSWORD, Server, account_sid, call, call_sid, now, of};

#[tokio::test]
async fn accounts_are_found_and_listed() {
    let server = Server::start().await;
    let who = server.admin();
    let child = server.account("p", server.admin).await;
    server.account("a", child).await;
    server.account("s", server.admin).await;
    // An e-mail address identifies an account as its SID does.
    let by_sid = server
        .get(&who, &format!("/Accounts.json/{}", server.admin))
        .await;
    let by_email = server.get(&who, "/Accounts.json/admin@example.org").await;
    assert_eq!(by_sid.body, by_email.body);
    let json = by_sid.json();
    assert_eq!(json["sid"], server.admin.to_string());
    assert_eq!(json["type"], "Full");
    assert_eq!(
        json["uri"],
        format!("/2012-04-24/Accounts.json/{}", server.admin)
    );
    assert_eq!(
        json["subresource_uris"]["sms_messages"],
        format!("/2012-04-24/Accounts/{}/SMS/Messages.json", server.admin)
    );
    // Without a filter: the direct children.
    let children = server.get(&who, "/Accounts.json").await;
    assert_eq!(children.column("", "friendly_name"), ["p", "s"]);
    // All of an organization, by SID or by domain, are for the top account only.
    let other = server.other_organization("two.example").await;
    let all = server
        .get(
            &who,
            &format!("/Accounts.json?OrganizationSid={}", server.organization),
        )
        .await;
    assert_eq!(all.column("", "sid").len(), 4);
    let none = server
        .get(&who, &format!("/Accounts.json?OrganizationSid={other}"))
        .await;
    assert_eq!(none.json(), serde_json::json!([]));
    let named = server
        .get(&who, "/Accounts.json?DomainName=one.example")
        .await;
    assert_eq!(named.column("", "sid").len(), 4);
    server
        .get(&of("p"), &format!("/Accounts?OrganizationSid={other}"))
        .await
        .is(403);
    server
        .get(&of("p"), "/Accounts?DomainName=one.example")
        .await
        .is(403);
    server
        .get(&who, "/Accounts?DomainName=unknown.example")
        .await
        .is(404);
    let unknown = format!("/Accounts/AC{}", "0".repeat(32));
    server.get(&who, &unknown).await.is(404);
}

#[tokio::test]
async fn sub_accounts_are_created() {
    let server = Server::start().await;
    let who = server.admin();
    let form = "EmailAddress=Lyra%40Example.org&Password=RestComm12";
    // Defaults: the name is the address, the role that of the account above.
    let created = server.post(&who, "/Accounts.json", form).await.json();
    assert_eq!(
        (&created["status"], &created["type"]),
        (&"active".into(), &"Full".into())
    );
    assert_eq!(created["friendly_name"], "lyra@example.org");
    assert_eq!(created["role"], "Administrator");
    assert_eq!(created["auth_token"].as_str().unwrap().len(), 32);
    let sid = created["sid"].as_str().unwrap();
    let shown = server
        .get(&who, &format!("/Accounts/{sid}.json"))
        .await
        .json();
    assert_eq!(shown, created);
    let own = ("lyra@example.org".to_owned(), PASSWORD.to_owned());
    server.get(&own, &format!("/Accounts/{sid}")).await.is(200);
    // A client with the same login and password is created too.
    let client = server
        .store
        .client_of_login("lyra", "one.example")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(client.account.to_string(), sid);
    assert_eq!(client.ha1_md5, ha1_md5("lyra", "one.example", PASSWORD));
    let form = "EmailAddress=jp%40example.org&Password=1234asdf!%40%23&FriendlyName=%E3%81%82";
    let created = server.post(&who, "/Accounts.json", form).await.json();
    assert_eq!(created["friendly_name"], "あ");

    let with_password = |rest: &str| format!("Password=RestComm12&{rest}");
    let table = [
        (
            with_password("EmailAddress=my%3Faccount%40example.org"),
            400,
        ),
        (
            with_password("EmailAddress=my%3Daccount%40example.org"),
            400,
        ),
        (
            with_password("EmailAddress=my%40account%40example.org"),
            400,
        ),
        // Reserved, so that no account can pose as the administrator.
        (
            with_password("EmailAddress=administrator%40company.com"),
            409,
        ),
        (with_password("EmailAddress=LYRA%40example.org"), 409),
        ("EmailAddress=w%40example.org&Password=1234".to_owned(), 400),
        ("EmailAddress=w%40example.org".to_owned(), 400),
        ("Password=RestComm12".to_owned(), 400),
        (
            with_password("EmailAddress=w%40example.org&OrganizationSid=blabla"),
            400,
        ),
        (
            with_password(&format!(
                "EmailAddress=w%40example.org&OrganizationSid=OR{}",
                "0".repeat(32)
            )),
            400,
        ),
        (
            with_password("EmailAddress=w%40example.org&Status=sleepy"),
            400,
        ),
    ];
    for (form, status) in table {
        let answer = server.post(&who, "/Accounts.json", &form).await;
        assert_eq!(answer.status, status, "{form}");
        let is_weak = form.ends_with("Password=1234");
        assert_eq!(answer.body.contains("weak"), is_weak, "{}", answer.body);
    }
}

#[tokio::test]
async fn who_may_create_and_where() {
    let server = Server::start().await;
    let other = server.other_organization("two.example").await;
    let p = server.account("p", server.admin).await;
    let a = server.account("a", p).await;
    server.account("deep", a).await;
    let admin = Some(server.admin);
    server
        .account_with("dev", admin, "Developer", AccountStatus::Active)
        .await;
    server
        .account_with("guest", admin, "Guest", AccountStatus::Active)
        .await;
    let form = |name: &str, rest: &str| {
        format!("EmailAddress={name}%40example.org&Password=RestComm12{rest}")
    };
    let own = format!("&OrganizationSid={}", server.organization);
    let foreign = format!("&OrganizationSid={other}");
    let table = [
        (of("guest"), form("n1", ""), 403, None),
        // The third level is the last.
        (of("a"), form("n2", ""), 400, None),
        // Only the top account may create accounts in another organization.
        (of("p"), form("n3", &foreign), 403, None),
        (of("p"), form("n4", &own), 200, None),
        (
            server.admin(),
            form("n5", &foreign),
            200,
            Some(("organization", other.to_string())),
        ),
        // Only an Administrator chooses a role.
        (
            of("dev"),
            form("n6", "&Role=Administrator"),
            200,
            Some(("role", "Developer".to_owned())),
        ),
    ];
    for (who, form, status, shown) in table {
        let answer = server.post(&who, "/Accounts.json", &form).await;
        assert_eq!(answer.status, status, "{form} {}", answer.body);
        if let Some((key, value)) = shown {
            assert_eq!(answer.json()[key], value, "{form}");
        }
    }
}

#[tokio::test]
async fn a_role_that_was_not_given_is_reported() {
    let server = Server::start().await;
    let status = AccountStatus::Active;
    server
        .account_with("dev", Some(server.admin), "Developer", status)
        .await;
    let warning = "Role: only an account with the role `Administrator` can choose it; the account has the role `Developer`";
    let unknown = "Role: `Keper` is not a role of this server, so the account may do nothing";
    let table = [
        (of("dev"), "Administrator", vec![warning]),
        (of("dev"), "Developer", vec![]),
        (server.admin(), "Keeper", vec![]),
        (server.admin(), "Keper", vec![unknown]),
    ];
    for (at, (who, role, expected)) in table.into_iter().enumerate() {
        let form = format!("EmailAddress=n{at}%40example.org&Password=RestComm12&Role={role}");
        let answer = server.post(&who, "/Accounts.json", &form).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let lines = answer.headers.get_all("patchcord-warning").iter();
        let lines: Vec<&str> = lines.map(|line| line.to_str().unwrap()).collect();
        assert_eq!(lines, expected, "{role}");
    }
    let path = "/Accounts.json/dev@example.org";
    let changed = server.put(&server.admin(), path, "Role=Keper").await;
    assert_eq!(changed.headers["patchcord-warning"], unknown);
    assert_eq!(changed.json()["role"], "Keper");
}

#[tokio::test]
async fn accounts_are_changed() {
    let server = Server::start().await;
    let who = server.admin();
    let created = server
        .post(
            &who,
            "/Accounts.json",
            "EmailAddress=lyra%40example.org&Password=RestComm12",
        )
        .await
        .json();
    let path = format!("/Accounts/{}.json", created["sid"].as_str().unwrap());
    // A new password works for logging in and for the client; the token stays.
    let client = || async {
        let found = server.store.client_of_login("lyra", "one.example").await;
        found.unwrap().unwrap()
    };
    let weak = server.put(&who, &path, "Password=1234").await;
    assert!(weak.status == 400 && weak.body.contains("weak"));
    let changed = server
        .put(&who, &path, "Password=Restcomm2&FriendlyName=Lyra")
        .await
        .json();
    assert_eq!(changed["auth_token"], created["auth_token"]);
    assert_eq!(
        client().await.ha1_md5,
        ha1_md5("lyra", "one.example", "Restcomm2")
    );
    assert_eq!(client().await.friendly_name, "Lyra");
    let login = |password: &str| ("lyra@example.org".to_owned(), password.to_owned());
    server.get(&login(PASSWORD), &path).await.is(401);
    server.get(&login("Restcomm2"), &path).await.is(200);
    let changed = server.put(&who, &path, "Status=SUSPENDED").await.json();
    assert_eq!(changed["status"], "suspended");
    let changed = server.post(&who, &path, "Status=ACTIVE").await.json();
    assert_eq!(changed["status"], "active");
    let same = server.put(&who, &path, "AuthToken=stolen").await.json();
    assert_eq!(same["auth_token"], created["auth_token"]);
    server.put(&who, &path, "Status=sleepy").await.is(400);
    server.put(&who, &path, "Password=RestComm12").await.is(200);
    let changed = server
        .put(&who, "/Accounts.json/lyra@example.org", "FriendlyName=L")
        .await;
    assert_eq!(changed.json()["friendly_name"], "L");
}

#[tokio::test]
async fn the_first_password_makes_an_account_active() {
    let server = Server::start().await;
    let who = server.admin();
    let status = AccountStatus::Uninitialized;
    let sid = server
        .account_with("new", Some(server.admin), "Administrator", status)
        .await;
    let path = format!("/Accounts/{sid}.json");
    let changed = server
        .put(&who, &path, "FriendlyName=x&Role=Developer")
        .await
        .json();
    assert_eq!(
        (
            &changed["status"],
            &changed["role"],
            &changed["friendly_name"]
        ),
        (&"uninitialized".into(), &"Developer".into(), &"x".into())
    );
    let changed = server.put(&who, &path, "Password=Restcomm2").await.json();
    assert_eq!(changed["status"], "active");
}

#[tokio::test]
async fn roles_are_changed_by_an_administrator_above() {
    let server = Server::start().await;
    let who = server.admin();
    let sid = server
        .account_with(
            "new",
            Some(server.admin),
            "Developer",
            AccountStatus::Active,
        )
        .await;
    let path = format!("/Accounts/{sid}.json");
    server
        .put(&of("new"), &path, "Role=Administrator")
        .await
        .is(403);
    server.put(&who, &path, "Role=Administrator").await.is(200);
    let foreign = server
        .account_with("top", None, "Administrator", AccountStatus::Active)
        .await;
    server
        .put(&who, &format!("/Accounts/{foreign}"), "Role=Developer")
        .await
        .is(404);
}

#[tokio::test]
async fn a_status_reaches_the_whole_tree_and_closing_empties_it() {
    let server = Server::start().await;
    let who = server.admin();
    let p = server.account("p", server.admin).await;
    let a = server.account("a", p).await;
    server.account("b", p).await;
    let status = |name: &'static str| {
        let path = format!("/Accounts/{}.json", account_sid(name));
        let (server, who) = (&server, &who);
        async move { server.get(who, &path).await.json()["status"].clone() }
    };
    let path = format!("/Accounts/{p}.json");
    for word in ["suspended", "active"] {
        server
            .put(&who, &path, &format!("Status={word}"))
            .await
            .is(200);
        for name in ["p", "a", "b"] {
            assert_eq!(status(name).await, word, "{name}");
        }
    }
    let below = format!("/Accounts/{a}");
    let client = server
        .post(
            &who,
            &format!("{below}/Clients.json"),
            "Login=kim&Password=RestComm12",
        )
        .await
        .json();
    let number = server
        .post(
            &who,
            &format!("{below}/IncomingPhoneNumbers.json"),
            "PhoneNumber=77&isSIP=true",
        )
        .await
        .json();
    let application = server
        .post(
            &who,
            &format!("{below}/Applications.json"),
            "FriendlyName=x",
        )
        .await
        .json();
    let recording = Recording {
        sid: RecordingSid::from_bytes([7; 16]),
        account: a,
        call: Some(call_sid(1)),
        conference: None,
        kind: RecordingKind::default(),
        duration_ms: 1,
        size_bytes: 1,
        created: now(),
        updated: now(),
    };
    let file = server.dir.path().join(format!("{}.wav", recording.sid));
    std::fs::write(&file, "x").unwrap();
    let recorded = recording.sid;
    server
        .store
        .commit(vec![Change::Recording(recording)])
        .await
        .unwrap();
    let live = CallRecord {
        instance: server.store.instance(),
        ended: None,
        ..call(90, a)
    };
    let of_others = CallRecord {
        instance: server.store.instance(),
        ended: None,
        ..call(91, server.admin)
    };
    let calls = [&live, &of_others].map(|call| Change::CallCreated(Box::new(call.clone())));
    server.store.commit(calls.into()).await.unwrap();
    // Closing also ends the tree's live calls, and removes everything the tree owns: clients, numbers,
    // applications, recordings with files.
    let closed = server.put(&who, &path, "Status=closed").await.json();
    let ended = std::mem::take(&mut *server.engine.modified.lock().unwrap());
    assert_eq!(ended, [(live.sid, Modify::Complete)]);
    assert_eq!(closed["status"], "closed");
    assert_eq!(status("a").await, "closed");
    let text = |json: &serde_json::Value| json["sid"].as_str().unwrap().to_owned();
    for item in [
        format!("{below}/Clients/{}", text(&client)),
        format!("{below}/IncomingPhoneNumbers/{}", text(&number)),
        format!("{below}/Applications/{}", text(&application)),
        format!("{below}/Recordings/{recorded}"),
    ] {
        server.get(&who, &item).await.is(404);
    }
    assert!(!file.exists());
    assert!(
        server
            .store
            .client_of_login("kim", "one.example")
            .await
            .unwrap()
            .is_none()
    );
    // This is permanent, and nothing new can be created below; the top account cannot be closed.
    server.put(&who, &path, "Status=active").await.is(400);
    server.put(&who, &path, "FriendlyName=x").await.is(400);
    server
        .post(
            &who,
            &format!("{below}/Clients"),
            "Login=kim&Password=RestComm12",
        )
        .await
        .is(403);
    server.get(&of("a"), &below).await.is(403);
    let own = format!("/Accounts/{}", server.admin);
    server.put(&who, &own, "Status=closed").await.is(400);
}

#[tokio::test]
async fn an_account_that_is_created_closed_gets_no_client() {
    let server = Server::start().await;
    let form = "EmailAddress=old%40example.org&Password=RestComm12&Status=closed";
    let made = server.post(&server.admin(), "/Accounts.json", form).await;
    assert_eq!(made.json()["status"], "closed");
    let client = server.store.client_of_login("old", "one.example").await;
    assert!(client.unwrap().is_none());
}
