//! Inbound legs, and texts, until their final response (RFC 3261 §13.3).
//!
//! **Invariant: an INVITE over UDP from an unknown address causes a single datagram until we know
//! more**: a refusal is not retransmitted, and 100 waits (§17.2.1 allows 200 ms), since a client
//! that has received 100 no longer repeats its INVITE and would miss a lost refusal.

use std::time::Instant;

use super::auth::Proof;
use super::body::Body;
use super::build::{SDP, custom_headers};
use super::config::{
    MAX_OF_SOURCE, MAX_OF_STRANGERS, MAX_UNVERIFIED, PROGRESS_REFRESH, RETRY_AFTER, TRYING,
};
use super::core::{Core, Output};
use super::gate::Gate;
use super::leg::{Arriving, Awaited, Leg, Ours, Progress, Referrals, State, Talking, Transfer};
use super::texting::{PLAIN, is_text};
use super::{Caller, HeaderList, IncomingInvite, LegEvent, Peer};
use crate::dialog::{AwaitAck, Dialog};
use crate::digest::Party;
use crate::message::{HeaderName, Headers, Request, Response};
use crate::transaction::{Holder, ServerKey, TxId};

impl Core {
    /// An INVITE or MESSAGE outside dialogs.
    pub(super) fn receive_arriving(
        &mut self,
        key: ServerKey,
        invite: Request,
        peer: Peer,
        reply_to: Peer,
        now: Instant,
    ) {
        if self.draining || self.arriving.len() >= self.config.max_setup {
            return self.refuse_statelessly(&invite, 503, reply_to);
        }
        let is_trunk = self.trunk_of(peer) != Caller::Unknown;
        let proof =
            self.find_credentials(&invite.headers, &[Party::Proxy, Party::Server], peer, now);
        let is_given = matches!(proof, Proof::Given(_));
        let is_stranger = !is_trunk && !is_given;
        if is_stranger && self.are_strangers_full() {
            let stale = matches!(proof, Proof::Unasked);
            return self.turn_away((&invite, stale), peer, reply_to, now);
        }
        let is_unverified = !is_trunk && is_given;
        if is_unverified && self.are_unverified_full(peer) {
            return self.refuse_statelessly(&invite, 503, reply_to);
        }
        let is_text = is_text(&invite);
        let refusal = if is_text {
            self.refuse_text(&invite)
        } else {
            self.refuse_invite(&invite)
        };
        let tx = self.table.begin_server(key, &invite, reply_to);
        let known = peer.transport.is_reliable() || is_trunk;
        if !known {
            self.table.answer_once(tx);
        }
        if is_stranger {
            self.table.hold(tx, [Some(Holder::Strangers), None]);
        } else if is_unverified {
            self.hold_unverified(tx, peer);
        }
        if let Some(response) = refusal {
            return self.table.respond(tx, &response, now);
        }
        let tag = self.random.tag();
        let trying = self.response(&invite, 100, &tag).to_bytes();
        let id = self.fresh_leg();
        let user = invite.uri.user().unwrap_or_default().into_owned();
        let call_id = invite.headers.call_id().unwrap_or_default().into_owned();
        if !is_text {
            self.dialogs.insert((call_id.clone(), tag.clone()), id);
        }
        self.arriving.insert(tx, id);
        if is_stranger {
            self.strangers.insert(tx);
        } else if is_unverified {
            self.unverified.insert(tx);
        }
        let arriving = Arriving {
            tx,
            invite,
            peer,
            reported: false,
            // Its sender repeats a MESSAGE less often by itself.
            progress: (!is_text).then_some(Progress {
                status: 100,
                bytes: trying,
                repeat_at: now + TRYING,
            }),
        };
        let mut leg = Leg {
            id,
            call_id,
            tag,
            contact: self.contact(&user, peer),
            headers: Vec::new(),
            auth: None,
            gate: Gate::new(now),
            arriving_tx: Some(tx),
            deadline: None,
            state: State::Over,
        };
        let mut arriving = Box::new(arriving);
        if known {
            self.refresh_progress(&mut arriving, now);
        }
        self.identify(&mut leg, arriving, proof, now);
        self.put(leg);
    }

