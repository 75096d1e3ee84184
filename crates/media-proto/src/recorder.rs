//! Mixes legs into one recording, or hands out the audio from one leg, or what it hears.
//!
//! Each leg has a jitter buffer; the mix lags real time by 40 ms, so that packets that arrive by
//! then are in their place. **Invariant: a recording has exactly 8 samples per millisecond from its
//! start to its end**; silence fills the gaps. If it is trimmed, its start is shortly before the
//! first voice, and its end shortly after the last. Left to others: decoding, and where the samples
//! go.

use crate::outgoing::units;
use crate::report::{EndpointId, RecordingId};
use crate::sound::{Feed, Sound};
use rtp_proto::Header;
use rtp_proto::jitter::{Delay, Played};
use std::time::{Duration, Instant};

/// Samples mixed at a time.
pub(crate) const FRAME: usize = 160;
/// Duration of a frame.
pub(crate) const FRAME_TIME: Duration = Duration::from_millis(20);
/// How far the mix lags real time: as long as the jitter buffers wait.
pub(crate) const BEHIND: Duration = Duration::from_millis(40);
const HEARD: Delay = Delay::Adaptive {
    min: BEHIND,
    max: Duration::from_millis(200),
};

/// What remains of the silence around the voice of a trimmed recording.
const MARGIN_FRAMES: u64 = 10;

/// Which audio of a leg to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Part {
    /// The audio from it; for a single leg, also what is played to it.
    #[default]
    All,
    /// Only the audio from it.
    Heard,
    /// Only what it hears: what is played to it, and its bridge or mix.
    Sent,
}

/// The terms of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    /// Which audio.
    pub part: Part,
    /// Report a silence of this length; `None`: never.
    pub silence: Option<Duration>,
    /// Leave out the silence before the first voice and after the last.
    pub trim: bool,
}

/// When there was voice.
#[derive(Debug)]
struct Voice {
    detector: audio::voice::Detector,
    /// Frames mixed, including those left out.
    frames: u64,
    /// The number of the last frame with voice, from 1; 0 before any.
    last: u64,
    /// The end of the current silence was reported.
    reported: bool,
}

#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) id: RecordingId,
    tracks: Vec<Track>,
    terms: Terms,
    started: Instant,
    /// Samples mixed so far.
    made: u64,
    /// Samples left out before the first voice.
    skipped: u64,
    /// Present if silence matters.
    voice: Option<Voice>,
    /// The last frames before the first voice, in a ring.
    before: Vec<[i16; FRAME]>,
    /// When the next frame is due.
    pub(crate) next_at: Instant,
}

/// One source of sound.
#[derive(Debug)]
struct Track {
    endpoint: EndpointId,
    /// The audio from the leg, if that is recorded.
    heard: Option<Feed>,
    /// The audio that we made for the leg, if that is recorded.
    played: Option<Feed>,
    /// The audio that the leg hears of its bridge, if that is recorded.
    bridged: Option<Feed>,
    open: bool,
}

impl Recording {
    pub(crate) fn new(
        id: RecordingId,
        legs: &[EndpointId],
        terms: Terms,
        now: Instant,
        next_at: Instant,
    ) -> Self {
        let sent = terms.part == Part::Sent;
        let played = sent || (terms.part == Part::All && legs.len() == 1);
        let listens = terms.trim || terms.silence.is_some();
        let before = if terms.trim {
            MARGIN_FRAMES as usize
        } else {
            0
        };
        let tracks = legs.iter().map(|endpoint| Track {
            endpoint: *endpoint,
            heard: (!sent).then(|| Feed::new(HEARD, audio::RATE)),
            played: played.then(|| Feed::new(Delay::Fixed(BEHIND), audio::RATE)),
            bridged: sent.then(|| Feed::new(HEARD, audio::RATE)),
            open: true,
        });
        Self {
            id,
            tracks: tracks.collect(),
            terms,
            started: now,
            made: 0,
            skipped: 0,
            voice: listens.then(|| Voice {
                detector: audio::voice::Detector::default(),
                frames: 0,
                last: 0,
                reported: false,
            }),
            before: vec![[0; FRAME]; before],
            next_at,
        }
    }

    /// Adds a leg's decoded packet.
    pub(crate) fn hear(&mut self, track: usize, sound: &Sound<'_>, now: Instant) {
        let track = self.tracks.get_mut(track);
        if let Some(heard) = track.and_then(|track| track.heard.as_mut()) {
            heard.push(sound, now);
        }
    }

    /// Adds a decoded packet that a leg hears of its bridge.
    pub(crate) fn hear_bridged(&mut self, track: usize, sound: &Sound<'_>, now: Instant) {
        let track = self.tracks.get_mut(track);
        if let Some(bridged) = track.and_then(|track| track.bridged.as_mut()) {
            bridged.push(sound, now);
        }
    }

    /// Adds a frame played to a leg, at [`audio::RATE`].
    pub(crate) fn play(&mut self, track: usize, header: &Header, samples: &[i16], now: Instant) {
        if let Some(played) = self
            .tracks
            .get_mut(track)
            .and_then(|track| track.played.as_mut())
        {
            played.push_samples(header, audio::RATE, samples, now);
        }
    }

