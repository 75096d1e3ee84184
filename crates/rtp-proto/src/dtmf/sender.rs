//! Sends one key press: a packet per frame, then the end packet three times (RFC 4733 §2.5.1).
//!
//! **Invariant: all packets of a press carry one timestamp, and exactly three its end.**
//! Left to others: when a frame is due, and the header.

use super::{Event, code_of};
use std::time::Duration;

const CLOCK_PER_MS: u32 = 8;
/// The end packet is sent three times (§2.5.1.4).
const END_PACKETS: u8 = 3;
/// Level of the tones we ask for: −10 dBm0 is the usual value.
const VOLUME: u8 = 10;

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
    /// `None` if `digit` is not a key.
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

    /// Releases the key: the packets that follow are end packets with the duration reached so far,
    /// at least one frame.
    pub fn release(&mut self) {
        self.length = self.duration.max(self.frame);
    }

    /// Length of the press in timestamp units: audio continues at `timestamp` + this.
    pub fn length(&self) -> u16 {
        self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf::DtmfReceiver;
    use crate::packet::Header;
    use std::time::Instant;

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

    #[test]
    fn released_early() {
        for frames in 0..4u16 {
            let mut sender = DtmfSender::new('1', 7, Duration::from_secs(8), 160).unwrap();
            for frame in 1..=frames {
                let event = sender.next_packet().and_then(|p| Event::parse(&p.payload));
                assert_eq!(
                    event.map(|e| (e.end, e.duration)),
                    Some((false, frame * 160))
                );
            }
            sender.release();
            let ends: Vec<_> = std::iter::from_fn(|| sender.next_packet()).collect();
            assert_eq!(ends.len(), 3, "{frames}");
            for (index, packet) in ends.iter().enumerate() {
                let event = Event::parse(&packet.payload).unwrap();
                assert_eq!((event.end, event.duration), (true, frames.max(1) * 160));
                assert_eq!(packet.marker, frames == 0 && index == 0);
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "virtual time needs an origin")]
    fn origin() -> Instant {
        static ORIGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *ORIGIN.get_or_init(Instant::now)
    }
}
