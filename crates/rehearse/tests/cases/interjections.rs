//! What the API has a call hear at once.

use crate::check;

#[test]
fn in_a_say() {
    check("interjection-in-a-say");
}

#[test]
fn in_a_bridge() {
    check("interjection-in-a-bridge");
}

#[test]
fn before_input() {
    check("interjection-before-input");
}

#[test]
fn in_a_conversation() {
    check("interjection-in-a-conversation");
}
