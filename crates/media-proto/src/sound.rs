//! Audio between packets: decoded, evened out on a clock, and encoded.
//!
//! ```text
//! packet ─► Hearing ─► Sound ─► recordings, ears
//!                        └────► Feed ─► frames on a clock ─► Voice ─► packet
//! ```
//!
//! A [`Feed`] is what a bridge that recodes and a mix are made of. **Invariant: each payload of a stream
//! is decoded once**, since decoders have memory; and samples change their rate here and nowhere else
//! on the way of a packet. Nothing is allocated while codecs stay the same.
//! Left to others: packets, and the clock.

use audio::codec::{Decoder, Encoder, OctetMap};
use audio::halfband::RateChange;
use audio::{Codec, codec};
use rtp_proto::Header;
use rtp_proto::jitter::{self, Delay, JitterBuffer, Played};
use std::time::{Duration, Instant};

/// Samples of the longest frame we make: 60 ms.
pub(crate) const MAX_FRAME: usize = codec::MAX_RATE as usize / 1000 * 60;

/// How the audio of one leg becomes that of another.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Path {
    /// The payload stays as it is.
    Forward,
    /// Each octet has its counterpart. Kept beside `Recode` since it adds neither delay nor a clock.
    Map(&'static OctetMap),
    /// Decoded, evened out, and encoded on a clock of our own.
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
    /// Of the packet.
    pub(crate) header: Header,
    pub(crate) codec: Codec,
    /// At the codec's sample rate.
    pub(crate) samples: &'a [i16],
}

/// Decodes what comes from one leg.
#[derive(Debug, Default)]
pub(crate) struct Hearing(Option<(Codec, Decoder)>);

impl Hearing {
    /// Decodes a payload, as far as `out` reaches.
    pub(crate) fn decode<'a>(
        &mut self,
        header: &Header,
        codec: Codec,
        payload: &[u8],
        out: &'a mut [i16],
    ) -> Sound<'a> {
        if self.0.as_ref().is_none_or(|(current, _)| *current != codec) {
            self.0 = Some((codec, codec.decoder()));
        }
        let decoder = self.0.as_mut();
        let len = decoder.map_or(0, |(_, decoder)| decoder.decode(payload, out));
        Sound {
            header: *header,
            codec,
            samples: out.get(..len).unwrap_or_default(),
        }
    }
}

/// Encodes what is sent to one leg, or to several that hear the same.
#[derive(Debug)]
pub(crate) struct Voice {
    codec: Codec,
    encoder: Encoder,
    rate: u32,
    change: RateChange,
}

impl Voice {
    pub(crate) fn new(codec: Codec) -> Self {
        let rate = codec.sample_rate();
        Self {
            codec,
            encoder: codec.encoder(),
            rate,
            change: RateChange::Same,
        }
    }

    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    /// Encodes a frame of samples at `rate` Hz, as far as `out` reaches; returns how many octets.
    pub(crate) fn encode(&mut self, samples: &[i16], rate: u32, out: &mut [u8]) -> usize {
        if rate != self.rate {
            self.rate = rate;
            self.change = change(rate, self.codec.sample_rate());
        }
        let mut converted = [0; MAX_FRAME];
        let len = self.change.convert(samples, &mut converted);
        self.encoder.encode(&converted[..len], out)
    }
}

/// The audio of one leg on a clock, at a sample rate of the listener's choice.
#[derive(Debug)]
pub(crate) struct Feed {
    delay: Delay,
    /// Sample rate of what comes out.
    rate: u32,
    source: Option<Source>,
}

#[derive(Debug)]
struct Source {
    rate: u32,
    buffer: JitterBuffer,
    change: RateChange,
    heard_at: Instant,
}

impl Feed {
    /// A feed that gives samples at `rate` Hz.
    pub(crate) fn new(delay: Delay, rate: u32) -> Self {
        Self {
            delay,
            rate,
            source: None,
        }
    }

    /// Sample rate of what comes out.
    pub(crate) fn rate(&self) -> u32 {
        self.rate
    }

    /// Takes the audio of a packet.
    pub(crate) fn push(&mut self, sound: &Sound<'_>, now: Instant) {
        let header = jitter::sample_header(&sound.header, sound.codec.samples_per_tick());
        self.push_samples(&header, sound.codec.sample_rate(), sound.samples, now);
    }

    /// Takes samples at `rate` Hz whose timestamps count samples.
    pub(crate) fn push_samples(
        &mut self,
        header: &Header,
        rate: u32,
        samples: &[i16],
        now: Instant,
    ) {
        let fits = self
            .source
            .as_ref()
            .is_some_and(|source| source.rate == rate);
        if !fits {
            self.source = Some(Source {
                rate,
                buffer: JitterBuffer::new(self.delay, rate),
                change: change(rate, self.rate),
                heard_at: now,
            });
        }
        if let Some(source) = &mut self.source {
            source.buffer.push(header, samples, now);
            source.heard_at = now;
        }
    }

    /// Fills `out`, at most [`MAX_FRAME`] samples, with what is next.
    pub(crate) fn pull(&mut self, out: &mut [i16], at: Instant) -> Played {
        let Some(source) = &mut self.source else {
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

    /// How long nothing has come.
    pub(crate) fn quiet_for(&self, now: Instant) -> Duration {
        self.source.as_ref().map_or(Duration::MAX, |source| {
            now.saturating_duration_since(source.heard_at)
        })
    }
}

/// A test holds that all rates of the table can be changed into each other.
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
