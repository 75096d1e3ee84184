//! `/Accounts/{sid}/OutgoingCallerIds`, and the call that validates a number.

use call_proto::Planned;

use crate::server::{Answer, Server, of};

const NUMBER: &str = "PhoneNumber=%2B15015550100";

#[tokio::test]
async fn caller_ids_live_at_the_restcomm_base() {
    let server = Server::start().await;
    let who = server.admin();
    let list = format!("/Accounts/{}/OutgoingCallerIds", server.admin);
    let json = format!("{list}.json");
    let made = server
        .post(&who, &json, "PhoneNumber=5015550100")
        .await
        .json();
    assert_eq!(made["phone_number"], "+15015550100");
    assert_eq!(made["friendly_name"], "(501) 555-0100");
    let sid = made["sid"].as_str().unwrap().to_owned();
    assert!(sid.starts_with("PN"), "{sid}");
    let path = format!("{list}/{sid}");
    assert_eq!(made["uri"], format!("/2012-04-24{path}.json"));
    // No call is made.
    assert!(server.engine.created.lock().unwrap().is_empty());
    let again = server.post(&who, &json, NUMBER).await;
    again.is(400);
    assert_eq!(again.error()["code"], 21450);
    for form in [
        "FriendlyName=x",
        "PhoneNumber=12",
        "PhoneNumber=client%3Aann",
    ] {
        server.post(&who, &json, form).await.is(400);
    }
    let form = format!(
        "PhoneNumber=%2B442079460000&FriendlyName={}",
        "x".repeat(65)
    );
    server.post(&who, &json, &form).await.is(400);
    let second = "PhoneNumber=%2B442079460000&FriendlyName=London";
    server.post(&who, &json, second).await.is(200);
    let all = server.get(&who, &json).await;
    assert_eq!(
        all.column("", "phone_number"),
        ["+442079460000", "+15015550100"]
    );
    for (query, expected) in [
        ("FriendlyName=London", "+442079460000"),
        ("PhoneNumber=%2B1%20501%20555%200100", "+15015550100"),
    ] {
        let found = server.get(&who, &format!("{json}?{query}")).await;
        assert_eq!(found.column("", "phone_number"), [expected], "{query}");
    }
    let xml = server.get(&who, &list).await;
    let head = "<RestcommResponse><OutgoingCallerIds><OutgoingCallerId><Sid>";
    assert!(xml.body.contains(head), "{}", xml.body);
    let item = format!("{path}.json");
    let named = server.put(&who, &item, "FriendlyName=Desk").await.json();
    assert_eq!(
        (&named["friendly_name"], &named["sid"]),
        (&"Desk".into(), &sid.as_str().into())
    );
    assert_eq!(
        server.get(&who, &item).await.json()["friendly_name"],
        "Desk"
    );
    // As with Restcomm, deleting succeeds whether or not there was one.
    for _ in 0..2 {
        server.delete(&who, &item).await.is(200);
        server.get(&who, &item).await.is(404);
    }
    server.put(&who, &item, "FriendlyName=x").await.is(404);
    server
        .delete(&who, &format!("/2010-04-01{item}"))
        .await
        .is(404);
}

/// The text of the document that the latest call runs.
fn question(server: &Server) -> String {
    let created = server.engine.created.lock().unwrap();
    let Planned::Document(document) = &created.last().unwrap().planned else {
        panic!("the call runs no document");
    };
    document.text.clone().unwrap()
}

/// Presses keys, as the `<Gather>` of a document reports them.
async fn press(server: &Server, document: &str, digits: &str) -> Answer {
    let (_, rest) = document.split_once("action=\"").unwrap();
    let (action, _) = rest.split_once('"').unwrap();
    let action = action.replace("&amp;", "&");
    let path = action.strip_prefix("http://pbx.example:8080").unwrap();
    let form = format!("CallSid=CA1&Digits={digits}");
    server.ask("POST", None, path, &[], &form).await
}

