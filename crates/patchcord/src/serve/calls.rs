//! The call engine, as the API reaches it.

use api::Calls;
use async_trait::async_trait;
use call::Engine;
use call_proto::{CreateError, Modify, ModifyError, NewCall};
use model::CallSid;
use model::record::CallRecord;

/// The engine behind the API.
pub(super) struct LiveCalls(pub(super) Engine);

#[async_trait]
impl Calls for LiveCalls {
    async fn create(&self, new: NewCall) -> Result<Vec<CallRecord>, CreateError> {
        self.0.create(new).await
    }

    fn modify(&self, call: CallSid, modify: Modify) -> Result<(), ModifyError> {
        self.0.modify(call, modify)
    }
}
