//! What the packets of the legs contain: a stamp with the time of sending, a tone, or silence.
//!
//! A stamp is found again wherever it is in the audio: a server that decodes and encodes it, or cuts it
//! into other frames, does not change it. **Invariant: every octet of a stamp is the same after µ-law is
//! decoded and encoded**, which 0x7f is not.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// 20 ms of µ-law.
pub const FRAME: usize = 160;
/// A silent µ-law sample.
pub const SILENCE: u8 = 0xff;
/// Octets of a stamp.
pub const STAMP: usize = MARK.len() + 2 * NUMBER;

/// Marks a payload as ours.
const MARK: [u8; 8] = *b"Patchcor";
/// Octets of a number: seven bits each, below a bit that is set.
const NUMBER: usize = 8;

/// When a payload was sent, and by which leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// On the clock of [`now`].
    pub sent_at: Duration,
    /// The leg; 0 for one that has no number.
    pub leg: u64,
}

/// Time since some moment in the past, the same for all threads of this process.
pub fn now() -> Duration {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    ORIGIN.elapsed()
}

impl Stamp {
    /// A stamp with the current time.
    pub fn new(leg: u64) -> Self {
        Self {
            sent_at: now(),
            leg,
        }
    }

    /// Writes it to the start of a payload.
    pub fn write(self, payload: &mut [u8; FRAME]) {
        let (mark, numbers) = payload.split_at_mut(MARK.len());
        mark.copy_from_slice(&MARK);
        let values = [self.sent_at.as_nanos() as u64, self.leg];
        for (octets, value) in numbers.chunks_exact_mut(NUMBER).zip(values) {
            for (at, octet) in octets.iter_mut().rev().enumerate() {
                *octet = 0x80 | (value >> (7 * at)) as u8;
            }
        }
    }

    /// The stamp at the start of some audio, if there is one.
    pub fn read(audio: &[u8]) -> Option<Self> {
        let numbers = audio.get(..STAMP)?.strip_prefix(&MARK)?;
        let value = |octets: &[u8]| {
            let bits = octets.iter().map(|octet| u64::from(octet & 0x7f));
            bits.fold(0, |value, bits| value << 7 | bits)
        };
        let (time, leg) = numbers.split_at(NUMBER);
        Some(Self {
            sent_at: Duration::from_nanos(value(time)),
            leg: value(leg),
        })
    }

    /// How long ago it was written, in µs.
    pub fn age_us(self) -> usize {
        now().saturating_sub(self.sent_at).as_micros() as usize
    }
}

/// Finds stamps in audio that arrives in pieces.
#[derive(Debug, Default)]
pub struct Finder(Vec<u8>);

impl Finder {
    /// Adds a piece; returns the last stamp that it completes.
    pub fn push(&mut self, piece: &[u8]) -> Option<Stamp> {
        self.0.extend(piece);
        let found = self.0.windows(STAMP).rev().find_map(Stamp::read);
        let kept = self.0.len().saturating_sub(STAMP - 1);
        self.0.drain(..kept);
        found
    }
}

/// A square wave of 1 kHz, about 20 dB below the maximum level.
pub fn square() -> [u8; FRAME] {
    std::array::from_fn(|at| if at % 8 < 4 { 0xae } else { 0x2e })
}

/// Whether a tenth of the samples exceed −40 dB of the maximum level.
pub fn is_loud(payload: &[u8]) -> bool {
    let loud = payload.iter().filter(|octet| **octet & 0x7f < 0x4f);
    loud.count() * 10 >= payload.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_survives_a_server() {
        let stamps = [0, 0x7f, 0x3fff, 1 << 40].map(|leg| Stamp {
            sent_at: Duration::from_nanos(leg * 3 + 0x7f7f),
            leg,
        });
        let mut finder = Finder::default();
        let mut audio = vec![SILENCE; 70];
        for stamp in stamps {
            let mut payload = [SILENCE; FRAME];
            stamp.write(&mut payload);
            assert_eq!(Stamp::read(&payload), Some(stamp));
            let samples = payload.map(audio::g711::ulaw_decode);
            audio.extend(samples.map(audio::g711::ulaw_encode));
        }
        // Other frames than those sent.
        let found: Vec<_> = audio.chunks(100).filter_map(|it| finder.push(it)).collect();
        assert_eq!(found, stamps);
        assert_eq!(Stamp::read(&[SILENCE; FRAME]), None);
        assert_eq!(Stamp::read(&MARK), None);
    }

    #[test]
    fn a_tone_is_loud_and_silence_is_not() {
        assert!(!is_loud(&[SILENCE; FRAME]));
        assert!(is_loud(&square()));
    }
}
