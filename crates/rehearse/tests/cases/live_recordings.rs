//! Recordings that the API starts, pauses, continues and ends while a call or conference is live.

use crate::check;

#[test]
fn a_pause_is_left_out_or_silent() {
    check("live-recording-paused");
    check("live-recording-silenced");
}

#[test]
fn only_what_is_possible() {
    check("live-recording-refused");
}

#[test]
fn several_of_one_leg() {
    check("live-recording-beside-record");
    check("live-recording-beside-dial");
}

#[test]
fn one_of_a_dial() {
    check("live-recording-of-dial");
}

#[test]
fn wherever_the_call_goes() {
    check("live-recording-elsewhere");
}

#[test]
fn from_the_answer() {
    check("live-recording-from-the-answer");
}

#[test]
fn one_of_a_conference() {
    check("conference-recording-changed");
}
