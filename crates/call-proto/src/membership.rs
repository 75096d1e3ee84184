//! Messages between a room and the family of a member about the membership. Data only.

use std::num::NonZeroU32;

use model::{CallSid, ConferenceEvent, ConferenceSid, RecordingEvent};
use serde::{Deserialize, Serialize};

use crate::callback::CallbackTarget;
use crate::dialect::Dialect;

/// A member's requested terms on joining.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Wish {
    /// Whether the others do not hear the member, who hears them.
    pub muted: bool,
    /// Whether the conference starts when this member enters.
    pub starts: bool,
    /// Whether that needs another member.
    #[serde(default)]
    pub needs_company: bool,
    /// Whether the conference ends when this member leaves.
    pub ends: bool,
    /// Maximum members of the room, including this one.
    pub max_members: NonZeroU32,
    /// Whether the others hear a tone when this member enters.
    #[serde(default)]
    pub beeps_on_enter: bool,
    /// Whether the others hear a tone when this member leaves.
    #[serde(default)]
    pub beeps_on_exit: bool,
    /// The application's name for the member.
    #[serde(default)]
    pub label: Option<String>,
    /// The only call that hears the member; `None`: all do.
    #[serde(default)]
    pub coaches: Option<CallSid>,
    /// Where the events of the conference go, if no earlier member has named a place.
    #[serde(default)]
    pub callback: Option<Box<RoomCallback>>,
    /// The recording that the conference makes, if no earlier member has asked for one.
    #[serde(default)]
    pub recording: Option<Box<RoomRecording>>,
}

/// The recording of a conference.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RoomRecording {
    /// Whether the silence at both ends is left out.
    pub trim: bool,
    /// Receives these events.
    pub callback: Option<(CallbackTarget, Vec<RecordingEvent>)>,
    /// Dialect of the document that asked for it: decides about its address.
    #[serde(with = "crate::journal::serde_as::dialect")]
    pub dialect: Dialect,
}

/// The callbacks of a conference.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RoomCallback {
    /// Destination.
    pub target: CallbackTarget,
    /// Requested events.
    pub events: Vec<ConferenceEvent>,
}

/// The terms of a membership that can change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Terms {
    /// Whether the others do not hear the member.
    pub muted: bool,
    /// Whether the conference ends when this member leaves.
    pub ends: bool,
    /// Whether it neither hears the others nor is heard.
    pub on_hold: bool,
    /// The only call that hears it; `None`: all do.
    #[serde(default)]
    pub coaches: Option<CallSid>,
}

/// Why a member leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Departure {
    /// It hung up, or pressed the star.
    #[default]
    HungUp,
    /// The API ended or redirected its call.
    Api,
    /// The API removed it from the conference.
    Kicked,
    /// The time limit of its `<Dial>` ran out.
    TimeLimit,
    /// Its call was lost or failed.
    Lost,
}

impl Departure {
    /// The word in callbacks.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::HungUp => "participant_hung_up",
            Self::Api | Self::Kicked => "participant_updated_via_api",
            Self::TimeLimit => "time_limit",
            Self::Lost => "call_lost",
        }
    }
}

/// A tone for the members of a running conference.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Beep {
    /// Another member has entered.
    Enter,
    /// Another member has left.
    Exit,
}

impl Beep {
    /// The word in traces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enter => "entry tone",
            Self::Exit => "exit tone",
        }
    }
}

/// A room's report to the family of a call about its membership.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RoomEvent {
    /// The call is a member.
    Joined {
        /// The conference.
        conference: ConferenceSid,
        /// Who hears the member, and whom it hears.
        place: Place,
    },
    /// Its place in the mix changed.
    Moved {
        /// The conference.
        conference: ConferenceSid,
        /// Who hears the member, and whom it hears.
        place: Place,
    },
    /// The member hears a tone.
    Beep(Beep),
    /// The call is not a member; the last message of this membership.
    Refused {
        /// The reason.
        why: RoomRefusal,
    },
    /// The conference has ended, and with it the membership; the last message about it.
    Over {
        /// The reason.
        why: RoomEnd,
    },
}

/// A member's place in the mix.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Place {
    /// Whether the others hear it.
    pub talks: bool,
    /// Whether the conference has started; until then, all hear silence.
    #[serde(alias = "hears")]
    pub started: bool,
    /// The only call that hears it; `None`: all do.
    #[serde(default)]
    pub coaches: Option<CallSid>,
}

/// Why a call was not admitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RoomRefusal {
    /// The room already has as many members as the request allows.
    Full,
    /// The room has ended, or its record could not be written.
    Unavailable,
}

impl RoomRefusal {
    /// The word in traces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "the room is full",
            Self::Unavailable => "the room is not available",
        }
    }
}

/// Why a conference ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RoomEnd {
    /// The last member left.
    Empty,
    /// A member whose departure ends the conference left.
    MemberLeft,
    /// The API ended it.
    Api,
    /// It reached the maximum duration of a conference.
    TimeLimit,
    /// The server stopped.
    Shutdown,
    /// Something failed inside the server.
    Failed,
}

impl RoomEnd {
    const ALL: [Self; 6] = [
        Self::Empty,
        Self::MemberLeft,
        Self::Api,
        Self::TimeLimit,
        Self::Shutdown,
        Self::Failed,
    ];

    /// The public word for a word in records, which do not say who was removed: that of Twilio, if it has
    /// one.
    #[must_use]
    pub fn public_word(recorded: &str) -> &str {
        let found = Self::ALL.into_iter().find(|end| end.as_str() == recorded);
        found.map_or(recorded, |end| end.public(false))
    }

    /// The word in callbacks: that of Twilio, if it has one.
    ///
    /// - `kicked`: the member that ended it had been removed.
    pub(crate) const fn public(self, kicked: bool) -> &'static str {
        match (self, kicked) {
            (Self::Empty, false) => "last-participant-left",
            (Self::Empty, true) => "last-participant-kicked",
            (Self::MemberLeft, false) => "participant-with-end-conference-on-exit-left",
            (Self::MemberLeft, true) => "participant-with-end-conference-on-exit-kicked",
            (Self::Api, _) => "conference-ended-via-api",
            (Self::TimeLimit | Self::Shutdown | Self::Failed, _) => self.as_str(),
        }
    }

    /// The word in records and traces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "last-member-left",
            Self::MemberLeft => "ended-by-member",
            Self::Api => "ended-by-api",
            Self::TimeLimit => "time-limit",
            Self::Shutdown => "shutdown",
            Self::Failed => "internal-failure",
        }
    }
}
