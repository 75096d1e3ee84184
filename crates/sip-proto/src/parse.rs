//! Bytes to messages: datagrams and streams (RFC 3261 §7, §18.3).
//!
//! A message that cannot be accepted is returned with the appropriate status and the parts that an
//! answer needs. Invariant: **every length is checked before it is used**, so no input can panic or
//! reserve more than the limits below. Left to others: sending the answer.

mod check;
mod datagram;
mod error;
mod head;
mod stream;
mod token;

pub use datagram::{parse_bytes, parse_datagram};
pub use error::{ParseError, PartialRequest};
pub use stream::{Frame, Framer};
pub use token::is_token;

pub(crate) use token::{Class, class, find_top_level};

/// Maximum bytes of one message, body included.
pub const MAX_MESSAGE_BYTES: usize = 65_535;
/// Maximum header lines of one message.
pub const MAX_HEADERS: usize = 256;
