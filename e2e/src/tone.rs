//! Measures who hears whom: every party plays its own tone and is checked for the tones of the
//! others.
//!
//! **Invariant: two pitches of one test are far enough apart to be distinguished in one frame**,
//! and from the ring tone. Pitches are random per run, so that no tone is recognised by accident.

use std::path::Path;

use anyhow::{Context as _, ensure};
use audio::{measure, tone::Tone, wav};
use rand::seq::SliceRandom as _;

/// Measured frames per second: 40 ms each, which distinguishes tones 25 Hz apart.
const FRAMES_PER_SECOND: usize = 25;
/// Sample rate of a wideband phone.
pub const WIDE_RATE: u32 = 16_000;

/// Level of the played tones.
const LEVEL_DBM0: f64 = -10.0;

/// Level from which a frame counts as hearing a tone, in dBFS: some 10 dB below the played tone.
const HEARD_DBFS: f64 = -30.0;

/// Frequency of a party's tone.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pitch(f64);

impl Pitch {
    /// `count` different pitches, 600 to 3000 Hz, at least 100 Hz apart; only by chance harmonics
    /// of one another's neighbours.
    pub fn random(count: usize) -> Vec<Self> {
        let mut steps: Vec<u32> = (0..24).collect();
        steps.shuffle(&mut rand::rng());
        steps.truncate(count);
        steps
            .into_iter()
            .map(|step| Self(600.0 + 100.0 * f64::from(step)))
            .collect()
    }

    /// `count` different pitches that only wideband audio carries: 4500 to 6500 Hz, at least 100 Hz apart.
    pub fn random_wide(count: usize) -> Vec<Self> {
        let mut steps: Vec<u32> = (0..=20).collect();
        steps.shuffle(&mut rand::rng());
        steps.truncate(count);
        steps
            .into_iter()
            .map(|step| Self(4500.0 + 100.0 * f64::from(step)))
            .collect()
    }

    /// The pitch of a known tone.
    pub fn of(hz: f64) -> Self {
        Self(hz)
    }

    /// In Hz.
    pub fn hz(self) -> f64 {
        self.0
    }

    /// `seconds` of the tone, 8 kHz.
    pub fn samples(self, seconds: u32) -> Vec<i16> {
        Tone::new(self.0, LEVEL_DBM0).samples(seconds * 1000)
    }

    /// A WAV file with `seconds` of the tone at `rate` Hz.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_wav(self, path: &Path, seconds: u32, rate: u32) -> anyhow::Result<()> {
        let samples = Tone::at_rate(self.0, LEVEL_DBM0, rate).samples(seconds * 1000);
        std::fs::write(path, wav::encode_at(&samples, rate))
            .with_context(|| path.display().to_string())
    }

    /// A WAV file of `seconds` with `ms` milliseconds of the tone at its beginning, at `rate` Hz.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_burst(self, path: &Path, ms: u32, seconds: u32, rate: u32) -> anyhow::Result<()> {
        let mut samples = Tone::at_rate(self.0, LEVEL_DBM0, rate).samples(ms);
        samples.resize((seconds * rate) as usize, 0);
        std::fs::write(path, wav::encode_at(&samples, rate))
            .with_context(|| path.display().to_string())
    }

    /// The bytes of a WAV file with `seconds` of the tone.
    pub fn wav(self, seconds: u32) -> Vec<u8> {
        wav::encode(&self.samples(seconds))
    }

    /// `seconds` of the tone as headerless µ-law, for streaming with sipp.
    pub fn ulaw(self, seconds: u32) -> Vec<u8> {
        self.samples(seconds)
            .into_iter()
            .map(audio::g711::ulaw_encode)
            .collect()
    }
}

/// What one party heard.
pub struct Heard {
    samples: Vec<i16>,
    rate: u32,
}

impl Heard {
    /// From samples at 8 kHz.
    pub fn new(samples: Vec<i16>) -> Self {
        Self::at_rate(samples, audio::RATE)
    }

