//! Whether a message is fit to be processed (RFC 3261 §8.1.1, §8.2; the verdicts of RFC 4475).
//!
//! Missing Max-Forwards, From tag, branch and Contact are let through, as RFC 2543 peers send them
//! (RFC 4475 §3.4.1); a Date that is wrong and headers nobody reads are too. What only the
//! transaction user can judge stays with it: extensions (420), body types (415), methods (405, 501).

use super::ParseError;
use super::error::Refusal;
use crate::header::{HeaderError, Via};
use crate::message::{HeaderName, Headers, Message, Method, Request, Response};
use crate::uri::Uri;

impl Request {
    /// Whether the request has what RFC 3261 demands and the headers used for routing are readable.
    ///
    /// # Errors
    /// [`ParseError`] with status 400 or 416.
    pub fn validate(&self) -> Result<(), ParseError> {
        request(self)
            .map_err(|refusal| refusal.into_error(Some(self.method.clone()), self.headers.clone()))
    }
}

impl Message {
    /// [`Request::validate`], or the same for a response; the parser has called this already.
    ///
    /// # Errors
    /// [`ParseError`]; one for a response is never answered.
    pub fn check(&self) -> Result<(), ParseError> {
        match self {
            Self::Request(request) => request.validate(),
            Self::Response(message) => {
                response(message).map_err(|refusal| refusal.into_error(None, Headers::new()))
            }
        }
    }
}

pub(super) fn request(request: &Request) -> Result<(), Refusal> {
    let headers = &request.headers;
    common(headers)?;
    if headers.cseq()?.method != request.method {
        return Err(Refusal::new(400, "CSeq method differs from the request's"));
    }
    headers.max_forwards()?;
    headers.contacts()?;
    headers.routes()?;
    headers.record_routes()?;
    request_uri(&request.uri)?;
    let registers = request.method == Method::Register;
    if registers && headers.to()?.uri.as_sip().is_none() {
        return Err(Refusal::new(400, "To of a REGISTER is not a SIP URI"));
    }
    Ok(())
}

pub(super) fn response(response: &Response) -> Result<(), Refusal> {
    common(&response.headers)?;
    response.headers.cseq()?;
    Ok(())
}

/// What requests and responses must both have (§8.1.1, §8.2.6.2).
fn common(headers: &Headers) -> Result<(), Refusal> {
    once(headers)?;
    let vias = headers.vias()?;
    if vias.is_empty() {
        return Err(Refusal::new(400, "Via: missing"));
    }
    vias.iter().try_for_each(branch)?;
    headers.from()?;
    headers.to()?;
    match headers.get_bytes(HeaderName::CallId) {
        None => Err(Refusal::new(400, "Call-ID: missing")),
        Some(id) if id.is_empty() || id.iter().any(|b| *b <= b' ' || *b == 0x7f) => {
            Err(Refusal::new(400, "Call-ID: malformed"))
        }
        Some(_) => Ok(()),
    }
}

/// Headers that may stand once only (§7.3.1).
fn once(headers: &Headers) -> Result<(), Refusal> {
    const SINGLE: [HeaderName; 6] = [
        HeaderName::From,
        HeaderName::To,
        HeaderName::CallId,
        HeaderName::CSeq,
        HeaderName::MaxForwards,
        HeaderName::ContentType,
    ];
    match SINGLE
        .iter()
        .find(|name| headers.lines(*name).nth(1).is_some())
    {
        Some(name) => Err(Refusal::new(400, format!("{name}: more than one"))),
        None => Ok(()),
    }
}

/// The magic cookie promises an identifier after it (RFC 4475 §3.2.1).
fn branch(via: &Via) -> Result<(), Refusal> {
    match via.rfc3261_branch() {
        Some(branch) if branch.len() == 7 => Err(Refusal::new(400, "Via: empty branch")),
        _ => Ok(()),
    }
}

/// Headers cannot stand in a Request-URI (§19.1.1, Table 1).
fn request_uri(uri: &Uri) -> Result<(), Refusal> {
    match uri {
        Uri::Sip(uri) if uri.headers.is_empty() => Ok(()),
        Uri::Sip(_) => Err(Refusal::new(400, "Request-URI: headers in it")),
        Uri::Tel(_) => Ok(()),
        Uri::Other(_) => Err(Refusal::new(416, "unknown URI scheme")),
    }
}

impl From<HeaderError> for Refusal {
    fn from(error: HeaderError) -> Self {
        Self::new(400, error.to_string())
    }
}
