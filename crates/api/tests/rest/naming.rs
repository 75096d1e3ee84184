//! Who owns a name, a number or an application: two accounts side by side below the top account.

use crate::server::{Answer, Credentials, Server, account_sid, of};
use model::AccountStatus;

const LOGIN: &str = "Password=RestComm12&Login=";

/// A server with the accounts `a` and `b`, Developers below the top account.
async fn two_accounts() -> Server {
    let server = Server::start().await;
    for name in ["a", "b"] {
        let admin = Some(server.admin);
        server
            .account_with(name, admin, "Developer", AccountStatus::Active)
            .await;
    }
    server
}

async fn client(server: &Server, who: &Credentials, of: &str, login: &str) -> Answer {
    let path = format!("/Accounts/{}/Clients.json", account_sid(of));
    let form = format!("{LOGIN}{}", login.replace('+', "%2B"));
    server.post(who, &path, &form).await
}

async fn number(server: &Server, who: &Credentials, of: &str, number: &str) -> Answer {
    let path = format!("/Accounts/{}/IncomingPhoneNumbers.json", account_sid(of));
    let form = format!("isSIP=true&PhoneNumber={}", number.replace('+', "%2B"));
    server.post(who, &path, &form).await
}

#[tokio::test]
async fn no_account_takes_a_number_of_another_as_a_login() {
    let server = two_accounts().await;
    number(&server, &of("b"), "b", "+12025551111").await.is(200);
    number(&server, &of("b"), "b", "1001").await.is(200);
    let table = [
        ("+12025551111", 409),
        ("12025551111", 409),
        ("0012025551111", 400),
        ("1001", 409),
        // Belongs to no account, and is not an extension.
        ("+12025552222", 400),
        ("5552222", 400),
        ("*77", 400),
        ("1002", 200),
        ("kim", 200),
    ];
    for (login, status) in table {
        let answer = client(&server, &of("a"), "a", login).await;
        assert_eq!(answer.status, status, "{login}: {}", answer.body);
    }
    // Its own number is a login like any other, and the operator decides for the whole server.
    client(&server, &of("b"), "b", "12025551111").await.is(200);
    let admin = server.admin();
    let path = format!("/Accounts/{}/Clients.json", server.admin);
    server
        .post(&admin, &path, &format!("{LOGIN}5553333"))
        .await
        .is(200);
}

#[tokio::test]
async fn a_number_of_another_organization_permits_no_login_that_is_an_emergency_number() {
    let server = two_accounts().await;
    let admin = server.admin();
    let there = server.other_organization("two.example").await;
    let form = format!("EmailAddress=x%40two.example&Password=RestComm12&OrganizationSid={there}");
    let made = server.post(&admin, "/Accounts.json", &form).await.json();
    let numbers = format!(
        "/Accounts/{}/IncomingPhoneNumbers.json",
        made["sid"].as_str().unwrap()
    );
    for text in ["112", "+12025553333"] {
        let form = format!("isSIP=true&PhoneNumber={}", text.replace('+', "%2B"));
        server.post(&admin, &numbers, &form).await.is(200);
    }
    client(&server, &of("a"), "a", "112").await.is(400);
    client(&server, &of("a"), "a", "+12025553333").await.is(409);
    for spelling in ["112", "%2B112"] {
        let refused = number(&server, &of("a"), "a", spelling).await;
        refused.is(400);
        assert!(refused.body.contains("emergency"), "{}", refused.body);
    }
}

#[tokio::test]
async fn a_number_stays_while_a_client_is_named_after_it() {
    let server = two_accounts().await;
    let made = number(&server, &of("a"), "a", "%2B12025550199").await;
    let number = made.json()["sid"].as_str().unwrap().to_owned();
    let made = client(&server, &of("a"), "a", "%2B12025550199").await;
    let client = made.json()["sid"].as_str().unwrap().to_owned();
    let account = made.json()["account_sid"].as_str().unwrap().to_owned();
    let number = format!("/Accounts/{account}/IncomingPhoneNumbers/{number}.json");
    let client = format!("/Accounts/{account}/Clients/{client}.json");
    let refused = server.delete(&of("a"), &number).await;
    refused.is(409);
    assert!(
        refused.body.contains("named after this number"),
        "{}",
        refused.body
    );
    assert!(server.delete(&of("a"), &client).await.status.is_success());
    assert!(server.delete(&of("a"), &number).await.status.is_success());
}

