//! One datagram, one message (RFC 3261 §18.3).

use super::error::Refusal;
use super::head::{Head, Length};
use super::{MAX_MESSAGE_BYTES, ParseError};
use crate::message::Message;
use bytes::Bytes;

/// Reads the message of a datagram and checks it ([`Message::check`]). Bytes after its
/// Content-Length are ignored; without Content-Length the body is the rest of the datagram.
///
/// # Errors
/// [`ParseError`] with the status that RFC 3261 and RFC 4475 require.
pub fn parse_datagram(datagram: &[u8]) -> Result<Message, ParseError> {
    parse_bytes(Bytes::copy_from_slice(datagram))
}

/// Like [`parse_datagram`]; header values and body share the memory of `datagram`.
///
/// # Errors
/// As [`parse_datagram`].
pub fn parse_bytes(datagram: Bytes) -> Result<Message, ParseError> {
    // Empty lines before the start line are skipped (§7.5).
    let blank = datagram
        .iter()
        .take_while(|b| matches!(b, b'\r' | b'\n'))
        .count();
    let bytes = datagram.slice(blank..);
    let head = Head::read(&bytes);
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(head.refuse(Refusal::new(513, "message too large")));
    }
    let Some(body_at) = head.body_at else {
        return Err(head.refuse(Refusal::new(400, "no empty line after the headers")));
    };
    let rest = bytes.slice(body_at..);
    match head.length {
        // `finish` rejects a bad length.
        Length::Missing | Length::Bad => head.finish(rest),
        Length::Known(length) => match usize::try_from(length) {
            Ok(length) if length <= rest.len() => head.finish(rest.slice(..length)),
            _ => Err(head.refuse(Refusal::new(400, "Content-Length exceeds the datagram"))),
        },
    }
}
