//! What a provider's receipt means for its message.

use model::record::{Callback, Message};
use model::{MessageStatus, Timestamp};

use super::Move;
use crate::farewell::MessageFarewell;
use crate::ids::Ids;

/// A receipt that says what became of a part of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReceiptNews {
    /// [`MessageStatus::Delivered`], [`MessageStatus::Undelivered`] or [`MessageStatus::Failed`].
    pub status: MessageStatus,
    /// Number of the error table.
    pub code: Option<u16>,
    /// The provider's words.
    pub reason: String,
}

/// The change of a message that one receipt brings about: none while other parts have no receipt, unless
/// this one failed, and none if the message already had its final status.
///
/// - `others`: what the receipts of its other parts said.
/// - `seed`: must not be predictable.
#[must_use]
pub fn receipt(
    message: &Message,
    farewell: Option<MessageFarewell>,
    news: &ReceiptNews,
    others: &[Option<MessageStatus>],
    seed: u64,
    now: Timestamp,
) -> Option<Move> {
    let is_delivered = |state: &Option<MessageStatus>| *state == Some(MessageStatus::Delivered);
    let is_open = news.status == MessageStatus::Delivered && !others.iter().all(is_delivered);
    if message.status != MessageStatus::Sent || is_open {
        return None;
    }
    let mut message = Box::new(message.clone());
    message.status = news.status;
    message.error_code = news.code;
    message.reason = Some(news.reason.clone());
    message.updated = now.max(message.updated);
    let callback: Option<Callback> = farewell.map(|mut farewell| {
        farewell.follow(2);
        farewell.callback(&message, Ids::new(seed).event(now))
    });
    Some(Move {
        message,
        expected: MessageStatus::Sent,
        attempt: None,
        parts: Vec::new(),
        callback,
        notification: None,
    })
}
