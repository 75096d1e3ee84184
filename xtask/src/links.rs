//! Checks the links between the documents of the repository.
//!
//! **Invariant: a relative link leads to a file of the repository and, after a `#`, to a heading or
//! an `id` in it.** Left to others: links to web sites.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::files::{self, SourceFile};

pub(crate) fn run() -> anyhow::Result<Vec<String>> {
    let documents = files::list(|path| path.ends_with(".md"))?;
    let root = files::root();
    Ok(check(&documents, |path| root.join(path).exists()))
}

/// - `exists`: whether there is a file or folder at a path.
fn check(documents: &[SourceFile], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let anchors: BTreeMap<&str, BTreeSet<String>> = documents
        .iter()
        .map(|document| (document.path.as_str(), anchors(&document.text)))
        .collect();
    let mut problems = Vec::new();
    for document in documents {
        for (line, link) in links(&document.text) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = match file {
                "" => document.path.clone(),
                file => resolve(&document.path, file),
            };
            let is_missing = !exists(&path);
            let is_lost = || {
                let known = anchors.get(path.as_str());
                !anchor.is_empty() && known.is_some_and(|known| !known.contains(anchor))
            };
            if is_missing || is_lost() {
                problems.push(format!(
                    "{}:{line}: the link `{link}` leads nowhere",
                    document.path
                ));
            }
        }
    }
    problems
}

/// The relative links outside of code blocks, with their lines.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    prose(text).flat_map(|(line, text)| {
        let targets = text.split("](").skip(1);
        let targets = targets.filter_map(|rest| rest.split(')').next());
        let is_relative = |link: &&str| !link.contains(':') && !link.contains(' ');
        targets.filter(is_relative).map(move |link| (line, link))
    })
}

/// The lines outside of code blocks, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        (!in_code && !is_fence).then_some((at + 1, line))
    })
}

/// What can follow a `#`: headings, as web sites that show Markdown name them, and every `id`.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(text) {
        if let Some(heading) = line.strip_prefix('#') {
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter_map(|c| match c {
                ' ' => Some('-'),
                c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
                _ => None,
            });
            anchors.insert(kept.collect());
        }
        let ids = line.split("<a id=\"").skip(1);
        anchors.extend(ids.filter_map(|rest| rest.split('"').next().map(str::to_owned)));
    }
    anchors
}

/// The path of a link, from the root of the repository.
fn resolve(from: &str, link: &str) -> String {
    let folder = Path::new(from).parent().and_then(Path::to_str);
    let mut parts: Vec<&str> = folder.unwrap_or("").split('/').collect();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_nowhere_is_found() {
        let table: &[(&str, &str)] = &[
            ("[a](b.md)", ""),
            ("[a](../docs/b.md#the-b-of-c)", ""),
            ("[a](b.md#7)", ""),
            ("[a](https://a.example/x#y)", ""),
            ("# Here\n[a](#here)", ""),
            ("```\n[a](c.md)\n```", ""),
            ("[a](c.md)", "docs/a.md:1: the link `c.md` leads nowhere"),
            (
                "\n[a](b.md#d)",
                "docs/a.md:2: the link `b.md#d` leads nowhere",
            ),
            ("[a](#d)", "docs/a.md:1: the link `#d` leads nowhere"),
        ];
        for (text, expected) in table {
            let document = |path: &str, text: &str| SourceFile {
                path: path.to_owned(),
                text: text.to_owned(),
            };
            let b = document("docs/b.md", "## The `<b>` of c.\n| <a id=\"7\"></a>7 |\n");
            let documents = [document("docs/a.md", text), b];
            let problems = check(&documents, |path| {
                path == "docs/b.md" || path == "docs/a.md"
            });
            assert_eq!(problems.join("; "), *expected, "{text}");
        }
    }
}
