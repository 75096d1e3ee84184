//! A transfer (RFC 3515, RFC 5589 §6.1): a party of a bridge, the *transferor*, asks with REFER that
//! the other one, the *transferee*, be connected to somebody else.
//!
//! In a *blind* transfer the application decides what follows: the document for transfers is fetched while
//! both still hear each other, and then runs on the transferee's leg. The server never calls the requested
//! party by itself. In an *attended* one (RFC 5589 §7) the transferor already talks to that party, in another
//! call that its REFER names (RFC 3891): the two remote parties are connected, and nothing is asked. The
//! data and the transferor's call are here; the family joins the legs anew.

use model::{CallSid, QueueSid, Timestamp, error};

use crate::call::Call;
use crate::command::LegCommand;
use crate::context::{Context, Letter};
use crate::event::Req;
use crate::fact::Reason;
use crate::interpreter::{Fetching, Problem};
use crate::letter::BridgeId;
use crate::params::Params;
use crate::refer::Refer;

/// Parameters of every request of the document that a REFER starts.
pub(crate) fn params(refer: &Refer) -> Params {
    [
        ("Transferor", &refer.transferor),
        ("Transferee", &refer.transferee),
        ("ReferTarget", &refer.target_user),
        ("ReferTransferTarget", &refer.target),
    ]
    .map(|(name, value)| (name.to_owned(), value.clone()))
    .to_vec()
}

/// A transfer whose document is being fetched.
pub(crate) struct Transfer {
    pub(crate) transferor: CallSid,
    pub(crate) transferee: CallSid,
    pub(crate) refer: Refer,
    pub(crate) fetching: Fetching,
}

/// How a leg is connected to another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Connection {
    /// In a bridge.
    Bridge(BridgeId),
    /// Through a queue, by the number of its place there.
    Meeting(Req),
}

/// An attended transfer: the transferor's other call is asked to hand over the party connected to it.
pub(crate) struct Attended {
    pub(crate) transferor: CallSid,
    /// If both are of one family.
    pub(crate) transferee: Option<CallSid>,
    /// How the two were connected.
    pub(crate) by: Option<Connection>,
    /// Where the two are to meet.
    pub(crate) queue: QueueSid,
    /// When the other call must have answered.
    pub(crate) until: Timestamp,
}

/// Why a REFER is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// The party is not connected to another one.
    NotConnected,
    /// It is in a conference.
    InConference,
    /// There is no document for transfers.
    NoDocument,
    /// Another transfer of the same two parties is in progress.
    Pending,
}

impl Refusal {
    const fn status(self) -> u16 {
        match self {
            Self::NotConnected | Self::InConference | Self::NoDocument => 404,
            Self::Pending => 491,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::NotConnected => "the call is not connected to a party that could be transferred",
            Self::InConference => "a conference cannot be transferred",
            Self::NoDocument => {
                "there is no document for transfers: set ReferUrl or ReferApplicationSid of the number, or referUrl of Dial"
            }
            Self::Pending => "another transfer is in progress",
        }
    }
}

impl Call {
    /// The remote party sent REFER.
    pub(crate) fn asks_for_transfer(&mut self, refer: Box<Refer>, cx: &mut Context) {
        let from = self.sid();
        let is_connected = self.leg.bridge.is_some() || self.leg.meeting.is_some();
        match (self.leg.bridge, refer.replaces) {
            (_, Some(replaces)) if is_connected => cx.letter(Letter::ReferAttended {
                from,
                refer,
                replaces,
            }),
            (Some(bridge), _) => cx.letter(Letter::Refer {
                bridge,
                from,
                refer,
            }),
            (None, _) if is_connected => cx.letter(Letter::ReferAway { from, refer }),
            // As Restcomm does: the phone of a person who transfers believes that it has left.
            (None, _) if self.scripts.are_in_a_conference() => {
                self.refuse_transfer(Refusal::InConference, cx);
                self.end_leg(Reason::TransferRefused, cx);
            }
            (None, _) => self.refuse_transfer(Refusal::NotConnected, cx),
        }
    }

    /// Refuses the REFER. The owner of the account hears of each reason once.
    pub(crate) fn refuse_transfer(&mut self, refusal: Refusal, cx: &mut Context) {
        let (status, text) = (refusal.status(), refusal.text());
        let reason = text.to_owned();
        cx.leg(self.sid(), LegCommand::RejectRefer { status, reason });
        if self.scripts.told().is_first(text) {
            let about = self.leg.profile.about(None);
            let text = format!("a transfer was refused: {text}");
            cx.notify(about, error::TRANSFER_REFUSED, &text);
        }
    }

    /// The party that it was connected to is elsewhere: the leg ends, and with it what it was running.
    pub(crate) fn is_transferred(&mut self, cx: &mut Context) {
        self.detach_scripts(cx);
        self.end_leg(Reason::Transferred, cx);
    }

    /// The document for its transfer failed after the transferor had left: nothing remains to do.
    pub(crate) fn is_stranded(&mut self, problem: &Problem, cx: &mut Context) {
        let (status, text) = (problem.sip_status, &problem.sip_reason);
        self.leg.fail(status, text, problem.reason, cx);
        self.hear_leg(cx);
    }
}
