//! Texts as short messages: choice of alphabet, segments, and back.
//!
//! **Invariant: joining the segments of a text gives the text; no segment ends inside a character.**

pub use model::message_route::{Concatenation, Encoding};

use crate::gsm7;
use crate::pdu::{
    MESSAGE_PAYLOAD, SAR_MSG_REF_NUM, SAR_SEGMENT_SEQNUM, SAR_TOTAL_SEGMENTS, ShortMessage, Tlv,
    UDHI,
};

/// Octets of user data in one short message (3GPP TS 23.040 §9.2.3.24).
const USER_DATA: usize = 140;
/// Septets in these.
const USER_SEPTETS: usize = 160;
/// Most segments of one text: their number is one octet.
const MAX_SEGMENTS: usize = 255;

/// What an SMSC expects of texts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TextSettings {
    /// For texts that it can write: [`Encoding::Gsm`], [`Encoding::GsmPacked`] or
    /// [`Encoding::Latin1`]; all others are sent in UCS-2.
    pub encoding: Encoding,
    /// For long texts.
    pub concatenation: Concatenation,
    /// `data_coding` of the encoding above, if the SMSC uses another number.
    pub data_coding: Option<u8>,
}

impl Default for TextSettings {
    fn default() -> Self {
        Self {
            encoding: Encoding::Gsm,
            concatenation: Concatenation::Udh8,
            data_coding: None,
        }
    }
}

/// A text ready to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segments {
    /// Its alphabet.
    pub encoding: Encoding,
    /// Value of `data_coding`.
    pub data_coding: u8,
    /// The number of short messages that a phone receives, for the price.
    pub count: usize,
    /// What to send, in order: one entry with `message_payload`, else one per segment.
    pub parts: Vec<Part>,
}

/// The part of a short message that depends on its text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Whether `text` begins with a user data header.
    pub has_header: bool,
    /// For `short_message`.
    pub text: Vec<u8>,
    /// Optional parameters.
    pub tlvs: Vec<Tlv>,
}

impl Part {
    /// Puts it into a short message.
    pub fn fill(self, message: &mut ShortMessage) {
        if self.has_header {
            message.esm_class |= UDHI;
        }
        message.text = self.text;
        message.tlvs.extend(self.tlvs);
    }
}

/// The alphabet that a text needs: the one of the settings, or UCS-2.
#[must_use]
pub fn encoding_for(text: &str, settings: &TextSettings) -> Encoding {
    let fits = match settings.encoding {
        Encoding::Gsm | Encoding::GsmPacked => gsm7::can_write(text),
        Encoding::Latin1 => text.chars().all(|c| u32::from(c) < 256),
        Encoding::Ucs2 => true,
    };
    if fits {
        settings.encoding
    } else {
        Encoding::Ucs2
    }
}

/// The number of short messages that a text takes on the way to a phone, in GSM-7 if that can write
/// it, else in UCS-2.
#[must_use]
pub fn segment_count(text: &str) -> usize {
    segments(text, &TextSettings::default(), 0).map_or(MAX_SEGMENTS + 1, |found| found.count)
}

/// Divides a text into short messages.
///
/// - `reference`: tells its segments from those of other texts with the same sender and recipient;
///   of an 8-bit one, the low byte.
///
/// `None` if it takes more than 255 segments.
#[must_use]
pub fn segments(text: &str, settings: &TextSettings, reference: u16) -> Option<Segments> {
    let encoding = encoding_for(text, settings);
    let data_coding = match encoding {
        Encoding::Gsm | Encoding::GsmPacked => settings.data_coding.unwrap_or(0),
        Encoding::Latin1 => settings.data_coding.unwrap_or(3),
        Encoding::Ucs2 => 8,
    };
    let units = units(text, encoding);
    let header = header_length(settings.concatenation);
    let pieces = cut(&units, encoding, header);
    if pieces.len() > MAX_SEGMENTS {
        return None;
    }
    let count = pieces.len();
    let whole = |units: &[Vec<u8>]| units.concat();
    let parts = if count == 1 {
        vec![Part {
            has_header: false,
            text: written(&whole(&units), encoding, 0),
            tlvs: Vec::new(),
        }]
    } else if settings.concatenation == Concatenation::Payload {
        let value = written(&whole(&units), encoding, 0);
        vec![Part {
            has_header: false,
            text: Vec::new(),
            tlvs: vec![Tlv {
                tag: MESSAGE_PAYLOAD,
                value,
            }],
        }]
    } else {
        let total = u8::try_from(count).unwrap_or(u8::MAX);
        let part = |(number, piece): (u8, &&[Vec<u8>])| {
            segment(
                written(&whole(piece), encoding, header),
                settings.concatenation,
                (reference, total, number),
            )
        };
        (1_u8..=total).zip(&pieces).map(part).collect()
    };
    Some(Segments {
        encoding,
        data_coding,
        count,
        parts,
    })
}

