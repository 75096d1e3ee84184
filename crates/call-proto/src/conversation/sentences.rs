//! Divides text into pieces that can be spoken one after the other, and finds how much of a piece has
//! been spoken.

/// A sentence of fewer characters is spoken with the next one.
const SHORTEST: usize = 8;
/// A piece has at most so many characters.
const LONGEST: usize = 400;

/// Removes the first complete sentence from a text, including the blanks after it; `None` if no sentence is
/// complete. A text without sentences is cut at a blank when it has become too long.
pub(super) fn take_sentence(text: &mut String) -> Option<String> {
    let mut characters = 0;
    let mut last_blank = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        characters += 1;
        let after = at + c.len_utf8();
        if c.is_whitespace() {
            last_blank = Some(after);
        }
        let ends = match c {
            '。' | '！' | '？' | '\n' => true,
            '.' | '!' | '?' | '…' | ';' => {
                chars.peek().is_some_and(|(_, next)| next.is_whitespace())
            }
            _ => false,
        };
        if ends && characters >= SHORTEST {
            let rest = &text[after..];
            let end = after + (rest.len() - rest.trim_start().len());
            return Some(take(text, end));
        }
        if characters >= LONGEST {
            return Some(take(text, last_blank.unwrap_or(after)));
        }
    }
    None
}

fn take(text: &mut String, end: usize) -> String {
    let rest = text.split_off(end);
    std::mem::replace(text, rest)
}

/// The part of a text that has been spoken after a part of its time: its whole words, with the time
/// divided evenly among its characters.
pub(super) fn spoken(text: &str, played_ms: u64, length_ms: u64) -> &str {
    let count = text.chars().count() as u64;
    let part = match length_ms {
        0 => 0,
        _ if played_ms >= length_ms => count,
        _ => count * played_ms / length_ms,
    };
    let part = usize::try_from(part).unwrap_or(usize::MAX);
    let Some((end, next)) = text.char_indices().nth(part) else {
        return text;
    };
    let begun = &text[..end];
    let whole = if next.is_whitespace() {
        begun
    } else {
        let blank = begun.rfind(char::is_whitespace);
        blank.map_or("", |blank| &begun[..blank])
    };
    whole.trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_divided_into_sentences() {
        // What arrives, the sentences in it, and what is left.
        let table: &[(&str, &[&str], &str)] = &[
            ("Hello there.", &[], "Hello there."),
            ("Hello there. ", &["Hello there. "], ""),
            ("Hello there. How", &["Hello there. "], "How"),
            ("It is 3.5 degrees! And", &["It is 3.5 degrees! "], "And"),
            ("Hi! How are you? Fine", &["Hi! How are you? "], "Fine"),
            ("Who are you?\n\n Me", &["Who are you?\n\n "], "Me"),
            ("你好你好你好你好。再见", &["你好你好你好你好。"], "再见"),
            ("one two three\nfour", &["one two three\n"], "four"),
            ("", &[], ""),
        ];
        for (text, expected, left) in table {
            let mut rest = (*text).to_owned();
            let mut found = Vec::new();
            while let Some(sentence) = take_sentence(&mut rest) {
                found.push(sentence);
            }
            assert_eq!(
                (found.as_slice(), rest.as_str()),
                (&expected.map_owned()[..], *left)
            );
        }
    }

    trait MapOwned {
        fn map_owned(&self) -> Vec<String>;
    }

    impl MapOwned for &[&str] {
        fn map_owned(&self) -> Vec<String> {
            self.iter().map(|text| (*text).to_owned()).collect()
        }
    }

    #[test]
    fn endless_text_is_cut_at_a_blank() {
        let mut text = "word ".repeat(100);
        let first = take_sentence(&mut text).unwrap();
        assert_eq!((first.len(), text.len()), (400, 100));
        let mut text = "é".repeat(500);
        let first = take_sentence(&mut text).unwrap();
        assert_eq!((first.chars().count(), text.chars().count()), (400, 100));
    }

    #[test]
    fn what_was_spoken_ends_with_a_whole_word() {
        let text = "Life is a complex set of actions";
        // Played of 3200 ms: a tenth of a second for each character.
        let table = [
            (0, ""),
            (300, ""),
            (400, "Life"),
            (460, "Life"),
            (700, "Life is"),
            (1_000, "Life is a"),
            (3_100, "Life is a complex set of"),
            (3_200, text),
            (9_000, text),
        ];
        for (played, expected) in table {
            assert_eq!(spoken(text, played, 3_200), expected, "{played}");
        }
        assert_eq!(spoken(text, 5, 0), "");
        assert_eq!(spoken("", 5, 10), "");
    }
}
