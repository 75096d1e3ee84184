//! Facts to be kept: what one commit is made of.

use model::record::{
    CallRecord, Callback, Conference, MediaCounts, Membership, Message, Notification, Recording,
    Refusal, StartedRecording,
};
use model::{
    CallSid, CallStatus, ConferenceSid, ConferenceStatus, EventSid, HangupBy, InstanceSid, Lane,
    OrganizationSid, RecordingSid, Timestamp,
};

use crate::DeliveryFilter;

/// One fact. All facts of one commit become visible together or not at all.
#[derive(Debug, Clone)]
pub enum Change {
    /// A leg exists. Repeating it has no effect.
    CallCreated(Box<CallRecord>),
    /// The called phone rings, or an inbound leg was sent 180.
    CallRinging {
        /// Leg.
        sid: CallSid,
        /// When.
        at: Timestamp,
        /// SIP Call-ID, once known.
        sip_call_id: Option<String>,
    },
    /// A leg was answered: it becomes `in-progress` and its start is set to `at`.
    CallAnswered {
        /// Leg.
        sid: CallSid,
        /// When.
        at: Timestamp,
        /// Callee's user part.
        answered_by: Option<String>,
        /// SIP Call-ID, if not reported before.
        sip_call_id: Option<String>,
        /// Seconds it rang, for outbound legs.
        ring_duration_s: Option<i64>,
        /// Snapshot of the dialog as JSON: what a later process needs to send a BYE.
        dialog: Option<String>,
    },
    /// Properties of a live leg changed.
    CallUpdated(Box<CallUpdate>),
    /// The callbacks to send when the leg is closed after a crash, as the call engine
    /// writes them; replaces the previous ones.
    CallFarewell {
        /// Leg.
        sid: CallSid,
        /// Opaque here.
        farewell: String,
    },
    /// A leg ended. Applied only to a leg of this instance that has not ended. If it does not
    /// apply, callbacks of its lane that follow in the same commit are left out too, so a leg
    /// ends once and reports that once.
    CallEnded {
        /// Leg.
        sid: CallSid,
        /// Final status.
        status: CallStatus,
        /// When.
        at: Timestamp,
        /// Seconds from start to end.
        duration_s: Option<i64>,
        /// Seconds from creation to answer or failure; `None` leaves what is stored.
        ring_duration_s: Option<i64>,
        /// Why.
        reason: Option<String>,
        /// Who ended it.
        hangup_by: Option<HangupBy>,
        /// Final SIP status, if there was one.
        sip_status: Option<u16>,
        /// What the remote party said about the end.
        sip_reason: Option<String>,
    },
    /// The media of a leg is closed.
    CallMedia {
        /// Leg.
        sid: CallSid,
        /// What it counted.
        counts: MediaCounts,
    },
    /// A leg left open by a server that is gone is closed with the values of this record, if
    /// it is still open. Same rule for callbacks as for [`Change::CallEnded`].
    OrphanClosed(Box<CallRecord>),
    /// A text message is about to be sent. Repeating it has no effect.
    MessageCreated {
        /// The message, `sending`.
        message: Box<Message>,
        /// The callbacks to send when it is closed after a crash, as the call engine
        /// writes it.
        farewell: Option<String>,
    },
    /// A text message came to its end, with the values of this record. Applied only to a message
    /// of this instance, or of the one that the record names if that is gone, which has not
    /// ended. If it does not apply, the callback `tells` is left out when it follows in the same
    /// commit, so a message ends once and reports that once.
    MessageEnded {
        /// The message.
        message: Box<Message>,
        /// Event of the callback about it.
        tells: Option<EventSid>,
    },
    /// A conference exists. Repeating it has no effect.
    ConferenceCreated(Box<Conference>),
    /// The members of a conference hear each other from now on.
    ConferenceStarted {
        /// The conference.
        sid: ConferenceSid,
        /// When.
        at: Timestamp,
    },
    /// A conference ended. Applied only to a conference of this instance that has not ended.
    ConferenceEnded {
        /// The conference.
        sid: ConferenceSid,
        /// Final status.
        status: ConferenceStatus,
        /// When.
        at: Timestamp,
        /// Why, as one word.
        reason: String,
    },
    /// A leg is a member of a conference.
    ConferenceJoined {
        /// Leg.
        call: CallSid,
        /// When.
        at: Timestamp,
        /// Which conference, and on which terms.
        membership: Membership,
    },
    /// A leg is no longer a member of a conference. Applied only if it is on record as a member of it.
    ConferenceLeft {
        /// Leg.
        call: CallSid,
        /// When.
        at: Timestamp,
        /// Which conference.
        conference: ConferenceSid,
    },
    /// A recording is about to begin: its file must be found after a crash.
    RecordingStarted(StartedRecording),
    /// A recording that was started has no file.
    RecordingGone {
        /// Which.
        sid: RecordingSid,
    },
    /// A recording is complete. The later one replaces the earlier.
    Recording(Recording),
    /// A problem to report to the owner.
    Notification(Box<Notification>),
    /// A callback is due. Repeating it has no effect.
    CallbackQueued(Box<Callback>),
    /// The phones of a client that are registered now.
    Registered {
        /// Its organization.
        organization: OrganizationSid,
        /// Login.
        login: String,
        /// Whatever the SIP side wants to find again, as JSON; `None` if no phone is left.
        content: Option<String>,
    },
    /// Calls or registrations were turned away; their number is added to that on record.
    Refused(Box<Refusal>),
    /// A callback needs no further attempt.
    CallbackDone {
        /// Which.
        event: EventSid,
        /// Attempts made.
        attempts: i64,
        /// Last HTTP status; `None` if there was no answer.
        status: Option<u16>,
        /// Why it is given up; `None` if it was delivered.
        dead: Option<String>,
        /// When.
        at: Timestamp,
    },
    /// A callback shall be tried again.
    CallbackRetry {
        /// Which.
        event: EventSid,
        /// Attempts made.
        attempts: i64,
        /// When to try next.
        next_at: Timestamp,
        /// Last HTTP status; `None` if there was no answer.
        status: Option<u16>,
        /// Why the last attempt failed.
        error: String,
    },
    /// Callbacks that have ended shall be delivered again.
    CallbacksReplayed {
        /// Which.
        filter: Box<DeliveryFilter>,
        /// When the replay was requested.
        at: Timestamp,
    },
    /// This server delivers a callback that has no owner. No effect if another one does.
    CallbackClaimed {
        /// Which.
        event: EventSid,
    },
    /// The trace of a call, a conference or a message, compressed by the caller.
    Trace {
        /// Root leg, conference or message.
        lane: Lane,
        /// Bytes as they shall be read back.
        blob: Vec<u8>,
    },
    /// A server is alive.
    Alive {
        /// Which.
        instance: InstanceSid,
        /// When.
        at: Timestamp,
    },
}

/// New values of a live leg; `None` leaves what is stored.
#[derive(Debug, Clone)]
pub struct CallUpdate {
    /// Leg.
    pub sid: CallSid,
    /// When.
    pub at: Timestamp,
    /// Muted or not.
    pub muted: Option<bool>,
    /// SIP Call-ID.
    pub sip_call_id: Option<String>,
    /// Dialog snapshot.
    pub dialog: Option<String>,
}

/// What became of the changes of one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    pub(crate) applied: Vec<bool>,
}

impl Committed {
    /// Whether the change at `index` had an effect: `false` for the end of a leg that had ended
    /// before, and for rows left out because of that.
    #[must_use]
    pub fn applied(&self, index: usize) -> bool {
        self.applied.get(index).copied().unwrap_or(false)
    }

    /// Whether every change had an effect.
    #[must_use]
    pub fn all_applied(&self) -> bool {
        self.applied.iter().all(|applied| *applied)
    }
}
