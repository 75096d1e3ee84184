//! Bodies of requests: forms, and JSON documents where a route takes one.
//!
//! **Invariant: nothing larger than [`MAX_BODY`] is read**, so that parsing never blocks a worker that calls need too.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use model::error;

use crate::dialect::RestDialect;
use crate::failure::Failure;
use crate::params::Params;

/// Maximum size of a body in bytes.
const MAX_BODY: usize = 256 * 1024;
/// How long a client may take to send its body.
const PATIENCE: Duration = Duration::from_secs(30);
const NOT_A_FORM: &str =
    "Send the parameters as a form (`curl -d Name=value`), not as JSON or anything else.";
const NOT_JSON: &str =
    "Send the document as JSON, with the content type `application/json` (`curl --json @FILE`).";

/// Refuses a body that is too large before anything else is looked at.
pub(crate) fn check_length(headers: &HeaderMap) -> Result<(), Failure> {
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_BODY) {
        Err(Failure::of(error::TOO_LARGE))
    } else {
        Ok(())
    }
}

pub(crate) async fn read(body: Body) -> Result<Bytes, Failure> {
    tokio::time::timeout(PATIENCE, to_bytes(body, MAX_BODY))
        .await
        .map_err(|_| Failure::of(error::TOO_SLOW))?
        .map_err(|_| Failure::of(error::TOO_LARGE))
}

/// The parameters in a form, or in a JSON object where the dialect takes one; an empty body has none.
pub(crate) fn form(
    dialect: &RestDialect,
    headers: &HeaderMap,
    bytes: &Bytes,
) -> Result<Params, Failure> {
    if dialect.takes_json && media_type(headers) == "application/json" {
        return Params::of_json(bytes);
    }
    if bytes.is_empty() || media_type(headers) == "application/x-www-form-urlencoded" {
        Params::parse(bytes)
    } else {
        Err(Failure::of(error::UNSUPPORTED_MEDIA).saying(NOT_A_FORM))
    }
}

/// A JSON document, which is not parsed here.
pub(crate) fn document(headers: &HeaderMap, bytes: &Bytes) -> Result<String, Failure> {
    let media_type = media_type(headers);
    if !media_type.is_empty() && media_type != "application/json" && !media_type.ends_with("+json")
    {
        return Err(Failure::of(error::UNSUPPORTED_MEDIA).saying(NOT_JSON));
    }
    let text = std::str::from_utf8(bytes);
    let text =
        text.map_err(|_| Failure::of(error::BAD_PARAMETER).saying("The body is not UTF-8."))?;
    Ok(text.to_owned())
}

/// The content type without parameters, in lower case.
fn media_type(headers: &HeaderMap) -> String {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim().to_ascii_lowercase()
}
