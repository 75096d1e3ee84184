//! What the API needs of the call engine.

use async_trait::async_trait;
use call_proto::{CreateError, Modify, ModifyError, NewCall};
use model::CallSid;
use model::record::CallRecord;

/// The engine that runs calls, as the API sees it.
#[async_trait]
pub trait Calls: Send + Sync + 'static {
    /// Makes a call. Returns one record per leg (a client with several phones has several), as they
    /// were committed.
    async fn create(&self, new: NewCall) -> Result<Vec<CallRecord>, CreateError>;

    /// Changes a live call. Returns when the change is made and on record.
    ///
    /// # Errors
    /// [`ModifyError`] if it was not made, or if it is not known in time whether it was.
    async fn modify(&self, call: CallSid, modify: Modify) -> Result<(), ModifyError>;
}
