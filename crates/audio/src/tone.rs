//! Tones: sines, DTMF, a beep, the tones of a conference.
//!
//! **Invariant: a [`Tone`] keeps its phase from one call to the next**, so a long tone may be made
//! frame by frame. Levels are in dBm0; 3.17 dBm0 is a full-scale sine, as in µ-law.

use crate::RATE;
use std::f64::consts::TAU;
use std::sync::{Arc, LazyLock};

/// Level of a full-scale sine (G.711 µ-law overload).
const FULL_SCALE_DBM0: f64 = 3.17;
/// Level of each tone of a key.
const KEY_DBM0: f64 = -9.0;
const LOW_HZ: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH_HZ: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
/// The keys, row by row.
const KEYPAD: &str = "123A456B789C*0#D";

/// A sine.
#[derive(Debug, Clone)]
pub struct Tone {
    /// Phase in periods, 0 to 1.
    phase: f64,
    /// Periods per sample.
    step: f64,
    amplitude: f64,
    /// Samples per second.
    rate: u32,
}

impl Tone {
    /// A sine of `hz` at `level_dbm0`, limited to full scale, in samples at [`RATE`].
    pub fn new(hz: f64, level_dbm0: f64) -> Self {
        Self::at_rate(hz, level_dbm0, RATE)
    }

    /// A sine of `hz` at `level_dbm0`, limited to full scale, in samples at `rate` Hz.
    pub fn at_rate(hz: f64, level_dbm0: f64, rate: u32) -> Self {
        let gain_db = (level_dbm0 - FULL_SCALE_DBM0).min(0.0);
        let amplitude = 32767.0 * 10f64.powf(gain_db / 20.0);
        Self {
            phase: 0.0,
            step: hz / f64::from(rate.max(1)),
            amplitude,
            rate,
        }
    }

    /// Overwrites `out` with the next samples.
    pub fn fill(&mut self, out: &mut [i16]) {
        for out in out {
            *out = self.next_sample();
        }
    }

    fn next_sample(&mut self) -> i16 {
        let sample = (self.amplitude * (TAU * self.phase).sin()).round() as i16;
        self.phase = (self.phase + self.step).fract();
        sample
    }

    /// The next `ms` milliseconds of samples.
    pub fn samples(&mut self, ms: u32) -> Vec<i16> {
        let mut out = vec![0; ms as usize * self.rate as usize / 1000];
        self.fill(&mut out);
        out
    }
}

/// The two tones of a DTMF key at [`RATE`], −9 dBm0 each, for as long as requested.
#[derive(Debug, Clone)]
pub struct KeyTone {
    low: Tone,
    high: Tone,
}

impl KeyTone {
    /// `None` if `digit` is not a key.
    pub fn new(digit: char) -> Option<Self> {
        let (low, high) = dtmf_frequencies(digit)?;
        Some(Self {
            low: Tone::new(low, KEY_DBM0),
            high: Tone::new(high, KEY_DBM0),
        })
    }

    /// Overwrites `out` with the next samples.
    pub fn fill(&mut self, out: &mut [i16]) {
        for out in out {
            // Two tones of −9 dBm0 do not reach full scale.
            *out = self.low.next_sample() + self.high.next_sample();
        }
    }
}

/// The two frequencies of a DTMF key in Hz (ITU-T Q.23); `None` if `digit` is not a key.
pub fn dtmf_frequencies(digit: char) -> Option<(f64, f64)> {
    let index = KEYPAD.find(digit.to_ascii_uppercase())?;
    Some((LOW_HZ[index / 4], HIGH_HZ[index % 4]))
}

/// A DTMF key for `ms` milliseconds; `None` if `digit` is not a key.
pub fn dtmf(digit: char, ms: u32) -> Option<Vec<i16>> {
    let mut samples = vec![0; len(ms)];
    KeyTone::new(digit)?.fill(&mut samples);
    Some(samples)
}

/// A beep: 1 kHz at −13 dBm0 for 200 ms, faded in and out over 5 ms.
pub fn beep() -> Arc<[i16]> {
    static BEEP: LazyLock<Arc<[i16]>> = LazyLock::new(|| {
        let mut samples = Tone::new(1000.0, -13.0).samples(200);
        fade_ends(&mut samples, len(5));
        samples.into()
    });
    Arc::clone(&BEEP)
}