#[tokio::test]
async fn no_account_takes_a_login_of_another_as_a_number() {
    let server = two_accounts().await;
    client(&server, &of("b"), "b", "1001").await.is(200);
    for phone_number in ["1001", "%2B1001"] {
        let answer = number(&server, &of("a"), "a", phone_number).await;
        assert!(answer.body.contains("21452"), "{}", answer.body);
    }
    number(&server, &of("b"), "b", "1001").await.is(200);
}

#[tokio::test]
async fn no_account_takes_a_number_of_another_in_another_spelling() {
    let server = two_accounts().await;
    number(&server, &of("b"), "b", "+12025550100").await.is(200);
    for spelling in [
        "+12025550100",
        "12025550100",
        "0012025550100",
        "+1-202-555-0100",
    ] {
        let answer = number(&server, &of("a"), "a", spelling).await;
        assert!(answer.body.contains("21452"), "{spelling}: {}", answer.body);
    }
    // As dialled, whatever visual separators it is written with.
    let made = number(&server, &of("a"), "a", "+1(202)555-0101").await;
    assert_eq!(made.json()["phone_number"], "+12025550101");
}

#[tokio::test]
async fn of_two_accounts_that_ask_at_once_one_gets_the_number() {
    let server = two_accounts().await;
    let (a, b) = (of("a"), of("b"));
    for n in 0..20 {
        let (plain, plus) = (format!("1202555{n:04}"), format!("+1202555{n:04}"));
        let both = tokio::join!(
            number(&server, &a, "a", &plain),
            number(&server, &b, "b", &plus)
        );
        let refused = one_refused([both.0, both.1]);
        assert_eq!(refused.error()["code"], 21452, "{}", refused.body);
        let text = "This number, or another spelling of it, belongs to another account.";
        assert_eq!(refused.error()["message"], text);
    }
}

#[tokio::test]
async fn of_a_number_and_a_login_that_are_asked_for_at_once_one_is_made() {
    let server = two_accounts().await;
    let (a, b) = (of("a"), of("b"));
    for n in 1000..1020 {
        let text = n.to_string();
        let both = tokio::join!(
            client(&server, &a, "a", &text),
            number(&server, &b, "b", &text)
        );
        let refused = one_refused([both.0, both.1]);
        let is_refusal = refused.status == 400 || refused.status == 409;
        assert!(is_refusal, "{}", refused.body);
    }
}

