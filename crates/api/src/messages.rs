//! The interface of the engine that sends text messages.

use async_trait::async_trait;
use call_proto::forwarding::{ProviderPost, ProviderRefusal};
use call_proto::{NewMessage, SendError};
use model::message_route::RouteHealth;
use model::record::Message;
use model::{AccountSid, MessageRouteSid, MessageSid, Timestamp};
use tokio::sync::oneshot;

/// Receives the final SIP response to a message, or the one that describes its end best, with its phrase; an error if the
/// end is not known.
pub type MessageOutcome = oneshot::Receiver<(u16, String)>;

/// The engine that sends text messages, as seen by the API.
#[async_trait]
pub trait Messages: Send + Sync + 'static {
    /// Sends a text message without a call. Returns its record as committed.
    ///
    /// # Errors
    /// [`SendError`] if nothing was sent and nothing was stored.
    async fn send(&self, new: NewMessage) -> Result<Message, SendError>;

    /// Stores a message that is sent later. Returns its record as committed.
    ///
    /// # Errors
    /// [`SendError`] if nothing was stored.
    async fn schedule(&self, new: NewMessage, send_at: Timestamp) -> Result<Message, SendError>;

    /// Cancels a message that was to be sent later; `false` if it does not wait any more.
    ///
    /// # Errors
    /// [`SendError`] if that cannot be recorded.
    async fn cancel(&self, sid: MessageSid) -> Result<bool, SendError>;

    /// The account of an HTTP provider's route, if a request is signed with the secret of the route.
    ///
    /// # Errors
    /// [`ProviderRefusal`] if it is not.
    async fn check_provider(
        &self,
        route: MessageRouteSid,
        post: &ProviderPost,
    ) -> Result<AccountSid, ProviderRefusal>;

    /// Records what a provider posted, which was checked. Returns the message that it is, or is about.
    ///
    /// # Errors
    /// [`ProviderRefusal`] if nothing was recorded.
    async fn provider_posted(
        &self,
        route: MessageRouteSid,
        body: &str,
    ) -> Result<MessageSid, ProviderRefusal>;

    /// How a route is, and what it did since the start.
    fn route_health(&self, route: MessageRouteSid) -> RouteHealth;

    /// As [`Messages::send`], and later what became of the message.
    ///
    /// # Errors
    /// [`SendError`] if nothing was sent and nothing was stored.
    async fn send_and_watch(&self, new: NewMessage)
    -> Result<(Message, MessageOutcome), SendError>;
}
