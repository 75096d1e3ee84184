//! Detects keys in the audio: DTMF tones by ITU-T Q.23 and Q.24.
//!
//! A bank of Goertzel filters runs over steps of 6.4 ms; every two steps form a block. In a block
//! with a key, the two tones must be loud enough, close enough to their frequencies (judged by how
//! their phases turn from block to block), equally loud within the permitted twist and nearly all
//! of the energy, and the column must lack the second harmonic that voices have (that of a row lies
//! among the columns and counts as energy). A key is down after four such blocks in a row and up
//! after six others, so that 40 ms suffice, 23 ms do not, and a gap of 23 ms is bridged while one
//! of 40 ms separates two presses.
//!
//! **Invariant: each press gives one [`Change::Down`] and later one [`Change::Up`]**, and nothing
//! is allocated. Left to others: lost packets, and what the keys mean.

use crate::RATE;
use std::f32::consts::TAU;
use std::ops::{Add, Mul, Sub};
use std::sync::LazyLock;

/// Samples of one step.
const STEP: usize = 51;
/// Samples of a block: resolves 78 Hz, about the distance between two rows of keys.
const BLOCK: f32 = 2.0 * STEP as f32;
/// Rows, columns, and the second harmonics of columns.
const FILTERS: usize = 12;
const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
const KEYPAD: [[char; 4]; 4] = [
    ['1', '2', '3', 'A'],
    ['4', '5', '6', 'B'],
    ['7', '8', '9', 'C'],
    ['*', '0', '#', 'D'],
];

/// Blocks until a key is down: their steps fit into 40 ms, wherever they begin.
const BLOCKS_DOWN: u8 = 4;
/// Blocks without it until it is up: more than a gap of 23 ms gives, fewer than one of 40 ms.
const BLOCKS_UP: u8 = 6;
/// Mean square of each tone at −30 dBm0: 33.2 dB below a full-scale sine.
const QUIETEST: f32 = 32767.0 * 32767.0 / 2.0 * 0.000_481;
/// Half-way between the deviation that must be accepted (1.5 %) and the one that must not (3.5 %).
const DEVIATION: f32 = 0.025;
/// How much louder than its column a row may be: 9.5 dB. Up to 8 dB must be accepted.
const ROW_LOUDER: f32 = 8.9;
/// How much louder than its row a column may be: 5.5 dB. Up to 4 dB must be accepted.
const COLUMN_LOUDER: f32 = 3.55;
/// Minimum share of the energy in the two tones.
const SHARE: f32 = 0.80;
/// The second harmonic of a column must be 14 dB below it.
const HARMONIC: f32 = 0.04;

/// A key went down or up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The key is pressed: one of `0`–`9`, `*`, `#`, `A`–`D`.
    Down(char),
    /// The key that was down is released.
    Up,
}

/// Listens to one stream of samples at [`RATE`].
#[derive(Debug, Clone)]
pub struct Detector {
    /// The last two values of each filter.
    last: [f32; FILTERS],
    before: [f32; FILTERS],
    /// Samples of this step so far, and their energy.
    count: usize,
    energy: f32,
    /// The previous step.
    step: Step,
    /// The previous block.
    block: [Complex; FILTERS],
    /// The key of the latest blocks, and for how many in a row.
    candidate: Option<(char, u8)>,
    /// The key that is down, and for how many blocks in a row it was missing.
    down: Option<(char, u8)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Step {
    tones: [Complex; FILTERS],
    energy: f32,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            last: [0.0; FILTERS],
            before: [0.0; FILTERS],
            count: 0,
            energy: 0.0,
            step: Step::default(),
            block: [Complex::default(); FILTERS],
            candidate: None,
            down: None,
        }
    }
}

impl Detector {
    /// A detector that has processed no samples.
    pub fn new() -> Self {
        Self::default()
    }

