//! Outbound legs until their first 2xx, including CANCEL and forks (RFC 3261 §9.1, §13.2).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Instant;

use bytes::Bytes;

use super::body::Body;
use super::build::{ALLOW, Ends, SDP, all_sendable, custom_headers};
use super::config::MAX_FORKS;
use super::core::Core;
use super::leg::{Calling, Cancel, Leg, Ours, Referrals, State, Talking, Transfer, Unacked};
use super::pending::Kind;
use super::{InviteSpec, LegEvent, LegId, Peer};
use crate::dialog::Dialog;
use crate::header::NameAddr;
use crate::message::{HeaderName, Method, Request, Response, StatusCode};
use crate::transaction::TxId;
use crate::transaction::timers::PATIENCE;

/// The option of recording sessions (RFC 7866 §5.2).
const SIPREC: &str = "siprec";
/// Names us as a recording client, in each Contact of the dialog (RFC 7866 §6.1.1).
const SRC: &str = ";+sip.src";

/// The offer and the metadata of a recorded session, as parts of one body (RFC 7866 §9.1).
///
/// - `boundary`: occurs in neither
fn recording_body(sdp: &str, metadata: &str, boundary: &str) -> String {
    format!(
        "--{boundary}\r\nContent-Type: {SDP}\r\n\r\n{sdp}\r\n\
         --{boundary}\r\nContent-Type: application/rs-metadata+xml\r\n\
         Content-Disposition: recording-session\r\n\r\n{metadata}\r\n--{boundary}--\r\n"
    )
}

impl Core {
    /// Starts an outbound leg.
    pub(super) fn call(&mut self, id: LegId, spec: InviteSpec, now: Instant) {
        if self.legs.contains_key(&id) {
            return;
        }
        match self.invite(id, &spec, now) {
            Ok(mut leg) => {
                self.start_calling(&mut leg.0, leg.1, &spec, now);
                self.put(leg.0);
            }
            Err(reason) => {
                let reason = reason.to_owned();
                self.event(
                    id,
                    LegEvent::Rejected {
                        status: 400,
                        reason,
                        headers: Vec::new(),
                        call_id: String::new(),
                    },
                );
                self.outputs.push_back(super::Output::Over(id));
            }
        }
    }

