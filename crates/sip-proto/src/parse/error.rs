//! Why a message was refused, and the answer that is still possible.

use crate::header::Via;
use crate::message::{Headers, Method, Response, StatusCode};
use std::borrow::Cow;

/// A refused message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {reason}")]
pub struct ParseError {
    /// Status of the answer: 400, 413, 416, 505 or 513.
    pub status: StatusCode,
    /// The fault, for the log and the reason phrase of the answer.
    pub reason: String,
    /// The recovered part, if this is a request that can be answered. A refused response has none:
    /// it is dropped (RFC 3261 §18.1.2).
    pub partial: Option<Box<PartialRequest>>,
    /// On a stream: whether the start of the next message is unknown, so that the connection must
    /// close after the answer.
    pub closes_stream: bool,
}

/// The part of a refused request that an answer needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialRequest {
    /// Method of the start line.
    pub method: Method,
    /// Top Via; without parameters if they cannot be read.
    pub via: Via,
    /// The headers that could be separated; their values may be malformed.
    pub headers: Headers,
}

impl ParseError {
    /// The answer, or `None` if nothing may be answered: an ACK, a response, or a request without a
    /// usable Via. `to_tag` is added to To if that has none.
    pub fn response(&self, to_tag: &str) -> Option<Response> {
        let partial = self
            .partial
            .as_deref()
            .filter(|partial| partial.method != Method::Ack)?;
        let mut response = Response::for_headers(&partial.headers, self.status);
        if self.status.0 == 400 {
            response.reason = format!("Bad Request ({})", self.reason);
        }
        response.set_to_tag(to_tag);
        Some(response)
    }
}

/// A verdict, before the recovered part is added.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    reason: Cow<'static, str>,
    closes_stream: bool,
}

impl Refusal {
    pub(super) fn new(status: u16, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            reason: reason.into(),
            closes_stream: false,
        }
    }

    /// The same refusal; also marks the rest of the stream as undecipherable.
    pub(super) fn closing(self) -> Self {
        Self {
            closes_stream: true,
            ..self
        }
    }

    /// `method` is `None` for a response.
    pub(super) fn into_error(self, method: Option<Method>, headers: Headers) -> ParseError {
        let via = headers
            .get_bytes(crate::message::HeaderName::Via)
            .and_then(Via::recover);
        let partial = method.zip(via).map(|(method, via)| {
            Box::new(PartialRequest {
                method,
                via,
                headers,
            })
        });
        ParseError {
            status: self.status.into(),
            reason: self.reason.into_owned(),
            partial,
            closes_stream: self.closes_stream,
        }
    }
}
