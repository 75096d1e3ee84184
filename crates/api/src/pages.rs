//! The OpenAPI documents and an interactive page that shows them, at `/docs`.
//!
//! **Invariant: the page loads nothing from any other server**, so it works without a connection to
//! the internet, and no other server learns of it. The page is [Swagger UI] with the licences
//! beside its files in `assets/docs`.
//!
//! [Swagger UI]: https://github.com/swagger-api/swagger-ui

use std::sync::LazyLock;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, StatusCode};

use crate::openapi::openapi;

/// Only this server's own scripts run; Swagger UI writes styles and small images into the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

const JSON: &str = "application/json";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The page and what it loads.
const FILES: &[(&str, &str, &[u8])] = &[
    (
        "index.html",
        "text/html; charset=utf-8",
        include_bytes!("../assets/docs/index.html"),
    ),
    ("page.css", CSS, include_bytes!("../assets/docs/page.css")),
    ("page.js", SCRIPT, include_bytes!("../assets/docs/page.js")),
    (
        "swagger-ui.css",
        CSS,
        include_bytes!("../assets/docs/swagger-ui.css"),
    ),
    (
        "swagger-ui-bundle.js",
        SCRIPT,
        include_bytes!("../assets/docs/swagger-ui-bundle.js"),
    ),
];

/// Written once, at the first request.
static DOCUMENTS: LazyLock<Vec<(String, Bytes)>> = LazyLock::new(|| {
    let documents = openapi().into_iter();
    let named = documents.map(|document| (document.file(), Bytes::from(document.text)));
    named.collect()
});

/// The routes of the page. They need no credentials: there are no secrets in it.
pub(crate) fn router() -> Router {
    let page = || std::future::ready(answer("index.html"));
    Router::new()
        .route("/docs", get(page))
        .route("/docs/", get(page))
        .route(
            "/docs/{file}",
            get(|Path(file): Path<String>| std::future::ready(answer(&file))),
        )
}

fn answer(name: &str) -> Response {
    let embedded = FILES.iter().find(|(file, ..)| *file == name);
    let embedded = embedded.map(|(_, kind, bytes)| (*kind, Bytes::from_static(bytes)));
    let found = embedded.or_else(|| {
        let document = DOCUMENTS.iter().find(|(file, _)| file == name)?;
        Some((JSON, document.1.clone()))
    });
    let is_found = found.is_some();
    let (kind, bytes) = found.unwrap_or((
        "text/plain; charset=utf-8",
        Bytes::from_static(b"There is no such file here; the page is at /docs.\n"),
    ));
    let mut response = Response::new(Body::from(bytes));
    if !is_found {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    for (header, value) in [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        // Another release may have other files under the same names.
        (CACHE_CONTROL, "max-age=300"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(header, value);
    }
    response
}
