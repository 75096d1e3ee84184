//! Texts that others have written, in what people read.

/// A text on one line, which cannot control a terminal: U+FFFD takes the place of each control character.
#[must_use]
pub fn one_line(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// A text in an element or attribute of XML. Characters that XML 1.0 cannot represent become spaces.
#[must_use]
pub fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push('\n'),
            '\r' => out.push_str("&#13;"),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Maximum characters of a participant's label.
pub const MAX_PARTICIPANT_LABEL: usize = 128;

/// Whether a text can be the label of a participant of a conference: not too long, without control
/// characters, and not the identifier of a call, since either names a participant.
#[must_use]
pub fn is_participant_label(text: &str) -> bool {
    let is_short = text.chars().count() <= MAX_PARTICIPANT_LABEL;
    is_short && !text.chars().any(char::is_control) && text.parse::<crate::CallSid>().is_err()
}

/// Maximum characters of the name of a queue.
pub const MAX_QUEUE_NAME: usize = 64;

/// Whether a text can name a queue: neither empty nor too long, and without control characters.
#[must_use]
pub fn is_queue_name(text: &str) -> bool {
    let fits = (1..=MAX_QUEUE_NAME).contains(&text.chars().count());
    fits && !text.chars().any(char::is_control)
}

/// The characters of the GSM 7-bit default alphabet (3GPP TS 23.038 §6.2.1).
const GSM: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡\
    ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// Those of its extension table, which take two places.
const GSM_EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// How many short messages a text fills: of 160 characters (153 if there are several) in the GSM
/// alphabet, otherwise of 70 (67) UTF-16 units. At least 1.
#[must_use]
pub fn segments(text: &str) -> usize {
    let places = text.chars().try_fold(0, |sum, c| {
        if GSM.contains(c) {
            Some(sum + 1)
        } else {
            GSM_EXTENSION.contains(c).then_some(sum + 2)
        }
    });
    let (length, one, several) = match places {
        Some(places) => (places, 160, 153),
        None => (text.encode_utf16().count(), 70, 67),
    };
    if length <= one {
        1
    } else {
        length.div_ceil(several)
    }
}

#[cfg(test)]
mod tests {
    use super::{one_line, segments};

    #[test]
    fn the_alphabet_decides_about_segments() {
        let table = [
            ("", 1, 1),
            ("a", 160, 1),
            ("a", 161, 2),
            ("a", 459, 3),
            ("€", 80, 1),
            ("€", 81, 2),
            ("α", 70, 1),
            ("α", 71, 2),
            ("😀", 35, 1),
            ("😀", 36, 2),
        ];
        for (character, times, expected) in table {
            let text = character.repeat(times);
            assert_eq!(segments(&text), expected, "{character} {times} times");
        }
    }

    #[test]
    fn control_characters_are_replaced() {
        let table = [
            ("Zoë <sip:zoe@example.org>", "Zoë <sip:zoe@example.org>"),
            ("a\x1b[2Jb", "a\u{fffd}[2Jb"),
            ("a\r\nb\tc\0", "a\u{fffd}\u{fffd}b\u{fffd}c\u{fffd}"),
            ("\x7f\u{9b}1m", "\u{fffd}\u{fffd}1m"),
        ];
        for (text, expected) in table {
            assert_eq!(one_line(text), expected);
        }
    }
}
