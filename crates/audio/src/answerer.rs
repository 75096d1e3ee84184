//! Finds out from the audio of a party that answers a call whether it is a person or a machine.
//!
//! A person says a few words and then waits; a machine speaks for longer, and may end with a beep. So the
//! length of the first speech decides, by level alone ([`crate::voice`]); pauses shorter than
//! [`Timing::speech_end`] belong to it. A tone between 400 and 2200 Hz that comes after speech is a beep, and
//! only machines beep. One of 1100 Hz (CNG) or 2100 Hz (CED, ITU-T T.30 §4.3) from the beginning on is a
//! fax machine.
//!
//! **Invariant: a detector reports at most one of [`Human`](Heard::Human), [`Fax`](Heard::Fax),
//! [`Nothing`](Heard::Nothing) and [`Machine`](Heard::Machine), and after a machine at most one of
//! [`Beep`](Heard::Beep) and [`Silence`](Heard::Silence)**; nothing is allocated. Left to others: how long to
//! wait for a result, and what it means.

use crate::RATE;
use crate::voice;
use std::f32::consts::TAU;
use std::sync::LazyLock;
use std::time::Duration;

/// Samples of a frame: 20 ms.
pub const FRAME: usize = 160;
/// Milliseconds of a frame.
const FRAME_MS: u32 = 20;

/// Distance of the filters that look for a tone, in Hz: what a frame resolves.
const STEP_HZ: usize = 50;
/// Frequency of the lowest filter. Voices have their fundamental below it.
const LOWEST_HZ: usize = 400;
/// Filters up to 2200 Hz.
const FILTERS: usize = (2200 - LOWEST_HZ) / STEP_HZ + 1;
/// Minimum share of a tone in the energy of a frame, in the two filters next to its frequency. Half-way between
/// them, they have 0.81 of a pure tone.
const SHARE: f32 = 0.72;
/// Minimum mean square of a frame with a tone: about −42 dBFS.
const QUIETEST: f32 = 65_000.0;
/// Frames of a tone that make a beep: no sound of a voice is as pure for so long.
const BEEP_FRAMES: u32 = 7;
/// Frames of a tone that make a fax machine: CNG lasts half a second, and the phase of CED turns as often.
const FAX_FRAMES: u32 = 20;
/// A beep may only follow this many frames of other sounds.
const SPOKEN_FRAMES: u32 = 10;
/// Frames between the start of a voice and its detection.
const VOICE_DELAY: u32 = 2;
/// The tones of fax machines, in Hz.
const FAX_HZ: [usize; 2] = [1100, 2100];

/// The lengths that distinguish a machine from a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Speech of this length or longer is the greeting of a machine.
    pub speech: Duration,
    /// A silence of this length after speech ends it.
    pub speech_end: Duration,
    /// A silence of this length from the beginning on is reported.
    pub silence: Duration,
}

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// A person.
    Human,
    /// A machine; its greeting may still be playing.
    Machine,
    /// The beep of the machine has ended.
    Beep,
    /// The machine is silent after its greeting.
    Silence,
    /// A fax machine.
    Fax,
    /// Nothing so far, for as long as [`Timing::silence`] says.
    Nothing,
}

/// Listens to one party, from its answer on.
#[derive(Debug, Clone)]
pub struct Detector {
    timing: Timing,
    voice: voice::Detector,
    state: State,
    /// Frames so far.
    frames: u32,
    /// The number of the last frame with sound, from 1; 0 before any.
    last: u32,
    /// Frames with a sound that is not a tone.
    spoken: u32,
    tone: Option<Tone>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No speech has been heard.
    Waiting,
    /// The first speech, which began with this frame.
    Speech(u32),
    /// A machine speaks.
    Greeting,
    /// The machine beeps.
    Beeping,
    Done,
}

/// A tone that lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tone {
    /// The lower one of its two filters.
    at: usize,
    frames: u32,
}

impl Detector {
    /// A detector that has heard nothing.
    pub fn new(timing: Timing) -> Self {
        Self {
            timing,
            voice: voice::Detector::default(),
            state: State::Waiting,
            frames: 0,
            last: 0,
            spoken: 0,
            tone: None,
        }
    }

    /// Processes the next frame, of [`FRAME`] samples at [`RATE`]; a shorter one is taken for a whole one.
    ///
    /// - `hear`: receives what was found out, up to twice.
    pub fn push(&mut self, frame: &[i16], mut hear: impl FnMut(Heard)) {
        if self.state == State::Done {
            return;
        }
        self.frames = self.frames.saturating_add(1);
        let is_voice = self.voice.push(frame);
        if is_voice {
            self.last = self.frames;
        }
        let tone = tone_of(frame);
        self.tone = tone.map(|at| match self.tone {
            Some(tone) if tone.at.abs_diff(at) <= 1 => Tone {
                at,
                frames: tone.frames.saturating_add(1),
            },
            Some(_) | None => Tone { at, frames: 1 },
        });
        if is_voice && tone.is_none() {
            self.spoken = self.spoken.saturating_add(1);
        }
        self.state = self.next(is_voice, &mut hear);
    }

