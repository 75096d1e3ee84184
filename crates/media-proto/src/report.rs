//! The engine's reports about its endpoints, and the identifiers in them.
//!
//! **Invariant: an identifier is unique in the process**, so that endpoints of different calls can
//! be joined and move between engines. Left to others: choosing them.

use std::time::Duration;

/// One leg's media: a pair of ports and what flows through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(pub u64);

/// A mix: any number of endpoints that hear each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MixId(pub u64);

/// One `Play`; unique within its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlayId(pub u64);

/// One recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordingId(pub u64);

/// How a key press arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigitWay {
    /// As a telephone event (RFC 4733), which was agreed on.
    Event,
    /// As tones in the audio.
    Tone,
}

/// News about one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The endpoint is open.
    Opened {
        /// Our answer to the given offer, or our offer.
        sdp: String,
    },
    /// The endpoint could not be opened and does not exist, or the answer given with `Remote`
    /// cannot be used and the earlier agreement stays.
    Refused {
        /// SIP status for a request that carried this description: 400, 488 or 503.
        status: u16,
        /// Human-readable.
        reason: String,
    },
    /// The answer given with `Remote` is in force.
    RemoteSet,
    /// Reply to `Renegotiate`.
    Renegotiated {
        /// The number from the control.
        req: u64,
        /// Our answer or offer; or the reason why the offer cannot be used, in which case the
        /// earlier agreement stays.
        sdp: Result<String, String>,
    },
    /// A play has ended. Reported exactly once for each `Play` and `SendDigits`.
    PlayDone {
        /// The play.
        play: PlayId,
        /// True if it did not reach its end: stopped, replaced, ended by a bridge, or the endpoint
        /// was closed.
        stopped: bool,
    },
    /// A live play has played everything that was added before a mark.
    Marked {
        /// The play.
        play: PlayId,
        /// The number from the control.
        mark: u64,
    },
    /// Audio for a live play was dropped, because too much waits already.
    Overflow {
        /// The play.
        play: PlayId,
        /// Samples dropped.
        samples: usize,
    },
    /// The first RTP packet arrived. Reported at most once per endpoint.
    Heard,
    /// No packet arrived for the configured time although the remote party should send. Reported
    /// once, until packets resume.
    Silence,
    /// A key was pressed.
    Digit {
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
        /// How it arrived. All keys of an endpoint arrive the same way until it renegotiates.
        way: DigitWay,
    },
    /// A recording has had no voice for the time named in its terms. Reported once, until there is
    /// voice again.
    RecordSilence {
        /// The recording.
        recording: RecordingId,
    },
    /// What was found out about the party that answered.
    Answerer {
        /// A sound of it.
        heard: audio::answerer::Heard,
    },
    /// A recording is complete under its final name. Reported for the first leg.
    Recorded {
        /// The recording.
        recording: RecordingId,
        /// Its length.
        duration_ms: u64,
        /// Size of the file.
        size_bytes: u64,
    },
    /// A recording could not be made or written. Reported for the first leg.
    RecordFailed {
        /// The recording.
        recording: RecordingId,
        /// Human-readable.
        reason: String,
    },
    /// The endpoint is closed; the last report about it, except for `Recorded` and `RecordFailed`.
    Closed {
        /// Its counters.
        stats: Stats,
    },
    /// The endpoint was lost through an internal fault; like [`Report::Closed`], but unrequested.
    Failed {
        /// Human-readable.
        reason: String,
    },
}

/// Counters of one endpoint over its lifetime. Octets are UDP payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// RTP packets accepted, duplicates included.
    pub packets_in: u64,
    /// Octets in those packets.
    pub bytes_in: u64,
    /// RTP packets sent.
    pub packets_out: u64,
    /// Octets in those packets.
    pub bytes_out: u64,
    /// Packets that should have arrived and did not.
    pub lost: u64,
    /// Interarrival jitter at the end of the call (RFC 3550 §6.4.1).
    pub jitter: Duration,
    /// Round-trip time to the remote party, from its last RTCP report that allows computing it.
    pub round_trip: Option<Duration>,
    /// Outgoing packets that were converted from another codec.
    pub transcoded: u64,
    /// Datagrams from an address that is not accepted here.
    pub wrong_source: u64,
    /// Datagrams from the accepted address that are malformed, or neither RTP nor RTCP.
    pub malformed: u64,
    /// Key presses too fast for a person, which were not reported.
    pub digits_dropped: u64,
    /// RTP packets whose payload type was not agreed, or that do not fit into their stream.
    pub unexpected: u64,
}
