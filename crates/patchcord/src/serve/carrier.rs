//! A carrier that sells phone numbers, over HTTP: `docs/numbers.md` describes the protocol.
//!
//! Each request is a POST with JSON, signed like a callback. **Invariant: whatever the carrier
//! answers, a request takes no longer than a document may, and at most [`AT_ONCE`] are in progress,**
//! so that a slow carrier delays only those who ask it for numbers.

use std::sync::Arc;
use std::time::Duration;

use api::{Carrier, ProviderError};
use async_trait::async_trait;
use model::available::{
    AvailableNumber, Capabilities, NumberKind, NumberSearch, Position, country,
};
use model::number::e164;
use model::{EventSid, HttpMethod, Timestamp};
use serde::{Deserialize, Serialize};
use store::{NumberOrder, Store};
use tokio::sync::{Semaphore, watch};
use tracing::warn;
use url::Url;
use webhook::{AddressPolicy, FetchRequest, Fetched, Fetcher, Secrets, Stamp};

/// Requests at once; a further one is refused.
const AT_ONCE: usize = 32;
/// How often numbers are looked for that must be given back.
const ROUND: Duration = Duration::from_secs(15);
/// Maximum characters of a text in an answer.
const MAX_TEXT: usize = 200;

/// The carrier's server.
pub(super) struct HttpCarrier {
    fetcher: Fetcher,
    url: Url,
    secret: Option<String>,
    slots: Arc<Semaphore>,
}

#[derive(Serialize)]
struct SearchBody<'a> {
    country: Option<&'a str>,
    kind: Option<&'a str>,
    phone_number: Option<&'a str>,
    contains: Option<&'a str>,
    contains_at_start: bool,
    area_code: Option<&'a str>,
    region: Option<&'a str>,
    locality: Option<&'a str>,
    rate_center: Option<&'a str>,
    lata: Option<&'a str>,
    postal_code: Option<&'a str>,
    near: Option<PlaceBody>,
    near_number: Option<&'a str>,
    distance_miles: Option<f64>,
    voice: Option<bool>,
    sms: Option<bool>,
    mms: Option<bool>,
    fax: Option<bool>,
    ussd: Option<bool>,
    offset: i64,
    limit: i64,
}

#[derive(Serialize)]
struct PlaceBody {
    latitude: f64,
    longitude: f64,
}

#[derive(Serialize)]
struct OrderBody<'a> {
    order: String,
    phone_number: &'a str,
}

#[derive(Deserialize)]
struct CountriesAnswer {
    countries: Vec<String>,
}

#[derive(Deserialize)]
struct SearchAnswer {
    numbers: Vec<NumberAnswer>,
}

#[derive(Deserialize)]
struct NumberAnswer {
    phone_number: String,
    country: String,
    kind: String,
    region: Option<String>,
    locality: Option<String>,
    rate_center: Option<String>,
    lata: Option<String>,
    postal_code: Option<String>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    #[serde(default)]
    voice: bool,
    #[serde(default)]
    sms: bool,
    #[serde(default)]
    mms: bool,
    #[serde(default)]
    fax: bool,
    #[serde(default)]
    ussd: bool,
    cost: Option<String>,
}

impl HttpCarrier {
    /// - `secret`: signs the requests
    pub(super) fn new(fetcher: Fetcher, url: Url, secret: Option<String>) -> Self {
        Self {
            fetcher,
            url,
            secret,
            slots: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Sends a request; returns any answer.
    async fn ask(&self, task: &str, body: &impl Serialize) -> Result<Fetched, ProviderError> {
        let failed = |reason: String| ProviderError::Failed(format!("{task}: {reason}"));
        let slot = self.slots.try_acquire();
        let _slot = slot.map_err(|_| failed(format!("{AT_ONCE} requests are in progress")))?;
        let body = serde_json::to_string(body).map_err(|error| failed(error.to_string()))?;
        let mut url = self.url.clone();
        // An address that `HttpAddress` accepts has a path.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(task);
        }
        let since_1970 = crate::now();
        let request = FetchRequest {
            json: Some(body),
            // The operator chose the address.
            policy: AddressPolicy { private_ok: true },
            stamp: Some(Stamp {
                event: event(since_1970),
                secrets: self.secret.clone().map(|primary| Secrets {
                    primary,
                    secondary: None,
                }),
            }),
            ..FetchRequest::new(HttpMethod::Post, url)
        };
        let answer = self.fetcher.fetch(request).await;
        answer.map_err(|error| failed(error.to_string()))
    }

    /// Sends a request that the carrier must answer with 200 and JSON.
    async fn read<T: for<'a> Deserialize<'a>>(
        &self,
        task: &str,
        body: &impl Serialize,
    ) -> Result<T, ProviderError> {
        let answer = self.ask(task, body).await?;
        if answer.status != 200 {
            return Err(status(task, answer.status));
        }
        serde_json::from_slice(&answer.body).map_err(|error| {
            ProviderError::Failed(format!("{task}: the answer cannot be read: {error}"))
        })
    }

    async fn send(&self, task: &str, order: &NumberOrder) -> Result<(), ProviderError> {
        let body = OrderBody {
            order: order.number.to_string(),
            phone_number: &order.phone_number,
        };
        match self.ask(task, &body).await?.status {
            200..=299 => Ok(()),
            404 | 409 | 410 => Err(ProviderError::NotAvailable),
            other => Err(status(task, other)),
        }
    }
}

fn event(now: Timestamp) -> EventSid {
    EventSid::new(now, rand::random())
}

fn status(task: &str, status: u16) -> ProviderError {
    ProviderError::Failed(format!("{task}: the carrier answered with status {status}"))
}

#[async_trait]
impl Carrier for HttpCarrier {
    async fn countries(&self) -> Result<Vec<String>, ProviderError> {
        let answer: CountriesAnswer = self.read("countries", &serde_json::json!({})).await?;
        let codes = answer.countries.iter().map(|text| {
            country(text)
                .ok_or_else(|| unusable("a country that is not an ISO code of two letters"))
        });
        codes.collect()
    }

