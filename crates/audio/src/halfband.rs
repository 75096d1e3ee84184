//! Doubles or halves the sample rate of a stream, frame by frame: between 8 kHz and 16 kHz.
//!
//! A half-band filter (windowed sinc, Kaiser window): every second of its weights is zero, so one output
//! sample costs 32 multiplications. **Invariant: flat within 0.1 dB up to 0.85 of the lower band edge
//! and at least 60 dB down from 1.15 of it** (3.4 and 4.6 kHz); the delay is 16 samples of the lower
//! rate, 2 ms; nothing is allocated. Whole sound files are converted in [`crate::resample`].

use crate::resample::{kaiser, sinc};
use std::sync::LazyLock;

/// Samples of the lower rate that one output sample depends on.
const REACH: usize = 32;

/// Weights of the samples on both sides of a position half-way between two of them.
static WEIGHTS: LazyLock<[f32; REACH]> = LazyLock::new(|| {
    let half = REACH as f64 / 2.0;
    let weights: [f64; REACH] = std::array::from_fn(|index| {
        let distance = index as f64 - half + 0.5;
        sinc(distance) * kaiser(distance / half)
    });
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| (weight / sum) as f32)
});

/// Converts the sample rate of one stream.
#[derive(Debug, Clone)]
pub enum RateChange {
    /// Samples pass unchanged.
    Same,
    /// Twice as many samples.
    Double(Box<Window>),
    /// Half as many samples.
    Halve(Box<Halving>),
}

/// The last samples, kept twice so that they can always be read in one piece.
#[derive(Debug, Clone)]
pub struct Window {
    samples: [f32; 2 * REACH],
    at: usize,
}

/// The samples of even and of odd position.
#[derive(Debug, Clone)]
pub struct Halving {
    even: Window,
    odd: Window,
    /// The next sample has an odd position.
    half_way: bool,
}

impl RateChange {
    /// From `from` Hz to `to` Hz; `None` unless they are equal or one is twice the other.
    pub fn new(from: u32, to: u32) -> Option<Self> {
        if from == to {
            Some(Self::Same)
        } else if to == 2 * from {
            Some(Self::Double(Box::new(Window::new())))
        } else if from == 2 * to {
            Some(Self::Halve(Box::new(Halving {
                even: Window::new(),
                odd: Window::new(),
                half_way: false,
            })))
        } else {
            None
        }
    }

    /// Converts the next samples, up to the length of `out`; returns the number of samples written.
    pub fn convert(&mut self, samples: &[i16], out: &mut [i16]) -> usize {
        match self {
            Self::Same => {
                let len = samples.len().min(out.len());
                out[..len].copy_from_slice(&samples[..len]);
                len
            }
            Self::Double(window) => {
                let weights = &*WEIGHTS;
                let (pairs, _) = out.as_chunks_mut::<2>();
                let converted = samples.iter().zip(pairs).map(|(sample, pair)| {
                    let window = window.push(*sample);
                    *pair = [
                        round(window[REACH / 2 - 1]),
                        round(between(weights, window)),
                    ];
                });
                2 * converted.count()
            }
            Self::Halve(halving) => {
                let weights = &*WEIGHTS;
                let mut made = 0;
                for sample in samples {
                    halving.half_way = !halving.half_way;
                    if halving.half_way {
                        halving.even.push(*sample);
                        continue;
                    }
                    let odd = between(weights, halving.odd.push(*sample));
                    if let Some(out) = out.get_mut(made) {
                        *out = round((halving.even.latest()[REACH / 2] + odd) / 2.0);
                        made += 1;
                    }
                }
                made
            }
        }
    }
}

impl Window {
    fn new() -> Self {
        Self {
            samples: [0.0; 2 * REACH],
            at: 0,
        }
    }

    /// Adds a sample; returns the latest ones, oldest first.
    fn push(&mut self, sample: i16) -> &[f32] {
        self.samples[self.at] = f32::from(sample);
        self.samples[self.at + REACH] = f32::from(sample);
        self.at = (self.at + 1) % REACH;
        self.latest()
    }

    fn latest(&self) -> &[f32] {
        &self.samples[self.at..self.at + REACH]
    }
}

fn between(weights: &[f32; REACH], window: &[f32]) -> f32 {
    // Four sums at once: a single one would fix the order of the additions.
    let mut sums = [0.0; 4];
    for (samples, weights) in window
        .as_chunks::<4>()
        .0
        .iter()
        .zip(weights.as_chunks::<4>().0)
    {
        for ((sum, sample), weight) in sums.iter_mut().zip(samples).zip(weights) {
            *sum += sample * weight;
        }
    }
    sums.iter().sum()
}

fn round(sample: f32) -> i16 {
    sample
        .round()
        .clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{rms_dbfs, tone_dbfs_at};
    use crate::tone::Tone;

    /// A second of a tone, converted in frames of odd lengths.
    fn converted(hz: f64, from: u32, to: u32) -> Vec<i16> {
        let tone = Tone::at_rate(hz, -10.0, from).samples(1000);
        let mut change = RateChange::new(from, to).unwrap();
        let (mut out, mut rest) = (Vec::new(), tone.as_slice());
        for len in [1, 77, 160, 3].into_iter().cycle() {
            let (now, later) = rest.split_at(len.min(rest.len()));
            let mut frame = [0; 512];
            let made = change.convert(now, &mut frame);
            out.extend_from_slice(&frame[..made]);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        assert_eq!(out.len(), tone.len() * to as usize / from as usize);
        out
    }

    #[test]
    fn the_pass_band_stays() {
        for (from, to) in [(8000, 16_000), (16_000, 8000), (8000, 8000)] {
            for hz in [200.0, 1000.0, 2500.0, 3400.0] {
                let out = converted(hz, from, to);
                let settled = &out[out.len() / 10..];
                let level = tone_dbfs_at(settled, hz, to);
                assert!((level + 16.18).abs() < 0.1, "{from} {to} {hz}: {level}");
                assert!((rms_dbfs(settled) - level).abs() < 0.1, "{hz}: images");
            }
        }
    }

    #[test]
    fn the_stop_band_goes() {
        for hz in [4600.0, 5500.0, 7000.0] {
            let level = rms_dbfs(&converted(hz, 16_000, 8000)[800..]);
            assert!(level < -16.18 - 60.0, "{hz}: {level}");
        }
        // The image of a tone above the old band edge.
        for hz in [1000.0, 3400.0] {
            let image = tone_dbfs_at(&converted(hz, 8000, 16_000)[1600..], 8000.0 - hz, 16_000);
            assert!(image < -16.18 - 60.0, "{hz}: {image}");
        }
    }

    #[test]
    fn other_ratios_and_short_outputs() {
        assert!(RateChange::new(8000, 48_000).is_none());
        assert!(RateChange::new(0, 1).is_none());
        for (from, to, room, expected) in [(1, 1, 3, 3), (1, 2, 3, 2), (2, 1, 3, 3), (2, 1, 9, 5)] {
            let mut change = RateChange::new(from, to).unwrap();
            let made = change.convert(&[i16::MIN; 10], &mut vec![0; room]);
            assert_eq!(made, expected, "{from} {to} {room}");
        }
    }
}
