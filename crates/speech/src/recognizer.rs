//! Speech to text behind one trait.
//!
//! **Invariant: a listening ends with its future**: whoever drops it wants nothing more, and nothing
//! goes on. Left to others: which audio, and when a call listens.

use std::time::Duration;
use tokio::sync::mpsc::Receiver;

/// What to listen for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenRequest {
    /// Language as a BCP-47 tag.
    pub language: String,
    /// Words that are likely to be said.
    pub hints: Vec<String>,
    /// The silence after which what was said is complete; `None`: the recognizer decides.
    pub end_silence: Option<Duration>,
}

/// What was said.
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
    /// All places are taken.
    #[error("all {at_once} recognizers are busy")]
    Busy {
        /// How many there may be.
        at_once: usize,
    },
    /// The recognizer failed.
    #[error("`{program}` {detail}")]
    Failed {
        /// The program.
        program: String,
        /// What it did, or said.
        detail: String,
    },
}

/// Is told what was understood so far; may still change. Empty: somebody speaks.
pub type OnPartial = Box<dyn Fn(String) + Send + Sync>;

/// Something that turns speech into text.
#[async_trait::async_trait]
pub trait Recognizer: Send + Sync {
    /// Listens until it finds the end of what is said, or the audio ends, and gives what was said.
    ///
    /// - `audio`: 8 kHz mono samples, as they come.
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
