//! Records a leg: what it says, what it hears, or both, mixed or on a channel each; or a mix: what all
//! its members say.
//!
//! What a leg hears is a part of the leg: what is played to it, and its bridge or mix. So one
//! recording covers a call from its first ring tone to the end of the last conversation, and moves
//! with its leg. A recording of a mix stays with the mix, and keeps it open while it has no members.
//!
//! Each source has a jitter buffer; the recording lags real time by 40 ms, so that packets that
//! arrive by then are in their place. **Invariant: each channel of a recording has exactly 8 samples
//! per millisecond from its start to its end, except for pauses that it leaves out**; silence fills the gaps. If it is trimmed, its start
//! is shortly before the first voice on either channel, and its end shortly after the last. A frame of which any part belongs to a
//! pause is paused. Left to others: decoding, and where the samples go.

use crate::outgoing::units;
use crate::report::{EndpointId, MixId, RecordingId};
use crate::sound::{Feed, Sound};
use rtp_proto::Header;
use rtp_proto::jitter::{Delay, Played};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Samples of each channel made at a time.
pub(crate) const FRAME: usize = 160;
/// Samples of a frame with two channels.
const WHOLE_FRAME: usize = 2 * FRAME;
/// Duration of a frame.
pub(crate) const FRAME_TIME: Duration = Duration::from_millis(20);
/// How far a recording lags real time: as long as the jitter buffers wait.
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
    /// What it says and what it hears, mixed.
    #[default]
    All,
    /// What it says on the left channel, what it hears on the right.
    Apart,
    /// Only what it says.
    Heard,
    /// Only what it hears: what is played to it, and its bridge or mix.
    Sent,
}

impl Part {
    /// Channels of the recording; samples of two alternate, left first.
    #[must_use]
    pub const fn channels(self) -> u16 {
        match self {
            Self::Apart => 2,
            Self::All | Self::Heard | Self::Sent => 1,
        }
    }

    /// Whether what the leg says belongs to it.
    pub(crate) const fn has_heard(self) -> bool {
        match self {
            Self::All | Self::Apart | Self::Heard => true,
            Self::Sent => false,
        }
    }

    /// Whether what the leg hears belongs to it.
    pub(crate) const fn has_sent(self) -> bool {
        match self {
            Self::All | Self::Apart | Self::Sent => true,
            Self::Heard => false,
        }
    }
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

/// What a recording contains in place of a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Silence of the same length.
    Silence,
    /// Nothing: it continues where it was paused.
    Skip,
}

/// When there was voice.
#[derive(Debug)]
struct Voice {
    detector: audio::voice::Detector,
    /// Frames made, including those left out.
    frames: u64,
    /// The number of the last frame with voice, from 1; 0 before any.
    last: u64,
    /// The end of the current silence was reported.
    reported: bool,
}

/// What is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Object {
    Endpoint(EndpointId),
    Mix(MixId),
}

#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) id: RecordingId,
    pub(crate) of: Object,
    sources: Sources,
    terms: Terms,
    started: Instant,
    /// Samples of each channel handed out so far.
    made: u64,
    /// Samples of each channel left out before the first voice.
    skipped: u64,
    /// Samples of each channel left out in pauses.
    omitted: u64,
    /// The current pause.
    pause: Option<Pause>,
    /// When it is paused or continued next: samples of each channel since the start, in order.
    turns: VecDeque<(u64, Option<Pause>)>,
    /// Present if silence matters.
    voice: Option<Voice>,
    /// The last frames before the first voice, in a ring.
    before: Vec<[i16; WHOLE_FRAME]>,
    /// If it is not a recording, but finds out what has answered: gets the samples.
    pub(crate) answerer: Option<Box<audio::answerer::Detector>>,
    /// When the next frame is due.
    pub(crate) next_at: Instant,
}

/// The sources of sound, each present if it is recorded.
#[derive(Debug)]
struct Sources {
    /// The audio from the leg.
    heard: Option<Feed>,
    /// The audio that we made for the leg.
    played: Option<Feed>,
    /// The audio that the leg hears of its bridge.
    bridged: Option<Feed>,
}

/// One frame of a recording.
struct Frame {
    /// Both channels, alternating, if they are recorded apart.
    apart: [i16; WHOLE_FRAME],
    /// All sources.
    mixed: [i16; FRAME],
    /// Samples of each channel.
    len: usize,
}

impl Recording {
    pub(crate) fn new(
        id: RecordingId,
        of: Object,
        terms: Terms,
        now: Instant,
        next_at: Instant,
    ) -> Self {
        let (heard, sent) = (terms.part.has_heard(), terms.part.has_sent());
        let listens = terms.trim || terms.silence.is_some();
        let before = if terms.trim {
            MARGIN_FRAMES as usize
        } else {
            0
        };
        Self {
            id,
            of,
            sources: Sources {
                heard: heard.then(|| Feed::new(HEARD, audio::RATE)),
                played: sent.then(|| Feed::new(Delay::Fixed(BEHIND), audio::RATE)),
                bridged: sent.then(|| Feed::new(HEARD, audio::RATE)),
            },
            terms,
            started: now,
            made: 0,
            skipped: 0,
            omitted: 0,
            pause: None,
            turns: VecDeque::new(),
            voice: listens.then(|| Voice {
                detector: audio::voice::Detector::default(),
                frames: 0,
                last: 0,
                reported: false,
            }),
            before: vec![[0; WHOLE_FRAME]; before],
            answerer: None,
            next_at,
        }
    }

    /// Adds a decoded packet from the leg.
    pub(crate) fn hear(&mut self, sound: &Sound<'_>, now: Instant) {
        if let Some(heard) = &mut self.sources.heard {
            heard.push(sound, now);
        }
    }

