//! Messages on a stream (RFC 3261 §18.3, RFC 5626 §4.4.1).

use super::ParseError;
use crate::message::Message;
use bytes::BytesMut;

/// What a stream carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A message.
    Message(Box<Message>),
    /// A double CRLF: the peer wants a single CRLF back.
    Ping,
}

/// Cuts a byte stream into messages. An iterator: `None` means that more bytes are needed, or, once
/// [`Framer::is_closed`], that the stream is of no more use.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    closed: bool,
}

impl Framer {
    /// A framer at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what was read from the socket.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether the connection must be closed: what follows cannot be told apart.
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}

impl Iterator for Framer {
    type Item = Result<Frame, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}
