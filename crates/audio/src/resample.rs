//! Sample rate conversion of whole prompts, and down-mixing to mono.
//!
//! A windowed-sinc filter (Kaiser window) is evaluated at the exact position of each output
//! sample; for the usual rates the positions repeat, so the filter is a small table of phases.
//! **Invariant: what would alias into the output is at least 60 dB down** from 1.15 times the
//! band edge on (4.6 kHz when the output is 8 kHz), and the pass band is flat within 0.5 dB up to
//! 0.85 of it (3.4 kHz). The delay of the filter is compensated: sample 0 stays at time 0.

use std::f64::consts::PI;

/// The rates we convert, in Hz: bounds the size of the filter.
pub const RATES: std::ops::RangeInclusive<u32> = 4000..=192_000;

/// Zero crossings of the sinc on each side: sets the steepness.
const CROSSINGS: f64 = 26.0;
/// Shape of the Kaiser window: 6.5 gives about 68 dB.
const BETA: f64 = 6.5;
/// Where the filter is 6 dB down, as a share of the band edge.
const CUTOFF: f64 = 0.97;
/// Maximum number of positions between two input samples for which a filter is kept, at 8 kHz. It falls as the input
/// rate rises, since the samples are then closer together. Usual pairs of rates need fewer; an unusual pair uses the
/// nearest position, which adds noise about 60 dB below the signal.
const MAX_PHASES: u32 = 1024;

/// Seconds that a [`Converter`] converts at a time.
const PART_SECONDS: usize = 4;

/// Converts mono samples from `from` Hz to `to` Hz (both 4000–192 000; otherwise the result is
/// empty).
pub fn resample(samples: &[i16], from: u32, to: u32) -> Vec<i16> {
    Phases::new(from, to).map_or_else(Vec::new, |phases| phases.convert(samples))
}

/// The filter at the positions between two input samples where output samples may lie.
#[derive(Debug)]
struct Phases {
    filter: Filter,
    /// `step_in` samples in give `step_out` samples out.
    step_in: u64,
    step_out: u64,
    /// The weights at equal distances; a position takes the nearest. Empty if the rates are the same.
    taps: Vec<Vec<f64>>,
}

impl Phases {
    /// `None` if a rate is not supported.
    fn new(from: u32, to: u32) -> Option<Self> {
        if !RATES.contains(&from) || !RATES.contains(&to) {
            return None;
        }
        let divisor = gcd(from, to);
        let (step_in, step_out) = (u64::from(from / divisor), u64::from(to / divisor));
        let filter = Filter::new(f64::from(from), f64::from(to));
        let kept = match from == to {
            true => 0,
            false => step_out.min(u64::from(MAX_PHASES * 8_000 / from.max(8_000))),
        };
        let taps = (0..kept).map(|phase| filter.taps(phase as f64 / kept as f64));
        Some(Self {
            taps: taps.collect(),
            filter,
            step_in,
            step_out,
        })
    }

    fn convert(&self, samples: &[i16]) -> Vec<i16> {
        let kept = self.taps.len() as u64;
        if kept == 0 {
            return samples.to_vec();
        }
        let (step_in, step_out) = (self.step_in, self.step_out);
        let len = (samples.len() as u64 * step_out).div_ceil(step_in);
        (0..len)
            .map(|index| {
                let position = index * step_in;
                // Of `kept` places between two input samples, the nearest; the last may be the next sample.
                let place = (position % step_out * kept + step_out / 2) / step_out;
                let whole = position / step_out + place / kept;
                match self.taps.get((place % kept) as usize) {
                    Some(taps) => self.filter.apply(taps, samples, whole as usize),
                    None => 0,
                }
            })
            .collect()
    }
}

/// Converts a long sound part by part, with the same result as [`resample`] for the whole.
#[derive(Debug)]
pub struct Converter {
    /// `None` if a rate is not supported.
    phases: Option<Phases>,
    /// This many samples in give `step_out` samples out.
    step_in: usize,
    step_out: usize,
    /// Extra samples on both sides for the filter: whole steps.
    margin: usize,
    /// Samples converted at a time: whole steps.
    part: usize,
    /// Samples at the start of `pending` that only the filter still needs.
    done: usize,
    pending: Vec<i16>,
    out: Vec<i16>,
}

