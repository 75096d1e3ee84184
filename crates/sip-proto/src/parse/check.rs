//! Whether a message is fit to be processed (RFC 3261 §8.1.1, §8.2; the verdicts of RFC 4475).
//!
//! A missing Max-Forwards, From tag, branch or Contact is accepted, since RFC 2543 peers omit them
//! (RFC 4475 §3.4.1); so are a wrong Date and headers that we do not read. The transaction user
//! judges extensions (420), body types (415) and methods (405, 501).

use super::ParseError;
use super::error::Refusal;
use crate::header::{HeaderError, Via};
use crate::message::{HeaderName, Headers, Message, Method, Request, Response};
use crate::uri::Uri;

impl Request {
    /// Whether the request has the parts RFC 3261 requires and readable headers for routing.
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

/// Requirements on requests and responses alike (§8.1.1, §8.2.6.2).
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

/// Headers that may occur only once (§7.3.1).
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

/// A Request-URI may not contain headers (§19.1.1, Table 1).
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
