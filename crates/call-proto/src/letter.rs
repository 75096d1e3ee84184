//! The content of the letters between the machines of a family: forks with their branches, bridges
//! with their plans. Data only.

use std::time::Duration;

use model::{AccountSid, CallSid, CallStatus, Direction, RecordingSid, number};

use crate::callback::LegCallback;
use crate::command::Target;
use crate::detection::Detection;
use crate::event::{Document, Headers, Route};
use crate::fact::Reason;
use crate::recording::RecordingTerms;
use crate::recording_request::NewRecording;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ForkId(pub(crate) u64);

/// A leg's report to its fork when it has ended.
#[derive(Clone, Debug)]
pub(crate) struct LegOver {
    pub(crate) call: CallSid,
    pub(crate) status: CallStatus,
    pub(crate) reason: Reason,
    pub(crate) sip_status: Option<u16>,
    /// The remote party's reason.
    pub(crate) sip_reason: Option<String>,
    pub(crate) ring_s: i64,
    /// From the last response of a leg dialled as a SIP address.
    pub(crate) response: Option<LastResponse>,
    /// Whether it had been answered and was being screened.
    pub(crate) screened: bool,
}

/// From the last final response of a leg.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LastResponse {
    pub(crate) sip_call_id: String,
    pub(crate) status: u16,
    pub(crate) headers: Headers,
}

/// One target to dial: becomes a branch for each of its routes.
#[derive(Clone, Debug)]
pub(crate) struct Dialled {
    pub(crate) target: Target,
    pub(crate) headers: Headers,
    pub(crate) credentials: Option<(String, String)>,
    pub(crate) callback: Option<LegCallback>,
    /// Runs on it before it is connected.
    pub(crate) screening: Option<Document>,
    /// Keys sent to it once it is connected, or before it is screened.
    pub(crate) send_digits: Option<String>,
    /// What is to be found out about who answers.
    pub(crate) detection: Option<Detection>,
    /// For a call of the API: what applies to the leg that answers.
    pub(crate) from_answer: FromAnswer,
}

impl Dialled {
    /// The same for a leg without a record: its head makes the callbacks, and does what follows the answer.
    pub(crate) fn without_record(self) -> Self {
        Self {
            callback: None,
            send_digits: None,
            detection: None,
            from_answer: FromAnswer::default(),
            ..self
        }
    }
}

/// What applies to a call of the API from its answer on.
#[derive(Clone, Debug, Default)]
pub(crate) struct FromAnswer {
    /// It is recorded.
    pub(crate) recording: Option<NewRecording>,
    /// How long it may last.
    pub(crate) time_limit: Option<Duration>,
}

/// The order in which a fork calls its parties.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// All at once.
    Together,
    /// One after the other, each for the whole timeout.
    InTurn,
}

/// Properties common to all branches of a fork.
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
    /// The call that has the record, if the leg has none.
    pub(crate) head: Option<CallSid>,
    pub(crate) common: Common,
    pub(crate) dialled: Dialled,
    pub(crate) route: Route,
}

/// How a fork without a winner ended.
#[derive(Clone, Debug)]
pub(crate) struct ForkResult {
    pub(crate) status: CallStatus,
    /// The last branch to end, if any.
    pub(crate) last: Option<LegOver>,
    /// The last final SIP refusal, for unanswered callers.
    pub(crate) sip_status: Option<u16>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct BridgeId(pub(crate) u64);

/// The plan of a bridge.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The leg that dialled; recordings belong to it.
    pub(crate) caller: CallSid,
    /// The leg that was dialled.
    pub(crate) callee: CallSid,
    pub(crate) limit: Duration,
    pub(crate) recording: Option<RecordingSid>,
    /// What the recording is, and who learns of it.
    pub(crate) recording_terms: RecordingTerms,
    /// Runs if a party asks to transfer the other one; `None`: the document of the called number.
    pub(crate) refer: Option<Document>,
}

/// How a bridge ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// This leg has ended.
    By(CallSid),
    /// This leg has ended because of a failure.
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

    /// The reason for ending the other leg, if it ends.
    pub(crate) const fn reason(self) -> Reason {
        match self {
            Self::By(_) | Self::Failed(_) => Reason::PartnerHungUp,
            Self::TimeLimit => Reason::TimeLimit,
            Self::Redirected(_) => Reason::Api,
        }
    }
}

/// The role of a script on an answered leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// The main script of the call; the leg ends with it.
    Main,
    /// Screens a dialled party; its end means acceptance.
    Screening,
    /// Heard while a verb below it on the stack waits; begins anew when it ends.
    Waiting,
    /// The same in a queue, which it can leave.
    Queueing,
    /// Heard once while a verb below it on the stack waits.
    Announcing,
}

impl Role {
    /// Whether it is the companion of a verb, which outlives it.
    pub(crate) const fn is_companion(self) -> bool {
        match self {
            Self::Main | Self::Screening => false,
            Self::Waiting | Self::Queueing | Self::Announcing => true,
        }
    }

    /// Whether it begins anew when its document ends.
    pub(crate) const fn repeats(self) -> bool {
        match self {
            Self::Main | Self::Screening | Self::Announcing => false,
            Self::Waiting | Self::Queueing => true,
        }
    }
}

/// News of a fork, for the verb that started it.
#[derive(Debug)]
pub(crate) enum ForkNews {
    /// A phone rings; it may have rung before.
    Rings,
    /// This branch answered, after this many seconds.
    Won { child: CallSid, ring_s: i64 },
    /// Every branch failed, or no party could be called.
    Lost(Box<ForkResult>),
    /// It was abandoned; this was its state.
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
