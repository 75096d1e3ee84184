//! Texts that others have written, in what people read.

/// A text on one line, which cannot control a terminal: U+FFFD takes the place of each control character.
#[must_use]
pub fn one_line(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
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

#[cfg(test)]
mod tests {
    use super::one_line;

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
