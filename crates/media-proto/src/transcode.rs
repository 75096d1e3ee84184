//! Between µ-law and A-law, octet by octet.
//!
//! **Invariant: the length stays**, and so do sequence number and timestamp of the packet: no
//! clock is needed. The tables go through linear samples.

use audio::g711;
use sdp_proto::Codec;
use std::sync::LazyLock;

type Table = [u8; 256];

static ULAW_TO_ALAW: LazyLock<Table> =
    LazyLock::new(|| table(|code| g711::alaw_encode(g711::ulaw_decode(code))));
static ALAW_TO_ULAW: LazyLock<Table> =
    LazyLock::new(|| table(|code| g711::ulaw_encode(g711::alaw_decode(code))));

fn table(convert: impl Fn(u8) -> u8) -> Table {
    let mut codes: Table = std::array::from_fn(|code| code as u8);
    for code in &mut codes {
        *code = convert(*code);
    }
    codes
}

/// Converts a payload in place.
pub(crate) fn convert(from: Codec, to: Codec, payload: &mut [u8]) {
    let table: &Table = match (from, to) {
        (Codec::Pcmu, Codec::Pcma) => &ULAW_TO_ALAW,
        (Codec::Pcma, Codec::Pcmu) => &ALAW_TO_ULAW,
        (Codec::Pcmu, Codec::Pcmu) | (Codec::Pcma, Codec::Pcma) => return,
    };
    for code in payload {
        *code = table[usize::from(*code)];
    }
}

/// Decodes a payload, as far as `out` reaches; returns the samples.
pub(crate) fn decode<'a>(codec: Codec, payload: &[u8], out: &'a mut [i16]) -> &'a [i16] {
    let len = match codec {
        Codec::Pcmu => g711::ulaw_decode_slice(payload, out),
        Codec::Pcma => g711::alaw_decode_slice(payload, out),
    };
    &out[..len]
}

/// Encodes samples, as far as `out` reaches; returns how many octets.
pub(crate) fn encode(codec: Codec, samples: &[i16], out: &mut [u8]) -> usize {
    match codec {
        Codec::Pcmu => g711::ulaw_encode_slice(samples, out),
        Codec::Pcma => g711::alaw_encode_slice(samples, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_is_nearly_the_same() {
        for code in 0..=u8::MAX {
            let mut payload = [code];
            convert(Codec::Pcmu, Codec::Pcma, &mut payload);
            assert_eq!(payload[0], g711::alaw_encode(g711::ulaw_decode(code)));
            convert(Codec::Pcma, Codec::Pcmu, &mut payload);
            let (before, after) = (g711::ulaw_decode(code), g711::ulaw_decode(payload[0]));
            let step = (i32::from(before).abs() / 16).max(16);
            assert!(
                (i32::from(before) - i32::from(after)).abs() <= step,
                "{before} {after}"
            );
        }
    }

    #[test]
    fn same_codec_is_left_alone() {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            let mut payload = [0, 1, 0x55, 0xFF];
            convert(codec, codec, &mut payload);
            assert_eq!(payload, [0, 1, 0x55, 0xFF]);
        }
    }
}
