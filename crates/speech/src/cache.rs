//! Keeps spoken texts as 8 kHz WAV files in one folder.
//!
//! A file is named by the hash of engine, voice and text, so it never grows stale. **Invariant:
//! after each store the files take at most the limit; the least recently used are removed first.**
//! The last use survives a restart as the modification time. A disk failure costs time, never a
//! call: it is logged, and the text is synthesised again.

use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tracing::warn;

/// Files with this prefix are being written.
const TEMPORARY: &str = "tmp-";
/// Temporary files this old were left by a crash.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Name of an entry: 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key(String);

impl Key {
    /// The hash of the parts that decide how a text sounds.
    pub(crate) fn new(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        Self(
            hash.finalize()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        )
    }

    fn from_file(path: &Path) -> Option<Self> {
        let stem = path.file_stem()?.to_str()?;
        let ok = stem.len() == 64 && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
        (ok && path.extension()? == "wav").then(|| Self(stem.to_owned()))
    }
}

/// A folder of spoken texts. All methods block on the disk.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    limit_bytes: u64,
    index: Mutex<Index>,
}

#[derive(Debug, Default)]
struct Index {
    entries: HashMap<Key, Entry>,
    /// Keys by last use.
    order: BTreeMap<u64, Key>,
    total_bytes: u64,
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    size_bytes: u64,
    /// Position in `order`.
    used: u64,
}

impl Cache {
    /// Opens a folder, creating it if needed, and lists its entries.
    pub(crate) fn open(folder: &Path, limit_bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut index = Index::default();
        for (_, key, size_bytes) in stock(folder)? {
            index.insert(key, size_bytes);
        }
        let cache = Self {
            folder: folder.to_owned(),
            limit_bytes,
            index: Mutex::new(index),
        };
        cache.shrink();
        Ok(cache)
    }

    /// The samples of an entry; counts as a use.
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<[i16]>> {
        if !self.index().touch(key) {
            return None;
        }
        let path = self.path(key);
        match read(&path) {
            Ok(samples) => Some(samples),
            Err(error) => {
                warn!(%error, path = %path.display(), "cannot use a speech cache file");
                self.remove(key);
                None
            }
        }
    }

    /// Stores an entry and makes room.
    pub(crate) fn put(&self, key: &Key, samples: &[i16]) {
        let bytes = audio::wav::encode(samples);
        if let Err(error) = self.write(key, &bytes) {
            warn!(%error, folder = %self.folder.display(), "cannot store speech in the cache");
            return;
        }
        self.index().insert(key.clone(), bytes.len() as u64);
        self.shrink();
    }

    /// A new temporary file in the folder, removed when dropped.
    pub(crate) fn temporary(&self) -> io::Result<tempfile::NamedTempFile> {
        tempfile::Builder::new()
            .prefix(TEMPORARY)
            .suffix(".wav")
            .tempfile_in(&self.folder)
    }

    fn write(&self, key: &Key, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.temporary()?;
        file.write_all(bytes)?;
        file.persist(self.path(key))?;
        Ok(())
    }

    fn remove(&self, key: &Key) {
        self.index().remove(key);
        let path = self.path(key);
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            warn!(%error, path = %path.display(), "cannot remove a speech cache file");
        }
    }

    fn shrink(&self) {
        loop {
            let oldest = self.index().oldest_above(self.limit_bytes);
            let Some(key) = oldest else { return };
            self.remove(&key);
        }
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(&key.0).with_extension("wav")
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    fn insert(&mut self, key: Key, size_bytes: u64) {
        self.remove(&key);
        self.uses += 1;
        self.total_bytes += size_bytes;
        self.order.insert(self.uses, key.clone());
        self.entries.insert(
            key,
            Entry {
                size_bytes,
                used: self.uses,
            },
        );
    }

    /// Moves an entry to the end of the order; false if it does not exist.
    fn touch(&mut self, key: &Key) -> bool {
        let Some(size_bytes) = self.entries.get(key).map(|entry| entry.size_bytes) else {
            return false;
        };
        self.insert(key.clone(), size_bytes);
        true
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.used);
            self.total_bytes -= entry.size_bytes;
        }
    }

    /// The entry to remove if the files take more than the limit.
    fn oldest_above(&self, limit_bytes: u64) -> Option<Key> {
        let (_, key) = self.order.first_key_value()?;
        (self.total_bytes > limit_bytes).then(|| key.clone())
    }
}

