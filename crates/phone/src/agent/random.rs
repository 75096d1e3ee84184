//! Unique identifiers: tags, branches, Call-IDs.
//!
//! SplitMix64 from a seed, so that a run can be repeated. Not for secrets.

pub(crate) struct Random {
    state: u64,
}

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// 16 hexadecimal digits.
    pub(crate) fn word(&mut self) -> String {
        format!("{:016x}", self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_differ_and_can_be_repeated() {
        let words = |seed| {
            let mut random = Random::new(seed);
            (0..100).map(|_| random.word()).collect::<Vec<_>>()
        };
        assert_eq!(words(1), words(1));
        let mut all = [words(1), words(2)].concat();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 200);
    }
}
