//! Speech to text behind one trait.
//!
//! **Invariant: a recognition ends with its future**: dropping it stops everything. Left to others:
//! which audio, and when a call listens.

use std::time::Duration;
use tokio::sync::mpsc::Receiver;

/// What to listen for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenRequest {
    /// Language as a BCP-47 tag.
    pub language: String,
    /// Words likely to be said.
    pub hints: Vec<String>,
    /// How long a silence completes the utterance; `None`: the recognizer decides.
    pub end_silence: Option<Duration>,
}

/// The result of a recognition.
#[derive(Debug, Clone, PartialEq)]
pub struct Understood {
    /// The words; empty if there were none.
    pub text: String,
    /// How sure the recognizer is, from 0 to 1; `None` if it does not say.
    pub confidence: Option<f64>,
}

/// Why nothing was understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// The maximum number of recognitions is already running.
    #[error("all {at_once} recognizers are busy")]
    Busy {
        /// The maximum.
        at_once: usize,
    },
    /// The recognizer failed.
    #[error("`{program}` {detail}")]
    Failed {
        /// The program.
        program: String,
        /// What it did, or wrote.
        detail: String,
    },
}

/// Receives what was understood so far, which may still change. Empty: speech was detected.
pub type OnPartial = Box<dyn Fn(String) + Send + Sync>;

/// Turns speech into text.
#[async_trait::async_trait]
pub trait Recognizer: Send + Sync {
    /// Listens until it detects the end of the utterance, or the audio ends, and returns what was
    /// said.
    ///
    /// - `audio`: 8 kHz mono samples, as they arrive.
    ///
    /// # Errors
    /// The [`ListenError`] that says what to change.
    async fn listen(
        &self,
        request: ListenRequest,
        audio: Receiver<Vec<i16>>,
        partial: OnPartial,
    ) -> Result<Understood, ListenError>;
}
