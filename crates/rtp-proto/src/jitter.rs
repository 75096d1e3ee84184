//! Evens out network delay for decoded audio of any sample rate and hides lost frames.
//!
//! Packets go in as samples with the timestamp of the first one, in any order; that timestamp
//! counts samples, so a codec whose RTP clock is slower than its sample rate needs
//! [`sample_header`]. Frames come out on the caller's clock. A missing stretch is filled by
//! repeating the last 20 ms, fading to silence within 60 ms; then the buffer rests until the next
//! packet, which starts a new spurt after the full delay.
//!
//! **Invariant: each received sample is played at most once and in timestamp order, and the
//! stored audio never exceeds the ring**: a packet that does not fit restarts the stream.
//! With [`Delay::Adaptive`] the delay grows as soon as a packet comes too late, and shrinks step
//! by step, once per second, while more audio is waiting than was needed.
//! Left to others: decoding, and the clock that calls [`JitterBuffer::pull`].

use crate::packet::Header;
use crate::seq;
use std::time::{Duration, Instant};

/// What concealment repeats, and the smallest cut, in ms.
const FRAME_MS: u32 = 20;
/// Marks a slot of the ring that holds no sample; received samples are kept off this value.
const EMPTY: i16 = i16::MIN;
/// Concealed audio keeps its level for this many ms …
const FADE_FROM_MS: u32 = 10;
/// … and is silent after this many.
const FADE_TO_MS: u32 = 60;
/// Concealed and real audio are blended over this many ms.
const BLEND_MS: u32 = 4;
/// Room for jumps of the stream on top of the delay, in ms.
const ROOM_MS: u32 = 250;
/// This many late packets in a row mean that the sender's clock has moved.
const LATE_IN_A_ROW: u32 = 5;
/// How long the depth is watched before the delay shrinks.
const WINDOW: Duration = Duration::from_secs(1);

/// How long audio waits before it is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delay {
    /// A constant delay.
    Fixed(Duration),
    /// Follows the network between two bounds.
    Adaptive {
        /// Shortest delay, and the initial one.
        min: Duration,
        /// Longest delay.
        max: Duration,
    },
}

/// What a frame was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Played {
    /// Received audio only.
    Audio,
    /// At least partly made up.
    Concealed,
    /// Nothing to play: silence.
    Silence,
}

/// The outcome of pushing a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// Will be played.
    Kept,
    /// Its playout time has passed.
    Late,
    /// It has arrived before.
    Duplicate,
    /// The stream restarts with this packet.
    Restarted,
}

/// Reorders, times and conceals the audio of one stream.
#[derive(Debug, Clone)]
pub struct JitterBuffer {
    delay: Delay,
    /// Samples per millisecond.
    per_ms: u32,
    /// Current delay in samples.
    target: u32,
    ring: Box<[i16]>,
    stream: Option<Stream>,
    concealer: Concealer,
}

#[derive(Debug, Clone)]
struct Stream {
    ssrc: u32,
    newest: u16,
    /// Bit n: the packet n before the newest has arrived.
    seen: u64,
    late_in_a_row: u32,
    phase: Phase,
    /// Timestamp of the next sample to play.
    next: u32,
    /// Timestamp after the newest stored sample.
    end: u32,
    /// Timestamp after the last received sample that was played; `None` if none was.
    played_end: Option<u32>,
    /// Least audio left after a pull in the current window; `None` before the first pull.
    least_left: Option<u32>,
    window_ends: Instant,
}

/// The playout phase of the stream.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Packets gather until the delay is over.
    Waiting { start_at: Instant },
    /// Samples are played.
    Playing,
    /// Nothing has arrived for so long that the next packet starts a spurt.
    Resting,
}

impl JitterBuffer {
    /// An empty buffer for samples at `rate` Hz (whole kHz). Delays above 500 ms count as 500 ms.
    pub fn new(delay: Delay, rate: u32) -> Self {
        let per_ms = (rate / 1000).max(1);
        let (first, max) = match delay {
            Delay::Fixed(delay) => (delay, delay),
            Delay::Adaptive { min, max } => (min, max.max(min)),
        };
        let (first, max) = (samples(first, per_ms), samples(max, per_ms));
        // Room for the delay, an equally long burst, and a quarter of a second.
        let capacity = (max * 2 + ROOM_MS * per_ms).next_power_of_two() as usize;
        Self {
            delay,
            per_ms,
            target: first,
            ring: vec![EMPTY; capacity].into_boxed_slice(),
            stream: None,
            concealer: Concealer::new(per_ms),
        }
    }

