//! Resampling.

/// Converts mono samples from `from` Hz to `to` Hz.
pub fn resample(_samples: &[i16], _from: u32, _to: u32) -> Vec<i16> {
    unimplemented!()
}
/// Averages interleaved channels into one.
pub fn down_mix(_interleaved: &[i16], _channels: u16) -> Vec<i16> {
    unimplemented!()
}
