//! `Idempotency-Key`: a request that is sent again is answered again, and not carried out again.
//!
//! **Invariant: of the requests with one key, one is carried out.** Once the answer may have had an
//! effect, each further request gets that answer; a refusal has had none, so it gives the key back.
//! Left to others: the claims, which must outlive a restart (`store`), and that a change is carried
//! out to its end even if its client leaves (`entry`).

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderName, LINK, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use model::{AccountSid, error};
use sha2::{Digest, Sha256};
use store::{Claim, ClaimedKey, RequestKey, Store, StoreError};
use tracing::warn;

use crate::context::now;
use crate::failure::Failure;
use crate::format::hex;
use crate::resources::masking::ending::forget_old_sessions;
use crate::warnings::WARNING;

const KEY: &str = "idempotency-key";
/// Marks an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Largest key, in characters.
const MAX_KEY: usize = 255;
/// Largest answer that is kept, in bytes; those to POST are much smaller.
const MAX_REPLY: usize = 1024 * 1024;
/// No request takes this long: one without an answer after it was interrupted.
const INTERRUPTED: Duration = Duration::from_secs(5 * 60);
/// Headers that belong to the answer and not to the request that it answers.
const KEPT: [HeaderName; 4] = [CONTENT_TYPE, LOCATION, LINK, WARNING];

/// What identifies the request, if it has a key.
///
/// # Errors
/// 400 if it has several keys, or one that is empty, too long or not ASCII.
pub(crate) fn key(
    headers: &HeaderMap,
    account: AccountSid,
    route: &str,
) -> Result<Option<RequestKey>, Failure> {
    let mut keys = headers.get_all(KEY).iter();
    let Some(key) = keys.next() else {
        return Ok(None);
    };
    let text = key.to_str().unwrap_or_default().trim();
    if keys.next().is_some() || text.is_empty() || text.len() > MAX_KEY {
        let reason = "send one key of 1 to 255 printable ASCII characters";
        return Err(Failure::parameter("Idempotency-Key", reason));
    }
    Ok(Some(RequestKey {
        account,
        // The path may be long, and this is part of a database key.
        route: hex(&Sha256::digest(route)),
        key: text.to_owned(),
    }))
}

/// Claims the key: this request is carried out, or else answered as the first one was.
///
/// - `parts`: everything that a request with the same key must have in common with this one
///
/// # Errors
/// 422 if the first request had other parts, 409 if it has no answer yet.
pub(crate) async fn claim(
    store: &Store,
    key: RequestKey,
    parts: &[&[u8]],
) -> Result<Result<ClaimedKey, Response>, Failure> {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let now = now();
    match store.claim_key(key, &hex(&hash.finalize()), now).await? {
        Claim::First(claimed) => Ok(Ok(claimed)),
        Claim::Answered(reply) => decode(&reply)
            .map(Err)
            .ok_or_else(|| Failure::of(error::INTERNAL).saying("the kept answer is unreadable")),
        Claim::Different => Err(Failure::of(error::KEY_REUSED)),
        Claim::Unanswered(since) if since + INTERRUPTED < now => {
            let text = "The first request with this Idempotency-Key was interrupted, so it is not known whether it was \
                carried out. Find out, then send the request with another key if necessary.";
            Err(Failure::of(error::KEY_IN_USE).saying(text))
        }
        Claim::Unanswered(_) => Err(Failure::of(error::KEY_IN_USE).retry_after(1)),
    }
}

/// Keeps the answer of a claimed request, or gives the key back.
pub(crate) async fn finish(store: &Store, claimed: &ClaimedKey, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, MAX_REPLY).await else {
        let mut failed = Response::new(Body::empty());
        *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return failed;
    };
    let may_have_changed =
        parts.status.is_success() || parts.status == StatusCode::INTERNAL_SERVER_ERROR;
    let done = if may_have_changed {
        let reply = encode(parts.status, &parts.headers, &body);
        store.keep_reply(claimed, &reply).await
    } else {
        store.release_key(claimed).await
    };
    if let Err(error) = done {
        warn!(%error, "the answer to a request with an Idempotency-Key could not be recorded");
    }
    Response::from_parts(parts, Body::from(body))
}

/// Forgets old answers, entries of the audit log and verifications; to be called now and then.
///
/// # Errors
/// As reported by the database.
pub async fn forget_old_rows(store: &Store) -> Result<(), StoreError> {
    store.forget_replies(now()).await?;
    store.forget_audit_entries(now()).await?;
    store.forget_old_verifications(now()).await?;
    forget_old_sessions(store).await
}

/// Status, kept headers, an empty line, body.
fn encode(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let mut out = format!("{}\n", status.as_u16()).into_bytes();
    for name in &KEPT {
        for value in headers.get_all(name) {
            out.extend_from_slice(name.as_str().as_bytes());
            out.push(b':');
            out.extend_from_slice(value.as_bytes());
            out.push(b'\n');
        }
    }
    out.push(b'\n');
    out.extend_from_slice(body);
    out
}

fn decode(reply: &[u8]) -> Option<Response> {
    let end = reply.windows(2).position(|pair| pair == b"\n\n")?;
    let (head, body) = reply.split_at_checked(end + 2)?;
    let mut lines = std::str::from_utf8(head).ok()?.trim_end().lines();
    let mut response = Response::new(Body::from(body.to_vec()));
    *response.status_mut() = lines.next()?.parse().ok()?;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::try_from(name).ok()?;
        let value = HeaderValue::try_from(value).ok()?;
        response.headers_mut().append(name, value);
    }
    let replayed = HeaderValue::from_static("true");
    response.headers_mut().insert(REPLAYED, replayed);
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_kept_answer_is_the_same_except_for_its_mark() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.append(WARNING, HeaderValue::from_static("a: b"));
        headers.append(WARNING, HeaderValue::from_static("c"));
        headers.insert("x-request-id", HeaderValue::from_static("RQ1"));
        for body in ["", "{}\n", "a\n\nb"] {
            let kept = encode(StatusCode::CREATED, &headers, body.as_bytes());
            let response = decode(&kept).unwrap();
            assert_eq!(response.status(), 201);
            let found = response.headers();
            assert_eq!(found[CONTENT_TYPE], "application/json");
            let warnings: Vec<_> = found.get_all(WARNING).iter().collect();
            assert_eq!(warnings, ["a: b", "c"]);
            assert_eq!(found[REPLAYED], "true");
            assert!(!found.contains_key("x-request-id"));
            let bytes = to_bytes(response.into_body(), 100).await.unwrap();
            assert_eq!(bytes, body);
        }
        assert!(decode(b"200").is_none());
        assert!(decode(b"x\n\n").is_none());
    }
}