    /// Stores the decoded samples of one packet.
    pub fn push(&mut self, header: &Header, samples: &[i16], now: Instant) -> Pushed {
        let Some(stream) = self
            .stream
            .as_mut()
            .filter(|stream| stream.ssrc == header.ssrc)
        else {
            return self.restart(header, samples, now);
        };
        if !stream.note_sequence(header.sequence) {
            return Pushed::Duplicate;
        }
        if matches!(stream.phase, Phase::Resting) && stream.is_unplayed(header.timestamp) {
            stream.begin(header.timestamp, now + duration(self.target, self.per_ms));
        }
        let ahead = i64::from(seq::timestamp_distance(stream.next, header.timestamp));
        let (capacity, len) = (self.ring.len() as i64, samples.len() as i64);
        if ahead + len > capacity || ahead < -capacity {
            return self.restart(header, samples, now);
        }
        if ahead < 0 {
            return self.push_late(header, samples, ahead.unsigned_abs() as u32, now);
        }
        stream.late_in_a_row = 0;
        self.store(header.timestamp, samples);
        Pushed::Kept
    }

    /// Fills `out` with the next samples to play. Call at a steady pace, for example 160 samples
    /// every 20 ms.
    pub fn pull(&mut self, out: &mut [i16], now: Instant) -> Played {
        let Some(stream) = self.stream.as_mut() else {
            out.fill(0);
            return Played::Silence;
        };
        if let Phase::Waiting { start_at } = stream.phase
            && start_at <= now
        {
            stream.phase = Phase::Playing;
            stream.watch_from(now);
        }
        match stream.phase {
            Phase::Playing => self.play(out, now),
            Phase::Waiting { .. } | Phase::Resting => {
                let made_up = out
                    .iter_mut()
                    .filter_map(|out| self.concealer.make_up(out))
                    .count();
                if made_up > 0 {
                    Played::Concealed
                } else {
                    Played::Silence
                }
            }
        }
    }

    /// The delay in force.
    pub fn delay(&self) -> Duration {
        duration(self.target, self.per_ms)
    }

    /// Forgets the stream; keeps the delay.
    pub fn reset(&mut self) {
        self.stream = None;
        self.ring.fill(EMPTY);
        self.concealer.reset();
    }

    fn restart(&mut self, header: &Header, samples: &[i16], now: Instant) -> Pushed {
        self.ring.fill(EMPTY);
        let start_at = now + duration(self.target, self.per_ms);
        self.stream = Some(Stream::new(header, start_at));
        self.store(
            header.timestamp,
            &samples[..samples.len().min(self.ring.len())],
        );
        Pushed::Restarted
    }

    /// A packet whose beginning should have been played `by` samples ago.
    fn push_late(&mut self, header: &Header, samples: &[i16], by: u32, now: Instant) -> Pushed {
        let Some(stream) = self.stream.as_mut() else {
            return Pushed::Late;
        };
        let unplayed = stream.is_unplayed(header.timestamp);
        if matches!(stream.phase, Phase::Waiting { .. }) && unplayed {
            // An earlier packet overtaken by the first one: begin with it.
            let depth = stream.end.wrapping_sub(header.timestamp) as usize;
            if depth > self.ring.len() {
                return Pushed::Late;
            }
            stream.next = header.timestamp;
            self.store(header.timestamp, samples);
            return Pushed::Kept;
        }
        stream.late_in_a_row += 1;
        if stream.late_in_a_row >= LATE_IN_A_ROW {
            return self.restart(header, samples, now);
        }
        if matches!(stream.phase, Phase::Resting) {
            return Pushed::Late;
        }
        if let Delay::Adaptive { max, .. } = self.delay {
            let room = self::samples(max, self.per_ms).saturating_sub(self.target);
            let depth = stream.end.wrapping_sub(header.timestamp) as usize;
            self.target += by.min(room);
            if by <= room && unplayed && depth <= self.ring.len() {
                stream.next = header.timestamp;
                self.store(header.timestamp, samples);
                return Pushed::Kept;
            }
        }
        // The places before `next` have been played, those after it may still be missing.
        let Some(rest) = samples.get(by as usize..).filter(|rest| !rest.is_empty()) else {
            return Pushed::Late;
        };
        self.store(header.timestamp.wrapping_add(by), rest);
        Pushed::Kept
    }

