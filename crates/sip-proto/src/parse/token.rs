//! Character classes and quote-aware search.

/// Whether `text` is a token (RFC 3261 §25.1): one or more letters, digits or ``-.!%*_+`'~``.
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| TOKEN[usize::from(*b)])
}

static TOKEN: Class = class(b"-.!%*_+`'~", false);

/// A set of bytes.
pub(crate) type Class = [bool; 256];

/// Letters, digits, `marks`, and if `high` the bytes of non-ASCII characters.
pub(crate) const fn class(marks: &[u8], high: bool) -> Class {
    let mut class = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = (byte as u8).is_ascii_alphanumeric() || (high && byte >= 0x80);
        byte += 1;
    }
    let mut at = 0;
    while at < marks.len() {
        class[marks[at] as usize] = true;
        at += 1;
    }
    class
}

/// The first `wanted` byte outside quoted strings and `<>`. An unclosed quote hides the rest: the
/// element is then malformed, as its reader reports.
pub(crate) fn find_top_level(text: &[u8], wanted: u8) -> Option<usize> {
    memchr::memchr(wanted, text)?;
    let mut at = 0;
    let (mut quoted, mut bracketed) = (false, false);
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' if quoted => at += 1,
            b'"' if !bracketed => quoted = !quoted,
            _ if quoted => {}
            b'<' => bracketed = true,
            b'>' => bracketed = false,
            byte if *byte == wanted && !bracketed => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}