    /// Whether callers that have proved nothing hold all that they may. Clients and trunks can always hold the rest, even
    /// while the rows by which calls are routed take long to arrive.
    fn are_strangers_full(&self) -> bool {
        self.strangers.len() >= self.config.max_setup.div_ceil(2)
            || self.table.held(Holder::Strangers) >= MAX_OF_STRANGERS
    }

    /// The same for senders whose credentials are not verified: anyone can get a nonce. Once verified, they no longer count.
    pub(super) fn are_unverified_full(&self, peer: Peer) -> bool {
        let source = Holder::Source(peer.remote.ip().into());
        self.unverified.len() >= self.config.max_setup.div_ceil(4)
            || self.table.held(Holder::Unverified) >= MAX_UNVERIFIED
            || self.table.held(source) >= MAX_OF_SOURCE
    }

    /// Counts a transaction whose sender's credentials are not verified yet.
    pub(super) fn hold_unverified(&mut self, tx: TxId, peer: Peer) {
        let source = Holder::Source(peer.remote.ip().into());
        self.table
            .hold(tx, [Some(Holder::Unverified), Some(source)]);
    }

    /// The credentials with a transaction were right.
    pub(super) fn verified(&mut self, tx: TxId) {
        self.unverified.remove(&tx);
        self.table.hold(tx, [None, None]);
    }

    /// Refuses an INVITE of a stranger for want of room. One that claims to be from here may be a client's, which can prove
    /// that it is.
    ///
    /// - `stale`: whether its credentials may have been right, but old
    fn turn_away(
        &mut self,
        (invite, stale): (&Request, bool),
        peer: Peer,
        reply_to: Peer,
        now: Instant,
    ) {
        let from = invite.headers.from();
        if !from.is_ok_and(|from| self.is_us(&from.uri, peer)) {
            return self.refuse_statelessly(invite, 503, reply_to);
        }
        let mut response = self.plain(invite, 407);
        let (elapsed, salt) = (self.elapsed(now), self.random.word());
        let to = peer.remote.ip();
        self.authenticator
            .challenge(&mut response, Party::Proxy, stale, elapsed, (salt, to));
        self.transmit(reply_to, response.to_bytes());
    }

    /// Rejects an INVITE that is looping: each leg made for a call carries a lower Max-Forwards. A
    /// caller that does not accept session descriptions cannot be answered (RFC 4475 §3.3.15).
    fn refuse_invite(&mut self, invite: &Request) -> Option<Response> {
        if let Some(refusal) = self.refusal(invite) {
            return Some(refusal);
        }
        if matches!(invite.headers.max_forwards(), Ok(Some(0))) {
            return Some(self.plain(invite, 483));
        }
        (!accepts_sdp(&invite.headers)).then(|| self.plain(invite, 406))
    }

    /// Verifies credentials before the engine learns of the call.
    fn identify(&mut self, leg: &mut Leg, arriving: Box<Arriving>, proof: Proof, now: Instant) {
        match proof {
            Proof::Given(credentials) if self.is_early(&credentials, arriving.peer, now) => {
                let login = credentials.username;
                self.report_invite(leg, arriving, Caller::BadCredentials { login });
            }
            Proof::Given(credentials) => {
                if self.look_up_caller(leg.id, credentials) {
                    leg.state = State::Arriving(arriving);
                } else {
                    self.refuse_arriving(leg, &arriving, 503, now);
                }
            }
            Proof::Missing => {
                let caller = self.trunk_of(arriving.peer);
                self.report_invite(leg, arriving, caller);
            }
            Proof::Unasked => self.challenge(leg, &arriving, true, now),
            Proof::Unsupported => {
                let login = arriving.invite.headers.from();
                let login = login.map_or_else(
                    |_| String::new(),
                    |from| from.uri.user().unwrap_or_default().into_owned(),
                );
                self.report_invite(leg, arriving, Caller::BadCredentials { login });
            }
            Proof::Malformed => self.refuse_arriving(leg, &arriving, 400, now),
        }
    }

