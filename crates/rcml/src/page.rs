//! Checks `docs/rcml.md` and the pages in `docs/rcml/` against the tables of this crate.
//!
//! **Invariant: there is a page for every supported verb and noun, which names each of its
//! attributes, supported or not, and no others; and every document on a page is free of findings.**

use std::collections::{BTreeMap, BTreeSet};

use crate::verb::{
    Conference, ConnectNoun, ConversationRelay, Dial, ELEMENTS, Gather, Noun, Pause, Record, Speech,
};
use crate::{Document, Verb, advice, partner, vocabulary};

const INDEX: &str = include_str!("../../../docs/rcml.md");

macro_rules! pages {
    ($($name:literal $file:literal),+ $(,)?) => {
        /// Verbs and nouns, each with the name of its page without `.md`, and the text.
        const PAGES: &[(&str, &str, &str)] = &[
            $(($name, $file, include_str!(concat!("../../../docs/rcml/", $file, ".md")))),+
        ];
    };
}

pages! {
    "Say" "say",
    "Play" "play",
    "Pause" "pause",
    "Gather" "gather",
    "Record" "record",
    "Dial" "dial",
    "Sms" "sms",
    "Email" "email",
    "Connect" "connect",
    "Start" "start",
    "Stop" "stop",
    "Enqueue" "enqueue",
    "Leave" "leave",
    "Refer" "refer",
    "Echo" "echo",
    "Redirect" "redirect",
    "Reject" "reject",
    "Hangup" "hangup",
    "Number" "number",
    "Client" "client",
    "Sip" "sip",
    "Conference" "conference",
    "Queue" "queue",
    "Stream" "stream",
    "Recording" "recording",
    "Transcription" "transcription",
    "Siprec" "siprec",
    "ConversationRelay" "conversation-relay",
}

/// The part of the page of an element that describes it: of an element inside a noun of `Connect`, a
/// section.
fn page(name: &str) -> &'static str {
    if name == vocabulary::PARAMETER {
        return section(page(vocabulary::STREAM), "## `<Parameter>`");
    }
    if name == vocabulary::LANGUAGE {
        return section(page(vocabulary::RELAY), "## `<Language>`");
    }
    let found = PAGES.iter().find(|(element, ..)| *element == name);
    found.unwrap_or_else(|| panic!("`{name}` has no page")).2
}

/// The part of a page under this heading, up to the next heading of its level or above.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page
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

/// The words in backticks in the first cells of the rows of a table.
fn first_cells<'a>(text: &'a str, first: &str) -> BTreeSet<&'a str> {
    let rows = table(text, first);
    rows.iter().flat_map(|row| names(row[0])).collect()
}

fn set<'a>(names: &[&'a str]) -> BTreeSet<&'a str> {
    names.iter().copied().collect()
}

/// The blocks of code in this language on a page.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let start = format!("```{language}\n");
    let rest = page.split(&start).skip(1);
    rest.filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn each_verb_and_noun_has_a_page_with_its_attributes() {
    for (name, attributes) in ELEMENTS {
        let named = first_cells(page(name), "attribute");
        assert_eq!(named, set(attributes.built), "attributes of {name}");
    }
    let nouns = vocabulary::NOUNS
        .iter()
        .chain(vocabulary::STARTED)
        .chain(&[vocabulary::RELAY]);
    let mut known: BTreeSet<&str> = vocabulary::BUILT.iter().chain(nouns).copied().collect();
    known.remove("Uri"); // An old name of `Sip`.
    known.remove("Message"); // Another name of `Sms`.
    let paged: BTreeSet<&str> = PAGES.iter().map(|(name, ..)| *name).collect();
    assert_eq!(paged, known);
    assert!(page("Sip").contains("`<Uri>`"));
    assert!(page("Sms").contains("`<Message>`"));
    for (name, file, text) in PAGES {
        assert!(text.starts_with(&format!("# `<{name}>`\n")), "{file}");
        let link = format!("| [`<{name}>`](rcml/{file}.md) |");
        assert!(INDEX.contains(&link), "{name} is not in the list");
    }
}

#[test]
fn attributes_depend_on_others_of_the_same_element() {
    for (elements, names, partner) in partner::TABLE {
        for element in *elements {
            // An old name.
            let element = if *element == "Uri" { "Sip" } else { element };
            let known = ELEMENTS.iter().find(|(name, _)| *name == element);
            let built = known.expect("it is an element").1.built;
            for name in names.iter().chain(partner.names()) {
                assert!(built.contains(name), "`{name}` of {element}");
            }
            assert!(partner.names().iter().all(|name| !names.contains(name)));
            let rows = partner::TABLE.iter();
            for name in *names {
                let same = rows.clone().filter(|(elements, names, _)| {
                    elements.contains(&element) && names.contains(name)
                });
                assert_eq!(same.count(), 1, "`{name}` of {element} is in one row");
            }
        }
    }
}

