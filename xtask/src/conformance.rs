//! Checks that each conformance row names a test or says what it waits for.
//!
//! In `docs/conformance/*.md`, each table whose last column is headed `test` holds one case per
//! row. The last cell is one of: names of tests in backticks (`crate::module::function`);
//! `waits for: …`; `deviates: …`; or `due`, not written yet, which only `--strict` rejects.
//!
//! **Invariant: a named test exists, is a test, is not ignored and asserts something**, itself or in
//! a function of the same file or test folder that it calls. Whether it asserts the right thing is
//! left to review.

use std::collections::{BTreeMap, BTreeSet};

use quote::ToTokens as _;
use syn::visit::Visit;

use crate::files::{self, SourceFile};

pub(crate) fn run(strict: bool) -> anyhow::Result<Vec<String>> {
    let documents =
        files::list(|path| path.starts_with("docs/conformance/") && path.ends_with(".md"))?;
    let sources = files::list(|path| path.ends_with(".rs"))?;
    let mut index = Index::default();
    let mut problems: Vec<String> = sources
        .iter()
        .filter_map(|source| index.add(source))
        .collect();
    for document in &documents {
        let (count, found) = check(document, &index, strict);
        println!(
            "{}: {} cases: {} proved, {} due, {} waiting, {} deviating",
            document.path,
            count.rows(),
            count.proved,
            count.due,
            count.waiting,
            count.deviating
        );
        problems.extend(found);
    }
    Ok(problems)
}

/// Rows of one document, by state.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    proved: usize,
    due: usize,
    waiting: usize,
    deviating: usize,
}

impl Count {
    fn rows(&self) -> usize {
        self.proved + self.due + self.waiting + self.deviating
    }
}

fn check(document: &SourceFile, index: &Index, strict: bool) -> (Count, Vec<String>) {
    let mut count = Count::default();
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for (line, cells) in rows(&document.text) {
        let at = format!("{}:{line}", document.path);
        let (Some(case), Some(last)) = (cells.first(), cells.last()) else {
            continue;
        };
        if !seen.insert(case.clone()) {
            problems.push(format!("{at}: case {case} stands twice"));
        }
        let tests: Vec<&str> = last
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|name| name.contains("::"))
            .collect();
        problems.extend(
            tests
                .iter()
                .filter_map(|name| index.problem(name))
                .map(|why| format!("{at}: case {case}: {why}")),
        );
        match last.as_str() {
            "due" => {
                count.due += 1;
                if strict {
                    problems.push(format!("{at}: case {case} is due and has no test"));
                }
            }
            text if text.starts_with("waits for: ") => count.waiting += 1,
            text if text.starts_with("deviates: ") => count.deviating += 1,
            _ if !tests.is_empty() => count.proved += 1,
            text => problems.push(format!(
                "{at}: case {case}: `{text}` is no test, `waits for: …`, `deviates: …` or `due`"
            )),
        }
    }
    if count.rows() == 0 {
        problems.push(format!(
            "{}: no table with a last column `test`",
            document.path
        ));
    }
    (count, problems)
}

/// Cells of each row, with the line number, of tables whose last column is `test`.
fn rows(text: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let mut inside = false;
    for (at, line) in text.lines().enumerate() {
        if !line.starts_with('|') {
            inside = false;
            continue;
        }
        let line = line.trim();
        let inner = line.strip_prefix('|').unwrap_or(line);
        let inner = inner.strip_suffix('|').unwrap_or(inner);
        let cells: Vec<String> = inner
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect();
        if cells.last().is_some_and(|last| last == "test") {
            inside = true;
        } else if inside
            && !cells
                .iter()
                .all(|cell| cell.chars().all(|c| matches!(c, '-' | ':')))
        {
            found.push((at + 1, cells));
        }
    }
    found
}

/// One function of the sources.
struct Function {
    /// Crate (folder) that contains it.
    room: String,
    /// File, or folder of integration tests, searched for helpers.
    neighbourhood: String,
    is_test: bool,
    is_ignored: bool,
    /// Whether its body mentions an assertion.
    asserts: bool,
    /// Names that occur in its body.
    names: BTreeSet<String>,
}

/// Every function of the sources, by name.
#[derive(Default)]
struct Index {
    functions: BTreeMap<String, Vec<Function>>,
}

impl Index {
    /// Adds a file; returns a problem if it cannot be read as Rust.
    fn add(&mut self, source: &SourceFile) -> Option<String> {
        let file = match syn::parse_file(&source.text) {
            Ok(file) => file,
            Err(error) => return Some(format!("{}: {error}", source.path)),
        };
        let mut collector = Collector {
            index: self,
            path: &source.path,
        };
        collector.visit_file(&file);
        None
    }

    /// The fault of the test with this name, if any.
    fn problem(&self, name: &str) -> Option<String> {
        let (room, _) = name.split_once("::")?;
        let room = room.replace('_', "-");
        let function = name.rsplit("::").next().unwrap_or(name);
        let candidates: Vec<&Function> = self
            .functions
            .get(function)
            .into_iter()
            .flatten()
            .filter(|found| found.room == room)
            .collect();
        let [test] = candidates.as_slice() else {
            return Some(match candidates.len() {
                0 => format!("there is no test `{name}`"),
                _ => format!("`{name}` is not unique in crate `{room}`"),
            });
        };
        if !test.is_test {
            return Some(format!("`{name}` is no test"));
        }
        if test.is_ignored {
            return Some(format!("`{name}` is ignored"));
        }
        (!self.asserts(test)).then(|| format!("`{name}` asserts nothing"))
    }

