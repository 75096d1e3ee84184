//! Mixes legs into one recording, or hands out the audio from one leg, or what it hears.
//!
//! Each leg has a jitter buffer; the mix lags real time by 40 ms, so that packets that arrive by
//! then are in their place. **Invariant: a recording has exactly 8 samples per millisecond from its
//! start to its end**; silence fills the gaps. Left to others: decoding, and where the samples go.

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

/// Which audio of a leg to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The audio from it; for a single leg, also what is played to it.
    All,
    /// Only the audio from it.
    Heard,
    /// Only what it hears: what is played to it, and its bridge or mix.
    Sent,
}

#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) id: RecordingId,
    tracks: Vec<Track>,
    started: Instant,
    /// Samples mixed so far.
    made: u64,
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
        part: Part,
        now: Instant,
        next_at: Instant,
    ) -> Self {
        let sent = part == Part::Sent;
        let played = sent || (part == Part::All && legs.len() == 1);
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
            started: now,
            made: 0,
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
    pub(crate) fn frame(&mut self, out: &mut [i16; FRAME], at: Instant) {
        self.mix(out, at);
        self.made += FRAME as u64;
        self.next_at += FRAME_TIME;
    }

    /// Mixes the remaining part up to the end, one piece per call; `None` when done.
    pub(crate) fn finish<'a>(
        &mut self,
        out: &'a mut [i16; FRAME],
        now: Instant,
    ) -> Option<&'a [i16]> {
        let missing = self.length(now).saturating_sub(self.made);
        let len = usize::try_from(missing).unwrap_or(FRAME).min(FRAME);
        let part = out.get_mut(..len).filter(|part| !part.is_empty())?;
        self.mix(part, self.next_at);
        self.made += len as u64;
        self.next_at += FRAME_TIME;
        Some(part)
    }

    /// Samples mixed so far.
    pub(crate) fn made(&self) -> u64 {
        self.made
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
