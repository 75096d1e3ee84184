//! Limits import cycles between the files of a crate, and the growth of its central types.
//!
//! **Invariant: a cycle of more files than [`MAX_CIRCLE`] fails the build, and so does a type of
//! [`TYPES`] with more methods, or in more files, than its row allows.** A path `crate::a::b` or
//! `super::b`, in a `use` or elsewhere, is a dependency on the file of the innermost module that it
//! names. Tests at the end of a file may depend on anything.

use std::collections::{BTreeMap, BTreeSet};

use crate::files::SourceFile;

/// Maximum number of files in an import cycle, unless [`CIRCLES`] has a row for the crate.
const MAX_CIRCLE: usize = 6;

/// Crates with a larger cycle, and its size: it may shrink, not grow.
const CIRCLES: &[(&str, usize)] = &[("api", 7), ("call", 13), ("rcml", 8)];

/// Central types: folder of the crate, name, maximum methods, maximum files.
const TYPES: &[(&str, &str, usize, usize)] = &[("call-proto", "Call", 60, 8)];

/// A module by its path in the crate; empty for the crate's root.
type Module = Vec<String>;

pub(crate) fn check(files: &[SourceFile]) -> Vec<String> {
    let mut crates: BTreeMap<&str, Vec<(&str, String)>> = BTreeMap::new();
    for file in files {
        if let Some((name, inside)) = place(&file.path) {
            let text = production(&file.text);
            crates.entry(name).or_default().push((inside, text));
        }
    }
    let mut problems = Vec::new();
    for (name, files) in &crates {
        problems.extend(circle_problems(name, files));
        for (_, of, methods, most_files) in TYPES.iter().filter(|row| row.0 == *name) {
            problems.extend(size_problem(name, files, of, *methods, *most_files));
        }
    }
    problems
}

/// The crate's folder and the path below its `src`.
fn place(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix("crates/")?;
    let (name, inside) = rest.split_once("/src/")?;
    inside.ends_with(".rs").then_some((name, inside))
}

/// The text without comments and without the tests at its end.
fn production(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next();
    let lines = code.unwrap_or_default().lines();
    let bare = lines.map(|line| line.split("//").next().unwrap_or_default());
    bare.collect::<Vec<_>>().join("\n")
}

fn circle_problems(name: &str, files: &[(&str, String)]) -> Vec<String> {
    let limit = CIRCLES
        .iter()
        .find(|row| row.0 == name)
        .map_or(MAX_CIRCLE, |row| row.1);
    let large = circles(files)
        .into_iter()
        .filter(|circle| circle.len() > limit);
    large
        .map(|circle| {
            let size = circle.len();
            let list = circle.join(", ");
            format!(
                "crates/{name}: {size} files lean on each other in a circle (limit {limit}): {list}"
            )
        })
        .collect()
}

/// The cycles: sets of files each of which depends on all others.
fn circles(files: &[(&str, String)]) -> Vec<Vec<String>> {
    let modules: BTreeSet<Module> = files.iter().map(|(path, _)| module_of(path)).collect();
    let mut arrows: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (path, text) in files {
        let from = module_of(path);
        let targets = paths(text)
            .iter()
            .filter_map(|path| target(&from, path, &modules))
            .filter(|to| *to != from && !to.is_empty())
            .collect();
        arrows.insert(from, targets);
    }
    let reached: BTreeMap<&Module, BTreeSet<Module>> = arrows
        .keys()
        .map(|from| (from, reach(from, &arrows)))
        .collect();
    let leads = |from: &Module, to: &Module| reached.get(from).is_some_and(|all| all.contains(to));
    let mut found: BTreeSet<Vec<String>> = BTreeSet::new();
    for from in arrows.keys().filter(|from| leads(from, from)) {
        let circle = arrows
            .keys()
            .filter(|to| leads(from, to) && leads(to, from));
        found.insert(circle.map(|module| module.join("/")).collect());
    }
    found.into_iter().collect()
}

fn module_of(path: &str) -> Module {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let mut parts: Module = path.split('/').map(str::to_owned).collect();
    let is_root = matches!(
        parts.last().map(String::as_str),
        Some("mod" | "lib" | "main")
    );
    if is_root {
        parts.pop();
    }
    parts
}

/// Every path that begins with `crate`, `super` or `self`; `use` trees are expanded.
fn paths(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in text.match_indices(start) {
            let before = text[..at].chars().next_back();
            if before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':') {
                spread(&[], &text[at..at + path_end(&text[at..])], &mut found);
            }
        }
    }
    found
}

/// Where a path, including its `use` tree, ends.
fn path_end(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' if text[..at].ends_with("::") || depth > 0 => depth += 1,
            '}' if depth > 1 => depth -= 1,
            '}' if depth == 1 => return at + 1,
            c if c.is_alphanumeric() || c == '_' || c == ':' => {}
            _ if depth > 0 => {}
            _ => return at,
        }
    }
    text.len()
}

fn spread(before: &[String], tree: &str, found: &mut Vec<Vec<String>>) {
    let (head, inner) = match tree.split_once('{') {
        Some((head, rest)) => (head, rest.rsplit_once('}').map(|(inner, _)| inner)),
        None => (tree, None),
    };
    let mut path = before.to_vec();
    let name = head.split(" as ").next().unwrap_or_default().trim();
    path.extend(
        name.split("::")
            .filter(|part| !part.is_empty())
            .map(str::to_owned),
    );
    let Some(inner) = inner else {
        found.push(path);
        return;
    };
    let (mut depth, mut from) = (0_usize, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                spread(&path, &inner[from..at], found);
                from = at + 1;
            }
            _ => {}
        }
    }
    if !inner[from..].trim().is_empty() {
        spread(&path, &inner[from..], found);
    }
}

