//! Small header values: CSeq, delays, media types.

use super::lexer::{Malformed, params};
use crate::message::Method;
use crate::parse::is_token;
use crate::uri::Params;
use std::fmt;

/// CSeq (RFC 3261 §20.16).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CSeq {
    /// Sequence number, below 2³¹ (§8.1.1.5).
    pub seq: u32,
    /// Method.
    pub method: Method,
}

/// Retry-After (RFC 3261 §20.33).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryAfter {
    /// Seconds to wait; excessive values are capped.
    pub seconds: u32,
    /// `duration` and others.
    pub params: Params,
}

/// Content-Type (RFC 3261 §20.15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType {
    /// Type and subtype in lower case, e.g. `application/sdp`.
    pub essence: String,
    /// `charset`, `boundary` and others, in order.
    pub params: Params,
}

impl CSeq {
    pub(super) fn parse(text: &str) -> Result<Self, Malformed> {
        let (seq, method) = text.split_once([' ', '\t']).ok_or(Malformed("no method"))?;
        if seq.is_empty() || !seq.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Malformed("malformed number"));
        }
        let seq = seq
            .parse()
            .ok()
            .filter(|seq| *seq < 1 << 31)
            .ok_or(Malformed("out of range"))?;
        let method = Method::parse(method.trim_ascii()).ok_or(Malformed("malformed method"))?;
        Ok(Self { seq, method })
    }
}

impl RetryAfter {
    pub(super) fn parse(text: &str) -> Result<Self, Malformed> {
        let end = text.find([' ', '\t', ';', '(']).unwrap_or(text.len());
        let seconds = delta_seconds(&text[..end]).ok_or(Malformed("malformed number"))?;
        let rest = text[end..].trim_ascii_start();
        let tail = match rest.strip_prefix('(') {
            Some(comment) => {
                comment
                    .rsplit_once(')')
                    .ok_or(Malformed("unclosed comment"))?
                    .1
            }
            None => rest,
        };
        Ok(Self {
            seconds,
            params: params(tail)?,
        })
    }
}

impl MediaType {
    pub(super) fn parse(text: &str) -> Result<Self, Malformed> {
        let (essence, tail) = text.split_at(text.find(';').unwrap_or(text.len()));
        let (kind, subtype) = essence.split_once('/').ok_or(Malformed("no subtype"))?;
        let (kind, subtype) = (kind.trim_ascii(), subtype.trim_ascii());
        if !is_token(kind.as_bytes()) || !is_token(subtype.as_bytes()) {
            return Err(Malformed("malformed media type"));
        }
        let essence = format!("{kind}/{subtype}").to_ascii_lowercase();
        Ok(Self {
            essence,
            params: params(tail)?,
        })
    }
}

/// Reads `delta-seconds`; more than 2³²−1 is capped at that value (§20.19). `None` unless all are
/// digits.
pub fn delta_seconds(text: &str) -> Option<u32> {
    let text = text.trim_ascii();
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.seq, self.method)
    }
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.seconds, self.params)
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.essence, self.params)
    }
}
