//! Warnings about requests that succeed nevertheless: headers of the answer, and notifications.
//!
//! A parameter that has no effect, or a different one than it seems to have, is reported: always in a header
//! of the answer, and in a notification in case the caller ignores headers. **Invariant: an account gets the
//! same notification at most once an hour, and a limited number in total.** One that cannot be stored does
//! not count: the next such request tries again.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

/// Hashes of the texts, and when they were sent, by account.
type Recent = HashMap<AccountSid, Vec<(u64, Instant)>>;

/// Recent notifications by account.
#[derive(Default)]
pub(crate) struct Notices {
    accounts: Mutex<Recent>,
    hashes: RandomState,
}

impl Notices {
    /// Notifies an account, unless it was notified of the same lately, or of too much.
    pub(crate) fn notify(
        self: &Arc<Self>,
        store: &Store,
        account: &Account,
        (code, text): (u16, String),
        now: Timestamp,
    ) {
        let Some(mark) = self.mark(account.sid, &text, Instant::now()) else {
            return;
        };
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
        let (store, notices, account) = (store.clone(), Arc::clone(self), account.sid);
        // The answer does not wait for this.
        tokio::spawn(async move {
            let change = Change::Notification(Box::new(notification));
            if let Err(error) = store.commit_soon(vec![change]).await {
                tracing::debug!(%error, "a notification about a request could not be stored");
                notices.forget(account, mark);
            }
        });
    }

    /// Marks a notification as sent; `None` if it is not to be sent.
    fn mark(&self, account: AccountSid, text: &str, now: Instant) -> Option<u64> {
        let hash = self.hashes.hash_one(text);
        let mut accounts = self.accounts();
        let recent = |(_, at): &(u64, Instant)| now.duration_since(*at) < REPEATED_AFTER;
        if accounts.len() >= MAX_ACCOUNTS && !accounts.contains_key(&account) {
            accounts.retain(|_, sent| sent.iter().any(recent));
            if accounts.len() >= MAX_ACCOUNTS {
                return None;
            }
        }
        let recently = accounts.entry(account).or_default();
        recently.retain(recent);
        if recently.len() >= MAX_OF_ACCOUNT || recently.iter().any(|(known, _)| *known == hash) {
            return None;
        }
        recently.push((hash, now));
        Some(hash)
    }

    /// Takes a mark back.
    fn forget(&self, account: AccountSid, mark: u64) {
        if let Some(sent) = self.accounts().get_mut(&account) {
            sent.retain(|(hash, _)| *hash != mark);
        }
    }

    fn accounts(&self) -> MutexGuard<'_, Recent> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
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
        let is_due = |account, text: &str, now| notices.mark(account, text, now).is_some();
        assert!(is_due(one, "a", start));
        assert!(!is_due(one, "a", start));
        assert!(is_due(one, "b", start));
        assert!(is_due(two, "a", start));
        let later = start + REPEATED_AFTER;
        assert!(is_due(one, "a", later));
        let due = (0..50).filter(|n| is_due(one, &n.to_string(), later));
        assert_eq!(due.count(), MAX_OF_ACCOUNT - 1);
    }

    #[tokio::test]
    async fn a_notification_that_cannot_be_stored_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("test.db").display());
        let store = Store::open(&url, store::SecretKey::random()).await.unwrap();
        let seed = store::AdminSeed::default();
        let made = store.first_start("one.example", seed).await.unwrap();
        let account = store.account(made.unwrap().sid).await.unwrap().unwrap();
        store.close().await;
        let notices = Arc::new(Notices::default());
        let warning = (error::REQUEST_WARNING, "a".to_owned());
        notices.notify(&store, &account, warning, Timestamp(0));
        let give_up = Instant::now() + Duration::from_secs(5);
        while notices.mark(account.sid, "a", Instant::now()).is_none() {
            assert!(Instant::now() < give_up, "it stays silent");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
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
