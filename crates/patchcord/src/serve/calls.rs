//! The call engine as used by the API.

use api::{Calls, MessageOutcome, Messages, Monitor};
use async_trait::async_trait;
use call::Engine;
use call_proto::forwarding::{ProviderPost, ProviderRefusal};
use call_proto::{
    Changed, CreateError, Modify, ModifyError, NewCall, NewMessage, RecordingChange, SendError,
};
use model::census::Figures;
use model::message_route::RouteHealth;
use model::record::{CallRecord, Message};
use model::{AccountSid, CallSid, ConferenceSid, MessageRouteSid, MessageSid, Timestamp};

/// The engine behind the API.
pub(super) struct LiveCalls(pub(super) Engine);

#[async_trait]
impl Calls for LiveCalls {
    async fn create(&self, new: NewCall) -> Result<Vec<CallRecord>, CreateError> {
        self.0.create(new).await
    }

    async fn modify(&self, call: CallSid, modify: Modify) -> Result<Changed, ModifyError> {
        self.0.modify(call, modify).await
    }

    async fn change_conference_recording(
        &self,
        conference: ConferenceSid,
        change: RecordingChange,
    ) -> Result<Changed, ModifyError> {
        self.0.change_conference_recording(conference, change).await
    }

    async fn end_conference(&self, conference: ConferenceSid) -> bool {
        self.0.end_conference(conference).await
    }

    async fn can_play(&self, account: AccountSid, address: &str) -> bool {
        self.0.can_play(account, address).await
    }

    async fn messages_waiting(&self, account: AccountSid, client: &str) {
        self.0.messages_waiting(account, client).await;
    }
}

#[async_trait]
impl Messages for LiveCalls {
    async fn send(&self, new: NewMessage) -> Result<Message, SendError> {
        self.0.send_message(new).await
    }

    async fn schedule(&self, new: NewMessage, send_at: Timestamp) -> Result<Message, SendError> {
        self.0.schedule_message(new, send_at).await
    }

    async fn cancel(&self, sid: MessageSid) -> Result<bool, SendError> {
        self.0.cancel_message(sid).await
    }

    async fn check_provider(
        &self,
        route: MessageRouteSid,
        post: &ProviderPost,
    ) -> Result<AccountSid, ProviderRefusal> {
        self.0.check_provider(route, post).await
    }

    async fn provider_posted(
        &self,
        route: MessageRouteSid,
        body: &str,
    ) -> Result<MessageSid, ProviderRefusal> {
        self.0.provider_posted(route, body).await
    }

    fn route_health(&self, route: MessageRouteSid) -> RouteHealth {
        self.0.route_health(route)
    }

    async fn send_and_watch(
        &self,
        new: NewMessage,
    ) -> Result<(Message, MessageOutcome), SendError> {
        self.0.send_and_watch(new).await
    }
}

impl Monitor for LiveCalls {
    fn figures(&self) -> Figures {
        self.0.figures()
    }
}
