//! Compares the real graph of crates with the table in ARCHITECTURE.md.
//!
//! **Invariant: a dependency that the table does not allow fails the build, and so does a row
//! without a crate or a crate without a row.** Pure crates (marked in the table) also may not reach
//! a crate that owns a socket, a clock, a thread pool or a random generator, however indirectly.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::files;

/// Crates that a pure crate must not reach.
const IMPURE: &[&str] = &[
    "async-std",
    "axum",
    "hyper",
    "mio",
    "rand",
    "reqwest",
    "rusqlite",
    "socket2",
    "tokio",
    "tokio-postgres",
    "tracing-subscriber",
];

/// One row of the table: the permitted dependencies of a crate, and whether it is pure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) may_use: MayUse,
    pub(crate) pure: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum MayUse {
    Everything,
    Only(BTreeSet<String>),
}

/// Our crates and their dependencies outside of tests; names are folder names.
pub(crate) struct Graph {
    /// Direct dependencies among our own crates.
    pub(crate) own: BTreeMap<String, BTreeSet<String>>,
    /// All reachable crates, ours and foreign.
    pub(crate) reached: BTreeMap<String, BTreeSet<String>>,
}

pub(crate) fn run() -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(files::root().join("ARCHITECTURE.md"))
        .context("reading ARCHITECTURE.md")?;
    let rules = parse_rules(&text);
    if rules.is_empty() {
        bail!("ARCHITECTURE.md has no crate table (| crate | what lives there | may use |)");
    }
    let graph = read_graph()?;
    let problems = compare(&rules, &graph);
    println!(
        "tidy: {} crates, {} own arrows",
        graph.own.len(),
        graph.own.values().map(BTreeSet::len).sum::<usize>()
    );
    Ok(problems)
}

/// Reads the rows of the table whose last column is headed `may use`.
pub(crate) fn parse_rules(text: &str) -> BTreeMap<String, Rule> {
    text.lines()
        .skip_while(|line| !(line.starts_with('|') && line.contains("| may use |")))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| {
            let cells: Vec<&str> = line
                .trim()
                .trim_matches('|')
                .split('|')
                .map(str::trim)
                .collect();
            let [name, what, uses] = cells.as_slice() else {
                return None;
            };
            let may_use = match *uses {
                "everything" => MayUse::Everything,
                list => MayUse::Only(
                    list.split(',')
                        .map(|name| name.trim().trim_matches('`').to_owned())
                        .filter(|name| name != "–")
                        .collect(),
                ),
            };
            Some((
                name.trim_matches('`').to_owned(),
                Rule {
                    may_use,
                    pure: what.starts_with("pure:"),
                },
            ))
        })
        .collect()
}

pub(crate) fn compare(rules: &BTreeMap<String, Rule>, graph: &Graph) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, uses) in &graph.own {
        let Some(rule) = rules.get(name) else {
            problems.push(format!("crate `{name}` has no row in ARCHITECTURE.md"));
            continue;
        };
        if let MayUse::Only(allowed) = &rule.may_use {
            for other in uses.difference(allowed) {
                problems.push(format!(
                    "crate `{name}` uses `{other}`, which its row in ARCHITECTURE.md does not allow"
                ));
            }
        }
        if rule.pure {
            let reached = graph.reached.get(name).into_iter().flatten();
            for foreign in reached.filter(|foreign| IMPURE.contains(&foreign.as_str())) {
                problems.push(format!("crate `{name}` is pure but reaches `{foreign}`"));
            }
        }
    }
    for name in rules.keys().filter(|name| !graph.own.contains_key(*name)) {
        problems.push(format!(
            "ARCHITECTURE.md has a row for `{name}`, but there is no such crate"
        ));
    }
    problems
}

