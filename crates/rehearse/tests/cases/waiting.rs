//! What calls hear while they wait.

use crate::check;

#[test]
fn wait_built_in_music() {
    check("wait-built-in-music");
}

#[test]
fn wait_audio_answer() {
    check("wait-audio-answer");
}

#[test]
fn wait_keys() {
    check("wait-keys");
}

#[test]
fn wait_other_verbs() {
    check("wait-other-verbs");
}

#[test]
fn wait_no_time() {
    check("wait-no-time");
}

#[test]
fn wait_failures() {
    check("wait-failures");
}

#[test]
fn wait_redirected() {
    check("wait-redirected");
}

#[test]
fn wait_alone() {
    check("wait-alone");
}
