//! Writes `docs/rcml/what-runs.md`: which elements and attributes of documents run here.
//!
//! **Invariant: the document matches the tables of this crate.**

use std::fmt::Write as _;

use crate::verb::ELEMENTS;
use crate::{advice, vocabulary};

const INTRO: &str = "\
# What runs

Generated from the tables of the `rcml` crate by `just gen`; change it there.

RCML is the language of Restcomm's documents, TwiML that of Twilio's. This page lists all their elements and attributes that Patchcord knows,
whether it runs them or not. Any others are reported as unknown (12200 to 12202). [rcml.md](../rcml.md) describes what runs.

";

fn render() -> String {
    let mut text = INTRO.to_owned();
    text.push_str("## Verbs\n\n");
    text.push_str(&elements(sorted(vocabulary::BUILT.iter().copied())));
    text.push_str("\n## Nouns\n\n");
    let parts = [
        vocabulary::STREAM,
        vocabulary::RECORDING,
        vocabulary::TRANSCRIPTION,
        vocabulary::SIPREC,
        vocabulary::RELAY,
        vocabulary::LANGUAGE,
        vocabulary::PARAMETER,
    ];
    let nouns = vocabulary::NOUNS.iter().copied().chain(parts);
    text.push_str(&elements(sorted(nouns)));
    text.push_str("\n## Verbs that do not run\n\n| verb | instead |\n|---|---|\n");
    let is_noun = |name: &&str| vocabulary::NOUNS.contains(name);
    for name in sorted(vocabulary::UNBUILT.iter().copied()) {
        if !is_noun(&name) {
            row(&mut text, &[quoted(name), instead(name)]);
        }
    }
    text
}

/// The table of some elements.
fn elements(names: Vec<&str>) -> String {
    let mut text = String::from(
        "| element | attributes that have an effect | attributes without effect | elements inside it | elements inside it that do not run |\n\
         |---|---|---|---|---|\n",
    );
    for name in names {
        // Some have two names.
        let table = match name {
            "Uri" => "Sip",
            "Message" => "Sms",
            name => name,
        };
        let known = ELEMENTS.iter().find(|(element, _)| *element == table);
        let known = known.expect("every element has its attributes").1;
        let (skipped, run) =
            vocabulary::parts_of(name).partition(|part| vocabulary::is_unbuilt_part(name, part));
        let cells = [
            link(name),
            list(sorted(known.built.iter().copied())),
            list(sorted(known.unbuilt.iter().copied())),
            list(run),
            list(skipped),
        ];
        row(&mut text, &cells);
    }
    text
}

/// A name that leads to its page.
fn link(name: &str) -> String {
    let page = match name {
        "Uri" => "sip.md".to_owned(),
        "Message" => "sms.md".to_owned(),
        vocabulary::PARAMETER => "stream.md#parameter".to_owned(),
        vocabulary::RELAY => "conversation-relay.md".to_owned(),
        vocabulary::LANGUAGE => "conversation-relay.md#language".to_owned(),
        name => format!("{}.md", name.to_lowercase()),
    };
    format!("[{}]({page})", quoted(name))
}

fn quoted(name: &str) -> String {
    format!("`<{name}>`")
}

fn list(names: Vec<&str>) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// What to write in place of a verb.
fn instead(name: &str) -> String {
    let advice = advice::for_element(name);
    advice.trim_start_matches("; ").to_owned()
}

fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names
}

fn row(text: &mut String, cells: &[String]) {
    let cells = cells.iter().map(|cell| match cell.as_str() {
        "" => "–",
        cell => cell,
    });
    // Writing to a string cannot fail.
    let _ = writeln!(text, "| {} |", cells.collect::<Vec<_>>().join(" | "));
}

#[test]
fn what_runs_document_is_current() {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rcml/what-runs.md");
    if std::env::var_os("PATCHCORD_UPDATE_DOCS").is_some() {
        std::fs::write(&path, render()).unwrap();
    }
    let current = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        current == render(),
        "docs/rcml/what-runs.md is stale: run `just gen`"
    );
}
