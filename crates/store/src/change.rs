//! Facts to be stored: the content of a commit.

use std::collections::BTreeSet;

use model::email::Email;
use model::opt_out::OptOut;
use model::record::{
    CallRecord, Callback, Conference, MediaCounts, Membership, Message, Notification, Recording,
    Refusal, StartedRecording, Transcription,
};
use model::{
    CallSid, CallStatus, ConferenceSid, ConferenceStatus, EventSid, HangupBy, InstanceSid,
    InteractionSid, Lane, MessageSid, MessageStatus, OptOutSid, OrganizationSid, QueueSid,
    RecordingSid, RecordingStatus, ServerSid, Timestamp,
};

use crate::{DeliveryFilter, MessagePart};

/// What is kept of a client's registered phones for the next start of their server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptPhones {
    /// The SIP side's own data, as JSON.
    pub content: String,
    /// When the last registration expires.
    pub expires: Timestamp,
}

/// One fact. All facts of one commit become visible together or not at all.
#[derive(Debug, Clone)]
pub enum Change {
    /// A leg exists. Repeating it has no effect.
    CallCreated(Box<CallRecord>),
    /// The called phone is ringing, or 180 was sent on an inbound leg.
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
    /// The callbacks to send when the leg is closed after a crash, in the call engine's format;
    /// replaces the previous ones.
    CallFarewell {
        /// Leg.
        sid: CallSid,
        /// Opaque to the store.
        farewell: String,
    },
    /// A leg ended. Applied only to a leg of this instance that has not ended. If it does not
    /// apply, later callbacks of its lane in the same commit are dropped too, so a leg ends once
    /// and reports that once.
    CallEnded {
        /// Leg.
        sid: CallSid,
        /// Final status.
        status: CallStatus,
        /// When.
        at: Timestamp,
        /// Seconds from start to end.
        duration_s: Option<i64>,
        /// Seconds from creation to answer or failure; `None` leaves the stored value.
        ring_duration_s: Option<i64>,
        /// Reason.
        reason: Option<String>,
        /// Who ended it.
        hangup_by: Option<HangupBy>,
        /// Final SIP status, if any.
        sip_status: Option<u16>,
        /// The remote party's reason for the end.
        sip_reason: Option<String>,
    },
    /// The media of a leg is closed.
    CallMedia {
        /// Leg.
        sid: CallSid,
        /// The counters.
        counts: MediaCounts,
    },
    /// A leg left open by a dead server is closed with the values of this record, if it is still
    /// open. The rule for callbacks is that of [`Change::CallEnded`].
    OrphanClosed(Box<CallRecord>),
    /// A text message is about to be sent. Repeating it has no effect.
    MessageCreated {
        /// The message, with status `sending`.
        message: Box<Message>,
        /// The callbacks to send when it is closed after a crash, in the call engine's format.
        farewell: Option<String>,
    },
    /// This server runs the document of a text message that arrived at a dead one. Applied only to a
    /// message whose document was not fetched, and only once.
    TextClaimed {
        /// The message.
        sid: MessageSid,
        /// The dead server.
        from: InstanceSid,
    },
    /// A text message ended, or the document of one that arrived was fetched, with the values of this record. Applied only to an unended message of
    /// this instance, or of the dead instance that the record names. If it does not apply, the
    /// callback `tells` later in the same commit is dropped, so a message ends once and reports
    /// that once.
    MessageEnded {
        /// The message.
        message: Box<Message>,
        /// Event of the callback about it.
        tells: Option<EventSid>,
    },
    /// The text of a message that was just created is not that of its record, which must not show it. It is forgotten when the
    /// message has been sent, or has failed.
    MessageUnsent {
        /// The message.
        sid: MessageSid,
        /// The text, as [`crate::Store::seal_text`] seals it.
        sealed: Vec<u8>,
    },
    /// A message that was just created is sent later.
    MessagePlanned {
        /// The message, with status `scheduled`.
        sid: MessageSid,
        /// When.
        send_at: Timestamp,
        /// What is sent then, in the call engine's format.
        plan: String,
    },
    /// A message that waited for its time is about to be sent, by this server. Applied only to a message that is `scheduled`;
    /// otherwise it was canceled or another server sends it, and its callbacks later in the same commit are dropped.
    MessageReleased {
        /// The message, with status `sending` or `queued`.
        message: Box<Message>,
        /// As for [`Change::MessageCreated`].
        farewell: Option<String>,
    },
    /// A forwarded message has another status, and the values of this record. Applied only if its status
    /// is the expected one; otherwise the callback `tells` later in the same commit is dropped.
    MessageMoved {
        /// The message.
        message: Box<Message>,
        /// Its status before.
        expected: MessageStatus,
        /// The number of its attempts before, if the message must also belong to the server that the record names and have had
        /// no other attempt.
        attempt: Option<i64>,
        /// Event of the callback about it.
        tells: Option<EventSid>,
    },
    /// A recipient wants no more texts from a number. Without effect if that is on record.
    OptedOut(Box<OptOut>),
    /// A recipient wants texts from a number again: these end. Without effect on those that are gone.
    OptedIn(Vec<OptOutSid>),
    /// A provider took a part of a message. Repeating it has no effect.
    MessagePart {
        /// The part.
        part: Box<MessagePart>,
        /// When.
        at: Timestamp,
    },
    /// A receipt reported the outcome of a part; only the first one counts.
    MessagePartDone {
        /// The part.
        part: Box<MessagePart>,
        /// The outcome.
        state: MessageStatus,
    },
    /// An e-mail is to be sent, whose text its record may show (`Store::insert_email` seals one that it may not). Repeating it has no effect.
    EmailQueued(Box<Email>),
    /// An e-mail was sent or has failed, with the values of this record. Applied only if no later attempt has begun.
    EmailEnded {
        /// The e-mail.
        email: Box<Email>,
        /// Number of the attempt.
        attempt: i64,
        /// Notification of the failure, inserted only if this has an effect.
        notification: Option<Box<Notification>>,
    },
    /// A conference exists. Repeating it has no effect.
    ConferenceCreated(Box<Conference>),
    /// The members of a conference now hear each other.
    ConferenceStarted {
        /// The conference.
        sid: ConferenceSid,
        /// When.
        at: Timestamp,
    },
    /// The callback to send when the conference is closed after a crash, in the call engine's format.
    ConferenceFarewell {
        /// The conference.
        sid: ConferenceSid,
        /// Opaque to the store.
        farewell: String,
    },
    /// A conference left open by a dead server is closed with the values of this record, if it is
    /// still open. The rule for callbacks is that of [`Change::ConferenceEnded`].
    ConferenceClosed(Box<Conference>),
    /// A conference ended. Applied only to a conference of this instance that has not ended. If it
    /// does not apply, later callbacks of its lane in the same commit are dropped too.
    ConferenceEnded {
        /// The conference.
        sid: ConferenceSid,
        /// Final status.
        status: ConferenceStatus,
        /// When.
        at: Timestamp,
        /// Reason, as one word.
        reason: String,
    },
    /// A leg became a member of a conference.
    ConferenceJoined {
        /// Leg.
        call: CallSid,
        /// When.
        at: Timestamp,
        /// The conference, and the terms.
        membership: Membership,
    },
    /// A leg waits in a queue.
    QueueEntered {
        /// The leg.
        call: CallSid,
        /// When this was decided.
        at: Timestamp,
        /// The queue.
        queue: QueueSid,
        /// Since when.
        since: Timestamp,
    },
    /// A leg no longer waits in a queue. Applied only if it is recorded as waiting in it.
    QueueLeft {
        /// The leg.
        call: CallSid,
        /// When.
        at: Timestamp,
        /// The queue.
        queue: QueueSid,
    },
    /// A leg left a conference. Applied only if it is recorded as a member of it.
    ConferenceLeft {
        /// Leg.
        call: CallSid,
        /// When.
        at: Timestamp,
        /// The conference.
        conference: ConferenceSid,
    },
    /// A recording is about to begin: its file must be found after a crash.
    RecordingStarted {
        /// The recording.
        started: StartedRecording,
        /// The callback to send when it is completed after a crash, in the call engine's format.
        farewell: Option<String>,
    },
    /// The state of a recording in progress.
    RecordingChanged {
        /// The recording.
        sid: RecordingSid,
        /// The state.
        status: RecordingStatus,
        /// When it was changed.
        at: Timestamp,
    },
    /// A recording has failed, and that is reported: its callback is no longer due. If it was reported
    /// before, the callback `tells` later in the same commit is dropped.
    RecordingReported {
        /// The recording.
        sid: RecordingSid,
        /// Event of the callback about it, if any.
        tells: Option<EventSid>,
    },
    /// A recording that was started has ended; [`Change::Recording`] follows unless it is empty. If
    /// it ended before, the callback `tells` later in the same commit is dropped, so the end is
    /// reported once.
    RecordingClosed {
        /// The recording.
        sid: RecordingSid,
        /// Event of the callback about it.
        tells: Option<EventSid>,
    },
    /// A recording is complete. A later one replaces an earlier one.
    Recording(Recording),
    /// The state of a transcription. A later one replaces an earlier one.
    Transcription(Box<Transcription>),
    /// A problem to report to the owner.
    Notification(Box<Notification>),
    /// A call or text between two participants of a session that masks their numbers has begun. Repeating it has no effect.
    Interacted(Box<masking::Interaction>),
    /// The message of such a text to the other participant is stored.
    InteractionSent {
        /// The interaction.
        sid: InteractionSid,
        /// The message.
        message: MessageSid,
        /// When.
        at: Timestamp,
    },
    /// A callback is due. Repeating it has no effect.
    CallbackQueued(Box<Callback>),
    /// The phones of a client that are registered with a server now. Those registered with another
    /// server are left as they are.
    Registered {
        /// The client's organization.
        organization: OrganizationSid,
        /// Login.
        login: String,
        /// The server.
        server: ServerSid,
        /// `None` if no phone is left.
        phones: Option<KeptPhones>,
    },
    /// Registrations that an earlier release stored without a server are those of this server.
    RegistrationsAdopted {
        /// The organization.
        organization: OrganizationSid,
        /// The server.
        server: ServerSid,
    },
    /// Calls or registrations were refused; their number is added to the stored one.
    Refused(Box<Refusal>),
    /// A callback needs no further attempt. No effect if it has ended, or if another server delivers it.
    CallbackDone {
        /// The callback.
        event: EventSid,
        /// Attempts made.
        attempts: i64,
        /// Last HTTP status; `None` if there was no response.
        status: Option<u16>,
        /// Why it was given up; `None` if it was delivered.
        dead: Option<String>,
        /// When.
        at: Timestamp,
        /// Notification that it was given up, inserted only if this has an effect.
        given_up: Option<Box<Notification>>,
    },
    /// A callback is to be retried. No effect if it has ended, or if another server delivers it.
    CallbackRetry {
        /// The callback.
        event: EventSid,
        /// Attempts made.
        attempts: i64,
        /// When to try next.
        next_at: Timestamp,
        /// Last HTTP status; `None` if there was no response.
        status: Option<u16>,
        /// Why the last attempt failed.
        error: String,
    },
    /// Ended callbacks are to be delivered again.
    CallbacksReplayed {
        /// The callbacks.
        filter: Box<DeliveryFilter>,
        /// When the replay was requested.
        at: Timestamp,
    },
    /// This server claims a callback without an owner. No effect if another one has.
    CallbackClaimed {
        /// The callback.
        event: EventSid,
    },
    /// The trace of a call, a conference or a message, compressed by the caller.
    Trace {
        /// Root leg, conference or message.
        lane: Lane,
        /// Bytes to be returned unchanged.
        blob: Vec<u8>,
    },
    /// The heartbeat of a server.
    Alive {
        /// The server.
        instance: InstanceSid,
        /// When.
        at: Timestamp,
    },
}

