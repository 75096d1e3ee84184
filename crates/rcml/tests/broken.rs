//! Broken documents, one per file of `broken/`, and wrong uses of each verb and noun, one file of
//! `wrong/` for each, and their findings: `expected.txt` of the folder has a section per file with
//! a line `level number line:column message [suggestion]` per finding.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use rcml::{Document, Finding};

/// The number, line and column of each finding are the subject of this test.
#[test]
fn broken_documents_are_explained() {
    let documents = documents("broken");
    assert!(documents.len() >= 30, "{} documents", documents.len());
    compare("broken", &documents);
}

#[test]
fn wrong_uses_are_explained() {
    let documents = documents("wrong");
    for (name, findings) in &documents {
        let places = findings.iter().map(|it| (it.line, it.column));
        let places: BTreeSet<_> = places.collect();
        assert!(places.len() >= 10, "{name}: {} wrong uses", places.len());
    }
    compare("wrong", &documents);
}

/// The page of each verb and noun names the numbers of the wrong uses.
#[test]
fn each_number_is_on_the_page() {
    let pages = folder("../../../docs/rcml");
    let wrong = documents("wrong");
    for (name, findings) in &wrong {
        let path = pages.join(name).with_extension("md");
        let page = fs::read_to_string(&path).expect("there is a page");
        for Finding { code, message, .. } in findings {
            let row = format!("\n| [{code}](../errors.md#{code}) |");
            assert!(page.contains(&row), "{name}: {code} {message}");
        }
    }
    let mut pages: Vec<PathBuf> = files(&pages, "md");
    pages.retain(|path| !path.ends_with("what-runs.md"));
    assert_eq!(wrong.len(), pages.len(), "each page has its wrong uses");
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

/// The files of a folder with this extension, in order.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    paths.sort();
    paths
}

/// The documents of a folder by file name, with their findings, of which there is at least one.
fn documents(name: &str) -> Vec<(String, Vec<Finding>)> {
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let text = rcml::decode(&fs::read(&path).expect("it can be read"), None);
        let (findings, _) = Document::lint(&text, None);
        assert!(!findings.is_empty(), "nothing is wrong with {name}");
        (name.into_owned(), findings)
    };
    files(&folder(name), "xml").into_iter().map(read).collect()
}

/// Compares the findings with those in `expected.txt` of the folder.
#[track_caller]
fn compare(name: &str, documents: &[(String, Vec<Finding>)]) {
    let mut said = String::new();
    for (name, findings) in documents {
        let _ = writeln!(said, "{name}");
        for finding in findings {
            let suggestion = finding.suggestion.as_ref();
            let suggestion = suggestion.map_or_else(String::new, |text| format!(" [{text}]"));
            let _ = writeln!(
                said,
                "  {} {} {}:{} {}{suggestion}",
                finding.level.as_str(),
                finding.code,
                finding.line,
                finding.column,
                finding.message
            );
        }
    }
    let expected = fs::read_to_string(folder(name).join("expected.txt")).unwrap_or_default();
    assert!(said == expected, "now it says:\n{said}");
}
