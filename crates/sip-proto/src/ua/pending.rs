//! Our pending requests: their purpose, and the handling of a response or its absence.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;

use super::config::MAX_AUTH_TRIES;
use super::core::Core;
use super::leg::Leg;
use super::{LegId, Peer};
use crate::header::CSeq;
use crate::message::{HeaderName, Request, Response};
use crate::transaction::TxId;

/// A pending request of ours.
pub(super) struct Pending {
    /// `None` if no leg waits for the outcome.
    pub(super) leg: Option<LegId>,
    pub(super) kind: Kind,
    /// As sent, without Via, in case it must be sent again.
    pub(super) request: Request,
    /// How often it has been sent with credentials.
    pub(super) tries: u8,
    /// For an INVITE: the ACK for each To tag; `None` while it waits for our answer.
    pub(super) acks: BTreeMap<String, Option<(Peer, Bytes)>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Invite,
    Reinvite,
    Cancel,
    Bye,
    Info,
    Options,
    Message,
    Register,
    Notify,
    Refer,
    /// A NOTIFY about waiting messages.
    Indication,
}

impl Core {
    /// Sends a request of a leg. `None` only if the request has no readable Via, which ours always
    /// have.
    pub(super) fn send_request(
        &mut self,
        leg: Option<LegId>,
        kind: Kind,
        request: Request,
        peer: Peer,
        now: Instant,
    ) -> Option<TxId> {
        self.send_again(
            Pending {
                leg,
                kind,
                request,
                tries: 0,
                acks: BTreeMap::new(),
            },
            peer,
            now,
        )
    }

    /// Sends a request that already has its Via.
    pub(super) fn send_ready(
        &mut self,
        leg: LegId,
        kind: Kind,
        request: Request,
        peer: Peer,
        now: Instant,
    ) {
        if let Some(tx) = self.table.begin_client(&request, peer, now) {
            let acks = BTreeMap::new();
            self.pending.insert(
                tx,
                Pending {
                    leg: Some(leg),
                    kind,
                    request,
                    tries: 0,
                    acks,
                },
            );
        }
    }

    fn send_again(&mut self, pending: Pending, peer: Peer, now: Instant) -> Option<TxId> {
        let mut request = pending.request.clone();
        self.push_via(&mut request, peer);
        let tx = self.table.begin_client(&request, peer, now)?;
        self.pending.insert(tx, pending);
        Some(tx)
    }

    /// Answers a 401 or 407 by sending the request again with credentials and the next CSeq number.
    /// `None` if that is pointless.
    pub(super) fn retry_with_credentials(
        &mut self,
        leg: &mut Leg,
        tx: TxId,
        response: &Response,
        peer: Peer,
        now: Instant,
    ) -> Option<(TxId, Request)> {
        if !matches!(response.status.0, 401 | 407) {
            return None;
        }
        let (kind, tries, mut request) = {
            let pending = self.pending.get(&tx)?;
            (pending.kind, pending.tries + 1, pending.request.clone())
        };
        let auth = leg.auth.as_mut()?;
        if tries > MAX_AUTH_TRIES {
            return None;
        }
        auth.learn(response).ok()?;
        let cseq = request.headers.cseq().ok()?;
        let cseq = CSeq {
            seq: cseq.seq + 1,
            ..cseq
        };
        request.headers.set(HeaderName::CSeq, cseq.to_string());
        request.headers.remove(HeaderName::Authorization);
        request.headers.remove(HeaderName::ProxyAuthorization);
        let cnonce = self.random.tag();
        for (name, value) in auth.authorize(&request.method, &request.uri.to_string(), &cnonce) {
            request.headers.push(name, value);
        }
        let sent = request.clone();
        let pending = Pending {
            leg: Some(leg.id),
            kind,
            request,
            tries,
            acks: BTreeMap::new(),
        };
        Some((self.send_again(pending, peer, now)?, sent))
    }

    /// Processes a response to our request.
    pub(super) fn receive_response(
        &mut self,
        tx: TxId,
        response: Response,
        from: Peer,
        now: Instant,
    ) {
        let Some(pending) = self.pending.get(&tx) else {
            return;
        };
        let (kind, id) = (pending.kind, pending.leg);
        let mut leg = id.and_then(|id| self.take(id));
        match kind {
            Kind::Invite => self.invite_response(leg.as_mut(), tx, response, from, now),
            Kind::Reinvite => self.reinvite_response(leg.as_mut(), tx, response, now),
            Kind::Bye => self.bye_response(leg.as_mut(), tx, &response, now),
            Kind::Info => self.info_response(leg.as_mut(), tx, &response, now),
            Kind::Message => self.message_response(leg.as_mut(), tx, &response, now),
            Kind::Register => self.register_response(leg.as_mut(), tx, &response, now),
            Kind::Notify => self.notify_response(leg.as_mut(), tx, &response, now),
            Kind::Refer => self.refer_response(leg.as_mut(), tx, &response, now),
            Kind::Options => self.alive(tx, now),
            Kind::Indication => self.indication_response(tx, &response, now),
            Kind::Cancel => {}
        }
        if let Some(leg) = leg {
            self.put(leg);
        }
    }

    /// The request got no final response: 408; or it could not be sent: 503.
    pub(super) fn request_failed(&mut self, tx: TxId, status: u16, now: Instant) {
        let Some(pending) = self.pending.get(&tx) else {
            return;
        };
        let kind = pending.kind;
        if kind == Kind::Options {
            return self.silent(tx, now);
        }
        if kind == Kind::Indication {
            return self.indication_failed(tx, status, now);
        }
        let Some(mut leg) = pending.leg.and_then(|id| self.take(id)) else {
            return;
        };
        if kind == Kind::Bye && status == 503 && self.bye_by_another_way(&mut leg, tx, now) {
            return self.put(leg);
        }
        if kind == Kind::Message && status == 503 && self.message_by_datagram(&mut leg, tx, now) {
            return self.put(leg);
        }
        match kind {
            Kind::Invite => self.invite_failed(&mut leg, tx, status),
            Kind::Reinvite => self.reinvite_failed(&mut leg, status, now),
            Kind::Bye => self.bye_done(&mut leg, status, Vec::new()),
            Kind::Info => self.info_done(&leg, status),
            Kind::Message => self.message_done(&mut leg, status, None),
            Kind::Register => self.register_done(&mut leg, status, None),
            Kind::Refer => self.refer_answered(&mut leg, tx, status),
            // An unanswered NOTIFY does not end the call (RFC 5057 §5.1).
            Kind::Cancel | Kind::Options | Kind::Notify | Kind::Indication => {}
        }
        self.put(leg);
    }
}
