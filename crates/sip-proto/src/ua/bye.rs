//! Hanging up (RFC 3261 §15).

use std::time::Instant;

use super::build::custom_headers;
use super::core::Core;
use super::leg::{Leaving, Leg, State, Talking};
use super::pending::Kind;
use super::{HeaderList, LegEvent};
use crate::DialogSnapshot;
use crate::dialog::Dialog;
use crate::message::{HeaderName, Method, Response};
use crate::transaction::TxId;

impl Core {
    /// Sends BYE for a call of an earlier process. The outcome is not reported.
    pub fn hang_up(&mut self, snapshot: &DialogSnapshot, now: Instant) {
        if let Some(dialog) = Dialog::restore(snapshot) {
            self.orphan_bye(None, dialog, now);
        }
        self.pump(now);
    }

    /// Sends BYE in a dialog that belongs to no leg.
    pub(super) fn orphan_bye(&mut self, leg: Option<&Leg>, mut dialog: Dialog, now: Instant) {
        let mut bye = dialog.request(Method::Bye);
        let peer = dialog.next_hop();
        match leg {
            Some(leg) => self.dress(leg, &mut bye, &Vec::new()),
            None => bye
                .headers
                .push(HeaderName::UserAgent, self.config.user_agent.as_str()),
        }
        self.send_request(None, Kind::Bye, bye, peer, now);
    }

    /// The engine hangs up. Before the ACK of our first 2xx the BYE waits for it (§15).
    pub(super) fn bye(
        &mut self,
        leg: &mut Leg,
        mut talking: Box<Talking>,
        headers: HeaderList,
        now: Instant,
    ) {
        if talking
            .awaited
            .as_ref()
            .is_some_and(|awaited| awaited.first)
        {
            talking.bye = Some(headers);
            leg.state = State::Talking(talking);
            return;
        }
        if let Some(unacked) = talking.unacked.take() {
            // The remote party repeats its 2xx until it sees an ACK, and cannot take BYE before.
            self.ack(leg, unacked.tx, &talking.dialog, unacked.seq, None);
        }
        self.leave(leg, *talking, &headers, true, now);
    }

    /// Ends a dialog whose 2xx got no ACK. Its remote party, if there is one, knows nothing of this
    /// dialog, so one BYE is enough: an INVITE from a forged address must not cause a series of
    /// them.
    pub(super) fn leave_unacked(
        &mut self,
        leg: &mut Leg,
        mut talking: Talking,
        headers: Option<&HeaderList>,
    ) {
        let mut bye = talking.dialog.request(Method::Bye);
        let peer = talking.dialog.next_hop();
        self.dress(leg, &mut bye, headers.unwrap_or(&Vec::new()));
        self.authorize(leg, &mut bye);
        self.push_via(&mut bye, peer);
        self.transmit(peer, bye.to_bytes());
        if headers.is_some() {
            let (status, headers) = (408, Vec::new());
            self.event(leg.id, LegEvent::ByeDone { status, headers });
        }
        leg.state = State::Over;
    }

    /// Sends BYE; `report` if its outcome is the leg's last event.
    pub(super) fn leave(
        &mut self,
        leg: &mut Leg,
        talking: Talking,
        headers: &HeaderList,
        report: bool,
        now: Instant,
    ) {
        if let Some(theirs) = talking.theirs {
            let response = self.leg_response(leg, &theirs.invite, 487, &Vec::new());
            self.table.respond(theirs.tx, &response, now);
        }
        if let Some(asked) = talking.referrals.asked {
            self.respond(leg, asked.tx, &asked.request, 487, now);
        }
        let mut dialog = talking.dialog;
        let mut bye = dialog.request(Method::Bye);
        let peer = dialog.next_hop();
        self.dress(leg, &mut bye, headers);
        self.authorize(leg, &mut bye);
        let sent = self.send_request(Some(leg.id), Kind::Bye, bye, peer, now);
        if sent.is_some() {
            leg.state = State::Leaving(Box::new(Leaving { report, dialog }));
        }
    }

    pub(super) fn bye_response(
        &mut self,
        leg: Option<&mut Leg>,
        tx: TxId,
        response: &Response,
        now: Instant,
    ) {
        if response.status.is_provisional() {
            return;
        }
        let Some(leg) = leg else { return };
        if let State::Leaving(leaving) = &leg.state {
            let peer = leaving.dialog.next_hop();
            if self
                .retry_with_credentials(leg, tx, response, peer, now)
                .is_some()
            {
                return;
            }
        }
        self.bye_done(leg, response.status.0, custom_headers(&response.headers));
    }

    /// The connection of the dialog is gone: sends the BYE to the remote party's address. False if
    /// that was already tried.
    pub(super) fn bye_by_another_way(&mut self, leg: &mut Leg, tx: TxId, now: Instant) -> bool {
        let (State::Leaving(leaving), Some(pending)) = (&mut leg.state, self.pending.get(&tx))
        else {
            return false;
        };
        let bye = pending.request.clone();
        if !leaving.dialog.forget_flow() {
            return false;
        }
        let peer = leaving.dialog.next_hop();
        self.send_request(Some(leg.id), Kind::Bye, bye, peer, now)
            .is_some()
    }

    pub(super) fn bye_done(&mut self, leg: &mut Leg, status: u16, headers: HeaderList) {
        if let State::Leaving(leaving) = &leg.state {
            if leaving.report {
                self.event(leg.id, LegEvent::ByeDone { status, headers });
            }
            leg.state = State::Over;
        }
    }
}
