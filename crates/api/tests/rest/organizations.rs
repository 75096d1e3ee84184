//! Organizations: who may see and change them, and what moves between them.

use model::AccountStatus;

use crate::server::{Server, account_sid, of};

/// The domains in a list of organizations.
async fn domains(server: &Server, path: &str) -> Vec<String> {
    let answer = server.get(&server.admin(), path).await;
    answer.column("", "domain_name")
}

/// Cases 244, 245 and 248.
#[tokio::test]
async fn the_top_account_sees_every_organization() {
    let server = Server::start().await;
    let who = server.admin();
    let two = server.other_organization("two.example").await;
    let three = server.other_organization("three.example").await;
    for sid in [server.organization, two, three] {
        let one = server
            .get(&who, &format!("/Organizations.json/{sid}"))
            .await;
        assert_eq!(one.json()["sid"], sid.to_string());
    }
    let all = ["one.example", "three.example", "two.example"];
    let mut found = domains(&server, "/Organizations.json").await;
    found.sort_unstable();
    assert_eq!(found, all);
    let path = format!("/Organizations/{three}");
    let closed = server
        .post(&who, &format!("{path}.json"), "Status=Closed")
        .await;
    assert_eq!(closed.json()["status"], "closed");
    assert_eq!(
        domains(&server, "/Organizations.json?Status=closed").await,
        ["three.example"]
    );
    let active = domains(&server, "/Organizations.json?Status=ACTIVE").await;
    assert_eq!(active.len(), 2, "{active:?}");
    server.post(&who, &path, "Status=active").await.is(200);
    server
        .get(&who, "/Organizations?Status=closed")
        .await
        .is(404);
    server.get(&who, "/Organizations?Status=open").await.is(400);
    server.get(&who, "/Organizations/OR1").await.is(400);
    let unknown = "/Organizations/OR00000000000000000000000000000000";
    server.get(&who, unknown).await.is(404);
    server.post(&who, unknown, "Status=closed").await.is(404);
    server.post(&who, &path, "").await.is(400);
    let xml = server.get(&who, &path).await.body;
    let inner = "<Organization><Sid>OR";
    assert!(
        xml.contains(inner) && xml.contains("<DomainName>three.example</DomainName>"),
        "{xml}"
    );
}

/// Cases 246 and 247, and `Organizations` for every role.
#[tokio::test]
async fn others_see_their_own_organization_or_none() {
    let server = Server::start().await;
    let two = server.other_organization("two.example").await;
    let (own, other) = (
        format!("/Organizations/{}", server.organization),
        format!("/Organizations/{two}"),
    );
    let unknown = "/Organizations/OR00000000000000000000000000000000".to_owned();
    for (name, role, sees_own) in [
        ("adm", "Administrator", true),
        ("dev", "Developer", false),
        ("guest", "Guest", false),
    ] {
        let admin = Some(server.admin);
        server
            .account_with(name, admin, role, AccountStatus::Active)
            .await;
        let who = of(name);
        let status = if sees_own { 200 } else { 403 };
        server.get(&who, &own).await.is(status);
        // One that does not exist is not told from one of others.
        let refused = server.get(&who, &other).await;
        refused.is(403);
        assert_eq!(server.get(&who, &unknown).await.body, refused.body);
        server.get(&who, "/Organizations").await.is(403);
        server.put(&who, "/Organizations/mine", "").await.is(403);
        server.post(&who, &own, "Status=closed").await.is(403);
    }
}

/// Case 249.
#[tokio::test]
async fn an_organization_is_created_by_its_domain() {
    let server = Server::start().await;
    let who = server.admin();
    let made = server.put(&who, "/Organizations.json/NewDomain", "").await;
    let made = made.json();
    assert_eq!(made["domain_name"], "newdomain");
    assert_eq!(made["status"], "active");
    assert!(made["sid"].as_str().unwrap().starts_with("OR"));
    server
        .put(&who, "/Organizations/newdomain", "")
        .await
        .is(409);
    server
        .put(&who, "/Organizations/one.example", "")
        .await
        .is(409);
    for bad in [
        "a_b",
        "a..b",
        "127.0.0.1",
        "localhost",
        "two.example%3A5060",
    ] {
        let answer = server.put(&who, &format!("/Organizations/{bad}"), "").await;
        answer.is(400);
    }
    // Nothing is created in the name server: the parameter is reported.
    let form = "HostedZoneId=Z1";
    let answer = server.put(&who, "/Organizations/b.example", form).await;
    answer.is(200);
    let warning = answer.headers["patchcord-warning"].to_str().unwrap();
    assert!(warning.contains("HostedZoneId"), "{warning}");
    // It exists only at the Restcomm base.
    server.get(&who, "/2010-04-01/Organizations").await.is(404);
}