    /// The legs still being recorded.
    pub(crate) fn legs(&self) -> impl Iterator<Item = EndpointId> + '_ {
        self.tracks
            .iter()
            .filter(|track| track.open)
            .map(|track| track.endpoint)
    }

    /// Removes a leg that has closed; false if it was the last.
    pub(crate) fn close_leg(&mut self, endpoint: EndpointId) -> bool {
        for track in self
            .tracks
            .iter_mut()
            .filter(|track| track.endpoint == endpoint)
        {
            track.open = false;
        }
        self.tracks.iter().any(|track| track.open)
    }

    /// Mixes the frame due at `at`.
    ///
    /// - `hand_out`: receives the samples that this makes available, at most [`FRAME`] at a time.
    ///
    /// Returns whether the silence that the terms name has just been reached.
    pub(crate) fn frame(&mut self, at: Instant, hand_out: impl FnMut(&[i16])) -> bool {
        let mut samples = [0; FRAME];
        self.mix(&mut samples, at);
        self.next_at += FRAME_TIME;
        self.add(&samples, hand_out);
        self.is_silent_for_long()
    }

    /// Mixes the remaining part up to the end.
    ///
    /// - `hand_out`: as for [`Recording::frame`].
    ///
    /// Returns how many samples were handed out, and how many of them to keep.
    pub(crate) fn finish(&mut self, now: Instant, mut hand_out: impl FnMut(&[i16])) -> (u64, u64) {
        let mut samples = [0; FRAME];
        loop {
            let missing = self.length(now).saturating_sub(self.made + self.skipped);
            let len = usize::try_from(missing).unwrap_or(FRAME).min(FRAME);
            let Some(part) = samples.get_mut(..len).filter(|part| !part.is_empty()) else {
                break;
            };
            self.mix(part, self.next_at);
            self.next_at += FRAME_TIME;
            let part = &*part;
            self.add(part, &mut hand_out);
        }
        (self.made, self.keep())
    }

    /// Hands out mixed samples, or keeps them back until there is voice.
    fn add(&mut self, samples: &[i16], mut hand_out: impl FnMut(&[i16])) {
        let len = samples.len() as u64;
        let Some(voice) = &mut self.voice else {
            self.made += len;
            return hand_out(samples);
        };
        let was_silent = voice.last == 0;
        voice.frames += 1;
        if voice.detector.push(samples) {
            voice.last = voice.frames;
            voice.reported = false;
        }
        let begins = was_silent && voice.last > 0;
        let frames = voice.frames;
        if !self.terms.trim || !was_silent {
            self.made += len;
            return hand_out(samples);
        }
        let ring = self.before.len() as u64;
        if !begins {
            if let Some(place) = self.before.get_mut((frames % ring) as usize) {
                place[..samples.len()].copy_from_slice(samples);
            }
            self.skipped += len;
            return;
        }
        // The oldest first; those before the start of the recording do not exist.
        for back in (1..=ring).rev().filter(|back| *back < frames) {
            if let Some(frame) = self.before.get(((frames - back) % ring) as usize) {
                hand_out(frame);
                self.made += FRAME as u64;
                self.skipped -= FRAME as u64;
            }
        }
        self.made += len;
        hand_out(samples);
    }

    /// Whether the silence that the terms name has been reached and not been reported.
    fn is_silent_for_long(&mut self) -> bool {
        let (Some(voice), Some(limit)) = (&mut self.voice, self.terms.silence) else {
            return false;
        };
        let silent =
            FRAME_TIME.saturating_mul(u32::try_from(voice.frames - voice.last).unwrap_or(u32::MAX));
        let reached = silent >= limit && !voice.reported;
        voice.reported |= reached;
        reached
    }

    /// How many of the samples handed out remain after trimming the end.
    fn keep(&self) -> u64 {
        match &self.voice {
            Some(voice) if self.terms.trim => {
                if voice.last == 0 {
                    return 0;
                }
                let end = (voice.last + MARGIN_FRAMES) * FRAME as u64;
                end.saturating_sub(self.skipped).min(self.made)
            }
            Some(_) | None => self.made,
        }
    }

    fn length(&self, now: Instant) -> u64 {
        let micros = now.saturating_duration_since(self.started).as_micros();
        u64::try_from(micros * u128::from(audio::RATE) / 1_000_000).unwrap_or(u64::MAX)
    }

    fn mix(&mut self, out: &mut [i16], at: Instant) {
        let mut sum = [0; FRAME];
        let mut samples = [0; FRAME];
        let samples = &mut samples[..out.len()];
        for track in &mut self.tracks {
            let Track {
                heard,
                played,
                bridged,
                ..
            } = track;
            for buffer in [heard, played, bridged].into_iter().flatten() {
                if buffer.pull(samples, at) != Played::Silence {
                    audio::mix::add(&mut sum, samples);
                }
            }
        }
        audio::mix::saturate(&sum, out);
    }
}

/// Numbers the frames of one play for the recording buffer.
pub(crate) fn played_header(header: &Header, at: Instant, origin: Instant) -> Header {
    // Has its own clock: a frame that is not sent, for example on hold, leaves a gap.
    Header {
        timestamp: units(at.saturating_duration_since(origin), audio::RATE),
        ..*header
    }
}
