//! A bounded map that forgets what was not used for longest.

use std::collections::HashMap;

pub(crate) struct Recent<V> {
    capacity: usize,
    /// Grows with each use.
    uses: u64,
    /// With the number of the last use.
    values: HashMap<String, (u64, V)>,
}

impl<V> Recent<V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            uses: 0,
            values: HashMap::new(),
        }
    }

    pub(crate) fn get(&mut self, key: &str) -> Option<&V> {
        let (used, value) = self.values.get_mut(key)?;
        self.uses += 1;
        *used = self.uses;
        Some(value)
    }

    pub(crate) fn forget(&mut self, key: &str) {
        self.values.remove(key);
    }

    pub(crate) fn keep(&mut self, key: &str, value: V) {
        if self.values.len() >= self.capacity && !self.values.contains_key(key) {
            let oldest = self.values.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.values.remove(&oldest);
            }
        }
        self.uses += 1;
        self.values.insert(key.to_owned(), (self.uses, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_only_what_was_not_used_for_longest() {
        let mut recent = Recent::new(3);
        for (value, key) in ["a", "b", "c"].into_iter().enumerate() {
            recent.keep(key, value);
        }
        assert_eq!(recent.get("a"), Some(&0));
        recent.keep("c", 7);
        recent.keep("d", 3);
        let kept = ["a", "b", "c", "d"].map(|key| recent.get(key).copied());
        assert_eq!(kept, [Some(0), None, Some(7), Some(3)]);
    }
}