#[test]
fn no_page_names_an_unknown_element() {
    for text in PAGES.iter().map(|(.., text)| *text).chain([INDEX]) {
        for word in names(text) {
            let Some(element) = word.strip_prefix('<') else {
                continue;
            };
            let end = element.find(|c: char| !c.is_ascii_alphanumeric());
            let name = &element[..end.unwrap_or(element.len())];
            assert!(vocabulary::is_known(name) || name.is_empty(), "{word}");
        }
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
        (
            "ConversationRelay",
            "language",
            ConversationRelay::DEFAULT_LANGUAGE,
        ),
        ("Record", "timeout", &Record::DEFAULT_TIMEOUT_S.to_string()),
        (
            "Record",
            "maxLength",
            &Record::DEFAULT_MAX_LENGTH_S.to_string(),
        ),
        ("Dial", "timeout", &Dial::DEFAULT_TIMEOUT_S.to_string()),
        ("Dial", "timeLimit", &Dial::DEFAULT_TIME_LIMIT_S.to_string()),
        ("Conference", "maxParticipants", &conference),
    ];
    for (element, attribute, default) in table {
        let rows = self::table(page(element), "attribute");
        let row = rows.iter().find(|row| names(row[0]).contains(attribute));
        let shown = row.map(|row| row[2]);
        let expected = format!("`{default}`");
        assert_eq!(shown, Some(&*expected), "`{attribute}` of {element}");
    }
}

#[test]
fn what_is_missing_is_all_listed() {
    let verbs = first_cells(section(INDEX, "## What is missing"), "verb");
    let mut unbuilt = set(vocabulary::UNBUILT);
    for noun in ["Conference", "Queue"] {
        unbuilt.remove(noun); // Not missing, but a noun.
    }
    assert_eq!(verbs, unbuilt);

    let mut parts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    parts.insert("Dial", set(vocabulary::UNBUILT_NOUNS));
    for (parent, names) in vocabulary::UNBUILT_PARTS {
        let parent = if *parent == "Uri" { "Sip" } else { parent };
        parts.entry(parent).or_default().extend(*names);
    }
    for (name, attributes) in ELEMENTS {
        if *name == vocabulary::PARAMETER {
            assert!(attributes.unbuilt.is_empty(), "{name}");
            continue;
        }
        let heading = match *name {
            vocabulary::LANGUAGE => "### What is missing",
            _ => "## What is missing",
        };
        let missing = section(page(name), heading);
        let idle = first_cells(missing, "attributes without effect");
        assert_eq!(idle, set(attributes.unbuilt), "{name}");
        let skipped = first_cells(missing, "elements inside it that do not run");
        assert_eq!(skipped, parts.remove(name).unwrap_or_default(), "{name}");
    }
    assert!(parts.is_empty(), "{parts:?}");
}

#[test]
fn every_document_on_a_page_runs_as_it_is_written() {
    let pages = PAGES.iter().map(|(name, _, text)| (*name, *text));
    for (name, text) in pages.chain([("the index", INDEX)]) {
        for document in blocks(text, "xml") {
            let (findings, _) = Document::lint(document, None);
            assert!(findings.is_empty(), "{name}: {findings:#?}");
        }
    }
}

#[test]
fn the_first_document_of_each_page_shows_its_verb_or_noun() {
    for (name, _, text) in PAGES {
        let document = blocks(text, "xml").into_iter().next();
        let parsed = Document::parse(document.expect("it has an example")).unwrap();
        let shows = |verb: &Verb| match verb {
            Verb::Dial(dial) => dial.nouns.iter().map(Noun::name).any(|noun| noun == *name),
            Verb::Connect(connect) => match &connect.noun {
                Some(ConnectNoun::Stream(_)) => *name == vocabulary::STREAM,
                Some(ConnectNoun::Relay(_)) => *name == vocabulary::RELAY,
                None => false,
            },
            Verb::Start(start) => start.nouns.iter().any(|noun| noun.name() == *name),
            _ => false,
        };
        let is_shown = |verb: &Verb| verb.name() == *name || shows(verb);
        assert!(parsed.verbs.iter().any(is_shown), "{name}");
        assert_eq!(blocks(text, "yaml").len(), 1, "{name} has one test");
    }
}

/// The rows lead to the errors that they name, and the text names no error that does not exist.
#[test]
fn the_numbers_exist() {
    for (name, _, text) in PAGES {
        let rows = table(section(text, "## Findings"), "number");
        assert!(!rows.is_empty(), "{name}");
        for row in &rows {
            let number: String = row[0].chars().skip(1).take(5).collect();
            assert_eq!(
                row[0],
                format!("[{number}](../errors.md#{number})"),
                "{name}"
            );
        }
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        let listed: BTreeSet<u16> = words
            .filter(|word| word.len() == 5)
            .filter_map(|word| word.parse().ok())
            .filter(|number| (11_000..40_000).contains(number))
            .filter(|number| u32::from(*number) != Dial::DEFAULT_TIME_LIMIT_S)
            .collect();
        for number in listed {
            assert!(model::error::entry(number).is_some(), "{name}: {number}");
            let is_row = |row: &Vec<&str>| row[0].starts_with(&format!("[{number}]"));
            assert!(rows.iter().any(is_row), "{name}: {number} has no row");
        }
    }
}

#[test]
fn the_index_recommends_something_wherever_the_finding_does() {
    for row in table(section(INDEX, "## What is missing"), "verb") {
        for name in names(row[0]) {
            let is_nothing = row[1].starts_with("nothing");
            assert_eq!(is_nothing, advice::for_element(name).is_empty(), "{name}");
        }
    }
}
