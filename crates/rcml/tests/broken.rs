//! Broken documents, one per file of `broken/`, and their findings: `broken/expected.txt`
//! has a section per file with a line `level number line:column message [suggestion]` per finding.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use rcml::Document;

/// The number, line and column of each finding are the subject of this test.
#[test]
fn broken_documents_are_explained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "xml"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 30, "{} documents", paths.len());
    let mut said = String::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let text = rcml::decode(&fs::read(&path).expect("it can be read"), None);
        let (findings, _) = Document::lint(&text, None);
        assert!(!findings.is_empty(), "nothing is wrong with {name}");
        let _ = writeln!(said, "{name}");
        for finding in findings {
            let suggestion = finding
                .suggestion
                .map_or_else(String::new, |text| format!(" [{text}]"));
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
    let expected = fs::read_to_string(folder.join("expected.txt")).unwrap_or_default();
    assert!(said == expected, "now it says:\n{said}");
}
