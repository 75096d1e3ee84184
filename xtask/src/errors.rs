//! Writes `docs/errors.md` from the error table in `model`.
//!
//! **Invariant: the document matches the code exactly**; `--check` fails when it does not.

use std::fmt::Write as _;

use anyhow::Context as _;
use model::error::{ErrorEntry, TABLE};

use crate::files;

const DOCUMENT: &str = "docs/errors.md";

pub(crate) fn write() -> anyhow::Result<Vec<String>> {
    let path = files::root().join(DOCUMENT);
    std::fs::write(&path, render(TABLE)).with_context(|| format!("writing {DOCUMENT}"))?;
    Ok(Vec::new())
}

pub(crate) fn check() -> anyhow::Result<Vec<String>> {
    let current = std::fs::read_to_string(files::root().join(DOCUMENT)).unwrap_or_default();
    if current == render(TABLE) {
        println!("errors: {} numbers documented", TABLE.len());
        return Ok(Vec::new());
    }
    Ok(vec![format!("{DOCUMENT} is stale: run `just gen`")])
}

fn render(table: &[ErrorEntry]) -> String {
    let mut text = String::from(
        "# Numbered problems\n\n\
         Generated from the table in the `model` crate by `just gen`; change it there.\n\n\
         A number appears in notifications, in findings about a document, in the log and in API\n\
         errors (`code`). Its meaning never changes. An error is usually something that could not be\n\
         done or that Patchcord does not support; a warning is a doubtful value or an empty element,\n\
         which was replaced, ignored or skipped. The table says which. Verbs, attributes and their\n\
         values are described in [rcml.md](rcml.md).\n\n\
         | number | level | what it means | what to do | API status |\n\
         |---|---|---|---|---|\n",
    );
    for entry in table {
        let status = match entry.http_status {
            0 => "–".to_owned(),
            status => status.to_string(),
        };
        let (code, level) = (entry.code, entry.level.as_str());
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| <a id=\"{code}\"></a>{code} | {level} | {} | {} | {status} |",
            cell(entry.text),
            cell(entry.advice)
        );
    }
    text
}

/// A text as one table cell, with links to other documents.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
        .replace('<', "&lt;")
        .replace("docs/rest.md", "[rest.md](rest.md)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Level;

    #[test]
    fn a_row_per_number() {
        let rows = [
            ErrorEntry {
                name: "NAME",
                code: 1,
                level: Level::Error,
                text: "A|b.",
                advice: "C <d>.",
                http_status: 0,
            },
            ErrorEntry {
                name: "NAME",
                code: 2,
                level: Level::Warning,
                text: "E.",
                advice: "F.",
                http_status: 404,
            },
        ];
        let text = render(&rows);
        let tail: Vec<&str> = text.lines().rev().take(2).collect();
        assert_eq!(
            tail,
            [
                "| <a id=\"2\"></a>2 | warning | E. | F. | 404 |",
                "| <a id=\"1\"></a>1 | error | A\\|b. | C &lt;d>. | – |"
            ]
        );
    }
}
