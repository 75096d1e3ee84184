//! The GSM 7-bit default alphabet and its extension table (3GPP TS 23.038 §6.2.1).
//!
//! A *septet* is one 7-bit unit; characters of the extension table take two, of which the first is
//! [`ESCAPE`].

/// Announces a character of the extension table.
pub const ESCAPE: u8 = 0x1B;

/// The default alphabet by code; the escape itself has no character.
const BASIC: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å', //
    'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', '\u{1b}', 'Æ', 'æ', 'ß', 'É', //
    ' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/', //
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?', //
    '¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', //
    'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§', //
    '¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', //
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à',
];

/// The extension table: code after the escape, and character.
const EXTENSION: [(u8, char); 10] = [
    (0x0A, '\u{c}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2F, '\\'),
    (0x3C, '['),
    (0x3D, '~'),
    (0x3E, ']'),
    (0x40, '|'),
    (0x65, '€'),
];

/// The septets of a character: one, or the escape and another; `None` if the alphabet lacks it.
#[must_use]
pub fn septets_of(character: char) -> Option<(Option<u8>, u8)> {
    if matches!(character, ' '..='#' | '%'..='?' | 'A'..='Z' | 'a'..='z') {
        return Some((None, character as u8));
    }
    if let Some((code, _)) = EXTENSION.iter().find(|(_, c)| *c == character) {
        return Some((Some(ESCAPE), *code));
    }
    let at = BASIC.iter().position(|c| *c == character)?;
    let code = u8::try_from(at).ok()?;
    (code != ESCAPE).then_some((None, code))
}

/// Whether the alphabet has all characters of a text.
#[must_use]
pub fn can_write(text: &str) -> bool {
    text.chars().all(|c| septets_of(c).is_some())
}

/// The text that septets mean, one per byte. What the tables lack becomes a space after an escape, as
/// the specification says, and U+FFFD for a byte beyond 127.
#[must_use]
pub fn read(septets: &[u8]) -> String {
    let mut text = String::with_capacity(septets.len());
    let mut septets = septets.iter();
    while let Some(septet) = septets.next() {
        if *septet != ESCAPE {
            let found = BASIC.get(usize::from(*septet));
            text.push(found.copied().unwrap_or(char::REPLACEMENT_CHARACTER));
            continue;
        }
        let Some(code) = septets.next() else { break };
        let found = EXTENSION.iter().find(|(of, _)| of == code);
        text.push(found.map_or(' ', |(_, character)| *character));
    }
    text
}

/// Packs septets into octets (3GPP TS 23.038 §6.1.2.1). Seven spare bits at the end would be read as an
/// `@`, so they hold a carriage return (§6.1.2.3.1).
///
/// - `fill`: number of zero bits in front, so that the first septet after a user data header begins on
///   a septet boundary.
#[must_use]
pub fn pack(septets: &[u8], fill: usize) -> Vec<u8> {
    let bits = fill + septets.len() * 7;
    let padding = (bits % 8 == 1).then_some(b'\r');
    let mut octets = vec![0; bits.div_ceil(8)];
    for (at, septet) in septets.iter().copied().chain(padding).enumerate() {
        let bit = fill + at * 7;
        let both = u16::from(septet & 0x7F) << (bit % 8);
        let [low, high] = both.to_le_bytes();
        octets[bit / 8] |= low;
        if let Some(next) = octets.get_mut(bit / 8 + 1) {
            *next |= high;
        }
    }
    octets
}

/// The septets in packed octets, without the carriage return of [`pack`].
///
/// - `fill`: as for [`pack`].
#[must_use]
pub fn unpack(octets: &[u8], fill: usize) -> Vec<u8> {
    let bits = (octets.len() * 8).saturating_sub(fill);
    let mut septets = Vec::with_capacity(bits / 7);
    for at in 0..bits / 7 {
        let bit = fill + at * 7;
        let low = u16::from(octets[bit / 8]);
        let high = u16::from(octets.get(bit / 8 + 1).copied().unwrap_or(0));
        let septet = ((low | (high << 8)) >> (bit % 8)) & 0x7F;
        septets.push(septet.to_le_bytes()[0]);
    }
    if bits.is_multiple_of(7) && septets.last() == Some(&b'\r') {
        septets.pop();
    }
    septets
}

/// The number of fill bits after a header of this many octets.
#[must_use]
pub const fn fill_after(header: usize) -> usize {
    (7 - (header * 8) % 7) % 7
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(text: &str) -> Vec<u8> {
        let septets = text.chars().filter_map(septets_of);
        septets
            .flat_map(|(escape, code)| escape.into_iter().chain([code]))
            .collect()
    }

    #[test]
    fn every_character_is_read_as_written() {
        let all: String = BASIC
            .iter()
            .filter(|c| **c != '\u{1b}')
            .chain(EXTENSION.iter().map(|(_, c)| c))
            .collect();
        assert_eq!(all.chars().count(), 137);
        assert_eq!(read(&write(&all)), all);
        assert!(can_write(&all) && !can_write("ç") && !can_write("`") && !can_write("\u{1b}"));
    }

    #[test]
    fn characters_have_the_codes_of_the_standard() {
        for (character, expected) in [
            ('@', (None, 0x00)),
            ('$', (None, 0x02)),
            ('Ω', (None, 0x15)),
            ('A', (None, 0x41)),
            ('à', (None, 0x7F)),
            ('€', (Some(0x1B), 0x65)),
            ('[', (Some(0x1B), 0x3C)),
        ] {
            assert_eq!(septets_of(character), Some(expected), "{character}");
        }
    }

    #[test]
    fn packed_octets_are_those_of_the_standard() {
        assert_eq!(pack(&write("hello"), 0), [0xE8, 0x32, 0x9B, 0xFD, 0x06]);
        for length in 0..40 {
            for fill in 0..7 {
                let septets: Vec<u8> = (0..length)
                    .map(|at: u32| (1 + at * 37 % 126) as u8)
                    .filter(|septet| *septet != b'\r')
                    .collect();
                assert_eq!(
                    unpack(&pack(&septets, fill), fill),
                    septets,
                    "{length} {fill}"
                );
            }
        }
    }
}
