//! A call whose record cannot be stored does not exist: it is not reported to anyone.

use call_proto::Target;

use crate::world::{World, empty, phone};

fn unrecorded(mut world: World, party: &str) -> World {
    world.unrecorded.insert(party.to_owned());
    world
}

#[test]
fn an_inbound_call_is_refused() {
    let world = World::document("<Say>hi</Say>").number_callback("http://app/number");
    let run = unrecorded(world, "K").run();
    assert_eq!((run.to("K").as_str(), run.app().as_str()), ("0 503", ""));
    assert_eq!(run.record("K").reason.as_deref(), Some("not-recorded"));
}

/// The callee is not rung, and the caller's document continues.
#[test]
fn a_dialled_leg_fails() {
    let document = "<Dial action=\"/a\"><Client statusCallback=\"/s\">ann</Client></Dial>";
    let world = World::document(document)
        .app("/a", empty())
        .phone("ann", phone().rings(0.0).answers(1.0));
    let run = unrecorded(world, "ann").run();
    assert_eq!(run.to("ann"), "");
    assert_eq!(run.request("/a").get("DialCallStatus"), "failed");
    assert_eq!(run.told("http://app/s", "CallStatus"), [""; 0]);
    assert_eq!(run.to("K"), "0 180, 0 200, 0 BYE");
}

/// One of two branches: the other one wins.
#[test]
fn the_other_branch_continues() {
    let world = World::document("<Dial><Client>ann</Client><Client>bob</Client></Dial>")
        .phone("ann", phone().rings(0.0).answers(1.0))
        .phone("bob", phone().rings(0.0).answers(1.0).talks(2.0));
    let run = unrecorded(world, "ann").run();
    assert_eq!(run.to("ann"), "");
    assert_eq!(run.to("bob"), "0 INVITE, 1 ACK");
    assert_eq!(run.ended("K"), "completed 3 s");
}

#[test]
fn a_call_of_the_api_is_not_made() {
    let world = World::api(Target::Client("ann".to_owned()), "<Hangup/>")
        .phone("ann", phone().rings(0.0).answers(1.0));
    let run = unrecorded(world, "ann").run();
    assert_eq!((run.to("ann").as_str(), run.app().as_str()), ("", ""));
}