    /// Puts samples at their place; the caller has checked that they fit.
    fn store(&mut self, timestamp: u32, samples: &[i16]) {
        let Some(stream) = self.stream.as_mut() else {
            return;
        };
        let mask = self.ring.len() - 1;
        for (index, sample) in samples.iter().enumerate() {
            let place = (timestamp as usize).wrapping_add(index) & mask;
            self.ring[place] = (*sample).max(EMPTY + 1);
        }
        let end = timestamp.wrapping_add(samples.len() as u32);
        if seq::timestamp_distance(stream.end, end) > 0 {
            stream.end = end;
        }
    }

    fn play(&mut self, out: &mut [i16], now: Instant) -> Played {
        self.shrink(now);
        let Some(stream) = self.stream.as_mut() else {
            return Played::Silence;
        };
        let mask = self.ring.len() - 1;
        let (mut received, mut made_up) = (0, 0u64);
        for out in out.iter_mut() {
            let sample = std::mem::replace(&mut self.ring[stream.next as usize & mask], EMPTY);
            stream.next = stream.next.wrapping_add(1);
            if sample == EMPTY {
                made_up += u64::from(self.concealer.make_up(out).is_some());
            } else {
                *out = self.concealer.pass(sample);
                stream.played_end = Some(stream.next);
                received += 1;
            }
        }
        let left = seq::timestamp_distance(stream.next, stream.end)
            .max(0)
            .cast_unsigned();
        stream.least_left = Some(stream.least_left.map_or(left, |least| least.min(left)));
        if left == 0 && self.concealer.is_silent() {
            stream.phase = Phase::Resting;
        }
        match (received, made_up) {
            (0, 0) => Played::Silence,
            (received, 0) if received == out.len() => Played::Audio,
            (_, _) => Played::Concealed,
        }
    }

    /// Once per window: cuts some audio if more was left after every pull than the delay needs.
    fn shrink(&mut self, now: Instant) {
        let Some(stream) = self.stream.as_mut() else {
            return;
        };
        if now < stream.window_ends {
            return;
        }
        let keep = match self.delay {
            Delay::Fixed(delay) => samples(delay, self.per_ms),
            Delay::Adaptive { min, .. } => samples(min, self.per_ms),
        };
        let excess = stream.least_left.unwrap_or(0).saturating_sub(keep);
        stream.watch_from(now);
        let frame = FRAME_MS * self.per_ms;
        if excess < frame {
            return;
        }
        let cut = (excess / 2).max(frame);
        self.target = self.target.saturating_sub(cut).max(keep);
        self.cut(cut);
    }

    /// Drops the next `count` samples; what follows is blended with them.
    fn cut(&mut self, count: u32) {
        let Some(stream) = self.stream.as_mut() else {
            return;
        };
        let mask = self.ring.len() - 1;
        let place = |timestamp: u32, index: usize| (timestamp as usize).wrapping_add(index) & mask;
        let (from, to) = (stream.next, stream.next.wrapping_add(count));
        let blending = BLEND_MS * self.per_ms;
        for index in 0..blending as usize {
            let (old, new) = (self.ring[place(from, index)], self.ring[place(to, index)]);
            if old != EMPTY && new != EMPTY {
                self.ring[place(to, index)] = blend(old, new, index as u32, blending);
            }
        }
        for index in 0..count as usize {
            self.ring[place(from, index)] = EMPTY;
        }
        stream.next = to;
        stream.played_end = Some(to);
    }
}

impl Stream {
    fn new(header: &Header, start_at: Instant) -> Self {
        Self {
            ssrc: header.ssrc,
            newest: header.sequence,
            seen: 1,
            late_in_a_row: 0,
            phase: Phase::Waiting { start_at },
            next: header.timestamp,
            end: header.timestamp,
            played_end: None,
            least_left: None,
            window_ends: start_at + WINDOW,
        }
    }

    /// Starts a spurt: the ring is empty, `timestamp` is played at `start_at`.
    fn begin(&mut self, timestamp: u32, start_at: Instant) {
        self.phase = Phase::Waiting { start_at };
        self.next = timestamp;
        self.end = timestamp;
        self.late_in_a_row = 0;
    }

