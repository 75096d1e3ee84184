//! A caller who is in no open session of a mask enters the PIN of a participant, and then counts as that one.
//!
//! **Invariant: a mask takes only so many wrong PINs in an hour** ([`crate::wrong_pins`]). The address is signed, so that only documents of this server lead to it.

use std::sync::LazyLock;

use ::masking::{Interaction, Kind, PIN, State, decide, document, pin_query};
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use model::{CallSid, InteractionSid, NumberSid, Timestamp};
use store::Change;
use tracing::warn;
use url::form_urlencoded::parse;

use crate::ApiState;
use crate::context::now;
use crate::wrong_pins::WrongPins;

/// Maximum size of the form in bytes.
const MAX_FORM: usize = 64 * 1024;

static WRONG: LazyLock<WrongPins> = LazyLock::new(WrongPins::default);

/// Answers the request of the `<Gather>`.
pub(crate) async fn answer(state: &ApiState, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    let form = to_bytes(body, MAX_FORM).await.unwrap_or_default();
    let text = match signed(state, query) {
        Some(number) => next(state, number, &form, now()).await,
        None => None,
    };
    let text = text.unwrap_or_else(|| "<Response><Hangup/></Response>".to_owned());
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::OK;
    let content_type = HeaderValue::from_static("application/xml");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// The mask that was called, from a query that this server has signed.
fn signed(state: &ApiState, query: &str) -> Option<NumberSid> {
    let (text, signature) = query.rsplit_once("&Signature=")?;
    let (_, number) = parse(text.as_bytes()).find(|(name, _)| name == "Number")?;
    let number: NumberSid = number.parse().ok()?;
    let is_signed = state.store.key().is_signed(PIN, text, signature);
    (is_signed && text == pin_query(number)).then_some(number)
}

/// The next document of the call; `None` to hang up.
async fn next(state: &ApiState, number: NumberSid, form: &[u8], now: Timestamp) -> Option<String> {
    let value = |name: &str| {
        let mut pairs = parse(form);
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    let call: CallSid = value("CallSid")?.parse().ok()?;
    let pin = value("Digits").unwrap_or_default();
    let place = number.to_string();
    if WRONG.is_spent(&place, now) {
        return None;
    }
    let found = state.store.mask_arrival_by_pin(number, &pin, now).await;
    let found = found
        .inspect_err(|error| warn!(%error, "a PIN could not be looked up"))
        .ok()??;
    let settings = &found.service.settings;
    let Ok(connection) = decide(&found, Kind::Voice) else {
        WRONG.count(&place, now);
        return Some(document::refused_call(settings));
    };
    let contact = connection.contact.clone();
    let limit = settings.max_interactions;
    if limit > 0 {
        let taken = state
            .store
            .take_mask_turn(contact.session, limit, now)
            .await;
        match taken {
            Ok(true) => {}
            Ok(false) => return Some(document::refused_call(settings)),
            Err(error) => {
                warn!(%error, "a call with a PIN could not be counted");
                return None;
            }
        }
    }
    let interaction = Interaction {
        sid: InteractionSid::new(now, rand::random()),
        account: contact.account,
        service: contact.service,
        session: contact.session,
        kind: Kind::Voice,
        from: contact.from,
        to: contact.to,
        inbound: call.to_string(),
        inbound_status: None,
        outbound: None,
        outbound_status: None,
        state: State::InProgress,
        duration_s: None,
        created: now,
        updated: now,
        ended: None,
    };
    let begun = Change::Interacted(Box::new(interaction));
    if let Err(error) = state.store.commit(vec![begun]).await {
        warn!(%error, "a call with a PIN could not be recorded");
        return None;
    }
    Some(document::call(settings, &connection))
}
