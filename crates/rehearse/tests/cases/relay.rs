//! Conversations in text with scripted agents.

use crate::check;

#[test]
fn relay_turns() {
    check("relay-turns");
}

#[test]
fn relay_interrupted() {
    check("relay-interrupted");
}

#[test]
fn relay_not_interruptible() {
    check("relay-not-interruptible");
}

#[test]
fn relay_keys() {
    check("relay-keys");
}

#[test]
fn relay_caller_hangs_up() {
    check("relay-caller-hangs-up");
}

#[test]
fn relay_lost() {
    check("relay-lost");
}

#[test]
fn relay_redirected() {
    check("relay-redirected");
}

#[test]
fn relay_messages() {
    check("relay-messages");
}

#[test]
fn relay_preempted() {
    check("relay-preempted");
}

#[test]
fn relay_events() {
    check("relay-events");
}
