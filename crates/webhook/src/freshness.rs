//! How long a stored file may be used without asking again (RFC 9111), as a private cache. Own code:
//! `docs/adr/0010-own-cookies-and-freshness.md`.
//!
//! **Invariant: what the server forbids to store is not stored, and what it wants to be asked about
//! is not used unasked**, even if it cannot be reached. A lifetime that cannot be read has passed.
//! Left to others: the files, and which of several requests asks.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fetch::Fetched;
use crate::http_date;

/// A longer lifetime is this one (RFC 9111 §1.2.2).
const LONGEST: u64 = 1 << 31;

/// What the server said about storing its answer.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Freshness {
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
    /// Seconds without asking; `None` if the server did not say.
    pub(crate) max_age_s: Option<u64>,
    /// When the answer came, in seconds since 1970.
    pub(crate) checked_s: u64,
    /// How old the answer was then, in seconds (§4.2.3).
    pub(crate) age_s: u64,
    /// It must not be used when it is old, whatever happens.
    pub(crate) never_stale: bool,
}

/// The directives of an answer that concern a private cache.
#[derive(Debug, Default)]
struct Control {
    no_store: bool,
    no_cache: bool,
    must_revalidate: bool,
    /// The first one counts; 0 if it cannot be read (§4.2.1).
    max_age_s: Option<u64>,
}

impl Control {
    fn of(answer: &Fetched) -> Self {
        let mut control = Self::default();
        for (_, text) in answer
            .headers
            .iter()
            .filter(|(name, _)| name == "cache-control")
        {
            let text = text.to_ascii_lowercase();
            for directive in text.split(',').map(str::trim) {
                match directive.split_once('=') {
                    Some(("max-age", value)) => {
                        control.max_age_s.get_or_insert(seconds(value));
                    }
                    // With names of headers `no-cache` concerns only these; `s-maxage` others.
                    Some(_) => {}
                    None => match directive {
                        "no-store" => control.no_store = true,
                        "no-cache" => control.no_cache = true,
                        "must-revalidate" => control.must_revalidate = true,
                        _ => {}
                    },
                }
            }
        }
        control
    }
}

impl Freshness {
    /// Reads the headers of an answer; `None` if it may not be stored.
    pub(crate) fn of(answer: &Fetched, now_s: u64) -> Option<Self> {
        let control = Control::of(answer);
        if control.no_store {
            return None;
        }
        let date_s = answer.header("date").and_then(date);
        let expires = answer.header("expires").map(|expires| {
            // What is no date has expired (§5.3).
            let expires = date(expires).unwrap_or(0);
            expires.saturating_sub(date_s.unwrap_or(now_s))
        });
        let ask = control.no_cache || varies(answer);
        let lifetime = control.max_age_s.or(expires);
        let header = |name: &str| answer.header(name).map(str::to_owned);
        Some(Self {
            etag: header("etag"),
            last_modified: header("last-modified"),
            max_age_s: if ask { Some(0) } else { lifetime },
            checked_s: now_s,
            age_s: age(answer, date_s, now_s),
            never_stale: ask || control.must_revalidate,
        })
    }

    /// Whether the file may be used without asking.
    pub(crate) fn is_fresh(&self, now_s: u64, default: Duration) -> bool {
        let allowed = self.max_age_s.unwrap_or(default.as_secs());
        // A clock that was set back must not make a file fresh for years.
        let stored = now_s.checked_sub(self.checked_s);
        stored.is_some_and(|stored| stored.saturating_add(self.age_s) < allowed)
    }

