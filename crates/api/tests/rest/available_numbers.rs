//! `/Accounts/{sid}/AvailablePhoneNumbers`, and numbers that are bought.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::{Carrier, NumberProvider, ProviderError};
use async_trait::async_trait;
use model::AccountStatus;
use model::available::{AvailableNumber, Capabilities, NumberKind, NumberSearch, Position};
use serde_json::Value;
use store::{Inspect, NumberOrder};

use crate::server::{Server, now, of};

fn available(number: &str, country: &str, kind: NumberKind) -> AvailableNumber {
    AvailableNumber {
        phone_number: number.to_owned(),
        country: country.to_owned(),
        kind,
        region: None,
        locality: None,
        rate_center: None,
        lata: None,
        postal_code: None,
        position: None,
        can: Capabilities {
            voice: true,
            ..Capabilities::default()
        },
        cost: None,
    }
}

fn inventory() -> Vec<AvailableNumber> {
    let fax = Capabilities {
        voice: true,
        fax: true,
        ..Capabilities::default()
    };
    vec![
        AvailableNumber {
            region: Some("AR".to_owned()),
            locality: Some("Little Rock".to_owned()),
            rate_center: Some("LITTLEROCK".to_owned()),
            lata: Some("528".to_owned()),
            postal_code: Some("72201".to_owned()),
            position: Position::parse("34.7465,-92.2896"),
            cost: Some("1.00".to_owned()),
            ..available("+15015550100", "US", NumberKind::Local)
        },
        AvailableNumber {
            region: Some("TN".to_owned()),
            position: Position::parse("35.1495,-90.0490"),
            ..available("+15015560101", "US", NumberKind::Local)
        },
        // STORM on Restcomm's keys, and on a telephone.
        available("+16756550102", "US", NumberKind::Local),
        available("+17867650103", "US", NumberKind::Local),
        available("+18006756504", "US", NumberKind::TollFree),
        available("+16756500000", "US", NumberKind::TollFree),
        AvailableNumber {
            can: fax,
            ..available("+442079460000", "GB", NumberKind::Local)
        },
        available("+442079460001", "GB", NumberKind::Local),
        AvailableNumber {
            can: fax,
            ..available("+447700900000", "GB", NumberKind::Mobile)
        },
        AvailableNumber {
            postal_code: Some("H2X 1Y4".to_owned()),
            ..available("+14505550105", "CA", NumberKind::Local)
        },
        available("+34700123456", "ES", NumberKind::Mobile),
    ]
}

/// A server with an inventory.
async fn stocked() -> Server {
    let server = Server::start().await;
    stock(&server).await;
    server
}

/// Fills the inventory.
pub(crate) async fn stock(server: &Server) {
    import(server, &inventory(), false).await;
}

async fn import(server: &Server, numbers: &[AvailableNumber], replace: bool) {
    let url = format!("sqlite:{}", server.dir.path().join("p.db").display());
    let inspect = Inspect::open(&url).await.unwrap();
    inspect.import_numbers(numbers, replace).await.unwrap();
}