#[tokio::test]
async fn an_organization_with_accounts_stays_open_and_a_closed_one_gets_none() {
    let server = Server::start().await;
    let who = server.admin();
    let two = server.other_organization("two.example").await;
    let path = format!("/Organizations/{two}");
    let form = |email: &str| {
        format!("EmailAddress={email}%40two.example&Password=RestComm12&OrganizationSid={two}")
    };
    let made = server.post(&who, "/Accounts.json", &form("a")).await.json();
    let own = format!("/Organizations/{}", server.organization);
    server.post(&who, &own, "Status=closed").await.is(409);
    server.post(&who, &path, "Status=closed").await.is(409);
    let account = format!("/Accounts/{}", made["sid"].as_str().unwrap());
    server.post(&who, &account, "Status=closed").await.is(200);
    server.post(&who, &path, "Status=closed").await.is(200);
    server
        .post(&who, "/Accounts.json", &form("b"))
        .await
        .is(409);
    server.account("p", server.admin).await;
    let moving = format!("/Accounts/migrate/{}", account_sid("p"));
    let to = format!("Organization={two}");
    server.post(&who, &moving, &to).await.is(409);
    server.post(&who, &path, "Status=active").await.is(200);
    server
        .post(&who, "/Accounts.json", &form("b"))
        .await
        .is(200);
    server.post(&who, &moving, &to).await.is(200);
}

/// The organization of an account.
async fn organization_of(server: &Server, name: &str) -> String {
    let path = format!("/Accounts.json/{}", account_sid(name));
    let account = server.get(&server.admin(), &path).await.json();
    account["organization"].as_str().unwrap().to_owned()
}

/// Cases 104 to 107.
#[tokio::test]
async fn an_account_moves_with_all_below_it() {
    let server = Server::start().await;
    let who = server.admin();
    let two = server.other_organization("two.example").await.to_string();
    let p = server.account("p", server.admin).await;
    let a = server.account("a", p).await;
    server.account("s", server.admin).await;
    let migrate = |sid| format!("/Accounts/migrate/{sid}");
    let to = format!("Organization={two}");
    // Only the top account, only what is directly below it, and only to another organization.
    server.post(&of("p"), &migrate(a), &to).await.is(403);
    server.post(&of("p"), &migrate(p), &to).await.is(403);
    server.post(&who, &migrate(a), &to).await.is(400);
    server.post(&who, &migrate(server.admin), &to).await.is(400);
    assert_eq!(
        organization_of(&server, "a").await,
        server.organization.to_string()
    );
    server.post(&who, &migrate(p), "").await.is(412);
    server
        .post(&who, &migrate(p), "Organization=none.example")
        .await
        .is(412);
    server
        .post(&who, &migrate(p), "Organization=one.example")
        .await
        .is(400);
    let unknown = "/Accounts/migrate/AC00000000000000000000000000000000";
    server.post(&who, unknown, &to).await.is(404);

    let login = "Login=kim&Password=RestComm12";
    let clients = format!("/Accounts/{a}/Clients");
    server.post(&who, &clients, login).await.is(200);
    let numbers = format!("/Accounts/{a}/IncomingPhoneNumbers");
    server
        .post(&who, &numbers, "PhoneNumber=1001&isSIP=true")
        .await
        .is(200);
    let moved = server
        .post(
            &who,
            &format!("{}.json", migrate(p)),
            "Organization=Two.Example",
        )
        .await;
    assert_eq!(moved.json()["organization"], two);
    let warning = moved.headers["patchcord-warning"].to_str().unwrap();
    assert!(
        warning.contains("1 clients") && warning.contains("two.example"),
        "{warning}"
    );
    assert_eq!(organization_of(&server, "a").await, two);
    assert_eq!(
        organization_of(&server, "s").await,
        server.organization.to_string()
    );
    // What it had is there, and free where it was.
    let two_sid = two.parse().unwrap();
    let found = server.store.client_in(two_sid, "kim").await.unwrap();
    assert_eq!(found.map(|client| client.account), Some(a));
    let left = server
        .store
        .client_in(server.organization, "kim")
        .await
        .unwrap();
    assert!(left.is_none());
    let clients = format!("/Accounts/{}/Clients", account_sid("s"));
    server.post(&who, &clients, login).await.is(200);
    let numbers = format!("/Accounts/{}/IncomingPhoneNumbers", account_sid("s"));
    server
        .post(&who, &numbers, "PhoneNumber=1001&isSIP=true")
        .await
        .is(200);
    // Back, both would have the login, then the extension.
    let back = "Organization=one.example";
    let refused = server.post(&who, &migrate(p), back).await;
    refused.is(409);
    assert!(refused.body.contains("the login"), "{}", refused.body);
    assert_eq!(organization_of(&server, "p").await, two);
    let clients = server.get(&who, &format!("{clients}.json")).await;
    let client = &clients.column("", "sid")[0];
    let client = format!("/Accounts/{}/Clients/{client}", account_sid("s"));
    server.delete(&who, &client).await.is(200);
    server.post(&who, &migrate(p), back).await.is(409);
    let still = server.store.client_in(two_sid, "kim").await.unwrap();
    assert!(still.is_some(), "a move happens as a whole or not at all");
}

