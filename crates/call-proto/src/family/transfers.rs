//! The steps of a transfer.
//!
//! **Invariant: the call stays as it was until the document is there.** Then the transferor's leg
//! ends and the transferee runs the document; if it cannot be fetched, the transferor is notified
//! and both continue to hear each other. A transferor that hangs up meanwhile has done its part:
//! the transferee waits for the document alone.

use model::{AccountSid, CallSid};

use super::Family;
use crate::command::LegCommand;
use crate::context::Context;
use crate::event::{FetchFailure, Fetched, Req};
use crate::fact::Reason;
use crate::interpreter::{Answer, Fetching, Script};
use crate::leg::Leg;
use crate::letter::{BridgeId, Ended};
use crate::params::Params;
use crate::refer::Refer;
use crate::trace::Lane;
use crate::transfer::{self, Refusal, Transfer};

/// Reported to a transferor when the transferee runs the document.
const TRANSFERRED: u16 = 200;
/// Reported to a transferor if something else ended the bridge first.
const TERMINATED: u16 = 487;

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
            Some(_) if self.transfers.contains_key(&id) => Err(Refusal::Pending),
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
        let cx = &mut self.cx;
        if let Some(call) = self.calls.get_mut(&transferor)
            && !call.leg.is_over()
        {
            let status = TRANSFERRED;
            cx.leg(transferor, LegCommand::ReferDone { status });
            call.end_leg(Reason::Transferred, cx);
        }
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
        let Some(transfer) = self.transfers.get(&id) else {
            return false;
        };
        match ended {
            Ended::By(leg) | Ended::Failed(leg) => leg == transfer.transferor,
            Ended::TimeLimit | Ended::Redirected(_) => false,
        }
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
