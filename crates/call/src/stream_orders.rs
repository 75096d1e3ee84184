//! What a call orders of the task of a stream, whatever the kind of its server.
//!
//! **Invariant: `Begin` comes at most once, and nothing counts after `Close`.** Left to others: the tasks
//! (`streams`, `siprec`).

use media::{Frame, PlayId};
use stream_proto::Track;
use tokio::sync::mpsc::Receiver;

/// Why a stream ended unasked: the number in the error table and a text.
pub(crate) type Failure = (u16, String);

/// An instruction from the call to the task of a stream.
pub(crate) enum Instruction {
    Begin(Option<PlayId>, Receiver<Frame>),
    Key(char),
    Marked(u64),
    Unplayed(usize),
    Close,
}

/// The tracks that are sent, in order.
pub(crate) fn tracks(track: rcml::Track) -> Vec<Track> {
    match track {
        rcml::Track::Inbound => vec![Track::Inbound],
        rcml::Track::Outbound => vec![Track::Outbound],
        rcml::Track::Both => vec![Track::Inbound, Track::Outbound],
    }
}

/// The track of a frame.
pub(crate) const fn track_of(frame: &Frame) -> Track {
    match frame.track {
        media::Track::Heard => Track::Inbound,
        media::Track::Sent => Track::Outbound,
    }
}
