//! Audio between packets: decoded, smoothed on a clock, and encoded.
//!
//! ```text
//! packet ─► Hearing ─► Sound ─► recordings, ears
//!                        └────► Feed ─► frames on a clock ─► Voice ─► packet
//! ```
//!
//! A recoding bridge and a mix are built from [`Feed`]s. **Invariant: each payload of a stream is
//! decoded once**, since decoders have memory; and a packet's samples change their rate only here.
//! A codec allocates when its first packet arrives, and not again. Left to others: packets, and the
//! clock.

use audio::codec::{Decoder, Encoder, OctetMap};
use audio::halfband::RateChange;
use audio::{Codec, codec};
use rtp_proto::Header;
use rtp_proto::jitter::{self, Delay, JitterBuffer, Played};
use std::time::{Duration, Instant};

/// Samples of the longest frame we generate: 60 ms.
pub(crate) const MAX_FRAME: usize = codec::MAX_RATE as usize / 1000 * 60;

/// How the audio of one leg is converted for another.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Path {
    /// The payload is forwarded unchanged.
    Forward,
    /// Octets are mapped one to one. Separate from `Recode` because it adds neither delay nor a
    /// clock.
    Map(&'static OctetMap),
    /// Decoded, buffered, and encoded on our own clock.
    Recode,
}

/// The cheapest way from one codec to another.
pub(crate) fn path(from: Codec, to: Codec) -> Path {
    if from == to {
        return Path::Forward;
    }
    from.octet_map(to).map_or(Path::Recode, Path::Map)
}

/// The decoded audio of one packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sound<'a> {
    /// The header of the packet.
    pub(crate) header: Header,
    pub(crate) codec: Codec,
    /// At the codec's sample rate.
    pub(crate) samples: &'a [i16],
}

/// Decodes the packets of one leg. Each codec keeps its decoder: a phone may switch codecs with
/// every packet.
#[derive(Debug, Default)]
pub(crate) struct Hearing([Option<Decoder>; Codec::COUNT]);

impl Hearing {
    /// Decodes a payload, up to the length of `out`.
    pub(crate) fn decode<'a>(
        &mut self,
        header: &Header,
        codec: Codec,
        payload: &[u8],
        out: &'a mut [i16],
    ) -> Sound<'a> {
        let len = self.0.get_mut(codec.index()).map_or(0, |decoder| {
            let decoder = decoder.get_or_insert_with(|| codec.decoder());
            decoder.decode(payload, out)
        });
        Sound {
            header: *header,
            codec,
            samples: out.get(..len).unwrap_or_default(),
        }
    }
}

/// Converts samples of any rate in the table to one rate. Each rate keeps its filter, as in [`Hearing`].
#[derive(Debug)]
pub(crate) struct Rates {
    to: u32,
    kept: Vec<(u32, RateChange)>,
}

impl Rates {
    pub(crate) fn new(to: u32) -> Self {
        let kept = Vec::new();
        Self { to, kept }
    }

    /// Converts samples at `rate` Hz, up to the length of `out`; returns the number of samples
    /// written.
    pub(crate) fn convert(&mut self, samples: &[i16], rate: u32, out: &mut [i16]) -> usize {
        let known = self.kept.iter().position(|(kept, _)| *kept == rate);
        let place = known.unwrap_or_else(|| {
            self.kept.push((rate, change(rate, self.to)));
            self.kept.len() - 1
        });
        let kept = self.kept.get_mut(place);
        kept.map_or(0, |(_, change)| change.convert(samples, out))
    }
}

/// Encodes the audio sent to one leg, or to several that hear the same.
#[derive(Debug)]
pub(crate) struct Voice {
    codec: Codec,
    encoder: Encoder,
    rates: Rates,
}

impl Voice {
    pub(crate) fn new(codec: Codec) -> Self {
        Self {
            codec,
            encoder: codec.encoder(),
            rates: Rates::new(codec.sample_rate()),
        }
    }

    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    /// Encodes a frame of samples at `rate` Hz, up to the length of `out`; returns the number of
    /// octets.
    pub(crate) fn encode(&mut self, samples: &[i16], rate: u32, out: &mut [u8]) -> usize {
        let mut converted = [0; MAX_FRAME];
        let len = self.rates.convert(samples, rate, &mut converted);
        self.encoder.encode(&converted[..len], out)
    }
}

