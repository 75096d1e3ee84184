//! Cases of `docs/conformance/rcml.md` that read best as a script: one file in `cases/` each.

use std::time::Duration;

use call_proto::{FetchFailure, Fetched};
use model::CallSid;
use rehearse::{Application, Asked, Script};

/// Everything is in the scripts.
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

/// Rehearses a case; nothing that it expects may be missed.
#[track_caller]
fn check(text: &str) {
    let script = Script::parse(text).unwrap_or_else(|problem| panic!("{problem}"));
    let run = rehearse::run(&script, &mut Nobody);
    assert_eq!(run.failures, [], "{:#?}", run.trace);
}

#[test]
fn case_151_refused_leg() {
    check(include_str!("cases/151-refused-leg.test.yaml"));
}

#[test]
fn case_153_caller_hangs_up() {
    check(include_str!("cases/153-caller-hangs-up.test.yaml"));
}

#[test]
fn case_189_speech_with_partial_results() {
    check(include_str!(
        "cases/189-speech-with-partial-results.test.yaml"
    ));
}

#[test]
fn case_190_too_many_hints() {
    check(include_str!("cases/190-too-many-hints.test.yaml"));
}

#[test]
fn case_207_pause_before_reject() {
    check(include_str!("cases/207-pause-before-reject.test.yaml"));
}
