//! The head of a message: start line and header fields (RFC 3261 §7).
//!
//! Reading continues after the first fault, so that a refusal can still name the transaction.
//! Invariant: **values hold no line break**: folded lines are joined, a bare CR is a fault.

use super::error::Refusal;
use super::{MAX_HEADERS, ParseError, check, is_token};
use crate::message::{Header, HeaderName, Headers, Message, Method, Request, Response, StatusCode};
use crate::uri::Uri;
use bytes::Bytes;

/// The readable part of a head.
#[derive(Debug)]
pub(super) struct Head {
    start: Result<Start, Refusal>,
    /// Method, even if the start line is otherwise broken; `None` for responses.
    method: Option<Method>,
    headers: Headers,
    fault: Option<Refusal>,
    pub(super) length: Length,
    /// Where the body starts; `None` if the empty line is missing.
    pub(super) body_at: Option<usize>,
}

/// The content of the Content-Length headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// No such header.
    Missing,
    /// A length, not yet checked against the data.
    Known(u64),
    /// Malformed, too large for any machine, or given twice.
    Bad,
}

#[derive(Debug)]
enum Start {
    Request(Method, Uri),
    Response(StatusCode, String),
}

impl Head {
    /// Reads the head at the start of `bytes`, which must not start with an empty line.
    pub(super) fn read(bytes: &Bytes) -> Self {
        let mut lines = Lines { bytes, at: 0 };
        let start_line = lines.next().map_or(&[][..], |(from, to)| &bytes[from..to]);
        let mut head = Self {
            start: read_start(start_line),
            method: method_of(start_line),
            headers: Headers::with_capacity(16),
            fault: None,
            length: Length::Missing,
            body_at: None,
        };
        head.read_fields(&mut lines);
        head
    }

    fn read_fields(&mut self, lines: &mut Lines<'_>) {
        let mut count = 0_usize;
        while let Some((from, mut to)) = lines.next() {
            if from == to {
                self.body_at = Some(lines.at);
                return;
            }
            let mut folded = false;
            while lines.continues() {
                let Some((_, end)) = lines.next() else { break };
                to = end;
                folded = true;
            }
            count += 1;
            if count > MAX_HEADERS {
                self.fault(Refusal::new(513, "too many header fields"));
                continue;
            }
            self.read_field(lines.bytes, from, to, folded);
        }
    }

    fn read_field(&mut self, bytes: &Bytes, from: usize, to: usize, folded: bool) {
        let field = &bytes[from..to];
        let Some(colon) = memchr::memchr(b':', field) else {
            return self.fault(Refusal::new(400, "header field without colon"));
        };
        let name = field[..colon].trim_ascii_end();
        if !is_token(name) {
            return self.fault(Refusal::new(400, "malformed header name"));
        }
        let raw = field[colon + 1..].trim_ascii();
        let value = if folded {
            unfold(raw)
        } else {
            bytes.slice_ref(raw)
        };
        if memchr::memchr(b'\r', &value).is_some() {
            return self.fault(Refusal::new(400, "stray carriage return"));
        }
        match HeaderName::known(name) {
            Some(HeaderName::ContentLength) => self.length = self.length.and(&value),
            Some(name) => self.headers.push_parsed(Header { name, value }),
            None => {
                let name = HeaderName::Other(bytes.slice_ref(name));
                self.headers.push_parsed(Header { name, value });
            }
        }
    }

    /// Keeps the first fault.
    fn fault(&mut self, fault: Refusal) {
        self.fault.get_or_insert(fault);
    }

    /// The message with its body, checked.
    pub(super) fn finish(self, body: Bytes) -> Result<Message, ParseError> {
        let Self {
            start,
            method,
            headers,
            fault,
            length,
            ..
        } = self;
        let fault =
            fault.or((length == Length::Bad).then(|| Refusal::new(400, "bad Content-Length")));
        let start = match (start, fault) {
            (Ok(start), None) => start,
            (Err(refusal), _) | (Ok(_), Some(refusal)) => {
                return Err(refusal.into_error(method, headers));
            }
        };
        match start {
            Start::Request(method, uri) => {
                let request = Request {
                    method,
                    uri,
                    headers,
                    body,
                };
                match check::request(&request) {
                    Ok(()) => Ok(Message::Request(request)),
                    Err(refusal) => Err(refusal.into_error(Some(request.method), request.headers)),
                }
            }
            Start::Response(status, reason) => {
                let response = Response {
                    status,
                    reason,
                    headers,
                    body,
                };
                match check::response(&response) {
                    Ok(()) => Ok(Message::Response(response)),
                    Err(refusal) => Err(refusal.into_error(None, Headers::new())),
                }
            }
        }
    }

