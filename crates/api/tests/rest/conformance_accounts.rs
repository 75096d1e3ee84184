//! Conformance cases of credentials, representation, accounts and applications that no other module proves.

use model::record::Account;
use model::{AccountStatus, Timestamp};
use serde_json::Value;

use crate::server::{Server, account_sid, of};
use crate::tenancy::items;

/// Deviates: Restcomm serves them to everybody.
#[tokio::test]
async fn cases_014_to_016_files_of_recordings_need_credentials() {
    let server = Server::start().await;
    for (name, status) in [
        ("closed", AccountStatus::Closed),
        ("suspended", AccountStatus::Suspended),
    ] {
        server
            .account_with(name, Some(server.admin), "Administrator", status)
            .await;
    }
    let wrong = (server.admin.to_string(), "wrong".to_owned());
    let table = [
        (None, 401),
        (Some(wrong), 401),
        (Some(of("closed")), 403),
        (Some(of("suspended")), 403),
        (Some(server.admin()), 404),
    ];
    let unknown = format!("/Accounts/{}/Recordings/RE{}", server.admin, "0".repeat(32));
    for (who, status) in table {
        for suffix in ["", ".wav", ".mp4"] {
            let path = format!("{unknown}{suffix}");
            let answer = server.ask("GET", who.as_ref(), &path, &[], "").await;
            assert_eq!(answer.status, status, "{path}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn case_021_there_is_no_folder_of_sounds() {
    let server = Server::start().await;
    let path = format!("/restcomm/cache/{}/hello.wav", server.admin);
    for who in [None, Some(server.admin())] {
        let answer = server.ask("GET", who.as_ref(), &path, &[], "").await;
        assert_eq!(answer.status, 404);
    }
}

/// Whether a text has the form `Fri, 5 Jul 2013 22:15:53 +0000`.
fn is_date(text: &str) -> bool {
    const DAYS: &str = "Mon Tue Wed Thu Fri Sat Sun";
    const MONTHS: &str = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec";
    let is_of = |words: &str, word: &str| words.split(' ').any(|known| known == word);
    let digits =
        |text: &str, count| text.len() == count && text.chars().all(|c| c.is_ascii_digit());
    match text.split(' ').collect::<Vec<_>>()[..] {
        [weekday, day, month, year, time, zone] => {
            weekday
                .strip_suffix(',')
                .is_some_and(|day| is_of(DAYS, day))
                && !day.starts_with('0')
                && day.parse().is_ok_and(|day: u8| (1..=31).contains(&day))
                && is_of(MONTHS, month)
                && digits(year, 4)
                && time.split(':').all(|part| digits(part, 2))
                && time.split(':').count() == 3
                && digits(zone.trim_start_matches(['+', '-']), 4)
        }
        _ => false,
    }
}

#[tokio::test]
async fn case_030_dates_of_every_resource_are_in_english() {
    let server = Server::start().await;
    let who = server.admin();
    let p = server.account("p", server.admin).await;
    let mut shown = 0;
    let items = items(&server, p, 1).await;
    let items = items
        .iter()
        .map(|item| format!("/Accounts/{p}/{item}.json"));
    for path in items.chain([format!("/Accounts/{p}.json")]) {
        let json = server.get(&who, &path).await.json();
        for name in ["date_created", "date_updated"] {
            let Some(date) = json.get(name) else { continue };
            assert!(is_date(date.as_str().unwrap()), "{path} {name}: {date}");
            shown += 1;
        }
    }
    assert!(shown >= 12, "{shown}");
    // A day below ten has one digit.
    let early = Account {
        sid: account_sid("early"),
        email: "early@example.org".to_owned(),
        created: Timestamp(1_373_062_553_000_000),
        ..(*server.store.account(p).await.unwrap().unwrap()).clone()
    };
    server.store.insert_account(early, None).await.unwrap();
    let json = server
        .get(&who, "/Accounts.json/early@example.org")
        .await
        .json();
    assert_eq!(json["date_created"], "Fri, 5 Jul 2013 22:15:53 +0000");
}

#[tokio::test]
async fn case_031_nulls_are_absent_except_for_numbers() {
    let server = Server::start().await;
    let who = server.admin();
    let account = format!("/Accounts/{}", server.admin);
    let create = async |list: &str, form: &str| {
        let path = format!("{account}/{list}.json");
        server.post(&who, &path, form).await.json()
    };
    let application = create("Applications", "FriendlyName=x").await;
    let call = create("Calls", "From=a&To=b&Url=http://a/d").await;
    let call = call.as_array().map_or(&call, |legs| &legs[0]).clone();
    for (shown, absent) in [
        (&application, ["rcml_url", "kind"]),
        (&call, ["end_time", "answered_by"]),
    ] {
        let properties = shown.as_object().unwrap();
        assert!(!properties.values().any(Value::is_null), "{shown}");
        assert!(absent.iter().all(|name| !properties.contains_key(*name)));
    }
    let number = create("IncomingPhoneNumbers", "PhoneNumber=9966&isSIP=true").await;
    for name in ["voice_url", "sms_url", "voice_application_sid"] {
        assert_eq!(number.get(name), Some(&Value::Null), "{name}");
    }
}

#[tokio::test]
async fn case_056_the_account_above_works_with_applications() {
    let server = Server::start().await;
    let p = server.account("p", server.admin).await;
    let who = server.admin();
    let list = format!("/Accounts/{p}/Applications.json");
    let made = server.post(&who, &list, "FriendlyName=x").await.json();
    assert_eq!(made["account_sid"], p.to_string());
    let one = format!(
        "/Accounts/{p}/Applications/{}.json",
        made["sid"].as_str().unwrap()
    );
    for (method, form, name) in [
        ("GET", "", "x"),
        ("POST", "FriendlyName=y", "y"),
        ("PUT", "FriendlyName=z", "z"),
    ] {
        let answer = server.ask(method, Some(&who), &one, &[], form).await;
        assert_eq!(answer.json()["friendly_name"], name, "{method}");
    }
    assert_eq!(
        server.get(&who, &list).await.column("", "friendly_name"),
        ["z"]
    );
}

/// Deviates: the client is not found, so the answer does not reveal that it exists.
#[tokio::test]
async fn case_057_a_client_of_another_organization_stays() {
    let server = Server::start().await;
    let two = server.other_organization("two.example").await;
    let who = server.admin();
    let form = format!("EmailAddress=lyra%40example.org&Password=RestComm12&OrganizationSid={two}");
    server.post(&who, "/Accounts.json", &form).await.is(200);
    let find = async || {
        let found = server.store.client_of_login("lyra", "two.example").await;
        found.unwrap()
    };
    let client = find().await.unwrap().sid;
    let p = server.account("p", server.admin).await;
    for (who, account, status) in [
        (&who, server.admin, 404),
        (&of("p"), p, 404),
        (&of("p"), server.admin, 403),
    ] {
        let path = format!("/Accounts/{account}/Clients/{client}");
        server.delete(who, &path).await.is(status);
        assert!(find().await.is_some());
    }
}

#[tokio::test]
async fn cases_094_to_096_a_status_reaches_every_level() {
    let server = Server::start().await;
    let who = server.admin();
    let root = server
        .account_with("root", None, "Administrator", AccountStatus::Active)
        .await;
    let child = server.account("child", root).await;
    for name in ["other", "below"] {
        let parent = if name == "other" { root } else { child };
        server.account(name, parent).await;
    }
    server.account("deeper", child).await;
    let top = of("root");
    let set = async |name: &str, status: &str| {
        let path = format!("/Accounts/{}.json", account_sid(name));
        let changed = server.put(&top, &path, &format!("Status={status}")).await;
        assert_eq!(changed.json()["status"], status.to_lowercase());
    };
    let are = async |names: &[&str], status: &str| {
        for name in names {
            let account = server.store.account(account_sid(name)).await.unwrap();
            let found = account.unwrap().status;
            assert_eq!(found.as_str(), status, "{name}");
        }
    };
    set("child", "suspended").await;
    are(&["child", "below", "deeper"], "suspended").await;
    are(&["root", "other"], "active").await;
    set("child", "ACTIVE").await;
    are(&["child", "below", "deeper"], "active").await;
    set("child", "closed").await;
    are(&["child", "below", "deeper"], "closed").await;
    let path = format!("/Accounts/{}.json", account_sid("deeper"));
    assert_eq!(server.get(&top, &path).await.json()["status"], "closed");
    are(&["root", "other"], "active").await;
    // An account of another tree changes none of these.
    let path = format!("/Accounts/{child}");
    server.put(&who, &path, "Role=Developer").await.is(404);
}

#[tokio::test]
async fn cases_097_and_100_what_a_closed_account_had_is_gone() {
    let server = Server::start().await;
    let who = server.admin();
    let form = "EmailAddress=lyra%40example.org&Password=RestComm12";
    let made = server.post(&who, "/Accounts.json", form).await.json();
    let sid = made["sid"].as_str().unwrap().to_owned();
    let items = items(&server, sid.parse().unwrap(), 1).await;
    let client = async || {
        let found = server.store.client_of_login("lyra", "one.example").await;
        found.unwrap()
    };
    assert!(client().await.is_some());
    let path = format!("/Accounts/{sid}.json");
    let closed = server.put(&who, &path, "Status=closed").await.json();
    assert_eq!(closed["status"], "closed");
    let gone = [
        "Applications",
        "Clients",
        "IncomingPhoneNumbers",
        "Notifications",
        "Recordings",
    ];
    let kept = ["Calls", "Conferences", "SMS"];
    let mut seen = 0;
    for item in &items {
        let kind = item.split('/').next().unwrap();
        let expected = match kind {
            _ if gone.contains(&kind) => 404,
            _ if kept.contains(&kind) => 200,
            _ => continue,
        };
        let answer = server.get(&who, &format!("/Accounts/{sid}/{item}")).await;
        assert_eq!(answer.status, expected, "{item}");
        seen += 1;
    }
    assert_eq!(seen, gone.len() + kept.len());
    // Registrars ask for this row.
    assert!(client().await.is_none());
}
