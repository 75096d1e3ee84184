//! Key presses as telephone events (RFC 4733), on the 8000 Hz clock.
//!
//! ```text
//! |     event     |E|R| volume    |          duration             |
//! ```
//!
//! **Invariant: one key press gives exactly one digit, at its first packet that arrives**, however
//! its packets are lost, repeated or reordered. Key and timestamp name the press (§2.5.1.2), so an
//! end packet that is repeated late, even after the next key, does not start a new one (§2.5.1.4).
//! Real senders omit the marker bit, lose all three end packets, use one timestamp for several
//! presses or a new timestamp for each packet; each of these has a row in the tests. Left to
//! others: which payload type carries events, and DTMF tones inside the audio.

mod sender;

pub use sender::{DtmfSender, EventPacket};

use crate::packet::Header;
use crate::seq;
use std::time::{Duration, Instant};

const KEYS: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D',
];

/// One telephone-event payload (§2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Event code; 0–15 are the DTMF keys.
    pub code: u8,
    /// Set on the last packet of the press and its repeats.
    pub end: bool,
    /// Tone power in dB below 0 dBm0, 0–63.
    pub volume: u8,
    /// Time since the key went down, in timestamp units (160 = 20 ms).
    pub duration: u16,
}

impl Event {
    /// Reads the first 4 octets of a payload; `None` if there are fewer.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let [code, flags, d0, d1] = *payload.first_chunk()?;
        Some(Self {
            code,
            end: flags & 0x80 != 0,
            volume: flags & 0x3F,
            duration: u16::from_be_bytes([d0, d1]),
        })
    }

    /// The 4 payload octets; a volume above 63 is sent as 63.
    pub fn encode(&self) -> [u8; 4] {
        let end = if self.end { 0x80 } else { 0 };
        let [d0, d1] = self.duration.to_be_bytes();
        [self.code, end | self.volume.min(63), d0, d1]
    }

    /// The key; `None` for codes above 15.
    pub fn digit(&self) -> Option<char> {
        KEYS.get(usize::from(self.code)).copied()
    }
}

/// Event code of a key (`0`–`9`, `*`, `#`, `A`–`D` in any case); `None` for other characters.
pub fn code_of(digit: char) -> Option<u8> {
    let digit = digit.to_ascii_uppercase();
    KEYS.iter()
        .position(|key| *key == digit)
        .and_then(|index| u8::try_from(index).ok())
}

/// Turns received events into digits.
#[derive(Debug, Clone, Default)]
pub struct DtmfReceiver {
    press: Option<Press>,
    /// Presses of the same source before that one, newest first.
    before: [Option<Press>; REMEMBERED],
}

/// Presses before the newest whose stray packets are recognized.
const REMEMBERED: usize = 4;

/// The most recent key press.
#[derive(Debug, Clone, Copy)]
struct Press {
    ssrc: u32,
    code: u8,
    sequence: u16,
    timestamp: u32,
    duration: u16,
    ended: bool,
    heard_at: Instant,
}

/// How a packet relates to the most recent press.
enum Relation {
    /// A further packet of the same press.
    Same,
    /// An old packet, from a press already counted.
    Old,
    /// The first packet of another press.
    New,
}

impl DtmfReceiver {
    /// A receiver that has received nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Feeds one telephone-event packet; returns the digit if it begins a key press.
    /// Events other than keys (such as flash, 16) and short payloads are ignored.
    pub fn handle_packet(&mut self, header: &Header, payload: &[u8], now: Instant) -> Option<char> {
        let event = Event::parse(payload)?;
        let digit = event.digit()?;
        let relation = self
            .press
            .as_ref()
            .map(|press| press.relation(header, &event, &self.before, now));
        match relation {
            Some(Relation::Old) => None,
            Some(Relation::Same) => {
                let ended = self.press.is_some_and(|press| press.ended);
                self.press = Some(Press {
                    ended: ended || event.end,
                    ..press(header, &event, now)
                });
                None
            }
            Some(Relation::New) | None => {
                self.remember(header.ssrc);
                self.press = Some(press(header, &event, now));
                Some(digit)
            }
        }
    }

    /// Moves the newest press into the history; a different SSRC starts an empty history.
    fn remember(&mut self, ssrc: u32) {
        if self.press.is_some_and(|press| press.ssrc != ssrc) {
            self.before = [None; REMEMBERED];
        } else {
            self.before.rotate_right(1);
            self.before[0] = self.press;
        }
    }

    /// True until an end packet of the most recent press arrives. All of them may be lost, so a
    /// caller waiting for the end must also detect that packets have stopped.
    pub fn is_down(&self) -> bool {
        self.press.is_some_and(|press| !press.ended)
    }
}

