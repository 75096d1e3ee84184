//! Screening: what a dialled party hears before it is connected, and its decision.

use crate::check;

#[test]
fn case_142_empty() {
    check("142-screening-empty");
}

#[test]
fn case_143_say() {
    check("143-screening-say");
}

#[test]
fn case_144_play() {
    check("144-screening-play");
}

#[test]
fn case_145_not_found() {
    check("145-screening-not-found");
}

#[test]
fn case_146_request() {
    check("146-screening-request");
}

#[test]
fn case_147_hangup() {
    check("147-screening-hangup");
}

#[test]
fn case_148_dials() {
    check("148-screening-dials");
}

#[test]
fn case_149_caller_gone() {
    check("149-screening-caller-gone");
}

#[test]
fn accepted_with_a_key() {
    check("screening-keys-accept");
}

#[test]
fn declined_with_a_key() {
    check("screening-keys-decline");
}

#[test]
fn callee_hangs_up() {
    check("screening-callee-hangs-up");
}

#[test]
fn takes_too_long() {
    check("screening-takes-too-long");
}

#[test]
fn first_answer() {
    check("screening-first-answer");
}

#[test]
fn race() {
    check("screening-race");
}

#[test]
fn race_and_timeout() {
    check("screening-race-timeout");
}

#[test]
fn digits_first() {
    check("screening-digits-first");
}

#[test]
fn delayed_answer() {
    check("screening-delayed-answer");
}

#[test]
fn unusable_address() {
    check("screening-unusable-address");
}

#[test]
fn redirected() {
    check("screening-redirected");
}
