//! Records about where devices are.

use crate::server::{Server, of};

const NEW: &str = "DeviceIdentifier=%2B15550100&StatusCallback=http://app.example/g";
const FENCE: &str =
    "&GeofenceEvent=In&EventGeofenceLatitude=43.65&EventGeofenceLongitude=79 22 W&GeofenceRange=50";

fn path(server: &Server, rest: &str) -> String {
    format!("/Accounts/{}/Geolocation{rest}", server.admin)
}

async fn stored(server: &Server) -> usize {
    let list = server.get(&server.admin(), &path(server, ".json")).await;
    list.json().as_array().unwrap().len()
}

/// Case 279, as far as it goes without a location service.
#[tokio::test]
async fn what_cannot_be_located_says_so() {
    let server = Server::start().await;
    let who = server.admin();
    let list = path(&server, "/Immediate.json");
    let created = server.post(&who, &list, NEW).await.json();
    let sid = created["sid"].as_str().unwrap();
    assert!(sid.starts_with("GL") && sid.len() == 34, "{sid}");
    assert_eq!(created["device_identifier"], "+15550100");
    assert_eq!(created["geolocation_type"], "Immediate");
    assert_eq!(created["response_status"], "failed");
    let cause = created["cause"].as_str().unwrap();
    assert!(cause.contains("no location service"), "{cause}");
    assert_eq!(created["geolocation_data"], serde_json::json!({}));
    let uri = created["uri"].as_str().unwrap();
    assert_eq!(server.get(&who, uri).await.json(), created);
    let other_word = path(&server, &format!("/Notification/{sid}.json"));
    assert_eq!(server.get(&who, &other_word).await.json(), created);
    // What the request says about the place is shown.
    let form = format!(
        "{NEW}&DeviceLatitude=43.65&DeviceLongitude=79°22'W&MobileCountryCode=262&CellId=7&LocationAge=5"
    );
    let located = server.post(&who, &list, &form).await.json();
    assert_eq!(located["response_status"], "successful");
    assert!(located.get("cause").is_none());
    let data = serde_json::json!({
        "cell_id": "7",
        "mobile_country_code": 262,
        "location_age": 5,
        "device_latitude": "43.65",
        "device_longitude": "79°22'W",
    });
    assert_eq!(located["geolocation_data"], data);
    let all = server.get(&who, &path(&server, ".json")).await.json();
    assert_eq!(all, serde_json::json!([located, created]));
    let xml = server.get(&who, &path(&server, "")).await;
    assert!(
        xml.body.contains("<GeolocationData><CellId>7</CellId>"),
        "{}",
        xml.body
    );
}

/// Cases 280 and 281.
#[tokio::test]
async fn what_is_missing_or_out_of_place_is_refused() {
    let server = Server::start().await;
    let who = server.admin();
    let whole = format!("{NEW}{FENCE}");
    let without = |name: &str| {
        let left = whole.split('&').filter(|pair| !pair.starts_with(name));
        left.collect::<Vec<_>>().join("&")
    };
    let table = [
        (
            "Immediate",
            "StatusCallback=http://a.example/".to_owned(),
            "DeviceIdentifier",
        ),
        (
            "Immediate",
            "DeviceIdentifier=1".to_owned(),
            "StatusCallback",
        ),
        (
            "Immediate",
            format!("{NEW}&GeofenceEvent=in"),
            "GeofenceEvent",
        ),
        (
            "Immediate",
            format!("{NEW}&EventGeofenceLatitude=1"),
            "EventGeofenceLatitude",
        ),
        (
            "Immediate",
            format!("{NEW}&EventGeofenceLongitude=1"),
            "EventGeofenceLongitude",
        ),
        (
            "Immediate",
            format!("{NEW}&GeofenceRange=1"),
            "GeofenceRange",
        ),
        ("Notification", without("GeofenceEvent"), "GeofenceEvent"),
        (
            "Notification",
            without("EventGeofenceLatitude"),
            "EventGeofenceLatitude",
        ),
        (
            "Notification",
            without("EventGeofenceLongitude"),
            "EventGeofenceLongitude",
        ),
        ("Notification", without("GeofenceRange"), "GeofenceRange"),
        ("Notification", without("StatusCallback"), "StatusCallback"),
        (
            "Notification",
            without("DeviceIdentifier"),
            "DeviceIdentifier",
        ),
    ];
    for (kind, form, name) in table {
        let list = path(&server, &format!("/{kind}.json"));
        let answer = server.post(&who, &list, &form).await;
        answer.is(400);
        assert!(answer.body.contains(name), "{form}: {}", answer.body);
    }
    assert_eq!(stored(&server).await, 0);
    let list = path(&server, "/Notification.json");
    let created = server.post(&who, &list, &whole).await.json();
    assert_eq!(created["geolocation_type"], "Notification");
    assert_eq!(created["response_status"], "failed");
    assert_eq!(created["geolocation_data"]["geofence_event"], "In");
    assert_eq!(created["geolocation_data"]["geofence_range"], 50);
}

