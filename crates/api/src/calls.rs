//! The call engine's interface to the API.

use async_trait::async_trait;
use call_proto::{Changed, CreateError, Modify, ModifyError, NewCall, RecordingChange};
use model::record::CallRecord;
use model::{AccountSid, CallSid, ConferenceSid};

/// The engine that runs calls, as seen by the API.
#[async_trait]
pub trait Calls: Send + Sync + 'static {
    /// Creates a call. Returns one record per leg (a client with several phones has several), as
    /// committed.
    async fn create(&self, new: NewCall) -> Result<Vec<CallRecord>, CreateError>;

    /// Changes a live call. Returns once the change is made and stored.
    ///
    /// # Errors
    /// [`ModifyError`] if it was not made, or if the outcome is not known in time.
    async fn modify(&self, call: CallSid, modify: Modify) -> Result<Changed, ModifyError>;

    /// Changes the recording of a live conference. Returns once the change is made and stored.
    ///
    /// # Errors
    /// [`ModifyError`] if it was not made, or if the outcome is not known in time.
    async fn change_conference_recording(
        &self,
        conference: ConferenceSid,
        change: RecordingChange,
    ) -> Result<Changed, ModifyError>;

    /// Ends a live conference for all its members. Returns once its end is stored; false if it is not
    /// live on this server, or did not end in time.
    async fn end_conference(&self, conference: ConferenceSid) -> bool;

    /// The voice messages of a client have changed, or its boxes have: its phones are notified. To be called after each commit.
    ///
    /// - `account`: owner of the box
    /// - `client`: login that the box names
    async fn messages_waiting(&self, account: AccountSid, client: &str);

    /// Whether the sound at an address of an account can be played now; if not, the account is notified. What was fetched for this
    /// is not fetched again to be played.
    async fn can_play(&self, account: AccountSid, address: &str) -> bool;
}