/// New values of a live leg; `None` leaves the stored value.
#[derive(Debug, Clone)]
pub struct CallUpdate {
    /// Leg.
    pub sid: CallSid,
    /// When.
    pub at: Timestamp,
    /// Whether it is muted.
    pub muted: Option<bool>,
    /// SIP Call-ID.
    pub sip_call_id: Option<String>,
    /// What has answered, if that was found out; replaces the callee.
    pub answered_by: Option<String>,
    /// Dialog snapshot.
    pub dialog: Option<String>,
}

/// The results of the changes in one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    pub(crate) applied: Vec<bool>,
    pub(crate) lost: BTreeSet<Lane>,
    /// The heartbeat has not deleted all old rows.
    pub(crate) leaves_old_rows: bool,
}

impl Committed {
    /// Whether the change at `index` had an effect: `false` for the end of a leg that had already
    /// ended, and for rows dropped because of that.
    #[must_use]
    pub fn applied(&self, index: usize) -> bool {
        self.applied.get(index).copied().unwrap_or(false)
    }

    /// Lanes of live calls that another server has ended on record, because it took this one for dead.
    #[must_use]
    pub const fn lost(&self) -> &BTreeSet<Lane> {
        &self.lost
    }

    /// Whether every change had an effect.
    #[must_use]
    pub fn all_applied(&self) -> bool {
        self.applied.iter().all(|applied| *applied)
    }
}
