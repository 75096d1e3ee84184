//! Random numbers from a seed.
//!
//! **The same seed gives the same numbers on every machine**, so a failure can be repeated from its
//! seed.

/// SplitMix64: a small generator.
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to but excluding `end`; 0 if `end` is 0. Slightly biased for huge `end`,
    /// which does not matter to tests.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next_u64().checked_rem(end).unwrap_or(0)
    }

    /// The same as `usize`, for positions and lengths.
    pub fn index(&mut self, end: usize) -> usize {
        self.below(end as u64) as usize
    }
}