/// Case 147.
#[tokio::test]
async fn numbers_move_alone() {
    let server = Server::start().await;
    let who = server.admin();
    let two = server.other_organization("two.example").await;
    let p = server.account("p", server.admin).await;
    let a = server.account("a", p).await;
    let numbers = format!("/Accounts/{a}/IncomingPhoneNumbers");
    let extension = "PhoneNumber=1001&isSIP=true";
    server.post(&who, &numbers, extension).await.is(200);
    let to = format!("OrganizationSid={two}");
    let migrate = |sid| format!("/Accounts/{sid}/IncomingPhoneNumbers/migrate");
    server.post(&of("p"), &migrate(p), &to).await.is(403);
    server.post(&who, &migrate(server.admin), &to).await.is(400);
    server.post(&who, &migrate(p), "").await.is(400);
    server
        .post(&who, &migrate(p), "OrganizationSid=x")
        .await
        .is(400);
    let unknown = "OrganizationSid=OR00000000000000000000000000000000";
    server.post(&who, &migrate(p), unknown).await.is(404);
    let nobody = "AC00000000000000000000000000000000".to_owned();
    server
        .post(&who, &migrate(nobody.parse().unwrap()), &to)
        .await
        .is(404);
    let moved = server.post(&who, &migrate(p), &to).await;
    moved.is(200);
    assert_eq!(moved.body, "");
    assert_eq!(
        organization_of(&server, "a").await,
        server.organization.to_string()
    );
    let spellings = ["1001".to_owned()];
    let found = server
        .store
        .number_candidates(Some(two), &spellings)
        .await
        .unwrap();
    assert_eq!(found.exact[0].organization, two);
    // The extension is free where it was, for others too.
    server.account("s", server.admin).await;
    let others = format!("/Accounts/{}/IncomingPhoneNumbers", account_sid("s"));
    server.post(&who, &others, extension).await.is(200);
    let back = format!("OrganizationSid={}", server.organization);
    server.post(&who, &migrate(p), &back).await.is(409);
}

/// A login that is a phone number needs that number, wherever it is.
#[tokio::test]
async fn a_number_that_a_login_needs_is_kept_also_in_another_organization() {
    let server = Server::start().await;
    let who = server.admin();
    let two = server.other_organization("two.example").await;
    let p = server.account("p", server.admin).await;
    let base = format!("/Accounts/{p}");
    let number = "PhoneNumber=%2B12025550100&isSIP=true";
    let made = server
        .post(&who, &format!("{base}/IncomingPhoneNumbers.json"), number)
        .await
        .json();
    let login = "Login=%2B12025550100&Password=RestComm12";
    server
        .post(&who, &format!("{base}/Clients"), login)
        .await
        .is(200);
    let to = format!("OrganizationSid={two}");
    let migrate = format!("{base}/IncomingPhoneNumbers/migrate");
    server.post(&who, &migrate, &to).await.is(200);
    let number = made["sid"].as_str().unwrap();
    let number = format!("{base}/IncomingPhoneNumbers/{number}");
    server.delete(&who, &number).await.is(409);
}
