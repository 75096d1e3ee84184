//! The API's requests: the single form of a request for a call or a text message, between its
//! parameters and the machines.

use std::time::Duration;

use model::AccountSid;

use crate::callback::{CallbackTarget, LegCallback};
use crate::command::Target;
use crate::dialect::Dialect;
use crate::event::{Document, Headers, Unreachable};

/// A call to create.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewCall {
    /// Account under which it runs.
    pub account: AccountSid,
    /// The caller ID shown to the callee: a number, a name, or a whole SIP address.
    pub from: String,
    /// The party to call.
    pub target: Target,
    /// Headers for the INVITE.
    pub headers: Headers,
    /// Runs when it is answered.
    pub document: Document,
    /// Receives the events of each leg.
    pub callback: Option<LegCallback>,
    /// How long it may ring.
    pub timeout: Duration,
    /// User name and password for a challenge.
    pub credentials: Option<(String, String)>,
    /// Dialect of the run: that of the base path of the request.
    pub dialect: Dialect,
}

/// Why a call was not created.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CreateError {
    /// There is no route to the callee.
    #[error("{}", .0.text)]
    Unreachable(Unreachable),
    /// The server accepts no new calls: it is full, or about to stop.
    #[error("the server accepts no new calls now")]
    Busy,
    /// The records cannot be stored.
    #[error("the call could not be stored")]
    Store,
}

/// Why a call was not changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ModifyError {
    /// It has ended, or is not live in this process.
    #[error("the call is not in progress")]
    NotLive,
    /// A party that is still being called cannot run a document.
    #[error("the call has not been answered yet, so it cannot be redirected")]
    NotAnswered,
    /// It is not in the conference whose participant was to be changed.
    #[error("the call is not in this conference")]
    NotInConference,
    /// The call did not reply in time, or the change cannot be recorded now.
    #[error("the change is not confirmed; it may still be made")]
    Unconfirmed,
}

/// A text message to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewMessage {
    /// Account it is sent for.
    pub account: AccountSid,
    /// Sender: a number, a name, or a whole SIP address.
    pub from: String,
    /// Recipient: `client:NAME`, a SIP address, or a name or number.
    pub to: String,
    /// The text.
    pub body: String,
    /// Receives each status.
    pub callback: Option<CallbackTarget>,
    /// The dialect of the base path of the request.
    pub dialect: Dialect,
}

/// Why a text message was not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SendError {
    /// The server accepts no new messages: too many are pending, or it is about to stop.
    #[error("the server accepts no new messages now")]
    Busy,
    /// The record cannot be stored.
    #[error("the message could not be stored")]
    Store,
}