/// One segment with what joins it to the others.
fn segment(
    text: Vec<u8>,
    concatenation: Concatenation,
    (reference, total, number): (u16, u8, u8),
) -> Part {
    let [high, low] = reference.to_be_bytes();
    // Lengths, and element identifiers 0 and 8 (3GPP TS 23.040 §9.2.3.24.1 and .8).
    let header = match concatenation {
        Concatenation::Udh8 => vec![5, 0, 3, low, total, number],
        Concatenation::Udh16 => vec![6, 8, 4, high, low, total, number],
        Concatenation::Sar | Concatenation::Payload => Vec::new(),
    };
    let tlv = |tag, value| Tlv { tag, value };
    let tlvs = match concatenation {
        Concatenation::Sar => vec![
            tlv(SAR_MSG_REF_NUM, vec![high, low]),
            tlv(SAR_TOTAL_SEGMENTS, vec![total]),
            tlv(SAR_SEGMENT_SEQNUM, vec![number]),
        ],
        Concatenation::Udh8 | Concatenation::Udh16 | Concatenation::Payload => Vec::new(),
    };
    Part {
        has_header: !header.is_empty(),
        text: [header, text].concat(),
        tlvs,
    }
}

/// Octets of the header. Segments with `sar_…` get one in the SMSC; a payload is divided as it likes,
/// which is counted as with the shortest header.
const fn header_length(concatenation: Concatenation) -> usize {
    match concatenation {
        Concatenation::Udh8 | Concatenation::Payload => 6,
        Concatenation::Udh16 | Concatenation::Sar => 7,
    }
}

/// The characters of a text, each as what must not be divided: septets, or bytes.
fn units(text: &str, encoding: Encoding) -> Vec<Vec<u8>> {
    let unit = |character: char| match encoding {
        Encoding::Gsm | Encoding::GsmPacked => {
            let (escape, code) = gsm7::septets_of(character).unwrap_or((None, b'?'));
            escape.into_iter().chain([code]).collect()
        }
        Encoding::Latin1 => vec![u8::try_from(u32::from(character)).unwrap_or(b'?')],
        Encoding::Ucs2 => {
            let mut both = [0; 2];
            let units = character.encode_utf16(&mut both);
            units.iter().flat_map(|unit| unit.to_be_bytes()).collect()
        }
    };
    text.chars().map(unit).collect()
}

/// Cuts the characters into segments: one if they fit without a header.
fn cut(units: &[Vec<u8>], encoding: Encoding, header: usize) -> Vec<&[Vec<u8>]> {
    let (alone, joined) = match encoding {
        Encoding::Gsm | Encoding::GsmPacked => {
            let taken = (header * 8).div_ceil(7);
            (USER_SEPTETS, USER_SEPTETS - taken)
        }
        Encoding::Latin1 => (USER_DATA, USER_DATA - header),
        Encoding::Ucs2 => (USER_DATA, (USER_DATA - header) / 2 * 2),
    };
    let length: usize = units.iter().map(Vec::len).sum();
    if length <= alone {
        return vec![units];
    }
    let mut pieces = Vec::new();
    let (mut start, mut size) = (0, 0);
    for (at, unit) in units.iter().enumerate() {
        if size + unit.len() > joined {
            pieces.push(&units[start..at]);
            (start, size) = (at, 0);
        }
        size += unit.len();
    }
    pieces.push(&units[start..]);
    pieces
}

/// Septets or bytes as octets for the wire.
fn written(units: &[u8], encoding: Encoding, header: usize) -> Vec<u8> {
    match encoding {
        Encoding::GsmPacked => gsm7::pack(units, gsm7::fill_after(header)),
        Encoding::Gsm | Encoding::Latin1 | Encoding::Ucs2 => units.to_vec(),
    }
}

/// The text of octets that were received.
///
/// - `default`: what the SMSC means by `data_coding` 0
/// - `header`: octets of the user data header in front, for [`Encoding::GsmPacked`].
#[must_use]
pub fn read(octets: &[u8], data_coding: u8, default: Encoding, header: usize) -> String {
    match encoding_of(data_coding, default) {
        Encoding::Gsm => gsm7::read(octets),
        Encoding::GsmPacked => gsm7::read(&gsm7::unpack(octets, gsm7::fill_after(header))),
        Encoding::Latin1 => octets.iter().map(|byte| char::from(*byte)).collect(),
        Encoding::Ucs2 => {
            let pairs = octets.chunks(2);
            let units = pairs.map(|pair| {
                let low = pair.get(1).copied().unwrap_or(0);
                u16::from_be_bytes([pair[0], low])
            });
            let characters = char::decode_utf16(units);
            characters
                .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect()
        }
    }
}

