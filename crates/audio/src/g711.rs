//! G.711 µ-law and A-law, exactly as the reference algorithm of ITU-T G.191 computes them.
//!
//! Samples are 16-bit; µ-law uses the upper 14 bits and A-law the upper 13, as in the
//! recommendation. The tables are built at compile time from the decision values.
//! **Invariant: for all 65 536 samples the code is the reference's, and every code survives
//! decoding and encoding**, except µ-law's two zeros, which both decode to 0.

/// Code of silence in µ-law.
pub const ULAW_SILENCE: u8 = 0xFF;
/// Code of silence in A-law.
pub const ALAW_SILENCE: u8 = 0xD5;

/// µ-law biases the magnitude by 33 (in 14 bits), so that each segment begins at a power of two.
const ULAW_BIAS: i16 = 33;
/// Largest biased magnitude.
const ULAW_CLIP: i16 = 0x1FFF;

static ULAW_DECODE: [i16; 256] = ulaw_decode_table();
static ALAW_DECODE: [i16; 256] = alaw_decode_table();
static ULAW_ENCODE: [u8; 0x4000] = ulaw_encode_table();
static ALAW_ENCODE: [u8; 0x1000] = alaw_encode_table();

/// Decodes one µ-law octet.
pub fn ulaw_decode(code: u8) -> i16 {
    ULAW_DECODE[usize::from(code)]
}

/// Encodes one sample as µ-law.
pub fn ulaw_encode(sample: i16) -> u8 {
    ULAW_ENCODE[usize::from(sample.cast_unsigned() >> 2)]
}

/// Decodes one A-law octet.
pub fn alaw_decode(code: u8) -> i16 {
    ALAW_DECODE[usize::from(code)]
}

/// Encodes one sample as A-law.
pub fn alaw_encode(sample: i16) -> u8 {
    ALAW_ENCODE[usize::from(sample.cast_unsigned() >> 4)]
}

/// Decodes as many µ-law octets as both slices hold and returns their number.
pub fn ulaw_decode_slice(codes: &[u8], out: &mut [i16]) -> usize {
    convert(codes, out, ulaw_decode)
}

/// Encodes as many samples as both slices hold and returns their number.
pub fn ulaw_encode_slice(samples: &[i16], out: &mut [u8]) -> usize {
    convert(samples, out, ulaw_encode)
}

/// Decodes as many A-law octets as both slices hold and returns their number.
pub fn alaw_decode_slice(codes: &[u8], out: &mut [i16]) -> usize {
    convert(codes, out, alaw_decode)
}

/// Encodes as many samples as both slices hold and returns their number.
pub fn alaw_encode_slice(samples: &[i16], out: &mut [u8]) -> usize {
    convert(samples, out, alaw_encode)
}

fn convert<A: Copy, B>(from: &[A], to: &mut [B], step: impl Fn(A) -> B) -> usize {
    to.iter_mut()
        .zip(from)
        .map(|(to, from)| *to = step(*from))
        .count()
}

/// Indexed by the upper 14 bits of the sample.
const fn ulaw_encode_table() -> [u8; 0x4000] {
    let mut table = [0; 0x4000];
    let mut index = 0;
    while index < table.len() {
        // The index is a 14-bit two's complement number: shift its sign into place and back.
        table[index] = ulaw_code(((index as u16) << 2).cast_signed() >> 2);
        index += 1;
    }
    table
}

/// `linear`: 14 bits. Code: sign (1 = positive), 3 bits segment, 4 bits step, all but sign inverted.
const fn ulaw_code(linear: i16) -> u8 {
    // The reference takes the one's complement of negative samples, not the negative.
    let magnitude = (if linear < 0 { !linear } else { linear }) + ULAW_BIAS;
    let magnitude = if magnitude > ULAW_CLIP {
        ULAW_CLIP
    } else {
        magnitude
    };
    // Segment n holds magnitudes from 2^(n+5); the bias makes 32 the least.
    let segment = 10 - magnitude.leading_zeros() as u8;
    let step = (magnitude >> (segment + 1)) as u8 & 0x0F;
    let sign = if linear < 0 { 0 } else { 0x80 };
    sign | (!(segment << 4 | step) & 0x7F)
}

