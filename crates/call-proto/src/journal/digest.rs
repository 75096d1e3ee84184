//! Shortens long answers of a journal to their beginning and a digest of the whole.
//!
//! A replay regenerates the whole text, so this is enough to compare; the journal takes a fraction
//! of the bytes to write and compress. **Invariant: of two different texts that a replay may
//! compare, the short forms differ** (except for one pair in 2^64).

use super::Line;

/// Maximum text stored whole, in bytes.
const WHOLE: usize = 160;
/// Bytes of the beginning that are stored.
const BEGINNING: usize = 120;
/// Separates the beginning from the digest.
const MARK: &str = "… #";

impl Line {
    /// The line as stored: with long answers shortened.
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

/// Whether a stored text, whole or shortened, represents `text`.
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

/// FNV-1a of 64 bits: the same on every machine and in every version.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_form_matches_one_text() {
        let long = format!("{}é{}", "a".repeat(119), "b".repeat(200));
        let other = format!("{}é{}c", "a".repeat(119), "b".repeat(199));
        let kept = shortened(long.clone());
        assert!(kept.len() < WHOLE, "{kept}");
        assert!(is_same(&kept, &long) && is_same(&long, &long));
        assert!(!is_same(&kept, &other) && !is_same(&long, &other));
        assert_eq!(shortened("CA1 Forget".to_owned()), "CA1 Forget");
        // Test vectors of the algorithm's authors.
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
