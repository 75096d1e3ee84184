//! Why a message was refused, and the answer it can still get.

use crate::message::{Headers, Method, Response, StatusCode};

/// A refused message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {reason}")]
pub struct ParseError {
    /// Status of the answer: 400, 413, 416, 505 or 513.
    pub status: StatusCode,
    /// What is wrong, for the log and the reason phrase of the answer.
    pub reason: String,
    /// What was recovered, if it is a request that can be answered. A refused response has none: it
    /// is dropped (RFC 3261 §18.1.2).
    pub partial: Option<Box<PartialRequest>>,
    /// On a stream, whether where the next message starts is unknown: answer, then close.
    pub closes_stream: bool,
}

/// The part of a refused request that an answer needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialRequest {
    /// Method of the start line.
    pub method: Method,
    /// The headers that could be read; a top Via is always among them and is well-formed.
    pub headers: Headers,
}

impl ParseError {
    /// The answer, unless nothing may be answered: an ACK, a response, or a request without a usable
    /// Via. `to_tag` is put on To if that has none.
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
