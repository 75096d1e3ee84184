//! Sound files on disk: two files per address, the bytes and the metadata.
//!
//! **Invariant: a reader sees a whole file or none**, since files are written under a temporary
//! name and then renamed. All functions block; they run on tokio's blocking threads.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use crate::freshness::Freshness;

/// Name of a stored file below the cache folder: folder of the account, then address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct FileKey(String);

impl FileKey {
    /// The name for an address among the files of an account.
    pub(crate) fn new(account: &str, url: &str) -> Self {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let folder = match account {
            name if (1..=80).contains(&name.len()) && name.bytes().all(plain) => name.to_owned(),
            other => sha256(other),
        };
        Self(format!("{folder}/{}", sha256(url)))
    }
}

/// The cache folder.
#[derive(Debug)]
pub(crate) struct MediaFiles {
    folder: PathBuf,
    max_bytes: u64,
    index: Mutex<Index>,
}

#[derive(Debug, Default)]
struct Index {
    files: BTreeMap<FileKey, Use>,
    bytes: u64,
    /// Counts uses, so that the oldest can be identified.
    clock: u64,
    /// Counts writes, so that temporary files have different names.
    writes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Use {
    bytes: u64,
    at: u64,
}

impl MediaFiles {
    /// Opens a folder, creating it if missing, and lists its files.
    pub(crate) fn open(folder: PathBuf, max_bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let mut found = Vec::new();
        for account in fs::read_dir(&folder)? {
            collect(&account?.path(), &folder, &mut found)?;
        }
        found.sort();
        let files = Self {
            folder,
            max_bytes,
            index: Mutex::default(),
        };
        for (_, key, bytes) in found {
            files.note(&key, bytes);
        }
        Ok(files)
    }

    /// Length of a file in bytes, if it exists.
    pub(crate) fn length(&self, key: &FileKey) -> Option<u64> {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        index.files.get(key).map(|used| used.bytes)
    }

    /// The file and its metadata.
    pub(crate) fn read(&self, key: &FileKey) -> Option<(Vec<u8>, Freshness)> {
        let known = fs::read(self.path(key, KNOWN)).ok()?;
        let freshness = serde_json::from_slice(&known).ok()?;
        let bytes = fs::read(self.path(key, BYTES)).ok()?;
        self.note(key, size(&bytes));
        // Only the order after a restart depends on this.
        let _ = File::options()
            .append(true)
            .open(self.path(key, BYTES))
            .and_then(|file| file.set_modified(SystemTime::now()));
        Some((bytes, freshness))
    }

    /// Records the use of a file that is also kept in memory.
    pub(crate) fn note_use(&self, key: &FileKey, bytes: &[u8]) {
        self.note(key, size(bytes));
    }

    /// Stores a file and removes the least recently used ones if there are too many.
    pub(crate) fn write(
        &self,
        key: &FileKey,
        bytes: &[u8],
        freshness: &Freshness,
    ) -> io::Result<()> {
        self.replace(key, BYTES, bytes)?;
        self.write_known(key, freshness)?;
        self.note(key, size(bytes));
        for old in self.surplus(key) {
            self.remove(&old);
        }
        Ok(())
    }

    /// Stores the metadata of an unchanged file.
    pub(crate) fn write_known(&self, key: &FileKey, freshness: &Freshness) -> io::Result<()> {
        self.replace(key, KNOWN, &serde_json::to_vec(freshness)?)
    }

    /// Forgets a file.
    pub(crate) fn remove(&self, key: &FileKey) {
        // A missing file needs no removal; one that cannot be removed is replaced later.
        let _ = fs::remove_file(self.path(key, KNOWN));
        let _ = fs::remove_file(self.path(key, BYTES));
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = index.files.remove(key) {
            index.bytes -= old.bytes;
        }
    }

    fn replace(&self, key: &FileKey, kind: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(key, kind);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let number = {
            let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
            index.writes += 1;
            index.writes
        };
        let beside = path.with_extension(format!("{}-{number}.new", std::process::id()));
        let written = File::create(&beside)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| fs::rename(&beside, &path));
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        written
    }