const fn ulaw_decode_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < table.len() {
        let bits = !(code as u8);
        let (segment, step) = ((bits >> 4) & 7, (bits & 0x0F) as i16);
        // Middle of the step, without the bias, from 14 to 16 bits.
        let magnitude = ((2 * step + 33) << segment) - ULAW_BIAS;
        table[code] = if bits & 0x80 != 0 {
            -4 * magnitude
        } else {
            4 * magnitude
        };
        code += 1;
    }
    table
}

/// Indexed by the upper 12 bits of the sample: the 13th bit does not matter to A-law.
const fn alaw_encode_table() -> [u8; 0x1000] {
    let mut table = [0; 0x1000];
    let mut index = 0;
    while index < table.len() {
        table[index] = alaw_code(((index as u16) << 4).cast_signed() >> 4);
        index += 1;
    }
    table
}

/// `linear`: 12 bits. Code: sign (1 = positive), 3 bits segment, 4 bits step, even bits inverted.
const fn alaw_code(linear: i16) -> u8 {
    let magnitude = if linear < 0 { !linear } else { linear };
    // Segments 0 and 1 are linear alike; segment n > 1 holds magnitudes from 2^(n+3).
    let bits = if magnitude < 32 {
        magnitude as u8
    } else {
        let segment = 12 - magnitude.leading_zeros() as u8;
        segment << 4 | ((magnitude >> (segment - 1)) as u8 & 0x0F)
    };
    let sign = if linear < 0 { 0 } else { 0x80 };
    (sign | bits) ^ 0x55
}