    fn trunk_of(&self, peer: Peer) -> Caller {
        let here = |trunk: &&super::TrunkSource| {
            trunk
                .addresses
                .iter()
                .any(|address| address.matches(peer.remote))
        };
        match self.config.trunks.iter().find(here) {
            Some(trunk) => Caller::Trunk {
                name: trunk.name.clone(),
            },
            None => Caller::Unknown,
        }
    }

    /// Reports a call or text to the engine.
    pub(super) fn report_invite(
        &mut self,
        leg: &mut Leg,
        mut arriving: Box<Arriving>,
        caller: Caller,
    ) {
        if is_text(&arriving.invite) {
            return self.report_text(leg, arriving, caller);
        }
        let invite = &arriving.invite;
        let headers = &invite.headers;
        let user = |uri: &crate::uri::Uri| uri.subscriber().unwrap_or_default().into_owned();
        let host = |uri: &crate::uri::Uri| uri.host().map(ToString::to_string).unwrap_or_default();
        let (from, to) = (headers.from().ok(), headers.to().ok());
        let (from_uri, to_uri) = (from.as_ref().map(|f| &f.uri), to.as_ref().map(|t| &t.uri));
        let body = Body::of(headers, &invite.body);
        let dialog = Dialog::for_callee(invite, &leg.tag, arriving.peer);
        let report = IncomingInvite {
            dialog: dialog.map(|dialog| dialog.snapshot()),
            leg: leg.id,
            peer: arriving.peer,
            caller,
            request_uri: invite.uri.to_string(),
            called_domain: self.config.ours.domain_in(&invite.uri).map(str::to_owned),
            from_domain: self.authenticator.realm(headers).to_owned(),
            called_here: self.config.ours.are_in(&invite.uri, arriving.peer.local),
            called_user: user(&invite.uri),
            to_user: to_uri.map(user).unwrap_or_default(),
            to_host: to_uri.map(host).unwrap_or_default(),
            from_user: from_uri.map(user).unwrap_or_default(),
            from_host: from_uri.map(host).unwrap_or_default(),
            from_here: from_uri.is_some_and(|from| self.is_us(from, arriving.peer)),
            from_display: from.as_ref().and_then(|from| from.display.clone()),
            call_id: leg.call_id.clone(),
            headers: custom_headers(headers),
            sdp: body.sdp,
            body_type_ok: body.type_ok,
            max_forwards: headers.max_forwards().ok().flatten().unwrap_or(70),
        };
        arriving.reported = true;
        leg.state = State::Arriving(arriving);
        self.outputs.push_back(Output::Incoming(Box::new(report)));
    }

    /// Sends our final response to an INVITE that the engine does not know of.
    pub(super) fn refuse_arriving(
        &mut self,
        leg: &mut Leg,
        arriving: &Arriving,
        status: u16,
        now: Instant,
    ) {
        let mut response = self.response(&arriving.invite, status, &leg.tag);
        if status == 503 {
            response.headers.push(HeaderName::RetryAfter, RETRY_AFTER);
        }
        self.table.respond(arriving.tx, &response, now);
        leg.state = State::Over;
    }

    /// The caller canceled.
    pub(super) fn cancel_arriving(&mut self, mut leg: Leg, now: Instant) {
        if let State::Arriving(arriving) = std::mem::replace(&mut leg.state, State::Over) {
            let response = self.leg_response(&leg, &arriving.invite, 487, &Vec::new());
            self.table.respond(arriving.tx, &response, now);
            if arriving.reported {
                self.event(leg.id, LegEvent::Canceled);
            }
        }
        self.put(leg);
    }

    pub(super) fn progress(
        &mut self,
        leg: &mut Leg,
        mut arriving: Box<Arriving>,
        status: u16,
        headers: &HeaderList,
        now: Instant,
    ) {
        let status = status.clamp(101, 199);
        let bytes = self
            .leg_response(leg, &arriving.invite, status, headers)
            .to_bytes();
        self.table
            .respond_bytes(arriving.tx, status, bytes.clone(), now);
        arriving.progress = Some(Progress {
            status,
            bytes,
            repeat_at: now + PROGRESS_REFRESH,
        });
        leg.state = State::Arriving(arriving);
    }

