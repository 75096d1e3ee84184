//! What the engine reports about its endpoints, and the names of things.
//!
//! **Invariant: an identifier names one thing in the whole process**, so that endpoints of different
//! calls can be joined and move between engines. Left to others: choosing them.

use std::time::Duration;

/// One leg's media: a pair of ports and what flows through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(pub u64);

/// A mix: any number of endpoints that hear each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MixId(pub u64);

/// One `Play`; unique for its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlayId(pub u64);

/// One recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordingId(pub u64);

/// How a key press comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigitWay {
    /// As a telephone event (RFC 4733), which was agreed on.
    Event,
    /// As tones inside the audio.
    Tone,
}

/// News about one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The endpoint is open.
    Opened {
        /// Our answer to the offer given, or our offer.
        sdp: String,
    },
    /// The endpoint could not be opened and does not exist, or the answer given with `Remote`
    /// cannot be used and what was agreed before stays.
    Refused {
        /// SIP status for a request that carried this description: 400, 488 or 503.
        status: u16,
        /// For people.
        reason: String,
    },
    /// The answer given with `Remote` is in force.
    RemoteSet,
    /// Reply to `Renegotiate`.
    Renegotiated {
        /// As in the control.
        req: u64,
        /// Our answer or offer; or why the offer cannot be used, and what was agreed before stays.
        sdp: Result<String, String>,
    },
    /// A play is over. Each `Play` and each `SendDigits` gives exactly one.
    PlayDone {
        /// Which one.
        play: PlayId,
        /// It did not reach its end: stopped, replaced, bridged over, or the endpoint was closed.
        stopped: bool,
    },
    /// The first RTP packet came. At most once per endpoint.
    Heard,
    /// Nothing came for the configured time although the remote party should send. Once, until
    /// packets come again.
    Silence,
    /// A key was pressed.
    Digit {
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
        /// How it came. Of one endpoint all keys come in the same way until it renegotiates.
        way: DigitWay,
    },
    /// A recording is complete and under its final name. Comes with the first leg's id.
    Recorded {
        /// Which one.
        recording: RecordingId,
        /// Its length.
        duration_ms: u64,
        /// Size of the file.
        size_bytes: u64,
    },
    /// A recording could not be made or written. Comes with the first leg's id.
    RecordFailed {
        /// Which one.
        recording: RecordingId,
        /// For people.
        reason: String,
    },
    /// The endpoint is closed; last report about it, but for `Recorded` and `RecordFailed`.
    Closed {
        /// What it counted.
        stats: Stats,
    },
    /// The endpoint was lost by a fault of ours; like [`Report::Closed`], without being asked.
    Failed {
        /// For people.
        reason: String,
    },
}

/// What one endpoint counted over its life. Octets are UDP payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// RTP packets accepted, duplicates included.
    pub packets_in: u64,
    /// Octets of these.
    pub bytes_in: u64,
    /// RTP packets sent.
    pub packets_out: u64,
    /// Octets of these.
    pub bytes_out: u64,
    /// Packets that should have come and did not.
    pub lost: u64,
    /// Interarrival jitter at the end (RFC 3550 §6.4.1).
    pub jitter: Duration,
    /// Time to the remote party and back, from its last RTCP report that allows computing it.
    pub round_trip: Option<Duration>,
    /// Packets converted from another codec on their way out here.
    pub transcoded: u64,
    /// Datagrams from an address that may not speak here.
    pub wrong_source: u64,
    /// Datagrams from the right address that are neither RTP nor RTCP, or broken.
    pub malformed: u64,
    /// Keys that were pressed faster than anybody can, and were not reported.
    pub digits_dropped: u64,
    /// RTP packets whose payload type was not agreed, or that do not fit into their stream.
    pub unexpected: u64,
}
