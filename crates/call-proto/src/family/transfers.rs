//! The steps of a transfer.
//!
//! **Invariant: the call stays as it was until the document is there.** Then the transferor's leg
//! ends and the transferee runs the document; if it cannot be fetched, the transferor is notified
//! and both continue to hear each other. A transferor that hangs up meanwhile has done its part:
//! the transferee waits for the document alone. The same holds for an attended transfer until the
//! transferor's other call, usually of another family, has agreed to hand its party over. Parties that a
//! queue has connected are of two families, which cannot wait for each other: there the transferor leaves
//! as soon as its REFER is accepted, and one that hangs up before an answer has ended the connection.

use std::time::Duration;

use model::{AccountSid, CallSid, QueueSid};

use super::Family;
use crate::command::{Command, LegCommand};
use crate::context::Context;
use crate::event::{FetchFailure, Fetched, Req};
use crate::fact::Reason;
use crate::interpreter::{Answer, Fetching, Script};
use crate::leg::Leg;
use crate::letter::{BridgeId, Ended};
use crate::params::Params;
use crate::queueing::{Note, Rendezvous};
use crate::refer::Refer;
use crate::trace::Lane;
use crate::transfer::{self, Attended, Connection, Refusal, Transfer};

/// Reported to a transferor when the transferee runs the document.
const TRANSFERRED: u16 = 200;
/// Reported to a transferor if something else ended the bridge first.
const TERMINATED: u16 = 487;

/// Reported to a transferor whose other call is not connected to a party.
const UNAVAILABLE: u16 = 480;
/// Reported to a transferor whose other call does not answer.
const TIMED_OUT: u16 = 408;

/// How long the transferor's other call may take to answer: it is asked within the process.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// A document that was fetched for a transfer.
struct Arrived {
    author: AccountSid,
    url: String,
    verbs: Vec<rcml::Verb>,
}

impl Family {
    /// A party of a bridge sent REFER.
    pub(super) fn transfer(&mut self, id: BridgeId, transferor: CallSid, refer: Refer) {
        let document = match self.bridges.get(&id) {
            None => Err(Refusal::NotConnected),
            Some(_) if self.is_in_transfer(transferor) => Err(Refusal::Pending),
            Some(bridge) => {
                let document = bridge.plan().refer.clone().or_else(|| self.refer.clone());
                let document = document.ok_or(Refusal::NoDocument);
                document.map(|document| (bridge.partner(transferor), document))
            }
        };
        let cx = &mut self.cx;
        let (transferee, document) = match document {
            Ok(found) => found,
            Err(refusal) => {
                if let Some(call) = self.calls.get_mut(&transferor) {
                    call.refuse_transfer(refusal, cx);
                }
                return;
            }
        };
        let Some(call) = self.calls.get(&transferee) else {
            return;
        };
        cx.leg(transferor, LegCommand::AcceptRefer);
        let params = params(&call.leg, &refer, cx);
        let fetching = Fetching::first(document, (params, None), call.leg.profile.about(None), cx);
        let transfer = Transfer {
            transferor,
            transferee,
            refer,
            fetching,
        };
        self.transfers.insert(id, transfer);
    }

    /// Whether a leg, or the one that it is bridged with, already waits for a transfer.
    fn is_in_transfer(&self, leg: CallSid) -> bool {
        let bridge = |leg: &CallSid| self.calls.get(leg).and_then(|call| call.leg.bridge);
        let id = bridge(&leg);
        let is_of_it = |attended: &Attended| {
            let other = attended.transferor;
            other == leg || (id.is_some() && bridge(&other) == id)
        };
        id.is_some_and(|id| self.transfers.contains_key(&id))
            || self.attended.values().any(is_of_it)
    }

    /// A party sent REFER that is connected to one of another family: that one runs the document.
    pub(super) fn transfer_away(&mut self, transferor: CallSid, refer: &Refer) {
        let is_pending = self.is_in_transfer(transferor);
        let cx = &mut self.cx;
        let Some(call) = self.calls.get_mut(&transferor) else {
            return;
        };
        if is_pending {
            return call.refuse_transfer(Refusal::Pending, cx);
        }
        let Some(meeting) = call.leg.meeting.clone() else {
            return call.refuse_transfer(Refusal::NotConnected, cx);
        };
        let document = meeting.refer.clone().or_else(|| self.refer.clone());
        let Some(document) = document else {
            return call.refuse_transfer(Refusal::NoDocument, cx);
        };
        cx.leg(transferor, LegCommand::AcceptRefer);
        let note = Note::Transfer {
            document: Box::new(document),
            params: transfer::params(refer),
        };
        call.sends_note(&meeting, note, cx);
        self.transferor_leaves(transferor);
    }

