//! Profiles: who may see and change them, what they are linked to, and what they limit.

use http::StatusCode;
use model::AccountStatus;
use model::profile::DEFAULT_SID;

use crate::server::{Answer, Credentials, Server, account_sid, of};

const JSON: (&str, &str) = ("content-type", "application/json");

/// Sends a document.
async fn send(server: &Server, method: &str, who: &Credentials, path: &str, text: &str) -> Answer {
    server.ask(method, Some(who), path, &[JSON], text).await
}

/// Creates a profile and returns its path.
async fn create(server: &Server, text: &str) -> String {
    let made = send(server, "POST", &server.admin(), "/Profiles", text).await;
    made.is(201);
    assert_eq!(made.body, text);
    let place = made.headers["location"].to_str().unwrap();
    let sid = place.rsplit('/').next().unwrap();
    assert!(sid.starts_with("PR") && sid.len() == 34, "{place}");
    assert!(place.starts_with("http://pbx.example:8080/restcomm/2012-04-24/Profiles/"));
    format!("/Profiles/{sid}")
}

/// Sends LINK or UNLINK.
async fn link(server: &Server, method: &str, profile: &str, target: &str) -> Answer {
    let link = format!("<http://pbx.example/restcomm/2012-04-24/{target}>; rel=\"related\"");
    let headers = [("link", link.as_str())];
    let who = server.admin();
    server.ask(method, Some(&who), profile, &headers, "").await
}

/// The path of the profile that an account or organization shows.
async fn profile_of(server: &Server, path: &str) -> String {
    let answer = server.get(&server.admin(), path).await;
    answer.is(200);
    let link = answer.headers["link"].to_str().unwrap();
    assert!(
        link.ends_with(">; rel=\"related\"; title=\"Profiles\""),
        "{link}"
    );
    let at = link.find("/Profiles/").unwrap();
    link[at..link.find('>').unwrap()].to_owned()
}

fn default_path() -> String {
    format!("/Profiles/{DEFAULT_SID}")
}

/// Cases 250 to 252, 254, 256 and 264.
#[tokio::test]
async fn profiles_are_created_read_and_listed() {
    let server = Server::start().await;
    let who = server.admin();
    let standard = server.get(&who, &default_path()).await;
    assert!(standard.json()["featureEnablement"].is_object());
    assert_eq!(
        DEFAULT_SID.to_string(),
        "PRae6e420f425248d6a26948c17a9e2acf"
    );
    let text = "{ \"featureEnablement\": {\n \"DIDPurchase\": {\"allowedCountries\": [\"US\"]}}}";
    let path = create(&server, text).await;
    let listed = server.get(&who, "/Profiles").await;
    assert_eq!(listed.column("", "sid").len(), 2);
    assert!(listed.column("", "uri")[1].ends_with(&path));
    let read = server.get(&who, &path).await;
    assert_eq!(read.body, text);
    assert_eq!(read.headers["content-type"], "application/instance+json");
    assert!(
        read.headers["last-modified"]
            .to_str()
            .unwrap()
            .ends_with(" GMT")
    );
    let described = read.headers["link"].to_str().unwrap().to_owned();
    let schema = "/Profiles/schemas/rc-profile-schema.json";
    assert!(
        described.ends_with(&format!("{schema}>; rel=\"describedby\"")),
        "{described}"
    );
    for (path, status) in [
        ("/Profiles/PR00000000000000000000000000000000", 404),
        ("/Profiles/x", 404),
        (schema, 200),
        ("/Profiles/schemas/other.json", 404),
    ] {
        server.get(&who, path).await.is(status);
    }
    let schema = server.get(&of_developer(&server).await, schema).await;
    assert_eq!(schema.headers["content-type"], "application/schema+json");
    assert_eq!(schema.json()["type"], "object");
    for bad in [
        "{\"featureEnablement\":{\"DIDPurchase\":{\"allowedCountries\":[\"usa\"]}}}",
        "{",
        "",
        "[]",
    ] {
        let refused = send(&server, "POST", &who, "/Profiles", bad).await;
        refused.is(400);
        assert_eq!(refused.error()["code"], 21_100);
    }
    server.post(&who, "/Profiles", "a=b").await.is(415);
    let odd = send(&server, "POST", &who, "/Profiles", "{\"other\":1}").await;
    odd.is(201);
    let warning = odd.headers["patchcord-warning"].to_str().unwrap();
    assert!(warning.contains("other: it has no effect"), "{warning}");
}

