//! Keeps mails instead of sending them, for a developer to read.
//!
//! **Invariant: memory is bounded**: the oldest mails make room for new ones. They are lost when the process ends.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::EmailSid;
use model::email::Email;

use crate::compose::Attachment;

/// Maximum number of mails that are kept.
pub const MAX_CAUGHT: usize = 100;
/// Maximum size of all of them, in bytes; the newest one is kept, however large.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// A mail that was caught.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CaughtMail {
    /// The mail.
    pub email: Email,
    /// What is attached.
    pub attachments: Vec<Attachment>,
    /// The message as it would have been sent.
    pub message: Vec<u8>,
}

/// The mails that were caught.
#[derive(Default)]
pub struct Catcher {
    mails: Mutex<VecDeque<Arc<CaughtMail>>>,
}

impl Catcher {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The mails, newest first.
    #[must_use]
    pub fn mails(&self) -> Vec<Arc<CaughtMail>> {
        self.locked().iter().cloned().collect()
    }

    /// One of the mails.
    #[must_use]
    pub fn mail(&self, sid: EmailSid) -> Option<Arc<CaughtMail>> {
        self.locked()
            .iter()
            .find(|mail| mail.email.sid == sid)
            .cloned()
    }

    /// Deletes all mails.
    pub fn clear(&self) {
        self.locked().clear();
    }

    pub(crate) fn catch(&self, email: &Email, attachments: Vec<Attachment>, message: Vec<u8>) {
        let mut mails = self.locked();
        mails.retain(|mail| mail.email.sid != email.sid);
        mails.push_front(Arc::new(CaughtMail {
            email: email.clone(),
            attachments,
            message,
        }));
        let mut size = 0;
        let kept = mails.iter().take(MAX_CAUGHT).take_while(|mail| {
            let fits = size == 0 || size + mail.size() <= MAX_BYTES;
            size += mail.size();
            fits
        });
        let kept = kept.count();
        mails.truncate(kept);
    }

    fn locked(&self) -> MutexGuard<'_, VecDeque<Arc<CaughtMail>>> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CaughtMail {
    fn size(&self) -> usize {
        let attached: usize = self.attachments.iter().map(|part| part.content.len()).sum();
        self.message.len() + attached + self.email.body.len()
    }
}
