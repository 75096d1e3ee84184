//! Facts: changes that must be committed before anything acts on them.

use model::email::Email;
use model::record::{
    CallRecord, Callback, Conference, Membership, Message, Notification, Recording,
    StartedRecording,
};
use model::{
    AnsweredBy, CallSid, CallStatus, ConferenceSid, ConferenceStatus, Direction, EventSid,
    HangupBy, InteractionSid, MessageSid, QueueSid, RecordingSid, RecordingStatus, Timestamp,
};

use crate::farewell::{Farewell, MessageFarewell, RecordingFarewell, RoomFarewell};
use crate::message::TextArrival;

/// One durable change.
#[derive(Clone, PartialEq, Debug)]
pub enum Fact {
    /// A leg exists.
    Created(Box<CallRecord>),
    /// The remote phone is ringing.
    Ringing {
        /// The leg.
        call: CallSid,
        /// When.
        at: Timestamp,
    },
    /// The leg was answered: its duration starts over.
    Answered {
        /// The leg.
        call: CallSid,
        /// When.
        at: Timestamp,
        /// User part of the callee that answered.
        answered_by: Option<String>,
        /// SIP Call-ID, if not known before.
        sip_call_id: Option<String>,
    },
    /// It was found out what has answered the leg.
    AnsweredBy {
        /// The leg.
        call: CallSid,
        /// When.
        at: Timestamp,
        /// Who or what.
        by: AnsweredBy,
    },
    /// The leg ended. Exactly once per leg.
    Ended {
        /// The leg.
        call: CallSid,
        /// How it ended.
        end: CallEnd,
    },
    /// The callbacks to send if this server dies before the leg ends; replaces the previous ones.
    Farewell {
        /// The leg.
        call: CallSid,
        /// Stored with the leg's record.
        farewell: Box<Farewell>,
    },
    /// A text message is about to be sent.
    MessageCreated {
        /// The message.
        message: Box<Message>,
        /// The callback to send if this server dies before the message ends, stored with the
        /// message.
        farewell: Option<Box<MessageFarewell>>,
    },
    /// A text message arrived, and its document has not been fetched.
    MessageArrived {
        /// The message.
        message: Box<Message>,
        /// What a later process needs to run its document, stored with the message.
        arrival: Box<TextArrival>,
    },
    /// A text message ended, or the document of one that arrived was fetched. Exactly once per
    /// message.
    MessageEnded {
        /// The record with its final values.
        message: Box<Message>,
        /// Event of the callback about it, if any.
        tells: Option<EventSid>,
    },
    /// A call or text between two participants whose numbers are masked has begun.
    Interacted(Box<masking::Interaction>),
    /// The message of such a text to the other participant is stored.
    InteractionSent {
        /// The interaction.
        interaction: InteractionSid,
        /// The message.
        message: MessageSid,
        /// When.
        at: Timestamp,
    },
    /// An e-mail is to be sent.
    EmailQueued(Box<Email>),
    /// A conference exists.
    ConferenceCreated(Box<Conference>),
    /// The members of a conference now hear each other.
    ConferenceStarted {
        /// The conference.
        conference: ConferenceSid,
        /// When.
        at: Timestamp,
    },
    /// A conference ended. Exactly once per conference.
    ConferenceEnded {
        /// The conference.
        conference: ConferenceSid,
        /// Final status.
        status: ConferenceStatus,
        /// When.
        at: Timestamp,
        /// Reason, as one word.
        reason: String,
    },
    /// The callback to send if this server dies before the conference ends.
    ConferenceFarewell {
        /// The conference.
        conference: ConferenceSid,
        /// Stored with its record.
        farewell: Box<RoomFarewell>,
    },
    /// A call became a member of a conference.
    InConference {
        /// The leg.
        call: CallSid,
        /// When.
        at: Timestamp,
        /// The conference, and the terms.
        membership: Membership,
    },
    /// A call left a conference and continues.
    LeftConference {
        /// The leg.
        call: CallSid,
        /// When.
        at: Timestamp,
        /// The conference.
        conference: ConferenceSid,
    },
    /// A call waits in a queue.
    InQueue {
        /// The leg.
        call: CallSid,
        /// When this was decided.
        at: Timestamp,
        /// The queue.
        queue: QueueSid,
        /// Since when: the calls of a queue are taken in this order.
        since: Timestamp,
    },
    /// A call no longer waits in a queue, and continues.
    LeftQueue {
        /// The leg.
        call: CallSid,
        /// When.
        at: Timestamp,
        /// The queue.
        queue: QueueSid,
    },
    /// A recording is about to begin.
    RecordingStarted {
        /// The recording.
        started: StartedRecording,
        /// The callback to send if this server dies before the recording ends, stored with it.
        farewell: Option<Box<RecordingFarewell>>,
    },
    /// A recording in progress was paused, continued or ended by the API.
    RecordingChanged {
        /// The recording.
        recording: RecordingSid,
        /// Its state.
        status: RecordingStatus,
        /// When.
        at: Timestamp,
    },
    /// A recording is empty, or is complete and reported; in the latter case [`Fact::Recorded`]
    /// follows.
    RecordingClosed {
        /// The recording.
        recording: RecordingSid,
        /// Event of the callback about it, if any.
        tells: Option<EventSid>,
    },
    /// A recording has failed, which is reported; what there is of its file is found later.
    RecordingReported {
        /// The recording.
        recording: RecordingSid,
        /// Event of the callback about it, if any.
        tells: Option<EventSid>,
    },
    /// A recording is complete.
    Recorded(Recording),
    /// The owner of the account is notified of a problem.
    Notified(Notification),
    /// A callback to an application, delivered through the outbox.
    Callback(Callback),
}

