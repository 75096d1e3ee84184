//! `/Accounts`.

use model::record::Recording;
use model::{AccountStatus, RecordingSid};
use store::Change;
use store::credentials::ha1_md5;

use crate::server::{PASSWORD, Server, account_sid, call_sid, now, of};

#[tokio::test]
async fn accounts_are_found_and_listed() {
    let server = Server::start().await;
    let who = server.admin();
    let child = server.account("p", server.admin).await;
    server.account("a", child).await;
    server.account("s", server.admin).await;
    // 58, 59
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
    // 60
    let children = server.get(&who, "/Accounts.json").await;
    assert_eq!(children.column("", "friendly_name"), ["p", "s"]);
    // 61 to 65
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
    assert_eq!(none.body, "[]");
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
    // 66, 67, 68
    let created = server.post(&who, "/Accounts.json", form).await.json();
    assert_eq!(created["status"], "active");
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
    // 83
    let client = server
        .store
        .client_of_login("lyra", "one.example")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(client.account.to_string(), sid);
    assert_eq!(client.ha1_md5, ha1_md5("lyra", "one.example", PASSWORD));
    // 69
    let form = "EmailAddress=jp%40example.org&Password=1234asdf!%40%23&FriendlyName=%E3%81%82";
    let created = server.post(&who, "/Accounts.json", form).await.json();
    assert_eq!(created["friendly_name"], "あ");

    let with_password = |rest: &str| format!("Password=RestComm12&{rest}");
    let table = [
        (
            "70",
            with_password("EmailAddress=my%3Faccount%40example.org"),
            400,
        ),
        (
            "70",
            with_password("EmailAddress=my%3Daccount%40example.org"),
            400,
        ),
        (
            "70",
            with_password("EmailAddress=my%40account%40example.org"),
            400,
        ),
        (
            "71",
            with_password("EmailAddress=administrator%40company.com"),
            409,
        ),
        ("72", with_password("EmailAddress=LYRA%40example.org"), 409),
        (
            "73",
            "EmailAddress=w%40example.org&Password=1234".to_owned(),
            400,
        ),
        ("75", "EmailAddress=w%40example.org".to_owned(), 400),
        ("75", "Password=RestComm12".to_owned(), 400),
        (
            "81",
            with_password("EmailAddress=w%40example.org&OrganizationSid=blabla"),
            400,
        ),
        (
            "82",
            with_password(&format!(
                "EmailAddress=w%40example.org&OrganizationSid=OR{}",
                "0".repeat(32)
            )),
            400,
        ),
        (
            "",
            with_password("EmailAddress=w%40example.org&Status=sleepy"),
            400,
        ),
    ];
    for (case, form, status) in table {
        let answer = server.post(&who, "/Accounts.json", &form).await;
        assert_eq!(answer.status, status, "{case} {form}");
        assert_eq!(
            answer.body.contains("weak"),
            case == "73",
            "{}",
            answer.body
        );
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
        ("76", of("guest"), form("n1", ""), 403),
        ("77", of("a"), form("n2", ""), 400),
        ("78", of("p"), form("n3", &foreign), 403),
        ("79", of("p"), form("n4", &own), 200),
        ("80", server.admin(), form("n5", &foreign), 200),
        ("", of("dev"), form("n6", "&Role=Administrator"), 200),
    ];
    for (case, who, form, status) in table {
        let answer = server.post(&who, "/Accounts.json", &form).await;
        assert_eq!(answer.status, status, "{case} {}", answer.body);
        match case {
            "80" => assert_eq!(answer.json()["organization"], other.to_string()),
            "" => assert_eq!(answer.json()["role"], "Developer"),
            _ => {}
        }
    }
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
    // 84 except for the token, 90
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
    // 88, 89
    let changed = server.put(&who, &path, "Status=SUSPENDED").await.json();
    assert_eq!(changed["status"], "suspended");
    let changed = server.post(&who, &path, "Status=ACTIVE").await.json();
    assert_eq!(changed["status"], "active");
    let same = server.put(&who, &path, "AuthToken=stolen").await.json();
    assert_eq!(same["auth_token"], created["auth_token"]);
    server.put(&who, &path, "Status=sleepy").await.is(400);
    // 87
    let changed = server
        .put(&who, "/Accounts.json/lyra@example.org", "FriendlyName=L")
        .await;
    assert_eq!(changed.json()["friendly_name"], "L");

    let status = AccountStatus::Uninitialized;
    let sid = server
        .account_with("new", Some(server.admin), "Administrator", status)
        .await;
    let path = format!("/Accounts/{sid}.json");
    // 85, 86
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
    // 91, 92, 93
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
        .is(403);
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
    // 94, 95
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
        call: call_sid(1),
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
    // 96, 97, 100
    let closed = server.put(&who, &path, "Status=closed").await.json();
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
    // 101, and what follows from it.
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
