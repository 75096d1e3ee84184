//! Keys pressed before a `<Gather>`.

use crate::check;

#[test]
fn keys_pressed_during_a_fetch_count() {
    check("type-ahead-during-a-fetch");
    check("type-ahead-message");
}

#[test]
fn they_begin_the_input() {
    check("type-ahead-partial");
    check("type-ahead-starting-key");
}

#[test]
fn a_finishing_key_that_is_left_over_does_no_harm() {
    check("type-ahead-finishing-key");
}

#[test]
fn the_document_can_decline_them() {
    check("type-ahead-off");
    check("type-ahead-speech-only");
}

#[test]
fn what_is_said_in_between() {
    check("type-ahead-say");
}

#[test]
fn they_act_on_no_other_verb() {
    check("type-ahead-other-verbs");
    check("type-ahead-conference");
    check("type-ahead-stream");
}

#[test]
fn they_are_limited() {
    check("type-ahead-limit");
}

#[test]
fn the_api_takes_the_call_elsewhere() {
    check("type-ahead-redirected");
}
