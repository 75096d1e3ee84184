//! Gather, Reject, Hangup, Play, and recordings of Dial.

use crate::check;

#[test]
fn case_184_one_digit_by_info_then_the_timeout() {
    check("184-one-digit-by-info");
}

#[test]
fn case_185_all_digits_by_info() {
    check("185-all-digits-by-info");
}

#[test]
fn case_186_the_default_finishing_key() {
    check("186-default-finishing-key");
}

#[test]
fn case_187_only_the_finishing_key() {
    check("187-only-the-finishing-key");
}

#[test]
fn case_188_no_input_at_all() {
    check("188-no-input-at-all");
}

#[test]
fn case_189_speech_with_partial_results() {
    check("189-speech-with-partial-results");
}

#[test]
fn case_190_too_many_hints() {
    check("190-too-many-hints");
}

#[test]
fn case_201_caller_ends_a_recorded_dial() {
    check("201-caller-ends-a-recorded-dial");
}

#[test]
fn case_202_callee_ends_a_recorded_dial() {
    check("202-callee-ends-a-recorded-dial");
}

#[test]
fn case_203_recorded_dial_ends_at_once() {
    check("203-recorded-dial-ends-at-once");
}

#[test]
fn case_204_recorded_dial_of_the_api() {
    check("204-recorded-dial-of-the-api");
}

#[test]
fn case_205_reject_as_declined() {
    check("205-reject-alone");
    check("205-reject-as-declined");
}

#[test]
fn case_206_reject_as_busy() {
    check("206-reject-as-busy");
}

#[test]
fn case_207_pause_before_reject() {
    check("207-pause-before-reject");
}

#[test]
fn case_208_redirect_to_a_message() {
    check("208-redirect-to-a-message");
}

#[test]
fn case_269_message_in_a_call() {
    check("269-message-in-a-call");
    check("269-action-of-a-message");
}

#[test]
fn case_209_hangup() {
    check("209-hangup");
}

#[test]
fn case_210_play_of_a_relative_address() {
    check("210-play-of-a-relative-address");
}

#[test]
fn case_191_record_until_the_maximum() {
    check("191-record-until-the-maximum");
}

#[test]
fn case_192_no_key_ends_the_recording() {
    check("192-no-key-ends-the-recording");
}

#[test]
fn case_193_caller_hangs_up_with_an_action() {
    check("193-caller-hangs-up-with-an-action");
}

#[test]
fn case_194_a_key_ends_the_recording() {
    check("194-a-key-ends-the-recording");
}

#[test]
fn case_195_caller_hangs_up_without_an_action() {
    check("195-caller-hangs-up-without-an-action");
}

#[test]
fn case_196_caller_hangs_up_at_once() {
    check("196-caller-hangs-up-at-once");
}

#[test]
fn case_198_action_hangs_up() {
    check("198-action-hangs-up");
}

#[test]
fn case_199_silence_ends_the_recording() {
    check("199-silence-ends-the-recording");
}

#[test]
fn case_200_action_of_a_recording_fails() {
    check("200-action-of-a-recording-fails");
}

#[test]
fn record_in_twilios_dialect() {
    check("record-twilio");
    check("record-nothing-twilio");
}

#[test]
fn no_callback_names_an_empty_recording() {
    check("record-during-an-api-call");
}

#[test]
fn the_recording_of_a_connection_is_reported() {
    check("recorded-dial-with-a-callback");
}

#[test]
fn an_echo_lasts_until_the_call_goes_elsewhere() {
    check("echo");
}

#[test]
fn an_email_is_sent_after_the_caller_has_left() {
    check("email-is-sent-after-a-hang-up");
}

#[test]
fn email_names_a_recording() {
    check("email-names-a-recording");
}
