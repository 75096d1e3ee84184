//! What may be asked of the engine, and what the engine needs from its shell.
//!
//! This is the one vocabulary of the media plane: a request that needs neither a socket nor a file is
//! a [`Control`], and the shell passes it on unread. **Invariant: a socket given with [`Opening`] is
//! the engine's until [`Sink::close`] gives it back**, which happens exactly once, or until the
//! endpoint is extracted. Left to others: opening sockets, writing files.

use crate::report::{EndpointId, MixId, PlayId, RecordingId, Report};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A socket of the shell; a small number, since the engine keeps a table by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub usize);

/// The sockets of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// For RTP, and RTCP when multiplexed.
    pub rtp: SocketId,
    /// For RTCP, on the next port.
    pub rtcp: SocketId,
    /// Address to name in SDP, with the RTP port.
    pub address: SocketAddr,
}

/// An endpoint that is to be opened.
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

/// One request. Identifiers are chosen by the caller and name one thing in the whole process.
#[derive(Debug, Clone)]
pub enum Control {
    /// The remote party's answer to our last offer, also of early media → `RemoteSet` or `Refused`.
    /// May come again with another answer.
    Remote {
        /// Whose.
        endpoint: EndpointId,
        /// Its SDP.
        sdp: String,
    },
    /// A later offer of the remote party, or its wish for one of ours → `Renegotiated`.
    Renegotiate {
        /// Whose.
        endpoint: EndpointId,
        /// Comes back in the reply.
        req: u64,
        /// `None`: we offer, and its answer comes with [`Control::Remote`].
        offer: Option<String>,
    },
    /// Plays from now on, in place of a play in progress → `PlayDone` after the last sample.
    /// Mutes the bridge towards the endpoint while it lasts.
    Play {
        /// To whom.
        endpoint: EndpointId,
        /// A new identifier.
        play: PlayId,
        /// 8 kHz mono, in order, without gaps.
        audio: Vec<Arc<[i16]>>,
        /// How often the whole list is played; `None`: until stopped.
        times: Option<u32>,
    },
    /// Ends a play if it is in progress → its `PlayDone`.
    StopPlay {
        /// To whom.
        endpoint: EndpointId,
        /// Which one.
        play: PlayId,
    },
    /// Presses keys towards the remote party, in place of a play in progress → `PlayDone` after the
    /// last. Mutes the bridge towards the endpoint while it lasts.
    ///
    /// As telephone events if they are agreed on, otherwise as tones: 100 ms each, then as long a
    /// gap. [`Control::StopPlay`] ends it.
    SendDigits {
        /// To whom.
        endpoint: EndpointId,
        /// A new identifier, also among those of plays.
        play: PlayId,
        /// `0`–`9`, `*`, `#`, `A`–`D` in any case; `w`, `W` and comma pause for 500 ms. Other
        /// characters are left out.
        digits: String,
    },
    /// Presses one key towards the remote party, behind those that were passed on and are not
    /// through yet, in the way the endpoint agreed on: a key that the bridged leg did not send in
    /// its media. Lost while something is played there, as the sound of the other leg is.
    PassKey {
        /// To whom.
        endpoint: EndpointId,
        /// `0`–`9`, `*`, `#`, `A`–`D`; anything else is left out.
        key: char,
    },
    /// Begins or ends to look for keys inside the audio that comes → `Digit`.
    ///
    /// Does nothing while the endpoint has agreed on telephone events: those are reported always,
    /// and a key shall not be heard twice.
    ListenDigits {
        /// Whose audio.
        endpoint: EndpointId,
        /// At first it is off.
        on: bool,
    },
    /// Lets two endpoints hear each other; both leave whatever they were joined with, and their
    /// plays end. An endpoint bridged to itself hears its own echo. Keys reach each side in the way
    /// it agreed on: events become tones and tones events if these ways differ.
    Bridge {
        /// One.
        a: EndpointId,
        /// The other.
        b: EndpointId,
    },
    /// Ends the bridge between two endpoints if there is one.
    Unbridge {
        /// One.
        a: EndpointId,
        /// The other.
        b: EndpointId,
    },
    /// Makes an endpoint a member of a mix, in place of whatever it was joined with; its play
    /// continues, and mutes the mix towards it. A member that joins again only changes what it does.
    ///
    /// The first member opens the mix, and the mix ends with its last one. Keys of members are
    /// reported and reach no other member as events.
    Join {
        /// Who.
        endpoint: EndpointId,
        /// Chosen by the caller; one mix in the whole process.
        mix: MixId,
        /// The others hear it.
        talk: bool,
        /// It hears the others.
        hear: bool,
    },
    /// Takes an endpoint out of its bridge or its mix.
    Leave {
        /// Who.
        endpoint: EndpointId,
    },
    /// Ends a recording or a listening if it is in progress.
    StopRecord {
        /// Which one.
        recording: RecordingId,
    },
    /// Closes an endpoint → `Closed`, after the `PlayDone` of a play in progress.
    Close {
        /// Which one.
        endpoint: EndpointId,
    },
}

/// What a [`Control`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// One endpoint.
    Endpoint(EndpointId),
    /// Two endpoints that meet: they must be in the same engine.
    Both(EndpointId, EndpointId),
    /// An endpoint that becomes a member of a mix: it must be in the engine of the mix.
    Member(EndpointId, MixId),
    /// A recording.
    Recording(RecordingId),
}

impl Control {
    /// What this request is about.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Remote { endpoint, .. }
            | Self::Renegotiate { endpoint, .. }
            | Self::Play { endpoint, .. }
            | Self::StopPlay { endpoint, .. }
            | Self::SendDigits { endpoint, .. }
            | Self::PassKey { endpoint, .. }
            | Self::ListenDigits { endpoint, .. }
            | Self::Leave { endpoint }
            | Self::Unbridge { a: endpoint, .. }
            | Self::Close { endpoint } => Subject::Endpoint(*endpoint),
            Self::Bridge { a, b } => Subject::Both(*a, *b),
            Self::Join { endpoint, mix, .. } => Subject::Member(*endpoint, *mix),
            Self::StopRecord { recording } => Subject::Recording(*recording),
        }
    }
}

/// How a recording ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingEnd {
    /// It has this many samples, all handed out.
    Finished {
        /// At 8 kHz: 8 per millisecond from start to end.
        samples: u64,
    },
    /// It never began.
    Refused {
        /// For people.
        reason: &'static str,
    },
}

/// Where the engine's output goes, at once and in order.
pub trait Sink {
    /// Sends a datagram; loss is normal.
    fn send(&mut self, socket: SocketId, to: SocketAddr, bytes: &[u8]);

    /// Tells about an endpoint.
    fn report(&mut self, endpoint: EndpointId, report: Report);

    /// The next samples of a recording: 8 kHz, mono, at most 160 at a time.
    fn record(&mut self, recording: RecordingId, samples: &[i16]);

    /// Nothing more comes of a recording. Once per recording and listening.
    fn end_recording(&mut self, recording: RecordingId, end: RecordingEnd);

    /// Gives a socket back.
    fn close(&mut self, socket: SocketId);
}
