//! Decodes sound files for playback: WAV, MP3 and Ogg Vorbis, recognised by their first bytes.
//!
//! **Invariant: decoding takes memory in proportion to the file and to the sound, both of which are
//! bounded, terminates, and fails only with a [`PromptError`].** A file shorter than it claims is
//! refused; a broken packet among good ones is skipped. Left to others: fetching the file, and
//! choosing a thread, since decoding is slow.

use crate::RATE;
use crate::resample::{Converter, RATES, down_mix};
use crate::wav::{self, MAX_FILE, WavError};
use std::io::Cursor;
use std::sync::Arc;
use symphonia::core::codecs::audio::AudioDecoder;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;

/// Longest sound in a compressed file, in seconds.
pub const MAX_SECONDS: usize = 3600;
/// Maximum streams of one Ogg file, one after the other.
const MAX_LINKS: usize = 1000;
/// Broken packets skipped before the file is rejected.
const MAX_BROKEN: usize = 16;

/// A prompt ready to play.
#[derive(Debug, Clone, Copy)]
pub struct Prompt;

/// Why a sound file cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// A WAV file that cannot be used.
    #[error(transparent)]
    Wav(#[from] WavError),
    /// It does not begin like any format we read.
    #[error("not a WAV, MP3 or Ogg Vorbis file")]
    Unknown,
    /// Decoding it takes more memory than allowed.
    #[error("decoding the sound file needs more memory than is allowed")]
    Memory,
    /// It is larger than [`MAX_FILE`].
    #[error("sound file is larger than {MAX_FILE} bytes")]
    TooLarge,
    /// It is longer than [`MAX_SECONDS`].
    #[error("sound file is longer than {MAX_SECONDS} seconds")]
    TooLong,
    /// It has no sound, or uses a coding we do not read, such as Opus.
    #[error("{0} file has no sound that can be decoded")]
    NoSound(&'static str),
    /// It ends too early.
    #[error("{0} file is truncated")]
    CutShort(&'static str),
    /// It is damaged.
    #[error("{format} file is broken: {reason}")]
    Broken {
        /// The file's format.
        format: &'static str,
        /// The decoder's explanation.
        reason: String,
    },
}

impl Prompt {
    /// Decodes a sound file to 8 kHz mono samples.
    ///
    /// # Errors
    /// The [`PromptError`] that says what is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<Arc<[i16]>, PromptError> {
        Self::decode_within(bytes, usize::MAX)
    }

    /// [`decode`](Self::decode) with a limit in bytes on the memory used.
    ///
    /// # Errors
    /// [`PromptError::Memory`] if that is not enough, and the others.
    pub fn decode_within(bytes: &[u8], memory: usize) -> Result<Arc<[i16]>, PromptError> {
        if bytes.len() > MAX_FILE {
            return Err(PromptError::TooLarge);
        }
        match bytes {
            [b'R', b'I', b'F', b'F', ..] => decode_wav(bytes, memory),
            [b'O', b'g', b'g', b'S', ..] if ends_inside_page(bytes) => {
                Err(PromptError::CutShort(OGG))
            }
            [b'O', b'g', b'g', b'S', ..] => decode(OGG, links(bytes), memory),
            [b'I', b'D', b'3', ..] | [0xFF, 0xE0..=0xFF, ..] => decode(MP3, [bytes], memory),
            _ => Err(PromptError::Unknown),
        }
    }
}

const MP3: &str = "MP3";
const OGG: &str = "Ogg";

/// Bytes of memory for that many samples while they are collected and copied.
fn taken(samples: usize) -> usize {
    samples.saturating_mul(4)
}

/// Decodes part by part, so that only the result is in memory.
fn decode_wav(bytes: &[u8], memory: usize) -> Result<Arc<[i16]>, PromptError> {
    let parts = wav::Parts::of(bytes)?;
    let (rate, channels) = (parts.rate(), parts.channels());
    let made = parts.frames() as u64 * u64::from(RATE) / u64::from(rate);
    if taken(usize::try_from(made).unwrap_or(usize::MAX)) > memory {
        return Err(PromptError::Memory);
    }
    let mut converter = Converter::new(rate, RATE);
    for part in parts {
        converter.push(&down_mix(&part, channels));
    }
    Ok(converter.finish().into())
}

/// Decodes streams that play one after the other, each with its own rate and channels.
fn decode<'a>(
    format: &'static str,
    streams: impl IntoIterator<Item = &'a [u8]>,
    memory: usize,
) -> Result<Arc<[i16]>, PromptError> {
    let mut samples = Vec::new();
    for (index, stream) in streams.into_iter().enumerate() {
        if index == MAX_LINKS {
            let reason = format!("it has more than {MAX_LINKS} streams");
            return Err(PromptError::Broken { format, reason });
        }
        let left = memory.saturating_sub(taken(samples.len()));
        let more = decode_stream(format, stream, left)?;
        if samples.is_empty() {
            samples = more;
        } else {
            samples.extend_from_slice(&more);
        }
        if samples.len() > MAX_SECONDS * RATE as usize {
            return Err(PromptError::TooLong);
        }
    }
    if samples.is_empty() {
        return Err(PromptError::NoSound(format));
    }
    Ok(samples.into())
}