fn press(header: &Header, event: &Event, now: Instant) -> Press {
    Press {
        ssrc: header.ssrc,
        code: event.code,
        sequence: header.sequence,
        timestamp: header.timestamp,
        duration: event.duration,
        ended: event.end,
        heard_at: now,
    }
}

impl Press {
    /// Packets of one press come every 20–50 ms; after this long the numbers mean nothing.
    const FORGOTTEN: Duration = Duration::from_secs(5);
    /// Repeats of the end packet come within this time, and may even have the marker bit.
    const END_REPEATS: Duration = Duration::from_millis(300);
    /// Repeats of the end packet by a sender that moves the timestamp come within this time.
    const MOVED_END_REPEATS: Duration = Duration::from_millis(60);
    /// Close to the longest duration the field can hold (8.19 s).
    const NEARLY_FULL: u16 = 0xF000;
    /// Two start times this close (in timestamp units) are one.
    const SAME_START: i32 = 320;
    /// A late packet is at most this many sequence numbers behind; a sender that restarts its
    /// numbering is further away.
    const REORDERED: i32 = 100;
    /// A sender that changes its SSRC in mid-press continues within this time.
    const SSRC_CHANGE: Duration = Duration::from_millis(100);

    /// - `before`: the presses before this one.
    fn relation(
        &self,
        header: &Header,
        event: &Event,
        before: &[Option<Self>],
        now: Instant,
    ) -> Relation {
        let age = now.saturating_duration_since(self.heard_at);
        if age > Self::FORGOTTEN {
            return Relation::New;
        }
        if header.ssrc != self.ssrc {
            return self.relation_of_other_source(header, event, age);
        }
        let ahead = i32::from(seq::distance(self.sequence, header.sequence));
        if (-Self::REORDERED..=0).contains(&ahead) {
            return Relation::Old;
        }
        let known = |press: &Self| press.is_older_press_of(header, event, now);
        let same_key = event.code == self.code;
        let same = if same_key && header.timestamp == self.timestamp {
            self.continues(header, event, age)
        } else if before.iter().flatten().any(known) || self.precludes(header, event) {
            return Relation::Old;
        } else {
            same_key && self.continues_elsewhere(header, event, age)
        };
        if same { Relation::Same } else { Relation::New }
    }

    /// An end packet older than this press that starts nothing: it belongs to an earlier press,
    /// whether or not that one was received.
    fn precludes(&self, header: &Header, event: &Event) -> bool {
        let moved = seq::timestamp_distance(self.timestamp, header.timestamp);
        moved < 0 && event.end && !header.marker
    }

    /// Whether a packet that arrives after a newer press belongs to this one. If both presses share
    /// a timestamp, a duration that restarted means another press.
    fn is_older_press_of(&self, header: &Header, event: &Event, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.heard_at);
        age <= Self::FORGOTTEN
            && event.code == self.code
            && header.timestamp == self.timestamp
            && !header.marker
            && event.duration >= self.duration
            && (event.end || !self.ended)
    }

    /// A new SSRC begins a new press, unless it plainly continues this one.
    fn relation_of_other_source(&self, header: &Header, event: &Event, age: Duration) -> Relation {
        let goes_on = event.code == self.code
            && header.timestamp == self.timestamp
            && event.duration > self.duration;
        if goes_on && age <= Self::SSRC_CHANGE {
            Relation::Same
        } else {
            Relation::New
        }
    }

    /// Same key and timestamp: a further packet, unless the duration restarted. After the end only
    /// its repeats follow, so a key that is down again has been pressed again.
    fn continues(&self, header: &Header, event: &Event, age: Duration) -> bool {
        let grew = event.duration >= self.duration;
        if self.ended {
            event.end && grew && (age <= Self::END_REPEATS || !header.marker)
        } else {
            grew || self.nearly_full()
        }
    }

    /// Same key, other timestamp: a new press, except from three kinds of senders.
    fn continues_elsewhere(&self, header: &Header, event: &Event, age: Duration) -> bool {
        if self.ended {
            let repeats_end = event.end && event.duration == self.duration && !header.marker;
            return repeats_end && age <= Self::MOVED_END_REPEATS;
        }
        // A long press continues in a new segment (§2.5.1.3); the last packets of the previous one
        // may be lost.
        let moved = seq::timestamp_distance(self.timestamp, header.timestamp);
        let segment = i32::from(self.duration)..=i32::from(u16::MAX);
        let next_segment = self.nearly_full() && segment.contains(&moved);
        // The timestamp moves with the duration, although it should name the start.
        let start_moved = moved - (i32::from(event.duration) - i32::from(self.duration));
        let one_start = moved > 0
            && event.duration > self.duration
            && !header.marker
            && start_moved.abs() <= Self::SAME_START;
        next_segment || one_start
    }

    fn nearly_full(&self) -> bool {
        self.duration >= Self::NEARLY_FULL
    }
}

#[cfg(test)]
mod tests;