fn one_refused(answers: [Answer; 2]) -> Answer {
    let (made, mut refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((made.len(), refused.len()), (1, 1), "one of two is made");
    refused.remove(0)
}

#[tokio::test]
async fn an_account_that_is_named_like_a_number_gets_no_client() {
    let server = two_accounts().await;
    number(&server, &of("b"), "b", "+12025551112").await.is(200);
    for email in [
        "%2B12025551112%40evil.example",
        "12025551112%40evil.example",
    ] {
        let form = format!("EmailAddress={email}&Password=RestComm12");
        let made = server.post(&server.admin(), "/Accounts.json", &form).await;
        let sid = made.json()["sid"].as_str().unwrap().to_owned();
        let path = format!("/Accounts/{sid}/Clients.json");
        let clients = server.get(&server.admin(), &path).await;
        clients.is(200);
        assert!(!clients.body.contains("12025551112"), "{}", clients.body);
    }
}

#[tokio::test]
async fn patterns_belong_to_the_top_account() {
    let server = two_accounts().await;
    for pattern in ["*", ".*", "+1202555[0-9]+", "^12"] {
        let answer = number(&server, &of("a"), "a", pattern).await;
        assert_eq!(answer.status, 400, "{pattern}: {}", answer.body);
    }
    let path = format!("/Accounts/{}/IncomingPhoneNumbers.json", server.admin);
    server
        .post(&server.admin(), &path, "isSIP=true&PhoneNumber=*")
        .await
        .is(200);
}

#[tokio::test]
async fn an_application_is_used_by_its_account_or_set_by_its_owner() {
    let server = two_accounts().await;
    let path = format!("/Accounts/{}/Applications.json", account_sid("b"));
    let made = server
        .post(&of("b"), &path, "FriendlyName=secretname")
        .await
        .json();
    let sid = made["sid"].as_str().unwrap();
    let top = format!("/Accounts/{}/Applications.json", server.admin);
    let made = server
        .post(&server.admin(), &top, "FriendlyName=shared")
        .await
        .json();
    let shared = made["sid"].as_str().unwrap();
    let numbers = format!("/Accounts/{}/IncomingPhoneNumbers", account_sid("a"));
    for name in [
        "VoiceApplicationSid",
        "SmsApplicationSid",
        "UssdApplicationSid",
        "ReferApplicationSid",
    ] {
        for other in [sid, shared] {
            let form = format!("isSIP=true&PhoneNumber=2001&{name}={other}");
            let answer = server
                .post(&of("a"), &format!("{numbers}.json"), &form)
                .await;
            assert_eq!(answer.status, 400, "{name}: {}", answer.body);
            assert!(answer.body.contains(name), "{}", answer.body);
        }
    }
    let made = number(&server, &of("a"), "a", "2001").await.json();
    let one = format!("{numbers}/{}.json", made["sid"].as_str().unwrap());
    let uses = |sid| format!("VoiceApplicationSid={sid}");
    server.post(&of("a"), &one, &uses(sid)).await.is(400);
    // The owner of an application, if it is above the account, may set it there.
    server
        .post(&server.admin(), &one, &uses(shared))
        .await
        .is(200);
    // Its name is visible only to the owner; the account can change the rest of its number.
    let answer = server.post(&of("a"), &one, "FriendlyName=mine").await;
    answer.is(200);
    // The same for a call.
    let calls = format!("/Accounts/{}/Calls.json", account_sid("a"));
    let form = format!("/Accounts/{}/Applications/{shared}.json", server.admin);
    let addressed = server
        .post(&server.admin(), &form, "RcmlUrl=http://a/app")
        .await;
    addressed.is(200);
    let call = format!("From=a&To=b&ApplicationSid={shared}");
    server.post(&server.admin(), &calls, &call).await.is(200);
    server.post(&of("a"), &calls, &call).await.is(400);
    let list = server.get(&of("a"), &format!("{numbers}.json")).await;
    assert!(!list.body.contains("shared"), "{}", list.body);
    let login = format!("{LOGIN}kim&VoiceApplicationSid={sid}");
    let clients = format!("/Accounts/{}/Clients.json", account_sid("a"));
    server.post(&of("a"), &clients, &login).await.is(400);
}

#[tokio::test]
async fn an_account_whose_address_begins_with_no_valid_login_gets_no_client() {
    let server = Server::start().await;
    let admin = server.admin();
    let form = |local: &str| format!("EmailAddress={local}%40a.example&Password=RestComm12");
    let longest = "a".repeat(64);
    for (local, has_client) in [(&*longest, true), ("5552222", false)] {
        let form = form(local);
        let made = server.post(&admin, "/Accounts.json", &form).await.json();
        let made = made["sid"].as_str().unwrap();
        let found = server.store.client_of_login(local, "one.example").await;
        let found = found.unwrap().map(|client| client.account.to_string());
        assert_eq!(found.as_deref(), Some(made).filter(|_| has_client));
    }
    // No address is longer there than a login may be.
    let too_long = server
        .post(&admin, "/Accounts.json", &form(&"a".repeat(65)))
        .await;
    too_long.is(400);
}
