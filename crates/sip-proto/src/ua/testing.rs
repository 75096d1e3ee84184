//! What the tests of several modules share.

use std::time::Instant;

use super::Entropy;

/// A start of virtual time.
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can be had in no other way"
)]
pub(crate) fn start() -> Instant {
    Instant::now()
}

/// SplitMix64: the same words for the same seed.
pub(crate) struct Seeded(pub(crate) u64);

impl Entropy for Seeded {
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
