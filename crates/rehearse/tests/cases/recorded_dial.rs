//! Recordings of a `<Dial>`: from when, of whom, and on how many channels.

use crate::check;

#[test]
fn each_party_has_a_channel() {
    check("recorded-dial-dual");
}

#[test]
fn from_the_ringing() {
    check("recorded-dial-from-ringing");
    check("recorded-dial-nobody-answers");
    check("recorded-dial-nobody-rings");
    check("recorded-dial-caller-gives-up");
    check("recorded-dial-answered-late");
    check("recorded-dial-screened");
    check("recorded-dial-redirected");
}

#[test]
fn trimmed() {
    check("recorded-dial-trimmed");
}

#[test]
fn one_track() {
    check("recorded-dial-one-track");
}
