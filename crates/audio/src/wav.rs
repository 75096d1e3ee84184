//! WAV files: reads the formats that customers upload, writes the one that we record.
//!
//! Read: PCM of 8, 16, 24 and 32 bits, 32-bit float, A-law and µ-law, also as
//! `WAVE_FORMAT_EXTENSIBLE`; 1–8 channels; chunks in any order; sizes larger than the file, or 0
//! although samples follow (as left by recorders that were cut off or that write to a pipe).
//! Written: 8 kHz 16-bit PCM with one channel or two. **Invariant: decoding takes memory in proportion to the input,
//! at most two bytes per byte, and never panics.** Left to others: reading and writing the files.

use crate::{RATE, g711, resample};

/// Largest file we decode, in bytes.
pub const MAX_FILE: usize = 64 * 1024 * 1024;
/// Length of the header that [`header`] makes, in bytes.
pub const HEADER_LEN: usize = 44;

const MAX_CHANNELS: u16 = 8;
const PCM: u16 = 1;
const FLOAT: u16 = 3;
const ALAW: u16 = 6;
const ULAW: u16 = 7;
const EXTENSIBLE: u16 = 0xFFFE;
/// The rest of the sub-format in an extensible header, after the format tag.
const SUB_FORMAT_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];

/// A decoded WAV file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wav {
    /// Sample rate in Hz.
    pub rate: u32,
    /// Number of interleaved channels, at least 1.
    pub channels: u16,
    /// Interleaved samples, converted to 16 bits; whole frames.
    pub samples: Vec<i16>,
}

/// Why a WAV file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WavError {
    /// It does not begin with a RIFF/WAVE header.
    #[error("not a WAV file")]
    NotWav,
    /// It is larger than [`MAX_FILE`].
    #[error("WAV file is larger than {MAX_FILE} bytes")]
    TooLarge,
    /// The chunk is missing or cut short.
    #[error("WAV file has no complete `{0}` chunk")]
    Missing(&'static str),
    /// An encoding that we do not read.
    #[error("WAV format {tag} with {bits} bits is not supported")]
    Unsupported {
        /// The format tag, for example 85 for MP3.
        tag: u16,
        /// Bits per sample.
        bits: u16,
    },
    /// A sample rate or channel number outside the range that we read.
    #[error("WAV file with {channels} channels at {rate} Hz is not supported")]
    Layout {
        /// Sample rate in Hz.
        rate: u32,
        /// Number of channels.
        channels: u16,
    },
}

/// Decodes a WAV file.
///
/// # Errors
/// The [`WavError`] that says what is missing or not supported.
pub fn decode(bytes: &[u8]) -> Result<Wav, WavError> {
    let parts = Parts::of(bytes)?;
    let (rate, channels) = (parts.rate(), parts.channels());
    Ok(Wav {
        rate,
        channels,
        samples: parts.flatten().collect(),
    })
}

/// The samples of a WAV file in parts, using less memory than all at once.
pub(crate) struct Parts<'a> {
    format: Format,
    /// The remaining whole frames.
    data: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Frames of one part.
    const FRAMES: usize = 64 * 1024;

    pub(crate) fn of(bytes: &'a [u8]) -> Result<Self, WavError> {
        let (format, data) = open(bytes)?;
        format.check()?;
        // Whether the format can be read does not depend on the samples.
        format.samples(&[])?;
        let mut parts = Self { format, data };
        let whole = parts.frames() * parts.frame();
        parts.data = &data[..whole];
        Ok(parts)
    }

    /// Sample rate in Hz.
    pub(crate) fn rate(&self) -> u32 {
        self.format.rate
    }

    /// Number of channels, at least 1.
    pub(crate) fn channels(&self) -> u16 {
        self.format.channels
    }

    /// Number of remaining frames.
    pub(crate) fn frames(&self) -> usize {
        self.data.len() / self.frame()
    }

    /// Bytes of one frame.
    fn frame(&self) -> usize {
        usize::from(self.format.channels) * usize::from(self.format.bits / 8).max(1)
    }
}

impl Iterator for Parts<'_> {
    type Item = Vec<i16>;

    fn next(&mut self) -> Option<Self::Item> {
        let length = (Self::FRAMES * self.frame()).min(self.data.len());
        let (part, rest) = self.data.split_at(length);
        self.data = rest;
        (length > 0).then(|| self.format.samples(part).unwrap_or_default())
    }
}

