//! Callbacks of a dialled leg.

use crate::check;

#[test]
fn case_150_completed_leg() {
    check("150-completed-leg");
}

#[test]
fn case_151_refused_leg() {
    check("151-refused-leg");
}

#[test]
fn case_152_by_get() {
    check("152-by-get");
}

#[test]
fn case_153_caller_hangs_up() {
    check("153-caller-hangs-up");
}

#[test]
fn case_154_two_events_with_blanks() {
    check("154-two-events-with-blanks");
}

#[test]
fn case_155_two_events() {
    check("155-two-events");
}

#[test]
fn case_156_events_by_blank() {
    check("156-events-by-blank");
}

#[test]
fn case_157_sip_noun() {
    check("157-sip-noun");
}

#[test]
fn case_158_number_noun() {
    check("158-number-noun");
}

#[test]
fn case_159_three_targets() {
    check("159-three-targets");
    check("159-with-a-timeout");
}

#[test]
fn case_160_three_targets_then_fay() {
    check("160-callee-hangs-up");
    check("160-caller-hangs-up");
}

#[test]
fn case_161_what_each_carries() {
    check("161-what-each-carries");
}

#[test]
fn case_162_call_of_the_api() {
    check("162-call-of-the-api");
}

#[test]
fn case_163_both_callbacks() {
    check("163-both-callbacks");
}

#[test]
fn case_164_recorded_dial_of_the_api() {
    check("164-recorded-dial-of-the-api");
}