    /// Adds a decoded packet that the leg hears of its bridge.
    pub(crate) fn hear_bridged(&mut self, sound: &Sound<'_>, now: Instant) {
        if let Some(bridged) = &mut self.sources.bridged {
            bridged.push(sound, now);
        }
    }

    /// Adds a frame played to the leg or made by the mix, at [`audio::RATE`].
    pub(crate) fn play(&mut self, header: &Header, samples: &[i16], now: Instant) {
        if let Some(played) = &mut self.sources.played {
            played.push_samples(header, audio::RATE, samples, now);
        }
    }

    /// Pauses the recording from `now` on, or continues it with `None`.
    pub(crate) fn pause(&mut self, pause: Option<Pause>, now: Instant) {
        self.turns.push_back((self.length(now), pause));
    }

    /// Makes the frame due at `at`.
    ///
    /// - `hand_out`: receives the samples that this makes available, at most [`FRAME`] of each
    ///   channel at a time.
    ///
    /// Returns whether the silence that the terms name has just been reached.
    pub(crate) fn frame(&mut self, at: Instant, hand_out: impl FnMut(&[i16])) -> bool {
        self.advance(FRAME, at, hand_out);
        self.is_silent_for_long()
    }

    /// Makes the remaining part up to the end.
    ///
    /// - `hand_out`: as for [`Recording::frame`].
    ///
    /// Returns how many samples of each channel were handed out, and how many of them to keep.
    pub(crate) fn finish(&mut self, now: Instant, mut hand_out: impl FnMut(&[i16])) -> (u64, u64) {
        loop {
            let missing = self.length(now).saturating_sub(self.passed());
            let len = usize::try_from(missing).unwrap_or(FRAME).min(FRAME);
            if len == 0 {
                break;
            }
            self.advance(len, self.next_at, &mut hand_out);
        }
        (self.made, self.keep())
    }

    /// Makes the next `len` samples of each channel, at most [`FRAME`].
    fn advance(&mut self, len: usize, at: Instant, hand_out: impl FnMut(&[i16])) {
        // What was said in a pause is taken out of the buffers all the same.
        let frame = self.sources.frame(self.terms.part, len, at);
        self.next_at += FRAME_TIME;
        match self.pause_until(self.passed() + len as u64) {
            None => self.add(&frame, hand_out),
            Some(Pause::Silence) => self.add(&Frame::silent(len), hand_out),
            Some(Pause::Skip) => self.omitted += len as u64,
        }
    }

    /// Samples of each channel since the start that have been made or left out.
    const fn passed(&self) -> u64 {
        self.made + self.skipped + self.omitted
    }

    /// The pause in the samples up to this one: a frame is paused if any part of it is.
    fn pause_until(&mut self, end: u64) -> Option<Pause> {
        let begin = self.passed();
        let is_due = |(at, pause): &mut (u64, Option<Pause>)| match pause {
            Some(_) => *at < end,
            None => *at <= begin,
        };
        while let Some((_, pause)) = self.turns.pop_front_if(is_due) {
            self.pause = pause;
        }
        self.pause
    }

    /// Hands out a frame, or keeps it back until there is voice.
    fn add(&mut self, frame: &Frame, mut hand_out: impl FnMut(&[i16])) {
        let len = frame.len as u64;
        let samples = frame.samples(self.terms.part);
        let Some(voice) = &mut self.voice else {
            self.made += len;
            return hand_out(samples);
        };
        let was_silent = voice.last == 0;
        voice.frames += 1;
        if voice.detector.push(frame.samples(Part::All)) {
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
        let whole = FRAME * usize::from(self.terms.part.channels());
        // The oldest first; those before the start of the recording do not exist.
        for back in (1..=ring).rev().filter(|back| *back < frames) {
            if let Some(frame) = self.before.get(((frames - back) % ring) as usize) {
                hand_out(&frame[..whole]);
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
}

impl Sources {
    /// The next `len` samples of each channel, at most [`FRAME`].
    fn frame(&mut self, part: Part, len: usize, at: Instant) -> Frame {
        let len = len.min(FRAME);
        let said = sum(&mut [&mut self.heard], len, at);
        let heard = sum(&mut [&mut self.played, &mut self.bridged], len, at);
        let mut frame = Frame::silent(len);
        if part == Part::Apart {
            for (pair, sums) in frame.apart.chunks_exact_mut(2).zip(said.iter().zip(&heard)) {
                audio::mix::saturate(&[*sums.0, *sums.1], pair);
            }
        }
        let mut all = said;
        all.iter_mut()
            .zip(&heard)
            .for_each(|(all, heard)| *all += heard);
        audio::mix::saturate(&all, &mut frame.mixed);
        frame
    }
}

/// The next `len` samples of several feeds, added up.
fn sum(feeds: &mut [&mut Option<Feed>], len: usize, at: Instant) -> [i32; FRAME] {
    let mut sum = [0; FRAME];
    let mut samples = [0; FRAME];
    let samples = &mut samples[..len];
    for feed in feeds.iter_mut().filter_map(|feed| feed.as_mut()) {
        if feed.pull(samples, at) != Played::Silence {
            audio::mix::add(&mut sum, samples);
        }
    }
    sum
}

impl Frame {
    const fn silent(len: usize) -> Self {
        Self {
            apart: [0; WHOLE_FRAME],
            mixed: [0; FRAME],
            len,
        }
    }

    /// The samples of a recording of this kind.
    fn samples(&self, part: Part) -> &[i16] {
        match part {
            Part::Apart => &self.apart[..2 * self.len],
            Part::All | Part::Heard | Part::Sent => &self.mixed[..self.len],
        }
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
