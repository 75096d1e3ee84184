//! Ages of packets on arrival, counted to 1 µs.

/// Highest age that is distinguished, in µs.
const HIGHEST: usize = 200_000;

/// The ages since the last look.
#[derive(Clone, Debug)]
pub struct Ages(Vec<u32>);

impl Default for Ages {
    fn default() -> Self {
        Self(vec![0; HIGHEST])
    }
}

impl Ages {
    /// Counts an age in µs.
    pub fn note(&mut self, age_us: usize) {
        self.0[age_us.min(HIGHEST - 1)] += 1;
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.0.iter().copied().map(u64::from).sum()
    }

    /// The smallest age in µs not exceeded by at least `share` of all.
    pub fn percentile(&self, share: f64) -> usize {
        let wanted = (self.count() as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (value, count) in self.0.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted && seen > 0 {
                return value;
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_counts() {
        let mut ages = Ages::default();
        assert_eq!(ages.percentile(0.5), 0);
        for (age, count) in [(10, 60), (20, 39), (HIGHEST + 5, 1)] {
            (0..count).for_each(|_| ages.note(age));
        }
        let found = [0.5, 0.6, 0.61, 0.99, 1.0].map(|share| ages.percentile(share));
        assert_eq!((found, ages.count()), ([10, 10, 20, 20, HIGHEST - 1], 100));
    }
}