const fn alaw_decode_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < table.len() {
        let bits = code as u8 ^ 0x55;
        let (segment, step) = ((bits >> 4) & 7, (bits & 0x0F) as i16);
        // Middle of the step, from 13 to 16 bits.
        let magnitude = match segment {
            0 => (2 * step + 1) << 3,
            _ => (2 * step + 33) << (segment + 2),
        };
        table[code] = if bits & 0x80 != 0 {
            magnitude
        } else {
            -magnitude
        };
        code += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_as_the_reference_for_every_sample() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(
                ulaw_encode(sample),
                reference::ulaw_compress(sample),
                "µ-law {sample}"
            );
            assert_eq!(
                alaw_encode(sample),
                reference::alaw_compress(sample),
                "A-law {sample}"
            );
        }
    }

    #[test]
    fn decodes_as_the_reference_for_every_code() {
        for code in 0..=255 {
            assert_eq!(
                ulaw_decode(code),
                reference::ulaw_expand(code),
                "µ-law {code:#x}"
            );
            assert_eq!(
                alaw_decode(code),
                reference::alaw_expand(code),
                "A-law {code:#x}"
            );
        }
    }

    #[test]
    fn codes_survive() {
        for code in 0..=255 {
            assert_eq!(alaw_encode(alaw_decode(code)), code, "A-law {code:#x}");
            let expected = if code == 0x7F { 0xFF } else { code };
            assert_eq!(ulaw_encode(ulaw_decode(code)), expected, "µ-law {code:#x}");
        }
    }

    #[test]
    fn known_values() {
        // Sample, µ-law, A-law; the last bits of G.711 tables 1a and 2a, scaled to 16 bits.
        let table: [(i16, u8, u8); 8] = [
            (0, 0xFF, 0xD5),
            (-1, 0x7F, 0x55),
            (32767, 0x80, 0xAA),
            (-32768, 0x00, 0x2A),
            (8, 0xFE, 0xD5),
            (1000, 0xCE, 0xFA),
            (-1000, 0x4E, 0x7A),
            (16384, 0x8F, 0xA5),
        ];
        for (sample, ulaw, alaw) in table {
            assert_eq!(
                (ulaw_encode(sample), alaw_encode(sample)),
                (ulaw, alaw),
                "{sample}"
            );
        }
        assert_eq!(
            [0x00, 0x80, 0x7F, 0xFF].map(ulaw_decode),
            [-32124, 32124, 0, 0]
        );
        assert_eq!(
            [0x2A, 0xAA, 0x55, 0xD5].map(alaw_decode),
            [-32256, 32256, -8, 8]
        );
        assert_eq!(
            (ulaw_decode(ULAW_SILENCE), alaw_decode(ALAW_SILENCE)),
            (0, 8)
        );
    }

    /// G.711 §5: the milliwatt sequences give a 1 kHz sine at 0 dBm0.
    #[test]
    fn milliwatt() {
        let ulaw = [0x1E, 0x0B, 0x0B, 0x1E, 0x9E, 0x8B, 0x8B, 0x9E].map(ulaw_decode);
        let alaw = [0x34, 0x21, 0x21, 0x34, 0xB4, 0xA1, 0xA1, 0xB4].map(alaw_decode);
        for samples in [ulaw, alaw] {
            let level = crate::measure::rms_dbfs(&samples);
            assert!((level + 6.17).abs() < 0.1, "{level}");
        }
    }

    #[test]
    fn slices_convert_what_both_hold() {
        let mut out = [1; 4];
        assert_eq!(ulaw_decode_slice(&[0xFF, 0x80], &mut out), 2);
        assert_eq!(out, [0, 32124, 1, 1]);
        let mut codes = [0; 2];
        assert_eq!(ulaw_encode_slice(&out, &mut codes), 2);
        assert_eq!(codes, [0xFF, 0x80]);
        assert_eq!(alaw_encode_slice(&[0, -32768], &mut codes), 2);
        assert_eq!(codes, [0xD5, 0x2A]);
        assert_eq!(alaw_decode_slice(&codes, &mut out[..1]), 1);
        assert_eq!(out[0], 8);
    }

    /// The algorithm of the recommendation written out step by step: compares with the decision
    /// values one by one instead of computing with bits.
    mod reference {
        pub(super) fn ulaw_compress(sample: i16) -> u8 {
            let linear = i32::from(sample >> 2);
            let negative = linear < 0;
            let biased = (if negative { -linear - 1 } else { linear }) + 33;
            let biased = biased.min(8191);
            let mut segment = 0;
            while biased >= 64 << segment {
                segment += 1;
            }
            let first = 32 << segment;
            let mut step = 0;
            while first + (step + 1) * (2 << segment) <= biased {
                step += 1;
            }
            let code = 127 - (segment * 16 + step);
            (if negative { code } else { code + 128 }) as u8
        }

        pub(super) fn ulaw_expand(code: u8) -> i16 {
            let (positive, rest) = (code >= 128, i32::from(code % 128));
            let (segment, step) = ((127 - rest) / 16, (127 - rest) % 16);
            let low = (32 << segment) + step * (2 << segment) - 33;
            // Both ends of the step, averaged; 14 bits to 16.
            let high = low + (2 << segment);
            let middle = (low + high) / 2 * 4;
            (if positive { middle } else { -middle }) as i16
        }

        pub(super) fn alaw_compress(sample: i16) -> u8 {
            let linear = i32::from(sample >> 4);
            let negative = linear < 0;
            let magnitude = if negative { -linear - 1 } else { linear };
            let (segment, first, width) = segments()
                .into_iter()
                .rev()
                .find(|(_, first, _)| magnitude >= *first)
                .unwrap_or_default();
            let code = segment * 16 + (magnitude - first) / width;
            ((if negative { code } else { code + 128 }) ^ 0x55) as u8
        }

        pub(super) fn alaw_expand(code: u8) -> i16 {
            let bits = i32::from(code ^ 0x55);
            let (positive, rest) = (bits >= 128, bits % 128);
            let (_, first, width) = segments()[(rest / 16) as usize];
            let low = first + rest % 16 * width;
            // Both ends of the step, averaged; 12 bits to 16.
            let middle = (low * 16 + (low + width) * 16) / 2;
            (if positive { middle } else { -middle }) as i16
        }

        /// Number, first magnitude and step width of each segment (12 bits).
        fn segments() -> [(i32, i32, i32); 8] {
            [
                (0, 0, 1),
                (1, 16, 1),
                (2, 32, 2),
                (3, 64, 4),
                (4, 128, 8),
                (5, 256, 16),
                (6, 512, 32),
                (7, 1024, 64),
            ]
        }
    }
}
