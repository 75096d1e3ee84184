//! Identifiers from a seed.
//!
//! **Invariant: the same seed gives the same identifiers in the same order**, so that a run can be
//! repeated. The seed must not be predictable.

use model::{EventSid, Timestamp};

/// SplitMix64: small, and good enough to keep identifiers distinct; the seed is the secret.
pub(crate) struct Ids {
    state: u64,
}

impl Ids {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The random part of an identifier.
    pub(crate) fn bytes(&mut self) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&self.next().to_le_bytes());
        bytes[8..].copy_from_slice(&self.next().to_le_bytes()[..2]);
        bytes
    }

    pub(crate) fn event(&mut self, now: Timestamp) -> EventSid {
        EventSid::new(now, self.bytes())
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
