//! Checks `docs/rcml.md` against the tables of this crate.
//!
//! **Invariant: the page names every supported verb, noun and attribute, every known but
//! unsupported one, and no others; and every document on it is free of findings.**

use std::collections::{BTreeMap, BTreeSet};

use crate::verb::{Conference, Dial, ELEMENTS, Gather, Noun, Pause, Speech};
use crate::{Document, Verb, advice, vocabulary};

const PAGE: &str = include_str!("../../../docs/rcml.md");

/// The part of the page under this heading, up to the next heading of its level or above.
fn section(heading: &str) -> &'static str {
    let (_, rest) = PAGE
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("there is no `{heading}`"));
    let level = heading.chars().take_while(|c| *c == '#').count();
    let end = (2..=level).filter_map(|level| rest.find(&format!("\n{} ", "#".repeat(level))));
    &rest[..end.min().unwrap_or(rest.len())]
}

/// The cells of the rows of the table whose header begins with this cell.
fn table<'a>(text: &'a str, first: &str) -> Vec<Vec<&'a str>> {
    let header = format!("| {first} |");
    text.lines()
        .skip_while(|line| !line.starts_with(&header))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}

/// The words in backticks.
fn names(cell: &str) -> BTreeSet<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn set<'a>(names: &[&'a str]) -> BTreeSet<&'a str> {
    names.iter().copied().collect()
}

/// The documents on the page, each with its heading.
fn documents() -> Vec<(&'static str, &'static str)> {
    let mut heading = "";
    let mut found = Vec::new();
    let mut rest = PAGE;
    while let Some((before, after)) = rest.split_once("```xml\n") {
        let above = before.lines().rev().find(|line| line.starts_with('#'));
        heading = above.unwrap_or(heading);
        let (document, after) = after.split_once("```").unwrap();
        found.push((heading, document));
        rest = after;
    }
    found
}

#[test]
fn each_verb_and_noun_has_a_section_with_its_attributes() {
    for (name, attributes) in ELEMENTS {
        let section = section(&format!("### `<{name}>`"));
        let rows = table(section, "attribute");
        let named: BTreeSet<&str> = rows.iter().flat_map(|row| names(row[0])).collect();
        assert_eq!(named, set(attributes.built), "attributes of {name}");
        let has_unbuilt = attributes.unbuilt.iter().any(|it| named.contains(it));
        assert!(!has_unbuilt, "{name}");
    }
    let verbs = section("## Verbs");
    let headings: BTreeSet<&str> = verbs
        .lines()
        .filter_map(|line| line.strip_prefix("### `<")?.strip_suffix(">`"))
        .collect();
    assert_eq!(headings, set(vocabulary::BUILT));
    for noun in vocabulary::NOUNS {
        let nouns = section("## Nouns");
        assert!(nouns.contains(&format!("`<{noun}>`")), "{noun}");
    }
}

#[test]
fn the_defaults_are_those_of_the_code() {
    let conference = Conference::DEFAULT_PARTICIPANTS.to_string();
    let table: &[(&str, &str, &str)] = &[
        ("Pause", "length", &Pause::DEFAULT_SECONDS.to_string()),
        ("Gather", "timeout", &Gather::DEFAULT_TIMEOUT_S.to_string()),
        ("Gather", "finishOnKey", Gather::DEFAULT_FINISH_ON_KEY),
        ("Gather", "language", Speech::DEFAULT_LANGUAGE),
        ("Dial", "timeout", &Dial::DEFAULT_TIMEOUT_S.to_string()),
        ("Dial", "timeLimit", &Dial::DEFAULT_TIME_LIMIT_S.to_string()),
        ("Conference", "maxParticipants", &conference),
    ];
    for (element, attribute, default) in table {
        let rows = self::table(section(&format!("### `<{element}>`")), "attribute");
        let row = rows.iter().find(|row| names(row[0]).contains(attribute));
        let shown = row.map(|row| row[2]);
        let expected = format!("`{default}`");
        assert_eq!(shown, Some(&*expected), "`{attribute}` of {element}");
    }
}

#[test]
fn what_is_missing_is_all_listed() {
    let missing = section("## What is missing");
    let verbs: BTreeSet<&str> = table(missing, "verb")
        .iter()
        .flat_map(|row| names(row[0]))
        .collect();
    let mut unbuilt = set(vocabulary::UNBUILT);
    for noun in ["Conference", "Queue"] {
        unbuilt.remove(noun); // Not missing, but a noun.
    }
    assert_eq!(verbs, unbuilt);

    let parts: BTreeMap<&str, BTreeSet<&str>> = table(missing, "inside")
        .iter()
        .map(|row| (row[0].trim_matches('`'), names(row[1])))
        .collect();
    let mut known: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    known.insert("Dial", set(vocabulary::UNBUILT_NOUNS));
    for (parent, names) in vocabulary::UNBUILT_PARTS {
        known.insert(parent, set(names));
    }
    assert_eq!(parts, known);

    let attributes: BTreeMap<&str, BTreeSet<&str>> = table(missing, "element")
        .iter()
        .map(|row| (row[0].trim_matches('`'), names(row[1])))
        .collect();
    let known: BTreeMap<&str, BTreeSet<&str>> = ELEMENTS
        .iter()
        .filter(|(_, attributes)| !attributes.unbuilt.is_empty())
        .map(|(name, attributes)| (*name, set(attributes.unbuilt)))
        .collect();
    assert_eq!(attributes, known);
}

#[test]
fn every_document_on_the_page_runs_as_it_is_written() {
    let documents = documents();
    for (heading, document) in &documents {
        let (findings, _) = Document::lint(document, None);
        assert!(findings.is_empty(), "{heading}: {findings:#?}");
    }
    for name in vocabulary::BUILT {
        let shown = documents.iter().any(|(heading, document)| {
            let parsed = Document::parse(document).unwrap();
            heading.contains(&format!("<{name}>"))
                && parsed.verbs.iter().any(|verb| verb.name() == *name)
        });
        assert!(shown, "`{name}` has no example");
    }
    for noun in ["Number", "Client", "Sip", "Conference", "Queue"] {
        let shown = documents.iter().any(|(heading, document)| {
            let parsed = Document::parse(document).unwrap();
            let dials = |verb: &Verb| match verb {
                Verb::Dial(dial) => dial.nouns.iter().map(Noun::name).any(|name| name == noun),
                _ => false,
            };
            heading.contains(&format!("<{noun}>")) && parsed.verbs.iter().any(dials)
        });
        assert!(shown, "`{noun}` has no example");
    }
}

#[test]
fn the_page_recommends_something_wherever_the_finding_does() {
    for row in table(section("## What is missing"), "verb") {
        for name in names(row[0]) {
            let is_nothing = row[1].starts_with("nothing");
            assert_eq!(is_nothing, advice::for_element(name).is_empty(), "{name}");
        }
    }
}
