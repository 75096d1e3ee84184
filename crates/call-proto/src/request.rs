//! The API's requests: the single form of a request for a call or a text message, between its
//! parameters and the machines.

use std::time::Duration;

use model::{
    AccountSid, CallSid, HttpMethod, MessageDirection, MessageSid, RecordingSid, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::callback::{CallbackTarget, LegCallback};
use crate::command::Target;
use crate::detection::Detection;
use crate::dialect::{Dialect, Legs};
use crate::event::{Headers, Planned, Unreachable};
use crate::ids::Ids;
use crate::interjection::InterjectionRefusal;
use crate::recording_request::{NewRecording, RecordingRefusal};

/// A call to create.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewCall {
    /// Account under which it runs.
    pub account: AccountSid,
    /// The caller ID shown to the callee: a number, a name, or a whole SIP address.
    pub from: String,
    /// The party to call.
    pub target: Target,
    /// Headers for the INVITE.
    pub headers: Headers,
    /// Runs when it is answered.
    pub planned: Planned,
    /// Keys sent to the party that answers, before anything runs, as [`OutboundApi::send_digits`](crate::OutboundApi::send_digits).
    pub send_digits: Option<String>,
    /// What is to be found out about who answers.
    pub detection: Option<Detection>,
    /// Receives the events of each leg.
    pub callback: Option<LegCallback>,
    /// Records the leg that answers, from its answer on.
    pub recording: Option<NewRecording>,
    /// How long it may ring.
    pub timeout: Duration,
    /// How long it may last after its answer; `None`: without limit.
    pub time_limit: Option<Duration>,
    /// User name and password for a challenge.
    pub credentials: Option<(String, String)>,
    /// The records of its phones.
    pub legs: Legs,
    /// Dialect of the run: that of the base path of the request.
    pub dialect: Dialect,
}

/// The part of a call that the API makes in a conference.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewParticipant {
    /// Name of the conference.
    pub conference: String,
    /// The application's name for it.
    pub label: Option<String>,
    /// Whether the others do not hear it.
    pub muted: bool,
    /// Whether the conference starts when it enters.
    pub starts: bool,
    /// Whether the conference ends when it leaves.
    pub ends: bool,
    /// The only call that hears it; `None`: all do.
    pub coaches: Option<CallSid>,
    /// Whether the others hear a tone when it enters, and when it leaves.
    pub beeps: (bool, bool),
    /// What it hears until the conference starts; `None`: music.
    pub wait: Option<(String, HttpMethod)>,
}

impl NewParticipant {
    /// What the call runs once it is answered.
    ///
    /// - `author`: account that owns the conference
    #[must_use]
    pub fn planned(self, author: AccountSid) -> Planned {
        let conference = rcml::Conference {
            label: self.label,
            coach: self.coaches,
            muted: self.muted,
            start_on_enter: self.starts,
            end_on_exit: self.ends,
            beep: rcml::Beep {
                enter: self.beeps.0,
                exit: self.beeps.1,
            },
            wait: match self.wait {
                Some((url, method)) => rcml::Wait::At { url, method },
                None => rcml::Wait::Music,
            },
            ..rcml::Conference::new(self.conference)
        };
        let dial = rcml::Dial::new(vec![rcml::Noun::Conference(conference)]);
        Planned::Verbs {
            author,
            verbs: vec![rcml::Verb::Dial(Box::new(dial))],
        }
    }
}

/// Why a call was not created.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CreateError {
    /// There is no route to the callee.
    #[error("{}", .0.text)]
    Unreachable(Unreachable),
    /// The server accepts no new calls: it is full, or about to stop.
    #[error("the server accepts no new calls now")]
    Busy,
    /// The records cannot be stored.
    #[error("the call could not be stored")]
    Store,
}

/// What a request has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Changed {
    /// The call itself.
    Call,
    /// This recording.
    Recording(RecordingSid),
}

/// Why a call was not changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ModifyError {
    /// It has ended, or is not live in this process.
    #[error("the call is not in progress")]
    NotLive,
    /// A party that is still being called cannot run a document.
    #[error("the call has not been answered yet, so it cannot be redirected")]
    NotAnswered,
    /// It is not in the conference whose participant was to be changed.
    #[error("the call is not in this conference")]
    NotInConference,
    /// It does not wait in the queue from which it was to be taken.
    #[error("the call does not wait in this queue")]
    NotInQueue,
    /// It does not hear the sound.
    #[error("{0}")]
    Interjection(InterjectionRefusal),
    /// Its recording was not started or changed.
    #[error("{0}")]
    Recording(RecordingRefusal),
    /// The call did not reply in time, or the change cannot be recorded now.
    #[error("the change is not confirmed; it may still be made")]
    Unconfirmed,
}

/// A text message to send.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NewMessage {
    /// Account it is sent for.
    pub account: AccountSid,
    /// Sender: a number, a name, or a whole SIP address.
    pub from: String,
    /// Recipient: `client:NAME`, a SIP address, or a name or number.
    pub to: String,
    /// The text.
    pub body: String,
    /// What its record and its callbacks show as the text, if the text itself must not be kept.
    pub recorded_as: Option<String>,
    /// How it comes to be sent.
    pub direction: MessageDirection,
    /// `X-` header fields, for a message that goes out by SIP.
    pub headers: Headers,
    /// Receives each status.
    pub callback: Option<CallbackTarget>,
    /// How long a route to the outside may be tried; `None`: [`crate::forwarding::VALIDITY`].
    pub validity: Option<Duration>,
    /// The dialect of the base path of the request.
    #[serde(with = "crate::journal::serde_as::dialect")]
    pub dialect: Dialect,
    /// Identifier of a message that answers a keyword: it is sent even if the recipient has opted out.
    #[serde(default)]
    pub answers_keyword: Option<MessageSid>,
    /// The record that it has already, if it waited for its time.
    #[serde(default)]
    pub released: Option<Released>,
    /// Identifier of its record if that was chosen before: a message that has a record by then is not sent again.
    #[serde(default)]
    pub chosen: Option<MessageSid>,
}

/// The record of a message that waited for its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Released {
    /// Its identifier.
    pub sid: MessageSid,
    /// When it was created.
    pub created: Timestamp,
}

impl NewMessage {
    /// Identifier of a record that another server may have made already, after it took this one for dead.
    #[must_use]
    pub fn known_before(&self) -> Option<MessageSid> {
        self.answers_keyword.or(self.chosen)
    }

    /// The identifier of its record.
    pub(crate) fn sid(&self, now: Timestamp, ids: &mut Ids) -> MessageSid {
        let known = self.released.map(|released| released.sid);
        let known = known.or(self.known_before());
        known.unwrap_or_else(|| MessageSid::new(now, ids.bytes()))
    }

    /// When its record was created.
    pub(crate) fn created(&self, now: Timestamp) -> Timestamp {
        self.released.map_or(now, |released| released.created)
    }
}

/// Why a text message was not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SendError {
    /// The server accepts no new messages: too many are pending, or it is about to stop.
    #[error("the server accepts no new messages now")]
    Busy,
    /// The record cannot be stored.
    #[error("the message could not be stored")]
    Store,
}

impl From<InterjectionRefusal> for ModifyError {
    fn from(refusal: InterjectionRefusal) -> Self {
        Self::Interjection(refusal)
    }
}