/// How a leg ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallEnd {
    /// Final status.
    pub status: CallStatus,
    /// When.
    pub at: Timestamp,
    /// Seconds between answer and end; 0 if it was never answered.
    pub duration_s: i64,
    /// Seconds between creation and answer or end, for outbound legs.
    pub ring_duration_s: Option<i64>,
    /// Reason, as one word.
    pub reason: Reason,
    /// Who ended it.
    pub by: HangupBy,
    /// SIP status that ended it, if any.
    pub sip_status: Option<u16>,
    /// The remote party's reason for the end.
    pub sip_reason: Option<String>,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// Why a leg ended, as one word.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Reason {
            $($(#[$doc])* $name,)+
        }

        impl Reason {
            /// All reasons, in order of declaration.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$name,)+];

            /// The word in records and traces.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

reasons! {
    /// The remote party of this leg hung up.
    HungUp = "hung-up",
    /// The other party of the bridge hung up.
    PartnerHungUp = "partner-hung-up",
    /// The caller canceled before the answer.
    CallerCanceled = "caller-canceled",
    /// The document came to its end.
    DocumentEnd = "document-end",
    /// `<Hangup>`.
    Hangup = "hangup",
    /// `<Reject>`.
    Rejected = "rejected",
    /// The remote party declined with a busy status.
    Busy = "busy",
    /// The remote party refused with another status.
    Refused = "refused",
    /// It was not answered in time.
    NoAnswer = "no-answer",
    /// Another branch of the fork answered first.
    LostRace = "answered-elsewhere",
    /// The leg that dialled it has ended.
    ParentGone = "parent-gone",
    /// The remote party of this leg had the other party of the bridge transferred.
    Transferred = "transferred",
    /// The remote party of this leg asked for a transfer out of a conference.
    TransferRefused = "transfer-refused",
    /// The remote party of this leg hung up after `<Refer>` had it call another address.
    Referred = "referred",
    /// `timeLimit` ran out.
    TimeLimit = "time-limit",
    /// The conference that the leg was in ended.
    ConferenceOver = "conference-over",
    /// The API ended it.
    Api = "api",
    /// The document could not be fetched.
    DocumentFetch = "document-fetch",
    /// The document could not be read.
    DocumentParse = "document-parse",
    /// The application was not found.
    DocumentNotFound = "document-not-found",
    /// Audio for Say or Play was not available.
    AudioFailed = "audio-failed",
    /// The session description cannot be used.
    MediaRefused = "media-refused",
    /// No packet arrived for too long.
    MediaSilence = "media-silence",
    /// Our answer was never acknowledged.
    NoAck = "no-ack",
    /// The path to the remote party was lost.
    Lost = "connection-lost",
    /// Documents redirect in a loop.
    RedirectLoop = "redirect-loop",
    /// A message of the document cannot be sent as written.
    MessageInvalid = "message-invalid",
    /// Its screening document cannot be carried out.
    ScreeningFailed = "screening-failed",
    /// Its record could not be stored.
    NotRecorded = "not-recorded",
    /// Its server was taken for dead, and another one ended it on record.
    NodeLost = "node-lost",
    /// The server stopped.
    Shutdown = "shutdown",
}

impl Reason {
    /// Who ended a leg with this direction and reason.
    #[must_use]
    pub const fn by(self, direction: Direction) -> HangupBy {
        let (far_side, other_party) = match direction {
            Direction::Inbound => (HangupBy::Caller, HangupBy::Callee),
            // Its script dialled the other party.
            Direction::OutboundApi => (HangupBy::Callee, HangupBy::Callee),
            Direction::OutboundDial => (HangupBy::Callee, HangupBy::Caller),
        };
        match self {
            // It stays on the line until the transfer succeeds, but it asked for the end.
            Self::HungUp | Self::Transferred => far_side,
            // A caller does not refuse: the party it was to be connected to did.
            Self::Busy | Self::Refused => HangupBy::Callee,
            Self::PartnerHungUp => other_party,
            Self::CallerCanceled | Self::ParentGone => HangupBy::Caller,
            Self::DocumentEnd | Self::Hangup | Self::Rejected | Self::Referred => {
                HangupBy::Application
            }
            Self::Api => HangupBy::Api,
            Self::NoAck | Self::Lost | Self::MediaSilence => HangupBy::Network,
            Self::NoAnswer
            | Self::LostRace
            | Self::TimeLimit
            | Self::ConferenceOver
            | Self::TransferRefused
            | Self::DocumentFetch
            | Self::DocumentParse
            | Self::DocumentNotFound
            | Self::AudioFailed
            | Self::MediaRefused
            | Self::RedirectLoop
            | Self::MessageInvalid
            | Self::ScreeningFailed
            | Self::NotRecorded
            | Self::NodeLost
            | Self::Shutdown => HangupBy::Platform,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_find_every_reason() {
        let page = include_str!("../../../docs/operating.md");
        for reason in Reason::ALL {
            let row = format!("\n| `{}` | ", reason.as_str());
            assert!(
                page.contains(&row),
                "{reason:?} is not in docs/operating.md"
            );
        }
    }
}
