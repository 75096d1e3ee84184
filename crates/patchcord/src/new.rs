//! `patchcord new`: a small application to start from, with its tests.
//!
//! **Invariant: existing files are never written to.** The files are tested where they are used:
//! `e2e` runs their tests against the documents and against the application.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::usage::WrongUsage;

/// The files of the application.
const FILES: &[(&str, &str)] = &[
    ("README.md", include_str!("new/README.md")),
    ("app.py", include_str!("new/app.py")),
    ("menu.xml", include_str!("new/menu.xml")),
    ("sales.xml", include_str!("new/sales.xml")),
    ("hours.xml", include_str!("new/hours.xml")),
    ("unknown.xml", include_str!("new/unknown.xml")),
    ("nobody.xml", include_str!("new/nobody.xml")),
    ("goodbye.xml", include_str!("new/goodbye.xml")),
    (
        "documents.test.yaml",
        include_str!("new/documents.test.yaml"),
    ),
    ("app.test.yaml", include_str!("new/app.test.yaml")),
];

/// Writes the application into an empty or new folder, and returns what to do next.
///
/// # Errors
/// [`WrongUsage`] if the folder is not empty; otherwise if it cannot be written.
pub(crate) fn run(folder: &Path) -> Result<String> {
    let shown = folder.display();
    fs::create_dir_all(folder).with_context(|| format!("cannot create the folder {shown}"))?;
    let mut entries = fs::read_dir(folder).with_context(|| format!("cannot read {shown}"))?;
    if entries.next().is_some() {
        let text = format!("{shown} is not empty; name a folder that does not exist yet");
        return Err(WrongUsage(text).into());
    }
    for (name, text) in FILES {
        let path = folder.join(name);
        fs::File::create_new(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let path = |name: &str| quoted(&folder.join(name).display().to_string());
    Ok(format!(
        "{shown}: a menu for callers, an application that serves it, and its tests. Next:\n\n\
         \x20 patchcord test {}\n\
         \x20 python3 {} &\n\
         \x20 patchcord test {}\n\n\
         {} says how to call it.\n",
        path("documents.test.yaml"),
        path("app.py"),
        quoted(&shown.to_string()),
        path("README.md"),
    ))
}

/// A word quoted for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%".contains(c);
    if !word.starts_with('-') && !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_once_and_quotes_what_a_shell_would_split() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("my menu");
        let said = run(&folder).unwrap();
        assert!(said.contains("my menu/app.py' &"), "{said}");
        fs::write(folder.join("app.py"), "mine").unwrap();
        let refused = run(&folder).unwrap_err().to_string();
        assert!(refused.contains("is not empty"), "{refused}");
        assert_eq!(fs::read_to_string(folder.join("app.py")).unwrap(), "mine");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
