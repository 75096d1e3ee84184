//! The action of Dial.

use crate::check;

#[test]
fn case_082_nobody_to_dial() {
    check("082-nobody-to-dial");
}

#[test]
fn case_083_callee_hangs_up() {
    check("083-callee-hangs-up");
}

#[test]
fn case_084_caller_hangs_up() {
    check("084-caller-hangs-up");
}

#[test]
fn case_085_no_answer() {
    check("085-no-answer");
}

#[test]
fn case_086_busy() {
    check("086-busy");
}

#[test]
fn case_087_busy_after_ringing() {
    check("087-busy-after-ringing");
}

#[test]
fn case_088_durations() {
    check("088-durations");
}

#[test]
fn case_089_record_of_the_callee() {
    check("089-record-of-the-callee");
}

#[test]
fn case_090_api_completes_the_caller() {
    check("090-api-completes-the-caller");
}

#[test]
fn case_091_api_cancels_the_callee() {
    check("091-api-cancels-the-callee");
}

#[test]
fn case_092_unknown_names() {
    check("092-display-name");
    check("092-unknown-names");
}

#[test]
fn case_093_extension_headers() {
    check("093-extension-headers");
}

#[test]
fn case_094_diversion() {
    check("094-diversion");
}

#[test]
fn case_095_nobody_answers_then_fay() {
    check("095-nobody-answers-then-fay");
}

#[test]
fn case_096_all_busy_then_fay() {
    check("096-all-busy-then-fay");
}

#[test]
fn case_097_chain_of_actions() {
    check("097-chain-of-actions");
}

#[test]
fn case_098_play_and_dial_after_480() {
    check("098-play-and-dial-after-480");
}

#[test]
fn case_099_play_and_dial_after_486() {
    check("099-play-and-dial-after-486");
}

#[test]
fn case_101_odd_address() {
    check("101-odd-address");
}

#[test]
fn case_102_recording() {
    check("102-recording");
}

#[test]
fn case_103_no_recording() {
    check("103-no-recording");
}

#[test]
fn case_104_action_plays() {
    check("104-action-plays");
}

#[test]
fn case_105_next_verb_plays() {
    check("105-next-verb-plays");
}

#[test]
fn case_106_refused_sip_noun() {
    check("106-refused-sip-noun");
}

#[test]
fn case_107_declining_sip_noun() {
    check("107-declining-sip-noun");
}

#[test]
fn case_108_callbacks_of_the_number() {
    check("108-callbacks-of-the-number");
}

#[test]
fn case_109_callbacks_without_answer() {
    check("109-callbacks-without-answer");
}

#[test]
fn case_110_callbacks_of_three_calls() {
    check("110-call-of-1-s");
    check("110-call-of-2-s");
    check("110-call-of-3-s");
}

#[test]
fn case_111_default_method() {
    check("111-default-method");
    check("111-method-get");
}

#[test]
fn case_112_relative_address() {
    check("112-document-that-moved");
    check("112-relative-address");
}

#[test]
fn case_113_action_fails() {
    check("113-action-fails");
}

#[test]
fn case_100_action_sends_a_message() {
    check("100-action-sends-a-message");
}
