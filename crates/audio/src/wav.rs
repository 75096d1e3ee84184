//! WAV.
use std::sync::Arc;

/// A decoded WAV file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wav {
    /// Sample rate in Hz.
    pub rate: u32,
    /// Interleaved channels.
    pub channels: u16,
    /// Interleaved samples, converted to 16 bits.
    pub samples: Vec<i16>,
}
/// Why a WAV file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WavError {
    /// Not a RIFF/WAVE file.
    #[error("not a WAV file")]
    NotWav,
}
/// Decodes a WAV file.
pub fn decode(_bytes: &[u8]) -> Result<Wav, WavError> {
    unimplemented!()
}
/// A prompt ready to play.
#[derive(Debug)]
pub struct Prompt;
impl Prompt {
    /// Decodes a WAV file to 8 kHz mono.
    pub fn decode(_bytes: &[u8]) -> Result<Arc<[i16]>, WavError> {
        unimplemented!()
    }
}
/// Length of the header that [`header`] writes.
pub const HEADER_LEN: usize = 44;
/// The header of an 8 kHz mono 16-bit PCM file with `data_bytes` bytes of samples after it.
/// While recording write `header(0)`, at the end overwrite it.
pub fn header(_data_bytes: u32) -> [u8; HEADER_LEN] {
    unimplemented!()
}
/// The header that makes a broken-off recording of `file_bytes` bytes valid again (`None`: no header there yet).
pub fn repair(_file_bytes: u64) -> Option<[u8; HEADER_LEN]> {
    unimplemented!()
}
/// Encodes 8 kHz mono samples as a whole file.
pub fn encode(_samples: &[i16]) -> Vec<u8> {
    unimplemented!()
}
