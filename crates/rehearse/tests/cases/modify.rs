//! Calls made and changed through the API.

use crate::check;

#[test]
fn case_211_call_to_a_sip_address() {
    check("211-call-to-a-sip-address");
}

#[test]
fn case_212_headers_of_an_api_call() {
    check("212-headers-of-an-api-call");
}

#[test]
fn case_213_whole_address_as_caller() {
    check("213-whole-address-as-caller");
}

#[test]
fn case_214_call_to_a_client() {
    check("214-call-to-a-client");
}

#[test]
fn case_215_client_with_two_contacts() {
    check("215-client-with-two-contacts");
    check("linked-calls");
}

#[test]
fn a_call_of_the_api_is_one_call_whichever_phone_answers() {
    check("one-call-several-phones");
    check("one-call-completed-meanwhile");
    check("one-call-machine");
}

#[test]
fn a_call_of_the_api_ends_once_for_all_its_phones() {
    check("one-call-canceled");
    check("one-call-refused");
    check("one-call-rung-out");
}

#[test]
fn case_216_call_to_a_number() {
    check("216-call-to-a-number");
}

#[test]
fn case_218_api_call_without_answer() {
    check("218-api-call-without-answer");
}

#[test]
fn case_219_dialled_leg_times_out() {
    check("219-dialled-leg-times-out");
}

#[test]
fn case_220_dialled_leg_is_busy() {
    check("220-dialled-leg-is-busy");
}

#[test]
fn case_221_api_call_is_refused() {
    check("221-api-call-is-refused");
}

#[test]
fn case_222_complete_the_parent() {
    check("222-complete-the-parent");
}

#[test]
fn case_223_complete_again() {
    check("223-complete-again");
}

#[test]
fn case_224_cancel_a_ringing_api_call() {
    check("224-cancel-a-ringing-api-call");
    check("224-cancel-an-answered-call");
}

#[test]
fn case_225_redirect_without_partner() {
    check("225-redirect-without-partner");
}

#[test]
fn case_229_cancel_each_target() {
    check("229-cancel-each-target");
    check("229-cancel-one-target");
}

#[test]
fn case_230_complete_the_parent_of_ringing_targets() {
    check("230-complete-the-parent");
}

#[test]
fn case_231_redirect_the_parent_of_ringing_targets() {
    check("231-redirect-the-parent");
}

#[test]
fn the_dialled_party_is_redirected() {
    check("redirected-callee-restcomm");
    check("redirected-callee-twilio");
}

#[test]
fn case_226_both_into_a_room_and_back() {
    check("226-both-into-a-room-and-back");
}

#[test]
fn document_in_the_request() {
    check("document-in-the-request");
}