    /// A party asks that the one connected to it be connected to the one of its other call.
    pub(super) fn transfer_attended(
        &mut self,
        transferor: CallSid,
        refer: &Refer,
        replaces: CallSid,
    ) {
        let is_pending = self.is_in_transfer(transferor);
        let cx = &mut self.cx;
        let Some(call) = self.calls.get_mut(&transferor) else {
            return;
        };
        if is_pending {
            return call.refuse_transfer(Refusal::Pending, cx);
        }
        let (bridge, account) = (call.leg.bridge, call.leg.profile.account);
        let by = self.connection(transferor);
        let cx = &mut self.cx;
        let bridge = bridge.and_then(|id| self.bridges.get(&id));
        cx.leg(transferor, LegCommand::AcceptRefer);
        let to = &refer.target_user;
        cx.trace(transferor, Lane::Rcml, "attended transfer", to);
        let (req, queue) = (cx.req(), cx.queue_sid());
        let attended = Attended {
            transferor,
            transferee: bridge.map(|bridge| bridge.partner(transferor)),
            by,
            queue,
            until: cx.now + ANSWERS_WITHIN,
        };
        // The answer must find the family, even if the transferor has left by then.
        let asker = attended.transferee.unwrap_or(transferor);
        self.attended.insert(req, attended);
        let command = Command::HandOver {
            req,
            from: replaces,
            account,
            queue,
        };
        cx.command(asker, command);
    }

    /// Another call of the remote party wants the party that this one is connected to.
    pub(super) fn hands_over(
        &mut self,
        call: CallSid,
        (asker, account): (CallSid, AccountSid),
        req: Req,
        queue: QueueSid,
    ) {
        let accepted = self.may_hand_over(call, asker, account) && {
            let takes = false;
            self.partner_goes(call, Rendezvous { queue, takes })
        };
        let answer = Command::AnswerHandOver {
            asker,
            req,
            accepted,
        };
        self.cx.command(call, answer);
        if accepted && let Some(call) = self.calls.get_mut(&call) {
            call.is_transferred(&mut self.cx);
        }
    }

    /// Who knows the dialog of a call is its remote party; even so, accounts are kept apart.
    fn may_hand_over(&self, call: CallSid, asker: CallSid, account: AccountSid) -> bool {
        let Some(leg) = self.calls.get(&call).map(|call| &call.leg) else {
            return false;
        };
        let bridge = leg.bridge.and_then(|id| self.bridges.get(&id));
        let is_to_asker = bridge.is_some_and(|bridge| bridge.partner(call) == asker);
        let is_free = call != asker && !is_to_asker && !self.is_in_transfer(call);
        is_free && !leg.is_over() && leg.profile.account == account
    }

    /// The transferor's other call has answered.
    pub(super) fn handed_over(&mut self, req: Req, accepted: bool) {
        let Some(attended) = self.attended.remove(&req) else {
            return; // It had been given up.
        };
        if !accepted {
            return self.attended_fails(&attended, UNAVAILABLE);
        }
        let rendezvous = Rendezvous {
            queue: attended.queue,
            takes: true,
        };
        let transferor = attended.transferor;
        let is_as_before = attended.by.is_some() && self.connection(transferor) == attended.by;
        if is_as_before && self.partner_goes(transferor, rendezvous) {
            return self.transferor_leaves(transferor);
        }
        if let Some(call) = self.stranded(&attended)
            && let Some(call) = self.calls.get_mut(&call)
        {
            call.joins(rendezvous, &mut self.cx);
            return self.transferor_leaves(transferor);
        }
        // The API has given the transferor something else to do.
        let call = self.calls.get(&transferor);
        if call.is_some_and(|call| !call.leg.is_over()) {
            let status = TERMINATED;
            self.cx.leg(transferor, LegCommand::ReferDone { status });
        }
    }

