//! Delayed answer: the caller is answered when somebody else is.

use crate::world::{Phone, Run, World, empty, phone, xml};

/// A `<Dial>` that answers on bridge, with these nouns.
fn dial(attributes: &str, nouns: &str) -> String {
    format!("<Dial answerOnBridge=\"true\" {attributes}>{nouns}</Dial>")
}

const ANN: &str = "<Client>ann</Client>";
const NUMBER: &str = "<Number>+2000</Number>";

fn rings() -> Phone {
    phone().rings(0.0)
}

#[test]
fn case_233_answered_with_the_callee() {
    let run = World::document(&dial("", ANN))
        .phone("ann", rings().answers(2.0).talks(3.0))
        .run();
    assert_eq!(run.to("K"), "0 180, 2 200, 5 BYE");
    assert_eq!(run.to("ann"), "0 INVITE, 2 ACK");
    assert_eq!(run.heard("K"), "2 bridge ann, 5 unbridge ann");
    assert_eq!(run.ended("K"), "completed 3 s");
}

#[test]
fn case_234_refusal_is_passed_on() {
    for status in [403, 486, 500, 503] {
        let run = World::document(&dial("", NUMBER))
            .phone("+2000", phone().rejects(1.0, status))
            .run();
        assert_eq!(run.to("K"), format!("0 180, 1 {status}"));
        assert_eq!(run.ended("K"), "completed 0 s");
    }
}

#[test]
fn case_235_no_answer() {
    let run = World::document(&dial("timeout=\"10\"", ANN))
        .phone("ann", rings())
        .run();
    assert_eq!(run.to("ann"), "0 INVITE, 10 CANCEL");
    assert_eq!(run.to("K"), "0 180, 10 408");
}

#[test]
fn case_236_unknown_client() {
    let run = World::document(&dial("action=\"/a\"", "<Client>nobody</Client>"))
        .app("/a", empty())
        .run();
    assert_eq!(
        run.request("/a")
            .list(&["DialCallStatus", "CallStatus", "DialCallSid"]),
        "DialCallStatus=failed CallStatus=ringing DialCallSid=null"
    );
    assert_eq!(run.to("K"), "0 180, 0 500");
}

/// ann does not answer within 3 s; this is what the action says.
fn action_says(content: &str) -> World {
    World::document(&dial("timeout=\"3\" action=\"/a\"", ANN))
        .app("/a", xml(content))
        .clip("http://app/b.wav", 2.0)
        .phone("ann", rings())
}

#[test]
fn case_237_no_answer_with_action() {
    let run = action_says("").run();
    assert_eq!(run.to("ann"), "0 INVITE, 3 CANCEL");
    assert_eq!(run.request("/a").get("DialRingDuration"), "3");
    assert_eq!(run.to("K"), "0 180, 3 408");
    let mut nothing = action_says("");
    nothing.pages.insert("/a".to_owned(), vec![empty()]);
    assert_eq!(nothing.run().to("K"), "0 180, 3 408");
}

#[test]
fn case_238_action_dials_on() {
    let run = action_says(&dial("", NUMBER))
        .phone("+2000", rings().answers(2.0).talks(3.0))
        .run();
    assert_eq!(run.to("K"), "0 180, 5 200, 8 BYE");
    assert_eq!(run.to("+2000"), "3 INVITE, 5 ACK");
}

#[test]
fn case_239_action_plays() {
    let run = action_says("<Play>b.wav</Play>").run();
    assert_eq!(run.to("K"), "0 180, 3 200, 5 BYE");
    assert_eq!(run.heard("K"), "3 play http://app/b.wav");
}

#[test]
fn case_240_action_plays_and_dials() {
    let run = action_says(&format!("<Play>b.wav</Play>{}", dial("", NUMBER)))
        .phone("+2000", rings().answers(2.0).talks(3.0))
        .run();
    assert_eq!(run.to("K"), "0 180, 3 200, 10 BYE");
    assert_eq!(run.to("+2000"), "5 INVITE, 7 ACK");
}

const BOTH: &str = "<Client>ann</Client><Number>+2000</Number>";