    fn at_rate(samples: Vec<i16>, rate: u32) -> Self {
        Self { samples, rate }
    }

    /// From a WAV file. A recorder ended by a signal leaves a wrong length in the header, so all
    /// samples after the header are used.
    ///
    /// # Errors
    /// If it cannot be read or is not 16-bit mono at 8 or 16 kHz.
    pub fn from_wav(bytes: &[u8]) -> anyhow::Result<Self> {
        let file = wav::decode(bytes).context("recording")?;
        ensure!(
            [audio::RATE, WIDE_RATE].contains(&file.rate) && file.channels == 1,
            "{} Hz, {} channels",
            file.rate,
            file.channels
        );
        Ok(Self::at_rate(file.samples, file.rate))
    }

    /// The left and the right channel of a WAV file.
    ///
    /// # Errors
    /// If it cannot be read or does not have two channels of 16 bits at 8 kHz.
    pub fn channels_of_wav(bytes: &[u8]) -> anyhow::Result<[Self; 2]> {
        let file = wav::decode(bytes).context("recording")?;
        ensure!(
            file.rate == audio::RATE && file.channels == 2,
            "{} Hz, {} channels",
            file.rate,
            file.channels
        );
        let channel = |index: usize| file.samples.iter().skip(index).step_by(2).copied();
        Ok([0, 1].map(|index| Self::new(channel(index).collect())))
    }

    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.rate)
    }

    fn frame(&self) -> usize {
        self.rate as usize / FRAMES_PER_SECOND
    }

    /// The part from `from` to `to` seconds.
    pub fn part(&self, from: f64, to: f64) -> Self {
        let at = |seconds: f64| ((seconds * f64::from(self.rate)) as usize).min(self.samples.len());
        Self::at_rate(self.samples[at(from)..at(to)].to_vec(), self.rate)
    }

    /// The part between the first and the last frame that contains the tone.
    pub fn span_of(&self, pitch: Pitch) -> Self {
        let hears: Vec<usize> = self
            .frames()
            .enumerate()
            .filter(|(_, frame)| self.level_in(frame, pitch) >= HEARD_DBFS)
            .map(|(at, _)| at)
            .collect();
        let frame = self.frame();
        let samples = match (hears.first(), hears.last()) {
            (Some(first), Some(last)) => self.samples[first * frame..(last + 1) * frame].to_vec(),
            _ => Vec::new(),
        };
        Self::at_rate(samples, self.rate)
    }

    /// Share of frames that contain the tone, 0 to 1.
    pub fn share(&self, pitch: Pitch) -> f64 {
        let frames = self.frames().count();
        let heard = self
            .frames()
            .filter(|frame| self.level_in(frame, pitch) >= HEARD_DBFS)
            .count();
        heard as f64 / frames.max(1) as f64
    }

    /// Level of the tone over the whole recording, in dBFS.
    pub fn level(&self, pitch: Pitch) -> f64 {
        self.level_in(&self.samples, pitch)
    }

    /// Lengths in seconds of the parts louder than `level_dbfs`; pauses shorter than `pause`
    /// seconds do not separate them.
    pub fn loud_parts(&self, level_dbfs: f64, pause: f64) -> Vec<f64> {
        let frame_s = 1.0 / FRAMES_PER_SECOND as f64;
        let loud = self
            .frames()
            .enumerate()
            .filter(|(_, frame)| measure::rms_dbfs(frame) >= level_dbfs);
        let mut parts: Vec<(usize, usize)> = Vec::new();
        for (at, _) in loud {
            match parts.last_mut() {
                Some((_, end)) if (at - *end) as f64 * frame_s < pause => *end = at + 1,
                _ => parts.push((at, at + 1)),
            }
        }
        parts
            .into_iter()
            .map(|(start, end)| (end - start) as f64 * frame_s)
            .collect()
    }

    /// Start and end in seconds, to 2 ms, of the parts louder than `level_dbfs`; pauses shorter than
    /// `pause` seconds do not separate them.
    pub fn exact_parts(&self, level_dbfs: f64, pause: f64) -> Vec<(f64, f64)> {
        const PIECE_S: f64 = 0.002;
        let pieces = self
            .samples
            .chunks((f64::from(self.rate) * PIECE_S) as usize);
        let mut parts: Vec<(f64, f64)> = Vec::new();
        for (at, piece) in pieces.enumerate() {
            let start = at as f64 * PIECE_S;
            match parts.last_mut() {
                _ if measure::rms_dbfs(piece) < level_dbfs => {}
                Some((_, end)) if start - *end < pause => *end = start + PIECE_S,
                _ => parts.push((start, start + PIECE_S)),
            }
        }
        parts
    }

    /// Checks that a bridge carried the peer's tone and nothing of the phone's own: between the
    /// first and the last frame with the peer's tone, at least `seconds` long, 95 % of frames
    /// contain it, and the phone's own tone stays at least 30 dB below it.
    ///
    /// # Errors
    /// Describes what was heard.
    pub fn check_bridge(&self, peer: Pitch, own: Pitch, seconds: f64) -> anyhow::Result<()> {
        let span = self.span_of(peer);
        ensure!(
            span.seconds() >= seconds,
            "heard the peer for {:.2} s only, not {seconds} s",
            span.seconds()
        );
        ensure!(
            span.share(peer) >= 0.95,
            "the peer's tone is in {:.1} % of frames",
            span.share(peer) * 100.0
        );
        let echo = span.level(own) - span.level(peer);
        ensure!(echo <= -30.0, "the own tone comes back at {echo:.1} dB");
        Ok(())
    }

    fn frames(&self) -> impl Iterator<Item = &[i16]> {
        self.samples.chunks_exact(self.frame())
    }

    fn level_in(&self, samples: &[i16], pitch: Pitch) -> f64 {
        measure::tone_dbfs_at(samples, pitch.0, self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_is_judged_by_both_tones() {
        let (peer, own) = (Pitch(700.0), Pitch(1100.0));
        let silence = vec![0; 4000];
        let clean = [silence.clone(), peer.samples(3), silence.clone()].concat();
        let gap = [peer.samples(1), silence.clone(), peer.samples(1)].concat();
        let echo: Vec<i16> = peer
            .samples(3)
            .iter()
            .zip(own.samples(3))
            .map(|(a, b)| a / 2 + b / 2)
            .collect();
        let table = [
            (clean.clone(), 2.9, true),
            (clean, 3.5, false),
            (gap, 2.0, false),
            (echo, 2.9, false),
            (silence, 0.1, false),
        ];
        for (at, (samples, seconds, expected)) in table.into_iter().enumerate() {
            let verdict = Heard::new(samples).check_bridge(peer, own, seconds);
            assert_eq!(verdict.is_ok(), expected, "row {at}: {verdict:?}");
        }
    }

    #[test]
    fn pauses_separate_loud_parts() {
        let (word, short, long) = (Pitch(700.0).samples(1), vec![0; 1600], vec![0; 8000]);
        let heard =
            Heard::new([long.clone(), word.clone(), short, word.clone(), long, word].concat());
        let parts = heard.loud_parts(-40.0, 0.5);
        assert!(
            parts.len() == 2 && parts[0] > 2.1 && parts[1] < 1.1,
            "{parts:?}"
        );
    }

    #[test]
    fn pitches_differ() {
        let pitches = Pitch::random(8);
        for (at, pitch) in pitches.iter().enumerate() {
            assert!(
                pitches[at + 1..]
                    .iter()
                    .all(|other| (other.0 - pitch.0).abs() >= 100.0),
                "{pitches:?}"
            );
        }
    }
}
