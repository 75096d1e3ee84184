//! SIP messages as values (RFC 3261 §7): start line, ordered headers, body.
//!
//! Header values remain the bytes that arrived, so unknown content leaves unchanged, even if it is
//! not UTF-8. Invariant: **a serialised message has exactly the lines it was built from**: no value
//! can smuggle in a line break, and Content-Length is always the body's real length. Left to
//! others: reading values (`header`), splitting bytes into messages (`parse`).

mod headers;
mod method;
mod name;
mod status;

pub use headers::{Header, Headers, IntoValue, NameLike, split_list};
pub use method::Method;
pub use name::HeaderName;
pub use status::StatusCode;

use crate::header::{CSeq, NameAddr};
use crate::uri::Uri;
use bytes::{BufMut, Bytes, BytesMut};

/// A request or a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

/// A request (RFC 3261 §7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method of the start line.
    pub method: Method,
    /// Request-URI.
    pub uri: Uri,
    /// All header fields except Content-Length, in order.
    pub headers: Headers,
    /// Body, empty when there is none.
    pub body: Bytes,
}

/// A response (RFC 3261 §7.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status code, 100 to 699.
    pub status: StatusCode,
    /// Reason phrase, may be empty.
    pub reason: String,
    /// All header fields except Content-Length, in order.
    pub headers: Headers,
    /// Body, empty when there is none.
    pub body: Bytes,
}

impl Message {
    /// The header fields of either kind.
    pub fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => &request.headers,
            Self::Response(response) => &response.headers,
        }
    }

    /// The body of either kind.
    pub fn body(&self) -> &Bytes {
        match self {
            Self::Request(request) => &request.body,
            Self::Response(response) => &response.body,
        }
    }

    /// The bytes for the wire.
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Request(request) => request.to_bytes(),
            Self::Response(response) => response.to_bytes(),
        }
    }
}

impl From<Request> for Message {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}

impl From<Response> for Message {
    fn from(response: Response) -> Self {
        Self::Response(response)
    }
}

impl Request {
    /// A request without headers or body; the caller adds all mandatory headers.
    pub fn new(method: Method, uri: Uri) -> Self {
        Self {
            method,
            uri,
            headers: Headers::new(),
            body: Bytes::new(),
        }
    }

    /// Sets the body and its Content-Type.
    pub fn set_body(&mut self, content_type: &str, body: impl Into<Bytes>) {
        self.headers.set(HeaderName::ContentType, content_type);
        self.body = body.into();
    }

    /// The bytes for the wire; Content-Length is written here and nowhere else.
    pub fn to_bytes(&self) -> Bytes {
        let uri = self.uri.to_string();
        let mut out = buffer(&self.headers, &self.body, uri.len());
        out.put_slice(self.method.as_str().as_bytes());
        out.put_u8(b' ');
        put_text(&mut out, &uri);
        out.put_slice(b" SIP/2.0\r\n");
        finish(out, &self.headers, &self.body)
    }
}

impl Response {
    /// A response without headers, with the default reason phrase.
    pub fn new(status: impl Into<StatusCode>) -> Self {
        let status = status.into();
        let reason = status.default_reason().to_owned();
        Self {
            status,
            reason,
            headers: Headers::new(),
            body: Bytes::new(),
        }
    }

    /// The response to `request` (RFC 3261 §8.2.6): Via, From, To, Call-ID and CSeq are copied, for
    /// 1xx also Timestamp, and for responses that can create a dialog (101–299) also Record-Route
    /// (§12.1.1). The caller adds the To tag: [`Response::set_to_tag`].
    pub fn for_request(request: &Request, status: impl Into<StatusCode>) -> Self {
        Self::for_headers(&request.headers, status)
    }

    /// Like [`Response::for_request`], for a request of which only the headers are known.
    pub fn for_headers(request: &Headers, status: impl Into<StatusCode>) -> Self {
        let mut response = Self::new(status);
        let code = response.status.0;
        for header in request.iter() {
            let copied = match header.name {
                HeaderName::Via => true,
                HeaderName::From | HeaderName::To | HeaderName::CallId | HeaderName::CSeq => {
                    !response.headers.contains(&header.name)
                }
                HeaderName::Timestamp => code == 100,
                HeaderName::RecordRoute => code > 100 && code < 300,
                _ => false,
            };
            if copied {
                response
                    .headers
                    .push(header.name.clone(), header.value.clone());
            }
        }
        response
    }

    /// Adds `tag` to the To header unless it has one already or is missing.
    pub fn set_to_tag(&mut self, tag: &str) {
        let Some(raw) = self.headers.get_bytes(HeaderName::To) else {
            return;
        };
        if NameAddr::parse_bytes(raw).is_ok_and(|to| to.tag().is_some()) {
            return;
        }
        let mut value = BytesMut::from(raw);
        value.put_slice(b";tag=");
        value.put_slice(tag.as_bytes());
        self.headers.set(HeaderName::To, value.freeze());
    }

    /// Sets the body and its Content-Type.
    pub fn set_body(&mut self, content_type: &str, body: impl Into<Bytes>) {
        self.headers.set(HeaderName::ContentType, content_type);
        self.body = body.into();
    }

    /// Method of the request this answers, from CSeq.
    pub fn method(&self) -> Option<Method> {
        self.headers.cseq().ok().map(|CSeq { method, .. }| method)
    }

    /// The bytes for the wire; Content-Length is written here and nowhere else.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = buffer(&self.headers, &self.body, self.reason.len());
        out.put_slice(b"SIP/2.0 ");
        out.put_slice(self.status.to_string().as_bytes());
        out.put_u8(b' ');
        put_text(&mut out, &self.reason);
        out.put_slice(b"\r\n");
        finish(out, &self.headers, &self.body)
    }
}

fn buffer(headers: &Headers, body: &Bytes, start: usize) -> BytesMut {
    let lines: usize = headers
        .iter()
        .map(|h| h.name.as_bytes().len() + h.value.len() + 4)
        .sum();
    BytesMut::with_capacity(lines + body.len() + start + 64)
}

/// Writes `text` without line breaks.
fn put_text(out: &mut BytesMut, text: &str) {
    for part in text.split(['\r', '\n']) {
        out.put_slice(part.as_bytes());
    }
}

fn finish(mut out: BytesMut, headers: &Headers, body: &Bytes) -> Bytes {
    for header in headers.iter() {
        out.put_slice(header.name.as_bytes());
        out.put_slice(b": ");
        out.put_slice(&header.value);
        out.put_slice(b"\r\n");
    }
    out.put_slice(b"Content-Length: ");
    out.put_slice(body.len().to_string().as_bytes());
    out.put_slice(b"\r\n\r\n");
    out.put_slice(body);
    out.freeze()
}

#[cfg(test)]
mod tests;
