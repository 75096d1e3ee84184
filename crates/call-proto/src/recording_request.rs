//! What the API asks for: a new recording of a live call, or a change of one of a call or conference.

use model::RecordingSid;
use rcml::{RecordingEvent, Sides};
use serde::{Deserialize, Serialize};

use crate::callback::CallbackTarget;

/// A recording of a call to start.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NewRecording {
    /// Who is in it, as seen from the leg that is recorded.
    #[serde(with = "crate::journal::serde_as::sides")]
    pub sides: Sides,
    /// Whether the silence at both ends is left out.
    pub trim: bool,
    /// Receives these events.
    pub callback: Option<(CallbackTarget, Vec<RecordingEvent>)>,
}

/// A change of a recording in progress.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RecordingChange {
    /// Which recording; `None`: the newest that the API can change.
    pub recording: Option<RecordingSid>,
    /// What happens to it.
    pub turn: Turn,
}

/// What happens to a recording.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Turn {
    /// What is said from now on does not become a part of it.
    Pause(Pause),
    /// It continues after a pause.
    Resume,
    /// It ends.
    Stop,
}

impl Turn {
    /// For the trace.
    pub(crate) const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Pause(Pause::Silence) => ("pause recording", "silence"),
            Self::Pause(Pause::Skip) => ("pause recording", "skip"),
            Self::Resume => ("resume recording", ""),
            Self::Stop => ("stop recording", ""),
        }
    }
}

/// What a recording contains in place of a pause.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Pause {
    /// Silence of the same length.
    Silence,
    /// Nothing: it continues where it was paused.
    Skip,
}

/// Why a recording was not started or changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecordingRefusal {
    /// There is nothing to record yet.
    #[error("the call has not been answered yet, so it cannot be recorded")]
    NotAnswered,
    /// The media side cannot make so many at once.
    #[error("the call already has as many recordings as it can have at once")]
    TooMany,
    /// None of this call or conference has this identifier.
    #[error("there is no such recording in progress")]
    Unknown,
    /// No recording is open that the request could mean.
    #[error("nothing is being recorded")]
    NothingToChange,
    /// `<Record>` ends it: the application waits for that.
    #[error("a recording of `Record` cannot be changed; it is ended by its verb")]
    OfVerb,
    /// It has ended.
    #[error("the recording has ended")]
    Over,
    /// A second pause.
    #[error("the recording is paused already")]
    AlreadyPaused,
    /// It is not paused, so it cannot be continued.
    #[error("the recording is in progress already")]
    NotPaused,
}
