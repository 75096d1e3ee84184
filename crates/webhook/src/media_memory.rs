//! The most recently used sound files, in memory: most calls play what the previous call played.
//!
//! **Invariant: every file here is also on disk**, and is replaced or removed together with its
//! stored copy.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::freshness::Freshness;
use crate::media_files::FileKey;

/// Maximum bytes of all files.
const MOST: usize = 32 << 20;
/// Longer files are read from disk every time.
const LONGEST: usize = 4 << 20;

#[derive(Debug, Default)]
pub(crate) struct MediaMemory(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<FileKey, File>,
    bytes: usize,
    /// Counts uses, so that the oldest can be identified.
    clock: u64,
}

#[derive(Debug)]
struct File {
    bytes: Arc<Vec<u8>>,
    freshness: Freshness,
    used: u64,
}

impl MediaMemory {
    pub(crate) fn get(&self, key: &FileKey) -> Option<(Arc<Vec<u8>>, Freshness)> {
        let mut state = self.state();
        state.clock += 1;
        let now = state.clock;
        let file = state.files.get_mut(key)?;
        file.used = now;
        Some((Arc::clone(&file.bytes), file.freshness.clone()))
    }

    /// Keeps a file, and drops the least recently used ones if there are too many.
    pub(crate) fn put(&self, key: &FileKey, bytes: &Arc<Vec<u8>>, freshness: &Freshness) {
        self.remove(key);
        if bytes.len() > LONGEST {
            return;
        }
        let mut state = self.state();
        state.clock += 1;
        state.bytes += bytes.len();
        let file = File {
            bytes: Arc::clone(bytes),
            freshness: freshness.clone(),
            used: state.clock,
        };
        state.files.insert(key.clone(), file);
        while state.bytes > MOST {
            let oldest = state.files.iter().min_by_key(|(_, file)| file.used);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                return;
            };
            state.remove(&oldest);
        }
    }

    pub(crate) fn remove(&self, key: &FileKey) {
        self.state().remove(key);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remove(&mut self, key: &FileKey) {
        if let Some(old) = self.files.remove(key) {
            self.bytes -= old.bytes.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_was_used_last() {
        let memory = MediaMemory::default();
        let key = |name: &str| FileKey::new("AC1", name);
        let put = |name, bytes: usize| {
            memory.put(&key(name), &vec![1; bytes].into(), &Freshness::default());
        };
        let there = || -> String {
            let names = [
                "a", "b", "c", "long", "1", "2", "3", "4", "5", "6", "7", "8",
            ];
            let kept = |name: &&str| memory.state().files.contains_key(&key(name));
            names.into_iter().filter(kept).collect()
        };
        put("a", 10);
        put("b", 20);
        put("a", 30);
        put("long", LONGEST + 1);
        assert_eq!((there().as_str(), memory.state().bytes), ("ab", 50));
        for name in ["1", "2", "3", "4", "5", "6", "7"] {
            put(name, LONGEST);
        }
        assert_eq!(
            memory.get(&key("a")).map(|(bytes, _)| bytes.len()),
            Some(30)
        );
        put("8", LONGEST);
        assert_eq!(there(), "a2345678", "the oldest went");
        memory.remove(&key("3"));
        assert_eq!(
            (there().as_str(), memory.state().bytes),
            ("a245678", 6 * LONGEST + 30)
        );
    }
}
