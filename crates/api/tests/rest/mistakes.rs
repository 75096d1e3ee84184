//! Common mistakes of new users, and the answers to them.

use std::time::{Duration, Instant};

use crate::server::{Answer, Credentials, Server, call, of};

/// The header lines that warn.
fn warnings(answer: &Answer) -> Vec<&str> {
    let lines = answer.headers.get_all("patchcord-warning").iter();
    lines.map(|line| line.to_str().unwrap()).collect()
}

/// The texts of an account's notifications with a given number, once there are `count`.
async fn notified(server: &Server, who: &Credentials, code: u16, count: usize) -> Vec<String> {
    let list = format!("/Accounts/{}/Notifications.json?ErrorCode={code}", who.0);
    let give_up = Instant::now() + Duration::from_secs(5);
    loop {
        let texts = server.get(who, &list).await;
        let texts = texts.column("notifications", "message_text");
        if texts.len() >= count || Instant::now() > give_up {
            return texts;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_unknown_parameter_is_named_with_the_one_that_was_meant() {
    let server = Server::start().await;
    server.account("p", server.admin).await;
    let who = of("p");
    let list = format!("/Accounts/{}/IncomingPhoneNumbers.json", who.0);
    let form = |number: u32| {
        format!("PhoneNumber={number}&isSIP=true&VoiceURL=http://a/&Publik=true&Colour=red")
    };
    let expected = [
        "VoiceURL: unknown parameter; did you mean VoiceUrl?",
        "Publik: unknown parameter; did you mean Public?",
        "Colour: unknown parameter",
    ];
    // Each request succeeds with a warning; notifications are not repeated.
    for number in [3003, 3004] {
        let made = server.post(&who, &list, &form(number)).await;
        assert!(made.json()["voice_url"].is_null());
        assert_eq!(warnings(&made), expected);
    }
    let mut texts = notified(&server, &who, 20_001, 3).await;
    texts.sort();
    let mut expected = expected.map(|text| format!("POST /IncomingPhoneNumbers: {text}"));
    expected.sort();
    assert_eq!(texts, expected);
    // A filter that has no effect, and a request that is refused.
    let filtered = server.get(&who, &format!("{list}?phoneNumber=3")).await;
    let expected = "phoneNumber: unknown parameter; did you mean PhoneNumber?";
    assert_eq!(warnings(&filtered), [expected]);
    let refused = server.post(&who, &list, "phonenumber=1").await;
    refused.is(400);
    let expected = "phonenumber: unknown parameter; did you mean PhoneNumber?";
    assert_eq!(warnings(&refused), [expected]);
    // Twilio's clients are refused, as always.
    let twilio = format!("/2010-04-01{list}");
    let refused = server.post(&who, &twilio, &form(3005)).await;
    refused.is(400);
    let text = "VoiceURL: this parameter is not supported here; did you mean VoiceUrl?";
    assert_eq!(refused.error()["message"], text);
    assert!(warnings(&refused).is_empty());
    // Without an unknown parameter there is no warning.
    let right = "PhoneNumber=3006&isSIP=true&VoiceUrl=http://a/";
    let made = server.post(&who, &list, right).await;
    made.is(200);
    assert!(warnings(&made).is_empty());
}

#[tokio::test]
async fn the_address_of_an_application_has_two_names_at_both_bases() {
    let server = Server::start().await;
    let list = format!("/Accounts/{}/Applications.json", server.admin);
    for (base, field) in [("", "rcml_url"), ("/2010-04-01", "voice_url")] {
        for name in ["VoiceUrl", "RcmlUrl"] {
            let form = format!("FriendlyName=a&VoiceMethod=GET&{name}=http://a/");
            let made = server
                .post(&server.admin(), &format!("{base}{list}"), &form)
                .await;
            assert!(made.status.is_success(), "{base} {name}");
            assert!(warnings(&made).is_empty(), "{base} {name}");
            let made = made.error();
            assert_eq!(made[field], "http://a/", "{base} {name}");
            let sid = made["sid"].as_str().unwrap().parse().unwrap();
            let stored = server.store.application(sid).await.unwrap().unwrap();
            assert_eq!(stored.method, Some(model::HttpMethod::Get), "{base} {name}");
        }
    }
}

#[tokio::test]
async fn a_path_that_does_not_exist_is_not_taken_for_a_wrong_identifier() {
    let server = Server::start().await;
    let who = server.admin();
    let account = format!("/Accounts/{}", server.admin);
    let foreign = "/Accounts/AC00000000000000000000000000000000";
    let twilio = "/2010-04-01";
    let table = [
        (
            format!("{account}/calls.json"),
            "There is no such path: `calls` is not known here; did you mean `Calls`?",
        ),
        (
            format!("{twilio}{foreign}/SigningKeys.json"),
            "`SigningKeys` is not supported here; see docs/twilio.md.",
        ),
        (
            format!("{twilio}{foreign}/Calls.json"),
            "The resource does not exist, or belongs to another account.",
        ),
        (
            format!("{twilio}{account}/Calls/CA1.json"),
            "The resource does not exist, or belongs to another account.",
        ),
    ];
    for (path, expected) in table {
        let answer = server.get(&who, &path).await;
        answer.is(404);
        let error = answer.error();
        assert_eq!(
            (&error["code"], &error["message"]),
            (&20_404.into(), &expected.into())
        );
    }
}

#[tokio::test]
async fn warnings_are_headers_and_notifications() {
    let server = Server::start().await;
    let list = format!("/Accounts/{}/Clients.json", server.admin);
    let form = "Login=bob&Password=RestComm1234";
    let first = server.post(&server.admin(), &list, form).await;
    assert!(warnings(&first).is_empty());
    let form = "Login=bob&Password=RestComm9999&FriendlyName=Bob";
    let second = server.post(&server.admin(), &list, form).await;
    assert_eq!(first.json(), second.json());
    let [warning] = warnings(&second)[..] else {
        panic!("{:?}", second.headers);
    };
    let uri = first.json()["uri"].as_str().unwrap().to_owned();
    let uri = uri.trim_end_matches(".json");
    let exists = format!(
        "Login: this client already exists and was not changed; to change it, POST to {uri}"
    );
    assert_eq!(warning, exists);
    let numbers = format!("/Accounts/{}/IncomingPhoneNumbers.json", server.admin);
    let form = "PhoneNumber=1&isSIP=true&VoiceUrl=/v";
    let path = server.post(&server.admin(), &numbers, form).await;
    let [no_document] = warnings(&path)[..] else {
        panic!("{:?}", path.headers);
    };
    // Programs that do not read headers find the same among the notifications.
    let expected = [
        format!("POST /Clients: {warning}"),
        format!("POST /IncomingPhoneNumbers: {no_document}"),
    ];
    let mut texts = notified(&server, &server.admin(), 20_090, 2).await;
    texts.sort();
    assert_eq!(texts, expected);
}

#[tokio::test]
async fn flags_are_true_or_false() {
    let server = Server::start().await;
    let who = server.admin();
    let account = format!("/Accounts/{}", server.admin);
    for (path, name) in [
        ("IncomingPhoneNumbers.json", "isSIP"),
        ("IncomingPhoneNumbers.json", "Public"),
    ] {
        for value in ["banana", "yes", "1"] {
            let form = format!("PhoneNumber=51&isSIP=true&{name}={value}");
            let form = form.replace("isSIP=true&isSIP", "isSIP");
            let answer = server.post(&who, &format!("{account}/{path}"), &form).await;
            assert_eq!(answer.error()["code"], 21100, "{form}");
            let text = format!("{name}: `{value}` is neither true nor false");
            assert_eq!(answer.error()["message"], text);
        }
    }
    let path = format!("{account}/Calls.json?Reverse=banana");
    server.get(&who, &path).await.is(400);
}

#[tokio::test]
async fn numbers_are_numbers() {
    let server = Server::start().await;
    let who = server.admin();
    let list = format!("/Accounts/{}/IncomingPhoneNumbers.json", server.admin);
    for text in [
        "hello+world",
        "1+2",
        "sip:foo@bar",
        "12a",
        "%C3%A9",
        "1%0A2",
    ] {
        let form = format!("PhoneNumber={text}&isSIP=true");
        let answer = server.post(&who, &list, &form).await;
        assert_eq!(answer.error()["code"], 21100, "{text}: {}", answer.body);
    }
    // The plus was not escaped; patterns.
    for (text, stored) in [
        ("+15550199", "+15550199"),
        ("%2B15550198", "+15550198"),
        ("*", "*"),
        ("%5C%2B1555%5B0-9%5D*", "\\+1555[0-9]*"),
        ("*77%23", "*77#"),
    ] {
        let form = format!("PhoneNumber={text}&isSIP=true");
        let made = server.post(&who, &list, &form).await.json();
        assert_eq!(made["phone_number"], stored);
    }
    let found = server
        .get(&who, &format!("{list}?PhoneNumber=+15550199"))
        .await;
    let found = found.column("incomingPhoneNumbers", "phone_number");
    assert_eq!(found, ["+15550199"]);
    let calls = format!("/Accounts/{}/Calls.json", server.admin);
    let form = "From=+15550100&To=+15550199&Url=http://a/";
    let made = server.post(&who, &calls, form).await.json();
    assert_eq!(
        (&made["from"], &made["to"]),
        (&"+15550100".into(), &"+15550199".into())
    );
}

#[tokio::test]
async fn twilios_base_refuses_a_client_that_exists() {
    let server = Server::start().await;
    let who = server.admin();
    let list = format!("/2010-04-01/Accounts/{}/Clients.json", server.admin);
    let first = server
        .post(&who, &list, "Login=bob&Password=RestComm1234")
        .await;
    first.is(201);
    let again = server
        .post(&who, &list, "Login=bob&Password=RestComm9999")
        .await;
    again.is(409);
    let error = again.error();
    assert_eq!(error["code"], 20409);
    let uri = first.error()["uri"].as_str().unwrap().to_owned();
    let uri = uri.trim_end_matches(".json");
    let text = format!(
        "Login: this client already exists and was not changed; to change it, POST to {uri}"
    );
    assert_eq!(error["message"], text);
    assert!(warnings(&again).is_empty());
}

#[tokio::test]
async fn a_number_that_cannot_be_had_says_why() {
    let server = Server::start().await;
    let who = server.admin();
    let list = format!("/Accounts/{}/IncomingPhoneNumbers.json", server.admin);
    let made = server.post(&who, &list, "PhoneNumber=51&isSIP=true").await;
    made.is(200);
    let sid = made.json()["sid"].as_str().unwrap().to_owned();
    let exists = |version: &str| {
        format!(
            "The number 51 already exists. To change it, POST to /{version}/Accounts/{}/IncomingPhoneNumbers/{sid}",
            server.admin
        )
    };
    let (exists, twilio_exists) = (exists("2012-04-24"), exists("2010-04-01"));
    let table = [
        (
            list.clone(),
            "PhoneNumber=51&isSIP=true",
            21452,
            exists.as_str(),
        ),
        (list.clone(), "PhoneNumber=52", 21452, "add isSIP=true"),
        (list.clone(), "AreaCode=305", 21452, "with PhoneNumber"),
        (
            list.clone(),
            "AreaCode=305&isSIP=true",
            21452,
            "with PhoneNumber",
        ),
        (
            format!("/2010-04-01{list}"),
            "AreaCode=305",
            21422,
            "with PhoneNumber",
        ),
        (
            format!("/2010-04-01{list}"),
            "PhoneNumber=51",
            21422,
            twilio_exists.as_str(),
        ),
    ];
    for (path, form, code, text) in table {
        let answer = server.post(&who, &path, form).await;
        answer.is(400);
        let error = answer.error();
        assert_eq!(error["code"], code, "{form}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(text), "{message}");
    }
    let xml = list.replace(".json", "");
    let answer = server.post(&who, &xml, "PhoneNumber=52").await;
    assert!(
        answer.body.contains("<Code>21452</Code>"),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn every_number_takes_calls() {
    let server = Server::start().await;
    let who = server.admin();
    let list = format!("/Accounts/{}/IncomingPhoneNumbers.json", server.admin);
    let capabilities = async |form: &str, base: &str| {
        let made = server.post(&who, &format!("{base}{list}"), form).await;
        let shown: serde_json::Value = serde_json::from_str(&made.body).unwrap();
        shown["capabilities"].clone()
    };
    let restcomm = capabilities("PhoneNumber=1&isSIP=true", "/restcomm/2012-04-24").await;
    assert_eq!(restcomm["voice_capable"], true);
    assert_eq!(restcomm["fax_capable"], false);
    let twilio = capabilities("PhoneNumber=2", "/2010-04-01").await;
    assert_eq!(
        (&twilio["voice"], &twilio["mms"]),
        (&true.into(), &false.into())
    );
    let form = "PhoneNumber=3&isSIP=true&VoiceCapable=false&SmsCapable=true";
    let said = capabilities(form, "/restcomm/2012-04-24").await;
    assert_eq!(said["voice_capable"], false);
    assert_eq!(said["sms_capable"], true);
}

/// All links in an answer.
fn links(json: &serde_json::Value, found: &mut Vec<String>) {
    match json {
        serde_json::Value::Object(members) => {
            for (name, value) in members {
                match value.as_str() {
                    Some(link) if name.ends_with("uri") && link.starts_with('/') => {
                        found.push(link.to_owned());
                    }
                    Some(link) if link.starts_with("/20") => found.push(link.to_owned()),
                    _ => links(value, found),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| links(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn links_can_be_requested_as_they_stand() {
    let server = Server::start().await;
    let p = server.account("p", server.admin).await;
    let who = of("p");
    let items = crate::tenancy::items(&server, p, 1).await;
    server.keep((20..23).map(|n| call(n, p)).collect()).await;
    for base in ["/restcomm/2012-04-24", "/2010-04-01"] {
        let mut paths = vec![format!("{base}/Accounts/{p}.json")];
        let only_restcomm = |item: &str| {
            ["Webhooks", "AuditLog", "Bin", "Email", "Geolocation"]
                .iter()
                .any(|kind| item.contains(kind))
        };
        for item in items
            .iter()
            .filter(|item| !only_restcomm(item) || base.len() > 11)
        {
            let item = if base.len() > 11 {
                item.as_str()
            } else {
                item.trim_start_matches("SMS/")
            };
            let (list, _) = item.rsplit_once('/').unwrap();
            paths.push(format!("{base}/Accounts/{p}/{list}.json?PageSize=1"));
            paths.push(format!("{base}/Accounts/{p}/{item}.json"));
        }
        let mut found = Vec::new();
        for path in &paths {
            let answer = server.get(&who, path).await;
            // Some lists can only be added to.
            if answer.status == 405 {
                continue;
            }
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            links(&answer.json(), &mut found);
        }
        assert!(found.len() > paths.len(), "{found:?}");
        let start = format!("{}/", base.trim_start_matches("/restcomm"));
        for link in found {
            assert!(link.starts_with(&start), "one form: {link}");
            let answer = server.get(&who, &link).await;
            assert_eq!(answer.status, 200, "{link}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn calls_are_found_by_the_name_of_a_client() {
    let server = Server::start().await;
    let who = server.admin();
    let mut one = call(1, server.admin);
    one.to = "alice".to_owned();
    let mut other = call(2, server.admin);
    other.to = "bob".to_owned();
    other.from = "alice".to_owned();
    server.keep(vec![one, other]).await;
    for base in ["/restcomm/2012-04-24", "/2010-04-01"] {
        let list = format!("{base}/Accounts/{}/Calls.json", server.admin);
        for (filter, party) in [("To", "to"), ("From", "from")] {
            for name in ["client:alice", "alice"] {
                let found = server.get(&who, &format!("{list}?{filter}={name}")).await;
                assert_eq!(found.column("calls", party), ["alice"], "{filter}={name}");
            }
        }
    }
}

#[tokio::test]
async fn a_malformed_row_is_named() {
    let server = Server::start().await;
    let path = format!("/Accounts/{}/Calls.json?AfterSid=foo", server.admin);
    let answer = server.get(&server.admin(), &path).await;
    answer.is(400);
    let expected = "AfterSid: `foo` is not an identifier; use the value from `next_page_uri`";
    assert_eq!(answer.error()["message"], expected);
}

#[tokio::test]
async fn a_body_that_is_no_form_is_told_how_to_send_one() {
    let server = Server::start().await;
    let path = format!("/Accounts/{}/Calls.json", server.admin);
    let headers = [("content-type", "application/json")];
    let who = server.admin();
    let answer = server.ask("POST", Some(&who), &path, &headers, "{}").await;
    answer.is(415);
    let message = answer.error()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("curl -d Name=value"), "{message}");
}

#[tokio::test]
async fn an_address_without_its_host_is_refused_before_anybody_is_called() {
    let server = Server::start().await;
    let who = server.admin();
    let account = format!("/Accounts/{}", server.admin);
    for text in ["/voice", "voice.xml", "localhost:8001/voice", "ftp://a/"] {
        for name in ["Url", "FallbackUrl", "StatusCallback"] {
            let form = format!("From=a&To=client:b&Url=http://a/&{name}={text}");
            let form = form.replace("Url=http://a/&Url", "Url");
            let answer = server
                .post(&who, &format!("{account}/Calls.json"), &form)
                .await;
            let expected = format!("{name}: `{text}` is not an http or https address");
            assert_eq!(answer.error()["message"], expected);
        }
        let form = format!("PhoneNumber=1&isSIP=true&VoiceUrl={text}");
        let path = format!("{account}/IncomingPhoneNumbers.json");
        let made = server.post(&who, &path, &form).await;
        if text.starts_with('/') {
            // Restcomm allows this, but it cannot work here.
            made.is(200);
            let expected = "VoiceUrl: `/voice` names this server, which has no documents; \
                            write the whole address";
            assert_eq!(warnings(&made), [expected]);
        } else {
            made.is(400);
        }
    }
    // A query may hold secrets, and the warning goes to the log.
    let form = "PhoneNumber=2&isSIP=true&VoiceUrl=/voice%3Fkey=secret";
    let path = format!("{account}/IncomingPhoneNumbers.json");
    let made = server.post(&who, &path, form).await;
    made.is(200);
    assert!(warnings(&made)[0].starts_with("VoiceUrl: `/voice` names"));
    assert!(server.engine.created.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_misspelt_required_parameter_is_named_in_the_refusal() {
    let server = Server::start().await;
    let who = server.admin();
    let clients = format!("/Accounts/{}/Clients.json", server.admin);
    let answer = server
        .post(&who, &clients, "login=bob&Password=RestComm12")
        .await;
    let said = answer.error()["message"].clone();
    assert_eq!(said, "Login: this parameter is required; you sent `login`");
}

#[tokio::test]
async fn a_parameter_that_lacks_the_one_it_belongs_to_is_reported() {
    let server = Server::start().await;
    server.account("p", server.admin).await;
    let who = of("p");
    let list = format!("/Accounts/{}/Calls.json", who.0);
    let table = [
        (
            "AsyncAmd=true&MachineDetectionTimeout=9",
            "MachineDetectionTimeout: it has no effect without MachineDetection; \
             AsyncAmd: it has no effect without MachineDetection",
        ),
        (
            "MachineDetection=Enable&AsyncAmdStatusCallback=http://a/b",
            "AsyncAmdStatusCallback: it has no effect without `AsyncAmd=true`",
        ),
        (
            "MachineDetection=Enable&AsyncAmd=true&AsyncAmdStatusCallbackMethod=GET",
            "AsyncAmdStatusCallbackMethod: it has no effect without AsyncAmdStatusCallback",
        ),
        (
            "StatusCallbackEvent=ringing",
            "StatusCallbackEvent: it has no effect without StatusCallback",
        ),
        (
            "FallbackMethod=GET",
            "FallbackMethod: it has no effect without FallbackUrl",
        ),
        (
            "Record=true&RecordingStatusCallbackEvent=absent",
            "RecordingStatusCallbackEvent: it has no effect without RecordingStatusCallback",
        ),
        (
            "StatusCallback=http://a/b&StatusCallbackEvent=ringing&MachineDetection=Enable\
             &MachineDetectionTimeout=9",
            "",
        ),
    ];
    for (form, expected) in table {
        let form = format!("From=1999&To=client:ann&Url=http://a/v&{form}");
        let made = server.post(&who, &list, &form).await;
        made.is(200);
        assert_eq!(warnings(&made).join("; "), expected, "{form}");
    }
}

#[tokio::test]
async fn a_parameter_of_a_change_that_has_no_effect_is_reported() {
    let server = Server::start().await;
    let p = server.account("p", server.admin).await;
    server.keep(vec![call(1, p)]).await;
    let who = of("p");
    let item = format!(
        "/Accounts/{}/Calls/{}.json",
        who.0,
        crate::server::call_sid(1)
    );
    let table = [
        (
            "Say=Hi&StatusCallback=http://a/b",
            "StatusCallback: it has no effect without Url or Twiml",
        ),
        (
            "Status=completed&Url=http://a/b&MoveConnectedCallLeg=true",
            "Url: it has no effect together with Status; \
             MoveConnectedCallLeg: it has no effect together with Status",
        ),
        (
            "SendDigits=1&Voice=man",
            "Voice: it has no effect without Say",
        ),
        ("Url=http://a/b&Method=GET&StatusCallback=http://a/b", ""),
    ];
    for (form, expected) in table {
        let changed = server.post(&who, &item, form).await;
        assert_eq!(changed.status, 200, "{form}: {}", changed.body);
        assert_eq!(warnings(&changed).join("; "), expected, "{form}");
    }
    let list = format!("/Accounts/{}/Calls.json", who.0);
    let sorted = server
        .get(&who, &format!("{list}?SortBy=duration:desc"))
        .await;
    let expected = "SortBy: `duration:desc` is not a property to sort by, so the default order was used; \
                    write DateCreated, From, To, Direction, Status, Duration or Price";
    assert_eq!(warnings(&sorted), [expected]);
    for known in ["Duration:desc", "Price"] {
        let sorted = server.get(&who, &format!("{list}?SortBy={known}")).await;
        assert!(warnings(&sorted).is_empty(), "{known}");
    }
}

#[tokio::test]
async fn a_parameter_in_the_query_of_a_change_or_sent_twice_is_reported() {
    let server = Server::start().await;
    let who = server.admin();
    let list = format!("/Accounts/{}/Queues.json", server.admin);
    let made = server
        .post(&who, &format!("{list}?MaxSize=5"), "FriendlyName=a")
        .await;
    assert_eq!(made.json()["max_size"], 100);
    let why = "it is in the query of the address, where it has no effect; send it in the body";
    assert_eq!(warnings(&made), [format!("MaxSize: {why}")]);
    let twilio = format!("/2010-04-01{list}?MaxSize=5");
    let refused = server.post(&who, &twilio, "FriendlyName=b").await;
    refused.is(400);
    assert_eq!(refused.error()["message"], format!("MaxSize: {why}"));
    let made = server
        .post(&who, &list, "FriendlyName=c&FriendlyName=d")
        .await;
    assert_eq!(made.json()["friendly_name"], "c");
    let twice = "FriendlyName: it was sent more than once; the first value was used";
    assert_eq!(warnings(&made), [twice]);
    let numbers = format!("/Accounts/{}/IncomingPhoneNumbers.json", server.admin);
    for malformed in ["88[0-9", "89(1|2", "90x["] {
        let form = format!("PhoneNumber={malformed}&isSIP=true");
        server.post(&who, &numbers, &form).await.is(400);
    }
    let form = "PhoneNumber=88[0-9]&isSIP=true";
    server.post(&who, &numbers, form).await.is(200);
}
