//! What the shell reports about a media stream. Data only.

use serde::{Deserialize, Serialize};

/// News of a stream.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum StreamNews {
    /// The server has accepted the connection; the stream waits for
    /// [`StreamCommand::Begin`](crate::StreamCommand::Begin).
    Connected,
    /// It has ended; the last news of it.
    Over(Box<StreamOver>),
}

/// How a stream ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StreamOver {
    /// What went wrong: the number in the error table and a text; `None`: the server closed it, or it was
    /// stopped as requested.
    pub failure: Option<(u16, String)>,
    /// What passed through it.
    pub counts: StreamCounts,
}

/// What passed through a stream.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct StreamCounts {
    /// Frames of 20 ms sent to the server.
    pub sent: u64,
    /// Frames of 20 ms dropped because the server did not take them.
    pub unsent: u64,
    /// Milliseconds of audio received from the server.
    pub received_ms: u64,
    /// Milliseconds of it dropped because too much was waiting to be played.
    pub unplayed_ms: u64,
    /// Messages from the server that were not understood.
    pub strange: u64,
    /// What was wrong with the first of them.
    pub first_strange: Option<String>,
}