impl Converter {
    /// From `from` Hz to `to` Hz (both 4000–192 000; otherwise the result is empty).
    pub fn new(from: u32, to: u32) -> Self {
        let divisor = gcd(from, to).max(1);
        let (step_in, step_out) = ((from / divisor).max(1) as usize, (to / divisor) as usize);
        let reach = Filter::new(f64::from(from.max(1)), f64::from(to.max(1))).reach;
        Self {
            phases: Phases::new(from, to),
            step_in,
            step_out,
            margin: reach.div_ceil(step_in) * step_in,
            part: (PART_SECONDS * from as usize).div_ceil(step_in).max(1) * step_in,
            done: 0,
            pending: Vec::new(),
            out: Vec::new(),
        }
    }

    /// Adds the next samples.
    pub fn push(&mut self, samples: &[i16]) {
        self.pending.extend_from_slice(samples);
        while self.pending.len() >= self.done + self.part + self.margin {
            let end = self.done + self.part;
            let converted = self.convert(end + self.margin);
            let outputs = self.outputs(self.done)..self.outputs(end);
            self.out.extend(converted.get(outputs).unwrap_or_default());
            let kept = self.margin.min(end);
            self.pending.drain(..end - kept);
            self.done = kept;
        }
    }

    /// The complete output.
    pub fn finish(mut self) -> Vec<i16> {
        let converted = self.convert(self.pending.len());
        let first = self.outputs(self.done);
        self.out.extend(converted.get(first..).unwrap_or_default());
        self.out
    }

    /// The first `len` pending samples, converted.
    fn convert(&self, len: usize) -> Vec<i16> {
        let pending = self.pending.get(..len).unwrap_or_default();
        let phases = self.phases.as_ref();
        phases.map_or_else(Vec::new, |phases| phases.convert(pending))
    }

    /// Number of samples output before an input position, which is a whole step.
    fn outputs(&self, position: usize) -> usize {
        position / self.step_in * self.step_out
    }
}

/// Averages interleaved channels into one; an incomplete last frame is dropped.
pub fn down_mix(interleaved: &[i16], channels: u16) -> Vec<i16> {
    if channels <= 1 {
        return interleaved.to_vec();
    }
    let average = |frame: &[i16]| {
        let sum: i32 = frame.iter().map(|sample| i32::from(*sample)).sum();
        (sum / i32::from(channels)) as i16
    };
    interleaved
        .chunks_exact(usize::from(channels))
        .map(average)
        .collect()
}

/// A low-pass filter at the lower of two rates, sampled at the input rate.
#[derive(Debug)]
struct Filter {
    /// Cut-off as a share of the input rate.
    cutoff: f64,
    /// Input samples on each side of the output position.
    reach: usize,
}

impl Filter {
    fn new(from: f64, to: f64) -> Self {
        let cutoff = CUTOFF * (from.min(to) / from) / 2.0;
        let reach = (CROSSINGS / (2.0 * cutoff)).ceil() as usize;
        Self { cutoff, reach }
    }

    /// Weights of the input samples around a position `fraction` (0–1) after one of them. They add
    /// up to 1, so a constant stays constant.
    fn taps(&self, fraction: f64) -> Vec<f64> {
        let reach = self.reach as f64;
        let weight = |index: usize| {
            let distance = index as f64 - (reach - 1.0) - fraction;
            sinc(2.0 * self.cutoff * distance) * kaiser(distance / reach)
        };
        let taps: Vec<f64> = (0..2 * self.reach).map(weight).collect();
        let sum: f64 = taps.iter().sum();
        taps.into_iter().map(|tap| tap / sum).collect()
    }

