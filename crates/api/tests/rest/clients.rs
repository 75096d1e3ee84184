//! `/Accounts/{sid}/Clients`.

use model::AccountStatus;
use store::credentials::{ha1_md5, ha1_sha256};

use crate::server::{Server, account_sid, of};

#[tokio::test]
async fn clients_live() {
    let server = Server::start().await;
    let dev = server
        .account_with(
            "dev",
            Some(server.admin),
            "Developer",
            AccountStatus::Active,
        )
        .await;
    let who = of("dev");
    let list = format!("/Accounts/{dev}/Clients.json");
    let form = "Login=bob&Password=RestComm1234&VoiceUrl=http%3A%2F%2F127.0.0.1%2Fdemo.xml";
    // Creating a login that the account already has changes nothing and shows the existing client.
    let created = server.post(&who, &list, form).await.json();
    let sid = created["sid"].as_str().unwrap().to_owned();
    assert_eq!(created["friendly_name"], "bob");
    assert_eq!(created["status"], "1");
    assert_eq!(created["voice_url"], "http://127.0.0.1/demo.xml");
    assert_eq!(created["voice_method"], "POST");
    assert_eq!(
        created["password"],
        ha1_md5("bob", "one.example", "RestComm1234")
    );
    assert!(created.get("voice_application_sid").is_none());
    let again = server
        .post(&who, &list, "Login=bob&Password=RestComm9999")
        .await
        .json();
    assert_eq!(again, created);
    assert_eq!(server.get(&who, &list).await.column("", "login"), ["bob"]);

    let path = format!("/Accounts/{dev}/Clients/{sid}.json");
    server
        .put(&who, &path, "Password=RestComm1234RestComm1234")
        .await
        .is(200);
    let stored = server
        .store
        .client_of_login("bob", "one.example")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        stored.ha1_sha256,
        ha1_sha256("bob", "one.example", "RestComm1234RestComm1234")
    );
    let form = "Status=0&VoiceUrl=&VoiceMethod=get&FriendlyName=Bob&Login=eve";
    let changed = server.post(&who, &path, form).await.json();
    assert_eq!(changed["status"], "0");
    assert_eq!(changed["voice_method"], "GET");
    assert_eq!(
        (&changed["friendly_name"], &changed["login"]),
        (&"Bob".into(), &"bob".into())
    );
    assert!(changed.get("voice_url").is_none());
    let stored = server
        .store
        .client_of_login("bob", "one.example")
        .await
        .unwrap()
        .unwrap();
    assert!(!stored.enabled, "the look-up sees the change");
    server.delete(&who, &path).await.is(200);
    server.delete(&who, &path).await.is(404);
    server.put(&who, &path, "Status=1").await.is(404);
    server
        .get(&who, &path.replace(&sid, "nonsense"))
        .await
        .is(404);
}

#[tokio::test]
async fn bad_clients_are_refused_by_name() {
    let server = Server::start().await;
    let who = server.admin();
    let list = format!("/Accounts/{}/Clients.json", server.admin);
    let good = "Password=RestComm1234&Login=";
    let table = [
        ("Login=bob&Password=1234".to_owned(), "weak"),
        (format!("{good}bob%40x"), "invalid"),
        (format!("{good}bob%3Fx"), "invalid"),
        (format!("{good}bob%3Dx"), "invalid"),
        (format!("{good}bob%0D%0Ax"), "invalid"),
        ("Login=bob".to_owned(), "Password"),
        ("Password=RestComm1234".to_owned(), "Login"),
        (
            format!("{good}bob&VoiceUrl=javascript%3Aalert(1)"),
            "VoiceUrl",
        ),
        (format!("{good}bob&VoiceMethod=PATCH"), "VoiceMethod"),
        (
            format!("{good}bob&VoiceApplicationSid=AP1"),
            "VoiceApplicationSid",
        ),
        (format!("{good}bob&Status=on"), "Status"),
    ];
    for (form, word) in table {
        let answer = server.post(&who, &list, &form).await;
        answer.is(400);
        assert!(answer.body.contains(word), "{form}: {}", answer.body);
    }
    assert_eq!(server.get(&who, &list).await.json(), serde_json::json!([]));
    // A new password must be as good as the first.
    let created = server.post(&who, &list, &format!("{good}bob")).await.json();
    let path = format!(
        "/Accounts/{}/Clients/{}.json",
        server.admin,
        created["sid"].as_str().unwrap()
    );
    let answer = server.put(&who, &path, "Password=1234").await;
    assert!(answer.status == 400 && answer.body.contains("weak"));
}

#[tokio::test]
async fn a_login_is_unique_in_its_organization() {
    let server = Server::start().await;
    let who = server.admin();
    let other = server.other_organization("two.example").await;
    server.account("p", server.admin).await;
    let form =
        format!("EmailAddress=far%40example.org&Password=RestComm12&OrganizationSid={other}");
    let far = server.post(&who, "/Accounts.json", &form).await.json();
    let far = far["sid"].as_str().unwrap();
    let form = "Login=bob&Password=RestComm1234";
    // Taken also in a sub-account, free in another organization.
    let (p, own) = (account_sid("p"), server.admin);
    server
        .post(&who, &format!("/Accounts/{own}/Clients"), form)
        .await
        .is(200);
    server
        .post(&who, &format!("/Accounts/{p}/Clients"), form)
        .await
        .is(409);
    let created = server
        .post(&who, &format!("/Accounts/{far}/Clients.json"), form)
        .await
        .json();
    assert_eq!(
        created["password"],
        ha1_md5("bob", "two.example", "RestComm1234")
    );
    // Through the path of an account other than its own.
    let path = format!(
        "/Accounts/{own}/Clients/{}",
        created["sid"].as_str().unwrap()
    );
    server.delete(&who, &path).await.is(404);
}

#[tokio::test]
async fn digests_are_shown_only_if_the_server_is_set_to() {
    for shows in [true, false] {
        let server = Server::with(|state| state.shows_digests = shows).await;
        let who = server.admin();
        let list = format!("/Accounts/{}/Clients", server.admin);
        let form = "Login=bob&Password=RestComm1234";
        let created = server.post(&who, &format!("{list}.json"), form).await;
        let item = created.json()["sid"].as_str().unwrap().to_owned();
        let digest = ha1_md5("bob", "one.example", "RestComm1234");
        let shown = [
            created,
            server.get(&who, &format!("{list}.json")).await,
            server.get(&who, &list).await,
            server.get(&who, &format!("{list}/{item}")).await,
            server.get(&who, &format!("/2010-04-01{list}.json")).await,
        ];
        for answer in shown {
            assert_eq!(answer.body.contains(&digest), shows, "{}", answer.body);
        }
    }
}