    /// True if no received audio from `timestamp` on has been played.
    fn is_unplayed(&self, timestamp: u32) -> bool {
        self.played_end
            .is_none_or(|end| seq::timestamp_distance(end, timestamp) >= 0)
    }

    fn watch_from(&mut self, now: Instant) {
        self.least_left = None;
        self.window_ends = now + WINDOW;
    }

    /// Notes a sequence number; false if it was noted before.
    fn note_sequence(&mut self, sequence: u16) -> bool {
        let ahead = seq::distance(self.newest, sequence);
        if ahead > 0 {
            self.seen = self
                .seen
                .checked_shl(u32::from(ahead.unsigned_abs()))
                .unwrap_or(0)
                | 1;
            self.newest = sequence;
            return true;
        }
        let Some(bit) = 1u64.checked_shl(u32::from(ahead.unsigned_abs())) else {
            return true;
        };
        let new = self.seen & bit == 0;
        self.seen |= bit;
        new
    }
}

/// Fills gaps by repeating the last received 20 ms, quieter and quieter.
#[derive(Debug, Clone)]
struct Concealer {
    history: Box<[i16]>,
    at: usize,
    /// Samples made up since the last received one; starts as if the fade were over.
    made_up: u32,
    /// Received samples still to be blended with made-up ones.
    blending: u32,
    /// Samples per millisecond.
    per_ms: u32,
}

impl Concealer {
    fn new(per_ms: u32) -> Self {
        Self {
            history: vec![0; (FRAME_MS * per_ms) as usize].into_boxed_slice(),
            at: 0,
            made_up: FADE_TO_MS * per_ms,
            blending: 0,
            per_ms,
        }
    }

    fn reset(&mut self) {
        self.history.fill(0);
        self.made_up = FADE_TO_MS * self.per_ms;
        self.blending = 0;
    }

    fn is_silent(&self) -> bool {
        self.made_up >= FADE_TO_MS * self.per_ms
    }

    /// Records a received sample and returns what to play.
    fn pass(&mut self, sample: i16) -> i16 {
        let played = if self.blending > 0 {
            let full = BLEND_MS * self.per_ms;
            let index = full - self.blending;
            self.blending -= 1;
            blend(self.faded(), sample, index, full)
        } else {
            self.made_up = 0;
            sample
        };
        self.history[self.at] = played;
        self.step();
        played
    }

    /// Makes up one sample; `None` (and silence) once the fade is over.
    fn make_up(&mut self, out: &mut i16) -> Option<()> {
        *out = self.faded();
        if self.is_silent() {
            return None;
        }
        self.step();
        self.made_up += 1;
        self.blending = BLEND_MS * self.per_ms;
        Some(())
    }

    fn step(&mut self) {
        self.at += 1;
        if self.at == self.history.len() {
            self.at = 0;
        }
    }

    /// The sample of 20 ms ago at the current fade level.
    fn faded(&self) -> i16 {
        let length = (FADE_TO_MS - FADE_FROM_MS) * self.per_ms;
        let left = (FADE_TO_MS * self.per_ms)
            .saturating_sub(self.made_up)
            .min(length);
        let sample = i64::from(self.history[self.at]);
        (sample * i64::from(left) / i64::from(length)) as i16
    }
}

/// A step of a linear cross-fade over `length` samples.
fn blend(old: i16, new: i16, index: u32, length: u32) -> i16 {
    let (weight, full) = (i64::from(index) + 1, i64::from(length) + 1);
    ((i64::from(old) * (full - weight) + i64::from(new) * weight) / full) as i16
}

/// A header whose timestamp counts samples, `per_tick` of them for each unit of the RTP clock.
#[must_use]
pub fn sample_header(header: &Header, per_tick: u32) -> Header {
    // Timestamp differences stay meaningful although both counters wrap.
    Header {
        timestamp: header.timestamp.wrapping_mul(per_tick),
        ..*header
    }
}

fn samples(delay: Duration, per_ms: u32) -> u32 {
    delay.as_millis().min(500) as u32 * per_ms
}

fn duration(samples: u32, per_ms: u32) -> Duration {
    Duration::from_micros(u64::from(samples) * 1000 / u64::from(per_ms))
}

#[cfg(test)]
mod tests;