    /// The output sample whose position is at or just after input sample `at`. Beyond the input
    /// there is silence.
    fn apply(&self, taps: &[f64], samples: &[i16], at: usize) -> i16 {
        let skipped = (self.reach - 1).saturating_sub(at);
        let first = (at + skipped + 1).saturating_sub(self.reach);
        let inside = samples.get(first..).unwrap_or_default();
        let taps = taps.get(skipped..).unwrap_or_default();
        let sum: f64 = inside
            .iter()
            .zip(taps)
            .map(|(s, tap)| f64::from(*s) * tap)
            .sum();
        sum.round().clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16
    }
}

pub(crate) fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-9 {
        1.0
    } else {
        (PI * x).sin() / (PI * x)
    }
}

/// The Kaiser window; `x`: −1 to 1.
pub(crate) fn kaiser(x: f64) -> f64 {
    bessel_i0(BETA * (1.0 - x * x).max(0.0).sqrt()) / bessel_i0(BETA)
}

/// Modified Bessel function of order 0, by its series.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in 1..30 {
        term *= quarter / f64::from(k * k);
        sum += term;
    }
    sum
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{rms_dbfs, tone_dbfs_at};
    use std::f64::consts::TAU;

    const USUAL: [u32; 7] = [11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

    #[test]
    fn speech_band_passes_flat() {
        for from in USUAL {
            for hz in [100.0, 300.0, 1000.0, 2500.0, 3400.0] {
                let out = resample(&sine(hz, from), from, 8000);
                let gain = tone_dbfs_at(middle(&out), hz, 8000) - (-9.03);
                assert!(gain.abs() < 0.5, "{from} Hz, {hz} Hz: {gain} dB");
            }
        }
    }

    #[test]
    fn what_would_alias_is_60_db_down() {
        for from in USUAL {
            for hz in [4600.0, 5000.0, 5500.0, 7900.0, 11_000.0, 15_900.0, 20_000.0] {
                if hz > f64::from(from) / 2.0 {
                    continue;
                }
                let out = resample(&sine(hz, from), from, 8000);
                let left = rms_dbfs(middle(&out)) - (-9.03);
                assert!(left < -60.0, "{from} Hz, {hz} Hz: {left} dB");
            }
        }
    }

    #[test]
    fn upsampling_makes_no_images() {
        let out = resample(&sine(1000.0, 8000), 8000, 48_000);
        assert_eq!(out.len(), 48_000);
        assert!((tone_dbfs_at(middle(&out), 1000.0, 48_000) + 9.03).abs() < 0.1);
        assert!(tone_dbfs_at(middle(&out), 7000.0, 48_000) < -75.0);
    }

    #[test]
    fn time_stays() {
        // A click in the middle comes out in the middle, at every rate.
        for from in USUAL {
            let mut samples = vec![0; from as usize];
            samples[from as usize / 2] = i16::MAX;
            let out = resample(&samples, from, 8000);
            assert_eq!(out.len(), 8000, "{from}");
            let loudest = (0..out.len()).max_by_key(|index| out[*index]).unwrap();
            assert!(loudest.abs_diff(4000) <= 1, "{from}: {loudest}");
        }
    }

    #[test]
    fn constants_stay_and_peaks_saturate() {
        let out = resample(&[10_000; 16_000], 16_000, 8000);
        assert!(
            middle(&out)
                .iter()
                .all(|sample| sample.abs_diff(10_000) <= 1)
        );
        let square: Vec<i16> = (0..16_000)
            .map(|n| if n / 40 % 2 == 0 { i16::MAX } else { i16::MIN })
            .collect();
        assert_eq!(
            resample(&square, 16_000, 8000).iter().max(),
            Some(&i16::MAX)
        );
    }

    /// The filter of an unusual pair of rates is no larger than that of a usual one, and adds little noise.
    #[test]
    fn odd_rates_cost_no_more_than_usual_ones() {
        let size = |from| {
            let phases = Phases::new(from, 8000).unwrap();
            phases.taps.iter().map(Vec::len).sum::<usize>()
        };
        for from in [4001, 7919, 8001, 16_001, 44_101, 191_992, 191_999] {
            assert!(size(from) < 120_000, "{from}: {}", size(from));
            let out = resample(&sine(1000.0, from), from, 8000);
            let out = middle(&out);
            let gain = tone_dbfs_at(out, 1000.0, 8000) - (-9.03);
            assert!(gain.abs() < 0.1, "{from} Hz: {gain} dB");
            let amplitude = 16_384.0 * 10f64.powf(gain / 20.0);
            let noise = residue(out, 1000.0, amplitude);
            assert!(noise < -60.0, "{from} Hz: noise {noise} dB");
        }
    }

    #[test]
    fn odd_rates_and_lengths() {
        let table = [
            (0, 8000, 8000, 0),
            (1, 8000, 8000, 1),
            (1, 16_000, 8000, 1),
            (3, 16_000, 8000, 2),
            (1, 8000, 16_000, 2),
            (1000, 7919, 8009, 1012),
            (1000, 192_000, 4000, 21),
            (1000, 192_001, 8000, 0),
            (5, 0, 8000, 0),
            (5, 8000, 0, 0),
            (5, 999_999, 8000, 0),
        ];
        for (len, from, to, expected) in table {
            assert_eq!(
                resample(&vec![7; len], from, to).len(),
                expected,
                "{len} {from} {to}"
            );
        }
    }

    #[test]
    fn part_by_part_is_the_same() {
        for from in [8000, 11_025, 16_000, 22_050, 44_100, 48_000, 6000] {
            let whole: Vec<i16> = sine(440.0, from).repeat(9);
            let mut converter = Converter::new(from, 8000);
            for part in whole.chunks(1000) {
                converter.push(part);
            }
            assert!(converter.pending.len() < 6 * from as usize);
            assert!(converter.finish() == resample(&whole, from, 8000), "{from}");
        }
        let mut nothing = Converter::new(0, 8000);
        nothing.push(&[1; 100]);
        assert!(nothing.finish().is_empty());
    }

    #[test]
    fn channels_are_averaged() {
        let table: &[(&[i16], u16, &[i16])] = &[
            (&[1, 2, 3], 1, &[1, 2, 3]),
            (&[10, 20, -30, 30], 2, &[15, 0]),
            (
                &[i16::MAX, i16::MAX, i16::MIN, i16::MIN],
                2,
                &[i16::MAX, i16::MIN],
            ),
            (&[1, 2, 3, 4, 5], 3, &[2]),
            (&[], 2, &[]),
        ];
        for (samples, channels, expected) in table {
            assert_eq!(down_mix(samples, *channels), *expected, "{samples:?}");
        }
    }

    /// One second of a sine at −9.03 dBFS.
    fn sine(hz: f64, rate: u32) -> Vec<i16> {
        let sample =
            |n: u32| (16_384.0 * (TAU * hz * f64::from(n) / f64::from(rate)).sin()).round();
        (0..rate).map(|n| sample(n) as i16).collect()
    }

    /// What is left beside a tone of this frequency and amplitude, in dB below the tone.
    fn residue(samples: &[i16], hz: f64, amplitude: f64) -> f64 {
        let step = TAU * hz / 8000.0;
        let (mut sine, mut cosine) = (0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            sine += f64::from(*sample) * (step * n as f64).sin();
            cosine += f64::from(*sample) * (step * n as f64).cos();
        }
        let phase = cosine.atan2(sine);
        let squares: f64 = samples
            .iter()
            .enumerate()
            .map(|(n, sample)| {
                let tone = amplitude * (step * n as f64 + phase).sin();
                (f64::from(*sample) - tone).powi(2)
            })
            .sum();
        let rms = (squares / samples.len() as f64).sqrt();
        20.0 * (rms / (amplitude / 2f64.sqrt())).log10()
    }

    /// Without the ends, which include the surrounding silence.
    fn middle(samples: &[i16]) -> &[i16] {
        let quarter = samples.len() / 4;
        &samples[quarter..quarter + samples.len() / 2]
    }
}
