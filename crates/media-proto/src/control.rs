//! Requests to the engine, and the interface that it needs from its shell.
//!
//! A request that needs neither a socket nor a file is a [`Control`], which the shell passes on
//! unread. **Invariant: a socket given with [`Opening`] is the engine's until [`Sink::close`]
//! returns it**, which happens exactly once, or until the endpoint is extracted. Left to others:
//! opening sockets, writing files.

use crate::recorder::Pause;
use crate::report::{EndpointId, MixId, PlayId, RecordingId, Report};
use audio::answerer::Timing;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A socket of the shell; a small number, since it indexes a table in the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub usize);

/// The sockets of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// The RTP socket; also for RTCP when multiplexed.
    pub rtp: SocketId,
    /// The RTCP socket, on the next port.
    pub rtcp: SocketId,
    /// Address to name in SDP, with the RTP port.
    pub address: SocketAddr,
}

/// An endpoint about to be opened.
#[derive(Debug, Clone)]
pub struct Opening {
    /// A new identifier.
    pub endpoint: EndpointId,
    /// Its sockets.
    pub local: Local,
    /// The remote party's SDP offer; `None`: we offer.
    pub offer: Option<String>,
    /// Packets from here are accepted if the address in the SDP cannot be reached.
    pub signalling: Option<IpAddr>,
    /// Whether the remote party is known. If not, packets go nowhere but to `signalling` until one has
    /// come from the address in the SDP.
    pub proved: bool,
    /// Our offer names the codec of this endpoint first, so that packets between them can be
    /// forwarded.
    pub like: Option<EndpointId>,
}

/// A request. The caller chooses identifiers, which are unique in the process.
#[derive(Debug, Clone)]
pub enum Control {
    /// The remote party's answer to our last offer, also for early media → `RemoteSet` or
    /// `Refused`. May come again with another answer.
    Remote {
        /// The endpoint.
        endpoint: EndpointId,
        /// The SDP of the answer.
        sdp: String,
    },
    /// A later offer from the remote party, or its request for one of ours → `Renegotiated`.
    Renegotiate {
        /// The endpoint.
        endpoint: EndpointId,
        /// Returned in the reply.
        req: u64,
        /// The offer; `None`: we offer, and the answer comes with [`Control::Remote`].
        offer: Option<String>,
    },
    /// Plays from now on, replacing a play in progress → `PlayDone` after the last sample. While it
    /// lasts, the endpoint does not hear its bridge.
    Play {
        /// The endpoint that hears it.
        endpoint: EndpointId,
        /// A new identifier.
        play: PlayId,
        /// 8 kHz mono, in order, without gaps.
        audio: Vec<Arc<[i16]>>,
        /// How often to play the whole list; `None`: until stopped.
        times: Option<u32>,
        /// Whether a play in progress waits for the end of this one instead, unless that interrupts as well.
        interrupts: bool,
    },
    /// Plays what [`Control::Feed`] sends from now on, replacing a play in progress; silence while there
    /// is nothing. Does not end by itself. While it lasts, the endpoint does not hear its bridge.
    PlayLive {
        /// The endpoint that hears it.
        endpoint: EndpointId,
        /// A new identifier.
        play: PlayId,
    },
    /// Adds audio to a live play, after what was added before → `Overflow` if it does not fit.
    Feed {
        /// The endpoint that hears it.
        endpoint: EndpointId,
        /// The play; if it is not in progress, the audio is dropped.
        play: PlayId,
        /// 8 kHz mono.
        audio: Vec<i16>,
    },
    /// Adds a mark to a live play → `Marked` when what was added before it has been played; never if
    /// that is cleared, or the play ends.
    Mark {
        /// The endpoint.
        endpoint: EndpointId,
        /// The play.
        play: PlayId,
        /// Returned in the report.
        mark: u64,
    },
    /// Drops what waits in a live play.
    ClearLive {
        /// The endpoint.
        endpoint: EndpointId,
        /// The play.
        play: PlayId,
    },
    /// Ends a play if it is still in progress → its `PlayDone`.
    StopPlay {
        /// The endpoint that hears it.
        endpoint: EndpointId,
        /// The play to end.
        play: PlayId,
    },
    /// Presses keys towards the remote party, replacing a play in progress → `PlayDone` after the
    /// last key. While it lasts, the endpoint does not hear its bridge.
    ///
    /// Sends telephone events if agreed on, otherwise tones: 100 ms each, followed by an equally
    /// long gap. [`Control::StopPlay`] ends it.
    SendDigits {
        /// The endpoint that receives them.
        endpoint: EndpointId,
        /// A new identifier, also distinct from those of plays.
        play: PlayId,
        /// `0`–`9`, `*`, `#`, `A`–`D` in any case; `w`, `W` and comma pause for 500 ms. Other
        /// characters are ignored.
        digits: String,
        /// As for [`Control::Play`].
        interrupts: bool,
    },
    /// Presses one key towards the remote party, in the way the endpoint agreed on, after the
    /// passed-on keys that are still in progress. Used for a key that the bridged leg did not send
    /// in its media. Lost while something is played there, as the sound of the other leg is.
    PassKey {
        /// The endpoint that receives it.
        endpoint: EndpointId,
        /// `0`–`9`, `*`, `#`, `A`–`D`; anything else is ignored.
        key: char,
    },
    /// Starts or stops detecting keys in the received audio → `Digit`.
    ///
    /// Does nothing while the endpoint has agreed on telephone events: those are always reported,
    /// and a key must not be reported twice.
    ListenDigits {
        /// The endpoint whose audio is analysed.
        endpoint: EndpointId,
        /// Initially off.
        on: bool,
    },
    /// Lets two endpoints hear each other; both leave what they were joined to, and their plays
    /// end. An endpoint bridged to itself hears its own echo. Keys reach each side in the way it
    /// agreed on: where these ways differ, events become tones and tones become events.
    Bridge {
        /// One endpoint.
        a: EndpointId,
        /// The other endpoint.
        b: EndpointId,
    },
    /// Ends the bridge between two endpoints if there is one.
    Unbridge {
        /// One endpoint.
        a: EndpointId,
        /// The other endpoint.
        b: EndpointId,
    },
    /// Makes an endpoint a member of a mix, replacing what it was joined to; its play continues,
    /// and it does not hear the mix meanwhile. A member that joins again only changes its role.
    ///
    /// The first member opens the mix, and the mix ends with its last one. Keys of members are
    /// reported and reach no other member as events.
    Join {
        /// The endpoint that joins.
        endpoint: EndpointId,
        /// Chosen by the caller; unique in the process.
        mix: MixId,
        /// The others hear it.
        talk: bool,
        /// It hears the others.
        hear: bool,
        /// Only this member hears it, while both are in the mix; `None`: all others do.
        coaches: Option<EndpointId>,
    },
    /// Takes an endpoint out of its bridge or its mix.
    Leave {
        /// The endpoint that leaves.
        endpoint: EndpointId,
    },
    /// Pauses a recording that is in progress, or continues it.
    PauseRecord {
        /// The recording.
        recording: RecordingId,
        /// What it contains in place of the pause; `None`: it continues.
        pause: Option<Pause>,
    },
    /// Listens to an endpoint until it is known what has answered there, beginning now → `Answerer`, up to
    /// twice. Ends with [`Control::StopRecord`], or with the endpoint.
    DetectAnswerer {
        /// The endpoint.
        endpoint: EndpointId,
        /// A new identifier, also distinct from those of recordings.
        recording: RecordingId,
        /// Lengths of speech and silence.
        timing: Timing,
    },
    /// Ends a recording or tap that is in progress.
    StopRecord {
        /// The recording or tap to end.
        recording: RecordingId,
    },
    /// Closes an endpoint → `Closed`, after the `PlayDone` of a play in progress.
    Close {
        /// The endpoint to close.
        endpoint: EndpointId,
    },
}

