//! Warnings about requests that succeed nevertheless: headers of the answer, and notifications.
//!
//! A parameter that has no effect, or another one than it seems to, is reported: always by a header of the
//! answer, and by a notification in case the caller ignores headers. **Invariant: every warning is both; an
//! account gets the same notification at most once an hour, and a limited number in total.**

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use model::record::{Account, Notification};
use model::{AccountSid, NotificationSid, Timestamp, error};
use store::{Change, Store};

/// Header that carries one warning.
const WARNING: HeaderName = HeaderName::from_static("patchcord-warning");
/// Maximum number of these headers in an answer.
const MAX_LINES: usize = 10;
/// How long a notification is not repeated.
const REPEATED_AFTER: Duration = Duration::from_secs(3600);
/// Maximum number of notifications to one account in that time.
const MAX_OF_ACCOUNT: usize = 20;
/// Maximum number of accounts remembered; further ones get only headers.
const MAX_ACCOUNTS: usize = 10_000;
/// Level of a warning in a notification's `log`.
const LEVEL: i64 = error::Level::Warning.number();

/// The warnings about one request.
#[derive(Default)]
pub(crate) struct Warnings(Mutex<Vec<(u16, String)>>);

impl Warnings {
    /// - `code`: number of the error table
    pub(crate) fn add(&self, code: u16, text: impl Into<String>) {
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if texts.len() < MAX_LINES {
            texts.push((code, text.into()));
        }
    }

    /// Each with its number.
    pub(crate) fn all(&self) -> Vec<(u16, String)> {
        let texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        texts.clone()
    }

    /// Writes them into the headers of the answer.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        let texts = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (_, text) in texts {
            let printable = |c: char| if (' '..='~').contains(&c) { c } else { '?' };
            let text: String = text.chars().map(printable).collect();
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.append(WARNING, value);
            }
        }
    }
}

/// Recent notifications by account.
#[derive(Default)]
pub(crate) struct Notices {
    accounts: Mutex<HashMap<AccountSid, Vec<(u64, Instant)>>>,
    hashes: RandomState,
}

impl Notices {
    /// Notifies an account, unless it was notified of the same lately, or of too much.
    pub(crate) fn notify(
        &self,
        store: &Store,
        account: &Account,
        (code, text): (u16, String),
        now: Timestamp,
    ) {
        if !self.is_due(account.sid, &text, Instant::now()) {
            return;
        }
        let notification = Notification {
            sid: NotificationSid::new(now, rand::random()),
            account: account.sid,
            lane: account.sid.into(),
            call: None,
            level: LEVEL,
            code,
            text,
            request_url: None,
            request_method: None,
            line: None,
            column: None,
            created: now,
        };
        let store = store.clone();
        // The answer does not wait for this.
        tokio::spawn(async move {
            let change = Change::Notification(Box::new(notification));
            if let Err(error) = store.commit_soon(vec![change]).await {
                tracing::debug!(%error, "a notification about a request could not be stored");
            }
        });
    }

    fn is_due(&self, account: AccountSid, text: &str, now: Instant) -> bool {
        let hash = self.hashes.hash_one(text);
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |(_, at): &(u64, Instant)| now.duration_since(*at) < REPEATED_AFTER;
        if accounts.len() >= MAX_ACCOUNTS && !accounts.contains_key(&account) {
            accounts.retain(|_, sent| sent.iter().any(recent));
            if accounts.len() >= MAX_ACCOUNTS {
                return false;
            }
        }
        let recently = accounts.entry(account).or_default();
        recently.retain(recent);
        if recently.len() >= MAX_OF_ACCOUNT || recently.iter().any(|(known, _)| *known == hash) {
            return false;
        }
        recently.push((hash, now));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_are_not_repeated_and_limited() {
        let notices = Notices::default();
        let [one, two] = [1, 2].map(|n| AccountSid::from_bytes([n; 16]));
        let start = Instant::now();
        assert!(notices.is_due(one, "a", start));
        assert!(!notices.is_due(one, "a", start));
        assert!(notices.is_due(one, "b", start));
        assert!(notices.is_due(two, "a", start));
        let later = start + REPEATED_AFTER;
        assert!(notices.is_due(one, "a", later));
        let due = (0..50).filter(|n| notices.is_due(one, &n.to_string(), later));
        assert_eq!(due.count(), MAX_OF_ACCOUNT - 1);
    }

    #[test]
    fn header_lines_are_printable_and_limited() {
        let warnings = Warnings::default();
        for _ in 0..20 {
            warnings.add(error::UNKNOWN_PARAMETER, "Stra\u{df}e\r\nX: 1");
        }
        let mut headers = HeaderMap::new();
        warnings.write(&mut headers);
        let lines: Vec<_> = headers.get_all(WARNING).iter().collect();
        assert_eq!(lines.len(), MAX_LINES);
        assert_eq!(lines[0], "Stra?e??X: 1");
    }
}