    /// Processes samples; calls `change` for each key that goes down or up.
    pub fn push(&mut self, samples: &[i16], mut change: impl FnMut(Change)) {
        let bank = &*BANK;
        let mut rest = samples;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(STEP - self.count));
            self.filter(bank, now);
            rest = later;
            if self.count == STEP {
                self.end_step(bank, &mut change);
            }
        }
    }

    /// The key that is down, if any.
    pub fn down(&self) -> Option<char> {
        self.down.map(|(key, _)| key)
    }

    fn filter(&mut self, bank: &Bank, samples: &[i16]) {
        let (mut last, mut before) = (self.last, self.before);
        for sample in samples {
            let sample = f32::from(*sample);
            self.energy += sample * sample;
            for ((last, before), coefficient) in
                last.iter_mut().zip(&mut before).zip(&bank.coefficients)
            {
                let next = coefficient * *last - *before + sample;
                (*before, *last) = (*last, next);
            }
        }
        (self.last, self.before) = (last, before);
        self.count += samples.len();
    }

    fn end_step(&mut self, bank: &Bank, change: &mut impl FnMut(Change)) {
        // Relative to the last sample of the step.
        let tones = std::array::from_fn(|at| {
            Complex(self.last[at], 0.0) - bank.turns[at].conjugate() * self.before[at]
        });
        let step = Step {
            tones,
            energy: self.energy,
        };
        let block =
            std::array::from_fn(|at| self.step.tones[at] * bank.step_turns[at] + step.tones[at]);
        let energy = self.step.energy + step.energy;
        let key = bank.judge(&self.block, &block, energy);
        (self.step, self.block) = (step, block);
        (self.last, self.before) = ([0.0; FILTERS], [0.0; FILTERS]);
        (self.count, self.energy) = (0, 0.0);
        self.follow(key, change);
    }

    /// Counts blocks with and without a key.
    fn follow(&mut self, key: Option<char>, change: &mut impl FnMut(Change)) {
        self.candidate = key.map(|key| match self.candidate {
            Some((before, blocks)) if before == key => (key, blocks.saturating_add(1)),
            Some(_) | None => (key, 1),
        });
        if let Some((down, missing)) = &mut self.down {
            let held = key == Some(*down);
            *missing = if held { 0 } else { *missing + 1 };
            if *missing >= BLOCKS_UP {
                self.down = None;
                change(Change::Up);
            }
        }
        let Some((key, BLOCKS_DOWN)) = self.candidate else {
            return;
        };
        if self.down() != Some(key) {
            if self.down.is_some() {
                change(Change::Up);
            }
            self.down = Some((key, 0));
            change(Change::Down(key));
        }
    }
}

/// The constants shared by all detectors.
struct Bank {
    coefficients: [f32; FILTERS],
    /// How far each tone turns in a sample and in a step.
    turns: [Complex; FILTERS],
    step_turns: [Complex; FILTERS],
    /// How far a column leaks into a row's filter, and a row into a column's.
    leaks: [[(Complex, Complex); 4]; 4],
}

static BANK: LazyLock<Bank> = LazyLock::new(|| {
    let omega = std::array::from_fn(|at| match at {
        0..4 => radians(ROWS[at]),
        4..8 => radians(COLUMNS[at - 4]),
        _ => radians(2.0 * COLUMNS[at - 8]),
    });
    let leak = |from: f32, at: f32| {
        let turns = (0..2 * STEP).map(|sample| Complex::turn((at - from) * sample as f32));
        turns.fold(Complex::default(), Add::add) * (1.0 / BLOCK)
    };
    Bank {
        coefficients: omega.map(|omega: f32| 2.0 * omega.cos()),
        turns: omega.map(Complex::turn),
        step_turns: omega.map(|omega| Complex::turn(omega * STEP as f32)),
        leaks: std::array::from_fn(|row| {
            std::array::from_fn(|column| {
                let (row, column) = (omega[row], omega[4 + column]);
                (leak(column, row), leak(row, column))
            })
        }),
    }
});

impl Bank {
    /// The key in a block, judged with the block one step earlier.
    fn judge(
        &self,
        before: &[Complex; FILTERS],
        block: &[Complex; FILTERS],
        energy: f32,
    ) -> Option<char> {
        if energy < QUIETEST * BLOCK {
            return None;
        }
        let (row, column) = (loudest(&block[..4]), loudest(&block[4..8]));
        let now = self.separate(block, row, column);
        let then = self.separate(before, row, column);
        let low = self.tone(row, ROWS[row], then.0, now.0)?;
        let high = self.tone(4 + column, COLUMNS[column], then.1, now.1)?;
        let twist = low <= high * ROW_LOUDER && high <= low * COLUMN_LOUDER;
        // The cross term: power of the sum minus the two separate powers.
        let common = 4.0 * (now.0 * now.1.conjugate() * self.leaks[row][column].1).0;
        let pure = (low + high + common) * BLOCK >= energy * SHARE;
        let plain = mean_square(block[8 + column]) <= high * HARMONIC;
        (twist && pure && plain).then_some(KEYPAD[row][column])
    }

