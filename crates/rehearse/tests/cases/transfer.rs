//! Transfers: a party of a bridge sends REFER.

use crate::check;

#[test]
fn case_250_callee_transfers_the_caller() {
    check("250-callee-transfers-the-caller");
}

#[test]
fn case_251_number_with_plus() {
    check("251-number-with-plus");
}

#[test]
fn case_252_caller_hangs_up_after_the_transfer() {
    check("252-caller-hangs-up-after-the-transfer");
}

#[test]
fn case_253_caller_transfers_the_callee() {
    check("253-caller-transfers-the-callee");
}

#[test]
fn case_254_no_document_for_transfers() {
    check("254-no-document-for-transfers");
}

#[test]
fn case_256_unknown_target() {
    check("256-unknown-target");
}

#[test]
fn a_document_that_fails_leaves_the_call_as_it_was() {
    check("transfer-document-fails");
}

#[test]
fn a_transferor_that_hangs_up_has_done_its_part() {
    check("transfer-transferor-does-not-wait");
    check("transfer-stranded");
}

#[test]
fn a_change_of_the_call_overtakes_a_transfer() {
    check("transfer-overtaken");
}

#[test]
fn the_document_of_a_dial_comes_first() {
    check("transfer-of-dial");
}

#[test]
fn only_connected_parties_are_transferred() {
    check("transfer-without-partner");
}

#[test]
fn transfer_attended() {
    check("transfer-attended");
}

#[test]
fn transfer_attended_idle() {
    check("transfer-attended-idle");
}

#[test]
fn transfer_attended_both_queued() {
    check("transfer-attended-both-queued");
}

#[test]
fn transfer_attended_left() {
    check("transfer-attended-left");
}
