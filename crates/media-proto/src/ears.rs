//! Detects keys in the audio of one leg.
//!
//! Packets come as the network delivered them: a single lost one is skipped, since a gap would
//! split a press; pauses of the sender and longer losses count as silence. **Invariant: no packet
//! is heard twice or out of order.** Left to others: the tones (`audio::dtmf`).

use crate::sound::{Rates, Sound};
use audio::dtmf::{Change, Detector};
use rtp_proto::seq;

/// A gap longer than this separates two presses, so more silence is unnecessary.
const SILENCE: [i16; 480] = [0; 480];
/// Maximum packets lost within a press.
const MAX_LOST: i16 = 2;
/// Maximum sequence numbers by which a late packet is behind.
const MAX_LATE: i16 = 100;
/// Samples converted at a time.
const PART: usize = 160;

#[derive(Debug)]
pub(crate) struct Ears {
    detector: Detector,
    /// Converts to the detector's rate.
    rates: Rates,
    /// The packet expected next.
    next: Option<Next>,
}

#[derive(Debug, Clone, Copy)]
struct Next {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
}

impl Default for Ears {
    fn default() -> Self {
        Self {
            detector: Detector::new(),
            rates: Rates::new(audio::RATE),
            next: None,
        }
    }
}

impl Ears {
    /// Analyses a packet; calls `change` for each key that goes down or up.
    pub(crate) fn hear(&mut self, sound: &Sound<'_>, mut change: impl FnMut(Change)) {
        let (header, rate) = (&sound.header, sound.codec.sample_rate());
        let silence = match self.next {
            Some(next) if next.ssrc == header.ssrc => {
                let ahead = seq::distance(next.sequence, header.sequence);
                if (-MAX_LATE..0).contains(&ahead) {
                    return;
                }
                let unsent = seq::timestamp_distance(next.timestamp, header.timestamp);
                match ahead {
                    0 => usize::try_from(unsent).unwrap_or(0),
                    1..=MAX_LOST => 0,
                    _ => SILENCE.len(),
                }
            }
            Some(_) => SILENCE.len(),
            None => 0,
        };
        self.next = Some(Next {
            ssrc: header.ssrc,
            sequence: header.sequence.wrapping_add(1),
            timestamp: header
                .timestamp
                .wrapping_add(sound.codec.ticks(sound.samples.len())),
        });
        let silence = &SILENCE[..silence.min(SILENCE.len())];
        self.detector.push(silence, &mut change);
        let mut converted = [0; PART];
        for part in sound.samples.chunks(PART) {
            let len = self.rates.convert(part, rate, &mut converted);
            self.detector.push(&converted[..len], &mut change);
        }
    }

    /// True while a key is down.
    pub(crate) fn is_down(&self) -> bool {
        self.detector.down().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtp_proto::Header;

    /// A key, or silence if `None`, and its length in units of 20 ms.
    type Piece = (Option<char>, usize);

    fn frames(pieces: &[Piece]) -> Vec<Vec<i16>> {
        let mut frames = Vec::new();
        for (key, count) in pieces {
            let samples = match key {
                Some(key) => audio::tone::dtmf(*key, 20 * *count as u32).unwrap(),
                None => vec![0; 160 * count],
            };
            frames.extend(samples.chunks(160).map(<[i16]>::to_vec));
        }
        frames
    }

    #[test]
    fn what_the_network_does() {
        let press = [(None, 2), (Some('5'), 8), (None, 5)];
        let two = [
            (None, 2),
            (Some('5'), 5),
            (None, 3),
            (Some('5'), 5),
            (None, 5),
        ];
        let all: Vec<u16> = (0..20).collect();
        let without = |lost: &[u16]| -> Vec<u16> {
            all.iter()
                .copied()
                .filter(|at| !lost.contains(at))
                .collect()
        };
        // What is sent, and the order of arrival.
        let table: &[(&str, &[Piece], Vec<u16>, &str)] = &[
            ("all", &press, all.clone(), "5."),
            ("one lost", &press, without(&[5]), "5."),
            ("two lost", &press, without(&[5, 6]), "5."),
            (
                "twice",
                &press,
                all.iter().flat_map(|at| [*at, *at]).collect(),
                "5.",
            ),
            (
                "late",
                &press,
                vec![0, 1, 2, 4, 3, 5, 6, 8, 7, 9, 10, 11, 12, 13, 14],
                "5.",
            ),
            ("two presses", &two, all.clone(), "5.5."),
            ("gap lost", &two, without(&[7, 8, 9]), "5.5."),
        ];
        for (name, pieces, order, expected) in table {
            let frames = frames(pieces);
            let packet = |at: &u16| {
                let samples = frames.get(usize::from(*at))?;
                let header = Header {
                    sequence: 65_530u16.wrapping_add(*at),
                    timestamp: 7 + u32::from(*at) * 160,
                    ..Header::default()
                };
                Some((header, samples.clone()))
            };
            let packets: Vec<_> = order.iter().filter_map(packet).collect();
            assert_eq!(heard(&packets), *expected, "{name}");
        }
    }

    #[test]
    fn silence_that_is_not_sent() {
        let mut packets = Vec::new();
        let (mut sequence, mut timestamp) = (3u16, 0u32);
        for _ in 0..2 {
            for samples in frames(&[(Some('7'), 4)]) {
                let header = Header {
                    sequence,
                    timestamp,
                    ..Header::default()
                };
                packets.push((header, samples));
                sequence += 1;
                timestamp += 160;
            }
            timestamp += 480;
        }
        assert_eq!(heard(&packets), "7.7");
        // A sender that restarts, under the same and under another SSRC.
        for (ssrc, jump) in [(0, 30_000), (9, 0)] {
            let mut other = packets.clone();
            for (header, _) in &mut other[4..] {
                header.ssrc = ssrc;
                header.sequence += jump;
                header.timestamp -= 480;
            }
            assert_eq!(heard(&other), "7.7", "{ssrc} {jump}");
        }
    }

    fn heard(packets: &[(Header, Vec<i16>)]) -> String {
        let (mut ears, mut heard) = (Ears::default(), String::new());
        for (header, samples) in packets {
            let sound = Sound {
                header: *header,
                codec: audio::Codec::PCMU,
                samples,
            };
            ears.hear(&sound, |change| {
                heard.push(match change {
                    Change::Down(key) => key,
                    Change::Up => '.',
                });
            });
        }
        assert_eq!(ears.is_down(), !heard.ends_with('.'));
        heard
    }
}
