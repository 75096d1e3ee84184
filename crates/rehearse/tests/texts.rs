//! Scripts of conversations in `texts/`: each passes, and fails once what it expects is another.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::path::Path;
use std::time::Duration;

use call_proto::{FetchFailure, Fetched};
use model::CallSid;
use rehearse::{Application, Asked, Run, Script};

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

fn read(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/texts");
    std::fs::read_to_string(folder.join(format!("{name}.test.yaml"))).unwrap()
}

fn run(text: &str) -> Run {
    let script = Script::parse(text).unwrap();
    assert!(script.is_conversation());
    rehearse::run(&script, &mut Nobody)
}

/// The script passes; with each of these words replaced it does not.
fn check(name: &str, words: &[&str]) {
    let text = read(name);
    let passed = run(&text);
    assert_eq!(passed.failures, [], "{name}");
    for word in words {
        let at = text.rfind(word).unwrap();
        let mut other = text.clone();
        other.replace_range(at..at + word.len(), "other");
        assert!(!run(&other).passed(), "{name}: `{word}` is not compared");
    }
}

#[test]
fn case_027_a_document_sent_as_html() {
    check("027-html", &["Sms"]);
    let text = read("027-html").replace("replies: [a]", "replies: [b]");
    assert_eq!(
        run(&text).failures[0].text,
        "expected the reply `b`, but it was `a`"
    );
}

#[test]
fn case_259_a_document_that_redirects() {
    check("259-redirect", &["outbound-reply", "inbound"]);
}

#[test]
fn case_275_a_voice_verb() {
    check("275-verb-of-a-call", &["14110"]);
}

#[test]
fn a_conversation_is_played_in_order() {
    check("conversation", &["2010-04-01", "What size?"]);
    let text = read("conversation");
    let missing = text.replace(
        "      - What size?\n",
        "      - What size?\n      - More?\n",
    );
    let failures = run(&missing).failures;
    assert_eq!(
        failures[0].text,
        "expected the reply `More?`, but there was none"
    );
    let short = text.replace("      - {text: ~large, to: ann, from: Shop}\n", "");
    let failures = run(&short).failures;
    assert!(
        failures[0].text.starts_with("there was another reply"),
        "{failures:?}"
    );
    let wrong = text.replace("to: ann, from: Shop}\napp", "to: bob, from: Shop}\napp");
    assert!(!run(&wrong).passed());
}

#[test]
fn a_faulty_conversation_is_refused() {
    let table = [
        ("texts: []", "`texts` needs at least one text"),
        ("texts: [{from: a, to: b}]", "a text needs `text`"),
        ("texts: [{from: a, to: b, text: c, reply: d}]", "replies"),
        (
            "texts: [{from: a, to: b, text: c}]\ncall: {to: '1'}",
            "`call` has no meaning beside `texts`",
        ),
        ("texts: [{from: a, to: b, text: c}]", "nothing is expected"),
    ];
    for (texts, expected) in table {
        let text = format!("{texts}\napplication: {{start: /m, pages: {{/m: <Response/>}}}}");
        let problem = Script::parse(&text).unwrap_err();
        assert!(problem.to_string().contains(expected), "{problem}");
    }
}