    fn next(&self, is_voice: bool, hear: &mut impl FnMut(Heard)) -> State {
        let mut done = |heard| {
            hear(heard);
            State::Done
        };
        match self.state {
            State::Waiting if is_voice => State::Speech(self.frames - VOICE_DELAY),
            State::Waiting if lasts(self.frames, self.timing.silence) => done(Heard::Nothing),
            State::Waiting => State::Waiting,
            State::Speech(_) if self.is_fax() => done(Heard::Fax),
            State::Speech(_) if self.beeps() => {
                done(Heard::Machine);
                State::Beeping
            }
            State::Speech(from) if lasts(self.last + 1 - from, self.timing.speech) => {
                done(Heard::Machine);
                State::Greeting
            }
            State::Speech(_) if self.is_quiet() => done(Heard::Human),
            State::Greeting if self.beeps() => State::Beeping,
            State::Greeting if self.is_quiet() => done(Heard::Silence),
            State::Beeping if self.tone.is_none() => done(Heard::Beep),
            state @ (State::Speech(_) | State::Greeting | State::Beeping | State::Done) => state,
        }
    }

    /// Whether the speech is over.
    fn is_quiet(&self) -> bool {
        lasts(self.frames - self.last, self.timing.speech_end)
    }

    fn beeps(&self) -> bool {
        self.spoken >= SPOKEN_FRAMES && self.tone.is_some_and(|tone| tone.frames >= BEEP_FRAMES)
    }

    /// Whether all there is so far is the tone of a fax machine.
    fn is_fax(&self) -> bool {
        let is_its = |tone: &Tone| FAX_HZ.iter().any(|hz| is_next_to(tone.at, *hz));
        let lasting = self.tone.filter(|tone| tone.frames >= FAX_FRAMES);
        lasting.is_some_and(|tone| is_its(&tone)) && self.spoken < SPOKEN_FRAMES
    }
}

/// Whether so many frames are at least this long.
fn lasts(frames: u32, length: Duration) -> bool {
    Duration::from_millis(u64::from(frames) * u64::from(FRAME_MS)) >= length
}

/// Whether the filter of this frequency is one of the two from `at` on.
const fn is_next_to(at: usize, hz: usize) -> bool {
    let filter = (hz - LOWEST_HZ) / STEP_HZ;
    at == filter || at + 1 == filter
}

static COEFFICIENTS: LazyLock<[f32; FILTERS]> = LazyLock::new(|| {
    std::array::from_fn(|filter| {
        let hz = (LOWEST_HZ + filter * STEP_HZ) as f32;
        2.0 * (TAU * hz / RATE as f32).cos()
    })
});

