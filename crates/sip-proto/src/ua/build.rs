//! Builds the parts common to all our messages.

use std::time::Instant;

use super::core::Core;
use super::gate::Gate;
use super::leg::{Leg, State};
use super::{Credentials, HeaderList, LegEvent, LegId, Peer, via};
use crate::digest::{Client, Secret};
use crate::message::{HeaderName, Headers, Request, Response};
use crate::uri::Uri;

/// Our methods, for Allow.
pub(super) const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, MESSAGE, REFER, NOTIFY, REGISTER, SUBSCRIBE";

/// Content-Type of session descriptions.
pub(super) const SDP: &str = "application/sdp";

/// The URIs of a request that starts a leg.
pub(super) struct Ends {
    /// Request-URI.
    pub(super) target: Uri,
    pub(super) to: Uri,
    pub(super) from: Uri,
}

impl Ends {
    /// `to` defaults to the target.
    pub(super) fn read(target: &str, to: Option<&str>, from: &str) -> Result<Self, &'static str> {
        let target = Uri::parse(target).map_err(|_| "target is not a URI")?;
        let from = Uri::parse(from).map_err(|_| "From is not a URI")?;
        let to = to.map_or_else(|| Ok(target.clone()), Uri::parse);
        let to = to.map_err(|_| "To is not a URI")?;
        Ok(Self { target, to, from })
    }
}

impl Core {
    /// A leg that we start, with its own Call-ID and tag; the caller sets its state.
    pub(super) fn outbound_leg(
        &mut self,
        id: LegId,
        contact: String,
        credentials: Option<&Credentials>,
        now: Instant,
    ) -> Leg {
        let client = |credentials: &Credentials| {
            let password = Secret::Password(credentials.password.clone());
            Client::new(&credentials.username, password)
        };
        Leg {
            id,
            contact,
            headers: HeaderList::new(),
            auth: credentials.map(client),
            gate: Gate::new(now),
            arriving_tx: None,
            deadline: None,
            state: State::Over,
            tag: self.random.tag(),
            call_id: self.random.call_id(),
        }
    }

    /// Adds our Via on top.
    pub(super) fn push_via(&mut self, request: &mut Request, peer: Peer) {
        let branch = self.random.branch();
        let address = via::advertised(self.config.ours.public_address, peer);
        request
            .headers
            .push_front(HeaderName::Via, via::own(address, peer, &branch));
    }

    /// Our Contact value towards `peer`.
    pub(super) fn contact(&self, user: &str, peer: Peer) -> String {
        via::contact(
            user,
            via::advertised(self.config.ours.public_address, peer),
            peer,
        )
    }

    /// Completes a request of a leg: the leg's headers, those of the command, and User-Agent.
    pub(super) fn dress(&mut self, leg: &Leg, request: &mut Request, extra: &HeaderList) {
        request
            .headers
            .push(HeaderName::UserAgent, self.config.user_agent.as_str());
        self.push_custom(leg.id, &mut request.headers, &leg.headers);
        self.push_custom(leg.id, &mut request.headers, extra);
    }

    /// A response of a leg, with To tag and, where a dialog needs it, Contact.
    pub(super) fn leg_response(
        &mut self,
        leg: &Leg,
        request: &Request,
        status: u16,
        extra: &HeaderList,
    ) -> Response {
        let mut response = self.response(request, status, &leg.tag);
        if (101..300).contains(&status) {
            response
                .headers
                .push(HeaderName::Contact, leg.contact.as_str());
        }
        if (200..300).contains(&status) {
            response.headers.push(HeaderName::Allow, ALLOW);
        }
        self.push_custom(leg.id, &mut response.headers, &leg.headers);
        self.push_custom(leg.id, &mut response.headers, extra);
        response
    }

    /// A response with Server and a To tag (except 100, which creates no dialog).
    pub(super) fn response(&self, request: &Request, status: u16, tag: &str) -> Response {
        let mut response = Response::for_request(request, status);
        if status > 100 {
            response.set_to_tag(tag);
        }
        response
            .headers
            .push(HeaderName::Server, self.config.user_agent.as_str());
        response
    }

    /// The headers of a list that can be sent; reports the rest.
    pub(super) fn sendable(&mut self, leg: LegId, list: HeaderList) -> HeaderList {
        let mut scratch = Headers::new();
        list.into_iter()
            .filter(|(name, value)| {
                let fine = !is_ours(name) && scratch.push_custom(name, value);
                if !fine {
                    self.event(leg, LegEvent::HeaderRefused { name: name.clone() });
                }
                fine
            })
            .collect()
    }

    /// Adds the headers that can be sent and reports the rest.
    pub(super) fn push_custom(&mut self, leg: LegId, headers: &mut Headers, list: &HeaderList) {
        for (name, value) in list {
            if is_ours(name) || !headers.push_custom(name, value) {
                self.event(leg, LegEvent::HeaderRefused { name: name.clone() });
            }
        }
    }
}

/// Value of a Reason header with the cause in SIP terms (RFC 3326).
///
/// - `text`: without quotes and backslashes.
pub(super) fn reason_text(status: u16, text: &str) -> String {
    format!("SIP;cause={status};text=\"{text}\"")
}

/// Whether every header of a list can be sent.
pub(super) fn all_sendable(list: &HeaderList) -> bool {
    let mut scratch = Headers::new();
    list.iter()
        .all(|(name, value)| !is_ours(name) && scratch.push_custom(name, value))
}

/// Header fields that only the core writes, because a wrong one breaks the transaction or dialog.
fn is_ours(name: &str) -> bool {
    const OURS: [HeaderName; 25] = [
        HeaderName::Via,
        HeaderName::From,
        HeaderName::To,
        HeaderName::CallId,
        HeaderName::CSeq,
        HeaderName::MaxForwards,
        HeaderName::Contact,
        HeaderName::ContentLength,
        HeaderName::ContentType,
        HeaderName::ContentEncoding,
        HeaderName::Route,
        HeaderName::RecordRoute,
        HeaderName::Require,
        HeaderName::ProxyRequire,
        HeaderName::Supported,
        HeaderName::Unsupported,
        HeaderName::UserAgent,
        HeaderName::Server,
        HeaderName::Authorization,
        HeaderName::ProxyAuthorization,
        HeaderName::WwwAuthenticate,
        HeaderName::ProxyAuthenticate,
        HeaderName::Expires,
        HeaderName::RAck,
        HeaderName::RSeq,
    ];
    OURS.iter().any(|ours| ours.is(name.as_bytes()))
}

/// The X- header fields and Diversion, for the call engine.
pub(super) fn custom_headers(headers: &Headers) -> HeaderList {
    let wanted = |name: &HeaderName| {
        let text = name.as_bytes();
        *name == HeaderName::Diversion
            || text
                .get(..2)
                .is_some_and(|start| start.eq_ignore_ascii_case(b"X-"))
    };
    headers
        .iter()
        .filter(|header| wanted(&header.name))
        .map(|header| {
            let value = String::from_utf8_lossy(&header.value).into_owned();
            (header.name.as_str().to_owned(), value)
        })
        .collect()
}
