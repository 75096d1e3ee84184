//! What the delivery needs of others: the stored mails, and the sound of recordings.

use std::time::Duration;

use async_trait::async_trait;
use model::RecordingSid;
use model::email::Email;

use crate::compose::Attachment;

/// A mail that is claimed for one attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claimed {
    /// The mail.
    pub email: Email,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Age of the mail.
    pub age: Duration,
    /// Whether its account only tests: then it counts as sent, and goes nowhere.
    pub is_test: bool,
}

/// The outbox could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the outbox of e-mails cannot be used: {0}")]
pub struct OutboxError(pub String);

/// Storage of mails.
#[async_trait]
pub trait Outbox: Send + Sync + 'static {
    /// Claims some of the mails that are due.
    ///
    /// # Errors
    /// [`OutboxError`] if it cannot be read or written.
    async fn claim(&self, limit: usize) -> Result<Vec<Claimed>, OutboxError>;

    /// A mail was accepted.
    ///
    /// # Errors
    /// [`OutboxError`] if it cannot be written.
    async fn sent(&self, mail: &Claimed) -> Result<(), OutboxError>;

    /// A mail is to be tried again after this wait, for a reason with a number of the error table.
    ///
    /// # Errors
    /// [`OutboxError`] if it cannot be written.
    async fn retry(
        &self,
        mail: &Claimed,
        wait: Duration,
        why: (u16, &str),
    ) -> Result<(), OutboxError>;

    /// A mail has failed, for a reason with a number of the error table.
    ///
    /// # Errors
    /// [`OutboxError`] if it cannot be written.
    async fn failed(&self, mail: &Claimed, why: (u16, &str)) -> Result<(), OutboxError>;
}

/// Why a recording cannot be attached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachmentError {
    /// It is not complete yet, or cannot be read now.
    #[error("{0}")]
    Later(String),
    /// It never can.
    #[error("{0}")]
    Never(String),
}

/// Reads recordings.
#[async_trait]
pub trait Recordings: Send + Sync + 'static {
    /// The sound of a recording that is to be attached to a mail of the same account.
    ///
    /// # Errors
    /// [`AttachmentError`] if it cannot be attached.
    async fn attachment(
        &self,
        mail: &Email,
        recording: RecordingSid,
    ) -> Result<Attachment, AttachmentError>;
}
