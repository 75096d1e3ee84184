//! What may be asked of the media plane.
//!
//! **Invariant: controls of one session are carried out in the order they were sent.** A control
//! that names an endpoint that does not exist (any more) is ignored, except where a reply is due.

use media_proto::{EndpointId, PlayId, RecordingId};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc::Sender;

/// One request. Identifiers are chosen by the caller, unique within the session.
#[derive(Debug, Clone)]
pub enum Control {
    /// Opens an endpoint → `Opened` or `Refused`.
    Open {
        /// A new identifier.
        endpoint: EndpointId,
        /// The far side's SDP offer, to be answered; `None`: we offer.
        offer: Option<String>,
        /// Where its signalling comes from (or goes to): packets from this address are accepted
        /// although the SDP names another, and our own address is chosen to be reachable from it.
        signalling: Option<IpAddr>,
    },
    /// The far side's answer to our last offer, also of early media → `RemoteSet` or `Refused`.
    /// May come again with another answer.
    Remote {
        /// Whose.
        endpoint: EndpointId,
        /// Its SDP.
        sdp: String,
    },
    /// A later offer of the far side → `Renegotiated`.
    Renegotiate {
        /// Whose.
        endpoint: EndpointId,
        /// Comes back in the reply.
        req: u64,
        /// `None`: the far side wants our offer; its answer comes with [`Control::Remote`].
        offer: Option<String>,
    },
    /// Plays to the far side, beginning now → `PlayDone` at the end of the last sample.
    ///
    /// Ends a play in progress there. Whoever is bridged to the endpoint is not heard there until
    /// the play is over.
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
    /// Presses keys towards the far side, in place of a play in progress → `PlayDone` after the last.
    /// Mutes the bridge towards the endpoint as long as it goes on.
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
    /// Presses one key towards the far side, behind those that were passed on and are not through yet,
    /// in the way the endpoint agreed on: a key that the bridged leg did not tell in its media. Lost
    /// while something is played there, as the sound of the other leg is.
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
    /// Lets two endpoints hear each other; ends other bridges and plays of both.
    /// An endpoint bridged to itself hears its own echo. Keys reach each side in the way it agreed
    /// on.
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
    /// Records what comes from the legs, mixed, as WAV (8 kHz, 16 bits, mono), beginning now
    /// → `Recorded` or `RecordFailed`, under the id of the first leg.
    ///
    /// With one leg, what is played to it is in the mix too. Ends by itself when all its legs are
    /// closed.
    Record {
        /// A new identifier.
        recording: RecordingId,
        /// At least one.
        legs: Vec<EndpointId>,
        /// The final name; until the end the file has `.part` appended to it.
        path: PathBuf,
    },
    /// Hands out what comes from an endpoint (8 kHz, mono) and nothing of what is played to it,
    /// beginning now. No report follows: the end of the channel is the end of it.
    ///
    /// Ends with `StopRecord`, or with the endpoint. What the channel has no room for is dropped and
    /// counted.
    Listen {
        /// A new identifier, also among those of recordings.
        recording: RecordingId,
        /// Whose audio.
        endpoint: EndpointId,
        /// Gets a tenth of a second at a time.
        audio: Sender<Vec<i16>>,
    },
    /// Ends a recording → its `Recorded` or `RecordFailed`; or a listening.
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
