//! Key presses as telephone events (RFC 4733), on the 8000 Hz clock.
//!
//! ```text
//! |     event     |E|R| volume    |          duration             |
//! ```
//!
//! **Invariant: one key press gives exactly one digit, at its first packet that arrives**, however
//! its packets are lost, repeated or reordered. Real senders omit the marker bit, lose all three
//! end packets, repeat them late, use one timestamp for several presses or a new timestamp for
//! each packet; each of these has a row in the tests.
//! Left to others: which payload type carries events, and DTMF tones inside the audio.

use crate::packet::Header;
use crate::seq;
use std::time::{Duration, Instant};

const KEYS: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D',
];
const CLOCK_PER_MS: u32 = 8;
/// The end packet is sent three times (§2.5.1.4).
const END_PACKETS: u8 = 3;
/// Level of the tones we ask for: −10 dBm0 is the usual value.
const VOLUME: u8 = 10;

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
}

/// The key press heard last.
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

/// How a packet relates to the press heard last.
enum Relation {
    /// A further packet of it.
    Same,
    /// An old packet; of whatever press, that press is known.
    Old,
    /// The first packet of another press.
    New,
}

impl DtmfReceiver {
    /// A receiver that has heard nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Feeds one telephone-event packet; returns the digit if it begins a key press.
    /// Events that are no keys (such as flash, 16) and short payloads are ignored.
    pub fn handle_packet(&mut self, header: &Header, payload: &[u8], now: Instant) -> Option<char> {
        let event = Event::parse(payload)?;
        let digit = event.digit()?;
        let relation = self
            .press
            .as_ref()
            .map(|press| press.relation(header, &event, now));
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
                self.press = Some(press(header, &event, now));
                Some(digit)
            }
        }
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
    /// Packets of one press come every 20–50 ms; after this long the numbers say nothing.
    const FORGOTTEN: Duration = Duration::from_secs(5);
    /// Repeats of the end packet come within this time.
    const END_REPEATS: Duration = Duration::from_millis(300);
    /// Repeats of the end packet by a sender that moves the timestamp come within this time.
    const MOVED_END_REPEATS: Duration = Duration::from_millis(60);
    /// Close to the longest duration the field can hold (8.19 s).
    const NEARLY_FULL: u16 = 0xF000;
    /// Two start times this close (in timestamp units) are one.
    const SAME_START: i32 = 320;

    fn relation(&self, header: &Header, event: &Event, now: Instant) -> Relation {
        let age = now.saturating_duration_since(self.heard_at);
        if header.ssrc != self.ssrc || age > Self::FORGOTTEN {
            return Relation::New;
        }
        if !seq::is_newer(header.sequence, self.sequence) {
            return Relation::Old;
        }
        let same = event.code == self.code
            && if header.timestamp == self.timestamp {
                self.continues(event, age)
            } else {
                self.continues_elsewhere(header, event, age)
            };
        if same { Relation::Same } else { Relation::New }
    }

    /// Same key and timestamp: a further packet, unless the duration began anew.
    fn continues(&self, event: &Event, age: Duration) -> bool {
        let grew = event.duration >= self.duration;
        if self.ended {
            grew && age <= Self::END_REPEATS
        } else {
            grew || self.nearly_full()
        }
    }

    /// Same key, other timestamp: a new press, but for three kinds of senders.
    fn continues_elsewhere(&self, header: &Header, event: &Event, age: Duration) -> bool {
        if self.ended {
            let repeats_end = event.end && event.duration == self.duration && !header.marker;
            return repeats_end && age <= Self::MOVED_END_REPEATS;
        }
        // A long press goes on in a new segment (§2.5.1.3).
        let moved = seq::timestamp_distance(self.timestamp, header.timestamp);
        let next_segment = self.nearly_full() && moved == i32::from(self.duration);
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

/// One packet to send; the caller adds sequence number, SSRC and payload type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPacket {
    /// Set on the first packet of the press.
    pub marker: bool,
    /// Start of the press, the same in all its packets.
    pub timestamp: u32,
    /// The payload.
    pub payload: [u8; 4],
}

/// Sends one key press: a packet per frame, then the end packet three times.
#[derive(Debug, Clone)]
pub struct DtmfSender {
    code: u8,
    timestamp: u32,
    frame: u16,
    /// Length of the press in timestamp units.
    length: u16,
    /// Duration in the last packet sent.
    duration: u16,
    ends_left: u8,
}

impl DtmfSender {
    /// Starts a key press.
    ///
    /// - `timestamp`: RTP timestamp when the key goes down.
    /// - `length`: of the press; rounded up to whole frames, at least one, at most 8 s.
    /// - `frame`: time between packets in timestamp units (160 = 20 ms).
    ///
    /// `None` if `digit` is no key.
    pub fn new(digit: char, timestamp: u32, length: Duration, frame: u16) -> Option<Self> {
        let frame = frame.clamp(1, 8000);
        let units = length.as_millis().min(8000) as u32 * CLOCK_PER_MS;
        let frames = units.div_ceil(u32::from(frame)).max(1);
        let length = frames * u32::from(frame);
        Some(Self {
            code: code_of(digit)?,
            timestamp,
            frame,
            length: u16::try_from(length).unwrap_or(u16::MAX),
            duration: 0,
            ends_left: END_PACKETS,
        })
    }

