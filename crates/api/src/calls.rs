//! What the API needs of the call engine.

use async_trait::async_trait;
use model::record::CallRecord;
use model::{AccountSid, CallSid, CallStatus, HttpMethod, LegEvent};

/// The engine that runs calls, as the API sees it.
#[async_trait]
pub trait Calls: Send + Sync + 'static {
    /// Sets a call up. Returns one record per leg (a client with several phones has several),
    /// as soon as they are kept.
    async fn create(&self, new: NewCall) -> Result<Vec<CallRecord>, CreateError>;

    /// Changes a live call with addresses that `author` wrote; returns its record as it was before the change.
    async fn modify(
        &self,
        sid: CallSid,
        author: AccountSid,
        modify: Modify,
    ) -> Result<CallRecord, ModifyError>;
}

/// A call to set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCall {
    /// Account it runs under.
    pub account: AccountSid,
    /// Account whose credentials were sent: it wrote the addresses.
    pub author: AccountSid,
    /// Caller: a number, a name or a SIP address.
    pub from: String,
    /// Callee without the `?headers` tail: `client:NAME`, a SIP address or a number.
    pub to: String,
    /// Headers of the tail, decoded, in order. Names are not checked yet.
    pub headers: Vec<(String, String)>,
    /// Document to run when it is answered.
    pub url: String,
    /// Method for `url`.
    pub method: HttpMethod,
    /// Address to ask when `url` fails.
    pub fallback_url: Option<String>,
    /// Method for `fallback_url`.
    pub fallback_method: HttpMethod,
    /// Address told about the progress.
    pub status_callback: Option<String>,
    /// Method for `status_callback`.
    pub status_callback_method: HttpMethod,
    /// Which events are told.
    pub status_callback_events: Vec<LegEvent>,
    /// Seconds to ring.
    pub timeout_s: u32,
    /// Credentials for a challenge of the callee.
    pub username: Option<String>,
    /// See `username`.
    pub password: Option<String>,
}

/// Why a call was not set up.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CreateError {
    /// The callee cannot be reached: unknown or not registered, or no way to it.
    #[error("{0}")]
    Unreachable(String),
    /// A value cannot be used; the text names the parameter.
    #[error("{0}")]
    BadValue(String),
    /// The server takes no new calls now: full, or about to stop.
    #[error("the server takes no new calls now")]
    Busy,
    /// Something broke here.
    #[error("{0}")]
    Failed(String),
}

/// Changes to a live call; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Modify {
    /// New document.
    pub url: Option<String>,
    /// Method for `url`; `None` is POST.
    pub method: Option<HttpMethod>,
    /// Address to ask when `url` fails.
    pub fallback_url: Option<String>,
    /// Method for `fallback_url`; `None` is POST.
    pub fallback_method: Option<HttpMethod>,
    /// Status callback of the new run.
    pub status_callback: Option<String>,
    /// Method for `status_callback`; `None` is POST.
    pub status_callback_method: Option<HttpMethod>,
    /// [`CallStatus::Canceled`] withdraws a leg that is not answered, [`CallStatus::Completed`]
    /// ends it in any state; no other value is sent.
    pub status: Option<CallStatus>,
    /// Muted or not.
    pub mute: Option<bool>,
    /// With `url`: the connected leg runs the document too, instead of being hung up.
    pub move_connected_leg: bool,
}

/// Why a call was not changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ModifyError {
    /// No such call.
    #[error("there is no such call")]
    NotFound,
    /// It has ended, or runs elsewhere.
    #[error("the call is not in progress")]
    NotLive,
    /// A value cannot be used; the text names the parameter.
    #[error("{0}")]
    BadValue(String),
    /// Something broke here.
    #[error("{0}")]
    Failed(String),
}
