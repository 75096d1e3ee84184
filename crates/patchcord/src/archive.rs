//! A backup: a folder with the database, the recordings, the key, and a list of checksums.
//!
//! `SHA256SUMS` lists every other file in the form that `sha256sum -c` reads; `manifest.json` says what they are.
//! **Invariant: a file is restored only if it is in the list and has the listed checksum.**

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::usage::WrongUsage;

/// Names of the files.
pub(crate) const SUMS: &str = "SHA256SUMS";
pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const EMBEDDED: &str = "patchcord.db";
pub(crate) const DUMP: &str = "patchcord.dump";
pub(crate) const KEY: &str = "secret.key";
pub(crate) const RECORDINGS: &str = "recordings";
/// Files of the data folder besides the key, the recordings and the database; any may be missing.
pub(crate) const OTHERS: [&str; 2] = ["server.id", "admin-credentials"];
/// The form of the folder that this release writes and reads.
pub(crate) const FORMAT: u32 = 1;
/// Bytes that are read at once.
const BLOCK: usize = 128 * 1024;

/// What a backup is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// [`FORMAT`].
    pub(crate) format: u32,
    /// Version of the program.
    pub(crate) program: String,
    /// When the database was in this state (ISO 8601).
    pub(crate) created: String,
    /// [`EMBEDDED`] or [`DUMP`].
    pub(crate) database: String,
    /// Version of the tables.
    pub(crate) tables_version: i64,
    /// Rows of each table.
    pub(crate) rows: BTreeMap<String, u64>,
    /// Recordings in the database whose files were missing.
    pub(crate) missing: Vec<String>,
    /// Whether the secret key is in the folder.
    pub(crate) has_key: bool,
    /// Signature of `created` by the key, which tells whether another key is the same one.
    pub(crate) key_check: String,
}

/// Purpose of [`Manifest::key_check`].
pub(crate) const KEY_CHECK: &str = "backup";

/// A new folder that is being filled.
pub(crate) struct Writer {
    folder: PathBuf,
    sums: BTreeMap<String, String>,
}

impl Writer {
    /// Creates the folder, which must not exist.
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        let mut builder = std::fs::DirBuilder::new();
        builder.mode(0o700);
        builder
            .create(folder)
            .and_then(|()| builder.create(folder.join(RECORDINGS)))
            .with_context(|| format!("cannot create the folder {}", folder.display()))?;
        Ok(Self {
            folder: folder.to_owned(),
            sums: BTreeMap::new(),
        })
    }

    /// Where a file of the archive is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Copies a file; false if there is none.
    pub(crate) fn copy(&mut self, from: &Path, name: &str) -> Result<bool> {
        let input = match File::open(from) {
            Ok(input) => input,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", from.display()));
            }
        };
        let sum = copy(input, &self.path(name))?;
        self.sums.insert(name.to_owned(), sum);
        Ok(true)
    }

    /// Lists a file that another program or library has written here.
    pub(crate) fn adopt(&mut self, name: &str) -> Result<()> {
        let path = self.path(name);
        let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        file.sync_all()
            .with_context(|| format!("cannot write {}", path.display()))?;
        let sum = sum(file).with_context(|| format!("cannot read {}", path.display()))?;
        self.sums.insert(name.to_owned(), sum);
        Ok(())
    }

    /// Writes the manifest and the list, and gives the folder its final name.
    pub(crate) fn finish(mut self, manifest: &Manifest, name: &Path) -> Result<usize> {
        let text = serde_json::to_string_pretty(manifest)? + "\n";
        let sum = copy(text.as_bytes(), &self.path(MANIFEST))?;
        self.sums.insert(MANIFEST.to_owned(), sum);
        let lines = self
            .sums
            .iter()
            .map(|(name, sum)| format!("{sum}  {name}\n"));
        copy(lines.collect::<String>().as_bytes(), &self.path(SUMS))?;
        for folder in [&self.path(RECORDINGS), &self.folder] {
            File::open(folder).and_then(|folder| folder.sync_all())?;
        }
        std::fs::rename(&self.folder, name).with_context(|| {
            let made = self.folder.display();
            format!(
                "the backup is complete in {made}, but cannot be renamed to {}",
                name.display()
            )
        })?;
        Ok(self.sums.len())
    }
}

/// A folder that holds a backup.
pub(crate) struct Archive {
    folder: PathBuf,
    pub(crate) manifest: Manifest,
    /// Checksum of each file, by name.
    pub(crate) sums: BTreeMap<String, String>,
}