/// Two targets.
fn two(attributes: &str, ann: Phone, number: Phone) -> World {
    World::document(&dial(attributes, BOTH))
        .phone("ann", ann)
        .phone("+2000", number)
}

#[test]
fn case_241_one_of_two_answers() {
    let run = two("", rings(), rings().answers(2.0).talks(3.0)).run();
    assert_eq!(run.to("K"), "0 180, 2 200, 5 BYE");
    assert_eq!(run.to("ann"), "0 INVITE, 2 CANCEL");
}

#[test]
fn case_242_none_answers() {
    let run = two("timeout=\"2\"", rings(), rings()).run();
    assert_eq!(run.to("K"), "0 180, 2 408");
    assert_eq!(run.count("CANCEL"), 2);
}

#[test]
fn case_243_two_contacts_refuse() {
    let run = World::document(&dial("", ANN))
        .phone("ann", phone().rejects(1.0, 486))
        .phone("ann", phone().rejects(2.0, 503))
        .run();
    assert_eq!(run.to("K"), "0 180, 2 503");
}

#[test]
fn case_244_caller_gives_up() {
    let run = two("action=\"/a\"", rings(), rings())
        .app("/a", empty())
        .hangs_up(2.0)
        .run();
    assert_eq!(run.to("K"), "0 180, 2 487");
    assert_eq!(
        (run.count("CANCEL"), run.app().as_str()),
        (2, "0 GET /v, 2 POST /a")
    );
    assert_eq!(run.ended("K"), "canceled 0 s");
    assert_eq!(
        run.request("/a").list(&["CallStatus", "DialCallStatus"]),
        "CallStatus=canceled DialCallStatus=canceled"
    );
}

#[test]
fn case_245_dials_in_turn() {
    let document = format!(
        "{}{}{}",
        dial("", "<Client>nobody</Client>"),
        dial("", "<Client>noone</Client>"),
        dial("", ANN)
    );
    let run = World::document(&document)
        .phone("ann", rings().answers(2.0).talks(3.0))
        .run();
    assert_eq!(run.to("K"), "0 180, 2 200, 5 BYE");
}

#[test]
fn case_246_prompt_answers() {
    let run = World::document(&format!("<Play>b.wav</Play>{}", dial("", ANN)))
        .clip("http://app/b.wav", 2.0)
        .phone("ann", rings().answers(2.0).talks(3.0))
        .run();
    assert_eq!(run.to("K"), "0 180, 0 200, 7 BYE");
    assert_eq!(run.to("ann"), "2 INVITE, 4 ACK");
}

fn canceled(run: &Run) {
    for who in ["ann", "+2000"] {
        assert_eq!(run.to(who), "0 INVITE, 2 CANCEL");
        assert_eq!(run.ended(who), "canceled 0 s, rang 2 s");
    }
}

#[test]
fn case_247_api_cancels_every_target() {
    let run = two("", rings(), rings())
        .cancels(2.0, "ann")
        .cancels(2.0, "+2000")
        .run();
    canceled(&run);
    assert_eq!(run.to("K"), "0 180, 2 500");
}

/// The caller's record says canceled, as for each call that the API cancels.
#[test]
fn case_248_api_cancels_the_caller() {
    for completes in [true, false] {
        let world = two("", rings(), rings());
        let run = if completes {
            world.completes(2.0, "K").run()
        } else {
            world.cancels(2.0, "K").run()
        };
        canceled(&run);
        assert_eq!(run.to("K"), "0 180, 2 487");
        assert_eq!(run.ended("K"), "canceled 0 s");
    }
}

#[test]
fn case_249_api_redirects_the_caller() {
    let run = two("", rings(), rings())
        .app("/other", xml("<Hangup/>"))
        .redirects(2.0, "K", "/other", false)
        .run();
    canceled(&run);
    assert_eq!(run.to("K"), "0 180, 2 487");
    assert_eq!(run.ended("K"), "completed 0 s");
}

/// `<Hangup>` after a failed Dial passes on why it failed.
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

/// The caller's ACK never comes.
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
