//! The built-in hold music: soft plucked notes over four chords, in an endless loop.
//!
//! **Invariant: the end of the loop joins its beginning**: notes ring on across it. No note is a
//! frequency of a high key tone, so that an echo of the music is not heard as a key.

use crate::RATE;
use std::f64::consts::TAU;
use std::sync::{Arc, LazyLock};

/// Notes in Hz, in the order in which they are plucked. A chord has eight of them.
const CHORDS: [[f64; 4]; 4] = [
    [523.25, 659.26, 783.99, 659.26],
    [440.0, 523.25, 659.26, 523.25],
    [349.23, 440.0, 523.25, 440.0],
    [392.0, 493.88, 587.33, 493.88],
];
/// Samples from one note to the next.
const BEAT: usize = RATE as usize / 2;
/// Samples of a note, at whose end it is inaudible.
const NOTE: usize = 3 * RATE as usize;
/// Peak of a note: −26 dBm0.
const PEAK: f64 = 1140.0;

/// The music: 16 s at [`RATE`], to be repeated without a gap.
pub fn hold_music() -> Arc<[i16]> {
    static MUSIC: LazyLock<Arc<[i16]>> = LazyLock::new(|| compose().into());
    Arc::clone(&MUSIC)
}

fn compose() -> Vec<i16> {
    let notes = CHORDS.iter().flat_map(|chord| chord.iter().chain(chord));
    let notes: Vec<f64> = notes.copied().collect();
    let mut music = vec![0i16; notes.len() * BEAT];
    let len = music.len();
    for (beat, hz) in notes.into_iter().enumerate() {
        for at in 0..NOTE {
            // Five notes that ring together stay far from full scale.
            music[(beat * BEAT + at) % len] += sample(hz, at);
        }
    }
    music
}

/// A sample of a plucked note: it rises for 10 ms, and fades away.
fn sample(hz: f64, at: usize) -> i16 {
    let seconds = at as f64 / f64::from(RATE);
    let left = (NOTE - at) as f64 / NOTE as f64;
    let envelope = (seconds / 0.01).min(1.0) * (-1.5 * seconds).exp() * left;
    (PEAK * envelope * (TAU * hz * seconds).sin()).round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf::Detector;
    use crate::measure::{rms_dbfs, tone_dbfs};

    #[test]
    fn it_is_quiet_and_never_silent() {
        let music = hold_music();
        assert_eq!(music.len(), 16 * RATE as usize);
        let loudest = music.iter().map(|sample| sample.unsigned_abs()).max();
        assert!(loudest < Some(6000), "{loudest:?}");
        for second in music.chunks(RATE as usize) {
            let level = rms_dbfs(second);
            assert!((-36.0..-24.0).contains(&level), "{level}");
        }
        let first = &music[..RATE as usize];
        assert!(tone_dbfs(first, 523.25) > tone_dbfs(first, 600.0) + 20.0);
    }

    #[test]
    fn its_end_joins_its_beginning() {
        let music = hold_music();
        let steps = music.windows(2).map(|two| two[0].abs_diff(two[1])).max();
        let (first, last) = (music[0], music[music.len() - 1]);
        assert!(Some(first.abs_diff(last)) <= steps, "{first} {last}");
        // Notes plucked before the end ring on after it.
        assert!(rms_dbfs(&music[..80]) > -50.0);
    }

    #[test]
    fn no_key_is_heard_in_it() {
        let mut detector = Detector::new();
        let mut keys = 0;
        detector.push(&hold_music(), |_| keys += 1);
        assert_eq!(keys, 0);
    }
}