/// The audio of one leg on a clock, at a sample rate of the listener's choice.
#[derive(Debug)]
pub(crate) struct Feed {
    delay: Delay,
    /// Sample rate of the output.
    rate: u32,
    /// One converter for each sample rate seen so far, kept as in [`Hearing`].
    sources: Vec<Source>,
    /// Index of the converter that received the last packet.
    current: Option<usize>,
}

#[derive(Debug)]
struct Source {
    rate: u32,
    buffer: JitterBuffer,
    change: RateChange,
    heard_at: Instant,
}

impl Feed {
    /// A feed with output at `rate` Hz.
    pub(crate) fn new(delay: Delay, rate: u32) -> Self {
        Self {
            delay,
            rate,
            sources: Vec::new(),
            current: None,
        }
    }

    /// Sample rate of the output.
    pub(crate) fn rate(&self) -> u32 {
        self.rate
    }

    /// Adds the audio of a packet.
    pub(crate) fn push(&mut self, sound: &Sound<'_>, now: Instant) {
        let header = jitter::sample_header(&sound.header, sound.codec.samples_per_tick());
        self.push_samples(&header, sound.codec.sample_rate(), sound.samples, now);
    }

    /// Adds samples at `rate` Hz whose timestamps count samples.
    pub(crate) fn push_samples(
        &mut self,
        header: &Header,
        rate: u32,
        samples: &[i16],
        now: Instant,
    ) {
        let known = self.sources.iter().position(|source| source.rate == rate);
        let place = known.unwrap_or_else(|| {
            self.sources.push(Source {
                rate,
                buffer: JitterBuffer::new(self.delay, rate),
                change: change(rate, self.rate),
                heard_at: now,
            });
            self.sources.len() - 1
        });
        if let Some(source) = self.sources.get_mut(place) {
            if self.current != Some(place) {
                source.buffer.reset();
            }
            source.buffer.push(header, samples, now);
            source.heard_at = now;
            self.current = Some(place);
        }
    }

    /// Drops the audio and keeps the buffers.
    pub(crate) fn clear(&mut self) {
        self.current = None;
    }

    /// True if audio has arrived since the feed was made or cleared.
    pub(crate) fn is_heard(&self) -> bool {
        self.current.is_some()
    }

    /// Fills `out`, at most [`MAX_FRAME`] samples, with the next audio.
    pub(crate) fn pull(&mut self, out: &mut [i16], at: Instant) -> Played {
        let current = self.current.and_then(|place| self.sources.get_mut(place));
        let Some(source) = current else {
            out.fill(0);
            return Played::Silence;
        };
        let wanted = out.len() as u64 * u64::from(source.rate) / u64::from(self.rate.max(1));
        let mut samples = [0; MAX_FRAME];
        let samples = &mut samples[..(wanted as usize).min(MAX_FRAME)];
        let played = source.buffer.pull(samples, at);
        let filled = source.change.convert(samples, out);
        out[filled..].fill(0);
        played
    }

    /// How long nothing has arrived.
    pub(crate) fn quiet_for(&self, now: Instant) -> Duration {
        let current = self.current.and_then(|place| self.sources.get(place));
        current.map_or(Duration::MAX, |source| {
            now.saturating_duration_since(source.heard_at)
        })
    }
}

/// A test ensures that all rates of the table can be converted into each other.
fn change(from: u32, to: u32) -> RateChange {
    RateChange::new(from, to).unwrap_or(RateChange::Same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_of_codecs_has_a_way() {
        for from in Codec::all() {
            for to in Codec::all() {
                assert!(RateChange::new(from.sample_rate(), to.sample_rate()).is_some());
                let same_rate = from.sample_rate() == to.sample_rate();
                match path(from, to) {
                    Path::Forward => assert_eq!(from, to),
                    Path::Map(_) => assert!(from != to && same_rate),
                    Path::Recode => assert_ne!(from, to),
                }
            }
            assert!(RateChange::new(audio::RATE, from.sample_rate()).is_some());
        }
    }
}
