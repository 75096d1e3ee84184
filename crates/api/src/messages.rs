//! What the API needs of the engine that sends text messages.

use async_trait::async_trait;
use call_proto::{NewMessage, SendError};
use model::record::Message;

/// The engine that sends text messages, as the API sees it.
#[async_trait]
pub trait Messages: Send + Sync + 'static {
    /// Sends a text message without a call. Returns its record as it was committed.
    ///
    /// # Errors
    /// [`SendError`] if nothing was sent and nothing is on record.
    async fn send(&self, new: NewMessage) -> Result<Message, SendError>;
}
