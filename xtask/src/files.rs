//! Lists the files of the repository for the tasks.
//!
//! **Invariant: only files that belong to the project are listed**: tracked ones and new ones that
//! are not ignored. Paths are relative to the root, in a fixed order.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// One text file.
pub(crate) struct SourceFile {
    /// Path from the root of the repository, with `/`.
    pub(crate) path: String,
    /// Its whole text.
    pub(crate) text: String,
}

/// Root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Every text file whose path passes `wanted`; files that are not UTF-8 are skipped.
pub(crate) fn list(wanted: impl Fn(&str) -> bool) -> anyhow::Result<Vec<SourceFile>> {
    let root = root();
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(&root)
        .output()
        .context("git could not be started")?;
    if !output.status.success() {
        bail!(
            "git ls-files failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let listing = String::from_utf8(output.stdout).context("a path is not UTF-8")?;
    let mut paths: Vec<&str> = listing.lines().filter(|path| wanted(path)).collect();
    paths.sort_unstable();
    paths.dedup();
    Ok(paths
        .into_iter()
        .filter_map(|path| {
            let text = std::fs::read_to_string(root.join(path)).ok()?;
            Some(SourceFile {
                path: path.to_owned(),
                text,
            })
        })
        .collect())
}