#[tokio::test]
async fn numbers_for_sale_are_searched() {
    let server = stocked().await;
    let who = server.admin();
    let base = format!("/Accounts/{}/AvailablePhoneNumbers", server.admin);
    let table: &[(&str, &[&str])] = &[
        (
            "US/Local.json?AreaCode=501",
            &["+15015550100", "+15015560101"],
        ),
        ("US/Local.json?Contains=501555****", &["+15015550100"]),
        ("US/Local.json?Contains=STORM", &["+16756550102"]),
        ("US/TollFree.json?Contains=STORM", &["+16756500000"]),
        ("US/Local.json?Contains=5550100", &[]),
        ("US/Local.json?AreaCode=501&InRegion=AR", &["+15015550100"]),
        (
            "US/Local.json?InRegion=ar&InPostalCode=72201&InLata=528",
            &["+15015550100"],
        ),
        ("US/Local.json?InRateCenter=LittleRock", &["+15015550100"]),
        (
            "GB/Local.json?Contains=4420&FaxEnabled=true",
            &["+442079460000"],
        ),
        (
            "GB/Local.json?Contains=4420&FaxEnabled=false",
            &["+442079460001"],
        ),
        (
            "GB/Mobile.json?Contains=4477&FaxEnabled=true",
            &["+447700900000"],
        ),
        (
            "US/Local.json?NearLatLong=34.7,-92.3&Distance=25",
            &["+15015550100"],
        ),
        (
            "US/Local.json?NearLatLong=34.7,-92.3&Distance=200&Contains=501&InRegion=TN",
            &["+15015560101"],
        ),
        (
            "US/Local.json?NearNumber=%2B15015550100&Distance=5",
            &["+15015550100"],
        ),
        ("US/Local.json?NearNumber=%2B16756550102", &[]),
        ("CA/Local.json?AreaCode=450", &["+14505550105"]),
        // As with Restcomm, `Local` of another country than the US finds every kind.
        ("ES/Local.json?Contains=700", &["+34700123456"]),
        (
            "US/Local.json?RangeSize=2&RangeIndex=2",
            &["+16756550102", "+17867650103"],
        ),
        ("US/Local.json?RangeSize=1", &["+15015550100"]),
        ("FR/Local.json", &[]),
    ];
    for (query, expected) in table {
        let found = server.get(&who, &format!("{base}/{query}")).await;
        assert_eq!(found.column("", "phoneNumber"), *expected, "{query}");
    }
    for query in [
        "US/Local.json?Contains=50%25",
        "US/Local.json?AreaCode=x",
        "US/Local.json?NearLatLong=91,0",
        "US/Local.json?NearNumber=12",
        "US/Local.json?NearNumber=%2B15015550100&NearLatLong=1,1",
        "US/Local.json?Distance=5",
        "US/Local.json?NearLatLong=1,1&Distance=501",
        "US/Local.json?RangeSize=0",
        "US/Local.json?RangeSize=1001",
        "US/Local.json?RangeIndex=0",
        "US/Local.json?SmsEnabled=perhaps",
    ] {
        server.get(&who, &format!("{base}/{query}")).await.is(400);
    }
    for path in ["USA/Local.json", "U1/Local.json", "US/Nothing.json"] {
        server.get(&who, &format!("{base}/{path}")).await.is(404);
    }
}

#[tokio::test]
async fn numbers_for_sale_look_as_in_each_dialect() {
    let server = stocked().await;
    let who = server.admin();
    let base = format!("/Accounts/{}/AvailablePhoneNumbers", server.admin);
    let list = server
        .get(&who, &format!("{base}/US/Local.json?AreaCode=501"))
        .await;
    let json = list.json();
    let first = json[0].as_object().unwrap();
    assert_eq!(first["friendlyName"], "(501) 555-0100");
    assert_eq!(first["isoCountry"], "US");
    assert_eq!(
        (&first["lata"], &first["postalCode"]),
        (&528.into(), &72201.into())
    );
    assert_eq!(first["latitude"].as_f64(), Some(34.7465));
    assert_eq!(
        (&first["cost"], &first["voiceCapable"]),
        (&"1.00".into(), &true.into())
    );
    // What is not known is left out.
    assert!(
        json[1]
            .as_object()
            .unwrap()
            .values()
            .all(|value| !value.is_null())
    );
    assert!(json[1].get("lata").is_none() && first.get("capabilities").is_none());
    let canada = server.get(&who, &format!("{base}/CA/Local.json")).await;
    assert!(canada.json()[0].get("postalCode").is_none());
    let xml = server
        .get(&who, &format!("{base}/US/Local?AreaCode=501&InRegion=AR"))
        .await;
    let head = "<RestcommResponse><AvailablePhoneNumbers><AvailablePhoneNumber><FriendlyName>";
    assert!(xml.body.contains(head), "{}", xml.body);
    let end = "<Capabilities><Voice>true</Voice><Sms>false</Sms><Mms>false</Mms><Fax>false</Fax></Capabilities>";
    assert!(
        xml.body.contains(end) && !xml.body.contains("Cost"),
        "{}",
        xml.body
    );

    let base = format!("/2010-04-01{base}");
    let list = server
        .get(
            &who,
            &format!("{base}/US/Local.json?Contains=555&PageSize=1"),
        )
        .await
        .json();
    let numbers = list["available_phone_numbers"].as_array().unwrap();
    assert_eq!(numbers.len(), 1);
    assert_eq!(numbers[0]["phone_number"], "+15015550100");
    assert_eq!(
        (&numbers[0]["locality"], &numbers[0]["lata"]),
        (&"Little Rock".into(), &"528".into())
    );
    assert_eq!(numbers[0]["capabilities"]["SMS"], false);
    assert!(list["next_page_uri"].is_null());
    assert_eq!(
        list["uri"].as_str().unwrap().split('?').next(),
        Some(format!("{base}/US/Local.json").as_str())
    );
    // Letters are those of a telephone, and `Local` is only that.
    let found = server
        .get(&who, &format!("{base}/US/Local.json?Contains=STORM"))
        .await;
    assert_eq!(
        found.column("available_phone_numbers", "phone_number"),
        ["+17867650103"]
    );
    let found = server.get(&who, &format!("{base}/ES/Local.json")).await;
    assert_eq!(
        found.column("available_phone_numbers", "phone_number"),
        [""; 0]
    );
    let countries = server.get(&who, &format!("{base}.json")).await;
    assert_eq!(
        countries.column("countries", "country_code"),
        ["CA", "ES", "GB", "US"]
    );
    let us = server.get(&who, &format!("{base}/us.json")).await.json();
    let toll_free = us["subresource_uris"]["toll_free"].as_str().unwrap();
    assert_eq!(toll_free, format!("{base}/US/TollFree.json"));
    server.get(&who, &format!("{base}/FR.json")).await.is(404);
}