impl Archive {
    /// Opens a backup, and compares every file with its checksum.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let shown = folder.display();
        let wrong = |text: String| WrongUsage(format!("{shown} cannot be restored: {text}"));
        let list = std::fs::read_to_string(folder.join(SUMS))
            .map_err(|error| wrong(format!("`{SUMS}` cannot be read: {error}")))?;
        let mut sums = BTreeMap::new();
        for line in list.lines() {
            let (sum, name) = (line.split_once("  "))
                .ok_or_else(|| wrong(format!("`{SUMS}` has a line that is not a checksum")))?;
            if !is_name(name) {
                return Err(wrong(format!("`{name}` does not belong in a backup")).into());
            }
            sums.insert(name.to_owned(), sum.to_owned());
        }
        for (name, listed) in &sums {
            let found = File::open(folder.join(name)).and_then(sum);
            let found =
                found.map_err(|error| wrong(format!("`{name}` cannot be read: {error}")))?;
            if found != *listed {
                return Err(
                    wrong(format!("`{name}` has changed since the backup was made")).into(),
                );
            }
        }
        if !sums.contains_key(MANIFEST) {
            return Err(wrong(format!("`{SUMS}` does not list `{MANIFEST}`")).into());
        }
        let text = std::fs::read_to_string(folder.join(MANIFEST))?;
        let manifest: Manifest = serde_json::from_str(&text)
            .map_err(|error| wrong(format!("`{MANIFEST}` cannot be read: {error}")))?;
        if manifest.format != FORMAT {
            let format = manifest.format;
            return Err(wrong(format!(
                "it has format {format}, and this release reads {FORMAT}"
            ))
            .into());
        }
        if !sums.contains_key(&manifest.database) {
            return Err(wrong("the database is missing".to_owned()).into());
        }
        Ok(Self {
            folder: folder.to_owned(),
            manifest,
            sums,
        })
    }

    /// Where a file of the archive is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Copies a listed file, and checks what was copied.
    pub(crate) fn extract(&self, name: &str, to: &Path) -> Result<()> {
        let from = self.path(name);
        let input = File::open(&from).with_context(|| format!("cannot read {}", from.display()))?;
        let copied = copy(input, to)?;
        if self.sums.get(name) != Some(&copied) {
            return Err(
                WrongUsage(format!("{} changed while it was copied", from.display())).into(),
            );
        }
        Ok(())
    }
}

/// Whether a backup may hold a file with this name.
fn is_name(name: &str) -> bool {
    let known = [MANIFEST, EMBEDDED, DUMP, KEY];
    if known.contains(&name) || OTHERS.contains(&name) {
        return true;
    }
    let recording = name
        .strip_prefix(RECORDINGS)
        .and_then(|rest| rest.strip_prefix('/'));
    recording.is_some_and(|file| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '.';
        file.starts_with("RE") && file.chars().all(plain)
    })
}

/// Writes a new file, readable by its owner only; returns its checksum once it is on disk.
fn copy(mut input: impl Read, to: &Path) -> Result<String> {
    let written = || {
        let mut output = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(to)?;
        let mut hash = Sha256::new();
        let mut block = vec![0; BLOCK];
        loop {
            let read = input.read(&mut block)?;
            if read == 0 {
                break;
            }
            hash.update(&block[..read]);
            output.write_all(&block[..read])?;
        }
        output.sync_all()?;
        Ok::<_, std::io::Error>(hex(&hash.finalize()))
    };
    let mut written = written;
    written().with_context(|| format!("cannot write {}", to.display()))
}

fn sum(mut file: File) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut hash)?;
    Ok(hex(&hash.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_a_backup_are_restored() {
        let good = [
            MANIFEST,
            "recordings/RE00.wav",
            "recordings/RE00.wav.part",
            "server.id",
        ];
        let bad = [
            "",
            "other",
            "../secret.key",
            "recordings/../RE.wav",
            "recordings/RE/x",
            "recordings/",
            "recordingsRE",
            "/etc/passwd",
        ];
        for name in good {
            assert!(is_name(name), "{name}");
        }
        for name in bad {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn a_changed_file_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let (from, begun, named) = (
            dir.path().join("from"),
            dir.path().join("begun"),
            dir.path().join("named"),
        );
        std::fs::write(&from, "rows").unwrap();
        let mut writer = Writer::create(&begun).unwrap();
        assert!(writer.copy(&from, EMBEDDED).unwrap());
        assert!(!writer.copy(&dir.path().join("none"), KEY).unwrap());
        let manifest = Manifest {
            format: FORMAT,
            program: String::new(),
            created: String::new(),
            database: EMBEDDED.to_owned(),
            tables_version: 1,
            rows: BTreeMap::new(),
            missing: Vec::new(),
            has_key: false,
            key_check: String::new(),
        };
        assert_eq!(writer.finish(&manifest, &named).unwrap(), 2);
        assert!(!begun.exists());
        assert!(Archive::open(&named).is_ok());
        std::fs::write(named.join(EMBEDDED), "rowz").unwrap();
        let error = Archive::open(&named).err().unwrap().to_string();
        assert!(error.contains("`patchcord.db` has changed"), "{error}");
        std::fs::remove_file(named.join(EMBEDDED)).unwrap();
        let error = Archive::open(&named).err().unwrap().to_string();
        assert!(error.contains("`patchcord.db` cannot be read"), "{error}");
    }
}