    /// The two tones of a block, without the leakage into each other's filter.
    fn separate(
        &self,
        block: &[Complex; FILTERS],
        row: usize,
        column: usize,
    ) -> (Complex, Complex) {
        let (to_row, to_column) = self.leaks[row][column];
        let (low, high) = (
            block[row] * (1.0 / BLOCK),
            block[4 + column] * (1.0 / BLOCK),
        );
        let scale = 1.0 / (1.0 - (to_row * to_column).0);
        (
            (low - to_row * high) * scale,
            (high - to_column * low) * scale,
        )
    }

    /// Mean square of a tone; `None` if it is too quiet or its frequency is wrong.
    fn tone(&self, at: usize, hz: f32, then: Complex, now: Complex) -> Option<f32> {
        let turned = now * then.conjugate() * self.step_turns[at].conjugate();
        let off = turned.1.atan2(turned.0) / STEP as f32;
        if off.abs() > radians(hz) * DEVIATION {
            return None;
        }
        // Off its centre frequency the filter responds less.
        let half = off / 2.0;
        let heard = if half.abs() < 1e-4 {
            1.0
        } else {
            (half * BLOCK).sin() / (half.sin() * BLOCK)
        };
        let power = 2.0 * now.square() / (heard * heard);
        (power >= QUIETEST).then_some(power)
    }
}

fn radians(hz: f32) -> f32 {
    TAU * hz / RATE as f32
}

/// Mean square of a sine, from its filter output after a block.
fn mean_square(filter: Complex) -> f32 {
    2.0 * filter.square() / (BLOCK * BLOCK)
}

fn loudest(filters: &[Complex]) -> usize {
    let louder = |best: usize, at: usize| {
        if filters[at].square() > filters[best].square() {
            at
        } else {
            best
        }
    };
    (0..filters.len()).fold(0, louder)
}

/// Real and imaginary part.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Complex(f32, f32);

impl Complex {
    /// Unit length at the given angle.
    fn turn(radians: f32) -> Self {
        Self(radians.cos(), radians.sin())
    }

    fn conjugate(self) -> Self {
        Self(self.0, -self.1)
    }

    /// Square of the length.
    fn square(self) -> f32 {
        self.0 * self.0 + self.1 * self.1
    }
}

impl Add for Complex {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0, self.1 + other.1)
    }
}

impl Sub for Complex {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0, self.1 - other.1)
    }
}

impl Mul for Complex {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self(
            self.0 * other.0 - self.1 * other.1,
            self.0 * other.1 + self.1 * other.0,
        )
    }
}

