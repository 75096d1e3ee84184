//! Warnings about requests that succeed nevertheless: headers of the answer, and notifications.
//!
//! A parameter that has no effect, or a different one than it seems to have, is reported: always in a header
//! of the answer, and in a notification in case the caller ignores headers, within the limits of [`News`].
//! Each that is stored gets a line in the log, so that the operator sees it too. One that cannot be stored does not count: the next such request tries again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use model::news::{Limits, News};
use model::record::{Account, Notification};
use model::{NotificationSid, Timestamp};
use store::{Change, Store};
use tokio::task::JoinHandle;
use tracing::{debug, warn};

/// Header that carries one warning.
pub(crate) const WARNING: HeaderName = HeaderName::from_static("patchcord-warning");
/// Maximum number of these headers in an answer.
const MAX_LINES: usize = 10;
/// Beyond these, a warning is only in the headers.
const LIMITS: Limits = Limits {
    quiet: Duration::from_secs(3600),
    of_account: 20,
    of_all: 10_000,
};

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

/// Recent notifications.
pub(crate) struct Notices(Mutex<News>);

impl Default for Notices {
    fn default() -> Self {
        Self(Mutex::new(News::new(LIMITS)))
    }
}

impl Notices {
    /// Notifies an account, unless it was notified of the same lately, or of too much.
    ///
    /// - `now`: the wall time, for the record.
    ///
    /// Returns the task that stores it; the answer need not wait for that.
    pub(crate) fn notify(
        self: &Arc<Self>,
        store: &Store,
        account: &Account,
        (code, text): (u16, String),
        now: Timestamp,
    ) -> Option<JoinHandle<()>> {
        let account = account.sid;
        if !self.news().is_news(account, code, &text, Instant::now()) {
            return None;
        }
        let sid = NotificationSid::new(now, rand::random());
        let notification = Notification::of_account(sid, account, code, text.clone(), now);
        let (store, notices) = (store.clone(), Arc::clone(self));
        Some(tokio::spawn(async move {
            let lane = notification.lane;
            let change = Change::Notification(Box::new(notification));
            match store.commit_soon(vec![change]).await {
                Ok(_) => warn!(account.sid = %account, %lane, code, cause = text, "notification"),
                Err(error) => {
                    debug!(%error, "a notification about a request could not be stored");
                    notices.news().forget(account, code, &text);
                }
            }
        }))
    }

    fn news(&self) -> MutexGuard<'_, News> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use model::error;

    use super::*;

    /// A database with the top account.
    async fn opened(folder: &tempfile::TempDir) -> (Store, Arc<Account>) {
        let url = format!("sqlite:{}", folder.path().join("test.db").display());
        let store = Store::open(&url, store::SecretKey::random()).await.unwrap();
        let seed = store::AdminSeed::default();
        let made = store.first_start("one.example", seed).await.unwrap();
        let account = store.account(made.unwrap().sid).await.unwrap().unwrap();
        (store, account)
    }

    #[tokio::test]
    async fn a_notification_that_cannot_be_stored_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let (store, account) = opened(&folder).await;
        store.close().await;
        let notices = Arc::new(Notices::default());
        for _ in 0..2 {
            let warning = (error::REQUEST_WARNING, "a".to_owned());
            let storing = notices.notify(&store, &account, warning, Timestamp(0));
            storing.expect("it is news again").await.unwrap();
        }
    }

    /// Collects the log.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_notification_is_logged_once() {
        let folder = tempfile::tempdir().unwrap();
        let (store, account) = opened(&folder).await;
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::INFO)
            .with_writer(move || writer.clone())
            .with_ansi(false);
        let _guard = tracing::subscriber::set_default(subscriber.finish());
        let notices = Arc::new(Notices::default());
        for is_news in [true, false] {
            let warning = (error::UNKNOWN_PARAMETER, "Colour".to_owned());
            let storing = notices.notify(&store, &account, warning, Timestamp(0));
            assert_eq!(storing.is_some(), is_news);
            if let Some(storing) = storing {
                storing.await.unwrap();
            }
        }
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = text.lines().filter(|line| line.contains("WARN")).collect();
        assert_eq!(lines.len(), 1, "{text}");
        let account = format!("account.sid={0} lane={0}", account.sid);
        for field in [&account, "code=20001", "cause=\"Colour\""] {
            assert!(lines[0].contains(field), "{text}");
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