#[tokio::test]
async fn available_countries_are_a_plain_list() {
    let server = Server::start().await;
    let who = server.admin();
    let path = format!(
        "/Accounts/{}/IncomingPhoneNumbers/AvailableCountries",
        server.admin
    );
    let json = format!("{path}.json");
    let none = server.get(&who, &json).await.json();
    assert_eq!(none, serde_json::json!(["US"]));
    stock(&server).await;
    let four = server.get(&who, &json).await.json();
    assert_eq!(four, serde_json::json!(["CA", "ES", "GB", "US"]));
    let xml = server.get(&who, &path).await;
    assert!(
        xml.body
            .contains("<AvailableCountries><AvailableCountry>CA</AvailableCountry>"),
        "{}",
        xml.body
    );
    server
        .get(&who, &format!("/2010-04-01{json}"))
        .await
        .is(404);
    // A file that replaces the inventory takes everything else off sale.
    import(&server, &inventory()[..1], true).await;
    assert_eq!(
        server.get(&who, &json).await.json(),
        serde_json::json!(["US"])
    );
}

#[tokio::test]
async fn a_number_is_bought_once_and_sold_again() {
    let server = stocked().await;
    let who = server.admin();
    let p = server.account("p", server.admin).await;
    let list = format!("/Accounts/{}/IncomingPhoneNumbers", server.admin);
    let json = format!("{list}.json");
    let bought = server
        .post(
            &who,
            &json,
            "PhoneNumber=%2B15015550100&VoiceUrl=http%3A%2F%2F127.0.0.1%2Fa.xml",
        )
        .await
        .json();
    assert_eq!(
        (&bought["phone_number"], &bought["friendly_name"]),
        (&"+15015550100".into(), &"+15015550100".into())
    );
    assert_eq!(bought["capabilities"]["sms_capable"], false);
    assert_eq!(bought["capabilities"]["voice_capable"], true);
    let search = format!(
        "/Accounts/{}/AvailablePhoneNumbers/US/Local.json?AreaCode=501",
        server.admin
    );
    assert_eq!(
        server.get(&who, &search).await.column("", "phoneNumber"),
        ["+15015560101"]
    );
    // Its owner is told where it is, others are not.
    let again = server.post(&who, &json, "PhoneNumber=%2B15015550100").await;
    assert_eq!(again.error()["code"], 21452);
    assert!(again.body.contains("To change it"), "{}", again.body);
    let others = format!("/Accounts/{p}/IncomingPhoneNumbers.json");
    let taken = server
        .post(&of("p"), &others, "PhoneNumber=%2B15015550100")
        .await;
    taken.is(400);
    assert!(!taken.body.contains("To change it"), "{}", taken.body);
    let path = format!("{list}/{}.json", bought["sid"].as_str().unwrap());
    server.delete(&who, &path).await.is(204);
    // It rests in the bin, and is for sale again once it is deleted there.
    let form = "PhoneNumber=%2B15015550100";
    server.post(&of("p"), &others, form).await.is(400);
    let bin = format!("/restcomm/2012-04-24/Accounts/{}/Bin", server.admin);
    let binned = format!("{bin}/{}.json", bought["sid"].as_str().unwrap());
    server.delete(&who, &binned).await.is(204);
    server
        .post(&of("p"), &others, "PhoneNumber=%2B15015550100")
        .await
        .is(200);

    // By area code, of the kind in the path; the last one, then none.
    let local = format!("{list}/Local.json");
    let bought = server
        .post(&who, &local, "AreaCode=501&FriendlyName=Desk")
        .await
        .json();
    assert_eq!(
        (&bought["phone_number"], &bought["friendly_name"]),
        (&"+15015560101".into(), &"Desk".into())
    );
    let none = server.post(&who, &local, "AreaCode=501").await;
    none.is(400);
    assert_eq!(none.error()["code"], 21452);
    server
        .post(&who, &format!("{list}/TollFree.json"), "AreaCode=450")
        .await
        .is(400);
    server
        .post(&who, &format!("{list}/Local.json"), "AreaCode=450")
        .await
        .is(200);
    server
        .post(
            &who,
            &format!("{list}/TollFree"),
            "PhoneNumber=%2B18006756504",
        )
        .await
        .is(200);
    server.post(&who, &local, "AreaCode=50x").await.is(400);
    server.post(&who, &local, "FriendlyName=x").await.is(400);
    // At the Twilio base, what is not in the inventory is the operator's own.
    let twilio = format!("/2010-04-01{json}");
    for (form, status) in [
        ("PhoneNumber=%2B442079460000", 201),
        ("PhoneNumber=%2B4915112345678", 201),
        ("AreaCode=999", 400),
    ] {
        server.post(&who, &twilio, form).await.is(status);
    }
    let refused = server
        .post(&who, &twilio, "PhoneNumber=%2B442079460000")
        .await;
    assert_eq!(refused.error()["code"], 21422);
}