/// The file that a path refers to, seen from a module.
fn target(from: &Module, path: &[String], modules: &BTreeSet<Module>) -> Option<Module> {
    let mut full = match path.first()?.as_str() {
        "crate" => Module::new(),
        _ => from.clone(),
    };
    for part in path {
        match part.as_str() {
            "crate" | "self" => {}
            "super" => {
                full.pop();
            }
            name => full.push(name.to_owned()),
        }
    }
    while !full.is_empty() && !modules.contains(&full) {
        full.pop();
    }
    Some(full)
}

fn reach(from: &Module, arrows: &BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<Module> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(module) = open.pop() {
        for next in arrows.get(module).into_iter().flatten() {
            if found.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    found
}

/// Whether a type has grown beyond its row.
fn size_problem(
    name: &str,
    files: &[(&str, String)],
    of: &str,
    most_methods: usize,
    most_files: usize,
) -> Option<String> {
    let counts: Vec<usize> = files
        .iter()
        .map(|(_, text)| methods(text, of))
        .filter(|count| *count > 0)
        .collect();
    let (methods, spread) = (counts.iter().sum::<usize>(), counts.len());
    (methods > most_methods || spread > most_files).then(|| {
        format!(
            "crates/{name}: `impl {of}` has {methods} methods in {spread} files \
             (limits {most_methods} and {most_files})"
        )
    })
}

/// Methods in the `impl` blocks of a type, except trait implementations.
fn methods(text: &str, of: &str) -> usize {
    let head = format!("impl {of} {{");
    let mut inside = false;
    let mut count = 0;
    for line in text.lines() {
        inside = (inside || line == head) && line != "}";
        let is_method = line.starts_with("    ") && !line.starts_with("     ");
        if inside && is_method && line.split_whitespace().any(|word| word == "fn") {
            count += 1;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Files that each depend on the next, and the last on the first.
    fn ring(size: usize) -> Vec<SourceFile> {
        let next = |n: usize| (n + 1) % size;
        (0..size)
            .map(|n| {
                let text = format!("use crate::f{}::Thing;\n", next(n));
                file(&format!("crates/x/src/f{n}.rs"), &text)
            })
            .collect()
    }

    #[test]
    fn a_circle_that_is_too_large_is_a_problem() {
        assert!(check(&ring(MAX_CIRCLE)).is_empty());
        let problems = check(&ring(MAX_CIRCLE + 1));
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("7 files lean"), "{problems:?}");
        let chain = &ring(MAX_CIRCLE + 1)[1..];
        assert!(check(chain).is_empty());
    }

    #[test]
    fn a_path_leads_to_the_innermost_file() {
        let modules = ["a.rs", "a/b.rs", "c.rs"].map(module_of).into();
        let table: &[(&str, &str, &[&str])] = &[
            ("c.rs", "use crate::a::Thing;", &["a"]),
            ("c.rs", "use crate::a::b::Thing;", &["a/b"]),
            (
                "c.rs",
                "use crate::{a::{self, b::Thing}, c};",
                &["a", "a/b", "c"],
            ),
            ("c.rs", "fn f(x: &crate::a::b::Thing) {}", &["a/b"]),
            (
                "a/b.rs",
                "use super::Thing;\nuse super::super::c::D;",
                &["a", "c"],
            ),
            ("a.rs", "use crate::a::b::{X as Y, Z};", &["a/b", "a/b"]),
            ("a.rs", "use other_crate::a::b;", &[]),
        ];
        for (from, text, expected) in table {
            let from = module_of(from);
            let mut found: Vec<_> = paths(text)
                .iter()
                .filter_map(|path| target(&from, path, &modules))
                .map(|module| module.join("/"))
                .collect();
            found.sort();
            assert_eq!(found, *expected, "{text}");
        }
    }

    #[test]
    fn comments_and_tests_are_no_dependencies() {
        let text =
            "// see crate::f1::A\nfn a() {}\n#[cfg(test)]\nmod tests {\n    use crate::f1::A;\n}\n";
        let files = [
            file("crates/x/src/f0.rs", text),
            file("crates/x/src/f1.rs", "use crate::f0::B;\n"),
        ];
        let files = files.map(|file| {
            (
                place(&file.path).unwrap().1.to_owned(),
                production(&file.text),
            )
        });
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| (&**path, text.clone()))
            .collect();
        assert!(circles(&files).is_empty());
    }

    #[test]
    fn a_type_that_grows_is_a_problem() {
        let text = "impl Call {\n    pub(crate) fn a() {\n        fn inner() {}\n    }\n\n    const fn b() {}\n}\n\nimpl Other {\n    fn c() {}\n}\n";
        assert_eq!(methods(text, "Call"), 2);
        let files = [("a.rs", text.to_owned()), ("b.rs", text.to_owned())];
        assert_eq!(size_problem("x", &files, "Call", 4, 2), None);
        assert!(size_problem("x", &files, "Call", 3, 2).is_some());
        assert!(size_problem("x", &files, "Call", 4, 1).is_some());
    }
}
