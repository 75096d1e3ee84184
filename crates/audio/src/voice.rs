//! Tells voice from silence, frame by frame, by level alone.
//!
//! A line is never quite silent, so the threshold follows the noise of the line, within limits: a
//! quiet voice on a quiet line is voice, and steady noise becomes silence, but nothing that is
//! clearly audible ever does. **Invariant: a frame above [`ALWAYS_VOICE`] is loud, and one below
//! [`ALWAYS_SILENCE`] is not.** Left to others: what silence means, and for how long.

use crate::measure::rms_dbfs;

/// Frames at this level (dBFS) or above always count as loud.
pub const ALWAYS_VOICE: f64 = -38.0;
/// Frames below this level (dBFS) never count as loud.
pub const ALWAYS_SILENCE: f64 = -55.0;
/// How far above the noise a frame must be, in dB.
const ABOVE_NOISE: f64 = 9.0;
/// How fast the estimate of the noise rises, in dB per frame. It falls at once.
const RISE: f64 = 0.1;
/// Loud frames in a row that make voice: a click is shorter.
const LOUD_FRAMES: u32 = 3;

/// Detects voice in the audio of one party.
#[derive(Debug, Clone)]
pub struct Detector {
    /// Estimated level of the noise, in dBFS.
    noise: f64,
    /// Loud frames in a row.
    loud: u32,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            noise: ALWAYS_SILENCE,
            loud: 0,
        }
    }
}

impl Detector {
    /// Whether there is voice at the end of this frame. Frames come in order; 20 ms each.
    pub fn push(&mut self, frame: &[i16]) -> bool {
        let level = rms_dbfs(frame).max(ALWAYS_SILENCE - ABOVE_NOISE);
        self.noise = if level < self.noise {
            level
        } else {
            level.min(self.noise + RISE)
        };
        let threshold = (self.noise + ABOVE_NOISE).clamp(ALWAYS_SILENCE, ALWAYS_VOICE);
        if level >= threshold {
            self.loud = self.loud.saturating_add(1);
        } else {
            self.loud = 0;
        }
        self.loud >= LOUD_FRAMES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::Tone;

    const FRAME: usize = 160;

    /// White noise at a level in dBFS, the same on every run.
    fn noise(dbfs: f64, frames: usize) -> Vec<i16> {
        // A uniform distribution has an RMS of its maximum divided by the square root of 3.
        let peak = 32_768.0 * 10_f64.powf(dbfs / 20.0) * 3_f64.sqrt();
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 53) as f64 * 2.0 - 1.0
        };
        (0..frames * FRAME)
            .map(|_| (next() * peak) as i16)
            .collect()
    }

    /// A tone at a level in dBFS.
    fn tone(dbfs: f64, frames: usize) -> Vec<i16> {
        let mut samples = vec![0; frames * FRAME];
        Tone::new(640.0, dbfs + 6.17).fill(&mut samples);
        samples
    }

    /// How many of the frames have voice.
    fn voiced(detector: &mut Detector, samples: &[i16]) -> usize {
        let frames = samples.chunks(FRAME);
        frames.filter(|frame| detector.push(frame)).count()
    }

    #[test]
    fn silence_and_quiet_noise_are_silence() {
        for samples in [vec![0; 50 * FRAME], noise(-60.0, 50)] {
            assert_eq!(voiced(&mut Detector::default(), &samples), 0);
        }
    }

    #[test]
    fn voice_is_heard_on_a_quiet_line_from_its_third_frame() {
        for dbfs in [-50.0, -30.0, -12.0] {
            let mut detector = Detector::default();
            assert_eq!(voiced(&mut detector, &noise(-62.0, 50)), 0);
            assert_eq!(voiced(&mut detector, &tone(dbfs, 10)), 8, "{dbfs}");
            assert_eq!(voiced(&mut detector, &noise(-62.0, 50)), 0);
        }
    }

    #[test]
    fn the_noise_of_the_line_becomes_silence_and_voice_above_it_is_heard() {
        let mut detector = Detector::default();
        voiced(&mut detector, &noise(-45.0, 150));
        assert_eq!(voiced(&mut detector, &noise(-45.0, 50)), 0);
        assert_eq!(voiced(&mut detector, &tone(-30.0, 10)), 8);
    }

    #[test]
    fn a_loud_sound_is_never_taken_for_noise() {
        let mut detector = Detector::default();
        assert_eq!(voiced(&mut detector, &tone(-25.0, 3_000)), 2_998);
        assert_eq!(voiced(&mut detector, &noise(-30.0, 3_000)), 3_000);
    }

    #[test]
    fn a_click_is_not_voice() {
        let mut detector = Detector::default();
        let mut samples = vec![0; 20 * FRAME];
        samples[5 * FRAME..7 * FRAME].fill(20_000);
        assert_eq!(voiced(&mut detector, &samples), 0);
    }
}
