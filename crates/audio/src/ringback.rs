//! The ring-back tones of countries: what a caller hears while the called phone rings.
//!
//! Frequencies and cadences are the public ones of each country, after ITU-T E.180 Supplement 2;
//! where that allows a range, the value in common use. Levels are within the range of E.180.
//! **Invariant: the samples of a [`Ringback`] are one whole period of its cadence**, so they can be
//! repeated without breaking its rhythm. Left to others: playing them.

use crate::RATE;
use crate::tone::Tone;
use std::sync::{Arc, OnceLock};

/// Level of a tone with one frequency.
const ALONE_DBM0: f64 = -16.0;
/// Level of each of two frequencies.
const PAIRED_DBM0: f64 = -19.0;

/// The ring-back tone of a country.
#[derive(Debug)]
pub struct Ringback {
    /// The country's code, as in [`of`].
    pub code: &'static str,
    /// What sounds.
    sound: Sound,
    /// Milliseconds of sound and of silence, in turn.
    cadence: &'static [u32],
}

/// What sounds, in Hz.
#[derive(Debug, Clone, Copy)]
enum Sound {
    /// One frequency.
    One(f64),
    /// Two frequencies at once.
    Two(f64, f64),
    /// One frequency whose level follows another.
    Modulated { carrier: f64, by: f64 },
}

use Sound::{Modulated, One, Two};

/// A second of sound, four of silence: the cadence of most countries.
const MOST: &[u32] = &[1000, 4000];
/// Two short rings, as in Britain.
const DOUBLE: &[u32] = &[400, 200, 400, 2000];

/// Number of countries.
const COUNT: usize = 40;

/// The tones by country code, in alphabetical order.
pub static TABLE: [Ringback; COUNT] = [
    tone("at", One(420.0), &[1000, 5000]),
    tone("au", Two(413.0, 438.0), DOUBLE),
    tone("be", One(425.0), &[1000, 3000]),
    tone("bg", One(425.0), MOST),
    tone("br", One(425.0), MOST),
    tone("ch", One(425.0), MOST),
    tone("cl", One(400.0), &[1000, 3000]),
    tone("cn", One(450.0), MOST),
    tone("cz", One(425.0), MOST),
    tone("de", One(425.0), MOST),
    tone("dk", One(425.0), MOST),
    tone("ee", One(425.0), MOST),
    tone("es", One(425.0), &[1500, 3000]),
    tone("fi", One(425.0), MOST),
    tone("fr", One(440.0), &[1500, 3500]),
    tone("gr", One(425.0), MOST),
    tone("hu", One(425.0), &[1250, 3750]),
    tone("il", One(414.0), &[1000, 3000]),
    tone("in", modulated(400.0, 25.0), DOUBLE),
    tone("it", One(425.0), MOST),
    tone("jp", modulated(400.0, 15.0), &[1000, 2000]),
    tone("lt", One(425.0), MOST),
    tone("mx", One(425.0), MOST),
    tone("my", One(425.0), DOUBLE),
    tone("nl", One(425.0), MOST),
    tone("no", One(425.0), MOST),
    tone("nz", Two(400.0, 450.0), DOUBLE),
    tone("ph", Two(425.0, 480.0), MOST),
    tone("pl", One(425.0), MOST),
    tone("pt", One(425.0), &[1000, 5000]),
    tone("ru", One(425.0), MOST),
    tone("se", One(425.0), &[1000, 5000]),
    tone("sg", modulated(425.0, 24.0), DOUBLE),
    tone("th", One(420.0), &[1000, 5000]),
    tone("tw", Two(440.0, 480.0), &[1000, 2000]),
    tone("uk", Two(400.0, 450.0), DOUBLE),
    tone("us", Two(440.0, 480.0), &[2000, 4000]),
    // As American exchanges generated it until the 1960s.
    tone("us-old", modulated(420.0, 40.0), &[2000, 4000]),
    tone("ve", One(425.0), MOST),
    tone("za", modulated(400.0, 33.0), DOUBLE),
];

const fn tone(code: &'static str, sound: Sound, cadence: &'static [u32]) -> Ringback {
    Ringback {
        code,
        sound,
        cadence,
    }
}

const fn modulated(carrier: f64, by: f64) -> Sound {
    Modulated { carrier, by }
}

