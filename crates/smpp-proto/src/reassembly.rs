//! Joins the segments of received texts (3GPP TS 23.040 §9.2.3.24.1, §5.3.2.22).
//!
//! **Invariant: each text comes out once, complete, or is given up after [`PATIENCE`] with what came of
//! it; the memory for unfinished texts is limited.**

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::pdu::{SAR_MSG_REF_NUM, SAR_SEGMENT_SEQNUM, SAR_TOTAL_SEGMENTS, ShortMessage};
use crate::text::{self, Encoding};

/// How long the missing segments of a text are waited for.
pub const PATIENCE: Duration = Duration::from_secs(300);
/// Most unfinished texts; the oldest one is given up for another.
const MAX_OPEN: usize = 1_000;

/// A whole text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arrived {
    /// Sender's address.
    pub from: String,
    /// Recipient's address.
    pub to: String,
    /// The text.
    pub text: String,
    /// The number of segments that it came in.
    pub segments: usize,
    /// Whether segments are missing.
    pub is_incomplete: bool,
}

/// Sender, recipient, reference number and number of segments.
type Key = (String, String, u16, u8);

struct Unfinished {
    since: Instant,
    segments: BTreeMap<u8, String>,
}

/// The unfinished texts of a link.
#[derive(Default)]
pub struct Reassembly {
    open: BTreeMap<Key, Unfinished>,
    /// Given up for others.
    evicted: Vec<Arrived>,
}

impl Reassembly {
    /// A message came. Returns the text that it completes.
    ///
    /// - `default`: what the SMSC means by `data_coding` 0.
    pub fn handle(
        &mut self,
        message: &ShortMessage,
        default: Encoding,
        now: Instant,
    ) -> Option<Arrived> {
        let content = message.content();
        let header = if message.has_header() {
            content.first().map_or(0, |length| usize::from(*length) + 1)
        } else {
            0
        };
        let header = header.min(content.len());
        let segment = of_header(&content[..header]).or_else(|| of_parameters(message));
        let text = text::read(&content[header..], message.data_coding, default, header);
        let (from, to) = (
            message.source.digits.clone(),
            message.destination.digits.clone(),
        );
        let Some((reference, total, number)) =
            segment.filter(|(_, total, number)| *total > 1 && (1..=*total).contains(number))
        else {
            return Some(Arrived {
                from,
                to,
                text,
                segments: 1,
                is_incomplete: false,
            });
        };
        let key = (from, to, reference, total);
        if !self.open.contains_key(&key) && self.open.len() >= MAX_OPEN {
            let oldest = self.open.iter().min_by_key(|(_, open)| open.since);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                let given_up = self.open.remove_entry(&oldest);
                self.evicted
                    .extend(given_up.map(|(key, open)| arrived(key, open)));
            }
        }
        let open = self.open.entry(key.clone()).or_insert_with(|| Unfinished {
            since: now,
            segments: BTreeMap::new(),
        });
        open.segments.insert(number, text);
        if open.segments.len() < usize::from(total) {
            return None;
        }
        self.open.remove(&key).map(|open| arrived(key, open))
    }

    /// Gives up all unfinished texts; [`handle_timeout`](Self::handle_timeout) returns them.
    pub fn give_up_all(&mut self) {
        let open = std::mem::take(&mut self.open).into_iter();
        self.evicted
            .extend(open.map(|(key, open)| arrived(key, open)));
    }

    /// The texts that are given up: their missing segments did not come, or there were too many others. Each has what came.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Arrived> {
        let due = self
            .open
            .iter()
            .filter(|(_, open)| open.since + PATIENCE <= now);
        let due: Vec<Key> = due.map(|(key, _)| key.clone()).collect();
        let mut given_up = std::mem::take(&mut self.evicted);
        let take = |key: Key| self.open.remove(&key).map(|open| arrived(key, open));
        given_up.extend(due.into_iter().filter_map(take));
        given_up
    }
}

fn arrived((from, to, _, total): Key, open: Unfinished) -> Arrived {
    let segments = open.segments.len();
    Arrived {
        from,
        to,
        text: open.segments.into_values().collect(),
        segments,
        is_incomplete: segments < usize::from(total),
    }
}

/// Reference, total and number in a user data header, its length first.
fn of_header(header: &[u8]) -> Option<(u16, u8, u8)> {
    let mut elements = header.get(1..)?;
    while let [identifier, length, rest @ ..] = elements {
        let value = rest.get(..usize::from(*length))?;
        match (identifier, value) {
            (0, [reference, total, number]) => {
                return Some((u16::from(*reference), *total, *number));
            }
            (8, [high, low, total, number]) => {
                return Some((u16::from_be_bytes([*high, *low]), *total, *number));
            }
            _ => elements = &rest[usize::from(*length)..],
        }
    }
    None
}

