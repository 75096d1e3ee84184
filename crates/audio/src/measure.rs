//! Measures samples: their overall level, and the level of one tone.
//!
//! All levels are dBFS: 0 is the RMS of a square wave at full scale, so a full-scale sine has
//! −3.01, and 0 dBm0 is about −6.17 (G.711 overloads at 3.14 dBm0 for A-law, 3.17 for µ-law).
//! **Invariant: the tone levels of a sum of tones add up to its RMS level** (in power), if each has
//! whole periods in the frame.

use crate::RATE;
use std::f64::consts::TAU;

/// RMS level in dBFS; −∞ for silence and for no samples.
pub fn rms_dbfs(samples: &[i16]) -> f64 {
    power_db(mean_square(samples))
}

/// Level in dBFS of the component at `hz`, for samples at [`RATE`].
pub fn tone_dbfs(samples: &[i16], hz: f64) -> f64 {
    tone_dbfs_at(samples, hz, RATE)
}

/// Level in dBFS of the component at `hz`, for samples at `rate` Hz (a Goertzel filter over the
/// whole slice: the longer it is, the narrower the band; 20 ms resolve ±25 Hz).
pub fn tone_dbfs_at(samples: &[i16], hz: f64, rate: u32) -> f64 {
    power_db(tone_power(samples, hz, rate))
}

/// True if a tone at `hz` carries at least half of the power of the samples (at [`RATE`]) and is
/// louder than −45 dBFS.
pub fn hears(samples: &[i16], hz: f64) -> bool {
    hears_at(samples, hz, RATE)
}

/// As [`hears`], for samples at `rate` Hz.
pub fn hears_at(samples: &[i16], hz: f64, rate: u32) -> bool {
    let tone = tone_power(samples, hz, rate);
    power_db(tone) > -45.0 && tone >= mean_square(samples) / 2.0
}

/// Mean square, with full scale as 1.
fn mean_square(samples: &[i16]) -> f64 {
    let sum: f64 = samples
        .iter()
        .map(|sample| f64::from(*sample).powi(2))
        .sum();
    sum / (samples.len().max(1) as f64 * 32768.0 * 32768.0)
}

fn tone_power(samples: &[i16], hz: f64, rate: u32) -> f64 {
    let coefficient = 2.0 * (TAU * hz / f64::from(rate.max(1))).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in samples {
        let next = f64::from(*sample) / 32768.0 + coefficient * last - before;
        (before, last) = (last, next);
    }
    let squared = last * last + before * before - coefficient * last * before;
    let len = samples.len().max(1) as f64;
    // |X|² of a sine with amplitude a is (a·len/2)²; its mean square is a²/2.
    2.0 * squared.max(0.0) / (len * len)
}

fn power_db(power: f64) -> f64 {
    10.0 * power.log10()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::Tone;

    #[test]
    fn known_levels() {
        assert_eq!(rms_dbfs(&[]), f64::NEG_INFINITY);
        assert_eq!(rms_dbfs(&[0; 160]), f64::NEG_INFINITY);
        assert!(rms_dbfs(&[i16::MIN; 160]).abs() < 0.001);
        let sine = Tone::new(1000.0, 3.17).samples(100);
        assert!((rms_dbfs(&sine) + 3.01).abs() < 0.02, "{}", rms_dbfs(&sine));
        assert!((tone_dbfs(&sine, 1000.0) + 3.01).abs() < 0.02);
        assert!(tone_dbfs(&sine, 1100.0) < -60.0);
        assert_eq!(tone_dbfs(&[0; 160], 1000.0), f64::NEG_INFINITY);
        assert_eq!(tone_dbfs(&[], 1000.0), f64::NEG_INFINITY);
    }

    #[test]
    fn hears_its_tone_only() {
        let mut mixed = Tone::new(440.0, -10.0).samples(200);
        crate::mix::add_saturating(&mut mixed, &Tone::new(1000.0, -13.0).samples(200));
        let table = [
            ("loud", Tone::new(440.0, -10.0).samples(200), 440.0, true),
            ("other", Tone::new(440.0, -10.0).samples(200), 480.0, false),
            ("quiet", Tone::new(440.0, -50.0).samples(200), 440.0, false),
            ("the louder of two", mixed.clone(), 440.0, true),
            ("the quieter of two", mixed, 1000.0, false),
            ("silence", vec![0; 1600], 440.0, false),
        ];
        for (name, samples, hz, expected) in table {
            assert_eq!(hears(&samples, hz), expected, "{name}");
        }
    }

    #[test]
    fn other_rates() {
        let tone = Tone::new(1000.0, 0.0).samples(100);
        // Read at 16 kHz, the same samples are a tone of twice the frequency.
        assert!((tone_dbfs_at(&tone, 2000.0, 16_000) - tone_dbfs(&tone, 1000.0)).abs() < 0.01);
    }
}