/// Cases 282 and 283.
#[tokio::test]
async fn records_are_changed_and_deleted() {
    let server = Server::start().await;
    let who = server.admin();
    let list = path(&server, "/Immediate.json");
    let created = server.post(&who, &list, NEW).await.json();
    let sid = created["sid"].as_str().unwrap();
    let one = path(&server, &format!("/Immediate/{sid}.json"));
    let place = "DeviceLatitude=43.65&DeviceLongitude=-79.37";
    let table = [
        (
            "POST",
            format!("{place}&ResponseStatus=last-known"),
            "last-known",
        ),
        (
            "PUT",
            "ResponseStatus=Partially_Successful&CellId=9".to_owned(),
            "partially-successful",
        ),
        ("POST", "DeviceLatitude=north".to_owned(), "failed"),
        ("PUT", "DeviceLatitude=N43 38".to_owned(), "successful"),
        ("POST", "DeviceLongitude=181".to_owned(), "failed"),
        (
            "POST",
            "DeviceLongitude=180&LocationAge=old".to_owned(),
            "failed",
        ),
        (
            "POST",
            "LocationAge=&LocationTimestamp=yesterday".to_owned(),
            "failed",
        ),
        (
            "POST",
            "LocationTimestamp=2024-05-06T07:08:09Z&DesiredAccuracy=best".to_owned(),
            "failed",
        ),
        (
            "POST",
            "DesiredAccuracy=HIGH&ResponseStatus=lost".to_owned(),
            "failed",
        ),
        ("POST", "Source=lab".to_owned(), "successful"),
        ("POST", "DeviceLatitude=".to_owned(), "failed"),
    ];
    for (method, form, status) in table {
        let changed = server
            .ask(method, Some(&who), &one, &[], &form)
            .await
            .json();
        assert_eq!(changed["response_status"], status, "{form}");
        assert_eq!(changed.get("cause").is_some(), status == "failed", "{form}");
        assert_eq!(server.get(&who, &one).await.json(), changed, "{form}");
        assert_eq!(changed["sid"], sid);
    }
    let fenced = server.post(&who, &one, "GeofenceRange=5").await;
    fenced.is(400);
    server.delete(&who, &one).await.is(200);
    server.get(&who, &one).await.is(404);
    server.delete(&who, &one).await.is(404);
    server
        .get(&who, &path(&server, "/Immediate/GLnothing"))
        .await
        .is(404);
    // One that is rejected is answered, and not kept.
    let rejected = server
        .post(&who, &list, &format!("{NEW}&ResponseStatus=rejected"))
        .await;
    assert_eq!(rejected.json()["response_status"], "rejected");
    assert_eq!(stored(&server).await, 0);
}

#[tokio::test]
async fn a_developer_may_use_it_and_a_reader_may_not() {
    let server = Server::start().await;
    let admin = Some(server.admin);
    for (name, role, status) in [("dev", "Developer", 200), ("reader", "Reader", 403)] {
        let active = model::AccountStatus::Active;
        let sid = server.account_with(name, admin, role, active).await;
        let list = format!("/Accounts/{sid}/Geolocation");
        server.get(&of(name), &list).await.is(status);
        let created = server
            .post(&of(name), &format!("{list}/Immediate"), NEW)
            .await;
        created.is(status);
    }
    let twilio = format!("/2010-04-01/Accounts/{}/Geolocation.json", server.admin);
    server.get(&server.admin(), &twilio).await.is(404);
}

/// Case 275.
#[tokio::test]
async fn ussd_is_refused_by_name() {
    let server = Server::start().await;
    let push = format!("/Accounts/{}/UssdPush.json", server.admin);
    let form = "From=1000&To=1001&Url=http://app.example/u";
    let refused = server.post(&server.admin(), &push, form).await;
    refused.is(404);
    let error = refused.error();
    assert_eq!(error["code"], 20404);
    let text = error["message"].as_str().unwrap();
    assert!(
        text.starts_with("`UssdPush` is not supported here"),
        "{text}"
    );
}