/// The tone of a conference when someone enters: two rising notes of 150 ms at −20 dBm0.
pub fn entry() -> Arc<[i16]> {
    static ENTRY: LazyLock<Arc<[i16]>> = LazyLock::new(|| notes([523.25, 659.26]));
    Arc::clone(&ENTRY)
}

/// The tone of a conference when someone leaves: the notes of [`entry`], falling.
pub fn exit() -> Arc<[i16]> {
    static EXIT: LazyLock<Arc<[i16]>> = LazyLock::new(|| notes([659.26, 523.25]));
    Arc::clone(&EXIT)
}

fn notes(hz: [f64; 2]) -> Arc<[i16]> {
    let notes = hz.map(|hz| {
        let mut note = Tone::new(hz, -20.0).samples(150);
        fade_ends(&mut note, len(10));
        note
    });
    notes.concat().into()
}

/// Fades the first and last `count` samples linearly.
fn fade_ends(samples: &mut [i16], count: usize) {
    let fade = |(index, sample): (usize, &mut i16)| {
        *sample = (i64::from(*sample) * index as i64 / count.max(1) as i64) as i16;
    };
    samples.iter_mut().take(count).enumerate().for_each(fade);
    samples
        .iter_mut()
        .rev()
        .take(count)
        .enumerate()
        .for_each(fade);
}

fn len(ms: u32) -> usize {
    ms as usize * RATE as usize / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{rms_dbfs, tone_dbfs};

    #[test]
    fn level_and_frequency() {
        for (hz, dbm0) in [(300.0, 0.0), (1004.0, -10.0), (3400.0, -20.0)] {
            let samples = Tone::new(hz, dbm0).samples(1000);
            let level = tone_dbfs(&samples, hz);
            assert!((level - (dbm0 - 6.18)).abs() < 0.05, "{hz} Hz: {level}");
        }
        let loudest = Tone::new(2000.0, 99.0).samples(10);
        assert_eq!(loudest.iter().max(), Some(&i16::MAX));
    }

    #[test]
    fn phase_continues_over_frames() {
        let whole = Tone::new(441.0, -10.0).samples(1000);
        let mut tone = Tone::new(441.0, -10.0);
        let frames: Vec<i16> = (0..50).flat_map(|_| tone.samples(20)).collect();
        assert_eq!(frames, whole);
    }

    #[test]
    fn keys() {
        assert_eq!(dtmf_frequencies('1'), Some((697.0, 1209.0)));
        assert_eq!(dtmf_frequencies('0'), Some((941.0, 1336.0)));
        assert_eq!(dtmf_frequencies('d'), Some((941.0, 1633.0)));
        assert_eq!(dtmf_frequencies('x'), None);
        let samples = dtmf('5', 100).unwrap();
        assert_eq!(samples.len(), 800);
        for hz in [770.0, 1336.0] {
            assert!((tone_dbfs(&samples, hz) + 15.2).abs() < 0.5, "{hz}");
        }
        assert!(tone_dbfs(&samples, 941.0) < -40.0);
        assert_eq!(dtmf('x', 100), None);
    }

    #[test]
    fn who_enters_is_told_from_who_leaves() {
        let (entry, exit) = (entry(), exit());
        for (tone, first, second) in [(&entry, 523.25, 659.26), (&exit, 659.26, 523.25)] {
            let (one, two) = tone.split_at(1200);
            assert_eq!((one[0], two[0], two.len()), (0, 0, 1200));
            assert!(tone_dbfs(one, first) > tone_dbfs(one, second) + 20.0);
            assert!(tone_dbfs(two, second) > tone_dbfs(two, first) + 20.0);
            assert!((-30.0..-24.0).contains(&tone_dbfs(one, first)));
        }
    }

    #[test]
    fn beep_begins_and_ends_softly() {
        let beep = beep();
        assert_eq!((beep.len(), beep[0], beep[1599]), (1600, 0, 0));
        assert!((rms_dbfs(&beep) + 19.2).abs() < 0.3);
        assert!(crate::measure::hears(&beep, 1000.0));
    }
}