/// The format of a file, and the bytes of its samples.
fn open(bytes: &[u8]) -> Result<(Format, &[u8]), WavError> {
    if bytes.len() > MAX_FILE {
        return Err(WavError::TooLarge);
    }
    let chunks = match bytes {
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'A',
            b'V',
            b'E',
            rest @ ..,
        ] => Chunks(rest),
        _ => return Err(WavError::NotWav),
    };
    let find = |wanted: &'static str| {
        chunks
            .clone()
            .find(|(id, _)| *id == wanted.as_bytes())
            .map(|(_, content)| content)
    };
    let format = find("fmt ")
        .and_then(Format::read)
        .ok_or(WavError::Missing("fmt"))?;
    let data = find("data").ok_or(WavError::Missing("data"))?;
    Ok((format, data))
}

/// The chunks of a file: id and content. The last may be shorter than its stated size.
#[derive(Clone)]
struct Chunks<'a>(&'a [u8]);

impl<'a> Iterator for Chunks<'a> {
    type Item = ([u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (id, rest) = self.0.split_first_chunk()?;
        let (size, rest) = rest.split_first_chunk()?;
        let size = usize::try_from(u32::from_le_bytes(*size)).unwrap_or(usize::MAX);
        let size = if size == 0 && id == b"data" && !is_chunks(rest) {
            usize::MAX
        } else {
            size
        };
        let content = rest.get(..size).unwrap_or(rest);
        // Chunks begin at even offsets.
        self.0 = rest.get(content.len() + size % 2..).unwrap_or_default();
        Some((*id, content))
    }
}

/// Whether the bytes are whole chunks and nothing else, rather than samples of a chunk of unknown
/// size.
fn is_chunks(mut bytes: &[u8]) -> bool {
    while let Some((id, rest)) = bytes.split_first_chunk::<4>() {
        let Some((size, rest)) = rest.split_first_chunk() else {
            return false;
        };
        let size = usize::try_from(u32::from_le_bytes(*size)).unwrap_or(usize::MAX);
        let is_name = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
        if !id.iter().all(is_name) || size > rest.len() {
            return false;
        }
        // The padding at the end of the file may be missing.
        bytes = rest.get(size + size % 2..).unwrap_or_default();
    }
    bytes.is_empty()
}

/// The `fmt ` chunk.
struct Format {
    tag: u16,
    channels: u16,
    rate: u32,
    bits: u16,
}

impl Format {
    fn read(chunk: &[u8]) -> Option<Self> {
        let fields: &[u8; 16] = chunk.first_chunk()?;
        let u16_at = |at: usize| u16::from_le_bytes([fields[at], fields[at + 1]]);
        let tag = match u16_at(0) {
            EXTENSIBLE => sub_format(chunk)?,
            tag => tag,
        };
        let rate = u32::from_le_bytes([fields[4], fields[5], fields[6], fields[7]]);
        Some(Self {
            tag,
            channels: u16_at(2),
            rate,
            bits: u16_at(14),
        })
    }

    fn check(&self) -> Result<(), WavError> {
        let (rate, channels) = (self.rate, self.channels);
        if (1..=MAX_CHANNELS).contains(&channels) && resample::RATES.contains(&rate) {
            Ok(())
        } else {
            Err(WavError::Layout { rate, channels })
        }
    }

