//! The four transactions of RFC 3261 §17, as corrected by RFC 6026, and the table that holds them.
//!
//! They retransmit, absorb retransmissions, acknowledge refusals and time out, so that the
//! transaction user sees each request and each final response once. **No transaction outlives its
//! timers or its user's final answer.** Left to others: 2xx to INVITE and their ACK (`dialog`),
//! what a request means (`ua`).

mod client;
mod invite_client;
mod invite_server;
mod key;
mod machine;
mod server;
mod table;
#[cfg(test)]
mod tests;
pub(crate) mod timers;

pub(crate) use key::ServerKey;
pub(crate) use table::{Holder, Incoming, Output, Table, TxId};
