//! How long a stored file may be used without asking again (RFC 9111).
//!
//! **Invariant: what the server forbids to store is not stored.**

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fetch::Fetched;

/// What the server said about storing its answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Freshness {
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
    /// Seconds without asking; `None` if the server did not say.
    pub(crate) max_age_s: Option<u64>,
    /// When the answer came, in seconds since 1970.
    pub(crate) checked_s: u64,
}

impl Freshness {
    /// Reads the headers of an answer; `None` if it may not be stored.
    pub(crate) fn of(answer: &Fetched, now_s: u64) -> Option<Self> {
        let mut max_age_s = None;
        let mut always_ask = false;
        let control = answer
            .header("cache-control")
            .unwrap_or("")
            .to_ascii_lowercase();
        for directive in control.split(',').map(str::trim) {
            match directive.split_once('=') {
                Some(("max-age", value)) => max_age_s = value.trim_matches('"').parse().ok(),
                Some(("no-cache", _)) => {} // Concerns single headers only.
                Some(_) => {}
                None if directive == "no-store" => return None,
                None if directive == "no-cache" => always_ask = true,
                None => {}
            }
        }
        if always_ask {
            max_age_s = Some(0);
        }
        let header = |name: &str| answer.header(name).map(str::to_owned);
        Some(Self {
            etag: header("etag"),
            last_modified: header("last-modified"),
            max_age_s,
            checked_s: now_s,
        })
    }

    /// Whether the file may be used without asking.
    pub(crate) fn is_fresh(&self, now_s: u64, default: Duration) -> bool {
        let allowed = self.max_age_s.unwrap_or(default.as_secs());
        // A clock that was set back must not make a file fresh for years.
        now_s >= self.checked_s && now_s - self.checked_s < allowed
    }

    /// Headers that ask for the file only if it changed.
    pub(crate) fn conditions(&self) -> Vec<(String, String)> {
        let etag = self
            .etag
            .clone()
            .map(|value| ("if-none-match".to_owned(), value));
        let since = self.last_modified.clone();
        let since = since.map(|value| ("if-modified-since".to_owned(), value));
        etag.into_iter().chain(since).collect()
    }

    /// What holds after the server said that the file did not change.
    pub(crate) fn renewed(self, answer: &Fetched, now_s: u64) -> Self {
        let Some(new) = Self::of(answer, now_s) else {
            return self;
        };
        Self {
            etag: new.etag.or(self.etag),
            last_modified: new.last_modified.or(self.last_modified),
            max_age_s: new.max_age_s.or(self.max_age_s),
            checked_s: now_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answer(control: &str) -> Fetched {
        Fetched {
            status: 200,
            content_type: None,
            headers: vec![
                ("cache-control".to_owned(), control.to_owned()),
                ("etag".to_owned(), "\"v1\"".to_owned()),
            ],
            body: Bytes::new(),
            final_url: String::new(),
            elapsed: Duration::ZERO,
            attempts: 1,
        }
    }

    #[test]
    fn obeys_cache_control() {
        // Header, then whether the file is stored and how many seconds it is fresh.
        let table = [
            ("", Some(60)),
            ("max-age=10", Some(10)),
            ("public, Max-Age=\"10\"", Some(10)),
            ("max-age=soon", Some(60)),
            ("no-cache", Some(0)),
            ("no-cache, max-age=10", Some(0)),
            ("no-store", None),
            ("max-age=10, No-Store", None),
            ("private", Some(60)),
        ];
        for (control, expected) in table {
            let freshness = Freshness::of(&answer(control), 1000);
            assert_eq!(freshness.is_some(), expected.is_some(), "{control}");
            let (Some(freshness), Some(seconds)) = (freshness, expected) else {
                continue;
            };
            let fresh = |now| freshness.is_fresh(now, Duration::from_secs(60));
            assert_eq!(
                seconds > 0 && fresh(1000 + seconds - 1),
                seconds > 0,
                "{control}"
            );
            assert!(!fresh(1000 + seconds) && !fresh(999), "{control}");
        }
    }

    #[test]
    fn renewal_keeps_what_is_not_repeated() {
        let first = Freshness::of(&answer("max-age=10"), 1000).unwrap();
        let unchanged = Fetched {
            headers: Vec::new(),
            ..answer("")
        };
        let renewed = first.clone().renewed(&unchanged, 2000);
        assert_eq!(
            renewed,
            Freshness {
                checked_s: 2000,
                ..first
            }
        );
        assert_eq!(
            renewed.conditions(),
            [("if-none-match".to_owned(), "\"v1\"".to_owned())]
        );
    }
}
