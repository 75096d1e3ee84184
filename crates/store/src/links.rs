//! Links to recordings that work without credentials.
//!
//! A link carries a signature of the recording and, if links expire, of the expiry time.
//! **Invariant: a link opens one recording, until the signed time.** Links created while links
//! never expired stop working once expiry is configured.

use std::time::Duration;

use model::{RecordingSid, Timestamp};

use crate::SecretKey;

/// The purpose that links are signed for.
const PURPOSE: &str = "recording";

/// Creates and checks links to recordings.
#[derive(Clone, Debug)]
pub struct RecordingLinks {
    key: SecretKey,
    /// How long a link opens its recording; `None`: forever.
    lifetime: Option<Duration>,
}

impl RecordingLinks {
    /// - `lifetime`: how long a link opens its recording; `None`: forever
    #[must_use]
    pub const fn new(key: SecretKey, lifetime: Option<Duration>) -> Self {
        Self { key, lifetime }
    }

    /// The query of a link created at `now`: `Signature=…`, or `Expires=…&Signature=…` with seconds
    /// since 1970.
    #[must_use]
    pub fn query(&self, recording: RecordingSid, now: Timestamp) -> String {
        let expires = self.lifetime.map(|lifetime| seconds(now + lifetime));
        let signature = self.key.sign(PURPOSE, &signed(recording, expires));
        match expires {
            Some(expires) => format!("Expires={expires}&Signature={signature}"),
            None => format!("Signature={signature}"),
        }
    }

    /// Whether a link with these parameters opens a recording at `now`.
    #[must_use]
    pub fn opens(
        &self,
        recording: RecordingSid,
        expires: Option<&str>,
        signature: &str,
        now: Timestamp,
    ) -> bool {
        let expires = match expires.map(str::parse::<i64>) {
            Some(Ok(expires)) => Some(expires),
            Some(Err(_)) => return false,
            None => None,
        };
        let in_time = match expires {
            Some(expires) => seconds(now) < expires,
            None => self.lifetime.is_none(),
        };
        in_time
            && self
                .key
                .is_signed(PURPOSE, &signed(recording, expires), signature)
    }
}

/// Seconds since 1970.
fn seconds(at: Timestamp) -> i64 {
    at.0 / 1_000_000
}

fn signed(recording: RecordingSid, expires: Option<i64>) -> String {
    match expires {
        Some(expires) => format!("{recording}:{expires}"),
        None => recording.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_open_one_recording_until_they_expire() {
        let key = SecretKey::random();
        let at = |seconds: i64| Timestamp((1_700_000_000 + seconds) * 1_000_000);
        let [one, two] = [1, 2].map(|n| RecordingSid::from_bytes([n; 16]));
        let hour = RecordingLinks::new(key.clone(), Some(Duration::from_secs(3600)));
        let never = RecordingLinks::new(key, None);
        let query = hour.query(one, at(0));
        let (expires, signature) = query
            .strip_prefix("Expires=")
            .and_then(|rest| rest.split_once("&Signature="))
            .unwrap();
        let table = [
            (one, Some(expires), signature, 3599, true),
            (one, Some(expires), signature, 3600, false),
            (one, Some("1700009999"), signature, 0, false),
            (one, Some("x"), signature, 0, false),
            (one, None, signature, 0, false),
            (two, Some(expires), signature, 0, false),
        ];
        for (recording, expires, signature, now, good) in table {
            for links in [&hour, &never] {
                let found = links.opens(recording, expires, signature, at(now));
                assert_eq!(found, good, "{recording} {expires:?} at {now}");
            }
        }
        let query = never.query(one, at(0));
        let signature = query.strip_prefix("Signature=").unwrap();
        assert!(never.opens(one, None, signature, at(1_000_000)));
        assert!(!never.opens(two, None, signature, at(0)));
        assert!(!hour.opens(one, None, signature, at(0)), "links expire now");
    }
}
