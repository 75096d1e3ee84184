//! A session description as values (RFC 8866).
//!
//! Only what telephone audio needs is kept; other lines are skipped when read.
//! **Invariant: a [`Session`] that came from text has at most [`MAX_MEDIA`] media lines**, each
//! with at most [`MAX_FORMATS`] formats, so work on it is bounded.

use std::net::IpAddr;

/// Longest description we read, in octets.
pub const MAX_TEXT: usize = 64 * 1024;
/// Most media lines we read.
pub const MAX_MEDIA: usize = 32;
/// Most formats of one media line we read.
pub const MAX_FORMATS: usize = 128;

/// An audio codec we can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

impl Codec {
    /// The static payload type (RFC 3551 §6).
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
    /// Both sides.
    #[default]
    SendRecv,
    /// Only the side that says it.
    SendOnly,
    /// Only the other side.
    RecvOnly,
    /// Nobody.
    Inactive,
}

impl Direction {
    /// From what a side does.
    pub fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

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
        Self::new(self.receives(), self.sends())
    }

    /// What both allow.
    pub fn both(self, other: Self) -> Self {
        Self::new(
            self.sends() && other.sends(),
            self.receives() && other.receives(),
        )
    }

    /// The attribute name.
    pub fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// Why a description cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Not a session description.
    #[error("line {line}: {reason}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        reason: &'static str,
    },
    /// Longer than [`MAX_TEXT`].
    #[error("description is longer than {MAX_TEXT} octets")]
    TooLong,
    /// No audio with a port is described.
    #[error("no audio media")]
    NoAudio,
    /// All audio uses a profile other than RTP/AVP, for example an encrypted one.
    #[error("no audio over plain RTP/AVP")]
    NoPlainProfile,
    /// Nothing in common.
    #[error("no common audio codec")]
    NoCommonCodec,
    /// The connection address is missing, a host name or malformed.
    #[error("no usable connection address")]
    NoAddress,
    /// The answer refuses our media, or lacks it.
    #[error("the answer refuses the audio we offered")]
    Refused,
}

impl SdpError {
    /// SIP status for a request that carried such an offer: 400 if it is no SDP, 488 otherwise.
    pub fn status(&self) -> u16 {
        match self {
            Self::Syntax { .. } | Self::TooLong => 400,
            Self::NoAudio
            | Self::NoPlainProfile
            | Self::NoCommonCodec
            | Self::NoAddress
            | Self::Refused => 488,
        }
    }
}

/// A session description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// `o=`, if there was a readable one.
    pub origin: Option<Origin>,
    /// `c=` at session level.
    pub connection: Option<Connection>,
    /// Direction at session level.
    pub direction: Option<Direction>,
    /// The media lines in order.
    pub media: Vec<Media>,
}

/// The `o=` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// User name or `-`.
    pub username: String,
    /// Session id.
    pub session_id: u64,
    /// Raised with each change of the description.
    pub version: u64,
    /// Address of the originator.
    pub address: Connection,
}

/// The address of a `c=` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// A host name, or something that is no address; kept as written.
    Other(String),
}

impl Connection {
    /// The address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Other(_) => None,
        }
    }
}

/// One `m=` line with its attributes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Media {
    /// `audio`, `video`, …
    pub kind: String,
    /// Transport port; 0 refuses the media.
    pub port: u16,
    /// `RTP/AVP`, …
    pub protocol: String,
    /// The formats as written.
    pub formats: Vec<String>,
    /// `c=` at media level.
    pub connection: Option<Connection>,
    /// Direction at media level.
    pub direction: Option<Direction>,
    /// What dynamic formats mean.
    pub rtpmaps: Vec<RtpMap>,
    /// Format parameters: payload type and text.
    pub fmtps: Vec<(u8, String)>,
    /// Packet length wanted, in ms.
    pub ptime_ms: Option<u32>,
    /// Longest packet allowed, in ms.
    pub max_ptime_ms: Option<u32>,
    /// `a=rtcp`: port, and address if given (RFC 3605).
    pub rtcp: Option<(u16, Option<Connection>)>,
    /// `a=rtcp-mux` (RFC 5761).
    pub rtcp_mux: bool,
}

/// The meaning of a payload type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtpMap {
    /// 0–127.
    pub payload_type: u8,
    /// Encoding name as written.
    pub name: String,
    /// In Hz.
    pub clock_rate: u32,
    /// Channels, 1 if not given.
    pub channels: u32,
}

impl Media {
    /// The codec a payload type means here, by `a=rtpmap` or its static assignment.
    pub fn codec(&self, payload_type: u8) -> Option<Codec> {
        let codecs = [Codec::Pcmu, Codec::Pcma];
        match self.rtpmap(payload_type) {
            Some(map) => codecs.into_iter().find(|codec| map.is(codec.name())),
            None => codecs
                .into_iter()
                .find(|codec| codec.static_payload_type() == payload_type),
        }
    }

    /// True if a payload type means telephone-event on the 8000 Hz clock here.
    pub fn is_telephone_event(&self, payload_type: u8) -> bool {
        self.rtpmap(payload_type)
            .is_some_and(|map| map.is("telephone-event"))
    }

    /// The formats that are payload types, in order.
    pub fn payload_types(&self) -> impl Iterator<Item = u8> + '_ {
        self.formats
            .iter()
            .filter_map(|format| format.parse().ok())
            .filter(|format| *format < 128)
    }

    fn rtpmap(&self, payload_type: u8) -> Option<&RtpMap> {
        self.rtpmaps
            .iter()
            .find(|map| map.payload_type == payload_type)
    }
}

impl RtpMap {
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) && self.clock_rate == 8000 && self.channels == 1
    }
}
