//! `/restcomm/message-routes/{sid}`: the address to which the provider of an HTTP route posts texts and receipts.
//!
//! **Invariant: nothing is read from a request, and nothing about a route is revealed, before its signature is right**; requests
//! of a route are limited like those of its account. Left to others: what a post means (`call`).

use std::time::Instant;

use axum::extract::Request;
use axum::response::Response;
use call_proto::forwarding::{ProviderPost, ProviderRefusal};
use http::{HeaderMap, Method, StatusCode};
use model::{MessageRouteSid, error};

use crate::ApiState;
use crate::body;
use crate::dialect::RestDialect;
use crate::failure::Failure;
use crate::format::Format;
use crate::rates::Rates;

/// Path of the address.
pub(crate) const PATH: &str = "/restcomm/message-routes/{sid}";

/// The address for the provider of a route.
pub(crate) fn address(public_base: &str, sid: MessageRouteSid) -> String {
    format!("{public_base}{}", path(sid))
}

fn path(sid: MessageRouteSid) -> String {
    PATH.replace("{sid}", &sid.to_string())
}

/// Answers the post of a provider.
pub(crate) async fn posted(state: &ApiState, rates: &Rates, request: Request) -> Response {
    let answered = answer(state, rates, request).await;
    answered.unwrap_or_else(|failure| {
        failure.into_response(Format::Json, &RestDialect::RESTCOMM, &state.public_base)
    })
}

async fn answer(state: &ApiState, rates: &Rates, request: Request) -> Result<Response, Failure> {
    let (head, sent) = request.into_parts();
    if head.method != Method::POST {
        return Err(Failure::of(error::METHOD_NOT_ALLOWED));
    }
    let route = head.uri.path().rsplit('/').next().unwrap_or_default();
    let route: MessageRouteSid = route.parse().map_err(|_| Failure::not_found())?;
    body::check_length(&head.headers)?;
    let bytes = body::read(sent).await?;
    let text = body::document(&head.headers, &bytes)?;
    let field = |name: &str| field(&head.headers, name);
    let url = match field("x-patchcord-signed-url") {
        "" => address(&state.public_base, route),
        // The host may be another name of this server, but the path says for which route it was signed.
        url if is_for(url, route) => url.to_owned(),
        _ => return Err(unsigned("the signed address is not that of this route")),
    };
    let post = ProviderPost {
        url,
        event: field("x-patchcord-event").to_owned(),
        signature: field("x-patchcord-signature").to_owned(),
        body: text,
    };
    let messages = &state.messages;
    let account = messages
        .check_provider(route, &post)
        .await
        .map_err(refused)?;
    let standing = rates.count(account, &path(route), Instant::now());
    if let Some(over) = standing.filter(|standing| standing.is_over) {
        let refused = Failure::of(error::TOO_MANY_REQUESTS).saying(over.text());
        return Err(refused.retry_after(over.wait()));
    }
    if state.is_draining() {
        return Err(Failure::busy(StatusCode::SERVICE_UNAVAILABLE));
    }
    let message = messages.provider_posted(route, &post.body).await;
    let message = message.map_err(refused)?;
    let text = serde_json::json!({ "message": message.to_string() }).to_string();
    let mut response = Response::new(text.into());
    let kind = http::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, kind);
    Ok(response)
}

fn field<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

fn is_for(url: &str, route: MessageRouteSid) -> bool {
    url::Url::parse(url).is_ok_and(|url| url.path().ends_with(&path(route)))
}

fn unsigned(why: &str) -> Failure {
    // Without a challenge: a password does not help.
    Failure::of(error::AUTHENTICATION).saying(format!("The request is not signed: {why}."))
}

fn refused(refusal: ProviderRefusal) -> Failure {
    let text = refusal.to_string();
    match refusal {
        ProviderRefusal::NoRoute => Failure::not_found(),
        ProviderRefusal::NoMessage => Failure::not_found().saying(text),
        ProviderRefusal::NotSigned(why) => unsigned(why),
        ProviderRefusal::NotUnderstood(_) => Failure::of(error::BAD_PARAMETER).saying(text),
        ProviderRefusal::NoApplication(_) => Failure::of(error::NO_MESSAGE_APPLICATION)
            .with_status(StatusCode::UNPROCESSABLE_ENTITY)
            .saying(text),
        ProviderRefusal::Busy => Failure::busy(StatusCode::SERVICE_UNAVAILABLE).saying(text),
    }
}