    fn note(&self, key: &FileKey, bytes: u64) {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        index.clock += 1;
        let at = index.clock;
        let old = index.files.insert(key.clone(), Use { bytes, at });
        index.bytes = index.bytes + bytes - old.map_or(0, |old| old.bytes);
    }

    /// The files to remove, least recently used first, but never the one just written.
    fn surplus(&self, written: &FileKey) -> Vec<FileKey> {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_use: Vec<(&FileKey, &Use)> = index
            .files
            .iter()
            .filter(|(key, _)| *key != written)
            .collect();
        by_use.sort_by_key(|(_, used)| used.at);
        let mut bytes = index.bytes;
        let mut surplus = Vec::new();
        for (key, used) in by_use {
            if bytes <= self.max_bytes {
                break;
            }
            bytes -= used.bytes;
            surplus.push(key.clone());
        }
        surplus
    }

    fn path(&self, key: &FileKey, kind: &str) -> PathBuf {
        self.folder.join(format!("{}.{kind}", key.0))
    }
}

/// Extension of the files with the bytes.
const BYTES: &str = "media";
/// Extension of the files with the metadata.
const KNOWN: &str = "json";

/// A file found at start: its last use, key and size.
type Found = (SystemTime, FileKey, u64);

/// Finds the files of one account; removes files left half-written by a crash.
fn collect(account: &Path, folder: &Path, found: &mut Vec<Found>) -> io::Result<()> {
    if !account.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(account)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|text| text.to_str());
        if extension == Some("new") {
            let _ = fs::remove_file(&path);
        }
        let name = path
            .strip_prefix(folder)
            .ok()
            .and_then(|name| name.to_str());
        if let (Some(BYTES), Some(name)) = (extension, name) {
            let meta = fs::metadata(&path)?;
            let key = FileKey(name.trim_end_matches(".media").to_owned());
            found.push((meta.modified()?, key, meta.len()));
        }
    }
    Ok(())
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Freshness {
        Freshness {
            checked_s: 7,
            ..Freshness::default()
        }
    }

    #[test]
    fn removes_what_was_not_used_for_longest() {
        let folder = tempfile::tempdir().unwrap();
        let files = MediaFiles::open(folder.path().to_owned(), 25).unwrap();
        let key = |name: &str| FileKey::new("AC1", name);
        let there = |files: &MediaFiles| -> String {
            ["a", "b", "c", "d"]
                .into_iter()
                .filter(|n| files.path(&key(n), BYTES).exists())
                .collect()
        };
        files.write(&key("a"), &[1; 10], &known()).unwrap();
        files.write(&key("b"), &[2; 10], &known()).unwrap();
        assert_eq!(files.read(&key("a")).unwrap(), (vec![1; 10], known()));
        files.write(&key("c"), &[3; 10], &known()).unwrap();
        assert_eq!(there(&files), "ac");

        // After a restart the order of use is that of the files' times.
        let old = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000);
        let file = File::options()
            .append(true)
            .open(files.path(&key("a"), BYTES))
            .unwrap();
        file.set_modified(old).unwrap();
        fs::write(files.path(&key("x"), "1-1.new"), "half").unwrap();
        let files = MediaFiles::open(folder.path().to_owned(), 25).unwrap();
        assert!(!files.path(&key("x"), "1-1.new").exists());
        files.write(&key("d"), &[4; 10], &known()).unwrap();
        assert_eq!(there(&files), "cd");
        files.write(&key("a"), &[5; 99], &known()).unwrap();
        assert_eq!(there(&files), "a");
    }

    #[test]
    fn accounts_are_apart_and_cannot_leave_the_folder() {
        let (a, b) = (
            FileKey::new("AC1", "http://h/x"),
            FileKey::new("AC2", "http://h/x"),
        );
        assert_ne!(a, b);
        assert!(a.0.starts_with("AC1/") && a.0.len() == 4 + 64);
        for account in ["../../etc", "", "a/b", &"x".repeat(81)] {
            let key = FileKey::new(account, "u");
            assert_eq!(
                (key.0.len(), key.0.matches('/').count()),
                (129, 1),
                "{account}"
            );
        }
    }
}
