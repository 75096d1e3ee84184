//! `/Accounts/{sid}/IncomingPhoneNumbers`.

use crate::server::{Server, of};

#[tokio::test]
async fn numbers_live() {
    let server = Server::start().await;
    let who = server.admin();
    let list = format!("/Accounts/{}/IncomingPhoneNumbers.json", server.admin);
    let form = "PhoneNumber=9966&isSIP=true&VoiceUrl=http%3A%2F%2F127.0.0.1%2Fa.xml\
                &VoiceMethod=GET&FriendlyName=My+Company+Line&Public=true";
    let created = server.post(&who, &list, form).await;
    let json = created.json();
    assert_eq!(json["voice_url"], "http://127.0.0.1/a.xml");
    assert_eq!(
        (&json["voice_method"], &json["public"]),
        (&"GET".into(), &true.into())
    );
    // Properties not given are present all the same: addresses as null, methods as POST.
    for key in [
        "voice_fallback_url",
        "status_callback",
        "sms_url",
        "ussd_url",
        "refer_url",
        "voice_application_sid",
    ] {
        assert!(json[key].is_null() && json.get(key).is_some(), "{key}");
    }
    for key in [
        "voice_fallback_method",
        "status_callback_method",
        "sms_method",
        "ussd_method",
        "refer_method",
    ] {
        assert_eq!(json[key], "POST", "{key}");
    }
    assert_eq!(json["capabilities"]["voice_capable"], true);
    assert!(json.get("voice_application_name").is_none());
    let uri = json["uri"].as_str().unwrap();
    assert!(
        uri.starts_with("/2012-04-24/") && uri.ends_with(".json"),
        "{uri}"
    );
    let order = [
        "\"sid\"",
        "\"account_sid\"",
        "\"phone_number\"",
        "\"voice_url\"",
        "\"date_created\"",
        "\"sms_url\"",
        "\"refer_url\"",
        "\"capabilities\"",
        "\"uri\"",
    ];
    let places: Vec<_> = order
        .iter()
        .map(|key| created.body.find(key).unwrap())
        .collect();
    assert!(places.is_sorted(), "{places:?}");

    let sid = json["sid"].as_str().unwrap();
    let path = format!("/Accounts/{}/IncomingPhoneNumbers/{sid}.json", server.admin);
    // The method of messages is `SmsMethod`; another spelling is unknown and changes nothing.
    let applications = format!("/Accounts/{}/Applications.json", server.admin);
    let made = server.post(&who, &applications, "FriendlyName=Demo").await;
    let application = made.json()["sid"].as_str().unwrap().to_owned();
    let form = format!(
        "VoiceUrl=%2Fb.xml&SmsUrl=%2Fs.xml&SMSMethod=GET&SmsCapable=true&VoiceMethod=POST&VoiceApplicationSid={application}"
    );
    let changed = server.put(&who, &path, &form).await.json();
    assert_eq!(
        (&changed["voice_url"], &changed["sms_url"]),
        (&"/b.xml".into(), &"/s.xml".into())
    );
    assert_eq!(
        (&changed["voice_method"], &changed["sms_method"]),
        (&"POST".into(), &"POST".into())
    );
    assert_eq!(changed["capabilities"]["sms_capable"], true);
    assert_eq!(changed["voice_application_sid"], application.as_str());
    assert_eq!(changed["phone_number"], "9966");
    let changed = server
        .post(&who, &path, "VoiceApplicationSid=&SmsUrl=&Public=false")
        .await
        .json();
    assert!(changed["voice_application_sid"].is_null() && changed["sms_url"].is_null());
    assert_eq!(changed["public"], false);
    let unknown = path.replace(sid, &format!("PN{}", "0".repeat(32)));
    server.put(&who, &unknown, "FriendlyName=x").await.is(404);
    server.delete(&who, &unknown).await.is(404);
    server.get(&who, &unknown).await.is(404);
    server.delete(&who, &path).await.is(204);
    server.get(&who, &path).await.is(404);
}

