//! The codecs as rows of one table: their SDP names, how their packets count time, and the
//! functions that encode and decode.
//!
//! G.722 has two clocks: it samples at 16 kHz, but its RTP timestamps count at 8 kHz (RFC 3551
//! §4.5.2, an error of RFC 1890 that was kept). **Invariant: nothing outside this table knows one codec
//! from another**; a codec is added by adding a row. Encoding and decoding allocate nothing.
//! Left to others: payload types in use, packets, and the moment a frame is due.

use crate::g711;
use audio_codec::g722::{G722Decoder, G722Encoder};
use audio_codec::{Decoder as _, Encoder as _};
use std::fmt::{Debug, Formatter};
use std::sync::LazyLock;

/// The highest sample rate of a codec in the table, in Hz.
pub const MAX_RATE: u32 = 16_000;

/// A codec: a row of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Codec(u8);

struct Row {
    name: &'static str,
    payload_type: Option<u8>,
    clock_rate: u32,
    sample_rate: u32,
    fmtp: Option<&'static str>,
    samples_per_octet: usize,
    has_memory: bool,
    decoder: fn() -> Decoder,
    encoder: fn() -> Encoder,
}

static TABLE: [Row; Codec::COUNT] = [
    Row {
        name: "PCMU",
        payload_type: Some(0),
        clock_rate: 8000,
        sample_rate: 8000,
        fmtp: None,
        samples_per_octet: 1,
        has_memory: false,
        decoder: || Decoder(Decoding::Octets(g711::ulaw_decode_slice)),
        encoder: || Encoder(Encoding::Octets(g711::ulaw_encode_slice)),
    },
    Row {
        name: "PCMA",
        payload_type: Some(8),
        clock_rate: 8000,
        sample_rate: 8000,
        fmtp: None,
        samples_per_octet: 1,
        has_memory: false,
        decoder: || Decoder(Decoding::Octets(g711::alaw_decode_slice)),
        encoder: || Encoder(Encoding::Octets(g711::alaw_encode_slice)),
    },
    Row {
        name: "G722",
        payload_type: Some(9),
        clock_rate: 8000,
        sample_rate: 16_000,
        fmtp: None,
        samples_per_octet: 2,
        has_memory: true,
        decoder: || Decoder(Decoding::G722(Box::default())),
        encoder: || Encoder(Encoding::G722(Box::default())),
    },
];

/// Maps each payload octet of one codec to the same samples in another.
pub type OctetMap = [u8; 256];

/// Pairs of codecs whose octets correspond one to one.
static OCTET_MAPS: LazyLock<[(Codec, Codec, OctetMap); 2]> = LazyLock::new(|| {
    let ulaw_to_alaw = |code| g711::alaw_encode(g711::ulaw_decode(code));
    let alaw_to_ulaw = |code| g711::ulaw_encode(g711::alaw_decode(code));
    [
        (Codec::PCMU, Codec::PCMA, octet_map(ulaw_to_alaw)),
        (Codec::PCMA, Codec::PCMU, octet_map(alaw_to_ulaw)),
    ]
});

impl Codec {
    /// G.711 µ-law.
    pub const PCMU: Self = Self(0);
    /// G.711 A-law.
    pub const PCMA: Self = Self(1);
    /// G.722 at 64 kbit/s.
    pub const G722: Self = Self(2);

    /// Number of rows in the table.
    pub const COUNT: usize = 3;

