//! Text to speech and speech to text, behind one trait each.
//!
//! [`EmbeddedSpeech`] runs the free engines flite (American English) and espeak-ng (everything
//! else) as child processes and caches their output on disk; other engines can implement
//! [`Synthesizer`] too. [`CommandRecognizer`] runs a program that recognises speech; none is
//! configured by default.
//!
//! | module | what it does |
//! |---|---|
//! | [`language`] | language codes of documents to voices of engines |
//! | [`voice`] | names of voices, also those of other platforms |
//! | `engine` | finds and runs the programs |
//! | `cache` | keeps spoken texts |
//! | [`embedded`] | combines these |
//! | `recognizer` | speech to text, as a trait |
//! | `command` | implements it with a program |
//!
//! **Invariant: a language or voice that no engine has is replaced by the nearest one, never
//! silently**: [`Synthesizer::substitution`] and a warning in the log say so. Left to others: when
//! a call speaks, and playing the samples.

#![forbid(unsafe_code)]

mod cache;
mod command;
pub mod embedded;
mod engine;
pub mod language;
mod recognizer;
pub mod voice;

use std::sync::Arc;
use std::time::Duration;

pub use command::{CommandRecognizer, ListenLimits};
pub use embedded::{EmbeddedSpeech, Limits};
pub use engine::{Engine, EngineStatus};
pub use recognizer::{ListenError, ListenRequest, OnPartial, Recognizer, Understood};
pub use voice::Voice;

/// A text to speak, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpeakRequest {
    /// Plain text.
    pub text: String,
    /// A code from [`language::CODES`] or a BCP-47 tag, in any case; empty means `en`.
    pub language: String,
    /// The kind of voice.
    pub voice: Voice,
    /// How it speaks.
    pub manner: Manner,
}

/// How a text is spoken, compared with the voice as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// Pace in percent.
    pub pace: u16,
    /// Pitch in percent.
    pub pitch: u16,
    /// Loudness in decibels.
    pub loudness_db: i16,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            pace: 100,
            pitch: 100,
            loudness_db: 0,
        }
    }
}

/// Why a text cannot be spoken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpeechError {
    /// The text is too long.
    #[error("text of {chars} characters is over the limit of {limit}")]
    TextTooLong {
        /// Its length.
        chars: usize,
        /// The limit.
        limit: usize,
    },
    /// No engine for the language is installed.
    #[error("no speech engine for `{language}` is installed: {install}")]
    EngineMissing {
        /// The requested language.
        language: String,
        /// What to install.
        install: String,
    },
    /// The engine took too long and was stopped.
    #[error("`{engine}` did not finish within {} s", .limit.as_secs())]
    TimedOut {
        /// The program.
        engine: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// All engine slots stayed busy.
    #[error("too many texts are being spoken at once")]
    Busy,
    /// The engine failed.
    #[error("`{engine}` failed: {detail}")]
    Failed {
        /// The program.
        engine: &'static str,
        /// Its error output.
        detail: String,
    },
}

/// Something that turns text into speech.
#[async_trait::async_trait]
pub trait Synthesizer: Send + Sync {
    /// Speaks a text: 8 kHz mono samples without silence around. A text without any letter or
    /// digit may give no samples.
    ///
    /// # Errors
    /// The [`SpeechError`] that says what to change or install.
    async fn speak(&self, request: SpeakRequest) -> Result<Arc<[i16]>, SpeechError>;

    /// The sentence for the document's author that says what is spoken instead of the requested
    /// language and voice; `None` if they are available.
    fn substitution(&self, language: &str, voice: Voice) -> Option<String> {
        let _ = (language, voice);
        None
    }
}