    /// Sends the pending provisional response. 100 is sent once.
    pub(super) fn refresh_progress(&mut self, arriving: &mut Arriving, now: Instant) {
        let Some(mut progress) = arriving.progress.take() else {
            return;
        };
        let bytes = progress.bytes.clone();
        self.table
            .respond_bytes(arriving.tx, progress.status, bytes, now);
        if progress.status > 100 {
            progress.repeat_at = now + PROGRESS_REFRESH;
            arriving.progress = Some(progress);
        }
    }

    /// Sends 200, which begins the dialog.
    pub(super) fn answer(
        &mut self,
        leg: &mut Leg,
        arriving: &Arriving,
        sdp: String,
        headers: &HeaderList,
        now: Instant,
    ) {
        let Arriving {
            tx, invite, peer, ..
        } = arriving;
        let Some(dialog) = Dialog::for_callee(invite, &leg.tag, *peer) else {
            return self.refuse_arriving(leg, arriving, 400, now);
        };
        let seq = invite.headers.cseq().map_or(0, |cseq| cseq.seq);
        let offered = Body::of(&invite.headers, &invite.body).sdp.is_none();
        let ok = self.ok_with_sdp(leg, invite, sdp, headers);
        self.table.respond(*tx, &ok, now);
        let machine = AwaitAck::new(ok.to_bytes(), now);
        leg.state = State::Talking(Box::new(Talking {
            dialog,
            unreported: false,
            outbound: false,
            awaited: Some(Awaited {
                machine,
                tx: *tx,
                seq,
                first: true,
                offered,
            }),
            ours: Ours::Idle,
            theirs: None,
            unacked: None,
            bye: None,
            referrals: Referrals::default(),
            transfer: Transfer::default(),
        }));
    }

    pub(super) fn ok_with_sdp(
        &mut self,
        leg: &Leg,
        invite: &Request,
        sdp: String,
        headers: &HeaderList,
    ) -> Response {
        let mut ok = self.leg_response(leg, invite, 200, headers);
        if !sdp.is_empty() {
            ok.set_body(SDP, sdp);
        }
        ok
    }

    /// Sends the engine's final response; the leg ends.
    pub(super) fn reject(
        &mut self,
        leg: &mut Leg,
        arriving: &Arriving,
        (status, reason): (u16, Option<String>),
        headers: &HeaderList,
        now: Instant,
    ) {
        let status = status.clamp(300, 699);
        let mut response = self.leg_response(leg, &arriving.invite, status, headers);
        if let Some(reason) = reason {
            response.reason = reason;
        }
        if status == 503
            && !headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("Retry-After"))
        {
            response.headers.push(HeaderName::RetryAfter, RETRY_AFTER);
        }
        if matches!(status, 406 | 415) {
            let readable = if is_text(&arriving.invite) {
                PLAIN
            } else {
                SDP
            };
            response.headers.push(HeaderName::Accept, readable);
        }
        self.table.respond(arriving.tx, &response, now);
        leg.state = State::Over;
    }

    /// Sends 407.
    pub(super) fn challenge(
        &mut self,
        leg: &mut Leg,
        arriving: &Arriving,
        stale: bool,
        now: Instant,
    ) {
        let mut response = self.leg_response(leg, &arriving.invite, 407, &Vec::new());
        let (elapsed, salt) = (self.elapsed(now), self.random.word());
        let to = arriving.peer.remote.ip();
        self.authenticator
            .challenge(&mut response, Party::Proxy, stale, elapsed, (salt, to));
        self.table.respond(arriving.tx, &response, now);
        leg.state = State::Over;
    }
}

/// Whether Accept, if present, permits our answer.
fn accepts_sdp(headers: &Headers) -> bool {
    let mut none = true;
    let mut matching = headers.all(HeaderName::Accept).filter(|range| {
        none = false;
        let range = range.split(';').next().unwrap_or_default().trim();
        [SDP, "application/*", "*/*"]
            .iter()
            .any(|ours| ours.eq_ignore_ascii_case(range))
    });
    matching.next().is_some() || none
}
