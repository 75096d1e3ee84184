//! What all four machines say to the table that holds them.

use bytes::Bytes;

/// An output of a machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// Send these bytes to the peer of the transaction.
    Send(Bytes),
    /// Hand the message that was just fed in to the user.
    Deliver,
    /// No final response came in time (timers B and F).
    TimedOut,
    /// The request could not be sent.
    Unsent,
    /// The transaction is over and can be forgotten. Always the last action.
    End,
}
