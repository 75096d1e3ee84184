//! Sequence arithmetic.
/// Signed distance from `from` to `to` over the wrap: positive if `to` is newer.
pub fn distance(from: u16, to: u16) -> i16 {
    to.wrapping_sub(from).cast_signed()
}
/// The same for timestamps.
pub fn timestamp_distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}
/// True if `a` is newer than `b`.
pub fn is_newer(a: u16, b: u16) -> bool {
    distance(b, a) > 0
}
