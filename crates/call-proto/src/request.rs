//! What the API asks for: the one form in which a call or a text message is asked for, from the
//! parameters of a request to the machines.

use std::time::Duration;

use model::AccountSid;

use crate::callback::{CallbackTarget, LegCallback};
use crate::command::Target;
use crate::dialect::Dialect;
use crate::event::{Document, Headers};

/// A call to make.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewCall {
    /// Account it runs under.
    pub account: AccountSid,
    /// Whom the callee sees: a number, a name, or a whole SIP address.
    pub from: String,
    /// Whom to call.
    pub target: Target,
    /// Headers for the INVITE.
    pub headers: Headers,
    /// Runs when it is answered.
    pub document: Document,
    /// Sent the events of each leg.
    pub callback: Option<LegCallback>,
    /// How long it may ring.
    pub timeout: Duration,
    /// User name and password for a challenge.
    pub credentials: Option<(String, String)>,
    /// Dialect of the run: that of the base path at which it was asked for.
    pub dialect: Dialect,
}

/// Why a call was not made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CreateError {
    /// There is no way to the callee.
    #[error("{0}")]
    Unreachable(String),
    /// The server takes no new calls: it is full, or about to stop.
    #[error("the server accepts no new calls now")]
    Busy,
    /// The records cannot be kept.
    #[error("the call could not be stored")]
    Store,
}

/// Why a call was not changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ModifyError {
    /// It is over, or not live in this process.
    #[error("the call is not in progress")]
    NotLive,
    /// A party that is still being called runs no document.
    #[error("the call has not been answered yet, so it cannot be redirected")]
    NotAnswered,
    /// The call did not reply in time, or what it did cannot be put on record now.
    #[error("the change is not confirmed; it may still be made")]
    Unconfirmed,
}

/// A text to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewMessage {
    /// Account it is sent for.
    pub account: AccountSid,
    /// Sender: a number, a name, or a whole SIP address.
    pub from: String,
    /// Recipient: `client:NAME`, a SIP address, or a name or number.
    pub to: String,
    /// What it says.
    pub body: String,
    /// Receives each status.
    pub callback: Option<CallbackTarget>,
    /// That of the base path at which it was asked for.
    pub dialect: Dialect,
}

/// Why a text message was not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SendError {
    /// The server accepts no new messages: too many are on their way, or it is about to stop.
    #[error("the server accepts no new messages now")]
    Busy,
    /// The record cannot be kept.
    #[error("the message could not be stored")]
    Store,
}
