//! Delayed answer: the caller is answered when the called party answers.

use crate::world::{Phone, World, empty, phone};

/// A `<Dial>` that answers on bridge, with these nouns.
fn dial(attributes: &str, nouns: &str) -> String {
    format!("<Dial answerOnBridge=\"true\" {attributes}>{nouns}</Dial>")
}

const ANN: &str = "<Client>ann</Client>";

fn rings() -> Phone {
    phone().rings(0.0)
}

/// `<Hangup>` after a failed Dial passes on the reason for its failure.
#[test]
fn hangup_after_a_failed_dial() {
    let run = World::document(&format!("{}<Hangup/>", dial("", ANN)))
        .phone("ann", phone().rejects(1.0, 403))
        .run();
    assert_eq!(run.to("K"), "0 180, 1 403");
    assert_eq!(run.ended("K"), "completed 0 s");
}

/// The callee hangs up while the caller is being answered.
#[test]
fn callee_hangs_up_before_the_ack() {
    let mut world = World::document(&dial("record=\"true\" action=\"/a\"", ANN))
        .app("/a", empty())
        .phone("ann", rings().answers(1.0).talks(1.0));
    world.caller.ack_ms = Some(3_000);
    let run = world.run();
    assert_eq!(run.to("K"), "0 180, 1 200, 4 BYE");
    assert_eq!(run.app(), "0 GET /v, 4 POST /a");
    assert_eq!(
        run.request("/a")
            .list(&["DialCallStatus", "DialCallDuration"]),
        "DialCallStatus=completed DialCallDuration=0"
    );
    assert!(
        !run.request("/a").has("RecordingUrl"),
        "nothing was recorded"
    );
}

/// The caller's ACK never arrives.
#[test]
fn caller_never_acknowledges() {
    let mut world = World::document(&dial("action=\"/a\"", ANN))
        .app("/a", empty())
        .phone("ann", rings().answers(1.0));
    world.caller.ack_ms = None;
    let run = world.run();
    assert_eq!(run.to("ann"), "0 INVITE, 1 ACK, 33 BYE");
    assert_eq!(run.ended("K"), "failed 0 s");
    assert_eq!(run.request("/a").get("DialCallStatus"), "canceled");
}