#[tokio::test]
async fn numbers_that_cannot_be_had_are_21452() {
    let server = Server::start().await;
    let who = server.admin();
    let list = format!("/Accounts/{}/IncomingPhoneNumbers", server.admin);
    let other = server.other_organization("two.example").await;
    let form =
        format!("EmailAddress=far%40example.org&Password=RestComm12&OrganizationSid={other}");
    let far = server.post(&who, "/Accounts.json", &form).await.json();
    let far = format!(
        "/Accounts/{}/IncomingPhoneNumbers",
        far["sid"].as_str().unwrap()
    );
    // Two organizations may have the same number, provided that it is a pure SIP number.
    server
        .post(&who, &list, "PhoneNumber=9966&isSIP=true")
        .await
        .is(200);
    server
        .post(&who, &far, "PhoneNumber=9966&isSIP=true")
        .await
        .is(200);
    server
        .post(&who, &list, "PhoneNumber=%2B12025550123&isSIP=false")
        .await
        .is(200);
    let refused = [
        (&list, "PhoneNumber=9966&isSIP=true"),
        // There is no number provider.
        (&list, "PhoneNumber=%2B14156902867"),
        (&list, "AreaCode=305"),
        // Already exists, in another spelling.
        (&far, "PhoneNumber=12025550123&isSIP=false"),
    ];
    for (path, form) in refused {
        let answer = server.post(&who, path, form).await;
        answer.is(400);
        assert!(answer.body.contains("<Code>21452</Code>"), "{form}");
    }
    let local = server
        .post(&who, &format!("{list}/Local.json"), "PhoneNumber=%2B1")
        .await;
    assert_eq!(local.error()["code"], 21452);
    server
        .post(
            &who,
            &format!("{list}/TollFree"),
            "PhoneNumber=800&isSIP=true",
        )
        .await
        .is(200);
    // Not a number, and invalid values.
    for form in [
        "FriendlyName=x",
        "PhoneNumber=1&isSIP=true&Public=maybe",
        "PhoneNumber=%2B1.202.555.0100&isSIP=true",
        "PhoneNumber=%2B1+202&isSIP=true",
        "PhoneNumber=1&isSIP=true&SmsUrl=nonsense%3A%2F%2Fx",
        "PhoneNumber=1&isSIP=true&ReferApplicationSid=x",
    ] {
        server.post(&who, &list, form).await.is(400);
    }
}

#[tokio::test]
async fn numbers_are_listed_in_pages() {
    let server = Server::start().await;
    let who = server.admin();
    server.account("p", server.admin).await;
    let list = format!("/Accounts/{}/IncomingPhoneNumbers.json", server.admin);
    let sid = {
        let application = format!("/Accounts/{}/Applications.json", server.admin);
        let created = server
            .post(&who, &application, "FriendlyName=Demo")
            .await
            .json();
        created["sid"].as_str().unwrap().to_owned()
    };
    for n in 0..101 {
        let form = format!("PhoneNumber=9{n:03}&isSIP=true&VoiceApplicationSid={sid}");
        server.post(&who, &list, &form).await.is(200);
    }
    server
        .post(
            &who,
            &list,
            "PhoneNumber=8&isSIP=true&FriendlyName=My+Company+Line",
        )
        .await
        .is(200);
    let table = [
        ("", 50, "0", "49"),
        ("?Page=1", 50, "50", "99"),
        ("?Page=2", 2, "100", "102"),
        ("?PageSize=100&Page=1", 2, "100", "102"),
    ];
    for (query, rows, start, end) in table {
        let page = server.get(&who, &format!("{list}{query}")).await.json();
        assert_eq!(
            page["incomingPhoneNumbers"].as_array().unwrap().len(),
            rows,
            "{query}"
        );
        assert_eq!(
            (&page["start"], &page["end"]),
            (&start.into(), &end.into()),
            "{query}"
        );
        assert_eq!(page["total"], 102);
    }
    // A part of the name or number is enough.
    let one = server
        .get(&who, &format!("{list}?FriendlyName=ompan"))
        .await;
    assert_eq!(one.column("incomingPhoneNumbers", "phone_number"), ["8"]);
    let last = server
        .get(
            &who,
            &format!("{list}?PhoneNumber=9&Reverse=true&PageSize=1"),
        )
        .await;
    assert_eq!(
        last.column("incomingPhoneNumbers", "phone_number"),
        ["9100"]
    );
    assert_eq!(
        last.column("incomingPhoneNumbers", "voice_application_name"),
        ["Demo"]
    );
    let xml = server
        .get(&who, &format!("{}?PageSize=1", list.replace(".json", "")))
        .await;
    let head = "<IncomingPhoneNumbers page=\"0\" numpages=\"102\" pagesize=\"1\" total=\"102\" start=\"0\"";
    assert!(xml.body.contains(head), "{}", xml.body);
    server.get(&of("p"), &list).await.is(403);
}