#[tokio::test]
async fn a_race_for_a_number_has_one_winner() {
    let server = stocked().await;
    let who = server.admin();
    for name in ["p", "q"] {
        server.account(name, server.admin).await;
    }
    let buy = async |name: &str| {
        let list = format!("/Accounts/{}/IncomingPhoneNumbers.json", of(name).0);
        let answer = server.post(&who, &list, "PhoneNumber=%2B15015550100").await;
        answer.status.as_u16()
    };
    let (one, two) = tokio::join!(buy("p"), buy("q"));
    assert_eq!(one.min(two), 200);
    assert_eq!(one.max(two), 400);
}

/// A carrier with one number, which records what it was asked for.
#[derive(Default)]
struct OneNumber {
    asked: Mutex<Vec<String>>,
    /// What the next requests lead to: `ok`, `gone`, `fails`.
    mood: Mutex<&'static str>,
}

impl OneNumber {
    fn asked_for(&self, what: &str, order: &NumberOrder) -> Result<(), ProviderError> {
        let line = format!("{what} {}", order.phone_number);
        self.asked.lock().unwrap().push(line);
        match *self.mood.lock().unwrap() {
            "gone" => Err(ProviderError::NotAvailable),
            "fails" => Err(ProviderError::Failed("on fire".to_owned())),
            _ => Ok(()),
        }
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn becomes(&self, mood: &'static str) {
        *self.mood.lock().unwrap() = mood;
    }
}

#[async_trait]
impl Carrier for OneNumber {
    async fn countries(&self) -> Result<Vec<String>, ProviderError> {
        Err(ProviderError::Failed("on fire".to_owned()))
    }

    async fn search(&self, search: &NumberSearch) -> Result<Vec<AvailableNumber>, ProviderError> {
        let number = available("+15015550100", "US", NumberKind::Local);
        let wanted = search.phone_number.as_ref();
        let found = wanted.is_none_or(|wanted| *wanted == number.phone_number);
        Ok(found.then_some(number).into_iter().collect())
    }

    async fn order(&self, order: &NumberOrder) -> Result<(), ProviderError> {
        self.asked_for("order", order)
    }

