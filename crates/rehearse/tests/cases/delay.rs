//! Delayed answer: the caller is answered when the called party answers.

use crate::check;

#[test]
fn case_233_answered_with_the_callee() {
    check("233-answered-with-the-callee");
}

#[test]
fn case_234_refusal_is_passed_on() {
    check("234-refusal-403");
    check("234-refusal-486");
    check("234-refusal-500");
    check("234-refusal-503");
}

#[test]
fn case_235_no_answer() {
    check("235-no-answer");
}

#[test]
fn case_236_unknown_client() {
    check("236-unknown-client");
}

#[test]
fn case_237_no_answer_with_action() {
    check("237-empty-action");
    check("237-no-answer-with-action");
}

#[test]
fn case_238_action_dials_on() {
    check("238-action-dials-on");
}

#[test]
fn case_239_action_plays() {
    check("239-action-plays");
}

#[test]
fn case_240_action_plays_and_dials() {
    check("240-action-plays-and-dials");
}

#[test]
fn case_241_one_of_two_answers() {
    check("241-one-of-two-answers");
}

#[test]
fn case_242_none_answers() {
    check("242-none-answers");
}

#[test]
fn case_243_two_contacts_refuse() {
    check("243-two-contacts-refuse");
}

#[test]
fn case_244_caller_gives_up() {
    check("244-caller-gives-up");
}

#[test]
fn case_245_dials_in_turn() {
    check("245-dials-in-turn");
}

#[test]
fn case_246_prompt_answers() {
    check("246-prompt-answers");
}

#[test]
fn case_247_api_cancels_every_target() {
    check("247-api-cancels-every-target");
}

#[test]
fn case_248_api_cancels_the_caller() {
    check("248-api-cancels-the-caller");
    check("248-api-completes-the-caller");
}

#[test]
fn case_249_api_redirects_the_caller() {
    check("249-api-redirects-the-caller");
}