#[tokio::test]
async fn a_number_is_validated_by_a_call() {
    let server = Server::start().await;
    server.account("p", server.admin).await;
    let who = of("p");
    let json = format!("/2010-04-01/Accounts/{}/OutgoingCallerIds.json", who.0);
    let form = format!("{NUMBER}&FriendlyName=Ann+%26+Bob&Extension=12w");
    let begun = server.post(&who, &json, &form).await;
    let begun = begun.json();
    let code = begun["validation_code"].as_str().unwrap().to_owned();
    assert!(
        code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit()),
        "{code}"
    );
    assert_eq!(begun["phone_number"], "+15015550100");
    assert_eq!(begun["friendly_name"], "Ann & Bob");
    {
        let created = server.engine.created.lock().unwrap();
        let new = created.last().unwrap();
        assert_eq!(new.account.to_string(), who.0);
        assert_eq!(new.target.as_str(), "+15015550100");
        assert_eq!(new.send_digits.as_deref(), Some("12w"));
        let Planned::Document(document) = &new.planned else {
            panic!()
        };
        // Its own address may be in a private network.
        assert_eq!(document.author, server.admin);
    }
    let asked = question(&server);
    assert!(!asked.contains(&format!(">{code}<")), "{asked}");
    let items = async || {
        server
            .get(&who, &json)
            .await
            .column("outgoing_caller_ids", "friendly_name")
    };
    assert_eq!(items().await, [""; 0]);
    // Three attempts, each with a document of its own.
    let wrong = if code == "000000" { "111111" } else { "000000" };
    let second = press(&server, &asked, wrong).await;
    second.is(200);
    assert!(
        second.body.contains("not correct") && second.body.contains("<Gather"),
        "{}",
        second.body
    );
    let third = press(&server, &second.body, "").await;
    assert!(third.body.contains("<Gather"), "{}", third.body);
    let over = press(&server, &third.body, wrong).await;
    assert!(
        over.body.contains("not correct") && !over.body.contains("<Gather"),
        "{}",
        over.body
    );
    // An address that was changed is refused.
    let forged = asked.replace("Number=%2B1501", "Number=%2B1502");
    assert_ne!(forged, asked);
    press(&server, &forged, &code).await.is(403);
    server
        .ask("POST", None, "/restcomm/validations", &[], "Digits=1")
        .await
        .is(403);
    assert_eq!(items().await, [""; 0]);
    // The right code, also twice.
    for _ in 0..2 {
        let thanks = press(&server, &third.body, &code).await;
        thanks.is(200);
        assert!(
            thanks.body.contains("validated") && thanks.body.contains("<Hangup/>"),
            "{}",
            thanks.body
        );
        assert_eq!(items().await, ["Ann & Bob"]);
    }
    let again = server.post(&who, &json, NUMBER).await;
    assert_eq!(again.error()["code"], 21450);
    let unreached = server.post(&who, &json, "PhoneNumber=12").await;
    unreached.is(400);
    let created = server.engine.created.lock().unwrap().len();
    assert_eq!(created, 1, "no further call");
}

#[tokio::test]
async fn a_validation_call_comes_from_a_number_of_the_account() {
    let server = Server::start().await;
    let who = server.admin();
    let base = format!("/2010-04-01/Accounts/{}", server.admin);
    let numbers = format!("{base}/IncomingPhoneNumbers.json");
    for number in ["9966", "%2B15015550177"] {
        let form = format!("PhoneNumber={number}&isSIP=true");
        server.post(&who, &numbers, &form).await.is(201);
    }
    let json = format!("{base}/OutgoingCallerIds.json");
    server.post(&who, &json, NUMBER).await.is(200);
    let from = server
        .engine
        .created
        .lock()
        .unwrap()
        .last()
        .unwrap()
        .from
        .clone();
    assert_eq!(from, "+15015550177");
    // No new calls while the server stops.
    server.drain();
    server.post(&who, &json, NUMBER).await.is(503);
}
