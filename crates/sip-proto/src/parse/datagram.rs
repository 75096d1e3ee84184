//! One datagram, one message (RFC 3261 §18.3).

use super::ParseError;
use crate::message::Message;
use bytes::Bytes;

/// Reads the message of a datagram; bytes after its Content-Length are ignored.
///
/// # Errors
/// [`ParseError`] with the status RFC 3261 and RFC 4475 ask for.
pub fn parse_datagram(datagram: &[u8]) -> Result<Message, ParseError> {
    parse_bytes(Bytes::copy_from_slice(datagram))
}

/// Like [`parse_datagram`]; header values and body share the memory of `datagram`.
///
/// # Errors
/// As [`parse_datagram`].
pub fn parse_bytes(datagram: Bytes) -> Result<Message, ParseError> {
    super::lines::parse(datagram)
}