/// Decodes one stream; it may be empty between others.
fn decode_stream(
    format: &'static str,
    bytes: &[u8],
    memory: usize,
) -> Result<Vec<i16>, PromptError> {
    let broken = |error: Error| PromptError::Broken {
        format,
        reason: error.to_string(),
    };
    let source = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
    let (hint, options) = (Hint::new(), Default::default());
    let probe = symphonia::default::get_probe();
    let mut reader = probe
        .probe(&hint, source, options, Default::default())
        .map_err(broken)?;
    let track = reader.default_track(TrackType::Audio);
    let track = track.ok_or(PromptError::NoSound(format))?;
    let (id, expected) = (track.id, track.num_frames);
    let parameters = track.codec_params.as_ref().and_then(|codec| codec.audio());
    let mut decoder = parameters
        .and_then(|audio| {
            let codecs = symphonia::default::get_codecs();
            codecs.make_audio_decoder(audio, &Default::default()).ok()
        })
        .ok_or(PromptError::NoSound(format))?;
    let mut sound = Sound::new(format);
    sound.memory = memory;
    sound.read(reader.as_mut(), decoder.as_mut(), id)?;
    sound.finish(expected)
}

/// The sound decoded so far.
struct Sound {
    format: &'static str,
    /// Rate and channels are those of the first packet.
    converter: Option<(Converter, u32, u16)>,
    /// Samples per channel.
    frames: u64,
    broken: usize,
    interleaved: Vec<i16>,
    /// Maximum bytes that its samples may take.
    memory: usize,
}

impl Sound {
    fn new(format: &'static str) -> Self {
        Self {
            format,
            converter: None,
            frames: 0,
            broken: 0,
            interleaved: Vec::new(),
            memory: usize::MAX,
        }
    }

    /// Decodes all packets of a track.
    fn read(
        &mut self,
        reader: &mut dyn FormatReader,
        decoder: &mut dyn AudioDecoder,
        track: u32,
    ) -> Result<(), PromptError> {
        loop {
            let packet = match reader.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) | Err(Error::ResetRequired) => return Ok(()),
                Err(Error::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return Ok(());
                }
                Err(error) => {
                    self.leave_out(&error.to_string())?;
                    continue;
                }
            };
            if packet.track_id != track {
                continue;
            }
            match decoder.decode(&packet) {
                Ok(decoded) => {
                    let (rate, channels) = (decoded.spec().rate(), decoded.num_planes());
                    decoded.copy_to_vec_interleaved(&mut self.interleaved);
                    self.add(rate, channels)?;
                }
                Err(error) => self.leave_out(&error.to_string())?,
            }
        }
    }

    /// Adds the packet that was just decoded.
    fn add(&mut self, rate: u32, channels: usize) -> Result<(), PromptError> {
        let channels = u16::try_from(channels).unwrap_or(u16::MAX);
        if self.interleaved.is_empty() {
            return Ok(());
        }
        if channels == 0 || !RATES.contains(&rate) {
            return self.leave_out("its sample rate or its channels are out of bounds");
        }
        let new = || (Converter::new(rate, RATE), rate, channels);
        let (converter, first_rate, first_channels) = self.converter.get_or_insert_with(new);
        if (*first_rate, *first_channels) != (rate, channels) {
            return self.leave_out("its sample rate or its channels change");
        }
        let mono = down_mix(&self.interleaved, channels);
        self.frames += mono.len() as u64;
        converter.push(&mono);
        if self.frames / u64::from(rate) >= MAX_SECONDS as u64 {
            return Err(PromptError::TooLong);
        }
        let made = self.frames * u64::from(RATE) / u64::from(rate);
        if taken(usize::try_from(made).unwrap_or(usize::MAX)) > self.memory {
            return Err(PromptError::Memory);
        }
        Ok(())
    }

    fn leave_out(&mut self, reason: &str) -> Result<(), PromptError> {
        self.broken += 1;
        if self.broken <= MAX_BROKEN {
            return Ok(());
        }
        Err(PromptError::Broken {
            format: self.format,
            reason: reason.to_owned(),
        })
    }

    /// The whole sound; `expected` is the number of samples per channel that the file promised.
    fn finish(self, expected: Option<u64>) -> Result<Vec<i16>, PromptError> {
        // Encoders count delay and padding differently, by up to a few packets.
        let tolerated = 8 * 1152;
        if expected.is_some_and(|expected| self.frames + tolerated < expected) {
            return Err(PromptError::CutShort(self.format));
        }
        Ok(self
            .converter
            .map(|(converter, _, _)| converter.finish())
            .unwrap_or_default())
    }
}

