//! A session description as values (RFC 8866).
//!
//! What telephone audio needs has its own fields; every other attribute is kept as written
//! (`crypto`, `ice-ufrag`, `fingerprint`, `mid`, `group`, …). Other lines are skipped when read.
//! **Invariant: a [`Session`] that came from text has at most [`MAX_MEDIA`] media lines**, each
//! with at most [`MAX_FORMATS`] formats and [`MAX_ATTRIBUTES`] other attributes, so the work on it
//! is bounded.

use audio::Codec;
use std::net::IpAddr;

/// Longest description we read, in octets.
pub const MAX_TEXT: usize = 64 * 1024;
/// Maximum media lines we read.
pub const MAX_MEDIA: usize = 32;
/// Maximum formats we read per media line.
pub const MAX_FORMATS: usize = 128;
/// Maximum other attributes we keep for the session, and for each media line.
pub const MAX_ATTRIBUTES: usize = 256;

/// Encoding name of key events (RFC 4733).
pub(crate) const TELEPHONE_EVENT: &str = "telephone-event";

/// Who sends, seen from the side that states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both sides.
    #[default]
    SendRecv,
    /// Only the stating side.
    SendOnly,
    /// Only the other side.
    RecvOnly,
    /// Neither side.
    Inactive,
}

impl Direction {
    /// The direction of a side that sends, receives, both or neither.
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

    /// The direction that both sides allow.
    pub fn both(self, other: Self) -> Self {
        Self::new(
            self.sends() && other.sends(),
            self.receives() && other.receives(),
        )
    }

    /// The SDP attribute name.
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
        /// Line number, counted from 1.
        line: usize,
        /// What is wrong with the line.
        reason: &'static str,
    },
    /// The text is longer than [`MAX_TEXT`].
    #[error("description is longer than {MAX_TEXT} octets")]
    TooLong,
    /// No audio line has a port.
    #[error("no audio media")]
    NoAudio,
    /// All audio uses a profile that we do not offer, for example an encrypted one.
    #[error("no audio with a supported transport profile")]
    NoCommonProfile,
    /// None of the offered codecs is ours.
    #[error("no common audio codec")]
    NoCommonCodec,
    /// The connection address is missing, a host name or malformed.
    #[error("no usable connection address")]
    NoAddress,
    /// The answer refuses our media, or omits it.
    #[error("the answer refuses the audio we offered")]
    Refused,
}

impl SdpError {
    /// SIP status for a request that carried such an offer: 400 if it is not SDP, 488 otherwise.
    pub fn status(&self) -> u16 {
        match self {
            Self::Syntax { .. } | Self::TooLong => 400,
            Self::NoAudio
            | Self::NoCommonProfile
            | Self::NoCommonCodec
            | Self::NoAddress
            | Self::Refused => 488,
        }
    }
}

/// A session description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// `o=`; `None` if missing or unreadable.
    pub origin: Option<Origin>,
    /// `c=` at session level.
    pub connection: Option<Connection>,
    /// Direction at session level.
    pub direction: Option<Direction>,
    /// The other attributes at session level, in order.
    pub attributes: Vec<Attribute>,
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
    /// Raised with each change to the description.
    pub version: u64,
    /// Address of the originator.
    pub address: Connection,
}

/// The address of a `c=` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// A host name, or something that is not an address; kept as written.
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
    /// The transport profile: `RTP/AVP`, `RTP/SAVP`, `UDP/TLS/RTP/SAVPF`, …
    pub protocol: Profile,
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
    /// Preferred packet length, in ms.
    pub ptime_ms: Option<u32>,
    /// Longest packet allowed, in ms.
    pub max_ptime_ms: Option<u32>,
    /// `a=rtcp`: port, and address if given (RFC 3605).
    pub rtcp: Option<(u16, Option<Connection>)>,
    /// `a=rtcp-mux` (RFC 5761).
    pub rtcp_mux: bool,
    /// The other attributes, in order.
    pub attributes: Vec<Attribute>,
}

/// A transport profile, as written in an `m=` line; compared without regard to case.
#[derive(Debug, Clone, Default)]
pub struct Profile(String);

impl Profile {
    /// Plain RTP (RFC 3551).
    pub const PLAIN: &'static str = "RTP/AVP";

    /// A profile as written.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Profile {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Profile {}

/// An attribute without a dedicated field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// The text after the colon; `None` without a colon.
    pub value: Option<String>,
}

/// The meaning of a payload type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtpMap {
    /// Payload type, 0–127.
    pub payload_type: u8,
    /// Encoding name as written.
    pub name: String,
    /// Clock rate in Hz.
    pub clock_rate: u32,
    /// Channels, 1 if not given.
    pub channels: u32,
}

impl Media {
    /// The codec that a payload type stands for here, by `a=rtpmap` or static assignment.
    pub fn codec(&self, payload_type: u8) -> Option<Codec> {
        match self.rtpmap(payload_type) {
            Some(map) => Codec::of_encoding(&map.name, map.clock_rate, map.channels),
            None => Codec::of_static_payload_type(payload_type),
        }
    }

    /// The value of an attribute without a dedicated field; empty if it has no value.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let mut named = self
            .attributes
            .iter()
            .filter(|attribute| attribute.name.eq_ignore_ascii_case(name));
        named
            .next()
            .map(|found| found.value.as_deref().unwrap_or(""))
    }

    /// True if a payload type means telephone-event on a clock of `clock_rate` Hz here.
    pub fn is_telephone_event(&self, payload_type: u8, clock_rate: u32) -> bool {
        self.rtpmap(payload_type).is_some_and(|map| {
            map.name.eq_ignore_ascii_case(TELEPHONE_EVENT) && map.clock_rate == clock_rate
        })
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
