//! The API as Twilio's clients see it, below `/2010-04-01`.

use call_proto::Dialect;
use model::record::{CallRecord, Message, Recording, RecordingKind};
use model::{ApplicationSid, CallStatus, DialectName, HttpMethod, MessageSid, RecordingSid};
use store::Change;

use crate::server::{Server, call, call_sid};

const BASE: &str = "/2010-04-01";

#[tokio::test]
async fn calls_are_listed_by_keys_in_both_directions() {
    let server = Server::start().await;
    let who = server.admin();
    server
        .keep((0..5).map(|n| call(n, server.admin)).collect())
        .await;
    let list = format!("{BASE}/Accounts/{}/Calls.json", server.admin);
    let to = call(0, server.admin).to;
    let mut path = format!("{list}?PageSize=2&To={to}");
    let mut pages = Vec::new();
    loop {
        let page = server.get(&who, &path).await;
        assert!(page.json().get("total").is_none());
        pages.push((
            page.column("calls", "sid"),
            page.json()["previous_page_uri"].clone(),
        ));
        // A call that arrives in between shifts nothing.
        server
            .keep(vec![call(100 + pages.len() as u32, server.admin)])
            .await;
        let json = page.json();
        assert_eq!(json["page"], pages.len() - 1);
        let Some(next) = json["next_page_uri"].as_str() else {
            break;
        };
        assert!(
            next.starts_with(&list)
                && next.contains("PageToken=")
                && next.contains(&format!("To={to}"))
        );
        path = next.to_owned();
    }
    let sids: Vec<Vec<String>> = [vec![4, 3], vec![2, 1], vec![0]]
        .map(|page| page.into_iter().map(|n| call_sid(n).to_string()).collect())
        .to_vec();
    assert_eq!(
        pages
            .iter()
            .map(|(sids, _)| sids.clone())
            .collect::<Vec<_>>(),
        sids
    );
    assert_eq!(pages[0].1, serde_json::Value::Null);
    let back = server.get(&who, pages[2].1.as_str().unwrap()).await;
    assert_eq!(back.column("calls", "sid"), sids[1]);
    assert!(back.json()["previous_page_uri"].is_string());
    let bad = server.get(&who, &format!("{list}?PageToken=x")).await;
    bad.is(400);
}

