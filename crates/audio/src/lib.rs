//! Samples in, samples out: codecs, sound files, resampling, mixing, tones, keys and measurement.
//!
//! Everything operates on 16-bit linear samples; the telephone rate is 8 kHz mono.
//! **Invariant: nothing here performs input or output, and no input makes it panic.**
//! Left to others: files, packets and time.

#![forbid(unsafe_code)]

pub mod answerer;
pub mod codec;
pub mod dtmf;
pub mod g711;
pub mod halfband;
pub mod measure;
pub mod mix;
pub mod music;
pub mod prompt;
pub mod resample;
pub mod ringback;
pub mod tone;
pub mod voice;
pub mod wav;

pub use codec::Codec;
pub use prompt::{Prompt, PromptError};
pub use wav::{Wav, WavError};

/// The telephone sample rate, in Hz: what every prompt, mix and recording uses.
pub const RATE: u32 = 8000;