async fn of_developer(server: &Server) -> Credentials {
    let admin = Some(server.admin);
    let status = AccountStatus::Active;
    server.account_with("dev", admin, "Developer", status).await;
    of("dev")
}

/// Cases 255, 257, 258 and 262.
#[tokio::test]
async fn a_profile_is_replaced_and_deleted_except_the_default_one() {
    let server = Server::start().await;
    let who = server.admin();
    let path = create(&server, "{}").await;
    let account = format!("Accounts/{}", server.admin);
    link(&server, "LINK", &path, &account).await.is(200);
    let new = "{\"sessionThrottling\":{}}";
    let replaced = send(&server, "PUT", &who, &path, new).await;
    replaced.is(200);
    assert_eq!(replaced.body, new);
    assert_eq!(server.get(&who, &path).await.body, new);
    let target = format!("<http://h/{account}>; rel=\"related\"");
    let unlink = ("x-http-method-override", "UNLINK");
    let headers = [unlink, ("link", target.as_str())];
    server
        .ask("PUT", Some(&who), &path, &headers, "")
        .await
        .is(200);
    assert_eq!(
        server.get(&who, &path).await.body,
        new,
        "it was not replaced"
    );
    assert_eq!(
        profile_of(&server, &format!("/{account}")).await,
        default_path()
    );

    link(&server, "LINK", &path, &account).await.is(200);
    assert_eq!(profile_of(&server, &format!("/{account}")).await, path);
    server.delete(&who, &path).await.is(200);
    server.get(&who, &path).await.is(404);
    server.delete(&who, &path).await.is(404);
    send(&server, "PUT", &who, &path, "{}").await.is(404);
    assert_eq!(
        profile_of(&server, &format!("/{account}")).await,
        default_path()
    );
    send(&server, "PUT", &who, &default_path(), "{}")
        .await
        .is(403);
    server.delete(&who, &default_path()).await.is(403);
}

/// Cases 253 and 257, for every role.
#[tokio::test]
async fn others_read_the_profile_that_applies_to_them() {
    let server = Server::start().await;
    let path = create(&server, "{}").await;
    let dev = of_developer(&server).await;
    server.account("adm", server.admin).await;
    let account = format!("Accounts/{}", account_sid("adm"));
    link(&server, "LINK", &path, &account).await.is(200);
    let (adm, unknown) = (of("adm"), "/Profiles/PR00000000000000000000000000000000");
    for (who, path, status) in [
        (&adm, path.as_str(), 200),
        (&adm, &default_path(), 403),
        (&dev, &default_path(), 200),
        (&dev, path.as_str(), 403),
        (&adm, unknown, 403),
    ] {
        server.get(who, path).await.is(status);
    }
    // What it is linked to is not for others.
    let links = server.get(&adm, &path).await;
    assert_eq!(links.headers.get_all("link").iter().count(), 1);
    let all = server.get(&server.admin(), &path).await;
    let found: Vec<_> = all.headers.get_all("link").iter().collect();
    assert_eq!(found.len(), 2);
    assert!(found[0].to_str().unwrap().contains(&account));
    for who in [&adm, &dev] {
        server.get(who, "/Profiles").await.is(403);
        send(&server, "POST", who, "/Profiles", "{}").await.is(403);
        send(&server, "PUT", who, &path, "{}").await.is(403);
        server.delete(who, &path).await.is(403);
        for method in ["LINK", "UNLINK"] {
            let target = format!("<http://h/{account}>; rel=\"related\"");
            let headers = [("link", target.as_str())];
            server
                .ask(method, Some(who), &path, &headers, "")
                .await
                .is(403);
        }
    }
    server
        .get(&server.admin(), "/2010-04-01/Profiles")
        .await
        .is(404);
}

