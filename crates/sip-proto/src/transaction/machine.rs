//! The outputs of all four machines to the table that holds them.

use bytes::Bytes;

/// An output of a machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// Send these bytes to the peer of the transaction.
    Send(Bytes),
    /// Pass the message just received up to the user.
    Deliver,
    /// No final response arrived in time (timers B and F).
    TimedOut,
    /// The request could not be sent.
    Unsent,
    /// The transaction is over and can be forgotten. Always the last action.
    End,
}
