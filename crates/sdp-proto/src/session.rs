//! The text.
/// An audio codec we can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}
impl Codec {
    /// The static payload type (RFC 3551).
    pub fn static_payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }
    /// The encoding name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }
}
/// Who sends, seen from the side that says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both.
    #[default]
    SendRecv,
    /// Only the speaker.
    SendOnly,
    /// Only the other side.
    RecvOnly,
    /// Nobody.
    Inactive,
}
impl Direction {
    /// True if this side sends.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }
    /// True if this side receives.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
    /// The same, seen from the other side.
    pub fn reversed(self) -> Self {
        match self {
            Self::SendRecv => Self::SendRecv,
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            Self::Inactive => Self::Inactive,
        }
    }
}
/// Why a description cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Not SDP.
    #[error("line {line}: {reason}")]
    Syntax {
        /// 1-based.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// No codec in common (488).
    #[error("no common audio codec")]
    NoCommonCodec,
}
/// A parsed session description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    _private: (),
}
impl Session {
    /// Parses a description, tolerant of line ends and unknown lines.
    pub fn parse(_text: &str) -> Result<Self, SdpError> {
        unimplemented!()
    }
}
