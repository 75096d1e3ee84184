//! Character classes and quote-aware search.

/// Whether `text` is a token (RFC 3261 §25.1): one or more letters, digits or ``-.!%*_+`'~``.
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| TOKEN[usize::from(*b)])
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = (b as u8).is_ascii_alphanumeric();
        b += 1;
    }
    let marks = b"-.!%*_+`'~";
    let mut i = 0;
    while i < marks.len() {
        table[marks[i] as usize] = true;
        i += 1;
    }
    table
};

/// First `wanted` byte outside quoted strings and `<>`. A quote that never closes hides the rest:
/// the element is then malformed and its reader says so.
pub(crate) fn find_top_level(text: &[u8], wanted: u8) -> Option<usize> {
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