    fn samples(&self, data: &[u8]) -> Result<Vec<i16>, WavError> {
        let (tag, bits) = (self.tag, self.bits);
        Ok(match (tag, bits) {
            (PCM, 8) => data.iter().map(|b| (i16::from(*b) - 128) << 8).collect(),
            (PCM, 16) => each(data, i16::from_le_bytes),
            (PCM, 24) => each(data, |[_, low, high]| i16::from_le_bytes([low, high])),
            (PCM, 32) => each(data, |[_, _, low, high]| i16::from_le_bytes([low, high])),
            (FLOAT, 32) => each(data, |bytes| from_float(f32::from_le_bytes(bytes))),
            (ALAW, 8) => data.iter().map(|code| g711::alaw_decode(*code)).collect(),
            (ULAW, 8) => data.iter().map(|code| g711::ulaw_decode(*code)).collect(),
            (_, _) => return Err(WavError::Unsupported { tag, bits }),
        })
    }
}

/// The format tag inside an extensible header, at offset 24.
fn sub_format(chunk: &[u8]) -> Option<u16> {
    match chunk.get(24..40)? {
        [low, high, tail @ ..] if *tail == SUB_FORMAT_TAIL => {
            Some(u16::from_le_bytes([*low, *high]))
        }
        _ => Some(EXTENSIBLE),
    }
}

fn each<const N: usize>(data: &[u8], sample: impl Fn([u8; N]) -> i16) -> Vec<i16> {
    let (groups, _) = data.as_chunks();
    groups.iter().map(|group| sample(*group)).collect()
}

/// ±1 is full scale; larger values are clipped, and NaN is silence.
fn from_float(sample: f32) -> i16 {
    // `as` saturates, and turns NaN into 0.
    (sample * 32768.0).round() as i16
}

/// The header of an 8 kHz 16-bit PCM file, followed by `data_bytes` bytes of samples.
///
/// While a recording runs, its file begins with a header for 0 bytes; at the end that is overwritten.
pub fn header(channels: u16, data_bytes: u32) -> [u8; HEADER_LEN] {
    header_at(channels, data_bytes, RATE)
}

fn header_at(channels: u16, data_bytes: u32, rate: u32) -> [u8; HEADER_LEN] {
    let mut out = *b"RIFF....WAVEfmt \x10\0\0\0\x01\0..########..\x10\0data....";
    let data_bytes = data_bytes.min(u32::MAX - 36);
    let frame = frame_bytes(channels);
    out[4..8].copy_from_slice(&(data_bytes + 36).to_le_bytes());
    out[22..24].copy_from_slice(&channels.to_le_bytes());
    out[24..28].copy_from_slice(&rate.to_le_bytes());
    out[28..32].copy_from_slice(&rate.saturating_mul(frame.into()).to_le_bytes());
    out[32..34].copy_from_slice(&frame.to_le_bytes());
    out[40..44].copy_from_slice(&data_bytes.to_le_bytes());
    out
}

/// Bytes of one 16-bit sample of each channel.
fn frame_bytes(channels: u16) -> u16 {
    channels.max(1).saturating_mul(2)
}

/// The header that makes an interrupted recording valid.
///
/// - `begun`: the header that its file began with.
/// - `file_bytes`: length of the file, header included.
///
/// `None` if the file is too short to hold a header. A part of a frame at the end is not counted.
pub fn repair(begun: &[u8; HEADER_LEN], file_bytes: u64) -> Option<[u8; HEADER_LEN]> {
    let channels = u16::from_le_bytes([begun[22], begun[23]]);
    let frame = u64::from(frame_bytes(channels));
    let data_bytes = file_bytes.checked_sub(HEADER_LEN as u64)?;
    let data_bytes = data_bytes.min(u64::from(u32::MAX - 36)) / frame * frame;
    Some(header(
        channels,
        u32::try_from(data_bytes).unwrap_or(u32::MAX),
    ))
}

/// Length of a recording in milliseconds, from the length of its file in bytes.
pub fn recorded_ms(channels: u16, file_bytes: u64) -> u64 {
    let frames = file_bytes.saturating_sub(HEADER_LEN as u64) / u64::from(frame_bytes(channels));
    frames * 1_000 / u64::from(RATE)
}

/// Encodes 8 kHz mono samples as a whole file.
pub fn encode(samples: &[i16]) -> Vec<u8> {
    encode_at(samples, RATE)
}

/// Encodes mono samples at `rate` Hz as a whole file.
pub fn encode_at(samples: &[i16], rate: u32) -> Vec<u8> {
    let data_bytes = u32::try_from(samples.len() * 2).unwrap_or(u32::MAX);
    let mut out = header_at(1, data_bytes, rate).to_vec();
    out.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{hears, tone_dbfs};
    use crate::tone::Tone;

    /// Format tag, bits, data bytes, samples expected.
    type Case = (u16, u16, &'static [u8], &'static [i16]);

    #[test]
    fn sample_formats() {
        let table: &[Case] = &[
            (PCM, 8, &[0, 128, 255, 127], &[-32768, 0, 32512, -256]),
            (PCM, 16, &[1, 2, 0xFF, 0xFF, 9], &[0x0201, -1]),
            (PCM, 24, &[9, 1, 2, 9, 0xFF, 0xFF, 9], &[0x0201, -1]),
            (PCM, 32, &[9, 9, 1, 2, 9, 9, 0, 0x80], &[0x0201, i16::MIN]),
            (ALAW, 8, &[0xD5, 0x2A], &[8, -32256]),
            (ULAW, 8, &[0xFF, 0x00], &[0, -32124]),
        ];
        for (tag, bits, data, expected) in table {
            for bytes in [
                file(*tag, 1, 8000, *bits, data),
                extensible(*tag, *bits, data),
            ] {
                let wav = decode(&bytes).unwrap();
                assert_eq!((wav.rate, wav.channels), (8000, 1));
                assert_eq!(wav.samples, *expected, "{tag} {bits}");
            }
        }
        let floats: Vec<u8> = [0.0, 0.5, -1.0, 1.0, 7.0, -7.0, f32::NAN, f32::INFINITY]
            .into_iter()
            .flat_map(f32::to_le_bytes)
            .collect();
        let wav = decode(&file(FLOAT, 2, 44_100, 32, &floats)).unwrap();
        assert_eq!(
            wav.samples,
            [0, 16384, -32768, 32767, 32767, -32768, 0, 32767]
        );
    }

    #[test]
    fn a_size_of_0_is_unknown_if_samples_follow() {
        let sized = |size: u32, rest: &[u8]| {
            let mut bytes = file(PCM, 1, 8000, 16, &[]);
            let end = bytes.len();
            bytes[end - 4..].copy_from_slice(&size.to_le_bytes());
            bytes.extend_from_slice(rest);
            bytes
        };
        let note = b"LIST\x04\0\0\0note";
        // The size in the header, the bytes that follow, and the number of samples.
        let table: &[(u32, &[u8], usize)] = &[
            (0, &[], 0),
            (0, &[1, 2, 3, 4], 2),
            (0, &[0; 16], 8),
            (0, &[1, 2, 3], 1),
            (0, note, 0),
            (0, &note[..10], 5),
            (0, b"LIST\xff\0\0\0", 4),
            (u32::MAX, &[1, 2, 3, 4], 2),
            (2, &[1, 2, 3, 4], 1),
        ];
        for (size, rest, samples) in table {
            let wav = decode(&sized(*size, rest)).unwrap();
            assert_eq!(wav.samples.len(), *samples, "{size} {rest:?}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        let good = file(PCM, 1, 8000, 16, &[1, 2]);
        let unsupported = |tag, bits| Err(WavError::Unsupported { tag, bits });
        let layout = |rate, channels| Err(WavError::Layout { rate, channels });
        let mut odd_sub_format = extensible(PCM, 16, &[1, 2]);
        odd_sub_format[58] ^= 1;
        let table: Vec<(&str, Vec<u8>, Result<usize, WavError>)> = vec![
            ("good", good.clone(), Ok(1)),
            ("empty", vec![], Err(WavError::NotWav)),
            (
                "mp3",
                b"ID3\x04\0\0\0\0\0\0\0\0".to_vec(),
                Err(WavError::NotWav),
            ),
            (
                "only a riff header",
                good[..12].to_vec(),
                Err(WavError::Missing("fmt")),
            ),
            (
                "fmt cut short",
                good[..30].to_vec(),
                Err(WavError::Missing("fmt")),
            ),
            (
                "no data",
                good[..36].to_vec(),
                Err(WavError::Missing("data")),
            ),
            (
                "data header cut short",
                good[..43].to_vec(),
                Err(WavError::Missing("data")),
            ),
            ("data of nothing", good[..44].to_vec(), Ok(0)),
            ("mp3 inside", file(85, 1, 8000, 0, &[]), unsupported(85, 0)),
            (
                "pcm of 12 bits",
                file(PCM, 1, 8000, 12, &[]),
                unsupported(PCM, 12),
            ),
            (
                "double float",
                file(FLOAT, 1, 8000, 64, &[]),
                unsupported(FLOAT, 64),
            ),
            (
                "odd sub-format",
                odd_sub_format,
                unsupported(EXTENSIBLE, 16),
            ),
            ("no channel", file(PCM, 0, 8000, 16, &[]), layout(8000, 0)),
            (
                "nine channels",
                file(PCM, 9, 8000, 16, &[]),
                layout(8000, 9),
            ),
            ("rate of 0", file(PCM, 1, 0, 16, &[]), layout(0, 1)),
            (
                "huge rate",
                file(PCM, 1, u32::MAX, 16, &[]),
                layout(u32::MAX, 1),
            ),
        ];
        for (name, bytes, expected) in table {
            assert_eq!(
                decode(&bytes).map(|wav| wav.samples.len()),
                expected,
                "{name}"
            );
        }
        assert_eq!(decode(&vec![0; MAX_FILE + 1]), Err(WavError::TooLarge));
    }

    #[test]
    fn wrong_sizes_and_other_chunks_do_not_matter() {
        let mut cut_off = file(PCM, 2, 8000, 16, &[1, 0, 2, 0, 3, 0, 4, 0, 5, 0]);
        cut_off[40..44].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(decode(&cut_off).unwrap().samples, [1, 2, 3, 4]);
        let good = file(PCM, 1, 8000, 16, &[7, 0]);
        let mut others = good[..12].to_vec();
        others.extend_from_slice(b"LIST\x03\0\0\0abc\0");
        others.extend_from_slice(&good[36..]);
        others.extend_from_slice(&good[12..36]);
        assert_eq!(
            decode(&others).unwrap().samples,
            [7],
            "odd chunk first, data before fmt"
        );
    }

    #[test]
    fn prompts_of_every_rate_sound_alike() {
        for rate in [
            8000u32, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000,
        ] {
            for channels in [1u16, 2] {
                let data: Vec<u8> = (0..rate)
                    .map(|n| {
                        (f64::from(n) * 1000.0 * std::f64::consts::TAU / f64::from(rate)).sin()
                    })
                    .flat_map(|sample| [(sample * 16384.0) as i16; 2].into_iter())
                    .enumerate()
                    .filter(|(index, _)| channels == 2 || index % 2 == 0)
                    .flat_map(|(_, sample)| sample.to_le_bytes())
                    .collect();
                let prompt = crate::Prompt::decode(&file(PCM, channels, rate, 16, &data)).unwrap();
                assert_eq!(prompt.len(), 8000, "{rate} Hz, {channels} channels");
                assert!(hears(&prompt, 1000.0));
                let level = tone_dbfs(&prompt[1000..7000], 1000.0);
                assert!(
                    (level + 9.03).abs() < 0.2,
                    "{rate} Hz, {channels} channels: {level}"
                );
            }
        }
    }

    #[test]
    fn written_files_read_back() {
        let samples = Tone::new(440.0, -10.0).samples(100);
        let bytes = encode(&samples);
        assert_eq!(bytes[..HEADER_LEN], header(1, 1600));
        assert_eq!(
            decode(&bytes).unwrap(),
            Wav {
                rate: 8000,
                channels: 1,
                samples
            }
        );
    }

    #[test]
    fn repair_counts_the_existing_samples() {
        let table = [
            (0, None),
            (43, None),
            (44, Some(0)),
            (45, Some(0)),
            (1045, Some(1000)),
            (u64::MAX, Some(u32::MAX - 37)),
        ];
        for (file_bytes, expected) in table {
            let expected = expected.map(|data_bytes| header(1, data_bytes));
            assert_eq!(repair(&header(1, 0), file_bytes), expected, "{file_bytes}");
        }
        // Recordings cut off in the middle of a sample, and between two channels.
        for (channels, kept) in [(1, &[1, 2, 3][..]), (2, &[1, 2])] {
            let mut bytes = header(channels, 0).to_vec();
            bytes.extend_from_slice(&[1, 0, 2, 0, 3, 0, 4]);
            let begun = bytes.first_chunk().unwrap();
            let repaired = repair(begun, bytes.len() as u64).unwrap();
            bytes[..HEADER_LEN].copy_from_slice(&repaired);
            let read = decode(&bytes).unwrap();
            assert_eq!((read.channels, &read.samples[..]), (channels, kept));
            assert_eq!(
                recorded_ms(channels, 44 + 32_000),
                2000 / u64::from(channels)
            );
        }
    }

    fn file(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut fmt = [tag.to_le_bytes(), channels.to_le_bytes()].concat();
        fmt.extend_from_slice(&rate.to_le_bytes());
        fmt.extend_from_slice(&[0; 6]);
        fmt.extend_from_slice(&bits.to_le_bytes());
        riff(&fmt, data)
    }

    fn extensible(tag: u16, bits: u16, data: &[u8]) -> Vec<u8> {
        let plain = file(EXTENSIBLE, 1, 8000, bits, &[]);
        let mut fmt = plain[20..36].to_vec();
        fmt.extend_from_slice(&[22, 0, 16, 0, 4, 0, 0, 0]);
        fmt.extend_from_slice(&tag.to_le_bytes());
        fmt.extend_from_slice(&SUB_FORMAT_TAIL);
        riff(&fmt, data)
    }

    fn riff(fmt: &[u8], data: &[u8]) -> Vec<u8> {
        let mut out = b"RIFF\0\0\0\0WAVE".to_vec();
        for (id, content) in [(b"fmt ", fmt), (b"data", data)] {
            out.extend_from_slice(id);
            out.extend_from_slice(&(content.len() as u32).to_le_bytes());
            out.extend_from_slice(content);
        }
        out
    }
}
