//! Look-ups of the call path, kept in memory.
//!
//! **Invariants: a value read before a write is never kept after it; a cache holds at most [`CAPACITY`] keys.** A load
//! records the generation first and is kept only if no write came in between. Left to others: keys are short. A text that
//! is longer than any stored one (`model::naming`, `Account::MAX_EMAIL_BYTES`) is answered without a look-up.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Maximum entries; beyond that the cache starts empty again, so made-up names cannot fill the
/// memory.
const CAPACITY: usize = 100_000;

/// A cache of look-ups, including negative ones.
pub(crate) struct Cache<K, V> {
    /// How long an entry is valid; `None`: until the next write of this process.
    lifetime: Option<Duration>,
    generation: AtomicU64,
    entries: RwLock<HashMap<K, (Instant, V)>>,
}

/// The state of a cache at the start of a load.
#[derive(Clone, Copy)]
pub(crate) struct Generation(u64);

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub(crate) fn new(lifetime: Option<Duration>) -> Self {
        Self {
            lifetime,
            generation: AtomicU64::new(0),
            entries: RwLock::new(HashMap::new()),
        }
    }

    /// The value, or the generation needed to keep one that is loaded now.
    pub(crate) fn get<Q>(&self, key: &Q) -> Result<V, Generation>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let entries = self.entries.read().unwrap_or_else(|e| e.into_inner());
        match entries.get(key) {
            Some((since, value)) if self.lifetime.is_none_or(|life| since.elapsed() < life) => {
                Ok(value.clone())
            }
            _ => Err(Generation(self.generation.load(Ordering::Acquire))),
        }
    }

    /// Keeps a loaded value, unless it may be stale.
    pub(crate) fn keep(&self, loaded_at: Generation, key: K, value: V) {
        let mut entries = self.entries.write().unwrap_or_else(|e| e.into_inner());
        if self.generation.load(Ordering::Acquire) != loaded_at.0 {
            return;
        }
        if entries.len() >= CAPACITY {
            entries.clear();
        }
        entries.insert(key, (Instant::now(), value));
    }

    /// Clears the cache.
    pub(crate) fn clear(&self) {
        let mut entries = self.entries.write().unwrap_or_else(|e| e.into_inner());
        self.generation.fetch_add(1, Ordering::AcqRel);
        entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_until_cleared_and_never_what_is_stale() {
        let cache: Cache<String, i32> = Cache::new(None);
        let Err(before) = cache.get("a") else {
            panic!("empty at first")
        };
        cache.keep(before, "a".to_owned(), 1);
        assert_eq!(cache.get("a").ok(), Some(1));
        cache.clear();
        assert!(cache.get("a").is_err());
        cache.keep(before, "a".to_owned(), 1);
        assert!(cache.get("a").is_err(), "loaded before the write");
    }

    #[test]
    fn entries_of_a_shared_database_age() {
        let cache: Cache<i32, i32> = Cache::new(Some(Duration::ZERO));
        let Err(now) = cache.get(&1) else {
            panic!("empty at first")
        };
        cache.keep(now, 1, 1);
        assert!(cache.get(&1).is_err());
    }
}
