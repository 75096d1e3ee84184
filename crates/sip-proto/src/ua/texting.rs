//! Text messages that arrive outside of dialogs (RFC 3428): the sender is identified as for an INVITE,
//! then the engine decides.
//!
//! **Invariant: every MESSAGE that is reported gets one final response, the engine's.** Until then
//! it is a leg in the state of an unanswered INVITE, under the same limits. Left to others: who may
//! send to whom.

use std::time::Instant;

use super::build::custom_headers;
use super::core::{Core, Output};
use super::leg::{Arriving, Leg, State};
use super::{Caller, IncomingText, TextBody};
use crate::header::MediaType;
use crate::message::{Headers, Method, Request, Response};

/// The type of texts that we read.
pub(super) const PLAIN: &str = "text/plain";

impl Core {
    /// Rejects a MESSAGE that needs no decision of the engine.
    pub(super) fn refuse_text(&mut self, message: &Request) -> Option<Response> {
        if let Some(refusal) = self.refusal(message) {
            return Some(refusal);
        }
        let is_looping = matches!(message.headers.max_forwards(), Ok(Some(0)));
        is_looping.then(|| self.plain(message, 483))
    }

    /// Reports a text to the engine.
    pub(super) fn report_text(
        &mut self,
        leg: &mut Leg,
        mut arriving: Box<Arriving>,
        caller: Caller,
    ) {
        let message = &arriving.invite;
        let headers = &message.headers;
        let user = |uri: &crate::uri::Uri| uri.subscriber().unwrap_or_default().into_owned();
        let (from, to) = (headers.from().ok(), headers.to().ok());
        let (from_uri, to_uri) = (from.as_ref().map(|f| &f.uri), to.as_ref().map(|t| &t.uri));
        let report = IncomingText {
            leg: leg.id,
            peer: arriving.peer,
            caller,
            request_uri: message.uri.to_string(),
            called_here: self.config.ours.are_in(&message.uri, arriving.peer.local),
            called_domain: self.config.ours.domain_in(&message.uri).map(str::to_owned),
            called_user: user(&message.uri),
            to_user: to_uri.map(user).unwrap_or_default(),
            from_user: from_uri.map(user).unwrap_or_default(),
            from_here: from_uri.is_some_and(|from| self.is_us(from, arriving.peer)),
            from_domain: self.authenticator.realm(headers).to_owned(),
            headers: custom_headers(headers),
            body: body(headers, &message.body),
            request_id: request_id(headers),
        };
        arriving.reported = true;
        leg.state = State::Arriving(arriving);
        self.outputs.push_back(Output::Text(Box::new(report)));
    }

    /// Sends the engine's response to a text; a provisional one keeps the leg.
    pub(super) fn answer_text(
        &mut self,
        leg: &mut Leg,
        arriving: Box<Arriving>,
        status: u16,
        reason: Option<String>,
        now: Instant,
    ) {
        let status = status.clamp(100, 299);
        let mut response = self.response(&arriving.invite, status, &leg.tag);
        if let Some(reason) = reason {
            response.reason = reason;
        }
        self.table.respond(arriving.tx, &response, now);
        if status < 200 {
            leg.state = State::Arriving(arriving);
        }
    }
}

/// What a request has in common with a repetition of it.
fn request_id(headers: &Headers) -> String {
    let from = headers.from().ok();
    let tag = from.as_ref().and_then(|from| from.tag());
    let seq = headers.cseq().map_or(0, |cseq| cseq.seq);
    let call = headers.call_id().unwrap_or_default();
    format!("{call} {seq} {}", tag.unwrap_or_default())
}

/// The text in a body.
fn body(headers: &Headers, body: &[u8]) -> TextBody {
    let Ok(Some(kind)) = headers.content_type() else {
        return TextBody::NotText;
    };
    if kind.essence != PLAIN || body.is_empty() {
        return TextBody::NotText;
    }
    let Some(text) = decoded(&kind, body) else {
        return TextBody::Undecodable;
    };
    if text.trim().is_empty() {
        TextBody::NotText
    } else {
        TextBody::Text(text)
    }
}

/// The text in the charset that is declared, UTF-8 by default (RFC 3428 §9).
fn decoded(kind: &MediaType, body: &[u8]) -> Option<String> {
    let charset = kind.params.get("charset").unwrap_or("utf-8");
    let charset = charset.trim_matches('"').to_ascii_lowercase();
    match charset.as_str() {
        "utf-8" | "utf8" | "us-ascii" | "ascii" => String::from_utf8(body.to_vec()).ok(),
        // Each octet is the number of its character.
        "iso-8859-1" | "latin1" => Some(body.iter().map(|octet| char::from(*octet)).collect()),
        _ => None,
    }
}

/// Whether a request is a text rather than a call.
pub(super) fn is_text(request: &Request) -> bool {
    request.method == Method::Message
}