impl Mul<f32> for Complex {
    type Output = Self;
    fn mul(self, scale: f32) -> Self {
        Self(self.0 * scale, self.1 * scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::g711;
    use crate::tone::{Tone, dtmf_frequencies};

    const KEYS: &str = "1234567890*#ABCD";

    /// A key as the remote party may send it: levels in dBm0, deviations in percent.
    #[derive(Clone, Copy)]
    struct Sent {
        low: f64,
        high: f64,
        low_off: f64,
        high_off: f64,
    }

    fn level(dbm0: f64) -> Sent {
        Sent {
            low: dbm0,
            high: dbm0,
            low_off: 0.0,
            high_off: 0.0,
        }
    }

    impl Sent {
        fn samples(self, key: char, ms: u32) -> Vec<i16> {
            let (low, high) = dtmf_frequencies(key).unwrap();
            let mut samples = Tone::new(low * (1.0 + self.low_off / 100.0), self.low).samples(ms);
            let other = Tone::new(high * (1.0 + self.high_off / 100.0), self.high).samples(ms);
            crate::mix::add_saturating(&mut samples, &other);
            samples
        }
    }

    fn silence(ms: usize) -> Vec<i16> {
        vec![0; ms * 8]
    }

    /// The keys detected, each with `.` at its release.
    fn heard(samples: &[i16]) -> String {
        let mut detector = Detector::new();
        let mut heard = String::new();
        // Frames whose length is not a multiple of the step.
        for frame in samples.chunks(160) {
            detector.push(frame, |change| {
                heard.push(match change {
                    Change::Down(key) => key,
                    Change::Up => '.',
                });
            });
        }
        heard
    }

    /// Each key for `ms` between silences, at seven positions within the steps.
    fn each_key(sent: Sent, ms: u32, change: impl Fn(&mut [i16])) -> [usize; 3] {
        let (mut once, mut missed, mut wrong) = (0, 0, 0);
        for key in KEYS.chars() {
            for shift in (0..STEP).step_by(8) {
                let mut samples = vec![0; 400 + shift];
                samples.extend(sent.samples(key, ms));
                samples.extend(silence(60));
                change(&mut samples);
                match heard(&samples) {
                    text if text == format!("{key}.") => once += 1,
                    text if text.is_empty() => missed += 1,
                    _ => wrong += 1,
                }
            }
        }
        [once, missed, wrong]
    }

    const ALL: [usize; 3] = [112, 0, 0];
    const NONE: [usize; 3] = [0, 112, 0];

    #[test]
    fn levels_and_twist() {
        let twist = |low, high| Sent {
            low,
            high,
            ..level(0.0)
        };
        let table = [
            ("loudest", level(0.0), ALL),
            ("usual", level(-6.0), ALL),
            ("quiet", level(-20.0), ALL),
            ("quietest", level(-25.0), ALL),
            ("too quiet", level(-36.0), NONE),
            ("column louder", twist(-12.0, -8.0), ALL),
            ("row louder", twist(-8.0, -16.0), ALL),
            ("column much louder", twist(-18.0, -8.0), NONE),
            ("row much louder", twist(-8.0, -22.0), NONE),
            ("no row", twist(-90.0, -8.0), NONE),
            ("no column", twist(-8.0, -90.0), NONE),
        ];
        for (name, sent, expected) in table {
            for ms in [40, 100] {
                assert_eq!(each_key(sent, ms, |_| ()), expected, "{name}, {ms} ms");
            }
        }
    }

    #[test]
    fn frequencies() {
        let off = |low_off, high_off| Sent {
            low_off,
            high_off,
            ..level(-8.0)
        };
        let table = [
            (1.5, 1.5, ALL),
            (-1.5, -1.5, ALL),
            (1.5, -1.5, ALL),
            (-1.5, 1.5, ALL),
            (3.5, 0.0, NONE),
            (-3.5, 0.0, NONE),
            (0.0, 3.5, NONE),
            (0.0, -3.5, NONE),
            (3.5, 3.5, NONE),
            (-5.0, 0.0, NONE),
        ];
        for (low, high, expected) in table {
            let sent = off(low, high);
            assert_eq!(each_key(sent, 60, |_| ()), expected, "{low} % {high} %");
        }
        // Deviating and twisted at once.
        let both = Sent {
            low: -8.0,
            high: -16.0,
            low_off: 1.5,
            high_off: -1.5,
        };
        assert_eq!(each_key(both, 50, |_| ()), ALL);
    }

    #[test]
    fn noise_and_codecs() {
        // Both tones together are 3 dB above each one: noise of −20 dBm0 is 15 dB below it.
        let noise = |samples: &mut [i16]| {
            let mut random = Random(7);
            let rms = 32767.0 / 2f64.sqrt() * 10f64.powf((-20.0 - 3.17) / 20.0);
            for sample in samples {
                *sample = sample.saturating_add((random.normal() * rms) as i16);
            }
        };
        assert_eq!(each_key(level(-8.0), 50, noise), ALL);
        let ulaw = |samples: &mut [i16]| {
            for sample in samples {
                *sample = g711::ulaw_decode(g711::ulaw_encode(*sample));
            }
        };
        let alaw = |samples: &mut [i16]| {
            for sample in samples {
                *sample = g711::alaw_decode(g711::alaw_encode(*sample));
            }
        };
        for dbm0 in [0.0, -10.0, -25.0] {
            assert_eq!(each_key(level(dbm0), 40, ulaw), ALL, "µ-law, {dbm0} dBm0");
            assert_eq!(each_key(level(dbm0), 40, alaw), ALL, "A-law, {dbm0} dBm0");
        }
    }

    #[test]
    fn dial_tone_does_not_hide_keys() {
        // 350 and 440 Hz at −29 dBm0 each, as when a key is pressed during a second dial tone.
        let dial_tone = |samples: &mut [i16]| {
            let ms = (samples.len() / 8) as u32 + 1;
            for hz in [350.0, 440.0] {
                crate::mix::add_saturating(samples, &Tone::new(hz, -29.0).samples(ms));
            }
        };
        assert_eq!(each_key(level(-10.0), 50, dial_tone), ALL);
    }

    #[test]
    fn one_press_is_one_digit() {
        // Key and ms of each piece; a space is silence.
        let table: &[(&[(char, u32)], &str)] = &[
            (&[('5', 40)], "5."),
            (&[('5', 2000)], "5."),
            (&[('5', 22)], ""),
            (&[('5', 23), (' ', 60), ('5', 23)], ""),
            (&[('5', 60), (' ', 10), ('5', 60)], "5."),
            (&[('5', 60), (' ', 23), ('5', 60)], "5."),
            (&[('5', 60), (' ', 40), ('5', 60)], "5.5."),
            (
                &[('5', 40), (' ', 50), ('5', 40), (' ', 50), ('5', 40)],
                "5.5.5.",
            ),
            (&[('5', 100), (' ', 100), ('5', 100)], "5.5."),
            (
                &[('1', 50), (' ', 40), ('2', 50), (' ', 40), ('3', 50)],
                "1.2.3.",
            ),
            (&[('1', 60), ('2', 60), ('A', 60)], "1.2.A."),
            (&[('#', 100), ('#', 100)], "#."),
        ];
        for (pieces, expected) in table {
            for shift in 0..STEP {
                let mut samples = vec![0; 160 + shift];
                for (key, ms) in *pieces {
                    samples.extend(match key {
                        ' ' => silence(*ms as usize),
                        key => level(-10.0).samples(*key, *ms),
                    });
                }
                samples.extend(silence(60));
                assert_eq!(heard(&samples), *expected, "{pieces:?} after {shift}");
            }
        }
    }

    #[test]
    fn other_sounds_are_not_keys() {
        let mut sounds = vec![
            ("beep", crate::tone::beep().to_vec()),
            ("silence", silence(1000)),
            ("full scale", vec![i16::MIN; 8000]),
        ];
        for tone in &crate::ringback::TABLE {
            sounds.push((tone.code, crate::ringback::of(tone.code).unwrap().to_vec()));
        }
        let mut random = Random(3);
        let noise = (0..80_000).map(|_| (random.normal() * 6000.0) as i16);
        sounds.push(("noise", noise.collect()));
        // A square wave is rich in harmonics; its fundamental sweeps across every row.
        let sweep = (0..160_000u32).scan(0.0, |phase: &mut f64, at| {
            *phase += (300.0 + f64::from(at) / 100.0) / 8000.0;
            Some(if phase.fract() < 0.5 { 9000 } else { -9000 })
        });
        sounds.push(("sweep", sweep.collect()));
        // Two rows or two columns.
        for (first, second) in [(697.0, 941.0), (1209.0, 1477.0)] {
            let mut pair = Tone::new(first, -8.0).samples(200);
            crate::mix::add_saturating(&mut pair, &Tone::new(second, -8.0).samples(200));
            sounds.push(("pair", pair));
        }
        // A key with its second harmonics.
        let mut voiced = level(-10.0).samples('1', 200);
        for hz in [1394.0, 2418.0] {
            crate::mix::add_saturating(&mut voiced, &Tone::new(hz, -18.0).samples(200));
        }
        sounds.push(("harmonics", voiced));
        for (name, samples) in sounds {
            assert_eq!(heard(&samples), "", "{name}");
        }
    }

    /// A small deterministic generator (xorshift).
    struct Random(u64);

    impl Random {
        /// 0 to 1.
        fn uniform(&mut self) -> f64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) as f64 / (1u64 << 53) as f64
        }

        /// Mean 0, variance 1.
        fn normal(&mut self) -> f64 {
            (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
        }
    }
}