fn of_parameters(message: &ShortMessage) -> Option<(u16, u8, u8)> {
    let reference: [u8; 2] = message.tlv(SAR_MSG_REF_NUM)?.try_into().ok()?;
    let total = *message.tlv(SAR_TOTAL_SEGMENTS)?.first()?;
    let number = *message.tlv(SAR_SEGMENT_SEQNUM)?.first()?;
    Some((u16::from_be_bytes(reference), total, number))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any time serves as the start")]
mod tests {
    use super::*;
    use crate::pdu::Address;
    use crate::text::{Concatenation, TextSettings, segments};

    fn messages(text: &str, settings: &TextSettings, reference: u16) -> Vec<ShortMessage> {
        let found = segments(text, settings, reference).unwrap();
        let message = |part: text::Part| {
            let mut message = ShortMessage {
                source: Address {
                    digits: "123".to_owned(),
                    ..Address::default()
                },
                data_coding: found.data_coding,
                ..ShortMessage::default()
            };
            part.fill(&mut message);
            message
        };
        found.parts.into_iter().map(message).collect()
    }

    #[test]
    fn segments_in_any_order_become_the_text() {
        let now = Instant::now();
        let long = "Grüße, €5 [ok] ".repeat(30);
        let unicode = "жук 😀 ".repeat(40);
        for encoding in [Encoding::Gsm, Encoding::GsmPacked, Encoding::Latin1] {
            for concatenation in [
                Concatenation::Udh8,
                Concatenation::Udh16,
                Concatenation::Sar,
                Concatenation::Payload,
            ] {
                let settings = TextSettings {
                    encoding,
                    concatenation,
                    data_coding: None,
                };
                for text in [&long, &unicode, &"short".to_owned()] {
                    let mut reassembly = Reassembly::default();
                    let mut all = messages(text, &settings, 9);
                    all.reverse();
                    let half = all.len() / 2;
                    all.rotate_left(half);
                    let last = all.pop().unwrap();
                    // Another text of the same sender meanwhile, and a repeated segment.
                    if let Some(first) = all.first().cloned() {
                        assert_eq!(reassembly.handle(&first, encoding, now), None);
                    }
                    for message in &messages(&long, &settings, 10)[..1] {
                        let _ = reassembly.handle(message, encoding, now);
                    }
                    for message in all {
                        assert_eq!(reassembly.handle(&message, encoding, now), None);
                    }
                    let arrived = reassembly.handle(&last, encoding, now).unwrap();
                    assert_eq!(arrived.text, **text, "{settings:?}");
                    assert!(!arrived.is_incomplete);
                }
            }
        }
    }

    #[test]
    fn missing_segments_are_given_up() {
        let now = Instant::now();
        let mut reassembly = Reassembly::default();
        let all = messages(&"a".repeat(200), &TextSettings::default(), 1);
        assert_eq!(reassembly.handle(&all[1], Encoding::Gsm, now), None);
        let due = now + PATIENCE;
        assert!(
            reassembly
                .handle_timeout(due - Duration::from_secs(1))
                .is_empty()
        );
        let given_up = reassembly.handle_timeout(due);
        assert_eq!(given_up[0].text.len(), 47);
        assert!(given_up[0].is_incomplete && reassembly.handle_timeout(due).is_empty());
    }

    #[test]
    fn the_oldest_of_too_many_texts_is_given_up() {
        let now = Instant::now();
        let mut reassembly = Reassembly::default();
        for reference in 0..=u16::try_from(MAX_OPEN).unwrap() {
            let settings = TextSettings {
                concatenation: Concatenation::Udh16,
                ..TextSettings::default()
            };
            let all = messages(&"a".repeat(200), &settings, reference);
            let at = now + Duration::from_millis(reference.into());
            assert_eq!(reassembly.handle(&all[0], Encoding::Gsm, at), None);
        }
        let given_up = reassembly.handle_timeout(now);
        assert_eq!((given_up.len(), given_up[0].segments), (1, 1));
    }

    #[test]
    fn a_wrong_header_is_not_a_segment() {
        let mut reassembly = Reassembly::default();
        for text in [&[9, 0, 3][..], &[5, 0, 3, 1, 2, 3], &[2, 0, 9, b'x'], &[]] {
            let message = ShortMessage {
                esm_class: crate::pdu::UDHI,
                text: text.to_vec(),
                ..ShortMessage::default()
            };
            let arrived = reassembly.handle(&message, Encoding::Gsm, Instant::now());
            assert_eq!(arrived.unwrap().segments, 1);
        }
    }
}
