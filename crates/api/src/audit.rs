//! The audit log: every change made through the API, with who made it, when and from where.
//!
//! **Invariant: an entry holds no secret.** A resource is written from its own table of fields,
//! with the secret ones left out and addresses without their logins.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use http::Method;
use model::AuditSid;
use model::record::{Account, AuditEntry};
use tracing::error;

use crate::context::{Context, now};

/// Longest path and longest representation in an entry, in bytes.
const MAX_PATH: usize = 1_000;
const MAX_SHOWN: usize = 16 * 1024;

/// A resource as the handler of a request has shown it last, in JSON and without secrets.
#[derive(Default)]
pub(crate) struct Witness {
    shown: Mutex<Option<String>>,
    unchanged: AtomicBool,
}

impl Witness {
    pub(crate) fn saw(&self, shown: String) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
    }

    /// The request succeeds, but changes nothing.
    pub(crate) fn nothing_changed(&self) {
        self.unchanged.store(true, Ordering::Relaxed);
    }

    pub(crate) fn take(&self) -> Option<String> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.take()
    }
}

/// What the entry of a request says besides what was changed.
pub(crate) struct Origin<'a> {
    pub(crate) request: &'a str,
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) source: model::Source,
}

/// Adds the entry of a change, unless the handler has changed nothing. If that fails, the change stays, and the operator's log says so.
///
/// - `before`: the resource before the change, if it existed
/// - `account`: the account that the request operated on
pub(crate) async fn note(
    context: &Context<'_>,
    origin: &Origin<'_>,
    account: &Account,
    before: Option<String>,
) {
    let is_unchanged = |witness: &Witness| witness.unchanged.load(Ordering::Relaxed);
    if context.witness.as_ref().is_some_and(is_unchanged) {
        return;
    }
    let now = now();
    let after = context.witness.as_ref().and_then(Witness::take);
    let entry = AuditEntry {
        sid: AuditSid::new(now, rand::random()),
        account: account.sid,
        actor: context.caller.sid,
        key: context.key.as_ref().map(|key| key.sid),
        source: origin.source.to_string(),
        request: origin.request.to_owned(),
        method: origin.method.as_str().to_owned(),
        path: shortened(origin.path.to_owned(), MAX_PATH),
        before: before.map(|shown| shortened(shown, MAX_SHOWN)),
        after: after.map(|shown| shortened(shown, MAX_SHOWN)),
        created: now,
    };
    if let Err(failed) = context.state.store.insert_audit_entry(entry).await {
        error!(error = %failed, account.sid = %account.sid, "a change is missing from the audit log");
    }
}

fn shortened(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit));
        text.push('…');
    }
    text
}
