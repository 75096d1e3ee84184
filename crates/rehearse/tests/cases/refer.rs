//! `<Refer>`: the phone is asked to call another address.

use crate::check;

#[test]
fn the_phone_calls_the_address_and_hangs_up() {
    check("refer-succeeds");
}

#[test]
fn the_document_goes_on_if_it_does_not_hang_up() {
    check("refer-and-goes-on");
}

#[test]
fn the_phone_refuses() {
    check("refer-refused");
}

#[test]
fn the_phone_does_not_answer() {
    check("refer-ignored");
}

#[test]
fn the_address_cannot_be_reached() {
    check("refer-busy");
    check("refer-outcomes");
}

#[test]
fn the_phone_never_reports() {
    check("refer-never-notified");
    check("refer-reports-too-long");
}

#[test]
fn the_caller_hangs_up_before() {
    check("refer-caller-gives-up");
}

#[test]
fn a_party_that_the_api_called_is_transferred() {
    check("refer-by-the-api");
}

#[test]
fn where_it_cannot_run() {
    check("refer-where-it-cannot-run");
}
