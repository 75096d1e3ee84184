//! Several targets, together and in turn.

use crate::world::{Phone, Run, World, phone};

const THREE: &str = "<Dial><Client>ann</Client><Sip>sip:zed@h.example</Sip>\
    <Number>+2000</Number></Dial>";
const NAMES: [&str; 3] = ["ann", "zed", "+2000"];

/// Calls the three; each phone by name, the others only ring.
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

/// One of the three answers after 2 s, and K hangs up after 5 s.
fn one_answers(who: &str) {
    let run = three(&[(who, phone().rings(0.0).answers(2.0))])
        .hangs_up(5.0)
        .run();
    for name in NAMES {
        if name == who {
            assert_eq!(run.to(name), "0 INVITE, 2 ACK, 5 BYE");
            assert_eq!(run.ended(name), "completed 3 s, rang 2 s");
        } else {
            assert_eq!(run.to(name), "0 INVITE, 2 CANCEL");
            assert_eq!(run.ended(name), "canceled 0 s, rang 2 s");
        }
    }
    assert_eq!(run.legs(), 4);
    assert_eq!(
        run.heard("K"),
        format!("0 play ring tone for ever, 2 stop, 2 bridge {who}, 5 unbridge {who}")
    );
}

#[test]
fn case_117_sip_address_answers() {
    one_answers("zed");
}

#[test]
fn case_118_client_answers() {
    one_answers("ann");
}