    /// The leg and its INVITE without Via, or the fault in the command.
    fn invite(
        &mut self,
        id: LegId,
        spec: &InviteSpec,
        now: Instant,
    ) -> Result<(Leg, Request), &'static str> {
        let ends = Ends::read(&spec.target, spec.to.as_deref(), &spec.from)?;
        if !all_sendable(&spec.headers) {
            return Err("a header field cannot be sent");
        }
        let from_user = ends.from.user().map(std::borrow::Cow::into_owned);
        let contact_user = spec.contact_user.clone().or(from_user).unwrap_or_default();
        let mut contact = self.contact(&contact_user, spec.route);
        if spec.recording.is_some() {
            contact.push_str(SRC);
        }
        let mut leg = self.outbound_leg(id, contact, spec.credentials.as_ref(), now);
        leg.headers = self.sendable(id, spec.leg_headers.clone());
        let from = NameAddr {
            display: spec.from_display.clone(),
            ..NameAddr::new(ends.from)
        };
        let mut invite = Request::new(Method::Invite, ends.target);
        let headers = &mut invite.headers;
        headers.push(HeaderName::MaxForwards, u32::from(spec.max_forwards));
        headers.push(HeaderName::From, from.with_tag(&leg.tag).to_string());
        headers.push(HeaderName::To, NameAddr::new(ends.to).to_string());
        headers.push(HeaderName::CallId, leg.call_id.as_str());
        headers.push(HeaderName::CSeq, "1 INVITE");
        headers.push(HeaderName::Contact, leg.contact.as_str());
        headers.push(HeaderName::Allow, ALLOW);
        if spec.recording.is_some() {
            invite.headers.push(HeaderName::Require, SIPREC);
            invite.headers.push(HeaderName::Accept, SDP);
        }
        self.dress(&leg, &mut invite, &spec.headers);
        if let Some(metadata) = &spec.recording {
            let boundary = self.random.tag();
            let body = recording_body(&spec.sdp, metadata, &boundary);
            invite.set_body(&format!("multipart/mixed;boundary={boundary}"), body);
        } else if !spec.sdp.is_empty() {
            invite.set_body(SDP, spec.sdp.clone());
        }
        Ok((leg, invite))
    }

    fn start_calling(&mut self, leg: &mut Leg, invite: Request, spec: &InviteSpec, now: Instant) {
        self.dialogs
            .insert((leg.call_id.clone(), leg.tag.clone()), leg.id);
        let sent = self.send_request(Some(leg.id), Kind::Invite, invite.clone(), spec.route, now);
        let Some(tx) = sent else { return };
        leg.state = State::Calling(Box::new(Calling {
            tx,
            invite,
            route: spec.route,
            has_offer: !spec.sdp.is_empty(),
            early: BTreeMap::new(),
            provisional: false,
            cancel: Cancel::No,
            hung_up: false,
        }));
    }

    /// The engine cancels. Before a provisional response, CANCEL waits for one.
    pub(super) fn cancel(&mut self, leg: &Leg, calling: &mut Calling, now: Instant) {
        match calling.cancel {
            Cancel::No if calling.provisional => self.send_cancel(leg, calling, now),
            Cancel::No => calling.cancel = Cancel::Wanted,
            Cancel::Wanted | Cancel::Sent { .. } => {}
        }
    }

    fn send_cancel(&mut self, leg: &Leg, calling: &mut Calling, now: Instant) {
        calling.cancel = Cancel::Sent {
            give_up_at: now + PATIENCE,
        };
        let Some((mut cancel, peer)) = self.table.cancel_request(calling.tx) else {
            return;
        };
        self.push_custom(leg.id, &mut cancel.headers, &leg.headers);
        self.send_ready(leg.id, Kind::Cancel, cancel, peer, now);
    }

    /// No final response arrived within 64 × T1 after CANCEL: the INVITE counts as canceled (§9.1).
    pub(super) fn cancel_timeout(&mut self, leg: &mut Leg, calling: &Calling) {
        self.table.abandon(calling.tx);
        self.rejected(leg, 487, None, None);
    }

    /// A response to the first INVITE of a leg; `leg` is `None` if the leg is gone.
    pub(super) fn invite_response(
        &mut self,
        leg: Option<&mut Leg>,
        tx: TxId,
        response: Response,
        from: Peer,
        now: Instant,
    ) {
        let Some(leg) = leg else {
            return self.late_ok(None, tx, &response, from, now);
        };
        match std::mem::replace(&mut leg.state, State::Over) {
            State::Calling(calling) if calling.tx == tx => match response.status.0 {
                ..=199 => self.provisional(leg, calling, &response, from, now),
                200..=299 => self.answered(leg, &calling, &response, from, now),
                300.. => self.refused(leg, calling, &response, now),
            },
            other => {
                leg.state = other;
                self.late_ok(Some(leg), tx, &response, from, now);
            }
        }
    }

    fn provisional(
        &mut self,
        leg: &mut Leg,
        mut calling: Box<Calling>,
        response: &Response,
        from: Peer,
        now: Instant,
    ) {
        calling.provisional = true;
        if matches!(calling.cancel, Cancel::Wanted) {
            self.send_cancel(leg, &mut calling, now);
        }
        if response.status.0 > 100 {
            let dialog = Dialog::for_caller(&calling.invite, response, from);
            let room = calling.early.len() < MAX_FORKS;
            if let Some(dialog) = dialog.filter(|dialog| room && !dialog.remote_tag.is_empty()) {
                calling
                    .early
                    .entry(dialog.remote_tag.clone())
                    .or_insert(dialog);
            }
            if leg.gate.pass(now) && !calling.cancel.is_wanted() {
                let status = response.status.0;
                let headers = custom_headers(&response.headers);
                let sdp = Body::of(&response.headers, &response.body).sdp;
                self.event(
                    leg.id,
                    LegEvent::Progress {
                        status,
                        headers,
                        sdp,
                    },
                );
            }
        }
        leg.state = State::Calling(calling);
    }

    /// The first 2xx.
    fn answered(
        &mut self,
        leg: &mut Leg,
        calling: &Calling,
        response: &Response,
        from: Peer,
        now: Instant,
    ) {
        let Some(mut dialog) = Dialog::for_caller(&calling.invite, response, from) else {
            return self.rejected(leg, 500, None, None);
        };
        if let Some(early) = calling.early.get(&dialog.remote_tag) {
            dialog.succeed(early);
        }
        let sdp = Body::of(&response.headers, &response.body).sdp;
        if calling.cancel.is_wanted() {
            self.ack(leg, calling.tx, &dialog, seq_of(&calling.invite), None);
            self.orphan_bye(Some(leg), dialog, now);
            return self.rejected(leg, 487, None, None);
        }
        let seq = seq_of(&calling.invite);
        // Without our offer the 2xx carries one, and the ACK must carry our answer.
        let unacked = (!calling.has_offer && sdp.is_some()).then_some(Unacked {
            tx: calling.tx,
            seq,
        });
        match &unacked {
            None => self.ack(leg, calling.tx, &dialog, seq, None),
            Some(_) => self.note_ack(calling.tx, &dialog.remote_tag, None),
        }
        self.event(leg.id, LegEvent::Dialog(Box::new(dialog.snapshot())));
        let headers = custom_headers(&response.headers);
        let call_id = leg.call_id.clone();
        self.event(
            leg.id,
            LegEvent::Answered {
                headers,
                sdp,
                call_id,
            },
        );
        if calling.hung_up {
            let gone = LegEvent::Bye {
                headers: Vec::new(),
                reason: None,
            };
            return self.event(leg.id, gone);
        }
        leg.state = State::Talking(Box::new(Talking {
            dialog,
            unreported: false,
            outbound: true,
            awaited: None,
            ours: Ours::Idle,
            theirs: None,
            unacked,
            bye: None,
            referrals: Referrals::default(),
            transfer: Transfer::default(),
        }));
    }

    /// A final response of 300 or above.
    fn refused(
        &mut self,
        leg: &mut Leg,
        mut calling: Box<Calling>,
        response: &Response,
        now: Instant,
    ) {
        if !calling.cancel.is_wanted() {
            let (tx, route) = (calling.tx, calling.route);
            if let Some((tx, invite)) = self.retry_with_credentials(leg, tx, response, route, now) {
                calling.tx = tx;
                calling.invite = invite;
                calling.provisional = false;
                calling.early.clear();
                leg.state = State::Calling(calling);
                return;
            }
        }
        let reason = Some(response.reason.clone()).filter(|reason| !reason.is_empty());
        self.rejected(leg, response.status.0, reason, Some(response));
    }

    /// The INVITE got no final response, or could not be sent.
    pub(super) fn invite_failed(&mut self, leg: &mut Leg, tx: TxId, status: u16) {
        match &leg.state {
            State::Calling(calling) if calling.tx == tx => {
                let status = if calling.cancel.is_wanted() {
                    487
                } else {
                    status
                };
                self.rejected(leg, status, None, None);
            }
            State::Arriving(_)
            | State::Calling(_)
            | State::Talking(_)
            | State::Messaging(_)
            | State::Leaving(_)
            | State::Over => {}
        }
    }

    fn rejected(
        &mut self,
        leg: &mut Leg,
        status: u16,
        reason: Option<String>,
        response: Option<&Response>,
    ) {
        let reason = reason.unwrap_or_else(|| StatusCode(status).default_reason().to_owned());
        let headers = response
            .map(|r| custom_headers(&r.headers))
            .unwrap_or_default();
        self.event(
            leg.id,
            LegEvent::Rejected {
                status,
                reason,
                headers,
                call_id: leg.call_id.clone(),
            },
        );
        leg.state = State::Over;
    }

    /// A 2xx after the first: a retransmission gets its ACK again, another remote party gets ACK
    /// and BYE (§13.2.2.4).
    fn late_ok(
        &mut self,
        leg: Option<&Leg>,
        tx: TxId,
        response: &Response,
        from: Peer,
        now: Instant,
    ) {
        if !response.status.is_success() {
            return;
        }
        let Some(pending) = self.pending.get_mut(&tx) else {
            return;
        };
        let Some(dialog) = Dialog::for_caller(&pending.request, response, from) else {
            return;
        };
        let room = pending.acks.len() < MAX_FORKS;
        match pending.acks.entry(dialog.remote_tag.clone()) {
            Entry::Occupied(known) => {
                if let Some((peer, ack)) = known.get().clone() {
                    self.transmit(peer, ack);
                }
            }
            Entry::Vacant(_) if room => {
                let seq = seq_of(&pending.request);
                match leg {
                    Some(leg) => self.ack(leg, tx, &dialog, seq, None),
                    None => self.bare_ack(tx, &dialog, seq),
                }
                self.orphan_bye(leg, dialog, now);
            }
            Entry::Vacant(_) => {}
        }
    }

    /// Sends the ACK of a 2xx and keeps it for retransmissions.
    pub(super) fn ack(
        &mut self,
        leg: &Leg,
        tx: TxId,
        dialog: &Dialog,
        seq: u32,
        sdp: Option<String>,
    ) {
        let mut ack = dialog.ack(seq);
        self.dress(leg, &mut ack, &Vec::new());
        if let Some(sdp) = sdp {
            ack.set_body(SDP, sdp);
        }
        self.send_ack(tx, dialog, ack);
    }

    fn bare_ack(&mut self, tx: TxId, dialog: &Dialog, seq: u32) {
        let ack = dialog.ack(seq);
        self.send_ack(tx, dialog, ack);
    }

    fn send_ack(&mut self, tx: TxId, dialog: &Dialog, mut ack: Request) {
        let peer = dialog.next_hop();
        self.copy_credentials(tx, &mut ack);
        self.push_via(&mut ack, peer);
        let bytes = ack.to_bytes();
        self.note_ack(tx, &dialog.remote_tag, Some((peer, bytes.clone())));
        self.transmit(peer, bytes);
    }

    /// An ACK carries the credentials of its INVITE (§22.1: it cannot be challenged).
    fn copy_credentials(&self, tx: TxId, ack: &mut Request) {
        let Some(pending) = self.pending.get(&tx) else {
            return;
        };
        for header in pending.request.headers.iter() {
            if matches!(
                header.name,
                HeaderName::Authorization | HeaderName::ProxyAuthorization
            ) {
                ack.headers.push(header.name.clone(), header.value.clone());
            }
        }
    }

    fn note_ack(&mut self, tx: TxId, remote_tag: &str, ack: Option<(Peer, Bytes)>) {
        if let Some(pending) = self.pending.get_mut(&tx) {
            pending.acks.insert(remote_tag.to_owned(), ack);
        }
    }
}

pub(super) fn seq_of(request: &Request) -> u32 {
    request.headers.cseq().map_or(0, |cseq| cseq.seq)
}
