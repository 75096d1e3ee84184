//! What the letters between the machines of a family name and carry: forks with their branches,
//! bridges with their plans. Data only.

use std::time::Duration;

use model::{AccountSid, CallSid, CallStatus, Direction, RecordingSid, number};

use crate::callback::LegCallback;
use crate::command::Target;
use crate::event::{Document, Headers, Route};
use crate::fact::Reason;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ForkId(pub(crate) u64);

/// What a leg reports to its fork when it is over.
#[derive(Clone, Debug)]
pub(crate) struct LegOver {
    pub(crate) call: CallSid,
    pub(crate) status: CallStatus,
    pub(crate) sip_status: Option<u16>,
    pub(crate) ring_s: i64,
    /// From the last response of a leg that was dialled as a SIP address.
    pub(crate) response: Option<LastResponse>,
    /// It had been answered and was being screened.
    pub(crate) screened: bool,
}

/// Of the last final response of a leg.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LastResponse {
    pub(crate) sip_call_id: String,
    pub(crate) status: u16,
    pub(crate) headers: Headers,
}

/// One thing to dial: becomes a branch for each route its target has.
#[derive(Clone, Debug)]
pub(crate) struct Dialled {
    pub(crate) target: Target,
    pub(crate) headers: Headers,
    pub(crate) credentials: Option<(String, String)>,
    pub(crate) callback: Option<LegCallback>,
    /// Runs on it before it is connected.
    pub(crate) screening: Option<Document>,
    /// Keys that it gets as soon as it is connected, or before it is screened.
    pub(crate) send_digits: Option<String>,
}

/// What every branch of a fork has in common.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    pub(crate) account: AccountSid,
    pub(crate) direction: Direction,
    pub(crate) from: String,
    pub(crate) from_display: Option<String>,
    pub(crate) forwarded_from: Option<String>,
    pub(crate) dialect: crate::Dialect,
    /// Max-Forwards of the INVITEs.
    pub(crate) max_forwards: u8,
}

/// A leg to be created.
#[derive(Debug)]
pub(crate) struct BranchSpec {
    pub(crate) call: CallSid,
    pub(crate) fork: ForkId,
    /// The call that dials it.
    pub(crate) parent: Option<CallSid>,
    pub(crate) common: Common,
    pub(crate) dialled: Dialled,
    pub(crate) route: Route,
}

/// How a fork without a winner ended.
#[derive(Clone, Debug)]
pub(crate) struct ForkResult {
    pub(crate) status: CallStatus,
    /// The last branch to end, if there was any.
    pub(crate) last: Option<LegOver>,
    /// The last final SIP failure, for callers that were not answered yet.
    pub(crate) sip_status: Option<u16>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct BridgeId(pub(crate) u64);

/// What a bridge is made of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The leg that dialled; recordings belong to it.
    pub(crate) caller: CallSid,
    /// The leg that was dialled.
    pub(crate) callee: CallSid,
    pub(crate) limit: Duration,
    pub(crate) recording: Option<RecordingSid>,
}

/// How a bridge ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// This leg is over.
    By(CallSid),
    /// This leg is over because something went wrong with it.
    Failed(CallSid),
    /// The time limit ran out.
    TimeLimit,
    /// This leg was redirected away.
    Redirected(CallSid),
}

impl Ended {
    pub(crate) const fn of_leg(leg: CallSid, failed: bool) -> Self {
        if failed {
            Self::Failed(leg)
        } else {
            Self::By(leg)
        }
    }

    /// Why the other leg ends, if it does.
    pub(crate) const fn reason(self) -> Reason {
        match self {
            Self::By(_) | Self::Failed(_) => Reason::PartnerHungUp,
            Self::TimeLimit => Reason::TimeLimit,
            Self::Redirected(_) => Reason::Api,
        }
    }
}

/// What the script of an answered leg is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// It is what the call is about; the leg ends with it.
    Main,
    /// It asks a dialled party whether it takes the call; its end means yes.
    Screening,
}

/// How a fork ended, for the verb that started it.
#[derive(Debug)]
pub(crate) enum ForkNews {
    /// This branch answered, after so many seconds.
    Won { child: CallSid, ring_s: i64 },
    /// Every branch failed, or no party could be called.
    Lost(Box<ForkResult>),
    /// It was abandoned; this is how it stood.
    Abandoned(Box<ForkResult>),
}

/// The number or name in the user part of a SIP address, or the text itself.
pub(crate) fn user_part(address: &str) -> &str {
    let rest = address
        .strip_prefix("sip:")
        .or_else(|| address.strip_prefix("sips:"))
        .unwrap_or(address);
    match rest.split_once('@') {
        Some((user, _)) => number::of_user_part(user),
        None => rest.split([';', '?']).next().unwrap_or(rest),
    }
}