/// The links of a chained Ogg file (RFC 3533 §4): each begins with the first pages of its streams.
fn links(bytes: &[u8]) -> Vec<&[u8]> {
    const FIRST_PAGE: u8 = 2;
    let mut links = Vec::new();
    let (mut start, mut at, mut in_head) = (0, 0, true);
    while let Some(length) = page_length(&bytes[at..]) {
        let is_first = bytes[at + PAGE_FLAGS] & FIRST_PAGE != 0;
        if is_first && !in_head {
            links.push(&bytes[start..at]);
            start = at;
        }
        in_head = is_first;
        at += length;
    }
    links.push(&bytes[start..]);
    links
}

/// True if the last page of an Ogg file is longer than the rest of the file.
fn ends_inside_page(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while rest.starts_with(b"OggS") {
        let Some(length) = page_length(rest) else {
            return true;
        };
        rest = &rest[length..];
    }
    false
}

/// Offset of the flags in a page (RFC 3533 §6).
const PAGE_FLAGS: usize = 5;

/// Length of the page at the start of `bytes`; `None` if it is missing or incomplete.
fn page_length(bytes: &[u8]) -> Option<usize> {
    const HEADER: usize = 27;
    if !bytes.starts_with(b"OggS") {
        return None;
    }
    let segments = usize::from(*bytes.get(HEADER - 1)?);
    let table = bytes.get(HEADER..HEADER + segments)?;
    let body: usize = table.iter().copied().map(usize::from).sum();
    let length = HEADER + segments + body;
    (length <= bytes.len()).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_and_layout_are_bounded() {
        // Frames before, rate, channels, and the outcome for one packet.
        let hour = MAX_SECONDS as u64;
        let table = [
            (0, 8000, 1, Ok(())),
            (hour * 8000 - 1001, 8000, 1, Ok(())),
            (hour * 8000 - 1000, 8000, 1, Err(PromptError::TooLong)),
            (hour * 48_000 - 500, 48_000, 2, Err(PromptError::TooLong)),
        ];
        for (before, rate, channels, expected) in table {
            let mut sound = Sound::new(MP3);
            sound.frames = before;
            sound.interleaved = vec![1; 1000];
            assert_eq!(sound.add(rate, channels), expected, "{before} {rate}");
        }
        for (rate, channels) in [(8000, 2), (16_000, 1), (3000, 1), (8000, 0)] {
            let mut sound = Sound::new(MP3);
            sound.interleaved = vec![1; 1000];
            assert_eq!(sound.add(8000, 1), Ok(()));
            for _ in 0..MAX_BROKEN {
                assert_eq!(sound.add(rate, channels), Ok(()));
            }
            let given_up = sound.add(rate, channels);
            assert!(matches!(given_up, Err(PromptError::Broken { .. })));
            assert_eq!(sound.frames, 1000, "{rate} {channels}");
        }
    }

    #[test]
    fn promised_length() {
        let table = [
            (None, true),
            (Some(1000), true),
            (Some(9000), true),
            (Some(44_100), false),
        ];
        for (expected, complete) in table {
            let mut sound = Sound::new(OGG);
            sound.interleaved = vec![1; 1000];
            sound.add(8000, 1).unwrap();
            assert_eq!(sound.finish(expected).is_ok(), complete, "{expected:?}");
        }
        assert_eq!(Sound::new(OGG).finish(None), Ok(Vec::new()));
    }
}