/// Cases 103, 259 to 261 and 263.
#[tokio::test]
async fn the_nearest_linked_profile_applies() {
    let server = Server::start().await;
    let p = server.account("p", server.admin).await;
    server.account("a", p).await;
    let organization = format!("Organizations/{}", server.organization);
    let [one, two, three] = [
        create(&server, "{}").await,
        create(&server, "{}").await,
        create(&server, "{}").await,
    ];
    let account = |name| format!("Accounts/{}", account_sid(name));
    let shown = async |target: &str| profile_of(&server, &format!("/{target}")).await;
    assert_eq!(shown(&account("a")).await, default_path());
    assert_eq!(shown(&organization).await, default_path());
    link(&server, "LINK", &one, &organization).await.is(200);
    assert_eq!(shown(&organization).await, one);
    assert_eq!(shown(&account("a")).await, one);
    link(&server, "LINK", &two, &account("p")).await.is(200);
    assert_eq!(shown(&account("a")).await, two);
    link(&server, "LINK", &three, &account("a")).await.is(200);
    link(&server, "LINK", &three, &account("a")).await.is(200);
    assert_eq!(shown(&account("a")).await, three);
    // Another link replaces it; the default profile can be linked too.
    link(&server, "LINK", &one, &account("a")).await.is(200);
    assert_eq!(shown(&account("a")).await, one);
    link(&server, "LINK", &default_path(), &account("a"))
        .await
        .is(200);
    assert_eq!(shown(&account("a")).await, default_path());
    // A link that is not there can be removed; others stay.
    link(&server, "UNLINK", &one, &account("a")).await.is(200);
    assert_eq!(shown(&account("a")).await, default_path());
    link(&server, "UNLINK", &default_path(), &account("a"))
        .await
        .is(200);
    assert_eq!(shown(&account("a")).await, two);
    link(&server, "UNLINK", &one, &organization).await.is(200);
    assert_eq!(shown(&organization).await, default_path());

    let unknown = "Accounts/AC00000000000000000000000000000000";
    link(&server, "LINK", &one, unknown).await.is(404);
    let unknown = "Organizations/OR00000000000000000000000000000000";
    link(&server, "LINK", &one, unknown).await.is(404);
    let none = "/Profiles/PR00000000000000000000000000000000";
    link(&server, "LINK", none, &organization).await.is(404);
    link(&server, "LINK", &one, "Clients/x").await.is(400);
    let who = server.admin();
    server.ask("LINK", Some(&who), &one, &[], "").await.is(400);
    // Twilio's accounts have no such header.
    let twilio = format!("/2010-04-01/Accounts/{}.json", server.admin);
    assert!(!server.get(&who, &twilio).await.headers.contains_key("link"));
    // A closed account loses its profile.
    let closing = format!("/{}", account("p"));
    server.post(&who, &closing, "Status=closed").await.is(200);
    assert_eq!(shown(&account("a")).await, default_path());
}

#[tokio::test]
async fn sub_accounts_are_limited() {
    let server = Server::start().await;
    let who = server.admin();
    let text = "{\"featureEnablement\":{\"subaccountsCreation\":{\"limit\":1}}}";
    let path = create(&server, text).await;
    let p = server.account("p", server.admin).await;
    link(&server, "LINK", &path, &format!("Accounts/{p}"))
        .await
        .is(200);
    let form = |name: &str| format!("EmailAddress={name}%40example.org&Password=RestComm12");
    let made = server
        .post(&of("p"), "/Accounts.json", &form("one"))
        .await
        .json();
    let refused = server.post(&of("p"), "/Accounts.json", &form("two")).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(refused.error()["code"], 20_030);
    assert!(
        refused.body.contains(path.rsplit('/').next().unwrap()),
        "{}",
        refused.body
    );
    // Closed accounts do not count.
    let one = format!("/Accounts/{}", made["sid"].as_str().unwrap());
    server.post(&who, &one, "Status=closed").await.is(200);
    server
        .post(&of("p"), "/Accounts.json", &form("two"))
        .await
        .is(200);
}