    /// Whether the file may be used although it is old, if asking fails (§4.2.4).
    pub(crate) fn may_be_stale(&self) -> bool {
        !self.never_stale
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

    /// What holds after the server said that the file did not change (§4.3.4): what it does not
    /// repeat stays. `None` if the file may not be kept any more.
    pub(crate) fn renewed(self, answer: &Fetched, now_s: u64) -> Option<Self> {
        let new = Self::of(answer, now_s)?;
        let silent = answer.header("cache-control").is_none() && answer.header("expires").is_none();
        Some(Self {
            etag: new.etag.or(self.etag),
            last_modified: new.last_modified.or(self.last_modified),
            max_age_s: if silent {
                self.max_age_s
            } else {
                new.max_age_s
            },
            never_stale: new.never_stale || silent && self.never_stale,
            ..new
        })
    }
}

/// How old an answer was when it came: as its `Age` says, or its `Date` if that is older.
fn age(answer: &Fetched, date_s: Option<u64>, now_s: u64) -> u64 {
    let said = answer.header("age").map_or(0, seconds);
    let corrected = said.saturating_add(answer.elapsed.as_secs());
    let apparent = date_s.map_or(0, |date_s| now_s.saturating_sub(date_s));
    corrected.max(apparent)
}

/// Whether the answer depends on what differs between two of our requests.
fn varies(answer: &Fetched) -> bool {
    let mut headers = answer.headers.iter().filter(|(name, _)| name == "vary");
    headers.any(|(_, text)| {
        let mut names = text.split(',').map(str::trim);
        names.any(|name| name == "*" || name.eq_ignore_ascii_case("cookie"))
    })
}

/// A number of seconds; 0 if it cannot be read.
fn seconds(text: &str) -> u64 {
    let digits = text.trim().trim_matches('"');
    let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse::<u64>() {
        Ok(seconds) => seconds.min(LONGEST),
        Err(_) if number => LONGEST,
        Err(_) => 0,
    }
}

/// Seconds since 1970.
fn date(text: &str) -> Option<u64> {
    let seconds = http_date::parse(text)?;
    Some(u64::try_from(seconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// 2001-09-09 01:46:40.
    const NOW: u64 = 1_000_000_000;

    fn answer(headers: &[(&str, &str)]) -> Fetched {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Fetched {
            status: 200,
            content_type: None,
            headers: headers.collect(),
            body: Bytes::new(),
            final_url: String::new(),
            elapsed: Duration::ZERO,
            attempts: 1,
            reserved: None,
        }
    }

    /// For how many seconds the file is used unasked, up to a day, if the server says nothing for 60.
    fn fresh_for(freshness: &Freshness, now_s: u64) -> u64 {
        let fresh = |second: &u64| freshness.is_fresh(now_s + second, Duration::from_secs(60));
        (0..86_400).take_while(fresh).count() as u64
    }

    #[test]
    fn obeys_the_server() {
        const CONTROL: &str = "cache-control";
        let date = ("date", "Sun, 09 Sep 2001 01:46:40 GMT");
        let old_date = ("date", "Sun, 09 Sep 2001 01:46:30 GMT");
        let expires = |text| ("expires", text);
        // Headers, then whether the file is stored, how many seconds it is fresh, and whether it
        // may be used when it is old and the server is away.
        type Row<'a> = (&'a [(&'a str, &'a str)], Option<(u64, bool)>);
        let table: &[Row<'_>] = &[
            (&[], Some((60, true))),
            (&[(CONTROL, "max-age=10")], Some((10, true))),
            (&[(CONTROL, "public, Max-Age=\"10\"")], Some((10, true))),
            (&[(CONTROL, "private")], Some((60, true))),
            (
                &[(CONTROL, "max-age=10"), (CONTROL, "max-age=99")],
                Some((10, true)),
            ),
            (
                &[(CONTROL, "public"), (CONTROL, "max-age=10")],
                Some((10, true)),
            ),
            (&[(CONTROL, "s-maxage=99, max-age=10")], Some((10, true))),
            (&[(CONTROL, "s-maxage=99")], Some((60, true))),
            (&[(CONTROL, "max-age=0")], Some((0, true))),
            (&[(CONTROL, "max-age=soon")], Some((0, true))),
            (&[(CONTROL, "max-age=-5")], Some((0, true))),
            (
                &[(CONTROL, "max-age=99999999999999999999999")],
                Some((86_400, true)),
            ),
            (&[(CONTROL, "immutable, max-age=10")], Some((10, true))),
            (&[(CONTROL, "no-cache")], Some((0, false))),
            (&[(CONTROL, "no-cache, max-age=10")], Some((0, false))),
            (
                &[(CONTROL, "no-cache=\"set-cookie\", max-age=10")],
                Some((10, true)),
            ),
            (
                &[(CONTROL, "max-age=10, must-revalidate")],
                Some((10, false)),
            ),
            (
                &[(CONTROL, "max-age=10, proxy-revalidate")],
                Some((10, true)),
            ),
            (&[(CONTROL, "no-store")], None),
            (&[(CONTROL, "max-age=10, No-Store")], None),
            (&[(CONTROL, "max-age=10"), (CONTROL, "no-store")], None),
            (&[(CONTROL, "max-age=10"), ("age", "4")], Some((6, true))),
            (&[(CONTROL, "max-age=10"), ("age", "10")], Some((0, true))),
            (
                &[(CONTROL, "max-age=10"), ("age", "young")],
                Some((10, true)),
            ),
            (&[(CONTROL, "max-age=30"), old_date], Some((20, true))),
            (
                &[(CONTROL, "max-age=30"), old_date, ("age", "15")],
                Some((15, true)),
            ),
            (
                &[date, expires("Sun, 09 Sep 2001 01:47:00 GMT")],
                Some((20, true)),
            ),
            (
                &[expires("Sun, 09 Sep 2001 01:47:00 GMT")],
                Some((20, true)),
            ),
            (
                &[old_date, expires("Sun, 09 Sep 2001 01:47:00 GMT")],
                Some((20, true)),
            ),
            (
                &[date, expires("Sun, 09 Sep 2001 01:46:00 GMT")],
                Some((0, true)),
            ),
            (&[date, expires("0")], Some((0, true))),
            (&[expires("never")], Some((0, true))),
            (
                &[
                    (CONTROL, "max-age=10"),
                    date,
                    expires("Sun, 09 Sep 2001 02:00:00 GMT"),
                ],
                Some((10, true)),
            ),
            (
                &[(CONTROL, "max-age=10"), ("vary", "accept, *")],
                Some((0, false)),
            ),
            (
                &[(CONTROL, "max-age=10"), ("vary", "Cookie")],
                Some((0, false)),
            ),
            (
                &[(CONTROL, "max-age=10"), ("vary", "accept-encoding")],
                Some((10, true)),
            ),
        ];
        for (headers, expected) in table {
            let freshness = Freshness::of(&answer(headers), NOW);
            let seen = freshness.map(|known| (fresh_for(&known, NOW), known.may_be_stale()));
            assert_eq!(seen, *expected, "{headers:?}");
        }
    }

    #[test]
    fn clocks_and_slow_answers() {
        let fast = answer(&[("cache-control", "max-age=10")]);
        let freshness = Freshness::of(&fast, NOW).unwrap();
        // Our clock was set back.
        assert!(!freshness.is_fresh(NOW - 1, Duration::from_secs(60)));
        let slow = Fetched {
            elapsed: Duration::from_secs(3),
            ..fast
        };
        assert_eq!(fresh_for(&Freshness::of(&slow, NOW).unwrap(), NOW), 7);
    }

    #[test]
    fn renewal_keeps_what_is_not_repeated() {
        let first = [
            ("cache-control", "max-age=10, must-revalidate"),
            ("etag", "\"v1\""),
            ("last-modified", "Sat, 08 Sep 2001 00:00:00 GMT"),
        ];
        let first = Freshness::of(&answer(&first), NOW).unwrap();
        assert_eq!(
            first.conditions(),
            [
                ("if-none-match".to_owned(), "\"v1\"".to_owned()),
                (
                    "if-modified-since".to_owned(),
                    "Sat, 08 Sep 2001 00:00:00 GMT".to_owned()
                ),
            ]
        );
        // What the 304 says; then for how long the file is fresh, whether it may be stale, and its tag.
        type Row<'a> = (&'a [(&'a str, &'a str)], Option<(u64, bool, &'a str)>);
        let table: &[Row<'_>] = &[
            (&[], Some((10, false, "\"v1\""))),
            (&[("age", "3")], Some((7, false, "\"v1\""))),
            (
                &[("cache-control", "max-age=20")],
                Some((20, true, "\"v1\"")),
            ),
            (&[("etag", "W/\"v1\"")], Some((10, false, "W/\"v1\""))),
            (&[("expires", "0")], Some((0, true, "\"v1\""))),
            (&[("cache-control", "no-store")], None),
        ];
        for (headers, expected) in table {
            let later = NOW + 500;
            let renewed = first.clone().renewed(&answer(headers), later);
            let seen = renewed.as_ref().map(|known| {
                let etag = known.etag.as_deref().unwrap_or_default();
                (fresh_for(known, later), known.may_be_stale(), etag)
            });
            assert_eq!(seen, *expected, "{headers:?}");
        }
    }

    #[test]
    fn what_an_older_version_stored() {
        let known =
            r#"{"etag":"\"v1\"","last_modified":null,"max_age_s":10,"checked_s":1000000000}"#;
        let known: Freshness = serde_json::from_str(known).unwrap();
        assert_eq!((fresh_for(&known, NOW), known.may_be_stale()), (10, true));
    }
}
