//! Dial, one target.

use crate::world::{World, phone};

/// A phone that rings at once, answers, and hangs up after 3 s.
#[test]
fn case_042_client() {
    let run = World::document("<Dial><Client>ann</Client></Dial>")
        .phone("ann", phone().rings(0.0).answers(1.0).talks(3.0))
        .run();
    assert_eq!(run.to("K"), "0 180, 0 200, 4 BYE");
    assert_eq!(run.to("ann"), "0 INVITE, 1 ACK");
    assert_eq!(run.ended("K"), "completed 4 s");
    assert_eq!(run.ended("ann"), "completed 3 s, rang 1 s");
    assert_eq!(run.legs(), 2);
    assert_eq!(
        run.heard("K"),
        "0 play ring tone for ever, 1 stop, 1 bridge ann, 4 unbridge ann"
    );
}