    async fn search(&self, search: &NumberSearch) -> Result<Vec<AvailableNumber>, ProviderError> {
        let near = search.near.map(|near| near.position.degrees());
        let of_number = search.near_number.as_ref();
        let body = SearchBody {
            country: search.country.as_deref(),
            kind: search.kind.map(NumberKind::as_str),
            phone_number: search.phone_number.as_deref(),
            contains: search
                .contains
                .as_ref()
                .map(|pattern| pattern.digits.as_str()),
            contains_at_start: search
                .contains
                .as_ref()
                .is_some_and(|pattern| pattern.at_start),
            area_code: search.area_code.as_deref(),
            region: search.region.as_deref(),
            locality: search.locality.as_deref(),
            rate_center: search.rate_center.as_deref(),
            lata: search.lata.as_deref(),
            postal_code: search.postal_code.as_deref(),
            near: near.map(|(latitude, longitude)| PlaceBody {
                latitude,
                longitude,
            }),
            near_number: of_number.map(|(number, _)| number.as_str()),
            distance_miles: search
                .near
                .map(|near| near.miles)
                .or(of_number.map(|(_, miles)| *miles)),
            voice: search.can.voice,
            sms: search.can.sms,
            mms: search.can.mms,
            fax: search.can.fax,
            ussd: search.can.ussd,
            offset: search.offset,
            limit: search.limit,
        };
        let answer: SearchAnswer = self.read("search", &body).await?;
        answer.numbers.into_iter().map(number).collect()
    }

    async fn order(&self, order: &NumberOrder) -> Result<(), ProviderError> {
        self.send("orders", order).await
    }

