//! Queues: calls wait in them until others take them.

use crate::check;

#[test]
fn queue_bridged() {
    check("queue-bridged");
}

#[test]
fn queue_caller_hangs_up() {
    check("queue-caller-hangs-up");
    check("queue-recorded-dual");
}

#[test]
fn queue_greeting() {
    check("queue-greeting");
}

#[test]
fn queue_leave() {
    check("queue-leave");
}

#[test]
fn queue_leave_outside() {
    check("queue-leave-outside");
}

#[test]
fn queue_full() {
    check("queue-full");
}

#[test]
fn queue_nobody_waits() {
    check("queue-nobody-waits");
}

#[test]
fn queue_unknown() {
    check("queue-unknown");
}

#[test]
fn queue_positions() {
    check("queue-positions");
}

#[test]
fn queue_redirected() {
    check("queue-redirected");
}

#[test]
fn queue_agent_gone() {
    check("queue-agent-gone");
}

#[test]
fn queue_caller_gone() {
    check("queue-caller-gone");
}

#[test]
fn queue_time_limit() {
    check("queue-time-limit");
}

#[test]
fn queue_star() {
    check("queue-star");
}

#[test]
fn queue_wait_fails() {
    check("queue-wait-fails");
}

#[test]
fn queue_screening() {
    check("queue-screening");
}

#[test]
fn queue_transferred() {
    check("queue-transferred");
}

#[test]
fn queue_moved() {
    check("queue-moved");
}
