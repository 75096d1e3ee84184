//! Checks those rules of our style that a machine can check but a lint cannot.
//!
//! **Invariant: each rule is one line of [`check`] and has a line in the tests below.** Left to
//! reviewers: style that needs judgement.

use crate::circles;
use crate::files::{self, SourceFile};
use crate::graph;
use crate::links;

/// Maximum length of a file, in lines, without an entry in [`LONG_FILES`].
const MAX_LINES: usize = 800;

/// Files that may be longer, each with the reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// Left-overs that do not belong in a finished change, written in halves so that this file passes.
const LEFT_OVERS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("db", "g!("),
    concat!("todo", "!("),
];

/// Places outside the project, which are meaningless to readers elsewhere.
const OUTSIDE: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/fa", "rm/"),
    concat!("../sha", "red"),
    concat!("iss", "ue #"),
];

pub(crate) fn run() -> anyhow::Result<Vec<String>> {
    let files = files::list(is_text)?;
    let mut problems = graph::run()?;
    problems.extend(files.iter().flat_map(check));
    problems.extend(circles::check(&files));
    problems.extend(links::run()?);
    println!("tidy: {} files", files.len());
    Ok(problems)
}

fn is_text(path: &str) -> bool {
    let ours = !path.starts_with("docs/errors.md") && path != "LICENSE" && path != "Cargo.lock";
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    ours && matches!(
        extension,
        "rs" | "md" | "toml" | "sh" | "sql" | "ts" | "tsx" | "xml" | "txt" | ""
    )
}

fn check(file: &SourceFile) -> Vec<String> {
    let path = &file.path;
    let mut problems = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        let mut report = |what: String| problems.push(format!("{path}:{}: {what}", at + 1));
        for word in OUTSIDE.iter().filter(|word| line.contains(**word)) {
            report(format!(
                "`{word}` means nothing outside the place where it was written"
            ));
        }
        for word in LEFT_OVERS.iter().filter(|word| line.contains(**word)) {
            report(format!("`{word}` is a left-over"));
        }
        if line.ends_with([' ', '\t']) && !path.ends_with(".txt") && !path.contains("/torture/") {
            report("space at the end of the line".to_owned());
        }
    }
    if path.ends_with(".rs") {
        problems.extend(header_problem(file));
        let lines = file.text.lines().count();
        if lines > MAX_LINES && !LONG_FILES.iter().any(|(long, _)| long == path) {
            problems.push(format!(
                "{path}: {lines} lines; look for a second subject in it (limit {MAX_LINES})"
            ));
        }
    }
    problems
}

/// Each Rust file opens with a module header; that of a crate states its invariant in bold.
fn header_problem(file: &SourceFile) -> Option<String> {
    let header: Vec<&str> = file
        .text
        .lines()
        .skip_while(|line| line.is_empty())
        .take_while(|line| line.starts_with("//!"))
        .collect();
    if header.is_empty() {
        return Some(format!("{}: no module header (`//!`)", file.path));
    }
    let is_root = file.path.ends_with("/src/lib.rs") || file.path.ends_with("/src/main.rs");
    (is_root && !header.iter().any(|line| line.contains("**"))).then(|| {
        format!(
            "{}: the crate's header states no invariant in bold",
            file.path
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_finds_its_problem() {
        let long_file = format!("//! A.\n{}", "\n".repeat(MAX_LINES));
        let left_over = format!("//! A.\n// {}: more\n", LEFT_OVERS[0]);
        let outside = format!("see {}x\n", OUTSIDE[0]);
        let table: &[(&str, &str, &str)] = &[
            ("crates/a/src/lib.rs", "//! A.\n//! **Invariant: b.**\n", ""),
            ("crates/a/src/lib.rs", "//! A.\n", "no invariant in bold"),
            ("crates/a/src/b.rs", "//! A.\n", ""),
            ("crates/a/src/b.rs", "use c;\n", "no module header"),
            ("crates/a/src/b.rs", "//! A. \n", "space at the end"),
            ("crates/a/src/b.rs", &long_file, "second subject"),
            ("crates/a/src/b.rs", &left_over, "left-over"),
            ("docs/a.md", &outside, "outside"),
            ("docs/a.md", "no header needed\n", ""),
        ];
        for (path, text, expected) in table {
            let problems = check(&SourceFile {
                path: (*path).to_owned(),
                text: (*text).to_owned(),
            });
            match *expected {
                "" => assert!(problems.is_empty(), "{problems:?}"),
                word => assert!(
                    problems.len() == 1 && problems[0].contains(word),
                    "{word}: {problems:?}"
                ),
            }
        }
    }
}
