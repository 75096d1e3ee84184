//! Number masking: `/v1/Services` and `/numbermasking`.

use serde_json::Value;

use crate::server::{Answer, Credentials, Server, of};

const ANN: &str = "%2B49170000101";
const BEN: &str = "%2B49170000202";

fn shown(answer: &Answer) -> Value {
    assert!(answer.status.is_success(), "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

/// What is in the envelope of an answer.
fn data(answer: &Answer) -> Value {
    let whole = shown(answer);
    assert_eq!(
        (&whole["code"], &whole["message"]),
        (&200.into(), &"OK".into())
    );
    whole["data"].clone()
}

fn sid(value: &Value) -> String {
    value["sid"].as_str().unwrap().to_owned()
}

/// Adds a number to the account of the caller; returns its identifier.
async fn number(server: &Server, who: &Credentials, number: &str) -> String {
    let form = format!("PhoneNumber=%2B{number}&isSIP=true");
    let path = format!("/Accounts/{}/IncomingPhoneNumbers.json", who.0);
    sid(&shown(&server.post(who, &path, &form).await))
}

/// A service with a pool of so many German numbers; returns its path.
async fn service(server: &Server, who: &Credentials, numbers: u32, more: &str) -> String {
    let made = server
        .post(who, "/v1/Services", &format!("UniqueName=rides&{more}"))
        .await;
    made.is(201);
    let path = format!("/v1/Services/{}", sid(&shown(&made)));
    for n in 0..numbers {
        let own = number(server, who, &format!("493000000{n:02}")).await;
        let added = server
            .post(who, &format!("{path}/PhoneNumbers"), &format!("Sid={own}"))
            .await;
        added.is(201);
    }
    path
}

async fn session(server: &Server, who: &Credentials, service: &str, form: &str) -> String {
    let made = server.post(who, &format!("{service}/Sessions"), form).await;
    made.is(201);
    format!("{service}/Sessions/{}", sid(&shown(&made)))
}

async fn join(server: &Server, who: &Credentials, session: &str, number: &str) -> Answer {
    let form = format!("Identifier={number}");
    server
        .post(who, &format!("{session}/Participants"), &form)
        .await
}

#[tokio::test]
async fn a_session_gives_each_participant_a_mask() {
    let server = Server::start().await;
    let who = server.admin();
    let service = service(&server, &who, 2, "DefaultTtl=60").await;
    let one = shown(&server.get(&who, &service).await);
    let expected = [
        ("unique_name", Value::from("rides")),
        ("default_ttl", 60.into()),
        ("geo_match_level", "country".into()),
        ("number_selection_behavior", "prefer-sticky".into()),
        ("callback_url", Value::Null),
        ("unknown_callers", "reject".into()),
    ];
    for (name, value) in expected {
        assert_eq!(one[name], value, "{name}");
    }
    let path = session(&server, &who, &service, "UniqueName=ride-1").await;
    let ann = shown(&join(&server, &who, &path, ANN).await);
    let ben = shown(&join(&server, &who, &path, BEN).await);
    for one in [&ann, &ben] {
        assert!(
            one["proxy_identifier"]
                .as_str()
                .unwrap()
                .starts_with("+4930"),
            "{one}"
        );
        let own = format!("{path}/Participants/{}", sid(one));
        assert_eq!(shown(&server.get(&who, &own).await), *one);
    }
    assert_eq!(ann["identifier"], "+49170000101");
    let list = shown(&server.get(&who, &format!("{path}/Participants")).await);
    assert_eq!(list["participants"].as_array().unwrap().len(), 2);
    // A third one finds no place, nor does the same one.
    let full = join(&server, &who, &path, "%2B49170000303").await;
    full.is(409);
    assert_eq!(full.error()["code"], 62_605);
    let numbers = shown(&server.get(&who, &format!("{service}/PhoneNumbers")).await);
    let in_use = numbers["phone_numbers"].as_array().unwrap();
    assert_eq!(
        in_use
            .iter()
            .map(|n| n["in_use"].as_i64().unwrap())
            .sum::<i64>(),
        2
    );
    let busy = in_use.iter().find(|n| n["in_use"] != 0).unwrap();
    let busy_path = format!("{service}/PhoneNumbers/{}", sid(busy));
    let refused = server.delete(&who, &busy_path).await;
    refused.is(409);
    assert_eq!(refused.error()["code"], 62_607);

    let session = shown(&server.get(&who, &path).await);
    assert_eq!(
        (&session["status"], &session["ttl"]),
        (&"open".into(), &60.into())
    );
    let closed = shown(&server.post(&who, &path, "Status=closed").await);
    assert_eq!(
        (&closed["status"], &closed["closed_reason"]),
        (&"closed".into(), &"api".into())
    );
    // It is final.
    let again = server.post(&who, &path, "Status=open").await;
    again.is(409);
    assert_eq!(again.error()["code"], 62_605);
    server.post(&who, &path, "Status=closed").await.is(200);
    join(&server, &who, &path, ANN).await.is(409);
    // The masks are free.
    server.delete(&who, &busy_path).await.is(204);
    server.get(&who, &busy_path).await.is(404);
    server.delete(&who, &path).await.is(204);
    server.get(&who, &path).await.is(404);
}

#[tokio::test]
async fn the_pair_of_mask_and_number_is_unique_among_open_sessions() {
    let server = Server::start().await;
    let who = server.admin();
    let service = service(&server, &who, 2, "").await;
    let mut masks = Vec::new();
    let mut sessions = Vec::new();
    for _ in 0..2 {
        let path = session(&server, &who, &service, "").await;
        let ann = shown(&join(&server, &who, &path, ANN).await);
        masks.push(ann["proxy_identifier"].clone());
        sessions.push(path);
    }
    assert_ne!(masks[0], masks[1]);
    let third = session(&server, &who, &service, "").await;
    let refused = join(&server, &who, &third, ANN).await;
    refused.is(400);
    assert_eq!(refused.error()["code"], 62_206);
    let text = refused.error()["message"].as_str().unwrap().to_owned();
    assert!(text.contains("at least 3"), "{text}");
    // Another number is not affected; the one that is requested is taken.
    join(&server, &who, &third, BEN).await.is(201);
    let wanted = masks[0].as_str().unwrap().replace('+', "%2B");
    let form = format!("Identifier={ANN}&ProxyIdentifier={wanted}");
    let taken = server
        .post(&who, &format!("{third}/Participants"), &form)
        .await;
    taken.is(400);
    assert_eq!(taken.error()["code"], 62_604);
    // Sticky: once the first session is closed, the number gets its mask again.
    server
        .post(&who, &sessions[0], "Status=closed")
        .await
        .is(200);
    let ann = shown(&join(&server, &who, &third, ANN).await);
    assert_eq!(ann["proxy_identifier"], masks[0]);
}

/// Requests at the same moment never give one pair to two sessions.
#[tokio::test]
async fn participants_that_join_together_get_different_masks() {
    let server = std::sync::Arc::new(Server::start().await);
    let who = server.admin();
    let service = service(&server, &who, 5, "").await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let (server, who) = (std::sync::Arc::clone(&server), who.clone());
        let path = session(&server, &who, &service, "").await;
        tasks.spawn(async move { join(&server, &who, &path, ANN).await });
    }
    let (mut masks, mut refused) = (Vec::new(), 0);
    while let Some(answer) = tasks.join_next().await {
        let answer = answer.unwrap();
        match answer.status.as_u16() {
            201 => masks.push(shown(&answer)["proxy_identifier"].to_string()),
            400 => refused += 1,
            other => panic!("{other}: {}", answer.body),
        }
    }
    masks.sort();
    masks.dedup();
    assert_eq!((masks.len(), refused), (5, 7));
}

#[tokio::test]
async fn restcomms_form_has_an_envelope_and_other_names() {
    let server = Server::start().await;
    let who = server.admin();
    let json = [("content-type", "application/json")];
    let ask = async |method: &str, path: &str, body: &str| {
        let path = format!("/numbermasking/{path}");
        server.ask(method, Some(&who), &path, &json, body).await
    };
    let made = data(&ask("POST", "applications", r#"{"name":"rides","ttl":60}"#).await);
    let application = sid(&made);
    assert!(
        application.starts_with("NMA") && application.len() == 35,
        "{application}"
    );
    assert_eq!(
        (&made["name"], &made["ttl"], &made["status"]),
        (&"rides".into(), &60.into(), &"open".into())
    );
    let twice = ask("POST", "applications", r#"{"name":"rides"}"#).await;
    twice.is(409);
    let refused: Value = serde_json::from_str(&twice.body).unwrap();
    assert_eq!(refused["errorCode"], "461");
    assert!(refused["data"].is_object(), "{refused}");

    let own = number(&server, &who, "4930000001").await;
    let body = format!(r#"{{"applicationSid":"{application}","sid":"{own}"}}"#);
    assert_eq!(
        data(&ask("POST", "phonenumbers", &body).await)["phoneNumber"],
        "+4930000001"
    );
    let body = format!(
        r#"{{"applicationSid":"{application}","participants":[{{"phoneNumber":"+49170000101"}},{{"phoneNumber":"+49170000202"}}]}}"#
    );
    let context = sid(&data(&ask("POST", "contexts", &body).await));
    let list = data(
        &ask(
            "GET",
            &format!("participants/search?contextSid={context}"),
            "",
        )
        .await,
    );
    let participants = list["participants"].as_array().unwrap();
    assert_eq!(participants.len(), 2, "{list}");
    for one in participants {
        // Both may have the same mask: their numbers differ.
        assert_eq!(one["maskedNumber"], "+4930000001");
        assert_eq!(one["applicationSid"], application.as_str());
        let found = data(&ask("GET", &format!("participants/search/{}", sid(one)), "").await);
        assert_eq!(found, *one);
    }
    let list = format!("interactions/search?contextSid={context}");
    assert_eq!(
        data(&ask("GET", &list, "").await)["interactions"],
        serde_json::json!([])
    );
    // The same in the other form.
    let twilio = format!("/v1/Services/KS{}/Sessions/{context}", &application[3..]);
    assert_eq!(shown(&server.get(&who, &twilio).await)["ttl"], 60);

    let changed = data(
        &ask(
            "PUT",
            &format!("contexts/{context}"),
            r#"{"status":"closed"}"#,
        )
        .await,
    );
    assert_eq!(changed["closedReason"], "api");
    let changed = ask(
        "PUT",
        &format!("applications/{application}"),
        r#"{"name":"deliveries"}"#,
    )
    .await;
    assert_eq!(data(&changed)["name"], "deliveries");
    let all = data(&ask("GET", "applications/search", "").await);
    assert_eq!(all["applications"].as_array().unwrap().len(), 1);
    assert_eq!(
        data(&ask("DELETE", &format!("applications/{application}"), "").await),
        serde_json::json!({})
    );
    ask("GET", &format!("applications/search/{application}"), "")
        .await
        .is(404);
    let gone = ask("GET", &format!("contexts/search/{context}"), "").await;
    assert_eq!(data(&gone)["status"], "closed", "it stays on record");
}

#[tokio::test]
async fn mistakes_are_named() {
    let server = Server::start().await;
    let who = server.admin();
    let service = service(&server, &who, 1, "").await;
    let path = session(&server, &who, &service, "").await;
    let (numbers, sessions) = (
        format!("{service}/PhoneNumbers"),
        format!("{service}/Sessions"),
    );
    let participants = format!("{path}/Participants");
    let services = "/v1/Services".to_owned();
    let table: &[(&str, &str, u16, i64, &str)] = &[
        (
            &services,
            "",
            400,
            21_100,
            "UniqueName: this parameter is required",
        ),
        (&services, "UniqueName=rides", 409, 461, "not unique"),
        (
            &services,
            "UniqueName=a&DefaultTtl=-1",
            400,
            21_100,
            "DefaultTtl: it must be from 0",
        ),
        (
            &services,
            "UniqueName=a&Timeout=1",
            400,
            21_100,
            "Timeout: it must be from 5 to 600",
        ),
        (
            &services,
            "UniqueName=a&GeoMatchLevel=overlay",
            400,
            21_100,
            "GeoMatchLevel",
        ),
        (
            &services,
            "UniqueName=a&CallbackUrl=ftp://x",
            400,
            21_100,
            "CallbackUrl",
        ),
        (
            &services,
            "UniqueName=a&InterceptCallbackUrl=http://x/",
            400,
            62_606,
            "InterceptCallbackUrl",
        ),
        (
            &services,
            "UniqueName=a&ChatInstanceSid=IS1",
            400,
            21_100,
            "there are no chats",
        ),
        (&services, "UniqueName=a&Ttl=1", 400, 21_100, "Ttl"),
        (
            &numbers,
            "",
            400,
            21_100,
            "Sid: name a number of the account",
        ),
        (
            &numbers,
            "PhoneNumber=%2B12025550100",
            400,
            21_100,
            "the account has no number",
        ),
        (
            &numbers,
            "PhoneNumber=%2B49300000000",
            409,
            20_409,
            "in the pool of a service already",
        ),
        (&sessions, "Ttl=x", 400, 21_100, "Ttl"),
        (
            &sessions,
            "DateExpiry=2020-01-01",
            400,
            21_100,
            "DateExpiry: it must be in the future",
        ),
        (&sessions, "Mode=fax", 400, 21_100, "Mode"),
        (
            &sessions,
            "Participants=no",
            400,
            21_100,
            "Participants: write a JSON object",
        ),
        (
            &sessions,
            "Participants=%7B%22Number%22:1%7D",
            400,
            21_100,
            "`Number` is not a parameter",
        ),
        (
            &participants,
            "",
            400,
            21_100,
            "Identifier: this parameter is required",
        ),
        (
            &participants,
            "Identifier=ann",
            400,
            21_100,
            "Identifier: `ann` is not a number",
        ),
        (
            &participants,
            "Identifier=%2B49300000000",
            400,
            21_100,
            "a number of the pool cannot take part",
        ),
        (
            &participants,
            "Identifier=%2B12025550100",
            400,
            62_206,
            "GeoMatchLevel `country`",
        ),
        (
            &participants,
            "Identifier=%2B49170000101&Pin=12",
            400,
            21_100,
            "Pin: it must have four to ten digits",
        ),
        (
            &participants,
            "Identifier=%2B49170000101&ProxyIdentifier=%2B4930999999",
            400,
            21_100,
            "not in the pool",
        ),
    ];
    for (path, form, status, code, text) in table {
        let answer = server.post(&who, path, form).await;
        assert_eq!(
            answer.status.as_u16(),
            *status,
            "{path} {form}: {}",
            answer.body
        );
        let error = answer.error();
        assert_eq!(error["code"], *code, "{path} {form}: {error}");
        assert!(
            error["message"].as_str().unwrap().contains(text),
            "{path} {form}: {error}"
        );
    }
    // Nothing is left of what was refused.
    let all = shown(&server.get(&who, "/v1/Services").await);
    assert_eq!(all["services"].as_array().unwrap().len(), 1);
    let all = shown(&server.get(&who, &sessions).await);
    assert_eq!(all["sessions"].as_array().unwrap().len(), 1);
    // A participant of a session that could not be made is not left either.
    let both = "Participants=%5B%7B%22Identifier%22:%22%2B49170000101%22%7D,%7B%22Identifier%22:%22%2B12025550100%22%7D%5D";
    server.post(&who, &sessions, both).await.is(400);
    join(&server, &who, &path, ANN).await.is(201);
}

#[tokio::test]
async fn what_belongs_to_another_account_does_not_exist() {
    let server = Server::start().await;
    let (who, other) = (server.admin(), of("other"));
    server.account("other", server.admin).await;
    let service = service(&server, &who, 1, "").await;
    let path = session(&server, &who, &service, "").await;
    let ann = shown(&join(&server, &who, &path, ANN).await);
    let number = shown(&server.get(&who, &format!("{service}/PhoneNumbers")).await);
    let items = [
        service.clone(),
        format!(
            "{service}/PhoneNumbers/{}",
            sid(&number["phone_numbers"][0])
        ),
        path.clone(),
        format!("{path}/Participants/{}", sid(&ann)),
    ];
    for item in &items {
        server.get(&other, item).await.is(404);
        server.delete(&other, item).await.is(404);
        server.get(&who, item).await.is(200);
    }
    for list in ["PhoneNumbers", "Sessions"] {
        server
            .get(&other, &format!("{service}/{list}"))
            .await
            .is(404);
    }
    join(&server, &other, &path, BEN).await.is(404);
    // An item below another service does not exist either.
    let second = server.post(&who, "/v1/Services", "UniqueName=second").await;
    let second = format!("/v1/Services/{}", sid(&shown(&second)));
    for item in &items[1..] {
        let moved = item.replace(&service, &second);
        server.get(&who, &moved).await.is(404);
    }
}

#[tokio::test]
async fn a_session_ends_when_its_time_is_over_and_its_account_is_closed() {
    let server = Server::start().await;
    let p = server.account("p", server.admin).await;
    let who = of("p");
    let service = service(&server, &who, 1, "").await;
    let path = session(&server, &who, &service, "Ttl=1").await;
    join(&server, &who, &path, ANN).await.is(201);
    let sid: model::MaskSessionSid = path.rsplit('/').next().unwrap().parse().unwrap();
    let later = server
        .store
        .mask_session(sid)
        .await
        .unwrap()
        .unwrap()
        .created
        + std::time::Duration::from_secs(1);
    assert!(server.store.close_expired_sessions(later).await.unwrap());
    assert!(!server.store.close_expired_sessions(later).await.unwrap());
    let over = shown(&server.get(&who, &path).await);
    assert_eq!(
        (&over["status"], &over["closed_reason"]),
        (&"closed".into(), &"ttl".into())
    );

    let open = session(&server, &who, &service, "").await;
    join(&server, &who, &open, ANN).await.is(201);
    let store = &server.store;
    store
        .set_account_status(p, model::AccountStatus::Closed, later)
        .await
        .unwrap();
    let sid: model::MaskSessionSid = open.rsplit('/').next().unwrap().parse().unwrap();
    let closed = store.mask_session(sid).await.unwrap().unwrap();
    assert_eq!(closed.reason.as_deref(), Some("account-closed"));
    assert_eq!(closed.status, masking::Status::Closed);
}

/// A participant keeps its number as long as its session is open; then it has a pseudonym.
#[tokio::test]
async fn the_erasure_of_a_number_covers_participants() {
    let server = Server::start().await;
    let p = server.account("p", server.admin).await;
    let who = of("p");
    let service = service(&server, &who, 1, "").await;
    let path = session(&server, &who, &service, "").await;
    let ann = shown(&join(&server, &who, &path, ANN).await);
    let ben = shown(&join(&server, &who, &path, BEN).await);
    let erase = async || {
        let path = format!("/Accounts/{p}/Erasures.json");
        let form = format!("PhoneNumber={ANN}");
        server.post(&who, &path, &form).await.json()
    };
    let receipt = erase().await;
    assert_eq!(
        (&receipt["participants"], &receipt["not_over"]),
        (&0.into(), &1.into())
    );
    server.post(&who, &path, "Status=closed").await.is(200);
    let receipt = erase().await;
    assert_eq!(
        (&receipt["participants"], &receipt["not_over"]),
        (&1.into(), &0.into())
    );
    let read = async |one: &Value| {
        let own = format!("{path}/Participants/{}", sid(one));
        shown(&server.get(&who, &own).await)["identifier"].clone()
    };
    assert_eq!(read(&ann).await, receipt["pseudonym"]);
    assert_eq!(read(&ben).await, "+49170000202");
}

/// Someone who calls from another number enters the PIN of a participant, and reaches the other one.
#[tokio::test]
async fn a_pin_stands_for_the_number_of_a_participant() {
    let server = Server::start().await;
    let who = server.admin();
    let service = service(&server, &who, 1, "UnknownCallers=pin").await;
    let path = session(&server, &who, &service, "").await;
    let form = format!("Identifier={ANN}&Pin=471147");
    let joined = server
        .post(&who, &format!("{path}/Participants"), &form)
        .await;
    joined.is(201);
    assert_eq!(shown(&joined)["has_pin"], true);
    assert!(!joined.body.contains("471147"), "{}", joined.body);
    join(&server, &who, &path, BEN).await.is(201);
    // Two participants with one mask have different PINs.
    let second = session(&server, &who, &service, "").await;
    let form = "Identifier=%2B49170000303&Pin=471147";
    let refused = server
        .post(&who, &format!("{second}/Participants"), form)
        .await;
    refused.is(400);
    assert!(refused.body.contains("has this PIN"), "{}", refused.body);

    let mask: model::NumberSid = shown(&joined)["proxy_identifier_sid"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let query = masking::pin_query(mask);
    let signature = server.store.key().sign(masking::PIN, &query);
    let call = model::CallSid::from_bytes([7; 16]);
    let enter = async |signature: &str, pin: &str| {
        let path = format!("{}?{query}&Signature={signature}", masking::PIN_PATH);
        let form = format!("CallSid={call}&Digits={pin}");
        server.ask("POST", None, &path, &[], &form).await.body
    };
    assert!(enter("forged", "471147").await.contains("<Hangup/>"));
    let wrong = enter(&signature, "1234").await;
    assert!(
        wrong.contains("<Say>") && !wrong.contains("<Dial"),
        "{wrong}"
    );
    let right = enter(&signature, "471147").await;
    assert!(right.contains("<Number>+49170000202</Number>"), "{right}");
    assert!(!right.contains("170000101"), "{right}");
    let list = shown(&server.get(&who, &format!("{path}/Interactions")).await);
    assert_eq!(
        list["interactions"][0]["inbound_resource_sid"],
        call.to_string()
    );
    assert_eq!(list["interactions"][0]["status"], "in-progress");
    let own = format!("{path}/Interactions/{}", sid(&list["interactions"][0]));
    server.delete(&who, &own).await.is(409);
    // After too many wrong ones, the right one is not taken any more.
    for _ in 0..19 {
        enter(&signature, "1234").await;
    }
    assert!(!enter(&signature, "471147").await.contains("<Dial"));
}