/// The alphabet that `data_coding` names: the values of §5.2.19, or the groups of 3GPP TS 23.038 §4.
const fn encoding_of(data_coding: u8, default: Encoding) -> Encoding {
    match data_coding {
        0 => default,
        1 | 3 => Encoding::Latin1,
        8 => Encoding::Ucs2,
        // General data coding: bits 2 and 3 are the alphabet.
        0x10..=0x3F => match (data_coding >> 2) & 3 {
            2 => Encoding::Ucs2,
            1 => Encoding::Latin1,
            _ => default,
        },
        // Data coding/message class: bit 2 set means 8-bit data.
        0xF0..=0xFF if data_coding & 4 != 0 => Encoding::Latin1,
        _ => default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENCODINGS: [Encoding; 3] = [Encoding::Gsm, Encoding::GsmPacked, Encoding::Latin1];
    const WAYS: [Concatenation; 4] = [
        Concatenation::Udh8,
        Concatenation::Udh16,
        Concatenation::Sar,
        Concatenation::Payload,
    ];

    fn settings(encoding: Encoding, concatenation: Concatenation) -> TextSettings {
        TextSettings {
            encoding,
            concatenation,
            data_coding: None,
        }
    }

    #[test]
    fn lengths_at_the_limits() {
        use Concatenation::{Udh8, Udh16};
        let gsm = "a".repeat(2000);
        let unicode = "ж".repeat(2000);
        // Text, its characters, how it is joined, and the segments.
        for (text, length, way, expected) in [
            (&gsm, 0, Udh8, 1),
            (&gsm, 160, Udh8, 1),
            (&gsm, 161, Udh8, 2),
            (&gsm, 306, Udh8, 2),
            (&gsm, 307, Udh8, 3),
            (&gsm, 459, Udh8, 3),
            (&gsm, 460, Udh8, 4),
            (&gsm, 304, Udh16, 2),
            (&gsm, 305, Udh16, 3),
            (&unicode, 70, Udh8, 1),
            (&unicode, 71, Udh8, 2),
            (&unicode, 134, Udh8, 2),
            (&unicode, 135, Udh8, 3),
            (&unicode, 132, Udh16, 2),
            (&unicode, 133, Udh16, 3),
        ] {
            let text: String = text.chars().take(length).collect();
            let found = segments(&text, &settings(Encoding::Gsm, way), 1).unwrap();
            assert_eq!(found.count, expected, "{length} {way:?}");
            for part in found.parts {
                assert!(part.text.len() <= 160);
            }
        }
        assert_eq!(segment_count(&"€".repeat(80)), 1);
        assert_eq!(segment_count(&"€".repeat(81)), 2);
        assert_eq!(segment_count(&"😀".repeat(35)), 1);
        assert_eq!(segment_count(&"😀".repeat(36)), 2);
        let long = "a".repeat(153 * 255 + 1);
        assert_eq!(segments(&long, &TextSettings::default(), 1), None);
    }

    #[test]
    fn joined_segments_are_the_text() {
        let mut seed = 7_u64;
        let mut next = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % below
        };
        let alphabets = ["abc@€[", "abcÄÖÜ", "aж😀€", "@@@@@@a"];
        for _ in 0..3_000 {
            let alphabet: Vec<char> = alphabets[next(4)].chars().collect();
            let text: String = (0..next(500))
                .map(|_| alphabet[next(alphabet.len())])
                .collect();
            let settings = settings(ENCODINGS[next(3)], WAYS[next(4)]);
            let found = segments(&text, &settings, 300).unwrap();
            let default = match found.encoding {
                Encoding::Ucs2 => settings.encoding,
                Encoding::Gsm | Encoding::GsmPacked | Encoding::Latin1 => found.encoding,
            };
            let mut joined = String::new();
            for part in &found.parts {
                let header = if part.has_header {
                    usize::from(part.text[0]) + 1
                } else {
                    0
                };
                let sar = part.tlvs.iter().any(|tlv| tlv.tag == SAR_TOTAL_SEGMENTS);
                let payload = part.tlvs.iter().find(|tlv| tlv.tag == MESSAGE_PAYLOAD);
                let octets = payload.map_or(&part.text[header..], |tlv| &tlv.value);
                let limit = if found.encoding == Encoding::Gsm {
                    160
                } else {
                    USER_DATA
                };
                assert!(
                    payload.is_some() || part.text.len() <= limit,
                    "{settings:?}"
                );
                let header = if sar { 7 } else { header };
                let piece = read(octets, found.data_coding, default, header);
                joined.push_str(&piece);
            }
            assert_eq!(joined, text, "{settings:?}");
        }
    }

    #[test]
    fn data_coding_names_the_alphabet() {
        for (coding, expected) in [
            (0, Encoding::Gsm),
            (1, Encoding::Latin1),
            (3, Encoding::Latin1),
            (8, Encoding::Ucs2),
            (0x18, Encoding::Ucs2),
            (0x11, Encoding::Gsm),
            (0xF0, Encoding::Gsm),
            (0xF5, Encoding::Latin1),
        ] {
            assert_eq!(encoding_of(coding, Encoding::Gsm), expected, "{coding:#x}");
        }
    }
}