    /// The row number in the table.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// All codecs, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(|row| Self(row as u8))
    }

    /// The codec of an SDP encoding: its name in any case, its clock rate and its channels.
    pub fn of_encoding(name: &str, clock_rate: u32, channels: u32) -> Option<Self> {
        Self::all().find(|codec| {
            codec.name().eq_ignore_ascii_case(name)
                && codec.clock_rate() == clock_rate
                && channels == 1
        })
    }

    /// The codec statically assigned to a payload type (RFC 3551 §6).
    pub fn of_static_payload_type(payload_type: u8) -> Option<Self> {
        Self::all().find(|codec| codec.static_payload_type() == Some(payload_type))
    }

    /// The encoding name in SDP.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The static payload type (RFC 3551 §6); `None` if it has only dynamic ones.
    pub fn static_payload_type(self) -> Option<u8> {
        self.row().payload_type
    }

    /// Units of RTP timestamps per second.
    pub fn clock_rate(self) -> u32 {
        self.row().clock_rate
    }

    /// Samples per second that are encoded; a whole multiple of the clock rate.
    pub fn sample_rate(self) -> u32 {
        self.row().sample_rate
    }

    /// The `a=fmtp` parameters to state in SDP.
    pub fn fmtp(self) -> Option<&'static str> {
        self.row().fmtp
    }

    /// Samples in a payload of that many octets.
    pub fn samples(self, payload_octets: usize) -> usize {
        payload_octets * self.row().samples_per_octet
    }

    /// True if decoding depends on earlier payloads: such a decoder must follow one encoder without
    /// a gap.
    pub fn has_memory(self) -> bool {
        self.row().has_memory
    }

    /// Samples of a frame of `ms` milliseconds.
    pub fn frame_samples(self, ms: u32) -> usize {
        (self.sample_rate() / 1000 * ms) as usize
    }

    /// RTP timestamp units for that many samples.
    pub fn ticks(self, samples: usize) -> u32 {
        samples as u32 / self.samples_per_tick()
    }

    /// Samples per RTP timestamp unit.
    pub fn samples_per_tick(self) -> u32 {
        self.row().sample_rate / self.row().clock_rate
    }

    /// The octet map to another codec, if octets of the two correspond: packets can then be
    /// forwarded one by one, without samples, buffer or clock.
    pub fn octet_map(self, to: Self) -> Option<&'static OctetMap> {
        let mut maps = OCTET_MAPS.iter();
        let (_, _, map) = maps.find(|(a, b, _)| (*a, *b) == (self, to))?;
        Some(map)
    }

    /// A decoder for one stream.
    pub fn decoder(self) -> Decoder {
        (self.row().decoder)()
    }

    /// An encoder for one stream.
    pub fn encoder(self) -> Encoder {
        (self.row().encoder)()
    }

    fn row(self) -> &'static Row {
        &TABLE[self.index()]
    }
}

impl Debug for Codec {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Decodes the payloads of one stream, in order.
pub struct Decoder(Decoding);

enum Decoding {
    /// Each octet independently.
    Octets(fn(&[u8], &mut [i16]) -> usize),
    G722(Box<G722Decoder>),
}

impl Decoder {
    /// Decodes a payload, up to the length of `out`; returns the number of samples.
    pub fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize {
        match &mut self.0 {
            Decoding::Octets(decode) => decode(payload, out),
            Decoding::G722(decoder) => {
                let fits = payload.len().min(out.len() / 2);
                decoder.decode_into(&payload[..fits], out).unwrap_or(0)
            }
        }
    }
}

impl Debug for Decoder {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoder")
    }
}

/// Encodes the samples of one stream.
pub struct Encoder(Encoding);

enum Encoding {
    /// Each sample independently.
    Octets(fn(&[i16], &mut [u8]) -> usize),
    G722(Box<G722Encoder>),
}

impl Encoder {
    /// Encodes samples, up to the length of `out`; returns the number of octets.
    pub fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> usize {
        match &mut self.0 {
            Encoding::Octets(encode) => encode(samples, out),
            Encoding::G722(encoder) => {
                let fits = samples.len().min(out.len() * 2);
                encoder.encode_into(&samples[..fits], out).unwrap_or(0)
            }
        }
    }
}

impl Debug for Encoder {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encoder")
    }
}