/// What a [`Control`] applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// One endpoint.
    Endpoint(EndpointId),
    /// Two endpoints to be joined: they must be in the same engine.
    Both(EndpointId, EndpointId),
    /// An endpoint that becomes a member of a mix: it must be in the engine of the mix.
    Member(EndpointId, MixId),
    /// A recording.
    Recording(RecordingId),
}

impl Control {
    /// What this request applies to.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Remote { endpoint, .. }
            | Self::Renegotiate { endpoint, .. }
            | Self::Play { endpoint, .. }
            | Self::PlayLive { endpoint, .. }
            | Self::Feed { endpoint, .. }
            | Self::Mark { endpoint, .. }
            | Self::ClearLive { endpoint, .. }
            | Self::StopPlay { endpoint, .. }
            | Self::SendDigits { endpoint, .. }
            | Self::PassKey { endpoint, .. }
            | Self::ListenDigits { endpoint, .. }
            | Self::DetectAnswerer { endpoint, .. }
            | Self::Leave { endpoint }
            | Self::Unbridge { a: endpoint, .. }
            | Self::Close { endpoint } => Subject::Endpoint(*endpoint),
            Self::Bridge { a, b } => Subject::Both(*a, *b),
            Self::Join { endpoint, mix, .. } => Subject::Member(*endpoint, *mix),
            Self::PauseRecord { recording, .. } | Self::StopRecord { recording } => {
                Subject::Recording(*recording)
            }
        }
    }
}

/// How a recording ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingEnd {
    /// Complete: this many samples of each channel, all handed out.
    Finished {
        /// At 8 kHz: 8 per millisecond from start to end.
        samples: u64,
        /// How many of them to keep: the rest is trimmed silence. All of them if it is not trimmed.
        keep: u64,
    },
    /// It never began.
    Refused {
        /// Human-readable.
        reason: &'static str,
    },
}

/// Receives the engine's output, immediately and in order.
pub trait Sink {
    /// Sends a datagram; loss is acceptable.
    fn send(&mut self, socket: SocketId, to: SocketAddr, bytes: &[u8]);

    /// Reports on an endpoint.
    fn report(&mut self, endpoint: EndpointId, report: Report);

    /// The next samples of a recording: 8 kHz, at most 160 of each channel at a time; those of two
    /// channels alternate, left first.
    fn record(&mut self, recording: RecordingId, samples: &[i16]);

    /// A recording or tap has ended. Called once for each.
    fn end_recording(&mut self, recording: RecordingId, end: RecordingEnd);

    /// Returns a socket to the shell.
    fn close(&mut self, socket: SocketId);
}
