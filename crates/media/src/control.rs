//! Requests to the media plane.
//!
//! A request that needs a socket, a file or a channel has its own variant here; all others are the
//! engine's, passed on unread. **Invariant: controls that name the same endpoint are carried out in
//! the order they were sent**, even while the endpoint moves. A control that names an endpoint that
//! does not exist (any more) is ignored, except where a reply is due.

use crate::tap::{Frame, Track};
use media_proto::{EndpointId, MixId, RecordingId, Subject, Terms};
use std::net::IpAddr;
use std::path::PathBuf;
use tokio::sync::mpsc::Sender;

/// One request. The caller chooses identifiers, which are unique in the process.
#[derive(Debug, Clone)]
pub enum Control {
    /// Opens an endpoint → `Opened` or `Refused`.
    Open {
        /// A new identifier.
        endpoint: EndpointId,
        /// The remote party's SDP offer to answer; `None`: we offer.
        offer: Option<String>,
        /// Source (or destination) of its signalling: packets from this address are accepted if the
        /// one in the SDP cannot be reached, and we choose our own address to be reachable from it.
        signalling: Option<IpAddr>,
        /// Whether the remote party is known. If not, packets go only to `signalling` until
        /// one has come from the address in the SDP.
        proved: bool,
        /// Our offer names the codec of this endpoint first, if it is on the same worker.
        like: Option<EndpointId>,
    },
    /// Records an endpoint as WAV (8 kHz, 16 bits), beginning now → `Recorded` or `RecordFailed`.
    ///
    /// Ends with `StopRecord`, or with the endpoint.
    Record {
        /// A new identifier.
        recording: RecordingId,
        /// The endpoint that is recorded.
        endpoint: EndpointId,
        /// What the recording contains. Silence is reported as `RecordSilence`.
        terms: Terms,
        /// The final name; until the end, the file has `.part` appended to it.
        path: PathBuf,
    },
    /// Records what all members of a mix say, beginning now, as [`Control::Record`] does; the reports
    /// about it name the endpoint with the number of the recording, which must not exist.
    ///
    /// The mix stays open, and on its worker, until the recording ends: with `StopRecord`, or with the
    /// session.
    RecordMix {
        /// A new identifier.
        recording: RecordingId,
        /// The mix; it may not have members yet.
        mix: MixId,
        /// Leave out the silence before the first voice and after the last.
        trim: bool,
        /// As for [`Control::Record`].
        path: PathBuf,
    },
    /// Hands out one track of an endpoint's audio (8 kHz, mono), beginning now. No report follows: the channel closes at the end.
    ///
    /// Ends with `StopRecord`, or with the endpoint. Audio that does not fit into the channel is
    /// dropped and counted.
    Listen {
        /// A new identifier, also distinct from those of recordings.
        recording: RecordingId,
        /// The endpoint whose audio is handed out.
        endpoint: EndpointId,
        /// Which track.
        track: Track,
        /// Receives a tenth of a second at a time.
        audio: Sender<Vec<i16>>,
    },
    /// Hands out one track of an endpoint's audio frame by frame, beginning now. No report follows: the
    /// channel closes at the end.
    ///
    /// Ends with `StopRecord`, or with the endpoint. Frames that do not fit into the channel are
    /// dropped.
    Tap {
        /// A new identifier, also distinct from those of recordings.
        recording: RecordingId,
        /// The endpoint whose audio is handed out.
        endpoint: EndpointId,
        /// Which audio.
        track: Track,
        /// Receives a frame every 20 ms.
        frames: Sender<Frame>,
    },
    /// Any other request, for the engine.
    Engine(media_proto::Control),
}

impl From<media_proto::Control> for Control {
    fn from(control: media_proto::Control) -> Self {
        Self::Engine(control)
    }
}

impl Control {
    /// Whether it changes nothing before the next frame of a live play: then its worker need not be woken,
    /// since it looks for controls before it makes frames.
    pub(crate) const fn can_wait(&self) -> bool {
        matches!(
            self,
            Self::Engine(
                media_proto::Control::Feed { .. }
                    | media_proto::Control::Mark { .. }
                    | media_proto::Control::ClearLive { .. }
            )
        )
    }

    /// The endpoints that must be on the worker that carries out the request.
    pub(crate) fn endpoints(&self) -> Vec<EndpointId> {
        match self {
            Self::Open { endpoint, .. }
            | Self::Record { endpoint, .. }
            | Self::Listen { endpoint, .. }
            | Self::Tap { endpoint, .. } => vec![*endpoint],
            Self::RecordMix { .. } => Vec::new(),
            Self::Engine(control) => match control.subject() {
                Subject::Endpoint(endpoint) | Subject::Member(endpoint, _) => vec![endpoint],
                Subject::Both(a, b) => vec![a, b],
                Subject::Recording(_) => Vec::new(),
            },
        }
    }
}
