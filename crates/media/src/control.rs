//! What may be asked of the media plane.
//!
//! A request that needs a socket, a file or a channel has a form of its own here; all others are those
//! of the engine, passed on unread. **Invariant: controls that name the same endpoint are carried out
//! in the order they were sent**, also while the endpoint moves. A control that names an endpoint that
//! does not exist (any more) is ignored, except where a reply is due.

use media_proto::{EndpointId, RecordingId, Subject};
use std::net::IpAddr;
use std::path::PathBuf;
use tokio::sync::mpsc::Sender;

/// One request. Identifiers are chosen by the caller, unique in the whole process.
#[derive(Debug, Clone)]
pub enum Control {
    /// Opens an endpoint → `Opened` or `Refused`.
    Open {
        /// A new identifier.
        endpoint: EndpointId,
        /// The remote party's SDP offer, to be answered; `None`: we offer.
        offer: Option<String>,
        /// Where its signalling comes from (or goes to): packets from this address are accepted
        /// if the one in the SDP cannot be reached, and our own address is chosen to be reachable from it.
        signalling: Option<IpAddr>,
        /// Whether the remote party is known. If not, packets go nowhere but to `signalling` until
        /// one has come from the address in the SDP.
        proved: bool,
        /// Our offer names the codec of this endpoint first, if it is on the same worker.
        like: Option<EndpointId>,
    },
    /// Records what comes from the legs, mixed, as WAV (8 kHz, 16 bits, mono), beginning now
    /// → `Recorded` or `RecordFailed`, under the id of the first leg.
    ///
    /// With one leg, what is played to it is in the mix too. Ends by itself when all its legs are
    /// closed. A leg that moves to another worker is no longer recorded if there are others.
    Record {
        /// A new identifier.
        recording: RecordingId,
        /// At least one.
        legs: Vec<EndpointId>,
        /// The final name; until the end the file has `.part` appended to it.
        path: PathBuf,
    },
    /// Hands out what comes from an endpoint (8 kHz, mono) and nothing of what is played to it,
    /// beginning now. No report follows: it ends with the channel.
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
    /// Everything else.
    Engine(media_proto::Control),
}

impl From<media_proto::Control> for Control {
    fn from(control: media_proto::Control) -> Self {
        Self::Engine(control)
    }
}

impl Control {
    /// The endpoints that must be on the worker that carries this out.
    pub(crate) fn endpoints(&self) -> Vec<EndpointId> {
        match self {
            Self::Open { endpoint, .. } | Self::Listen { endpoint, .. } => vec![*endpoint],
            Self::Record { legs, .. } => legs.clone(),
            Self::Engine(control) => match control.subject() {
                Subject::Endpoint(endpoint) | Subject::Member(endpoint, _) => vec![endpoint],
                Subject::Both(a, b) => vec![a, b],
                Subject::Recording(_) => Vec::new(),
            },
        }
    }
}