    /// How a leg is connected to another one now.
    fn connection(&self, leg: CallSid) -> Option<Connection> {
        let leg = &self.calls.get(&leg)?.leg;
        let bridge = leg.bridge.map(Connection::Bridge);
        bridge.or_else(|| Some(Connection::Meeting(leg.meeting.as_ref()?.req)))
    }

    /// Attended transfers whose answer is late.
    pub(super) fn give_up_attended(&mut self) {
        let now = self.cx.now;
        let late = |it: &(&Req, &Attended)| it.1.until <= now;
        while let Some(req) = self.attended.iter().find(late).map(|(req, _)| *req)
            && let Some(attended) = self.attended.remove(&req)
        {
            self.attended_fails(&attended, TIMED_OUT);
        }
    }

    /// The two continue to talk; a party that is alone by now has nothing left to do.
    fn attended_fails(&mut self, attended: &Attended, status: u16) {
        let transferor = attended.transferor;
        let stranded = self.stranded(attended);
        let cx = &mut self.cx;
        let text = "the transferor's other call is not connected to a party";
        cx.trace(transferor, Lane::Rcml, "transfer failed", text);
        let call = self.calls.get(&transferor);
        if call.is_some_and(|call| !call.leg.is_over()) {
            cx.leg(transferor, LegCommand::ReferDone { status });
        }
        if let Some(call) = stranded.and_then(|sid| self.calls.get_mut(&sid)) {
            call.end_leg(Reason::PartnerHungUp, cx);
        }
    }

    /// The transferee that waits alone, because the transferor has already left.
    fn stranded(&self, attended: &Attended) -> Option<CallSid> {
        let call = self.calls.get(&attended.transferee?)?;
        let is_alone = call.leg.bridge.is_none() && call.scripts.is_empty();
        (is_alone && !call.leg.is_over()).then(|| call.sid())
    }

    /// Sends the party that a leg is connected to away, to meet another call; false if the leg is not connected.
    fn partner_goes(&mut self, leg: CallSid, rendezvous: Rendezvous) -> bool {
        let Some(call) = self.calls.get(&leg) else {
            return false;
        };
        let id = call.leg.bridge;
        let partner = id.and_then(|id| Some(self.bridges.get(&id)?.partner(leg)));
        if let (Some(id), Some(partner)) = (id, partner) {
            self.cancel_transfer(id);
            self.separate(id);
            if let Some(call) = self.calls.get_mut(&partner) {
                call.joins(rendezvous, &mut self.cx);
            }
            return true;
        }
        let Some(meeting) = call.leg.meeting.clone() else {
            return false;
        };
        call.sends_note(&meeting, Note::Join(rendezvous), &mut self.cx);
        true
    }

    /// The transfer has succeeded for the one that asked for it.
    fn transferor_leaves(&mut self, transferor: CallSid) {
        let cx = &mut self.cx;
        if let Some(call) = self.calls.get_mut(&transferor)
            && !call.leg.is_over()
        {
            let status = TRANSFERRED;
            cx.leg(transferor, LegCommand::ReferDone { status });
            call.is_transferred(cx);
        }
    }

    /// The transfer that waits for a document.
    pub(super) fn transfer_waiting_for(&self, req: Req) -> Option<BridgeId> {
        let mut transfers = self.transfers.iter();
        let found = transfers.find(|(_, transfer)| transfer.fetching.waits_for(req));
        found.map(|(id, _)| *id)
    }