/// One period of the tone with this code; `None` if the code is unknown.
pub fn of(code: &str) -> Option<Arc<[i16]>> {
    // Each is made when it is first needed, and then kept: about 80 kB.
    static MADE: [OnceLock<Arc<[i16]>>; COUNT] = [const { OnceLock::new() }; COUNT];
    let (tone, made) = TABLE
        .iter()
        .zip(&MADE)
        .find(|(tone, _)| tone.code == code)?;
    Some(Arc::clone(made.get_or_init(|| tone.samples().into())))
}

impl Ringback {
    fn samples(&self) -> Vec<i16> {
        let mut samples = Vec::new();
        for (index, ms) in self.cadence.iter().enumerate() {
            if index % 2 == 0 {
                samples.extend(self.sound.samples(*ms));
            } else {
                samples.resize(samples.len() + len(*ms), 0);
            }
        }
        samples
    }
}

impl Sound {
    fn samples(self, ms: u32) -> Vec<i16> {
        match self {
            One(hz) => Tone::new(hz, ALONE_DBM0).samples(ms),
            Two(first, second) => {
                let mut samples = Tone::new(first, PAIRED_DBM0).samples(ms);
                let second = Tone::new(second, PAIRED_DBM0).samples(ms);
                crate::mix::add_saturating(&mut samples, &second);
                samples
            }
            // The sum of the carrier and two sidebands of half its amplitude each.
            Modulated { carrier, by } => {
                let mut samples = Tone::new(carrier, PAIRED_DBM0).samples(ms);
                for side in [carrier - by, carrier + by] {
                    let side = Tone::new(side, PAIRED_DBM0 - 6.02).samples(ms);
                    crate::mix::add_saturating(&mut samples, &side);
                }
                samples
            }
        }
    }
}

fn len(ms: u32) -> usize {
    ms as usize * RATE as usize / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{rms_dbfs, tone_dbfs};

    /// Lengths in milliseconds of the loud and the silent parts, in turn.
    fn cadence(samples: &[i16]) -> Vec<u32> {
        let frames = samples.chunks(80).map(|frame| rms_dbfs(frame) > -60.0);
        let mut parts: Vec<(bool, u32)> = Vec::new();
        for loud in frames {
            match parts.last_mut() {
                Some((last, ms)) if *last == loud => *ms += 10,
                _ => parts.push((loud, 10)),
            }
        }
        parts.into_iter().map(|(_, ms)| ms).collect()
    }

    #[test]
    fn each_country_has_its_cadence_and_its_frequencies() {
        for tone in &TABLE {
            let samples = of(tone.code).unwrap();
            let found = cadence(&samples);
            let on = tone.cadence.iter().step_by(2).sum::<u32>();
            let off = tone.cadence.iter().skip(1).step_by(2).sum::<u32>();
            // Two frequencies cancel each other now and then; a sound may end in such a moment.
            let close = found.len() == tone.cadence.len()
                && found
                    .iter()
                    .zip(tone.cadence)
                    .all(|(found, expected)| found.abs_diff(*expected) <= 20);
            assert!(close, "{}: {found:?}, not {on} and {off}", tone.code);
            let sound = &samples[..len(tone.cadence[0])];
            let (inside, level): (Vec<f64>, f64) = match tone.sound {
                One(hz) => (vec![hz], -22.2),
                Two(first, second) => (vec![first, second], -25.2),
                Modulated { carrier, .. } => (vec![carrier], -25.2),
            };
            for hz in inside {
                let found = tone_dbfs(sound, hz);
                assert!(
                    (found - level).abs() < 0.5,
                    "{}: {hz} Hz at {found}",
                    tone.code
                );
            }
            assert!(tone_dbfs(sound, 620.0) < -45.0, "{}", tone.code);
        }
    }

    #[test]
    fn a_modulated_tone_has_sidebands() {
        let samples = of("in").unwrap();
        let sound = &samples[..len(400)];
        for hz in [375.0, 425.0] {
            let found = tone_dbfs(sound, hz);
            assert!((found + 31.2).abs() < 0.5, "{hz} Hz at {found}");
        }
    }

    #[test]
    fn the_table_is_in_order_and_has_no_others() {
        assert!(TABLE.is_sorted_by(|one, next| one.code < next.code));
        assert_eq!(of("xx"), None);
        assert!(Arc::ptr_eq(&of("de").unwrap(), &of("de").unwrap()));
        let period = |code: &str| of(code).unwrap().len() / 8;
        assert_eq!(
            (period("us"), period("uk"), period("fr")),
            (6000, 3000, 5000)
        );
    }
}
