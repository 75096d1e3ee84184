//! Text messages outside of dialogs (RFC 3428): a leg that lives for one MESSAGE.
//!
//! **Invariant: such a leg has exactly one event, `MessageDone`.**

use std::time::Instant;

use super::build::Ends;
use super::core::Core;
use super::leg::{Leg, Messaging, State};
use super::pending::Kind;
use super::{LegEvent, LegId, MessageSpec, Transport};
use crate::header::NameAddr;
use crate::message::{HeaderName, Method, Request, Response, StatusCode};
use crate::transaction::TxId;

/// A request that is longer, with its Via, does not go by UDP (RFC 3261 §18.1.1).
const MAX_DATAGRAM: usize = 1_300;
/// Room for our Via.
const VIA: usize = 100;

/// Content-Type of texts.
const TEXT: &str = "text/plain;charset=UTF-8";

impl Core {
    /// Sends a text message.
    pub(super) fn message(&mut self, id: LegId, spec: MessageSpec, now: Instant) {
        if self.legs.contains_key(&id) {
            return;
        }
        match self.make_message(id, spec, now) {
            Ok((mut leg, message)) => {
                let State::Messaging(messaging) = &mut leg.state else {
                    return;
                };
                if messaging.route.transport == Transport::Udp
                    && message.to_bytes().len() + VIA > MAX_DATAGRAM
                {
                    messaging.by_datagram = Some(messaging.route);
                    messaging.route.transport = Transport::Tcp;
                }
                let route = messaging.route;
                let sent = self.send_request(Some(id), Kind::Message, message, route, now);
                match sent {
                    Some(tx) => messaging.tx = Some(tx),
                    None => self.message_done(&mut leg, 503, None),
                }
                self.put(leg);
            }
            Err(reason) => {
                let reason = reason.to_owned();
                let status = 400;
                self.event(id, LegEvent::MessageDone { status, reason });
                self.outputs.push_back(super::Output::Over(id));
            }
        }
    }

    /// The leg and its MESSAGE without Via, or the fault in the command.
    fn make_message(
        &mut self,
        id: LegId,
        spec: MessageSpec,
        now: Instant,
    ) -> Result<(Leg, Request), &'static str> {
        let ends = Ends::read(&spec.target, spec.to.as_deref(), &spec.from)?;
        let mut leg = self.outbound_leg(id, String::new(), spec.credentials.as_ref(), now);
        leg.state = State::Messaging(Box::new(Messaging {
            tx: None,
            route: spec.route,
            by_datagram: None,
        }));
        let from = NameAddr::new(ends.from);
        let mut message = Request::new(Method::Message, ends.target);
        let headers = &mut message.headers;
        headers.push(HeaderName::MaxForwards, 70_u32);
        headers.push(HeaderName::From, from.with_tag(&leg.tag).to_string());
        headers.push(HeaderName::To, NameAddr::new(ends.to).to_string());
        headers.push(HeaderName::CallId, leg.call_id.as_str());
        headers.push(HeaderName::CSeq, "1 MESSAGE");
        self.dress(&leg, &mut message, &spec.headers);
        message.set_body(TEXT, spec.text);
        Ok((leg, message))
    }

    pub(super) fn message_response(
        &mut self,
        leg: Option<&mut Leg>,
        tx: TxId,
        response: &Response,
        now: Instant,
    ) {
        let (false, Some(leg)) = (response.status.is_provisional(), leg) else {
            return;
        };
        let State::Messaging(messaging) = &leg.state else {
            return;
        };
        if messaging.tx != Some(tx) {
            return;
        }
        let route = messaging.route;
        if let Some((tx, _)) = self.retry_with_credentials(leg, tx, response, route, now) {
            leg.state = State::Messaging(Box::new(Messaging {
                tx: Some(tx),
                route,
                by_datagram: None,
            }));
            return;
        }
        let reason = Some(response.reason.clone()).filter(|reason| !reason.is_empty());
        self.message_done(leg, response.status.0, reason);
    }

    /// A long message could not be sent by TCP, so it goes as a datagram after all (RFC 3261 §18.1.1).
    /// False if it was one already.
    pub(super) fn message_by_datagram(&mut self, leg: &mut Leg, tx: TxId, now: Instant) -> bool {
        let State::Messaging(messaging) = &mut leg.state else {
            return false;
        };
        let Some(route) = messaging.by_datagram.take() else {
            return false;
        };
        let Some(request) = self.pending.get(&tx).map(|sent| sent.request.clone()) else {
            return false;
        };
        messaging.route = route;
        messaging.tx = self.send_request(Some(leg.id), Kind::Message, request, route, now);
        messaging.tx.is_some()
    }

    /// The remote party answered or did not, or there is no route to it.
    pub(super) fn message_done(&mut self, leg: &mut Leg, status: u16, reason: Option<String>) {
        let reason = reason.unwrap_or_else(|| StatusCode(status).default_reason().to_owned());
        self.event(leg.id, LegEvent::MessageDone { status, reason });
        leg.state = State::Over;
    }
}