#[tokio::test]
async fn resources_look_as_they_do_there() {
    let server = Server::start().await;
    let who = server.admin();
    let account = format!("{BASE}/Accounts/{}", server.admin);
    let ended = CallRecord {
        status: CallStatus::NotFound,
        duration_s: Some(7),
        ..call(1, server.admin)
    };
    server.keep(vec![ended]).await;
    let one = server
        .get(&who, &format!("{account}/Calls/{}.json", call_sid(1)))
        .await
        .json();
    for (key, value) in [
        ("api_version", "2010-04-01".into()),
        ("status", "failed".into()),
        ("duration", "7".into()),
        ("date_created", "Tue, 20 Aug 2013 12:00:01 +0000".into()),
        ("start_time", "Tue, 20 Aug 2013 12:00:01 +0000".into()),
        ("parent_call_sid", serde_json::Value::Null),
        (
            "uri",
            format!("{account}/Calls/{}.json", call_sid(1)).into(),
        ),
    ] {
        assert_eq!(one[key], value, "{key}");
    }
    assert!(one.get("InstanceId").is_none());
    // A filter refers to the values shown.
    for (word, found) in [("failed", 1), ("completed", 0)] {
        let path = format!("{account}/Calls.json?Status={word}");
        let list = server.get(&who, &path).await;
        assert_eq!(list.column("calls", "sid").len(), found, "{word}");
    }
    let xml = server
        .get(&who, &format!("{account}/Calls/{}", call_sid(1)))
        .await;
    assert!(
        xml.body.contains("<TwilioResponse><Call><Sid>CA"),
        "{}",
        xml.body
    );

    let instance = server.store.instance();
    let at = call(1, server.admin).created;
    let message = MessageSid::from_bytes([1; 16]);
    let recording = RecordingSid::from_bytes([1; 16]);
    let kept = Message {
        body: "hello".to_owned(),
        ..testkit::records::message(message, instance, server.admin, call_sid(1), at)
    };
    server
        .store
        .commit(vec![
            Change::MessageCreated {
                message: Box::new(kept),
                farewell: None,
            },
            Change::Recording(Recording {
                sid: recording,
                account: server.admin,
                call: Some(call_sid(1)),
                conference: None,
                kind: RecordingKind::default(),
                duration_ms: 2_600,
                size_bytes: 1,
                created: at,
                updated: at,
            }),
        ])
        .await
        .unwrap();
    let list = server
        .get(&who, &format!("{account}/Messages.json"))
        .await
        .json();
    assert_eq!(list["messages"][0]["body"], "hello");
    assert_eq!(list["messages"][0]["error_code"], serde_json::Value::Null);
    assert_eq!(
        list["messages"][0]["uri"],
        format!("{account}/Messages/{message}.json")
    );
    for path in ["Recordings", &format!("Calls/{}/Recordings", call_sid(1))] {
        let list = server
            .get(&who, &format!("{account}/{path}.json"))
            .await
            .json();
        assert_eq!(list["recordings"][0]["duration"], "3");
        let address = list["recordings"][0]["media_url"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(address.contains("/2010-04-01/Accounts/"), "{address}");
    }
    let gone = format!("{account}/Recordings/{recording}.json");
    server.delete(&who, &gone).await.is(204);
    let missing = server.get(&who, &gone).await;
    missing.is(404);
    assert_eq!(missing.error()["code"], 20_404);
}

#[tokio::test]
async fn accounts_need_a_name_only() {
    let server = Server::start().await;
    let who = server.admin();
    let list = format!("{BASE}/Accounts.json");
    let made = server.post(&who, &list, "FriendlyName=Branch").await;
    made.is(201);
    let made = made.error();
    assert_eq!(made["owner_account_sid"], server.admin.to_string());
    let own = (
        made["sid"].as_str().unwrap().to_owned(),
        made["auth_token"].as_str().unwrap().to_owned(),
    );
    let path = format!("{BASE}/Accounts/{}.json", own.0);
    assert_eq!(
        server.get(&own, &path).await.json()["friendly_name"],
        "Branch"
    );
    let all = server.get(&who, &list).await;
    assert_eq!(
        all.column("accounts", "sid"),
        [own.0.clone(), server.admin.to_string()]
    );
    let named = server
        .get(&who, &format!("{list}?FriendlyName=Branch&PageSize=1"))
        .await;
    assert_eq!(named.column("accounts", "sid"), [own.0]);
    let first = server.get(&who, &format!("{list}?PageSize=1")).await.json();
    let next = first["next_page_uri"].as_str().unwrap().to_owned();
    let second = server.get(&who, &next).await;
    assert_eq!(second.column("accounts", "sid"), [server.admin.to_string()]);
    for (status, found) in [("active", 2), ("closed", 0)] {
        let list = server.get(&who, &format!("{list}?Status={status}")).await;
        assert_eq!(list.column("accounts", "sid").len(), found, "{status}");
    }
}

/// Every list is walked by keys: deleting a row does not end a walk, and a page may be requested by
/// its number alone.
#[tokio::test]
async fn short_lists_are_walked_as_long_ones() {
    let server = Server::start().await;
    let who = server.admin();
    let account = format!("{BASE}/Accounts/{}", server.admin);
    server.keep(vec![call(1, server.admin)]).await;
    let of_call = format!("Calls/{}/Recordings", call_sid(1));
    for n in 0..5 {
        let recording = Change::Recording(Recording {
            sid: RecordingSid::from_bytes([n; 16]),
            account: server.admin,
            call: Some(call_sid(1)),
            conference: None,
            kind: RecordingKind::default(),
            duration_ms: 1,
            size_bytes: 1,
            created: call(n.into(), server.admin).created,
            updated: call(n.into(), server.admin).created,
        });
        server.store.commit(vec![recording]).await.unwrap();
        for (kind, form) in [
            ("Applications", format!("FriendlyName=a{n}")),
            ("Clients", format!("Login=c{n}&Password=RestComm12")),
        ] {
            let list = format!("{account}/{kind}.json");
            server.post(&who, &list, &form).await.is(201);
        }
    }
    for (kind, key, items) in [
        ("Applications", "applications", "Applications"),
        ("Clients", "clients", "Clients"),
        (&of_call, "recordings", "Recordings"),
    ] {
        let list = format!("{account}/{kind}.json");
        let all = server.get(&who, &list).await.column(key, "sid");
        assert_eq!(all.len(), 5, "{kind}");
        let numbered = server.get(&who, &format!("{list}?PageSize=2&Page=1")).await;
        assert_eq!(numbered.column(key, "sid"), all[2..4], "{kind}");
        let first = server.get(&who, &format!("{list}?PageSize=2")).await;
        assert_eq!(first.column(key, "sid"), all[..2], "{kind}");
        let gone = format!("{account}/{items}/{}.json", all[1]);
        server.delete(&who, &gone).await.is(204);
        let next = first.json()["next_page_uri"].as_str().unwrap().to_owned();
        let second = server.get(&who, &next).await;
        assert_eq!(second.column(key, "sid"), all[2..4], "{kind}");
        let back = second.json()["previous_page_uri"]
            .as_str()
            .unwrap()
            .to_owned();
        let back = server.get(&who, &back).await;
        assert_eq!(back.column(key, "sid"), all[..1], "{kind}");
    }
}

/// Anyone who sets an address here expects its document to run in this dialect.
#[tokio::test]
async fn addresses_carry_the_dialect_of_the_base_path() {
    let server = Server::start().await;
    let who = server.admin();
    let base = format!("/Accounts/{}", server.admin);
    let number = "PhoneNumber=1000&isSIP=true&VoiceUrl=/v";
    let made = server
        .post(&who, &format!("{base}/IncomingPhoneNumbers.json"), number)
        .await
        .json();
    let sid: model::NumberSid = made["sid"].as_str().unwrap().parse().unwrap();
    let dialect = async || {
        server
            .store
            .number(sid)
            .await
            .unwrap()
            .unwrap()
            .voice
            .dialect
    };
    assert_eq!(dialect().await, DialectName::Restcomm);
    let path = format!("{BASE}{base}/IncomingPhoneNumbers/{sid}.json");
    server.post(&who, &path, "FriendlyName=x").await.is(200);
    assert_eq!(
        dialect().await,
        DialectName::Restcomm,
        "the address is the same"
    );
    server.post(&who, &path, "VoiceUrl=/w").await.is(200);
    assert_eq!(dialect().await, DialectName::Twilio);
    let restcomm = format!("{base}/IncomingPhoneNumbers/{sid}.json");
    let fallback = "VoiceFallbackUrl=/f";
    server.post(&who, &restcomm, fallback).await.is(200);
    assert_eq!(dialect().await, DialectName::Restcomm);

    let path = format!("{BASE}{base}/Applications.json");
    let made = server.post(&who, &path, "FriendlyName=a&RcmlUrl=/a").await;
    made.is(201);
    let sid = made.error()["sid"].as_str().unwrap().parse().unwrap();
    let application = server.store.application(sid).await.unwrap().unwrap();
    assert_eq!(application.dialect, DialectName::Twilio);

    let path = format!("{BASE}{base}/Calls.json");
    server
        .post(
            &who,
            &path,
            "From=a&To=client:b&Url=http://a/d&StatusCallback=http://a/s",
        )
        .await
        .is(201);
    let asked = server.engine.created.lock().unwrap().pop().unwrap();
    assert_eq!(asked.dialect, Dialect::TWILIO);
    assert_eq!(
        asked.callback.unwrap().events,
        None,
        "the default of the dialect"
    );
}

#[tokio::test]
async fn applications_have_twilio_s_addresses_and_methods() {
    let server = Server::start().await;
    let who = server.admin();
    let list = format!("{BASE}/Accounts/{}/Applications.json", server.admin);
    // The libraries need no name.
    let form = "VoiceUrl=http://a/v&VoiceFallbackUrl=http://a/f&VoiceFallbackMethod=GET\
        &StatusCallback=http://a/s&SmsUrl=http://a/m&SmsMethod=GET&MessageStatusCallback=http://a/n";
    let made = server.post(&who, &list, form).await;
    made.is(201);
    let made = made.error();
    let expected = serde_json::json!({
        "friendly_name": "",
        "voice_url": "http://a/v",
        "voice_method": "POST",
        "voice_fallback_url": "http://a/f",
        "voice_fallback_method": "GET",
        "status_callback": "http://a/s",
        "status_callback_method": "POST",
        "sms_url": "http://a/m",
        "sms_method": "GET",
        "sms_fallback_url": null,
        "sms_fallback_method": "POST",
        "sms_status_callback": null,
        "message_status_callback": "http://a/n",
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&made[key], value, "{key}");
    }
    let sid: ApplicationSid = made["sid"].as_str().unwrap().parse().unwrap();
    let stored = async || server.store.application(sid).await.unwrap().unwrap();
    assert_eq!(stored().await.dialect, DialectName::Twilio);
    assert_eq!(
        stored().await.method,
        Some(HttpMethod::Post),
        "the method of a number does not count"
    );
    // What is not sent stays; what is sent empty is taken away.
    let path = format!("{BASE}/Accounts/{}/Applications/{sid}.json", server.admin);
    let form = "VoiceMethod=GET&VoiceFallbackUrl=&SmsUrl=&StatusCallbackMethod=GET&FriendlyName=x";
    let changed = server.post(&who, &path, form).await.json();
    let expected = [
        ("voice_url", "http://a/v"),
        ("voice_method", "GET"),
        ("status_callback", "http://a/s"),
        ("status_callback_method", "GET"),
        ("message_status_callback", "http://a/n"),
        ("friendly_name", "x"),
    ];
    for (key, value) in expected {
        assert_eq!(changed[key], value, "{key}");
    }
    assert!(changed["voice_fallback_url"].is_null() && changed["sms_url"].is_null());
    assert_eq!(server.get(&who, &path).await.json(), changed);
    server.post(&who, &path, "VoiceUrl=a").await.is(400);
    // Restcomm's applications show one address, under another name, and accept it under both.
    let restcomm = format!("/Accounts/{}/Applications/{sid}.json", server.admin);
    let shown = server.get(&who, &restcomm).await.json();
    assert_eq!(shown["rcml_url"], "http://a/v");
    assert!(shown.get("voice_url").is_none());
    server
        .post(&who, &restcomm, "VoiceUrl=http://a/w")
        .await
        .is(200);
    assert_eq!(stored().await.rcml_url.as_deref(), Some("http://a/w"));
}

#[tokio::test]
async fn what_is_not_supported_is_refused_by_name() {
    let server = Server::start().await;
    let who = server.admin();
    let calls = format!("{BASE}/Accounts/{}/Calls.json", server.admin);
    let form = "From=a&To=client:b&Url=http://a/d&CallerId=c";
    let refused = server.post(&who, &calls, form).await;
    refused.is(400);
    assert_eq!(
        refused.error()["message"],
        "CallerId: this parameter is not supported here; send it as From"
    );
    // As the documentation says.
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/twilio.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let (_, list) = docs.split_once("names it:\n").unwrap();
    let (list, _) = list.split_once(". When a call is changed").unwrap();
    let names: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    assert!(names.len() > 3, "{names:?}");
    for name in names {
        let form = format!("From=a&To=client:b&Url=http://a/d&{name}=x");
        let refused = server.post(&who, &calls, &form).await.error();
        let text = format!("{name}: this parameter is not supported here");
        assert!(
            refused["message"].as_str().unwrap().starts_with(&text),
            "{refused}"
        );
    }
    server
        .post(&who, &calls, "From=a&To=client:b&Url=http://a/d")
        .await
        .is(201);
    // The same is ignored at the other base path, as always.
    let restcomm = format!("/Accounts/{}/Calls.json", server.admin);
    server.post(&who, &restcomm, form).await.is(200);
    let unknown = format!(
        "{BASE}/Accounts/{}/Calls/{}.json",
        server.admin,
        call_sid(7)
    );
    let missing = server.post(&who, &unknown, "Status=completed").await;
    missing.is(404);
    assert_eq!(missing.error()["code"], 20_404);
    let ended = CallRecord {
        status: CallStatus::Completed,
        ..call(7, server.admin)
    };
    server.keep(vec![ended]).await;
    for (change, status, code) in [
        ("Status=completed", 404, 20_404),
        ("Status=canceled", 404, 20_404),
        ("Url=http://a/d", 400, 21_220),
    ] {
        let over = server.post(&who, &unknown, change).await;
        over.is(status);
        assert_eq!(over.error()["code"], code, "{change}");
    }
}

/// A client with several phones is several calls, but the libraries read one.
#[tokio::test]
async fn a_call_to_several_phones_is_answered_with_its_first_leg() {
    let server = Server::start().await;
    let path = format!("{BASE}/Accounts/{}/Calls.json", server.admin);
    let form = "From=a&To=client:two&Url=http://a/d";
    let made = server.post(&server.admin(), &path, form).await;
    made.is(201);
    assert_eq!(made.error()["sid"], call_sid(900).to_string());
}

#[tokio::test]
async fn numbers_have_the_capabilities_that_twilio_names() {
    let server = Server::start().await;
    let path = format!("{BASE}/Accounts/{}/IncomingPhoneNumbers.json", server.admin);
    // Without a provider each number is the operator's, so no parameter needs to specify that.
    let form = "PhoneNumber=1000&VoiceCapable=true";
    server.post(&server.admin(), &path, form).await.is(201);
    let again = server.post(&server.admin(), &path, form).await;
    again.is(400);
    assert_eq!(again.error()["code"], 21_422);
    let list = server.get(&server.admin(), &path).await.json();
    assert_eq!(
        list["incoming_phone_numbers"][0]["capabilities"],
        serde_json::json!({ "voice": true, "sms": false, "mms": false, "fax": false })
    );
}

#[tokio::test]
async fn an_unreachable_party_is_the_request_s_fault() {
    let server = Server::start().await;
    let path = format!("{BASE}/Accounts/{}/Calls.json", server.admin);
    for (to, code) in [("client:nobody", 11_008), ("sip:nobody@127.0.0.1", 11_110)] {
        let form = format!("From=a&To={to}&Url=http://a/d");
        let refused = server.post(&server.admin(), &path, &form).await;
        refused.is(400);
        assert_eq!(refused.error()["code"], code, "{to}");
    }
}
