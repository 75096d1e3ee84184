//! Calls made and changed through the API.

use call_proto::{Modify, ModifyError};

use crate::world::{Act, Phone, World, empty, phone, redirect_to, xml};

const DIAL_NUMBER: &str = "<Dial action=\"/a\"><Number>+2000</Number></Dial>";

fn rings() -> Phone {
    phone().rings(0.0)
}

/// K is connected to +2000 after 1 s.
fn connected() -> World {
    World::document(DIAL_NUMBER)
        .app("/a", empty())
        .phone("+2000", rings().answers(1.0))
}

/// Both legs run the new document.
#[test]
fn redirect_with_partner() {
    let run = connected()
        .app("/other", xml("<Pause length=\"2\"/>"))
        .redirects(4.0, "K", "/other", true)
        .run();
    assert_eq!(run.app(), "0 GET /v, 4 POST /other, 4 POST /other");
    assert_eq!(run.to("K"), "0 180, 0 200, 6 BYE");
    assert_eq!(run.to("+2000"), "0 INVITE, 1 ACK, 6 BYE");
    let sids: Vec<&str> = run
        .requests("/other")
        .iter()
        .map(|asked| asked.get("CallSid"))
        .collect();
    let expected = [
        run.record("K").sid.to_string(),
        run.record("+2000").sid.to_string(),
    ];
    assert_eq!(sids, expected);
}

/// Another server has ended the call on record: the parties must not go on talking.
#[test]
fn a_call_ended_elsewhere_is_hung_up() {
    let run = connected()
        .act(4.0, Act::EndedElsewhere("K".to_owned()))
        .run();
    assert_eq!(run.app(), "0 GET /v, 4 POST /a");
    assert_eq!(run.to("K"), "0 180, 0 200, 4 BYE");
    assert_eq!(run.to("+2000"), "0 INVITE, 1 ACK, 4 BYE");
    assert_eq!(run.record("K").reason.as_deref(), Some("node-lost"));
}

/// The callee leaves with the new document; the caller is hung up, and its action requested.
#[test]
fn redirect_of_the_callee() {
    let run = connected()
        .app("/other", xml("<Pause length=\"2\"/>"))
        .redirects(4.0, "+2000", "/other", false)
        .run();
    assert_eq!(run.to("K"), "0 180, 0 200, 4 BYE");
    assert_eq!(run.to("+2000"), "0 INVITE, 1 ACK, 6 BYE");
    assert_eq!(run.app(), "0 GET /v, 4 POST /other, 4 POST /a");
}

/// The recording up to then is kept.
#[test]
fn redirect_of_a_recorded_call() {
    let document = DIAL_NUMBER.replace("<Dial", "<Dial record=\"true\"");
    for closing_ms in [0, 500] {
        let mut world = World::document(&document)
            .app("/other", xml("<Hangup/>"))
            .phone("+2000", rings().answers(1.0))
            .redirects(4.0, "K", "/other", false);
        world.closing_ms = Some(closing_ms);
        let run = world.run();
        let recording = &run.recordings[0];
        assert_eq!(
            (recording.call, recording.duration_ms),
            (Some(run.record("K").sid), 3_000)
        );
        assert_eq!(run.to("K"), "0 180, 0 200, 4 BYE");
    }
}

/// An unanswered leg runs nothing.
#[test]
fn redirect_of_a_ringing_callee() {
    let run = World::document(DIAL_NUMBER)
        .app("/a", empty())
        .phone("+2000", rings().answers(4.0).talks(1.0))
        .redirects(2.0, "+2000", "/other", false)
        .run();
    assert_eq!(run.replies(), [("+2000", Err(ModifyError::NotAnswered))]);
    assert_eq!(run.app(), "0 GET /v, 5 POST /a");
    assert_eq!(run.to("K"), "0 180, 0 200, 5 BYE");
}

/// Each request gets its reply: made, made without effect, refused.
#[test]
fn each_api_request_gets_its_reply() {
    let run = connected()
        .asks(0.5, "+2000", redirect_to("/other", false))
        .asks(2.0, "+2000", Modify::Cancel)
        .asks(3.0, "K", Modify::Complete)
        .asks(4.0, "K", Modify::Complete)
        .asks(5.0, "+2000", redirect_to("/other", false))
        .run();
    let expected = [
        ("+2000", Err(ModifyError::NotAnswered)),
        ("+2000", Ok(())),
        ("K", Ok(())),
        ("K", Err(ModifyError::NotLive)),
        ("+2000", Err(ModifyError::NotLive)),
    ];
    assert_eq!(run.replies(), expected);
    assert_eq!(run.to("K"), "0 180, 0 200, 3 BYE");
}

/// The caller is being answered: the new document waits for that.
#[test]
fn redirect_of_a_caller_being_answered() {
    let mut world = connected()
        .app("/other", xml("<Play>b.wav</Play>"))
        .clip("http://app/b.wav", 1.0)
        .redirects(1.0, "K", "/other", false);
    world.caller.ack_ms = Some(2_000);
    let run = world.run();
    assert_eq!(run.app(), "0 GET /v, 1 POST /other");
    assert_eq!(run.heard("K"), "2 play http://app/b.wav");
    assert_eq!(run.to("K"), "0 180, 0 200, 3 BYE");
    assert_eq!(run.to("+2000"), "");
}
