//! G.711.

/// Decodes one µ-law octet.
pub fn ulaw_decode(_code: u8) -> i16 {
    unimplemented!()
}
/// Encodes one sample as µ-law.
pub fn ulaw_encode(_sample: i16) -> u8 {
    unimplemented!()
}
/// Decodes one A-law octet.
pub fn alaw_decode(_code: u8) -> i16 {
    unimplemented!()
}
/// Encodes one sample as A-law.
pub fn alaw_encode(_sample: i16) -> u8 {
    unimplemented!()
}
/// Decodes as many octets as both slices hold; returns that number.
pub fn ulaw_decode_slice(_codes: &[u8], _out: &mut [i16]) -> usize {
    unimplemented!()
}
/// Encodes as many samples as both slices hold; returns that number.
pub fn ulaw_encode_slice(_samples: &[i16], _out: &mut [u8]) -> usize {
    unimplemented!()
}
/// Decodes as many octets as both slices hold; returns that number.
pub fn alaw_decode_slice(_codes: &[u8], _out: &mut [i16]) -> usize {
    unimplemented!()
}
/// Encodes as many samples as both slices hold; returns that number.
pub fn alaw_encode_slice(_samples: &[i16], _out: &mut [u8]) -> usize {
    unimplemented!()
}
