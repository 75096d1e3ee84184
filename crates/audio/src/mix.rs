//! Mixing.

/// Adds `samples` to `sum` (as many as both hold).
pub fn add(_sum: &mut [i32], _samples: &[i16]) {
    unimplemented!()
}
/// Subtracts `samples` from `sum`: everybody hears the mix without itself.
pub fn subtract(_sum: &mut [i32], _samples: &[i16]) {
    unimplemented!()
}
/// Writes `sum` to `out`, saturating to 16 bits.
pub fn saturate(_sum: &[i32], _out: &mut [i16]) {
    unimplemented!()
}
/// Adds `samples` into `out`, saturating.
pub fn add_saturating(_out: &mut [i16], _samples: &[i16]) {
    unimplemented!()
}
