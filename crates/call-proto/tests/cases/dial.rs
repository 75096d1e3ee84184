//! Dial with one target: behaviour visible only to the SIP side.

use crate::world::{Act, Phone, Run, UNUSABLE, World, phone};

const DIAL_ANN: &str = "<Dial><Client>ann</Client></Dial>";
const DIAL_NUMBER: &str = "<Dial><Number>+2000</Number></Dial>";

/// A phone that answers after a second and hangs up after 3 s.
fn talkative() -> Phone {
    phone().rings(0.0).answers(1.0).talks(3.0)
}

#[test]
fn case_047_bye_answered_with_404() {
    let run = World::document(DIAL_NUMBER)
        .phone("+2000", phone().rings(0.0).answers(1.0).forgets())
        .hangs_up(4.0)
        .run();
    assert_eq!(run.to("+2000"), "0 INVITE, 1 ACK, 4 BYE");
    assert_eq!(run.ended("K"), "completed 4 s");
    assert_eq!(run.ended("+2000"), "completed 3 s, rang 1 s");
}

fn contact(parameters: &str) -> String {
    let run = World::document(DIAL_ANN)
        .phone("ann", talkative().contact(parameters))
        .run();
    assert_eq!(run.to("ann"), "0 INVITE, 1 ACK");
    run.invite("ann").route.uri.clone()
}

#[test]
fn case_061_parameters_of_the_contact() {
    assert_eq!(contact(";line=2;ob"), "sip:ann@phone1.invalid;line=2;ob");
}

#[test]
fn case_062_contact_over_tcp() {
    assert_eq!(
        contact(";transport=tcp"),
        "sip:ann@phone1.invalid;transport=tcp"
    );
}

/// K sends an unusable offer while phones ring.
fn bad_reinvite(document: &str) -> Run {
    let run = World::document(document)
        .phone("ann", phone().rings(0.0))
        .phone("+2000", phone().rings(0.0))
        .act(2.0, Act::Reinvite(Some(UNUSABLE.to_owned())))
        .run();
    assert_eq!(
        run.to("K"),
        "0 180, 0 200, 2 488 to re-INVITE, 2 BYE session description cannot be used"
    );
    assert_eq!(run.ended("K"), "failed 2 s");
    assert_eq!(run.to("ann"), "0 INVITE, 2 CANCEL");
    assert_eq!(run.ended("ann"), "canceled 0 s, rang 2 s");
    run
}

#[test]
fn case_073_bad_reinvite_in_a_fork() {
    let run = bad_reinvite("<Dial><Client>ann</Client><Number>+2000</Number></Dial>");
    assert_eq!(run.to("+2000"), "0 INVITE, 2 CANCEL");
    assert_eq!(run.ended("+2000"), "canceled 0 s, rang 2 s");
}

#[test]
fn case_074_bad_reinvite() {
    assert_eq!(bad_reinvite(DIAL_ANN).legs(), 2);
}