#[test]
fn case_119_number_answers() {
    one_answers("+2000");
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

/// Two nouns, one of which nobody is registered for.
fn with_nobody(nouns: &str) {
    let run = World::document(&format!("<Dial>{nouns}</Dial>"))
        .phone("zed", phone().rings(0.0).answers(1.0).talks(3.0))
        .run();
    assert_eq!(run.to("zed"), "0 INVITE, 1 ACK");
    assert_eq!(
        (run.to("K").as_str(), run.legs()),
        ("0 180, 0 200, 4 BYE", 2)
    );
    assert_eq!(run.codes(), [11008]);
}

#[test]
fn case_121_reachable_and_unknown() {
    with_nobody("<Sip>sip:zed@h.example</Sip><Client>nobody</Client>");
}

#[test]
fn case_122_unknown_and_reachable() {
    with_nobody("<Client>nobody</Client><Sip>sip:zed@h.example</Sip>");
}

fn two_refuse(status: u16) {
    let run = three(&[
        ("ann", phone().rejects(1.0, status)),
        ("+2000", phone().rejects(1.5, status)),
        ("zed", phone().rings(0.0).answers(2.0).talks(3.0)),
    ])
    .run();
    assert_eq!(run.to("zed"), "0 INVITE, 2 ACK", "{status}");
    assert_eq!(run.to("K"), "0 180, 0 200, 5 BYE", "{status}");
    assert_eq!(run.ended("ann"), "busy 0 s, rang 1 s", "{status}");
}

#[test]
fn case_123_two_are_busy() {
    two_refuse(486);
}

#[test]
fn case_124_two_decline() {
    two_refuse(603);
}

#[test]
fn case_125_caller_gives_up() {
    let run = three(&[]).hangs_up(3.0).run();
    for name in NAMES {
        assert_eq!(run.to(name), "0 INVITE, 3 CANCEL", "{name}");
        assert_eq!(run.ended(name), "canceled 0 s, rang 3 s", "{name}");
    }
    assert_eq!(run.ended("K"), "completed 3 s");
}

/// The three ring for 7 s, as they do.
fn nobody_answers(phones: &[(&str, Phone)]) -> Run {
    let mut world = three(phones);
    world.pages.clear();
    let document = THREE.replace("<Dial>", "<Dial timeout=\"7\">");
    let run = world.app("/v", crate::world::xml(&document)).run();
    for name in NAMES {
        assert_eq!(run.to(name), "0 INVITE, 7 CANCEL", "{name}");
        assert_eq!(run.ended(name), "no-answer 0 s, rang 7 s", "{name}");
    }
    assert_eq!(run.to("K"), "0 180, 0 200, 7 BYE");
    assert_eq!(run.ended("K"), "completed 7 s");
    run
}

#[test]
fn case_126_nobody_answers() {
    assert_eq!(nobody_answers(&[]).legs(), 4);
}

#[test]
fn case_127_one_sends_183() {
    let run = nobody_answers(&[("ann", phone().progress(0.0, 183))]);
    assert_eq!(run.legs(), 4);
}

#[test]
fn case_128_one_never_responds() {
    let run = nobody_answers(&[("ann", phone().dead())]);
    assert_eq!(run.legs(), 4);
}

#[test]
fn case_129_all_answer_at_once() {
    let run = three(&NAMES.map(|name| (name, phone().answers(1.0))))
        .hangs_up(4.0)
        .run();
    assert_eq!(run.to("ann"), "0 INVITE, 1 ACK, 4 BYE");
    assert_eq!(run.to("zed"), "0 INVITE, 1 ACK, 1 BYE");
    assert_eq!(run.to("+2000"), "0 INVITE, 1 ACK, 1 BYE");
    assert_eq!(run.ended("ann"), "completed 3 s, rang 1 s");
    assert_eq!(run.ended("zed"), "canceled 0 s, rang 1 s");
    assert_eq!(run.ended("+2000"), "canceled 0 s, rang 1 s");
    // The 200 that arrives after our CANCEL went out.
    let late = three(&[
        ("ann", phone().answers(1.0)),
        ("zed", phone().answers(1.005)),
    ])
    .hangs_up(4.0)
    .run();
    assert_eq!(late.to("ann"), "0 INVITE, 1 ACK, 4 BYE");
    assert_eq!(late.to("zed"), "0 INVITE, 1 CANCEL, 1.005 ACK, 1.005 BYE");
}

#[test]
fn case_130_first_fails_second_answers() {
    let run = World::document("<Dial><Sip>sip:zed@h</Sip><Sip>sip:joe@h</Sip></Dial>")
        .phone("zed", phone().rejects(0.5, 500))
        .phone("joe", phone().rings(0.0).answers(2.0).talks(3.0))
        .run();
    assert_eq!(run.to("joe"), "0 INVITE, 2 ACK");
    assert_eq!(run.ended("zed"), "failed 0 s, rang 1 s");
    assert_eq!(run.to("K"), "0 180, 0 200, 5 BYE");
}

#[test]
fn case_131_unreachable_dials_first() {
    let dial = |who: &str| format!("<Dial timeout=\"5\"><Sip>sip:{who}@h</Sip></Dial>");
    let document = format!("{}{}{}", dial("lost"), dial("gone"), dial("zed"));
    let run = World::document(&document)
        .phone("lost", phone().dead())
        .phone("gone", phone().dead())
        .phone("zed", phone().rings(0.0).answers(1.0).talks(3.0))
        .run();
    assert_eq!(run.to("lost"), "0 INVITE, 5 CANCEL");
    assert_eq!(run.to("gone"), "5 INVITE, 10 CANCEL");
    assert_eq!(run.to("zed"), "10 INVITE, 11 ACK");
    assert_eq!(run.to("K"), "0 180, 0 200, 14 BYE");
}

#[test]
fn case_132_second_dial_after_a_fork() {
    let document = THREE.replace("<Dial>", "<Dial timeout=\"4\">");
    let mut world = three(&[]).phone("fay", phone().rings(0.0).answers(1.0).talks(3.0));
    world.pages.clear();
    let document = format!("{document}<Dial><Client>fay</Client></Dial>");
    let run = world.app("/v", crate::world::xml(&document)).run();
    for name in NAMES {
        assert_eq!(run.to(name), "0 INVITE, 4 CANCEL", "{name}");
    }
    assert_eq!(run.to("fay"), "4 INVITE, 5 ACK");
    assert_eq!(run.to("K"), "0 180, 0 200, 8 BYE");
}

#[test]
fn case_133_two_contacts() {
    let run = World::document("<Dial><Client>ann</Client><Sip>sip:zed@h</Sip></Dial>")
        .phone("ann", phone().rings(0.0).answers(2.0).talks(3.0))
        .phone("ann", phone().rings(0.0))
        .phone("zed", phone().rings(0.0))
        .run();
    assert_eq!(run.to("ann"), "0 INVITE, 2 ACK");
    assert_eq!(run.invite("ann2").route.uri, "sip:ann@10.0.0.2");
    assert_eq!(run.to("ann2"), "0 INVITE, 2 CANCEL");
    assert_eq!(run.to("zed"), "0 INVITE, 2 CANCEL");
    assert_eq!(
        (run.to("K").as_str(), run.legs()),
        ("0 180, 0 200, 5 BYE", 4)
    );
}

/// Three Dials of 3 s each, to ann, joe and fay.
fn in_turn(ann: Phone, joe: Phone, fay: Phone) -> World {
    let dial = |who: &str| format!("<Dial timeout=\"3\"><Client>{who}</Client></Dial>");
    World::document(&["ann", "joe", "fay"].map(dial).concat())
        .phone("ann", ann)
        .phone("joe", joe)
        .phone("fay", fay)
}

fn rings() -> Phone {
    phone().rings(0.0)
}

#[test]
fn case_135_three_dials_without_answer() {
    let run = in_turn(rings(), rings(), rings()).run();
    assert_eq!(run.to("ann"), "0 INVITE, 3 CANCEL");
    assert_eq!(run.to("joe"), "3 INVITE, 6 CANCEL");
    assert_eq!(run.to("fay"), "6 INVITE, 9 CANCEL");
    assert_eq!(run.to("K"), "0 180, 0 200, 9 BYE");
}

#[test]
fn case_136_first_answers_caller_hangs_up() {
    let run = in_turn(rings().answers(1.0), rings(), rings())
        .hangs_up(4.0)
        .run();
    assert_eq!(run.to("ann"), "0 INVITE, 1 ACK, 4 BYE");
    assert_eq!(
        (run.to("joe"), run.to("fay")),
        (String::new(), String::new())
    );
    assert_eq!(run.legs(), 2);
}

#[test]
fn case_137_second_answers_caller_hangs_up() {
    let run = in_turn(rings(), rings().answers(1.0), rings())
        .hangs_up(7.0)
        .run();
    assert_eq!(run.to("ann"), "0 INVITE, 3 CANCEL");
    assert_eq!(run.to("joe"), "3 INVITE, 4 ACK, 7 BYE");
    assert_eq!((run.to("fay"), run.legs()), (String::new(), 3));
}

#[test]
fn case_138_first_hangs_up() {
    let run = in_turn(rings().answers(1.0).talks(2.0), rings(), rings()).run();
    assert_eq!(run.to("ann"), "0 INVITE, 1 ACK");
    assert_eq!(run.to("joe"), "3 INVITE, 6 CANCEL");
    assert_eq!(run.to("fay"), "6 INVITE, 9 CANCEL");
    assert_eq!(run.to("K"), "0 180, 0 200, 9 BYE");
}

#[test]
fn case_139_second_hangs_up() {
    let run = in_turn(rings(), rings().answers(1.0).talks(2.0), rings()).run();
    assert_eq!(run.to("joe"), "3 INVITE, 4 ACK");
    assert_eq!(run.to("fay"), "6 INVITE, 9 CANCEL");
    assert_eq!(run.to("K"), "0 180, 0 200, 9 BYE");
}
