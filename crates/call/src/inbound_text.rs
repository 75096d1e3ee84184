//! Text messages that come from providers.
//!
//! **Invariant: a text is on disk before its provider learns that it was accepted.**

use call_proto::Headers;
use model::record::Message;
use model::{MessageDirection, MessageSid, MessageStatus};
use store::Change;

use crate::engine::Engine;

/// A text message from a provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InboundText {
    /// The sender: a number or a name.
    pub from: String,
    /// The number that it was sent to.
    pub to: String,
    /// The text.
    pub body: String,
    /// Name of the link or provider, for the trace.
    pub via: String,
    /// `X-` header fields for the application.
    pub headers: Headers,
}

/// Why a text message was not accepted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ArrivalError {
    /// It will never be.
    #[error("{0}")]
    Refused(String),
    /// Not now. It may be sent again later.
    #[error("the text cannot be accepted now")]
    Busy,
}

impl Engine {
    /// Records a text for the account of the number that it was sent to.
    ///
    /// # Errors
    /// [`ArrivalError`] if the text was not stored.
    pub async fn message_arrived(&self, text: InboundText) -> Result<MessageSid, ArrivalError> {
        let store = &self.shared.parts.store;
        let spellings = model::number::candidates(&text.to);
        let organization = self.shared.config.organization;
        let found = store
            .number_candidates(Some(organization), &spellings)
            .await;
        let found = found.map_err(|_| ArrivalError::Busy)?;
        let Some(number) = found.exact.first() else {
            let text = format!("`{}` is not a number here", text.to);
            return Err(ArrivalError::Refused(text));
        };
        let now = crate::now();
        let message = Box::new(Message {
            sid: MessageSid::new(now, rand::random()),
            instance: store.instance(),
            account: number.account,
            call: None,
            from: text.from,
            to: text.to,
            body: text.body,
            direction: MessageDirection::Inbound,
            status: MessageStatus::Received,
            error_code: None,
            reason: Some(format!("from {}", text.via)),
            created: now,
            updated: now,
            sent: None,
            forwarding: None,
        });
        let sid = message.sid;
        let created = Change::MessageCreated {
            message: message.clone(),
            farewell: None,
        };
        let ended = Change::MessageEnded {
            message,
            tells: None,
        };
        let stored = store.commit(vec![created, ended]).await;
        stored.map(|_| sid).map_err(|_| ArrivalError::Busy)
    }
}
