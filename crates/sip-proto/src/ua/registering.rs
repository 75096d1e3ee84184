//! Our own registration at another server (RFC 3261 §10.2): a leg that lives for one REGISTER.
//!
//! **Invariant: such a leg has exactly one event, `RegisterDone`.** Left to others: when to send the next one
//! ([`crate::upkeep`]).

use std::time::Instant;

use super::build::Ends;
use super::core::Core;
use super::leg::{Leg, Messaging, State};
use super::pending::Kind;
use super::{HeaderList, LegEvent, LegId, RegisterSpec};
use crate::header::{Contacts, NameAddr, delta_seconds};
use crate::message::{HeaderName, Method, Request, Response};
use crate::transaction::TxId;

impl Core {
    /// Sends a REGISTER.
    pub(super) fn register(&mut self, id: LegId, spec: RegisterSpec, now: Instant) {
        if self.legs.contains_key(&id) {
            return;
        }
        let route = spec.route;
        match self.make_register(id, spec, now) {
            Ok((mut leg, request)) => {
                match self.send_request(Some(id), Kind::Register, request, route, now) {
                    Some(tx) => leg.state = State::Messaging(Box::new(Messaging::sent(tx, route))),
                    None => self.register_done(&mut leg, 503, None),
                }
                self.put(leg);
            }
            Err(_) => {
                self.event(id, done(400, None));
                self.outputs.push_back(super::Output::Over(id));
            }
        }
    }

    /// The leg and its REGISTER without Via, or the fault in the command.
    fn make_register(
        &mut self,
        id: LegId,
        spec: RegisterSpec,
        now: Instant,
    ) -> Result<(Leg, Request), &'static str> {
        let ends = Ends::read(&spec.registrar, Some(&spec.address), &spec.address)?;
        let contact = self.contact(&spec.contact_user, spec.route);
        let mut leg = self.outbound_leg(id, contact, spec.credentials.as_ref(), now);
        leg.call_id = spec.call_id;
        let mut request = Request::new(Method::Register, ends.target);
        let headers = &mut request.headers;
        headers.push(HeaderName::MaxForwards, 70_u32);
        let from = NameAddr::new(ends.from).with_tag(&leg.tag);
        headers.push(HeaderName::From, from.to_string());
        headers.push(HeaderName::To, NameAddr::new(ends.to).to_string());
        headers.push(HeaderName::CallId, leg.call_id.as_str());
        headers.push(HeaderName::CSeq, format!("{} REGISTER", spec.seq));
        headers.push(HeaderName::Contact, leg.contact.as_str());
        headers.push(HeaderName::Expires, spec.expires);
        self.dress(&leg, &mut request, &HeaderList::new());
        Ok((leg, request))
    }

    pub(super) fn register_response(
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
        match self.retry_with_credentials(leg, tx, response, route, now) {
            Some((tx, _)) => leg.state = State::Messaging(Box::new(Messaging::sent(tx, route))),
            None => self.register_done(leg, response.status.0, Some(response)),
        }
    }

    /// The registrar answered or did not, or there is no route to it.
    pub(super) fn register_done(
        &mut self,
        leg: &mut Leg,
        status: u16,
        response: Option<&Response>,
    ) {
        let seconds = response.and_then(|response| seconds(response, &leg.contact));
        self.event(leg.id, done(status, seconds));
        leg.state = State::Over;
    }
}

const fn done(status: u16, seconds: Option<u32>) -> LegEvent {
    LegEvent::RegisterDone { status, seconds }
}

/// The time that a response names: how long the binding of our Contact lives, by its own parameter or for all
/// (§10.2.4), or the shortest time that the registrar accepts (423, §10.2.8).
fn seconds(response: &Response, contact: &str) -> Option<u32> {
    if response.status.0 == 423 {
        return delta_seconds(response.headers.get(HeaderName::MinExpires)?);
    }
    if !response.status.is_success() {
        return None;
    }
    let ours = NameAddr::parse(contact).ok();
    let listed = match response.headers.contacts() {
        Ok(Contacts::List(listed)) => listed,
        Ok(Contacts::Star) | Err(_) => Vec::new(),
    };
    let mine = listed.iter().find(|listed| {
        let both = ours.as_ref().and_then(|ours| ours.uri.as_sip());
        both.zip(listed.uri.as_sip())
            .is_some_and(|(ours, listed)| ours.equivalent(listed))
    });
    mine.and_then(NameAddr::expires)
        .or_else(|| response.headers.expires())
}
