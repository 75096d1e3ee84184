//! Several targets together: callers from outside, and answers that cross.

use crate::world::{Phone, World, phone};

const THREE: &str = "<Dial><Client>ann</Client><Sip>sip:zed@h.example</Sip>\
    <Number>+2000</Number></Dial>";
const NAMES: [&str; 3] = ["ann", "zed", "+2000"];

/// Calls the three parties; listed phones behave as given, the others only ring.
fn three(phones: &[(&str, Phone)]) -> World {
    NAMES
        .into_iter()
        .fold(World::document(THREE), |world, name| {
            let found = phones.iter().find(|(known, _)| *known == name);
            world.phone(
                name,
                found.map_or_else(|| phone().rings(0.0), |(_, phone)| phone.clone()),
            )
        })
}

#[test]
fn case_120_caller_from_outside() {
    let mut world = three(&[("zed", phone().rings(0.0).answers(2.0).talks(3.0))]);
    world.caller.by_trunk = true;
    world.caller.user = "+1777".to_owned();
    let run = world
        .with(|directory| directory.numbers[0].0.public = false)
        .run();
    assert_eq!(run.to("K"), "0 180, 0 200, 5 BYE");
    assert_eq!(run.to("zed"), "0 INVITE, 2 ACK");
    assert_eq!(run.to("ann"), "0 INVITE, 2 CANCEL");
}

/// The 200 arrives after our CANCEL went out.
#[test]
fn an_answer_that_crosses_our_cancel() {
    let late = three(&[
        ("ann", phone().answers(1.0)),
        ("zed", phone().answers(1.005)),
    ])
    .hangs_up(4.0)
    .run();
    assert_eq!(late.to("ann"), "0 INVITE, 1 ACK, 4 BYE");
    assert_eq!(late.to("zed"), "0 INVITE, 1 CANCEL, 1.005 ACK, 1.005 BYE");
}
