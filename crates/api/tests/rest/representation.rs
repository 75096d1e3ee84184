//! JSON and XML, and the accepted requests.

use crate::server::{Server, call, of};

#[tokio::test]
async fn the_suffix_wins_over_accept_and_xml_over_nothing() {
    let server = Server::start().await;
    let (sid, who) = (server.admin, server.admin());
    let table = [
        (format!("/Accounts.json/{sid}"), None, Some('{')),
        (format!("/Accounts/{sid}.json"), None, Some('{')),
        (format!("/Accounts/{sid}"), None, Some('<')),
        (
            format!("/Accounts/{sid}/Clients.json"),
            Some("application/xml"),
            Some('['),
        ),
        (
            format!("/Accounts/{sid}"),
            Some("application/json"),
            Some('{'),
        ),
        (format!("/Accounts/{sid}"), Some("*/*"), Some('<')),
        (format!("/Accounts/{sid}"), Some("text/html"), None),
        (
            "/Accounts.json/admin@example.org".to_owned(),
            None,
            Some('{'),
        ),
        (
            "/Accounts.json/admin%40example.org".to_owned(),
            None,
            Some('{'),
        ),
        ("/Accounts.json/Administrator".to_owned(), None, Some('{')),
    ];
    for (path, accept, first) in table {
        let headers: Vec<_> = accept.iter().map(|accept| ("accept", *accept)).collect();
        let answer = server.ask("GET", Some(&who), &path, &headers, "").await;
        match first {
            None => answer.is(406),
            Some('<') => {
                let root =
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<RestcommResponse><Account>";
                assert!(answer.body.starts_with(root), "{path} {}", answer.body);
            }
            Some(first) => assert!(answer.body.starts_with(first), "{path} {}", answer.body),
        }
    }
}

#[tokio::test]
async fn the_version_is_told() {
    let server = Server::start().await;
    let path = format!("/Accounts/{}/Version", server.admin);
    let accept = [("accept", "application/xml")];
    let xml = server
        .ask("GET", Some(&server.admin()), &path, &accept, "")
        .await;
    assert!(xml.body.trim_end().ends_with(
        "<RestcommResponse><Name>Patchcord</Name><Version>1.2.3</Version>\
         <Revision>abcdef</Revision><Date>2024-05-06</Date></RestcommResponse>"
    ));
    let json = server
        .get(&server.admin(), &format!("{path}.json"))
        .await
        .json();
    assert_eq!(
        (&json["Version"], &json["Revision"]),
        (&"1.2.3".into(), &"abcdef".into())
    );
    server.post(&server.admin(), &path, "").await.is(405);
}

#[tokio::test]
async fn dates_and_nulls_follow_the_rules() {
    let server = Server::start().await;
    let who = server.admin();
    let account = format!("/Accounts/{}", server.admin);
    server.keep(vec![call(1, server.admin)]).await;
    let sid = crate::server::call_sid(1);
    // The suffix of either segment, and the long form of a call's SID.
    let one = server
        .get(&who, &format!("{account}/Calls.json/{sid}"))
        .await;
    let same = server
        .get(&who, &format!("{account}/Calls/{sid}.json"))
        .await;
    let long = format!("{account}/Calls/ID{}-{sid}.json", "0".repeat(32));
    assert_eq!(one.body, same.body);
    assert_eq!(one.body, server.get(&who, &long).await.body);
    // Unknown values are omitted from JSON and empty in XML.
    let json = one.json();
    assert_eq!(json["date_created"], "Tue, 20 Aug 2013 12:00:01 +0000");
    assert_eq!(json["start_time"], "2013-08-20T12:00:01.000Z");
    assert!(!one.body.contains("null"), "{}", one.body);
    assert!(json.get("end_time").is_none() && json.get("price").is_none());
    let xml = server.get(&who, &format!("{account}/Calls/{sid}")).await;
    for part in [
        "<ParentCallSid/>",
        "<EndTime/>",
        "<Ring_duration/>",
        "<Price>0.00</Price>",
    ] {
        assert!(xml.body.contains(part), "{part}");
    }
}

