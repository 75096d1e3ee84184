//! `ETag`, `If-None-Match` and `If-Match` (RFC 9110 §8.8.3, §13) of single resources.
//!
//! The tag is a digest of the answer, so it differs between formats and base paths. **Invariant: of
//! changes with `If-Match` that reach this process, one resource sees one at a time**: of two that
//! were based on the same answer, the second is refused. Left to others: changes through another
//! server that shares the database, and changes that a call makes itself.

use std::hash::{BuildHasher, RandomState};

use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue};
use model::error;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, MutexGuard};

use crate::failure::Failure;
use crate::format::hex;

/// Changes of this many resources can be checked at once.
const TURNS: usize = 64;

/// The tag of a document.
pub(crate) fn tag(document: &str) -> String {
    let digest = Sha256::digest(document);
    format!("\"{}\"", hex(&digest[..16]))
}

/// Adds the tag to an answer; returns whether the client has it already (304).
pub(crate) fn note(tag: &str, asked: &HeaderMap, headers: &mut HeaderMap) -> bool {
    if let Ok(value) = HeaderValue::from_str(tag) {
        headers.insert(ETAG, value);
    }
    let weak = |known: &str| known.strip_prefix("W/").unwrap_or(known) == tag;
    listed(asked, &IF_NONE_MATCH).any(|known| known == "*" || weak(known))
}

/// Whether a request is to be carried out only if the resource is unchanged.
pub(crate) fn is_conditional(asked: &HeaderMap) -> bool {
    asked.contains_key(IF_MATCH)
}

/// Refuses a change unless the request names the present tag.
///
/// # Errors
/// 412.
pub(crate) fn check(tag: &str, asked: &HeaderMap) -> Result<(), Failure> {
    // Shells swallow the quotes of `-H If-Match:"…"`; without them the tag is as clear.
    let bare = tag.trim_matches('"');
    let mut known = listed(asked, &IF_MATCH);
    if known.any(|known| known == "*" || known.trim_matches('"') == bare) {
        Ok(())
    } else {
        Err(Failure::of(error::PRECONDITION))
    }
}

/// The tags in all lines of a header. Ours have no comma in them.
fn listed<'a>(asked: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = asked.get_all(name).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

/// Whose turn it is to check and change a resource.
pub(crate) struct Turns {
    turns: Vec<Mutex<()>>,
    hashes: RandomState,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self {
            turns: (0..TURNS).map(|_| Mutex::new(())).collect(),
            hashes: RandomState::new(),
        }
    }

    /// Waits for the turn of a resource; of another one only if they happen to share a place.
    pub(crate) async fn of(&self, resource: &str) -> Option<MutexGuard<'_, ()>> {
        let place = self.hashes.hash_one(resource) % TURNS as u64;
        let turn = usize::try_from(place)
            .ok()
            .and_then(|at| self.turns.get(at));
        Some(turn?.lock().await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_as_the_rfc_says() {
        let own = tag("{}");
        let weak = format!("W/{own}");
        let listed = format!("\"a\", {own}");
        // Header value, not modified, may be changed.
        let table = [
            (own.as_str(), true, true),
            (&weak, true, false),
            (&listed, true, true),
            ("*", true, true),
            (own.trim_matches('"'), false, true),
            ("\"a\"", false, false),
            ("", false, false),
        ];
        for (value, is_known, is_unchanged) in table {
            let mut asked = HeaderMap::new();
            asked.insert(IF_MATCH, value.parse().unwrap());
            assert_eq!(check(&own, &asked).is_ok(), is_unchanged, "{value}");
            asked.insert(IF_NONE_MATCH, value.parse().unwrap());
            let mut headers = HeaderMap::new();
            assert_eq!(note(&own, &asked, &mut headers), is_known, "{value}");
            assert_eq!(headers[ETAG], own);
        }
        assert_ne!(tag("a"), tag("b"));
    }
}