    /// The document of a transfer, or the reason for having none.
    pub(super) fn transfer_answered(&mut self, req: Req, result: &Result<Fetched, FetchFailure>) {
        let waiting = self.transfer_waiting_for(req);
        let Some((id, transfer)) = waiting.and_then(|id| self.transfers.remove_entry(&id)) else {
            return;
        };
        let Some(call) = self.calls.get_mut(&transfer.transferee) else {
            return;
        };
        let Transfer {
            transferor,
            transferee,
            refer,
            fetching,
        } = transfer;
        let cx = &mut self.cx;
        let (leg, told) = (&call.leg, call.scripts.told());
        let author = fetching.author();
        let again = |cx: &Context| params(leg, &refer, cx);
        match fetching.handle_answer(result, told, again, leg.profile.about(None), cx) {
            Answer::Document { url, document } => {
                let verbs = document.verbs;
                let arrived = Arrived { author, url, verbs };
                self.hand_over(id, (transferor, transferee), &refer, arrived);
            }
            Answer::FallBack(fetching) => {
                let transfer = Transfer {
                    transferor,
                    transferee,
                    refer,
                    fetching,
                };
                self.transfers.insert(id, transfer);
            }
            Answer::Nothing => {
                let (url, verbs) = (String::new(), Vec::new());
                let arrived = Arrived { author, url, verbs };
                self.hand_over(id, (transferor, transferee), &refer, arrived);
            }
            Answer::Failed(problem) if self.bridges.contains_key(&id) => {
                let text = "the call continues as it was";
                cx.trace(transferee, Lane::Rcml, "transfer failed", text);
                let status = problem.sip_status;
                cx.leg(transferor, LegCommand::ReferDone { status });
            }
            Answer::Failed(problem) => call.is_stranded(&problem, cx),
        }
    }

    /// The document is there: the transferor leaves, and the transferee runs it.
    fn hand_over(
        &mut self,
        id: BridgeId,
        (transferor, transferee): (CallSid, CallSid),
        refer: &Refer,
        Arrived { author, url, verbs }: Arrived,
    ) {
        self.separate(id);
        self.transferor_leaves(transferor);
        let cx = &mut self.cx;
        if let Some(call) = self.calls.get_mut(&transferee) {
            cx.trace(transferee, Lane::Rcml, "transferred", &refer.target_user);
            call.leg.reporter.transfer = transfer::params(refer);
            call.start(Script::of_fetched(author, &url, verbs, cx.now), cx);
        }
    }

    /// Separates the parties of a transfer, and stops their scripts.
    pub(super) fn separate(&mut self, id: BridgeId) {
        let Some(bridge) = self.bridges.remove(&id) else {
            return; // The transferor has already left.
        };
        self.stop_recording(&bridge);
        let parties = [bridge.plan().caller, bridge.plan().callee];
        bridge.dissolve(&mut self.cx);
        for party in parties {
            if let Some(call) = self.calls.get_mut(&party) {
                call.leg.bridge = None;
                call.detach_scripts(&mut self.cx);
            }
        }
    }

    /// Whether a bridge ends because the transferor does not wait for the document.
    pub(super) fn transferor_left(&self, id: BridgeId, ended: Ended) -> bool {
        let (Ended::By(left) | Ended::Failed(left)) = ended else {
            return false;
        };
        let blind = self.transfers.get(&id);
        blind.is_some_and(|transfer| left == transfer.transferor)
            || self.attended.values().any(|it| left == it.transferor)
    }

    /// The bridge ends for another reason, and the transfer with it.
    pub(super) fn cancel_transfer(&mut self, id: BridgeId) {
        let Some(Transfer { transferor, .. }) = self.transfers.remove(&id) else {
            return;
        };
        let cx = &mut self.cx;
        cx.trace(
            transferor,
            Lane::Rcml,
            "transfer failed",
            "the call changed",
        );
        let call = self.calls.get(&transferor);
        if call.is_some_and(|call| !call.leg.is_over()) {
            let status = TERMINATED;
            cx.leg(transferor, LegCommand::ReferDone { status });
        }
    }

    /// Drops the transfers whose transferee has ended, or runs something else by now.
    pub(super) fn drop_transfers(&mut self) {
        let (calls, bridges) = (&self.calls, &self.bridges);
        self.transfers.retain(|id, transfer| {
            let call = calls.get(&transfer.transferee);
            let waits = call.is_some_and(|call| !call.leg.is_over() && call.scripts.is_empty());
            bridges.contains_key(id) || waits
        });
    }
}

/// Parameters of the request for the document of a transfer.
fn params(transferee: &Leg, refer: &Refer, cx: &Context) -> Params {
    let mut params = transferee.voice_params(cx);
    // Those of an earlier transfer no longer apply.
    let later = transfer::params(refer);
    params.retain(|(name, _)| later.iter().all(|(other, _)| name != other));
    params.extend(later);
    params
}