#[tokio::test]
async fn refusals_have_a_number_and_a_text() {
    let server = Server::start().await;
    let json = server.get(&server.admin(), "/Nowhere.json").await;
    json.is(404);
    assert_eq!(json.error()["code"], 20_404);
    assert_eq!(json.error()["status"], 404);
    assert_eq!(
        json.error()["more_info"],
        "http://pbx.example:8080/restcomm/errors/20404.html"
    );
    let xml = server.get(&server.admin(), "/Nowhere").await;
    assert!(
        xml.body
            .starts_with("<RestcommResponse><Code>20404</Code><Message>"),
        "{}",
        xml.body
    );
}

#[tokio::test]
async fn methods_and_media_types_are_checked() {
    let server = Server::start().await;
    let who = server.admin();
    let account = format!("/Accounts/{}", server.admin);
    let call = format!("{account}/Calls/{}", crate::server::call_sid(1));
    let table = [
        ("DELETE", account.clone(), "GET, POST, PUT"),
        ("DELETE", "/Accounts".to_owned(), "GET, POST"),
        ("DELETE", call.clone(), "GET, POST"),
        ("PUT", call, "GET, POST"),
        ("PATCH", format!("{account}/Clients"), "GET, POST"),
        ("POST", format!("{account}/Recordings"), "GET"),
        ("POST", format!("{account}/Notifications"), "GET"),
    ];
    for (method, path, allowed) in table {
        let answer = server.ask(method, Some(&who), &path, &[], "").await;
        answer.is(405);
        assert_eq!(answer.headers["allow"], allowed, "{method} {path}");
    }
    let json = [("content-type", "application/json")];
    server
        .ask("POST", Some(&who), "/Accounts", &json, "{}")
        .await
        .is(415);
    let form = [(
        "content-type",
        "application/x-www-form-urlencoded; charset=UTF-8",
    )];
    let path = format!("{account}/Applications.json");
    server
        .ask("POST", Some(&who), &path, &form, "FriendlyName=a")
        .await
        .is(200);
    server.get(&of("stranger"), &account).await.is(401);
}

/// Words and identifiers are checked against the tables before a handler runs.
#[tokio::test]
async fn words_and_identifiers_are_checked() {
    let server = Server::start().await;
    let who = server.admin();
    let restcomm = format!("/Accounts/{}", server.admin);
    let twilio = format!("/2010-04-01{restcomm}");
    let sid = crate::server::call_sid(1);
    let table = [
        (&restcomm, "Calls.json?Status=not-found".to_owned(), 200),
        (&restcomm, "Calls.json?Status=in%25".to_owned(), 200),
        (&twilio, "Calls.json?Status=In_Progress".to_owned(), 200),
        (&twilio, "Calls.json?Status=not-found".to_owned(), 400),
        (&restcomm, "Calls.json?ParentCallSid=x".to_owned(), 400),
        (&restcomm, "Calls.json?ParentCallSid=CA%25".to_owned(), 200),
        (&twilio, "Calls.json?ParentCallSid=CA%25".to_owned(), 400),
        (&twilio, format!("Calls.json?ParentCallSid={sid}"), 200),
        (&restcomm, "Recordings.json?CallSid=RE1".to_owned(), 400),
    ];
    for (base, path, status) in table {
        let answer = server.get(&who, &format!("{base}/{path}")).await;
        assert_eq!(answer.status, status, "{base} {path}: {}", answer.body);
    }
    let below = server.account("below", server.admin).await;
    let path = format!("/Accounts/{below}.json");
    for (word, status) in [("uninitialized", 400), ("gone", 400), ("Suspended", 200)] {
        let answer = server.put(&who, &path, &format!("Status={word}")).await;
        assert_eq!(answer.status, status, "{word}: {}", answer.body);
    }
    let made = server
        .post(
            &who,
            &format!("{restcomm}/Applications.json"),
            "FriendlyName=x&Kind=SMS",
        )
        .await;
    assert_eq!(made.json()["kind"], "sms");
}
