//! Reports of a run: text, JSON and JUnit XML.

use std::time::Duration;

use call_proto::{FetchFailure, Fetched};
use model::CallSid;
use rehearse::report::{self, Rehearsed};
use rehearse::{Application, Asked, Run, Script};

/// Has no document.
struct Nobody;

impl Application for Nobody {
    fn document(&mut self, asked: &Asked) -> Result<Fetched, FetchFailure> {
        Ok(Fetched {
            status: 404,
            content_type: None,
            body: String::new(),
            url: asked.url.clone(),
            headers: Vec::new(),
        })
    }

    fn sound(&mut self, _: CallSid, _: &str) -> Result<Option<Duration>, String> {
        Ok(None)
    }

    fn callback(&mut self, _: &Asked) {}
}

/// Fails in two ways, and contains every character that XML escapes.
const BUSY: &str = "name: \"<busy> & 'co'\"
call: {to: '1'}
application:
  start: /v
  status_callback: /status
  pages: {/v: '<Response><Dial record=\"true\" action=\"/after\"><Client>ann</Client><Client>bob</Client></Dial></Response>'}
parties: {ann: {answers_after: 2s, hangs_up_after: 7s}, bob: no_answer}
expect: {verbs: [Say], duration: 1s}
";

fn reports(text: &str) -> (Run, String, String, String) {
    let script = Script::parse(text).unwrap_or_else(|problem| panic!("{problem}"));
    let rehearsed = [Rehearsed {
        file: "a.test.yaml".to_owned(),
        name: script.name.clone(),
        run: rehearse::run(&script, &mut Nobody),
    }];
    let text = report::text(&rehearsed[0], false);
    let json = format!("{:#}", report::json(&rehearsed));
    let junit = report::junit(&rehearsed, |run| {
        format!("{} \u{1} entries", run.trace.len())
    });
    let [rehearsed] = rehearsed;
    (rehearsed.run, text, json, junit)
}

#[test]
fn two_runs_give_the_same_bytes() {
    let (first, again) = (reports(BUSY), reports(BUSY));
    assert_eq!(first.0.trace, again.0.trace);
    assert_eq!((first.1, first.2, first.3), (again.1, again.2, again.3));
    let other = reports(&BUSY.replace("duration: 1s", "duration: 2s"));
    let sid = |run: &Run| run.legs[0].record.sid;
    assert_ne!(
        sid(&first.0),
        sid(&other.0),
        "each script has identifiers of its own"
    );
    let seeded = |text: &str| sid(&reports(&format!("{text}seed: 7\n")).0);
    assert_eq!(
        seeded(BUSY),
        seeded(&BUSY.replace("duration: 1s", "duration: 2s"))
    );
}

/// The cause before the consequences.
#[test]
fn notifications_come_first_if_nothing_ran() {
    let nothing = "call: {to: '1'}\napplication: {start: /v, pages: {/v: {fails: true}}}\n";
    let (_, text, ..) = reports(&format!(
        "{nothing}expect: {{verbs: [Say], duration: 1s}}\n"
    ));
    let starts: Vec<&str> = text.lines().map(|line| line.trim_start()).collect();
    let expected = [
        "FAILED",
        "notification 11205",
        "a.test.yaml:3",
        "a.test.yaml:3",
    ];
    assert_eq!(starts.len(), expected.len(), "{text}");
    for (line, start) in starts.into_iter().zip(expected) {
        assert!(line.starts_with(start), "{text}");
    }
}

#[test]
fn reports_list_every_failure_and_are_well_formed() {
    let (run, text, json, junit) = reports(BUSY);
    assert_eq!(
        text,
        "FAILED a.test.yaml: <busy> & 'co' (9s of call time)\n       \
         a.test.yaml:8: expected verb `Say`, but it was Dial\n       \
         a.test.yaml:8: expected a duration of 1s, but it was 9s\n       \
         notification 21402: http://app/after answered with status 404; `pages` has no `/after`\n",
    );
    let tree = roxmltree::Document::parse(&junit).unwrap();
    let cases: Vec<_> = tree
        .descendants()
        .filter(|node| node.has_tag_name("testcase"))
        .collect();
    assert_eq!(cases.len(), 1);
    assert_eq!(cases[0].attribute("name"), Some("<busy> & 'co'"));
    assert_eq!(cases[0].attribute("time"), Some("9.000"));
    let suite = tree.root_element().first_element_child().unwrap();
    assert_eq!(
        (suite.attribute("tests"), suite.attribute("failures")),
        (Some("1"), Some("1"))
    );
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["failed"], 1);
    let script = &json["scripts"][0];
    assert_eq!(script["failures"][0]["line"], 8);
    assert_eq!(script["legs"].as_array().map(Vec::len), Some(3));
    assert_eq!(script["requests"][0]["url"], "http://app/v");
    assert_eq!(run.failures.len(), 2);
}

#[test]
fn a_script_takes_few_steps() {
    let run = rehearse::run(&Script::parse(BUSY).unwrap(), &mut Nobody);
    assert!(run.inputs < 60, "{} inputs", run.inputs);
}
