//! Several targets, together and in turn.

use crate::check;

#[test]
fn one_after_the_other() {
    check("sequential-second-answers");
    check("sequential-none-answers");
    check("sequential-caller-gives-up");
    check("sequential-screened");
    check("sequential-two-phones");
}

#[test]
fn ring_tones() {
    check("ring-tone");
}

#[test]
fn case_117_sip_address_answers() {
    check("117-sip-address-answers");
}

#[test]
fn case_118_client_answers() {
    check("118-client-answers");
}

#[test]
fn case_119_number_answers() {
    check("119-number-answers");
}

#[test]
fn case_121_reachable_and_unknown() {
    check("121-reachable-and-unknown");
}

#[test]
fn case_122_unknown_and_reachable() {
    check("122-unknown-and-reachable");
}

#[test]
fn case_123_two_are_busy() {
    check("123-two-are-busy");
}

#[test]
fn case_124_two_decline() {
    check("124-two-decline");
}

#[test]
fn case_125_caller_gives_up() {
    check("125-caller-gives-up");
}

#[test]
fn case_126_nobody_answers() {
    check("126-nobody-answers");
}

#[test]
fn case_127_one_sends_183() {
    check("127-one-sends-183");
}

#[test]
fn case_128_one_never_responds() {
    check("128-one-never-responds");
}

#[test]
fn case_129_all_answer_at_once() {
    check("129-all-answer-at-once");
}

#[test]
fn case_130_first_fails_second_answers() {
    check("130-first-fails-second-answers");
}

#[test]
fn case_131_unreachable_dials_first() {
    check("131-unreachable-dials-first");
}

#[test]
fn case_132_second_dial_after_a_fork() {
    check("132-second-dial-after-a-fork");
}

#[test]
fn case_133_two_contacts() {
    check("133-two-contacts");
}

#[test]
fn case_135_three_dials_without_answer() {
    check("135-three-dials-without-answer");
}

#[test]
fn case_136_first_answers_caller_hangs_up() {
    check("136-first-answers-caller-hangs-up");
}

#[test]
fn case_137_second_answers_caller_hangs_up() {
    check("137-second-answers-caller-hangs-up");
}

#[test]
fn case_138_first_hangs_up() {
    check("138-first-hangs-up");
}

#[test]
fn case_139_second_hangs_up() {
    check("139-second-hangs-up");
}