/// The entries of a folder, least recently used first; removes what a crash left behind.
fn stock(folder: &Path) -> io::Result<Vec<(SystemTime, Key, u64)>> {
    let mut found = Vec::new();
    for file in fs::read_dir(folder)? {
        let file = file?;
        let (path, metadata) = (file.path(), file.metadata()?);
        let modified = metadata.modified()?;
        if let Some(key) = Key::from_file(&path) {
            found.push((modified, key, metadata.len()));
        } else if file.file_name().to_string_lossy().starts_with(TEMPORARY)
            && modified.elapsed().is_ok_and(|age| age > ABANDONED)
        {
            fs::remove_file(&path)?;
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> io::Result<Arc<[i16]>> {
    let bytes = fs::read(path)?;
    let wav = audio::wav::decode(&bytes).map_err(io::Error::other)?;
    // The use counts even if it cannot be recorded, for example on a read-only disk.
    let _ = File::options()
        .append(true)
        .open(path)
        .and_then(|f| f.set_modified(SystemTime::now()));
    Ok(wav.samples.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_distinguish_parts() {
        let key = |parts: &[&str]| Key::new(parts);
        assert_eq!(key(&["a", "bc"]), key(&["a", "bc"]));
        assert_ne!(key(&["a", "bc"]), key(&["ab", "c"]));
        assert_eq!(key(&["x"]).0.len(), 64);
        assert_eq!(
            Key::from_file(Path::new(&format!("/a/{}.wav", key(&["x"]).0))),
            Some(key(&["x"]))
        );
        assert_eq!(Key::from_file(Path::new("/a/tmp-1.wav")), None);
    }

    #[test]
    fn stores_and_finds_again_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), 1_000_000).unwrap();
        let key = Key::new(&["hello"]);
        assert_eq!(cache.get(&key), None);
        cache.put(&key, &[1, 2, 3]);
        assert_eq!(cache.get(&key).as_deref(), Some(&[1, 2, 3][..]));
        let again = Cache::open(folder.path(), 1_000_000).unwrap();
        assert_eq!(again.get(&key).as_deref(), Some(&[1, 2, 3][..]));
    }

    #[test]
    fn the_longest_unused_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        // Each entry takes 44 + 200 bytes: three fit.
        let cache = Cache::open(folder.path(), 750).unwrap();
        let keys = ["a", "b", "c", "d"].map(|name| Key::new(&[name]));
        for key in &keys[..3] {
            cache.put(key, &[0; 100]);
        }
        assert!(cache.get(&keys[0]).is_some());
        cache.put(&keys[3], &[0; 100]);
        let kept = keys.each_ref().map(|key| cache.get(key).is_some());
        assert_eq!(kept, [true, false, true, true]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
        drop(cache);
        let smaller = Cache::open(folder.path(), 250).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(smaller.index().total_bytes, 244);
    }

    #[test]
    fn last_use_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), 750).unwrap();
        let keys = ["a", "b"].map(|name| Key::new(&[name]));
        for key in &keys {
            cache.put(key, &[0; 100]);
            let old = SystemTime::now() - Duration::from_secs(100);
            File::options()
                .append(true)
                .open(cache.path(key))
                .unwrap()
                .set_modified(old)
                .unwrap();
        }
        assert!(cache.get(&keys[0]).is_some());
        let smaller = Cache::open(folder.path(), 250).unwrap();
        assert_eq!(
            keys.each_ref().map(|key| smaller.get(key).is_some()),
            [true, false]
        );
    }

    #[test]
    fn damaged_files_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), 1_000_000).unwrap();
        let key = Key::new(&["hello"]);
        cache.put(&key, &[1, 2, 3]);
        fs::write(cache.path(&key), b"junk").unwrap();
        assert_eq!(cache.get(&key), None);
        assert!(!cache.path(&key).exists());
        cache.put(&key, &[4]);
        assert_eq!(cache.get(&key).as_deref(), Some(&[4][..]));
    }
}