    /// The refusal of the message for a reason found outside the head; a fault in the head takes
    /// precedence.
    pub(super) fn refuse(self, refusal: Refusal) -> ParseError {
        let refusal = self.start.err().or(self.fault).unwrap_or(refusal);
        refusal.into_error(self.method, self.headers)
    }
}

impl Length {
    fn and(self, value: &[u8]) -> Self {
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(value).ok().filter(|_| digits);
        match (self, number.and_then(|n| n.parse().ok())) {
            (Self::Missing, Some(number)) => Self::Known(number),
            _ => Self::Bad,
        }
    }
}

/// Lines ended by CRLF, or by a lone LF as some hand-written peers send; as ranges without the line
/// end.
struct Lines<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl Lines<'_> {
    fn next(&mut self) -> Option<(usize, usize)> {
        let from = self.at;
        let rest = self.bytes.get(from..).filter(|rest| !rest.is_empty())?;
        let Some(feed) = memchr::memchr(b'\n', rest) else {
            self.at = self.bytes.len();
            return Some((from, self.at));
        };
        self.at = from + feed + 1;
        let line = &rest[..feed];
        Some((from, from + line.strip_suffix(b"\r").unwrap_or(line).len()))
    }

    /// Whether the next line continues the field before it (§7.3.1).
    fn continues(&self) -> bool {
        matches!(self.bytes.get(self.at), Some(b' ' | b'\t'))
    }
}

/// Joins folded lines: each line break and the white space around it become one space.
fn unfold(raw: &[u8]) -> Bytes {
    let parts: Vec<&[u8]> = raw
        .split(|b| *b == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|p| !p.is_empty())
        .collect();
    parts.join(&b' ').into()
}

fn method_of(line: &[u8]) -> Option<Method> {
    let word = line
        .split(|b| *b == b' ')
        .next()
        .filter(|word| !is_version(word))?;
    Method::parse(std::str::from_utf8(word).ok()?)
}

fn is_version(word: &[u8]) -> bool {
    word.get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"))
}

/// Whether `version` is ours; the error distinguishes another SIP version from junk.
fn check_version(version: &str) -> Result<(), Refusal> {
    if version.eq_ignore_ascii_case("SIP/2.0") {
        return Ok(());
    }
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match version.get(4..).and_then(|rest| rest.split_once('.')) {
        Some((major, minor))
            if is_version(version.as_bytes()) && number(major) && number(minor) =>
        {
            Err(Refusal::new(505, "only SIP/2.0 is supported"))
        }
        _ => Err(Refusal::new(400, "malformed start line")),
    }
}

fn read_start(line: &[u8]) -> Result<Start, Refusal> {
    if is_version(line) {
        // Reason phrases may be UTF-8 (§7.2); other bytes in them do not justify losing a response.
        return read_status_line(&String::from_utf8_lossy(line));
    }
    let malformed = || Refusal::new(400, "malformed start line");
    let line = std::str::from_utf8(line).map_err(|_| malformed())?;
    let (method, rest) = line.split_once(' ').ok_or_else(malformed)?;
    let (uri, version) = rest.rsplit_once(' ').ok_or_else(malformed)?;
    let method = Method::parse(method).ok_or_else(malformed)?;
    check_version(version)?;
    let uri = Uri::parse(uri).map_err(|e| Refusal::new(400, format!("Request-URI: {}", e.0)))?;
    Ok(Start::Request(method, uri))
}

fn read_status_line(line: &str) -> Result<Start, Refusal> {
    let malformed = || Refusal::new(400, "malformed status line");
    let (version, rest) = line.split_once(' ').ok_or_else(malformed)?;
    check_version(version)?;
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let digits = code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit());
    let status = code
        .parse()
        .ok()
        .filter(|s| digits && (100..700).contains(s));
    let reason = reason.replace('\r', " ");
    Ok(Start::Response(
        StatusCode(status.ok_or_else(malformed)?),
        reason,
    ))
}
