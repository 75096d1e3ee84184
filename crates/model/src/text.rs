//! Texts that others have written, in what people read.

/// A text on one line, which cannot control a terminal: U+FFFD takes the place of each control character.
#[must_use]
pub fn one_line(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
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
