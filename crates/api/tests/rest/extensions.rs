//! `/ExtensionsConfiguration`: configurations are stored and shown.

use model::AccountStatus;

use crate::server::{Server, of};

const LIST: &str = "/ExtensionsConfiguration.json";
const DATA: &str = "{\"outbound-voice\": [ {\"proxy\":[]} ]}";

fn form(name: &str, data: &str) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("ExtensionName", name);
    form.append_pair("ConfigurationData", data);
    form.append_pair("Enabled", "true");
    form.finish()
}

/// Cases 271 and 272.
#[tokio::test]
async fn a_configuration_is_stored_and_changed() {
    let server = Server::start().await;
    let who = server.admin();
    let made = server.post(&who, LIST, &form("routing", DATA)).await;
    let warning = made.headers["patchcord-warning"].to_str().unwrap();
    assert!(warning.contains("has no effect"), "{warning}");
    let made = made.json();
    let sid = made["sid"].as_str().unwrap();
    assert!(sid.starts_with("EX") && sid.len() == 34, "{sid}");
    assert_eq!(made["configuration type"], "JSON");
    let by_name = server
        .get(&who, "/ExtensionsConfiguration.json/routing")
        .await;
    assert_eq!(by_name.json()["configuration"], DATA);
    assert_eq!(by_name.json()["enabled"], true);
    let path = format!("/ExtensionsConfiguration.json/{sid}");
    assert_eq!(server.get(&who, &path).await.body, by_name.body);
    // An existing name is shown unchanged.
    let again = server.post(&who, LIST, &form("routing", "{}")).await.json();
    assert_eq!(again["configuration"], DATA);
    let changed = server
        .post(&who, &path, &form("routing", "{\"a\":1}"))
        .await;
    assert_eq!(changed.json()["configuration"], "{\"a\":1}");
    assert_eq!(
        server.get(&who, &path).await.json()["configuration"],
        "{\"a\":1}"
    );
}

#[tokio::test]
async fn an_account_may_have_a_configuration_of_its_own() {
    let server = Server::start().await;
    let who = server.admin();
    let p = server.account("p", server.admin).await;
    let general = server.post(&who, LIST, &form("routing", "{}")).await.json();
    let own = format!("{}&AccountSid={p}", form("routing", "[1]"));
    let own = server.post(&who, LIST, &own).await.json();
    assert_ne!(own["sid"], general["sid"]);
    let sid = general["sid"].as_str().unwrap();
    for (path, data) in [
        ("routing".to_owned(), "{}"),
        (format!("routing?AccountSid={p}"), "[1]"),
        (format!("{sid}?AccountSid={p}"), "[1]"),
        (sid.to_owned(), "{}"),
    ] {
        let path = format!("/ExtensionsConfiguration.json/{path}");
        let found = server.get(&who, &path).await.json();
        assert_eq!(found["configuration"], data, "{path}");
    }
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused() {
    let server = Server::start().await;
    let who = server.admin();
    let made = server.post(&who, LIST, &form("routing", "{}")).await.json();
    let path = format!("/ExtensionsConfiguration/{}", made["sid"].as_str().unwrap());
    let unknown = "/ExtensionsConfiguration/EX00000000000000000000000000000000";
    let xml = "/ExtensionsConfiguration";
    for (path, form, status) in [
        (LIST, "ExtensionName=x".to_owned(), 400),
        (LIST, "ConfigurationData={}".to_owned(), 400),
        (LIST, form("x", "{"), 406),
        (
            LIST,
            format!(
                "{}&AccountSid=AC00000000000000000000000000000000",
                form("x", "{}")
            ),
            400,
        ),
        // Without `.json`, the response is XML, and so is the configuration.
        (xml, form("x", "{}"), 406),
        (xml, form("x", "<a>"), 406),
        (xml, form("x", "<a/>"), 200),
        (path.as_str(), form("routing", "<a/>"), 200),
        (path.as_str(), form("routing", "{}"), 406),
        (path.as_str(), form("other", "<a/>"), 400),
        ("/ExtensionsConfiguration/x", form("x", "<a/>"), 400),
        (unknown, form("x", "<a/>"), 404),
    ] {
        let answer = server.post(&who, path, &form).await;
        assert_eq!(answer.status, status, "{path} {form}: {}", answer.body);
    }
    server.get(&who, unknown).await.is(404);
    server
        .get(&who, "/ExtensionsConfiguration/none")
        .await
        .is(404);
}

/// The part of case 267 about extensions.
#[tokio::test]
async fn extensions_are_for_the_top_account_only() {
    let server = Server::start().await;
    server.account("adm", server.admin).await;
    let (admin, status) = (Some(server.admin), AccountStatus::Active);
    server.account_with("dev", admin, "Developer", status).await;
    server
        .post(&server.admin(), LIST, &form("routing", "{}"))
        .await
        .is(200);
    for name in ["adm", "dev"] {
        let who = of(name);
        server.post(&who, LIST, &form("x", "{}")).await.is(403);
        server
            .get(&who, "/ExtensionsConfiguration/routing")
            .await
            .is(403);
        server
            .post(&who, "/ExtensionsConfiguration/routing", "")
            .await
            .is(403);
    }
}
