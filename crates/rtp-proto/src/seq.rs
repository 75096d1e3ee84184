//! Arithmetic on sequence numbers and timestamps, which wrap (RFC 1982 in spirit).
//!
//! **Invariant: of two numbers less than half the range apart, the order is the sender's**,
//! whether or not the counter wrapped between them.

/// Signed distance from `from` to `to`: positive if `to` is newer.
pub fn distance(from: u16, to: u16) -> i16 {
    to.wrapping_sub(from).cast_signed()
}

/// Signed distance between two RTP timestamps: positive if `to` is later.
pub fn timestamp_distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}

/// True if sequence number `a` was sent after `b`.
pub fn is_newer(a: u16, b: u16) -> bool {
    distance(b, a) > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_over_the_wrap() {
        let table = [
            (0, 0, 0),
            (0, 1, 1),
            (1, 0, -1),
            (65535, 0, 1),
            (0, 65535, -1),
            (65000, 100, 636),
            (0, 32767, 32767),
            (0, 32768, -32768),
        ];
        for (from, to, expected) in table {
            assert_eq!(distance(from, to), expected, "{from} to {to}");
            assert_eq!(is_newer(to, from), expected > 0, "{to} newer than {from}");
        }
        assert_eq!(timestamp_distance(u32::MAX - 79, 80), 160);
        assert_eq!(timestamp_distance(80, u32::MAX - 79), -160);
    }
}
