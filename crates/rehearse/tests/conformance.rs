//! Cases of `docs/conformance/rcml.md` that need no access to the machine: scripts in `cases/`, one
//! or more per case, named after its number. The tests next to them assign scripts to cases.
//!
//! Each run is also checked against the rules of every call (`rules`), and its journal is replayed
//! from its stored form.

#[allow(dead_code, reason = "the rules serve three test programs")]
#[path = "../../call-proto/tests/world/rules.rs"]
mod rules;

use std::path::{Path, PathBuf};
use std::time::Duration;

use call_proto::journal::{self, Line, Verdict};
use call_proto::{Addressed, Command, Family, FetchFailure, Fetched};
use model::CallSid;
use rehearse::{Application, Asked, Script};

use rules::Rules;

mod cases {
    mod action;
    mod answering;
    mod callbacks;
    mod conference;
    mod delay;
    mod dial;
    mod fetch;
    mod interjections;
    mod live_recordings;
    mod modify;
    mod queues;
    mod recorded_dial;
    mod refer;
    mod relay;
    mod screening;
    mod several;
    mod streams;
    mod transfer;
    mod type_ahead;
    mod verbs;
    mod waiting;
}

/// Answers nothing: everything is in the scripts.
struct Nobody;

impl Application for Nobody {
    fn document(&mut self, asked: &Asked) -> Result<Fetched, FetchFailure> {
        panic!("{} is no page of the script", asked.url);
    }

    fn sound(&mut self, _: CallSid, url: &str) -> Result<Option<Duration>, String> {
        panic!("{url} is not in the script");
    }

    fn callback(&mut self, _: &Asked) {}
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

/// Runs a script of `cases/`; every expectation must be met, and no rule broken.
#[track_caller]
pub(crate) fn check(name: &str) {
    let file = folder().join(format!("{name}.test.yaml"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
    let script = Script::parse(&text).unwrap_or_else(|problem| panic!("{name}: {problem}"));
    let run = rehearse::run(&script, &mut Nobody);
    assert_eq!(run.failures, [], "{name}: {:#?}", run.trace);
    for journal in &run.journals {
        let broken = broken_rules(journal);
        assert!(broken.is_empty(), "{name}: {broken:#?}");
    }
    assert!(run.left.is_empty(), "{name}: {:?}", run.left);
    for journal in run.journals.iter().chain(&run.room_journals) {
        replay(journal);
    }
}

/// Replays the journal in its stored form.
#[track_caller]
fn replay(journal: &[Line]) {
    let json = serde_json::to_string(journal).expect("it can be written");
    let lines: Vec<Line> = serde_json::from_str(&json).expect("it can be read");
    match journal::replay(&lines).expect("it is a journal") {
        Verdict::Identical { complete, .. } => assert!(complete),
        Verdict::Differs(difference) => panic!("{difference:#?}"),
    }
}

/// Replays the journal on a separate family, and checks every command.
fn broken_rules(lines: &[Line]) -> Vec<String> {
    let [Line::Start(opening), rest @ ..] = lines else {
        panic!("the journal has no start");
    };
    let mut family = opening.begin().expect("the journal of a family");
    let mut rules = Rules::default();
    watch(&mut family, &mut rules);
    for line in rest {
        match line {
            Line::Event { at, call, event } => {
                rules.event(*call, event);
                family.handle(*call, (**event).clone(), *at);
            }
            Line::Timeout { at } => family.handle_timeout(*at),
            Line::Start(_) | Line::Room { .. } | Line::Out(_) | Line::Cut => continue,
        }
        watch(&mut family, &mut rules);
    }
    if !family.is_finished() || family.poll_timeout().is_some() {
        rules.broken("the family is not finished".to_owned());
    }
    rules.finish();
    rules.into_broken()
}

fn watch(family: &mut Family, rules: &mut Rules) {
    loop {
        let commands = family.poll_commands();
        if commands.is_empty() {
            return;
        }
        rules.batch(&commands);
        for Addressed { call, command } in commands {
            if let Command::Fetch { request, .. } = command {
                rules.asked(call, &request.params);
            }
        }
    }
}

/// The texts of all files of this kind in `cases/`, by name without extension.
fn files(kind: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder()).expect("there are cases") {
        let path = file.expect("it can be listed").path();
        let name = path.file_name().expect("it has a name").to_string_lossy();
        if let Some(name) = name.strip_suffix(kind) {
            let text = std::fs::read_to_string(&path).expect("it can be read");
            found.push((name.to_owned(), text));
        }
    }
    found
}

#[test]
fn every_script_is_a_case() {
    let tests = files(".rs");
    let scripts = files(".test.yaml");
    assert!(scripts.len() > 150, "{} scripts", scripts.len());
    for (name, _) in scripts {
        let call = format!("check(\"{name}\")");
        assert!(tests.iter().any(|(_, text)| text.contains(&call)), "{name}");
    }
}

/// Each word below `expect` is corrupted in turn, and the script must fail or be refused.
/// Identifiers derive from the text, so they differ each time as well.
#[test]
fn every_word_of_every_expectation_matters() {
    let mut spoilt = 0;
    for (name, text) in files(".test.yaml") {
        let wishes = text.find("\nexpect:\n").expect("something is expected");
        let wishes = wishes + "\nexpect:\n".len();
        let mut before = ' ';
        for (at, c) in text[wishes..].char_indices() {
            let begins = c.is_ascii_alphanumeric() && !before.is_ascii_alphanumeric();
            before = c;
            let (head, tail) = text.split_at(wishes + at);
            if !begins || is_absent(tail) {
                continue;
            }
            spoilt += 1;
            if let Ok(script) = Script::parse(&format!("{head}q{tail}")) {
                let run = rehearse::run(&script, &mut Nobody);
                let line = tail.lines().next().unwrap_or_default();
                assert!(!run.passed(), "{name}: {line}");
            }
        }
    }
    assert!(spoilt > 3_000, "{spoilt} words");
}

/// Whether this is a name, or the rest of one, that must be absent: another name is absent too.
fn is_absent(tail: &str) -> bool {
    let name = tail.find(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c)));
    name.is_some_and(|end| tail[end..].starts_with(": null"))
}

/// The replay detects an answer that the call did not give, and the rules detect a leg that is
/// left.
#[test]
fn what_is_wrong_is_found() {
    let script = "call: {to: '1'}
application: {start: /v, pages: {/v: <Response><Hangup/></Response>}}
expect: {legs: {caller: completed}}
";
    let script = Script::parse(script).expect("it is a script");
    let mut lines = rehearse::run(&script, &mut Nobody).journals.remove(0);
    assert_eq!(broken_rules(&lines), [""; 0]);
    let out = lines.iter_mut().find_map(|line| match line {
        Line::Out(texts) => Some(texts),
        Line::Start(_)
        | Line::Event { .. }
        | Line::Room { .. }
        | Line::Timeout { .. }
        | Line::Cut => None,
    });
    out.expect("it said something").pop();
    let verdict = journal::replay(&lines).expect("it is a journal");
    assert!(matches!(verdict, Verdict::Differs(_)), "{verdict:?}");
    lines.truncate(lines.len() / 2);
    let broken = broken_rules(&lines).join(", ");
    assert!(broken.contains("the family is not finished"), "{broken}");
}
