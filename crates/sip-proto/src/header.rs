//! Header values as types (RFC 3261 §20): read from a message on demand, written with `Display`.
//!
//! Reading is strict where a wrong guess would send a message to the wrong place (URIs, Via, CSeq)
//! and tolerant about white space, case and unknown parameters. Invariant: **reading what was
//! written gives an equal value.** Left to others: which headers a message must have (`parse::check`),
//! and what authentication parameters mean (`digest`).

mod access;
mod address;
mod auth;
mod lexer;
mod simple;
mod via;

pub use address::{Contacts, NameAddr};
pub use auth::AuthValue;
pub use simple::{CSeq, MediaType, RetryAfter, delta_seconds};
pub use via::Via;

use crate::message::HeaderName;

/// A header that is missing or cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct HeaderError {
    /// The header.
    pub name: HeaderName,
    /// Description of the fault.
    pub problem: &'static str,
}

impl HeaderError {
    pub(crate) fn new(name: HeaderName, problem: &'static str) -> Self {
        Self { name, problem }
    }
}

pub(crate) use lexer::{Malformed, quote, quoted_len};

#[cfg(test)]
mod tests;
