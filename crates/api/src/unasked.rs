//! Addresses that ask for no credentials: those that this server requests itself and has signed, those that providers sign, and the
//! pages about errors.
//!
//! **Invariant: whatever answers here checks a signature first, or shows what everybody may see.**

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use model::error;

use crate::entry::Entry;
use crate::provider_posts;
use crate::resources::caller_ids::validation;
use crate::resources::masking::pins;
use crate::resources::verify::delivery;
use crate::resources::voicemail::steps;

/// Their routes.
pub(crate) fn routes() -> Router<Arc<Entry>> {
    Router::new()
        .route("/restcomm/errors/{page}", any(error_page))
        .route(validation::PATH, any(validated))
        .route(delivery::PATH, any(spoken))
        .route(provider_posts::PATH, any(posted))
        .route(::masking::PIN_PATH, any(entered))
        .route(
            &format!("{}/{{mailbox}}/{{step}}", ::voicemail::PATH),
            any(heard),
        )
}

/// The keys pressed in a call that validates a caller ID.
async fn validated(State(entry): State<Arc<Entry>>, request: Request) -> Response {
    validation::answer(&entry.state, request).await
}

/// The request of a call that is to speak a code.
async fn spoken(State(entry): State<Arc<Entry>>, request: Request) -> Response {
    delivery::speak(&entry.state, request).await
}

/// A text or receipt of an HTTP provider.
async fn posted(State(entry): State<Arc<Entry>>, request: Request) -> Response {
    provider_posts::posted(&entry.state, &entry.rates, request).await
}

/// The keys pressed by a caller whose PIN is asked for.
async fn entered(State(entry): State<Arc<Entry>>, request: Request) -> Response {
    pins::answer(&entry.state, request).await
}

/// What callers and owners of a voicemail box hear.
async fn heard(State(entry): State<Arc<Entry>>, request: Request) -> Response {
    steps::answer(&entry.state, request).await
}

/// The page that `more_info` links to.
async fn error_page(request: Request) -> Response {
    let page = request.uri().path().rsplit('/').next().unwrap_or_default();
    let row = page
        .strip_suffix(".html")
        .and_then(|code| code.parse().ok())
        .and_then(error::entry);
    let (status, body) = match row {
        Some(row) => (
            StatusCode::OK,
            format!(
                "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><title>{code}</title>\
                 <h1>{code}</h1><p>{text}</p><p>{advice}</p></html>",
                code = row.code,
                text = row.text,
                advice = row.advice
            ),
        ),
        None => (StatusCode::NOT_FOUND, "no such error\n".to_owned()),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    response
}
