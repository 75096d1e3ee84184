//! Messages on a stream (RFC 3261 §18.3, RFC 5626 §4.4.1).

use super::error::Refusal;
use super::head::{Head, Length};
use super::{MAX_MESSAGE_BYTES, ParseError, is_token};
use crate::message::Message;
use bytes::{Buf as _, BytesMut};

/// An element of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A message.
    Message(Box<Message>),
    /// A double CRLF: the peer expects a single CRLF in return.
    Ping,
}

/// Splits a byte stream into messages. An iterator: `None` means that more bytes are needed, or,
/// once [`Framer::is_closed`], that the stream is unusable.
///
/// Holds at most one message plus what the last [`Framer::push`] brought, if it is drained after
/// each. A refused message of known length does not end the stream.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    /// How much of `buffer` has been searched for the end of the head.
    searched: usize,
    /// Start of the line that contains `searched`.
    line_at: usize,
    pending: Option<Pending>,
    closed: bool,
}

/// A head whose body is not complete.
#[derive(Debug)]
struct Pending {
    head: Head,
    body_bytes: usize,
}

/// The line breaks before the next message.
enum Blank {
    Ping,
    Unfinished,
    Over,
}

impl Framer {
    /// A framer at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes read from the socket.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.closed {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Whether the connection must be closed, because the next message cannot be located.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    fn close(&mut self, head: Option<Head>, refusal: Refusal) -> Option<Result<Frame, ParseError>> {
        self.closed = true;
        self.buffer = BytesMut::new();
        let refusal = refusal.closing();
        let mut error = match head {
            Some(head) => head.refuse(refusal),
            None => refusal.into_error(None, Default::default()),
        };
        error.closes_stream = true;
        Some(Err(error))
    }

    /// Removes line breaks between messages. A single CRLF may answer our ping or be half a ping,
    /// so it waits for more.
    fn skip_blank(&mut self) -> Blank {
        loop {
            let skip = match self.buffer.as_ref() {
                [b'\r', b'\n', b'\r', b'\n', ..] => {
                    self.buffer.advance(4);
                    return Blank::Ping;
                }
                [] | [b'\r', b'\n', b'\r'] | [b'\r', b'\n'] | [b'\r'] => return Blank::Unfinished,
                [b'\r', b'\n', ..] => 2,
                [b'\n', ..] => 1,
                _ => return Blank::Over,
            };
            self.buffer.advance(skip);
        }
    }

    /// Whether the head is complete; remembers how far it searched.
    fn find_head(&mut self) -> Result<bool, Refusal> {
        // No start line can begin with this byte: no need to wait for the rest.
        if self
            .buffer
            .first()
            .is_some_and(|first| !is_token(&[*first]))
        {
            return Err(Refusal::new(400, "not SIP"));
        }
        let limit = self.buffer.len().min(MAX_MESSAGE_BYTES);
        while let Some(offset) = memchr::memchr(b'\n', &self.buffer[self.searched..limit]) {
            let feed = self.searched + offset;
            let line = &self.buffer[self.line_at..feed];
            if self.line_at == 0 && !plausible(line) {
                return Err(Refusal::new(400, "not SIP"));
            }
            let empty = line.is_empty() || line == b"\r";
            self.searched = feed + 1;
            self.line_at = feed + 1;
            if empty {
                return Ok(true);
            }
        }
        self.searched = limit;
        match self.buffer.len() > MAX_MESSAGE_BYTES {
            true => Err(Refusal::new(513, "message too large")),
            false => Ok(false),
        }
    }

    /// Removes the head and determines the length of the body.
    fn take_head(&mut self) -> (Head, Result<usize, Refusal>) {
        let head_bytes = self.buffer.split_to(self.line_at).freeze();
        (self.searched, self.line_at) = (0, 0);
        let head = Head::read(&head_bytes);
        let room = MAX_MESSAGE_BYTES.saturating_sub(head_bytes.len());
        let body_bytes = match head.length {
            Length::Missing => Err(Refusal::new(400, "no Content-Length on a stream")),
            Length::Bad => Err(Refusal::new(400, "bad Content-Length")),
            Length::Known(length) => match usize::try_from(length) {
                Ok(body_bytes) if body_bytes <= room => Ok(body_bytes),
                _ => Err(Refusal::new(413, "message too large")),
            },
        };
        (head, body_bytes)
    }
}

/// Whether a first line can be a SIP start line; anything else is another protocol.
fn plausible(line: &[u8]) -> bool {
    line.to_ascii_uppercase()
        .windows(4)
        .any(|part| part == b"SIP/")
}

impl Iterator for Framer {
    type Item = Result<Frame, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.closed {
            return None;
        }
        if self.pending.is_none() {
            if self.searched == 0 {
                match self.skip_blank() {
                    Blank::Ping => return Some(Ok(Frame::Ping)),
                    Blank::Unfinished => return None,
                    Blank::Over => {}
                }
            }
            match self.find_head() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(refusal) => return self.close(None, refusal),
            }
            match self.take_head() {
                (head, Ok(body_bytes)) => self.pending = Some(Pending { head, body_bytes }),
                (head, Err(refusal)) => return self.close(Some(head), refusal),
            }
        }
        let Pending { head, body_bytes } = self
            .pending
            .take_if(|pending| pending.body_bytes <= self.buffer.len())?;
        let body = self.buffer.split_to(body_bytes).freeze();
        Some(
            head.finish(body)
                .map(|message| Frame::Message(Box::new(message))),
        )
    }
}