fn octet_map(convert: impl Fn(u8) -> u8) -> OctetMap {
    std::array::from_fn(|code| convert(code as u8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::tone_dbfs_at;
    use crate::tone::Tone;

    #[test]
    fn rows() {
        // Name, payload type, clock, samples per second, and samples and ticks of 160 octets.
        let table = [
            (Codec::PCMU, "PCMU", Some(0), 8000, 8000, 160, 160),
            (Codec::PCMA, "PCMA", Some(8), 8000, 8000, 160, 160),
            (Codec::G722, "G722", Some(9), 8000, 16_000, 320, 160),
        ];
        assert_eq!(Codec::all().count(), table.len());
        for (codec, name, number, clock, rate, samples, ticks) in table {
            assert_eq!(codec.name(), name);
            assert_eq!(codec.static_payload_type(), number);
            assert_eq!((codec.clock_rate(), codec.sample_rate()), (clock, rate));
            assert!(rate <= MAX_RATE && rate % clock == 0);
            assert_eq!(codec.samples(160), samples);
            assert_eq!(codec.ticks(samples), ticks);
            assert_eq!(codec.frame_samples(20), samples);
            assert_eq!(codec.has_memory(), codec == Codec::G722);
            let lower = name.to_lowercase();
            assert_eq!(Codec::of_encoding(&lower, clock, 1), Some(codec));
            assert_eq!(Codec::of_encoding(name, clock + 1, 1), None);
            assert_eq!(Codec::of_encoding(name, clock, 2), None);
            let found = number.and_then(Codec::of_static_payload_type);
            assert_eq!(found, Some(codec));
        }
        assert_eq!(Codec::of_static_payload_type(3), None);
    }

    #[test]
    fn every_codec_carries_its_whole_band() {
        for codec in Codec::all() {
            let rate = codec.sample_rate();
            for hz in [300.0, 1000.0, 3300.0, 4700.0, 6500.0] {
                let (mut encoder, mut decoder) = (codec.encoder(), codec.decoder());
                let mut tone = Tone::at_rate(hz, -10.0, rate);
                let mut heard = Vec::new();
                for _ in 0..50 {
                    let mut frame = [0; 320];
                    let frame = &mut frame[..codec.frame_samples(20)];
                    tone.fill(frame);
                    let mut payload = [0; 320];
                    let len = encoder.encode(frame, &mut payload);
                    assert_eq!(codec.samples(len), frame.len());
                    let mut out = [0; 640];
                    let len = decoder.decode(&payload[..len], &mut out);
                    assert_eq!(len, frame.len());
                    heard.extend_from_slice(&out[..len]);
                }
                if hz < f64::from(rate) * 0.45 {
                    let level = tone_dbfs_at(&heard[rate as usize / 10..], hz, rate);
                    assert!((level + 16.2).abs() < 1.0, "{codec:?} {hz} Hz: {level}");
                }
            }
        }
    }

    #[test]
    fn buffers_of_any_length() {
        for codec in Codec::all() {
            for (octets, room) in [(0, 10), (7, 0), (7, 1), (7, 5), (300, 2000)] {
                let len = codec
                    .decoder()
                    .decode(&vec![0x5A; octets], &mut vec![0; room]);
                assert!(len <= room && len <= codec.samples(octets));
            }
            for (samples, room) in [(0, 10), (7, 0), (7, 1), (7, 20), (300, 2000)] {
                let len = codec
                    .encoder()
                    .encode(&vec![-77; samples], &mut vec![0; room]);
                assert!(len <= room);
            }
        }
    }

    /// After a stream of random payloads of any length, the same decoder still decodes a good
    /// stream.
    #[test]
    fn fuzz_any_octets_can_be_decoded() {
        for codec in Codec::all() {
            let mut random = testkit::random::Random(7);
            let (mut decoder, mut out) = (codec.decoder(), [0; 1000]);
            for _ in 0..2000 {
                let octets = random.index(600);
                let payload: Vec<u8> = (0..octets).map(|_| random.index(256) as u8).collect();
                let room = random.index(out.len());
                let len = decoder.decode(&payload, &mut out[..room]);
                assert!(len <= room && len <= codec.samples(octets));
                assert!(len + 1 >= room.min(codec.samples(octets)));
            }
            let (mut encoder, mut tone) = (
                codec.encoder(),
                Tone::at_rate(1000.0, -10.0, codec.sample_rate()),
            );
            let mut heard = Vec::new();
            for _ in 0..50 {
                let mut payload = [0; 160];
                encoder.encode(&tone.samples(20), &mut payload);
                let len = decoder.decode(&payload, &mut out);
                heard.extend_from_slice(&out[..len]);
            }
            let last = &heard[heard.len() / 2..];
            assert!(
                crate::measure::hears_at(last, 1000.0, codec.sample_rate()),
                "{codec:?}"
            );
        }
    }

    #[test]
    fn octets_correspond_between_the_laws() {
        for (from, to) in [(Codec::PCMU, Codec::PCMA), (Codec::PCMA, Codec::PCMU)] {
            let (map, back) = (from.octet_map(to).unwrap(), to.octet_map(from).unwrap());
            for code in 0..=u8::MAX {
                let twice = back[usize::from(map[usize::from(code)])];
                let (mut before, mut after) = ([0], [0]);
                from.decoder().decode(&[code], &mut before);
                from.decoder().decode(&[twice], &mut after);
                let step = (i32::from(before[0]).abs() / 16).max(16);
                assert!((i32::from(before[0]) - i32::from(after[0])).abs() <= step);
            }
        }
        assert!(Codec::G722.octet_map(Codec::PCMU).is_none());
        assert!(Codec::PCMU.octet_map(Codec::PCMU).is_none());
    }
}
