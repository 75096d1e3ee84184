//! What a room and the family of a member say to each other about the membership. Data only.

use std::num::NonZeroU32;

use model::ConferenceSid;
use serde::{Deserialize, Serialize};

/// What a member asks for on joining.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Wish {
    /// The member hears the others, and they do not hear it.
    pub muted: bool,
    /// The conference starts when this member enters: before, all hear silence.
    pub starts: bool,
    /// The conference ends when this member leaves.
    pub ends: bool,
    /// The room must not have more members than this, the new one included.
    pub max_members: NonZeroU32,
}

/// What a room reports to the family of a call about its membership.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RoomEvent {
    /// The call is a member.
    Joined {
        /// Which conference.
        conference: ConferenceSid,
        /// Whom it hears, and who hears it.
        place: Place,
    },
    /// Its place in the mix changed.
    Moved {
        /// Which conference.
        conference: ConferenceSid,
        /// Whom it hears, and who hears it.
        place: Place,
    },
    /// The call is not a member; the last message of this membership.
    Refused {
        /// Why.
        why: RoomRefusal,
    },
    /// The conference is over, and with it the membership; the last message of it.
    Over {
        /// Why.
        why: RoomEnd,
    },
}

/// A member's place in the mix.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Place {
    /// The others hear it.
    pub talks: bool,
    /// The conference has started: before, everybody hears silence.
    #[serde(alias = "hears")]
    pub started: bool,
}

/// Why a call was not admitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RoomRefusal {
    /// As many members as the request allows are in it already.
    Full,
    /// The room has ended, or its record could not be written.
    Unavailable,
}

impl RoomRefusal {
    /// For traces.
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
    /// It existed as long as a conference may.
    TimeLimit,
    /// The server stopped.
    Shutdown,
    /// Something failed inside the server.
    Failed,
}

impl RoomEnd {
    /// The word in records and traces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "last-member-left",
            Self::MemberLeft => "ended-by-member",
            Self::TimeLimit => "time-limit",
            Self::Shutdown => "shutdown",
            Self::Failed => "internal-failure",
        }
    }
}
