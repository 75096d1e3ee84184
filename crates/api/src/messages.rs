//! The interface of the engine that sends text messages.

use async_trait::async_trait;
use call_proto::{NewMessage, SendError};
use model::MessageRouteSid;
use model::message_route::RouteHealth;
use model::record::Message;

/// The engine that sends text messages, as seen by the API.
#[async_trait]
pub trait Messages: Send + Sync + 'static {
    /// Sends a text message without a call. Returns its record as committed.
    ///
    /// # Errors
    /// [`SendError`] if nothing was sent and nothing was stored.
    async fn send(&self, new: NewMessage) -> Result<Message, SendError>;

    /// How a route is, and what it did since the start.
    fn route_health(&self, route: MessageRouteSid) -> RouteHealth;
}