    /// Whether a function asserts, itself or through helpers within its scope.
    fn asserts(&self, start: &Function) -> bool {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut open = vec![start];
        while let Some(function) = open.pop() {
            if function.asserts {
                return true;
            }
            for name in function.names.iter().filter(|name| seen.insert(name)) {
                let helpers = self.functions.get(name).into_iter().flatten();
                open.extend(helpers.filter(|helper| helper.neighbourhood == start.neighbourhood));
            }
        }
        false
    }
}

struct Collector<'a> {
    index: &'a mut Index,
    path: &'a str,
}

impl Collector<'_> {
    fn add(&mut self, name: &syn::Ident, attributes: &[syn::Attribute], body: &syn::Block) {
        let body = body.to_token_stream().to_string();
        let names = body
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect::<BTreeSet<_>>();
        let last = |attribute: &syn::Attribute| {
            attribute
                .path()
                .segments
                .last()
                .map(|segment| segment.ident.to_string())
        };
        let has = |wanted: &str| {
            attributes
                .iter()
                .any(|attribute| last(attribute).as_deref() == Some(wanted))
        };
        let function = Function {
            room: room(self.path),
            neighbourhood: neighbourhood(self.path),
            is_test: has("test"),
            is_ignored: has("ignore"),
            asserts: names
                .iter()
                .any(|word| word.starts_with("assert") || word == "panic"),
            names,
        };
        self.index
            .functions
            .entry(name.to_string())
            .or_default()
            .push(function);
    }
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add(&item.sig.ident, &item.attrs, &item.block);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.sig.ident, &item.attrs, &item.block);
        syn::visit::visit_impl_item_fn(self, item);
    }
}

/// The crate of a path: `crates/rcml/src/lib.rs` is in `rcml`, `e2e/src/lib.rs` in `e2e`.
fn room(path: &str) -> String {
    let inner = path.strip_prefix("crates/").unwrap_or(path);
    inner.split('/').next().unwrap_or(inner).to_owned()
}

/// Where to look for helpers of a test: its folder below `tests/`, otherwise its own file.
fn neighbourhood(path: &str) -> String {
    match path.split_once("/tests/") {
        Some((before, _)) => format!("{before}/tests"),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "
        mod tests {
            #[test] fn good() { assert_eq!(1, 1); }
            #[tokio::test] async fn good_too() { Scenario::new().expect_bye(); }
            #[test] #[ignore = \"slow\"] fn ignored() { assert!(true); }
            #[test] fn empty() { let a = 1; }
            #[test] fn elsewhere() { far_helper(); }
            fn helper() { assert!(true); }
        }
        impl Scenario { fn expect_bye(&self) { self.inner(); } fn inner(&self) { panic!(\"no\"); } }";

    fn index() -> Index {
        let mut index = Index::default();
        let far = "fn far_helper() { assert!(true); }";
        for (path, text) in [
            ("crates/call-proto/tests/conformance.rs", SOURCE),
            ("crates/call-proto/src/far.rs", far),
        ] {
            let file = SourceFile {
                path: path.to_owned(),
                text: text.to_owned(),
            };
            assert_eq!(index.add(&file), None);
        }
        index
    }

    #[test]
    fn only_a_real_test_proves_a_case() {
        let table = [
            ("call_proto::conformance::good", None),
            ("call_proto::good_too", None),
            ("call_proto::ignored", Some("is ignored")),
            ("call_proto::empty", Some("asserts nothing")),
            ("call_proto::elsewhere", Some("asserts nothing")),
            ("call_proto::helper", Some("is no test")),
            ("call_proto::missing", Some("there is no test")),
            ("rcml::good", Some("there is no test")),
        ];
        for (name, expected) in table {
            let problem = index().problem(name);
            match (problem, expected) {
                (None, None) => {}
                (Some(problem), Some(word)) => assert!(problem.contains(word), "{problem}"),
                (problem, expected) => panic!("{name}: {problem:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn rows_are_counted_and_checked() {
        let text = "# T\n\n| # | case | test |\n|---|---|---|\n\
            | 1 | a | `call_proto::good` |\n| 2 | b | due |\n| 3 | c | waits for: Gather |\n\
            | 4 | d | deviates: we answer 488 |\n| 5 | e | `call_proto::missing` |\n| 5 | f | perhaps |\n\n\
            | other | table |\n|---|---|\n| 1 | x |\n";
        let document = SourceFile {
            path: "docs/conformance/t.md".to_owned(),
            text: text.to_owned(),
        };
        let (count, problems) = check(&document, &index(), false);
        assert_eq!(
            count,
            Count {
                proved: 2,
                due: 1,
                waiting: 1,
                deviating: 1
            }
        );
        let words = ["there is no test", "stands twice", "`perhaps` is no test"];
        assert_eq!(problems.len(), words.len(), "{problems:?}");
        for (problem, word) in problems.iter().zip(words) {
            assert!(problem.contains(word), "{problem}");
        }
        let (_, strict) = check(&document, &index(), true);
        assert!(
            strict
                .iter()
                .any(|problem| problem.contains("case 2 is due")),
            "{strict:?}"
        );
    }
}