/// The lower one of the two filters between which a frame has its only tone.
fn tone_of(frame: &[i16]) -> Option<usize> {
    let energy: f32 = frame.iter().map(|sample| f32::from(*sample).powi(2)).sum();
    if energy < QUIETEST * FRAME as f32 {
        return None;
    }
    let shares = COEFFICIENTS.map(|coefficient| {
        let (mut last, mut before) = (0.0, 0.0);
        for sample in frame {
            let next = coefficient * last - before + f32::from(*sample);
            (before, last) = (last, next);
        }
        let power = last * last + before * before - coefficient * last * before;
        2.0 * power / (frame.len() as f32 * energy)
    });
    let pairs = shares.windows(2).map(|pair| pair.iter().sum::<f32>());
    let (at, share) = pairs.enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    (share >= SHARE).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{g711, tone};

    const TIMING: Timing = Timing {
        speech: Duration::from_millis(2400),
        speech_end: Duration::from_millis(1200),
        silence: Duration::from_millis(5000),
    };

    /// A piece of audio, and its length in milliseconds.
    #[derive(Clone, Copy, Debug)]
    enum Piece {
        Silence(u32),
        Voice(u32),
        Tone(f64, u32),
    }
    use Piece::{Silence, Tone, Voice};

    /// Something like speech at 8 kHz: syllables of 180 ms with gaps of 60 ms; each has the harmonics of
    /// a voice, whose pitch glides, below a formant that differs from syllable to syllable.
    fn voice(ms: u32) -> Vec<i16> {
        let mut phase = 0.0_f64;
        let sample = |at: usize| {
            let (syllable, within) = (at / 1920, at % 1920);
            let pitch = 110.0 + 25.0 * (syllable % 4) as f64 - within as f64 / 60.0;
            phase += pitch / f64::from(RATE);
            if within >= 1440 {
                return 0;
            }
            let formant = 500.0 + 350.0 * (syllable % 3) as f64;
            let harmonics = (1..16).map(|harmonic| {
                let off = (f64::from(harmonic) * pitch - formant) / 250.0;
                let level = 0.15 / f64::from(harmonic) + 0.5 / (1.0 + off * off);
                level * (f64::from(harmonic) * phase * std::f64::consts::TAU).sin()
            });
            (harmonics.sum::<f64>() * 4000.0) as i16
        };
        (0..ms as usize * 8).map(sample).collect()
    }

    /// The pieces as they come from a line with G.711: with a little noise.
    fn audio(pieces: &[Piece]) -> Vec<i16> {
        let mut state = 0x2545_f491_u32;
        let mut noise = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state % 33) as i16 - 16
        };
        let samples = pieces.iter().flat_map(|piece| match piece {
            Silence(ms) => vec![0; *ms as usize * 8],
            Voice(ms) => voice(*ms),
            Tone(hz, ms) => tone::Tone::new(*hz, -12.0).samples(*ms),
        });
        let coded = samples.map(|sample| g711::ulaw_encode(sample.saturating_add(noise())));
        coded.map(g711::ulaw_decode).collect()
    }

    /// What is heard, each with the time in milliseconds.
    fn heard(timing: Timing, pieces: &[Piece]) -> Vec<(Heard, u32)> {
        let mut detector = Detector::new(timing);
        let (mut heard, mut at) = (Vec::new(), 0);
        for frame in audio(pieces).chunks(FRAME) {
            at += FRAME_MS;
            detector.push(frame, |what| heard.push((what, at)));
        }
        heard
    }

    /// What is heard, and that it is heard about when it should be.
    fn check(name: &str, timing: Timing, pieces: &[Piece], expected: &[(Heard, u32)]) {
        let heard = heard(timing, pieces);
        let names = |list: &[(Heard, u32)]| list.iter().map(|it| it.0).collect::<Vec<_>>();
        assert_eq!(names(&heard), names(expected), "{name}: {heard:?}");
        for ((_, at), (_, about)) in heard.iter().zip(expected) {
            assert!(at.abs_diff(*about) <= 120, "{name}: {heard:?}");
        }
    }

    #[test]
    fn people_and_machines() {
        use Heard::{Beep, Fax, Human, Machine, Nothing};
        type Case<'a> = (&'a str, &'a [Piece], &'a [(Heard, u32)]);
        let table: &[Case<'_>] = &[
            (
                "a person",
                &[Silence(300), Voice(600), Silence(3000)],
                &[(Human, 2100)],
            ),
            (
                "a person with a pause",
                &[
                    Silence(300),
                    Voice(600),
                    Silence(800),
                    Voice(500),
                    Silence(3000),
                ],
                &[(Human, 3400)],
            ),
            (
                "a machine with a beep",
                &[
                    Silence(500),
                    Voice(5000),
                    Silence(800),
                    Tone(1000.0, 400),
                    Silence(3000),
                ],
                &[(Machine, 2900), (Beep, 6720)],
            ),
            (
                "a beep between two filters, at once after the greeting",
                &[Voice(4000), Tone(1425.0, 300), Silence(3000)],
                &[(Machine, 2400), (Beep, 4320)],
            ),
            (
                "a machine without a beep",
                &[Voice(4000), Silence(3000)],
                &[(Machine, 2400), (Heard::Silence, 5200)],
            ),
            (
                "a short greeting with a beep",
                &[
                    Silence(200),
                    Voice(1200),
                    Silence(500),
                    Tone(850.0, 500),
                    Silence(2000),
                ],
                &[(Machine, 2040), (Beep, 2420)],
            ),
            ("nothing", &[Silence(9000)], &[(Nothing, 5000)]),
            (
                "silence, then a person",
                &[Silence(4500), Voice(600), Silence(2000)],
                &[(Human, 6300)],
            ),
            (
                "CED",
                &[Silence(200), Tone(2100.0, 3000), Silence(2000)],
                &[(Fax, 640)],
            ),
            ("CNG", &[Tone(1100.0, 500), Silence(3000)], &[(Fax, 440)]),
            (
                "a long tone of another frequency",
                &[Tone(440.0, 5000), Silence(2000)],
                &[(Machine, 2400), (Heard::Silence, 6200)],
            ),
        ];
        for (name, pieces, expected) in table {
            check(name, TIMING, pieces, expected);
        }
    }

    #[test]
    fn the_lengths_can_be_chosen() {
        let ms = Duration::from_millis;
        let short = Timing {
            speech: ms(1000),
            ..TIMING
        };
        check(
            "speech",
            short,
            &[Voice(1500), Silence(500)],
            &[(Heard::Machine, 1000)],
        );
        let patient = Timing {
            speech_end: ms(3000),
            ..TIMING
        };
        let pieces = [Voice(500), Silence(2000), Voice(500), Silence(3500)];
        check(
            "speech end",
            patient,
            &pieces,
            &[(Heard::Machine, 2560), (Heard::Silence, 6000)],
        );
        let brief = Timing {
            silence: ms(2000),
            ..TIMING
        };
        check(
            "silence",
            brief,
            &[Silence(3000)],
            &[(Heard::Nothing, 2000)],
        );
    }

    #[test]
    fn speech_is_not_a_tone() {
        let samples = audio(&[Voice(20_000)]);
        let (mut run, mut longest) = (0, 0);
        for frame in samples.chunks(FRAME) {
            run = if tone_of(frame).is_some() { run + 1 } else { 0 };
            longest = longest.max(run);
        }
        assert!(longest < BEEP_FRAMES, "{longest}");
    }
}
