//! Dial, one target.

use crate::check;

#[test]
fn case_042_client() {
    check("042-client");
}

#[test]
fn case_043_number() {
    check("043-number");
}

#[test]
fn case_044_sip_address() {
    check("044-sip-address");
}

#[test]
fn case_045_deprecated_noun() {
    check("045-deprecated-noun");
}

#[test]
fn case_046_caller_hangs_up() {
    check("046-caller-hangs-up");
}

#[test]
fn case_048_status_403() {
    check("048-status-403");
}

#[test]
fn case_049_status_500() {
    check("049-status-500");
}

#[test]
fn case_050_status_486() {
    check("050-status-486");
}

#[test]
fn case_051_timeout() {
    check("051-caller-is-first");
    check("051-timeout");
}

#[test]
fn case_052_time_limit() {
    check("052-time-limit");
}

#[test]
fn case_053_nobody_registered() {
    check("053-nobody-registered");
}

#[test]
fn case_054_next_dial() {
    check("054-next-dial");
}

#[test]
fn case_055_action_replaces_the_document() {
    check("055-action-replaces-the-document");
}

#[test]
fn case_056_two_headers_of_a_client() {
    check("056-two-headers-of-a-client");
}

#[test]
fn case_057_one_header_of_a_client() {
    check("057-one-header-of-a-client");
}

#[test]
fn case_058_headers_of_a_number() {
    check("058-headers-of-a-number");
}

#[test]
fn case_059_headers_of_a_sip_address() {
    check("059-headers-of-a-sip-address");
}

#[test]
fn case_060_credentials() {
    check("060-credentials");
}

#[test]
fn case_063_caller_id() {
    check("063-caller-id-address");
    check("063-caller-id-number");
}

#[test]
fn case_064_caller_by_itself() {
    check("064-caller-by-itself");
}

#[test]
fn case_065_headers_of_a_balancer() {
    check("065-headers-of-a-balancer");
}

#[test]
fn case_066_prompt_first() {
    check("066-prompt-first");
}

#[test]
fn case_067_missing_prompt() {
    check("067-missing-prompt");
}

#[test]
fn case_068_only_talk_time() {
    check("068-only-talk-time");
}

#[test]
fn case_069_ring_and_talk_time() {
    check("069-ring-and-talk-time");
}

#[test]
fn case_070_caller_vanishes() {
    check("070-sound-stops");
    check("070-connection-is-lost");
}

#[test]
fn case_075_empty_dial() {
    check("075-empty-dial");
}

#[test]
fn case_076_address_as_text() {
    check("076-address-as-text");
}

#[test]
fn case_077_client_as_text() {
    check("077-client-as-text");
}

#[test]
fn case_078_number_as_text() {
    check("078-number-as-text");
}

#[test]
fn case_079_music() {
    check("079-missing-music");
    check("079-music");
}

#[test]
fn case_080_default_timeout() {
    check("080-default-timeout");
}

#[test]
fn case_081_default_time_limit() {
    check("081-default-time-limit");
}

#[test]
fn case_140_message_after_the_dial() {
    check("140-message-after-the-dial");
}