fn read_graph() -> anyhow::Result<Graph> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(files::root())
        .output()
        .context("cargo could not be started")?;
    if !output.status.success() {
        bail!(
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let metadata: Value =
        serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")?;
    Ok(build_graph(&metadata))
}

/// Folder name of one of our packages, package name of a foreign one.
fn display_name(package: &Value, own: bool) -> String {
    let name = text(&package["name"]);
    if !own {
        return name;
    }
    let manifest = text(&package["manifest_path"]);
    manifest.rsplit('/').nth(1).map_or(name, str::to_owned)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn build_graph(metadata: &Value) -> Graph {
    let members: BTreeSet<String> = array(&metadata["workspace_members"])
        .iter()
        .map(text)
        .collect();
    let names: BTreeMap<String, String> = array(&metadata["packages"])
        .iter()
        .map(|package| {
            let id = text(&package["id"]);
            let own = members.contains(&id);
            (id, display_name(package, own))
        })
        .collect();
    let edges: BTreeMap<String, Vec<String>> = array(&metadata["resolve"]["nodes"])
        .iter()
        .map(|node| (text(&node["id"]), normal_dependencies(node)))
        .collect();
    let name = |id: &String| names.get(id).cloned().unwrap_or_default();
    let mut graph = Graph {
        own: BTreeMap::new(),
        reached: BTreeMap::new(),
    };
    for id in &members {
        let direct = edges
            .get(id)
            .into_iter()
            .flatten()
            .filter(|id| members.contains(*id))
            .map(name);
        graph.own.insert(name(id), direct.collect());
        graph
            .reached
            .insert(name(id), reach(id, &edges).iter().map(name).collect());
    }
    graph
}

/// Dependencies of a node that are compiled into it (not those for tests or build scripts).
fn normal_dependencies(node: &Value) -> Vec<String> {
    array(&node["deps"])
        .iter()
        .filter(|dep| {
            array(&dep["dep_kinds"])
                .iter()
                .any(|kind| kind["kind"].is_null())
        })
        .map(|dep| text(&dep["pkg"]))
        .collect()
}

fn reach(from: &str, edges: &BTreeMap<String, Vec<String>>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(id) = open.pop() {
        for next in edges.get(&id).into_iter().flatten() {
            if found.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "# A\n\n| crate | what lives there | may use |\n|---|---|---|\n\
        | `model` | pure: values | – |\n| `rcml` | pure: documents | `model` |\n\
        | `patchcord` | the binary | everything |\n\nrest | a | b |\n";

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn graph(own: &[(&str, &[&str])], reached: &[(&str, &[&str])]) -> Graph {
        let map = |rows: &[(&str, &[&str])]| {
            rows.iter()
                .map(|(name, uses)| ((*name).to_owned(), set(uses)))
                .collect()
        };
        Graph {
            own: map(own),
            reached: map(reached),
        }
    }

    #[test]
    fn reads_the_table() {
        let rules = parse_rules(TABLE);
        assert_eq!(rules.len(), 3);
        assert_eq!(
            rules["model"],
            Rule {
                may_use: MayUse::Only(set(&[])),
                pure: true
            }
        );
        assert_eq!(rules["rcml"].may_use, MayUse::Only(set(&["model"])));
        assert_eq!(
            rules["patchcord"],
            Rule {
                may_use: MayUse::Everything,
                pure: false
            }
        );
    }

    #[test]
    fn reports_each_kind_of_problem() {
        let everything = [
            ("model", &[][..]),
            ("rcml", &["model"][..]),
            ("patchcord", &["rcml", "model"][..]),
        ];
        // The deviation from an allowed graph, and a word of the resulting problem.
        let backwards = [
            ("model", &["rcml"][..]),
            ("rcml", &[][..]),
            ("patchcord", &[][..]),
        ];
        let missing = [("model", &[][..]), ("rcml", &[][..])];
        let extra = [
            ("model", &[][..]),
            ("rcml", &[][..]),
            ("patchcord", &[][..]),
            ("new", &[][..]),
        ];
        let table: &[(Graph, &[&str])] = &[
            (graph(&everything, &[("rcml", &["serde"])]), &[]),
            (
                graph(&everything, &[("rcml", &["tokio"])]),
                &["reaches `tokio`"],
            ),
            (graph(&everything, &[("patchcord", &["tokio"])]), &[]),
            (graph(&backwards, &[]), &["`model` uses `rcml`"]),
            (graph(&missing, &[]), &["no such crate"]),
            (graph(&extra, &[]), &["`new` has no row"]),
        ];
        for (graph, expected) in table {
            let problems = compare(&parse_rules(TABLE), graph);
            assert_eq!(problems.len(), expected.len(), "{problems:?}");
            for (problem, word) in problems.iter().zip(*expected) {
                assert!(problem.contains(word), "{problem}");
            }
        }
    }

    #[test]
    fn tests_and_build_scripts_are_not_dependencies() {
        let metadata = serde_json::json!({
            "workspace_members": ["a", "b"],
            "packages": [
                {"id": "a", "name": "patchcord-model", "manifest_path": "/x/crates/model/Cargo.toml"},
                {"id": "b", "name": "rcml", "manifest_path": "/x/crates/rcml/Cargo.toml"},
                {"id": "t", "name": "tokio", "manifest_path": "/r/tokio/Cargo.toml"},
                {"id": "m", "name": "mio", "manifest_path": "/r/mio/Cargo.toml"}
            ],
            "resolve": {"nodes": [
                {"id": "a", "deps": [{"pkg": "t", "dep_kinds": [{"kind": "dev"}]}]},
                {"id": "b", "deps": [
                    {"pkg": "a", "dep_kinds": [{"kind": null}]},
                    {"pkg": "t", "dep_kinds": [{"kind": "dev"}, {"kind": null}]}
                ]},
                {"id": "t", "deps": [{"pkg": "m", "dep_kinds": [{"kind": null}]}]}
            ]}
        });
        let graph = build_graph(&metadata);
        assert_eq!(graph.own["model"], set(&[]));
        assert_eq!(graph.own["rcml"], set(&["model"]));
        assert_eq!(graph.reached["model"], set(&[]));
        assert_eq!(graph.reached["rcml"], set(&["model", "tokio", "mio"]));
    }
}