    async fn release(&self, order: &NumberOrder) -> Result<(), ProviderError> {
        self.asked_for("release", order)
    }
}

async fn with_carrier() -> (Server, Arc<OneNumber>) {
    let carrier = Arc::new(OneNumber::default());
    let provider = NumberProvider::Carrier(carrier.clone());
    let server = Server::with(|state| state.numbers = provider).await;
    (server, carrier)
}

#[tokio::test]
async fn a_carrier_is_told_of_orders_and_releases() {
    let (server, carrier) = with_carrier().await;
    let who = server.admin();
    let list = format!("/Accounts/{}/IncomingPhoneNumbers", server.admin);
    let json = format!("{list}.json");
    let form = "PhoneNumber=%2B15015550100";
    let sid = |answer: Value| answer["sid"].as_str().unwrap().to_owned();
    let sweep = async |later: u64| {
        let now = now() + Duration::from_secs(later);
        api::release_numbers(&server.store, carrier.as_ref(), now)
            .await
            .unwrap();
        carrier.taken()
    };
    let bought = sid(server.post(&who, &json, form).await.json());
    assert_eq!(carrier.taken(), ["order +15015550100"]);
    assert_eq!(sweep(3600).await, [""; 0], "it is held");
    // The carrier does not have others, and the operator's own do not concern it.
    server
        .post(&who, &json, "PhoneNumber=%2B15015550199")
        .await
        .is(400);
    server
        .post(&who, &json, "PhoneNumber=9966&isSIP=true")
        .await
        .is(200);
    server
        .post(&who, &format!("/2010-04-01{json}"), "PhoneNumber=9967")
        .await
        .is(201);
    let twilio = server
        .post(
            &who,
            &format!("/2010-04-01{json}"),
            "PhoneNumber=%2B15015550199",
        )
        .await;
    assert_eq!(twilio.error()["code"], 21422);
    assert_eq!(carrier.taken(), [""; 0]);

    server
        .delete(&who, &format!("{list}/{bought}.json"))
        .await
        .is(204);
    // It rests in the bin, and is not given back before it has left that.
    assert_eq!(sweep(3600).await, [""; 0]);
    let refused = server.post(&who, &json, form).await;
    assert!(refused.body.contains("is in the bin"), "{}", refused.body);
    let resting = |sid: &str| format!("/Accounts/{}/Bin/{sid}.json", server.admin);
    server.delete(&who, &resting(&bought)).await.is(204);
    carrier.becomes("fails");
    assert_eq!(sweep(0).await, ["release +15015550100"]);
    // Until it is given back, it cannot be bought; the next attempt comes later.
    carrier.becomes("ok");
    server.post(&who, &json, form).await.is(400);
    assert_eq!(sweep(0).await, [""; 0]);
    assert_eq!(sweep(60).await, ["release +15015550100"]);
    assert_eq!(sweep(7200).await, [""; 0], "it is given back once");
    server.post(&who, &json, form).await.is(200);
    // A closed account gives its numbers back.
    carrier.taken();
    let below = server
        .account_with(
            "b",
            Some(server.admin),
            "Administrator",
            AccountStatus::Active,
        )
        .await;
    let p = server.account("p", below).await;
    let own = server
        .get(&who, &format!("{json}?PhoneNumber=5550100"))
        .await
        .json();
    let own = own["incomingPhoneNumbers"][0]["sid"]
        .as_str()
        .unwrap()
        .to_owned();
    server
        .delete(&who, &format!("{list}/{own}.json"))
        .await
        .is(204);
    server.delete(&who, &resting(&own)).await.is(204);
    sweep(0).await;
    let others = format!("/Accounts/{p}/IncomingPhoneNumbers.json");
    server.post(&of("p"), &others, form).await.is(200);
    carrier.taken();
    server
        .store
        .set_account_status(below, AccountStatus::Closed, now())
        .await
        .unwrap();
    assert_eq!(sweep(0).await, ["release +15015550100"]);
}

#[tokio::test]
async fn a_failed_order_costs_nothing() {
    let (server, carrier) = with_carrier().await;
    let who = server.admin();
    let json = format!("/Accounts/{}/IncomingPhoneNumbers.json", server.admin);
    let form = "PhoneNumber=%2B15015550100";
    let sweep = async |later: u64| {
        let now = now() + Duration::from_secs(later);
        api::release_numbers(&server.store, carrier.as_ref(), now)
            .await
            .unwrap();
        carrier.taken()
    };
    // Refused: nothing is to be given back.
    carrier.becomes("gone");
    let refused = server.post(&who, &json, form).await;
    refused.is(400);
    assert_eq!(refused.error()["code"], 21452);
    assert_eq!(carrier.taken(), ["order +15015550100"]);
    assert_eq!(sweep(7200).await, [""; 0]);
    // No answer: it may be ours, and is given back.
    carrier.becomes("fails");
    let failed = server.post(&who, &json, form).await;
    failed.is(500);
    assert_eq!(failed.error()["code"], 21460);
    assert!(!failed.body.contains("on fire"), "{}", failed.body);
    carrier.becomes("ok");
    carrier.taken();
    assert_eq!(sweep(0).await, ["release +15015550100"]);
    let countries = json.replace(".json", "/AvailableCountries.json");
    assert_eq!(server.get(&who, &countries).await.error()["code"], 21460);
    // Interrupted after it was recorded: it is given back when no order takes that long, and cannot
    // be completed from then on.
    let order = NumberOrder {
        phone_number: "+15015550100".to_owned(),
        number: model::NumberSid::from_bytes([7; 16]),
        account: server.admin,
    };
    assert!(server.store.begin_order(&order, now()).await.unwrap());
    let other = NumberOrder {
        number: model::NumberSid::from_bytes([8; 16]),
        ..order.clone()
    };
    assert!(!server.store.begin_order(&other, now()).await.unwrap());
    server.post(&who, &json, form).await.is(400);
    assert_eq!(sweep(0).await, [""; 0]);
    carrier.becomes("fails");
    assert_eq!(sweep(400).await, ["release +15015550100"]);
    let bought = server
        .post(&who, &json, "PhoneNumber=9966&isSIP=true")
        .await
        .json();
    let sid = bought["sid"].as_str().unwrap().parse().unwrap();
    let late = model::record::Number {
        sid: order.number,
        phone_number: order.phone_number.clone(),
        ..server.store.number(sid).await.unwrap().unwrap()
    };
    assert!(!server.store.insert_ordered_number(late).await.unwrap());
    carrier.becomes("gone");
    assert_eq!(sweep(7200).await, ["release +15015550100"]);
    carrier.becomes("ok");
    server.post(&who, &json, form).await.is(200);
}

/// A profile limits the countries, whichever way a number is bought; the numbers of one's own are not bought.
#[tokio::test]
async fn a_profile_limits_the_countries_of_bought_numbers() {
    let server = stocked().await;
    let who = server.admin();
    let p = server.account("p", server.admin).await;
    let text = "{\"featureEnablement\":{\"DIDPurchase\":{\"allowedCountries\":[\"CA\",\"GB\"]}}}";
    let json = [("content-type", "application/json")];
    let made = server
        .ask("POST", Some(&who), "/Profiles", &json, text)
        .await;
    let place = made.headers["location"].to_str().unwrap().to_owned();
    let profile = &place[place.find("/Profiles/").unwrap()..];
    let target = format!("<http://h/Accounts/{p}>; rel=\"related\"");
    let link = [("link", target.as_str())];
    server
        .ask("LINK", Some(&who), profile, &link, "")
        .await
        .is(200);
    let numbers = format!("/Accounts/{p}/IncomingPhoneNumbers.json");
    let own = of("p");
    for (form, status, code) in [
        ("PhoneNumber=%2B15015550100", 403, 20_030),
        ("PhoneNumber=%2B34700123456", 403, 20_030),
        ("AreaCode=501", 400, 21_452),
        ("AreaCode=450", 200, 0),
        ("PhoneNumber=%2B442079460000", 200, 0),
        ("PhoneNumber=%2B15015550100&isSIP=true", 200, 0),
    ] {
        let answer = server.post(&own, &numbers, form).await;
        assert_eq!(answer.status, status, "{form}: {}", answer.body);
        if code > 0 {
            assert_eq!(answer.error()["code"], code, "{form}");
        }
    }
    server
        .ask("UNLINK", Some(&who), profile, &link, "")
        .await
        .is(200);
    server
        .post(&own, &numbers, "PhoneNumber=%2B34700123456")
        .await
        .is(200);
}