    /// The packet of this frame; call once per frame. `None` when the press is over.
    pub fn next_packet(&mut self) -> Option<EventPacket> {
        if self.ends_left == 0 {
            return None;
        }
        let marker = self.duration == 0;
        self.duration = self.duration.saturating_add(self.frame).min(self.length);
        let end = self.duration == self.length;
        if end {
            self.ends_left -= 1;
        }
        let event = Event {
            code: self.code,
            end,
            volume: VOLUME,
            duration: self.duration,
        };
        Some(EventPacket {
            marker,
            timestamp: self.timestamp,
            payload: event.encode(),
        })
    }

    /// Length of the press in timestamp units: audio goes on at `timestamp` + this.
    pub fn length(&self) -> u16 {
        self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_layout() {
        let event = Event {
            code: 11,
            end: true,
            volume: 10,
            duration: 0x0320,
        };
        assert_eq!(event.encode(), [11, 0x8A, 0x03, 0x20]);
        assert_eq!(Event::parse(&[11, 0x8A, 0x03, 0x20, 99]), Some(event));
        assert_eq!(event.digit(), Some('#'));
        assert_eq!(Event::parse(&[1, 2, 3]), None);
        for (code, key) in KEYS.iter().enumerate() {
            assert_eq!(code_of(*key).map(usize::from), Some(code));
        }
        assert_eq!(code_of('d'), Some(15));
        assert_eq!(code_of('E'), None);
    }

    /// What the sender under test put on the wire, in ms, and the digits heard.
    /// Packet: arrival ms, sequence, marker, timestamp, code, end, duration.
    type Wire = (u64, u16, bool, u32, u8, bool, u16);

    #[test]
    fn each_press_is_heard_once() {
        let table: &[(&str, &[Wire], &str)] = &[
            (
                "textbook",
                &[
                    (0, 1, true, 0, 5, false, 160),
                    (20, 2, false, 0, 5, false, 320),
                    (40, 3, false, 0, 5, true, 480),
                    (40, 4, false, 0, 5, true, 480),
                    (40, 5, false, 0, 5, true, 480),
                ],
                "5",
            ),
            (
                "no marker bit, two presses",
                &[
                    (0, 1, false, 0, 5, false, 160),
                    (20, 2, false, 0, 5, true, 320),
                    (200, 3, false, 1600, 5, false, 160),
                    (220, 4, false, 1600, 5, true, 320),
                ],
                "55",
            ),
            (
                "all end packets lost, same key again",
                &[
                    (0, 1, true, 0, 5, false, 160),
                    (20, 2, false, 0, 5, false, 320),
                    (200, 6, true, 1600, 5, false, 160),
                    (220, 7, false, 1600, 5, true, 320),
                ],
                "55",
            ),
            (
                "only an end packet arrives",
                &[(0, 9, false, 0, 1, true, 800)],
                "1",
            ),
            (
                "end packets repeated late",
                &[
                    (0, 1, true, 0, 5, true, 160),
                    (20, 2, false, 0, 5, true, 160),
                    (250, 3, false, 0, 5, true, 160),
                ],
                "5",
            ),
            (
                "one timestamp for two presses of a key",
                &[
                    (0, 1, true, 0, 5, false, 160),
                    (20, 2, false, 0, 5, true, 320),
                    (120, 3, true, 0, 5, false, 160),
                    (140, 4, false, 0, 5, true, 320),
                ],
                "55",
            ),
            (
                "one timestamp, end packets lost",
                &[
                    (0, 1, true, 0, 5, false, 160),
                    (20, 2, false, 0, 5, false, 320),
                    (120, 3, true, 0, 5, false, 160),
                ],
                "55",
            ),
            (
                "one timestamp for two keys",
                &[
                    (0, 1, true, 0, 5, false, 160),
                    (20, 2, false, 0, 5, true, 320),
                    (120, 3, true, 0, 6, false, 160),
                    (140, 4, false, 0, 6, true, 320),
                ],
                "56",
            ),
            (
                "one timestamp, pressed again much later, only the end arrives",
                &[
                    (0, 1, true, 0, 5, true, 320),
                    (900, 9, false, 0, 5, true, 320),
                ],
                "55",
            ),
            (
                "new timestamp in each packet",
                &[
                    (0, 1, true, 160, 5, false, 160),
                    (20, 2, false, 320, 5, false, 320),
                    (40, 3, false, 480, 5, false, 480),
                    (60, 4, false, 640, 5, true, 640),
                    (80, 5, false, 800, 5, true, 640),
                    (100, 6, false, 960, 5, true, 640),
                ],
                "5",
            ),
            (
                "reordered inside a press",
                &[
                    (0, 2, false, 0, 5, false, 320),
                    (10, 1, true, 0, 5, false, 160),
                    (40, 3, false, 0, 5, true, 480),
                ],
                "5",
            ),
            (
                "end of the first overtaken by the second",
                &[
                    (0, 1, true, 0, 5, false, 160),
                    (40, 4, true, 800, 6, false, 160),
                    (41, 3, false, 0, 5, true, 320),
                    (60, 5, false, 800, 6, true, 320),
                ],
                "56",
            ),
            (
                "sequence wraps",
                &[
                    (0, 65535, true, 0, 5, false, 160),
                    (20, 0, false, 0, 5, true, 320),
                ],
                "5",
            ),
            (
                "press of 10 s in two segments",
                &[
                    (0, 1, true, 0, 5, false, 160),
                    (1000, 2, false, 0, 5, false, 8000),
                    (5000, 3, false, 0, 5, false, 40000),
                    (8190, 4, false, 0, 5, false, 65535),
                    (8210, 5, false, 65535, 5, false, 160),
                    (10000, 6, false, 65535, 5, true, 14400),
                ],
                "5",
            ),
            (
                "flash is no key",
                &[
                    (0, 1, true, 0, 16, false, 160),
                    (20, 2, true, 400, 0, false, 160),
                ],
                "0",
            ),
            (
                "sequence begins anew after a pause",
                &[
                    (0, 60000, true, 0, 5, true, 160),
                    (8000, 3, true, 64000, 5, true, 160),
                ],
                "55",
            ),
        ];
        for (name, packets, expected) in table {
            assert_eq!(heard(packets), *expected, "{name}");
        }
    }

    #[test]
    fn new_source_is_a_new_press() {
        let mut receiver = DtmfReceiver::new();
        let now = origin();
        let payload = Event {
            code: 1,
            end: true,
            volume: 10,
            duration: 160,
        }
        .encode();
        let header = Header {
            ssrc: 1,
            sequence: 9,
            ..Header::default()
        };
        assert_eq!(receiver.handle_packet(&header, &payload, now), Some('1'));
        let header = Header {
            ssrc: 2,
            sequence: 3,
            ..Header::default()
        };
        assert_eq!(receiver.handle_packet(&header, &payload, now), Some('1'));
    }

    #[test]
    fn sent_press_is_heard_once_even_with_half_of_it_lost() {
        for lost in 0..64u32 {
            let mut receiver = DtmfReceiver::new();
            let mut heard = String::new();
            let mut sequence = 100;
            for (index, digit) in "1155#".chars().enumerate() {
                let start = 5000 + index as u32 * 1600;
                let length = Duration::from_millis(100);
                let mut sender = DtmfSender::new(digit, start, length, 160).unwrap();
                let mut frame = 0;
                while let Some(packet) = sender.next_packet() {
                    let header = Header {
                        marker: packet.marker,
                        payload_type: 101,
                        sequence,
                        timestamp: packet.timestamp,
                        ssrc: 1,
                    };
                    let now = origin() + Duration::from_millis(index as u64 * 200 + frame * 20);
                    // Six of seven packets may be lost, in every combination; the last comes.
                    if lost & (1 << frame) == 0 {
                        heard.extend(receiver.handle_packet(&header, &packet.payload, now));
                    }
                    sequence += 1;
                    frame += 1;
                }
                assert_eq!(
                    frame, 7,
                    "5 frames, the last of them an end packet, and 2 repeats"
                );
            }
            assert_eq!(heard, "1155#", "lost {lost:#b}");
        }
    }

    #[test]
    fn sender_bounds() {
        let ends = |sender: &mut DtmfSender| {
            std::iter::from_fn(|| sender.next_packet())
                .filter_map(|packet| Event::parse(&packet.payload))
                .filter(|event| event.end)
                .map(|event| event.duration)
                .collect::<Vec<_>>()
        };
        let table = [
            (0, 160),
            (1, 160),
            (20, 160),
            (21, 320),
            (100, 800),
            (60_000, 64_000),
        ];
        for (ms, units) in table {
            let mut sender = DtmfSender::new('1', 0, Duration::from_millis(ms), 160).unwrap();
            assert_eq!(sender.length(), units, "{ms} ms");
            assert_eq!(ends(&mut sender), [units; 3], "{ms} ms");
        }
        assert!(DtmfSender::new('x', 0, Duration::ZERO, 160).is_none());
    }

    fn heard(packets: &[Wire]) -> String {
        let mut receiver = DtmfReceiver::new();
        let start = origin();
        let mut heard = String::new();
        for (at, sequence, marker, timestamp, code, end, duration) in packets {
            let header = Header {
                marker: *marker,
                payload_type: 101,
                sequence: *sequence,
                timestamp: *timestamp,
                ssrc: 1,
            };
            let event = Event {
                code: *code,
                end: *end,
                volume: 10,
                duration: *duration,
            };
            let now = start + Duration::from_millis(*at);
            heard.extend(receiver.handle_packet(&header, &event.encode(), now));
        }
        heard
    }

    #[expect(clippy::disallowed_methods, reason = "virtual time needs an origin")]
    fn origin() -> Instant {
        static ORIGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *ORIGIN.get_or_init(Instant::now)
    }
}
