//! Who ended each leg, why, and the remote party's reason.

use call_proto::Target;

use crate::world::{Run, World, client, empty, phone, status};

const DIAL: &str = "<Dial timeout=\"9\"><Client>ann</Client></Dial>";

/// K and ann, the called party.
#[track_caller]
fn both(world: World, caller: &str, callee: &str) {
    let run: Run = world.run();
    assert_eq!(
        (run.blame("K").as_str(), run.blame("ann").as_str()),
        (caller, callee)
    );
}

fn dial(ann: crate::world::Phone) -> World {
    World::document(DIAL).phone("ann", ann)
}

#[test]
fn of_two_connected_parties() {
    let talks = || phone().rings(0.0).answers(1.0);
    both(
        dial(talks().talks(2.0)),
        "application document-end",
        "callee hung-up Q.850;cause=16",
    );
    both(
        dial(talks()).hangs_up(4.0),
        "caller hung-up",
        "caller partner-hung-up",
    );
    both(
        dial(talks()).completes(4.0, "K"),
        "api api",
        "caller partner-hung-up",
    );
    both(
        dial(talks()).completes(4.0, "ann"),
        "application document-end",
        "api api",
    );
    let limited = DIAL.replace("timeout=\"9\"", "timeLimit=\"5\"");
    both(
        World::document(&limited).phone("ann", talks()),
        "application document-end",
        "platform time-limit",
    );
}

#[test]
fn of_a_leg_that_is_not_answered() {
    let after = "application document-end";
    both(
        dial(phone().rings(0.0).rejects(1.0, 486)),
        after,
        "callee busy 486 words for 486",
    );
    both(
        dial(phone().rejects(1.0, 503)),
        after,
        "callee refused 503 words for 503",
    );
    both(dial(phone().rings(0.0)), after, "platform no-answer 487");
    both(
        dial(phone().rings(0.0)).hangs_up(3.0),
        "caller hung-up",
        "caller parent-gone 487",
    );
}

#[test]
fn of_one_party() {
    let table = [
        (World::document("<Hangup/>"), "application hangup"),
        (World::document("<Reject/>"), "application rejected 603"),
        (
            World::new().app("/v", status(500)),
            "platform document-fetch 500",
        ),
        (
            World::document("<Pause length=\"5\"/><Say>x</Say>").hangs_up(1.0),
            "caller caller-canceled 487",
        ),
    ];
    for (world, expected) in table {
        assert_eq!(world.run().blame("K"), expected);
    }
    let run = World::api(Target::Sip("sip:zed@h".to_owned()), "<Pause length=\"9\"/>")
        .phone("zed", phone().rings(0.0).answers(1.0).talks(1.0))
        .app("/a", empty())
        .run();
    assert_eq!(run.blame("zed"), "callee hung-up Q.850;cause=16");
}

/// A client calls another one without a document.
#[test]
fn of_a_caller_whose_called_client_takes_no_call() {
    let called = || {
        let world = World::new().kim_is_client().dials("ann");
        world.with(|directory| directory.clients.push(client("ann")))
    };
    assert_eq!(called().run().blame("K"), "platform refused 404");
    let table = [
        (phone().rejects(1.0, 486), "callee busy 486"),
        (phone().rejects(1.0, 603), "callee busy 603"),
        (phone().rejects(1.0, 503), "callee refused 503"),
    ];
    for (ann, expected) in table {
        assert_eq!(called().phone("ann", ann).run().blame("K"), expected);
    }
}
