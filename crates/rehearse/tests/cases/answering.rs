//! Machine detection.

use crate::check;

#[test]
fn the_document_waits_for_the_result() {
    check("amd-human");
    check("amd-machine");
    check("amd-message-end");
    check("amd-others");
}

#[test]
fn the_result_comes_later() {
    check("amd-async");
    check("amd-dial");
    check("amd-dial-sip");
}

#[test]
fn there_is_no_result() {
    check("amd-hangs-up-first");
    check("amd-redirected");
}

#[test]
fn amd_redirected_keys() {
    check("amd-redirected-keys");
}
