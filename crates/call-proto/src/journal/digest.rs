//! Long answers of a journal as their beginning and a digest of the whole.
//!
//! A replay makes the whole text again, so it needs no more than that to see whether it is the same;
//! a journal takes a fraction of the bytes to write and to compress. **Invariant: of two different
//! texts that a replay may compare, the short forms differ** (but for one pair in 2^64).

use super::Line;

/// Longest text that is kept whole, in bytes.
const WHOLE: usize = 160;
/// Bytes of the beginning that are kept.
const BEGINNING: usize = 120;
/// Between the beginning and the digest.
const MARK: &str = "… #";

impl Line {
    /// The line as it is kept: long answers are shortened.
    #[must_use]
    pub fn shortened(self) -> Self {
        match self {
            Self::Out(texts) => Self::Out(texts.into_iter().map(shortened).collect()),
            Self::Start(_)
            | Self::Event { .. }
            | Self::Room { .. }
            | Self::Timeout { .. }
            | Self::Cut => self,
        }
    }
}

/// Whether a kept text, whole or shortened, stands for `text`.
pub(super) fn is_same(kept: &str, text: &str) -> bool {
    kept == text || (kept.contains(MARK) && kept == short_form(text))
}

fn shortened(text: String) -> String {
    if text.len() <= WHOLE {
        text
    } else {
        short_form(&text)
    }
}

fn short_form(text: &str) -> String {
    let beginning = &text[..text.floor_char_boundary(BEGINNING)];
    format!("{beginning}{MARK}{:016x}", fnv1a(text.as_bytes()))
}

/// FNV-1a of 64 bits: it stays the same on every machine and in every version.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_form_stands_for_one_text() {
        let long = format!("{}é{}", "a".repeat(119), "b".repeat(200));
        let other = format!("{}é{}c", "a".repeat(119), "b".repeat(199));
        let kept = shortened(long.clone());
        assert!(kept.len() < WHOLE, "{kept}");
        assert!(is_same(&kept, &long) && is_same(&long, &long));
        assert!(!is_same(&kept, &other) && !is_same(&long, &other));
        assert_eq!(shortened("CA1 Forget".to_owned()), "CA1 Forget");
        // The constants of the algorithm's authors.
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
