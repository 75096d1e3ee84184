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