    async fn release(&self, order: &NumberOrder) -> Result<(), ProviderError> {
        self.send("releases", order).await
    }
}

fn unusable(what: &str) -> ProviderError {
    ProviderError::Failed(format!("the carrier's answer has {what}"))
}

/// A number of an answer, checked.
fn number(answer: NumberAnswer) -> Result<AvailableNumber, ProviderError> {
    let text = |text: Option<String>| text.map(|text| text.chars().take(MAX_TEXT).collect());
    let position = match answer.latitude.zip(answer.longitude) {
        Some((latitude, longitude)) => Some(
            Position::from_degrees(latitude, longitude)
                .ok_or_else(|| unusable("a place that does not exist"))?,
        ),
        None => None,
    };
    Ok(AvailableNumber {
        phone_number: e164(&answer.phone_number)
            .ok_or_else(|| unusable("a number that is not in E.164"))?,
        country: country(&answer.country)
            .ok_or_else(|| unusable("a country that is not an ISO code of two letters"))?,
        kind: answer
            .kind
            .parse()
            .map_err(|_| unusable("a kind of number that is not known"))?,
        region: text(answer.region),
        locality: text(answer.locality),
        rate_center: text(answer.rate_center),
        lata: text(answer.lata),
        postal_code: text(answer.postal_code),
        position,
        can: Capabilities {
            voice: answer.voice,
            sms: answer.sms,
            mms: answer.mms,
            fax: answer.fax,
            ussd: answer.ussd,
        },
        cost: text(answer.cost),
    })
}

/// Gives numbers back to the carrier until the server stops.
pub(super) async fn give_back(
    store: Store,
    carrier: Arc<dyn Carrier>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            () = tokio::time::sleep(ROUND) => {}
        }
        if let Err(error) = api::release_numbers(&store, carrier.as_ref(), crate::now()).await {
            warn!(%error, "numbers to be given back to the carrier cannot be looked up");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::extract::State;
    use axum::http::{HeaderMap, StatusCode, Uri};
    use model::{AccountSid, NumberSid};
    use webhook::FetchConfig;

    use super::*;

    /// What the carrier answers, and what it was asked: path, body, and whether that was signed.
    #[derive(Default)]
    struct Desk {
        answer: Mutex<(u16, String)>,
        asked: Mutex<Vec<(String, serde_json::Value, bool)>>,
    }

    async fn desk(
        State(desk): State<Arc<Desk>>,
        uri: Uri,
        headers: HeaderMap,
        body: String,
    ) -> (StatusCode, String) {
        let signed = headers.contains_key("x-patchcord-signature");
        let body = serde_json::from_str(&body).unwrap();
        let asked = (uri.path().to_owned(), body, signed);
        desk.asked.lock().unwrap().push(asked);
        let (status, text) = desk.answer.lock().unwrap().clone();
        (StatusCode::from_u16(status).unwrap(), text)
    }

    async fn start() -> (HttpCarrier, Arc<Desk>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/", listener.local_addr().unwrap());
        let state = Arc::new(Desk::default());
        let router = axum::Router::new()
            .fallback(desk)
            .with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let fetcher = Fetcher::new(FetchConfig::default()).unwrap();
        let url = url.parse().unwrap();
        (HttpCarrier::new(fetcher, url, Some("s".to_owned())), state)
    }

    fn an_order() -> NumberOrder {
        NumberOrder {
            phone_number: "+15015550100".to_owned(),
            number: NumberSid::from_bytes([1; 16]),
            account: AccountSid::from_bytes([2; 16]),
        }
    }

    #[tokio::test]
    async fn a_search_is_asked_and_read() {
        let (carrier, desk) = start().await;
        let text = r#"{"numbers":[{"phone_number":"+1 501 555 0100","country":"us","kind":"toll-free",
            "latitude":34.5,"longitude":-92.25,"sms":true,"region":"AR","later":"ignored"}]}"#;
        *desk.answer.lock().unwrap() = (200, text.to_owned());
        let search = NumberSearch {
            country: Some("US".to_owned()),
            area_code: Some("501".to_owned()),
            limit: 5,
            ..NumberSearch::default()
        };
        let found = carrier.search(&search).await.unwrap();
        assert_eq!(found.len(), 1);
        let number = &found[0];
        assert_eq!(number.phone_number, "+15015550100");
        assert_eq!(
            (number.country.as_str(), number.kind),
            ("US", NumberKind::TollFree)
        );
        assert_eq!(number.position, Position::from_degrees(34.5, -92.25));
        assert!(number.can.sms && !number.can.voice);
        let (path, body, signed) = desk.asked.lock().unwrap().pop().unwrap();
        assert_eq!(path, "/v1/search");
        assert!(signed);
        assert_eq!(
            (&body["area_code"], &body["limit"]),
            (&"501".into(), &5.into())
        );
        *desk.answer.lock().unwrap() = (200, r#"{"countries":["us","GB"]}"#.to_owned());
        assert_eq!(carrier.countries().await.unwrap(), ["US", "GB"]);
    }

    #[tokio::test]
    async fn answers_that_cannot_be_used_are_failures() {
        let (carrier, desk) = start().await;
        let one = |number: &str| format!(r#"{{"numbers":[{number}]}}"#);
        let table = [
            (500, String::new(), "status 500"),
            (200, "<html>".to_owned(), "cannot be read"),
            (
                200,
                one(r#"{"phone_number":"9","country":"US","kind":"local"}"#),
                "E.164",
            ),
            (
                200,
                one(r#"{"phone_number":"+15015550100","country":"USA","kind":"local"}"#),
                "ISO",
            ),
            (
                200,
                one(r#"{"phone_number":"+15015550100","country":"US","kind":"x"}"#),
                "kind",
            ),
        ];
        for (status, text, expected) in table {
            *desk.answer.lock().unwrap() = (status, text);
            let failed = carrier.search(&NumberSearch::default()).await.unwrap_err();
            assert!(
                matches!(&failed, ProviderError::Failed(text) if text.contains(expected)),
                "{failed}"
            );
        }
    }

    #[tokio::test]
    async fn an_order_is_done_refused_or_failed() {
        let (carrier, desk) = start().await;
        let table = [
            (200, "done"),
            (204, "done"),
            (409, "refused"),
            (404, "refused"),
            (500, "failed"),
            (402, "failed"),
        ];
        for (status, expected) in table {
            *desk.answer.lock().unwrap() = (status, String::new());
            for outcome in [
                carrier.order(&an_order()).await,
                carrier.release(&an_order()).await,
            ] {
                let outcome = match outcome {
                    Ok(()) => "done",
                    Err(ProviderError::NotAvailable) => "refused",
                    Err(_) => "failed",
                };
                assert_eq!(outcome, expected, "{status}");
            }
        }
        let asked = desk.asked.lock().unwrap();
        let order = an_order().number.to_string();
        assert_eq!(asked[0].0, "/v1/orders");
        assert_eq!(
            asked[0].1,
            serde_json::json!({"order": order, "phone_number": "+15015550100"})
        );
        assert_eq!(asked[1].0, "/v1/releases");
    }
}
