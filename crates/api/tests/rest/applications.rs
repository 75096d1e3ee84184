//! `/Accounts/{sid}/Applications`.

use crate::server::Server;

#[tokio::test]
async fn applications_live() {
    let server = Server::start().await;
    let who = server.admin();
    let list = format!("/Accounts/{}/Applications.json", server.admin);
    let form = "FriendlyName=ABC&VoiceCallerIdLookup=true&RcmlUrl=%2Frvd%2Fmain.xml&Kind=voice";
    let created = server.post(&who, &list, form).await.json();
    let sid = created["sid"].as_str().unwrap();
    let path = format!("/Accounts/{}/Applications/{sid}.json", server.admin);
    let shown = server.get(&who, &path).await.json();
    assert_eq!(shown, created);
    let expected = serde_json::json!({
        "friendly_name": "ABC",
        "api_version": "2012-04-24",
        "account_sid": server.admin.to_string(),
        "voice_caller_id_lookup": true,
        "rcml_url": "/rvd/main.xml",
        "kind": "voice",
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&shown[key], value, "{key}");
    }
    assert!(shown.get("numbers").is_none());
    // In lists, an application is shown with the numbers that use it.
    let number = format!("PhoneNumber=9966&isSIP=true&VoiceApplicationSid={sid}");
    let numbers = format!("/Accounts/{}/IncomingPhoneNumbers.json", server.admin);
    server.post(&who, &numbers, &number).await.is(200);
    let listed = server
        .get(&who, &format!("{list}?includeNumbers=true"))
        .await
        .json();
    let mut listed = listed[0].clone();
    let numbers = listed.as_object_mut().unwrap().remove("numbers").unwrap();
    assert_eq!(listed, created);
    let attached = &numbers[0];
    assert_eq!(attached["phone_number"], "9966");
    assert_eq!(attached["voice_application_sid"], sid);
    assert!(attached.get("sms_application_sid").is_none());
    let xml = server.get(&who, &list.replace(".json", "")).await;
    assert!(
        xml.body.contains("<Numbers><Number><Sid>PN"),
        "{}",
        xml.body
    );
    // Parameters not sent leave their values unchanged.
    let changed = server
        .put(&who, &path, "FriendlyName=New&Kind=sms")
        .await
        .json();
    assert_eq!(
        (&changed["friendly_name"], &changed["kind"]),
        (&"New".into(), &"sms".into())
    );
    let changed = server
        .post(&who, &path, "RcmlUrl=&VoiceCallerIdLookup=false")
        .await
        .json();
    assert_eq!(
        (&changed["rcml_url"], &changed["voice_caller_id_lookup"]),
        (&"".into(), &false.into())
    );
    assert_eq!(server.get(&who, &path).await.json()["friendly_name"], "New");
    server.post(&who, &list, "Kind=voice").await.is(400);
    server
        .get(&who, &path.replace(sid, "nonsense"))
        .await
        .is(404);
    server
        .post(&who, &list, "FriendlyName=x&Kind=fax")
        .await
        .is(400);
    server
        .post(&who, &list, "FriendlyName=x&RcmlUrl=ftp%3A%2F%2Fh%2F")
        .await
        .is(400);
    server
        .post(&who, &list, &format!("FriendlyName={}", "x".repeat(65)))
        .await
        .is(400);
    // Deleting it again is not an error.
    server.delete(&who, &path).await.is(200);
    server.get(&who, &path).await.is(404);
    server.delete(&who, &path).await.is(200);
}
